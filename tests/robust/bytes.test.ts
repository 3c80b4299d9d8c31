/** A few of the guests of random bytes; `node scripts/differential.mjs bytes` runs 100,000 in each mode. */
import { describe, expect, it } from 'vitest';
import * as m from '../../src/engine/machine/machine.ts';
import { bare, finish, reg } from '../unit/cpu/bench.ts';
import { createBench, MODES, play } from './random-guests.ts';

const COUNT = 80;

describe('guests of random bytes', () => {
  for (const mode of MODES) {
    it(`end in a state that is reported: ${mode}`, () => {
      const bench = createBench(mode);
      const reasons = new Set<string>();
      let instructions = 0;
      for (let n = 0; n < COUNT; n++) {
        const end = play(bench, mode, n);
        reasons.add(end.reason);
        instructions += end.instructions;
      }
      for (const reason of reasons) expect(reason).toMatch(/^(budget|halt|shutdown|io|exit \d+|failed-entry)$/);
      expect(reasons.size).toBeGreaterThan(1);
      expect(instructions).toBeGreaterThan(COUNT);
    });
  }
});

it('the frame of an event may lie over two pages', () => {
  for (const top of [0x200008n, 0x200010n, 0x200018n, 0x200020n, 0x200028n]) {
    const program = bare(`mov rsp, ${top + 0x10n}\n mov ebx, cs\n ud2\n h: pop rax\n pop rcx\n pop rdx\n pop rsi\n pop rdi\n hlt`, { 6: 'h' });
    expect(finish(program).reason).toBe('halt');
    expect([reg(program, 'rcx'), reg(program, 'rsi'), reg(program, 'rdi')]).toEqual([reg(program, 'rbx'), top + 0x10n, 0x10n]);
    expect(m.slot(program.machine, 0x480)).toBe(0n);
  }
});
