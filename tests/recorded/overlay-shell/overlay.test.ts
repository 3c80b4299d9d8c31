/** The recorded overlayfs session (Linux 6.12) replayed in order on the plain machine. */
import { expect, test } from 'vitest';
import { readTranscript, type Recorded, replayTranscript, report, unexplained } from '../transcripts.ts';

/** Dates, mount and inode numbers, devices, and the bytes of uuid and origin: what no two machines share. */
function normal(text: string): string {
  return text
    .replaceAll('/bin/bash: line', 'bash: line')
    .replace(/\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b/g, 'DATE')
    .replace(/^\d+ \d+ \d+:\d+ /gm, 'ID ID DEV ').replace(/ shared:\d+/g, '')
    .replace(/(trusted\.overlay\.(?:uuid|origin))=.*$/gm, '$1=VALUE')
    .replace(/\bdev=\d+ ino=\d+/g, 'dev=N ino=N').replace(/^\d+ (l1|merged|upper)\//gm, 'INO $1/').replace(/^(upper\/\S+) \d+ (\d)$/gm, '$1 INO $2')
    .replace(/^Filesystem +Type +.*$/gm, 'HEAD').replace(/^(overlay +overlay) +\d+ +\d+ +\d+ +\d+%/gm, '$1 SIZES');
}

/** What does not hold, each with its reason: a line that comes to hold must leave this table. */
const MISSES: readonly (readonly [string, string])[] = [];

test('overlayfs transcript', () => {
  const lines = readTranscript(new URL('overlayfs.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/overlayfs', lines, normal: (text: string, _: Recorded) => normal(text) });
  report('overlayfs', result);
  expect(unexplained(result, MISSES)).toEqual([]);
});

test('mount options and what they refuse, on ext4', () => {
  const lines = readTranscript(new URL('options.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/overlayfs', lines, normal: (text: string, _: Recorded) => normal(text).replaceAll('/root/fresh.sh: ', '') });
  report('overlay options', result);
  expect(result.differ).toEqual([]);
});

test('layers by hand: each option alone and with others, what the log says of them, and files in the merged tree', () => {
  const lines = readTranscript(new URL('hands.jsonl', import.meta.url));
  const more = (text: string): string => normal(text).replace(/, ino=\d+, err/, ', ino=N, err').replaceAll('drwxrwxrwt 8 ..', 'drwxr-xr-x 8 ..').replace(/^2 [08] 600$/gm, '2 BLOCKS 600').replace(/^total \d+$/gm, 'total').replace(/root (40|4096) DATE work/, 'root SIZE DATE work');
  const result = replayTranscript({ scenario: 'recorded/overlayfs', lines, normal: (text: string, _: Recorded) => more(text) });
  report('overlay, by hand', result);
  expect(unexplained(result, [['cat /sys/module/overlay/parameters/', 'modinfo knows no modules here']])).toEqual([]);
});

test('a course of an overlay: copy-up, whiteouts, options, xattrs, on a machine with systemd', () => {
  const lines = readTranscript(new URL('by-hand.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/machine', lines, normal: (text: string, _: Recorded) => normal(text), detached: true });
  report('overlay, a course', result);
  expect(unexplained(result, [
    ["find upper | sort; ls -l upper/dir", 'the month in which it was recorded'],
    ['metacopy=on merged; chmod 600', 'on that disk a long attribute takes a block'],
    ['stat -c %d merged merged/t', 'files of an upper directory on another file system have the numbers of the overlay'],
  ])).toEqual([]);
});
