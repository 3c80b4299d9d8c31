/** The registry of programs: every area's table, and the map by name that a kernel looks binaries up in. */
import type { Program } from '../kernel/sys.ts';
import type { ProgramTable } from './programs.ts';
import { base } from './base.ts';

/** Install path to program, for the host's file system. */
export const INSTALLED: ProgramTable = base;

/** Name, as a binary's content gives it, to program. */
export const PROGRAMS: ReadonlyMap<string, Program> = new Map(
  Object.entries(INSTALLED).map(([path, program]) => [path.slice(path.lastIndexOf('/') + 1), program]),
);
