/** Whatever a VMCS holds, a launch ends in a state that is told, and nothing outside the machine's memory is touched. CASES more by the environment. */
import { expect, it } from 'vitest';
import { FIELDS } from '../../../src/engine/hypervisor/vmcs.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { prepared, proceed, write } from './vmx-code.ts';

const CASES = Number(process.env.CASES ?? 150);

function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

it('any fields', () => {
  const ends = new Set<string>();
  const names = [...FIELDS.keys()];
  for (let seed = 1; seed <= CASES; seed++) {
    const next = generator(seed * 7919);
    const program = prepared('mov [rsp], rax\n add rax, [rdi]\n rep movsb\n cpuid\n in al, dx\n hlt', { PIN_BASED_CONTROLS: 0x56, GUEST_PREEMPTION_TIMER: 50 });
    for (let k = 1 + Math.floor(next() * 12); k > 0; k--) {
      const name = names[Math.floor(next() * names.length)]!;
      const wide = (BigInt(Math.floor(next() * 2 ** 32)) << 32n) | BigInt(Math.floor(next() * 2 ** 32));
      const old = m.vmread(program.machine, FIELDS.get(name)!);
      write(program, name, next() < 0.5 ? BigInt.asUintN(64, old ^ (1n << BigInt(Math.floor(next() * 64)))) : wide >> BigInt(Math.floor(next() * 64)));
    }
    let stop = m.run(program.machine, 300_000n);
    for (let n = 0; n < 50 && stop.reason === 'io'; n++) {
      m.finishIo(program.machine, 0xffn);
      stop = m.run(program.machine, 300_000n);
    }
    ends.add(stop.reason);
    expect(['halt', 'shutdown', 'budget', 'io']).toContain(stop.reason);
  }
  expect(ends).toContain('halt');
});

it('a region of anything at all', () => {
  for (let seed = 1; seed <= CASES / 5; seed++) {
    const next = generator(seed * 104729);
    const program = prepared('hlt');
    for (const name of FIELDS.keys()) if (next() < 0.6) write(program, name, BigInt(Math.floor(next() * 2 ** 32)) * BigInt(Math.floor(next() * 2 ** 32)));
    const { error } = proceed(program);
    expect(error === 7 || error === 8 || error === null).toBe(true);
  }
});
