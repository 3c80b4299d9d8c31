/**
 * The same recordings in order through the terminal of the lab: the scenario of their name, its shell, its kubectl behind the
 * real door. `least` may only grow; what differs is listed with SHOW_DIFFERENCES=1: kinds that do not exist here (Ingress,
 * NetworkPolicy, volumes), wording that changed between 1.20 and 1.32, managedFields and service account tokens, what the
 * recording's driver did between the lines, commands said to be not modelled.
 */
import { describe, expect, it } from 'vitest';
import { readTranscript, replayTranscript, report } from '../transcripts.ts';
import { normal } from './replay.ts';

const files: [string, number][] = [['kubectl-1.32-live', 29], ['kubectl-1.32-offline', 57], ['kubectl-1.20-live', 84]];

describe('kubectl as recorded, through the terminal', () => {
  it.each(files)('%s: at least %d lines exact', (name, least) => {
    const lines = readTranscript(new URL(`${name}.jsonl`, import.meta.url));
    const result = replayTranscript({ scenario: `recorded/${name}`, lines, normal: (text) => normal(text), pause: 3, seconds: 100 });
    report(name, result);
    expect(result.exact).toBeGreaterThanOrEqual(least);
  }, 120_000);
});
