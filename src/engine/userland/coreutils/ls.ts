/**
 * ls: entries of directories, long or in columns as wide as the terminal. Source: coreutils ls(1), man 7 xattr for the
 * lack of "+". Colours are not modelled: --color is taken and ignored.
 */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFIFO, S_IFLNK, S_IFSOCK, type Stat, SysError, TIOCGWINSZ, type Winsize } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, isDir } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, strerror } from '../lib/io.ts';
import { type Accounts, groupName, readAccounts, userName } from './accounts.ts';
import { strftime } from './calendar.ts';
import { isType, modeString, typeLetter } from './modes.ts';
import { listed, quoted } from './quote.ts';
import { blocksOf, humanSize } from './sizes.ts';

interface Entry {
  name: string;
  path: string;
  /** Null when it could not be looked at; then only its type is known. */
  stat: Stat | null;
  type: string;
  target: string | null;
}

interface Listing {
  options: Options;
  format: 'long' | 'one' | 'columns' | 'across' | 'commas';
  width: number;
  terminal: boolean;
  accounts: Accounts;
  now: number;
  status: number;
  printed: boolean;
  text: string;
}

const SPEC =
  'a/all A/almost-all b/escape B/ignore-backups C c d/directory f F/classify? g G/no-group h/human-readable si H i/inode I/ignore= k/kibibytes l L/dereference ' +
  'm n/numeric-uid-gid N/literal o p Q/quote-name q/hide-control-chars r/reverse R/recursive s/size S sort= t T/tabsize= u U v w/width= x X 1 Z/context ' +
  'color? full-time group-directories-first time= time-style= show-control-chars indicator-style= file-type zero block-size= format= hyperlink? author';

export const ls = command(function* (argv) {
  const options = parseOptions(SPEC, argv.slice(1));
  const listing = yield* prepare(options);
  const words = options.words.length > 0 ? options.words : ['.'];
  const files: Entry[] = [];
  const dirs: Entry[] = [];
  for (const word of words) {
    const entry = yield* named(listing, word);
    if (entry) (entry.stat && isDir(entry.stat) && !options.on.has('directory') ? dirs : files).push(entry);
  }
  sortEntries(listing, files);
  sortEntries(listing, dirs);
  if (files.length > 0) show(listing, files, null);
  for (const dir of dirs) yield* directory(listing, dir.path, words.length > 1 || options.on.has('recursive'));
  yield* out(listing);
  return listing.status;
}, 2);

function* prepare(options: Options): Call<Listing> {
  const size = yield* attempt(sys('ioctl', 1, TIOCGWINSZ), null);
  const terminal = size !== null;
  const width = lastValue(options, 'width') ?? (terminal ? String((size as Winsize).cols || 80) : '80');
  if (!/^\d+$/.test(width)) throw new BadOption(`invalid line width: ${quoted(width)}`);
  const long = ['l', 'g', 'o', 'numeric-uid-gid', 'full-time'].some((o) => options.on.has(o));
  const last = [...options.on.keys()].filter((o) => ['C', 'x', 'm', '1'].includes(o)).at(-1);
  const format = long && last !== 'C' ? 'long' : last === '1' ? 'one' : last === 'C' ? 'columns' : last === 'x' ? 'across' : last === 'm' ? 'commas' : terminal ? 'columns' : 'one';
  return {
    options, format, width: Number(width), terminal, accounts: format === 'long' ? yield* readAccounts() : { users: [], groups: [] },
    now: (yield* sys('clock_gettime', 'realtime')) / 1e9, status: 0, printed: false, text: '',
  };
}

function* out(listing: Listing): Call<void> {
  const { text } = listing;
  listing.text = '';
  if (text !== '') yield* writeAll(1, bytes(text));
}

/** An argument: followed when it is a link to a directory, unless -l, -d or -F ask about itself. */
function* named(listing: Listing, path: string): Call<Entry | null> {
  const { on } = listing.options;
  const follow = on.has('dereference') || on.has('H') || !(listing.format === 'long' || on.has('directory') || on.has('classify'));
  try {
    let stat = yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    if (follow && isType(stat.mode, S_IFLNK)) stat = (yield* attempt(sys('newfstatat', AT_FDCWD, path, 0), null, 'ENOENT', 'ELOOP')) ?? stat;
    return { name: path, path, stat, type: typeLetter(stat.mode), target: yield* targetOf(listing, path, stat) };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* grumble(listing, `cannot access ${quoted(path)}: ${strerror(error)}`, 2);
    return null;
  }
}

function* grumble(listing: Listing, message: string, status: number): Call<void> {
  yield* out(listing);
  yield* complain(`ls: ${message}\n`);
  listing.status = Math.max(listing.status, status);
}

function* targetOf(listing: Listing, path: string, stat: Stat): Call<string | null> {
  if (listing.format !== 'long' || !isType(stat.mode, S_IFLNK)) return null;
  try {
    return yield* sys('readlinkat', AT_FDCWD, path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* grumble(listing, `cannot read symbolic link ${quoted(path)}: ${strerror(error)}`, 1);
    return null;
  }
}

function* directory(listing: Listing, path: string, titled: boolean): Call<void> {
  const entries: Entry[] = [];
  try {
    const fd = yield* sys('openat', AT_FDCWD, path, 0o200000);
    // the directory stays open while its entries are looked at: of /proc/self/fd it is one of them
    for (const { name, type } of yield* namesIn(listing, fd)) entries.push(yield* look(listing, path, name, type));
    yield* sys('close', fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* grumble(listing, `cannot open directory ${quoted(path)}: ${strerror(error)}`, listing.options.words.includes(path) || path === '.' ? 2 : 1);
    return;
  }
  sortEntries(listing, entries);
  if (titled) listing.text += `${listing.printed ? '\n' : ''}${nameOf(listing, path)}:\n`;
  else if (listing.printed) listing.text += '\n';
  show(listing, entries, path);
  listing.printed = true;
  if (listing.text.length > 65536) yield* out(listing);
  if (!listing.options.on.has('recursive')) return;
  for (const entry of entries) {
    if (entry.type === 'd' && entry.name !== '.' && entry.name !== '..') yield* directory(listing, entry.path, true);
  }
}

const TYPES: Readonly<Record<string, string>> = { file: '-', dir: 'd', link: 'l', chr: 'c', blk: 'b', fifo: 'p', sock: 's' };

function* namesIn(listing: Listing, fd: number): Call<{ name: string; type: string }[]> {
  const { on, values } = listing.options;
  const all = on.has('all') || on.has('f');
  const ignored = (values.get('ignore') ?? []).map(globOf);
  const names: { name: string; type: string }[] = [];
  for (;;) {
    const some = yield* attempt(sys('getdents64', fd), [], 'ENOENT');
    if (some.length === 0) break;
    for (const { name, type } of some) {
      const dots = name === '.' || name === '..';
      if (dots ? !all : name.startsWith('.') && !all && !on.has('almost-all')) continue;
      if (ignored.some((glob) => glob.test(name)) || (on.has('ignore-backups') && name.endsWith('~'))) continue;
      names.push({ name, type: TYPES[type] ?? '?' });
    }
  }
  if (all) for (const name of ['..', '.']) if (!names.some((n) => n.name === name)) names.unshift({ name, type: 'd' });
  return names;
}

export function globOf(pattern: string): RegExp {
  const body = pattern.replace(/\[!/g, '[^').replace(/[.+^${}()|\\*?]|\[\^?[^\]]*\]/g, (c) => (c === '*' ? '.*' : c === '?' ? '.' : c.length > 1 ? c : `\\${c}`));
  return new RegExp(`^${body}$`, 's');
}

function* look(listing: Listing, dir: string, name: string, type: string): Call<Entry> {
  const { on } = listing.options;
  const path = dir === '.' && !on.has('recursive') ? name : dir.endsWith('/') ? dir + name : `${dir}/${name}`;
  const needed = listing.format === 'long' || ['S', 't', 'size', 'inode', 'classify', 'sort', 'dereference', 'p'].some((o) => on.has(o)) || listing.options.values.has('sort');
  if (!needed) return { name, path, stat: null, type, target: null };
  try {
    const stat = yield* sys('newfstatat', AT_FDCWD, path, on.has('dereference') ? 0 : AT_SYMLINK_NOFOLLOW);
    return { name, path, stat, type: typeLetter(stat.mode), target: yield* targetOf(listing, path, stat) };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* grumble(listing, `cannot access ${quoted(path)}: ${strerror(error)}`, 1);
    return { name, path, stat: null, type, target: null };
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function sortEntries(listing: Listing, entries: Entry[]): void {
  const { on } = listing.options;
  const word = lastValue(listing.options, 'sort');
  const key = on.has('U') || on.has('f') ? 'none' : on.has('S') ? 'size' : on.has('t') ? 'time' : on.has('X') ? 'extension' : on.has('v') ? 'version' : (word ?? 'name');
  if (key === 'none') return;
  const when = timeField(listing.options);
  const suffix = (name: string): string => (name.lastIndexOf('.') > 0 ? name.slice(name.lastIndexOf('.')) : '');
  entries.sort((a, b) => {
    if (key === 'size') return (b.stat?.size ?? 0) - (a.stat?.size ?? 0) || compare(a.name, b.name);
    if (key === 'time') return (b.stat?.[when] ?? 0) - (a.stat?.[when] ?? 0) || compare(a.name, b.name);
    if (key === 'extension') return compare(suffix(a.name), suffix(b.name)) || compare(a.name, b.name);
    if (key === 'version') return versionOrder(a.name, b.name);
    return compare(a.name, b.name);
  });
  if (on.has('reverse')) entries.reverse();
  if (on.has('group-directories-first')) entries.sort((a, b) => Number(b.type === 'd') - Number(a.type === 'd'));
}

/** Digits compare as numbers. */
export function versionOrder(a: string, b: string): number {
  const x = a.match(/\d+|\D+/g) ?? [];
  const y = b.match(/\d+|\D+/g) ?? [];
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const numbers = /^\d/.test(x[i]!) && /^\d/.test(y[i]!);
    const order = numbers ? Number(x[i]) - Number(y[i]) : compare(x[i]!, y[i]!);
    if (order !== 0) return order;
  }
  return x.length - y.length || compare(a, b);
}

function timeField(options: Options): 'mtime' | 'atime' | 'ctime' {
  const word = lastValue(options, 'time');
  if (options.on.has('c') || word === 'ctime' || word === 'status') return 'ctime';
  return options.on.has('u') || word === 'atime' || word === 'access' ? 'atime' : 'mtime';
}

function nameOf(listing: Listing, name: string): string {
  const { on } = listing.options;
  if (on.has('quote-name')) return JSON.stringify(name);
  if (!listing.terminal || on.has('literal')) return on.has('hide-control-chars') ? name.replace(/[\x00-\x1f\x7f]/g, '?') : name;
  return listed(name);
}

function mark(listing: Listing, entry: Entry): string {
  const { on } = listing.options;
  const style = lastValue(listing.options, 'indicator-style');
  const slash = on.has('p') || style === 'slash';
  const classify = on.has('classify') || on.has('file-type') || style === 'classify' || style === 'file-type';
  if (entry.type === 'd') return slash || classify ? '/' : '';
  if (!classify) return '';
  const mode = entry.stat?.mode ?? 0;
  if (entry.type === 'l') return '@';
  if (isType(mode, S_IFIFO)) return '|';
  if (isType(mode, S_IFSOCK)) return '=';
  return entry.type === '-' && mode & 0o111 && !on.has('file-type') && style !== 'file-type' ? '*' : '';
}

function show(listing: Listing, entries: Entry[], dir: string | null): void {
  const { options, format } = listing;
  const unit = options.on.has('kibibytes') || !options.on.has('human-readable') ? 1024 : 1;
  if (dir !== null && (format === 'long' || options.on.has('size'))) {
    const total = entries.reduce((sum, e) => sum + (e.stat?.blocks ?? 0) * 512, 0);
    listing.text += `total ${unit === 1 ? humanSize(total) : blocksOf(total, 1024)}\n`;
  }
  if (format === 'long') longLines(listing, entries);
  else {
    const cells = withNumbers(listing, entries);
    if (format === 'one') listing.text += cells.map((c) => `${c}${options.on.has('zero') ? '\0' : '\n'}`).join('');
    else if (format === 'commas') listing.text += commas(cells, listing.width);
    else listing.text += columns(cells, listing.width, format);
  }
  listing.printed = true;
}

/** Names with the inode number and the size in blocks before them, where asked. */
function withNumbers(listing: Listing, entries: readonly Entry[]): string[] {
  const { on } = listing.options;
  const inodes = on.has('inode') ? aligned(entries.map((e) => (e.stat ? String(e.stat.ino) : '?'))) : null;
  const sizes = on.has('size') ? aligned(entries.map((e) => (e.stat ? blocksText(listing, e.stat) : '?'))) : null;
  const spaced = listing.terminal && !on.has('literal') && entries.some((e) => /^['"]/.test(nameOf(listing, e.name)));
  return entries.map((e, i) => {
    const name = nameOf(listing, e.name);
    return `${inodes ? `${inodes[i]!} ` : ''}${sizes ? `${sizes[i]!} ` : ''}${spaced && !/^['"]/.test(name) ? ' ' : ''}${name}${mark(listing, e)}`;
  });
}

function blocksText(listing: Listing, stat: Stat): string {
  return listing.options.on.has('human-readable') ? humanSize(stat.blocks * 512) : String(blocksOf(stat.blocks * 512, 1024));
}

function aligned(cells: readonly string[]): string[] {
  const width = Math.max(0, ...cells.map((c) => c.length));
  return cells.map((c) => c.padStart(width));
}

function padded(cells: readonly string[]): string[] {
  const width = Math.max(0, ...cells.map((c) => c.length));
  return cells.map((c) => c.padEnd(width));
}

function longLines(listing: Listing, entries: readonly Entry[]): void {
  const { on } = listing.options;
  const numeric = on.has('numeric-uid-gid');
  const unknown = (field: (stat: Stat) => string): string[] => entries.map((e) => (e.stat ? field(e.stat) : '?'));
  const parts: string[][] = [];
  parts.push(entries.map((e) => (e.stat ? modeString(e.stat.mode) : `${e.type}?????????`)));
  parts.push(aligned(unknown((s) => String(s.nlink))));
  if (!on.has('g')) parts.push(numeric ? numbers(unknown((s) => String(s.uid))) : padded(unknown((s) => userName(listing.accounts, s.uid))));
  if (!on.has('o') && !on.has('no-group')) parts.push(numeric ? numbers(unknown((s) => String(s.gid))) : padded(unknown((s) => groupName(listing.accounts, s.gid))));
  parts.push(sizeCells(listing, entries));
  parts.push(timeCells(listing, entries));
  const names = withNumbers({ ...listing, options: { ...listing.options, on: new Map([...on].filter(([o]) => o !== 'inode' && o !== 'size')) } }, entries);
  const inodes = on.has('inode') ? aligned(unknown((s) => String(s.ino))) : null;
  const sizes = on.has('size') ? aligned(unknown((s) => blocksText(listing, s))) : null;
  entries.forEach((e, i) => {
    const before = `${inodes ? `${inodes[i]!} ` : ''}${sizes ? `${sizes[i]!} ` : ''}`;
    listing.text += `${before}${parts.map((p) => p[i]!).join(' ')} ${names[i]!.replace(/@$/, e.type === 'l' ? '' : '@')}`;
    listing.text += e.target === null ? '\n' : ` -> ${nameOf(listing, e.target)}\n`;
  });
}

/** Ids are flush right, "?" flush left. */
function numbers(cells: readonly string[]): string[] {
  return cells.some((c) => c === '?') ? padded(cells) : aligned(cells);
}

function sizeCells(listing: Listing, entries: readonly Entry[]): string[] {
  const { on } = listing.options;
  const device = (e: Entry): boolean => e.type === 'c' || e.type === 'b';
  const known = entries.filter((e) => e.stat && device(e));
  const major = Math.max(0, ...known.map((e) => String(e.stat!.rdev[0]).length));
  const minor = Math.max(0, ...known.map((e) => String(e.stat!.rdev[1]).length));
  return aligned(entries.map((e) => {
    if (!e.stat) return '?';
    if (device(e)) return `${String(e.stat.rdev[0]).padStart(major)}, ${String(e.stat.rdev[1]).padStart(minor)}`;
    return on.has('human-readable') ? humanSize(e.stat.size) : on.has('si') ? humanSize(e.stat.size, 1000) : String(e.stat.size);
  }));
}

function timeCells(listing: Listing, entries: readonly Entry[]): string[] {
  const style = listing.options.on.has('full-time') ? 'full-iso' : (lastValue(listing.options, 'time-style') ?? 'locale');
  const when = timeField(listing.options);
  const cells = entries.map((e) => (e.stat ? timeText(style, e.stat[when], listing.now) : '?'));
  return aligned(cells);
}

function timeText(style: string, at: number, now: number): string {
  const recent = at > now - 31556952 / 2 && at <= now;
  if (style.startsWith('+')) {
    const [old, fresh] = style.slice(1).split('\n') as [string, string | undefined];
    return strftime(recent ? (fresh ?? old) : old, at);
  }
  if (style === 'full-iso') return strftime('%Y-%m-%d %H:%M:%S.%N %z', at);
  if (style === 'long-iso') return strftime('%Y-%m-%d %H:%M', at);
  if (style === 'iso') return strftime(recent ? '%m-%d %H:%M' : '%Y-%m-%d ', at);
  return strftime(recent ? '%b %e %H:%M' : '%b %e  %Y', at);
}

/** Columns from top to bottom (or across), as many as fit, two blanks between. */
export function columns(cells: readonly string[], width: number, order: 'columns' | 'across'): string {
  const lengths = cells.map((c) => [...c].length);
  if (cells.length === 0) return '';
  let best = { count: 1, rows: cells.length, widths: [Math.max(...lengths)] };
  for (let count = Math.min(cells.length, Math.max(1, Math.floor(width / 3))); count > 1; count--) {
    const rows = Math.ceil(cells.length / count);
    if (order === 'columns' && Math.ceil(cells.length / rows) !== count) continue;
    const widths = new Array<number>(count).fill(0);
    lengths.forEach((l, i) => {
      const column = order === 'columns' ? Math.floor(i / rows) : i % count;
      widths[column] = Math.max(widths[column]!, l + (column === count - 1 ? 0 : 2));
    });
    if (widths.reduce((a, b) => a + b, 0) < width) {
      best = { count, rows, widths };
      break;
    }
  }
  let out = '';
  for (let row = 0; row < best.rows; row++) {
    let line = '';
    let column = 0;
    let at = 0;
    for (let k = 0; k < best.count; k++) {
      const i = order === 'columns' ? k * best.rows + row : row * best.count + k;
      if (i >= cells.length) break;
      const before = column;
      line += padding(at, before) + cells[i]!;
      at = before + lengths[i]!;
      column += best.widths[k]!;
    }
    out += `${line}\n`;
  }
  return out;
}

/** From one column to another, by tabs where they reach. */
function padding(from: number, to: number): string {
  let out = '';
  let at = from;
  while (at < to) {
    const tab = Math.floor(to / 8) > Math.floor((at + 1) / 8);
    out += tab ? '\t' : ' ';
    at += tab ? 8 - (at % 8) : 1;
  }
  return out;
}

function commas(cells: readonly string[], width: number): string {
  let out = '';
  let line = '';
  cells.forEach((cell, i) => {
    const piece = i === cells.length - 1 ? cell : `${cell},`;
    if (line !== '' && line.length + 1 + piece.length >= width) {
      out += `${line}\n`;
      line = piece;
    } else line += line === '' ? piece : ` ${piece}`;
  });
  return `${out}${line}\n`;
}
