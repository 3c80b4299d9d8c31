/** docker 26.1 as recorded, replayed in order on one machine: each command's output, errors and status. */
import { expect, it } from 'vitest';
import { readTranscript, replayTranscript, report } from '../transcripts.ts';
import { normal } from './normal.ts';

/**
 * The recording leaves lines out between those it keeps; these are the ones that later lines tell of: a network of its own
 * with two containers, one beside, volumes that came and went, time that
 * passed. Each runs silently before the line that begins so.
 */
const LEFT_OUT: readonly (readonly [string, string])[] = [
  ['docker run -d --name p1', 'docker network create nn; docker run -d --name n1 --network nn busybox sleep 1000; docker run -d --name n2 --network nn busybox sleep 1000; docker run -d --name b1 busybox sleep 1000'],
  ['docker events --since 10m --until 0s | tail -40', `docker create --name av -v /foo busybox; docker rm av; for i in 1 2 3 4; do docker run --rm busybox true; done; docker run -d --name vu -v v1:/v busybox sleep 100;
    docker rm -f vu; docker volume rm v1; docker run --rm busybox true; docker volume create nv; docker run --rm -v nv:/etc busybox true; docker run --rm -v nv:/x busybox true; docker run --rm busybox true; docker volume prune -f`],
  ['docker container ls', 'sleep 95'],
];

/** At least so many commands give exactly what was recorded. */
const HELD = 190;

it('the docker recording', () => {
  const lines = readTranscript(new URL('./docker.jsonl', import.meta.url));
  for (const line of lines) for (const [begins, setup] of LEFT_OUT) if (line.cmd.startsWith(begins)) line.cmd = `{ ${setup}; } > /dev/null 2>&1; ${line.cmd}`;
  const result = replayTranscript({ scenario: 'recorded/docker', lines, normal, seconds: 100 });
  report('docker', result);
  expect(result.exact).toBeGreaterThanOrEqual(HELD);
}, 120_000);
