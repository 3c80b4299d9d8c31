/** Container programs by install path. */
import type { ProgramTable } from '../programs.ts';
import { docker } from './docker/table.ts';
import { runtime } from './runtime.ts';

export const containers: ProgramTable = { ...runtime, ...docker };
