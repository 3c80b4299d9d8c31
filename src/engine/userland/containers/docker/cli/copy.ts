/** docker cp: archives to and from the daemon. Source: docker/cli container/cp.go, API "archive". */
import {
  AT_FDCWD, AT_SYMLINK_NOFOLLOW, type Errno, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, type Stat, SysError,
} from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { joinBytes } from '../../../../sim/wire.ts';
import { decimalSize } from '../../../lib/clock.ts';
import { attempt, drain, isDir, list, readBytes } from '../../../lib/files.ts';
import { type Call, writeAll } from '../../../lib/http.ts';
import { complain } from '../../../lib/io.ts';
import { unpack } from '../../store.ts';
import { entry, readTar, type TarEntry, writeTar } from '../../tar.ts';
import { isTerminal } from './attach.ts';
import { api, ApiError, type Client, Stop, stream } from './client.ts';
import type { Command } from './command.ts';
import type { Flags } from './flags.ts';

interface End {
  container: string | null;
  path: string;
}

/** "CONTAINER:PATH" or a path here; one that begins with "/" or "." is here. */
function endOf(text: string): End {
  const cut = text.indexOf(':');
  if (cut < 0 || /^[./]/.test(text)) return { container: null, path: text };
  return { container: text.slice(0, cut), path: text.slice(cut + 1) };
}

export const cp: Command = {
  names: ['cp', 'container cp'],
  usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdocker cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH',
  short: 'Copy files/folders between a container and the local filesystem',
  args: [2, 2],
  options:
    '\n  -a, --archive       Archive mode (copy all uid/gid information)\n  -L, --follow-link   Always follow symbol link in SRC_PATH\n  -q, --quiet         Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached\n',
  *run(client, flags) {
    if (flags.args[0] === '') throw new Stop('source can not be empty');
    if (flags.args[1] === '') throw new Stop('destination can not be empty');
    const [from, to] = flags.args.map(endOf) as [End, End];
    if (from.container !== null && to.container !== null) throw new Stop('copying between containers is not supported');
    if (from.container === null && to.container === null) throw new Stop('must specify at least one container source');
    const quiet = flags.on.has('quiet') ? flags.has('quiet') : !(yield* isTerminal(1));
    const copied = from.container !== null ? yield* out(client, from.container, from.path, to.path, flags.has('follow-link')) : yield* into(client, from.path, to.container!, to.path, flags);
    if (!quiet && copied !== null) yield* complain(`Successfully copied ${decimalSize(copied.size, 3)} to ${copied.to}\n`);
    return 0;
  },
};

type Copied = { size: number; to: string } | null;

/** A side of a copy: where, whether it is there and a directory, and the name its entries take instead of their own. */
interface Side {
  path: string;
  exists: boolean;
  dir: boolean;
  rebase?: string;
}

const current = (path: string): boolean => /(^|\/)\.\/*$/.test(path);
const assertsDirectory = (path: string): boolean => path.endsWith('/') || current(path);
const baseOf = (path: string): string => (current(path) ? '.' : cleaned(path).split('/').pop() || '/');
const parentOf = (path: string): string => (current(path) ? cleaned(path) : cleaned(path).replace(/\/[^/]*$/, '') || '/');

/** Go's filepath.Clean of an absolute path. */
function cleaned(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/').filter((p) => p !== '' && p !== '.')) {
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** The path made absolute; that it asserts a directory stays. */
function* absolute(path: string): Call<string> {
  const clean = cleaned(path.startsWith('/') ? path : `${yield* sys('getcwd')}/${path}`);
  return current(path) ? `${clean === '/' ? '' : clean}/.` : path.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}

/** A link's target in place of a path, that keeps how the path ended and its last name. */
function retarget(path: string, target: string): { path: string; rebase?: string } {
  const kept = current(path) && !current(target) ? `${target}/.` : path.endsWith('/') && !target.endsWith('/') ? `${target}/` : target;
  return { path: kept, ...(baseOf(path) !== baseOf(kept) ? { rebase: baseOf(path) } : {}) };
}

/** Where the archive is unpacked and the name its first entries get there, null to keep theirs. Throws Stop. */
function landing(source: Side, target: Side): { at: string; name: string | null } {
  if (target.exists && target.dir) return { at: target.path, name: null };
  if (target.exists && source.dir) throw new Stop('cannot copy directory');
  if (!target.exists && !source.dir && assertsDirectory(target.path)) throw new Stop('no such directory');
  return { at: parentOf(target.path), name: baseOf(target.path) };
}

/** A path here must be in a directory that is there, and be none but a directory or a file. */
function* checkOutput(path: string): Call<void> {
  const parent = cleaned(path).replace(/\/[^/]*$/, '') || '/';
  if (!(yield* attempt(sys('newfstatat', AT_FDCWD, parent, 0), null))) throw new Stop(`invalid output path: directory ${JSON.stringify(parent)} does not exist`);
  const stat = yield* told('stat', path, 0, 'ENOENT');
  const kind = (stat?.mode ?? S_IFREG) & S_IFMT;
  if (kind === S_IFREG || kind === S_IFDIR) return;
  throw new Stop(`invalid output path: ${JSON.stringify(path)} must be a directory or a regular file: got a${kind === S_IFCHR || kind === S_IFBLK ? ' device' : 'n irregular file'}`);
}

/** What stat says, null for one of the errnos; Stop in Go's words for the others. */
function* told(call: 'stat' | 'lstat', path: string, flags: number, ...fine: Errno[]): Call<Stat | null> {
  try {
    return yield* sys('newfstatat', AT_FDCWD, path, flags);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (fine.includes(error.errno)) return null;
    throw new Stop(`${call} ${path}: ${error.message.toLowerCase()}`);
  }
}

const lstat = (path: string, ...fine: Errno[]): Call<Stat | null> => told('lstat', path, AT_SYMLINK_NOFOLLOW, ...fine);

/** A path here with the links of its directory followed, and its own where asked. */
function* evaluated(path: string, last: boolean): Call<string> {
  let parts = cleaned(path).split('/').filter((p) => p !== '');
  let at = '';
  for (let hops = 0; parts.length > 0; ) {
    const part = parts.shift()!;
    if (part === '..') {
      at = at.slice(0, at.lastIndexOf('/'));
      continue;
    }
    const next = `${at}/${part}`;
    const stat = last || parts.length > 0 ? yield* lstat(next) : null;
    if (stat && (stat.mode & S_IFMT) === S_IFLNK) {
      if (++hops > 255) throw new Stop(`EvalSymlinks: too many links`);
      const target = yield* sys('readlinkat', AT_FDCWD, next);
      parts = [...target.split('/').filter((p) => p !== '' && p !== '.'), ...parts];
      if (target.startsWith('/')) at = '';
    } else at = next;
  }
  return at || '/';
}

/** The source here. */
function* sourceHere(path: string, followed: boolean): Call<Side> {
  const to = yield* evaluated(path, followed || path.endsWith('/') || current(path));
  const { path: real, rebase } = retarget(path, to);
  const stat = (yield* lstat(real))!;
  return { path: real, exists: true, dir: isDir(stat), ...(rebase === undefined ? {} : { rebase }) };
}

/** The target here: what a link names, too, if there is something to put it in. */
function* targetHere(path: string): Call<Side> {
  let at = path;
  for (let hops = 0; ; hops++) {
    const stat = yield* lstat(at, 'ENOENT');
    if (stat && (stat.mode & S_IFMT) !== S_IFLNK) return { path: at, exists: true, dir: isDir(stat) };
    if (!stat) break;
    if (hops > 10) throw new Stop(`too many symlinks in ${path}`);
    const target = yield* sys('readlinkat', AT_FDCWD, at.replace(/\/+$/, ''));
    at = target.startsWith('/') ? target : cleaned(`${parentOf(at)}/${target}`);
  }
  if (!isDir((yield* told('stat', parentOf(at), 0))!)) throw new Stop('not a directory');
  return { path: at, exists: false, dir: false };
}

function* out(client: Client, container: string, path: string, to: string, followed: boolean): Call<Copied> {
  const target = to === '-' ? '-' : yield* absolute(to);
  if (target !== '-') yield* checkOutput(target);
  let source: { path: string; rebase?: string } = { path };
  if (followed) {
    const stat = yield* statIn(client, container, path);
    if (stat?.target !== undefined) source = retarget(path, stat.target);
  }
  const opened = yield* stream(client, 'GET', `/containers/${encodeURIComponent(container)}/archive`, { query: { path: source.path } });
  const parts: Uint8Array[] = [];
  for (;;) {
    const chunk = yield* opened.readChunk();
    if (chunk === null) break;
    parts.push(chunk);
  }
  const data = joinBytes(parts);
  if (target === '-') {
    yield* writeAll(1, data);
    return null;
  }
  const entries = readTar(data);
  const from: Side = { path: source.path, exists: true, dir: entries[0]?.type === 'dir', ...(source.rebase === undefined ? {} : { rebase: source.rebase }) };
  const { at, name } = landing(from, yield* targetHere(target));
  const base = baseOf(`/${source.path}`);
  const mine = named(entries, base, name ?? from.rebase ?? null).map((e) => ({ ...e, uid: 0, gid: 0 }));
  yield* unpack(mine, at);
  return { size: data.length, to: target };
}

/** The same entries with their first part another; null keeps it. What has no name left is the place itself. */
function named(entries: readonly TarEntry[], from: string, to: string | null): TarEntry[] {
  if (to === null) return entries.filter((e) => e.name !== '');
  const first = from === '.' || from === '/' ? '' : from;
  return entries.map((e) => {
    const rest = first === '' ? e.name : e.name.slice(first.length + 1);
    return { ...e, name: rest === '' ? to : `${to}/${rest}` };
  });
}

function* into(client: Client, path: string, container: string, target: string, flags: Flags): Call<Copied> {
  const source = path === '-' ? '-' : yield* absolute(path);
  const side: Side = { path: target, exists: false, dir: false };
  let there = yield* statIn(client, container, target);
  if (there?.target !== undefined) {
    side.path = there.target;
    there = yield* statIn(client, container, there.target);
  }
  const kind = (there?.mode ?? S_IFREG) & S_IFMT;
  if (kind !== S_IFREG && kind !== S_IFDIR && kind !== S_IFLNK)
    throw new Stop(`destination "${container}:${target}" must be a directory or a regular file: got a${kind === S_IFCHR || kind === S_IFBLK ? ' device' : 'n irregular file'}`);
  if (there) Object.assign(side, { exists: true, dir: there.dir });
  const put = function* (raw: Uint8Array, at: string): Call<Copied> {
    const query = { path: at, noOverwriteDirNonDir: 'true', ...(flags.has('archive') ? { copyUIDGID: 'true' } : {}) };
    yield* api(client, 'PUT', `/containers/${encodeURIComponent(container)}/archive`, { raw, query });
    return { size: raw.length, to: `${container}:${side.path}` };
  };
  if (source === '-') {
    if (!side.dir) throw new Stop(`destination "${container}:${target}" must be a directory`);
    yield* put(yield* drain(0), side.path);
    return null;
  }
  const from = yield* sourceHere(source, flags.has('follow-link'));
  const { at, name } = landing(from, { ...side, path: side.path.startsWith('/') ? side.path : `/${side.path}` });
  const entries: TarEntry[] = [];
  const base = baseOf(from.path);
  yield* gather(cleaned(from.path), base === '.' || base === '/' ? '' : base, entries);
  return yield* put(writeTar(named(entries, base, name ?? from.rebase ?? null).filter((e) => e.name !== '')), at);
}

interface Found {
  dir: boolean;
  mode: number;
  /** Of a symbolic link: all it leads through. */
  target?: string;
}

/** Null when it is not there, or the container is not. */
function* statIn(client: Client, container: string, path: string): Call<Found | null> {
  try {
    const answer = yield* api(client, 'GET', `/containers/${encodeURIComponent(container)}/stat`, { query: { path } });
    return answer.missing ? null : answer;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return null;
  }
}

/**
 * A file or tree as entries under a name. `place` says where a path lies, for a tree that is put together from several. A file with more than
 * one name is there once, its other names are hard links to the first.
 */
export function* gather(path: string, name: string, into: TarEntry[], place: (path: string) => string = (p) => p, seen = new Map<number, string>()): Call<void> {
  const stat = yield* sys('newfstatat', AT_FDCWD, place(path), AT_SYMLINK_NOFOLLOW);
  const shared = { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: Math.floor(stat.mtime) };
  const kind = stat.mode & S_IFMT;
  const first = stat.nlink > 1 && !isDir(stat) ? seen.get(stat.ino) : undefined;
  if (first !== undefined) {
    into.push(entry(name, { ...shared, type: 'hardlink', target: first }));
    return;
  }
  if (stat.nlink > 1) seen.set(stat.ino, name);
  if (isDir(stat)) {
    into.push(entry(name, { ...shared, type: 'dir' }));
    for (const e of yield* list(place(path)))
      yield* gather(`${path === '/' ? '' : path}/${e.name}`, name === '' ? e.name : `${name}/${e.name}`, into, place, seen);
  } else if (kind === S_IFLNK) into.push(entry(name, { ...shared, type: 'link', target: yield* sys('readlinkat', AT_FDCWD, place(path)) }));
  else if (kind === S_IFREG) into.push(entry(name, { ...shared, data: yield* readBytes(place(path)) }));
  else if (kind === S_IFIFO) into.push(entry(name, { ...shared, type: 'fifo' }));
  else if (kind === S_IFCHR || kind === S_IFBLK) into.push(entry(name, { ...shared, type: kind === S_IFCHR ? 'chr' : 'blk', rdev: stat.rdev }));
}
