/** jq against what jq 1.7.1 printed for the same lines. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

interface Recorded {
  cmd: string;
  stdout: string;
  stderr: string;
  exit: number;
}

const LINES: Recorded[] = JSON.parse(readFileSync(new URL('recorded.json', import.meta.url), 'utf8'));

/** What differs, by the end of its line, and why. */
const MISSES: readonly (readonly [end: string, why: string])[] = [
  ['jq .[', 'the place of a syntax error is followed by as many blanks as the token is wide'],
  ["jq '.a b'", 'the same, and only some of what could have followed is named'],
  ["jq -c 'tostream'", 'not modelled'],
  ["jq -c 'tojson|fromjson'", 'names that are small numbers come first in an object'],
];

test('lines of jq print what the real one does', () => {
  const typist = createTypist(createWorld(loadAssets(), 'one-host'), { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  waitForPrompt(typist);
  const differ = LINES.filter((one) => {
    const mine = line(typist, one.cmd)!;
    return mine.stdout !== one.stdout || mine.stderr !== one.stderr || mine.exit !== one.exit;
  });
  console.log(`jq: ${LINES.length - differ.length} of ${LINES.length} exact`);
  expect(differ.map((one) => one.cmd.slice(one.cmd.lastIndexOf('| jq') + 2))).toEqual(MISSES.map(([end]) => end));
});
