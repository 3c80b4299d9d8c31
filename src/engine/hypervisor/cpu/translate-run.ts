/**
 * A stretch in the translation cache, and what makes its end one between two guest instructions: a sequence that the budget cut
 * is run to its end, one that a fault cut is taken back, and the place in the cache becomes the guest's instruction pointer.
 */
import { COST_EVENT, CYCLES } from '../../../cpu/layout.ts';
import { register, run, setRegister, setSlot, slot, type Stop } from '../../machine/machine.ts';
import { beginTry, endTry, type NamedPage, type Try } from '../../machine/device-access.ts';
import { hostAddress } from '../memory/frames.ts';
import { protectFrame } from '../memory/shadow-pages.ts';
import { shadowOf } from '../memory/shadow.ts';
import type { Vm } from '../vm.ts';
import { vcpu, virtualCpl } from './deprivilege-state.ts';
import { tryOne } from './deprivilege.ts';
import { trapOf } from './deprivilege-trap.ts';
import { cacheOf, cacheOffset, linearAt, sourceWritten, stepAt, type Unit } from './translate-cache.ts';
import type { Step } from './translate-writer.ts';

const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER);

/** Runs in the cache, and on to the next boundary when the budget ends within a sequence. `one`: one guest instruction. */
export function inCache(vm: Vm, cycles: number, one: boolean): Stop {
  const { machine } = vm;
  let stop = run(machine, BigInt(cycles), one ? 1n : NO_LIMIT);
  // a fence that falls within a sequence stands behind it
  const tape = machine.tape ?? null;
  const fence = tape?.fence ?? null;
  if (tape) tape.fence = null;
  for (let n = 0; stop.reason === 'budget' && n < 1000 && !boundary(vm); n++) stop = run(machine, 1_000_000n, 1n);
  if (tape) tape.fence = fence;
  return stop;
}

function boundary(vm: Vm): boolean {
  const at = cacheOffset(vm, register(vm.machine, 'rip'));
  return at >= 0 && stepAt(cacheOf(vm), at)?.step.first === true;
}

/** The guest is out: its registers and its instruction pointer are those of a boundary. */
export function settle(vm: Vm, stop: Stop): Stop {
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
  for (const [register_, name] of undo.registers) setRegister(vm.machine, NAMES[register_]!, BigInt.asUintN(cacheOf(vm).encoder.bits, vcpu(vm, name)));
  if (undo.rsp !== 0) setRegister(vm.machine, 'rsp', register(vm.machine, 'rsp') + BigInt(undo.rsp));
}
const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const;

function countLookups(vm: Vm): void {
  const cache = cacheOf(vm);
  const now = vcpu(vm, 'lookups');
  const more = Number(BigInt.asUintN(32, now - cache.lookupsSeen));
  if (more === 0) return;
  cache.lookupsSeen = now;
  cache.counts.lookups += more;
  setSlot(vm.machine, CYCLES, slot(vm.machine, CYCLES) + BigInt(more * vm.costs.monitor.lookup));
}

const PAGE = 4096;

/**
 * A store to a watched page that the monitor cannot do itself: the page is the guest's for this one instruction, and what changed
 * in it is looked for afterwards. `open`: lets the store through.
 */
export function storeUnseen(vm: Vm, gpa: number, open: () => void): void {
  const { machine } = vm;
  const cache = cacheOf(vm);
  const shadow = shadowOf(vm);
  const gfn = Math.floor(gpa / PAGE);
  const hpa = hostAddress(vm, gfn * PAGE);
  if (hpa === null) return;
  const before = machine.memory.slice(hpa, hpa + PAGE);
  shadow.watched.delete(gfn);
  open();
  const found = virtualCpl(vm) === 0 && cache.stoppedAt >= 0 ? stepAt(cache, cache.stoppedAt) : null;
  if (found) {
    setRegister(machine, 'rip', linearAt(cacheOf(vm), found.unit.at + startOf(found.unit, found.step)));
    settle(vm, inCache(vm, 1_000_000, true));
  } else run(machine, 1_000_000n, 1n);
  shadow.watched.add(gfn);
  protectFrame(vm, shadow, gfn);
  const after = machine.memory.subarray(hpa, hpa + PAGE);
  const first = before.findIndex((byte, n) => byte !== after[n]);
  if (first >= 0) sourceWritten(vm, gfn * PAGE + first, before.findLastIndex((byte, n) => byte !== after[n]) - first + 1);
}

/** A guest instruction in the cache with answers of devices, and on to its end when they were all there. */
export function tryTranslated(vm: Vm, given: readonly bigint[], pages: readonly NamedPage[]): Try {
  const { machine } = vm;
  const found = virtualCpl(vm) === 0 && cacheOf(vm).stoppedAt >= 0 ? stepAt(cacheOf(vm), cacheOf(vm).stoppedAt) : null;
  if (!found) return tryOne(vm, given, pages);
  setRegister(machine, 'rip', linearAt(cacheOf(vm), found.unit.at + startOf(found.unit, found.step)));
  beginTry(machine, given, pages);
  const tried = endTry(machine, inCache(vm, 1_000_000, true));
  settle(vm, tried.accesses === null ? tried.stop : boundary(vm) ? { ...tried.stop, reason: 'budget' } : inCache(vm, 1_000_000, true));
  return tried;
}
