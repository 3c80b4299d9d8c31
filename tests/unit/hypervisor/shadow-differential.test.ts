/** Random guests that edit their page tables end the same on the bare machine, over EPT and on shadow tables. SEED and COUNT in the environment run others. */
import { expect, it } from 'vitest';
import { readGuest } from '../../../src/engine/hypervisor/memory/frames.ts';
import { guestControl, guestRegister } from '../../../src/engine/hypervisor/state.ts';
import type { TechniqueName } from '../../../src/engine/hypervisor/vm.ts';
import { type Bench, go, MS, power } from './bench.ts';
import { MEMORY, randomGuest } from './shadow-guests.ts';
import { randomNarrowGuest } from './shadow-guests-32.ts';

const REGISTERS = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rsp', 'r14', 'r15', 'rip', 'rflags'];

function run(source: string, technique: TechniqueName): Bench {
  const b = power(source, { technique, memory: MEMORY });
  go(b, technique === 'native' ? 2 * MS : 20 * MS);
  return b;
}

const stateOf = (b: Bench): Record<string, string> => ({
  ended: b.ended, ...Object.fromEntries(REGISTERS.map((name) => [name, guestRegister(b.vm, name).toString(16)])),
  ...Object.fromEntries((['cr0', 'cr2', 'cr3', 'efer'] as const).map((name) => [name, (guestControl(b.vm, name) & ~0x20n).toString(16)])),
});

/** The first words that differ, by guest-physical address. */
function differences(a: Bench, b: Bench): string[] {
  const out: string[] = [];
  const x = readGuest(a.vm, 0, MEMORY);
  const y = readGuest(b.vm, 0, MEMORY);
  const left = new DataView(x.buffer);
  const right = new DataView(y.buffer);
  for (let at = 0; at < MEMORY && out.length < 12; at += 8) {
    const [p, q] = [left.getBigUint64(at, true), right.getBigUint64(at, true)];
    if (p !== q) out.push(`${at.toString(16)}: ${p.toString(16)} ${q.toString(16)}`);
  }
  return out;
}

const from = Number(process.env.SEED ?? 1);
const count = Number(process.env.COUNT ?? 4);
function agree(source: string): void {
  const native = run(source, 'native');
  // one that runs wild never ends: nothing to compare
  if (native.ended === '') return;
  for (const technique of ['vmx-ept', 'vmx-shadow'] as const) {
    const other = run(source, technique);
    expect([technique, differences(native, other)]).toEqual([technique, []]);
    expect([technique, stateOf(other)]).toEqual([technique, stateOf(native)]);
  }
}

const seeds = Array.from({ length: count }, (_, n) => from + n);
it.each(seeds)('four levels, guest %i', (seed) => agree(randomGuest(seed, 150)));
it.each(seeds)('PAE, guest %i', (seed) => agree(randomNarrowGuest(seed, 150, 'pae')));
it.each(seeds)('32-bit, guest %i', (seed) => agree(randomNarrowGuest(seed, 150, '32')));
