/**
 * A physical machine: code runs in root operation with nothing below it. Ports reach the board without anything that costs,
 * interrupts come in on the processor's own line, the registers are the processor's. Here belongs a program's own VMXON.
 */
import { CR2, INTERRUPTIBILITY } from '../../../cpu/layout.ts';
import {
  finishIo, register, run, segment, setInterruptLine, setRegister, setSegment, setSlot, type SegmentName as MachineSegment, type Stop,
} from '../../machine/machine.ts';
import { irqchipOwns, readIrqchip, takeVector, writeIrqchip } from '../../machine/devices/irqchip.ts';
import { syncTsc } from '../clock.ts';
import { observeOut } from '../ledger.ts';
import type { Answer, ControlName, CpuWay, GuestState, SegmentName, Vm, VmExit } from '../vm.ts';

const IF = 0x200n;
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
  init, state: directState, open, deliver, stretch: (vm, cycles, single) => run(vm.machine, BigInt(cycles), single ? 1n : NO_LIMIT), pause: () => {}, answer,
  completeIo: (vm, value) => finishIn(vm, value), place: () => 'guest', hostTick: false,
};

/** Of time the machine knows its own cycles and how long it slept; the host beside it has no part in them. */
interface Bench {
  slept: boolean;
}

function init(vm: Vm, now: number): void {
  vm.own = { slept: false } satisfies Bench;
  syncTsc(vm, now);
}

function open(vm: Vm): boolean {
  return (register(vm.machine, 'rflags') & IF) !== 0n && (vm.machine.state.getUint32(INTERRUPTIBILITY, true) & 3) === 0;
}

function deliver(vm: Vm, ready: boolean, now: number): void {
  setInterruptLine(vm.machine, ready && open(vm) ? takeVector(vm.chip) : null);
  const bench = vm.own as Bench;
  if (bench.slept) syncTsc(vm, now);
  bench.slept = false;
}

const nothing = (exit: VmExit | null): Answer => ({ exit, monitor: 0, program: 0, event: '', stepped: true });

function answer(vm: Vm, stop: Stop, now: number): Answer {
  switch (stop.reason) {
    case 'budget': return nothing(null);
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
