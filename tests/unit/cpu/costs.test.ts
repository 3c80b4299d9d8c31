/** What instructions, events and walks cost can be set from outside, and blocks decoded before do not keep the old costs. */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import { COST_ROWS } from '../../../src/engine/machine/isa/table.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare, CODE, finish, type Program } from './bench.ts';

/** Cycles from `CODE` to the halt, with a warm TLB. */
function again(program: Program): bigint {
  program.machine.state.setUint32(at.ACTIVITY, 0, true);
  m.setRegister(program.machine, 'rip', BigInt(CODE));
  const before = m.cycles(program.machine);
  expect(finish(program).reason).toBe('halt');
  return m.cycles(program.machine) - before;
}

describe('costs', () => {
  it('has room for every row', () => {
    expect(COST_ROWS.length).toBeLessThanOrEqual(at.COSTS_MAX);
  });

  it('are those of the table until they are set', () => {
    const program = bare('imul eax, ecx\n cpuid\n mul ecx\n hlt');
    const { instructions, events } = m.costs(program.machine);
    expect(COST_ROWS.filter((row) => instructions[row.mnemonic] !== COST_ROWS.find((one) => one.mnemonic === row.mnemonic)!.cycles)).toEqual([]);
    expect(events).toEqual({ event: 60, walk: 7, reference: 12, control: 0 });
    finish(program);
    expect(again(program)).toBe(BigInt(3 + 100 + 3 + 5));
  });

  it('change what was decoded before', () => {
    const program = bare('imul eax, ecx\n cpuid\n mul ecx\n xchg rax, rax\n nop\n hlt');
    finish(program);
    m.setCosts(program.machine, { imul: 40, mul: 500, nop: 9, cpuid: 32_767 });
    expect(again(program)).toBe(BigInt(40 + 32_767 + 500 + 18 + 5));
    expect(m.costs(program.machine).instructions.imul).toBe(40);
  });

  it('add up in a block however large they are', () => {
    const program = bare(`${'nop\n'.repeat(20)}hlt`);
    m.setCosts(program.machine, { nop: 30_000 });
    finish(program);
    expect(again(program)).toBe(BigInt(20 * 30_000 + 5));
    const before = m.cycles(program.machine);
    program.machine.state.setUint32(at.ACTIVITY, 0, true);
    m.setRegister(program.machine, 'rip', BigInt(CODE));
    expect(m.run(program.machine, 1n << 40n, 5n).reason).toBe('budget');
    expect(m.cycles(program.machine) - before).toBe(150_000n);
  });

  it('of events and walks', () => {
    const costly = bare('mov eax, [0x800000]\n hlt');
    const { machine } = costly;
    m.setCosts(machine, {}, { walk: 100, reference: 1000 });
    finish(costly);
    // code and data miss once each: 3 references of 2 MiB pages
    expect(m.cycles(machine)).toBe(BigInt(2 * 3100 + 1 + 5));
    expect(m.walk(machine, 0)!.references.map((r) => r.cycles)).toEqual([1000, 1000, 1000]);
    const trapping = bare('int3\n hlt\n h: iretq', { 3: 'h' });
    finish(trapping);
    const first = again(trapping);
    m.setCosts(trapping.machine, {}, { event: 1060 });
    expect(again(trapping)).toBe(first + 1000n);
  });

  it('say what they do not know, and change nothing then', () => {
    const { machine } = bare('hlt');
    expect(() => m.setCosts(machine, { hlt: 7, vaddps: 3 })).toThrow('no instruction vaddps');
    expect(() => m.setCosts(machine, { hlt: 7 }, { walk: -1 })).toThrow('-1 cycles');
    expect(() => m.setCosts(machine, { hlt: 1.5 })).toThrow('1.5 cycles');
    expect(m.costs(machine).instructions.hlt).toBe(5);
  });
});
