/**
 * KVM_SET_GUEST_DEBUG: a guest under a debugger runs one instruction at a time, by the monitor trap flag or what the technique
 * has for it, and is looked at between them: is rip a breakpoint, has a watched place changed. A guest that is only to stop at
 * an exit runs on and is looked at when one happens. Steps cost what exits cost, as they do in life.
 * Source: Linux Documentation/virt/kvm/api.rst. Otherwise than in life: watched places are compared by value after each
 * instruction (a store of the same value does not stop), and no debug register or INT3 is spent on a breakpoint.
 */
import type { Outcome, runVm } from '../../../hypervisor/cpu/run.ts';
import { exitName } from '../../../hypervisor/exits.ts';
import { readLinear } from '../../../hypervisor/memory/guest.ts';
import { guestRegister } from '../../../hypervisor/state.ts';
import { copyTables, tableChange, type TableCopies } from './tables.ts';
import type { Vm } from '../../../hypervisor/vm.ts';
import type { DebugStop, GuestDebug } from './uapi.ts';

export interface Debugged {
  wanted: GuestDebug;
  /** Values of the watched places as last seen. */
  seen: string[];
  /** No instruction has run since it was let go: a breakpoint where it stands does not stop it again. */
  fresh: boolean;
  /** Of a wait for a store into a page table. */
  tables: TableCopies | null;
}

/** Most instructions before the rest of the machine is looked at. */
const STEPS = 512;

const valueAt = (vm: Vm, { address, length }: GuestDebug['watch'][number]): string => [...(readLinear(vm, address, length) ?? [])].join(' ');

export function startDebug(vm: Vm, wanted: GuestDebug): Debugged | null {
  if (!wanted.singlestep && wanted.breakpoints.length === 0 && wanted.watch.length === 0 && wanted.until === null) return null;
  return { wanted, seen: wanted.watch.map((place) => valueAt(vm, place)), fresh: true, tables: wanted.until === 'table-write' ? copyTables(vm) : null };
}

/** Runs by `run` for at most `budget` ns, and says what it stopped for, if for the debugger. */
export function runDebugged(vm: Vm, debugged: Debugged, start: number, budget: number, run: typeof runVm): Outcome & { stop: DebugStop | null } {
  const { wanted } = debugged;
  const stepping = wanted.singlestep || wanted.breakpoints.length > 0 || wanted.watch.length > 0 || wanted.until === 'table-write';
  const spent = { guest: 0, kernel: 0, user: 0 };
  for (let n = 0; n < STEPS; n++) {
    const rip = guestRegister(vm, 'rip');
    if (!debugged.fresh && wanted.breakpoints.includes(rip)) return { exit: { reason: 'debug' }, spent, stop: { kind: 'breakpoint', address: rip } };
    const from = start + Math.ceil((spent.guest + spent.kernel + spent.user) / vm.ghz);
    const exits = vm.exitsEver;
    const one = run(vm, from, Math.max(1, budget - (from - start)), stepping ? 'step' : 'to-exit');
    spent.guest += one.spent.guest;
    spent.kernel += one.spent.kernel;
    spent.user += one.spent.user;
    const left = exitWanted(vm, wanted, exits);
    if (left) return { exit: one.exit.reason === 'debug' ? { reason: 'debug' } : one.exit, spent, stop: left };
    if (one.exit.reason !== 'debug') {
      if (one.exit.reason === 'io') debugged.fresh = false;
      return { exit: one.exit, spent, stop: wanted.singlestep && one.exit.reason === 'io' ? { kind: 'step' } : null };
    }
    debugged.fresh = false;
    const changed = changedWatch(vm, debugged) ?? changedTable(vm, debugged);
    if (changed) return { ...one, spent, stop: changed };
    if (wanted.singlestep) return { ...one, spent, stop: { kind: 'step' } };
    if ((spent.guest + spent.kernel + spent.user) / vm.ghz >= budget) break;
  }
  return { exit: { reason: 'budget' }, spent, stop: null };
}

function exitWanted(vm: Vm, { until }: GuestDebug, before: number): DebugStop | null {
  if (!until || until === 'table-write') return null;
  const found = vm.log.filter(({ n, reason }) => n >= before && reason !== MONITOR_TRAP && (until.reason === null || exitName(reason) === until.reason)).at(-1);
  return found ? { kind: 'exit', reason: exitName(found.reason), qualification: found.qualification, gpa: found.gpa } : null;
}

const MONITOR_TRAP = 37;

function changedTable(vm: Vm, debugged: Debugged): DebugStop | null {
  if (!debugged.tables) return null;
  const found = tableChange(vm, debugged.tables);
  return found ? { kind: 'table-write', ...found } : null;
}

function changedWatch(vm: Vm, debugged: Debugged): DebugStop | null {
  for (const [n, place] of debugged.wanted.watch.entries()) {
    const now = valueAt(vm, place);
    if (now === debugged.seen[n]) continue;
    debugged.seen[n] = now;
    return { kind: 'watch', address: place.address };
  }
  return null;
}
