/**
 * Small sequences of system calls on files that the container programs share: whole-file reads and writes, directories
 * with their parents, removal of trees, and waiting for a child. Every one throws SysError as the call it makes does.
 */
import {
  AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, type Errno, O_APPEND, O_CREAT, O_DIRECTORY, O_RDONLY, O_TRUNC, O_WRONLY, S_IFDIR, S_IFMT, type Stat,
  SysError,
} from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { type Call, writeAll } from './http.ts';

export function* readBytes(path: string): Call<Uint8Array> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  try {
    return yield* drain(fd);
  } finally {
    yield* sys('close', fd);
  }
}

/** As Go's runtime does when a program starts: as many descriptors as the process may give itself. Source: os/rlimit.go. */
export function* raiseFiles(): Call<void> {
  const { max } = yield* sys('prlimit64', 0, 'NOFILE', null);
  yield* sys('prlimit64', 0, 'NOFILE', { cur: max, max });
}

/** Everything up to end of file. */
export function* drain(fd: number): Call<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const data = yield* sys('read', fd, 65536);
    if (data.length === 0) return parts.length === 1 ? parts[0]! : joinBytes(parts);
    parts.push(data);
  }
}

export function* readText(path: string): Call<string> {
  return text(yield* readBytes(path));
}

/** The text, or null when there is no such file (or it cannot be read). */
export function* tryRead(path: string): Call<string | null> {
  return yield* attempt(readText(path), null);
}

export function* writeFile(path: string, data: string | Uint8Array, mode = 0o644): Call<void> {
  yield* put(path, data, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

export function* appendFile(path: string, data: string | Uint8Array): Call<void> {
  yield* put(path, data, O_WRONLY | O_CREAT | O_APPEND, 0o640);
}

/** Writes to a file that exists: an interface file of the kernel. */
export function* poke(path: string, value: string): Call<void> {
  yield* put(path, value, O_WRONLY, 0);
}

function* put(path: string, data: string | Uint8Array, flags: number, mode: number): Call<void> {
  const fd = yield* sys('openat', AT_FDCWD, path, flags, mode);
  try {
    const all = typeof data === 'string' ? bytes(data) : data;
    if (all.length > 0) yield* writeAll(fd, all);
  } finally {
    yield* sys('close', fd);
  }
}

/** Runs a call; a failed system call (of these errnos, or any) gives `otherwise`. */
export function* attempt<T, U>(call: Call<T>, otherwise: U, ...errnos: Errno[]): Call<T | U> {
  try {
    return yield* call;
  } catch (error) {
    if (!(error instanceof SysError) || (errnos.length > 0 && !errnos.includes(error.errno))) throw error;
    return otherwise;
  }
}

export function* statOf(path: string): Call<Stat | null> {
  return yield* attempt(sys('newfstatat', AT_FDCWD, path, 0), null);
}

export function* exists(path: string): Call<boolean> {
  return (yield* statOf(path)) !== null;
}

export function isDir(stat: Stat): boolean {
  return (stat.mode & S_IFMT) === S_IFDIR;
}

/** mkdir -p. */
export function* mkdirAll(path: string, mode = 0o755): Call<void> {
  if (path === '' || path === '/' || (yield* statOf(path))) return;
  const up = path.replace(/\/+[^/]*\/*$/, '');
  if (up !== path) yield* mkdirAll(up, mode);
  yield* attempt(sys('mkdirat', AT_FDCWD, path, mode), 0, 'EEXIST');
}

/** rm -rf; what cannot be removed stays, silently. */
export function* removeAll(path: string): Call<void> {
  const stat = yield* attempt(sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), null);
  if (!stat) return;
  if (!isDir(stat)) {
    yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0);
    return;
  }
  for (const e of yield* list(path)) yield* removeAll(`${path}/${e.name}`);
  yield* attempt(sys('unlinkat', AT_FDCWD, path, AT_REMOVEDIR), 0);
}

/** Entries without "." and "..", sorted by name. */
export function* list(path: string): Call<{ name: string; type: string }[]> {
  return (yield* entriesAt(path)).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** By name, but where the file system's own order is the real one. */
export function* walked(dir: string): Call<{ name: string; type: string }[]> {
  const held = yield* attempt(sys('statfs', dir), null);
  return held && ['cgroup2', 'sysfs'].includes(held.type) ? yield* entriesAt(dir) : yield* list(dir);
}

/** Entries without "." and "..", as the file system gives them. */
export function* entriesAt(path: string): Call<{ name: string; type: string }[]> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY | O_DIRECTORY), -1);
  if (fd < 0) return [];
  const entries: { name: string; type: string }[] = [];
  for (;;) {
    // A directory that was removed while it was open is at its end, as readdir(3) has it.
    const some = yield* attempt(sys('getdents64', fd), [], 'ENOENT');
    if (some.length === 0) break;
    for (const e of some) if (e.name !== '.' && e.name !== '..') entries.push({ name: e.name, type: e.type });
  }
  yield* sys('close', fd);
  return entries;
}

/** Bytes of the regular files below, and how many entries there are. */
export function* treeSize(path: string, seen: Set<number> = new Set()): Call<number> {
  let size = 0;
  for (const e of yield* list(path)) {
    if (e.type === 'dir') {
      size += yield* treeSize(`${path}/${e.name}`, seen);
      continue;
    }
    const stat = yield* attempt(sys('newfstatat', AT_FDCWD, `${path}/${e.name}`, AT_SYMLINK_NOFOLLOW), null);
    if (!stat || seen.has(stat.ino)) continue;
    if (stat.nlink > 1) seen.add(stat.ino);
    size += stat.size;
  }
  return size;
}

/** Parses a JSON file; null when it is missing or broken. */
export function* readJson<T>(path: string): Call<T | null> {
  const source = yield* tryRead(path);
  if (source === null) return null;
  try {
    return JSON.parse(source) as T;
  } catch {
    return null;
  }
}

/** fork: a child process that runs `run`. */
export function* fork(run: () => Body, flags = 0): Call<number> {
  return yield* sys('clone', { flags, run });
}

/** Waits for this child; its status word. */
export function* reap(pid: number): Call<number> {
  for (;;) {
    try {
      return (yield* sys('wait4', pid, 0)).status;
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EINTR') throw error;
    }
  }
}

export function* say(fd: number, line: string): Call<void> {
  yield* attempt(writeAll(fd, bytes(line)), undefined);
}
