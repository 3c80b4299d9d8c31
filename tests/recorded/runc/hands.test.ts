/** runc by hand, config.json changed with jq and sed: recorded on a Debian 13 machine (1.1.15, Linux 6.12), replayed in order with no terminal. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report, unexplained } from '../transcripts.ts';

const normal = (text: string): string => text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME').replaceAll('/dev/vda1', '/dev/vda');

/** What does not hold, each with its reason: a line that comes to hold must leave this table. */
const MISSES: readonly (readonly [string, string])[] = [
  ['echo hello from', 'the tree of that busybox has more directories'],
  ['runc exec sl ps -o pid,args', 'the pids that the threads of runc init take'],
  ['--cpus 0.5', 'a memory.max below what is used ended that container'],
  ['["./ls"]', 'the first applet of that busybox is ['],
];

test('runc by hand', () => {
  const lines = readTranscript(new URL('hands.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/machine', lines, normal: (text: string, _: Recorded) => normal(text), detached: true });
  report('runc, by hand', result);
  expect(unexplained(result, MISSES)).toEqual([]);
});
