/** What a machine says of itself, against a recorded host and guest: lscpu, virt-host-validate, systemd-detect-virt and the files they read. */
import { expect, it } from 'vitest';
import { readTranscript, replayTranscript, report } from '../transcripts.ts';

/** Speeds, dates and versions of the very machine that was recorded. */
const normal = (text: string): string =>
  text
    .replace(/(MHz|BogoMIPS)(\s*):?\s+[\d.]+/gi, '$1 N').replace(/Linux \S+ \S+ .*/g, 'UNAME').replace(/[A-Z][a-z]{2} +\d+ \d\d:\d\d/g, 'DATE').replace(/[ \t]+/g, ' ');

it('says what the recorded machine said', () => {
  const result = replayTranscript({ scenario: 'recorded/probe', lines: readTranscript(new URL('probe.jsonl', import.meta.url)), normal, seconds: 60 });
  report('probe', result);
  expect(result.exact).toBeGreaterThanOrEqual(21);
}, 90_000);
