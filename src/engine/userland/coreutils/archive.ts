/** tar and gzip. Archives are written and read by containers/tar.ts, compressed by fflate. Source: tar(1), gzip(1). */
import { gzipSync } from 'fflate';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, type Stat, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { inflate } from '../containers/oci.ts';
import { entry, readTar, staysInside, type TarEntry, TarError, writeTar } from '../containers/tar.ts';
import { BadOption, type Options, parseOptions, valueOf } from '../lib/args.ts';
import { attempt, drain, list, mkdirAll, readBytes, removeAll } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { groupName, readAccounts, userName } from './accounts.ts';
import { strftime } from './calendar.ts';
import { globOf } from './ls.ts';
import { modeString } from './modes.ts';
import { joined } from './paths.ts';

const SPEC = 'c/create x/extract t/list r/append u/update f/file= C/directory= v/verbose z/gzip a/auto-compress p/preserve-permissions O/to-stdout j J P/absolute-names k/keep-old-files h/dereference X= T= strip-components= exclude= numeric-owner no-same-owner same-owner overwrite';

export const tar = command(function* (argv) {
  const args = argv.slice(1);
  // The old style: letters without a dash, their values after.
  if (args[0] && !args[0].startsWith('-')) args.splice(0, 1, ...oldStyle(args));
  const o = parseOptions(SPEC, args);
  const doing = (['create', 'extract', 'list'] as const).filter((k) => o.on.has(k));
  if (o.on.has('append') || o.on.has('update') || o.on.has('j') || o.on.has('J')) throw new Failed('not modelled: -r, -u, -j and -J', 2);
  if (doing.length !== 1) throw new BadOption(doing.length === 0 ? "You must specify one of the '-Acdtrux', '--delete' or '--test-label' options" : "You may not specify more than one '-Acdtrux', '--delete' or  '--test-label' option");
  const name = valueOf(o, 'file') ?? '-';
  const target = name === '-' || name.startsWith('/') ? name : joined(yield* sys('getcwd'), name);
  try {
    if (doing[0] === 'create') return yield* create(o, target, name);
    return yield* unpack(o, target, name, doing[0]!);
  } catch (error) {
    if (error instanceof TarError) throw new Failed(`This does not look like a tar archive\ntar: Exiting with failure status due to previous errors (${error.message})`, 2);
    throw error;
  }
}, 2);

function oldStyle(args: string[]): string[] {
  const out: string[] = [];
  const values = args.splice(1);
  for (const letter of args[0]!) {
    out.push(`-${letter}`);
    if ('fCXT'.includes(letter)) out.push(values.shift() ?? '');
  }
  args.push(...values);
  return out;
}

function* enter(o: Options): Call<void> {
  const dir = valueOf(o, 'directory');
  if (dir === undefined) return;
  try {
    yield* sys('chdir', dir);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${dir}: Cannot open: ${strerror(error)}\ntar: Error is not recoverable: exiting now`, 2);
  }
}

function* create(o: Options, target: string, name: string): Call<number> {
  if (o.words.length === 0) throw new BadOption('Cowardly refusing to create an empty archive');
  const fd = target === '-' ? 1 : yield* opened(target, O_WRONLY | O_CREAT | O_TRUNC, name);
  yield* enter(o);
  const entries: TarEntry[] = [];
  const state = { seen: new Map<string, string>(), status: 0, stripped: false, excluded: (o.values.get('exclude') ?? []).map(globOf) };
  for (const word of o.words) yield* collect(o, word, entries, state);
  const data = writeTar(entries);
  const zipped = o.on.has('gzip') || (o.on.has('auto-compress') && /\.t?gz$/.test(name));
  yield* writeAll(fd, zipped ? gzipSync(data, { mtime: 0 }) : data);
  if (fd > 2) yield* sys('close', fd);
  if (state.status > 0) yield* complain('tar: Exiting with failure status due to previous errors\n');
  return state.status;
}

interface Collecting {
  seen: Map<string, string>;
  status: number;
  stripped: boolean;
  excluded: RegExp[];
}

function* collect(o: Options, path: string, entries: TarEntry[], state: Collecting): Call<void> {
  if (state.excluded.some((x) => x.test(path) || x.test(path.slice(path.lastIndexOf('/') + 1)))) return;
  let stat: Stat;
  try {
    stat = yield* sys('newfstatat', AT_FDCWD, path, o.on.has('dereference') ? 0 : AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`tar: ${path}: Cannot stat: ${strerror(error)}\n`);
    state.status = 2;
    return;
  }
  if (path.startsWith('/') && !o.on.has('absolute-names') && !state.stripped) {
    state.stripped = true;
    yield* complain("tar: Removing leading `/' from member names\n");
  }
  const name = (o.on.has('absolute-names') ? path : path.replace(/^\/+/, '')).replace(/(?<=.)\/+$/, '') || '.';
  const common = { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: Math.floor(stat.mtime) };
  const key = `${stat.dev}:${stat.ino}`;
  const kind = stat.mode & S_IFMT;
  const isDir = kind === S_IFDIR;
  if (o.on.has('verbose')) yield* (valueOf(o, 'file') ?? '-') === '-' ? complain(`${path}${isDir ? '/' : ''}\n`) : print(`${path.replace(/\/+$/, '')}${isDir ? '/' : ''}\n`);
  if (isDir) {
    entries.push(entry(name, { ...common, type: 'dir' }));
    for (const e of yield* list(path)) yield* collect(o, joined(path, e.name), entries, state);
  } else if (kind === S_IFLNK) entries.push(entry(name, { ...common, type: 'link', target: yield* sys('readlinkat', AT_FDCWD, path) }));
  else if (stat.nlink > 1 && state.seen.has(key)) entries.push(entry(name, { ...common, type: 'hardlink', target: state.seen.get(key)! }));
  else if (kind === S_IFREG) {
    try {
      entries.push(entry(name, { ...common, data: yield* readBytes(path) }));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`tar: ${path}: Cannot open: ${strerror(error)}\n`);
      state.status = 2;
    }
  } else if (kind === S_IFCHR || kind === S_IFBLK) entries.push(entry(name, { ...common, type: kind === S_IFCHR ? 'chr' : 'blk', rdev: stat.rdev }));
  else if (kind === S_IFIFO) entries.push(entry(name, { ...common, type: 'fifo' }));
  state.seen.set(key, name);
}

function* opened(path: string, flags: number, name: string): Call<number> {
  try {
    return yield* sys('openat', AT_FDCWD, path, flags, 0o666);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${name}: Cannot open: ${strerror(error)}\ntar: Error is not recoverable: exiting now`, 2);
  }
}

function* unpack(o: Options, target: string, name: string, doing: 'extract' | 'list'): Call<number> {
  const fd = target === '-' ? 0 : yield* opened(target, O_RDONLY, name);
  const entries = readTar(inflate(yield* drain(fd)));
  if (doing === 'extract') yield* enter(o);
  const accounts = yield* readAccounts();
  const wanted = (n: string): boolean => o.words.length === 0 || o.words.some((w) => n === w.replace(/\/+$/, '') || n.startsWith(`${w.replace(/\/+$/, '')}/`));
  const strip = Number(valueOf(o, 'strip-components') ?? 0);
  let status = 0;
  for (const e of entries.filter((one) => wanted(one.name))) {
    const shown = `${e.name}${e.type === 'dir' ? '/' : ''}`;
    if (doing === 'list') {
      const bits = { file: 0o100000, dir: 0o040000, link: 0o120000, hardlink: 0o100000, chr: 0o020000, blk: 0o060000, fifo: 0o010000 }[e.type];
      const owner = `${userName(accounts, e.uid)}/${groupName(accounts, e.gid)}`;
      yield* print(o.on.has('verbose') ? `${e.type === 'hardlink' ? `h${modeString(bits | e.mode).slice(1)}` : modeString(bits | e.mode)} ${owner} ${String(e.data.length).padStart(Math.max(1, 19 - owner.length - 1))} ${strftime('%Y-%m-%d %H:%M', e.mtime)} ${shown}${e.target === '' ? '' : e.type === 'hardlink' ? ` link to ${e.target}` : ` -> ${e.target}`}\n` : `${shown}\n`);
      continue;
    }
    const path = e.name.split('/').slice(strip).join('/');
    if (path === '') continue;
    if (!staysInside(path)) {
      yield* complain(`tar: ${e.name}: Member name contains '..'\n`);
      status = 2;
      continue;
    }
    if (o.on.has('verbose')) yield* print(`${shown}\n`);
    if (o.on.has('to-stdout')) yield* writeAll(1, e.data);
    else if (!(yield* extract(o, e, path))) status = 2;
  }
  if (status > 0) yield* complain('tar: Exiting with failure status due to previous errors\n');
  return status;
}

function* extract(o: Options, e: TarEntry, path: string): Call<boolean> {
  try {
    const cut = path.lastIndexOf('/');
    if (cut > 0) yield* mkdirAll(path.slice(0, cut));
    if (e.type === 'dir') yield* attempt(sys('mkdirat', AT_FDCWD, path, 0o755), 0, 'EEXIST');
    else {
      if (!o.on.has('keep-old-files')) yield* removeAll(path);
      yield* make(e, path);
    }
    const root = (yield* sys('geteuid')) === 0;
    if (root && !o.on.has('no-same-owner')) yield* attempt(sys('fchownat', AT_FDCWD, path, e.uid, e.gid, AT_SYMLINK_NOFOLLOW), 0);
    if (e.type !== 'link') yield* sys('fchmodat', AT_FDCWD, path, e.mode);
    yield* attempt(sys('utimensat', AT_FDCWD, path, e.mtime, e.mtime, AT_SYMLINK_NOFOLLOW), 0);
    return true;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`tar: ${path}: Cannot ${e.type === 'dir' ? 'mkdir' : 'open'}: ${strerror(error)}\n`);
    return false;
  }
}

function* make(e: TarEntry, path: string): Call<void> {
  if (e.type === 'link') yield* sys('symlinkat', e.target, AT_FDCWD, path);
  else if (e.type === 'hardlink') yield* sys('linkat', AT_FDCWD, e.target, AT_FDCWD, path, 0);
  else if (e.type === 'file') {
    const fd = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, e.mode);
    yield* writeAll(fd, e.data);
    yield* sys('close', fd);
  } else yield* sys('mknodat', AT_FDCWD, path, (e.type === 'chr' ? S_IFCHR : e.type === 'blk' ? S_IFBLK : S_IFIFO) | e.mode, e.rdev[0], e.rdev[1]);
}

export const gzip = command(function* (argv) {
  const called = (argv[0] ?? 'gzip').split('/').pop()!;
  const o = parseOptions('c/stdout d/decompress f/force k/keep l/list n q/quiet r/recursive t/test v/verbose 1 2 3 4 5 6 7 8 9 N S=', argv.slice(1));
  const unpacking = o.on.has('decompress') || called === 'gunzip' || called === 'zcat';
  const toStdout = o.on.has('stdout') || called === 'zcat';
  const convert = (data: Uint8Array, name: string): Uint8Array => {
    if (!unpacking && !o.on.has('test')) return gzipSync(data, { mtime: 0 });
    if (data[0] !== 0x1f || data[1] !== 0x8b) throw new Failed(`${name}: not in gzip format`);
    try {
      return inflate(data);
    } catch (error) {
      if (error instanceof TarError) throw new Failed(`${name}: unexpected end of file`);
      throw error;
    }
  };
  let status = 0;
  for (const name of o.words.length > 0 ? o.words : ['-']) {
    try {
      if (name === '-') yield* writeAll(1, convert(yield* drain(0), 'stdin'));
      else status = Math.max(status, yield* oneFile(o, name, convert, unpacking, toStdout));
    } catch (error) {
      if (error instanceof SysError && error.errno !== 'EPIPE') yield* complain(`${called}: ${name}: ${strerror(error)}\n`);
      else if (error instanceof Failed) yield* complain(`\n${called}: ${error.message}\n`.replace(/^\n/, error.message.includes('unexpected') ? '\n' : '\n'));
      else throw error;
      status = 1;
    }
  }
  return status;
});

function* oneFile(o: Options, name: string, convert: (data: Uint8Array, name: string) => Uint8Array, unpacking: boolean, toStdout: boolean): Call<number> {
  const stat = yield* sys('newfstatat', AT_FDCWD, name, 0);
  if ((stat.mode & S_IFMT) === S_IFDIR) {
    yield* complain(`gzip: ${name} is a directory -- ignored\n`);
    return 2;
  }
  const target = unpacking ? name.replace(/\.(gz|z)$/i, '').replace(/\.tgz$/, '.tar') : `${name}.gz`;
  if (!toStdout && unpacking && target === name) {
    yield* complain(`gzip: ${name}: unknown suffix -- ignored\n`);
    return 2;
  }
  const out = convert(yield* readBytes(name), name);
  if (o.on.has('test')) return 0;
  if (toStdout) {
    yield* writeAll(1, out);
    return 0;
  }
  const fd = yield* sys('openat', AT_FDCWD, target, O_WRONLY | O_CREAT | O_TRUNC, stat.mode & 0o777);
  yield* writeAll(fd, out);
  yield* sys('close', fd);
  yield* attempt(sys('utimensat', AT_FDCWD, target, stat.atime, stat.mtime, 0), 0);
  if (!o.on.has('keep')) yield* sys('unlinkat', AT_FDCWD, name, 0);
  return 0;
}
