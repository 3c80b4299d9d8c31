/** Lines of docker 26.1 on a Debian 13 that nobody had looked at before they were recorded: templates, images, builds, flags. Each part begins with an empty daemon and the image built from its files. */
import { expect, it } from 'vitest';
import { type Recorded, readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';
import { containersNormal } from './normal.ts';

const IMAGE = `docker build -q -t busybox:latest -t busybox:1.36 -f - /root/bb <<< $'FROM scratch\\nCOPY . /\\nCMD ["sh"]\\n'`;

const APPLETS = "that machine's busybox has twice as many applets";

type Misses = readonly (readonly [string, string])[];

const PARTS: readonly (readonly [string, Misses])[] = [
  ['images', [
    ['docker export keep | tar tf - | head', APPLETS],
    ['docker export -o /root/e.tar keep', APPLETS],
    ['docker save busybox | tar tf -', "tar takes an empty file for an archive without anything in it: that machine's does not"],
    ['docker image prune -a -f', 'images go in the order of a Go map'],
  ]],
  ['build', [
    ['docker run --name s2', 'siblings are told in the order of a Go map'],
    ['docker run --name s3', 'rm goes through a directory as the file system lists it'],
  ]],
  ['run', [
    ['docker run --rm -v / busybox', 'a volume over the root: what runc finds of /proc afterwards'],
    ['--pids-limit -5', "systemd's own limit of a scope's tasks stands there when runc gives none"],
  ]],
  ['words', []],
  ['shell', []],
  ['formats', [
    ['LastTagTime.IsZero', "methods of Go's types are not modelled"],
    ["'table {{.Foo}}'", 'the column counts the word table too'],
    ["docker system df -v --format", 'a format of the long table'],
    ['docker context rm default', 'contexts cannot be made, so none is removed'],
  ]],
];

const texts = (text: string, line: Recorded): string =>
  containersNormal(text, line).replace(/\b3\.(?:59\d?|6)MB\b/g, 'SIZE').replace(/^(#\d+ |)(?:\d+\.\d+)( |s)/gm, '$1T$2').replace(/ref [\w-]+::/g, 'ref ID::');

it.each(PARTS)('docker lines: %s', (name, misses) => {
  const lines: Recorded[] = readTranscript(new URL(`./lines-${name}.jsonl`, import.meta.url));
  lines[0]!.cmd = `{ ${IMAGE}; } > /dev/null 2>&1; ${lines[0]!.cmd}`;
  const result = replayTranscript({ scenario: 'recorded/docker', lines, normal: texts });
  report(`docker lines: ${name}`, result);
  expect(unexplained(result, misses)).toEqual([]);
});
