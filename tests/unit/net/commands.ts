/** Runs command lines with the network programs on one machine: words, quotes and ";" only, as a stand-in for a shell. */
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY, SysError } from '../../../src/engine/kernel/abi.ts';
import { type Body, type Program, sys } from '../../../src/engine/kernel/sys.ts';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { text } from '../../../src/engine/sim/text.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { net } from '../../../src/engine/userland/net/table.ts';
import { run } from '../kernel/harness.ts';

export interface Output {
  cmd: string;
  stdout: string;
  stderr: string;
  exit: number;
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
export const NET_PROGRAMS: Record<string, Program> = Object.fromEntries(Object.entries(net).map(([path, program]) => [nameOf(path), program]));

function words(source: string): string[] {
  return [...source.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map((m) => m[1]?.replace(/\\(.)/g, '$1') ?? m[2] ?? m[3]!);
}

function parts(source: string): string[] {
  return [...source.matchAll(/(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^;"'])+/g)].map((m) => m[0].trim()).filter(Boolean);
}

function* script(source: string): Body {
  let status = 0;
  for (const part of parts(source)) {
    const background = part.endsWith('&');
    const argv = words(part.replace(/&$/, ''));
    if (argv[0] === 'sleep') {
      yield* sys('nanosleep', Number(argv[1]) * SECOND);
      continue;
    }
    const pid = yield* sys('clone', {
      flags: 0,
      *run(): Body {
        try {
          yield* sys('execve', `/bin/${argv[0]}`, argv, { PATH: '/bin' });
        } catch (error) {
          if (!(error instanceof SysError)) throw error;
        }
        return 127;
      },
    });
    if (!background) status = (yield* sys('wait4', pid, 0)).status >> 8;
  }
  return status;
}

const sh: Program = (argv) => script(argv[2] ?? '');

function* slurp(path: string) {
  const fd = yield* sys('openat', AT_FDCWD, path, 0);
  const data = yield* sys('read', fd, 1_000_000);
  yield* sys('close', fd);
  return text(data);
}

export function runCommands(lines: readonly string[], more: { programs?: Record<string, Program>; network?: { address: string } | null; tree?: Tree; limit?: number } = {}): Output[] {
  const out: Output[] = [];
  run(function* (): Body {
    yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
    yield* sys('mount', 'tmpfs', '/run', 'tmpfs', 0, '');
    yield* sys('mount', 'sysfs', '/sys', 'sysfs', 0, '');
    for (const cmd of lines) {
      const pid = yield* sys('clone', {
        flags: 0,
        *run(): Body {
          for (const [fd, path] of [[1, '/tmp/out'], [2, '/tmp/err']] as const) {
            const opened = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
            yield* sys('dup3', opened, fd, 0);
            yield* sys('close', opened);
          }
          return (yield* script(cmd)) as number;
        },
      });
      const { status } = yield* sys('wait4', pid, 0);
      out.push({ cmd, stdout: yield* slurp('/tmp/out'), stderr: yield* slurp('/tmp/err'), exit: status >> 8 });
    }
  }, { programs: { ...NET_PROGRAMS, sh, ...more.programs }, network: more.network ?? null, limit: more.limit ?? 600 * SECOND, ...(more.tree ? { tree: more.tree } : {}) });
  return out;
}
