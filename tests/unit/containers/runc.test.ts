import { describe, expect, it } from 'vitest';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../src/engine/kernel/abi.ts';
import { type Body, type Program, sys, touch } from '../../../src/engine/kernel/sys.ts';
import { readText, tryRead } from '../../../src/engine/userland/lib/files.ts';
import { print } from '../../../src/engine/userland/lib/io.ts';
import { bundle, command, onHost } from './host.ts';

const show: Program = function* (argv): Body {
  if (argv[1] === 'id') {
    const { nodename } = yield* sys('uname');
    yield* print(`${yield* sys('getpid')} ${nodename} ${yield* sys('getuid')} ${yield* sys('getcwd')}\n`);
  } else if (argv[1] === 'exit') return Number(argv[2]);
  else if (argv[1] === 'sleep') yield* sys('nanosleep', Number(argv[2]) * 1e9);
  else if (argv[1] === 'cat') yield* print((yield* tryRead(argv[2]!)) ?? 'nothing\n');
  else if (argv[1] === 'grow') {
    const size = Number(argv[2]) * 1024 * 1024;
    yield* touch(yield* sys('mmap', size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS), size, 'w');
  }
  return 0;
};
const programs = { show };
const withArgs = (...args: string[]) => bundle(['show'], (s) => {
  s.process.args = args;
});

describe('runc', () => {
  it('runs a process as pid 1 of its own namespaces', () => {
    const done = onHost(() => command(['runc', 'run', '-b', '/oci', 'c1']), { programs, tree: withArgs('show', 'id') });
    expect(done).toEqual({ stdout: '1 runc 0 /\n', stderr: '', exit: 0 });
  });

  it('gives back the exit status', () => {
    expect(onHost(() => command(['runc', 'run', '-b', '/oci', 'c1']), { programs, tree: withArgs('show', 'exit', '7') }).exit).toBe(7);
  });

  const faults: [string[], string][] = [
    [['nosuch'], 'exec: \\"nosuch\\": executable file not found in $PATH'],
    [['/etc'], 'exec: \\"/etc\\": is a directory'],
    [['/nosuch'], 'exec: \\"/nosuch\\": stat /nosuch: no such file or directory'],
  ];
  it.each(faults)('says why %j cannot be run', (args, message) => {
    const done = onHost(() => command(['runc', 'run', '-b', '/oci', 'c1']), { programs, tree: withArgs(...args) });
    expect(done.exit).toBe(1);
    expect(done.stderr).toContain(`msg="runc run failed: unable to start container process: ${message}"`);
  });

  it('kills what passes its memory limit', () => {
    const done = onHost(function* () {
      const ran = yield* command(['runc', 'run', '-b', '/oci', 'c1']);
      return { ...ran, log: (yield* sys('syslog', 'read')).map((l) => l.text).join('\n') };
    }, { programs, tree: bundle(['show'], (s) => {
      s.process.args = ['show', 'grow', '64'];
      s.linux.resources = { memory: { limit: 20 * 1024 * 1024 } };
    }) });
    expect(done.exit).toBe(137);
    expect(done.log).toMatch(/oom-kill:constraint=CONSTRAINT_MEMCG.*oom_memcg=\/c1,task_memcg=\/c1,task=show/);
  });

  it('maps users, with the host\'s devices where none can be made', () => {
    const tree = bundle(['show'], (s) => {
      s.process.args = ['show', 'cat', '/proc/self/uid_map'];
      s.linux.namespaces.push({ type: 'user' });
      const map = [{ containerID: 0, hostID: 100000, size: 65536 }];
      Object.assign(s.linux, { uidMappings: map, gidMappings: map });
    });
    const owned = Object.fromEntries(Object.entries(tree).map(([path, e]) => [path, { ...e, uid: 100000, gid: 100000 }]));
    const done = onHost(() => command(['runc', 'run', '-b', '/oci', 'c1']), { programs, tree: { ...owned, '/oci/rootfs': { type: 'dir', uid: 100000, gid: 100000 } } });
    expect(done).toEqual({ stdout: '         0     100000      65536\n', stderr: '', exit: 0 });
  });

  it('puts a container into a scope of a slice', () => {
    const tree = bundle(['show'], (s) => {
      s.linux.namespaces = s.linux.namespaces.filter((n) => n.type !== 'cgroup');
      s.process.args = ['show', 'cat', '/proc/self/cgroup'];
      s.linux.cgroupsPath = 'a-b.slice:runc:c1';
    });
    const done = onHost(() => command(['runc', '--systemd-cgroup', 'run', '-b', '/oci', 'c1']), { programs, tree });
    expect(done).toEqual({ stdout: '0::/a.slice/a-b.slice/runc-c1.scope\n', stderr: '', exit: 0 });
  });

  it('creates, starts, enters, pauses, kills and deletes', () => {
    const runc = (...args: string[]) => command(['runc', ...args]);
    const out = onHost(function* () {
      const steps: Record<string, unknown> = {};
      steps.create = (yield* runc('create', '-b', '/oci', 'c1')).exit;
      steps.created = /"status": "(\w+)"/.exec((yield* runc('state', 'c1')).stdout)?.[1];
      steps.start = yield* runc('start', 'c1');
      steps.running = /"status": "(\w+)"/.exec((yield* runc('state', 'c1')).stdout)?.[1];
      steps.exec = yield* runc('exec', 'c1', 'show', 'id');
      steps.cgroup = (yield* runc('exec', 'c1', 'show', 'cat', '/proc/self/cgroup')).stdout;
      steps.missing = (yield* runc('exec', 'c1', 'nosuch')).exit;
      steps.pause = (yield* runc('pause', 'c1')).exit;
      steps.paused = (yield* runc('exec', 'c1', 'show', 'id')).stderr.replace(/^.*msg=/, '');
      steps.resume = (yield* runc('resume', 'c1')).exit;
      steps.update = (yield* runc('update', '--memory', '33554432', 'c1')).exit;
      steps.limit = yield* readText('/sys/fs/cgroup/c1/memory.max');
      steps.refused = (yield* runc('delete', 'c1')).stderr.replace(/^.*msg=/, '');
      steps.list = (yield* runc('list', '-q')).stdout;
      steps.kill = (yield* runc('kill', 'c1', 'KILL')).exit;
      yield* sys('nanosleep', 50e6);
      steps.stopped = /"status": "(\w+)"/.exec((yield* runc('state', 'c1')).stdout)?.[1];
      steps.delete = (yield* runc('delete', 'c1')).exit;
      steps.gone = yield* tryRead('/sys/fs/cgroup/c1/cgroup.procs');
      return steps;
    }, { programs, tree: withArgs('show', 'sleep', '1000') });
    expect(out).toEqual({
      create: 0, created: 'created', start: { stdout: '', stderr: '', exit: 0 }, running: 'running', exec: { stdout: expect.stringMatching(/^\d+ runc 0 \/\n$/), stderr: '', exit: 0 },
      cgroup: '0::/\n', missing: 255, pause: 0, paused: '"exec failed: cannot exec in a paused container (use --ignore-paused to override)"\n', resume: 0, update: 0, limit: '33554432\n',
      refused: '"cannot delete container c1 that is not stopped: running"\n', list: 'c1\n', kill: 0, stopped: 'stopped', delete: 0, gone: null,
    });
  });
});
