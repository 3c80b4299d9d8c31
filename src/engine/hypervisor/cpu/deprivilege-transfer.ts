/**
 * IRET, far RET, far JMP and CALL of a deprivileged guest's kernel by software, in every mode: to code of the same ring or out to
 * ring 3, through call gates in from it. Everything is read and checked before anything is changed; the order of checks is src/cpu's.
 * Sources: SDM 2 CALL, JMP, RET, IRET; SDM 3A 5.8. Left out: task gates and returns, virtual-8086 mode (#GP).
 */
import { register, setRegister } from '../../machine/machine.ts';
import type { GuestSegment, Vm } from '../vm.ts';
import { innerStack } from './deprivilege-legacy.ts';
import { bytesOf, canonical, gp, np, readNumber, ss, writeAt } from './deprivilege-memory.ts';
import {
  type Descriptor, dplOf, dropInner, errorOf, findDescriptor, inLongCode, limitOf, longMode, markAccessed, needDescriptor, onlyOuterRings, realSegment, segmentFrom,
} from './deprivilege-segments.ts';
import { drop, need, peek, push, setStackPointer, store } from './deprivilege-stack.ts';
import { IF, inReal, IOPL, NT, own, RF, setVirtualFlags, setVirtualSegment, TF, UNUSABLE, virtualCpl, virtualFlags, virtualSegment } from './deprivilege-state.ts';

type Size = 2 | 4 | 8;
const VM86 = 0x2_0000n;

// ---- checks

/** Code that is returned to, perhaps of an outer ring. */
function returnCode(vm: Vm, selector: number): Descriptor {
  if (errorOf(selector) === 0) throw gp();
  const found = needDescriptor(vm, selector);
  const { rights } = found;
  const rpl = selector & 3;
  const wrong = gp(errorOf(selector));
  if (rpl < virtualCpl(vm) || (rights & 0x18) !== 0x18 || ((rights & 0x6000) === 0x6000 && longMode(vm))) throw wrong;
  if ((rights & 4) !== 0 ? dplOf(rights) > rpl : dplOf(rights) !== rpl) throw wrong;
  if ((rights & 0x80) === 0) throw np(errorOf(selector));
  onlyOuterRings(rpl);
  return found;
}

/** Code that is gone to; `inward`: by a call through a gate. */
function targetCode(vm: Vm, selector: number, rpl: number, inward: boolean): Descriptor {
  if (errorOf(selector) === 0) throw gp();
  const found = needDescriptor(vm, selector);
  const { rights } = found;
  const cpl = virtualCpl(vm);
  const dpl = dplOf(rights);
  const wrong = gp(errorOf(selector));
  if ((rights & 0x18) !== 0x18 || ((rights & 0x6000) === 0x6000 && longMode(vm))) throw wrong;
  if (inward || (rights & 4) !== 0 ? dpl > cpl : rpl > cpl || dpl !== cpl) throw wrong;
  if ((rights & 0x80) === 0) throw np(errorOf(selector));
  return found;
}

function reachable(vm: Vm, target: bigint, { raw, rights }: Descriptor): void {
  const fits = longMode(vm) && (rights & 0x2000) !== 0 ? canonical(target) : target <= BigInt(limitOf(raw));
  if (!fits) throw gp();
}

/** Null: the null selector, good for 64-bit code above ring 3. */
function returnStack(vm: Vm, selector: number, ring: number, code: Descriptor): Descriptor | null {
  if (errorOf(selector) === 0) {
    if (longMode(vm) && (code.rights & 0x2000) !== 0 && ring !== 3) return null;
    throw gp();
  }
  const found = needDescriptor(vm, selector);
  if ((selector & 3) !== ring || (found.rights & 0x1a) !== 0x12 || dplOf(found.rights) !== ring) throw gp(errorOf(selector));
  if ((found.rights & 0x80) === 0) throw ss(errorOf(selector));
  return found;
}

// ---- landing

function enterStack(vm: Vm, selector: number, found: Descriptor | null): void {
  if (found) markAccessed(vm, found);
  setVirtualSegment(vm, 'ss', found ? segmentFrom(selector, found) : { selector, base: 0n, limit: 0, rights: UNUSABLE | ((selector & 3) << 5) });
}

function enterCode(vm: Vm, selector: number, ring: number, code: Descriptor, target: bigint): void {
  markAccessed(vm, code);
  setVirtualSegment(vm, 'cs', segmentFrom(errorOf(selector) | ring, code));
  setRegister(vm.machine, 'rip', target);
}

function enterReal(vm: Vm, selector: number, target: bigint): void {
  const code = realSegment(vm, 'cs', selector);
  if (target > BigInt(code.limit)) throw gp();
  setVirtualSegment(vm, 'cs', code);
  setRegister(vm.machine, 'rip', target);
}

// ---- returns

const FREE = 0x24_4dd5n | TF | IF;

/** IRET of 2, 4 or 8 bytes an element. */
export function interruptReturn(vm: Vm, size: Size): void {
  const flags = virtualFlags(vm);
  const real = inReal(vm);
  if (!real && (flags & NT) !== 0n) throw gp();
  need(vm, 0, 3 * size);
  const [target, codeWord, given] = [peek(vm, 0, size), peek(vm, size, size), peek(vm, 2 * size, size)];
  const selector = Number(codeWord & 0xffffn);
  const cpl = virtualCpl(vm);
  const width = size === 2 ? 0xffffn : ~0n;
  const may = (FREE | (cpl === 0 ? IOPL : 0n) | (size === 2 ? 0n : RF)) & width;
  const after = (flags & ~may & ~RF) | (given & may);
  if (real) {
    enterReal(vm, selector, target);
    drop(vm, 3 * size);
    setVirtualFlags(vm, after);
    return;
  }
  if (!longMode(vm) && size !== 2 && (given & VM86) !== 0n && cpl === 0) throw gp();
  const code = returnCode(vm, selector);
  const ring = selector & 3;
  // outside 64-bit mode the stack is in the frame only when the ring changes
  const switches = inLongCode(vm) || ring > cpl;
  if (switches) need(vm, 0, 5 * size);
  const top = switches ? peek(vm, 3 * size, size) : 0n;
  const stackSelector = switches ? Number(peek(vm, 4 * size, size) & 0xffffn) : 0;
  const stack = switches ? returnStack(vm, stackSelector, ring, code) : null;
  reachable(vm, target, code);
  if (!switches) drop(vm, 3 * size);
  const long = inLongCode(vm);
  if (ring > cpl) dropInner(vm);
  if (switches) enterStack(vm, stackSelector, stack);
  enterCode(vm, selector, ring, code, target);
  setVirtualFlags(vm, after);
  if (switches) setTop(vm, size, top, long);
}

/** The pointer of a return from 64-bit code, or as wide as the new stack. */
function setTop(vm: Vm, size: Size, top: bigint, long: boolean): void {
  if (!long) setStackPointer(vm, top);
  else setRegister(vm.machine, 'rsp', size === 2 ? (register(vm.machine, 'rsp') & ~0xffffn) | top : top);
}

/** RETF: `extra` bytes are dropped besides. */
export function farReturn(vm: Vm, size: Size, extra: number): void {
  need(vm, 0, 2 * size);
  const target = peek(vm, 0, size);
  const selector = Number(peek(vm, size, size) & 0xffffn);
  if (inReal(vm)) {
    enterReal(vm, selector, target);
    drop(vm, 2 * size + extra);
    return;
  }
  const code = returnCode(vm, selector);
  const ring = selector & 3;
  if (ring === virtualCpl(vm)) {
    reachable(vm, target, code);
    drop(vm, 2 * size + extra);
    enterCode(vm, selector, ring, code, target);
    return;
  }
  need(vm, 2 * size + extra, 2 * size);
  const top = peek(vm, 2 * size + extra, size);
  const stackSelector = Number(peek(vm, 3 * size + extra, size) & 0xffffn);
  const stack = returnStack(vm, stackSelector, ring, code);
  reachable(vm, target, code);
  const long = inLongCode(vm);
  dropInner(vm);
  enterStack(vm, stackSelector, stack);
  enterCode(vm, selector, ring, code, target);
  setTop(vm, size, BigInt.asUintN(64, top + BigInt(extra)), long);
}

// ---- far JMP and CALL

/** Far JMP, or far CALL with what comes after it. */
export function farTransfer(vm: Vm, target: bigint, selector: number, call: { back: bigint; size: Size } | null): void {
  const old = BigInt(virtualSegment(vm, 'cs').selector);
  if (inReal(vm)) {
    const top = register(vm.machine, 'rsp');
    if (call) push(vm, [old, call.back], call.size);
    try {
      enterReal(vm, selector, target);
    } catch (thrown) {
      setRegister(vm.machine, 'rsp', top);
      throw thrown;
    }
    return;
  }
  if (errorOf(selector) === 0) throw gp();
  const found = needDescriptor(vm, selector);
  if ((found.rights & 0x10) === 0) return throughCallGate(vm, selector, found, call);
  const code = targetCode(vm, selector, selector & 3, false);
  reachable(vm, target, code);
  if (call) push(vm, [old, call.back], call.size);
  enterCode(vm, selector, virtualCpl(vm), code, target);
}

function throughCallGate(vm: Vm, gateSelector: number, gate: Descriptor, call: { back: bigint } | null): void {
  const wide = longMode(vm);
  const kind = gate.rights & 0x1f;
  const wrong = gp(errorOf(gateSelector));
  if (kind !== 12 && (kind !== 4 || wide)) throw wrong;
  const cpl = virtualCpl(vm);
  if (dplOf(gate.rights) < cpl || dplOf(gate.rights) < (gateSelector & 3)) throw wrong;
  let target = kind === 4 ? gate.raw & 0xffffn : (gate.raw & 0xffffn) | ((gate.raw >> 32n) & 0xffff_0000n);
  if (wide) {
    if (!findDescriptor(vm, gateSelector, 16)) throw wrong;
    const high = readNumber(vm, gate.at + 8n, 8, { implicit: true });
    if (((high >> 40n) & 0x1fn) !== 0n) throw wrong;
    target |= BigInt.asUintN(32, high) << 32n;
  }
  if ((gate.rights & 0x80) === 0) throw np(errorOf(gateSelector));
  const selector = Number((gate.raw >> 16n) & 0xffffn);
  const code = targetCode(vm, selector, 0, call !== null);
  if (wide && (code.rights & 0x6000) !== 0x2000) throw gp(errorOf(selector));
  reachable(vm, target, code);
  const size: Size = wide ? 8 : kind === 12 ? 4 : 2;
  const ring = dplOf(code.rights);
  if (call && (code.rights & 4) === 0 && ring < cpl) {
    onlyOuterRings(ring);
    if (wide) callInnerWide(vm, call.back);
    else callInner(vm, Number((gate.raw >> 32n) & 31n), size, call.back, ring);
    enterCode(vm, selector, ring, code, target);
    return;
  }
  if (call) push(vm, [BigInt(virtualSegment(vm, 'cs').selector), call.back], size);
  enterCode(vm, selector, cpl, code, target);
}

/** To the stack of ring 0 with the gate's parameters. */
function callInner(vm: Vm, count: number, size: Size, back: bigint, ring: number): void {
  const { segment, top } = innerStack(vm, ring, 0);
  const given = Array.from({ length: count }, (_, n) => peek(vm, (count - 1 - n) * size, size));
  const words = [BigInt(virtualSegment(vm, 'ss').selector), register(vm.machine, 'rsp'), ...given, BigInt(virtualSegment(vm, 'cs').selector), back];
  const bottom = store(vm, segment, top, words, size, ring, errorOf(segment.selector));
  setVirtualSegment(vm, 'ss', segment);
  setStackPointer(vm, bottom);
}

function callInnerWide(vm: Vm, back: bigint): void {
  const { tr } = own(vm);
  if (11 > tr.limit) throw { kind: 'fault', vector: 10, error: errorOf(tr.selector) };
  const top = readNumber(vm, tr.base + 4n, 8, { implicit: true });
  if (!canonical(top)) throw ss(0);
  const words = [back, BigInt(virtualSegment(vm, 'cs').selector), register(vm.machine, 'rsp'), BigInt(virtualSegment(vm, 'ss').selector)];
  const bytes = new Uint8Array(32);
  words.forEach((word, n) => {
    bytes.set(bytesOf(word, 8), 8 * n);
  });
  writeAt(vm, top - 32n, bytes, { implicit: true });
  const none: GuestSegment = { selector: 0, base: 0n, limit: 0, rights: UNUSABLE };
  setVirtualSegment(vm, 'ss', none);
  setRegister(vm.machine, 'rsp', top - 32n);
}
