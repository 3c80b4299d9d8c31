/** strace by install path. */
import type { ProgramTable } from '../programs.ts';
import { strace } from './strace.ts';

export const tracing: ProgramTable = { '/usr/bin/strace': strace };
