/**
 * The run loop of a virtual processor, the same for every technique: deliver what waits, let the guest run until something
 * is wanted, answer it, again; until the budget of simulated time is spent or somebody else must answer. The host's tick and
 * the timer that stands behind the guest's interval timer take the guest out. The end of a budget that falls between them is
 * only the model's: it is no event and costs nothing. After `runVm` the guest is always out. Source: KVM's vcpu_enter_guest.
 */
import { addCycles, cycles as cyclesOf, progress } from '../../machine/machine.ts';
import { irqPending, nextEdge } from '../../machine/devices/irqchip.ts';
import { WALKS } from '../../../cpu/layout.ts';
import { pullPriority } from '../device.ts';
import { happened, spend } from '../ledger.ts';
import { guestRegister } from '../state.ts';
import type { Vm, VmExit } from '../vm.ts';

/** 'step': one instruction; 'to-exit': until the next event; both then return 'debug'. */
export type RunMode = 'run' | 'step' | 'to-exit';

export interface Outcome {
  exit: VmExit;
  /** Cycles in the guest, in the hypervisor, and what crossing to the calling program costs. */
  spent: { guest: number; kernel: number; user: number };
}

/** ns between ticks of the host, CONFIG_HZ=250. */
const HOST_TICK = 4_000_000;

/** Runs from `start` (ns) for at most `budget` ns. */
export function runVm(vm: Vm, start: number, budget: number, mode: RunMode = 'run'): Outcome {
  const { cpu } = vm.way;
  const spent = { guest: 0, kernel: 0, user: 0 };
  const limit = Math.max(1, Math.floor(budget * vm.ghz));
  for (;;) {
    if (vm.broken) return { exit: { reason: 'internal-error', text: vm.broken }, spent };
    const total = spent.guest + spent.kernel + spent.user;
    const now = start + Math.ceil(total / vm.ghz);
    pullPriority(vm);
    const ready = irqPending(vm.chip, now);
    if (vm.halted && !(ready && cpu.open(vm)) && !vm.chip.apic.nmi) return { exit: { reason: 'hlt' }, spent };
    if (total >= limit) return { exit: { reason: 'budget' }, spent };
    vm.halted = false;
    cpu.deliver(vm, ready, now);
    const tick = cpu.hostTick ? (Math.floor(now / HOST_TICK) + 1) * HOST_TICK : Number.POSITIVE_INFINITY;
    const interrupt = Math.min(nextEdge(vm.chip) ?? Number.POSITIVE_INFINITY, tick);
    const most = Math.min(limit - total, Math.max(1, Math.ceil((interrupt - now) * vm.ghz)));
    const before = cyclesOf(vm.machine);
    const stop = cpu.stretch(vm, most, mode === 'step');
    const ran = Number(cyclesOf(vm.machine) - before);
    spent.guest += ran;
    const left = guestRegister(vm, 'rip');
    spend(vm, cpu.place(vm), ran, '', left);
    const walks = vm.machine.state.getBigUint64(WALKS, true);
    if (walks !== vm.walked.walks) vm.walked = { ns: now, cycles: before, walks };
    const tape = vm.machine.tape ?? null;
    if (tape?.fence != null && stop.reason === 'budget' && progress(vm.machine) >= tape.fence) {
      cpu.pause(vm);
      return { exit: { reason: 'budget' }, spent };
    }
    if (stop.reason === 'budget' && mode !== 'step' && start + (spent.guest + spent.kernel + spent.user) / vm.ghz < interrupt) {
      cpu.pause(vm);
      continue;
    }
    const answer = cpu.answer(vm, stop, start + Math.ceil((spent.guest + spent.kernel + spent.user) / vm.ghz));
    const rip = guestRegister(vm, 'rip');
    spent.kernel += answer.monitor;
    spent.user += answer.program;
    spend(vm, 'monitor', answer.monitor, answer.event, rip);
    spend(vm, 'program', answer.program, answer.event, rip);
    if (answer.event) happened(vm, answer.event, answer.monitor + answer.program, answer.at ?? left, answer.detail, answer.program);
    addCycles(vm.machine, BigInt(answer.monitor + answer.program));
    if (tape) {
      if (rip !== left) tape.emulated++;
      tape.look?.(rip);
    }
    if (answer.exit?.reason === 'internal-error') vm.broken = answer.exit.text;
    if (answer.exit) return { exit: answer.exit, spent };
    if (tape?.fence != null && progress(vm.machine) >= tape.fence) return { exit: { reason: 'budget' }, spent };
    if ((mode === 'to-exit' && answer.event !== '') || (mode === 'step' && answer.stepped)) return { exit: { reason: 'debug' }, spent };
  }
}
