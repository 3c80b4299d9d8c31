/** The recorded cgroup v2 session (Linux 6.12) replayed in order on the plain machine. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report } from '../transcripts.ts';

/** Dates, process ids, mount numbers, measured amounts and rates: what no two runs share. */
function normal(text: string): string {
  return text
    .replaceAll('/bin/bash: line', 'bash: line')
    .replace(/\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b/g, 'DATE')
    .replace(/(line \d+:) +\d+ (Killed|Terminated) +/g, '$1 PID $2 ')
    .replace(/\/proc\/\d+\//g, '/proc/PID/')
    .replace(/^\d+ \d+ \d+:\d+ /gm, 'ID ID DEV ')
    .replace(/^(\S*max) [1-9]\d*$/gm, '$1 N').replace(/copied, .*$/gm, 'copied').replace(/^(real|user|sys)\t.*$/gm, '$1');
}

/** How many are the same; only ever raised. */
const REACHED = 220;

test('cgroup2 transcript', () => {
  const lines = readTranscript(new URL('cgroup2.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/cgroup2', lines, normal: (text: string, _: Recorded) => normal(text), seconds: 60 });
  report('cgroup2', result);
  expect(result.exact).toBeGreaterThanOrEqual(REACHED);
}, 90_000);
