/**
 * One machine in a test: a kernel booted from a small tree with the programs given, run until a program ends. `run` boots
 * with the program as its /sbin/init's only child on tty1 and returns what it printed; `machine` leaves the clock to the test.
 */
import { AT_FDCWD, O_RDWR, O_WRONLY, SysError, TIOCSCTTY } from '../../../src/engine/kernel/abi.ts';
import { boot, createKernel, registerKernels, ttyInput, ttyTake } from '../../../src/engine/kernel/kernel.ts';
import type { Crash, Kernel } from '../../../src/engine/kernel/records.ts';
import { type Body, type Program, sys } from '../../../src/engine/kernel/sys.ts';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { createTimeline, nextAt, step, type Timeline } from '../../../src/engine/sim/timeline.ts';
import { createTrace, type Trace } from '../../../src/engine/sim/trace.ts';
import { GiB, SECOND } from '../../../src/engine/sim/units.ts';

export interface Machine {
  kernel: Kernel;
  timeline: Timeline;
  trace: Trace;
}

export interface MachineSpec {
  /** Name to program; each is /bin/NAME. `init` is /sbin/init. */
  programs: Record<string, Program>;
  tree?: Tree;
  cpus?: number;
  memory?: number;
  argv?: readonly string[];
  env?: Record<string, string>;
  seed?: number;
  network?: { address: string } | null;
  /** Where faults of programs go; without it they are thrown. */
  crashes?: Crash[];
}

export const ENV = { PATH: '/bin:/sbin', TERM: 'linux' };

const DIRS: Tree = {
  '/dev': { type: 'dir' }, '/proc': { type: 'dir', mode: 0o555 }, '/sys': { type: 'dir', mode: 0o555 }, '/run': { type: 'dir' },
  '/tmp': { type: 'dir', mode: 0o1777 }, '/mnt': { type: 'dir' }, '/root': { type: 'dir', mode: 0o700 }, '/etc': { type: 'dir' }, '/bin': { type: 'dir' }, '/sbin': { type: 'dir' },
};

export function machine(spec: MachineSpec): Machine {
  const timeline = createTimeline();
  const trace = createTrace(timeline);
  const kernels = new Map<string, Kernel>();
  registerKernels(timeline, kernels);
  const kernel = createKernel({
    name: 'test', cpus: spec.cpus ?? 1, memory: spec.memory ?? 1 * GiB, ghz: 2, timeline, trace, seed: spec.seed ?? 1,
    programs: new Map(Object.entries(spec.programs)), hostname: 'test', network: spec.network ?? null, ...(spec.crashes ? { crashes: spec.crashes } : {}),
  });
  kernels.set('test', kernel);
  const tree: Tree = { ...DIRS };
  for (const name of Object.keys(spec.programs)) tree[name === 'init' ? '/sbin/init' : `/bin/${name}`] = { type: 'program', name };
  boot(kernel, { tree: { ...tree, ...spec.tree }, init: '/sbin/init', argv: ['/sbin/init', ...(spec.argv ?? [])], env: spec.env ?? ENV });
  return { kernel, timeline, trace };
}

/** Advances until `done`, nothing is left to happen, or `limit` ns of simulated time have passed. Says whether `done`. */
export function until(m: Machine, done: () => boolean, limit = 60 * SECOND): boolean {
  const end = m.timeline.now + limit;
  while (!done()) {
    if (nextAt(m.timeline) > end) return false;
    if (!step(m.timeline, end)) return done();
  }
  return true;
}

export function type(m: Machine, keys: string, tty = 'tty1'): void {
  ttyInput(m.kernel, tty, bytes(keys));
}

/** What a terminal has shown since the last time, both streams, CR taken out. */
export function screen(m: Machine, tty = 'tty1'): string {
  return ttyTake(m.kernel, tty).map((part) => text(part.data)).join('').replaceAll('\r', '');
}

export interface Ran {
  stdout: string;
  stderr: string;
  /** Wait status of the program. */
  status: number;
  /** Simulated ns that it took. */
  took: number;
  m: Machine;
}

/** Boots, runs one program to its end on tty1 in a session of its own, and says what it printed. */
export function run(program: Program, spec: Partial<MachineSpec> & { input?: string; limit?: number } = {}): Ran {
  let status = -1;
  let began = 0;
  let took = 0;
  const programs: Record<string, Program> = { ...spec.programs, main: program, init: initFor(['/bin/main', ...(spec.argv ?? [])], (s, t0, t1) => {
    status = s;
    began = t0;
    took = t1 - began;
  }) };
  const m = machine({ ...spec, programs, argv: [] });
  if (spec.input) type(m, spec.input);
  until(m, () => status >= 0, spec.limit ?? 60 * SECOND);
  const parts = ttyTake(m.kernel, 'tty1');
  const of = (stream: 1 | 2): string => parts.filter((part) => part.stream === stream).map((part) => text(part.data)).join('').replaceAll('\r', '');
  return { stdout: of(1), stderr: of(2), status, took, m };
}

/** An init that mounts nothing, starts one program on tty1 (stderr through a write-only descriptor), and reaps for ever. */
function initFor(argv: readonly string[], ended: (status: number, began: number, at: number) => void): Program {
  return function* (): Body {
    const began = yield* sys('clock_gettime', 'monotonic');
    const pid = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        yield* sys('setsid');
        const fd = yield* sys('openat', AT_FDCWD, '/dev/tty1', O_RDWR);
        yield* sys('ioctl', fd, TIOCSCTTY, 0);
        yield* sys('dup3', fd, 0, 0);
        yield* sys('dup3', fd, 1, 0);
        const err = yield* sys('openat', AT_FDCWD, '/dev/tty1', O_WRONLY);
        yield* sys('dup3', err, 2, 0);
        yield* sys('close', fd);
        yield* sys('close', err);
        yield* sys('execve', argv[0]!, argv, ENV);
        return 127;
      },
    });
    for (;;) {
      try {
        const ended1 = yield* sys('wait4', -1, 0);
        if (ended1.pid === pid) ended(ended1.status, began, yield* sys('clock_gettime', 'monotonic'));
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        if (error.errno === 'ECHILD') yield* sys('pause');
      }
    }
  };
}

/** Writes text to a descriptor. */
export function* put(fd: number, line: string): Generator<import('../../../src/engine/kernel/sys.ts').Request, void, unknown> {
  let data = bytes(line);
  while (data.length > 0) data = data.subarray(yield* sys('write', fd, data));
}

/** Runs a call and gives its value, or the errno's name. */
export function* outcome<T>(call: Generator<import('../../../src/engine/kernel/sys.ts').Request, T, unknown>): Generator<import('../../../src/engine/kernel/sys.ts').Request, T | string, unknown> {
  try {
    return yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.errno;
  }
}
