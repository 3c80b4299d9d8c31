/** cmp and diff (normal and unified). The differences are the shortest edit script, by Myers' method. */
import { AT_FDCWD, O_RDONLY, S_IFBLK, S_IFCHR, S_IFMT, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { isDir, list, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { strftime } from './calendar.ts';
import { joined } from './paths.ts';
import { curly } from './quote.ts';
import { encoded, putOut, readRest } from './streams.ts';

function* contents(who: string, name: string): Call<string> {
  try {
    const fd = name === '-' ? 0 : yield* sys('openat', AT_FDCWD, name, O_RDONLY);
    const text = yield* readRest(fd);
    if (fd > 0) yield* sys('close', fd);
    return text;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${name}: ${strerror(error)}`, who === 'cmp' ? 2 : 2);
  }
}

export const cmp = command(function* (argv) {
  const o = parseOptions('b/print-bytes i/ignore-initial= l/verbose n/bytes= s/quiet silent', argv.slice(1));
  const [a, b = '-'] = o.words;
  if (a === undefined) throw new BadOption(`missing operand after ${curly('cmp')}`);
  const limit = Number(lastValue(o, 'bytes') ?? Number.POSITIVE_INFINITY);
  const [x, y] = [(yield* contents('cmp', a)).slice(0, limit), (yield* contents('cmp', b)).slice(0, limit)];
  const least = Math.min(x.length, y.length);
  let [line, status] = [1, 0];
  for (let i = 0; i < least; i++) {
    if (x[i] !== y[i]) {
      status = 1;
      if (o.on.has('quiet') || o.on.has('silent')) return 1;
      if (!o.on.has('verbose')) {
        yield* putOut(encoded(`${a} ${b} differ: byte ${i + 1}, line ${line}\n`));
        return 1;
      }
      yield* putOut(`${String(i + 1).padStart(String(least).length)} ${x.charCodeAt(i).toString(8).padStart(3)} ${y.charCodeAt(i).toString(8).padStart(3)}\n`);
    }
    if (x[i] === '\n') line++;
  }
  if (x.length === y.length) return status;
  const [short, text] = x.length < y.length ? [a, x] : [b, y];
  if (!o.on.has('quiet') && !o.on.has('silent')) {
    const where = text === '' ? 'which is empty' : `after byte ${text.length}${o.on.has('verbose') ? '' : `, ${text.endsWith('\n') ? '' : 'in '}line ${text.endsWith('\n') ? line - 1 : line}`}`;
    yield* complain(`cmp: EOF on ${short} ${where}\n`);
  }
  return 1;
}, 2);

/** A run of lines that are taken out of `a` and put in from `b`: [from, to) of each. */
interface Hunk {
  a: [number, number];
  b: [number, number];
}

/** The places where two lists of lines differ. Throws Failed beyond what can be held. */
export function differences(a: readonly string[], b: readonly string[]): Hunk[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let [aEnd, bEnd] = [a.length, b.length];
  while (aEnd > start && bEnd > start && a[aEnd - 1] === b[bEnd - 1]) {
    aEnd--;
    bEnd--;
  }
  const kept = matching(a.slice(start, aEnd), b.slice(start, bEnd)).map(([i, j]) => [i + start, j + start] as const);
  const hunks: Hunk[] = [];
  let [i, j] = [start, start];
  for (const [ni, nj] of [...kept, [aEnd, bEnd] as const]) {
    if (ni > i || nj > j) hunks.push({ a: [i, ni], b: [j, nj] });
    [i, j] = [ni + 1, nj + 1];
  }
  return hunks;
}

/** Pairs of a longest common subsequence. */
function matching(a: readonly string[], b: readonly string[]): [number, number][] {
  const max = a.length + b.length;
  const trace: Map<number, number>[] = [];
  let front = new Map<number, number>([[1, 0]]);
  for (let d = 0; d <= max; d++) {
    if (d > 4000) throw new Failed('files differ too much for the lab', 2);
    trace.push(new Map(front));
    const next = new Map(front);
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (front.get(k - 1) ?? -1) < (front.get(k + 1) ?? -1));
      let x = down ? (front.get(k + 1) ?? 0) : (front.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return backtrack(trace, d, k, a.length);
    }
    front = next;
  }
  return [];
}

function backtrack(trace: readonly Map<number, number>[], depth: number, diagonal: number, end: number): [number, number][] {
  const pairs: [number, number][] = [];
  let [x, k] = [end, diagonal];
  for (let d = depth; d >= 0; d--) {
    const front = trace[d]!;
    const down = k === -d || (k !== d && (front.get(k - 1) ?? -1) < (front.get(k + 1) ?? -1));
    const before = down ? k + 1 : k - 1;
    const from = d === 0 ? 0 : down ? (front.get(before) ?? 0) : (front.get(before) ?? 0) + 1;
    for (let i = x; i > from; i--) pairs.push([i - 1, i - 1 - k]);
    x = d === 0 ? 0 : (front.get(before) ?? 0);
    k = before;
  }
  return pairs.reverse();
}

export const diff = command(function* (argv) {
  const args = argv.slice(1).flatMap((a) => (/^-[uU]\d+$/.test(a) ? ['-U', a.slice(2)] : /^-\d+$/.test(a) ? ['-U', a.slice(1)] : [a]));
  const o = parseOptions('a/text b/ignore-space-change B/ignore-blank-lines c e i/ignore-case L/label= N/new-file n p q/brief r/recursive s/report-identical-files u U/unified= w/ignore-all-space x/exclude= y color? strip-trailing-cr', args);
  const [a, b] = o.words;
  if (a === undefined || b === undefined) throw new BadOption(a === undefined ? `missing operand after ${curly('diff')}` : `missing operand after ${curly(a)}`);
  if (o.words.length > 2) throw new BadOption(`extra operand ${curly(o.words[2]!)}`);
  return yield* pair(o, a, b, argv.slice(1));
}, 2);

function* pair(o: Options, a0: string, b0: string, words: readonly string[]): Call<number> {
  let [a, b] = [a0, b0];
  const [x, y] = [a === '-' ? null : yield* statOf(a), b === '-' ? null : yield* statOf(b)];
  for (const [name, stat] of [[a, x], [b, y]] as const) if (!stat && name !== '-' && !o.on.has('new-file')) throw new Failed(`${name}: No such file or directory`, 2);
  if (x && y && isDir(x) && isDir(y)) return yield* directories(o, a, b, words);
  if (x && isDir(x)) a = joined(a, b.slice(b.lastIndexOf('/') + 1));
  else if (y && isDir(y)) b = joined(b, a.slice(a.lastIndexOf('/') + 1));
  const [left, right] = [x || a === '-' ? yield* contents('diff', a) : '', y || b === '-' ? yield* contents('diff', b) : ''];
  if (left === right) {
    if (o.on.has('report-identical-files')) yield* putOut(`Files ${a} and ${b} are identical\n`);
    return 0;
  }
  if (!o.on.has('text') && (left.includes('\0') || right.includes('\0'))) {
    yield* putOut(`Binary files ${a} and ${b} differ\n`);
    return 2 - 1;
  }
  const [p, q] = [linesOf(left), linesOf(right)];
  const hunks = differences(p.map((l) => keyOf(o, l)), q.map((l) => keyOf(o, l)));
  if (hunks.length === 0) return 0;
  if (o.on.has('brief')) {
    yield* putOut(`Files ${a} and ${b} differ\n`);
    return 1;
  }
  if (o.on.has('u') || o.on.has('unified')) {
    const labels = o.values.get('label') ?? [];
    const title = function* (name: string, label: string | undefined): Call<string> {
      const stat = yield* statOf(name);
      return label ?? `${name}\t${strftime('%Y-%m-%d %H:%M:%S.%N %z', stat?.mtime ?? 0)}`;
    };
    yield* putOut(encoded(`--- ${yield* title(a, labels[0])}\n+++ ${yield* title(b, labels[1])}\n`));
    yield* putOut(unified(p, q, hunks, Number(lastValue(o, 'unified') ?? 3)));
  } else yield* putOut(normal(p, q, hunks));
  return 1;
}

/** What diff -r opens; of the others it only says what they are. */
const READABLE: ReadonlySet<string> = new Set(['file', 'link']);
const KINDS: Readonly<Record<string, string>> = { file: 'regular file', link: 'symbolic link', dir: 'directory', fifo: 'fifo', sock: 'socket', chr: 'character special file', blk: 'block special file' };

function* sameDevice(a: string, b: string): Call<boolean> {
  const [x, y] = [yield* statOf(a), yield* statOf(b)];
  return x !== null && y !== null && (x.mode & S_IFMT) === (y.mode & S_IFMT) && ((x.mode & S_IFMT) === S_IFCHR || (x.mode & S_IFMT) === S_IFBLK) && x.rdev[0] === y.rdev[0] && x.rdev[1] === y.rdev[1];
}

function* directories(o: Options, a: string, b: string, words: readonly string[]): Call<number> {
  const [left, right] = [yield* list(a), yield* list(b)];
  const names = [...new Set([...left, ...right].map((e) => e.name))].sort();
  let status = 0;
  for (const name of names) {
    const [inA, inB] = [left.find((e) => e.name === name), right.find((e) => e.name === name)];
    if ((!inA || !inB) && !o.on.has('new-file')) {
      yield* putOut(encoded(`Only in ${inA ? a : b}: ${name}\n`));
      status = 1;
    } else if ((inA ?? inB)!.type === 'dir' && (inB ?? inA)!.type === 'dir') {
      if (o.on.has('recursive')) status = Math.max(status, yield* directories(o, joined(a, name), joined(b, name), words));
      else yield* putOut(encoded(`Common subdirectories: ${joined(a, name)} and ${joined(b, name)}\n`));
    } else if (inA && inB && !(READABLE.has(inA.type) && READABLE.has(inB.type))) {
      if (yield* sameDevice(joined(a, name), joined(b, name))) continue;
      yield* putOut(encoded(`File ${joined(a, name)} is a ${KINDS[inA.type] ?? inA.type} while file ${joined(b, name)} is a ${KINDS[inB.type] ?? inB.type}\n`));
      status = 1;
    } else {
      const before = o.on.has('brief') ? '' : `diff ${words.filter((w) => w.startsWith('-')).join(' ')} ${joined(a, name)} ${joined(b, name)}\n`.replace('diff  ', 'diff ');
      const [p, q] = [inA ? yield* contents('diff', joined(a, name)) : '', inB ? yield* contents('diff', joined(b, name)) : ''];
      if (before && p !== q) yield* putOut(encoded(before));
      status = Math.max(status, yield* pair(o, joined(a, name), joined(b, name), words));
    }
  }
  return status;
}

/** Lines with their end marks, so that a missing last one shows. */
const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

function keyOf(o: Options, line: string): string {
  let key = line;
  if (o.on.has('ignore-all-space')) key = key.replace(/\s+/g, '');
  else if (o.on.has('ignore-space-change')) key = key.replace(/\s+$/, '').replace(/\s+/g, ' ');
  return o.on.has('ignore-case') ? key.toLowerCase() : key;
}

const marked = (mark: string, line: string): string => (line.endsWith('\n') ? `${mark}${line}` : `${mark}${line}\n\\ No newline at end of file\n`);

function normal(a: readonly string[], b: readonly string[], hunks: readonly Hunk[]): string {
  const range = ([from, to]: [number, number]): string => (to - from <= 1 ? String(Math.max(to, from)) : `${from + 1},${to}`);
  return hunks.map((h) => {
    const kind = h.a[0] === h.a[1] ? 'a' : h.b[0] === h.b[1] ? 'd' : 'c';
    const old = a.slice(...h.a).map((l) => marked('< ', l)).join('');
    const fresh = b.slice(...h.b).map((l) => marked('> ', l)).join('');
    return `${range(h.a)}${kind}${range(h.b)}\n${old}${kind === 'c' ? '---\n' : ''}${fresh}`;
  }).join('');
}

function unified(a: readonly string[], b: readonly string[], hunks: readonly Hunk[], context: number): string {
  const groups: Hunk[][] = [];
  for (const hunk of hunks) {
    const last = groups.at(-1);
    if (last && hunk.a[0] - last.at(-1)!.a[1] <= context * 2) last.push(hunk);
    else groups.push([hunk]);
  }
  return groups.map((group) => {
    const [first, last] = [group[0]!, group.at(-1)!];
    const from = Math.max(0, first.a[0] - context);
    const to = Math.min(a.length, last.a[1] + context);
    const bFrom = first.b[0] - (first.a[0] - from);
    const bTo = last.b[1] + (to - last.a[1]);
    const span = (start: number, end: number): string => (end - start === 1 ? String(start + 1) : `${end === start ? start : start + 1},${end - start}`);
    let out = `@@ -${span(from, to)} +${span(bFrom, bTo)} @@\n`;
    let at = from;
    for (const h of group) {
      for (; at < h.a[0]; at++) out += marked(' ', a[at]!);
      out += a.slice(...h.a).map((l) => marked('-', l)).join('') + b.slice(...h.b).map((l) => marked('+', l)).join('');
      at = h.a[1];
    }
    for (; at < to; at++) out += marked(' ', a[at]!);
    return out;
  }).join('');
}
