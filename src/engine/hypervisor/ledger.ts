/**
 * Where a virtual machine's cycles went and what happened on the way, for every technique alike: counts by event, sums by
 * place, the newest spans in order (the lanes of the picture), and the marks that the guest set by writing to port 0x80
 * as firmware does with its progress codes.
 */
import type { Vm } from './vm.ts';

/**
 * guest: runs under the processor's own virtualization or on the bare machine; user: directly, in ring 3 of a deprivileged guest;
 * kernel: directly, in the ring that the guest's kernel was moved to; translated: in the translation cache; monitor: hypervisor
 * (with the hardware's crossing); program: user space of the host; asleep: HLT.
 */
export const PLACES = ['guest', 'user', 'kernel', 'translated', 'monitor', 'program', 'asleep'] as const;
export type Place = (typeof PLACES)[number];

export interface Span {
  n: number;
  /** Cycles of this VM's before it. */
  at: number;
  cycles: number;
  place: Place;
  /** What it was for; empty in the guest. */
  why: string;
  /** Guest's instruction pointer at its end. */
  rip: bigint;
}

export interface EventCount {
  count: number;
  cycles: number;
  lastRip: bigint;
  lastText: string;
}

export interface Ledger {
  /** By name: a VM exit as perf prints it, "trap #GP: cli", "hypercall mmu_update". */
  events: Map<string, EventCount>;
  places: Record<Place, number>;
  /** The newest, at most SPANS. */
  spans: Span[];
  spansEver: number;
  total: number;
  marks: { value: number; at: number }[];
}

export const SPANS = 600;
const MARKS = 256;

export const createLedger = (): Ledger => ({
  events: new Map(), places: { guest: 0, user: 0, kernel: 0, translated: 0, monitor: 0, program: 0, asleep: 0 }, spans: [], spansEver: 0, total: 0, marks: [],
});

/** Cycles were spent; a span that goes on where the last one ended is the same span. */
export function spend(vm: Vm, place: Place, cycles: number, why: string, rip: bigint): void {
  if (cycles === 0) return;
  const { ledger } = vm;
  const last = ledger.spans.at(-1);
  if (last && last.place === place && last.why === why) {
    last.cycles += cycles;
    last.rip = rip;
  } else {
    ledger.spans.push({ n: ledger.spansEver++, at: ledger.total, cycles, place, why, rip });
    if (ledger.spans.length > SPANS) ledger.spans.shift();
  }
  ledger.places[place] += cycles;
  ledger.total += cycles;
}

/** Something happened that cost cycles outside the guest (they are spent by `spend`, here they are told by event). */
export function happened(vm: Vm, event: string, cycles: number, rip: bigint, text = ''): void {
  const row = vm.ledger.events.get(event);
  if (row) {
    row.count++;
    row.cycles += cycles;
    row.lastRip = rip;
    row.lastText = text;
  } else vm.ledger.events.set(event, { count: 1, cycles, lastRip: rip, lastText: text });
}

const COM1 = 0x3f8;
const PROGRESS = 0x80;

/** What the guest sends to a port, as a bystander sees it: characters on COM1, marks on port 0x80. */
export function observeOut(vm: Vm, port: number, value: number): void {
  if (port === COM1 + 3) vm.serial.latch = (value & 0x80) !== 0;
  else if (port === COM1 && !vm.serial.latch) vm.serial.bytes++;
  else if (port === PROGRESS && vm.ledger.marks.length < MARKS) vm.ledger.marks.push({ value: value & 255, at: vm.ledger.total });
}
