/**
 * Sensitive instructions that do not trap, written down as they run in ring 1: the monitor knows of them only because it looks
 * ahead through the block of code that comes next and stops before each, as a debugger would. It compares what the instruction
 * did with what the virtual processor should have seen, and changes nothing. Source: Robin and Irvine 2000, table of 17.
 */
import { CODE_EPOCH } from '../../../cpu/layout.ts';
import { cycles as cyclesOf, general, register, run, type Stop } from '../../machine/machine.ts';
import { disassemble } from '../../machine/isa/disassemble.ts';
import type { Vm } from '../vm.ts';
import { type Decoded, decode } from './deprivilege-decode.ts';
import { fetchAt, isStopped, readNumber } from './deprivilege-memory.ts';
import { linearOf, readRm, SEGMENT_ORDER } from './deprivilege-operands.ts';
import { inspect, verify } from './deprivilege-segments.ts';
import { IF, IOPL, own, table, vcpu, virtualFlags, virtualSegment } from './deprivilege-state.ts';

const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);
const BLOCK = 64;
/** Blocks remembered. */
const KEPT = 20_000;

interface Block {
  /** Instructions before the sensitive one, or in the whole block. */
  count: number;
  silent: boolean;
}

interface Look {
  epoch: number;
  cr3: bigint;
  blocks: Map<bigint, Block>;
}
const LOOKS = new WeakMap<Vm, Look>();

export function runWatching(vm: Vm, most: number, single: boolean): Stop {
  const { machine } = vm;
  const end = cyclesOf(machine) + BigInt(most);
  for (;;) {
    const left = end - cyclesOf(machine);
    if (left <= 0n) return run(machine, 0n);
    const block = blockAt(vm, register(machine, 'rip'));
    const alone = block === null || (block.silent && block.count === 0) || single;
    const stop = alone ? stepOne(vm, left, block?.silent === true && block.count === 0) : run(machine, left, BigInt(block.count));
    if (single || stop.reason !== 'budget' || !inKernel(vm)) return stop;
  }
}

const inKernel = (vm: Vm): boolean => (virtualSegment(vm, 'ss').rights & 0x60) === 0;

function blockAt(vm: Vm, rip: bigint): Block | null {
  const epoch = vm.machine.state.getUint32(CODE_EPOCH, true);
  const cr3 = vcpu(vm, 'cr3');
  let look = LOOKS.get(vm);
  if (!look || look.epoch !== epoch || look.cr3 !== cr3 || look.blocks.size > KEPT) {
    look = { epoch, cr3, blocks: new Map() };
    LOOKS.set(vm, look);
  }
  const known = look.blocks.get(rip);
  if (known) return known;
  const made = scan(vm, rip);
  if (made) look.blocks.set(rip, made);
  return made;
}

function scan(vm: Vm, rip: bigint): Block | null {
  let code: Uint8Array;
  try {
    code = fetchAt(vm, rip, 15 * BLOCK, false);
  } catch (thrown) {
    if (isStopped(thrown)) return null;
    throw thrown;
  }
  let count = 0;
  for (let at = 0; count < BLOCK; count++) {
    const d = decode(code.subarray(at, at + 15), 64);
    if (!d) break;
    if (isSilent(d)) return { count, silent: true };
    at += d.length;
    if (branches(d)) return { count: count + 1, silent: false };
  }
  return count === 0 ? null : { count, silent: false };
}

function branches({ map, opcode: op, reg }: Decoded): boolean {
  if (map === 1) return (op >= 0x80 && op <= 0x8f) || op === 0x05 || op === 0x07 || op === 0x0b;
  if (map !== 0) return false;
  return (op >= 0x70 && op <= 0x7f) || (op >= 0xe0 && op <= 0xe3) || (op >= 0xe8 && op <= 0xeb) || op === 0xc2 || op === 0xc3 || (op === 0xff && (reg & 7) >= 2 && (reg & 7) <= 5) || op === 0xcd || op === 0xcc || op === 0xf4;
}

function isSilent({ map, opcode: op, reg, memory, modrm }: Decoded): boolean {
  if (map === 0) return op === 0x9c || op === 0x9d || op === 0xcf || op === 0xca || op === 0xcb || (op === 0x8c && ((reg & 7) === 1 || (reg & 7) === 2));
  if (map !== 1) return false;
  if (op === 0x00) return [0, 1, 4, 5].includes(reg & 7);
  if (op === 0x01) return memory ? [0, 1, 4].includes(reg & 7) : modrm >= 0xe0 && modrm <= 0xe7;
  return op === 0x02 || op === 0x03 || op === 0xa2;
}

/** One instruction; a silent one is compared with what it should have been. */
function stepOne(vm: Vm, left: bigint, silent: boolean): Stop {
  const rip = register(vm.machine, 'rip');
  const expect = silent ? expectation(vm, rip) : null;
  const stop = run(vm.machine, left > 1n ? left : 1n, 1n);
  if (expect && stop.reason === 'budget') note(vm, rip, expect, stop);
  return stop;
}

interface Expectation {
  d: Decoded;
  text: string;
  should: string;
  /** Read after the instruction. */
  saw: () => string;
}

const hex = (n: bigint | number): string => `0x${n.toString(16)}`;
const onOff = (flags: bigint): string => ((flags & IF) !== 0n ? 'IF=1' : 'IF=0');
const NOTHING_LOST = 'the same';

function expectation(vm: Vm, rip: bigint): Expectation | null {
  try {
    const d = decode(fetchAt(vm, rip, 15, false), 64);
    if (!d) return null;
    const rule = d.map === 0 ? ONE[d.opcode] : TWO[d.opcode];
    const made = rule?.(vm, d, rip);
    return made ? { d, text: disassemble(d.bytes, rip).text, ...made } : null;
  } catch (thrown) {
    if (isStopped(thrown)) return null;
    throw thrown;
  }
}

type Rule = (vm: Vm, d: Decoded, rip: bigint) => { should: string; saw: () => string } | null;
const INTERRUPTS = IF | IOPL;

const flagsFrom = (vm: Vm, at: bigint, size: number): { should: string; saw: () => string } => {
  const given = readNumber(vm, at, size);
  return { should: onOff(given), saw: () => onOff(virtualFlags(vm)) };
};

const ONE: Readonly<Record<number, Rule>> = {
  0x9c: (vm) => ({ should: hex(virtualFlags(vm) & INTERRUPTS), saw: () => hex(readNumber(vm, general(vm.machine, 4), 8) & INTERRUPTS) }),
  0x9d: (vm) => flagsFrom(vm, general(vm.machine, 4), 8),
  0xcf: (vm, d) => flagsFrom(vm, general(vm.machine, 4) + BigInt(2 * d.size), d.size),
  0xca: () => ({ should: NOTHING_LOST, saw: () => NOTHING_LOST }),
  0xcb: () => ({ should: NOTHING_LOST, saw: () => NOTHING_LOST }),
  0x8c: (vm, d, rip) => stored(vm, d, rip, 2, BigInt(virtualSegment(vm, SEGMENT_ORDER[d.reg & 7]!).selector)),
};

function stored(vm: Vm, d: Decoded, rip: bigint, size: number, should: bigint): { should: string; saw: () => string } {
  const at = d.memory ? linearOf(vm, d, rip) : 0n;
  return { should: hex(should), saw: () => hex(d.memory ? readNumber(vm, at, size) : readRm(vm, d, rip, size)) };
}

const storedTable = (name: 'gdt' | 'idt'): Rule => (vm, d, rip) => {
  const at = linearOf(vm, d, rip);
  return { should: hex(table(vm, name).base), saw: () => hex(readNumber(vm, at + 2n, 8)) };
};

const inspected = (rights: boolean): Rule => (vm, d, rip) => {
  const wanted = inspect(vm, Number(readRm(vm, d, rip, 2)), rights);
  const zero = (): boolean => (virtualFlags(vm) & 0x40n) !== 0n;
  return { should: wanted === null ? 'ZF=0' : hex(wanted), saw: () => (zero() ? hex(general(vm.machine, d.reg) & 0xffff_ffffn) : 'ZF=0') };
};

const verified = (writes: boolean): Rule => (vm, d, rip) => {
  const good = verify(vm, Number(readRm(vm, d, rip, 2)), writes);
  return { should: good ? 'ZF=1' : 'ZF=0', saw: () => ((virtualFlags(vm) & 0x40n) !== 0n ? 'ZF=1' : 'ZF=0') };
};

const GROUP6: readonly (Rule | undefined)[] = [
  (vm, d, rip) => stored(vm, d, rip, 2, BigInt(virtualSegment(vm, 'ldt').selector)), (vm, d, rip) => stored(vm, d, rip, 2, BigInt(virtualSegment(vm, 'tr').selector)),
  undefined, undefined, verified(false), verified(true),
];
const GROUP7: readonly (Rule | undefined)[] = [
  storedTable('gdt'), storedTable('idt'), undefined, undefined, (vm, d, rip) => stored(vm, d, rip, 2, vcpu(vm, 'cr0') & 0xffffn),
];
const TWO: Readonly<Record<number, Rule>> = {
  0x00: (vm, d, rip) => GROUP6[d.reg & 7]?.(vm, d, rip) ?? null, 0x01: (vm, d, rip) => GROUP7[d.reg & 7]?.(vm, d, rip) ?? null, 0x02: inspected(true), 0x03: inspected(false),
  0xa2: (vm) => ({ should: 'the virtual processor', saw: () => `the real one, family ${hex(general(vm.machine, 0) & 0xffff_ffffn)}` }),
};

function note(vm: Vm, rip: bigint, { text, should, saw }: Expectation, _stop: Stop): void {
  let seen: string;
  try {
    seen = saw();
  } catch (thrown) {
    if (!isStopped(thrown)) throw thrown;
    seen = '?';
  }
  const key = `${rip.toString(16)}:${text}`;
  const known = own(vm).silent.get(key);
  if (!known) own(vm).silent.set(key, { text, rip, times: 1, saw: seen, should });
  else {
    known.times++;
    // one that went wrong stays to be seen
    if (known.saw === known.should) {
      known.saw = seen;
      known.should = should;
    }
  }
}
