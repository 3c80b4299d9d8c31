/**
 * What translated code calls out for, and what it traps for: emulation of an instruction, a successor to be chained, a return
 * that the lookup does not know, an interrupt that waited for STI; faults of the guest's own instructions, mapped back to them.
 * A store that faults again and again because its page is watched is translated anew, to call out without a fault (adaptive
 * translation: Adams and Agesen, ASPLOS 2006, section 5).
 */
import { register, run, setRegister } from '../../machine/machine.ts';
import { emulateWrite } from '../memory/shadow-emulate.ts';
import { shadowOf } from '../memory/shadow.ts';
import type { Vm } from '../vm.ts';
import { type Parts, partsOf } from '../../machine/isa/parts.ts';
import { emulate, knows } from './deprivilege-emulate.ts';
import { fetchAt, paging } from './deprivilege-memory.ts';
import { onPageFault } from './deprivilege.ts';
import { codeAt, codeBits } from './deprivilege-segments.ts';
import { applyRoot } from './deprivilege-shadow.ts';
import { own, TF, vcpu, virtualCpl, virtualFlags } from './deprivilege-state.ts';
import { attempt, type Done, done, reflect, type Trap, TRAP_SYSCALL, TRAP_SYSENTER, trapOf, vectorName } from './deprivilege-trap.ts';
import { runInPlace } from './translate-interpret.ts';
import { type Callout, cacheOf, cacheOffset, chainTo, dropUnit, enterLookup, forward, makeUnit, stepAt, type Unit, within } from './translate-cache.ts';

const go = (vm: Vm, rip: bigint, unit: Unit | null): void => {
  setRegister(vm.machine, 'rip', rip);
  const at = unit ? within(unit, rip) : -1;
  cacheOf(vm).resume = at < 0 ? null : { rip, at };
};

/** A unit for a guest address, found or made; null: fetching met something, which is in `exit`. */
function unitFor(vm: Vm, rip: bigint, from: Callout['chain'] = null): { unit: Unit | null; exit: Done['exit']; cycles: number } {
  const known = cacheOf(vm).units.get(rip);
  if (known) return { unit: known, exit: null, cycles: 0 };
  let unit: Unit | null = null;
  const exit = attempt(vm, () => {
    unit = makeUnit(vm, rip, from);
    return null;
  });
  const made = unit as Unit | null;
  return { unit: made, exit, cycles: (made?.instructions.length ?? 0) * vm.costs.monitor.translate };
}

/** The kernel goes on where nothing is translated yet. */
export function translateNow(vm: Vm): Done {
  const rip = register(vm.machine, 'rip');
  const { unit, exit, cycles } = unitFor(vm, rip);
  if (unit) go(vm, rip, unit);
  return done('translate', vm.costs.monitor.callout + cycles, exit, false);
}

export function answerCallout(vm: Vm, callout: Callout, now: number): Done {
  const cache = cacheOf(vm);
  cache.counts.callouts++;
  const { monitor: costs } = vm.costs;
  switch (callout.kind) {
    case 'emulate': return onEmulate(vm, callout, now);
    case 'step': return onStep(vm, callout, now);
    case 'write': return onWrite(vm, callout, now);
    case 'pending':
      go(vm, callout.rip, callout.unit);
      own(vm).shadow = isSti(callout);
      return done('callout: interrupt', costs.callout, null, true);
    case 'chain': return onChain(vm, callout);
    case 'entry': {
      setRegister(vm.machine, 'rip', callout.rip);
      const { unit, exit, cycles } = unitFor(vm, callout.rip);
      if (unit && callout.unit) {
        forward(vm, callout.unit, unit);
        go(vm, callout.rip, unit);
      }
      return done('callout: retranslate', costs.callout + cycles, exit, false);
    }
    case 'lookup': {
      const target = BigInt.asUintN(cache.encoder.bits, vcpu(vm, 'target'));
      setRegister(vm.machine, 'rip', target);
      cache.counts.missed++;
      const { unit, exit, cycles } = unitFor(vm, target);
      if (unit) {
        enterLookup(vm, unit);
        go(vm, target, unit);
      }
      return done('callout: lookup', costs.callout + cycles, exit, true);
    }
  }
}

/** The check that follows an STI, and not a POPF: one more instruction before an interrupt. */
function isSti({ unit, rip }: Callout): boolean {
  const before = unit?.instructions.find((one) => one.rip + BigInt(one.d.length) === rip);
  return before?.d.opcode === 0xfb && before.d.map === 0;
}

function onChain(vm: Vm, { chain, rip }: Callout): Done {
  setRegister(vm.machine, 'rip', rip);
  const { unit, exit, cycles } = unitFor(vm, rip, chain);
  if (unit) {
    // the cache may have been emptied meanwhile, and the exit with it
    if (chain && cacheOf(vm).callouts.get(chain.stub)?.chain === chain) chainTo(vm, chain, unit);
    else if (chain && unit.at === chain.at) chainTo(vm, chain, unit);
    go(vm, rip, unit);
  }
  return done('callout: chain', vm.costs.monitor.callout + cycles, exit, true);
}

function onEmulate(vm: Vm, { unit, rip }: Callout, now: number): Done {
  const { monitor: costs } = vm.costs;
  setRegister(vm.machine, 'rip', rip);
  cacheOf(vm).resume = null;
  const d = unit?.instructions.find((one) => one.rip === rip)?.d;
  if (!d) return done('callout', costs.callout, { reason: 'internal-error', text: `a callout without an instruction at 0x${rip.toString(16)}` });
  const { mnemonic } = d;
  const exit = attempt(vm, () => emulate({ vm, d, rip, now }));
  if (unit && virtualCpl(vm) === 0) go(vm, register(vm.machine, 'rip'), unit);
  return done(`callout: ${mnemonic}`, costs.callout + costs.service, exit, exit?.reason !== 'page');
}

function onStep(vm: Vm, { unit, rip }: Callout, now: number): Done {
  const { monitor: costs } = vm.costs;
  setRegister(vm.machine, 'rip', rip);
  Object.assign(cacheOf(vm), { stoppedAt: -1, resume: null });
  const stop = runInPlace(vm);
  if (stop.reason === 'trap') return answerTrap(vm, trapOf(vm, stop), now);
  if (unit) go(vm, register(vm.machine, 'rip'), unit);
  return done('callout: step', costs.callout + costs.emulate, null, true);
}

/** The store of an instruction that was translated for that. */
function onWrite(vm: Vm, { unit, rip }: Callout, now: number): Done {
  const { monitor: costs } = vm.costs;
  setRegister(vm.machine, 'rip', rip);
  const fault = { address: 0n, error: 2, paging: paging(vm), ac: (virtualFlags(vm) & 0x4_0000n) !== 0n, rip, delivering: false };
  let result = done('adaptive write', costs.callout + costs.adaptive);
  const exit = attempt(vm, () => {
    const emulated = emulateWrite(vm, shadowOf(vm), fault, true);
    applyRoot(vm);
    if (emulated.kind === 'page') return { reason: 'page', gpa: emulated.gpa };
    if (emulated.kind === 'inject') {
      result = done('true #PF', costs.callout + costs.fill + costs.reflect);
      return reflect(vm, { vector: 14, type: 3, error: emulated.error, length: 0, cr2: emulated.address }, now);
    }
    if (emulated.kind === 'unknown') {
      cacheOf(vm).adaptive.delete(rip);
      if (unit) dropUnit(vm, unit);
    } else {
      own(vm).shadow = false;
      result.cycles += emulated.stores - 1;
    }
    return null;
  });
  if (unit && virtualCpl(vm) === 0) go(vm, register(vm.machine, 'rip'), unit);
  return { ...result, exit };
}

/** Faults of one address before its instruction is translated again. */
const OFTEN = 3;

/** A trap that is no callout: of an instruction of the guest's, in the cache or of a process. */
export function answerTrap(vm: Vm, trap: Trap, now: number): Done {
  const { monitor: costs } = vm.costs;
  const kernel = virtualCpl(vm) === 0;
  if (kernel && trap.vector === 1 && cacheOf(vm).stoppedAt >= 0) return onDebug(vm, trap, now);
  if (trap.vector === 14 && trap.type === 3) {
    const rip = register(vm.machine, 'rip');
    const result = onPageFault(vm, trap, now);
    if (kernel && result.event === 'watched write') learn(vm, rip);
    if (kernel && result.exit === null && virtualCpl(vm) === 0) settleAfter(vm, rip);
    return result;
  }
  cacheOf(vm).resume = null;
  if (trap.vector === TRAP_SYSCALL || trap.vector === TRAP_SYSENTER) return done(trap.vector === TRAP_SYSCALL ? 'trap SYSCALL' : 'trap SYSENTER', costs.trap + costs.call, reflect(vm, trap, now));
  if (trap.type !== 3) return done(`trap int ${trap.vector}`, costs.trap + costs.call, reflect(vm, trap, now));
  if (!kernel && trap.vector === 13) {
    const emulated = ofProcess(vm, now);
    if (emulated) return emulated;
  }
  return done(`trap ${vectorName(trap.vector)}`, costs.trap + costs.reflect, reflect(vm, trap, now));
}

/** After a fault was dealt with: at the same instruction again, or behind it. */
function settleAfter(vm: Vm, before: bigint): void {
  const cache = cacheOf(vm);
  const rip = register(vm.machine, 'rip');
  if (rip === before && cache.resume?.rip === rip) return;
  const found = cache.stoppedAt >= 0 ? stepAt(cache, cache.stoppedAt) : null;
  go(vm, rip, found && !found.unit.dead ? found.unit : null);
}

function learn(vm: Vm, rip: bigint): void {
  const cache = cacheOf(vm);
  const times = (cache.faults.get(rip) ?? 0) + 1;
  cache.faults.set(rip, times);
  if (times < OFTEN || cache.adaptive.has(rip)) return;
  cache.adaptive.add(rip);
  cache.counts.retranslated++;
  for (const unit of [...cache.units.values()]) if (unit.instructions.some((one) => one.rip === rip)) dropUnit(vm, unit);
}

/** IN, OUT, CLI and STI of a process that the guest's IOPL or I/O bitmap may allow. */
function ofProcess(vm: Vm, now: number): Done | null {
  const { monitor: costs } = vm.costs;
  const rip = register(vm.machine, 'rip');
  let found: Parts | null = null;
  const exit = attempt(vm, () => {
    found = partsOf(fetchAt(vm, codeAt(vm), 15, true), codeBits(vm));
    return null;
  });
  const d = found as Parts | null;
  if (exit) return done('trap #GP', costs.trap, exit);
  if (!d || !knows(d)) return null;
  const { mnemonic } = d;
  const after = attempt(vm, () => emulate({ vm, d, rip, now }));
  return done(`trap #GP: ${mnemonic}`, costs.trap + costs.emulate, after, after?.reason !== 'page');
}

/** A step trap in the cache: the sequence is finished without TF, then the guest has its #DB, unless it took TF away itself. */
function onDebug(vm: Vm, trap: Trap, now: number): Done {
  const { machine } = vm;
  const cache = cacheOf(vm);
  const { monitor: costs } = vm.costs;
  const began = stepAt(cache, cache.stoppedAt);
  const instruction = began && !began.step.first ? began.unit.instructions.find((one) => one.rip === began.step.rip) : undefined;
  const pops = instruction?.d.map === 0 && instruction.d.opcode === 0x9d;
  setRegister(machine, 'rflags', register(machine, 'rflags') & ~TF);
  for (let n = 0; n < 1000; n++) {
    const at = cacheOffset(vm, register(machine, 'rip'));
    const found = at >= 0 ? stepAt(cache, at) : null;
    if (found?.step.first) {
      setRegister(machine, 'rip', found.step.rip);
      break;
    }
    if (run(machine, 1_000_000n, 1n).reason !== 'budget') return done('trap #DB', costs.trap, { reason: 'internal-error', text: 'not modelled: a fault within a sequence that is single-stepped' });
  }
  if (!pops) setRegister(machine, 'rflags', register(machine, 'rflags') | TF);
  cache.resume = null;
  return done('trap #DB', costs.trap + costs.reflect, reflect(vm, trap, now));
}
