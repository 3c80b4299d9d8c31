/** wc: lines, words, characters and bytes. */
import { AT_FDCWD, O_RDONLY, S_IFMT, S_IFREG, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print, strerror } from '../lib/io.ts';
import { READ } from './streams.ts';

interface Counts {
  lines: number;
  words: number;
  chars: number;
  bytes: number;
  longest: number;
}

export const wc = command(function* (argv) {
  const o = parseOptions('c/bytes m/chars l/lines L/max-line-length w/words files0-from= total=', argv.slice(1));
  const names = o.words;
  const width = yield* widthFor(o, names);
  const total: Counts = { lines: 0, words: 0, chars: 0, bytes: 0, longest: 0 };
  let status = 0;
  for (const name of names.length === 0 ? ['-'] : names) {
    let counts: Counts = { lines: 0, words: 0, chars: 0, bytes: 0, longest: 0 };
    let fd = 0;
    try {
      if (name !== '-') fd = yield* sys('openat', AT_FDCWD, name, O_RDONLY);
      counts = yield* countAll(fd);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`wc: ${name === '-' ? 'standard input' : name}: ${strerror(error)}\n`);
      status = 1;
      if (error.errno !== 'EISDIR') continue;
    }
    if (fd > 0) yield* sys('close', fd);
    for (const key of ['lines', 'words', 'chars', 'bytes'] as const) total[key] += counts[key];
    total.longest = Math.max(total.longest, counts.longest);
    yield* print(row(o, counts, width, names.length === 0 ? '' : name));
  }
  const when = lastValue(o, 'total') ?? 'auto';
  if (when === 'always' || when === 'only' || (when === 'auto' && names.length > 1)) yield* print(row(o, total, width, when === 'only' ? '' : 'total'));
  return status;
});

/** As wide as the sum of the files' sizes, or 7 where a size cannot be known; one number alone is as wide as it is. */
function* widthFor(o: Options, names: readonly string[]): Call<number> {
  const columns = ['lines', 'words', 'chars', 'bytes', 'max-line-length'].filter((c) => o.on.has(c)).length || 3;
  if (names.length <= 1 && columns === 1) return 1;
  let sum = 0;
  let least = 1;
  for (const name of names.length === 0 ? ['-'] : names) {
    const stat = yield* attempt(name === '-' ? sys('fstat', 0) : sys('newfstatat', AT_FDCWD, name, 0), null);
    if (!stat) continue;
    if ((stat.mode & S_IFMT) === S_IFREG) sum += stat.size;
    else least = 7;
  }
  return Math.max(least, String(sum).length);
}

function row(o: Options, c: Counts, width: number, name: string): string {
  const all = !['lines', 'words', 'chars', 'bytes', 'max-line-length'].some((k) => o.on.has(k));
  const cells: number[] = [];
  if (all || o.on.has('lines')) cells.push(c.lines);
  if (all || o.on.has('words')) cells.push(c.words);
  if (o.on.has('chars')) cells.push(c.chars);
  if (all || o.on.has('bytes')) cells.push(c.bytes);
  if (o.on.has('max-line-length')) cells.push(c.longest);
  return `${cells.map((n) => String(n).padStart(width)).join(' ')}${name === '' ? '' : ` ${name}`}\n`;
}

function* countAll(fd: number): Call<Counts> {
  const c: Counts = { lines: 0, words: 0, chars: 0, bytes: 0, longest: 0 };
  let word = false;
  let column = 0;
  for (;;) {
    const data = yield* sys('read', fd, READ);
    if (data.length === 0) break;
    c.bytes += data.length;
    for (let i = 0; i < data.length; i++) {
      const byte = data[i]!;
      if ((byte & 0xc0) !== 0x80) c.chars++;
      if (byte === 10) {
        c.lines++;
        c.longest = Math.max(c.longest, column);
        column = 0;
      } else if (byte === 9) column += 8 - (column % 8);
      else if (byte >= 32 && byte !== 127 && (byte & 0xc0) !== 0x80) column++;
      const space = byte === 32 || (byte >= 9 && byte <= 13);
      if (space) word = false;
      else if (!word && (byte > 32 && byte !== 127)) {
        word = true;
        c.words++;
      }
    }
  }
  c.longest = Math.max(c.longest, column);
  return c;
}
