/**
 * The recorded session of the tools that ask what a machine is. Its host half ran under KVM inside a container on an AMD EPYC and
 * its guest half on another kernel; the lab's host is physical, so lines that name those machines cannot hold.
 */
import { expect, it } from 'vitest';
import { readTranscript, replayTranscript, report } from '../transcripts.ts';

const lines = readTranscript(new URL('probe.jsonl', import.meta.url));
const normal = (text: string): string => text.replace(/(failed to set pid|^pid) \d+/g, '$1 N').replace(/^(crw\S+ 1 root kvm +10, 232) .* (\/dev\/kvm)$/gm, '$1 $2');

it('prints what the probes printed', () => {
  const result = replayTranscript({ scenario: 'recorded/probe', lines, normal });
  report('probe', result);
  expect(result.differ.every((one) => one.mine.exit !== null)).toBe(true);
  expect(result.exact).toBeGreaterThanOrEqual(19);
});
