/** The recorded 32-bit vectors, as vectors.test.ts has them of 64-bit code. With RECORD_SNIPPETS32=N the file is made anew on this machine. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { digest } from './modelled.ts';
import { modelled32, play32 } from './modelled32.ts';
import { lacking32, runNatively } from './native.ts';
import { snippet32 } from './snippets32.ts';
import { FILE32, packVectors, readVectors } from './vectors.ts';

const record = Number(process.env.RECORD_SNIPPETS32 ?? 0);

describe('recorded vectors of 32-bit code', () => {
  it.runIf(record > 0 && lacking32() === null)(`records ${record}`, () => {
    const { code, outcomes } = runNatively(0, record, 32);
    const masks = outcomes.map((_, n) => snippet32(n).mask);
    const recordedOn = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
    const head = { first: 0, count: record, recordedOn, ended: outcomes.filter((o) => o.vector === 3).length };
    writeFileSync(FILE32, packVectors({ head, code, masks, digests: outcomes.map((o, n) => digest(o, masks[n]!)) }));
  });

  it('end as they did', () => {
    const { head, code, masks, digests } = readVectors(FILE32);
    expect(head.count).toBeGreaterThanOrEqual(10_000);
    expect(head.ended / head.count).toBeGreaterThan(0.8);
    const machine = modelled32(code);
    const wrong: number[] = [];
    for (let n = 0; n < head.count; n++) {
      if (digest(play32(machine, n, head.first + n), masks[n]!) !== digests[n]) wrong.push(head.first + n);
    }
    expect(wrong).toEqual([]);
  });
});
