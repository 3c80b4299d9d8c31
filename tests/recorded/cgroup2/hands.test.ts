/** Interface files of control groups by hand, with two processors and under systemd: odd values, threaded domains, partitions, names, kills for want of memory, delegation, units. Recorded on 6.12. */
import { expect, it } from 'vitest';
import { readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';
import { normal } from './normal.ts';

it.each(['hands-a', 'hands-b', 'hands-c', 'hands-d', 'hands-e'])('%s', (name) => {
  const result = replayTranscript({ scenario: 'recorded/docker', lines: readTranscript(new URL(`${name}.jsonl`, import.meta.url)), normal: (text: string) => normal(text) });
  report(name, result);
  expect(unexplained(result, [])).toEqual([]);
});
