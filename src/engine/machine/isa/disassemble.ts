/**
 * From bytes to text, by the forms that the assembler writes: NASM's syntax, one instruction at a time. Bytes that no form
 * explains come out as `db`. Prefixes are kept as the bytes say; where several names mean one code (je, jz) the first is taken.
 * Source of the layout: SDM 2A 2.1-2.2. Left out: VEX, EVEX, x87, 16- and 32-bit code.
 */
import { ALL_FORMS, type Form } from './forms.ts';

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

/** By first opcode byte, so that decoding does not search the whole list. */
const BY_OPCODE = index();

function index(): ReadonlyMap<number, readonly Form[]> {
  const out = new Map<number, Form[]>();
  for (const form of ALL_FORMS) {
    const first = form.opcode[0]!;
    const codes = form.plus && form.opcode.length === 1 ? [0, 1, 2, 3, 4, 5, 6, 7].map((n) => first + n) : [first];
    for (const code of codes) {
      const list = out.get(code);
      if (list) list.push(form);
      else out.set(code, [form]);
    }
  }
  return out;
}

interface Prefixes {
  o16: boolean;
  a32: boolean;
  rep: 0 | 0xf2 | 0xf3;
  lock: boolean;
  segment: string;
  rex: number;
  /** Index of the opcode. */
  at: number;
}

/** Never throws; reads at most 15 bytes. */
export function disassemble(code: Uint8Array, address: bigint): Disassembled {
  const bytes = code.subarray(0, 15);
  const prefixes = readPrefixes(bytes);
  let best: Disassembled | null = null;
  let weight = -1;
  for (const form of BY_OPCODE.get(bytes[prefixes.at] ?? -1) ?? []) {
    const fit = weigh(form, bytes, prefixes);
    if (fit <= weight) continue;
    const decoded = decode(form, bytes, prefixes, address);
    if (!decoded) continue;
    best = decoded;
    weight = fit;
  }
  if (best) return best;
  const byte = bytes[0] ?? 0;
  return { address, length: bytes.length === 0 ? 0 : 1, mnemonic: 'db', text: `db ${hex(BigInt(byte))}`, target: null };
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

function readPrefixes(bytes: Uint8Array): Prefixes {
  const p: Prefixes = { o16: false, a32: false, rep: 0, lock: false, segment: '', rex: 0, at: 0 };
  for (; p.at < bytes.length; p.at++) {
    const byte = bytes[p.at]!;
    if (byte === 0x66) p.o16 = true;
    else if (byte === 0x67) p.a32 = true;
    else if (byte === 0xf2 || byte === 0xf3) p.rep = byte;
    else if (byte === 0xf0) p.lock = true;
    else if (byte in SEGMENT_BYTES) p.segment = SEGMENT_BYTES[byte]!;
    else break;
  }
  if (((bytes[p.at] ?? 0) & 0xf0) === 0x40) p.rex = bytes[p.at++]!;
  return p;
}

/** How well a form explains the bytes: -1 not at all, more for every prefix that belongs to it. */
function weigh(form: Form, bytes: Uint8Array, p: Prefixes): number {
  const w = (p.rex & 8) !== 0;
  const wideless = FIXED_64.test(form.mnemonic) || !form.operands.some((o) => /\d/.test(o));
  if (form.w && !w) return -1;
  if (!form.w && w && !wideless) return -1;
  if (form.o16 && (!p.o16 || w)) return -1;
  const mandatory66 = form.mandatory.includes(0x66);
  if (!form.o16 && p.o16 && !mandatory66 && !w && !NO_SIZE.test(form.mnemonic) && form.operands.some((o) => /16|32|64/.test(o))) return -1;
  for (const byte of form.mandatory) {
    if (byte === 0x66 ? !p.o16 : p.rep !== byte) return -1;
  }
  for (let n = 0; n < form.opcode.length; n++) {
    const given = bytes[p.at + n];
    const wanted = form.opcode[n]!;
    if (form.plus && n === form.opcode.length - 1 ? given === undefined || (given & 0xf8) !== wanted : given !== wanted) return -1;
  }
  if (typeof form.modrm === 'number') {
    const modrm = bytes[p.at + form.opcode.length];
    if (modrm === undefined || ((modrm >> 3) & 7) !== form.modrm) return -1;
  }
  if (form.mnemonic === 'mov' && form.operands[1] === 'imm32c' && (bytes[p.at + 1] ?? 0) < 0xc0) return -1;
  return form.mandatory.length * 4 + (form.w ? 2 : 0) + (form.o16 ? 2 : 0) + form.opcode.length * 8 + (typeof form.modrm === 'number' ? 1 : 0);
}

/** Whose operands are 64 bits without REX.W. */
const FIXED_64 = /^(push|pop|call|jmp|j|ret|loop|enter|leave|vm|in$|out$|int|lgdt|lidt|sgdt|sidt|invlpg|ltr|set|mov$)/;
const NO_SIZE = /^(j|call|jmp|ret|set|in$|out$|int)/;

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

export function hex(n: bigint): string {
  return n < 0n ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`;
}

function decode(form: Form, bytes: Uint8Array, p: Prefixes, address: bigint): Disassembled | null {
  const reader: Reader = { bytes, at: p.at + form.opcode.length, short: false };
  let rm: { register: number | null; text: string; rip: bigint | null } = { register: null, text: '', rip: null };
  let reg = 0;
  if (form.modrm !== null) {
    const modrm = bytes[reader.at++];
    if (modrm === undefined) return null;
    reg = ((modrm >> 3) & 7) | (p.rex & 4 ? 8 : 0);
    rm = readRm(modrm, reader, p);
    if (rm.register === null && !form.operands.some((o) => o.includes('m'))) {
      if (form.operands.length > 0 && !/^(cr|dr)$/.test(form.operands.find((o) => o === 'cr' || o === 'dr') ?? '')) return null;
    }
    if (rm.register !== null && form.operands.some((o) => /^m\d*$/.test(o))) return null;
  }
  const low = (bytes[p.at + form.opcode.length - 1]! & 7) | (p.rex & 1 ? 8 : 0);
  if (form.operands.includes('r32x') && low === 0) return null;
  const parts: { kind: string; value: bigint }[] = [];
  for (const kind of form.operands) {
    const m = /^(imm|rel)(\d+)/.exec(kind);
    if (m && kind !== '1') parts.push({ kind, value: signed(reader, Number(m[2]) / 8) });
    else parts.push({ kind, value: 0n });
  }
  if (reader.short) return null;
  const end = address + BigInt(reader.at);
  let target: bigint | null = rm.rip === null ? null : BigInt.asUintN(64, end + rm.rip);
  const hasRm = form.operands.some((o) => o.includes('m') && !o.startsWith('imm'));
  const registerSpelled = form.operands.some((o) => /^r\d+x?$|^[a-e]?[a-d][lx]$|^rax$|^sreg$/.test(o) && !/^(cl|dx)$/.test(o)) && !form.mixed;
  let plainRegisters = 0;
  const texts = parts.map(({ kind, value }) => {
    if (kind.startsWith('rel')) {
      target = BigInt.asUintN(64, end + value);
      return hex(target);
    }
    if (kind.startsWith('imm')) return immediate(kind, value, form);
    if (kind === 'sreg') return SEGMENTS[reg & 7] ?? '?';
    if (kind === 'cr' || kind === 'dr') return `${kind}${reg}`;
    const general = /^r(\d+)x?$/.exec(kind);
    if (general) {
      const number = form.plus ? low : hasRm ? reg : plainRegisters++ === 0 && !form.operands.some((o) => o === 'cr' || o === 'dr' || o === 'sreg') && form.modrm === 'r' ? reg : (rm.register ?? reg);
      return registerName(number, Number(general[1]) / 8, p.rex);
    }
    const memory = /^(r\/)?m(\d*)$/.exec(kind);
    if (!memory) return kind;
    if (rm.register !== null) return registerName(rm.register, Number(memory[2]) / 8, p.rex);
    const size = registerSpelled || memory[2] === '' ? '' : `${SIZE_WORD[Number(memory[2]) / 8]} `;
    const place = target !== null && rm.rip !== null ? `rel ${hex(target)}` : rm.text;
    return `${size}[${p.segment ? `${p.segment}:` : ''}${place}]`;
  });
  const mnemonic = form.mnemonic === 'o64sysret' ? 'sysretq' : form.mnemonic;
  const lead = `${p.lock ? 'lock ' : ''}${repeat(mnemonic, form, p)}`;
  return { address, length: reader.at, mnemonic, text: `${lead}${mnemonic}${texts.length > 0 ? ` ${texts.join(', ')}` : ''}`, target };
}

function repeat(mnemonic: string, form: Form, p: Prefixes): string {
  if (p.rep === 0 || form.mandatory.includes(p.rep) || !STRING.test(mnemonic)) return '';
  if (p.rep === 0xf2) return 'repne ';
  return /^(cmps|scas)/.test(mnemonic) ? 'repe ' : 'rep ';
}

function immediate(kind: string, value: bigint, form: Form): string {
  if (/s$|c$/.test(kind)) return hex(value);
  const bits = Number(/\d+/.exec(kind)![0]);
  return form.mnemonic === 'push' ? hex(value) : hex(BigInt.asUintN(bits, value));
}

function registerName(number: number, size: number, rex: number): string {
  if (size === 1 && rex === 0) return HIGH[number] ?? NAMES[1]![number]!;
  return NAMES[size]?.[number] ?? '?';
}

function readRm(modrm: number, reader: Reader, p: Prefixes): { register: number | null; text: string; rip: bigint | null } {
  const mod = modrm >> 6;
  const low = modrm & 7;
  const b = p.rex & 1 ? 8 : 0;
  if (mod === 3) return { register: low | b, text: '', rip: null };
  const names = NAMES[p.a32 ? 4 : 8]!;
  const terms: string[] = [];
  let bare = false;
  if (low === 4) {
    const sib = reader.bytes[reader.at++];
    if (sib === undefined) reader.short = true;
    const base = (sib ?? 0) & 7;
    const inner = (((sib ?? 0) >> 3) & 7) | (p.rex & 2 ? 8 : 0);
    bare = mod === 0 && base === 5;
    if (!bare) terms.push(names[base | b]!);
    if (inner !== 4) terms.push((sib ?? 0) >> 6 === 0 ? names[inner]! : `${names[inner]}*${1 << ((sib ?? 0) >> 6)}`);
  } else if (mod === 0 && low === 5) return { register: null, text: '', rip: signed(reader, 4) };
  else terms.push(names[low | b]!);
  const displacement = mod === 1 ? signed(reader, 1) : mod === 2 || bare ? signed(reader, 4) : null;
  if (displacement === null) return { register: null, text: terms.join('+'), rip: null };
  if (terms.length === 0) return { register: null, text: hex(BigInt.asUintN(64, displacement)), rip: null };
  return { register: null, text: `${terms.join('+')}${displacement < 0n ? '-' : '+'}${hex(displacement < 0n ? -displacement : displacement)}`, rip: null };
}
