/**
 * Machine code of the translator's own: the few encodings that its sequences are made of, in 64- and in 32-bit code. None of the
 * moves touches a flag. The page of the virtual processor is reached by a 32-bit displacement without a register; in 32-bit code
 * through SS, which is flat wherever code is translated. Source: SDM 2A 2.1, SDM 2 MOV, LEA, JRCXZ.
 */
import { SLOT, type SlotName } from './deprivilege-area.ts';

export const RAX = 0;
export const RCX = 1;
export const RSP = 4;
export const RSI = 6;
export const RDI = 7;

export const le32 = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255];
export const le64 = (n: bigint): number[] => Array.from({ length: 8 }, (_, k) => Number((n >> BigInt(8 * k)) & 255n));
export const fits32 = (n: bigint): boolean => BigInt.asIntN(32, n) === BigInt.asIntN(64, n);

// ---- the same bytes in both

export const PUSHF = [0x9c];
export const POPF = [0x9d];
export const LAHF = [0x9f];
export const SAHF = [0x9e];
/** seto al, later add al, 0x7f brings OF back before SAHF does the rest */
export const SETO_AL = [0x0f, 0x90, 0xc0];
export const ADD_AL_7F = [0x04, 0x7f];
/** movzx ecx, ax */
export const AX_TO_CX = [0x0f, 0xb7, 0xc8];
export const and32 = (mask: number): number[] => [0x25, ...le32(mask)];
export const SHR_EAX_9 = [0xc1, 0xe8, 9];
/** test eax, mask */
export const test32 = (mask: number): number[] => [0xa9, ...le32(mask)];
/** test rax, -16 */
export const TEST_ABOVE_15 = [0x48, 0xa9, 0xf0, 0xff, 0xff, 0xff];
/** jrcxz or jecxz, as wide as addresses are */
export const jrcxz = (over: number): number[] => [0xe3, over];
export const jz = (over: number): number[] => [0x74, over];
export const jump8 = (over: number): number[] => [0xeb, over];
export const jump32 = (over: number): number[] => [0xe9, ...le32(over)];
export const CALLOUT = 0xcc;
/** push imm32, sign-extended */
export const pushImmediate = (low: number): number[] => [0x68, ...le32(low)];
/** mov dword [rsp + 4], imm32 */
export const upperTop = (high: number): number[] => [0xc7, 0x44, 0x24, 0x04, ...le32(high)];

// ---- what differs

export interface Encoder {
  bits: 32 | 64;
  /** Bytes of a stack element. */
  word: 4 | 8;
  /** mov [slot], r and mov r, [slot + more] */
  save(slot: SlotName, reg: number): number[];
  restore(reg: number, slot: SlotName, more?: number): number[];
  /** mov r, [slot] with 2, 4 or 8 bytes */
  restoreSized(reg: number, slot: SlotName, size: 2 | 4 | 8): number[];
  /** mov [slot], al; mov byte [slot + more], value */
  saveByte(slot: SlotName): number[];
  putByte(slot: SlotName, more: number, value: number): number[];
  /** movzx ecx, byte [slot]; movzx ecx, word [slot + more] */
  byteToCx(slot: SlotName): number[];
  wordToCx(slot: SlotName, more: number): number[];
  /** and al, [slot] */
  andByte(slot: SlotName): number[];
  /** jmp [slot] */
  jumpSlot(slot: SlotName): number[];
  /** mov rcx, [area + offset + rcx*8] */
  indexed(offset: number): number[];
  /** mov rax, [rsp]; mov [rsp], rax; lea rsp, [rsp + n] */
  topToRax: readonly number[];
  raxToTop: readonly number[];
  dropStack(n: number): number[];
  /** lea rax, [rax + rcx + n]; lea rcx, [rcx + rax]; lea rcx, [rcx + 1] */
  sumToRax(n: number): number[];
  sumToRcx: readonly number[];
  nextRcx: readonly number[];
  /** mov r, imm; mov r, r */
  moveImmediate(reg: number, value: bigint): number[];
  moveRegister(to: number, from: number): number[];
}

/** `area`: linear address of the monitor's area, within reach of a displacement. */
export function encoderFor(bits: 32 | 64, area: bigint): Encoder {
  const wide = bits === 64;
  const base = Number(BigInt.asIntN(32, area));
  const through = wide ? [] : [0x36];
  const w = (reg = 0): number[] => (wide ? [0x48 | ((reg & 8) >> 1)] : []);
  const at = (reg: number, offset: number): number[] => (wide ? [0x04 | ((reg & 7) << 3), 0x25, ...le32(base + offset)] : [0x05 | (reg << 3), ...le32(base + offset)]);
  const slot = (reg: number, name: SlotName, more = 0): number[] => at(reg, SLOT[name] + more);
  const restore = (reg: number, name: SlotName, more = 0): number[] => [...through, ...w(reg), 0x8b, ...slot(reg, name, more)];
  return {
    bits, word: wide ? 8 : 4, restore,
    save: (name, reg) => [...through, ...w(reg), 0x89, ...slot(reg, name)],
    restoreSized(reg, name, size) {
      const high = (reg & 8) !== 0 ? [0x44] : [];
      return size === 8 ? restore(reg, name) : size === 4 ? [...through, ...high, 0x8b, ...slot(reg, name)] : [...through, 0x66, ...high, 0x8b, ...slot(reg, name)];
    },
    saveByte: (name) => [...through, 0x88, ...slot(RAX, name)],
    putByte: (name, more, value) => [...through, 0xc6, ...slot(0, name, more), value],
    byteToCx: (name) => [...through, 0x0f, 0xb6, ...slot(RCX, name)],
    wordToCx: (name, more) => [...through, 0x0f, 0xb7, ...slot(RCX, name, more)],
    andByte: (name) => [...through, 0x22, ...slot(RAX, name)],
    jumpSlot: (name) => [...through, 0xff, ...slot(4, name)],
    indexed: (offset) => [...through, ...w(), 0x8b, 0x0c, 0xcd, ...le32(base + offset)],
    topToRax: [...w(), 0x8b, 0x04, 0x24], raxToTop: [...w(), 0x89, 0x04, 0x24],
    dropStack: (n) => [...w(), 0x8d, 0xa4, 0x24, ...le32(n)],
    sumToRax: (n) => [...w(), 0x8d, 0x84, 0x08, ...le32(n)],
    sumToRcx: [...w(), 0x8d, 0x0c, 0x01], nextRcx: [...w(), 0x8d, 0x49, 0x01],
    moveImmediate: (reg, value) => (wide ? [0x48 | (reg >> 3), 0xb8 | (reg & 7), ...le64(BigInt.asUintN(64, value))] : [0xb8 | reg, ...le32(Number(BigInt.asIntN(32, value)))]),
    moveRegister: (to, from) => [...(wide ? [0x48 | ((from & 8) >> 1) | (to >> 3)] : []), 0x89, 0xc0 | ((from & 7) << 3) | (to & 7)],
  };
}
