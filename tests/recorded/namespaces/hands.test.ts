/** Namespaces, /proc, mounts and loop devices by hand, recorded on a Debian 13 machine (util-linux 2.41, Linux 6.12) in a UTF-8 locale: each scenario on a fresh one. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report } from '../transcripts.ts';

/** Dates, namespace numbers, pids of jobs, peer groups, inode numbers of files; the disk, which was one without partitions. */
const normal = (text: string): string => text
  .replaceAll('/dev/vda1', '/dev/vda').replace(/\b402653\d{4}\b/g, 'NS').replace(/(shared|master):\d+/g, '$1:N').replace(/(line \d+:) +\d+ /g, '$1 PID ')
  .replace(/\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b/g, 'DATE');

const lines = readTranscript(new URL('mounts-hands.jsonl', import.meta.url));

test.each([...new Set(lines.map((line) => line.scenario))])('by hand: %s', (scenario) => {
  const result = replayTranscript({ scenario: 'recorded/machine', lines: lines.filter((line) => line.scenario === scenario), normal: (text: string, _: Recorded) => normal(text), detached: true });
  report(`by hand: ${scenario}`, result);
  expect(result.differ).toEqual([]);
});
