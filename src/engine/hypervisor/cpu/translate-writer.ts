/**
 * What the translator writes: a draft of a unit, with the map that leads from each of its instructions back to the guest's, the
 * places that call out, and the exits that want a successor.
 */
import type { SlotName } from './deprivilege-area.ts';
import type { Parts } from '../../machine/isa/parts.ts';
import { CALLOUT, type Encoder } from './translate-emit.ts';

/** The last bytes of a unit that goes on elsewhere: a callout at first, then a jump, or the unit that follows. */
export const TAIL = 5;

export type Kind = 'IDENT' | 'RELATIVE' | 'SEQUENCE' | 'CALLOUT' | 'CHAIN';

/** Registers to take back from slots, and what to add to rsp. */
export interface Undo {
  registers: readonly (readonly [register: number, slot: SlotName])[];
  rsp: number;
}

/** One instruction of the cache. */
export interface Step {
  /** Offset in the unit. */
  at: number;
  /** Guest instruction that it belongs to. */
  rip: bigint;
  /** Everything before it is done, nothing of it. */
  first: boolean;
  undo: Undo | null;
}

export interface Translated {
  rip: bigint;
  d: Parts;
  kind: Kind;
  at: number;
  length: number;
}

export type CalloutKind = 'emulate' | 'step' | 'pending' | 'write' | 'chain' | 'lookup' | 'entry';
export interface CalloutPlace {
  at: number;
  kind: CalloutKind;
  rip: bigint;
}

/** A branch whose other end is not in the cache yet. */
export interface Exit {
  /** Of the 32-bit displacement, or of the tail. */
  at: number;
  form: 'branch' | 'tail';
  target: bigint;
}

export interface Draft {
  rip: bigint;
  /** Linear address of its first byte in the cache. */
  base: bigint;
  /** Linear address of the lookup that indirect jumps go to, with the target in rax and rax in s0. */
  lookup: bigint;
  bytes: number[];
  steps: Step[];
  instructions: Translated[];
  callouts: CalloutPlace[];
  exits: Exit[];
  /** Guest bytes translated. */
  length: number;
}

/** Goes on at a guest address. */
export function tail(draft: Draft, target: bigint): void {
  const at = draft.bytes.length;
  draft.exits.push({ at, form: 'tail', target });
  draft.callouts.push({ at, kind: 'chain', rip: target });
  draft.steps.push({ at, rip: target, first: true, undo: null });
  for (let n = 0; n < TAIL; n++) draft.bytes.push(CALLOUT);
}

// ---- what rules write with

export interface Writer {
  draft: Draft;
  enc: Encoder;
  d: Parts;
  rip: bigint;
  next: bigint;
  begun: boolean;
}

/** What became of it; null: what its rule says. */
export type Emit = (w: Writer) => Kind | null;
export interface Rule {
  kind: Kind;
  emit: Emit;
  ends: boolean;
}

/** One instruction of the cache. */
export function put(w: Writer, bytes: readonly number[], undo: Undo | null = null): void {
  w.draft.steps.push({ at: w.draft.bytes.length, rip: w.rip, first: !w.begun, undo });
  w.begun = true;
  w.draft.bytes.push(...bytes);
}

export function callout(w: Writer, kind: CalloutKind, rip = w.rip): void {
  w.draft.callouts.push({ at: w.draft.bytes.length, kind, rip });
  put(w, [CALLOUT]);
}

/** Linear address in the cache of what is written next. */
export const here = ({ draft }: Writer): bigint => draft.base + BigInt(draft.bytes.length);
