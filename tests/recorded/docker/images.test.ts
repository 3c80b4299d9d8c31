/** docker 26.1 on images, builds, networks and registries: a second recording, of other lines than the first. */
import { expect, it } from 'vitest';
import { type Recorded, readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';
import { normal } from './normal.ts';

/** What the recording's driver did unrecorded: the image, the context of its builds. */
const SETUP = `truncate -s 804704 /root/bb/bin/burn; truncate -s 2024544 /root/bb/bin/busybox; truncate -s 762480 /root/bb/bin/hog
tar -C /root/bb -c . | docker import -c 'CMD ["sh"]' - busybox:latest
mkdir -p /tmp/b1/sub /tmp/b1/deep/x; cd /tmp/b1; echo one > one.txt; echo two > two.txt; echo f > sub/f; echo g > deep/x/g; tar -cf t.tar sub two.txt`;

const MISSES: readonly (readonly [string, string])[] = [
  ['D1 -t m1 .', 'the recording machine was slow: steps are told in pieces, a second time when they go on'],
  ['NOPE=1', 'steps that are taken from the cache are told in any order'],
  ['--no-cache -f D2', 'writing the image took long enough to be told twice'],
  ['-t m3 -f -', 'the shell and its -x share a pipe in pieces'],
  ['-t ob2 -', 'a FROM whose layers are known by another image is CACHED; a step told in pieces'],
  ['docker login', 'localhost is 127.0.0.1 alone here'],
  ['USER nosuch', 'a step told in pieces'],
];

/** Besides what the first recording leaves out: times and sizes of a slow machine, and a random name. */
const texts = (text: string, line: Recorded): string =>
  normal(text, line).replace(/^(#\d+) \d+\.\d+ /gm, '$1 T ').replace(/^\d+\.\d+ (?=\S)/gm, 'T ').replace(/docker-import-\d+/g, 'docker-import-N');

it('the docker recording of images', () => {
  const lines = readTranscript(new URL('./images.jsonl', import.meta.url));
  lines[0]!.cmd = `{ ${SETUP}; } > /dev/null 2>&1; ${lines[0]!.cmd}`;
  const result = replayTranscript({ scenario: 'recorded/docker', lines, normal: texts });
  report('docker images', result);
  expect(unexplained(result, MISSES)).toEqual([]);
});
