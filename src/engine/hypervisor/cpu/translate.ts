/**
 * Binary translation: the guest's kernel never runs itself; what its code means runs from the translation cache, in ring 1, at
 * nearly its own speed; its processes run directly in ring 3. 64-bit code is translated, and 32-bit code on flat segments; kernel code
 * of other kinds (real mode, 16 bits, segments with a base, compatibility mode on the way to long mode) is interpreted. Between two guest instructions everything is as on the guest's own
 * processor: the place in the cache is mapped back, a fault in the middle of a sequence takes the sequence back, a stop there lets
 * it finish. Source: Adams and Agesen, ASPLOS 2006, section 3.
 */
import { register, run, type Segment, segment, setRegister, setTraps, type Stop } from '../../machine/machine.ts';
import type { Answer, CpuWay, Vm } from '../vm.ts';
import { deliver, deliverWaiting, IDLE, NO_LIMIT, nothing, priority } from './deprivilege.ts';
import { completeIo } from './deprivilege-ports.ts';
import { AREA } from './deprivilege-area.ts';
import { keepArea, makeRoom } from './deprivilege-low.ts';
import { inLongCode, longMode } from './deprivilege-segments.ts';
import { follow } from './deprivilege-shadow.ts';
import { deprivilegedState, initDeprivileged, inReal, open, own, setVcpu, virtualCpl } from './deprivilege-state.ts';
import { type Done, done, prepare, trapOf } from './deprivilege-trap.ts';
import { answerCallout, answerTrap, translateNow } from './translate-answer.ts';
import { cacheOf, cacheOffset, createCache, linearAt, placeOf, retarget, revalidate, sourceWritten, stepAt } from './translate-cache.ts';
import { interpret, interpretNow, WANTED } from './translate-interpret.ts';
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
    own(vm).rooted = keepArea;
    own(vm).makeRoom = makeRoom;
  },
  state: deprivilegedState, open, pause: () => {}, answer, completeIo, place: (vm) => own(vm).ran, hostTick: true, tryOne: tryTranslated, priority,
  deliver(vm, ready, now) {
    deliver(vm, ready, now);
    setVcpu(vm, 'pending', ready && !open(vm) ? 1n : 0n);
  },
  stretch,
  inside(vm, rip) {
    const at = cacheOffset(vm, rip);
    if (at < 0) return rip;
    const step = stepAt(cacheOf(vm), at)?.step;
    return step?.first ? step.rip : null;
  },
};

/** How the code where the guest stands is run. */
function kindOf(vm: Vm): 'user' | 64 | 32 | 'odd' {
  if (virtualCpl(vm) === 3) return 'user';
  if (longMode(vm)) return inLongCode(vm) ? 64 : 'odd';
  return !inReal(vm) && flat(segment(vm.machine, 'cs')) && flat(segment(vm.machine, 'ss')) ? 32 : 'odd';
}

/** 32 bits, all 4 GiB from 0 upwards; of a stack to be written. */
const flat = ({ base, limit, rights }: Segment): boolean =>
  base === 0n && limit === 0xffff_ffff && (rights & 0x1_4090) === 0x4090 && ((rights & 8) !== 0 || (rights & 6) === 2);

/** Stands for a stretch that could not begin: there is no translation to run. */
const UNTRANSLATED: Stop = { reason: 'trap', payload: [] };

function stretch(vm: Vm, cycles: number, single: boolean): Stop {
  if (vm.event !== null) return IDLE;
  if (register(vm.machine, 'cr3') === 0n) follow(vm);
  const o = own(vm);
  const kind = kindOf(vm);
  if (kind === 'user') {
    o.ran = 'user';
    const one = single || o.shadow;
    o.shadow = false;
    prepare(vm);
    return run(vm.machine, BigInt(cycles), one ? 1n : NO_LIMIT);
  }
  if (kind === 'odd') return interpret(vm, cycles, single);
  o.ran = 'translated';
  retarget(vm, kind, kind === 64 ? AREA : o.low!);
  const at = placeOf(cacheOf(vm), register(vm.machine, 'rip'));
  if (at < 0) return UNTRANSLATED;
  const one = single || o.shadow;
  setRegister(vm.machine, 'rip', linearAt(cacheOf(vm), at));
  const stop = inCache(vm, cycles, one);
  if (stop.reason === 'budget') o.shadow = false;
  return settle(vm, stop);
}

function answer(vm: Vm, stop: Stop, now: number): Answer {
  let result: Done;
  let at: bigint | undefined;
  if (stop === IDLE) result = deliverWaiting(vm);
  else if (stop === UNTRANSLATED) result = translateNow(vm);
  else if (stop === WANTED) result = interpretNow(vm, now);
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
