/**
 * Emulation of one instruction that writes to a traced table, from its bytes and the guest's registers: MOV, MOVNTI, XCHG,
 * CMPXCHG, CMPXCHG8B/16B, XADD, the arithmetic ones, NOT, NEG, INC, DEC, BTS, BTR, BTC, MOVS and STOS (a repeated one as long
 * as it stays in traced tables, or to the end of its page where no fault would bring the next element here). Operands are reached by the guest's own tables and rights. Anything else is 'unknown', for the
 * caller to run without tracing. The guest's rip moves past what was done. Source: SDM 2; Linux arch/x86/kvm/emulate.c for what is wanted.
 */
import { clearRunFlag, type Flags, arithmetic, flagsOf, withFlags } from './shadow-alu.ts';
import { decodeWrite, type Written } from './shadow-decode.ts';
import { guestRegister, setGuestRegister } from '../state.ts';
import type { Vm } from '../vm.ts';
import { hostAddress, readGuest, slotOf, writeGuest } from './frames.ts';
import { isTraced } from './shadow-sync.ts';
import type { Fault, Shadow } from './shadow-types.ts';
import { walkGuest } from './shadow-walk.ts';

export type Emulated =
  | { kind: 'done'; stores: number }
  | { kind: 'inject'; address: bigint; error: number }
  | { kind: 'page'; gpa: number }
  | { kind: 'unknown' };

const PAGE = 4096;
const TF = 0x100n;
const DF = 0x400n;
/** Repetitions of a string instruction at one go. */
const MOST = 1024;

/** Thrown inside this file only: the instruction cannot go on. */
class Refused extends Error {
  readonly why: Emulated;
  constructor(why: Emulated) {
    super(why.kind);
    this.why = why;
  }
}

interface Context {
  vm: Vm;
  s: Shadow;
  fault: Fault;
  /** A repeated instruction goes on to the end of its page, traced or not. */
  onward: boolean;
}

/** A run of guest-physical bytes for each page of a linear range. */
function reach({ vm, s, fault }: Context, address: bigint, length: number, write: boolean): { gpa: number; length: number }[] {
  const out: { gpa: number; length: number }[] = [];
  for (let done = 0; done < length; ) {
    const at = BigInt.asUintN(64, address + BigInt(done));
    const part = Math.min(length - done, PAGE - Number(at & 0xfffn));
    const walk = walkGuest(vm, fault.paging, s.pdptes, at, { write, user: (fault.error & 4) !== 0, fetch: false, ac: fault.ac }, true);
    if (!walk.ok) throw new Refused({ kind: 'inject', address: at, error: walk.error });
    const gpa = walk.gfn * PAGE + Number(at & 0xfffn);
    if (!slotOf(vm, gpa)) throw new Refused({ kind: 'unknown' });
    if (hostAddress(vm, gpa) === null) throw new Refused({ kind: 'page', gpa });
    out.push({ gpa, length: part });
    done += part;
  }
  return out;
}

const littleEndian = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

function load(c: Context, address: bigint, length: number, write: boolean): bigint {
  const all = new Uint8Array(length);
  let done = 0;
  for (const part of reach(c, address, length, write)) {
    all.set(readGuest(c.vm, part.gpa, part.length), done);
    done += part.length;
  }
  return littleEndian(all);
}

function store(c: Context, address: bigint, length: number, value: bigint): void {
  const parts = reach(c, address, length, true);
  let rest = value;
  for (const part of parts) {
    const bytes = Uint8Array.from({ length: part.length }, (_, n) => Number((rest >> BigInt(8 * n)) & 255n));
    rest >>= BigInt(8 * part.length);
    writeGuest(c.vm, part.gpa, bytes);
  }
}

/**
 * Carries out the instruction at rip, whose write `shadowFault` has sorted as 'write', or which calls here instead of writing
 * (`onward`). `rip` and registers are the guest's (state.ts); STI's shadow is the caller's to end.
 */
export function emulateWrite(vm: Vm, s: Shadow, fault: Fault, onward = false): Emulated {
  if ((guestRegister(vm, 'rflags') & TF) !== 0n) return { kind: 'unknown' };
  const one = decodeWrite(vm);
  if (!one) return { kind: 'unknown' };
  s.emulating = true;
  try {
    return { kind: 'done', stores: perform({ vm, s, fault, onward }, one) };
  } catch (error) {
    if (error instanceof Refused) return error.why;
    throw error;
  } finally {
    s.emulating = false;
  }
}

/** Stores made. */
function perform(c: Context, one: Written): number {
  if (one.op === 'movs' || one.op === 'stos') return repeat(c, one);
  const flags = flagsOf(guestRegister(c.vm, 'rflags'));
  if (one.op === 'cmpxchg8b') exchangeWide(c, one);
  else if (one.op === 'mov') store(c, one.address, one.size, one.source);
  else modify(c, one, flags);
  advance(c.vm, one);
  return 1;
}

/** Read, change, write. */
function modify(c: Context, one: Written, before: Flags): void {
  const old = load(c, one.address, one.size, true);
  const { result, flags } = arithmetic(one, old, before, guestRegister(c.vm, 'rax'));
  store(c, one.address, one.size, result);
  if (one.op === 'xchg' || one.op === 'xadd') one.setRegister(old);
  if (one.op === 'cmpxchg' && !flags.zf) one.setAccumulator(old);
  setGuestRegister(c.vm, 'rflags', withFlags(guestRegister(c.vm, 'rflags'), flags));
}

/** CMPXCHG8B and 16B. */
function exchangeWide(c: Context, one: Written): void {
  const { vm } = c;
  const bits = one.size * 4;
  const half = (name: string): bigint => BigInt.asUintN(bits, guestRegister(vm, name));
  const old = load(c, one.address, one.size, true);
  const equal = old === ((half('rdx') << BigInt(bits)) | half('rax'));
  store(c, one.address, one.size, equal ? (half('rcx') << BigInt(bits)) | half('rbx') : old);
  if (!equal) {
    setGuestRegister(vm, 'rax', BigInt.asUintN(bits, old));
    setGuestRegister(vm, 'rdx', old >> BigInt(bits));
  }
  const flags = guestRegister(vm, 'rflags');
  setGuestRegister(vm, 'rflags', equal ? flags | 0x40n : flags & ~0x40n);
}

/** String stores: one element, or elements as long as the next one belongs here too. How many. */
function repeat(c: Context, one: Written): number {
  const { vm, s, fault } = c;
  const step = (guestRegister(vm, 'rflags') & DF) !== 0n ? -one.size : one.size;
  const page = one.destination() >> 12n;
  let n = 0;
  for (; n < MOST; n++) {
    if (one.repeats && one.index('rcx') === 0n) break;
    const to = one.destination();
    if (n > 0 && !(c.onward && to >> 12n === page)) {
      const next = walkGuest(vm, fault.paging, s.pdptes, to, { write: true, user: (fault.error & 4) !== 0, fetch: false, ac: fault.ac }, false);
      if (!next.ok || !isTraced(s, next.gfn)) return n;
    }
    store(c, to, one.size, one.op === 'movs' ? load(c, one.origin(), one.size, false) : BigInt.asUintN(8 * one.size, guestRegister(vm, 'rax')));
    one.move('rdi', step);
    if (one.op === 'movs') one.move('rsi', step);
    if (!one.repeats) {
      n = 1;
      break;
    }
    one.move('rcx', -1);
  }
  if (!one.repeats || one.index('rcx') === 0n) advance(vm, one);
  return n;
}

function advance(vm: Vm, one: Written): void {
  setGuestRegister(vm, 'rip', one.next);
  clearRunFlag(vm);
}
