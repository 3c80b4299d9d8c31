/**
 * The same recordings in order through the terminal of the lab: the scenario of their name, its shell, its kubectl behind the
 * real door. What another version prints otherwise is data (versions.ts); every line that differs even so is listed here with
 * its reason. One that differs no more must go from the list.
 */
import { describe, expect, it } from 'vitest';
import { readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';
import { between } from './between.ts';
import { normal } from './replay.ts';
import { type Difference, DIFFERENCES, modern } from './versions.ts';

const TEXT = 'version: the whole text was rewritten since kubectl 1.20 (help by groups, explain by OpenAPI v3 with our own words for fields)';
const GROUPS = 'version: a 1.20 server serves other groups and versions; admission registration, aggregation, certificates and flow control are not modelled';
const MACHINE = 'machine: pods that were long in going, which of two nodes each got, and what lines that were left out had done';

const MISSES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'kubectl-1.32-offline': [],
  'kubectl-1.32-live': ['get events\n', 'get pods -A\n', 'get pod -o custom-columns'].map((cmd) => [cmd, MACHINE] as const),
  'kubectl-1.20-live': [
    ['version --short', 'version: 1.28 has no --short'], ...['explain pod\n', 'explain pod.spec.containers.resources', 'explain deployment.spec.strategy', 'kubectl\n'].map((cmd) => [cmd, TEXT] as const),
    ...['api-versions', 'api-resources\n', 'api-resources --namespaced'].map((cmd) => [cmd, GROUPS] as const), ...['kubectl get pods\n', 'get events | head'].map((cmd) => [cmd, MACHINE] as const),
  ],
};

describe('kubectl as recorded, through the terminal', () => {
  it.each(Object.keys(MISSES))('%s', (name) => {
    const used = new Set<Difference>();
    const lines = readTranscript(new URL(`${name}.jsonl`, import.meta.url)).map((line) => modern(name, line, used));
    const result = replayTranscript({ scenario: `recorded/${name}`, lines, normal: (text) => normal(text), before: (_line, i, world) => between(name, i, lines, world) });
    report(name, result);
    expect(DIFFERENCES.filter((d) => d.files.includes(name) && !used.has(d)).map((d) => d.why)).toEqual([]);
    expect(unexplained(result, MISSES[name]!)).toEqual([]);
    expect(result.exact / lines.length).toBeGreaterThan(0.93);
  });
});
