/** sort: keys, orders and the last resort of comparing whole lines, bytes as the C locale has them. */
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed } from '../lib/io.ts';
import { versionOrder } from './ls.ts';
import { curly } from './quote.ts';
import { bytesOf, eachInput, encoded, putOut, readRest, refuseDirectory } from './streams.ts';

interface Order {
  kind: 'text' | 'number' | 'general' | 'human' | 'month' | 'version' | 'random';
  reverse: boolean;
  fold: boolean;
  blanks: boolean;
  dictionary: boolean;
  printing: boolean;
}

interface Key {
  from: { field: number; char: number; blanks: boolean };
  to: { field: number; char: number; blanks: boolean } | null;
  order: Order | null;
}

const LETTERS: Readonly<Record<string, Partial<Order>>> = {
  n: { kind: 'number' }, g: { kind: 'general' }, h: { kind: 'human' }, M: { kind: 'month' }, V: { kind: 'version' }, R: { kind: 'random' }, r: { reverse: true }, f: { fold: true }, b: { blanks: true }, d: { dictionary: true },
  i: { printing: true },
};

const SPEC =
  'b/ignore-leading-blanks c/check? C d/dictionary-order f/ignore-case g/general-numeric-sort h/human-numeric-sort i/ignore-nonprinting k/key= m/merge M/month-sort n/numeric-sort o/output= r/reverse R/random-sort ' +
  's/stable S/buffer-size= t/field-separator= T/temporary-directory= u/unique V/version-sort z/zero-terminated sort= parallel= files0-from= batch-size= debug';

const LONG: Readonly<Record<string, string>> = {
  'numeric-sort': 'n', 'general-numeric-sort': 'g', 'human-numeric-sort': 'h', 'month-sort': 'M', 'version-sort': 'V', 'random-sort': 'R', reverse: 'r', 'ignore-case': 'f', 'ignore-leading-blanks': 'b', 'dictionary-order': 'd',
  'ignore-nonprinting': 'i',
};

const PLAIN: Order = { kind: 'text', reverse: false, fold: false, blanks: false, dictionary: false, printing: false };

export const sort = command(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  const general = ordering([...o.on.keys()].map((k) => LONG[k] ?? '').join('') + ({ numeric: 'n', general: 'g', human: 'h', month: 'M', version: 'V', random: 'R' }[lastValue(o, 'sort') ?? ''] ?? ''))!;
  const separator = separatorOf(o);
  const keys = (o.values.get('key') ?? []).map((k) => keyOf(k));
  const end = o.on.has('zero-terminated') ? '\0' : '\n';
  const lines: string[] = [];
  const status = yield* eachInput('sort', o.words, function* ({ fd }) {
    yield* refuseDirectory(fd);
    const text = yield* readRest(fd);
    const some = text.split(end);
    if (some.at(-1) === '') some.pop();
    for (const line of some) lines.push(line);
  }, (name) => `cannot read: ${name}`);
  if (status > 0) return 2;
  const compare = comparing(keys, general, separator, o.on.has('stable') || o.on.has('unique') ? 'stable' : 'whole');
  if (o.on.has('check') || o.on.has('C')) return yield* checked(o, lines, compare);
  lines.sort(compare);
  const kept = o.on.has('unique') ? lines.filter((line, i) => i === 0 || compare(lines[i - 1]!, line) !== 0) : lines;
  const text = kept.map((line) => line + end).join('');
  const target = lastValue(o, 'output');
  if (target === undefined) yield* putOut(text);
  else {
    const fd = yield* sys('openat', AT_FDCWD, target, O_WRONLY | O_CREAT | O_TRUNC, 0o666);
    yield* writeAll(fd, bytesOf(text));
    yield* sys('close', fd);
  }
  return 0;
}, 2);

function separatorOf(o: Options): string | null {
  const given = lastValue(o, 'field-separator');
  if (given === undefined) return null;
  if (given === '') throw new Failed('empty tab', 2);
  if (given === '\\0') return '\0';
  if (encoded(given).length > 1) throw new Failed(`multi-character tab ${curly(given)}`, 2);
  return encoded(given);
}

function ordering(letters: string): Order | null {
  const order = { ...PLAIN };
  for (const letter of letters) {
    const change = LETTERS[letter];
    if (!change) return null;
    Object.assign(order, change);
  }
  return order;
}

function keyOf(spec: string): Key {
  const m = /^(\d+)(?:\.(\d+))?([a-zA-Z]*)(?:,(\d+)(?:\.(\d+))?([a-zA-Z]*))?$/.exec(spec);
  if (!m) throw new Failed(`${/^\d/.test(spec) ? 'stray character in field spec' : 'invalid number at field start'}: invalid field specification ${curly(spec)}`, 2);
  if (Number(m[1]) === 0) throw new Failed(`field number is zero: invalid field specification ${curly(spec)}`, 2);
  const letters = m[3]! + (m[6] ?? '');
  const order = letters === '' ? null : ordering(letters);
  if (letters !== '' && !order) throw new Failed(`stray character in field spec: invalid field specification ${curly(spec)}`, 2);
  return {
    from: { field: Number(m[1]) - 1, char: Number(m[2] ?? 1) - 1, blanks: m[3]!.includes('b') },
    to: m[4] === undefined ? null : { field: Number(m[4]) - 1, char: Number(m[5] ?? 0), blanks: (m[6] ?? '').includes('b') }, order,
  };
}

/** Where each field begins and ends. Without a separator a field takes the blanks before it along. */
function fieldsOf(line: string, separator: string | null): [number, number][] {
  const out: [number, number][] = [];
  if (separator !== null) {
    let at = 0;
    for (;;) {
      const next = line.indexOf(separator, at);
      out.push([at, next < 0 ? line.length : next]);
      if (next < 0) return out;
      at = next + 1;
    }
  }
  for (const m of line.matchAll(/[ \t]*[^ \t]+|[ \t]+$/g)) out.push([m.index, m.index + m[0].length]);
  return out;
}

const skipBlanks = (line: string, at: number): number => {
  let i = at;
  while (line[i] === ' ' || line[i] === '\t') i++;
  return i;
};

function part(line: string, key: Key, order: Order, separator: string | null): string {
  const fields = fieldsOf(line, separator);
  const first = fields[key.from.field];
  if (!first) return '';
  const skip = key.from.blanks || (key.order === null && order.blanks);
  const start = Math.min((skip ? skipBlanks(line, first[0]) : first[0]) + key.from.char, key.from.char > 0 ? line.length : line.length);
  if (!key.to) return line.slice(start);
  const last = fields[key.to.field];
  if (!last) return line.slice(start);
  if (key.to.char === 0) return line.slice(start, last[1]);
  const from = key.to.blanks ? skipBlanks(line, last[0]) : last[0];
  return line.slice(start, Math.min(from + key.to.char, line.length));
}

function comparing(keys: readonly Key[], general: Order, separator: string | null, lastResort: 'stable' | 'whole'): (a: string, b: string) => number {
  return (a, b) => {
    if (keys.length === 0) {
      const order = compareBy(a, b, general);
      if (order !== 0) return general.reverse ? -order : order;
    }
    for (const key of keys) {
      const order = key.order ?? general;
      const result = compareBy(part(a, key, order, separator), part(b, key, order, separator), order);
      if (result !== 0) return order.reverse ? -result : result;
    }
    if (lastResort === 'stable') return 0;
    const whole = a < b ? -1 : a > b ? 1 : 0;
    return general.reverse ? -whole : whole;
  };
}

const SUFFIXES = ' KMGTPEZY';
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];

function compareBy(a: string, b: string, order: Order): number {
  switch (order.kind) {
    case 'number': return numberOf(a) - numberOf(b);
    case 'human': return suffixOf(a) - suffixOf(b) || numberOf(a) - numberOf(b);
    case 'general': return floatOf(a) - floatOf(b) || 0;
    case 'month': return monthOf(a) - monthOf(b);
    case 'version': return versionOrder(a, b);
    case 'random': return hash(a) - hash(b);
    default: {
      const [x, y] = [plain(a, order), plain(b, order)];
      return x < y ? -1 : x > y ? 1 : 0;
    }
  }
}

function plain(text: string, order: Order): string {
  let out = order.blanks ? text.replace(/^[ \t]+/, '') : text;
  if (order.dictionary) out = out.replace(/[^A-Za-z0-9 \t]/g, '');
  if (order.printing) out = out.replace(/[^ -~]/g, '');
  return order.fold ? out.toUpperCase() : out;
}

const numberOf = (text: string): number => Number(/^\s*(-?\d*(?:\.\d*)?)/.exec(text)?.[1] || 0) || 0;
const floatOf = (text: string): number => {
  const m = /^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/.exec(text);
  return m ? Number(m[0]) : -1e308;
};
const suffixOf = (text: string): number => {
  const m = /^\s*(-?)\d*\.?\d*([KMGTPEZYk]?)/.exec(text);
  const rank = numberOf(text) === 0 ? 0 : Math.max(0, SUFFIXES.indexOf((m?.[2] || ' ').toUpperCase()));
  return m?.[1] === '-' ? -rank : rank;
};
const monthOf = (text: string): number => MONTHS.indexOf(text.trim().slice(0, 3).toUpperCase());

function hash(text: string): number {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
}

function* checked(o: Options, lines: readonly string[], compare: (a: string, b: string) => number): Call<number> {
  for (let i = 1; i < lines.length; i++) {
    const order = compare(lines[i - 1]!, lines[i]!);
    if (order > 0 || (order === 0 && o.on.has('unique'))) {
      if (!o.on.has('C')) yield* complain(`sort: ${o.words[0] ?? '-'}:${i + 1}: disorder: ${lines[i]!}\n`);
      return 1;
    }
  }
  return 0;
}
