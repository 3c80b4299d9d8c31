/**
 * KVM_RUN: the calling thread's processor time is the guest's. A call is dispatched again and again: each time the guest runs
 * for at most a slice, the thread owes the time that took (in the guest as user time, in the hypervisor as system time) and
 * the host's scheduler decides when it goes on. HLT sleeps until a line rises or the timer is due. A guest page without a
 * frame is faulted in on the thread's own mapping, so it is charged to its cgroup like any other page.
 * Source: Linux Documentation/virt/kvm/api.rst, kvm_vcpu_block.
 */
import type { runVm } from '../../../hypervisor/cpu/run.ts';
import { completeMmio } from '../../../hypervisor/device.ts';
import { exitName } from '../../../hypervisor/exits.ts';
import { isHuge, resolvePage, slotOf } from '../../../hypervisor/memory/frames.ts';
import { guestRegister } from '../../../hypervisor/state.ts';
import { HUGE, type Vm, type VmExit } from '../../../hypervisor/vm.ts';
import { nextEdge } from '../../../machine/devices/irqchip.ts';
import { record } from '../../../sim/trace.ts';
import { MS, PAGE } from '../../../sim/units.ts';
import { SysError } from '../../abi.ts';
import { charge, touchMemory } from '../../memory.ts';
import type { Kernel, Task } from '../../records.ts';
import { AGAIN, BLOCK, GONE, sleepUntil, timeOf, waitOn } from '../../wait.ts';
import { channelOf, type KvmVm, machineOf, type Vcpu } from './state.ts';
import { tellEvents, traceRun } from './trace.ts';
import { runDebugged } from './debug.ts';
import { actKept, runKept } from './history.ts';
import { travel } from './reverse.ts';
import { type DebugStop, type GuestDebug, KVM_EXIT_DEBUG, KVM_EXIT_FAIL_ENTRY, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN, type RunArgument, type RunResult } from './uapi.ts';

/** Longest stretch of guest time without a look at the rest of the machine. */
const SLICE = 0.2 * MS;
const EMULATION_FAILED = 1;
const UNEXPECTED_EXIT = 4;
const NOTHING_WANTED: GuestDebug = { singlestep: false, breakpoints: [], watch: [], until: null };

/** The handler of KVM_RUN. */
export function runVcpu(kernel: Kernel, task: Task, one: KvmVm, vcpu: Vcpu, argument: RunArgument): RunResult | typeof BLOCK | typeof AGAIN | typeof GONE {
  const vm = machineOf(one);
  vcpu.task = task;
  vcpu.inside = true;
  if (one.history?.past != null) return toDebugger(one, vcpu, travel(one, vm, one.debugged?.wanted ?? NOTHING_WANTED, 'forth'));
  if (vm.io) {
    const value = (one.traced.given = Number(argument.data ?? 0));
    actKept(one, vm, () => vm.way.cpu.completeIo(vm, value));
  }
  if (vm.device) {
    traceRun(kernel, vm);
    const [value, now] = [BigInt(argument.data ?? 0), timeOf(kernel)];
    let again: VmExit | null = null;
    actKept(one, vm, () => {
      again = completeMmio(vm, value, now);
    });
    tellEvents(kernel, task, vm, one.traced, again ?? { reason: 'budget' });
    if (again) return leave(kernel, task, one, vcpu, vm, again);
  }
  if (vcpu.kicked) {
    vcpu.kicked = false;
    vcpu.inside = false;
    throw new SysError('EINTR');
  }
  if (one.stopped) return toDebugger(one, vcpu, one.stopped);
  if (vcpu.faulting !== null) return faultIn(kernel, task, one, vcpu, vm, vcpu.faulting);
  const { debug } = one;
  if (debug.held && debug.wishes.length === 0) {
    waitOn(kernel, task, channelOf(one));
    return BLOCK;
  }
  const wish = debug.held ? debug.wishes[0] : undefined;
  const { tables } = vm;
  const run: typeof runVm = (machine, start, budget, mode = 'run') => runKept(one, machine, start, budget, mode);
  traceRun(kernel, vm);
  const { exit, spent, stop } = one.debugged && wish === undefined
    ? runDebugged(vm, one.debugged, timeOf(kernel), SLICE, run)
    : { ...run(vm, timeOf(kernel), SLICE, wish === undefined ? 'run' : wish === 'step' ? 'step' : 'to-exit'), stop: null };
  task.owed.user += Math.ceil((spent.guest + spent.user) / kernel.ghz);
  pay(kernel, task, Math.ceil(spent.kernel / kernel.ghz));
  tell(kernel, one, vm);
  tellEvents(kernel, task, vm, one.traced, exit);
  if (vm.tables > tables && !charge(kernel, task, 'kernel', vm.tables - tables)) return GONE;
  if (wish !== undefined && stepTaken(exit, wish)) debug.wishes.shift();
  if (stop && exit.reason === 'page') vcpu.faulting = exit.gpa;
  if (stop && ['debug', 'budget', 'hlt', 'page'].includes(exit.reason)) return toDebugger(one, vcpu, stop);
  one.stopped = stop;
  return leave(kernel, task, one, vcpu, vm, exit);
}

function toDebugger(one: KvmVm, vcpu: Vcpu, stop: DebugStop): RunResult {
  one.stopped = null;
  one.debugged = null;
  vcpu.inside = false;
  return { exitReason: KVM_EXIT_DEBUG, stop };
}

/** One instruction is done unless a page of it is still missing; a step to an exit ends with any exit. */
const stepTaken = (exit: VmExit, wish: 'step' | 'step-exit'): boolean => exit.reason !== 'hlt' && exit.reason !== 'budget' && (exit.reason !== 'page' || wish === 'step-exit');

function pay(kernel: Kernel, task: Task, ns: number): void {
  task.owed.system += ns;
  kernel.ahead += ns;
}

function leave(kernel: Kernel, task: Task, one: KvmVm, vcpu: Vcpu, vm: Vm, exit: VmExit): RunResult | typeof BLOCK | typeof AGAIN | typeof GONE {
  switch (exit.reason) {
    case 'budget':
    case 'debug': return AGAIN;
    case 'page':
      vcpu.faulting = exit.gpa;
      return AGAIN;
    case 'hlt': {
      const due = nextEdge(vm.chip);
      waitOn(kernel, task, channelOf(one));
      if (due !== null && (guestRegister(vm, 'rflags') & 0x200n) !== 0n) sleepUntil(kernel, task, Math.max(due, timeOf(kernel)));
      return BLOCK;
    }
    case 'io':
      vcpu.inside = false;
      return { exitReason: KVM_EXIT_IO, direction: exit.direction, port: exit.port, size: exit.size, data: exit.value };
    case 'shutdown':
      vcpu.inside = false;
      return { exitReason: KVM_EXIT_SHUTDOWN };
    case 'fail-entry':
      vcpu.inside = false;
      record(kernel.trace, 'hypervisor', kernel.name, 'vm.entry', { vm: one.name, reason: exit.hardware });
      return { exitReason: KVM_EXIT_FAIL_ENTRY, hardwareEntryFailureReason: exit.hardware };
    case 'mmio':
      vcpu.inside = false;
      return { exitReason: KVM_EXIT_MMIO, physAddr: exit.gpa, data: exit.value, len: exit.size, isWrite: exit.direction === 'write' };
    case 'internal-error':
      vcpu.inside = false;
      return { exitReason: KVM_EXIT_INTERNAL_ERROR, suberror: exit.text.startsWith('emulation failure') ? EMULATION_FAILED : UNEXPECTED_EXIT, text: exit.text };
  }
}

/** get_user_pages: the page of the program's mapping behind a guest page comes into memory, then the guest has its frame. */
function faultIn(kernel: Kernel, task: Task, one: KvmVm, vcpu: Vcpu, vm: Vm, gpa: number): typeof AGAIN | typeof BLOCK | typeof GONE | RunResult {
  const touched = touchGuest(kernel, task, vm, gpa);
  if (touched === 'dead') return GONE;
  if (touched === 'more') return AGAIN;
  vcpu.faulting = null;
  const { tables } = vm;
  let resolved = false;
  actKept(one, vm, () => {
    resolved = resolvePage(vm, gpa);
  });
  if (vm.tables > tables && !charge(kernel, task, 'kernel', vm.tables - tables)) return GONE;
  if (!resolved) return leave(kernel, task, one, vcpu, vm, { reason: 'internal-error', text: 'not modelled: a host without a frame left' });
  return AGAIN;
}

/** Touches the page of the program's memory that backs a guest page. Progress is kept in the task's scratch. */
export function touchGuest(kernel: Kernel, task: Task, vm: Vm, gpa: number): ReturnType<typeof touchMemory> {
  const slot = slotOf(vm, gpa);
  if (!slot) throw new SysError('EFAULT');
  const size = isHuge(vm, gpa) ? HUGE : PAGE;
  const page = slot.userspace + Math.floor(gpa / size) * size - slot.gpa;
  const touched = touchMemory(kernel, task, page, size, 'w');
  if (touched === 'done') task.scratch = undefined;
  return touched;
}

/** The trace hears of the first exit of each reason and then of every doubling: few enough to read, enough to see. */
function tell(kernel: Kernel, one: KvmVm, vm: Vm): void {
  for (const [reason, row] of vm.exits) {
    const told = one.told.get(reason) ?? 0;
    if (row.count < Math.max(1, told * 2)) continue;
    one.told.set(reason, row.count);
    record(kernel.trace, 'hypervisor', kernel.name, 'vm.exit', {
      vm: one.name, reason, name: exitName(reason), count: row.count, qualification: `0x${row.lastQualification.toString(16)}`, rip: `0x${row.lastRip.toString(16)}`,
    });
  }
}
