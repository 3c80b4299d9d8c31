/** Container programs by install path. */
import type { ProgramTable } from '../programs.ts';

export const containers: ProgramTable = {};
