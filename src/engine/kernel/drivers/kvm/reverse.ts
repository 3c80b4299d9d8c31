/**
 * A debugger in a VM's past: one instruction back or forth, and to the nearest moment before or after at which the guest stands at
 * a breakpoint, a watched place changes, an exit of the wanted kind happened or a page table was stored into. A place that changes
 * is stopped at after the store going forth, and before it going back. Source: GDB manual, Reverse Execution.
 * Simplified: within a stretch that ran freely a watched place is looked for where it was mapped when the stretch began.
 */
import { exitName } from '../../../hypervisor/exits.ts';
import { hostAddress } from '../../../hypervisor/memory/frames.ts';
import { guestPhysical } from '../../../hypervisor/memory/guest.ts';
import { guestRegister } from '../../../hypervisor/state.ts';
import type { Vm } from '../../../hypervisor/vm.ts';
import { beginOf, endOf, goTo, type History, review, stretches } from './history.ts';
import type { KvmVm } from './state.ts';
import { copyTables, tableChange } from './tables.ts';
import type { DebugStop, GuestDebug } from './uapi.ts';

type Found = { at: number; stop: DebugStop };
/** An instruction of the monitor's own sequences counts as progress and is none of the guest's. */
const PIECES = 64;

const placeNow = (h: History): number => h.past ?? endOf(h);

const REGISTERS = ['rip', 'rsp', 'rax', 'rcx', 'rdx', 'rbx', 'rbp', 'rsi', 'rdi', 'rflags'] as const;
/** The guest's moment: of a translated guest several moments of the machine are one. */
const momentOf = (vm: Vm): string => (vm.way.cpu.inside ? REGISTERS.map((name) => guestRegister(vm, name).toString(16)).join() : '');

/** The first moment of the machine's that is this moment of the guest's; the machine stands before it, or at the beginning. */
function beforeMoment(one: KvmVm, vm: Vm): number {
  const h = one.history!;
  const [now, moment] = [placeNow(h), momentOf(vm)];
  let first = now;
  for (let n = 1; n <= PIECES && now - n >= beginOf(h); n++) {
    const at = goTo(one, vm, now - n);
    if (at >= first) continue;
    if (moment === '' || momentOf(vm) !== moment) return first;
    first = at;
  }
  return first;
}

/** The instruction before. */
function stepBack(one: KvmVm, vm: Vm): DebugStop {
  const h = one.history!;
  const first = beforeMoment(one, vm);
  if (placeNow(h) < first) return { kind: 'step' };
  goTo(one, vm, beginOf(h));
  return { kind: 'begin' };
}

function stepForth(one: KvmVm, vm: Vm): DebugStop {
  const h = one.history!;
  const end = endOf(h);
  const moment = momentOf(vm);
  for (let n = 1; n <= PIECES && placeNow(h) < end; n++) {
    if (goTo(one, vm, placeNow(h) + 1) >= end) return leavePast(one, vm, end);
    if (moment === '' || momentOf(vm) !== moment) return { kind: 'step' };
  }
  return leavePast(one, vm, end);
}

/** Where the past ends the machine is as it was left. */
function leavePast(one: KvmVm, vm: Vm, end: number): DebugStop {
  goTo(one, vm, end);
  one.history!.past = null;
  return { kind: 'end' };
}

/** What is looked for, found out moment by moment. */
function watcher(vm: Vm, wanted: GuestDebug, found: (one: Found) => void, back: boolean): { look: (at: number, rip: bigint) => void; entered: () => void } {
  const stops = new Set(wanted.breakpoints);
  const places: { address: bigint; hpa: number; bytes: number; seen: bigint }[] = [];
  const value = (hpa: number, bytes: number): bigint => {
    let n = 0n;
    for (let k = bytes - 1; k >= 0; k--) n = (n << 8n) | BigInt(vm.machine.memory[hpa + k]!);
    return n;
  };
  let exits = vm.exitsEver;
  let before = 0;
  const exit = typeof wanted.until === 'object' ? wanted.until : null;
  return {
    entered() {
      places.length = 0;
      exits = vm.exitsEver;
      for (const { address, length } of wanted.watch) {
        const gpa = guestPhysical(vm, address);
        const hpa = gpa === null ? null : hostAddress(vm, gpa);
        if (hpa !== null) places.push({ address, hpa, bytes: length, seen: value(hpa, length) });
      }
    },
    look(at, given) {
      const rip = vm.way.cpu.inside ? vm.way.cpu.inside(vm, given) : given;
      if (rip !== null && stops.has(rip)) found({ at, stop: { kind: 'breakpoint', address: rip } });
      for (const place of places) {
        const now = value(place.hpa, place.bytes);
        if (now !== place.seen) found({ at: back ? before : at, stop: { kind: 'watch', address: place.address } });
        place.seen = now;
      }
      if (exit && vm.exitsEver !== exits) {
        const last = vm.log.filter(({ n, reason }) => n >= exits && (exit.reason === null || exitName(reason) === exit.reason)).at(-1);
        if (last) found({ at, stop: { kind: 'exit', reason: exitName(last.reason), qualification: last.qualification, gpa: last.gpa } });
        exits = vm.exitsEver;
      }
      before = at;
    },
  };
}

/** Back to the last such moment before this one, or to the beginning. */
function continueBack(one: KvmVm, vm: Vm, wanted: GuestDebug): DebugStop {
  const h = one.history!;
  const now = placeNow(h) > beginOf(h) ? beforeMoment(one, vm) : beginOf(h);
  for (const { from, to } of stretches(h, now)) {
    const last = wanted.until === 'table-write' ? lastStore(one, vm, from, to) : lastIn(one, vm, wanted, from, to, now);
    if (!last) continue;
    goTo(one, vm, last.at);
    return last.stop;
  }
  goTo(one, vm, beginOf(h));
  return { kind: 'begin' };
}

function lastIn(one: KvmVm, vm: Vm, wanted: GuestDebug, from: number, to: number, now: number): Found | null {
  let last: Found | null = null;
  const { look, entered } = watcher(vm, wanted, (found) => {
    if (found.at < now) last = found;
  }, true);
  goTo(one, vm, from);
  if (wanted.breakpoints.includes(guestRegister(vm, 'rip')) && from < now) last = { at: from, stop: { kind: 'breakpoint', address: guestRegister(vm, 'rip') } };
  review(one, vm, from, to, look, entered);
  return last;
}

/** The last moment at which the tables are not what they are at the end: the store comes next. */
function lastStore(one: KvmVm, vm: Vm, from: number, to: number): Found | null {
  goTo(one, vm, to);
  const after = copyTables(vm);
  const differs = (at: number): DebugStop | null => {
    goTo(one, vm, at);
    const change = tableChange(vm, { cr3: after.cr3, tables: new Map([...after.tables].map(([gpa, table]) => [gpa, { ...table, bytes: table.bytes.slice() }])) });
    return change && { kind: 'table-write', gpa: change.gpa, before: change.after, after: change.before };
  };
  let stop = differs(from);
  if (!stop) return null;
  let [low, high] = [from, to];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const found = differs(middle);
    if (found) [low, stop] = [middle, found];
    else high = middle;
  }
  return { at: low, stop };
}

/** Forth to the first such moment, or to where the past ends. */
function continueForth(one: KvmVm, vm: Vm, wanted: GuestDebug): DebugStop {
  const h = one.history!;
  const now = placeNow(h);
  const end = endOf(h);
  for (const { from, to } of stretches(h, end).reverse()) {
    if (to <= now) continue;
    let first: Found | null = null;
    const { look, entered } = watcher(vm, wanted, (found) => {
      if (found.at > now && (!first || found.at < first.at)) first = found;
    }, false);
    if (wanted.breakpoints.length > 0 || wanted.watch.length > 0 || wanted.until) review(one, vm, from, to, look, entered);
    const found = first as Found | null;
    if (!found) continue;
    goTo(one, vm, found.at);
    return found.stop;
  }
  return leavePast(one, vm, end);
}

/** One wish of the debugger's, in the past. */
export function travel(one: KvmVm, vm: Vm, wanted: GuestDebug, way: 'back' | 'forth'): DebugStop {
  if (way === 'back') return wanted.singlestep ? stepBack(one, vm) : continueBack(one, vm, wanted);
  return wanted.singlestep ? stepForth(one, vm) : continueForth(one, vm, wanted);
}
