/** The runtime, its daemons and clients, and what runs inside images, by install path. */
import type { ProgramTable } from '../programs.ts';
import { runc } from './runc/runc.ts';

export const runtime: ProgramTable = {
  '/usr/sbin/runc': runc,
};
