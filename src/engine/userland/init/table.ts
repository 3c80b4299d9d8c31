/** init, getty and the service manager by install path. */
import type { ProgramTable } from '../programs.ts';
import { getty } from './getty.ts';
import { initProgram } from './init.ts';

export const init: ProgramTable = { '/usr/sbin/init': initProgram, '/usr/sbin/agetty': getty };
