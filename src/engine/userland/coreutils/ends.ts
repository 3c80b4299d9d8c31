/**
 * head and tail. tail of what cannot be sought keeps what may still be wanted in memory that it really maps: an endless
 * line (`tail /dev/zero`) grows until the kernel ends it. -f looks again every second, as without inotify.
 */
import { AT_FDCWD, O_RDONLY, S_IFMT, S_IFREG, type Stat, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, exists } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { createHeap, extend } from '../lib/heap.ts';
import { curly, quoted } from './quote.ts';
import { parseSize } from './sizes.ts';
import { createReader, nextLine, putOut, READ, refuseDirectory } from './streams.ts';

interface Count {
  unit: 'lines' | 'bytes';
  n: number;
  /** "+N" of tail, "-N" of head. */
  fromOtherEnd: boolean;
}

/** -5, -n5, -c 2K, and the old forms -20f and +5. */
function countOf(o: Options, mark: '+' | '-'): Count {
  const unit = [...o.on.keys()].filter((k) => k === 'bytes' || k === 'lines').at(-1) as Count['unit'] | undefined;
  if (!unit) return { unit: 'lines', n: 10, fromOtherEnd: false };
  const spec = lastValue(o, unit)!;
  const n = parseSize(spec.replace(/^[-+]/, ''), 'km');
  if (n === null) throw new Failed(`invalid number of ${unit}: ${curly(spec)}`);
  return { unit, n, fromOtherEnd: spec.startsWith(mark) };
}

const modern = (args: readonly string[]): string[] =>
  args.flatMap((a, i) => {
    const m = args.slice(0, i).some((b) => b === '-n' || b === '-c') && /^-[nc]$/.test(args[i - 1] ?? '') ? null : /^-(\d+)([bkmclqvf]*)$/.exec(a);
    if (!m) return [a];
    const flags = m[2]!.replace(/[bkmcl]/g, '');
    return [/[bckm]/.test(m[2]!) ? '-c' : '-n', m[1]!, ...(flags ? [`-${flags}`] : [])];
  });

export const head = command(function* (argv) {
  const o = parseOptions('c/bytes= n/lines= q/quiet silent v/verbose z/zero-terminated', modern(argv.slice(1)));
  const count = countOf(o, '-');
  const end = o.on.has('zero-terminated') ? '\0' : '\n';
  const titles = o.on.has('verbose') || (o.words.length > 1 && !o.on.has('quiet') && !o.on.has('silent'));
  let status = 0;
  let first = true;
  for (const name of o.words.length === 0 ? ['-'] : o.words) {
    let fd = 0;
    try {
      if (name !== '-') fd = yield* sys('openat', AT_FDCWD, name, O_RDONLY);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`head: cannot open ${quoted(name)} for reading: ${strerror(error)}\n`);
      status = 1;
      continue;
    }
    if (titles) yield* print(`${first ? '' : '\n'}==> ${name === '-' ? 'standard input' : name} <==\n`);
    first = false;
    try {
      yield* beginning(fd, count, end);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno === 'EPIPE') throw error;
      yield* complain(`head: error reading ${quoted(name === '-' ? 'standard input' : name)}: ${strerror(error)}\n`);
      status = 1;
    }
    if (fd > 0) yield* sys('close', fd);
  }
  return status;
});

function* beginning(fd: number, count: Count, end: string): Call<void> {
  if (count.fromOtherEnd) return yield* allBut(fd, count, end);
  if (count.unit === 'bytes') {
    for (let left = count.n; left > 0; ) {
      const data = yield* sys('read', fd, Math.min(left, READ));
      if (data.length === 0) return;
      yield* writeAll(1, data);
      left -= data.length;
    }
    return;
  }
  let left = count.n;
  const mark = end.charCodeAt(0);
  while (left > 0) {
    const data = yield* sys('read', fd, 8192);
    if (data.length === 0) return;
    let at = 0;
    while (left > 0 && at < data.length) {
      const found = data.indexOf(mark, at);
      at = found < 0 ? data.length : found + 1;
      if (found >= 0) left--;
    }
    if (left === 0 && at < data.length) yield* attempt(sys('lseek', fd, at - data.length, 1), 0);
    yield* writeAll(1, data.subarray(0, at));
  }
}

function* allBut(fd: number, count: Count, end: string): Call<void> {
  const reader = createReader(fd);
  const held: string[] = [];
  if (count.unit === 'bytes') {
    let text = '';
    for (let line = yield* nextLine(reader, end); line !== null; line = yield* nextLine(reader, end)) text += line;
    return yield* putOut(text.slice(0, Math.max(0, text.length - count.n)));
  }
  for (let line = yield* nextLine(reader, end); line !== null; line = yield* nextLine(reader, end)) {
    held.push(line);
    if (held.length > count.n) yield* putOut(held.shift()!);
  }
}

interface Followed {
  name: string;
  fd: number;
  ino: number;
  at: number;
}

export const tail = command(function* (argv) {
  const old = /^\+(\d+)$/.exec(argv[1] ?? '');
  const args = old ? ['-n', `+${old[1]}`, ...argv.slice(2)] : modern(argv.slice(1));
  const o = parseOptions('c/bytes= f/follow? F n/lines= q/quiet silent s/sleep-interval= v/verbose z/zero-terminated pid= retry max-unchanged-stats= debug', args);
  const count = countOf(o, '+');
  const names = o.words.length === 0 ? ['-'] : o.words;
  const titles = o.on.has('verbose') || (names.length > 1 && !o.on.has('quiet') && !o.on.has('silent'));
  const followed: Followed[] = [];
  let status = 0;
  for (const [i, name] of names.entries()) {
    try {
      const fd = name === '-' ? 0 : yield* sys('openat', AT_FDCWD, name, O_RDONLY);
      if (titles) yield* print(`${i > 0 ? '\n' : ''}==> ${name === '-' ? 'standard input' : name} <==\n`);
      const stat = yield* sys('fstat', fd);
      yield* end(fd, count, o.on.has('zero-terminated') ? 0 : 10, stat);
      followed.push({ name, fd, ino: stat.ino, at: (yield* sys('fstat', fd)).size });
    } catch (error) {
      if (!(error instanceof SysError) || error.errno === 'EPIPE') throw error;
      yield* complain(error.errno === 'EISDIR' ? `tail: error reading ${quoted(name)}: Is a directory\n` : `tail: cannot open ${quoted(name)} for reading: ${strerror(error)}\n`);
      if (o.on.has('F')) followed.push({ name, fd: -1, ino: 0, at: 0 });
      status = 1;
    }
  }
  if (!o.on.has('follow') && !o.on.has('F')) return status;
  if (followed.every((f) => f.name === '-' || (f.fd < 0 && !o.on.has('F')))) {
    if (followed.length === 0) yield* complain('tail: no files remaining\n');
    return status;
  }
  yield* follow(o, followed, titles);
  return status;
});

/** Prints the end of what can be read from here. */
function* end(fd: number, count: Count, mark: number, stat: Stat): Call<void> {
  yield* refuseDirectory(fd);
  if (count.fromOtherEnd) return yield* skip(fd, count, mark);
  if ((stat.mode & S_IFMT) === S_IFREG && stat.size > READ) return yield* seekEnd(fd, count, mark, stat.size);
  yield* keepEnd(fd, count, mark);
}

function* skip(fd: number, count: Count, mark: number): Call<void> {
  let left = Math.max(0, count.n - 1);
  for (;;) {
    const data = yield* sys('read', fd, READ);
    if (data.length === 0) return;
    let at = 0;
    if (count.unit === 'bytes') {
      at = Math.min(left, data.length);
      left -= at;
    } else {
      while (left > 0 && at < data.length) {
        const found = data.indexOf(mark, at);
        at = found < 0 ? data.length : found + 1;
        if (found >= 0) left--;
      }
    }
    if (at < data.length) yield* writeAll(1, data.subarray(at));
  }
}

/** Reads a long file's blocks from its end until enough lines are in them. */
function* seekEnd(fd: number, count: Count, mark: number, size: number): Call<void> {
  let at = size;
  let lines = 0;
  let from = count.unit === 'bytes' ? Math.max(0, size - count.n) : -1;
  while (from < 0 && at > 0) {
    const start = Math.max(0, at - READ);
    const data = yield* sys('pread64', fd, at - start, start);
    for (let i = data.length - 1; i >= 0 && from < 0; i--) {
      if (data[i] !== mark || start + i === size - 1) continue;
      if (++lines === count.n) from = start + i + 1;
    }
    at = start;
  }
  if (count.n === 0) from = size;
  yield* sys('lseek', fd, Math.max(0, from), 0);
  for (;;) {
    const data = yield* sys('read', fd, READ);
    if (data.length === 0) return;
    yield* writeAll(1, data);
  }
}

/** A piece that was read; runs of one byte are kept as such. */
interface Piece {
  data: Uint8Array;
  repeat: number;
  lines: number;
}

function* keepEnd(fd: number, count: Count, mark: number): Call<void> {
  const heap = createHeap();
  const pieces: Piece[] = [];
  let lines = 0;
  let size = 0;
  let last = -1;
  for (;;) {
    const data = yield* sys('read', fd, READ);
    if (data.length === 0) break;
    const piece = pieceOf(data, mark);
    last = data[data.length - 1]!;
    const before = pieces.at(-1);
    if (before && piece.data.length === 1 && before.data.length === 1 && piece.lines === 0 && before.data[0] === piece.data[0]) before.repeat += piece.repeat;
    else pieces.push(piece);
    lines += piece.lines;
    size += data.length;
    while (pieces.length > 1 && enough(count, lines - pieces[0]!.lines, size - lengthOf(pieces[0]!))) {
      const gone = pieces.shift()!;
      lines -= gone.lines;
      size -= lengthOf(gone);
    }
    if (size > heap.total) yield* extend(heap, size - heap.total);
  }
  const wanted = count.unit === 'bytes' ? Math.max(0, size - count.n) : -1;
  yield* printEnd(pieces, count, wanted, lines + (last !== mark && last >= 0 ? 1 : 0), mark);
}

const lengthOf = (piece: Piece): number => piece.data.length * piece.repeat;
const enough = (count: Count, lines: number, size: number): boolean => (count.unit === 'bytes' ? size >= count.n : lines > count.n);

function pieceOf(data: Uint8Array, mark: number): Piece {
  if (data.length > 64 && isRun(data)) return { data: data.slice(0, 1), repeat: data.length, lines: data[0] === mark ? data.length : 0 };
  let lines = 0;
  for (let at = data.indexOf(mark); at >= 0; at = data.indexOf(mark, at + 1)) lines++;
  return { data: data.slice(), repeat: 1, lines };
}

/** Whether all bytes are the same; 32 at a time, because an endless line comes this way. */
function isRun(data: Uint8Array): boolean {
  const words = data.byteOffset % 4 === 0 ? new Int32Array(data.buffer, data.byteOffset, (data.length >> 5) * 8) : new Int32Array();
  const w = words[0] ?? 0;
  for (let i = 0; i < words.length; i += 8) {
    const differs = (words[i]! ^ w) | (words[i + 1]! ^ w) | (words[i + 2]! ^ w) | (words[i + 3]! ^ w) | (words[i + 4]! ^ w) | (words[i + 5]! ^ w) | (words[i + 6]! ^ w) | (words[i + 7]! ^ w);
    if (differs !== 0) return false;
  }
  for (let i = 0; i < Math.min(4, data.length); i++) if (data[i] !== data[0]) return false;
  for (let i = words.length * 4; i < data.length; i++) if (data[i] !== data[0]) return false;
  return true;
}

function* printEnd(pieces: readonly Piece[], count: Count, skipBytes: number, lines: number, mark: number): Call<void> {
  let skipLines = count.unit === 'lines' ? Math.max(0, lines - count.n) : 0;
  let left = skipBytes;
  for (const piece of pieces) {
    for (let done = 0; done < lengthOf(piece); done += READ) {
      const data = piece.repeat === 1 ? piece.data.subarray(done, done + READ) : new Uint8Array(Math.min(READ, piece.repeat - done)).fill(piece.data[0]!);
      let at = 0;
      if (count.unit === 'bytes') {
        at = Math.min(left, data.length);
        left -= at;
      }
      while (skipLines > 0 && at < data.length) {
        const found = data.indexOf(mark, at);
        at = found < 0 ? data.length : found + 1;
        if (found >= 0) skipLines--;
      }
      if (at < data.length) yield* writeAll(1, data.subarray(at));
    }
  }
}

function* follow(o: Options, followed: Followed[], titles: boolean): Call<void> {
  const pause = Number(lastValue(o, 'sleep-interval') ?? 1) * 1e9;
  const pid = lastValue(o, 'pid');
  const byName = o.on.has('F') || lastValue(o, 'follow') === 'name';
  let shown = followed.at(-1)?.name ?? '';
  for (;;) {
    for (const file of followed) {
      if (byName) yield* reopen(file);
      if (file.fd < 0) continue;
      const { size } = yield* sys('fstat', file.fd);
      if (size < file.at) {
        yield* complain(`tail: ${file.name}: file truncated\n`);
        yield* attempt(sys('lseek', file.fd, 0, 0), 0);
      }
      file.at = size;
      for (;;) {
        const data = yield* sys('read', file.fd, READ);
        if (data.length === 0) break;
        if (titles && shown !== file.name) yield* print(`\n==> ${file.name} <==\n`);
        shown = file.name;
        yield* writeAll(1, data);
      }
    }
    if (pid !== undefined && !(yield* exists(`/proc/${pid}`))) return;
    yield* sys('nanosleep', pause);
  }
}

function* reopen(file: Followed): Call<void> {
  const stat = yield* attempt(sys('newfstatat', AT_FDCWD, file.name, 0), null);
  if (!stat && file.fd >= 0) {
    yield* complain(`tail: ${quoted(file.name)} has become inaccessible: No such file or directory\n`);
    yield* sys('close', file.fd);
    file.fd = -1;
  } else if (stat && (file.fd < 0 || stat.ino !== file.ino)) {
    if (file.fd >= 0) yield* sys('close', file.fd);
    yield* complain(`tail: ${quoted(file.name)} has ${file.fd < 0 ? 'appeared' : 'been replaced'};  following new file\n`);
    file.fd = yield* attempt(sys('openat', AT_FDCWD, file.name, O_RDONLY), -1);
    file.ino = stat.ino;
    file.at = 0;
  }
}
