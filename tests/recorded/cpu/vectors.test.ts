/**
 * Every recorded vector: registers, defined flags, memory, and the exception with its error code and address are those of a
 * real processor. With RECORD_SNIPPETS=N the file is made anew on this machine (nasm, gcc).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { digest, modelled, play } from './modelled.ts';
import { lacking, runNatively } from './native.ts';
import { snippet } from './snippets.ts';
import { FILE, packVectors, readVectors } from './vectors.ts';

const record = Number(process.env.RECORD_SNIPPETS ?? 0);

describe('recorded vectors', () => {
  it.runIf(record > 0 && lacking() === null)(`records ${record}`, () => {
    const { code, outcomes } = runNatively(0, record);
    const masks = outcomes.map((_, n) => snippet(n).mask);
    const recordedOn = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
    const head = { first: 0, count: record, recordedOn, ended: outcomes.filter((o) => o.vector === 3).length };
    writeFileSync(FILE, packVectors({ head, code, masks, digests: outcomes.map((o, n) => digest(o, masks[n]!)) }));
  });

  it('end as they did', () => {
    const { head, code, masks, digests } = readVectors();
    expect(head.count).toBeGreaterThanOrEqual(20_000);
    expect(head.ended / head.count).toBeGreaterThan(0.8);
    const machine = modelled(code);
    const wrong: number[] = [];
    for (let n = 0; n < head.count; n++) {
      if (digest(play(machine, n, head.first + n), masks[n]!) !== digests[n]) wrong.push(head.first + n);
    }
    expect(wrong).toEqual([]);
  });
});
