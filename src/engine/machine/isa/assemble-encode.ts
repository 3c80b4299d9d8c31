/**
 * From an instruction with its operands to bytes: the first of the shortest forms in the instruction table that fits.
 * Which of two encodings is taken follows NASM at its default optimization, so the bytes are the same as its own.
 * Source of the layout: SDM 2A 2.1-2.2 (prefixes, REX, ModRM, SIB). Left out: 16- and 32-bit modes, VEX and EVEX.
 */
import { AssemblyError, type Value } from './assemble-expression.ts';
import { FORMS, type Form } from './forms.ts';

export type Size = 1 | 2 | 4 | 8 | 10 | 16;

export type Operand =
  | { kind: 'register'; column: number; name: string; group: RegisterGroup; number: number; size: Size; /** spl bpl sil dil */ rex: boolean; high: boolean }
  | { kind: 'immediate'; column: number; value: Value; size: Size | null; strict: boolean; distance: 'short' | 'near' | null }
  | { kind: 'memory'; column: number; value: Value; size: Size | null; segment: string | null; mode: 'abs' | 'rel' | null; displacement: 1 | 4 | null; /** As written, not to be rearranged: register numbers or -1, 4 or 8 bytes wide. */ written?: { base: number; index: number; scale: number; size: number } };

export type RegisterGroup = 'general' | 'segment' | 'control' | 'debug';

export interface Register {
  group: RegisterGroup;
  number: number;
  size: Size;
  rex: boolean;
  high: boolean;
}

export const REGISTERS: ReadonlyMap<string, Register> = registers();

function registers(): Map<string, Register> {
  const out = new Map<string, Register>();
  const put = (name: string, group: RegisterGroup, number: number, size: Size, rex = false, high = false): void => {
    out.set(name, { group, number, size, rex, high });
  };
  const classic = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
  const low = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil'];
  for (let n = 0; n < 8; n++) {
    put(`r${classic[n]}`, 'general', n, 8);
    put(`e${classic[n]}`, 'general', n, 4);
    put(classic[n]!, 'general', n, 2);
    put(low[n]!, 'general', n, 1, n >= 4);
  }
  ['ah', 'ch', 'dh', 'bh'].forEach((name, n) => put(name, 'general', n + 4, 1, false, true));
  for (let n = 8; n < 16; n++) {
    put(`r${n}`, 'general', n, 8);
    put(`r${n}d`, 'general', n, 4);
    put(`r${n}w`, 'general', n, 2);
    put(`r${n}b`, 'general', n, 1);
  }
  ['es', 'cs', 'ss', 'ds', 'fs', 'gs'].forEach((name, n) => put(name, 'segment', n, 2));
  for (const n of [0, 2, 3, 4, 8]) put(`cr${n}`, 'control', n, 8);
  for (const n of [0, 1, 2, 3, 6, 7]) put(`dr${n}`, 'debug', n, 8);
  return out;
}

export interface Context {
  /** Address of the instruction's first byte. */
  here: bigint;
  defaultRel: boolean;
  prefixes: readonly number[];
}

const SEGMENT_PREFIX: Record<string, number> = { es: 0x26, cs: 0x2e, ss: 0x36, ds: 0x3e, fs: 0x64, gs: 0x65 };
const PREFIXES: Record<string, number> = { lock: 0xf0, rep: 0xf3, repe: 0xf3, repz: 0xf3, repne: 0xf2, repnz: 0xf2 };
export const prefixByte = (name: string): number | undefined => PREFIXES[name];

/** The bytes of one instruction; throws AssemblyError when no form takes these operands. */
export function encode(mnemonic: string, operands: readonly Operand[], context: Context, column: number): number[] {
  const forms = FORMS.get(mnemonic);
  if (!forms) throw new AssemblyError(column, `instruction expected, found \`${mnemonic}'`);
  if (mnemonic === 'mov' && widensToDword(operands)) return encode('mov', [{ ...operands[0]!, size: 4 } as Operand, { ...operands[1]!, size: null } as Operand], context, column);
  let best: number[] | null = null;
  let sizes = new Set<number>();
  for (const form of forms) {
    if (form.operands.length !== operands.length) continue;
    if (!form.operands.every((kind, i) => fits(kind, operands[i]!, form, context, operands))) continue;
    const size = ambiguity(form, operands);
    if (size) sizes = sizes.add(size);
    const bytes = emit(form, operands, context);
    if (!best || bytes.length < best.length) best = bytes;
  }
  if (!best) throw new AssemblyError(column, 'invalid combination of opcode and operands');
  if (sizes.size > 1) throw new AssemblyError(column, 'operation size not specified');
  return best;
}

/** NASM writes a 64-bit register with an unsigned 32-bit constant as the 32-bit move, which clears the upper half. */
function widensToDword(operands: readonly Operand[]): boolean {
  const [to, from] = operands;
  if (to?.kind !== 'register' || to.group !== 'general' || to.size !== 8 || from?.kind !== 'immediate') return false;
  if (from.strict || (from.size !== null && from.size !== 8) || from.value.addresses !== 0) return false;
  const n = BigInt.asUintN(64, from.value.n);
  return n <= 0xffffffffn;
}

/** Size of the memory operand that the form supposes, when nothing written says so. */
function ambiguity(form: Form, operands: readonly Operand[]): number {
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i]!;
    if (operand.kind !== 'memory' || operand.size !== null) continue;
    if (form.operands.some((kind, j) => j !== i && SIZED.test(kind) && operands[j]!.kind === 'register' && !/^(cl|dx)$/.test(kind) && !form.mixed)) return 0;
    const m = /^r?\/?m(\d+)$/.exec(form.operands[i]!);
    if (m) return Number(m[1]);
  }
  return 0;
}
const SIZED = /^(r\d|r\/m\d|al$|ax$|eax$|rax$|sreg)/;

const inSigned = (n: bigint, bits: number): boolean => BigInt.asIntN(bits, n) === n;
const inEither = (n: bigint, bits: number): boolean => inSigned(n, bits) || BigInt.asUintN(bits, n) === n;
const FIXED: Record<string, string> = { al: 'al', ax: 'ax', eax: 'eax', rax: 'rax', cl: 'cl', dx: 'dx', fs: 'fs', gs: 'gs' };

function fits(kind: string, operand: Operand, form: Form, context: Context, all: readonly Operand[]): boolean {
  if (kind in FIXED) return operand.kind === 'register' && operand.name === kind;
  if (kind === '1') return operand.kind === 'immediate' && operand.value.n === 1n && operand.value.addresses === 0 && !operand.strict && operand.size === null;
  if (kind === 'sreg') return operand.kind === 'register' && operand.group === 'segment';
  if (kind === 'cr') return operand.kind === 'register' && operand.group === 'control';
  if (kind === 'dr') return operand.kind === 'register' && operand.group === 'debug';
  if (kind === 'm') return operand.kind === 'memory';
  if (kind === 'r32x') return operand.kind === 'register' && operand.group === 'general' && operand.size === 4 && operand.name !== 'eax';
  const m = /^(r\/m|r|m)(\d+)$/.exec(kind);
  if (m) {
    const size = Number(m[2]) / 8;
    if (operand.kind === 'register') return m[1] !== 'm' && operand.group === 'general' && operand.size === size;
    return operand.kind === 'memory' && m[1] !== 'r' && (operand.size === null || operand.size === size);
  }
  if (operand.kind !== 'immediate') return false;
  return kind.startsWith('rel') ? reaches(kind, operand, form, context) : holds(kind, operand, form, all);
}

function holds(kind: string, operand: Extract<Operand, { kind: 'immediate' }>, form: Form, all: readonly Operand[]): boolean {
  const { value } = operand;
  const bits = Number(/\d+/.exec(kind)![0]);
  if (kind === 'imm64' && operand.size === 8) return true;
  const whole = form.mnemonic === 'push' && operand.size === 8;
  if (operand.size !== null && !whole && operand.size * 8 !== bits && !(kind === 'imm8s' && !operand.strict && operand.size === form.width)) return false;
  const known = value.addresses === 0;
  if (kind === 'imm32c') return operand.size !== 8 && (operand.size === 4 || (known && inSigned(BigInt.asIntN(64, value.n), 32)));
  if (kind === 'imm8s') {
    if (operand.strict && operand.size !== 1) return false;
    if (value.unknown) return true;
    if (!known) return false;
    return inSigned(narrowed(value.n, form, all), 8);
  }
  if (kind === 'imm32s') return operand.size === 4 || (known ? inSigned(BigInt.asIntN(64, value.n), 32) : true);
  if (kind === 'imm64') return true;
  return bits === 8 && known ? inEither(value.n, 64) : true;
}

/** An immediate as the operation sees it: -1 and 0xffffffff are the same dword. */
function narrowed(n: bigint, form: Form, _all: readonly Operand[]): bigint {
  return BigInt.asIntN(form.width === 2 ? 16 : form.width === 4 ? 32 : 64, n);
}

function reaches(kind: string, operand: Extract<Operand, { kind: 'immediate' }>, form: Form, context: Context): boolean {
  if (kind === 'rel32') return operand.distance !== 'short';
  if (operand.distance === 'near' || operand.strict) return false;
  if (operand.distance === 'short') return true;
  if (form.noOptimize) return true;
  if (operand.value.unknown) return true;
  const length = BigInt(context.prefixes.length + form.opcode.length + 1);
  return inSigned(operand.value.n - (context.here + length), 8);
}

interface Parts {
  rex: number;
  needsRex: boolean;
  noRex: boolean;
  prefixes: number[];
  tail: number[];
  /** Where in the tail a RIP-relative displacement stands. */
  ripAt: number;
  ripTo: bigint;
}

function emit(form: Form, operands: readonly Operand[], context: Context): number[] {
  const parts: Parts = { rex: form.w ? 8 : 0, needsRex: form.w, noRex: false, prefixes: [], tail: [], ripAt: -1, ripTo: 0n };
  const opcode = form.opcode.slice();
  const special = form.operands.findIndex((k) => k === 'sreg' || k === 'cr' || k === 'dr');
  const regAt = special >= 0 ? special : form.operands.findIndex((k) => isReg(k));
  const rmAt = form.operands.findIndex((k) => isRm(k));
  const plain = form.operands.findIndex((k) => /^r\d+x?$/.test(k));
  for (const operand of operands) noteByteRegister(operand, parts);
  if (form.plus) {
    const register = operands[plain]! as Extract<Operand, { kind: 'register' }>;
    opcode[opcode.length - 1]! += register.number & 7;
    if (register.number > 7) parts.rex |= 1;
  }
  if (form.modrm !== null) {
    const reg = form.modrm === 'r' ? (operands[regAt] as Extract<Operand, { kind: 'register' }>).number : form.modrm;
    if (reg > 7) parts.rex |= 4;
    const other = rmAt >= 0 ? rmAt : form.operands.findIndex((k, i) => i !== regAt && isReg(k));
    const rm = operands[other >= 0 ? other : regAt]!;
    if (rm.kind === 'register') {
      if (rm.number > 7) parts.rex |= 1;
      parts.tail.push(0xc0 | ((reg & 7) << 3) | (rm.number & 7));
    } else if (rm.kind === 'memory') memory(rm, reg & 7, parts, context);
  }
  const sizeSoFar = (): number => context.prefixes.length + parts.prefixes.length + (form.o16 ? 1 : 0) + form.mandatory.length + (rexByte(parts) ? 1 : 0) + opcode.length + parts.tail.length;
  const immediates: number[] = [];
  form.operands.forEach((kind, i) => {
    const operand = operands[i]!;
    if (operand.kind !== 'immediate' || kind === '1') return;
    const bytes = Number(/\d+/.exec(kind)![0]) / 8;
    if (kind.startsWith('rel')) {
      const end = context.here + BigInt(sizeSoFar() + bytes);
      const distance = operand.value.n - end;
      if (!operand.value.unknown && !inSigned(distance, bytes * 8)) throw new AssemblyError(operand.column, 'short jump is out of range');
      little(immediates, distance, bytes);
    } else little(immediates, operand.value.n, bytes);
  });
  if (parts.ripAt >= 0) {
    const end = context.here + BigInt(sizeSoFar() + immediates.length);
    const field: number[] = [];
    little(field, parts.ripTo - end, 4);
    parts.tail.splice(parts.ripAt, 4, ...field);
  }
  const rex = rexByte(parts);
  if (rex && parts.noRex) throw new AssemblyError(1, 'cannot use high register in rex instruction');
  // in NASM's order: segment, operand size, address size
  const narrow = parts.prefixes.filter((prefix) => prefix === 0x67);
  const segments = parts.prefixes.filter((prefix) => prefix !== 0x67);
  return [...context.prefixes, ...segments, ...(form.o16 ? [0x66] : []), ...narrow, ...form.mandatory, ...(rex ? [rex] : []), ...opcode, ...parts.tail, ...immediates];
}

const isReg = (kind: string): boolean => /^r\d+x?$/.test(kind) || kind === 'sreg' || kind === 'cr' || kind === 'dr';
const isRm = (kind: string): boolean => /^r\/m\d+$/.test(kind) || /^m\d*$/.test(kind);
const rexByte = (parts: Parts): number => (parts.rex !== 0 || parts.needsRex ? 0x40 | parts.rex : 0);

function noteByteRegister(operand: Operand, parts: Parts): void {
  if (operand.kind !== 'register') return;
  if (operand.rex) parts.needsRex = true;
  if (operand.high) parts.noRex = true;
}

export function little(out: number[], n: bigint, bytes: number): void {
  let rest = BigInt.asUintN(bytes * 8, n);
  for (let i = 0; i < bytes; i++) {
    out.push(Number(rest & 255n));
    rest >>= 8n;
  }
}

/** ModRM, SIB and displacement of a memory operand (SDM 2A tables 2-2, 2-3; RIP-relative: 2.2.1.6). */
function memory(operand: Extract<Operand, { kind: 'memory' }>, reg: number, parts: Parts, context: Context): void {
  const { value } = operand;
  if (operand.segment) parts.prefixes.push(SEGMENT_PREFIX[operand.segment]!);
  const { base, index, scale } = baseAndIndex(operand, parts);
  const displacement = BigInt.asIntN(64, value.n);
  if (base < 0 && index < 0) {
    const relative = operand.mode === 'rel' || (operand.mode === null && context.defaultRel && !(operand.segment === 'fs' || operand.segment === 'gs'));
    if (relative) {
      parts.tail.push((reg << 3) | 5);
      parts.ripAt = parts.tail.length;
      parts.ripTo = value.n;
      parts.tail.push(0, 0, 0, 0);
      return;
    }
    parts.tail.push((reg << 3) | 4, 0x25);
    little(parts.tail, displacement, 4);
    return;
  }
  if (base > 7) parts.rex |= 1;
  if (index > 7) parts.rex |= 2;
  let mod = 2;
  if (base < 0) mod = 0;
  else if (operand.displacement === 4) mod = 2;
  else if (operand.displacement === 1) mod = 1;
  else if (value.addresses === 0 || value.unknown) mod = displacement === 0n && !value.unknown && (base & 7) !== 5 ? 0 : inSigned(displacement, 8) ? 1 : 2;
  if (index >= 0 || base < 0 || (base & 7) === 4) {
    const log = scale === 8 ? 3 : scale === 4 ? 2 : scale === 2 ? 1 : 0;
    parts.tail.push((mod << 6) | (reg << 3) | 4, (log << 6) | ((index < 0 ? 4 : index & 7) << 3) | (base < 0 ? 5 : base & 7));
  } else parts.tail.push((mod << 6) | (reg << 3) | (base & 7));
  if (base < 0) little(parts.tail, displacement, 4);
  else if (mod === 1) little(parts.tail, displacement, 1);
  else if (mod === 2) little(parts.tail, displacement, 4);
}

function baseAndIndex(operand: Extract<Operand, { kind: 'memory' }>, parts: Parts): { base: number; index: number; scale: number } {
  const bad = (): never => {
    throw new AssemblyError(operand.column, 'invalid effective address');
  };
  if (operand.written) {
    if (operand.written.size === 4) parts.prefixes.push(0x67);
    return operand.written;
  }
  const list = operand.value.registers.filter(([, times]) => times !== 0n).map(([name, times]) => {
    const register = REGISTERS.get(name)!;
    if (register.group !== 'general' || register.size < 4) bad();
    return { number: register.number, size: register.size, times: Number(times) };
  });
  if (list.length > 2 || (list.length === 2 && list[0]!.size !== list[1]!.size)) bad();
  if (list[0]?.size === 4) parts.prefixes.push(0x67);
  let base = -1;
  let index = -1;
  let scale = 1;
  for (const { number, times } of list) {
    if (times === 1 && base < 0) base = number;
    else if (index < 0) {
      index = number;
      scale = times;
    } else bad();
  }
  if (base < 0 && index >= 0) {
    if (scale === 2 || scale === 3 || scale === 5 || scale === 9) {
      base = index;
      scale -= 1;
    }
  }
  if (scale === 1 && index === 4) [base, index] = [index, base];
  if (index === 4 || ![1, 2, 4, 8].includes(scale)) bad();
  return { base, index, scale };
}
