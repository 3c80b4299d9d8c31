/**
 * Trap-and-emulate: the guest's kernel runs directly, in ring 1, its processes in ring 3. Instructions that are privileged trap
 * and are emulated; events are delivered by software. It is wrong where x86 makes it wrong: POPF and IRET lose the interrupt
 * flag, PUSHF, MOV from CS, SGDT and their like show the real processor, and nothing traps that the monitor could repair
 * (Robin and Irvine 2000). What they did is written down (deprivilege-silent.ts); nobody corrects it.
 */
import { beginTry, endTry, type NamedPage, type Try } from '../../machine/device-access.ts';
import { run, setTraps, type Stop } from '../../machine/machine.ts';
import { takeVector } from '../../machine/devices/irqchip.ts';
import { serveDevice } from '../device.ts';
import type { Answer, CpuWay, Vm, VmExit } from '../vm.ts';
import { type Parts, partsOf } from '../../machine/isa/parts.ts';
import { deliver as deliverEvent } from './deprivilege-deliver.ts';
import { emulate, knows } from './deprivilege-emulate.ts';
import { fetchAt } from './deprivilege-memory.ts';
import { syncVirtualTsc } from './deprivilege-msr.ts';
import { completeIo } from './deprivilege-ports.ts';
import { codeAt, codeBits, inLongCode } from './deprivilege-segments.ts';
import { runWatching } from './deprivilege-silent.ts';
import { follow, inLongMode } from './deprivilege-shadow.ts';
import { deprivilegedState, initDeprivileged, open, own, setVcpu, vcpu, virtualCpl } from './deprivilege-state.ts';
import { attempt, type Done, done, prepare, reflect, sortPageFault, type Trap, trapOf, TRAP_SYSCALL, TRAP_SYSENTER, vectorName } from './deprivilege-trap.ts';
import { register } from '../../machine/machine.ts';

const VALID = 0x8000_0000;
const NMI_INFO = 0x8000_0202;
export const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);
/** Stands for a stretch in which the guest did not run: an event is to be delivered, or it cannot run at all. */
export const IDLE: Stop = { reason: 'trap', payload: [] };

export const priority = { get: (vm: Vm): number => Number(vcpu(vm, 'cr8')), set: (vm: Vm, value: number): void => setVcpu(vm, 'cr8', BigInt(value)) };

export const deprivilege: CpuWay = {
  init(vm) {
    setTraps(vm.machine, true);
    initDeprivileged(vm, 0);
  },
  state: deprivilegedState, open, deliver, stretch, pause: () => {}, answer, completeIo, place: (vm) => (own(vm).ran === 'user' ? 'user' : 'kernel'), hostTick: true, tryOne, priority,
};

/** The processor does the instruction as it stands, once more. */
export function tryOne(vm: Vm, given: readonly bigint[], pages: readonly NamedPage[]): Try {
  beginTry(vm.machine, given, pages);
  prepare(vm);
  return endTry(vm.machine, run(vm.machine, NO_LIMIT, 1n));
}


/** The interrupt becomes an event; the answer after the next stretch, which is empty, delivers it. */
export function deliver(vm: Vm, ready: boolean, now: number): void {
  if (vm.chip.apic.nmi && vm.event === null) {
    vm.chip.apic.nmi = false;
    vm.event = { info: NMI_INFO, error: 0, length: 0 };
  } else if (ready && vm.event === null && open(vm)) vm.event = { info: (VALID | takeVector(vm.chip)) >>> 0, error: 0, length: 0 };
  syncVirtualTsc(vm, now);
}

/** Why the guest cannot be run at all; empty: it can. */
function refusal(vm: Vm): string {
  if (!inLongMode(vm)) return 'not modelled: trap-and-emulate of a guest outside long mode';
  return virtualCpl(vm) === 0 && !inLongCode(vm) ? 'not modelled: trap-and-emulate of 32-bit kernel code' : '';
}

function stretch(vm: Vm, cycles: number, single: boolean): Stop {
  if (vm.event !== null || refusal(vm) !== '') return IDLE;
  if (vm.machine.state.getBigUint64(0x4b0, true) === 0n) follow(vm);
  prepare(vm);
  const o = own(vm);
  o.ran = virtualCpl(vm) === 3 ? 'user' : 'kernel';
  const one = single || o.shadow;
  o.shadow = false;
  if (o.ran === 'user') return run(vm.machine, BigInt(cycles), one ? 1n : NO_LIMIT);
  return runWatching(vm, cycles, one);
}

export const nothing: Answer = { exit: null, monitor: 0, program: 0, event: '', stepped: true };

function answer(vm: Vm, stop: Stop, now: number): Answer {
  const { monitor: costs } = vm.costs;
  const refused = refusal(vm);
  if (refused !== '' && vm.event === null) return { ...nothing, exit: { reason: 'internal-error', text: refused } };
  let result: Done;
  if (stop === IDLE) result = deliverWaiting(vm);
  else if (stop.reason === 'budget') return nothing;
  else if (stop.reason === 'trap') result = onTrap(vm, trapOf(vm, stop), now);
  else result = done('', 0, { reason: 'internal-error', text: `the processor stopped: ${stop.reason}` });
  const program = result.exit?.reason === 'io' || result.exit?.reason === 'mmio' ? vm.costs.userspace : 0;
  return { exit: result.exit, monitor: result.cycles + (vm.halted ? vm.costs.sleep : 0), program, event: result.event, stepped: result.stepped && costs.trap >= 0 };
}

/** What waits reaches the guest; a page that is missing leaves it waiting. */
export function deliverWaiting(vm: Vm): Done {
  const { event } = vm;
  const { monitor: costs } = vm.costs;
  if (!event) return done('', 0);
  const vector = event.info & 255;
  const exit = attempt(vm, () => {
    deliverEvent(vm, { vector, type: (event.info >> 8) & 7, error: (event.info & 0x800) !== 0 ? event.error : null, length: event.length });
    return null;
  });
  if (exit?.reason !== 'page') vm.event = null;
  return done(`interrupt ${vector}`, costs.trap + costs.reflect, exit, false);
}

function onTrap(vm: Vm, trap: Trap, now: number): Done {
  const { monitor: costs } = vm.costs;
  const kernel = virtualCpl(vm) === 0;
  if (trap.vector === 14 && trap.type === 3) return onPageFault(vm, trap, now);
  if (trap.vector === TRAP_SYSCALL || trap.vector === TRAP_SYSENTER) return done(trap.vector === TRAP_SYSCALL ? 'trap SYSCALL' : 'trap SYSENTER', costs.trap + costs.call, reflect(vm, trap, now));
  if (trap.type !== 3) return done(`trap int ${trap.vector}`, costs.trap + costs.call, reflect(vm, trap, now));
  if (trap.vector === 13 || (kernel && (trap.vector === 6 || trap.vector === 11 || trap.vector === 12))) {
    const emulated = onPrivileged(vm, trap, now);
    if (emulated) return emulated;
  }
  return done(`trap ${vectorName(trap.vector)}`, costs.trap + costs.reflect, reflect(vm, trap, now));
}

export function onPageFault(vm: Vm, trap: Trap, now: number): Done {
  const { monitor: costs } = vm.costs;
  let result: Done | null = null;
  const exit = attempt(vm, (): VmExit | null => {
    const sorted = sortPageFault(vm, trap);
    if (sorted.kind === 'guest') result = done('true #PF', costs.trap + costs.fill + costs.reflect, reflect(vm, sorted.trap, now));
    else if (sorted.kind === 'device') result = onDevice(vm, trap, sorted.gpa, now);
    else if (sorted.kind === 'exit') result = done(sorted.event, costs.trap + costs.fill, sorted.exit, false);
    else result = done(sorted.event, costs.trap + (sorted.watched ? costs.watched : costs.fill), null, sorted.watched);
    return null;
  });
  return result ?? done('trap #PF', costs.trap + costs.fill, exit);
}

/** An instruction on a device; a fault of its other operand is answered as that. */
function onDevice(vm: Vm, trap: Trap, gpa: number, now: number): Done {
  const { monitor: costs } = vm.costs;
  if ((trap.error & FETCH) !== 0) return done('device', costs.trap, { reason: 'internal-error', text: `not modelled: no memory to run at 0x${gpa.toString(16)}` });
  const exit = serveDevice(vm, gpa, trap.cr2, now, (stop, at) => {
    if (stop.reason !== 'trap') return { reason: 'internal-error', text: `the processor stopped: ${stop.reason}` };
    const next = trapOf(vm, stop);
    return next.vector === 14 && next.type === 3 ? onPageFault(vm, next, at).exit : reflect(vm, next, at);
  });
  return done('device', costs.trap + costs.emulate, exit, exit === null);
}

const FETCH = 16;

/** Null: not one of the monitor's; the exception is the guest's own. */
function onPrivileged(vm: Vm, { vector }: Trap, now: number): Done | null {
  const { monitor: costs } = vm.costs;
  const rip = register(vm.machine, 'rip');
  let found: Parts | null = null;
  let exit = attempt(vm, () => {
    found = partsOf(fetchAt(vm, codeAt(vm), 15, virtualCpl(vm) === 3), codeBits(vm));
    return null;
  });
  const d = found as Parts | null;
  if (exit) return done(`trap ${vectorName(vector)}`, costs.trap, exit);
  if (!d || !knows(d)) return null;
  const { mnemonic } = d;
  exit = attempt(vm, () => emulate({ vm, d, rip, now }));
  return done(`trap ${vectorName(vector)}: ${mnemonic}`, costs.trap + costs.emulate, exit, exit?.reason !== 'page');
}
