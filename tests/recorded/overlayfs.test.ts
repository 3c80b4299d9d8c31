/** Random operation sequences on OverlayFS, replayed against what the real 6.18 kernel answered and left behind. */
import { expect, test } from 'vitest';
import { cases, replay } from './overlayfs/replay.ts';

test.each([['cases-a', 400], ['merge-only', 100], ['cases-redirect-on', 150]] as const)('%s: all %i cases exact', (name, count) => {
  const all = cases(name);
  expect(all).toHaveLength(count);
  const wrong: string[] = [];
  let fine = 0;
  for (const one of all) {
    const difference = replay(one);
    if (difference.strict.length > 0) wrong.push(`${one.id}: ${difference.strict[0]} (${difference.strict.length})`);
    if (difference.fine.length > 0) fine++;
  }
  console.log(`${name}: ${count - wrong.length} of ${count} exact in strict fields, ${count - fine} in all fields`);
  if (wrong.length > 0) console.log(wrong.slice(0, 40).join("\n"));
  expect(wrong).toEqual([]);
});
