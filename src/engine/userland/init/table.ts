/** init, getty and the service manager by install path. */
import type { ProgramTable } from '../programs.ts';

export const init: ProgramTable = {};
