/** The recorded namespaces session (util-linux 2.41 on Linux 6.12) replayed in order on the plain machine. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report, unexplained } from '../transcripts.ts';

/** Dates, process ids, namespace and mount numbers, devices: what no two machines share. */
function normal(text: string): string {
  return text
    .replaceAll('/bin/bash: line', 'bash: line')
    .replace(/\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b/g, 'DATE')
    .replace(/\b402653\d{4}\b/g, 'NS')
    .replace(/(line \d+:) +\d+ (Killed|Terminated) +/g, '$1 PID $2 ')
    .replace(/\/proc\/\d+\//g, '/proc/PID/')
    .replace(/^\d+ \d+ \d+:\d+ /gm, 'ID ID DEV ')
    .replace(/(shared|master):\d+/g, '$1:N')
    .replace(/^(\/proc\/sys\/user\/max_\w+:)\d+$/gm, '$1N')
    .replace(/^(Vm\w+|Rss\w+|FDSize):.*$/gm, '$1: N')
    // What its init, a shell script, does about signals, without groups; how often anybody was switched.
    .replace(/^(Groups|SigQ|ShdPnd|SigBlk|SigIgn|SigCgt|voluntary_ctxt_switches|nonvoluntary_ctxt_switches):.*$/gm, '$1: N').replace(/^Name:\t(oracle-init|init)$/gm, 'Name:\tINIT')
    // Its init, its kernel threads, how many processes it had; pid_max, hence the width of pids; the terminal of the replay.
    .replace(/\/sbin\/init|\/bin\/bash(?: |\\x20)\/oracle-init/g, 'INIT')
    .replace(/^.* kdevtmpfs.*\n/gm, '')
    .replace(/ +/g, ' ').replace(/^ /gm, '')
    .replace(/^( *NS \w+ (?:\S*\/ns\/\w+)?) *\d+ +\d+/gm, '$1 N PID').replace(/"nprocs": \d+/, '"nprocs": N')
    .replace(/\btty1\b/g, '?').replace(/ [RS]\+? /g, ' S ')
    .replace(/^root \d+ [\d.]+ [\d.]+ \d+ \d+ \? (\w+) \d\d:\d\d/gm, 'root PID ? $1').replace(/ \d\d:\d\d (\? \d\d:\d\d:\d\d)/g, ' TIME $1')
    .replace(/^NSpid:\t\d\d+/gm, 'NSpid:\tPID')
    .replace(/(\/proc\/self -> )\d+\n\d+/, '$1PID');
}

/** What does not hold, each with its reason: a line that comes to hold must leave this table. */
const MISSES: readonly (readonly [string, string])[] = [
  ['unshare -p ps\n', 'without a terminal ps shows all: the kernel threads of that machine, its init and its recorder'],
  ['unshare -p -f ps aux | wc -l', 'how many those are'],
  ['head -5 /proc/self/mountinfo', 'that machine began in an initramfs: its mounts stand in another order with other options'],
];

/** On that machine somebody slept all the time. */
const SLEEPER: Recorded = { tool: 'setup', scenario: '', cmd: '(sleep 100000 &)', stdout: '', stderr: '', exit: 0 };

test('namespaces transcript', () => {
  const lines = [SLEEPER, ...readTranscript(new URL('namespaces.jsonl', import.meta.url))];
  const result = replayTranscript({ scenario: 'recorded/namespaces', lines, normal: (text: string, _: Recorded) => normal(text) });
  report('namespaces', { ...result, exact: result.exact - 1 });
  expect(unexplained(result, MISSES)).toEqual([]);
});

/** mount of util-linux 2.38 called mount(2), which does not say what the file system has against it. */
const older = (text: string): string => text.replace(/fsconfig\(\) failed: tmpfs: Unknown parameter '\w+'\./, 'wrong fs type, bad option, bad superblock on t, missing codepage or helper program, or other error.');

/** Debian 12's bash, coreutils and util-linux 2.38 on Linux 6.18, where the others are of Debian 13. */
test('lines that each begin in namespaces of their own', () => {
  const lines = readTranscript(new URL('fresh.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/namespaces', lines, normal: (text: string, _: Recorded) => normal(older(text)) });
  report('namespaces, fresh', result);
  expect(result.differ).toEqual([]);
  expect(result.exact).toBe(lines.length);
});
