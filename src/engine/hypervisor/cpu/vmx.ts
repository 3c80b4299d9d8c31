/**
 * Running a guest under VT-x: what waits goes into the VM-entry fields, the guest runs until a VM exit, the exit is answered
 * by its row (exit.ts) and counted. Everything of the guest but its general registers is in the VMCS while it is out.
 * Source: SDM 3C 27-28, KVM's vmx_vcpu_run and vmx_handle_exit.
 */
import { beginTry, endTry, type NamedPage, type Try } from '../../machine/device-access.ts';
import { enterGuest, inGuest, leaveGuest, run, setSlot, slot, type Stop } from '../../machine/machine.ts';
import { heldByTask } from '../../machine/devices/apic.ts';
import { takeVector } from '../../machine/devices/irqchip.ts';
import type { VmEvent } from '../events.ts';
import { type ExitReason, exitName, exitRow, explainQualification } from '../exits.ts';
import { syncTsc } from '../clock.ts';
import { type Answer, type CpuWay, LOG, type Vm, type VmExit } from '../vm.ts';
import { answer as answerExit, completeIo, type ExitFacts, isHeavy } from './exit.ts';
import { initVmcs, readField, requestWindow, vmxState, watchPriority, writeField } from './vmcs.ts';
import { slotOf } from '../memory/frames.ts';
import { CR8 } from '../../../cpu/layout.ts';

const EXTERNAL_INTERRUPT = 1;
const INTERRUPT_WINDOW = 7;
const MONITOR_TRAP = 37;
const EPT_VIOLATION = 48;
const EPT_MISCONFIGURATION = 49;
const ENTRY_FAILED = 0x8000_0000;
const IF = 0x200n;
const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);
const VALID = 0x8000_0000;
const NMI_INFO = 0x8000_0202;

/** What came of an exit: null, the guest goes on; cycles of the handler; did the instruction come to its end. */
export interface Handled {
  exit: VmExit | null;
  handler: number;
  done: boolean;
}

/** The same processor for every way to reach memory; what is different about an exit is `handle`'s. */
export const vmxWith = (handle: (vm: Vm, facts: ExitFacts) => Handled): CpuWay => ({
  init: initVmcs, state: vmxState, open, deliver, stretch, pause: keepEvent, answer: (vm, stop, now) => onStop(vm, stop, now, handle), completeIo, place: () => 'guest', hostTick: true, tryOne, priority,
});

/** A missing page or a window came before the instruction. */
export const handleExit = (vm: Vm, facts: ExitFacts): Handled => {
  const exit = answerExit(vm, facts);
  return { exit, handler: vm.costs.handler, done: facts.reason === EPT_VIOLATION ? exit === null && !slotOf(vm, Number(facts.gpa)) : facts.reason !== INTERRUPT_WINDOW };
};

/** In the place of the guest, for its hypervisor: nothing is delivered, nothing but the instruction happens. */
function tryOne(vm: Vm, given: readonly bigint[], pages: readonly NamedPage[]): Try {
  const { machine } = vm;
  writeField(vm, 'ENTRY_INTERRUPTION_INFO', 0);
  requestWindow(vm, false);
  beginTry(machine, given, pages);
  const tried = endTry(machine, enterGuest(machine) ?? run(machine, NO_LIMIT, 1n));
  if (inGuest(machine)) leaveGuest(machine, MONITOR_TRAP);
  return tried;
}

const priority = { get: (vm: Vm): number => Number(slot(vm.machine, CR8)), set: (vm: Vm, value: number): void => setSlot(vm.machine, CR8, BigInt(value)) };

export const vmx: CpuWay = vmxWith(handleExit);

/** Once into the guest and out again; a guest that did not leave by itself is taken out. */
function stretch(vm: Vm, cycles: number, single: boolean): Stop {
  const stop = enterGuest(vm.machine) ?? run(vm.machine, BigInt(cycles), single ? 1n : NO_LIMIT);
  if (stop.reason === 'budget') leaveGuest(vm.machine, single ? MONITOR_TRAP : EXTERNAL_INTERRUPT);
  return stop;
}

/** Interrupts can be delivered now: RFLAGS.IF, no shadow of STI or MOV SS. */
function open(vm: Vm): boolean {
  return (readField(vm, 'GUEST_RFLAGS') & IF) !== 0n && (readField(vm, 'GUEST_INTERRUPTIBILITY') & 3n) === 0n;
}

/** What the next entry delivers: an event that an exit cut short, else the interrupt that waits, else a window is asked for. */
function deliver(vm: Vm, ready: boolean, now: number): void {
  const { event } = vm;
  vm.event = null;
  let info = event?.info ?? 0;
  if (event) {
    writeField(vm, 'ENTRY_EXCEPTION_ERROR_CODE', event.error);
    writeField(vm, 'ENTRY_INSTRUCTION_LENGTH', event.length);
  } else if (vm.chip.apic.nmi && (readField(vm, 'GUEST_INTERRUPTIBILITY') & 0xbn) === 0n) {
    vm.chip.apic.nmi = false;
    info = NMI_INFO;
  } else if (ready && open(vm)) info = (VALID | takeVector(vm.chip)) >>> 0;
  writeField(vm, 'ENTRY_INTERRUPTION_INFO', info);
  requestWindow(vm, ready && (event !== null || info === 0 || info === NMI_INFO));
  watchPriority(vm, heldByTask(vm.chip.apic));
  syncTsc(vm, now);
  if (vm.events !== null && !vm.entered) vm.events.push(entryEvent(vm, now, info, event?.error ?? 0));
  vm.entered = true;
}

const low32 = (vm: Vm, field: string): number => Number(BigInt.asUintN(32, readField(vm, field)));

function entryEvent(vm: Vm, t: number, interruption: number, error: number): VmEvent {
  return { kind: 'entry', t, rip: readField(vm, 'GUEST_RIP'), interruption, error, rax: vmxState.register(vm, 'rax'), rdx: vmxState.register(vm, 'rdx') };
}

function exitEvent(vm: Vm, t: number): VmEvent {
  return {
    kind: 'exit', t, reason: low32(vm, 'EXIT_REASON'), rip: readField(vm, 'GUEST_RIP'), qualification: readField(vm, 'EXIT_QUALIFICATION'), vectoring: low32(vm, 'IDT_VECTORING_INFO'),
    interruption: low32(vm, 'EXIT_INTERRUPTION_INFO'), error: low32(vm, 'EXIT_INTERRUPTION_ERROR_CODE'), rax: vmxState.register(vm, 'rax'), rcx: vmxState.register(vm, 'rcx'), rdx: vmxState.register(vm, 'rdx'),
  };
}

const failed = (hardware: number): Answer => ({ exit: { reason: 'fail-entry', hardware }, monitor: 0, program: 0, event: '', stepped: false });

function onStop(vm: Vm, stop: Stop, now: number, handle: (vm: Vm, facts: ExitFacts) => Handled): Answer {
  if (stop.reason === 'failed-entry') return failed(Number(stop.payload[0]));
  if (stop.reason !== 'exit' && stop.reason !== 'budget') {
    return { exit: { reason: 'internal-error', text: `the processor stopped: ${stop.reason}` }, monitor: 0, program: 0, event: '', stepped: false };
  }
  vm.entered = false;
  if (vm.events !== null) vm.events.push(exitEvent(vm, now));
  const field = Number(readField(vm, 'EXIT_REASON'));
  if (field >= ENTRY_FAILED) return failed(field);
  const facts: ExitFacts = { reason: field & 0xffff, qualification: readField(vm, 'EXIT_QUALIFICATION'), gpa: readField(vm, 'GUEST_PHYSICAL_ADDRESS'), now };
  keepEvent(vm);
  const rip = readField(vm, 'GUEST_RIP');
  const { exit, handler, done } = handle(vm, facts);
  const program = isHeavy(facts) || exit?.reason === 'mmio' ? vm.costs.userspace : 0;
  const light = vm.costs.round + handler;
  count(vm, facts, light + program, rip);
  return { exit, monitor: light + (vm.halted ? vm.costs.sleep : 0), program, event: exitName(facts.reason), detail: () => detailOf(facts), stepped: done };
}

/** "0x3f80000: out port 0x3f8, 1 byte", with the guest-physical address where there is one. */
function detailOf({ reason, qualification, gpa }: ExitFacts): string {
  const words = explainQualification(reason, qualification);
  const where = reason === EPT_VIOLATION || reason === EPT_MISCONFIGURATION ? `, gpa 0x${gpa.toString(16)}` : '';
  return words || qualification !== 0n || where ? `0x${qualification.toString(16)}${words ? `: ${words}` : ''}${where}` : '';
}

/** An event whose delivery the exit interrupted is delivered again (SDM 3C 28.2.4). */
function keepEvent(vm: Vm): void {
  const info = Number(readField(vm, 'IDT_VECTORING_INFO'));
  if ((info & VALID) === 0) return;
  vm.event = { info: (info & 0xffff_efff) >>> 0, error: Number(readField(vm, 'IDT_VECTORING_ERROR_CODE')), length: Number(readField(vm, 'EXIT_INSTRUCTION_LENGTH')) };
}

function count(vm: Vm, facts: ExitFacts, cycles: number, rip: bigint): void {
  const { reason, qualification, now } = facts;
  if (!exitRow(reason)) return;
  const key = reason as ExitReason;
  const row = vm.exits.get(key) ?? { count: 0, cycles: 0, lastQualification: 0n, lastRip: 0n };
  vm.exits.set(key, { count: row.count + 1, cycles: row.cycles + cycles, lastQualification: qualification, lastRip: rip });
  vm.log.push({ n: vm.exitsEver++, t: now, reason, qualification, gpa: reason === 48 || reason === 49 ? facts.gpa : null, rip, cycles });
  if (vm.log.length > LOG) vm.log.shift();
}
