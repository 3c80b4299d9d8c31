/**
 * Machine code of the translator's own: the few encodings that its sequences are made of. None of the moves touches a flag; the
 * page of the virtual processor is reached by a 32-bit displacement without a register. Source: SDM 2A 2.1, SDM 2 MOV, LEA, JRCXZ.
 */
import { areaAddress, type SlotName, slotAddress } from './deprivilege-area.ts';

export const RAX = 0;
export const RCX = 1;
export const RSP = 4;
export const RSI = 6;
export const RDI = 7;

export const le32 = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255];
export const le64 = (n: bigint): number[] => Array.from({ length: 8 }, (_, k) => Number((n >> BigInt(8 * k)) & 255n));

const rex = (reg: number): number => 0x48 | ((reg & 8) >> 1);
/** ModRM and SIB of an absolute address. */
const absolute = (reg: number, address: number): number[] => [0x04 | ((reg & 7) << 3), 0x25, ...le32(address)];

/** mov [slot], r64 */
export const save = (slot: SlotName, reg: number): number[] => [rex(reg), 0x89, ...absolute(reg, slotAddress(slot))];
/** mov r64, [slot] */
export const restore = (reg: number, slot: SlotName, more = 0): number[] => [rex(reg), 0x8b, ...absolute(reg, slotAddress(slot, more))];
/** mov r, [slot] with 2, 4 or 8 bytes */
export function restoreSized(reg: number, slot: SlotName, size: 2 | 4 | 8): number[] {
  const high = (reg & 8) !== 0 ? [0x44] : [];
  return size === 8 ? restore(reg, slot) : size === 4 ? [...high, 0x8b, ...absolute(reg, slotAddress(slot))] : [0x66, ...high, 0x8b, ...absolute(reg, slotAddress(slot))];
}
/** mov [slot], al */
export const saveByte = (slot: SlotName): number[] => [0x88, ...absolute(RAX, slotAddress(slot))];
/** mov byte [slot + more], value */
export const putByte = (slot: SlotName, more: number, value: number): number[] => [0xc6, ...absolute(0, slotAddress(slot, more)), value];
/** movzx ecx, byte [slot] */
export const byteToCx = (slot: SlotName): number[] => [0x0f, 0xb6, ...absolute(RCX, slotAddress(slot))];
/** movzx ecx, word [slot + more] */
export const wordToCx = (slot: SlotName, more: number): number[] => [0x0f, 0xb7, ...absolute(RCX, slotAddress(slot, more))];
/** and al, [slot] */
export const andByte = (slot: SlotName): number[] => [0x22, ...absolute(RAX, slotAddress(slot))];
/** jmp [slot] */
export const jumpSlot = (slot: SlotName): number[] => [0xff, ...absolute(4, slotAddress(slot))];
/** mov rcx, [area + offset + rcx*8] */
export const indexed = (offset: number): number[] => [0x48, 0x8b, 0x0c, 0xcd, ...le32(areaAddress(offset))];

export const PUSHFQ = [0x9c];
export const POPFQ = [0x9d];
export const LAHF = [0x9f];
export const SAHF = [0x9e];
/** seto al, later add al, 0x7f brings OF back before SAHF does the rest */
export const SETO_AL = [0x0f, 0x90, 0xc0];
export const ADD_AL_7F = [0x04, 0x7f];
/** mov rax, [rsp] */
export const TOP_TO_RAX = [0x48, 0x8b, 0x04, 0x24];
/** mov [rsp], rax */
export const RAX_TO_TOP = [0x48, 0x89, 0x04, 0x24];
/** lea rsp, [rsp + n] */
export const dropStack = (n: number): number[] => [0x48, 0x8d, 0xa4, 0x24, ...le32(n)];
/** lea rax, [rax + rcx + n] */
export const sumToRax = (n: number): number[] => [0x48, 0x8d, 0x84, 0x08, ...le32(n)];
/** lea rcx, [rcx + rax] */
export const SUM_TO_RCX = [0x48, 0x8d, 0x0c, 0x01];
/** lea rcx, [rcx + 1] */
export const NEXT_RCX = [0x48, 0x8d, 0x49, 0x01];
/** movzx ecx, ax */
export const AX_TO_CX = [0x0f, 0xb7, 0xc8];
export const and32 = (mask: number): number[] => [0x25, ...le32(mask)];
export const SHR_EAX_9 = [0xc1, 0xe8, 9];
/** test eax, mask */
export const test32 = (mask: number): number[] => [0xa9, ...le32(mask)];
/** test rax, -16 */
export const TEST_ABOVE_15 = [0x48, 0xa9, 0xf0, 0xff, 0xff, 0xff];
export const jrcxz = (over: number): number[] => [0xe3, over];
export const jz = (over: number): number[] => [0x74, over];
export const jump8 = (over: number): number[] => [0xeb, over];
export const jump32 = (over: number): number[] => [0xe9, ...le32(over)];
export const CALLOUT = 0xcc;
/** mov r64, imm64 */
export const moveImmediate = (reg: number, value: bigint): number[] => [0x48 | (reg >> 3), 0xb8 | (reg & 7), ...le64(BigInt.asUintN(64, value))];
/** mov r64, r64 */
export const moveRegister = (to: number, from: number): number[] => [0x48 | ((from & 8) >> 1) | (to >> 3), 0x89, 0xc0 | ((from & 7) << 3) | (to & 7)];
/** push imm32, sign-extended */
export const pushImmediate = (low: number): number[] => [0x68, ...le32(low)];
/** mov dword [rsp + 4], imm32 */
export const upperTop = (high: number): number[] => [0xc7, 0x44, 0x24, 0x04, ...le32(high)];

export const fits32 = (n: bigint): boolean => BigInt.asIntN(32, n) === BigInt.asIntN(64, n);
