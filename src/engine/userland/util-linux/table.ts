/** util-linux by install path. */
import type { ProgramTable } from '../programs.ts';

export const utilLinux: ProgramTable = {};
