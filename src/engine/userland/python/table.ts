/** python3 by its install paths. */
import type { ProgramTable } from '../programs.ts';
import { python } from './python.ts';

export const python3: ProgramTable = { '/usr/bin/python3': python, '/usr/bin/python3.13': python };
