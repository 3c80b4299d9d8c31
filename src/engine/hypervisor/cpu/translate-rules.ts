/**
 * How each kind of guest instruction is translated. The rules are Adams and Agesen's (ASPLOS 2006, section 3.2), for 64-bit code and
 * for 32-bit code on flat segments (in compatibility mode, where the few that differ differ):
 * IDENT for what is innocuous; RIP-relative operands against the cache; calls that push the guest's return address; returns and
 * indirect jumps by lookup; sequences for flags, tables and status that the virtual processor's page answers; callouts for the rest.
 */
import type { SlotName } from './deprivilege-area.ts';
import type { Parts } from '../../machine/isa/parts.ts';
import * as e from './translate-emit.ts';
import { callout, type Emit, here, put, type Rule, tail, type Undo, type Writer } from './translate-writer.ts';

const rule = (kind: Rule['kind'], emit: Emit, ends = false): Rule => ({ kind, emit, ends });
const undo = (registers: Undo['registers'], rsp = 0): Undo => ({ registers, rsp });
const SCRATCH = undo([[e.RAX, 's0']]);

// ---- as it is, or with its address against the cache

const ident: Emit = (w) => {
  if (w.d.memory && w.d.ripRelative) return relative(w);
  put(w, [...w.d.bytes]);
  return 'IDENT';
};

export const targetOf = ({ d, next }: Writer): bigint => BigInt.asUintN(64, next + d.displacement);

/** The same operand at its new place; null: more than 2 GiB away. */
function moved(w: Writer, bytes: number[], displacementAt: number, length: number): number[] | null {
  const distance = BigInt.asIntN(64, targetOf(w) - (here(w) + BigInt(length)));
  if (!e.fits32(distance)) return null;
  const out = [...bytes];
  out.splice(displacementAt, 4, ...e.le32(Number(distance)));
  return out;
}

function relative(w: Writer): 'RELATIVE' | 'SEQUENCE' {
  const { d } = w;
  const near = moved(w, [...d.bytes], d.displacementAt, d.length);
  if (near) {
    put(w, near);
    return 'RELATIVE';
  }
  // a register that the instruction does not name holds the address: rsi or rdi, which need no REX
  const reg = (d.reg & 7) === e.RSI && (d.rex & 4) === 0 ? e.RDI : e.RSI;
  const back = undo([[reg, 's0']]);
  put(w, w.enc.save('s0', reg));
  put(w, w.enc.moveImmediate(reg, targetOf(w)), back);
  put(w, throughRegister(d, reg), back);
  put(w, w.enc.restore(reg, 's0'), null);
  return 'SEQUENCE';
}

/** ModRM with [reg] instead of the displacement; REX.B is rsi's and rdi's: clear. */
function throughRegister(d: Parts, reg: number): number[] {
  const modrmAt = d.at + 1;
  const out = [...d.bytes.subarray(0, modrmAt), (d.modrm & 0x38) | reg, ...d.bytes.subarray(d.displacementAt + 4)];
  const rexAt = d.at - (d.map === 0 ? 1 : d.map === 1 ? 2 : 3);
  if (d.rex !== 0) out[rexAt] = d.rex & ~1;
  return out;
}

// ---- control flow

const direct = (w: Writer): bigint => BigInt.asUintN(w.d.bits, w.next + w.d.immediate);
/** A branch of 32-bit code that cuts EIP to 16 bits. */
const cuts = ({ d }: Writer): boolean => d.bits === 32 && d.o16;

const jump: Emit = (w) => {
  if (cuts(w)) return stepped(w);
  tail(w.draft, direct(w));
  return null;
};

const conditional: Emit = (w) => {
  if (cuts(w)) return stepped(w);
  const condition = w.d.opcode & 15;
  put(w, [0x0f, 0x80 | condition, 0, 0, 0, 0]);
  w.draft.exits.push({ at: w.draft.bytes.length - 4, form: 'branch', target: direct(w) });
  tail(w.draft, w.next);
  return null;
};

/** LOOP and JRCXZ reach 8 bits only: over a jump of 32. */
const looping: Emit = (w) => {
  if (cuts(w)) return stepped(w);
  put(w, [...(8 * w.d.addressSize !== w.d.bits ? [0x67] : []), w.d.opcode, 2]);
  put(w, e.jump8(5));
  put(w, [0xe9, 0, 0, 0, 0]);
  w.draft.exits.push({ at: w.draft.bytes.length - 4, form: 'branch', target: direct(w) });
  tail(w.draft, w.next);
  return null;
};

/** The guest's return address, not the cache's. */
function pushReturn(w: Writer, before: Undo | null): Undo {
  const low = Number(BigInt.asIntN(32, w.next));
  put(w, e.pushImmediate(low), before);
  const after = undo(before?.registers ?? [], w.enc.word);
  if (w.enc.word === 8 && !e.fits32(w.next)) put(w, e.upperTop(Number(BigInt.asIntN(32, w.next >> 32n))), after);
  return after;
}

const call: Emit = (w) => {
  if (cuts(w)) return stepped(w);
  pushReturn(w, null);
  tail(w.draft, direct(w));
  return null;
};

const toLookup = (w: Writer, before: Undo): void => put(w, e.jump32(Number(BigInt.asIntN(32, w.draft.lookup - (here(w) + 5n)))), before);

const returns: Emit = (w) => {
  if (w.d.o16) return stepped(w);
  const extra = w.d.opcode === 0xc2 ? Number(BigInt.asUintN(16, w.d.immediate)) : 0;
  put(w, w.enc.save('s0', e.RAX));
  put(w, w.enc.topToRax, SCRATCH);
  put(w, w.enc.dropStack(w.enc.word + extra), SCRATCH);
  toLookup(w, undo(SCRATCH.registers, -(w.enc.word + extra)));
  return null;
};

/** JMP and CALL through a register or memory. */
const indirect: Emit = (w) => {
  if (cuts(w)) return stepped(w);
  put(w, w.enc.save('s0', e.RAX));
  loadTarget(w);
  toLookup(w, (w.d.reg & 7) === 2 ? pushReturn(w, SCRATCH) : SCRATCH);
  return null;
};

/** mov rax, r/m64 by the operand of FF /2 and /4. */
function loadTarget(w: Writer): void {
  const { d } = w;
  const rexAt = d.rex !== 0 ? d.at - 1 : d.at;
  const prefixes = [...d.bytes.subarray(0, rexAt)].filter((byte) => byte !== 0x66 && byte !== 0xf2 && byte !== 0xf3);
  const operand = [d.modrm & 0xc7, ...d.bytes.subarray(d.at + 2, d.length)];
  const bytes = [...prefixes, ...(w.enc.bits === 64 ? [0x48 | (d.rex & 3)] : []), 0x8b, ...operand];
  if (!d.ripRelative || !d.memory) return put(w, bytes, SCRATCH);
  const near = moved(w, bytes, bytes.length - 4, bytes.length);
  if (near) return put(w, near, SCRATCH);
  put(w, w.enc.moveImmediate(e.RAX, targetOf(w)), SCRATCH);
  put(w, [...prefixes, 0x48, 0x8b, 0x00], SCRATCH);
}

// ---- calls to the monitor

/** Run as it stands, where it stands, by itself. */
const stepped = (w: Writer): 'CALLOUT' => {
  callout(w, 'step');
  return 'CALLOUT';
};

const emulated = (w: Writer): 'CALLOUT' => {
  callout(w, 'emulate');
  return 'CALLOUT';
};

// ---- sequences

/** A byte of the page says whether an interrupt is to be taken now. Without flags: only RCX is looked at. */
function checkPending(w: Writer, slot: SlotName): void {
  const back = w.enc.restore(e.RCX, 's0');
  put(w, w.enc.save('s0', e.RCX));
  put(w, w.enc.byteToCx(slot));
  put(w, e.jrcxz(back.length + 1));
  put(w, back);
  callout(w, 'pending', w.next);
  put(w, back);
}

const clearInterrupts: Emit = (w) => {
  put(w, w.enc.putByte('interrupts', 1, 0));
  return null;
};

const setInterrupts: Emit = (w) => {
  put(w, w.enc.putByte('interrupts', 1, 2));
  checkPending(w, 'pending');
  return null;
};

/** Real IF is 1 and real IOPL 0: the difference is added without touching a flag. */
const pushFlags: Emit = (w) => {
  if (w.d.o16) return emulated(w);
  const both = undo([[e.RAX, 's0'], [e.RCX, 's1']], w.enc.word);
  put(w, e.PUSHF);
  put(w, w.enc.save('s0', e.RAX), undo([], w.enc.word));
  put(w, w.enc.save('s1', e.RCX), undo([], w.enc.word));
  put(w, w.enc.topToRax, both);
  put(w, w.enc.restore(e.RCX, 'interrupts'), both);
  put(w, w.enc.sumToRax(-0x200), both);
  put(w, w.enc.restore(e.RCX, 'iopl'), both);
  put(w, w.enc.sumToRax(0), both);
  put(w, w.enc.raxToTop, both);
  put(w, w.enc.restore(e.RCX, 's1'));
  put(w, w.enc.restore(e.RAX, 's0'));
  return null;
};

/** Flags are free until the real POPF sets them; the real one leaves IF and IOPL alone. TF is the monitor's business. */
const popFlags: Emit = (w) => {
  if (w.d.o16) return emulated(w);
  const back = w.enc.restore(e.RAX, 's0');
  put(w, w.enc.save('s0', e.RAX));
  put(w, w.enc.topToRax, SCRATCH);
  put(w, w.enc.save('s1', e.RAX), SCRATCH);
  put(w, e.test32(0x100), SCRATCH);
  put(w, e.jz(back.length + 1), SCRATCH);
  put(w, back, SCRATCH);
  callout(w, 'emulate');
  for (const [slot, mask] of [['iopl', 0x3000], ['interrupts', 0x200]] as const) {
    put(w, w.enc.restore(e.RAX, 's1'), SCRATCH);
    put(w, e.and32(mask), SCRATCH);
    put(w, w.enc.save(slot, e.RAX), SCRATCH);
  }
  put(w, e.SHR_EAX_9, SCRATCH);
  put(w, w.enc.andByte('pending'), SCRATCH);
  put(w, w.enc.saveByte('check'), SCRATCH);
  put(w, back, SCRATCH);
  put(w, e.POPF);
  checkPending(w, 'check');
  return null;
};

const CONTROL_SLOTS: Readonly<Record<number, SlotName>> = { 0: 'cr0', 2: 'cr2', 3: 'cr3', 4: 'cr4', 8: 'cr8' };
const fromControl: Emit = (w) => {
  const slot = CONTROL_SLOTS[w.d.reg];
  if (!slot) return emulated(w);
  put(w, w.enc.restore(w.d.rm, slot));
  return null;
};

/** CR8: in place when it is a priority; the arithmetic flags wait in a slot. */
const toControl: Emit = (w) => {
  if (w.d.reg !== 8 || w.d.rm === e.RSP) return emulated(w);
  const value = w.d.rm === e.RAX ? w.enc.restore(e.RAX, 's0') : w.enc.moveRegister(e.RAX, w.d.rm);
  const finish = [w.enc.restore(e.RAX, 's1'), e.ADD_AL_7F, e.SAHF, w.enc.restore(e.RAX, 's0')];
  const length = finish.reduce((sum, one) => sum + one.length, 0);
  const store = w.enc.save('cr8', e.RAX);
  put(w, w.enc.save('s0', e.RAX));
  for (const bytes of [e.LAHF, e.SETO_AL, w.enc.save('s1', e.RAX), value, e.TEST_ABOVE_15, e.jz(length + 1)]) put(w, bytes, SCRATCH);
  for (const bytes of finish) put(w, bytes, SCRATCH);
  callout(w, 'emulate');
  for (const bytes of [store, ...finish]) put(w, bytes, SCRATCH);
  return 'SEQUENCE';
};

/** A word of the virtual processor's to a register, or 16 bits of it to memory. */
const fromSlot = (slot: SlotName): Emit => (w) => {
  const { d } = w;
  if (!d.memory) {
    put(w, w.enc.restoreSized(d.rm, slot, d.size));
    return null;
  }
  const both = undo([[e.RAX, 's0'], [e.RCX, 's1']]);
  address(w, both);
  put(w, w.enc.restore(e.RCX, slot), both);
  put(w, [...segmentPrefix(d), 0x66, 0x89, 0x08], both);
  return leave(w);
};

/** Limit and base: 10 bytes, of 32-bit code 6. */
const storeTable = (slot: 'gdt' | 'idt'): Emit => (w) => {
  const both = undo([[e.RAX, 's0'], [e.RCX, 's1']]);
  address(w, both);
  put(w, w.enc.restore(e.RCX, slot), both);
  const wide = w.enc.bits === 64;
  put(w, [...segmentPrefix(w.d), ...(wide ? [0x48] : []), 0x89, 0x08], both);
  put(w, w.enc.wordToCx(slot, wide ? 8 : 4), both);
  put(w, [...segmentPrefix(w.d), 0x66, 0x89, 0x48, wide ? 0x08 : 0x04], both);
  return leave(w);
};

const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
/** Of a store through rax in the place of the operand: 64-bit code has only FS and GS, in 32-bit code a base of ESP or EBP means SS. */
function segmentPrefix({ bits, segment, base }: Parts): number[] {
  if (bits === 64) return segment >= 4 ? [0x60 + segment] : [];
  const used = segment >= 0 ? segment : base === 4 || base === 5 ? 2 : -1;
  return used < 0 ? [] : [SEGMENT_PREFIXES[used]!];
}

/** The operand's offset to rax, with rax and rcx saved. */
function address(w: Writer, both: Undo): void {
  const { d } = w;
  put(w, w.enc.save('s0', e.RAX));
  put(w, w.enc.save('s1', e.RCX));
  if (d.ripRelative) return put(w, w.enc.moveImmediate(e.RAX, targetOf(w)), both);
  const operand = [d.modrm & 0xc7, ...d.bytes.subarray(d.at + 2, d.length)];
  put(w, [...(8 * d.addressSize !== d.bits ? [0x67] : []), ...(d.bits === 64 ? [0x48 | (d.rex & 3)] : []), 0x8d, ...operand], both);
}

function leave(w: Writer): null {
  put(w, w.enc.restore(e.RCX, 's1'));
  put(w, w.enc.restore(e.RAX, 's0'));
  return null;
}

// ---- which rule

const IDENT = rule('IDENT', ident);
const OUT = rule('CALLOUT', emulated);
const LAST = rule('CALLOUT', emulated, true);
const sequence = (emit: Emit): Rule => rule('SEQUENCE', emit);
const chain = (emit: Emit): Rule => rule('CHAIN', emit, true);

const JCC = chain(conditional);
const LOOPING = chain(looping);
const INDIRECT = rule('SEQUENCE', indirect, true);
const RET = rule('SEQUENCE', returns, true);
const FROM_CS = sequence(fromSlot('cs'));
const FROM_SS = sequence(fromSlot('ss'));

const ONE: Readonly<Record<number, Rule>> = {
  0xe8: chain(call), 0xe9: chain(jump), 0xeb: chain(jump), 0xc2: RET, 0xc3: RET, 0xe0: LOOPING, 0xe1: LOOPING, 0xe2: LOOPING, 0xe3: LOOPING,
  0xfa: sequence(clearInterrupts), 0xfb: sequence(setInterrupts), 0x9c: sequence(pushFlags), 0x9d: sequence(popFlags), 0xf4: OUT,
  0xcf: LAST, 0xca: LAST, 0xcb: LAST, 0xcc: LAST, 0xcd: LAST, 0xf1: LAST, 0x8e: OUT,
  ...Object.fromEntries([0x6c, 0x6d, 0x6e, 0x6f, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef].map((op) => [op, OUT])),
};
const TWO: Readonly<Record<number, Rule>> = {
  0x02: OUT, 0x03: OUT, 0x05: LAST, 0x06: OUT, 0x07: LAST, 0x08: OUT, 0x09: OUT, 0x20: sequence(fromControl), 0x21: OUT, 0x22: rule('CALLOUT', toControl), 0x23: OUT, 0x30: OUT, 0x32: OUT, 0x33: OUT, 0x34: LAST, 0x35: LAST,
  0xa1: OUT, 0xa2: OUT, 0xa9: OUT, 0xb2: OUT, 0xb4: OUT, 0xb5: OUT,
};
const GROUP6: readonly Rule[] = [sequence(fromSlot('ldt')), sequence(fromSlot('tr')), OUT, OUT, OUT, OUT];
const GROUP7: readonly Rule[] = [sequence(storeTable('gdt')), sequence(storeTable('idt')), OUT, OUT, sequence(fromSlot('cr0')), IDENT, OUT, OUT];
/** STAC, CLAC, SWAPGS; RDTSCP reads the real counter, which is the guest's. */
const NAMED = new Set([0xca, 0xcb, 0xf8]);

/** What 64-bit code has not: segments on the stack, far pointers, INTO. */
const SHORT: Readonly<Record<number, Rule>> = { 0x07: OUT, 0x0e: OUT, 0x16: OUT, 0x17: OUT, 0x1f: OUT, 0x9a: LAST, 0xc4: OUT, 0xc5: OUT, 0xce: LAST, 0xea: LAST };

/** Does the processor do it as it stands where the guest has it, in ring 1, without a difference? (Translated code must only write anew what counts places.) */
export function harmless(d: Parts): boolean {
  const { kind } = ruleFor(d);
  return kind === 'IDENT' || kind === 'CHAIN' || (d.map === 0 && (d.opcode === 0xff || d.opcode === 0xc2 || d.opcode === 0xc3) && kind === 'SEQUENCE');
}

export function ruleFor(d: Parts): Rule {
  const { map, opcode: op, reg, memory, modrm } = d;
  if (map === 0) {
    if (d.bits !== 64 && op in SHORT) return SHORT[op]!;
    if (op >= 0x70 && op <= 0x7f) return JCC;
    if (op === 0xff) return (reg & 7) === 2 || (reg & 7) === 4 ? INDIRECT : ((reg & 7) === 3 || (reg & 7) === 5) && memory ? LAST : IDENT;
    if (op === 0x8c) return (reg & 7) === 1 ? FROM_CS : (reg & 7) === 2 ? FROM_SS : IDENT;
    return ONE[op] ?? IDENT;
  }
  if (map === 2) return op === 0x82 ? OUT : IDENT;
  if (map !== 1) return IDENT;
  if (op >= 0x80 && op <= 0x8f) return JCC;
  if (op === 0x00) return GROUP6[reg & 7] ?? IDENT;
  if (op === 0x01) return memory ? GROUP7[reg & 7]! : modrm >= 0xe0 && modrm <= 0xe7 ? GROUP7[4]! : (modrm >= 0xf0 && modrm <= 0xf7) || NAMED.has(modrm) ? OUT : IDENT;
  return TWO[op] ?? IDENT;
}
