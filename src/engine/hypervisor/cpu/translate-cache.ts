/**
 * The translation cache: units in the order of their making, found by guest address; exits chained to their successors as these
 * come to be (a unit that follows straight on is written over the exit of the one before, so that no jump is left); the table of
 * the return lookup; and the ways a unit ends: its source was written, its address leads elsewhere, or the cache is full. A dead
 * unit calls out at its first byte, so whoever still jumps there finds the way. Source: Adams and Agesen, ASPLOS 2006, 3.1-3.3.
 */
import { type Parts, partsOf, whyNot } from '../../machine/isa/parts.ts';
import type { Vm } from '../vm.ts';
import { protectFrame } from '../memory/shadow-pages.ts';
import { shadowOf } from '../memory/shadow.ts';
import { AREA, CACHE_AT, lookupSlot, PLACES_AT, TAGS_AT, writeCache } from './deprivilege-area.ts';
import { fetchAt, gp, guestLinear, isStopped, ud } from './deprivilege-memory.ts';
import { own } from './deprivilege-state.ts';
import * as e from './translate-emit.ts';
import { LONGEST, translateUnit } from './translate-unit.ts';
import { type CalloutKind, type Draft, type Exit, type Step, TAIL, type Translated } from './translate-writer.ts';

export interface Chain {
  exit: Exit;
  /** In the cache: of the displacement, or of the tail. */
  at: number;
  /** Where it calls out while it leads nowhere. */
  stub: number;
  to: Unit | null;
}

export interface Unit {
  id: number;
  rip: bigint;
  /** Guest bytes. */
  source: number;
  /** Offset in the cache and bytes there; a unit that follows on may begin within the last five. */
  at: number;
  length: number;
  instructions: readonly Translated[];
  steps: ReadonlyMap<number, Step>;
  order: readonly Step[];
  chains: Chain[];
  /** Places that call the monitor, besides its exits. */
  callouts: number;
  /** Guest-physical pieces of the source. */
  pieces: readonly { gpa: number; bytes: number }[];
  dead: boolean;
}

export interface Callout {
  kind: CalloutKind;
  rip: bigint;
  unit: Unit | null;
  chain: Chain | null;
}

export interface Cache {
  /** For which code, and where it finds the monitor's area. */
  encoder: e.Encoder;
  area: bigint;
  units: Map<bigint, Unit>;
  /** Live and dead, by place. */
  all: Unit[];
  /** By offset in the cache. */
  callouts: Map<number, Callout>;
  /** The next unit comes here; stubs come down from the end. */
  next: number;
  stubs: number;
  lookup: number;
  missAt: number;
  /** Units of a guest frame; linear pages that led to it when they were translated. */
  byFrame: Map<number, Set<Unit>>;
  pages: Map<bigint, number>;
  /** Guest addresses whose stores call out. */
  adaptive: Set<bigint>;
  faults: Map<bigint, number>;
  /** Filled tags of the lookup table. */
  entered: Map<number, Unit>;
  ids: number;
  /** The newest, even if it is dead. */
  newest: Unit | null;
  counts: { translated: number; instructions: number; identical: number; chained: number; dropped: number; flushed: number; callouts: number; lookups: number; missed: number; retranslated: number };
  /** Where a guest address goes on, without asking. */
  resume: { rip: bigint; at: number } | null;
  lookupsSeen: bigint;
  /** Offset at which the newest stretch in the cache stopped; -1: it ran elsewhere. */
  stoppedAt: number;
}

export const cacheOf = (vm: Vm): Cache => own(vm).cache as Cache;
export const linearAt = ({ area }: Cache, at: number): bigint => area + BigInt(CACHE_AT + at);
/** Offset in the cache of a linear address, or -1. */
export function cacheOffset(vm: Vm, linear: bigint): number {
  const at = Number(linear - linearAt(cacheOf(vm), 0));
  return at >= 0 && at < own(vm).area.cacheBytes ? at : -1;
}

export function createCache(vm: Vm): void {
  const cache: Cache = {
    encoder: e.encoderFor(64, AREA), area: AREA, units: new Map(), all: [], callouts: new Map(), next: 0, stubs: own(vm).area.cacheBytes, lookup: 0, missAt: 0, byFrame: new Map(), pages: new Map(), adaptive: new Set(), faults: new Map(), entered: new Map(),
    ids: 0, newest: null, counts: { translated: 0, instructions: 0, identical: 0, chained: 0, dropped: 0, flushed: 0, callouts: 0, lookups: 0, missed: 0, retranslated: 0 }, resume: null, lookupsSeen: 0n, stoppedAt: -1,
  };
  own(vm).cache = cache;
  writeLookup(vm, cache);
}

/** The return lookup, at the beginning of the cache: target in rax, rax in s0; flags stay. */
function writeLookup(vm: Vm, cache: Cache): void {
  const { encoder: to } = cache;
  const miss = [...to.save('target', e.RAX), ...to.restore(e.RCX, 's1'), ...to.restore(e.RAX, 's0'), e.CALLOUT];
  const before = [...to.save('s1', e.RCX), ...e.AX_TO_CX, ...to.indexed(TAGS_AT), ...to.sumToRcx, ...e.jrcxz(miss.length)];
  const hit = [
    ...e.AX_TO_CX, ...to.indexed(PLACES_AT), ...to.save('target', e.RCX), ...to.restore(e.RCX, 'lookups'), ...to.nextRcx, ...to.save('lookups', e.RCX), ...to.restore(e.RCX, 's1'), ...to.restore(e.RAX, 's0'), ...to.jumpSlot('target'),
  ];
  const bytes = [...before, ...miss, ...hit];
  writeCache(vm, own(vm).area, 0, bytes);
  cache.missAt = before.length + miss.length - 1;
  cache.callouts.set(cache.missAt, { kind: 'lookup', rip: 0n, unit: null, chain: null });
  cache.next = bytes.length + 15 & ~15;
  // address 0 must not be found in a table of zeros
  vm.machine.physical.setBigUint64(lookupSlot(vm, own(vm).area, TAGS_AT), 1n, true);
}

// ---- finding

/** The unit that holds an offset, dead or alive: the last that begins at or before it. */
export function unitAt(cache: Cache, at: number): Unit | null {
  let low = 0;
  let high = cache.all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cache.all[middle]!.at <= at) low = middle + 1;
    else high = middle;
  }
  const unit = cache.all[low - 1];
  return unit && at < unit.at + unit.length ? unit : null;
}

/** The step at an offset: of the unit that begins there, or of the one that it is within. */
export function stepAt(cache: Cache, at: number): { unit: Unit; step: Step } | null {
  const unit = unitAt(cache, at);
  const step = unit?.steps.get(at - unit.at);
  return unit && step ? { unit, step } : null;
}

/** Where in the cache a guest address goes on, or -1: nowhere yet. */
export function placeOf(cache: Cache, rip: bigint): number {
  const { resume } = cache;
  if (resume && resume.rip === rip) return resume.at;
  return cache.units.get(rip)?.at ?? -1;
}

/** The same within a unit that goes on after one of its instructions. */
export function within(unit: Unit, rip: bigint): number {
  if (unit.dead) return -1;
  for (const step of unit.order) if (step.first && step.rip === rip) return unit.at + step.at;
  return -1;
}

// ---- making

/**
 * Translates from a guest address; right over the exit that leads here, if that is the last thing in the cache and its unit keeps
 * room for the jump that it may once need itself. Throws what fetching meets.
 */
export function makeUnit(vm: Vm, rip: bigint, from: Chain | null = null): Unit {
  const cache = cacheOf(vm);
  const full = cache.stubs - cache.next < 4096;
  if (full) flushCache(vm);
  const code = fetchAt(vm, rip, 15 * LONGEST, false);
  const { encoder } = cache;
  const source = { encoder, rip, next: (at: number): Parts | null => partsOf(code.subarray(at, at + 15), encoder.bits), adaptive: (one: bigint) => cache.adaptive.has(one) };
  const over = !full && from !== null && from.exit.form === 'tail' && from.at + TAIL === cache.next && from.exit.at >= TAIL;
  const at = over ? from.at : cache.next;
  const draft = translateUnit(source, linearAt(cache, at), linearAt(cache, cache.lookup));
  if (!draft) {
    const why = whyNot(code, encoder.bits);
    if (why === 'cut') fetchAt(vm, rip + BigInt(code.length), 1, false);
    throw why === 'unknown' ? ud() : gp();
  }
  const pieces = piecesOf(vm, draft);
  if (over) cache.callouts.delete(at);
  return enter(vm, cache, draft, at, pieces);
}

function enter(vm: Vm, cache: Cache, draft: Draft, at: number, pieces: Unit['pieces']): Unit {
  const unit: Unit = {
    id: cache.ids++, rip: draft.rip, source: draft.length, at, length: draft.bytes.length, instructions: draft.instructions, steps: new Map(draft.steps.map((step) => [step.at, step])), order: draft.steps,
    chains: [], callouts: draft.callouts.filter(({ kind }) => kind !== 'chain').length, pieces, dead: false,
  };
  for (const { at: offset, kind, rip } of draft.callouts) cache.callouts.set(at + offset, { kind, rip, unit, chain: null });
  for (const exit of draft.exits) addExit(vm, cache, unit, draft, exit);
  writeCache(vm, own(vm).area, at, draft.bytes);
  cache.next = at + draft.bytes.length;
  cache.all.push(unit);
  cache.units.set(unit.rip, unit);
  cache.newest = unit;
  watch(vm, cache, unit);
  cache.counts.translated++;
  cache.counts.instructions += unit.instructions.length;
  cache.counts.identical += unit.instructions.filter((one) => one.kind === 'IDENT').length;
  return unit;
}

function addExit(vm: Vm, cache: Cache, unit: Unit, draft: Draft, exit: Exit): void {
  const at = unit.at + exit.at;
  const chain: Chain = { exit, at, stub: at, to: null };
  if (exit.form === 'branch') {
    chain.stub = --cache.stubs;
    writeCache(vm, own(vm).area, chain.stub, [e.CALLOUT]);
    draft.bytes.splice(exit.at, 4, ...e.le32(chain.stub - (at + 4)));
  }
  unit.chains.push(chain);
  cache.callouts.set(chain.stub, { kind: 'chain', rip: exit.target, unit, chain });
}

function piecesOf(vm: Vm, { rip, length }: Draft): { gpa: number; bytes: number }[] {
  const out: { gpa: number; bytes: number }[] = [];
  for (let done = 0; done < length; ) {
    const at = rip + BigInt(done);
    const bytes = Math.min(length - done, 4096 - Number(at & 0xfffn));
    out.push({ gpa: guestLinear(vm, at, { fetch: true, look: true }), bytes });
    done += bytes;
  }
  return out;
}

/** Its source is not to be written unseen, and to be what its address leads to. */
function watch(vm: Vm, cache: Cache, unit: Unit): void {
  const shadow = shadowOf(vm);
  let linear = unit.rip;
  for (const { gpa, bytes } of unit.pieces) {
    const gfn = Math.floor(gpa / 4096);
    const known = cache.byFrame.get(gfn);
    if (known) known.add(unit);
    else cache.byFrame.set(gfn, new Set([unit]));
    cache.pages.set(linear >> 12n, gfn);
    if (!shadow.watched.has(gfn)) {
      shadow.watched.add(gfn);
      protectFrame(vm, shadow, gfn);
    }
    linear += BigInt(bytes);
  }
}

// ---- chaining

/** An exit gets its successor: by a jump, or nothing at all when the successor was made right behind it. */
export function chainTo(vm: Vm, chain: Chain, unit: Unit): void {
  const cache = cacheOf(vm);
  chain.to = unit;
  cache.counts.chained++;
  const { area } = own(vm);
  if (chain.exit.form === 'branch') writeCache(vm, area, chain.at, e.le32(unit.at - (chain.at + 4)));
  else if (unit.at !== chain.at) writeCache(vm, area, chain.at, e.jump32(unit.at - (chain.at + TAIL)));
}

/** The lookup finds it from now on. */
export function enterLookup(vm: Vm, unit: Unit): void {
  const { area } = own(vm);
  const index = Number(unit.rip & 0xffffn);
  vm.machine.physical.setBigUint64(lookupSlot(vm, area, TAGS_AT + 8 * index), BigInt.asUintN(cacheOf(vm).encoder.bits, -unit.rip), true);
  vm.machine.physical.setBigUint64(lookupSlot(vm, area, PLACES_AT + 8 * index), linearAt(cacheOf(vm), unit.at), true);
  cacheOf(vm).entered.set(index, unit);
}

// ---- ending

export function dropUnit(vm: Vm, unit: Unit): void {
  if (unit.dead) return;
  const cache = cacheOf(vm);
  unit.dead = true;
  cache.counts.dropped++;
  if (cache.units.get(unit.rip) === unit) cache.units.delete(unit.rip);
  const index = Number(unit.rip & 0xffffn);
  if (cache.entered.get(index) === unit) {
    cache.entered.delete(index);
    vm.machine.physical.setBigUint64(lookupSlot(vm, own(vm).area, TAGS_AT + 8 * index), 1n, true);
  }
  for (const { gpa } of unit.pieces) cache.byFrame.get(Math.floor(gpa / 4096))?.delete(unit);
  writeCache(vm, own(vm).area, unit.at, [e.CALLOUT]);
  cache.callouts.set(unit.at, { kind: 'entry', rip: unit.rip, unit, chain: null });
  cache.resume = null;
}

/** Whoever jumps to the dead unit goes on to the one that took its place. */
export function forward(vm: Vm, dead: Unit, unit: Unit): void {
  writeCache(vm, own(vm).area, dead.at, e.jump32(unit.at - (dead.at + 5)));
}

/** Guest memory was written: the units made of these very bytes end. */
export function sourceWritten(vm: Vm, gpa: number, length: number): void {
  const cache = own(vm).cache as Cache | null;
  if (!cache) return;
  for (let gfn = Math.floor(gpa / 4096); gfn <= Math.floor((gpa + length - 1) / 4096); gfn++) {
    for (const unit of [...(cache.byFrame.get(gfn) ?? [])]) {
      if (unit.pieces.some((piece) => piece.gpa < gpa + length && gpa < piece.gpa + piece.bytes)) dropUnit(vm, unit);
    }
  }
}

/** Linear addresses may lead elsewhere: units whose page does are of no more use. */
export function revalidate(vm: Vm): void {
  const cache = cacheOf(vm);
  for (const [page, gfn] of cache.pages) {
    if (leadsTo(vm, page << 12n) === gfn) continue;
    cache.pages.delete(page);
    for (const unit of [...(cache.byFrame.get(gfn) ?? [])]) {
      if (unit.rip >> 12n === page || (unit.rip + BigInt(unit.source) - 1n) >> 12n === page) dropUnit(vm, unit);
    }
  }
}

function leadsTo(vm: Vm, linear: bigint): number {
  try {
    return Math.floor(guestLinear(vm, linear, { fetch: true, look: true }) / 4096);
  } catch (thrown) {
    if (isStopped(thrown)) return -1;
    throw thrown;
  }
}

/** Nothing of the frame is translated any more, and it need not be watched. */
export function forgetFrame(vm: Vm, gfn: number): void {
  const cache = cacheOf(vm);
  for (const unit of [...(cache.byFrame.get(gfn) ?? [])]) dropUnit(vm, unit);
  shadowOf(vm).watched.delete(gfn);
}

/** For other code from now on, or with the area elsewhere: what was translated is of no use. */
export function retarget(vm: Vm, bits: 32 | 64, area: bigint): void {
  const cache = cacheOf(vm);
  if (cache.encoder.bits === bits && cache.area === area) return;
  cache.encoder = e.encoderFor(bits, area);
  cache.area = area;
  cache.stoppedAt = -1;
  flushCache(vm);
}

/** From an empty cache again. */
export function flushCache(vm: Vm): void {
  const cache = cacheOf(vm);
  const { area } = own(vm);
  for (const index of cache.entered.keys()) vm.machine.physical.setBigUint64(lookupSlot(vm, area, TAGS_AT + 8 * index), 1n, true);
  for (const unit of cache.all) unit.dead = true;
  cache.units.clear();
  cache.all = [];
  cache.callouts.clear();
  cache.byFrame.clear();
  cache.pages.clear();
  cache.entered.clear();
  shadowOf(vm).watched.clear();
  cache.stubs = area.cacheBytes;
  cache.resume = null;
  cache.counts.flushed++;
  writeLookup(vm, cache);
}
