/**
 * What decode.ts reads, as text in NASM's syntax, one instruction at a time, of 64-bit code unless another mode is given. Bytes that no row of the instruction table
 * explains come out as `db`. Prefixes are kept as the bytes say; where several names mean one code (je, jz) the first is taken.
 */
import { type Decoded, type DecodedOperand, decode, type Mode } from './decode.ts';

export interface Disassembled {
  address: bigint;
  length: number;
  mnemonic: string;
  text: string;
  /** Target of a relative jump or call, or address of a RIP-relative operand. */
  target: bigint | null;
}

const NAMES: Readonly<Record<number, readonly string[]>> = {
  8: ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
  4: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'r8d', 'r9d', 'r10d', 'r11d', 'r12d', 'r13d', 'r14d', 'r15d'],
  2: ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di', 'r8w', 'r9w', 'r10w', 'r11w', 'r12w', 'r13w', 'r14w', 'r15w'],
  1: ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil', 'r8b', 'r9b', 'r10b', 'r11b', 'r12b', 'r13b', 'r14b', 'r15b'],
};
const HIGH = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const SIZE_WORD: Readonly<Record<number, string>> = { 1: 'byte', 2: 'word', 4: 'dword', 8: 'qword' };
const SEGMENT_BYTES: Readonly<Record<number, string>> = { 0x2e: 'cs', 0x36: 'ss', 0x3e: 'ds', 0x26: 'es', 0x64: 'fs', 0x65: 'gs' };
const STRING = /^(movs|cmps|stos|lods|scas|ins|outs)[bwdq]$/;
/** Names of the table that NASM writes otherwise. */
const WRITTEN: Readonly<Record<string, string>> = { o64sysret: 'sysretq', jmpf: 'jmp far', callf: 'call far' };
export const writtenName = (mnemonic: string): string => WRITTEN[mnemonic] ?? mnemonic;

/** Never throws; reads at most 15 bytes. */
export function disassemble(code: Uint8Array, address: bigint, mode: Mode = 64): Disassembled {
  const d = decode(code, address, mode);
  if (d) return written(d);
  return { address, length: Math.min(1, code.length), mnemonic: 'db', text: `db ${hex(BigInt(code[0] ?? 0))}`, target: null };
}

/** A run of instructions until `count` of them or the end of the bytes. */
export function disassembleAll(code: Uint8Array, address: bigint, count = Number.POSITIVE_INFINITY): Disassembled[] {
  const out: Disassembled[] = [];
  for (let at = 0; at < code.length && out.length < count; ) {
    const one = disassemble(code.subarray(at), address + BigInt(at));
    out.push(one);
    at += Math.max(1, one.length);
  }
  return out;
}

export function hex(n: bigint): string {
  return n < 0n ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`;
}

function written(d: Decoded): Disassembled {
  const { form, address, length } = d;
  const mnemonic = writtenName(d.mnemonic);
  const spelled = !form.mixed && form.operands.some((o) => /^r\d+x?$|^[a-e]?[a-d][lx]$|^rax$|^sreg$/.test(o) && !/^(cl|dx)$/.test(o));
  let target: bigint | null = null;
  const texts = d.operands.map((one, n) => {
    if (one.kind === 'relative') target = one.target;
    if (one.kind === 'memory' && one.rip) target = BigInt.asUintN(64, address + BigInt(length) + one.displacement);
    return operand(d, one, form.operands[n] ?? '', spelled, target);
  });
  const lead = `${d.prefixes.includes(0xf0) ? 'lock ' : ''}${repeat(d)}`;
  return { address, length, mnemonic, text: `${lead}${mnemonic}${texts.length > 0 ? ` ${texts.join(', ')}` : ''}`, target };
}

function repeat(d: Decoded): string {
  const rep = d.prefixes.filter((byte) => byte === 0xf2 || byte === 0xf3).at(-1);
  if (rep === undefined || d.form.mandatory.includes(rep) || !STRING.test(d.mnemonic)) return '';
  return rep === 0xf2 ? 'repne ' : /^(cmps|scas)/.test(d.mnemonic) ? 'repe ' : 'rep ';
}

function segmentOf(d: Decoded): string {
  const byte = d.prefixes.filter((one) => one in SEGMENT_BYTES).at(-1);
  return byte === undefined ? '' : `${SEGMENT_BYTES[byte]}:`;
}

function operand(d: Decoded, one: DecodedOperand, kind: string, spelled: boolean, target: bigint | null): string {
  switch (one.kind) {
    case 'register':
      if (one.group === 'segment') return SEGMENTS[one.number] ?? '?';
      if (one.group !== 'general') return `${one.group === 'control' ? 'cr' : 'dr'}${one.number}`;
      if (d.form.operands[0] === 'sreg') return NAMES[2]![one.number] ?? '?';
      return one.size === 1 && d.rex === 0 ? (HIGH[one.number] ?? '?') : (NAMES[one.size]?.[one.number] ?? '?');
    case 'immediate': return hex(/[sc]$/.test(kind) || d.mnemonic === 'push' ? BigInt.asIntN(8 * one.size, one.value) : one.value);
    case 'memory': {
      const size = spelled || !/\d/.test(kind) ? '' : `${SIZE_WORD[one.size] ?? ''} `;
      return `${size}[${segmentOf(d)}${one.rip && target !== null ? `rel ${hex(target)}` : place(d, one)}]`;
    }
    case 'offset': return `[${d.addressSize === 8 ? 'qword ' : ''}${segmentOf(d)}${hex(one.address)}]`;
    case 'relative': return hex(one.target);
    case 'far': return `${hex(BigInt(one.selector))}:${hex(one.offset)}`;
    case 'one': return '1';
  }
}

function place(d: Decoded, { base, index, scale, displacement, displacementSize }: Extract<DecodedOperand, { kind: 'memory' }>): string {
  const names = NAMES[d.addressSize === 8 ? 8 : 4]!;
  const terms: string[] = [];
  if (base !== null) terms.push(names[base]!);
  if (index !== null) terms.push(scale === 1 ? names[index]! : `${names[index]}*${scale}`);
  if (displacementSize === 0) return terms.join('+');
  if (terms.length === 0) return hex(BigInt.asUintN(64, displacement));
  return `${terms.join('+')}${displacement < 0n ? '-' : '+'}${hex(displacement < 0n ? -displacement : displacement)}`;
}
