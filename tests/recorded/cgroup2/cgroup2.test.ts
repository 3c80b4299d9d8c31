/** The recorded cgroup v2 session (Linux 6.12) replayed in order on the plain machine. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report, unexplained } from '../transcripts.ts';

/**
 * What a report of the OOM killer says of one run and one processor: times, processes, amounts, and the way through the
 * kernel's own code with its registers, which a modelled processor does not have.
 */
function oomReport(text: string): string {
  return text
    .replace(/^\[ *\d+\.\d+\] Hardware name:[^\n]*\n(?:\[ *\d+\.\d+\] Call Trace:\n[\s\S]*?<\/TASK>\n)?/gm, '').replace(/^\[ *\d+\.\d+\]  oom_kill_process.*\n/gm, '')
    .replace(/^\[ *\d+\.\d+\] CPU:.*\n/gm, 'CPU\n').replace(/^\[ *\d+\.\d+\]/gm, '[T]').replace(/pid=\d+/g, 'pid=N').replace(/process \d+/g, 'process N')
    .replace(/(total-vm|anon-rss|file-rss|pgtables):\d+kB/g, '$1:KIB').replace(/failcnt \d+/g, 'failcnt N').replace(/memory: usage \d+kB/g, 'memory: usage KIB')
    .replace(/^\[T\] ([a-z_]+) \d+$/gm, '[T] $1 N').replace(/^\[T\] \[ *\d+\] .* (-?\d+) (\S+)$/gm, '[T] [PID] $1 $2');
}

/** Charges are right within 256 KiB a process (the recording's own tolerance): in whole MiB. */
const rounded = (text: string): string => text.replace(/^((?:\S*memory\.(?:current|peak|swap\.current|swap\.peak):)?)(\d{4,9})$/gm, (line, name: string, n: string) => (Number(n) % 4096 === 0 ? name + (Number(n) < 2 ** 19 ? '0' : `${Math.round(Number(n) / 2 ** 20)}M`) : line));

/** Dates, process ids, mount numbers, measured amounts and rates: what no two runs share. */
function normal(text: string): string {
  return rounded(oomReport(text))
    .replaceAll('/bin/bash: line', 'bash: line')
    .replace(/\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b/g, 'DATE')
    .replace(/(line \d+:) +\d+ (Killed|Terminated) +/g, '$1 PID $2 ')
    .replace(/\/proc\/\d+\//g, '/proc/PID/')
    .replace(/^\d+ \d+ \d+:\d+ /gm, 'ID ID DEV ')
    .replace(/^(\S*(?:max|oom)) [1-9]\d*$/gm, '$1 N').replace(/copied, .*$/gm, 'copied').replace(/^(real|user|sys)\t.*$/gm, '$1');
}

/** What does not hold, each with its reason: a line that comes to hold must leave this table. */
const MISSES: readonly (readonly [string, string])[] = [
  ['for f in cgroup.* cpu.stat memory.stat io.stat', 'what that machine had run since it booted, and its two other disks'],
  ['dmesg -C; cat m1/memory.stat', 'kernel memory that a group itself costs (slab, percpu) is not modelled'],
  ['exec hog 2 20) & sleep .5; hog 50', 'how a shell prints a command in parentheses again; a subshell stays a process of its own'],
  ['of=/var/tmp/f bs=1M count=100', 'active and inactive lists, slab, and how many pages reclaim looked at'],
  ['of=/dev/shm/f bs=1M count=50', 'a write that is killed half way leaves what it wrote; here a write of 1 MiB is charged as a whole'],
  ['cat cpu.pressure memory.pressure io.pressure', 'how slow that machine was'],
  ['mount -t cgroup -o memory none', 'cgroup v1'],
  ['cgcreate -g memory,cpu:tt', 'libcgroup'],
  ['wbps=1048576" > io1/io.max', 'the first block of a read is the program itself, which that machine had cached'],
  ['mkswap /var/tmp/sw', 'the peak of swap is 0.3 MiB lower'],
];

test('cgroup2 transcript', () => {
  const lines = readTranscript(new URL('cgroup2.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/cgroup2', lines, normal: (text: string, _: Recorded) => normal(text) });
  report('cgroup2', result);
  expect(unexplained(result, MISSES)).toEqual([]);
});
