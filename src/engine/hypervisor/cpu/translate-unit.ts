/**
 * The translator: guest kernel code in, code for the translation cache out; bytes in, bytes out, and nothing else is touched. A
 * translation unit is at most 12 instructions and ends at control flow. Most instructions go over as they are (IDENT); addresses
 * relative to RIP and direct branches are encoded again; what is privileged or sensitive becomes a sequence on the page of the
 * virtual processor, or a call out to the monitor. Registers, flags and the stack are the guest's at every boundary, and within
 * a sequence `undo` says how to get back to the boundary before. Source: Adams and Agesen, ASPLOS 2006, section 3.
 */
import type { SlotName } from './deprivilege-area.ts';
import type { Decoded } from './deprivilege-decode.ts';
import { CALLOUT } from './translate-emit.ts';
import { ruleFor } from './translate-rules.ts';

export const LONGEST = 12;
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
  d: Decoded;
  kind: Kind;
  at: number;
  length: number;
}

export type CalloutKind = 'emulate' | 'pending' | 'write' | 'chain' | 'lookup' | 'entry';
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

export interface Source {
  /** Bytes from the first instruction on. */
  rip: bigint;
  next(at: number): Decoded | null;
  /** Instructions that are to call out for their store. */
  adaptive: (rip: bigint) => boolean;
}

/** Null: not even the first instruction can be taken apart (15 bytes do not end it). */
export function translateUnit(source: Source, base: bigint, lookup: bigint): Draft | null {
  const draft: Draft = { rip: source.rip, base, lookup, bytes: [], steps: [], instructions: [], callouts: [], exits: [], length: 0 };
  let goesOn = true;
  while (goesOn && draft.instructions.length < LONGEST) {
    const d = source.next(draft.length);
    if (!d) break;
    const rip = BigInt.asUintN(64, source.rip + BigInt(draft.length));
    const at = draft.bytes.length;
    const { kind, emit, ends } = source.adaptive(rip) ? ADAPTIVE : ruleFor(d);
    const writer: Writer = { draft, d, rip, next: BigInt.asUintN(64, rip + BigInt(d.length)), begun: false };
    const given = emit(writer);
    draft.length += d.length;
    draft.instructions.push({ rip, d, kind: given ?? kind, at, length: draft.bytes.length - at });
    goesOn = !ends;
  }
  if (draft.instructions.length === 0) return null;
  if (goesOn) tail(draft, BigInt.asUintN(64, source.rip + BigInt(draft.length)));
  while (draft.bytes.length < TAIL) draft.bytes.push(CALLOUT);
  return draft;
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
  d: Decoded;
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

const ADAPTIVE: Rule = {
  kind: 'CALLOUT', ends: false,
  emit: (w) => {
    callout(w, 'write');
    return null;
  },
};
