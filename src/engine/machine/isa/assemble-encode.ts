/**
 * From an instruction with its operands to bytes in 16-, 32- or 64-bit code: the first of the shortest forms in the instruction
 * table that fits. Which of two encodings is taken, and in which words none is, follows NASM at its default optimization.
 * Source of the layout: SDM 2A 2.1-2.2 (prefixes, REX). Left out: VEX and EVEX.
 */
import { AssemblyError } from './assemble-expression.ts';
import { type Bits, type ImmediateOperand, IMPOSSIBLE, inSigned, little, type Operand, place } from './assemble-operand.ts';
import { FORMS, type Form, type OperandKind } from './forms.ts';

export interface Context {
  /** Address of the instruction's first byte. */
  here: bigint;
  bits: Bits;
  defaultRel: boolean;
  prefixes: readonly number[];
  /** Sizes that prefixes written before the instruction ask for, bytes; 0: none. */
  operandSize?: number;
  addressSize?: number;
  /** Told what does not fit and is cut off. */
  warn?: (text: string) => void;
}

const PREFIXES: ReadonlyMap<string, number> = new Map([['lock', 0xf0], ['rep', 0xf3], ['repe', 0xf3], ['repz', 0xf3], ['repne', 0xf2], ['repnz', 0xf2]]);
export const prefixByte = (name: string): number | undefined => PREFIXES.get(name);

/** The bytes of one instruction; throws AssemblyError when no form takes these operands. */
export function encode(mnemonic: string, given: readonly Operand[], context: Context, column: number): number[] {
  const operands = adapted(mnemonic, given, context);
  try {
    return shortest(mnemonic, operands, context, column);
  } catch (error) {
    // where all else fits, an address that no code of this size has is complained of twice
    if (!(error instanceof AssemblyError) || error.message !== IMPOSSIBLE || context.addressSize) throw error;
    const sizes = candidates(mnemonic, operands, context.bits).reduce((sum, form) => (matches(form, operands, context) === Fit.yes ? sum | 16 | ambiguity(form, operands) : sum), 0) & 31;
    throw sizes > 0 && (sizes & 15 & ((sizes & 15) - 1)) === 0 ? new AssemblyError(error.column, `${IMPOSSIBLE}\ninvalid ${context.bits}-bit effective address`) : error;
  }
}

function shortest(mnemonic: string, operands: readonly Operand[], context: Context, column: number): number[] {
  let best: number[] | null = null;
  let complaints: string[] = [];
  let sizes = 0;
  for (const form of candidates(mnemonic, operands, context.bits)) {
    if (matches(form, operands, context) !== Fit.yes) continue;
    sizes |= ambiguity(form, operands);
    const told: string[] = [];
    const bytes = emit(form, operands, context, told);
    if (best && bytes.length >= best.length) continue;
    best = bytes;
    complaints = told;
  }
  if (!best) throw refusal(mnemonic, operands, context, column);
  if ((sizes & (sizes - 1)) !== 0) throw new AssemblyError(column, 'operation size not specified', true);
  if (context.warn) for (const text of complaints) context.warn(text);
  return best;
}

/** Why no form takes these operands: what comes nearest decides. */
function refusal(mnemonic: string, operands: readonly Operand[], context: Context, column: number): AssemblyError {
  const forms = FORMS.get(mnemonic);
  if (!forms) return new AssemblyError(column, 'parser: instruction expected');
  for (const one of operands) if (one.kind === 'memory') place(one, 0, context.bits, false, context.addressSize ?? 0, true);
  const fit = Math.max(...forms.map((form) => matches(form, operands, context)));
  return new AssemblyError(column, fit === Fit.mode ? `instruction not supported in ${context.bits}-bit mode` : fit === Fit.size ? 'mismatch in operand sizes' : 'invalid combination of opcode and operands', true);
}

const CANDIDATES = new Map<string, readonly Form[]>();

/** Forms that operands of these kinds may have at all, found once for each combination. */
function candidates(mnemonic: string, operands: readonly Operand[], bits: Bits): readonly Form[] {
  let key = mnemonic + bits;
  for (const operand of operands) key += operand.kind === 'register' ? ` ${operand.name}${operand.size}` : operand.kind === 'memory' ? ` m${operand.size ?? ''}` : operand.kind === 'far' ? ' f' : ' i';
  let found = CANDIDATES.get(key);
  if (!found) {
    found = (FORMS.get(mnemonic) ?? []).filter((form) => (bits === 64 ? form.long : form.legacy) && form.kinds.length === operands.length && operands.every((operand, i) => may(form.kinds[i]!, operand, form, bits)));
    CANDIDATES.set(key, found);
  }
  return found;
}

const PLACES = new Set<OperandKind['of']>(['rm', 'memory', 'far', 'moffs']);
const NUMBERS = new Set<OperandKind['of']>(['relative', 'immediate', 'one']);

function may(kind: OperandKind, operand: Operand, form: Form, bits: Bits): boolean {
  if (operand.kind === 'register') return fits(kind, operand, form, bits, null) === Fit.yes;
  if (operand.kind === 'memory') return PLACES.has(kind.of) && (kind.size <= 0 || operand.size === null || operand.size === kind.size || kind.of === 'far');
  return operand.kind === 'far' ? kind.of === 'ptr' : NUMBERS.has(kind.of);
}

/** What NASM takes for granted before it looks for a form. */
function adapted(mnemonic: string, operands: readonly Operand[], { bits }: Context): readonly Operand[] {
  const [to, from] = operands;
  if (mnemonic === 'mov' && bits === 64 && widensToDword(to, from)) return [{ ...to, size: 4 } as Operand, { ...from, size: null } as Operand];
  if (mnemonic === 'push' && bits !== 64 && to?.kind === 'immediate' && to.size === null) return [{ ...to, size: bits === 16 ? 2 : 4 }];
  return operands;
}

/** NASM writes a 64-bit register with an unsigned 32-bit constant as the 32-bit move, which clears the upper half. */
function widensToDword(to: Operand | undefined, from: Operand | undefined): boolean {
  if (to?.kind !== 'register' || to.group !== 'general' || to.size !== 8 || from?.kind !== 'immediate') return false;
  if (from.strict || (from.size !== null && from.size !== 8) || from.value.addresses !== 0) return false;
  return BigInt.asUintN(64, from.value.n) <= 0xffffffffn;
}

/** Bytes of the memory operand that the form supposes, when nothing written says so; 0: it is said. */
function ambiguity(form: Form, operands: readonly Operand[]): number {
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i]!;
    if (operand.kind !== 'memory' || operand.size !== null || operands.some((one) => one.kind === 'immediate' && one.size !== null && !STATED.test(form.mnemonic))) continue;
    if (!form.mixed && form.kinds.some((kind, j) => j !== i && operands[j]!.kind === 'register' && tellsSize(kind))) return 0;
    const { of, size } = form.kinds[i]!;
    if (of === 'rm' || of === 'memory') return Math.max(0, size);
  }
  return 0;
}
const tellsSize = ({ of, name }: OperandKind): boolean => of === 'general' || of === 'rm' || of === 'segment' || (of === 'fixed' && /^(al|ax|eax|rax)$/.test(name));

/** In NASM's order of what it complains of. */
const Fit = { no: 0, size: 1, mode: 2, yes: 3 } as const;
type Fit = (typeof Fit)[keyof typeof Fit];

function matches(form: Form, operands: readonly Operand[], context: Context): Fit {
  if (form.kinds.length !== operands.length) return Fit.no;
  let worst: Fit = Fit.yes;
  for (let i = 0; i < operands.length; i++) {
    const fit = fits(form.kinds[i]!, operands[i]!, form, context.bits, context);
    if (fit === Fit.no) return fit;
    if (fit < worst) worst = fit;
  }
  if (worst === Fit.yes && operands.length === 2 && !agree(form, operands)) return Fit.size;
  return worst === Fit.yes && !(context.bits === 64 ? form.long : form.legacy) ? Fit.mode : worst;
}

/** A number's written size is that of the operand in memory beside it that has none. */
function agree(form: Form, [to, from]: readonly Operand[]): boolean {
  if (to?.kind !== 'memory' || to.size !== null || from?.kind !== 'immediate' || from.size === null || STATED.test(form.mnemonic)) return true;
  return form.kinds[0]!.size === from.size;
}

const when = (truth: boolean): Fit => (truth ? Fit.yes : Fit.no);
const sized = (given: number | null, size: number): Fit => (given === null || given === size ? Fit.yes : Fit.size);

function fits(kind: OperandKind, operand: Operand, form: Form, bits: Bits, context: Context | null): Fit {
  switch (operand.kind) {
    case 'register':
      switch (kind.of) {
        case 'general': return when(operand.group === 'general' && operand.size === kind.size && !(kind.name === 'r32x' && operand.number === 0 && bits === 64));
        case 'rm': return when(operand.group === 'general' && operand.size === kind.size);
        case 'fixed': return when(operand.name === kind.name);
        default: return when(operand.group === kind.of);
      }
    case 'memory':
      switch (kind.of) {
        case 'rm': case 'memory':
          if (operand.far || (operand.displacement === 8 && bits === 64 && operand.value.registers.length === 0)) return Fit.no;
          if (BRANCH.test(form.mnemonic) && operand.size === null) return when(kind.size * 8 === bits);
          if (operand.size !== null && kind.size > 2 && SELECTOR.test(form.mnemonic)) return Fit.size;
          return kind.size === 0 ? Fit.yes : sized(operand.size, kind.size);
        case 'far': return operand.far ? (operand.size === null ? when(kind.size * 8 === bits) : sized(operand.size, kind.size)) : Fit.no;
        case 'moffs': return when((bits !== 64 || operand.displacement === 8) && !operand.far && !operand.written && operand.value.registers.every(([, times]) => times === 0n));
        default: return Fit.no;
      }
    case 'far': return kind.of === 'ptr' ? Fit.yes : Fit.no;
    default: return kind.of === 'relative' ? reaches(kind, operand, form, context!) : kind.of === 'immediate' ? holds(kind, operand, form) : when(kind.of === 'one' && operand.value.n === 1n && operand.value.addresses === 0 && !operand.strict && operand.size === null);
  }
}
/** Read a word whatever the other operand's size. */
const SELECTOR = /^(lar|lsl)$/;
const BRANCH = /^(call|jmp)$/;

/** Whose count is a byte that a written size must not contradict. */
const STATED = /^(bt[crs]?|ro[lr]|rc[lr]|s[ah][lr])$/;

/** Whose numbers have no size to be written. */
const BARE_COUNT = /^(enter|sh[lr]d)$/;

function holds({ name, size }: OperandKind, operand: ImmediateOperand, form: Form): Fit {
  const { value } = operand;
  if (name === 'imm64' && operand.size === 8) return Fit.yes;
  if (form.mnemonic === 'push' && form.needs === 2 && operand.size !== 2) return Fit.size;
  if (name === 'imm8s' && operand.size === 1) return Fit.yes;
  if (operand.size !== null && operand.size !== size && name === 'imm8' && STATED.test(form.mnemonic)) return Fit.no;
  if (operand.size !== null && BARE_COUNT.test(form.mnemonic)) return Fit.size;
  const whole = form.mnemonic === 'push' && operand.size === 8;
  if (operand.size !== null && !whole && operand.size !== size && !(name === 'imm8s' && !operand.strict && operand.size === form.width)) return Fit.size;
  const known = value.addresses === 0;
  switch (name) {
    case 'imm32c': return when(operand.size !== 8 && (operand.size === 4 || (known && inSigned(BigInt.asIntN(64, value.n), 32))));
    case 'imm8s':
      if (operand.strict && operand.size !== 1) return Fit.no;
      return when(value.unknown || (known && inSigned(BigInt.asIntN(8 * form.width, value.n), 8)));
    case 'imm32s': return when(operand.size === 4 || !known || !form.long || inSigned(BigInt.asIntN(64, value.n), 32));
    default: return Fit.yes;
  }
}

function reaches(kind: OperandKind, operand: ImmediateOperand, form: Form, { here, bits, prefixes }: Context): Fit {
  if (operand.size !== null) {
    if (!BRANCH.test(form.mnemonic) || (operand.size !== 2 && operand.size !== 4)) return Fit.size;
    return kind.size === 1 ? Fit.no : bits === 64 ? Fit.mode : Fit.yes;
  }
  if (form.noOptimize && operand.distance !== null) return Fit.size;
  if (kind.size !== 1) return when(operand.distance !== 'short');
  if (operand.distance === 'near' || operand.strict) return Fit.no;
  if (operand.distance === 'short' || form.noOptimize || operand.value.unknown) return Fit.yes;
  return when(inSigned(operand.value.n - (here + BigInt(prefixes.length + form.opcode.length + 1)), 8));
}

/** Operand size that a branch has by its distance or its far pointer, bytes; 0: none of these. */
function branchSize(form: Form, operands: readonly Operand[], bits: Bits): 0 | 2 | 4 {
  const mode = bits === 16 ? 2 : 4;
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i]!;
    const { of, size } = form.kinds[i]!;
    if ((of === 'relative' && size === 4 && operand.kind === 'immediate') || operand.kind === 'far') return bits === 64 ? 0 : operand.size === 2 ? 2 : operand.size === 4 ? 4 : mode;
  }
  return 0;
}

interface Parts {
  rex: number;
  high: boolean;
  lock: boolean;
  segment: number;
  /** Bytes of an address; 0: there is none. */
  address: number;
  tail: number[];
  ripAt: number;
  ripTo: bigint;
}

/** `told` gets the complaints about what does not fit. */
function emit(form: Form, operands: readonly Operand[], context: Context, told: string[]): number[] {
  const { bits } = context;
  const parts: Parts = { rex: form.w ? 0x48 : 0, high: false, lock: false, segment: 0, address: form.address, tail: [], ripAt: -1, ripTo: 0n };
  const opcode = form.opcode.slice();
  for (const operand of operands) {
    if (operand.kind !== 'register') continue;
    if (operand.rex) parts.rex |= 0x40;
    if (operand.high) parts.high = true;
  }
  if (form.plus) {
    const register = operands[form.kinds.findIndex(({ of }) => of === 'general')] as Extract<Operand, { kind: 'register' }>;
    opcode[opcode.length - 1]! += register.number & 7;
    if (register.number > 7) parts.rex |= 0x41;
  }
  if (form.modrm !== null) modrm(form, operands, context, parts);
  const branch = branchSize(form, operands, bits);
  const own = form.needs === 0 ? branch : form.needs;
  const size = context.operandSize || own;
  const operandPrefix = size === 2 ? bits !== 16 : size === 4 ? bits === 16 : false;
  if (form.needs !== 0 && form.needs !== size) told.push(`invalid operand size prefix, must be o${form.needs * 8} [-w+prefix-opsize]`);
  if (context.operandSize === 8 && bits === 64) parts.rex |= 0x48;
  if (context.addressSize && parts.address === 0) parts.address = context.addressSize;
  const out = context.prefixes.slice();
  if (parts.lock) out.push(0xf0);
  if (parts.segment !== 0) out.push(parts.segment);
  if (operandPrefix) out.push(0x66);
  if (parts.address !== 0 && parts.address * 8 !== bits) out.push(0x67);
  for (const byte of form.mandatory) out.push(byte);
  if (parts.rex !== 0) {
    if (bits !== 64) throw new AssemblyError(1, 'invalid operands in non-64-bit mode');
    if (parts.high) throw new AssemblyError(1, 'cannot use high byte register in rex instruction', true);
    out.push(parts.rex);
  }
  for (const byte of opcode) out.push(byte);
  const tailAt = out.length;
  for (const byte of parts.tail) out.push(byte);
  for (let i = 0; i < operands.length; i++) constant(form, i, operands[i]!, branch, context, out, told);
  if (parts.ripAt >= 0) {
    const field: number[] = [];
    little(field, parts.ripTo - context.here - BigInt(out.length), 4);
    for (let n = 0; n < 4; n++) out[tailAt + parts.ripAt + n] = field[n]!;
  }
  return out;
}

const REG = new Set<OperandKind['of']>(['segment', 'control', 'debug']);

/** ModRM with what follows it. */
function modrm(form: Form, operands: readonly Operand[], context: Context, parts: Parts): void {
  const { kinds } = form;
  let regAt = kinds.findIndex(({ of }) => REG.has(of));
  if (regAt < 0) regAt = kinds.findIndex(({ of }) => of === 'general');
  let rmAt = kinds.findIndex(({ of }) => of === 'rm' || of === 'memory' || of === 'far');
  if (rmAt < 0) rmAt = kinds.findIndex(({ of }, i) => i !== regAt && of === 'general');
  const reg = form.modrm === 'r' ? (operands[regAt] as Extract<Operand, { kind: 'register' }>).number : form.modrm!;
  // CR8 without REX: LOCK stands for its highest bit
  if (reg > 7 && context.bits !== 64 && kinds[regAt]?.of === 'control') parts.lock = true;
  else if (reg > 7) parts.rex |= 0x44;
  const rm = operands[rmAt >= 0 ? rmAt : regAt]!;
  if (rm.kind === 'register') {
    if (rm.number > 7) parts.rex |= 0x41;
    parts.tail.push(0xc0 | ((reg & 7) << 3) | (rm.number & 7));
    return;
  }
  if (rm.kind !== 'memory') return;
  const where = place(rm, reg & 7, context.bits, context.defaultRel, context.addressSize ?? 0);
  if (where.segment !== 0 && context.prefixes.some((byte) => byte === 0x26 || byte === 0x2e || byte === 0x36 || byte === 0x3e || byte === 0x64 || byte === 0x65)) throw new AssemblyError(rm.column, 'instruction has conflicting segment overrides', true);
  if (where.rex !== 0) parts.rex |= 0x40 | where.rex;
  parts.segment = where.segment;
  parts.address = where.size;
  parts.ripAt = where.ripAt;
  parts.ripTo = rm.value.n;
  parts.tail = where.tail;
}

/** What an operand that is a number or an address puts behind ModRM. */
function constant(form: Form, at: number, operand: Operand, branch: number, context: Context, out: number[], told: string[]): void {
  const kind = form.kinds[at]!;
  if (kind.of === 'moffs' && operand.kind === 'memory') return offset(operand, context, out, told);
  if (operand.kind === 'far') {
    const size = branch === 2 ? 2 : 4;
    little(out, operand.value.n, size);
    little(out, operand.selector.n, 2);
    if (operand.value.addresses === 0) exceeds(operand.value.n, size, told);
    return;
  }
  if (operand.kind !== 'immediate') return;
  if (kind.of === 'immediate') {
    if (operand.value.addresses === 0 && kind.size < 8) limits(form, kind, operand, told);
    return little(out, operand.value.n, kind.size);
  }
  if (kind.of !== 'relative') return;
  const size = kind.size === 1 ? 1 : branch === 2 ? 2 : 4;
  const distance = operand.value.n - context.here - BigInt(out.length + size);
  if (!operand.value.unknown && !inSigned(distance, size * 8) && (size === 1 || context.bits === 64)) throw new AssemblyError(operand.column, 'short jump is out of range', true);
  little(out, distance, size);
}

/** Complains of a number that its field cuts. */
function limits(form: Form, kind: OperandKind, { value, size }: ImmediateOperand, told: string[]): void {
  if (kind.name === 'imm8s' || (kind.name === 'imm8' && form.mnemonic === 'push')) {
    if (size === 1 && !inSigned(BigInt.asIntN(64, value.n), 8)) told.push('signed byte value exceeds bounds [-w+number-overflow]');
  } else if (!kind.name.endsWith('s')) exceeds(value.n, kind.size, told);
}

/** An address without ModRM: its prefixes come before all that is written already. */
function offset(operand: Extract<Operand, { kind: 'memory' }>, context: Context, out: number[], told: string[]): void {
  const where = place({ ...operand, displacement: operand.displacement === 8 ? null : operand.displacement }, 0, context.bits, false, context.addressSize ?? 0);
  little(out, operand.value.n, where.size);
  if (where.size * 8 !== context.bits) out.splice(out.indexOf(0x66, context.prefixes.length) === context.prefixes.length ? context.prefixes.length + 1 : context.prefixes.length, 0, 0x67);
  if (where.segment !== 0) out.splice(context.prefixes.length, 0, where.segment);
  if (where.size < 8 && operand.value.addresses === 0) exceeds(operand.value.n, where.size, told);
}

const UNIT: Readonly<Record<number, string>> = { 1: 'byte', 2: 'word', 4: 'dword' };

/** NASM's bounds: one below the least signed number is let through. */
export function exceeds(n: bigint, size: number, told: string[]): void {
  if (n >= 0n && n <= 127n) return;
  const value = BigInt.asIntN(64, n);
  if (UNIT[size] !== undefined && (value < -(1n << BigInt(8 * size - 1)) - 1n || value > (1n << BigInt(8 * size)) - 1n)) told.push(`${UNIT[size]} data exceeds bounds [-w+number-overflow]`);
}
