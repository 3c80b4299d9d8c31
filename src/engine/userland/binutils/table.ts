/** Programs that look into object files and make them, by install path. */
import type { ProgramTable } from '../programs.ts';
import { as } from './as.ts';
import { file, nm, size } from './inspect.ts';
import { ld } from './ld.ts';
import { nasm } from './nasm.ts';
import { objdump } from './objdump.ts';
import { readelf } from './readelf.ts';

export const binutils: ProgramTable = {
  '/usr/bin/as': as,
  '/usr/bin/file': file,
  '/usr/bin/ld': ld,
  '/usr/bin/nasm': nasm,
  '/usr/bin/nm': nm,
  '/usr/bin/objdump': objdump,
  '/usr/bin/readelf': readelf,
  '/usr/bin/size': size,
};
