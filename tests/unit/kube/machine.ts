/**
 * Enough of a machine for the kubelet alone: threads, files, sockets to the API server and to a stand-in container runtime
 * whose containers do what a table says ("exit 1 after 2 s", "oom"). The real ones are the kernel's and containerd's.
 */
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { createClusterService } from '../../../src/engine/cluster/server.ts';
import { SysError } from '../../../src/engine/kernel/abi.ts';
import type { Body } from '../../../src/engine/kernel/sys.ts';
import { bytes, text, toBase64 } from '../../../src/engine/sim/text.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { EPOCH_SECONDS, MS, SECOND } from '../../../src/engine/sim/units.ts';
import { createParser, feed, formatResponse, joinBytes, type WireParser } from '../../../src/engine/sim/wire.ts';
import { kubectl } from '../../../src/engine/userland/kube/kubectl/kubectl.ts';
import { kubelet } from '../../../src/engine/userland/kube/kubelet.ts';

/** What an image's containers do: run for ever, or end. */
export type Behaviour = { after: number; exitCode: number; reason?: string } | 'runs';

// biome-ignore lint/suspicious/noExplicitAny: JSON of the runtime interface
type Json = any;

interface End {
  inbox: Uint8Array[];
  closed: boolean;
  send(data: Uint8Array): void;
  hangup(): void;
}

interface Task {
  name: string;
  body: Body;
  value: unknown;
  fault: SysError | null;
  wakeAt: number;
  waits: (() => boolean) | null;
  /** Dispatches the blocked call again. */
  again: (() => unknown) | null;
}

export interface Machine {
  cluster: Cluster;
  calls: string[];
  files: Map<string, string>;
  dirs: Set<string>;
  behaviours: Record<string, Behaviour>;
  containers: Map<string, Json>;
  sandboxes: Set<string>;
  tasks: Task[];
  out: string;
  err: string;
  spawn(name: string, body: Body): Task;
  turn(): void;
}

export function machine(): Machine {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed: 1 });
  const fds = new Map<number, { file?: { path: string; at: number }; end?: End; listening?: { port: number; queue: End[] } }>();
  const ports = new Map<number, { port: number; queue: End[] }>();
  let nextFd = 10;
  let nextId = 1;
  const m: Machine = {
    cluster, calls: [], dirs: new Set(['/']), behaviours: {}, containers: new Map(), sandboxes: new Set(), tasks: [], out: '', err: '',
    files: new Map([
      ['/etc/kubernetes/kubelet.conf', 'clusters:\n- name: nestbox\n  cluster:\n    server: http://10.0.0.10:6443\n'], ['/root/.kube/config', 'current-context: n\ncontexts: [{name: n, context: {cluster: n}}]\nclusters: [{name: n, cluster: {server: "http://10.0.0.10:6443"}}]\n'],
      ['/etc/hosts', '127.0.0.1 localhost\n10.0.0.11 node-1\n'], ['/proc/cpuinfo', 'processor\t: 0\n\nprocessor\t: 1\n'], ['/etc/os-release', 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'],
    ]),
    spawn(name, body) {
      const task: Task = { name, body, value: undefined, fault: null, wakeAt: 0, waits: null, again: null };
      m.tasks.push(task);
      return task;
    },
    turn,
  };
  const service = createClusterService(cluster, (conn, data) => void fds.get(conn)?.end?.inbox.push(data), (conn) => {
    const end = fds.get(conn)?.end;
    if (end) end.closed = true;
  });

  function runtime(method: string, body: Json): Json | { fails: string } {
    if (!method.startsWith('List')) m.calls.push(method);
    const now = String((EPOCH_SECONDS + timeline.now / SECOND) * 1e9);
    switch (method) {
      case 'Version':
        return { runtimeName: 'containerd', runtimeVersion: '1.7.24' };
      case 'ListImages':
        return { images: [{ id: 'sha256:1', repoTags: ['docker.io/library/nginx:latest'], size: '50000000' }] };
      case 'ImageStatus':
        return m.behaviours[body.image.image] ? { image: { id: 'sha256:1', size: '50000000' } } : {};
      case 'PullImage':
        return m.behaviours[body.image.image] ? { imageRef: 'sha256:1' } : { fails: `rpc error: code = NotFound desc = failed to pull and unpack image "${body.image.image}": not found` };
      case 'RunPodSandbox':
        m.sandboxes.add(`sandbox${nextId}`);
        return { podSandboxId: `sandbox${nextId++}` };
      case 'PodSandboxStatus':
        return { status: { state: 'SANDBOX_READY', network: { ip: '10.244.1.5' } } };
      case 'CreateContainer': {
        const id = `container${nextId++}`;
        m.containers.set(id, { config: body.config, sandbox: body.sandboxConfig, state: 'CONTAINER_CREATED' });
        return { containerId: id };
      }
      case 'StartContainer': {
        const c = m.containers.get(body.containerId);
        const does = m.behaviours[c.config.image.image] ?? 'runs';
        Object.assign(c, { state: 'CONTAINER_RUNNING', startedAt: now, does, began: timeline.now });
        m.files.set(`${c.sandbox.logDirectory}/${c.config.logPath}`, '2026-01-15T09:00:00.000000000Z stdout F hello\n2026-01-15T09:00:01.000000000Z stdout P wor\n2026-01-15T09:00:01.000000000Z stdout F ld\n');
        return {};
      }
      case 'ContainerStatus': {
        const c = m.containers.get(body.containerId);
        if (c.state === 'CONTAINER_RUNNING' && c.does !== 'runs' && timeline.now - c.began >= c.does.after * SECOND) {
          Object.assign(c, { state: 'CONTAINER_EXITED', exitCode: c.does.exitCode, reason: c.does.reason ?? (c.does.exitCode === 0 ? 'Completed' : 'Error'), finishedAt: now });
        }
        return { status: { id: body.containerId, state: c.state, exitCode: c.exitCode, reason: c.reason, startedAt: c.startedAt, finishedAt: c.finishedAt } };
      }
      case 'ListContainers':
        for (const id of m.containers.keys()) runtime('ContainerStatus', { containerId: id });
        return { containers: [...m.containers].map(([id, c]) => ({ id, state: c.state, imageRef: 'sha256:1' })) };
      case 'ListPodSandbox':
        return { items: [...m.sandboxes].map((id) => ({ id, state: 'SANDBOX_READY' })) };
      case 'RemoveContainer':
        m.containers.delete(body.containerId);
        return {};
      case 'RemovePodSandbox':
        m.sandboxes.delete(body.podSandboxId);
        return {};
      case 'StopContainer': {
        const c = m.containers.get(body.containerId);
        if (c.state === 'CONTAINER_RUNNING') Object.assign(c, { state: 'CONTAINER_EXITED', exitCode: 143, reason: 'Error', finishedAt: now });
        return {};
      }
      case 'ExecSync':
        return { stdout: toBase64(bytes(`${body.cmd.join(' ')}\n`)), stderr: '', exitCode: body.cmd[0] === 'false' ? 1 : 0 };
      default:
        return {};
    }
  }

  function toRuntime(): End {
    const parser: WireParser = createParser('request');
    let target = '';
    let parts: Uint8Array[] = [];
    const end: End = {
      inbox: [], closed: false, hangup: () => {},
      send(data) {
        for (const event of feed(parser, data)) {
          if (event.type === 'head') target = event.head.target;
          else if (event.type === 'body') parts.push(event.data);
          else if (event.type === 'end') {
            const answer = runtime(target.split('/').pop()!, JSON.parse(text(joinBytes(parts)) || '{}'));
            parts = [];
            end.inbox.push(answer.fails ? formatResponse(500, {}, JSON.stringify({ code: 5, message: answer.fails })) : formatResponse(200, { 'Content-Type': 'application/json' }, JSON.stringify(answer)));
          }
        }
      },
    };
    return end;
  }

  function connect(fd: number, to: { family: string; path?: string; address?: string; port?: number }): 0 {
    if (to.family === 'unix') {
      fds.set(fd, { end: toRuntime() });
      return 0;
    }
    if (to.port === 6443) {
      const end: End = { inbox: [], closed: false, send: (data) => service.data(fd, data), hangup: () => service.close(fd) };
      fds.set(fd, { end });
      service.open(fd);
      return 0;
    }
    const listening = ports.get(to.port ?? 0);
    if (!listening) throw new SysError('ECONNREFUSED');
    const near: End = { inbox: [], closed: false, send: (d) => void far.inbox.push(d), hangup: () => void (far.closed = true) };
    const far: End = { inbox: [], closed: false, send: (d) => void near.inbox.push(d), hangup: () => void (near.closed = true) };
    fds.set(fd, { end: near });
    listening.queue.push(far);
    return 0;
  }

  class Blocked {
    readonly ready: () => boolean;
    constructor(ready: () => boolean) {
      this.ready = ready;
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: the calls these programs make
  const calls: Record<string, (task: Task, ...a: any[]) => unknown> = {
    uname: () => ({ sysname: 'Linux', nodename: 'node-1', release: '6.12.107+deb13-cloud-amd64', version: '', machine: 'x86_64', domainname: '' }),
    sysinfo: () => ({ totalram: 4 * 1024 ** 3 }),
    getpid: () => 7,
    clock_gettime: (_t, clock: string) => (clock === 'realtime' ? (EPOCH_SECONDS + timeline.now / SECOND) * 1e9 : timeline.now),
    rt_sigaction: () => ({ handler: 'default' }),
    clone(_t, { run }: { run: () => Body }) {
      m.spawn('thread', run());
      return nextId++;
    },
    nanosleep(task, ns: number) {
      task.wakeAt = timeline.now + ns;
      return new Blocked(() => timeline.now >= task.wakeAt);
    },
    openat(_t, _d, path: string, flags: number) {
      if (flags & 0o100) m.files.set(path, '');
      if (!m.files.has(path) && !path.startsWith('/sys/fs/cgroup')) throw new SysError('ENOENT');
      fds.set(nextFd, { file: { path, at: 0 } });
      return nextFd++;
    },
    mkdirat(_t, _d, path: string) {
      if (m.dirs.has(path)) throw new SysError('EEXIST');
      m.dirs.add(path);
      return 0;
    },
    unlinkat: (_t, _d, path: string) => (m.dirs.delete(path), m.files.delete(path), 0),
    pread64: (_t, fd: number, count: number, offset: number) => bytes(m.files.get(fds.get(fd)!.file!.path) ?? '').subarray(offset, offset + count),
    fchmodat: () => 0,
    fchownat: () => 0,
    symlinkat: () => 0,
    renameat2: () => 0,
    mount: () => 0,
    umount2: () => 0,
    shutdown: () => 0,
    poll: () => [],
    statfs: () => ({ type: 'ext4', bsize: 4096, blocks: 5_000_000, bfree: 4_000_000, bavail: 4_000_000, files: 1, ffree: 1 }),
    readlinkat() {
      throw new SysError('EINVAL');
    },
    getdents64: () => [],
    newfstatat(_t, _d, path: string) {
      if (!m.files.has(path) && !m.dirs.has(path)) throw new SysError('ENOENT');
      return { mode: m.files.has(path) ? 0o100644 : 0o40755, size: m.files.get(path)?.length ?? 0 };
    },
    read(_t, fd: number, count: number) {
      if (fd === 0) return new Uint8Array(0);
      const f = fds.get(fd);
      if (!f) throw new SysError('EBADF');
      if (f.file) {
        const data = bytes(m.files.get(f.file.path) ?? '').subarray(f.file.at, f.file.at + count);
        f.file.at += data.length;
        return data;
      }
      const end = f.end!;
      if (end.inbox.length === 0 && !end.closed) return new Blocked(() => end.inbox.length > 0 || end.closed);
      return end.inbox.shift() ?? new Uint8Array(0);
    },
    write(_t, fd: number, data: Uint8Array) {
      if (fd === 1) m.out += text(data);
      else if (fd === 2) m.err += text(data);
      else {
        const f = fds.get(fd)!;
        if (f.file) m.files.set(f.file.path, (f.file.path.startsWith('/sys') ? '' : (m.files.get(f.file.path) ?? '')) + text(data));
        else f.end!.send(data);
      }
      return data.length;
    },
    close(_t, fd: number) {
      fds.get(fd)?.end?.hangup();
      fds.delete(fd);
      return 0;
    },
    socket: () => nextFd++,
    connect: (_t, fd: number, to: Parameters<typeof connect>[1]) => connect(fd, to),
    bind(_t, fd: number, at: { port: number }) {
      const listening = { port: at.port, queue: [] };
      ports.set(at.port, listening);
      fds.set(fd, { listening });
      return 0;
    },
    listen: () => 0,
    accept4(_t, fd: number) {
      const { queue } = fds.get(fd)!.listening!;
      const end = queue.shift();
      if (!end) return new Blocked(() => queue.length > 0);
      fds.set(nextFd, { end });
      return { fd: nextFd++, peer: { family: 'inet', address: '10.0.0.5', port: 1 } };
    },
  };

  function advance(task: Task): boolean {
    if (task.waits && !task.waits()) return false;
    task.waits = null;
    for (let n = 0; n < 10_000; n++) {
      let value: unknown = task.value;
      if (task.again) {
        try {
          value = task.again();
        } catch (error) {
          if (!(error instanceof SysError)) throw error;
          task.fault = error;
        }
        if (value instanceof Blocked) {
          task.waits = value.ready;
          return true;
        }
        task.again = null;
      }
      const fault = task.fault;
      task.fault = null;
      const step = fault ? task.body.throw(fault) : task.body.next(value);
      if (step.done) {
        m.tasks.splice(m.tasks.indexOf(task), 1);
        return true;
      }
      const request = step.value;
      if (request.op !== 'sys') {
        task.value = undefined;
        continue;
      }
      const call = calls[request.name];
      if (!call) throw new Error(`no call ${request.name} on this machine`);
      try {
        const result = call(task, ...request.args);
        if (result instanceof Blocked) {
          task.waits = result.ready;
          task.again = request.name === 'nanosleep' ? null : () => call(task, ...request.args);
          task.value = 0;
          return true;
        }
        task.value = result;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        task.fault = error;
      }
    }
    throw new Error('a task never blocks');
  }

  function turn(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const task of [...m.tasks]) if (m.tasks.includes(task) && advance(task)) moved = true;
    }
  }
  return m;
}

/** Lets simulated time pass, everyone taking turns every 50 ms. */
export function pass(m: Machine, seconds: number): void {
  const { timeline } = m.cluster;
  const end = timeline.now + seconds * SECOND;
  while (timeline.now < end) {
    m.turn();
    runTo(timeline, Math.min(end, timeline.now + 50 * MS));
  }
  m.turn();
}

export function startKubelet(m: Machine): void {
  m.spawn('kubelet', kubelet(['kubelet']));
}

/** Runs kubectl beside the kubelet until it ends. */
export function ctl(m: Machine, line: string, limit = 60): string {
  m.out = '';
  m.err = '';
  const task = m.spawn('kubectl', kubectl(line.split(' '), { HOME: '/root' }));
  for (let i = 0; i < limit * 20 && m.tasks.includes(task); i++) pass(m, 0.05);
  if (m.tasks.includes(task)) m.tasks.splice(m.tasks.indexOf(task), 1);
  return m.out + m.err;
}
