/** The recorded cgroup v2 session (Linux 6.12) replayed in order on the plain machine. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report } from '../transcripts.ts';

/** Dates, process ids, namespace and mount numbers, devices: what no two machines share. */
export function normal(text: string): string {
  return text
    .replaceAll('/bin/bash: line', 'bash: line')
    .replace(/\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b/g, 'DATE')
    .replace(/\b402653\d{4}\b/g, 'NS')
    .replace(/(line \d+:) +\d+ (Killed|Terminated) +/g, '$1 PID $2 ')
    .replace(/\/proc\/\d+\//g, '/proc/PID/')
    .replace(/^\d+ \d+ \d+:\d+ /gm, 'ID ID DEV ')
    .replace(/(shared|master):\d+/g, '$1:N')
    .replace(/^(\/proc\/sys\/user\/max_\w+:)\d+$/gm, '$1N')
    .replace(/^(Vm\w+|Rss\w+):.*$/gm, '$1: KIB');
}

/** How many are the same; only ever raised. */
const REACHED = 0;

test('cgroup2 transcript', () => {
  const lines = readTranscript(new URL('cgroup2.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/cgroup2', lines, normal: (text: string, _: Recorded) => normal(text), seconds: 60 });
  report('cgroup2', result);
  expect(result.exact).toBeGreaterThanOrEqual(REACHED);
}, 90_000);
