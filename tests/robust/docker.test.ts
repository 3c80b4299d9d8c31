/** Random docker command lines, a few: the long run is `node scripts/differential.mjs docker-lines [COUNT] [SEED]`. */
import { expect, it } from 'vitest';
import { dockerLine, typeLines } from './docker-lines.ts';

it('the lines of a seed are always the same, and of many kinds', () => {
  expect(dockerLine(1, 5)).toBe(dockerLine(1, 5));
  const words = new Set(Array.from({ length: 400 }, (_, n) => dockerLine(1, n).split(' ')[1]));
  expect(words.size).toBeGreaterThan(30);
});

it('60 lines: each comes back, errors say something, docker agrees with the machine', () => {
  const outcome = typeLines(7, 0, 60);
  expect(outcome.faults).toEqual([]);
  expect(outcome.lines).toBe(60);
  expect(outcome.failed).toBeGreaterThan(15);
});
