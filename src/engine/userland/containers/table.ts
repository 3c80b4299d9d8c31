/** Container programs by install path: the runtime, the daemons with their clients, and what runs inside images. */
import type { ProgramTable } from '../programs.ts';
import { docker } from './docker/table.ts';
import { runc } from './runc/runc.ts';

export const containers: ProgramTable = {
  '/usr/sbin/runc': runc,
  ...docker,
};
