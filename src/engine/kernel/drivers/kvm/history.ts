/**
 * What a VM has done, so that a debugger can go back in it: every call that changes the machine in order, with what it was given,
 * and snapshots between them. Any moment of the past is the last snapshot before it and the calls since, made again: with the same
 * arguments they come to the same. Moments are counted by progress (machine.ts). Going back costs at most what lies between two
 * snapshots; what is older than the journal is long is forgotten. The program round the VM is not taken back: what the guest has
 * sent stays sent, and until the guest is where it was again it is told what it was told then.
 * Source of the idea: QEMU docs/system/replay.rst. The requests for it are the lab's own.
 */
import { type Outcome, type RunMode, runVm } from '../../../hypervisor/cpu/run.ts';
import { type Snapshot, putBack, takeSnapshot } from '../../../hypervisor/snapshot.ts';
import type { Vm } from '../../../hypervisor/vm.ts';
import { progress } from '../../../machine/machine.ts';
import type { KvmVm } from './state.ts';

type Entry =
  | { kind: 'run'; start: number; budget: number; mode: RunMode; /** Stop there; progress after it. */ fence: number | null; to: number }
  | { kind: 'act'; act: (vm: Vm) => void };

/** A snapshot before the entry of this number. */
export interface Kept {
  entry: number;
  at: number;
  snapshot: Snapshot;
}

export interface History {
  entries: Entry[];
  /** Entries that were forgotten before the first: numbers count from the beginning. */
  first: number;
  kept: Kept[];
  /** Near where somebody goes back step by step. */
  near: Kept | null;
  /** Progress where the machine stands in its past; null: it has no future yet. */
  past: number | null;
  /** Number of the entry before which the machine stands; -1: within one. */
  here: number;
  /** Work since the last snapshot, in instructions that are run one by one. */
  work: number;
}

const STEP_WORK = 1;
/** So many instructions at a stretch are as much work as one alone. */
const STRETCH = 60;
const BETWEEN = 16_384;
const MOST_KEPT = 20;
const MOST_ENTRIES = 200_000;

/** From now on, or no longer. */
export function keepHistory(one: KvmVm, vm: Vm, on: boolean): void {
  if (one.history && on) return;
  if (one.history?.past != null) goTo(one, vm, endOf(one.history));
  vm.machine.tape = on ? { emulated: 0, fence: null, look: null } : null;
  one.history = on ? { entries: [], first: 0, kept: [], near: null, past: null, here: 0, work: 0 } : null;
  if (one.history) keep(one.history, vm);
}

const next = (h: History): number => h.first + h.entries.length;
const keptNow = (h: History, vm: Vm, last: Snapshot | null): Kept => ({ entry: h.here, at: progress(vm.machine), snapshot: takeSnapshot(vm, last) });
export const beginOf = (h: History): number => h.kept[0]!.at;
export const endOf = (h: History): number => {
  const last = h.entries.findLast((one) => one.kind === 'run');
  return last?.kind === 'run' ? last.to : beginOf(h);
};

function keep(h: History, vm: Vm): void {
  h.kept.push(keptNow(h, vm, h.kept.at(-1)?.snapshot ?? null));
  h.work = 0;
  if (h.kept.length > MOST_KEPT) h.kept = h.kept.filter((_, n) => n % 2 === 0 || n > MOST_KEPT - 4);
  if (h.entries.length <= MOST_ENTRIES) return;
  h.kept = h.kept.slice(Math.ceil(h.kept.length / 2));
  const gone = h.kept[0]!.entry - h.first;
  h.entries = h.entries.slice(gone);
  h.first += gone;
  h.near = null;
}

// ---- going on

/** runVm, written down. */
export function runKept(one: KvmVm, vm: Vm, start: number, budget: number, mode: RunMode): Outcome {
  const h = one.history;
  if (!h) return runVm(vm, start, budget, mode);
  if (h.work >= BETWEEN) keep(h, vm);
  const from = progress(vm.machine);
  const outcome = runVm(vm, start, budget, mode);
  const to = progress(vm.machine);
  h.entries.push({ kind: 'run', start, budget, mode, fence: null, to });
  h.here = next(h);
  h.work += STEP_WORK + (to - from) / STRETCH;
  return outcome;
}

/** Anything else that changes the machine. In the past it waits for its time: it happens after what has happened already. */
export function actKept(one: KvmVm, vm: Vm, act: (vm: Vm) => void): void {
  const h = one.history;
  if (h?.past == null) act(vm);
  h?.entries.push({ kind: 'act', act });
  if (h && h.past === null) h.here = next(h);
}

/** The machine is changed where it stands: its future is another from here on. */
export function cutHistory(one: KvmVm): void {
  const h = one.history;
  if (h?.past == null) return;
  const at = h.entries.findIndex((entry) => entry.kind === 'run' && entry.to > h.past!);
  const within = at >= 0 && h.here < 0 ? h.entries[at] : undefined;
  if (at >= 0) h.entries.length = within ? at + 1 : at;
  if (within?.kind === 'run') h.entries[at] = { ...within, fence: h.past, to: h.past };
  h.kept = h.kept.filter(({ entry }) => entry <= next(h));
  Object.assign(h, { near: null, past: null, here: next(h) });
  if (one.vcpu) one.vcpu.faulting = null;
  one.stopped = null;
}

// ---- going back and forth

function again(vm: Vm, entry: Entry, fence: number | null): void {
  if (entry.kind === 'act') return entry.act(vm);
  const tape = vm.machine.tape!;
  tape.fence = fence ?? entry.fence;
  runVm(vm, entry.start, entry.budget, entry.mode);
  tape.fence = null;
}

/** To the first moment with so much progress, and with what was given to the guest there. Returns how much it is. */
export function goTo(one: KvmVm, vm: Vm, wanted: number): number {
  const h = one.history!;
  const { look } = vm.machine.tape!;
  const start = [...h.kept, ...(h.near ? [h.near] : [])].filter(({ at }) => at <= wanted).reduce((best, kept) => (kept.at >= best.at ? kept : best), h.kept[0]!);
  const now = progress(vm.machine);
  if (h.here < 0 || now > wanted || now < start.at) {
    putBack(vm, start.snapshot);
    h.here = start.entry;
  }
  const target = h.entries.findIndex((entry, n) => n >= h.here - h.first && entry.kind === 'run' && entry.to >= wanted);
  const close = target < 0 ? -1 : h.first + target - 64;
  for (let n = h.here; n < next(h); n++) {
    const entry = h.entries[n - h.first]!;
    if (entry.kind === 'run' && progress(vm.machine) >= wanted) break;
    if (n === close && n - start.entry > 512 && !look) h.near = keptNow({ ...h, here: n }, vm, start.snapshot);
    const part = entry.kind === 'run' && entry.to > wanted;
    again(vm, entry, part ? wanted : null);
    h.here = part ? -1 : n + 1;
    if (part) break;
  }
  const at = progress(vm.machine);
  h.past = h.here === next(h) ? null : at;
  return at;
}

/** Every moment after `from` up to `to`, from the snapshot before: `look` is asked after each instruction. */
export function review(one: KvmVm, vm: Vm, from: number, to: number, look: (at: number, rip: bigint) => void, entered: () => void): void {
  const h = one.history!;
  const tape = vm.machine.tape!;
  goTo(one, vm, from);
  entered();
  try {
    tape.look = (rip) => look(progress(vm.machine), rip);
    for (let at = h.here; at >= 0 && at < next(h) && progress(vm.machine) < to; at = h.here) {
      const entry = h.entries[at - h.first]!;
      again(vm, entry, entry.kind === 'run' && entry.to > to ? to : null);
      h.here = entry.kind === 'run' && entry.to > to ? -1 : at + 1;
      if (entry.kind === 'run') entered();
    }
  } finally {
    tape.look = null;
  }
  h.past = progress(vm.machine);
}

/** Snapshots from the newest before `at` back, as stretches of progress. */
export function stretches(h: History, at: number): { from: number; to: number }[] {
  const before = h.kept.filter((kept) => kept.at < at);
  return before.map((kept, n) => ({ from: kept.at, to: Math.min(at, before[n + 1]?.at ?? at) })).reverse();
}
