/** runc 1.1.15 on a Debian 13 machine: faults of config.json, namespaces, mounts, devices, seccomp, hooks. Each line makes its config.json by jq. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report, unexplained } from '../transcripts.ts';

function normal(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME').replace(/(nsexec(?:-\d)?)\[\d+\]/g, '$1[PID]');
}

/** What does not hold, each with its reason: a line that comes to hold must leave this table. */
const MISSES: readonly (readonly [string, string])[] = [
  ['RLIMIT_NOFILE",soft:5,hard:10', 'init of the lab has fewer descriptors open, so that five are enough'],
  ["S='.linux.seccomp='", "busybox's shell says kill: before what kill could not do"],
  ['destination:"rel"', 'the busybox root of that machine had more directories'],
];

test('runc: faults and hooks', () => {
  const lines = readTranscript(new URL('faults.jsonl', import.meta.url)).map((one) => ({ ...one, tool: 'runc' }));
  const result = replayTranscript({ scenario: 'recorded/machine', lines, normal: (text: string, _: Recorded) => normal(text), detached: true });
  report('runc, faults', result);
  expect(unexplained(result, MISSES)).toEqual([]);
});
