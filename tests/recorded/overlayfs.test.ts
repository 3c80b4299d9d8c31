/** Random operation sequences on OverlayFS, replayed against what the real kernel answered and left behind: 6.18, and 6.12 with index=on and with metacopy=on. */
import { expect, test } from 'vitest';
import { cases, replay } from './overlayfs/replay.ts';

test.each([['cases-a', 400], ['merge-only', 100], ['cases-redirect-on', 150], ['cases-index', 100], ['cases-metacopy', 100]] as const)('%s: all %i cases exact', (name, count) => {
  const all = cases(name);
  expect(all).toHaveLength(count);
  const wrong = all.flatMap((one) => {
    const { strict, fine } = replay(one);
    const told = [...strict, ...fine];
    return told.length > 0 ? [`${one.id}: ${told[0]} (${told.length})`] : [];
  });
  console.log(`${name}: ${count - wrong.length} of ${count} exact in all fields`);
  expect(wrong).toEqual([]);
});
