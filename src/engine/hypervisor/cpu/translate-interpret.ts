/**
 * Kernel code that is not translated, one instruction after another: what is harmless is run by the processor as it stands, where
 * it stands, in ring 1 by segments that mean the same (in real mode: 16-bit segments with the bases of their selectors); the rest is
 * emulated. Slow, and charged so; kernels spend little there. Left out: in real mode a store through CS is #GP.
 */
import { type Parts, partsOf, whyNot } from '../../machine/isa/parts.ts';
import { addCycles, cycles as cyclesOf, register, run, type Stop } from '../../machine/machine.ts';
import type { Vm } from '../vm.ts';
import { emulate } from './deprivilege-emulate.ts';
import { fetchAt, gp, isStopped, ud } from './deprivilege-memory.ts';
import { codeAt, codeBits } from './deprivilege-segments.ts';
import { inReal, own, virtualCpl } from './deprivilege-state.ts';
import { attempt, type Done, done, prepare } from './deprivilege-trap.ts';
import { cacheOf } from './translate-cache.ts';
import { harmless } from './translate-rules.ts';

/** Stands for the end of a stretch before an instruction that the monitor has to do. */
export const WANTED: Stop = { reason: 'trap', payload: [] };
const LONG_ENOUGH = 1_000_000n;

/** The instruction at rip; throws what fetching meets, #UD, #GP. */
function instruction(vm: Vm): Parts {
  const at = codeAt(vm);
  const bits = codeBits(vm);
  const code = fetchAt(vm, at, 15, virtualCpl(vm) === 3);
  const d = partsOf(code, bits);
  if (d) return d;
  const why = whyNot(code, bits);
  if (why === 'cut') fetchAt(vm, at + BigInt(code.length), 1, false);
  throw why === 'unknown' ? ud() : gp();
}

const ARPL = 0x63;
/** Real mode has no such instruction, the segments of protected mode that stand for it have. */
const missingInReal = (vm: Vm, d: Parts): boolean => d.map === 0 && d.opcode === ARPL && inReal(vm);

function look(vm: Vm): Parts | null {
  try {
    return instruction(vm);
  } catch (thrown) {
    if (isStopped(thrown)) return null;
    throw thrown;
  }
}

/** Harmless instructions, until the budget is spent, one stops, or one is not harmless. */
export function interpret(vm: Vm, cycles: number, single: boolean): Stop {
  const { machine } = vm;
  const o = own(vm);
  const cache = cacheOf(vm);
  o.ran = 'monitor';
  cache.stoppedAt = -1;
  cache.resume = null;
  prepare(vm);
  const end = cyclesOf(machine) + BigInt(cycles);
  for (;;) {
    const d = look(vm);
    if (!d || !harmless(d) || missingInReal(vm, d)) return WANTED;
    const one = single || o.shadow;
    o.shadow = false;
    addCycles(machine, BigInt(vm.costs.monitor.emulate));
    const stop = run(machine, LONG_ENOUGH, 1n);
    if (stop.reason !== 'budget' || one || cyclesOf(machine) >= end) return stop;
  }
}

/** The one that is not. */
export function interpretNow(vm: Vm, now: number): Done {
  const { monitor: costs } = vm.costs;
  let name = '';
  const exit = attempt(vm, () => {
    const d = instruction(vm);
    if (missingInReal(vm, d)) throw ud();
    const rip = register(vm.machine, 'rip');
    name = `: ${d.mnemonic}`;
    return emulate({ vm, d, rip, now });
  });
  return done(`interpret${name}`, costs.emulate + costs.service, exit, exit?.reason !== 'page');
}

/** One instruction of a unit that was not written anew, run where the guest has it. */
export const runInPlace = (vm: Vm): Stop => run(vm.machine, LONG_ENOUGH, 1n);
