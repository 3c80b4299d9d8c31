/** virsh with test:///default, the driver inside the client, against recorded lines: each is one process, from the pristine state. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { lab } from '../../unit/virt/machine.ts';

interface Recorded { cmd: string; stdout: string; stderr: string; exit: number }
const lines = readFileSync(new URL('virsh.jsonl', import.meta.url), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Recorded);
const words = (line: string): string[] => [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3]!);
const normal = (text: string): string => text.replace(/Time: [\d.]+ ms/, 'Time: N ms');

it('prints what virsh printed', () => {
  const machine = lab({ '/bin/sh': { type: 'dir' } }, 'vm');
  const exact: string[] = [];
  const differ: unknown[] = [];
  for (const line of lines) {
    if (/[|;&$>]/.test(line.cmd.replace(/'[^']*'/g, ''))) continue;
    const { stdout, stderr, status } = machine.run('/usr/bin/virsh', ...words(line.cmd).slice(1));
    const mine = { stdout, stderr, exit: status >> 8 };
    if (mine.exit === line.exit && normal(stdout) === normal(line.stdout) && stderr === line.stderr) exact.push(line.cmd);
    else differ.push({ cmd: line.cmd, mine, theirs: { stdout: line.stdout, stderr: line.stderr, exit: line.exit } });
  }
  console.log(`virsh test:///default: ${exact.length} exact, ${differ.length} differ`);
  if (process.env.SHOW_DIFFERENCES) console.log(JSON.stringify(differ, null, 1));
  expect(exact.length).toBeGreaterThanOrEqual(70);
});
