/** The recorded session of virsh through the lab: its scenario, its commands at the shell, libvirtd, QEMU and KVM behind them. */
import { expect, it } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report } from '../transcripts.ts';

const all = readTranscript(new URL('virsh-qemu.jsonl', import.meta.url));

/** Ids of runs, processor time, the host's figures, ids of monitor messages, times in logs. */
const normal = (text: string): string =>
  text
    .replace(/CPU time: +\d+\.\d+s/g, 'CPU time').replace(/(CPU frequency: +)\d+/, '$1N').replace(/(Memory size: +)\d+/, '$1N').replace(/((?:total|free|buffers|cached) *: +)\d+/g, '$1N')
    .replace(/((?:user|system|idle|iowait): +)\d+/g, '$1N').replace(/\b\d+(?= +tiny)/g, 'ID').replace(/Id: +\d+/g, 'Id: N').replace(/^(?:\d+|-)\n/, 'N\n').replace(/id='\d+'|id="\d+"/g, 'id=N')
    .replace(/^(-+)$/gm, '---').replace(/ Id +/g, ' Id  ').replace(/ (-|ID) +tiny/g, ' $1 tiny').replace(/libvirt-\d+/g, 'libvirt-N').replace(/thread[-_]id"?[:=] ?\d+/g, 'thread N')
    .replace(/domain-\d+-/g, 'domain-N-').replace(/^\d{4}-\d\d-\d\d[ T][\d:.]+(?:Z|\+0000)/gm, 'TIME').replace(/ from pid \d+ \([^)]*\)/g, '').replace(/Used memory: +\d+/, 'Used memory: N');

/** What was done between the parts of the recording and is not in it, before the first line of a part or the n-th. */
const BETWEEN: Readonly<Record<string, string>> = {
  'net_missing_at_start 0': 'virsh destroy tiny', 'shutdown 0': 'virsh start tiny; sleep 1', 'shutdown 2': 'sleep 3', 'shutdown 7': 'virsh start tiny; sleep 1', 'shutdown 13': 'sleep 3',
  'reboot 0': 'virsh start tiny; sleep 1', 'reboot 7': 'sleep 1', 'crash 1': 'virsh start tiny; sleep 1', 'crash 4': 'sleep 1',
};

const counted = new Map<string, number>();
const lines = all.map((line): Recorded => {
  const n = counted.get(line.scenario) ?? 0;
  counted.set(line.scenario, n + 1);
  const before = BETWEEN[`${line.scenario} ${n}`];
  return before ? { ...line, cmd: `(${before}) > /dev/null 2>&1; ${line.cmd}` } : line;
});


function pass(line: Recorded): string | null {
  if (line.scenario === 'events') return 'virsh event';
  return null;
}

it('prints what virsh printed', () => {
  const result = replayTranscript({ scenario: 'recorded/virsh-qemu', lines, normal, pass });
  report('virsh in the lab', result);
  expect(result.exact).toBeGreaterThanOrEqual(180);
});
