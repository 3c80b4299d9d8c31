/** uniq, cut, tr, comm, join of columns: text by lines, fields and characters. */
import { AT_FDCWD, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, strerror } from '../lib/io.ts';
import { unescaped } from './escapes.ts';
import { curly } from './quote.ts';
import { binaryOf, chomp, createOut, createReader, eachInput, encoded, flush, lineWaits, nextLine, put, putOut, READ } from './streams.ts';

export const uniq = command(function* (argv) {
  const o = parseOptions('c/count d/repeated D u/unique i/ignore-case f/skip-fields= s/skip-chars= w/check-chars= z/zero-terminated all-repeated? group?', argv.slice(1));
  const [input = '-', output] = o.words;
  const end = o.on.has('zero-terminated') ? '\0' : '\n';
  let fd = 0;
  try {
    if (input !== '-') fd = yield* sys('openat', AT_FDCWD, input, O_RDONLY);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${input}: ${strerror(error)}`);
  }
  if (output !== undefined && output !== '-') yield* sys('dup3', yield* sys('openat', AT_FDCWD, output, O_WRONLY | O_CREAT | O_TRUNC, 0o666), 1, 0);
  const reader = createReader(fd);
  const out = createOut();
  let group: string[] = [];
  let key = '';
  for (;;) {
    const raw = yield* nextLine(reader, end);
    const line = raw === null ? null : chomp(raw, end);
    const next = line === null ? null : uniqKey(o, line);
    if (group.length > 0 && next !== key) {
      yield* put(out, uniqText(o, group, end));
      group = [];
      if (!lineWaits(reader, end)) yield* flush(out);
    }
    if (line === null || next === null) break;
    key = next;
    if (group.length > 0 && !o.on.has('D') && !o.on.has('all-repeated')) group.length++;
    else group.push(line);
  }
  yield* flush(out);
});

function uniqKey(o: Options, line: string): string {
  let rest = line;
  for (let n = Number(lastValue(o, 'skip-fields') ?? 0); n > 0; n--) rest = rest.replace(/^[ \t]*[^ \t]*/, '');
  rest = rest.slice(Number(lastValue(o, 'skip-chars') ?? 0));
  if (o.on.has('check-chars')) rest = rest.slice(0, Number(lastValue(o, 'check-chars')));
  return o.on.has('ignore-case') ? rest.toLowerCase() : rest;
}

function uniqText(o: Options, group: readonly string[], end: string): string {
  if (o.on.has('D') || o.on.has('all-repeated')) return group.length > 1 ? group.map((l) => l + end).join('') : '';
  if ((o.on.has('repeated') && group.length < 2) || (o.on.has('unique') && group.length > 1)) return '';
  return `${o.on.has('count') ? `${String(group.length).padStart(7)} ` : ''}${group[0]!}${end}`;
}

/** "1-3,5,7-" as ranges. */
function rangesOf(list: string, what: string): [number, number][] {
  return list.split(/[,\s]+/).map((spec) => {
    const m = /^(\d*)(-?)(\d*)$/.exec(spec);
    if (!m || (m[1] === '' && m[3] === '')) throw new BadOption(spec === '-' ? 'invalid range with no endpoint: -' : `invalid ${what} value ${curly(spec)}`);
    const from = m[1] === '' ? 1 : Number(m[1]);
    const to = m[2] === '' ? from : m[3] === '' ? Number.POSITIVE_INFINITY : Number(m[3]);
    if (from === 0) throw new BadOption(what === 'field' ? 'fields are numbered from 1' : 'byte/character positions are numbered from 1');
    if (to < from) throw new BadOption('invalid decreasing range');
    return [from, to] as [number, number];
  });
}

export const cut = command(function* (argv) {
  const o = parseOptions('b/bytes= c/characters= d/delimiter= f/fields= n s/only-delimited z/zero-terminated complement output-delimiter=', argv.slice(1));
  const lists = ['bytes', 'characters', 'fields'].filter((k) => o.on.has(k));
  if (lists.length === 0) throw new BadOption('you must specify a list of bytes, characters, or fields');
  if (lists.length > 1) throw new BadOption('only one list may be specified');
  const byFields = lists[0] === 'fields';
  if (!byFields && o.on.has('delimiter')) throw new BadOption('an input delimiter may be specified only when operating on fields');
  const given = lastValue(o, 'delimiter');
  const delimiter = encoded(given ?? '\t');
  if (byFields && delimiter.length > 1) throw new BadOption('the delimiter must be a single character');
  const ranges = rangesOf(lastValue(o, lists[0]!)!, byFields ? 'field' : 'byte/character position').sort((a, b) => a[0] - b[0]);
  const chosen = (n: number): boolean => ranges.some(([a, b]) => n >= a && n <= b) !== o.on.has('complement');
  const between = lastValue(o, 'output-delimiter');
  const end = o.on.has('zero-terminated') ? '\0' : '\n';
  return yield* eachInput('cut', o.words, function* ({ fd }) {
    const reader = createReader(fd);
    const out = createOut();
    for (let line = yield* nextLine(reader, end); line !== null; line = yield* nextLine(reader, end)) {
      const body = chomp(line, end);
      if (byFields) {
        if (!body.includes(delimiter === '' ? '\0' : delimiter)) {
          if (!o.on.has('only-delimited')) yield* put(out, body + end);
        } else yield* put(out, body.split(delimiter).filter((_, i) => chosen(i + 1)).join(encoded(between ?? delimiter)) + end);
      } else yield* put(out, pieces(body, chosen, between === undefined ? '' : encoded(between)) + end);
      if (!lineWaits(reader, end)) yield* flush(out);
    }
    yield* flush(out);
  });
});

function pieces(body: string, chosen: (n: number) => boolean, between: string): string {
  let out = '';
  let before = false;
  let any = false;
  for (let i = 0; i < body.length; i++) {
    const now = chosen(i + 1);
    if (now && !before && any) out += between;
    if (now) out += body[i]!;
    any ||= now;
    before = now;
  }
  return out;
}

const CLASSES: Readonly<Record<string, (c: number) => boolean>> = {
  alpha: (c) => (c >= 65 && c <= 90) || (c >= 97 && c <= 122), digit: (c) => c >= 48 && c <= 57, alnum: (c) => CLASSES.alpha!(c) || CLASSES.digit!(c), upper: (c) => c >= 65 && c <= 90,
  lower: (c) => c >= 97 && c <= 122, space: (c) => c === 32 || (c >= 9 && c <= 13), blank: (c) => c === 32 || c === 9, cntrl: (c) => c < 32 || c === 127, print: (c) => c >= 32 && c < 127,
  graph: (c) => c > 32 && c < 127, punct: (c) => c > 32 && c < 127 && !CLASSES.alnum!(c), xdigit: (c) => CLASSES.digit!(c) || (c >= 65 && c <= 70) || (c >= 97 && c <= 102),
};

/** The bytes of a set of tr, in order; `repeatTo` fills [x*]. */
function setOf(spec: string, repeatTo: number): number[] {
  const codes: number[] = [];
  const text = encoded(spec);
  let fill: { at: number; code: number } | null = null;
  const read = (i: number): [code: number, next: number] => {
    if (text[i] !== '\\' || i + 1 >= text.length) return [text.charCodeAt(i), i + 1];
    const octal = /^\\([0-7]{1,3})/.exec(text.slice(i));
    if (octal) return [Number.parseInt(octal[1]!, 8) & 255, i + octal[0].length];
    const one = unescaped(text.slice(i, i + 2), 'printf').text;
    return [(one.length === 1 ? one : text[i + 1]!).charCodeAt(0), i + 2];
  };
  for (let i = 0; i < text.length; ) {
    const named = /^\[:(\w+):\]/.exec(text.slice(i));
    if (named) {
      const test = CLASSES[named[1]!];
      if (!test) throw new Failed(`invalid character class ${curly(named[1]!)}`);
      for (let c = 0; c < 256; c++) if (test(c)) codes.push(c);
      i += named[0].length;
      continue;
    }
    const repeat = /^\[(\\?.)\*(\d*)\]/s.exec(text.slice(i));
    if (repeat) {
      const [code] = read(i + 1);
      if (repeat[2] === '') fill = { at: codes.length, code };
      else for (let n = Number.parseInt(repeat[2]!, repeat[2]!.startsWith('0') ? 8 : 10); n > 0; n--) codes.push(code);
      i += repeat[0].length;
      continue;
    }
    const [from, next] = read(i);
    if (text[next] === '-' && next + 1 < text.length) {
      const [to, after] = read(next + 1);
      if (to < from) throw new Failed(`range-endpoints of '${text.slice(i, after)}' are in reverse collating sequence order`);
      for (let c = from; c <= to; c++) codes.push(c);
      i = after;
    } else {
      codes.push(from);
      i = next;
    }
  }
  if (fill) codes.splice(fill.at, 0, ...new Array<number>(Math.max(0, repeatTo - codes.length)).fill(fill.code));
  return codes;
}

export const tr = command(function* (argv) {
  const o = parseOptions('c/complement C d/delete s/squeeze-repeats t/truncate-set1', argv.slice(1), 'in-order');
  const { on } = o;
  const [first, second] = o.words;
  if (first === undefined) throw new BadOption('missing operand');
  if (second === undefined && !on.has('delete') && !on.has('squeeze-repeats')) throw new BadOption(`missing operand after ${curly(first)}\nTwo strings must be given when translating.`);
  if (second !== undefined && on.has('delete') && !on.has('squeeze-repeats')) throw new BadOption(`extra operand ${curly(second)}\nOnly one string may be given when deleting without squeezing repeats.`);
  let from = setOf(first, 0);
  if (on.has('complement') || on.has('C')) {
    const inside = new Set(from);
    from = Array.from({ length: 256 }, (_, c) => c).filter((c) => !inside.has(c));
  }
  const to = second === undefined ? null : setOf(second, from.length);
  const map = new Uint8Array(256).map((_, c) => c);
  const translating = to !== null && !on.has('delete');
  if (translating) {
    if (to!.length === 0 && !on.has('truncate-set1')) throw new Failed('when not truncating set1, string2 must be non-empty');
    from.forEach((c, i) => {
      if (i < to!.length || !on.has('truncate-set1')) map[c] = to![Math.min(i, to!.length - 1)]!;
    });
  }
  const gone = new Set(on.has('delete') ? from : []);
  const squeezed = new Set(on.has('squeeze-repeats') ? (to ?? from) : []);
  let last = -1;
  for (;;) {
    const data = yield* sys('read', 0, READ);
    if (data.length === 0) return;
    const out = new Uint8Array(data.length);
    let n = 0;
    for (const byte of data) {
      if (gone.has(byte)) continue;
      const code = map[byte]!;
      if (code === last && squeezed.has(code)) continue;
      out[n++] = code;
      last = code;
    }
    yield* putOut(binaryOf(out.subarray(0, n)));
  }
});

function* opened(name: string, who: string): Call<number> {
  try {
    return name === '-' ? 0 : yield* sys('openat', AT_FDCWD, name, O_RDONLY);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${name}: ${strerror(error)}`, who === 'comm' ? 1 : 1);
  }
}

export const comm = command(function* (argv) {
  const o = parseOptions('1 2 3 z/zero-terminated check-order nocheck-order output-delimiter= total', argv.slice(1));
  const [first, second] = o.words;
  if (first === undefined || second === undefined) throw new BadOption(first === undefined ? 'missing operand' : `missing operand after ${curly(first)}`);
  const [a, b] = [createReader(yield* opened(first, 'comm')), createReader(yield* opened(second, 'comm'))];
  const tab = lastValue(o, 'output-delimiter') ?? '\t';
  const shown = (column: 1 | 2 | 3, line: string): string => {
    if (o.on.has(String(column))) return '';
    return `${[1, 2, 3].filter((c) => c < column && !o.on.has(String(c))).map(() => tab).join('')}${line}\n`;
  };
  const out = createOut();
  let [x, y] = [yield* nextLine(a), yield* nextLine(b)];
  while (x !== null || y !== null) {
    const order = x === null ? 1 : y === null ? -1 : chomp(x) < chomp(y) ? -1 : chomp(x) > chomp(y) ? 1 : 0;
    yield* put(out, order < 0 ? shown(1, chomp(x!)) : order > 0 ? shown(2, chomp(y!)) : shown(3, chomp(x!)));
    if (order <= 0) x = yield* nextLine(a);
    if (order >= 0) y = yield* nextLine(b);
  }
  yield* flush(out);
});
