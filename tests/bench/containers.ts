/**
 * Containers: real time from a typed `docker run -d` to its process running (median of many), how many bytes the worker holds
 * for a thousand that run, and the replay of a recording of five hundred commands.
 */
import type { Recording } from '../../src/bridge/protocol.ts';
import { loadAssets } from '../../src/cli/assets.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../src/engine/world/typist.ts';
import { advance, createWorld, openRecording, toRecording, worldHash } from '../../src/engine/world/world.ts';
import { median, time } from './median.ts';

const RUNS = 40;
const MANY = 1000;
const COMMANDS = 500;

export function containers(): Record<string, unknown> {
  return { ...runs(), thousand: thousand(), replay500: replayed() };
}

function session(): Typist {
  const typist = createTypist(createWorld(loadAssets(), 'one-host', 1), { until: Number.MAX_SAFE_INTEGER });
  waitForPrompt(typist);
  return typist;
}

/** Types a line; throws when it fails. */
function done(typist: Typist, command: string): string {
  const typed = line(typist, command)!;
  if (typed.exit !== 0) throw new Error(`${command}: ${typed.stderr}`);
  return typed.stdout;
}

/** Milliseconds of one `docker run -d` on a machine with few containers: the median, and the best, which other work on the machine disturbs least. */
function runs(): Record<string, number> {
  const typist = session();
  for (let n = 0; n < 10; n++) done(typist, 'docker run -d busybox sleep 100000');
  const all = Array.from({ length: RUNS }, () => time(1, () => done(typist, 'docker run -d busybox sleep 100000')));
  return { dockerRunMs: Number(median(all).toPrecision(3)), dockerRunBestMs: Number(Math.min(...all).toPrecision(3)) };
}

/** A thousand running at once: bytes of the heap and outside it beyond those of the empty machine, and the last hundred's time each. */
function thousand(): Record<string, number> {
  const typist = session();
  const before = held();
  const began = performance.now();
  let last = began;
  for (let n = 0; n < MANY; n++) {
    if (n === MANY - 100) last = performance.now();
    done(typist, `docker run -d --name c${n} busybox sleep 100000`);
  }
  const ends = performance.now();
  const running = Number(done(typist, 'docker ps -q | wc -l'));
  if (running !== MANY) throw new Error(`${running} run`);
  return { running, megabytes: Math.round(held() / 1e6), beyondEmptyMegabytes: Math.round((held() - before) / 1e6), msEach: Number(((ends - began) / MANY).toPrecision(3)), lastMsEach: Number(((ends - last) / 100).toPrecision(3)) };
}

function held(): number {
  for (let n = 0; n < 3; n++) globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

/** Five hundred commands as a learner types them, recorded and replayed. */
function replayed(): Record<string, number> {
  const typist = session();
  for (let n = 0; n < COMMANDS; n++) line(typist, commandOf(n));
  const recording: Recording = toRecording(typist.world);
  const assets = loadAssets();
  const ms = time(3, () => {
    const again = openRecording(assets, recording);
    advance(again, recording.until);
    if (worldHash(again) !== recording.hash) throw new Error('the replay differs');
  });
  return { commands: COMMANDS, ms: Math.round(ms) };
}

/** What the n-th line of the session is: one in ten makes a container or removes one, the others look around. */
const LOOKS = ['docker ps', 'docker ps -a', 'cat /proc/self/cgroup', 'docker images', 'ps aux | tail -3', 'docker inspect -f "{{.State.Status}}" c0', 'ls /var/lib/docker', 'docker logs c0'];

function commandOf(n: number): string {
  if (n % 20 === 0) return `docker run -d --name c${n / 20} busybox sleep 100000`;
  if (n % 20 === 10) return `docker exec c${(n - 10) / 20} hostname`;
  if (n % 100 === 95) return `docker rm -f c${(n - 95) / 20 + 1}`;
  return LOOKS[n % LOOKS.length]!;
}
