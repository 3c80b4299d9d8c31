/**
 * A small door for kubectl alone: files in a map, sockets that end at a cluster's API server, a clock that is the cluster's.
 * It lets the recordings run without a kernel; the same program runs behind the real door in the lab.
 */
import { createCluster, type Cluster } from '../../../src/engine/cluster/cluster.ts';
import { createClusterService } from '../../../src/engine/cluster/server.ts';
import { SysError } from '../../../src/engine/kernel/abi.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { createTimeline, nextAt, runTo, step } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { EPOCH_SECONDS, MS, SECOND } from '../../../src/engine/sim/units.ts';
import { kubectl } from '../../../src/engine/userland/kube/kubectl/kubectl.ts';
import { addHollowNodes, type HollowSpec } from '../../../src/engine/world/hollow.ts';

export interface Bench {
  cluster: Cluster;
  files: Map<string, string>;
  /** Whether anything answers at the API server's address. */
  serving: boolean;
  /** Calls that this door has not are refused (EPERM) instead of being a fault of the test. */
  lenient?: boolean;
}

export const CONFIG = `apiVersion: v1
kind: Config
clusters:
- name: nestbox
  cluster:
    server: http://10.0.0.10:6443
users:
- name: admin
  user: {}
contexts:
- name: nestbox
  context:
    cluster: nestbox
    user: admin
current-context: nestbox
`;

export function bench(spec: HollowSpec = { hollow: 2 }, seed = 1): Bench {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed, ...(spec.serverVersion ? { serverVersion: spec.serverVersion } : {}) });
  addHollowNodes(cluster, spec);
  return { cluster, files: new Map([['/root/.kube/config', CONFIG]]), serving: true };
}

export interface Result {
  stdout: string;
  stderr: string;
  exit: number;
}

export const pass = (b: Bench, seconds: number): void => runTo(b.cluster.timeline, b.cluster.timeline.now + seconds * SECOND);

/** Runs `kubectl …` as words; `limit` simulated seconds at most (124 then, as timeout says). */
export function run(b: Bench, argv: readonly string[], stdin = '', limit = 120): Result {
  const { timeline } = b.cluster;
  const result: Result = { stdout: '', stderr: '', exit: 0 };
  const sockets = new Map<number, { inbox: Uint8Array[]; closed: boolean }>();
  const open = new Map<number, { data: Uint8Array; at: number; path: string; entries?: string[] }>();
  let nextFd = 10;
  let input = bytes(stdin);
  const service = createClusterService(
    b.cluster,
    (conn, data) => void sockets.get(conn)?.inbox.push(data),
    (conn) => {
      const s = sockets.get(conn);
      if (s) s.closed = true;
    },
  );
  const absolute = (path: string): string => (path.startsWith('/') ? path : `/root/${path}`);
  const isDir = (path: string): boolean => [...b.files.keys()].some((f) => f.startsWith(`${path.replace(/\/$/, '')}/`));
  const end = timeline.now + limit * SECOND;
  // biome-ignore lint/suspicious/noExplicitAny: the calls kubectl makes
  const calls: Record<string, (...a: any[]) => unknown> = {
    getpid: () => 4321,
    clock_gettime: () => (EPOCH_SECONDS + timeline.now / SECOND) * 1e9,
    nanosleep(ns: number) {
      if (timeline.now + ns > end) throw new Error('timeout');
      runTo(timeline, timeline.now + ns);
      return 0;
    },
    write(fd: number, data: Uint8Array) {
      if (fd === 1) result.stdout += text(data);
      else if (fd === 2) result.stderr += text(data);
      else if (sockets.has(fd)) service.data(fd, data);
      else b.files.set(open.get(fd)!.path, (b.files.get(open.get(fd)!.path) ?? '') + text(data));
      return data.length;
    },
    read(fd: number, count: number) {
      if (fd === 0) {
        const piece = input.subarray(0, count);
        input = input.subarray(piece.length);
        return piece;
      }
      const file = open.get(fd);
      if (file) {
        const piece = file.data.subarray(file.at, file.at + count);
        file.at += piece.length;
        return piece;
      }
      const socket = sockets.get(fd)!;
      while (socket.inbox.length === 0 && !socket.closed) {
        if (nextAt(timeline) > end) throw new Error('timeout');
        step(timeline, end);
      }
      return socket.inbox.shift() ?? new Uint8Array(0);
    },
    poll(fds: { fd: number }[], timeout: number) {
      const socket = sockets.get(fds[0]!.fd)!;
      const until = timeline.now + timeout;
      while (socket.inbox.length === 0 && !socket.closed && nextAt(timeline) <= until) step(timeline, until);
      if (socket.inbox.length > 0 || socket.closed) return [{ fd: fds[0]!.fd, revents: 1 }];
      runTo(timeline, until);
      return [];
    },
    openat(_dir: number, path: string, flags: number) {
      const at = absolute(path);
      if (flags & 0o100) b.files.set(at, flags & 0o1000 ? '' : (b.files.get(at) ?? ''));
      if (!b.files.has(at) && !isDir(at)) throw new SysError('ENOENT');
      const entries = b.files.has(at) ? undefined : [...b.files.keys()].filter((f) => f.startsWith(`${at.replace(/\/$/, '')}/`)).map((f) => f.slice(at.replace(/\/$/, '').length + 1));
      open.set(nextFd, { data: bytes(b.files.get(at) ?? ''), at: 0, path: at, ...(entries ? { entries } : {}) });
      return nextFd++;
    },
    newfstatat(_dir: number, path: string) {
      const at = absolute(path);
      if (!b.files.has(at) && !isDir(at)) throw new SysError('ENOENT');
      return { mode: b.files.has(at) ? 0o100644 : 0o040755 };
    },
    getdents64: (fd: number) => (open.get(fd)!.entries ?? []).splice(0).map((name) => ({ name, ino: 1, type: 'file' })),
    close(fd: number) {
      if (sockets.delete(fd)) service.close(fd);
      open.delete(fd);
      return 0;
    },
    ioctl() {
      throw new SysError('ENOTTY');
    },
    socket: () => nextFd++,
    connect(fd: number, to: { address: string; port: number }) {
      if (!b.serving || to.port !== 6443) throw new SysError('ECONNREFUSED');
      runTo(timeline, timeline.now + MS);
      sockets.set(fd, { inbox: [], closed: false });
      service.open(fd);
      return 0;
    },
  };
  const program = kubectl(argv, { HOME: '/root', PATH: '/usr/bin' });
  // biome-ignore lint/suspicious/noExplicitAny: what goes in depends on what came out
  let step_: IteratorResult<any, any> = program.next();
  try {
    while (!step_.done) {
      const { op, name, args } = step_.value;
      if (op !== 'sys') {
        step_ = program.next();
        continue;
      }
      let value: unknown;
      let fault: SysError | null = null;
      try {
        if (!calls[name]) {
          if (!b.lenient) throw new Error(`no call ${name} in this door`);
          throw new SysError('EPERM');
        }
        value = calls[name]!(...args);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        fault = error;
      }
      step_ = fault ? program.throw(fault) : program.next(value);
    }
    result.exit = typeof step_.value === 'number' ? step_.value : 0;
  } catch (error) {
    if (!(error instanceof Error) || error.message !== 'timeout') throw error;
    result.exit = 124;
  }
  for (const conn of [...sockets.keys()]) service.close(conn);
  return result;
}

/** Splits a shell line into words: quotes only, no expansion. */
export function words(line: string): string[] {
  const out: string[] = [];
  const re = /(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g;
  for (const m of line.matchAll(re)) {
    out.push(m[0].replace(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g, (_, d, s, e) => (d !== undefined ? d.replace(/\\(["\\$`])/g, '$1') : (s ?? e))));
  }
  return out;
}
