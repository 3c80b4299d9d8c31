/** A machine with every program installed, on which commands run one after another with their streams in files. */
import { AT_FDCWD, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, shellStatus } from '../../../src/engine/kernel/abi.ts';
import { type Body, sys } from '../../../src/engine/kernel/sys.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { drain, fork, list, reap, removeAll, writeFile } from '../../../src/engine/userland/lib/files.ts';
import type { Call } from '../../../src/engine/userland/lib/http.ts';
import { coreutils } from '../../../src/engine/userland/coreutils/table.ts';
import { python3 } from '../../../src/engine/userland/python/table.ts';
import { shell } from '../../../src/engine/userland/sh/table.ts';
import { utilLinux } from '../../../src/engine/userland/util-linux/table.ts';
import { machine, type Machine, until } from '../kernel/harness.ts';

export interface Case {
  argv: readonly string[];
  stdin?: string;
  env?: Record<string, string>;
  /** Files made below the working directory before it runs. */
  files?: Record<string, string>;
}

export interface Outcome {
  stdout: string;
  stderr: string;
  exit: number;
}

export const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8' };

const PROGRAMS = Object.fromEntries(
  Object.entries({ ...shell, ...coreutils, ...utilLinux, ...python3 }).map(([path, program]) => [path.slice(path.lastIndexOf('/') + 1), program]),
);

const EXISTING = new Set(Object.keys(PROGRAMS));

const MOUNTS = [['proc', '/proc', 'proc'], ['sysfs', '/sys', 'sysfs'], ['udev', '/dev', 'devtmpfs'], ['tmpfs', '/tmp', 'tmpfs'], ['cgroup2', '/sys/fs/cgroup', 'cgroup2']] as const;

/** Runs the cases in order on one machine, all in /tmp/area (emptied before each where `fresh`); what each printed. */
export function runAll(cases: readonly Case[], options: { fresh?: boolean; limit?: number } = {}): { outcomes: Outcome[]; machine: Machine } {
  const outcomes: Outcome[] = [];
  let done = false;
  const m = machine({
    tree: {
      '/etc/passwd': { type: 'file', data: 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' },
      '/etc/group': { type: 'file', data: 'root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n' },
    },
    programs: {
      ...PROGRAMS,
      *init(): Body {
        for (const [source, target, type] of MOUNTS) yield* sys('mount', source, target, type, 0, '');
        yield* sys('mkdirat', AT_FDCWD, '/tmp/area', 0o755);
        yield* sys('chdir', '/tmp/area');
        for (const one of cases) {
          if (options.fresh) for (const { name } of yield* list('/tmp/area')) yield* removeAll(`/tmp/area/${name}`);
          outcomes.push(yield* runOne(one));
        }
        done = true;
        for (;;) yield* sys('pause');
      },
    },
  });
  if (!until(m, () => done, options.limit ?? 6000e9)) throw new Error(`not finished: ${JSON.stringify(cases[outcomes.length])}`);
  return { outcomes, machine: m };
}

function* runOne(one: Case): Call<Outcome> {
  if (!EXISTING.has(one.argv[0]!)) return { stdout: '', stderr: 'not modelled', exit: 127 };
  for (const [name, data] of Object.entries(one.files ?? {})) yield* writeFile(name, data);
  const [input, feed] = yield* sys('pipe2', 0);
  if (one.stdin) yield* sys('write', feed, bytes(one.stdin));
  yield* sys('close', feed);
  const pid = yield* fork(function* (): Body {
    yield* sys('dup3', input, 0, 0);
    for (const [fd, path, flags] of [[1, '/tmp/.out', O_WRONLY | O_CREAT | O_TRUNC], [2, '/tmp/.err', O_WRONLY | O_CREAT | O_TRUNC]] as const) {
      const opened = yield* sys('openat', AT_FDCWD, path, flags, 0o600);
      yield* sys('dup3', opened, fd, 0);
    }
    yield* sys('execve', `/bin/${one.argv[0]!}`, one.argv, { ...ENVIRONMENT, ...one.env });
    return 127;
  });
  yield* sys('close', input);
  const exit = shellStatus(yield* reap(pid));
  return { stdout: yield* take('/tmp/.out'), stderr: yield* take('/tmp/.err'), exit };
}

function* take(path: string): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  const data = yield* drain(fd);
  yield* sys('close', fd);
  return text(data);
}
