/** What arithmetic leaves in the flags, for instructions that the monitor carries out in the guest's place. Source: SDM 1 3.4.3, SDM 2. */
import { guestRegister, setGuestRegister } from '../state.ts';
import type { Vm } from '../vm.ts';
import type { Written } from './shadow-decode.ts';

export interface Flags {
  cf: boolean;
  pf: boolean;
  af: boolean;
  zf: boolean;
  sf: boolean;
  of: boolean;
}

const BITS: readonly [keyof Flags, bigint][] = [['cf', 1n], ['pf', 4n], ['af', 0x10n], ['zf', 0x40n], ['sf', 0x80n], ['of', 0x800n]];
const RF = 0x10000n;

export const flagsOf = (rflags: bigint): Flags => {
  const out = { cf: false, pf: false, af: false, zf: false, sf: false, of: false };
  for (const [name, bit] of BITS) out[name] = (rflags & bit) !== 0n;
  return out;
};
export const withFlags = (rflags: bigint, flags: Flags): bigint => BITS.reduce((sum, [name, bit]) => (flags[name] ? sum | bit : sum & ~bit), rflags);

export const clearRunFlag = (vm: Vm): void => setGuestRegister(vm, 'rflags', guestRegister(vm, 'rflags') & ~RF);

function parity(value: bigint): boolean {
  let ones = 0;
  for (let byte = Number(value & 255n); byte !== 0; byte >>= 1) ones += byte & 1;
  return ones % 2 === 0;
}

interface Outcome {
  result: bigint;
  flags: Flags;
}

const shaped = (result: bigint, bits: number, cf: boolean, af: boolean, of: boolean): Outcome => ({
  result, flags: { cf, af, of, zf: result === 0n, sf: result >> BigInt(bits - 1) !== 0n, pf: parity(result) },
});

function add(a: bigint, b: bigint, carry: bigint, bits: number): Outcome {
  const result = BigInt.asUintN(bits, a + b + carry);
  return shaped(result, bits, (a + b + carry) >> BigInt(bits) !== 0n, ((a ^ b ^ result) & 16n) !== 0n, ((a ^ result) & (b ^ result)) >> BigInt(bits - 1) !== 0n);
}

function subtract(a: bigint, b: bigint, borrow: bigint, bits: number): Outcome {
  const result = BigInt.asUintN(bits, a - b - borrow);
  return shaped(result, bits, a < b + borrow, ((a ^ b ^ result) & 16n) !== 0n, ((a ^ b) & (a ^ result)) >> BigInt(bits - 1) !== 0n);
}

/** The new value of an operand in memory and the flags afterwards. */
export function arithmetic(one: Written, old: bigint, before: Flags, rax: bigint): Outcome {
  const bits = 8 * one.size;
  const b = one.source;
  const carry = before.cf ? 1n : 0n;
  const keepCarry = ({ result, flags }: Outcome): Outcome => ({ result, flags: { ...flags, cf: before.cf } });
  const bit = 1n << (b & BigInt(bits - 1));
  const tested = (result: bigint): Outcome => ({ result, flags: { ...before, cf: (old & bit) !== 0n } });
  switch (one.op) {
    case 'add':
    case 'xadd': return add(old, b, 0n, bits);
    case 'adc': return add(old, b, carry, bits);
    case 'sub': return subtract(old, b, 0n, bits);
    case 'sbb': return subtract(old, b, carry, bits);
    // AF is undefined after these; the processor here clears it
    case 'and': return shaped(old & b, bits, false, false, false);
    case 'or': return shaped(old | b, bits, false, false, false);
    case 'xor': return shaped(old ^ b, bits, false, false, false);
    case 'inc': return keepCarry(add(old, 1n, 0n, bits));
    case 'dec': return keepCarry(subtract(old, 1n, 0n, bits));
    case 'neg': return subtract(0n, old, 0n, bits);
    case 'not': return { result: BigInt.asUintN(bits, ~old), flags: before };
    case 'bts': return tested(old | bit);
    case 'btr': return tested(old & ~bit);
    case 'btc': return tested(old ^ bit);
    case 'cmpxchg': {
      const accumulator = BigInt.asUintN(bits, rax);
      const { flags } = subtract(accumulator, old, 0n, bits);
      return { result: accumulator === old ? b : old, flags };
    }
    default: return { result: b, flags: before };
  }
}
