/** The shell by install path: /usr/bin/bash, and /usr/bin/sh, which is dash. */
import type { ProgramTable } from '../programs.ts';
import { shellMain } from './shell.ts';

export const shell: ProgramTable = {
  '/usr/bin/bash': shellMain('bash'), '/usr/bin/sh': shellMain('dash'), '/usr/bin/dash': shellMain('dash'),
};
