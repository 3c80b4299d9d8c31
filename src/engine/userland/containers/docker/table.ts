/** docker's programs by install path. */
import type { ProgramTable } from '../../programs.ts';

export const docker: ProgramTable = {};
