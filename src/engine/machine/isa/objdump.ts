/**
 * Decoded instructions as GNU objdump prints them, AT&T's syntax or Intel's: suffixes where no register tells the size, prefixes
 * that mean nothing named before the mnemonic, addresses as numbers for the caller to add symbols to.
 * Source: the output of binutils 2.40, compared instruction by instruction.
 */
import { type Decoded, type DecodedOperand, decode, type Mode } from './decode.ts';

export type Syntax = 'att' | 'intel';

export interface Printed {
  length: number;
  /** "mov    %rax,%rbx"; "(bad)". */
  text: string;
  /** Of a branch or a RIP-relative operand. */
  target: { address: bigint; kind: 'branch' | 'data' } | null;
}

const CLASSIC = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const LOW = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil'];
const HIGH = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', '?', '?'];
const SEGMENT_PREFIX: Readonly<Record<number, string>> = { 0x26: 'es', 0x2e: 'cs', 0x36: 'ss', 0x3e: 'ds', 0x64: 'fs', 0x65: 'gs' };
const SUFFIX: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'l', 8: 'q' };
const POINTER: Readonly<Record<number, string>> = { 1: 'BYTE PTR ', 2: 'WORD PTR ', 4: 'DWORD PTR ', 8: 'QWORD PTR ' };

export function registerName(number: number, size: number, rex: number): string {
  if (size === 1) return number >= 8 ? `r${number}b` : (rex ? LOW : HIGH)[number]!;
  if (number >= 8) return `r${number}${size === 4 ? 'd' : size === 2 ? 'w' : ''}`;
  return `${size === 8 ? 'r' : size === 4 ? 'e' : ''}${CLASSIC[number]!}`;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;
const signedHex = (value: bigint): string => (value < 0n ? `-0x${(-value).toString(16)}` : hex(value));

/** What the next instruction of `code` is; never more than is there, at least one byte. */
export function print(code: Uint8Array, address: bigint, mode: Mode, syntax: Syntax): Printed {
  const lone = lonePrefix(code, mode);
  if (lone) return lone;
  const one = decode(code, address, mode);
  if (!one) return { length: 1, text: '(bad)', target: null };
  return { length: one.length, ...instruction(one, syntax) };
}

/** A REX that another prefix follows is an instruction of its own to objdump. */
function lonePrefix(code: Uint8Array, mode: Mode): Printed | null {
  if (mode !== 64) return null;
  let at = 0;
  while (at < code.length && (code[at]! in SEGMENT_PREFIX || [0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(code[at]!))) at++;
  if (at > 0 || ((code[at] ?? 0) & 0xf0) !== 0x40) return null;
  const next = code[at + 1] ?? 0;
  if (!(next in SEGMENT_PREFIX || [0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(next) || (next & 0xf0) === 0x40)) return null;
  return { length: 1, text: rexName(code[at]!), target: null };
}

const rexName = (rex: number): string => `rex${rex & 15 ? '.' : ''}${rex & 8 ? 'W' : ''}${rex & 4 ? 'R' : ''}${rex & 2 ? 'X' : ''}${rex & 1 ? 'B' : ''}`;

interface Shape {
  one: Decoded;
  att: boolean;
  /** The segment that overrides, when it means something; prefixes that were spent. */
  segment: string;
  /** ",pt", ",pn". */
  hint: string;
  spent: Set<number>;
  target: Printed['target'];
}

function instruction(one: Decoded, syntax: Syntax): { text: string; target: Printed['target'] } {
  const shape: Shape = { one, att: syntax === 'att', segment: '', hint: '', spent: new Set(one.used), target: null };
  takeSegment(shape);
  const { name, operands } = named(shape);
  const lead = leftOver(shape);
  const words = `${lead}${name}`;
  const text = operands === '' ? words : `${words.padEnd(6)} ${operands}`;
  return { text, target: shape.target };
}

const STRINGS: Readonly<Record<string, [to: string, from: string]>> = { movs: ['di', 'si'], cmps: ['si', 'di'], stos: ['di', 'a'], lods: ['a', 'si'], scas: ['a', 'di'], ins: ['di', 'dx'], outs: ['dx', 'si'] };
const STRING = /^(movs|cmps|stos|lods|scas|ins|outs)([bwdq])$/;

/** The last override counts; in 64-bit code only fs and gs do. */
function takeSegment(shape: Shape): void {
  const { one } = shape;
  const last = one.prefixes.filter((byte) => byte in SEGMENT_PREFIX).at(-1);
  if (last === undefined) return;
  const name = SEGMENT_PREFIX[last]!;
  const addresses = one.operands.some((o) => o.kind === 'memory' || o.kind === 'offset') || (STRING.test(one.mnemonic) && !/^(stos|scas|ins)/.test(one.mnemonic)) || one.mnemonic === 'xlatb';
  if (!addresses || (one.mode === 64 && name !== 'fs' && name !== 'gs')) {
    if (addresses && STRING.test(one.mnemonic)) shape.spent.add(last);
    return;
  }
  shape.segment = name;
  shape.spent.add(last);
}

/** Prefixes that the instruction did not use, by name, each with a space behind it. */
function leftOver(shape: Shape): string {
  const { one } = shape;
  const out: string[] = [];
  const repeats = STRING.exec(one.mnemonic)?.[1];
  if (!shape.att && /^loop/.test(one.mnemonic)) shape.spent.delete(0x67);
  for (const [n, byte] of one.prefixes.entries()) {
    if (shape.spent.has(byte) && one.prefixes.lastIndexOf(byte) === n) continue;
    if ((byte === 0xf2 || byte === 0xf3) && elides(one, byte)) out.push(byte === 0xf2 ? 'xacquire' : 'xrelease');
    else if (byte === 0xf3) out.push(repeats && !/cmps|scas/.test(repeats) ? 'rep' : 'repz');
    else if (byte === 0xf2) out.push(BRANCH.test(one.mnemonic) ? 'bnd' : 'repnz');
    else if (byte === 0xf0) out.push('lock');
    else if (byte === 0x66) out.push(one.mode === 16 ? 'data32' : 'data16');
    else if (byte === 0x67) out.push(one.mode === 32 ? 'addr16' : 'addr32');
    else out.push(SEGMENT_PREFIX[byte]!);
  }
  const plain = one.rex & 15;
  if (one.rex && ((plain & ~one.rexUsed) !== 0 || (plain === 0 && (one.rexUsed & 0x40) === 0))) out.push(rexName(one.rex));
  return out.map((word) => `${word} `).join('');
}

const BRANCH = /^(j(?!mpf|r?cxz)\w+|call|ret)$/;
const CONDITIONAL = /^(j(?!mp)|loop)/;

const LOCKED = /^(add|or|adc|sbb|and|sub|xor|not|neg|inc|dec|bts|btr|btc|xadd|cmpxchg|cmpxchg8b|cmpxchg16b)$/;

/** Hints of hardware lock elision: with lock, on xchg and, for the release, on a store. */
function elides(one: Decoded, byte: number): boolean {
  if (one.operands[one.mnemonic === 'xchg' && one.operands[0]?.kind !== 'memory' ? 1 : 0]?.kind !== 'memory') return false;
  if (one.mnemonic === 'xchg') return true;
  return (LOCKED.test(one.mnemonic) && one.prefixes.includes(0xf0)) || (byte === 0xf3 && one.mnemonic === 'mov' && /^(88|89|c6|c7)$/.test(one.form.opcode[0]!.toString(16)));
}

/** 3e and 2e before a conditional branch: taken, not taken. */
function hint(shape: Shape): void {
  const { one } = shape;
  const last = one.prefixes.filter((byte) => byte === 0x2e || byte === 0x3e).at(-1);
  if (last === undefined || !shape.att || !CONDITIONAL.test(one.mnemonic)) return;
  shape.hint = last === 0x3e ? ',pt' : ',pn';
  shape.spent.add(last);
}

function named(shape: Shape): { name: string; operands: string } {
  const { one, att } = shape;
  const string = STRING.exec(one.mnemonic);
  if (string) return stringText(shape, string[1]!, { b: 1, w: 2, d: 4, q: 8 }[string[2]!]!);
  const special = SPECIAL[one.mnemonic]?.(shape);
  if (special) return special;
  hint(shape);
  const operands = ordered(one).filter((o) => !att || o.kind !== 'one').map((o) => operandText(shape, o));
  const name = `${plainName(one, att)}${att ? suffix(one) : ''}${shape.hint}`;
  return { name, operands: (att && !/^(enter|bound)$/.test(one.mnemonic) ? operands.reverse() : operands).join(',') };
}

/** xchg and test take their two operands in either order; objdump has the one of ModRM.rm first. */
function ordered(one: Decoded): DecodedOperand[] {
  const [first] = one.form.operands;
  const swap = (/^(xchg|test)$/.test(one.mnemonic) && one.form.modrm === 'r' && /^r\d/.test(first!)) || (one.mnemonic === 'xchg' && /^[er]?ax$/.test(first!));
  return swap ? [one.operands[1]!, one.operands[0]!] : one.operands;
}

function plainName(one: Decoded, att: boolean): string {
  const { mnemonic } = one;
  if (mnemonic === 'sal') return 'shl';
  if (/^(jmp|call)f$/.test(mnemonic)) return att ? `l${mnemonic.slice(0, -1)}${far(one)}` : mnemonic.slice(0, -1);
  if (/^(push|pop)fq$/.test(mnemonic)) return one.used.has(0x66) && one.mode !== 16 ? `${mnemonic.slice(0, -1)}w` : one.used.has(0x66) ? `${mnemonic.slice(0, -1)}${att ? 'l' : 'd'}` : mnemonic.slice(0, -1);
  if (mnemonic === 'salc') return '(bad)';
  if (att && /^loop/.test(mnemonic) && one.prefixes.includes(0x67)) return `${mnemonic}${one.addressSize === 4 ? 'l' : 'w'}`;
  if (/^sys(exit|ret)$/.test(mnemonic) && one.mode === 64) return `${mnemonic}${att ? 'l' : 'd'}`;
  if (/^iret/.test(mnemonic)) return `iret${one.operandSize === 8 ? 'q' : one.used.has(0x66) ? (one.mode === 16 ? (att ? 'l' : 'd') : 'w') : ''}`;
  if (mnemonic === 'jrcxz') return one.addressSize === 8 ? 'jrcxz' : one.addressSize === 4 ? 'jecxz' : 'jcxz';
  if (/^[sl][gi]dt$/.test(mnemonic) && one.mode !== 64) return `${mnemonic}${one.operandSize === 2 ? 'w' : att ? 'l' : 'd'}`;
  if (att && /^mov[sz]x/.test(mnemonic)) return extended(one);
  if (one.used.has(0x66) && SIXTEEN.test(mnemonic)) {
    const memory = one.operands[0]?.kind === 'memory';
    const register = one.operands[0]?.kind === 'register' && one.operands[0].group === 'general';
    return register || (memory && !att) ? mnemonic : `${mnemonic}${one.mode !== 16 ? 'w' : att ? 'l' : 'd'}`;
  }
  if (mnemonic === 'retf') return `${att ? 'lret' : 'retf'}${one.operandSize === 8 ? 'q' : att ? far(one) : one.used.has(0x66) ? (one.operandSize === 4 ? 'd' : 'w') : ''}`;
  if (mnemonic === 'cmpxchg8b' && one.operandSize === 8) return 'cmpxchg16b';
  if (mnemonic === 'mov' && one.mode === 64 && one.operands.some((o) => (o.kind === 'offset' && one.addressSize === 8) || (o.kind === 'immediate' && o.size === 8 && one.form.operands.includes('imm64')))) return 'movabs';
  return mnemonic;
}

const far = (one: Decoded): string => (one.used.has(0x66) ? (one.mode === 16 ? 'l' : 'w') : '');

const SIXTEEN = /^(push|pop|call|jmp|ret|enter|leave|pushf|popf|pusha|popa)$/;

/** movzbl, movswq, movslq: from which size to which. */
function extended({ mnemonic, operands }: Decoded): string {
  const [to, from] = operands as { size: number }[];
  if (mnemonic === 'movsxd' && to!.size !== 8) return mnemonic;
  return `mov${mnemonic[3]}${mnemonic === 'movsxd' ? 'l' : SUFFIX[from!.size]}${SUFFIX[to!.size]}`;
}

/** The size as a letter, when only memory and numbers are there to tell it. */
function suffix(one: Decoded): string {
  const { mnemonic, operands } = one;
  const memory = operands.find((o) => o.kind === 'memory');
  if (!memory || memory.kind !== 'memory' || memory.size === 0 || NO_SUFFIX.test(mnemonic)) return '';
  const sizing = operands.some((o, n) => o.kind === 'register' && !/^(cl|dx)$/.test(one.form.operands[n]!));
  return sizing ? '' : SUFFIX[memory.size]!;
}

const NO_SUFFIX = /^(mov[sz]x|set|vm|inv|lgdt|sgdt|lidt|sidt|prefetch|fx|push$|pop$|call|jmp|ltr|str|lldt|sldt|verr|verw|lmsw|smsw|cmpxchg8b|fldcw|fnst|ldmxcsr|stmxcsr)/;

// ---- operands

function operandText(shape: Shape, operand: DecodedOperand): string {
  const { one, att } = shape;
  switch (operand.kind) {
    case 'register':
      if (att && /^(in|out)$/.test(one.mnemonic) && operand.size === 2 && operand.number === 2) return '(%dx)';
      return `${starred(shape)}${att ? '%' : ''}${registerText(shape, operand)}`;
    case 'immediate': return `${att ? '$' : ''}${hex(operand.value)}`;
    case 'one': return att ? '$1' : '1';
    case 'relative':
      shape.target = { address: operand.target, kind: 'branch' };
      return hex(operand.target);
    case 'far': return att ? `$${hex(BigInt(operand.selector))},$${hex(operand.offset)}` : `${hex(BigInt(operand.selector))}:${hex(operand.offset)}`;
    case 'offset': return `${segmentText(shape, att ? '' : 'ds')}${hex(operand.address)}`;
    case 'memory': return `${starred(shape)}${memoryText(shape, operand)}`;
  }
}

const starred = ({ one, att }: Shape): string => (att && /^(jmp|call)f?$/.test(one.mnemonic) ? '*' : '');

function registerText({ one, att }: Shape, { group, number, size }: Extract<DecodedOperand, { kind: 'register' }>): string {
  if (group === 'segment') return SEGMENTS[number]!;
  if (group === 'control') return `cr${number}`;
  if (group === 'debug') return `${att ? 'db' : 'dr'}${number}`;
  return registerName(number, size, one.rex);
}

function segmentText({ segment, att }: Shape, otherwise: string): string {
  const name = segment || otherwise;
  return name === '' ? '' : `${att ? '%' : ''}${name}:`;
}

type Memory = Extract<DecodedOperand, { kind: 'memory' }>;

const names = (one: Decoded, number: number): string => registerName(number, one.addressSize, 0);

function memoryText(shape: Shape, memory: Memory): string {
  const { one, att } = shape;
  if (memory.rip) {
    const end = one.address + BigInt(one.length) + memory.displacement;
    shape.target = { address: BigInt.asUintN(64, end), kind: 'data' };
  }
  return att ? attMemory(shape, memory) : intelMemory(shape, memory);
}

const absolute = (one: Decoded, memory: Memory): bigint => BigInt.asUintN(8 * one.addressSize, memory.displacement);

function attMemory(shape: Shape, memory: Memory): string {
  const { one } = shape;
  const { base, index, displacement, displacementSize, scale, sib, rip } = memory;
  const segment = segmentText(shape, '');
  if (rip) return `${segment}${signedHex(displacement)}(%${one.addressSize === 4 ? 'e' : 'r'}ip)`;
  const none = one.addressSize === 2 ? '' : sib && index === null && (base === null ? one.mode !== 64 || scale > 1 || true : (base & 7) !== 4 || scale > 1) ? `%${one.addressSize === 8 ? 'r' : 'e'}iz` : '';
  if (base === null && index === null && (!sib || none === '' || (one.mode === 64 && scale === 1))) return `${segment}${one.addressSize === 2 ? signedHex(displacement) : hex(absolute(one, memory))}`;
  const number = displacementSize === 0 ? '' : base === null && index === null && one.mode === 64 ? hex(absolute(one, memory)) : signedHex(displacement);
  const inner = one.addressSize === 2
    ? [base, index].filter((n) => n !== null).map((n) => `%${names(one, n)}`).join(',')
    : `${base === null ? '' : `%${names(one, base)}`}${index !== null ? `,%${names(one, index)},${scale}` : none ? `,${none},${scale}` : ''}`;
  return `${segment}${number}(${inner})`;
}

function intelMemory(shape: Shape, memory: Memory): string {
  const { one } = shape;
  const { base, index, displacement, displacementSize, scale, sib, rip } = memory;
  const pointer = intelPointer(shape, memory);
  const segment = segmentText(shape, '');
  if (rip) return `${pointer}${segment}[${one.addressSize === 4 ? 'e' : 'r'}ip+${hex(BigInt.asUintN(64, displacement))}]`;
  const riz = sib && index === null && one.addressSize !== 2 && ((base === null && (one.mode !== 64 || scale > 1)) || (base !== null && ((base & 7) !== 4 || scale > 1)));
  const terms: string[] = [];
  if (base !== null) terms.push(names(one, base));
  if (index !== null) terms.push(one.addressSize === 2 ? names(one, index) : `${names(one, index)}*${scale}`);
  else if (riz) terms.push(`${one.addressSize === 8 ? 'r' : 'e'}iz*${scale}`);
  if (terms.length === 0) return `${pointer}${segmentText(shape, 'ds')}${hex(absolute(one, memory))}`;
  const tail = displacementSize === 0 ? '' : base === null ? (displacement < 0n && one.mode === 64 ? `-${hex(-displacement)}` : `${displacement < 0n ? '-' : '+'}${hex(displacement < 0n ? -displacement : displacement)}`) : `${displacement < 0n ? '-' : '+'}${hex(displacement < 0n ? -displacement : displacement)}`;
  return `${pointer}${segment}[${terms.join('+')}${tail}]`;
}

function intelPointer({ one }: Shape, memory: Memory): string {
  if (/^(jmp|call)f$/.test(one.mnemonic)) return one.operandSize === 2 ? 'DWORD PTR ' : 'FWORD PTR ';
  if (/^(lss|lfs|lgs|les|lds)$/.test(one.mnemonic)) return one.operandSize === 2 ? 'DWORD PTR ' : 'FWORD PTR ';
  if (one.mnemonic === 'cmpxchg8b' && one.operandSize === 8) return 'OWORD PTR ';
  if (one.mnemonic === 'bound') return one.operandSize === 2 ? 'DWORD PTR ' : 'QWORD PTR ';
  if (one.mnemonic === 'invlpg') return 'BYTE PTR ';
  if (/^inv(ept|vpid)$/.test(one.mnemonic)) return 'OWORD PTR ';
  return POINTER[memory.size] ?? '';
}

// ---- strings and what has its own ways

function stringText(shape: Shape, what: string, size: number): { name: string; operands: string } {
  const { one, att } = shape;
  const [to, from] = STRINGS[what]!;
  const part = (place: string): string => {
    if (place === 'a') return `${att ? '%' : ''}${registerName(0, size, 0)}`;
    if (place === 'dx') return att ? '(%dx)' : 'dx';
    const segment = place === 'di' ? 'es' : shape.segment || 'ds';
    const register = registerName(place === 'di' ? 7 : 6, one.addressSize, 0);
    return att ? `%${segment}:(%${register})` : `${POINTER[size]}${segment}:[${register}]`;
  };
  const lettered = /^(movs|cmps|ins|outs)$/.test(what);
  return { name: att && lettered ? `${what}${SUFFIX[size]}` : what, operands: att ? `${part(from)},${part(to)}` : `${part(to)},${part(from)}` };
}

type Special = (shape: Shape) => { name: string; operands: string } | null;

const bare = (att: string, intel: string): Special => (shape) => ({ name: shape.att ? att : intel, operands: '' });

/** The rows of nop cover what objdump names by its opcode. */
function nop(shape: Shape): { name: string; operands: string } | null {
  const { one } = shape;
  const [, second] = one.form.opcode;
  const digit = ((one.modrm ?? 0) >> 3) & 7;
  const prefetch = second === 0x18 && digit < 4 ? ['prefetchnta', 'prefetcht0', 'prefetcht1', 'prefetcht2'][digit]! : second === 0x0d ? (['prefetch', 'prefetchw', 'prefetchwt1'][digit] ?? 'prefetch') : '';
  if (second === 0x1e && one.prefixes.includes(0xf3) && (one.modrm === 0xfa || one.modrm === 0xfb)) {
    shape.spent.add(0xf3);
    return { name: one.modrm === 0xfa ? 'endbr64' : 'endbr32', operands: '' };
  }
  const [operand] = one.operands;
  if (second === 0x18 && digit >= 4 && operand?.kind === 'memory') return { name: `nop${shape.att ? SUFFIX[operand.size] : ''}`.padEnd(one.mode === 64 && digit >= 6 ? 6 : 0), operands: memoryText(shape, operand) };
  if (prefetch === '' || operand?.kind !== 'memory') return null;
  shape.spent.delete(0x66);
  one.rexUsed &= ~8;
  return { name: prefetch, operands: memoryText(shape, { ...operand, size: 1 }) };
}

const SPECIAL: Readonly<Record<string, Special>> = {
  nop, prefetcht0: nop,
  monitor: ({ one, att }) => (att ? { name: 'monitor', operands: `%${registerName(0, one.addressSize, 0)},%ecx,%edx` } : null),
  mwait: ({ att }) => (att ? { name: 'mwait', operands: '%eax,%ecx' } : null),
  xlatb: (shape) => ({ name: 'xlat', operands: `${shape.att ? '' : 'BYTE PTR '}${segmentText(shape, 'ds')}${shape.att ? `(%${registerName(3, shape.one.addressSize, 0)})` : `[${registerName(3, shape.one.addressSize, 0)}]`}` }),
  cbw: bare('cbtw', 'cbw'), cwde: bare('cwtl', 'cwde'), cdqe: bare('cltq', 'cdqe'), cwd: bare('cwtd', 'cwd'), cdq: bare('cltd', 'cdq'), cqo: bare('cqto', 'cqo'),
};
