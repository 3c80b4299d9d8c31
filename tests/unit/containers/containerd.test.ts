import { describe, expect, it } from 'vitest';
import { AT_FDCWD, MAP_ANONYMOUS, MAP_PRIVATE, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, PROT_READ, PROT_WRITE, S_IFIFO } from '../../../src/engine/kernel/abi.ts';
import { type Body, type Program, sys, touch } from '../../../src/engine/kernel/sys.ts';
import { text } from '../../../src/engine/sim/text.ts';
import { type Envelope, nextEvents, Refusal, type Streams, type Subscription, subscribe, tasks } from '../../../src/engine/userland/containers/containerd/api.ts';
import { exampleSpec, type Spec } from '../../../src/engine/userland/containers/runc/spec.ts';
import { drain, exists, fork, list, tryRead } from '../../../src/engine/userland/lib/files.ts';
import { type Call, thread, writeAll } from '../../../src/engine/userland/lib/http.ts';
import { complain, print } from '../../../src/engine/userland/lib/io.ts';
import { bytes } from '../../../src/engine/sim/text.ts';
import { bundle, onHost } from './host.ts';

const show: Program = function* (argv): Body {
  if (argv[1] === 'say') {
    yield* print(`${argv[2]}\n`);
    yield* complain('to stderr\n');
    return Number(argv[3] ?? 0);
  }
  if (argv[1] === 'cat') yield* writeAll(1, yield* drain(0));
  else if (argv[1] === 'tty') {
    const { isTty } = { isTty: (yield* sys('fstat', 1)).rdev };
    yield* print(`${isTty[0]}\n`);
  } else if (argv[1] === 'sleep') yield* sys('nanosleep', Number(argv[2]) * 1e9);
  else if (argv[1] === 'grow') {
    const size = Number(argv[2]) * 1024 * 1024;
    yield* touch(yield* sys('mmap', size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS), size, 'w');
  }
  return 0;
};

const NONE: Streams = { stdin: '', stdout: '', stderr: '', terminal: false };

function specOf(args: string[], change: (s: Spec) => void = () => {}): Spec {
  const spec = exampleSpec();
  spec.process.terminal = false;
  spec.process.args = args;
  spec.root = { path: '/oci/rootfs' };
  change(spec);
  return spec;
}

/** Starts containerd with its journal in a file, waits for its socket. */
function* daemon(): Call<number> {
  const pid = yield* fork(function* (): Body {
    const log = yield* sys('openat', AT_FDCWD, '/tmp/containerd.log', O_WRONLY | O_CREAT | O_TRUNC, 0o644);
    yield* sys('dup3', log, 2, 0);
    yield* sys('execve', '/usr/bin/containerd', ['/usr/bin/containerd'], {});
    return 127;
  });
  for (let i = 0; i < 100 && !(yield* exists('/run/containerd/containerd.sock')); i++) yield* sys('nanosleep', 10e6);
  return pid;
}

function* fifos(name: string, kinds: string[]): Call<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const kind of kinds) {
    out[kind] = `/run/${name}-${kind}`;
    yield* sys('mknodat', AT_FDCWD, out[kind]!, S_IFIFO | 0o600, 0, 0);
  }
  return out;
}

/** A thread that drains a fifo into a record. */
function* collect(path: string, into: Record<string, string>, as: string): Call<void> {
  yield* thread(function* (): Body {
    const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
    into[as] = text(yield* drain(fd));
    return 0;
  });
}

/** A thread that keeps what comes. */
function* listen(s: Subscription, into: Envelope[]): Call<void> {
  yield* thread(function* (): Body {
    for (;;) {
      const more = yield* nextEvents(s);
      if (!more) return 0;
      into.push(...more);
    }
  });
}

const machine = { programs: { show }, tree: bundle(['show'], () => {}) };

describe('tasks of containerd', () => {
  it('runs a process whose streams are fifos, and tells of its life', () => {
    const out = onHost(function* () {
      yield* daemon();
      const got: Record<string, string> = {};
      const f = yield* fifos('a', ['stdout', 'stderr']);
      yield* collect(f.stdout!, got, 'out');
      yield* collect(f.stderr!, got, 'err');
      const events: Envelope[] = [];
      const s = yield* subscribe('moby');
      yield* listen(s, events);
      const made = yield* tasks('moby', 'Create', { ...NONE, stdout: f.stdout!, stderr: f.stderr!, containerId: 'abc', spec: specOf(['show', 'say', 'hello', '3']) });
      yield* tasks('moby', 'Start', { containerId: 'abc' });
      const end = yield* tasks('moby', 'Wait', { containerId: 'abc' });
      const removed = yield* tasks('moby', 'Delete', { containerId: 'abc' });
      yield* sys('nanosleep', 100e6);
      return { made, end, removed, got, topics: events.map((e) => e.topic), left: yield* list('/run/containerd/io.containerd.runtime.v2.task/moby') };
    }, machine);
    expect(out.got).toEqual({ out: 'hello\n', err: 'to stderr\n' });
    expect(out.end.exitStatus).toBe(3);
    expect(out.removed.exitStatus).toBe(3);
    expect(out.topics).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    expect(out.left).toEqual([]);
  });

  it('says what runc says', () => {
    const message = onHost(function* () {
      yield* daemon();
      try {
        yield* tasks('moby', 'Create', { ...NONE, containerId: 'abc', spec: specOf(['nosuchcmd']) });
      } catch (error) {
        if (error instanceof Refusal) return error.message;
        throw error;
      }
      return '';
    }, machine);
    expect(message).toBe('failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nosuchcmd": executable file not found in $PATH: unknown');
  });

  it('reports an OOM kill before the end it causes', () => {
    const topics = onHost(function* () {
      yield* daemon();
      const events: Envelope[] = [];
      const s = yield* subscribe('moby');
      yield* listen(s, events);
      yield* tasks('moby', 'Create', { ...NONE, containerId: 'abc', spec: specOf(['show', 'grow', '64'], (x) => {
        x.linux.resources = { memory: { limit: 20 << 20 } };
      }) });
      yield* tasks('moby', 'Start', { containerId: 'abc' });
      yield* tasks('moby', 'Wait', { containerId: 'abc' });
      yield* sys('nanosleep', 100e6);
      return events.map((e) => `${e.topic} ${e.event.exitStatus ?? ''}`);
    }, machine);
    expect(topics).toEqual(['/tasks/create ', '/tasks/start ', '/tasks/oom ', '/tasks/exit 137']);
  });

  it('passes stdin on and ends it when asked; runs more processes; kills', () => {
    const out = onHost(function* () {
      yield* daemon();
      const got: Record<string, string> = {};
      const f = yield* fifos('a', ['stdin', 'stdout']);
      yield* tasks('moby', 'Create', { ...NONE, containerId: 'abc', spec: specOf(['show', 'sleep', '100']) });
      yield* tasks('moby', 'Start', { containerId: 'abc' });
      yield* collect(f.stdout!, got, 'out');
      const spec = { ...specOf(['show', 'cat']).process };
      yield* tasks('moby', 'Exec', { ...NONE, stdin: f.stdin!, stdout: f.stdout!, containerId: 'abc', execId: 'e1', spec });
      yield* tasks('moby', 'Start', { containerId: 'abc', execId: 'e1' });
      const fd = yield* sys('openat', AT_FDCWD, f.stdin!, O_RDWR);
      yield* writeAll(fd, bytes('through the pipe\n'));
      yield* sys('close', fd);
      const pids = (yield* tasks('moby', 'ListPids', { containerId: 'abc' })).processes.length;
      yield* tasks('moby', 'CloseIO', { containerId: 'abc', execId: 'e1' });
      const first = yield* tasks('moby', 'Wait', { containerId: 'abc', execId: 'e1' });
      yield* tasks('moby', 'Delete', { containerId: 'abc', execId: 'e1' });
      yield* tasks('moby', 'Kill', { containerId: 'abc', signal: 9 });
      const second = yield* tasks('moby', 'Wait', { containerId: 'abc' });
      return { got, pids, first: first.exitStatus, second: second.exitStatus };
    }, machine);
    expect(out).toEqual({ got: { out: 'through the pipe\n' }, pids: 2, first: 0, second: 137 });
  });

  it('gives a terminal', () => {
    const out = onHost(function* () {
      yield* daemon();
      const got: Record<string, string> = {};
      const f = yield* fifos('a', ['stdin', 'stdout']);
      yield* collect(f.stdout!, got, 'out');
      yield* tasks('moby', 'Create', { stdin: f.stdin!, stdout: f.stdout!, stderr: '', terminal: true, containerId: 'abc', spec: specOf(['show', 'tty'], (s) => {
        s.process.terminal = true;
      }) });
      yield* tasks('moby', 'Start', { containerId: 'abc' });
      yield* tasks('moby', 'ResizePty', { containerId: 'abc', width: 100, height: 30 });
      yield* tasks('moby', 'Wait', { containerId: 'abc' });
      yield* sys('nanosleep', 50e6);
      return got;
    }, machine);
    expect(out).toEqual({ out: '136\r\n' });
  });

  it('has shims that outlive it', () => {
    const out = onHost(function* () {
      const first = yield* daemon();
      yield* tasks('moby', 'Create', { ...NONE, containerId: 'abc', spec: specOf(['show', 'sleep', '100']) });
      yield* tasks('moby', 'Start', { containerId: 'abc' });
      yield* sys('kill', first, 9);
      yield* sys('nanosleep', 50e6);
      yield* sys('unlinkat', AT_FDCWD, '/run/containerd/containerd.sock', 0);
      yield* daemon();
      const before = (yield* tasks('moby', 'Get', { containerId: 'abc' })).process.status;
      yield* tasks('moby', 'Kill', { containerId: 'abc', signal: 15 });
      yield* tasks('moby', 'Kill', { containerId: 'abc', signal: 9 });
      const { exitStatus } = yield* tasks('moby', 'Wait', { containerId: 'abc' });
      return { before, exitStatus, log: (yield* tryRead('/tmp/containerd.log')) !== null };
    }, machine);
    expect(out).toEqual({ before: 'RUNNING', exitStatus: 137, log: true });
  });
});
