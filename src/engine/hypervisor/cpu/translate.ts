/**
 * Binary translation: the guest's kernel never runs itself; what its code means runs from the translation cache, in ring 1, at
 * nearly its own speed; its processes run directly in ring 3. Between two guest instructions everything is as on the guest's own
 * processor: the place in the cache is mapped back, a fault in the middle of a sequence takes the sequence back, a stop there lets
 * it finish. Source: Adams and Agesen, ASPLOS 2006, section 3.
 */
import { register, run, setRegister, setTraps, type Stop } from '../../machine/machine.ts';
import type { Answer, CpuWay, Vm } from '../vm.ts';
import { NO_LIMIT, deliver, deliverWaiting, IDLE, nothing, priority } from './deprivilege.ts';
import { completeIo } from './deprivilege-ports.ts';
import { inLongCode } from './deprivilege-segments.ts';
import { follow, inLongMode } from './deprivilege-shadow.ts';
import { deprivilegedState, initDeprivileged, open, own, setVcpu, virtualCpl } from './deprivilege-state.ts';
import { type Done, done, prepare, trapOf } from './deprivilege-trap.ts';
import { answerCallout, answerTrap, translateNow } from './translate-answer.ts';
import { cacheOf, createCache, linearAt, placeOf, revalidate, sourceWritten } from './translate-cache.ts';
import { inCache, settle, storeUnseen, tryTranslated } from './translate-run.ts';

/** Pages of the translation cache: 512 KiB. */
const CACHE_PAGES = 128;

export const translate: CpuWay = {
  init(vm) {
    setTraps(vm.machine, true);
    initDeprivileged(vm, CACHE_PAGES);
    createCache(vm);
    own(vm).remapped = revalidate;
    own(vm).wrote = sourceWritten;
    own(vm).unseen = storeUnseen;
  },
  state: deprivilegedState, open, pause: () => {}, answer, completeIo, place: (vm) => own(vm).ran, hostTick: true, tryOne: tryTranslated, priority,
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
    at = callout?.kind === 'lookup' ? undefined : callout?.rip;
    result = callout && trap.vector === 3 && trap.type === 6 ? answerCallout(vm, callout, now) : answerTrap(vm, trap, now);
  } else result = done('', 0, { reason: 'internal-error', text: `the processor stopped: ${stop.reason}` });
  // a lookup belongs to no instruction of the guest's: what is known is where it led
  if (own(vm).ran === 'translated' && at === undefined) at = deprivilegedState.register(vm, 'rip');
  const program = result.exit?.reason === 'io' || result.exit?.reason === 'mmio' ? vm.costs.userspace : 0;
  return { exit: result.exit, monitor: result.cycles + (vm.halted ? vm.costs.sleep : 0), program, event: result.event, ...(at === undefined ? {} : { at }), stepped: result.stepped };
}
