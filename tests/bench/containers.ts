/**
 * Containers: real time of `docker run -d` from Enter to its process running, and to the next prompt (medians), how many bytes the
 * worker holds for a thousand that run, and the replay of a recording of five hundred commands.
 */
import type { Recording } from '../../src/bridge/protocol.ts';
import { loadAssets } from '../../src/cli/assets.ts';
import { MS } from '../../src/engine/sim/units.ts';
import { begin, createTypist, finish, line, type Typist, waitForPrompt } from '../../src/engine/world/typist.ts';
import { advance, createWorld, openRecording, toRecording, worldHash } from '../../src/engine/world/world.ts';
import { median, time } from './median.ts';

/** Runs that are not counted: the engine compiles what it has seen often. */
const WARM = 60;
const RUNS = 40;
/** More processes than one container brings. */
const SPAN = 60;
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

interface Took {
  running: number;
  line: number;
}

const COMMAND = 'sleep';

/** Milliseconds of one line that runs a container: from its first key until the container's process runs its program, and until the prompt is back. */
function dockerRun(typist: Typist, flags: string): Took {
  const { tasks } = typist.world.host;
  const newest = Math.max(...tasks.keys());
  const runs = (): boolean => {
    for (let pid = newest + 1; pid < newest + SPAN; pid++) if (tasks.get(pid)?.comm === COMMAND) return true;
    return false;
  };
  const began = performance.now();
  const begun = begin(typist, `docker run -d ${flags}busybox ${COMMAND} 100000`)!;
  while (!runs()) advance(typist.world, typist.world.timeline.now + MS);
  const running = performance.now() - began;
  const typed = finish(typist, begun);
  if (typed.exit !== 0) throw new Error(`${typed.cmd}: ${typed.stderr}`);
  return { running, line: performance.now() - began };
}

const round = (ms: number): number => Number(ms.toPrecision(3));

function runs(): Record<string, number> {
  const typist = session();
  const all = Array.from({ length: WARM + RUNS }, () => dockerRun(typist, '')).slice(WARM);
  const figures = (name: string, ms: readonly number[]) => ({ [`${name}Ms`]: round(median(ms)), [`${name}BestMs`]: round(Math.min(...ms)) });
  return { ...figures('dockerRun', all.map((one) => one.running)), ...figures('dockerRunLine', all.map((one) => one.line)) };
}

/** A thousand running at once: bytes of the heap and outside it beyond those of the empty machine, and the last hundred's time each. */
function thousand(): Record<string, number> {
  const typist = session();
  const before = held();
  const all = Array.from({ length: MANY }, (_, n) => dockerRun(typist, `--name c${n} `));
  const running = Number(done(typist, 'docker ps -q | wc -l'));
  if (running !== MANY) throw new Error(`${running} run`);
  const each = (ms: readonly number[]): number => round(ms.reduce((sum, one) => sum + one, 0) / ms.length);
  const toRunning = all.map((one) => one.running);
  return {
    running, megabytes: Math.round(held() / 1e6), beyondEmptyMegabytes: Math.round((held() - before) / 1e6),
    msEach: each(toRunning), medianMs: round(median(toRunning)), lastMsEach: each(toRunning.slice(-100)), lineMsEach: each(all.map((one) => one.line)),
  };
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
