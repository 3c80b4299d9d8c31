/** Random kubectl lines and manifests: 400 here; 20,000 with `node scripts/differential.mjs kubectl-lines`. */
import { expect, it } from 'vitest';
import { typeKubectl } from './kubectl-lines.ts';

it.each([1, 2])('200 lines of seed %d come back, say why they fail, and leave whole objects', (seed) => {
  const { lines, failed, faults } = typeKubectl(seed, 0, 200);
  expect(faults).toEqual([]);
  expect(lines).toBe(200);
  expect(failed).toBeGreaterThan(40);
  expect(failed).toBeLessThan(190);
});
