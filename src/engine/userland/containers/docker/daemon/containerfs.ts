/**
 * A container's files as docker cp sees them: its layer with volumes, binds and docker's own files over it, whether it runs or not; a tmpfs and
 * what the kernel shows (/proc, /dev) are not there. Source: moby daemon/containerfs_linux.go, archive_unix.go, pkg/archive/copy.go.
 */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFLNK, S_IFMT } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { attempt, isDir, statOf } from '../../../lib/files.ts';
import { beginStream, type Call, endStream, type Exchange, writeChunk } from '../../../lib/http.ts';
import { gather } from '../cli/copy.ts';
import { ImageError, inflate } from '../../oci.ts';
import { unpack } from '../../store.ts';
import { readTar, type TarEntry, TarError, writeTar } from '../../tar.ts';
import { withMounted } from './layers.ts';
import { directoryOf } from './record.ts';
import { userOf } from './spec.ts';
import { type Any, type Container, Refused } from './state.ts';

/** Where a path of the container lies on the host. */
type Place = (path: string) => string;

function placesOf(c: Container, root: string): Place {
  const own = ['hostname', 'hosts', 'resolv.conf'].map((name) => [`/etc/${name}`, `${directoryOf(c.ID)}/${name}`] as const);
  const over = [...own, ...c.MountPoints.filter((m) => m.Type !== 'tmpfs').map((m) => [m.Destination, m.Source] as const)].sort(([a], [b]) => b.length - a.length);
  return (path) => {
    const [at, source] = over.find(([to]) => path === to || path.startsWith(`${to}/`)) ?? ['', root];
    return `${source}${path.slice(at.length)}`;
  };
}

const partsOf = (path: string): string[] => path.split('/').filter((p) => p !== '' && p !== '.');

/** A path with its symbolic links followed inside the container, the last one too where asked. */
export function* follow(place: Place, path: string, last = true): Call<string> {
  let parts = partsOf(path);
  let at = '';
  for (let hops = 0; parts.length > 0; ) {
    const part = parts.shift()!;
    if (part === '..') {
      at = at.slice(0, at.lastIndexOf('/'));
      continue;
    }
    const target = last || parts.length > 0 ? yield* attempt(sys('readlinkat', AT_FDCWD, place(`${at}/${part}`)), null) : null;
    if (target === null || ++hops > 40) at += `/${part}`;
    else {
      parts = [...partsOf(target), ...parts];
      if (target.startsWith('/')) at = '';
    }
  }
  return at;
}

/** A path under a root, symbolic links followed inside it. */
export function* resolve(root: string, path: string): Call<string> {
  return `${root}${yield* follow((at) => `${root}${at}`, path)}`;
}

/** "/a/./b/" keeps that it names a directory. */
const namesDirectory = (path: string): boolean => path.endsWith('/') || path.endsWith('/.') || path === '.';

const notFound = (x: Exchange, path: string): Refused => new Refused(404, `Could not find the file ${path} in container ${/\/containers\/([^/]+)/.exec(x.path)?.[1] ?? ''}`);

/** What a path is: a directory, another file, a symbolic link with all it leads through; or that it is not there. */
export function* statArchive(c: Container, path: string): Call<Any> {
  return yield* withMounted(c, function* (root): Call<Any> {
    const place = placesOf(c, root);
    const at = yield* follow(place, path, namesDirectory(path));
    const stat = yield* attempt(sys('newfstatat', AT_FDCWD, place(at), AT_SYMLINK_NOFOLLOW), null);
    if (!stat || (namesDirectory(path) && !isDir(stat))) return { missing: true };
    const link = (stat.mode & S_IFMT) === S_IFLNK;
    return { dir: isDir(stat), mode: stat.mode, ...(link ? { target: (yield* follow(place, at)) || '/' } : {}) };
  });
}

/** GET: a directory under its last name, "." for one that ends in it; anything else, links too, by itself. */
export function* getArchive(c: Container, path: string, x: Exchange): Call<void> {
  const data = yield* withMounted(c, function* (root): Call<Uint8Array> {
    const place = placesOf(c, root);
    const at = yield* follow(place, path, namesDirectory(path));
    const stat = yield* attempt(sys('newfstatat', AT_FDCWD, place(at), AT_SYMLINK_NOFOLLOW), null);
    if (!stat || (namesDirectory(path) && !isDir(stat))) throw notFound(x, path);
    const name = /(^|\/)\.\/*$/.test(path) ? '.' : (cleaned(path).split('/').pop() ?? '');
    const entries: TarEntry[] = [];
    yield* gather(at, name === '' ? '/' : name, entries, place);
    return writeTar(name === '' ? entries.map((e) => ({ ...e, name: e.type === 'dir' && e.name === '/' ? '' : e.name.replace(/^\/\//, '/') })) : entries);
  });
  yield* beginStream(x, 200, { 'Content-Type': 'application/x-tar' });
  yield* writeChunk(x, data);
  yield* endStream(x);
}

/** As Go's filepath.Join('/', path). */
function cleaned(path: string): string {
  const out: string[] = [];
  for (const part of partsOf(path)) {
    if (part === '..') out.pop();
    else out.push(part);
  }
  return `/${out.join('/')}`;
}

/** PUT: unpacks into a directory. With `own` files belong to the user that the container runs as, if it names one. */
export function* putArchive(c: Container, path: string, x: Exchange, own: boolean): Call<void> {
  yield* withMounted(c, function* (root): Call<void> {
    const place = placesOf(c, root);
    const at = yield* follow(place, path);
    const stat = yield* statOf(place(at));
    if (!stat) throw notFound(x, path);
    if (!isDir(stat)) throw new Refused(400, 'extraction point is not a directory');
    const into = c.MountPoints.filter((m) => m.Type !== 'tmpfs').find((m) => at === m.Destination || at.startsWith(`${m.Destination}/`));
    if (into && !into.RW) throw new Refused(400, 'mounted volume is marked read-only');
    if (!into && c.HostConfig.ReadonlyRootfs) throw new Refused(400, 'container rootfs is marked read-only');
    const user = own && c.Config.User !== '' ? yield* userOf(c.Config.User, root, []) : null;
    yield* guarded(extract(readTar(inflate(x.data)).map((e) => (user ? { ...e, uid: user.uid, gid: user.gid } : e)), place(at)));
  });
}

/** Neither does a directory give way to another file nor the other way round. */
function* extract(entries: readonly TarEntry[], into: string): Call<void> {
  for (const e of entries) {
    const there = yield* attempt(sys('newfstatat', AT_FDCWD, `${into}/${e.name}`, AT_SYMLINK_NOFOLLOW), null);
    if (!there || e.name === '') continue;
    const words: [string, string] = isDir(there) ? ['directory', 'non-directory'] : ['non-directory', 'directory'];
    if (isDir(there) !== (e.type === 'dir')) throw new TarError(`cannot overwrite ${words[0]} "/${e.name}" with ${words[1]} "/"`);
  }
  yield* unpack(entries, into);
}

/** Archive faults become the daemon's answer. */
export function* guarded<T>(call: Call<T>): Call<T> {
  try {
    return yield* call;
  } catch (error) {
    if (error instanceof TarError || error instanceof ImageError) throw new Refused(500, error.message);
    throw error;
  }
}
