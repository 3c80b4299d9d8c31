/** iproute2, ping and other network programs by install path. */
import type { ProgramTable } from '../programs.ts';

export const net: ProgramTable = {};
