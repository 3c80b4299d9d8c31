/** Starting the children of pid 1, each in its cgroup and session, and learning that one has ended without waiting for it. */
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, SIG, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { attempt, mkdirAll, poke, readText } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { strerror } from '../lib/io.ts';
import { addEntry } from './journal.ts';

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
  /** The unit whose process it is, to whose journal its failure to start goes; '' none. */
  unit?: string;
  /** Where a bare name is looked for. */
  path?: string;
  /** User= and Group= as the unit has them; '' none. */
  names?: { user: string; group: string };
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
  const who = yield* identity(what);
  if (who === null) return yield* gaveUp(what, 'Failed to determine user credentials: No such process', 'USER', 'No such process', 217);
  if ((yield* attempt(sys('chdir', what.cwd), null)) === null && what.unit) return yield* gaveUp(what, 'Changing to the requested working directory failed: No such file or directory', 'CHDIR', 'No such file or directory', 200);
  if (who.gid !== null) yield* attempt(sys('setresgid', who.gid, who.gid, who.gid), 0);
  if (who.uid !== null) yield* attempt(sys('setresuid', who.uid, who.uid, who.uid), 0);
  const file = what.argv[0]!;
  let why = 'No such file or directory';
  for (const dir of file.includes('/') ? [''] : (what.path ?? '/usr/bin').split(':').map((one) => `${one}/`)) {
    try {
      yield* sys('execve', `${dir}${file}`, what.argv, who.env);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      why = strerror(error);
    }
  }
  return yield* gaveUp(what, why === 'No such file or directory' ? `Unable to locate executable '${file}': ${why}` : `Failed to execute ${file}: ${why}`, 'EXEC', why, 203);
}

/** What kept it from starting, as the child itself tells the journal. Source: exec_invoke(). */
function* gaveUp(what: Started, first: string, step: string, why: string, status: number): Body {
  if (!what.unit) return status;
  const base = { at: yield* sys('clock_gettime', 'realtime'), unit: what.unit, ident: `(${what.argv[0]!.split('/').pop()!.slice(-8)})`, pid: yield* sys('getpid'), priority: 3 };
  yield* attempt(addEntry({ ...base, message: `${what.unit}: ${first}` }), undefined);
  yield* attempt(addEntry({ ...base, message: `${what.unit}: Failed at step ${step} spawning ${what.argv[0]}: ${why}` }), undefined);
  return status;
}

interface Identity {
  uid: number | null;
  gid: number | null;
  env: Readonly<Record<string, string>>;
}

/** User= and Group= by the machine's accounts; null when there is none of them. */
function* identity(what: Started): Call<Identity | null> {
  const { user = '', group = '' } = what.names ?? {};
  const given = what.user ?? { uid: null, gid: null };
  if (user === '' && group === '') return { ...given, env: what.env };
  const line = function* (file: string, name: string): Call<string[] | null> {
    return ((yield* attempt(readText(file), '')).split('\n').map((one) => one.split(':')).find((one) => one[0] === name || (/^\d+$/.test(name) && one[2] === name))) ?? null;
  };
  const account = user === '' ? null : yield* line('/etc/passwd', user);
  const grouped = group === '' ? null : yield* line('/etc/group', group);
  if ((user !== '' && !account && !/^\d+$/.test(user)) || (group !== '' && !grouped && !/^\d+$/.test(group))) return null;
  const uid = user === '' ? given.uid : Number(account?.[2] ?? user);
  return { uid, gid: group === '' ? Number(account?.[3] ?? user) : Number(grouped?.[2] ?? group), env: account ? { ...what.env, HOME: account[5]!, LOGNAME: account[0]!, USER: account[0]!, SHELL: account[6] || '/bin/sh' } : what.env };
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
