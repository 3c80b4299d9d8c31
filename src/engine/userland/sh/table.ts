/** The shell by install path. */
import type { ProgramTable } from '../programs.ts';

export const shell: ProgramTable = {};
