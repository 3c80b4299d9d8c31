/** Virtualization programs by install path. */
import type { ProgramTable } from '../programs.ts';

export const virt: ProgramTable = {};
