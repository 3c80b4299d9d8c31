/**
 * Where a virtual machine's cycles went and what happened on the way, for every technique alike: counts by event, sums by
 * place, the newest spans in order (the lanes of the picture), the marks that the guest set by writing to port 0x80 as
 * firmware does with its progress codes, and after each mark the first times that the guest was left, one by one: with the
 * instruction that they have in common, two techniques can be laid beside each other.
 */
import { readLinear } from './memory/guest.ts';
import { guestPrivilege } from './state.ts';
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
  /** Counted beside what happened, as a part or a kind of it: its cycles are in the whole's too. */
  part: boolean;
}

/** A mark of the guest's, with the sums until then. */
export interface Mark {
  value: number;
  /** Cycles of this VM's before it. */
  at: number;
  places: Record<Place, number>;
  /** Times that the guest had been left. */
  events: number;
}

/** One time out of the guest. */
export interface Leave {
  /** Number since power-on; below 0 where the guest should have been left and was not (`missed`). */
  n: number;
  /** Marks before it. */
  segment: number;
  /** Cycles of this VM's before its end. */
  at: number;
  /** The guest's instruction, its ring, and up to 15 bytes there; none where nothing was mapped. */
  rip: bigint;
  ring: number;
  code: Uint8Array;
  event: string;
  text: string;
  cycles: number;
  /** Of these, in a program of the host. */
  program: number;
}

export interface Ledger {
  /** By name: a VM exit as perf prints it, "trap #GP: cli", "hypercall mmu_update". */
  events: Map<string, EventCount>;
  places: Record<Place, number>;
  /** The newest, at most SPANS. */
  spans: Span[];
  spansEver: number;
  total: number;
  marks: Mark[];
  /** The first KEPT after each mark (and after power-on). */
  leaves: Leave[];
  leavesEver: number;
  /** How many of the present segment are among them. */
  kept: number;
  /** The newest that it sent to COM1, at most SAID characters. */
  said: string;
  /** Parts noted since the guest was last left. */
  parts: string[];
  /** Code at places where the guest was left, by address space and address, so that it is read once. */
  code: Map<string, Uint8Array>;
}

export const SPANS = 600;
const MARKS = 256;
const SAID = 16_384;
export const KEPT = 64;
const PARTS = 4;
const CODE = 1024;
const LONGEST_INSTRUCTION = 15;
const NOTHING = new Uint8Array(0);

export const createLedger = (): Ledger => ({
  events: new Map(), places: { guest: 0, user: 0, kernel: 0, translated: 0, monitor: 0, program: 0, asleep: 0 }, spans: [], spansEver: 0, total: 0, marks: [],
  leaves: [], leavesEver: 0, kept: 0, said: '', parts: [], code: new Map(),
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

/**
 * Something happened that cost cycles outside the guest (they are spent by `spend`, here they are told by event). `rip`: the
 * guest's instruction; `text`: its particulars, as a function when they are worked out only for one that is kept; `program`: how
 * many of the cycles went to a program of the host.
 */
export function happened(vm: Vm, event: string, cycles: number, rip: bigint, text: string | (() => string) = '', program = 0): void {
  keep(vm, event, cycles, rip, text, program);
  add(vm, event, cycles, rip, text, false);
}

/** The guest was not left where it should have been: what the instruction gave instead of what it should have. Costs nothing. */
export function missed(vm: Vm, event: string, rip: bigint, text: string): void {
  const { ledger } = vm;
  if (ledger.kept < KEPT) {
    ledger.kept++;
    ledger.leaves.push({ n: -1 - ledger.leaves.length, segment: ledger.marks.length, at: ledger.total, rip, ring: guestPrivilege(vm), code: codeAt(vm, rip), event, text, cycles: 0, program: 0 });
  }
  add(vm, event, 0, rip, text, true);
}

/** Counted by name only: a part of something that has happened, or its kind. */
export function noted(vm: Vm, event: string, cycles: number, rip: bigint, text: string | (() => string) = ''): void {
  const { parts } = vm.ledger;
  if (parts.length < PARTS && !parts.includes(event)) parts.push(event);
  add(vm, event, cycles, rip, text, true);
}

function add(vm: Vm, event: string, cycles: number, rip: bigint, text: string | (() => string), part: boolean): void {
  const row = vm.ledger.events.get(event);
  if (row) {
    row.count++;
    row.cycles += cycles;
    row.lastRip = rip;
    if (typeof text === 'string') row.lastText = text;
  } else vm.ledger.events.set(event, { count: 1, cycles, lastRip: rip, lastText: typeof text === 'string' ? text : '', part });
}

function keep(vm: Vm, event: string, cycles: number, rip: bigint, text: string | (() => string), program: number): void {
  const { ledger } = vm;
  const n = ledger.leavesEver++;
  const { parts } = ledger;
  if (parts.length > 0) ledger.parts = [];
  if (ledger.kept >= KEPT) return;
  ledger.kept++;
  const words = [parts.join(', '), typeof text === 'string' ? text : text()].filter(Boolean).join('; ');
  ledger.leaves.push({ n, segment: ledger.marks.length, at: ledger.total, rip, ring: guestPrivilege(vm), code: codeAt(vm, rip), event, text: words, cycles, program });
}

/** A kernel's code is the same in every address space; user code is told apart by its own. */
function codeAt(vm: Vm, rip: bigint): Uint8Array {
  const key = guestPrivilege(vm) === 3 ? `${vm.way.cpu.state.control(vm, 'cr3')}:${rip}` : String(rip);
  const { code } = vm.ledger;
  const known = code.get(key);
  if (known) return known;
  const base = vm.way.cpu.state.segment(vm, 'cs').base;
  const bytes = readLinear(vm, BigInt.asUintN(64, base + rip), LONGEST_INSTRUCTION) ?? NOTHING;
  if (code.size < CODE) code.set(key, bytes);
  return bytes;
}

const COM1 = 0x3f8;
const PROGRESS = 0x80;

/** What the guest sends to a port, as a bystander sees it: characters on COM1, marks on port 0x80. */
export function observeOut(vm: Vm, port: number, value: number): void {
  if (port === COM1 + 3) vm.serial.latch = (value & 0x80) !== 0;
  else if (port === COM1 && !vm.serial.latch) said(vm, value & 255);
  else if (port === PROGRESS) mark(vm, value & 255);
}

function said(vm: Vm, character: number): void {
  const { ledger } = vm;
  vm.serial.bytes++;
  if (ledger.said.length >= SAID) ledger.said = ledger.said.slice(SAID / 2);
  ledger.said += String.fromCharCode(character);
}

function mark({ ledger }: Vm, value: number): void {
  if (ledger.marks.length >= MARKS) return;
  ledger.marks.push({ value, at: ledger.total, places: { ...ledger.places }, events: ledger.leavesEver });
  ledger.kept = 0;
}
