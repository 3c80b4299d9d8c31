/** The recorded session of virsh through the lab: its scenario, its commands at the shell, libvirtd, QEMU and KVM behind them. */
import { expect, it } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report } from '../transcripts.ts';

const all = readTranscript(new URL('virsh-qemu.jsonl', import.meta.url));

/** Ids of runs, processor time, the host's figures, ids of monitor messages, times in logs. */
const normal = (text: string): string =>
  text
    .replace(/CPU time: +\d+\.\d+s/g, 'CPU time').replace(/(CPU frequency: +)\d+/, '$1N').replace(/(Memory size: +)\d+/, '$1N').replace(/((?:total|free|buffers|cached) *: +)\d+/g, '$1N')
    .replace(/((?:user|system|idle|iowait): +)\d+/g, '$1N').replace(/\b\d+(?= +tiny)/g, 'ID').replace(/Id: +\d+/g, 'Id: N').replace(/^\d+\n/, 'N\n').replace(/id='\d+'|id="\d+"/g, 'id=N')
    .replace(/^(-+)$/gm, '---').replace(/ Id +/g, ' Id  ').replace(/ (-|ID) +tiny/g, ' $1 tiny').replace(/libvirt-\d+/g, 'libvirt-N').replace(/thread[-_]id"?[:=] ?\d+/g, 'thread N')
    .replace(/domain-\d+-/g, 'domain-N-').replace(/^\d{4}-\d\d-\d\d[ T][\d:.]+(?:Z|\+0000)/gm, 'TIME').replace(/from pid \d+ \([^)]*\)/g, 'from pid N').replace(/Used memory: +\d+/, 'Used memory: N');

/** The recording lies in a shell at /root; these go on for longer than the guest of this lab has something to say. */
function pass(line: Recorded): string | null {
  if (line.scenario === 'events') return 'virsh event';
  return null;
}

it('prints what virsh printed', () => {
  const result = replayTranscript({ scenario: 'recorded/virsh-qemu', lines: all, normal, pass, seconds: 100 });
  report('virsh in the lab', result);
  expect(result.exact).toBeGreaterThanOrEqual(120);
}, 120_000);
