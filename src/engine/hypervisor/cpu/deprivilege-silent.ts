/**
 * Sensitive instructions that do not trap, written down as they run in ring 1: the monitor knows of them only because the
 * modelled processor stops before each when asked to, as a real one cannot. It compares what the instruction
 * did with what the virtual processor should have seen, and changes nothing. Source: Robin and Irvine 2000, table of 17.
 */
import { COST_EVENT, CYCLES, TRAP_SILENT, TRAPS } from '../../../cpu/layout.ts';
import { cycles as cyclesOf, general, register, run, setSlot, slot, type Stop } from '../../machine/machine.ts';
import { disassemble } from '../../machine/isa/disassemble.ts';
import { missed } from '../ledger.ts';
import type { Vm } from '../vm.ts';
import { type Parts, partsOf } from '../../machine/isa/parts.ts';
import { fetchAt, isStopped, readNumber } from './deprivilege-memory.ts';
import { linearOf, readRm, SEGMENT_ORDER } from './deprivilege-operands.ts';
import { inspect, verify } from './deprivilege-segments.ts';
import { IF, IOPL, own, table, vcpu, virtualCpl, virtualFlags, virtualSegment } from './deprivilege-state.ts';

const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);
const TRAP_ALL = 1;
const TRAP_SENSITIVE = 2;

/** Runs the guest's kernel; the processor stops before each of them, and it is stepped over by itself. */
export function runWatching(vm: Vm, most: number, single: boolean): Stop {
  const { machine } = vm;
  const end = cyclesOf(machine) + BigInt(most);
  for (;;) {
    machine.state.setUint32(TRAPS, TRAP_SENSITIVE, true);
    const stop = run(machine, end - cyclesOf(machine), single ? 1n : NO_LIMIT);
    machine.state.setUint32(TRAPS, TRAP_ALL, true);
    if (stop.reason !== 'trap' || Number(stop.payload[0]) !== TRAP_SILENT) return stop;
    // the stop is the observer's: it costs the guest nothing
    setSlot(machine, CYCLES, slot(machine, CYCLES) - BigInt(machine.state.getUint32(COST_EVENT, true)));
    const over = stepOver(vm);
    if (single || over.reason !== 'budget' || !inKernel(vm) || cyclesOf(machine) >= end) return over;
  }
}

const inKernel = (vm: Vm): boolean => virtualCpl(vm) === 0;

function stepOver(vm: Vm): Stop {
  const rip = register(vm.machine, 'rip');
  const expect = expectation(vm, rip);
  const stop = run(vm.machine, NO_LIMIT, 1n);
  if (expect && stop.reason === 'budget') note(vm, rip, expect);
  return stop;
}

interface Expectation {
  d: Parts;
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
    const d = partsOf(fetchAt(vm, rip, 15, false), 64);
    if (!d) return null;
    const rule = d.map === 0 ? ONE[d.opcode] : TWO[d.opcode];
    const made = rule?.(vm, d, rip);
    return made ? { d, text: disassemble(d.bytes, rip).text, ...made } : null;
  } catch (thrown) {
    if (isStopped(thrown)) return null;
    throw thrown;
  }
}

type Rule = (vm: Vm, d: Parts, rip: bigint) => { should: string; saw: () => string } | null;
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

function stored(vm: Vm, d: Parts, rip: bigint, size: number, should: bigint): { should: string; saw: () => string } {
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

function note(vm: Vm, rip: bigint, { text, should, saw }: Expectation): void {
  let seen: string;
  try {
    seen = saw();
  } catch (thrown) {
    if (!isStopped(thrown)) throw thrown;
    seen = '?';
  }
  if (seen !== should) missed(vm, `no trap: ${text.split(' ')[0]}`, rip, `gave ${seen}, should be ${should}`);
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
