/**
 * A machine with containerd and dockerd for tests, without the modelled init: mounts, a system.slice, the two daemons, then
 * commands one after another, each by `bash -c` with its streams in files. `lab` boots it; `sh` runs one and gives what it printed.
 */
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, TIOCSCTTY, O_WRONLY, shellStatus, SysError } from '../../../src/engine/kernel/abi.ts';
import { boot, createKernel, registerKernels } from '../../../src/engine/kernel/kernel.ts';
import type { Kernel } from '../../../src/engine/kernel/records.ts';
import { type Body, sys } from '../../../src/engine/kernel/sys.ts';
import { type Content, readContent } from '../../../src/engine/kernel/vfs/content.ts';
import { childrenOf } from '../../../src/engine/kernel/vfs/tmpfs.ts';
import type { SuperBlock } from '../../../src/engine/kernel/vfs/types.ts';
import { putFile, type Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { createTimeline, nextAt, step, type Timeline } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { GiB, MS, SECOND } from '../../../src/engine/sim/units.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { PROGRAMS } from '../../../src/engine/userland/table.ts';
import { treeOf } from '../../../src/engine/world/install.ts';
import type { HostSpec } from '../../../src/engine/world/scenario.ts';

export interface Lab {
  kernel: Kernel;
  timeline: Timeline;
  box: { todo: string | null; status: number | null; ready: boolean; terminal: boolean };
}

export interface Result {
  stdout: string;
  stderr: string;
  exit: number | null;
}

const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', TERM: 'linux' };

export function lab(more: Partial<HostSpec> = {}): Lab {
  const timeline = createTimeline();
  const kernels = new Map<string, Kernel>();
  registerKernels(timeline, kernels);
  const box: Lab['box'] = { todo: null, status: null, ready: false, terminal: false };
  const programs = new Map(PROGRAMS.byName);
  programs.set('init', () => init(box));
  const kernel = createKernel({
    name: 'lab', cpus: 2, memory: more.memory ?? 4 * GiB, ghz: 2, timeline, trace: createTrace(timeline), seed: 1, programs, hostname: more.name ?? 'lab', network: { address: '10.0.0.5/24' },
  });
  kernels.set('lab', kernel);
  const host: HostSpec = { name: 'lab', cpus: 2, memory: 4 * GiB, address: '10.0.0.5', services: ['containerd', 'docker'], images: ['busybox', 'stress', 'nginx', 'hello-world'], domains: [], ...more };
  const tree: Tree = { ...treeOf(host, { name: 'lab', hosts: [host], cluster: null, manifests: [] }, { cpu: null as never, programs: PROGRAMS, guests: {} }), '/sbin/init': { type: 'program', name: 'init', mode: 0o755 }, '/usr/sbin/init': { type: 'program', name: 'init', mode: 0o755 } };
  boot(kernel, { tree, init: '/sbin/init', argv: ['/sbin/init'], env: ENV });
  const m: Lab = { kernel, timeline, box };
  until(m, () => box.ready, 20 * SECOND);
  return m;
}

function* init(box: Lab['box']): Body {
  const mount = (source: string, target: string, type: string, data = '') => quiet(sys('mount', source, target, type, 0, data));
  yield* mount('proc', '/proc', 'proc');
  yield* mount('sysfs', '/sys', 'sysfs');
  yield* mount('devtmpfs', '/dev', 'devtmpfs');
  for (const dir of ['/dev/pts', '/dev/shm', '/sys/fs/cgroup']) yield* quiet(sys('mkdirat', AT_FDCWD, dir, 0o755));
  yield* mount('devpts', '/dev/pts', 'devpts', 'gid=5,mode=620,ptmxmode=666');
  yield* mount('tmpfs', '/dev/shm', 'tmpfs');
  yield* mount('cgroup2', '/sys/fs/cgroup', 'cgroup2');
  yield* mount('tmpfs', '/run', 'tmpfs', 'mode=755');
  yield* write('/sys/fs/cgroup/cgroup.subtree_control', '+cpuset +cpu +io +memory +pids');
  yield* quiet(sys('mkdirat', AT_FDCWD, '/sys/fs/cgroup/system.slice', 0o755));
  yield* spawn('/usr/bin/containerd', ['/usr/bin/containerd'], 'containerd.log');
  yield* spawn('/usr/sbin/dockerd', ['/usr/sbin/dockerd', '-H', 'fd://'], 'dockerd.log');
  for (let i = 0; i < 500; i++) {
    if ((yield* quiet(sys('newfstatat', AT_FDCWD, '/run/docker.sock', 0))) !== null) break;
    yield* sys('nanosleep', 10 * MS);
  }
  box.ready = true;
  for (;;) {
    if (box.terminal) {
      box.terminal = false;
      yield* shellOn('/dev/tty1');
    }
    if (box.todo === null) {
      yield* sys('nanosleep', 1 * MS);
      for (;;) {
        const gone = yield* quiet(sys('wait4', -1, 1));
        if (!gone || gone.pid === 0) break;
      }
      continue;
    }
    box.todo = null;
    const pid = yield* spawn('/usr/bin/bash', ['bash', '-c', 'source /root/line.sh'], 'line');
    for (;;) {
      const gone = yield* quiet(sys('wait4', -1, 0));
      if (gone?.pid !== pid) continue;
      box.status = shellStatus(gone.status);
      break;
    }
  }
}

function* shellOn(path: string) {
  yield* sys('clone', {
    flags: 0,
    *run(): Body {
      yield* sys('setsid');
      const fd = yield* sys('openat', AT_FDCWD, path, O_RDWR);
      yield* sys('ioctl', fd, TIOCSCTTY, 0);
      for (const to of [0, 1, 2]) if (fd !== to) yield* sys('dup3', fd, to, 0);
      if (fd > 2) yield* sys('close', fd);
      yield* sys('execve', '/usr/bin/bash', ['bash', '-i'], { ...ENV, PS1: '$ ' });
      return 127;
    },
  });
}

// biome-ignore lint/suspicious/noExplicitAny: any call
function* quiet<T>(call: Generator<any, T, any>): Generator<any, T | null, any> {
  try {
    return yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return null;
  }
}

function* write(path: string, data: string) {
  const fd = yield* sys('openat', AT_FDCWD, path, O_WRONLY);
  yield* sys('write', fd, bytes(data));
  yield* sys('close', fd);
}

function* spawn(path: string, argv: string[], name: string) {
  return yield* sys('clone', {
    flags: 0,
    *run(): Body {
      yield* sys('setsid');
      const input = yield* sys('openat', AT_FDCWD, name === 'line' ? '/root/line.in' : '/dev/null', O_RDONLY);
      const out = yield* sys('openat', AT_FDCWD, `/root/${name}.out`, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
      const err = yield* sys('openat', AT_FDCWD, `/root/${name}.err`, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
      for (const [from, to] of [[input, 0], [out, 1], [err, 2]] as const) if (from !== to) yield* sys('dup3', from, to, 0);
      for (let fd = 3; fd < 16; fd++) yield* quiet(sys('close', fd));
      yield* sys('chdir', '/root');
      yield* sys('execve', path, argv, ENV);
      return 127;
    },
  });
}

/** Advances until `done`; says whether it came to that. */
export function until(m: Lab, done: () => boolean, limit: number): boolean {
  const end = m.timeline.now + limit;
  while (!done()) {
    if (nextAt(m.timeline) > end) return false;
    if (!step(m.timeline, end)) return done();
  }
  return true;
}

/** A file of the machine's disk; empty when it is not there. */
export function file(m: Lab, path: string): string {
  let at = (m.kernel.drivers.get('rootfs') as SuperBlock).root;
  for (const part of path.split('/').filter(Boolean)) {
    const next = childrenOf(at.inode).get(part);
    if (!next) return '';
    at = next;
  }
  return text(readContent(at.inode.data as Content, at.inode.size, 0, at.inode.size));
}

/** Runs one line by bash; exit null when it did not end in `limit` ns of simulated time. */
export function sh(m: Lab, line: string, input = '', limit = 120 * SECOND): Result {
  putFile(m.kernel, '/root/line.sh', bytes(`${line}\n`));
  putFile(m.kernel, '/root/line.in', bytes(input));
  m.box.status = null;
  m.box.todo = line;
  until(m, () => m.box.status !== null, limit);
  return { stdout: file(m, '/root/line.out'), stderr: file(m, '/root/line.err'), exit: m.box.status };
}

/** Starts a bash at tty1. */
export function terminal(m: Lab): void {
  m.box.terminal = true;
}
