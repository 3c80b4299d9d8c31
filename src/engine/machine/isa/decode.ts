/**
 * From bytes to an instruction as a record, in 16-, 32- and 64-bit code: prefixes, the row of the instruction table that explains
 * the opcode, and operands as what they are. Whoever prints (objdump.ts) or asks for lengths reads this; no text is made here.
 * Of the forms of one opcode the operand size decides; an operand that is 64 bits wide without REX.W is as wide as the mode.
 * Source of the layout: SDM 2A 2.1-2.2. Left out: VEX and EVEX, everything that has no row (null).
 */
import type { Form } from './forms.ts';
import { INSTRUCTIONS, LEGACY_ONLY } from './table.ts';

export type Mode = 16 | 32 | 64;

export type DecodedOperand =
  | { kind: 'register'; group: 'general' | 'segment' | 'control' | 'debug'; number: number; size: number }
  /** `value` as the operation of `size` bytes sees it, sign extended where the form says so. */
  | { kind: 'immediate'; value: bigint; size: number }
  | { kind: 'memory'; base: number | null; index: number | null; scale: number; displacement: bigint; displacementSize: number; rip: boolean; sib: boolean; size: number }
  | { kind: 'offset'; address: bigint; size: number }
  | { kind: 'relative'; target: bigint }
  | { kind: 'far'; selector: number; offset: bigint }
  | { kind: 'one' };

export interface Decoded {
  address: bigint;
  length: number;
  mode: Mode;
  form: Form;
  mnemonic: string;
  operands: DecodedOperand[];
  /** Legacy prefixes in order, and REX (0: none). */
  prefixes: number[];
  rex: number;
  /** Effective sizes, bytes. */
  operandSize: 2 | 4 | 8;
  addressSize: 2 | 4 | 8;
  /** REX bits that meant something (W 8, R 4, X 2, B 1; 0x40: byte registers need it), and prefixes that did. */
  rexUsed: number;
  used: Set<number>;
  modrm: number | null;
  /** Where its parts lie, for whoever writes it anew: the opcode's last byte, the displacement of ModRM, what follows that (immediate, branch, offset). */
  at: { opcode: number; displacement: number; immediate: number };
}

const PREFIXES = new Set([0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65]);
const MEMORY = /^m\d*$/;
const RM = /^(r\/)?m\d*$/;
const GENERAL = /^r(\d+)x?$/;
const FIXED: Readonly<Record<string, [number, number]>> = { al: [0, 1], ax: [0, 2], eax: [0, 4], rax: [0, 8], cl: [1, 1], dx: [2, 2] };
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

/** Whose width is the mode's unless 66 makes it 16 bits. */
const STACK = /^(push|pop|call|jmp|ret|enter|leave|pushfq?|popfq?|pusha|popa)$/;
const CONDITIONAL = /^j(?!mp|r?cxz|ecxz)/;
const FAR = /^(retf|iret[dq]?)$/;
const REGISTER_SIZED = /^(smsw|sldt|str|lar|lsl)$/;

/** Rows that stand for every operand size with one form. */
const ANY_SIZE = /^(mov|test|shl|jmpf|callf|nop|lar|lsl|smsw|sldt|str|retf|bound|lss|lfs|lgs|les|lds|bswap|movsxd|movzx|movsx|cmpxchg8b|inc|dec)$/;

interface Entry {
  form: Form;
  mnemonic: string;
  /** What its notation says, worked out once: rows are asked for every byte that is read. */
  traits: Traits;
}

interface Traits {
  special: boolean;
  memoryOnly: boolean;
  hasRm: boolean;
  /** xchg with the accumulator: the register after it, and whether only another than eax. */
  exchange: boolean;
  other: boolean;
  twice: boolean;
  anySize: boolean;
  sized: boolean;
  selector: boolean;
  far: boolean;
  stack: boolean;
  conditional: boolean;
  wideInShort: boolean;
}

function traitsOf({ form, mnemonic }: { form: Form; mnemonic: string }): Traits {
  const { operands } = form;
  const special = operands.includes('cr') || operands.includes('dr');
  return {
    special, memoryOnly: operands.some((o) => MEMORY.test(o)), hasRm: operands.some((o) => RM.test(o)),
    exchange: form.mnemonic === 'xchg' && form.plus && /^r(16|32x)$/.test(operands.find((o) => o.startsWith('r')) ?? ''), other: operands.includes('r32x'),
    twice: form.mnemonic === 'imul' && operands.length === 2 && operands[1]!.startsWith('imm'),
    anySize: ANY_SIZE.test(mnemonic) && !form.w && !form.o16 && !special, sized: operands.some((o) => /64$|^r\/m32$|^eax$|^ptr$|^m$|^r32$|^sreg$/.test(o)),
    selector: operands.includes('r/m16') && REGISTER_SIZED.test(mnemonic), far: FAR.test(mnemonic), stack: STACK.test(mnemonic), conditional: CONDITIONAL.test(mnemonic) && operands[0] !== 'rel8',
    wideInShort: operands.some((o) => /^(r|r\/m|imm|rel)(32|64)|^eax$/.test(o)) && !special,
  };
}

/** The form that was chosen, and whether REX.W or 66 would have chosen another. */
interface Choice extends Entry {
  wide: boolean;
  narrow: boolean;
}

/** `length` bytes of an opcode as a number. */
const keyOf = (bytes: ArrayLike<number>, at: number, length: number): number => (length << 24) | bytes[at]! | (length > 1 ? bytes[at + 1]! << 8 : 0) | (length > 2 ? bytes[at + 2]! << 16 : 0);

/** By opcode; forms with a register in the opcode stand under each of the eight. */
const LONG = index([...INSTRUCTIONS.values()].flatMap((one) => one.forms.map((form) => ({ form, mnemonic: one.mnemonic }))));
const LEGACY = index(LEGACY_ONLY.flatMap((one) => one.forms.map((form) => ({ form, mnemonic: one.mnemonic }))));
/** Of 16- and 32-bit code: its own first. */
const SHORT = new Map([...new Set([...LEGACY.keys(), ...LONG.keys()])].map((key) => [key, [...(LEGACY.get(key) ?? []), ...(LONG.get(key) ?? [])]]));
for (const [key, list] of LONG) LONG.set(key, list.filter(allowed64));

function index(rows: readonly { form: Form; mnemonic: string }[]): Map<number, Entry[]> {
  const out = new Map<number, Entry[]>();
  for (const row of rows) {
    const { form } = row;
    const last = form.opcode.at(-1)!;
    const entry: Entry = { ...row, traits: traitsOf(row) };
    for (const code of form.plus ? [0, 1, 2, 3, 4, 5, 6, 7].map((n) => last + n) : [last]) {
      const key = keyOf([...form.opcode.slice(0, -1), code], 0, form.opcode.length);
      const list = out.get(key) ?? [];
      if (list.length === 0) out.set(key, list);
      list.push(entry);
    }
  }
  return out;
}

/** Null: no row explains these bytes, or there are too few of them. Reads at most 15. */
export function decode(code: Uint8Array, address: bigint, mode: Mode): Decoded | null {
  const bytes = code.subarray(0, 15);
  const prefixes: number[] = [];
  let at = 0;
  while (at < bytes.length && PREFIXES.has(bytes[at]!)) prefixes.push(bytes[at++]!);
  const rex = mode === 64 && ((bytes[at] ?? 0) & 0xf0) === 0x40 ? bytes[at++]! : 0;
  const o16 = prefixes.includes(0x66);
  const a16 = prefixes.includes(0x67);
  const operandSize = rex & 8 ? 8 : mode === 16 ? (o16 ? 4 : 2) : o16 ? 2 : 4;
  const addressSize = mode === 64 ? (a16 ? 4 : 8) : (mode === 16) === a16 ? 4 : 2;
  const draft: Draft = { bytes, address, mode, prefixes, rex, operandSize, addressSize, at };
  for (let length = Math.min(3, bytes.length - at); length > 0; length--) {
    const entries = (mode === 64 ? LONG : SHORT).get(keyOf(bytes, at, length));
    const found = entries ? choose(entries, draft, at + length) : null;
    if (found) return finish(found, draft, at + length);
  }
  return null;
}

interface Draft {
  bytes: Uint8Array;
  address: bigint;
  mode: Mode;
  prefixes: number[];
  rex: number;
  operandSize: 2 | 4 | 8;
  addressSize: 2 | 4 | 8;
  at: number;
}

function allowed64({ form }: Entry): boolean {
  return !(form.opcode.length === 1 && form.opcode[0]! >= 0x40 && form.opcode[0]! < 0x50);
}

/** The form that the prefixes, ModRM and the operand size leave. */
function choose(entries: readonly Entry[], draft: Draft, at: number): Choice | null {
  const modrm = draft.bytes[at];
  let fitting: Entry[] = [];
  let most = 0;
  for (const entry of entries) {
    if (!fits(entry, draft, modrm, at)) continue;
    const { length } = entry.form.mandatory;
    if (length > most) fitting = [];
    else if (length < most) continue;
    most = length;
    fitting.push(entry);
  }
  const wide = draft.operandSize === 8 ? fitting.find(({ form }) => form.w) : undefined;
  const narrow = draft.operandSize === 2 ? fitting.find(({ form }) => form.o16) : undefined;
  const found = wide ?? narrow ?? fitting.find(({ form }) => !form.w && !form.o16);
  return found ? sizesOf(found, fitting, draft, modrm) : null;
}

function fits({ form, mnemonic, traits }: Entry, draft: Draft, modrm: number | undefined, at: number): boolean {
  for (const byte of form.mandatory) if (!draft.prefixes.includes(byte)) return false;
  if (draft.mode !== 64 && (form.w || mnemonic === 'syscall64')) return false;
  if (traits.twice) return false;
  if (traits.exchange && (draft.bytes[at - 1]! & 7) === 0 && (draft.rex & 1) === 0 && (traits.other ? draft.operandSize !== 4 || draft.mode !== 16 : draft.mode === 16)) return false;
  if (form.modrm === null) return true;
  if (modrm === undefined) return false;
  if (typeof form.modrm === 'number' && ((modrm >> 3) & 7) !== form.modrm) return false;
  return modrm >= 0xc0 ? !traits.memoryOnly : traits.special || traits.hasRm;
}

function sizesOf(found: Entry, fitting: readonly Entry[], { mode }: Draft, modrm: number | undefined): Choice {
  const { form, mnemonic, traits } = found;
  const register = (modrm ?? 0) >= 0xc0;
  const near = mode === 16 && form.operands[0] === 'rel8';
  const any = traits.anySize && (mnemonic !== 'mov' || register || !form.operands.includes('sreg')) && (traits.sized || (traits.selector && register));
  const narrow = (any && !(form.operands.includes('al') || (mode === 16 && form.operands.includes('rel8'))) && !(mnemonic === 'movsxd' && mode !== 64))
    || traits.far || (traits.stack && !near) || (mode === 32 && traits.conditional) || (mode === 16 && traits.wideInShort) || fitting.some((one) => one.form.o16);
  return { ...found, wide: any || traits.far || fitting.some((one) => one.form.w), narrow };
}

function finish({ form, mnemonic, wide, narrow }: Choice, draft: Draft, from: number): Decoded | null {
  const reader: Reader = { bytes: draft.bytes, at: from, short: false };
  const out: Decoded = {
    address: draft.address, length: 0, mode: draft.mode, form, mnemonic, operands: [], prefixes: draft.prefixes, rex: draft.rex, operandSize: draft.operandSize, addressSize: draft.addressSize,
    rexUsed: 0, used: new Set(form.mandatory), modrm: form.modrm === null ? null : (draft.bytes[from] ?? null), at: { opcode: from - 1, displacement: 0, immediate: 0 },
  };
  const rm = form.modrm === null ? null : readRm(out, reader);
  out.at.immediate = reader.at;
  out.at.displacement = reader.at - (rm && 'kind' in rm ? rm.displacementSize : 0);
  const low = draft.bytes[from - 1]! & 7;
  for (const kind of form.operands) out.operands.push(operand(kind, out, reader, rm, low));
  if (/^((movs|cmps|stos|lods|scas|ins|outs)[bwdq]|xlatb|j[er]?cxz|loop\w*)$/.test(mnemonic)) out.used.add(0x67);
  if (out.rex & 8 && wide) out.rexUsed |= 8;
  if (out.prefixes.includes(0x66) && narrow && !(out.rex & 8)) out.used.add(0x66);
  if (reader.short) return null;
  out.length = reader.at;
  for (const one of out.operands) {
    if (one.kind !== 'relative') continue;
    const end = out.address + BigInt(out.length);
    const width = out.mode === 64 ? 64 : out.operandSize === 2 && (out.mode === 16 || !form.operands.includes('rel8')) ? 16 : 32;
    one.target = BigInt.asUintN(width, end + one.target);
  }
  return out;
}

interface Reader {
  bytes: Uint8Array;
  at: number;
  short: boolean;
}

function signed(reader: Reader, size: number): bigint {
  let n = 0n;
  for (let i = 0; i < size; i++) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined) reader.short = true;
    n |= BigInt(byte ?? 0) << BigInt(8 * i);
  }
  return BigInt.asIntN(size * 8, n);
}

type Place = { register: number } | Extract<DecodedOperand, { kind: 'memory' }>;

/** ModRM with what follows it. */
function readRm(out: Decoded, reader: Reader): Place {
  const modrm = reader.bytes[reader.at++];
  if (modrm === undefined) reader.short = true;
  const value = modrm ?? 0;
  out.modrm = value;
  if (value >= 0xc0 || out.form.operands.includes('cr') || out.form.operands.includes('dr')) {
    return { register: (value & 7) | (out.rex & 1 ? 8 : 0) };
  }
  const place = out.addressSize === 2 ? memory16(value, reader) : memory32(out, value, reader);
  if (out.prefixes.includes(0x67) && (out.mode !== 16 || !('kind' in place) || place.base !== null || place.index !== null)) out.used.add(0x67);
  return place;
}

const PAIRS: readonly (readonly [number | null, number | null])[] = [[3, 6], [3, 7], [5, 6], [5, 7], [6, null], [7, null], [5, null], [3, null]];

function memory16(modrm: number, reader: Reader): Place {
  const mod = modrm >> 6;
  const direct = mod === 0 && (modrm & 7) === 6;
  const [base, index] = direct ? [null, null] : PAIRS[modrm & 7]!;
  const displacementSize = direct || mod === 2 ? 2 : mod;
  return { kind: 'memory', base, index, scale: 1, displacement: signed(reader, displacementSize), displacementSize, rip: false, sib: false, size: 0 };
}

function memory32(out: Decoded, modrm: number, reader: Reader): Place {
  const mod = modrm >> 6;
  const low = modrm & 7;
  const high = out.rex & 1 ? 8 : 0;
  out.rexUsed |= 1;
  if (low !== 4) {
    const bare = mod === 0 && low === 5;
    const displacementSize = bare || mod === 2 ? 4 : mod;
    return { kind: 'memory', base: bare ? null : low | high, index: null, scale: 1, displacement: signed(reader, displacementSize), displacementSize, rip: bare && out.mode === 64, sib: false, size: 0 };
  }
  const sib = reader.bytes[reader.at++];
  if (sib === undefined) reader.short = true;
  out.rexUsed |= 2;
  const base = (sib ?? 0) & 7;
  const index = (((sib ?? 0) >> 3) & 7) | (out.rex & 2 ? 8 : 0);
  const bare = mod === 0 && base === 5;
  const displacementSize = bare || mod === 2 ? 4 : mod;
  return { kind: 'memory', base: bare ? null : base | high, index: index === 4 ? null : index, scale: 1 << ((sib ?? 0) >> 6), displacement: signed(reader, displacementSize), displacementSize, rip: false, sib: true, size: 0 };
}

/** Bytes of an operand whose kind names so many bits. */
function width(out: Decoded, bits: number, kind: string): number {
  const { form } = out;
  if (kind === 'm64' && /^(vm|cmpxchg8b)/.test(out.mnemonic)) return 8;
  if (/^(lar|lsl)$/.test(out.mnemonic) && kind.startsWith('r/m') && (out.modrm ?? 0) < 0xc0) return 2;
  if (REGISTER_SIZED.test(out.mnemonic) && (bits === 32 || kind === 'r/m16') && (out.modrm ?? 0) >= 0xc0) return out.operandSize === 8 && kind === 'r/m16' && /^la|^ls/.test(out.mnemonic) ? 4 : out.operandSize;
  if (ANY_SIZE.test(out.mnemonic) && kind === 'r32') return out.operandSize;
  if (ANY_SIZE.test(out.mnemonic) && (bits === 64 || out.mnemonic === 'nop') && !form.w && !form.operands.includes('cr') && !form.operands.includes('dr')) return out.operandSize;
  if (bits === 64 && !form.w) return out.mode === 64 ? (form.o16 || (STACK.test(out.mnemonic) && out.operandSize === 2) ? 2 : 8) : /^(vm|inv)/.test(out.mnemonic) || out.form.operands.includes('cr') || out.form.operands.includes('dr') ? 4 : out.operandSize;
  if (bits === 32 && !form.o16 && !form.w && out.operandSize === 2 && !/^(movzx|movsx|movsxd)$/.test(out.mnemonic)) return 2;
  return bits / 8;
}

const form64 = ({ mnemonic }: Decoded): boolean => mnemonic === 'mov';

function operand(kind: string, out: Decoded, reader: Reader, rm: Place | null, low: number): DecodedOperand {
  const fixed = FIXED[kind];
  if (fixed) return { kind: 'register', group: 'general', number: fixed[0], size: kind === 'eax' ? (form64(out) ? out.operandSize : Math.min(4, out.operandSize)) : fixed[1] };
  if (SEGMENTS.includes(kind)) return { kind: 'register', group: 'segment', number: SEGMENTS.indexOf(kind), size: 2 };
  if (kind === '1') return { kind: 'one' };
  const reg = ((out.modrm ?? 0) >> 3) & 7;
  if (kind === 'sreg') return { kind: 'register', group: 'segment', number: reg, size: 2 };
  if (kind === 'cr' || kind === 'dr') {
    out.rexUsed |= 4;
    return { kind: 'register', group: kind === 'cr' ? 'control' : 'debug', number: reg | (out.rex & 4 ? 8 : 0), size: 8 };
  }
  if (kind === 'moffs') return { kind: 'offset', address: BigInt.asUintN(8 * out.addressSize, signed(reader, out.addressSize)), size: 0 };
  if (kind === 'ptr') {
    const offset = BigInt.asUintN(8 * out.operandSize, signed(reader, out.operandSize));
    return { kind: 'far', offset, selector: Number(BigInt.asUintN(16, signed(reader, 2))) };
  }
  if (kind.startsWith('rel')) return { kind: 'relative', target: signed(reader, kind === 'rel8' ? 1 : out.operandSize === 2 && out.mode !== 64 ? 2 : 4) };
  if (kind.startsWith('imm')) return immediate(kind, out, reader);
  const memory = RM.exec(kind);
  const bits = Number(/\d+/.exec(kind)?.[0] ?? 0);
  if (memory && rm && 'kind' in rm) return { ...rm, size: bits === 0 ? 0 : width(out, bits, kind) };
  const size = out.form.operands.includes('sreg') ? out.operandSize : width(out, bits, kind);
  if (memory || (rm && GENERAL.test(kind) && isRm(out.form, kind))) return general(out, (rm as { register: number }).register, size, 1);
  if (out.form.plus) return general(out, low | (out.rex & 1 ? 8 : 0), size, 1);
  return general(out, reg | (out.rex & 4 ? 8 : 0), size, 4);
}

/** A plain register that stands in ModRM.rm: the one beside a segment, control or debug register. */
const isRm = (form: Form, kind: string): boolean => GENERAL.test(kind) && (typeof form.modrm === 'number' || form.operands.some((o) => o === 'cr' || o === 'dr' || o === 'sreg'));

function general(out: Decoded, number: number, size: number, bit: number): DecodedOperand {
  out.rexUsed |= bit | (size === 1 && number >= 4 && number < 8 ? 0x40 : 0);
  return { kind: 'register', group: 'general', number, size };
}

function immediate(kind: string, out: Decoded, reader: Reader): DecodedOperand {
  const { form } = out;
  const bits = Number(/\d+/.exec(kind)![0]);
  const encoded = bits === 32 && out.operandSize === 2 && !form.w ? 2 : bits / 8;
  const value = signed(reader, encoded);
  const size = form.w || (ANY_SIZE.test(out.mnemonic) && out.operandSize === 8 && bits === 32) ? 8 : form.operands.length === 1 && /s$/.test(kind) ? (out.mode === 64 ? (form.o16 || out.operandSize === 2 ? 2 : 8) : out.operandSize) : kind === 'imm8s' ? out.operandSize : encoded;
  return { kind: 'immediate', value: BigInt.asUintN(8 * (kind === 'imm8' ? 1 : size), value), size };
}
