/** systemd-run, systemctl, systemd-cgls and some of /proc as recorded under systemd 257 on Debian 13. */
import { expect, it } from 'vitest';
import { normal } from '../cgroup2/normal.ts';
import { readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';

/** Where the present machine is quicker than the recorded one: [start of the command, why]. */
const MISSES: readonly (readonly [string, string])[] = [['systemd-run -q --unit=rr', 'restarts every 0.3 s reach the start limit within the two seconds; the recorded machine was too slow for that']];

it('the systemd recording', () => {
  const result = replayTranscript({ scenario: 'recorded/docker', lines: readTranscript(new URL('systemd.jsonl', import.meta.url)), normal: (text: string) => normal(text) });
  report('systemd', result);
  expect(unexplained(result, MISSES)).toEqual([]);
});
