/** Bytes that are no UTF-8 go through the shell's printf and echo untouched. */
import { expect, test } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

test.each([
  ["printf '\\377\\101\\303\\251'", ' ff 41 c3 a9\n'], ["echo -e '\\xff\\x41'", ' ff 41 0a\n'], ["printf 'é\\xe9'", ' c3 a9 e9\n'], ["printf '\\U0001F600'", ' f0 9f 98 80\n'],
  ["x=$(printf 'a\\303\\251'); printf '%s' \"$x\"", ' 61 c3 a9\n'],
])('%s', (command, shown) => {
  const typist = createTypist(createWorld(loadAssets(), 'recorded/cgroup2'), { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  waitForPrompt(typist);
  expect(line(typist, `${command} | od -An -tx1`)!.stdout).toBe(shown);
});
