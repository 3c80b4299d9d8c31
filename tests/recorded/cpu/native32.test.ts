/** 32-bit snippets, run now by this machine's own processor in a 32-bit process and by cpu.wasm in protected mode; skipped by name where that cannot be. */
import { describe, expect, it } from 'vitest';
import { modelled32, play32 } from './modelled32.ts';
import { differences, keepsUpperHalf, lacking32, runNatively } from './native.ts';
import { snippet32 } from './snippets32.ts';

const missing = lacking32();
const FIRST = Number(process.env.SNIPPETS_FIRST ?? 1_000_000);
const COUNT = Number(process.env.SNIPPETS ?? 1_000);

describe('against the processor of this machine, 32 bits', () => {
  it.skipIf(missing !== null)(missing ? `skipped: this machine has not ${missing}` : `${COUNT} snippets end alike`, () => {
    const { code, outcomes } = runNatively(FIRST, COUNT, 32);
    const machine = modelled32(code);
    const wrong: string[] = [];
    const alike = keepsUpperHalf();
    let over = 0;
    outcomes.forEach((real, n) => {
      const { text, mask } = snippet32(FIRST + n);
      const found = differences(real, play32(machine, n, FIRST + n), mask);
      if (found.length > 0 && !alike && /push [cdes]s/.test(text)) over++;
      else if (found.length > 0) wrong.push(`snippet ${FIRST + n}: ${found.join('; ')}\n${text}`);
    });
    console.log(`32 bits: ${COUNT - over} of ${COUNT} snippets end alike${alike ? '' : '; this processor zeroes what a push of a segment register leaves here'}`);
    expect(wrong.slice(0, 10), `${wrong.length} differ`).toEqual([]);
    expect(over).toBeLessThan(COUNT / 50);
  });
});
