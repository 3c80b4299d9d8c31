/** A part of the random writes to control groups that CI has time for. */
import { expect, test } from 'vitest';
import { fuzzCgroups } from './cgroupwrites.ts';

test.each([1, 2, 3])('2,000 random writes to control groups, seed %i: an errno or an effect, and books that are right', (seed) => {
  const { taken, refused, faults } = fuzzCgroups(seed, 2000);
  expect(faults).toEqual([]);
  expect(taken).toBeGreaterThan(100);
  expect([...refused.keys()].sort()).toEqual(expect.arrayContaining(['EINVAL', 'ENOENT']));
});
