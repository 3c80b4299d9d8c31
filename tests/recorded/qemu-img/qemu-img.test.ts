/** The recorded session of qemu-img through the lab: real images on the modelled disk. */
import { expect, it } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report } from '../transcripts.ts';

const all = readTranscript(new URL('qemu-img.jsonl', import.meta.url));

const normal = (text: string): string =>
  text
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE').replace(/"date-n?sec": \d+/g, '"date": N').replace(/ops; [\d.]+ sec \([^)]*\)/g, 'ops')
    .replace(/\b(cid|uuid|iters): \S+/g, '$1: N');

/** What was done between the lines of the recording and is not in it. */
const BETWEEN: Readonly<Record<string, string>> = {
  'qemu-img create -f qcow2 a.qcow2 64M': 'cd /tmp',
  'qemu-img check a.qcow2': "qemu-io -c 'write -P 0xab 0 1M' -c 'write -P 1 32M 64k' a.qcow2; qemu-io -c 'write -P 2 0 64k' ov.qcow2",
  'qemu-img convert -f qcow2 -O raw a.qcow2 conv.raw': 'qemu-img resize --shrink a.qcow2 32M',
};
const done = new Set<string>();
const lines = all.map((line): Recorded => {
  const before = done.has(line.cmd) ? undefined : BETWEEN[line.cmd];
  done.add(line.cmd);
  return before === undefined ? { ...line, cmd: `cd /tmp; ${line.cmd}` } : { ...line, cmd: `cd /tmp; (${before}) > /dev/null 2>&1; ${line.cmd}` };
});

it('prints what qemu-img printed', () => {
  const result = replayTranscript({ scenario: 'recorded/qemu-img', lines, normal });
  report('qemu-img', result);
  expect(result.exact).toBeGreaterThanOrEqual(106);
});
