/**
 * Text tools against the real ones: `gnu.jsonl` holds what GNU coreutils 9, grep, sed, findutils, diffutils, mawk and procps
 * of a Debian said to each case. RECORD_GNU=1 records it anew with the tools of this machine.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { GNU_CASES, GNU_FILES } from './gnu-cases.ts';
import { type Case, ENVIRONMENT, type Outcome, runAll } from './machine.ts';

const FIXTURE = new URL('gnu.jsonl', import.meta.url);

function record(): void {
  const lines: string[] = [];
  for (const one of GNU_CASES) {
    const dir = mkdtempSync(`${tmpdir()}/gnu-`);
    for (const [name, data] of Object.entries(GNU_FILES)) writeFileSync(`${dir}/${name}`, data);
    const ran = spawnSync(one.argv[0]!, one.argv.slice(1), { cwd: dir, input: one.stdin ?? '', timeout: 5000, env: ENVIRONMENT });
    rmSync(dir, { recursive: true });
    if (ran.error) continue;
    lines.push(JSON.stringify({ argv: one.argv, stdin: one.stdin, stdout: ran.stdout.toString(), stderr: ran.stderr.toString(), exit: ran.status }));
  }
  writeFileSync(FIXTURE, `${lines.join('\n')}\n`);
}

/** How many are the same, byte for byte; only ever raised. */
const REACHED = 495;

test('text tools say what the real ones say', () => {
  if (process.env.RECORD_GNU) record();
  const recorded = readFileSync(FIXTURE, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Case & Outcome);
  const { outcomes } = runAll(recorded.map((r) => ({ argv: r.argv, files: GNU_FILES, ...(r.stdin === undefined ? {} : { stdin: r.stdin }) })), { fresh: true });
  const differ = recorded.flatMap((r, i) => {
    const mine = outcomes[i]!;
    const same = mine.stdout === r.stdout && mine.stderr === r.stderr && mine.exit === r.exit;
    return same ? [] : [{ argv: r.argv, stdin: r.stdin, mine, real: { stdout: r.stdout, stderr: r.stderr, exit: r.exit } }];
  });
  console.log(`GNU tools: ${recorded.length - differ.length} of ${recorded.length} exact`);
  if (process.env.SHOW_DIFFERENCES) for (const d of differ) console.log(`${JSON.stringify(d.argv)} ${JSON.stringify(d.stdin ?? null)}\n  mine ${JSON.stringify(d.mine)}\n  real ${JSON.stringify(d.real)}`);
  expect(recorded.length - differ.length).toBeGreaterThanOrEqual(REACHED);
});
