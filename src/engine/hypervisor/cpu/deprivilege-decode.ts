/**
 * One instruction of a deprivileged guest taken apart: prefixes, opcode, ModRM, SIB, displacement, immediate, and where each
 * of them lies, so that the monitor can emulate it and the translator can write it anew. What the bytes mean is not decided
 * here; bytes that the processor does not know come out with a length all the same and fault by themselves when they run.
 * Source: SDM 2A 2.1-2.2 and appendix A. Left out: VEX and EVEX (#UD on the modelled processors).
 */
export type Bits = 64 | 32;

export interface Decoded {
  bytes: Uint8Array;
  length: number;
  bits: Bits;
  o16: boolean;
  /** Address size turned round: 32 bits in 64-bit code, 16 in 32-bit code. */
  narrow: boolean;
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
  scale: number;
  ripRelative: boolean;
  displacement: bigint;
  displacementAt: number;
  displacementSize: number;
  /** Sign-extended; of ENTER and far pointers the whole as it stands. */
  immediate: bigint;
  immediateAt: number;
  immediateSize: number;
  /** Bytes of a wide operand: 2, 4 or 8. */
  size: 2 | 4 | 8;
}

interface Cursor {
  d: Decoded;
  at: number;
}

const signed = (bytes: Uint8Array, at: number, size: number): bigint => {
  let n = 0n;
  for (let k = 0; k < size; k++) n |= BigInt(bytes[at + k] ?? 0) << BigInt(8 * k);
  return BigInt.asIntN(size * 8, n);
};

/** Null: the bytes end before the instruction does (fetch more, or 15 are too many: #GP). */
export function decode(code: Uint8Array, bits: Bits): Decoded | null {
  const d: Decoded = {
    bytes: code, length: 0, bits, o16: false, narrow: false, rep: 0, lock: false, segment: -1, rex: 0, map: 0, opcode: 0, at: 0, modrm: -1, reg: 0, rm: 0, memory: false,
    base: -1, index: -1, scale: 0, ripRelative: false, displacement: 0n, displacementAt: 0, displacementSize: 0, immediate: 0n, immediateAt: 0, immediateSize: 0, size: 4,
  };
  const cursor: Cursor = { d, at: 0 };
  prefixes(cursor);
  opcode(cursor);
  d.size = (d.rex & 8) !== 0 ? 8 : d.o16 ? 2 : 4;
  if (hasModrm(d)) readModrm(cursor);
  d.immediateSize = immediateSize(d);
  d.immediateAt = cursor.at;
  d.immediate = signed(code, cursor.at, d.immediateSize);
  d.length = cursor.at + d.immediateSize;
  if (d.length > Math.min(code.length, 15)) return null;
  d.bytes = code.subarray(0, d.length);
  return d;
}

function prefixes(c: Cursor): void {
  const { d } = c;
  for (; ; c.at++) {
    const byte = d.bytes[c.at] ?? -1;
    if (byte === 0x66) d.o16 = true;
    else if (byte === 0x67) d.narrow = true;
    else if (byte === 0xf2 || byte === 0xf3) d.rep = byte;
    else if (byte === 0xf0) d.lock = true;
    else if (byte === 0x64 || byte === 0x65) d.segment = byte - 0x60;
    else if (byte === 0x26 || byte === 0x2e || byte === 0x36 || byte === 0x3e) d.segment = (byte >> 3) & 3;
    else if ((byte & 0xf0) === 0x40 && d.bits === 64) {
      d.rex = byte;
      continue;
    } else return;
    d.rex = 0;
  }
}

function opcode(c: Cursor): void {
  const { d } = c;
  const byte = d.bytes[c.at++] ?? 0;
  d.opcode = byte;
  if (byte === 0x0f) {
    d.map = 1;
    d.opcode = d.bytes[c.at++] ?? 0;
    if (d.opcode === 0x38 || d.opcode === 0x3a) {
      d.map = d.opcode === 0x38 ? 2 : 3;
      d.opcode = d.bytes[c.at++] ?? 0;
    }
  }
  d.at = c.at - 1;
}

const PLAIN_0F = new Set([0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x0e, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x37, 0x77, 0xa0, 0xa1, 0xa2, 0xa8, 0xa9, 0xaa]);

function hasModrm({ map, opcode: op, bits }: Decoded): boolean {
  if (map > 1) return true;
  if (map === 1) return !(PLAIN_0F.has(op) || (op >= 0x80 && op <= 0x8f) || (op >= 0xc8 && op <= 0xcf));
  if (op < 0x40) return (op & 7) < 4;
  if (op === 0x62 || op === 0xc4 || op === 0xc5) return bits === 32;
  return op === 0x63 || op === 0x69 || op === 0x6b || (op >= 0x80 && op <= 0x8f) || op === 0xc0 || op === 0xc1 || op === 0xc6 || op === 0xc7 || (op >= 0xd0 && op <= 0xd3)
    || (op >= 0xd8 && op <= 0xdf) || op === 0xf6 || op === 0xf7 || op >= 0xfe;
}

function readModrm(c: Cursor): void {
  const { d } = c;
  d.modrm = d.bytes[c.at++] ?? 0;
  const mod = d.modrm >> 6;
  const low = d.modrm & 7;
  d.reg = ((d.modrm >> 3) & 7) | ((d.rex & 4) << 1);
  d.rm = low | ((d.rex & 1) << 3);
  // MOV of control and debug registers takes its r/m as a register whatever mod says
  d.memory = mod !== 3 && !(d.map === 1 && d.opcode >= 0x20 && d.opcode <= 0x23);
  if (!d.memory) return;
  if (d.bits === 32 && d.narrow) return address16(c, mod, low);
  d.displacementSize = mod === 1 ? 1 : mod === 2 ? 4 : 0;
  if (low === 4) {
    const sib = d.bytes[c.at++] ?? 0;
    const index = ((sib >> 3) & 7) | ((d.rex & 2) << 2);
    if (index !== 4) d.index = index;
    d.scale = sib >> 6;
    if ((sib & 7) === 5 && mod === 0) d.displacementSize = 4;
    else d.base = (sib & 7) | ((d.rex & 1) << 3);
  } else if (low === 5 && mod === 0) {
    d.displacementSize = 4;
    d.ripRelative = d.bits === 64;
  } else d.base = d.rm;
  displacement(c);
}

function displacement(c: Cursor): void {
  c.d.displacementAt = c.at;
  c.d.displacement = signed(c.d.bytes, c.at, c.d.displacementSize);
  c.at += c.d.displacementSize;
}

function address16(c: Cursor, mod: number, low: number): void {
  const { d } = c;
  const absolute = low === 6 && mod === 0;
  d.base = absolute ? -1 : low === 4 ? 6 : low === 5 ? 7 : low === 2 || low === 3 || low === 6 ? 5 : 3;
  if (low < 4) d.index = 6 + (low & 1);
  d.displacementSize = absolute || mod === 2 ? 2 : mod === 1 ? 1 : 0;
  displacement(c);
}

/** Operand of `op` with 16-bit operands or not. */
function immediateSize(d: Decoded): number {
  const { map, opcode: op, bits } = d;
  const z = d.o16 && (d.rex & 8) === 0 ? 2 : 4;
  const near = bits === 32 && d.o16 ? 2 : 4;
  if (map === 3) return 1;
  if (map === 2) return 0;
  if (map === 1) {
    if (op >= 0x80 && op <= 0x8f) return near;
    return [0x70, 0x71, 0x72, 0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6].includes(op) ? 1 : 0;
  }
  if (op < 0x40) return (op & 7) === 4 ? 1 : (op & 7) === 5 ? z : 0;
  if (op >= 0x70 && op <= 0x7f) return 1;
  if (op >= 0xb0 && op <= 0xb7) return 1;
  if (op >= 0xb8 && op <= 0xbf) return (d.rex & 8) !== 0 ? 8 : z;
  if (op >= 0xa0 && op <= 0xa3) return bits === 64 ? (d.narrow ? 4 : 8) : d.narrow ? 2 : 4;
  return IMMEDIATES[op]?.(d, z, near) ?? 0;
}

const one = (): number => 1;
const word = (): number => 2;
const wide = (_d: Decoded, z: number): number => z;
const rel = (_d: Decoded, _z: number, near: number): number => near;
const far = ({ bits }: Decoded, z: number): number => (bits === 32 ? z + 2 : 0);
/** By opcode of the first map: those with an immediate that no range above says. */
const IMMEDIATES: Readonly<Record<number, (d: Decoded, z: number, near: number) => number>> = {
  0x68: wide, 0x69: wide, 0x6a: one, 0x6b: one, 0x80: one, 0x81: wide, 0x82: one, 0x83: one, 0x9a: far, 0xa8: one, 0xa9: wide, 0xc0: one, 0xc1: one, 0xc2: word, 0xc6: one, 0xc7: wide,
  0xc8: () => 3, 0xca: word, 0xcd: one, 0xd4: one, 0xd5: one, 0xe0: one, 0xe1: one, 0xe2: one, 0xe3: one, 0xe4: one, 0xe5: one, 0xe6: one, 0xe7: one, 0xe8: rel, 0xe9: rel, 0xea: far, 0xeb: one,
  0xf6: ({ reg }) => ((reg & 7) < 2 ? 1 : 0), 0xf7: ({ reg }, z) => ((reg & 7) < 2 ? z : 0),
};
