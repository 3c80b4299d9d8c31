/** virsh's commands, all of them, by name. */
import type { Command } from './command.ts';
import { host } from './host.ts';
import { lifecycle } from './lifecycle.ts';
import { monitoring } from './monitoring.ts';
import { tuning } from './tuning.ts';

export type { Command, Context, Parsed } from './command.ts';
export { table } from './command.ts';

export const COMMANDS: Readonly<Record<string, Command>> = { ...lifecycle, ...monitoring, ...tuning, ...host };
