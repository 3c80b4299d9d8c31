/** runc recorded on a Debian 13 machine (1.1.15, Linux 6.12), its lines replayed in order with no terminal. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report, unexplained } from '../transcripts.ts';

/** Times, namespace numbers, pids, peer groups; the disk, which was one without partitions. */
function normal(text: string): string {
  return text
    .replaceAll('/bin/bash: line', 'bash: line').replaceAll('/dev/vda1', '/dev/vda').replaceAll(',errors=remount-ro', '').replace(/\b402653\d{4}\b/g, 'NS')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME').replace(/(shared|master):\d+/g, '$1:N').replace(/"pid": ?[1-9]\d*/g, '"pid":N');
}

/** What does not hold, each with its reason: a line that comes to hold must leave this table. */
const MISSES: readonly (readonly [string, string])[] = [
  ['runc spec -b /nonexistent', 'the help of spec is shorter'],
  ['runc spec --bogus', 'the help of spec is shorter'],
];

test('runc on a machine with systemd', () => {
  const lines = readTranscript(new URL('machine.jsonl', import.meta.url));
  const setups = lines.filter((line) => line.tool === 'setup').length;
  const result = replayTranscript({ scenario: 'recorded/machine', lines, normal: (text: string, _: Recorded) => normal(text), detached: true, pause: (line) => (line.tool === 'setup' ? 1 : 0) });
  report('runc, machine', { ...result, exact: result.exact - setups });
  expect(unexplained(result, MISSES)).toEqual([]);
});
