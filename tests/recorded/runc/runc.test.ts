/** The recorded runc session (1.1.15, Linux 6.12, a busybox root) replayed in order. What was edited between lines is put in place by own lines. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report, unexplained } from '../transcripts.ts';

/** The configuration in force from each line on, by what it runs (the n-th line with this command). */
const STATES: readonly (readonly [command: string, nth: number, state: string])[] = [
  ['runc run c1', 1, 'look'], ['runc run c1; echo rc=$?', 1, 'seven'], ['runc run c1; echo rc=$?', 2, 'nosuch'], ['runc run c1; echo rc=$?', 3, 'directory'],
  ['runc create c1 </dev/null >/dev/null 2>/tmp/e; echo rc=$?; cat /tmp/e; runc list; runc state c1', 1, 'sleep'],
  ['runc run m1; echo rc=$?; dmesg | grep -E "oom-kill|Killed process" | tail -2', 1, 'memory-in-shell'], ['runc run m1; echo rc=$?', 1, 'memory'], ['runc run p1; echo rc=$?', 1, 'pids'],
  ['runc run m2; echo rc=$?', 1, 'tiny'], ['runc run ro; echo rc=$?', 1, 'read-only'], ['runc run q; echo rc=$?', 1, 'quota'],
];

function withStates(lines: readonly Recorded[]): Recorded[] {
  const seen = new Map<string, number>();
  return lines.flatMap((line) => {
    const command = line.cmd.replace('cd /oci; ', '');
    const nth = (seen.get(command) ?? 0) + 1;
    seen.set(command, nth);
    const state = STATES.find(([c, n]) => c === command && n === nth)?.[2];
    return state ? [{ ...line, tool: 'setup', cmd: `cp /oci/states/${state}.json /oci/config.json`, stdout: '', stderr: '', exit: 0 }, line] : [line];
  });
}

function normal(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME').replace(/\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b/g, 'DATE').replace(/\b402653\d{4}\b/g, 'NS')
    .replace(/"pid": ?[1-9]\d*/g, '"pid":N').replace(/^(c1 +)[1-9]\d* +/gm, '$1N ').replace(/^root +\d+ +\d+ +\d+ \d\d:\d\d/gm, 'root N').replace(/^\[ *\d+\.\d+\]/gm, '[T]')
    .replace(/pid=\d+/g, 'pid=N').replace(/process \d+/g, 'process N').replace(/(total-vm|anon-rss|file-rss|shmem-rss|pgtables):\d+kB/g, '$1:KIB')
    .replace(/TIME +root/g, 'TIME root').replace(/CREATED +OWNER/g, 'CREATED OWNER').replace(/^UID +PID +PPID/gm, 'UID PID PPID').replace(/^\{"type":"stats".*$/gm, (line) => line.replace(/("\w+":)\d+/g, '$1N')).replace(/^( +)\d+( 0 +(\{?ps\}?|sleep))/gm, '$1N$2');
}

/** Commands that differ, and why. One that differs no more must go from here. */
const MISSES: readonly (readonly [string, string])[] = [
  ['cd /oci; runc run c1\n', "busybox's ash runs its own applets without execve, so that ps shows its shell's words; cgroup2's options are not those of the first mount in a container"],
];

test('runc transcript', () => {
  const recorded = readTranscript(new URL('runc.jsonl', import.meta.url));
  const lines = withStates(recorded);
  const result = replayTranscript({ scenario: 'recorded/runc', lines, normal });
  const own = lines.length - recorded.length;
  report('runc', { ...result, exact: result.exact - own });
  expect(unexplained(result, MISSES)).toEqual([]);
});
