/** docker 26.1 as recorded, replayed in order on one machine: each command's output, errors and status. */
import { expect, it } from 'vitest';
import { readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';
import { normal } from './normal.ts';

/**
 * The recording leaves lines out between those it keeps; these are the ones that later lines tell of: a variable of the host's,
 * a container with changes, a network of its own with two containers, one beside, volumes that came and went, time that
 * passed. Each runs silently before the first line that begins so.
 */
const LEFT_OUT: readonly (readonly [string, string])[] = [
  ['docker run --rm --hostname h1', 'export B=fromhost'],
  ['cd /tmp/ctx && echo "# x"', `docker run --name df busybox sh -c 'echo x > /new; echo u:x:1::/ >> /etc/passwd; exit 1'`],
  ['docker run -d --name p1', 'docker network create nn; docker run -d --name n1 --network nn busybox sleep 1000; docker run -d --name n2 --network nn busybox sleep 1000; docker run -d --name b1 busybox sleep 1000'],
  ['docker system df', `docker create --name av -v /foo busybox; docker rm av; for i in 1 2 3 4; do docker run --rm busybox true; done; docker run -d --name vu -v v1:/v busybox sleep 100;
    docker rm -f vu; docker volume rm v1; docker run --rm busybox true; docker volume create nv; docker run --rm -v nv:/etc busybox true; docker run --rm -v nv:/x busybox true; docker run --rm busybox true; docker volume prune -f`],
  ['docker run --rm --network host', 'sleep 2'],
  ['docker container ls', 'sleep 95'],
];

/** Commands that differ, by how they begin, and why. One that differs no more must go from here. */
const MISSES: readonly (readonly [string, string])[] = [
  ['sh -c "hostname; id; pwd; env; ps;', "busybox's ash runs its own applets without execve, so that ps shows its shell's words"],
  ['dmesg | grep -E "oom-kill|Killed process"', 'how much a real hog has mapped and resident, to the page'],
  ['docker logs --tail 1 lg', 'stdout and stderr are two pipes: in the recording the second line of three was logged last'],
  ['docker build -t app:1 .', 'steps that are done at the same time may be told in any order (the second run: all cached)'],
  ['--name p5 app:1 x; docker port p5', 'in the recording the container had ended before its ports were asked for'],
  ['docker system df', "the builder's cache keeps other records than BuildKit's"],
  ['docker system prune -f', "the builder's cache keeps other records than BuildKit's"],
  ['lsns -p $(docker inspect', 'the recording machine had 85 more tasks, kernel threads most of them'],
  ['systemd-cgls --no-pager', "the recording machine's own units; order of a directory of cgroupfs"],
];

it('the docker recording', () => {
  const lines = readTranscript(new URL('./docker.jsonl', import.meta.url));
  for (const [begins, setup] of LEFT_OUT) {
    const line = lines.find((one) => one.cmd.startsWith(begins))!;
    line.cmd = `{ ${setup}; } > /dev/null 2>&1; ${line.cmd}`;
  }
  const result = replayTranscript({ scenario: 'recorded/docker', lines, normal });
  report('docker', result);
  expect(unexplained(result, MISSES)).toEqual([]);
});
