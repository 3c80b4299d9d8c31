/** The newest system calls of processes in containers, and of those that are traced: strace's view, from the same records. */
import type { SyscallRow } from '../../bridge/rows.ts';
import { callsOf } from '../kernel/dispatch.ts';
import type { CallRecord, Kernel } from '../kernel/records.ts';
import { text } from '../sim/text.ts';
import { columns, kernelsOf, type View } from './view.ts';

const MOST = 200;

export const syscalls: View = {
  doc: 'The newest 200 system calls of processes in containers and of traced ones.',
  arg: 'host?, pid?',
  columns: columns(`
    t [ns]: when it returned
    host: machine
    pid [count]: caller, as the host numbers it
    comm: caller's short name
    name: system call
    args: arguments
    result: what it returned, or errno
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => of(kernel, arg.pid === undefined || arg.pid === null ? null : Number(arg.pid))),
};

function of(kernel: Kernel, pid: number | null): SyscallRow[] {
  const calls = callsOf(kernel).filter((call) => pid === null || call.pid === pid);
  return calls.slice(-MOST).map((call: CallRecord): SyscallRow => ({
    key: `${kernel.name}/${call.n}`, t: call.t, host: kernel.name, pid: call.pid, comm: call.comm, name: call.name,
    args: call.args.map(shown).join(', '), result: call.failed ? `-1 ${shown(call.result)}` : shown(call.result),
  }));
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return JSON.stringify(text(value));
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
