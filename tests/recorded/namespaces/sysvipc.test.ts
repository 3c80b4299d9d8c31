/** System V objects on a Debian 13 machine (util-linux 2.41, Linux 6.12): ipcs, ipcmk, ipcrm, ipc namespaces, /proc/sysvipc and the kernel's limits. */
import { expect, test } from 'vitest';
import { readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';

/** Keys are random, pids and days are that machine's. */
const normal = (text: string): string => text.replace(/\b0x[0-9a-f]{8}\b/g, '0xKEY').replace(/cpid=\d+/g, 'cpid=N').replace(/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?= )/g, 'DAY');

/** What does not hold, each with its reason: a line that comes to hold must leave this table. */
const MISSES: readonly (readonly [string, string])[] = [
  ['auto_msgmni', 'no auto_msgmni, no limits of POSIX queues'],
  ['lsipc', 'no lsipc, no help of ipcs, ipcmk and ipcrm'],
  ['/dev/mqueue/q1', 'a POSIX queue of the lab tells nothing of itself'],
];

test('System V objects', () => {
  const lines = readTranscript(new URL('sysvipc.jsonl', import.meta.url)).map((one) => ({ ...one, tool: 'ipcs' }));
  const result = replayTranscript({ scenario: 'recorded/machine', lines, normal, detached: true });
  report('System V objects', result);
  expect(unexplained(result, MISSES)).toEqual([]);
});
