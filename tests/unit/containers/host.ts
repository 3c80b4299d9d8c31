/** A machine for tests of the container programs: /proc, /sys, cgroups and /dev mounted, then commands one after another. */
import { AT_FDCWD, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, shellStatus } from '../../../src/engine/kernel/abi.ts';
import { type Body, type Program, sys } from '../../../src/engine/kernel/sys.ts';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { exampleSpec, type Spec } from '../../../src/engine/userland/containers/runc/spec.ts';
import { runtime } from '../../../src/engine/userland/containers/runtime.ts';
import { attempt, fork, mkdirAll, reap, tryRead } from '../../../src/engine/userland/lib/files.ts';
import type { Call } from '../../../src/engine/userland/lib/http.ts';
import { run as boot } from '../kernel/harness.ts';

export interface Done {
  stdout: string;
  stderr: string;
  exit: number;
}

const ENV = { PATH: '/usr/sbin:/usr/bin:/bin', HOME: '/root' };

/** Every container program, and these besides. */
export function installed(more: Record<string, Program> = {}): { programs: Record<string, Program>; tree: Tree } {
  const programs: Record<string, Program> = { ...more };
  const tree: Tree = {};
  for (const [path, program] of Object.entries(runtime)) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    programs[name] = program;
    tree[path] = { type: 'program', name };
  }
  return { programs, tree };
}

export function* mounts(): Call<void> {
  yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
  yield* sys('mount', 'sysfs', '/sys', 'sysfs', 0, '');
  yield* sys('mount', 'cgroup2', '/sys/fs/cgroup', 'cgroup2', 0, '');
  yield* sys('mount', 'udev', '/dev', 'devtmpfs', 0, '');
  yield* attempt(sys('mount', 'devpts', '/dev/pts', 'devpts', 0, 'gid=5,mode=620,ptmxmode=000'), 0);
  yield* sys('mount', 'tmpfs', '/run', 'tmpfs', 0, 'mode=755');
  yield* mkdirAll('/root');
}

/** Runs a command with its streams in files. */
export function* command(argv: readonly string[]): Call<Done> {
  const pid = yield* fork(function* (): Body {
    for (const [path, flags, fd] of [['/dev/null', O_RDONLY, 0], ['/tmp/out', O_WRONLY | O_CREAT | O_TRUNC, 1], ['/tmp/err', O_WRONLY | O_CREAT | O_TRUNC, 2]] as const) {
      const file = yield* sys('openat', AT_FDCWD, path, flags, 0o644);
      yield* sys('dup3', file, fd, 0);
      yield* sys('close', file);
    }
    yield* sys('execve', argv[0]!.includes('/') ? argv[0]! : `/usr/sbin/${argv[0]}`, argv, ENV);
    return 127;
  });
  const exit = shellStatus(yield* reap(pid));
  return { stdout: (yield* tryRead('/tmp/out')) ?? '', stderr: (yield* tryRead('/tmp/err')) ?? '', exit };
}

/** Boots and runs `script`; what it returned. */
export function onHost<T>(script: () => Call<T>, more: { programs?: Record<string, Program>; tree?: Tree; memory?: number; limit?: number } = {}): T {
  const { programs, tree } = installed(more.programs);
  let result: { value: T } | null = null;
  const ran = boot(
    function* (): Body {
      yield* mounts();
      result = { value: yield* script() };
      return 0;
    },
    { programs, tree: { ...tree, ...more.tree }, limit: more.limit ?? 120e9, ...(more.memory ? { memory: more.memory } : {}) },
  );
  if (!result) throw new Error(`the script did not end: status ${ran.status} ${ran.stderr}${ran.stdout}`);
  return (result as { value: T }).value;
}

/** A bundle at /oci with these programs in its /bin. */
export function bundle(programs: readonly string[], change: (spec: Spec) => void): Tree {
  const spec = exampleSpec();
  spec.process.terminal = false;
  change(spec);
  const tree: Tree = { '/oci/config.json': { type: 'file', data: JSON.stringify(spec) } };
  for (const dir of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) tree[`/oci/rootfs/${dir}`] = { type: 'dir' };
  for (const name of programs) tree[`/oci/rootfs/bin/${name}`] = { type: 'program', name };
  return tree;
}
