/**
 * docker compose 2.26.1 on docker 26.1, recorded in parts: config and its forms, faulty files, the command line and its help, projects
 * brought up, changed, built and taken down.
 */
import { expect, it } from 'vitest';
import { readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';
import { composeNormal } from './normal.ts';

type Misses = readonly (readonly [string, string])[];

const PARTS: readonly (readonly [string, Misses])[] = [
  ['config', []],
  ['faults', []],
  ['words', []],
];

it.each(PARTS)('docker compose: %s', (name, misses) => {
  const lines = readTranscript(new URL(`./${name}.jsonl`, import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/machine', lines, normal: composeNormal, detached: true });
  report(`docker compose: ${name}`, result);
  expect(unexplained(result, misses)).toEqual([]);
});
