/** docker 26.1 as recorded, replayed in order on one machine: each command's output, errors and status. */
import { expect, it } from 'vitest';
import { readTranscript, replayTranscript, report } from '../transcripts.ts';
import { normal } from './normal.ts';

/** At least so many commands give exactly what was recorded. */
const HELD = 170;

it('the docker recording', () => {
  const lines = readTranscript(new URL('./docker.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/docker', lines, normal, seconds: 100 });
  report('docker', result);
  expect(result.exact).toBeGreaterThanOrEqual(HELD);
}, 120_000);
