/**
 * Containers of docker 26.1 on a Debian 13, recorded in parts: flags of run, inspect and ps with their templates, exec, signals, update, logs,
 * events, help. Each part begins with an empty daemon and the image as that machine had it.
 */
import { expect, it } from 'vitest';
import { type Recorded, readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';
import { containersNormal } from './normal.ts';

/** That machine's image knew two more users and had three more directories than the lab's. */
const IMAGE = `printf 'root:x:0:0:root:/root:/bin/sh\\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\\nnobody:x:65534:65534:nobody:/home:/bin/false\\n' > /root/bb/etc/passwd
  printf 'root:x:0:\\ndaemon:x:1:\\nnobody:x:65534:\\n' > /root/bb/etc/group; mkdir -p /root/bb/home /root/bb/usr /root/bb/var;`;

const TMP = 'the recording machine had a tmpfs on /tmp';
const DD = "that machine's busybox was built without dd's third line";
const THROTTLE = 'the client of docker 26.1.5 as Debian builds it loses --device-read-bps and its like; here they arrive';

type Misses = readonly (readonly [string, string])[];

const PARTS: readonly (readonly [string, Misses])[] = [
  ['flags', [
    ["-v /tmp/data:/d:ro busybox sh -c 'cat /d/f", TMP],
    ['-v /tmp/newdir/sub:/d', TMP],
    ['tmpfs-size=1m,tmpfs-mode=1770', DD],
    ['--tmpfs /t:size=64k,mode=700', DD],
    ['--device-read-bps /dev/vda:1mb', THROTTLE],
    ['--device-read-bps /dev/nosuch:1mb', THROTTLE],
    ['--device /dev/vda:/dev/xvda:r', "the root disk's blocks cannot be read; no device controller"],
  ]],
  ['inspect-exec', []],
];

it.each(PARTS)('docker containers: %s', (name, misses) => {
  const lines: Recorded[] = readTranscript(new URL(`./containers-${name}.jsonl`, import.meta.url));
  lines[0]!.cmd = `${IMAGE} ${lines[0]!.cmd}`;
  const result = replayTranscript({ scenario: 'recorded/docker', lines, normal: containersNormal });
  report(`docker containers: ${name}`, result);
  expect(unexplained(result, misses)).toEqual([]);
});
