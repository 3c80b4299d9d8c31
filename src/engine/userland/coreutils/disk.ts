/** df, du, stat, sync's kin: what file systems and files take. Sources: coreutils df(1), du(1), stat(1). */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFBLK, S_IFCHR, S_IFLNK, type Stat, type Statfs, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, isDir, list, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { mountOver, type MountRow, readMounts } from '../util-linux/mounts.ts';
import { type Accounts, groupName, readAccounts, userName } from './accounts.ts';
import { strftime } from './calendar.ts';
import { idOf } from './copy.ts';
import { unescaped } from './escapes.ts';
import { isType, modeString, typeName } from './modes.ts';
import { joined, realPath } from './paths.ts';
import { curly, quoted } from './quote.ts';
import { blocksOf, humanSize, parseSize } from './sizes.ts';
import { putOut, encoded } from './streams.ts';

function unitOf(o: Options): { show: (bytes: number) => string; size: number; label: string } {
  if (o.on.has('human-readable')) return { show: (n) => humanSize(n), size: 1, label: 'h' };
  if (o.on.has('si') || o.on.has('H')) return { show: (n) => humanSize(n, 1000), size: 1, label: 'h' };
  const spec = lastValue(o, 'block-size') ?? (o.on.has('bytes') || o.on.has('b') ? '1' : o.on.has('m') || o.on.has('megabytes') ? '1M' : '1K');
  const size = parseSize(/^[KMGTPE]/.test(spec) ? `1${spec}` : spec);
  if (size === null || size === 0) throw new Failed(`invalid --block-size argument ${quoted(spec)}`);
  return { show: (n) => String(blocksOf(n, size)), size, label: spec };
}

interface DfRow {
  source: string;
  type: string;
  size: string;
  used: string;
  free: string;
  percent: string;
  target: string;
  /** Inodes, used, free, per cent; the word on the command line. */
  more: readonly string[];
}

export const df = command(function* (argv) {
  const o = parseOptions('a/all B/block-size= h/human-readable H si i/inodes k l/local m P/portability t/type= T/print-type x/exclude-type= v total output? sync no-sync direct', argv.slice(1));
  const rows = yield* readMounts();
  const unit = unitOf(o);
  let status = 0;
  const chosen: MountRow[] = [];
  const named: string[] = [];
  if (o.words.length === 0) chosen.push(...mainMounts(rows, o));
  for (const word of o.words) {
    const path = yield* attempt(realPath(word, 'none'), null);
    const device = rows.find((r) => r.source === word);
    const row = device ?? (path === null ? null : mountOver(rows, path));
    if (!row) {
      yield* complain(`df: ${word}: No such file or directory\n`);
      status = 1;
    } else {
      chosen.push(row);
      named.push(word);
    }
  }
  const only = o.values.get('type');
  const without = o.values.get('exclude-type') ?? [];
  const cells: DfRow[] = [];
  const total = { blocks: 0, free: 0, available: 0 };
  if (o.on.has('output')) {
    for (const other of ['inodes', 'portability', 'print-type']) if (o.on.has(other)) throw new BadOption(`options -${other === 'inodes' ? 'i' : other === 'portability' ? 'P' : 'T'} and --output are mutually exclusive`);
    fieldsOf(o);
  }
  for (const [n, row] of chosen.entries()) {
    if ((only && !only.includes(row.type)) || without.includes(row.type)) continue;
    const fs = yield* attempt(sys('statfs', row.target), null);
    if (!fs || (fs.blocks === 0 && o.words.length === 0 && !o.on.has('all'))) continue;
    total.blocks += fs.blocks * fs.bsize;
    total.free += fs.bfree * fs.bsize;
    total.available += fs.bavail * fs.bsize;
    cells.push(dfRow(o, row, fs, unit.show, named[n] ?? '-'));
  }
  if (cells.length === 0) {
    if (status === 0) throw new Failed('no file systems processed');
    return status;
  }
  if (o.on.has('total')) {
    cells.push(dfRow(o, { source: 'total', type: '-', target: '-' } as MountRow, { type: '', bsize: 1, blocks: total.blocks, bfree: total.free, bavail: total.available, files: 0, ffree: 0 }, unit.show, '-'));
  }
  yield* print(dfTable(o, cells, unit));
  return status;
});

/** Each device once: the mount with the shortest path. */
function mainMounts(rows: readonly MountRow[], o: Options): MountRow[] {
  if (o.on.has('all')) return [...rows];
  const best = new Map<string, MountRow>();
  for (const row of rows) {
    const known = best.get(row.dev);
    if (!known || row.target.length < known.target.length || (row.root === '/' && known.root !== '/')) best.set(row.dev, row);
  }
  return rows.filter((r) => best.get(r.dev) === r && rows.findLast((x) => x.target === r.target) === r);
}

function dfRow(o: Options, row: MountRow, fs: Statfs, show: (bytes: number) => string, word: string): DfRow {
  const inodes = o.on.has('inodes');
  const [size, free, available] = inodes ? [fs.files, fs.ffree, fs.ffree] : [fs.blocks * fs.bsize, fs.bfree * fs.bsize, fs.bavail * fs.bsize];
  const text = inodes ? (o.on.has('human-readable') ? (n: number): string => humanSize(n) : String) : show;
  const used = size - free;
  const whole = used + available;
  return {
    more: [fs.files, fs.files - fs.ffree, fs.ffree].map(String).concat(fs.files === 0 ? '-' : `${Math.ceil(((fs.files - fs.ffree) * 100) / fs.files)}%`, word),
    source: row.source, type: row.type, size: text(size), used: text(used), free: text(available), percent: size === 0 || whole === 0 ? '-' : `${Math.ceil((used * 100) / whole)}%`, target: row.target,
  };
}

function dfTable(o: Options, cells: readonly DfRow[], unit: { size: number; label: string }): string {
  const human = unit.label === 'h';
  const inodes = o.on.has('inodes');
  const posix = o.on.has('portability');
  const sizeTitle = inodes ? 'Inodes' : human ? 'Size' : posix ? `${unit.size}-blocks` : `${unit.label === '1K' ? '1K' : unit.label}-blocks`;
  const titles: DfRow = {
    source: 'Filesystem', type: 'Type', size: sizeTitle, used: inodes ? 'IUsed' : 'Used', free: inodes ? 'IFree' : human ? 'Avail' : 'Available', percent: inodes ? 'IUse%' : posix ? 'Capacity' : 'Use%', target: 'Mounted on', more: [],
  };
  const least: Record<keyof DfRow, number> = { source: 14, type: 4, size: 5, used: 5, free: 5, percent: 4, target: 0, more: 0 };
  if (o.on.has('output')) return dfColumns(o, cells, titles, least);
  const keys = (['source', 'type', 'size', 'used', 'free', 'percent', 'target'] as const).filter((k) => k !== 'type' || o.on.has('print-type'));
  const widths = Object.fromEntries(keys.map((k) => [k, Math.max(least[k], titles[k].length, ...cells.map((c) => c[k].length))]));
  return [titles, ...cells].map((c) => `${keys.map((k) => (k === 'source' || k === 'type' ? c[k].padEnd(widths[k]!) : k === 'target' ? c[k] : c[k].padStart(widths[k]!))).join(' ')}\n`).join('');
}

const OUTPUT = ['source', 'fstype', 'itotal', 'iused', 'iavail', 'ipcent', 'size', 'used', 'avail', 'pcent', 'file', 'target'] as const;
/** Columns of --output in the order asked for, each once. */
function fieldsOf(o: Options): (typeof OUTPUT)[number][] {
  const asked = (o.values.get('output') ?? []).filter((list) => list !== '').flatMap((list) => list.split(','));
  const seen = new Set<string>();
  for (const name of asked) {
    if (!(OUTPUT as readonly string[]).includes(name)) throw new BadOption(`option --output: field ${curly(name)} unknown`);
    if (seen.has(name)) throw new BadOption(`option --output: field ${curly(name)} used more than once`);
    seen.add(name);
  }
  return asked.length === 0 ? [...OUTPUT] : (asked as (typeof OUTPUT)[number][]);
}

function dfColumns(o: Options, cells: readonly DfRow[], titles: DfRow, least: Record<keyof DfRow, number>): string {
  const KEYS: Partial<Record<(typeof OUTPUT)[number], Exclude<keyof DfRow, 'more'>>> = { source: 'source', fstype: 'type', size: 'size', used: 'used', avail: 'free', pcent: 'percent', target: 'target' };
  const INODES: Partial<Record<(typeof OUTPUT)[number], [title: string, at: number]>> = { itotal: ['Inodes', 0], iused: ['IUsed', 1], iavail: ['IFree', 2], ipcent: ['IUse%', 3] };
  const fields = fieldsOf(o);
  const columns = fields.map((field) => {
    const key = KEYS[field];
    const [title, at] = INODES[field] ?? ['File', 4];
    const column = key ? [titles, ...cells].map((row) => row[key]) : [title, ...cells.map((row) => row.more[at]!)];
    const left = field === 'source' || field === 'fstype' || field === 'file' || field === 'target';
    const width = Math.max(field === 'fstype' ? 4 : key && !left ? least[key] : field === 'source' ? 14 : left ? 0 : 5, ...column.map((cell) => cell.length));
    return column.map((cell) => (left ? cell.padEnd(width) : cell.padStart(width)));
  });
  return [titles, ...cells].map((_, n) => `${columns.map((column) => column[n]!).join(' ').trimEnd()}\n`).join('');
}

interface Walk {
  o: Options;
  show: (bytes: number) => string;
  seen: Set<string>;
  depth: number;
  dev: number;
  status: number;
  excluded: RegExp[];
}

export const du = command(function* (argv) {
  const o = parseOptions('0/null a/all A/apparent-size b/bytes B/block-size= c/total D d/max-depth= h/human-readable H k L/dereference l/count-links m P S/separate-dirs s/summarize t= x/one-file-system X= exclude= si time', argv.slice(1));
  const depth = o.on.has('summarize') ? 0 : Number(lastValue(o, 'max-depth') ?? Number.POSITIVE_INFINITY);
  if (Number.isNaN(depth)) throw new BadOption(`invalid maximum depth ${quoted(lastValue(o, 'max-depth')!)}`);
  const walk: Walk = { o, show: unitOf(o).show, seen: new Set(), depth, dev: -1, status: 0, excluded: (o.values.get('exclude') ?? []).map((g) => new RegExp(`^${g.replace(/[.+^${}()|\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`)) };
  let total = 0;
  for (const word of o.words.length === 0 ? ['.'] : o.words) {
    walk.dev = (yield* statOf(word))?.dev ?? -1;
    total += yield* sizeUnder(walk, word, 0);
  }
  if (o.on.has('total')) yield* print(`${walk.show(total)}\ttotal\n`);
  return walk.status;
});

function* sizeUnder(walk: Walk, path: string, level: number): Call<number> {
  const { o } = walk;
  if (walk.excluded.some((x) => x.test(path) || x.test(path.slice(path.lastIndexOf('/') + 1)))) return 0;
  let stat: Stat;
  try {
    stat = yield* sys('newfstatat', AT_FDCWD, path, o.on.has('dereference') || (o.on.has('D') && level === 0) ? 0 : AT_SYMLINK_NOFOLLOW);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`du: cannot access ${quoted(path)}: ${strerror(error)}\n`);
    walk.status = 1;
    return 0;
  }
  if (o.on.has('one-file-system') && stat.dev !== walk.dev) return 0;
  if (!isDir(stat) && stat.nlink > 1 && !o.on.has('count-links')) {
    if (walk.seen.has(idOf(stat))) return 0;
    walk.seen.add(idOf(stat));
  }
  const apparent = o.on.has('apparent-size') || o.on.has('bytes');
  let size = apparent ? (isDir(stat) || isType(stat.mode, 0o100000) || isType(stat.mode, S_IFLNK) ? stat.size : 0) : stat.blocks * 512;
  let inner = 0;
  if (isDir(stat)) {
    const fd = yield* attempt(sys('openat', AT_FDCWD, path, 0o200000), -1);
    if (fd < 0) {
      yield* complain(`du: cannot read directory ${quoted(path)}: Permission denied\n`);
      walk.status = 1;
    } else {
      yield* sys('close', fd);
      for (const { name, type } of yield* list(path)) {
        const below = yield* sizeUnder(walk, joined(path, name), level + 1);
        if (type === 'dir' && o.on.has('separate-dirs')) inner += below;
        else size += below;
      }
    }
  }
  if (level <= walk.depth && (isDir(stat) || o.on.has('all') || level === 0)) yield* print(`${walk.show(size)}\t${path}${o.on.has('null') ? '\0' : '\n'}`);
  return size + inner;
}

export const stat = command(function* (argv) {
  const o = parseOptions('L/dereference f/file-system c/format= t/terse printf= cached=', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing operand');
  const accounts = yield* readAccounts();
  const mounts = yield* readMounts();
  let status = 0;
  for (const path of o.words) {
    try {
      const text = o.on.has('file-system') ? yield* statFs(o, path) : yield* statFile(o, path, accounts, mounts);
      yield* putOut(encoded(text));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`stat: cannot ${o.on.has('file-system') ? 'read file system information for' : 'statx'} ${quoted(path)}: ${strerror(error)}\n`);
      status = 1;
    }
  }
  return status;
});

const time = (at: number): string => strftime('%Y-%m-%d %H:%M:%S.%N %z', at);
const deviceText = (dev: number): string => `${Math.floor(dev / 256) % 4096},${(dev % 256) + Math.floor(dev / 1048576) * 256}`;

function* statFile(o: Options, path: string, accounts: Accounts, mounts: readonly MountRow[]): Call<string> {
  const s = path === '-' ? yield* sys('fstat', 0) : yield* sys('newfstatat', AT_FDCWD, path, o.on.has('dereference') ? 0 : AT_SYMLINK_NOFOLLOW);
  const target = isType(s.mode, S_IFLNK) ? yield* attempt(sys('readlinkat', AT_FDCWD, path), null) : null;
  const format = lastValue(o, 'printf') ?? lastValue(o, 'format') ?? (o.on.has('terse') ? '%n %s %b %f %u %g %D %i %h %t %T %X %Y %Z %W %o' : null);
  if (format === null) return statDefault(path, s, target, accounts);
  const where = format.includes('%m') ? mountOver(mounts, yield* attempt(realPath(path, 'none'), '/'))?.target ?? '/' : '/';
  const text = format.replace(/%([-#+ 0I]*)(\d*)(?:\.(\d+))?(H[dr]|L[dr]|[a-zA-Z%])/g, (_, flags: string, width: string, precision: string | undefined, letter: string) => {
    const value = statField(letter, path, s, target, accounts, where, flags, precision);
    return flags.includes('-') ? value.padEnd(Number(width)) : value.padStart(Number(width), flags.includes('0') ? '0' : ' ');
  });
  return o.on.has('printf') ? unescaped(text, 'printf').text : `${text}\n`;
}

function statField(letter: string, path: string, s: Stat, target: string | null, accounts: Accounts, where: string, flags: string, precision: string | undefined): string {
  const seconds = (at: number): string => (precision === undefined ? String(Math.floor(at)) : at.toFixed(Number(precision)));
  switch (letter) {
    case 'a': return `${flags.includes('#') ? '0' : ''}${(s.mode & 0o7777).toString(8)}`;
    case 'A': return modeString(s.mode);
    case 'b': return String(s.blocks);
    case 'B': return '512';
    case 'd': return String(s.dev);
    case 'D': return s.dev.toString(16);
    case 'Hd': return String(Math.floor(s.dev / 256) % 4096);
    case 'Ld': return String(s.dev % 256);
    case 'f': return s.mode.toString(16);
    case 'F': return typeName(s.mode, s.size);
    case 'g': return String(s.gid);
    case 'G': return groupName(accounts, s.gid);
    case 'h': return String(s.nlink);
    case 'i': return String(s.ino);
    case 'm': return where;
    case 'n': return path;
    case 'N': return quoted(path) + (target === null ? '' : ` -> ${quoted(target)}`);
    case 'o': return String(s.blksize);
    case 's': return String(s.size);
    case 'r': return String(s.rdev[0] * 256 + s.rdev[1]);
    case 'R': return (s.rdev[0] * 256 + s.rdev[1]).toString(16);
    case 't': return s.rdev[0].toString(16);
    case 'T': return s.rdev[1].toString(16);
    case 'Hr': return String(s.rdev[0]);
    case 'Lr': return String(s.rdev[1]);
    case 'u': return String(s.uid);
    case 'U': return userName(accounts, s.uid);
    case 'x': return time(s.atime);
    case 'X': return seconds(s.atime);
    case 'y': return time(s.mtime);
    case 'Y': return seconds(s.mtime);
    case 'z': return time(s.ctime);
    case 'Z': return seconds(s.ctime);
    case 'w': return '-';
    case 'W': return '0';
    case 'C': return '?';
    case '%': return '%';
    default: return '?';
  }
}

function statDefault(path: string, s: Stat, target: string | null, accounts: Accounts): string {
  const device = isType(s.mode, S_IFCHR) || isType(s.mode, S_IFBLK);
  return `  File: ${path}${target === null ? '' : ` -> ${target}`}
  Size: ${String(s.size).padEnd(10)}\tBlocks: ${String(s.blocks).padEnd(10)} IO Block: ${String(s.blksize).padEnd(6)} ${typeName(s.mode, s.size)}
Device: ${deviceText(s.dev)}\tInode: ${String(s.ino).padEnd(10)}  Links: ${device ? `${String(s.nlink).padEnd(5)} Device type: ${s.rdev[0]},${s.rdev[1]}` : s.nlink}
Access: (${(s.mode & 0o7777).toString(8).padStart(4, '0')}/${modeString(s.mode)})  Uid: (${String(s.uid).padStart(5)}/${userName(accounts, s.uid).padStart(8)})   Gid: (${String(s.gid).padStart(5)}/${groupName(accounts, s.gid).padStart(8)})
Access: ${time(s.atime)}
Modify: ${time(s.mtime)}
Change: ${time(s.ctime)}
 Birth: -
`;
}

const FS_NAMES: Readonly<Record<string, string>> = { overlay: 'overlayfs', cgroup2: 'cgroup2fs', ext4: 'ext2/ext3', devtmpfs: 'tmpfs', cgroup: 'cgroupfs' };

function* statFs(o: Options, path: string): Call<string> {
  const fs = yield* sys('statfs', path);
  const type = FS_NAMES[fs.type] ?? fs.type;
  const format = lastValue(o, 'format') ?? lastValue(o, 'printf');
  if (format !== undefined) {
    const fields: Record<string, string> = { a: String(fs.bavail), b: String(fs.blocks), c: String(fs.files), d: String(fs.ffree), f: String(fs.bfree), i: '0', l: '255', n: path, s: String(fs.bsize), S: String(fs.bsize), t: '0', T: type, '%': '%' };
    const text = format.replace(/%(.)/g, (_, letter: string) => fields[letter] ?? '?');
    return o.on.has('printf') ? unescaped(text, 'printf').text : `${text}\n`;
  }
  return `  File: "${path}"
    ID: 0        Namelen: 255     Type: ${type}
Block size: ${String(fs.bsize).padEnd(10)} Fundamental block size: ${fs.bsize}
Blocks: Total: ${String(fs.blocks).padEnd(10)} Free: ${String(fs.bfree).padEnd(10)} Available: ${fs.bavail}
Inodes: Total: ${String(fs.files).padEnd(10)} Free: ${fs.ffree}
`;
}
