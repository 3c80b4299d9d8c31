/** systemd-run, systemctl, systemd-cgls and some of /proc as recorded under systemd 257 on Debian 13. */
import { expect, it } from 'vitest';
import { normal } from '../cgroup2/normal.ts';
import { readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';

it('the systemd recording', () => {
  const result = replayTranscript({ scenario: 'recorded/docker', lines: readTranscript(new URL('systemd.jsonl', import.meta.url)), normal: (text: string) => normal(text) });
  report('systemd', result);
  expect(unexplained(result, [])).toEqual([]);
});
