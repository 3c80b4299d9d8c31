/** coreutils, procps and other everyday programs by install path. */
import type { ProgramTable } from '../programs.ts';

export const coreutils: ProgramTable = {};
