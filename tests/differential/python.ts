/**
 * `node scripts/differential.mjs python [--write 1]`: the modelled python3 against a real CPython 3.13 (PYTHON names it, else
 * python3.13) on tests/differential/python/snippets.txt: snippets parted by ====, run by -c, or by `#!stdin` or `#!file ARG…` in
 * their first line. `--write` keeps those that agree as the pairs of tests/unit/python. Library paths, set orders and
 * SyntaxWarnings are known to differ.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Case, type Outcome, runAll } from '../unit/coreutils/machine.ts';
import { options } from './options.ts';

const { write } = options({ write: 0 });
const real = process.env.PYTHON ?? 'python3.13';

function caseOf(snippet: string): Case {
  const [first = '', ...rest] = snippet.split('\n');
  if (!first.startsWith('#!')) return { argv: ['python3', '-c', snippet] };
  const [how, ...args] = first.slice(2).split(' ');
  const body = `${rest.join('\n')}\n`;
  return how === 'stdin' ? { argv: ['python3'], stdin: body } : { argv: ['python3', 's.py', ...args], files: { 's.py': body } };
}

function theirs(one: Case): Outcome {
  const cwd = mkdtempSync(join(tmpdir(), 'snippet-'));
  for (const [name, data] of Object.entries(one.files ?? {})) writeFileSync(join(cwd, name), data);
  const env = { PATH: '/usr/bin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8', PYTHONHASHSEED: '0', PYTHON_COLORS: '0' };
  const { stdout, stderr, status, signal } = spawnSync(real, one.argv.slice(1), { cwd, env, input: one.stdin ?? '', encoding: 'utf8' });
  rmSync(cwd, { recursive: true });
  const placed = (text: string): string => text.replaceAll(cwd, '/tmp/area');
  return { stdout: placed(stdout), stderr: placed(stderr), exit: status ?? (signal === 'SIGINT' ? 130 : 255) };
}

const cases = readFileSync(new URL('python/snippets.txt', import.meta.url), 'utf8').split('\n====\n').filter((s) => s.trim() !== '').map((s) => caseOf(s.replace(/\n$/, '')));
const { outcomes } = runAll(cases, { fresh: true });
const agreed: string[] = [];
for (const [i, one] of cases.entries()) {
  const mine = outcomes[i]!;
  const want = theirs(one);
  if (mine.stdout === want.stdout && mine.stderr === want.stderr && mine.exit === want.exit) agreed.push(JSON.stringify({ ...one, ...want }));
  else console.log(JSON.stringify({ ...one, mine, want }, null, 1));
}
console.log(`${agreed.length} of ${cases.length} snippets agree`);
if (write) writeFileSync(new URL('../unit/python/snippets.jsonl', import.meta.url), `${agreed.join('\n')}\n`);
