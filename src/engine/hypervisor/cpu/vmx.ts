/**
 * The run loop of a virtual processor under VT-x: deliver what waits, enter, run until an exit, answer it, again; until the
 * budget of simulated time is spent or somebody else must answer. The host's tick and the timer that stands behind the guest's
 * interval timer are host interrupts that take the guest out (exit 1). The end of a budget that falls between them is only
 * the model's: it is no exit and costs nothing. After `runVm` the guest is always out, its state in the VMCS.
 * Source: KVM's vcpu_enter_guest, SDM 3C 27-28.
 */
import { addCycles, cycles as cyclesOf, enterGuest, leaveGuest, run, type Stop } from '../../machine/machine.ts';
import { irqPending, nextEdge, takeVector } from '../../machine/devices/irqchip.ts';
import { WALKS } from '../../../cpu/layout.ts';
import { lightCost } from '../costs.ts';
import { type ExitReason, exitRow } from '../exits.ts';
import { LOG, type Vm, type VmExit } from '../vm.ts';
import { answer, type ExitFacts, isHeavy } from './exit.ts';
import { readField, requestWindow, syncTsc, writeField } from './vmcs.ts';

/** 'step': one instruction; 'to-exit': until the next exit; both then return 'debug'. */
export type RunMode = 'run' | 'step' | 'to-exit';

export interface Outcome {
  exit: VmExit;
  /** Cycles in the guest, in the hypervisor, and what crossing to the calling program costs. */
  spent: { guest: number; kernel: number; user: number };
}

/** ns between ticks of the host, CONFIG_HZ=250. */
const HOST_TICK = 4_000_000;
const EXTERNAL_INTERRUPT = 1;
const INTERRUPT_WINDOW = 7;
const MONITOR_TRAP = 37;
const EPT_VIOLATION = 48;
const ENTRY_FAILED = 0x8000_0000;
const IF = 0x200n;
const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);
const VALID = 0x8000_0000;

/** Runs from `start` (ns) for at most `budget` ns. */
export function runVm(vm: Vm, start: number, budget: number, mode: RunMode = 'run'): Outcome {
  const spent = { guest: 0, kernel: 0, user: 0 };
  const limit = Math.max(1, Math.floor(budget * vm.ghz));
  for (;;) {
    if (vm.broken) return { exit: { reason: 'internal-error', text: vm.broken }, spent };
    const total = spent.guest + spent.kernel + spent.user;
    const now = start + Math.ceil(total / vm.ghz);
    const ready = irqPending(vm.chip, now);
    if (vm.halted && !(ready && open(vm))) return { exit: { reason: 'hlt' }, spent };
    if (total >= limit) return { exit: { reason: 'budget' }, spent };
    vm.halted = false;
    deliver(vm, ready);
    syncTsc(vm, now);
    const interrupt = Math.min(nextEdge(vm.chip) ?? Number.POSITIVE_INFINITY, (Math.floor(now / HOST_TICK) + 1) * HOST_TICK);
    const most = Math.min(limit - total, Math.max(1, Math.ceil((interrupt - now) * vm.ghz)));
    const before = cyclesOf(vm.machine);
    const stop = stretch(vm, most, mode);
    spent.guest += Number(cyclesOf(vm.machine) - before);
    const walks = vm.machine.state.getBigUint64(WALKS, true);
    if (walks !== vm.walked.walks) vm.walked = { ns: now, cycles: before, walks };
    if (stop.reason === 'budget' && mode !== 'step' && start + (spent.guest + spent.kernel + spent.user) / vm.ghz < interrupt) {
      keepEvent(vm);
      continue;
    }
    const exit = onStop(vm, stop, start + Math.ceil((spent.guest + spent.kernel + spent.user) / vm.ghz), spent);
    if (exit) return { exit, spent };
    if (mode === 'to-exit' || (mode === 'step' && stepped(vm))) return { exit: { reason: 'debug' }, spent };
  }
}

/** Once into the guest and out again; a guest that did not leave by itself is taken out. */
function stretch(vm: Vm, cycles: number, mode: RunMode): Stop {
  const stop = enterGuest(vm.machine) ?? run(vm.machine, BigInt(cycles), mode === 'step' ? 1n : NO_LIMIT);
  if (stop.reason === 'budget') leaveGuest(vm.machine, mode === 'step' ? MONITOR_TRAP : EXTERNAL_INTERRUPT);
  return stop;
}

/** The exit was not on the way to an instruction (a page that was missing, a window): the step is taken. */
function stepped(vm: Vm): boolean {
  const reason = Number(readField(vm, 'EXIT_REASON'));
  return reason !== EPT_VIOLATION && reason !== INTERRUPT_WINDOW;
}

/** Interrupts can be delivered now: RFLAGS.IF, no shadow of STI or MOV SS. */
function open(vm: Vm): boolean {
  return (readField(vm, 'GUEST_RFLAGS') & IF) !== 0n && (readField(vm, 'GUEST_INTERRUPTIBILITY') & 3n) === 0n;
}

/** What the next entry delivers: an event that an exit cut short, else the interrupt that waits, else a window is asked for. */
function deliver(vm: Vm, ready: boolean): void {
  const { event } = vm;
  vm.event = null;
  let info = event?.info ?? 0;
  if (event) {
    writeField(vm, 'ENTRY_EXCEPTION_ERROR_CODE', event.error);
    writeField(vm, 'ENTRY_INSTRUCTION_LENGTH', event.length);
  } else if (ready && open(vm)) info = (VALID | takeVector(vm.chip)) >>> 0;
  writeField(vm, 'ENTRY_INTERRUPTION_INFO', info);
  requestWindow(vm, ready && (event !== null || info === 0));
}

function onStop(vm: Vm, stop: Stop, now: number, spent: Outcome['spent']): VmExit | null {
  if (stop.reason === 'failed-entry') return { reason: 'fail-entry', hardware: Number(stop.payload[0]) };
  if (stop.reason !== 'exit' && stop.reason !== 'budget') {
    vm.broken = `the processor stopped: ${stop.reason}`;
    return { reason: 'internal-error', text: vm.broken };
  }
  const field = Number(readField(vm, 'EXIT_REASON'));
  if (field >= ENTRY_FAILED) return { reason: 'fail-entry', hardware: field };
  const facts: ExitFacts = { reason: field & 0xffff, qualification: readField(vm, 'EXIT_QUALIFICATION'), gpa: readField(vm, 'GUEST_PHYSICAL_ADDRESS'), now };
  keepEvent(vm);
  const heavy = isHeavy(facts);
  const light = lightCost(vm.costs);
  const user = heavy ? vm.costs.userspace : 0;
  spent.kernel += light;
  spent.user += user;
  addCycles(vm.machine, BigInt(light + user));
  count(vm, facts, light + user);
  const exit = answer(vm, facts);
  if (exit?.reason === 'internal-error') vm.broken = exit.text;
  if (vm.halted) {
    spent.kernel += vm.costs.sleep;
    addCycles(vm.machine, BigInt(vm.costs.sleep));
  }
  return exit;
}

/** An event whose delivery the exit interrupted is delivered again (SDM 3C 28.2.4). */
function keepEvent(vm: Vm): void {
  const info = Number(readField(vm, 'IDT_VECTORING_INFO'));
  if ((info & VALID) === 0) return;
  vm.event = { info: (info & 0xffff_efff) >>> 0, error: Number(readField(vm, 'IDT_VECTORING_ERROR_CODE')), length: Number(readField(vm, 'EXIT_INSTRUCTION_LENGTH')) };
}

function count(vm: Vm, facts: ExitFacts, cycles: number): void {
  const { reason, qualification, now } = facts;
  const rip = readField(vm, 'GUEST_RIP');
  if (!exitRow(reason)) return;
  const key = reason as ExitReason;
  const row = vm.exits.get(key) ?? { count: 0, cycles: 0, lastQualification: 0n, lastRip: 0n };
  vm.exits.set(key, { count: row.count + 1, cycles: row.cycles + cycles, lastQualification: qualification, lastRip: rip });
  vm.log.push({ n: vm.exitsEver++, t: now, reason, qualification, gpa: reason === 48 || reason === 49 ? facts.gpa : null, rip, cycles });
  if (vm.log.length > LOG) vm.log.shift();
}
