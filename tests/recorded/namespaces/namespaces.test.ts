/** The recorded namespaces session (util-linux 2.41 on Linux 6.12) replayed in order on the plain machine. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report } from '../transcripts.ts';

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

/**
 * How many are the same; only ever raised, but once: `pgrep -c sleep` counted a sleep that was there before on the machine of the recording
 * (both times that it was asked), and --kill-child agreed with it as long as its child here survived its parent.
 */
const REACHED = 56;

test('namespaces transcript', () => {
  const lines = readTranscript(new URL('namespaces.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/namespaces', lines, normal: (text: string, _: Recorded) => normal(text), seconds: 60 });
  report('namespaces', result);
  expect(result.exact).toBeGreaterThanOrEqual(REACHED);
}, 90_000);
