/**
 * The translator: guest kernel code in, code for the translation cache out; bytes in, bytes out, and nothing else is touched. A
 * translation unit is at most 12 instructions and ends at control flow. Most instructions go over as they are (IDENT); addresses
 * relative to RIP and direct branches are encoded again; what is privileged or sensitive becomes a sequence on the page of the
 * virtual processor, or a call out to the monitor. Registers, flags and the stack are the guest's at every boundary, and within
 * a sequence `undo` says how to get back to the boundary before. Source: Adams and Agesen, ASPLOS 2006, section 3.
 */
import type { Parts } from '../../machine/isa/parts.ts';
import { CALLOUT, type Encoder } from './translate-emit.ts';
import { ruleFor } from './translate-rules.ts';
import { callout, type Draft, type Rule, tail, TAIL, type Writer } from './translate-writer.ts';

export const LONGEST = 12;

const ADAPTIVE: Rule = {
  kind: 'CALLOUT', ends: false,
  emit: (w) => {
    callout(w, 'write');
    return null;
  },
};

export interface Source {
  encoder: Encoder;
  /** Bytes from the first instruction on. */
  rip: bigint;
  next(at: number): Parts | null;
  /** Instructions that are to call out for their store. */
  adaptive: (rip: bigint) => boolean;
}

/** Null: not even the first instruction can be taken apart. */
export function translateUnit(source: Source, base: bigint, lookup: bigint): Draft | null {
  const draft: Draft = { rip: source.rip, base, lookup, bytes: [], steps: [], instructions: [], callouts: [], exits: [], length: 0 };
  let goesOn = true;
  while (goesOn && draft.instructions.length < LONGEST) {
    const d = source.next(draft.length);
    if (!d) break;
    const rip = BigInt.asUintN(source.encoder.bits, source.rip + BigInt(draft.length));
    const at = draft.bytes.length;
    const { kind, emit, ends } = source.adaptive(rip) ? ADAPTIVE : ruleFor(d);
    const writer: Writer = { draft, enc: source.encoder, d, rip, next: BigInt.asUintN(source.encoder.bits, rip + BigInt(d.length)), begun: false };
    const given = emit(writer);
    draft.length += d.length;
    draft.instructions.push({ rip, d, kind: given ?? kind, at, length: draft.bytes.length - at });
    goesOn = !ends;
  }
  if (draft.instructions.length === 0) return null;
  if (goesOn) tail(draft, BigInt.asUintN(source.encoder.bits, source.rip + BigInt(draft.length)));
  while (draft.bytes.length < TAIL) draft.bytes.push(CALLOUT);
  return draft;
}
