/**
 * A physical machine: code runs in root operation with nothing below it. Ports reach the board without anything that costs,
 * interrupts come in on the processor's own line, the registers are the processor's. Here belongs a program's own VMXON.
 */
import { CR2, CR8, INTERRUPTIBILITY } from '../../../cpu/layout.ts';
import {
  cycles as cyclesOf, finishIo, inGuest, interruptTaken, raiseNmi, register, run, segment, setInterruptLine, setRegister, setSegment, setSlot, slot, vmread, type SegmentName as MachineSegment, type Stop,
} from '../../machine/machine.ts';
import { irqchipOwns, readIrqchip, takeVector, writeIrqchip } from '../../machine/devices/irqchip.ts';
import { withDevices } from '../../machine/device-access.ts';
import { syncTsc } from '../clock.ts';
import { observeOut } from '../ledger.ts';
import { onBus, tryBare } from './direct-bus.ts';
import type { Answer, ControlName, CpuWay, GuestState, SegmentName, Vm, VmExit } from '../vm.ts';

const IF = 0x200n;
const PIN_CONTROLS = 0x4000;
const EXIT_CONTROLS = 0x400c;
const ACKNOWLEDGE = 0x8000n;
const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);

const named = (name: SegmentName): MachineSegment => (name === 'ldt' ? 'ldtr' : name);

/** The processor's own registers are the guest's. */
export const directState: GuestState = {
  register: (vm, name) => register(vm.machine, name),
  setRegister: (vm, name, value) => setRegister(vm.machine, name, value),
  control: (vm, name) => register(vm.machine, name),
  setControl(vm, name: ControlName, value) {
    if (name === 'cr2') setSlot(vm.machine, CR2, value);
    else setRegister(vm.machine, name, value);
  },
  segment: (vm, name) => segment(vm.machine, named(name)),
  setSegment: (vm, name, value) => setSegment(vm.machine, named(name), value),
  table: (vm, name) => segment(vm.machine, name === 'gdt' ? 'gdtr' : 'idtr'),
  setTable: (vm, name, { base, limit }) => setSegment(vm.machine, name === 'gdt' ? 'gdtr' : 'idtr', { selector: 0, base, limit, rights: 0 }),
  clearInterruptibility: (vm) => vm.machine.state.setUint32(INTERRUPTIBILITY, 0, true),
};

export const bare: CpuWay = {
  init, state: directState, open, deliver, stretch, pause: () => {}, answer, tryOne: tryBare,
  priority: { get: (vm) => Number(slot(vm.machine, CR8)), set: (vm, value) => setSlot(vm.machine, CR8, BigInt(value)) },
  completeIo: (vm, value) => finishIn(vm, value), place: () => 'guest', hostTick: false,
};

/** Of time the machine knows its own cycles and how long it slept; the host beside it has no part in them. */
interface Bench {
  slept: boolean;
  /** ns and cycles when the stretch began. */
  now: number;
  cycles: bigint;
}

const nowOf = (vm: Vm): number => {
  const bench = vm.own as Bench;
  return bench.now + Math.ceil(Number(cyclesOf(vm.machine) - bench.cycles) / vm.ghz);
};

function init(vm: Vm, now: number): void {
  vm.own = { slept: false, now, cycles: 0n } satisfies Bench;
  withDevices(vm.machine);
  syncTsc(vm, now);
}

function open(vm: Vm): boolean {
  return (register(vm.machine, 'rflags') & IF) !== 0n && (vm.machine.state.getUint32(INTERRUPTIBILITY, true) & 3) === 0;
}

/** The vector is wanted now: the processor will take the interrupt, or a guest of its own leaves and takes the vector along. */
function accepts(vm: Vm): boolean {
  const { machine } = vm;
  if (!inGuest(machine) || (vmread(machine, PIN_CONTROLS) & 1n) === 0n) return open(vm);
  return (vmread(machine, EXIT_CONTROLS) & ACKNOWLEDGE) !== 0n;
}

function deliver(vm: Vm, ready: boolean, now: number): void {
  if (!interruptTaken(vm.machine)) setInterruptLine(vm.machine, !ready ? null : accepts(vm) ? takeVector(vm.chip) : 'asks');
  const bench = vm.own as Bench;
  if (bench.slept) syncTsc(vm, now);
  bench.slept = false;
  Object.assign(bench, { now, cycles: cyclesOf(vm.machine) });
  if (vm.chip.apic.nmi) raiseNmi(vm.machine);
  vm.chip.apic.nmi = false;
}

/** Until something happens that the machine round the processor has to look at; what only reads its own devices goes on at once. */
function stretch(vm: Vm, cycles: number, single: boolean): Stop {
  const end = cyclesOf(vm.machine) + BigInt(cycles);
  for (;;) {
    const left = end - cyclesOf(vm.machine);
    const stop = run(vm.machine, left > 0n ? left : 1n, single ? 1n : NO_LIMIT);
    if (stop.reason !== 'device') return stop;
    const after = onBus(vm, nowOf(vm));
    if (after === 'again' && !single && cyclesOf(vm.machine) < end) continue;
    return after === 'again' || after === 'changed' ? { reason: 'budget', payload: [] } : after;
  }
}

/** An access to where nothing is on this machine's own bus: for the program to say. */
function waiting(vm: Vm): VmExit {
  const { stores, want } = vm.device!;
  const one = stores[0] ?? want!;
  return { reason: 'mmio', direction: stores.length > 0 ? 'write' : 'read', gpa: one.address, size: one.size, value: one.value };
}

const nothing = (exit: VmExit | null): Answer => ({ exit, monitor: 0, program: 0, event: '', stepped: true });

function answer(vm: Vm, stop: Stop, now: number): Answer {
  switch (stop.reason) {
    case 'budget': return nothing(null);
    case 'device': return nothing(waiting(vm));
    case 'halt':
      vm.halted = true;
      (vm.own as Bench).slept = true;
      return nothing(null);
    case 'shutdown': return nothing({ reason: 'shutdown' });
    case 'io': return nothing(onPort(vm, Number(stop.payload[0]), Number(stop.payload[1]) as 1 | 2 | 4, stop.payload[2] === 1n, Number(stop.payload[3]), now));
    default: return nothing({ reason: 'internal-error', text: `the processor stopped: ${stop.reason}` });
  }
}

function onPort(vm: Vm, port: number, size: 1 | 2 | 4, reading: boolean, value: number, now: number): VmExit | null {
  if (irqchipOwns(port)) {
    if (!reading) for (let n = 0; n < size; n++) writeIrqchip(vm.chip, port + n, Math.floor(value / 2 ** (8 * n)) & 255, now);
    finishIo(vm.machine, reading ? BigInt(readIrqchip(vm.chip, port, now)) : 0n);
    return null;
  }
  if (reading) vm.io = { size, string: false, linear: 0n };
  else {
    observeOut(vm, port, value);
    finishIo(vm.machine, 0n);
  }
  return { reason: 'io', direction: reading ? 'in' : 'out', port, size, value: reading ? 0 : value };
}

function finishIn(vm: Vm, value: number): void {
  if (!vm.io) return;
  vm.io = null;
  finishIo(vm.machine, BigInt(value >>> 0));
}
