/** Programs that look into object files and make them, by install path. */
import type { ProgramTable } from '../programs.ts';
import { file, nm, size } from './inspect.ts';
import { nasm } from './nasm.ts';
import { objdump } from './objdump.ts';
import { readelf } from './readelf.ts';

export const binutils: ProgramTable = {
  '/usr/bin/file': file,
  '/usr/bin/nasm': nasm,
  '/usr/bin/nm': nm,
  '/usr/bin/objdump': objdump,
  '/usr/bin/readelf': readelf,
  '/usr/bin/size': size,
};
