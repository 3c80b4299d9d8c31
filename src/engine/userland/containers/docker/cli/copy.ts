/** docker cp: archives to and from the daemon. Source: docker/cli container/cp.go, API "archive". */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFLNK, S_IFMT, S_IFREG } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { joinBytes } from '../../../../sim/wire.ts';
import { decimalSize } from '../../../lib/clock.ts';
import { attempt, drain, isDir, list, readBytes, statOf } from '../../../lib/files.ts';
import { type Call, writeAll } from '../../../lib/http.ts';
import { complain } from '../../../lib/io.ts';
import { unpack } from '../../store.ts';
import { entry, readTar, type TarEntry, writeTar } from '../../tar.ts';
import { isTerminal } from './attach.ts';
import { api, type Client, Stop, stream } from './client.ts';
import type { Command } from './command.ts';

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
    const size =
      from.container !== null
        ? yield* out(client, from.container, from.path, to.path)
        : yield* into(client, from.path, to.container!, to.path);
    if (!quiet && size !== null)
      yield* complain(`Successfully copied ${decimalSize(size, 3)} to ${to.container === null ? to.path : `${to.container}:${to.path}`}\n`);
    return 0;
  },
};

function* out(client: Client, container: string, path: string, target: string): Call<number | null> {
  const opened = yield* stream(client, 'GET', `/containers/${encodeURIComponent(container)}/archive`, { query: { path } });
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
  const name = entries[0]?.name.split('/')[0] ?? '';
  const there = yield* statOf(target);
  const contents = path.endsWith('/.');
  if (there && !isDir(there) && entries[0]?.type === 'dir') throw new Stop('cannot copy directory');
  if (there && isDir(there)) {
    yield* unpack(contents ? renamed(entries, name, '') : entries, target);
    return data.length;
  }
  const cut = target.replace(/\/+$/, '').lastIndexOf('/');
  const parent = cut < 0 ? '.' : target.slice(0, cut) || '/';
  if (!(yield* statOf(parent)) || (target.endsWith('/') && entries[0]?.type !== 'dir'))
    throw new Stop(`invalid output path: directory ${JSON.stringify(target.endsWith('/') ? target : parent)} does not exist`);
  yield* unpack(renamed(entries, name, target.replace(/\/+$/, '').slice(cut + 1)), parent);
  return data.length;
}

/** The same entries with their first part another. */
function renamed(entries: readonly TarEntry[], from: string, to: string): TarEntry[] {
  return entries
    .map((e) => ({ ...e, name: e.name === from ? to : `${to === '' ? '' : `${to}/`}${e.name.slice(from.length + 1)}` }))
    .filter((e) => e.name !== '');
}

function* into(client: Client, path: string, container: string, target: string): Call<number | null> {
  const there = yield* statIn(client, container, target);
  if (path === '-') {
    if (there === null || !there.dir) throw new Stop(`destination "${container}:${target}" must be a directory`);
    yield* api(client, 'PUT', `/containers/${encodeURIComponent(container)}/archive`, { raw: yield* drain(0), query: { path: target } });
    return null;
  }
  const clean = path.replace(/\/+$/, '') || '/';
  const stat = yield* attempt(sys('newfstatat', AT_FDCWD, clean, AT_SYMLINK_NOFOLLOW), null);
  if (!stat) throw new Stop(`lstat ${yield* absolute(clean)}: no such file or directory`);
  const name = clean.replace(/\/\.$/, '').split('/').pop()!;
  const asDir = there?.dir ?? false;
  if (there && !there.dir && isDir(stat)) throw new Stop('cannot copy directory');
  if (!there && target.endsWith('/') && !isDir(stat)) throw new Stop('no such directory');
  const cut = target.replace(/\/+$/, '').lastIndexOf('/');
  const contents = path.endsWith('/.');
  const inside = asDir ? (contents ? '' : name) : target.replace(/\/+$/, '').slice(cut + 1);
  const entries: TarEntry[] = [];
  yield* gather(clean, inside, entries);
  const data = writeTar(entries.filter((e) => e.name !== ''));
  yield* api(client, 'PUT', `/containers/${encodeURIComponent(container)}/archive`, {
    raw: data,
    query: { path: asDir ? target : target.slice(0, Math.max(cut, 0)) || '/' },
  });
  return data.length;
}

function* absolute(path: string): Call<string> {
  return path.startsWith('/') ? path : `${yield* sys('getcwd')}/${path}`;
}

function* statIn(client: Client, container: string, path: string): Call<{ dir: boolean } | null> {
  const answer = yield* api(client, 'GET', `/containers/${encodeURIComponent(container)}/stat`, { query: { path } });
  return answer.missing ? null : answer;
}

/** A file or tree here as entries under a name. */
export function* gather(path: string, name: string, into: TarEntry[]): Call<void> {
  const stat = yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  const shared = { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: Math.floor(stat.mtime) };
  const kind = stat.mode & S_IFMT;
  if (isDir(stat)) {
    into.push(entry(name, { ...shared, type: 'dir' }));
    for (const e of yield* list(path))
      yield* gather(`${path === '/' ? '' : path}/${e.name}`, name === '' ? e.name : `${name}/${e.name}`, into);
  } else if (kind === S_IFLNK) into.push(entry(name, { ...shared, type: 'link', target: yield* sys('readlinkat', AT_FDCWD, path) }));
  else if (kind === S_IFREG) into.push(entry(name, { ...shared, data: yield* readBytes(path) }));
}
