/** Starting the children of pid 1, each in its cgroup and session, and learning that one has ended without waiting for it. */
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, SIG, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { attempt, mkdirAll, poke } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

export interface Started {
  /** Path below /sys/fs/cgroup; null stays in the parent's. */
  cgroup: string | null;
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Standard output and error; null gives /dev/null. */
  output: number | null;
  cwd: string;
  /** Whom it becomes; null stays who it is. */
  user?: { uid: number | null; gid: number | null };
  /** What becomes its descriptors 0, 1 and 2 (--pipe). */
  streams?: readonly number[];
  /** Limit…=, and of a transient service Nice= and OOMScoreAdjust=. */
  terms?: { nice?: number; oomScoreAdjust?: number; limits?: Readonly<Record<string, string>> };
}

/** Forks and executes; the child's pid. Throws SysError when the fork fails; a failed execve is exit status 203. */
export function* start(what: Started): Call<number> {
  const { cgroup } = what;
  let dir: number | undefined;
  if (cgroup !== null) {
    yield* mkdirAll(`/sys/fs/cgroup${cgroup}`);
    dir = yield* attempt(sys('openat', AT_FDCWD, `/sys/fs/cgroup${cgroup}`, O_RDONLY | O_DIRECTORY | O_CLOEXEC), undefined);
  }
  try {
    return yield* sys('clone', { flags: 0, run: () => become(what), ...(dir === undefined ? {} : { cgroup: dir }) });
  } finally {
    if (dir !== undefined) yield* sys('close', dir);
  }
}

function* become(what: Started): Body {
  yield* sys('rt_sigaction', SIG.CHLD, { handler: 'default' });
  yield* sys('rt_sigprocmask', 'setmask', []);
  yield* attempt(sys('setsid'), 0);
  const nothing = yield* attempt(sys('openat', AT_FDCWD, '/dev/null', O_RDWR), -1);
  if (nothing >= 0) for (const fd of [0, ...(what.output === null ? [1, 2] : [])]) if (fd !== nothing) yield* sys('dup3', nothing, fd, 0);
  if (what.output !== null) for (const fd of [1, 2]) yield* sys('dup3', what.output, fd, 0);
  if (nothing > 2) yield* sys('close', nothing);
  yield* terms(what);
  yield* attempt(sys('chdir', what.cwd), 0);
  const { gid, uid } = what.user ?? { gid: null, uid: null };
  if (gid !== null) yield* attempt(sys('setresgid', gid, gid, gid), 0);
  if (uid !== null) yield* attempt(sys('setresuid', uid, uid, uid), 0);
  try {
    yield* sys('execve', what.argv[0]!, what.argv, what.env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  return 203;
}

/** "soft:hard" or one for both; infinity is none. */
const limitOf = (text: string): number => (text === 'infinity' ? Number.POSITIVE_INFINITY : Number(text));

function* terms({ terms: { nice, oomScoreAdjust, limits } = {}, streams = [] }: Started): Call<void> {
  if (nice !== undefined) yield* attempt(sys('setpriority', 0, 0, nice), 0);
  if (oomScoreAdjust !== undefined) yield* attempt(poke('/proc/self/oom_score_adj', String(oomScoreAdjust)), undefined);
  for (const [resource, value] of Object.entries(limits ?? {})) {
    const [cur = '', max = cur] = value.split(':');
    yield* attempt(sys('prlimit64', 0, resource, { cur: limitOf(cur), max: limitOf(max) }), null);
  }
  for (const [i, fd] of streams.entries()) yield* sys('dup3', fd, i, 0);
  for (const fd of streams) yield* attempt(sys('close', fd), 0);
}

/** A pipe that SIGCHLD writes to: its reading end, to be polled, so that no child's end is missed. */
export function* childPipe(): Call<number> {
  const [r, w] = yield* sys('pipe2', O_CLOEXEC | O_NONBLOCK);
  yield* sys('rt_sigaction', SIG.CHLD, {
    restart: true,
    *handler() {
      yield* attempt(sys('write', w, bytes('!')), 0);
    },
  });
  return r;
}
