/**
 * One instruction's parts, for monitors that emulate it or write it anew: prefixes, opcode and map, ModRM, registers of the address,
 * displacement, immediate, and where each of them lies. Read by decode.ts over the instruction table; here it is only laid out.
 * Source: SDM 2A 2.1-2.2.
 */
import { decode, type Mode } from './decode.ts';
import { writtenName } from './disassemble.ts';

export interface Parts {
  /** In NASM's words. */
  mnemonic: string;
  bytes: Uint8Array;
  length: number;
  bits: Mode;
  /** Operands of 16 bits, in whatever mode. */
  o16: boolean;
  /** Bytes of an offset. */
  addressSize: 2 | 4 | 8;
  /** 0xf2, 0xf3 or 0. */
  rep: number;
  lock: boolean;
  /** Overriding segment, 0 ES to 5 GS, or -1. */
  segment: number;
  rex: number;
  /** 0 one byte, 1 after 0F, 2 after 0F 38, 3 after 0F 3A. */
  map: number;
  opcode: number;
  /** Where the opcode's last byte lies. */
  at: number;
  /** Whole byte, or -1: there is none. */
  modrm: number;
  /** With REX; `rm` is only a register when `memory` is false. */
  reg: number;
  rm: number;
  memory: boolean;
  /** Register numbers, or -1. */
  base: number;
  index: number;
  /** The index is shifted by so much. */
  scale: number;
  ripRelative: boolean;
  displacement: bigint;
  displacementAt: number;
  displacementSize: number;
  /** Sign-extended; of ENTER and far pointers the whole as it stands. */
  immediate: bigint;
  immediateAt: number;
  immediateSize: number;
  /** Bytes of a wide operand. */
  size: 2 | 4 | 8;
}

const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const PREFIXES = new Set([...SEGMENT_PREFIXES, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);
export const LONGEST_INSTRUCTION = 15;

/** A REX with a prefix behind it means nothing: the place of the first such one, or -1. */
function idleRex(code: Uint8Array): number {
  for (let at = 0; at + 1 < Math.min(code.length, LONGEST_INSTRUCTION); at++) {
    const byte = code[at]!;
    if ((byte & 0xf0) === 0x40) {
      const next = code[at + 1]!;
      if (PREFIXES.has(next) || (next & 0xf0) === 0x40) return at;
      return -1;
    }
    if (!PREFIXES.has(byte)) return -1;
  }
  return -1;
}

/** Instructions that were read before, by mode and first bytes: monitors meet the same ones again and again. */
const KNOWN = new Map<number, Parts[]>();
const MOST_KNOWN = 4096;

/** Null: the bytes end too early, they are too many, or the processor has no such instruction (`whyNot`). The record is shared. */
export function partsOf(code: Uint8Array, bits: Mode): Parts | null {
  const key = (bits << 24) | (code[0] ?? 0) | ((code[1] ?? 0) << 8) | ((code[2] ?? 0) << 16);
  const same = KNOWN.get(key);
  const known = same?.find(({ bytes }) => bytes.every((byte, n) => byte === code[n]));
  if (known) return known;
  const found = read(code, bits);
  if (!found) return null;
  found.bytes = found.bytes.slice();
  if (KNOWN.size >= MOST_KNOWN) KNOWN.clear();
  if (same && same.length < 64) same.push(found);
  else KNOWN.set(key, [found]);
  return found;
}

function read(code: Uint8Array, bits: Mode): Parts | null {
  const idle = bits === 64 ? idleRex(code) : -1;
  if (idle >= 0) return withIdle(code, idle);
  const found = decode(code, 0n, bits);
  if (!found) return null;
  const { form, rex, prefixes, length, modrm: given, at } = found;
  const first = at.opcode - form.opcode.length + 1;
  const map = code[first] !== 0x0f ? 0 : code[first + 1] === 0x38 ? 2 : code[first + 1] === 0x3a ? 3 : 1;
  const opcodeAt = first + (map === 0 ? 0 : map === 1 ? 1 : 2);
  const modrm = given ?? (at.opcode > opcodeAt ? code[at.opcode]! : -1);
  const memory = found.operands.find((one) => one.kind === 'memory');
  const immediateSize = length - at.immediate;
  return {
    mnemonic: writtenName(found.mnemonic), bytes: code.subarray(0, length), length, bits, o16: found.operandSize === 2, addressSize: found.addressSize, rep: prefixes.findLast((one) => one === 0xf2 || one === 0xf3) ?? 0, lock: prefixes.includes(0xf0),
    segment: SEGMENT_PREFIXES.indexOf(prefixes.findLast((one) => SEGMENT_PREFIXES.includes(one)) ?? 0), rex, map, opcode: code[opcodeAt]!, at: opcodeAt,
    modrm, reg: modrm < 0 ? 0 : ((modrm >> 3) & 7) | ((rex & 4) << 1), rm: modrm < 0 ? 0 : (modrm & 7) | ((rex & 1) << 3), memory: memory !== undefined,
    base: memory?.base ?? -1, index: memory?.index ?? -1, scale: memory ? Math.log2(memory.scale) : 0, ripRelative: memory?.rip ?? false,
    displacement: memory?.displacement ?? 0n, displacementAt: at.displacement, displacementSize: memory?.displacementSize ?? 0,
    immediate: signed(code, at.immediate, immediateSize), immediateAt: at.immediate, immediateSize, size: found.operandSize,
  };
}

function withIdle(code: Uint8Array, idle: number): Parts | null {
  const rest = read(Uint8Array.from([...code.subarray(0, idle), ...code.subarray(idle + 1, LONGEST_INSTRUCTION)]), 64);
  if (!rest) return null;
  const length = rest.length + 1;
  return { ...rest, bytes: code.subarray(0, length), length, at: rest.at + 1, displacementAt: rest.displacementAt + 1, immediateAt: rest.immediateAt + 1 };
}

function signed(bytes: Uint8Array, at: number, size: number): bigint {
  let n = 0n;
  for (let k = 0; k < size; k++) n |= BigInt(bytes[at + k] ?? 0) << BigInt(8 * k);
  return size === 0 ? 0n : BigInt.asIntN(size * 8, n);
}

/** Why there are no parts: more bytes are wanted; there are more than fifteen (#GP); there is no such instruction (#UD). */
export function whyNot(code: Uint8Array, bits: Mode): 'cut' | 'long' | 'unknown' {
  const padded = new Uint8Array(LONGEST_INSTRUCTION);
  padded.set(code.subarray(0, LONGEST_INSTRUCTION));
  if (partsOf(padded, bits)) return 'cut';
  if (!PREFIXES.has(padded[0]!)) return 'unknown';
  const shorter = new Uint8Array(LONGEST_INSTRUCTION);
  shorter.set(padded.subarray(padded.findIndex((byte) => !PREFIXES.has(byte))));
  return padded.every((byte) => PREFIXES.has(byte)) || partsOf(shorter, bits) ? 'long' : 'unknown';
}
