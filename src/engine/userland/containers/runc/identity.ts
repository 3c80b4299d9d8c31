/**
 * The last things before a process becomes the program: its directory, ids, capabilities, system-call filter, environment,
 * and which file its first argument names. Source: runc libcontainer/init_linux.go (finalizeNamespace), Go's os/exec.
 */
import { AT_FDCWD, CLOSE_RANGE_CLOEXEC, O_RDONLY, S_IFDIR, S_IFMT, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import type { Process } from './spec.ts';

/** What could not be done, in runc's words. */
export class Refused extends Error {}

const X_OK = 1;

export function* goTo(cwd: string): Call<void> {
  try {
    yield* sys('chdir', cwd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Refused(`chdir to cwd (${JSON.stringify(cwd)}) set in config.json failed: ${error.message.toLowerCase()}`);
  }
}

const capsOf = (names: readonly string[] | undefined): string[] => (names ?? []).map((n) => n.replace(/^CAP_/, '').toLowerCase());

/** Bounding set, groups, ids, then the capabilities that are left. */
export function* becomeUser(process: Process): Call<void> {
  const { user, capabilities } = process;
  const bounding = capsOf(capabilities?.bounding);
  if (capabilities) yield* attempt(sys('capset', { bounding }), 0);
  yield* sys('umask', user.umask ?? 0o022);
  yield* attempt(sys('prctl', 'PR_SET_KEEPCAPS', 1), 0);
  yield* attempt(sys('setgroups', user.additionalGids ?? []), 0);
  yield* attempt(chownStdio(user.uid), undefined);
  yield* id('gid', sys('setresgid', user.gid, user.gid, user.gid));
  yield* id('uid', sys('setresuid', user.uid, user.uid, user.uid));
  yield* attempt(sys('prctl', 'PR_SET_KEEPCAPS', 0), 0);
  if (!capabilities) return;
  const permitted = capsOf(capabilities.permitted);
  const inheritable = capsOf(capabilities.inheritable);
  const ambient = capsOf(capabilities.ambient).filter((c) => permitted.includes(c) && inheritable.includes(c));
  yield* attempt(sys('capset', { permitted, effective: capsOf(capabilities.effective), inheritable, ambient }), 0, 'EPERM');
}

function* id(what: string, call: Call<0>): Call<void> {
  try {
    yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Refused(`set${what} failed: ${error.message.toLowerCase()}`);
  }
}

/** The terminal or the pipes belong to whom the process becomes. */
function* chownStdio(uid: number): Call<void> {
  if (uid === 0) return;
  for (const fd of [0, 1, 2]) {
    const stat = yield* attempt(sys('fstat', fd), null);
    if (!stat || stat.uid === uid || (stat.rdev[0] === 1 && stat.rdev[1] === 3)) continue;
    yield* attempt(sys('fchownat', AT_FDCWD, `/proc/self/fd/${fd}`, uid, stat.gid, 0), 0);
  }
}

/** The file that the first argument names: as Go's exec.LookPath finds and refuses it. */
export function* lookPath(process: Process): Call<string> {
  const name = process.args[0] ?? '';
  const fault = (text: string): Refused => new Refused(`exec: ${JSON.stringify(name)}: ${text}`);
  if (name.includes('/')) {
    const verdict = yield* executable(name);
    if (verdict === 'yes') return name;
    throw fault(verdict === 'missing' ? `stat ${name}: no such file or directory` : verdict);
  }
  const path = (process.env ?? []).filter((e) => e.startsWith('PATH=')).at(-1)?.slice(5) ?? '';
  for (const dir of path.split(':')) {
    const full = `${dir === '' ? '.' : dir}/${name}`;
    if (name !== '' && (yield* executable(full)) === 'yes') return full;
  }
  throw fault('executable file not found in $PATH');
}

function* executable(path: string): Call<'yes' | 'missing' | 'is a directory' | 'permission denied' | 'not a directory'> {
  try {
    const stat = yield* sys('newfstatat', AT_FDCWD, path, 0);
    if ((stat.mode & S_IFMT) === S_IFDIR) return 'is a directory';
    if ((stat.mode & 0o111) === 0) return 'permission denied';
    yield* sys('faccessat', AT_FDCWD, path, X_OK);
    return 'yes';
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.errno === 'ENOENT' ? 'missing' : error.errno === 'ENOTDIR' ? 'not a directory' : 'permission denied';
  }
}

/** The environment, with the home directory that the container's passwd gives where none is set. */
export function* startEnv(process: Process): Call<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const one of process.env ?? []) {
    const cut = one.indexOf('=');
    if (cut > 0) env[one.slice(0, cut)] = one.slice(cut + 1);
  }
  if (!env.HOME) {
    const line = ((yield* tryRead('/etc/passwd')) ?? '').split('\n').find((l) => l.split(':')[2] === String(process.user.uid));
    env.HOME = line?.split(':')[5] || '/';
  }
  return env;
}

/** Words without = are no environment. Throws Refused. */
export function requireEnv(process: Process): void {
  if ((process.env ?? []).some((one) => !one.includes('='))) throw new Refused("invalid environment variable: missing '='");
}

/** What is open is found by /proc, which must be there. Throws Refused. */
export function* requireFds(): Call<void> {
  const listed = yield* attempt(sys('openat', AT_FDCWD, '/proc/self/fd', O_RDONLY), -1);
  if (listed < 0) throw new Refused('error closing exec fds: open /proc/self/fd: no such file or directory');
  yield* sys('close', listed);
}

/** Nothing that the runtime had open stays open in the program. */
export function* closeOnExec(from: number): Call<void> {
  yield* sys('close_range', from, 0x7fffffff, CLOSE_RANGE_CLOEXEC);
}
