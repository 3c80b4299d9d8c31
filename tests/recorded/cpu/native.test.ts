/** Snippets that no vector records, run now on this machine's own processor and on cpu.wasm; skipped by name where that cannot be. */
import { describe, expect, it } from 'vitest';
import { modelled, play } from './modelled.ts';
import { differences, lacking, runNatively } from './native.ts';
import { snippet } from './snippets.ts';

const missing = lacking();
const FIRST = Number(process.env.SNIPPETS_FIRST ?? 1_000_000);
const COUNT = Number(process.env.SNIPPETS ?? 1_000);

describe('against the processor of this machine', () => {
  it.skipIf(missing !== null)(missing ? `skipped: this machine has not ${missing}` : `${COUNT} snippets end alike`, () => {
    const { code, outcomes } = runNatively(FIRST, COUNT);
    const machine = modelled(code);
    const wrong: string[] = [];
    outcomes.forEach((real, n) => {
      const { text, mask } = snippet(FIRST + n);
      const found = differences(real, play(machine, n, FIRST + n), mask);
      if (found.length > 0) wrong.push(`snippet ${FIRST + n}: ${found.join('; ')}\n${text}`);
    });
    expect(wrong.slice(0, 10), `${wrong.length} differ`).toEqual([]);
  });
});
