/**
 * How each kind of guest instruction is translated. The rules are Adams and Agesen's (ASPLOS 2006, section 3.2) for 64-bit code:
 * IDENT for what is innocuous; RIP-relative operands against the cache; calls that push the guest's return address; returns and
 * indirect jumps by lookup; sequences for flags, tables and status that the virtual processor's page answers; callouts for the rest.
 */
import type { SlotName } from './deprivilege-area.ts';
import type { Decoded } from './deprivilege-decode.ts';
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
  put(w, e.save('s0', reg));
  put(w, e.moveImmediate(reg, targetOf(w)), back);
  put(w, throughRegister(d, reg), back);
  put(w, e.restore(reg, 's0'), null);
  return 'SEQUENCE';
}

/** ModRM with [reg] instead of the displacement; REX.B is rsi's and rdi's: clear. */
function throughRegister(d: Decoded, reg: number): number[] {
  const modrmAt = d.at + 1;
  const out = [...d.bytes.subarray(0, modrmAt), (d.modrm & 0x38) | reg, ...d.bytes.subarray(d.displacementAt + 4)];
  const rexAt = d.at - (d.map === 0 ? 1 : d.map === 1 ? 2 : 3);
  if (d.rex !== 0) out[rexAt] = d.rex & ~1;
  return out;
}

// ---- control flow

const direct = (w: Writer): bigint => BigInt.asUintN(64, w.next + w.d.immediate);

const jump: Emit = (w) => {
  tail(w.draft, direct(w));
  return null;
};

const conditional: Emit = (w) => {
  const condition = w.d.opcode & 15;
  put(w, [0x0f, 0x80 | condition, 0, 0, 0, 0]);
  w.draft.exits.push({ at: w.draft.bytes.length - 4, form: 'branch', target: direct(w) });
  tail(w.draft, w.next);
  return null;
};

/** LOOP and JRCXZ reach 8 bits only: over a jump of 32. */
const looping: Emit = (w) => {
  put(w, [...(w.d.narrow ? [0x67] : []), w.d.opcode, 2]);
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
  const after = undo(before?.registers ?? [], 8);
  if (!e.fits32(w.next)) put(w, e.upperTop(Number(BigInt.asIntN(32, w.next >> 32n))), after);
  return after;
}

const call: Emit = (w) => {
  pushReturn(w, null);
  tail(w.draft, direct(w));
  return null;
};

const toLookup = (w: Writer, before: Undo): void => put(w, e.jump32(Number(BigInt.asIntN(32, w.draft.lookup - (here(w) + 5n)))), before);

const returns: Emit = (w) => {
  if (w.d.o16) return emulated(w);
  const extra = w.d.opcode === 0xc2 ? Number(BigInt.asUintN(16, w.d.immediate)) : 0;
  put(w, e.save('s0', e.RAX));
  put(w, e.TOP_TO_RAX, SCRATCH);
  put(w, e.dropStack(8 + extra), SCRATCH);
  toLookup(w, undo(SCRATCH.registers, -(8 + extra)));
  return null;
};

/** JMP and CALL through a register or memory. */
const indirect: Emit = (w) => {
  put(w, e.save('s0', e.RAX));
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
  const bytes = [...prefixes, 0x48 | (d.rex & 3), 0x8b, ...operand];
  if (!d.ripRelative || !d.memory) return put(w, bytes, SCRATCH);
  const near = moved(w, bytes, bytes.length - 4, bytes.length);
  if (near) return put(w, near, SCRATCH);
  put(w, e.moveImmediate(e.RAX, targetOf(w)), SCRATCH);
  put(w, [...prefixes, 0x48, 0x8b, 0x00], SCRATCH);
}

// ---- calls to the monitor

const emulated = (w: Writer): 'CALLOUT' => {
  callout(w, 'emulate');
  return 'CALLOUT';
};

// ---- sequences

/** A byte of the page says whether an interrupt is to be taken now. Without flags: only RCX is looked at. */
function checkPending(w: Writer, slot: SlotName): void {
  const back = e.restore(e.RCX, 's0');
  put(w, e.save('s0', e.RCX));
  put(w, e.byteToCx(slot));
  put(w, e.jrcxz(back.length + 1));
  put(w, back);
  callout(w, 'pending', w.next);
  put(w, back);
}

const clearInterrupts: Emit = (w) => {
  put(w, e.putByte('interrupts', 1, 0));
  return null;
};

const setInterrupts: Emit = (w) => {
  put(w, e.putByte('interrupts', 1, 2));
  checkPending(w, 'pending');
  return null;
};

/** Real IF is 1 and real IOPL 0: the difference is added without touching a flag. */
const pushFlags: Emit = (w) => {
  if (w.d.o16) return emulated(w);
  const both = undo([[e.RAX, 's0'], [e.RCX, 's1']], 8);
  put(w, e.PUSHFQ);
  put(w, e.save('s0', e.RAX), undo([], 8));
  put(w, e.save('s1', e.RCX), undo([], 8));
  put(w, e.TOP_TO_RAX, both);
  put(w, e.restore(e.RCX, 'interrupts'), both);
  put(w, e.sumToRax(-0x200), both);
  put(w, e.restore(e.RCX, 'iopl'), both);
  put(w, e.sumToRax(0), both);
  put(w, e.RAX_TO_TOP, both);
  put(w, e.restore(e.RCX, 's1'));
  put(w, e.restore(e.RAX, 's0'));
  return null;
};

/** Flags are free until the real POPF sets them; the real one leaves IF and IOPL alone. TF is the monitor's business. */
const popFlags: Emit = (w) => {
  if (w.d.o16) return emulated(w);
  const back = e.restore(e.RAX, 's0');
  put(w, e.save('s0', e.RAX));
  put(w, e.TOP_TO_RAX, SCRATCH);
  put(w, e.save('s1', e.RAX), SCRATCH);
  put(w, e.test32(0x100), SCRATCH);
  put(w, e.jz(back.length + 1), SCRATCH);
  put(w, back, SCRATCH);
  callout(w, 'emulate');
  for (const [slot, mask] of [['iopl', 0x3000], ['interrupts', 0x200]] as const) {
    put(w, e.restore(e.RAX, 's1'), SCRATCH);
    put(w, e.and32(mask), SCRATCH);
    put(w, e.save(slot, e.RAX), SCRATCH);
  }
  put(w, e.SHR_EAX_9, SCRATCH);
  put(w, e.andByte('pending'), SCRATCH);
  put(w, e.saveByte('check'), SCRATCH);
  put(w, back, SCRATCH);
  put(w, e.POPFQ);
  checkPending(w, 'check');
  return null;
};

const CONTROL_SLOTS: Readonly<Record<number, SlotName>> = { 0: 'cr0', 2: 'cr2', 3: 'cr3', 4: 'cr4', 8: 'cr8' };
const fromControl: Emit = (w) => {
  const slot = CONTROL_SLOTS[w.d.reg];
  if (!slot) return emulated(w);
  put(w, e.restore(w.d.rm, slot));
  return null;
};

/** CR8: in place when it is a priority; the arithmetic flags wait in a slot. */
const toControl: Emit = (w) => {
  if (w.d.reg !== 8 || w.d.rm === e.RSP) return emulated(w);
  const value = w.d.rm === e.RAX ? e.restore(e.RAX, 's0') : e.moveRegister(e.RAX, w.d.rm);
  const finish = [e.restore(e.RAX, 's1'), e.ADD_AL_7F, e.SAHF, e.restore(e.RAX, 's0')];
  const length = finish.reduce((sum, one) => sum + one.length, 0);
  const store = e.save('cr8', e.RAX);
  put(w, e.save('s0', e.RAX));
  for (const bytes of [e.LAHF, e.SETO_AL, e.save('s1', e.RAX), value, e.TEST_ABOVE_15, e.jz(length + 1)]) put(w, bytes, SCRATCH);
  for (const bytes of finish) put(w, bytes, SCRATCH);
  callout(w, 'emulate');
  for (const bytes of [store, ...finish]) put(w, bytes, SCRATCH);
  return 'SEQUENCE';
};

/** A word of the virtual processor's to a register, or 16 bits of it to memory. */
const fromSlot = (slot: SlotName): Emit => (w) => {
  const { d } = w;
  if (!d.memory) {
    put(w, e.restoreSized(d.rm, slot, d.size));
    return null;
  }
  const both = undo([[e.RAX, 's0'], [e.RCX, 's1']]);
  address(w, both);
  put(w, e.restore(e.RCX, slot), both);
  put(w, [...segmentPrefix(d), 0x66, 0x89, 0x08], both);
  return leave(w);
};

/** Limit and base: 10 bytes. */
const storeTable = (slot: 'gdt' | 'idt'): Emit => (w) => {
  const both = undo([[e.RAX, 's0'], [e.RCX, 's1']]);
  address(w, both);
  put(w, e.restore(e.RCX, slot), both);
  put(w, [...segmentPrefix(w.d), 0x48, 0x89, 0x08], both);
  put(w, e.wordToCx(slot, 8), both);
  put(w, [...segmentPrefix(w.d), 0x66, 0x89, 0x48, 0x08], both);
  return leave(w);
};

const segmentPrefix = (d: Decoded): number[] => (d.segment >= 4 ? [0x60 + d.segment] : []);

/** The operand's offset to rax, with rax and rcx saved. */
function address(w: Writer, both: Undo): void {
  const { d } = w;
  put(w, e.save('s0', e.RAX));
  put(w, e.save('s1', e.RCX));
  if (d.ripRelative) return put(w, e.moveImmediate(e.RAX, targetOf(w)), both);
  const operand = [d.modrm & 0xc7, ...d.bytes.subarray(d.at + 2, d.length)];
  put(w, [...(d.narrow ? [0x67] : []), 0x48 | (d.rex & 3), 0x8d, ...operand], both);
}

function leave(w: Writer): null {
  put(w, e.restore(e.RCX, 's1'));
  put(w, e.restore(e.RAX, 's0'));
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
  0x02: OUT, 0x03: OUT, 0x05: LAST, 0x06: OUT, 0x07: LAST, 0x08: OUT, 0x09: OUT, 0x20: sequence(fromControl), 0x21: OUT, 0x22: rule('CALLOUT', toControl), 0x23: OUT, 0x30: OUT, 0x32: OUT, 0x33: OUT,
  0xa1: OUT, 0xa2: OUT, 0xa9: OUT, 0xb2: OUT, 0xb4: OUT, 0xb5: OUT,
};
const GROUP6: readonly Rule[] = [sequence(fromSlot('ldt')), sequence(fromSlot('tr')), OUT, OUT, OUT, OUT];
const GROUP7: readonly Rule[] = [sequence(storeTable('gdt')), sequence(storeTable('idt')), OUT, OUT, sequence(fromSlot('cr0')), IDENT, OUT, OUT];
/** STAC, CLAC, SWAPGS; RDTSCP reads the real counter, which is the guest's. */
const NAMED = new Set([0xca, 0xcb, 0xf8]);

export function ruleFor(d: Decoded): Rule {
  const { map, opcode: op, reg, memory, modrm } = d;
  if (map === 0) {
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
