/** Snippets run by the modelled python3 against what CPython 3.13 printed for them (tests/differential/python.ts makes the file). */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Case, type Outcome, runAll } from '../coreutils/machine.ts';

const lines = readFileSync(new URL('snippets.jsonl', import.meta.url), 'utf8').trim().split('\n').map((one) => JSON.parse(one) as Case & Outcome);

test('snippets print what CPython prints', () => {
  const { outcomes } = runAll(lines, { fresh: true });
  const wrong = lines.flatMap((line, i) => {
    const { stdout, stderr, exit } = line;
    const mine = outcomes[i]!;
    return mine.stdout === stdout && mine.stderr === stderr && mine.exit === exit ? [] : [{ argv: line.argv, mine, theirs: { stdout, stderr, exit } }];
  });
  expect(wrong).toEqual([]);
  expect(lines.length).toBeGreaterThan(60);
});
