/**
 * Binary translation: the guest's kernel never runs itself; what its code means runs from the translation cache, in ring 1, at
 * nearly its own speed; its processes run directly in ring 3. Between two guest instructions everything is as on the guest's own
 * processor: the place in the cache is mapped back, a fault in the middle of a sequence takes the sequence back, a stop there lets
 * it finish. Source: Adams and Agesen, ASPLOS 2006, section 3.
 */
import { COST_EVENT, CYCLES } from '../../../cpu/layout.ts';
import { register, run, setRegister, setSlot, setTraps, slot, type Stop } from '../../machine/machine.ts';
import type { Answer, CpuWay, Vm } from '../vm.ts';
import { NO_LIMIT, deliver, deliverWaiting, IDLE, nothing } from './deprivilege.ts';
import { completeIo } from './deprivilege-ports.ts';
import { inLongCode } from './deprivilege-segments.ts';
import { follow, inLongMode } from './deprivilege-shadow.ts';
import { deprivilegedState, IF, initDeprivileged, open, own, setVcpu, vcpu, virtualCpl } from './deprivilege-state.ts';
import { type Done, done, prepare, trapOf } from './deprivilege-trap.ts';
import { cacheOf, cacheOffset, createCache, linearAt, placeOf, revalidate, sourceWritten, stepAt, type Unit } from './translate-cache.ts';
import type { Step } from './translate-writer.ts';
import { answerCallout, answerTrap, translateNow } from './translate-answer.ts';

/** Pages of the translation cache: 512 KiB. */
const CACHE_PAGES = 128;

export const translate: CpuWay = {
  init(vm) {
    setTraps(vm.machine, true);
    initDeprivileged(vm, CACHE_PAGES);
    createCache(vm);
    own(vm).remapped = revalidate;
    own(vm).wrote = sourceWritten;
  },
  state: deprivilegedState, open, pause: () => {}, answer, completeIo, place: (vm) => own(vm).ran, hostTick: true,
  deliver(vm, ready, now) {
    deliver(vm, ready, now);
    setVcpu(vm, 'pending', ready && !open(vm) ? 1n : 0n);
  },
  stretch,
};

function refusal(vm: Vm): string {
  if (!inLongMode(vm)) return 'not modelled: binary translation of a guest outside long mode';
  return virtualCpl(vm) === 0 && !inLongCode(vm) ? 'not modelled: binary translation of 32-bit code' : '';
}

/** Stands for a stretch that could not begin: there is no translation to run. */
const UNTRANSLATED: Stop = { reason: 'trap', payload: [] };

function stretch(vm: Vm, cycles: number, single: boolean): Stop {
  if (vm.event !== null || refusal(vm) !== '') return IDLE;
  if (register(vm.machine, 'cr3') === 0n) follow(vm);
  const o = own(vm);
  if (virtualCpl(vm) === 3) {
    o.ran = 'user';
    const one = single || o.shadow;
    o.shadow = false;
    prepare(vm);
    return run(vm.machine, BigInt(cycles), one ? 1n : NO_LIMIT);
  }
  o.ran = 'translated';
  const at = placeOf(cacheOf(vm), register(vm.machine, 'rip'));
  if (at < 0) return UNTRANSLATED;
  const one = single || o.shadow;
  setRegister(vm.machine, 'rip', linearAt(at));
  const stop = inCache(vm, cycles, one);
  if (stop.reason === 'budget') o.shadow = false;
  return settle(vm, stop);
}

/** Runs in the cache, and on to the next boundary when the budget ends within a sequence. `one`: one guest instruction. */
function inCache(vm: Vm, cycles: number, one: boolean): Stop {
  const { machine } = vm;
  let stop = run(machine, BigInt(cycles), one ? 1n : NO_LIMIT);
  for (let n = 0; stop.reason === 'budget' && n < 1000; n++) {
    if (boundary(vm)) return stop;
    stop = run(machine, 1_000_000n, 1n);
  }
  return stop;
}

function boundary(vm: Vm): boolean {
  const at = cacheOffset(vm, register(vm.machine, 'rip'));
  return at >= 0 && stepAt(cacheOf(vm), at)?.step.first === true;
}

/** The guest is out: its registers and its instruction pointer are those of a boundary. */
function settle(vm: Vm, stop: Stop): Stop {
  const { machine } = vm;
  const cache = cacheOf(vm);
  countLookups(vm);
  const at = cacheOffset(vm, register(machine, 'rip'));
  cache.stoppedAt = at;
  if (at < 0) return stop;
  const trap = stop.reason === 'trap' ? trapOf(vm, stop) : null;
  const isCallout = trap !== null && trap.vector === 3 && trap.type === 6 && cache.callouts.has(at);
  if (isCallout) {
    // a call of the monitor, not a trap: what the processor charged for the event is given back
    setSlot(machine, CYCLES, slot(machine, CYCLES) - BigInt(machine.state.getUint32(COST_EVENT, true)));
    return stop;
  }
  const found = stepAt(cache, at);
  if (!found) return stop;
  const { unit, step } = found;
  if (trap?.vector === 1) return stop;
  if (step.undo) takeBack(vm, step);
  setRegister(machine, 'rip', step.rip);
  cache.resume = unit.dead ? null : { rip: step.rip, at: unit.at + startOf(unit, step) };
  return stop;
}

/** Where the guest instruction of a step begins. */
function startOf(unit: Unit, step: Step): number {
  if (step.first) return step.at;
  return unit.order.findLast((one) => one.first && one.at <= step.at)?.at ?? step.at;
}

function takeBack(vm: Vm, { undo }: Step): void {
  if (!undo) return;
  for (const [register_, name] of undo.registers) setRegister(vm.machine, NAMES[register_]!, vcpu(vm, name));
  if (undo.rsp !== 0) setRegister(vm.machine, 'rsp', register(vm.machine, 'rsp') + BigInt(undo.rsp));
}
const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const;

function countLookups(vm: Vm): void {
  const cache = cacheOf(vm);
  const now = vcpu(vm, 'lookups');
  const more = Number(now - cache.lookupsSeen);
  if (more === 0) return;
  cache.lookupsSeen = now;
  cache.counts.lookups += more;
  setSlot(vm.machine, CYCLES, slot(vm.machine, CYCLES) + BigInt(more * vm.costs.monitor.lookup));
}

function answer(vm: Vm, stop: Stop, now: number): Answer {
  const refused = refusal(vm);
  if (refused !== '' && vm.event === null) return { ...nothing, exit: { reason: 'internal-error', text: refused } };
  let result: Done;
  let at: bigint | undefined;
  if (stop === IDLE) result = deliverWaiting(vm);
  else if (stop === UNTRANSLATED) result = translateNow(vm);
  else if (stop.reason === 'budget') return nothing;
  else if (stop.reason === 'trap') {
    const callout = own(vm).ran === 'translated' ? cacheOf(vm).callouts.get(cacheOf(vm).stoppedAt) : undefined;
    const trap = trapOf(vm, stop);
    at = callout?.rip;
    result = callout && trap.vector === 3 && trap.type === 6 ? answerCallout(vm, callout, now) : answerTrap(vm, trap, now);
  } else result = done('', 0, { reason: 'internal-error', text: `the processor stopped: ${stop.reason}` });
  const program = result.exit?.reason === 'io' ? vm.costs.userspace : 0;
  return { exit: result.exit, monitor: result.cycles + (vm.halted ? vm.costs.sleep : 0), program, event: result.event, ...(at === undefined ? {} : { at }), stepped: result.stepped };
}

export const interruptsOn = (vm: Vm): boolean => (vcpu(vm, 'interrupts') & IF) !== 0n;
