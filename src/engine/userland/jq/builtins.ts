/** The functions of jq: those written in jq itself, those that are not, and the formats (@csv and the like). Source: jq(1). */
import { bytes, fromBase64, text, toBase64 } from '../../sim/text.ts';
import { civilOf, daysBefore } from '../../sim/calendar.ts';
import { strftime } from '../coreutils/calendar.ts';
import type { Item } from './run.ts';
import { arithmetic, compare, deletePath, getPath, isObject, JqError, type Obj, setPath, sortedKeys, type Step, toJson, truth, typeOf, type Value } from './values.ts';

/** Name with the number of arguments: parameters, body. */
export const DEFINED: Readonly<Record<string, readonly [params: string, body: string]>> = {
  'map/1': ['f', '[.[] | f]'], 'map_values/1': ['f', '.[] |= f'], 'select/1': ['f', 'if f then . else empty end'], 'recurse/0': ['', '..'], 'recurse/1': ['f', '., (f | recurse(f))'],
  'to_entries/0': ['', '[keys_unsorted[] as $k | {key: $k, value: .[$k]}]'], 'with_entries/1': ['f', 'to_entries | map(f) | from_entries'],
  'from_entries/0': ['', 'reduce .[] as $x ({}; . + { ($x | if .key == null then .k // .name // .Name // .K // .Key else .key end | if type == "string" then . else tojson end): ($x | if has("value") then .value elif has("v") then .v else .Value end) })'],
  'values/0': ['', 'select(. != null)'], 'nulls/0': ['', 'select(. == null)'], 'strings/0': ['', 'select(type == "string")'], 'numbers/0': ['', 'select(type == "number")'], 'arrays/0': ['', 'select(type == "array")'],
  'objects/0': ['', 'select(type == "object")'], 'booleans/0': ['', 'select(type == "boolean")'], 'iterables/0': ['', 'select(type == "array" or type == "object")'], 'scalars/0': ['', 'select(type != "array" and type != "object")'],
  'any/0': ['', 'reduce .[] as $x (false; . or $x)'], 'all/0': ['', 'reduce .[] as $x (true; . and $x)'], 'any/1': ['f', 'map(f) | any'], 'all/1': ['f', 'map(f) | all'], 'any/2': ['g f', '[g | f] | any'], 'all/2': ['g f', '[g | f] | all'],
  'add/0': ['', 'reduce .[] as $x (null; . + $x)'], 'add/1': ['f', 'reduce f as $x (null; . + $x)'], 'first/0': ['', '.[0]'], 'last/0': ['', '.[-1]'], 'nth/1': ['$n', '.[$n]'], 'nth/2': ['$n f', '[f][$n]'], 'last/1': ['f', 'reduce f as $x (null; $x)'],
  'in/1': ['$o', '. as $k | $o | has($k)'], 'inside/1': ['$o', '. as $x | $o | contains($x)'], 'del/1': ['f', 'delpaths([path(f)])'], 'paths/0': ['', 'path(..) | select(length > 0)'],
  'paths/1': ['f', 'path(.. | select(f)) | select(length > 0)'], 'leaf_paths/0': ['', 'paths(scalars)'], 'sort_by/1': ['f', '[.[] | {k: [f], v: .}] | _sorted'], 'group_by/1': ['f', '[.[] | {k: [f], v: .}] | _grouped'],
  'unique_by/1': ['f', '[group_by(f)[] | .[0]]'], 'unique/0': ['', 'unique_by(.)'], 'min_by/1': ['f', 'sort_by(f) | .[0]'], 'max_by/1': ['f', 'sort_by(f) | .[-1]'], 'min/0': ['', 'sort | .[0]'], 'max/0': ['', 'sort | .[-1]'],
  'walk/1': ['f', 'def w: if type == "object" then map_values(w) elif type == "array" then map(w) else . end | f; w'], 'until/2': ['c f', 'def u: if c then . else (f | u) end; u'],
  'while/2': ['c f', 'def w: if c then ., (f | w) else empty end; w'], 'repeat/1': ['f', 'def r: f | (., r); r'], 'finites/0': ['', '.'], 'combinations/0': ['', 'if length == 0 then [] else .[0][] as $x | (.[1:] | combinations) as $w | [$x] + $w end'],
  'todate/0': ['', 'strftime("%Y-%m-%dT%H:%M:%SZ")'], 'fromdate/0': ['', 'strptime("%Y-%m-%dT%H:%M:%SZ") | mktime'], 'date/0': ['', 'todate'], 'todateiso8601/0': ['', 'todate'], 'fromdateiso8601/0': ['', 'fromdate'],
  'flatten/0': ['', 'flatten(1e9)'], 'range/1': ['$n', 'range(0; $n)'], 'index/1': ['$i', 'indices($i) | .[0]'], 'rindex/1': ['$i', 'indices($i) | .[-1:][0]'],
  'pick/1': ['f', '. as $t | reduce path(f) as $p (null; setpath($p; $t | getpath($p)))'], 'have_literal_numbers/0': ['', 'true'], 'abs/0': ['', 'if type == "number" and . < 0 then -. else . end'],
  'transpose/0': ['', '. as $m | (map(length) | max // 0) as $n | [range(0; $n) as $j | [range(0; $m | length) as $i | $m[$i][$j]]]'],
};

type Arg = (item: Item) => Iterable<Item>;
type Builtin = (input: Item, args: readonly Arg[], paths: (arg: number, v: Value) => Step[][]) => Iterable<Item>;

const plain = (v: Value): Item => ({ v, path: null });

const simple = (of: (v: Value) => Value): Builtin => ({ v }) => [plain(of(v))];

/** For each combination of the arguments' outputs. */
function withArgs(of: (v: Value, ...args: Value[]) => Value): Builtin {
  return function* (input, args) {
    const combine = function* (at: number, chosen: Value[]): Generator<Item> {
      const arg = args[at];
      if (!arg) yield plain(of(input.v, ...chosen));
      else for (const { v } of arg({ v: input.v, path: null })) yield* combine(at + 1, [...chosen, v]);
    };
    yield* combine(0, []);
  };
}

function stringOf(v: Value, what: string): string {
  if (typeof v !== 'string') throw new JqError(`${typeOf(v)} (${toJson(v)}) ${what}`);
  return v;
}

function listOf(v: Value, what: string): Value[] {
  if (!Array.isArray(v)) throw new JqError(`${typeOf(v)} (${toJson(v)}) cannot be ${what}, as it is not an array`);
  return v;
}

function lengthOf(v: Value): number {
  const type = typeOf(v);
  if (type === 'null') return 0;
  if (type === 'number') return Math.abs(v as number);
  if (type === 'string') return [...(v as string)].length;
  if (type === 'boolean') throw new JqError(`boolean (${v}) has no length`);
  return Array.isArray(v) ? v.length : Object.keys(v as Obj).length;
}

function contains(a: Value, b: Value): boolean {
  if (isObject(a) && isObject(b)) return Object.entries(b).every(([key, one]) => Object.hasOwn(a, key) && contains(a[key], one));
  if (Array.isArray(a) && Array.isArray(b)) return b.every((one) => a.some((other) => contains(other, one)));
  if (typeof a === 'string' && typeof b === 'string') return a.includes(b);
  if (typeOf(a) === typeOf(b)) return compare(a, b) === 0;
  throw new JqError(`${typeOf(a)} (${toJson(a)}) and ${typeOf(b)} (${toJson(b)}) cannot have their containment checked`);
}

function has(v: Value, key: Value): boolean {
  if (isObject(v) && typeof key === 'string') return Object.hasOwn(v, key);
  if (Array.isArray(v) && typeof key === 'number') return key >= 0 && key < v.length;
  throw new JqError(`Cannot check whether ${typeOf(v)} has a ${typeof key === 'string' ? 'string' : typeOf(key)} key`);
}

const flat = (list: readonly Value[], depth: number): Value[] => list.flatMap((one) => (Array.isArray(one) && depth > 0 ? flat(one, depth - 1) : [one]));

function regexOf(pattern: Value, flags: Value): RegExp {
  const given = flags === null || flags === undefined ? '' : String(flags);
  try {
    return new RegExp(stringOf(pattern, 'cannot be matched, as it is not a string'), `${given.includes('i') ? 'i' : ''}${given.includes('s') ? 's' : ''}u${given.includes('g') ? 'g' : ''}`);
  } catch (error) {
    if (error instanceof JqError) throw error;
    throw new JqError(`${pattern} (at offset 0) is not a valid regex`);
  }
}

function matches(v: Value, pattern: Value, flags: Value): Value[] {
  const regex = regexOf(pattern, flags);
  const subject = stringOf(v, 'cannot be matched, as it is not a string');
  const found = regex.global ? [...subject.matchAll(regex)] : [regex.exec(subject)].filter((one) => one !== null);
  return found.map((one) => {
    const names = Object.entries(one.groups ?? {});
    return {
      offset: one.index, length: one[0].length, string: one[0],
      captures: one.slice(1).map((group) => ({ offset: group === undefined ? -1 : subject.indexOf(group, one.index), length: group?.length ?? 0, string: group ?? null, name: names.find(([, value]) => value === group)?.[0] ?? null })),
    };
  });
}

const groupsOf = (match: Value): Obj => Object.fromEntries(((match as Obj).captures as Obj[]).filter((one) => one.name !== null).map((one) => [one.name as string, one.string]));

function substitute(all: boolean): Builtin {
  return function* (input, args) {
    const [pattern, by, flags] = args as [Arg, Arg, Arg | undefined];
    for (const p of pattern(plain(input.v))) {
      let out = '';
      let at = 0;
      const given = flags ? String([...flags(plain(input.v))][0]?.v ?? '') : '';
      for (const match of matches(input.v, p.v, all ? `${given}g` : given) as Obj[]) {
        const to = [...by(plain(groupsOf(match)))][0]?.v ?? '';
        out += (input.v as string).slice(at, match.offset as number) + stringOf(to, 'cannot be added to a string');
        at = (match.offset as number) + (match.length as number);
      }
      yield plain(out + (input.v as string).slice(at));
    }
  };
}

export function parseNumber(v: Value): number {
  if (typeof v === 'number') return v;
  if (typeof v !== 'string') throw new JqError(`${typeOf(v)} (${toJson(v)}) cannot be parsed as a number`);
  if (!/^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(v.trim())) throw new JqError(`string (${toJson(v)}) cannot be parsed as a number`);
  return Number(v);
}

const byKey = (a: Value, b: Value): number => compare((a as Obj).k, (b as Obj).k);

function groups(list: Value[]): Value[][] {
  const out: { k: Value; list: Value[] }[] = [];
  for (const one of [...list].sort(byKey) as Obj[]) {
    const at = out.at(-1);
    if (at && compare(at.k, one.k) === 0) at.list.push(one.v);
    else out.push({ k: one.k, list: [one.v] });
  }
  return out.map((one) => one.list);
}

function indices(v: Value, of: Value): Value {
  if (v === null) return null;
  if (typeof v === 'string' && typeof of === 'string') {
    const out: number[] = [];
    for (let at = v.indexOf(of); at >= 0 && of !== ''; at = v.indexOf(of, at + 1)) out.push(at);
    return out;
  }
  const list = listOf(v, 'searched');
  const wanted = Array.isArray(of) ? of : [of];
  return list.map((_, i) => i).filter((i) => wanted.length > 0 && wanted.every((one, j) => i + j < list.length && compare(list[i + j], one) === 0));
}

const trimmed = (v: Value, part: Value, end: 'left' | 'right'): Value => {
  if (typeof v !== 'string' || typeof part !== 'string') return v;
  return end === 'left' ? (v.startsWith(part) ? v.slice(part.length) : v) : v.endsWith(part) && part !== '' ? v.slice(0, -part.length) : v;
};

const maths = (of: (x: number) => number): Builtin => simple((v) => {
  if (typeof v !== 'number') throw new JqError(`${typeOf(v)} (${toJson(v)}) number required`);
  return of(v);
});

/** Of jq 1.7 and not in this one. */
export const LACKING: ReadonlySet<string> = new Set(
  ('tostream/0 fromstream/1 truncate_stream/1 truncate_stream/2 strflocaltime/1 localtime/0 dateadd/2 datesub/2 dateadd/1 input_filename/0 input_line_number/0 halt/0 halt_error/0 halt_error/1 debug/0 debug/1 stderr/0 ' +
    'INDEX/1 INDEX/2 GROUP_BY/1 IN/1 IN/2 bsearch/1 builtins/0 splits/2 toarray/0 significand/0 gamma/0 lgamma/0 tgamma/0 sin/0 cos/0 tan/0 atan/0 asin/0 acos/0 exp2/0 exp10/0 cbrt/0 trunc/0 logb/0 atan2/2 fmin/2 fmax/2 ' +
    'fmod/2 ldexp/2 scalb/2 nearbyint/0 rint/0 drem/2 frexp/0 modf/0 combinations/1 modulemeta/0 isinfinite/0 isnormal/0 have_decnum/0').split(' '),
);

const DAY_SECONDS = 86_400;

/** "Broken down time" of jq: year, month from 0, day, hours, minutes, seconds, weekday, day of the year. */
function brokenDown(v: Value): number[] {
  if (Array.isArray(v) && v.length >= 6 && v.every((one) => typeof one === 'number')) return v as number[];
  if (typeof v !== 'number') throw new JqError('gmtime() requires a number');
  const at = civilOf(v);
  return [at.year, at.month - 1, at.day, at.hour, at.minute, at.second + (v - Math.floor(v)), at.weekday, at.yearday];
}

function secondsOf(v: Value): number {
  if (!Array.isArray(v) || v.length < 6) throw new JqError('mktime requires array of 6 numbers');
  const [year, month, day, hour, minute, second] = v as number[];
  return daysBefore(year!, month! + 1, day!) * DAY_SECONDS + hour! * 3600 + minute! * 60 + Math.floor(second!);
}

const timeText = (v: Value, format: Value): Value => strftime(stringOf(format, 'strftime/1 requires a string format'), secondsOf(brokenDown(v)));

function timeOf(v: Value, format: Value): Value {
  const source = stringOf(v, 'strptime/1 requires string inputs and arguments');
  const names: string[] = [];
  const pattern = stringOf(format, 'strptime/1 requires string inputs and arguments').replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/%(.)/g, (whole, letter: string) => {
    if (!'YmdHMSZ'.includes(letter)) throw new JqError(`not modelled: ${whole} of strptime`);
    names.push(letter);
    return letter === 'Z' ? '([A-Za-z]+)' : letter === 'Y' ? '(\\d{4})' : '(\\d{1,2})';
  });
  const found = new RegExp(`^${pattern}$`).exec(source);
  if (!found) throw new JqError(`date "${source}" does not match format "${format}"`);
  const part = (letter: string, otherwise: number): number => (names.includes(letter) ? Number(found[names.indexOf(letter) + 1]) : otherwise);
  return brokenDown(secondsOf([part('Y', 1900), part('m', 1) - 1, part('d', 0), part('H', 0), part('M', 0), part('S', 0)]));
}

export const BUILTINS: Readonly<Record<string, Builtin>> = {
  'empty/0': () => [],
  'not/0': simple((v) => !truth(v)),
  'length/0': simple(lengthOf),
  'utf8bytelength/0': simple((v) => bytes(stringOf(v, 'only strings have UTF-8 byte length')).length),
  'keys/0': simple((v) => (Array.isArray(v) ? v.map((_, i) => i) : isObject(v) ? sortedKeys(v) : refuseKeys(v))),
  'keys_unsorted/0': simple((v) => (Array.isArray(v) ? v.map((_, i) => i) : isObject(v) ? Object.keys(v) : refuseKeys(v))),
  'type/0': simple(typeOf),
  'tojson/0': simple((v) => toJson(v)),
  'fromjson/0': simple((v) => parseJson(stringOf(v, 'only strings can be parsed'))),
  'tostring/0': simple((v) => (typeof v === 'string' ? v : toJson(v))),
  'tonumber/0': simple(parseNumber),
  'reverse/0': simple((v) => (v === null ? [] : typeof v === 'string' ? [...v].reverse().join('') : [...listOf(v, 'reversed')].reverse())),
  'sort/0': simple((v) => [...listOf(v, 'sorted')].sort(compare)),
  '_sorted/0': simple((v) => [...(v as Value[])].sort(byKey).map((one) => (one as Obj).v)),
  '_grouped/0': simple((v) => groups(v as Value[])),
  'ascii_downcase/0': simple((v) => stringOf(v, 'explode input must be a string').replace(/[A-Z]/g, (c) => c.toLowerCase())),
  'ascii_upcase/0': simple((v) => stringOf(v, 'explode input must be a string').replace(/[a-z]/g, (c) => c.toUpperCase())),
  'explode/0': simple((v) => [...stringOf(v, 'cannot be exploded')].map((c) => c.codePointAt(0)!)),
  'implode/0': simple((v) => String.fromCodePoint(...(listOf(v, 'imploded') as number[]))),
  'trim/0': simple((v) => stringOf(v, 'cannot be trimmed').trim()), 'ltrim/0': simple((v) => stringOf(v, 'cannot be trimmed').trimStart()), 'rtrim/0': simple((v) => stringOf(v, 'cannot be trimmed').trimEnd()),
  'floor/0': maths(Math.floor), 'ceil/0': maths(Math.ceil), 'round/0': maths(Math.round), 'sqrt/0': maths(Math.sqrt), 'fabs/0': maths(Math.abs), 'log/0': maths(Math.log), 'log2/0': maths(Math.log2), 'log10/0': maths(Math.log10), 'exp/0': maths(Math.exp),
  'pow/2': withArgs((_v, a, b) => (a as number) ** (b as number)), 'infinite/0': simple(() => Number.POSITIVE_INFINITY), 'nan/0': simple(() => Number.NaN), 'isnan/0': simple((v) => Number.isNaN(v)),
  'error/0': ({ v }) => fail(v), 'error/1': withArgs((_v, what) => fail(what)),
  'has/1': withArgs(has), 'contains/1': withArgs(contains),
  'startswith/1': withArgs((v, part) => both(v, part, 'startswith')!.startsWith(part as string)), 'endswith/1': withArgs((v, part) => both(v, part, 'endswith')!.endsWith(part as string)),
  'ltrimstr/1': withArgs((v, part) => trimmed(v, part, 'left')), 'rtrimstr/1': withArgs((v, part) => trimmed(v, part, 'right')),
  'split/1': withArgs((v, by) => {
    if (typeof v !== 'string' || typeof by !== 'string') throw new JqError('split input and separator must be strings');
    return v === '' ? [] : v.split(by);
  }),
  'split/2': withArgs((v, by, flags) => (v as string).split(regexOf(by, flags))), 'join/1': withArgs((v, by) => listOf(v, 'joined').reduce<Value>((out, one, i) => arithmetic('+', i === 0 ? '' : `${out}${by}`, one === null ? '' : typeof one === 'object' ? one : String(one)), '')),
  'flatten/1': withArgs((v, depth) => flat(listOf(v, 'flattened'), depth as number)), 'indices/1': withArgs(indices),
  'test/1': withArgs((v, p) => matches(v, p, null).length > 0), 'test/2': withArgs((v, p, f) => matches(v, p, f).length > 0),
  'match/1': ({ v }, [p]) => [...p!(plain(v))].flatMap((one) => matches(v, one.v, null).map(plain)), 'capture/1': ({ v }, [p]) => [...p!(plain(v))].flatMap((one) => matches(v, one.v, null).map((match) => plain(groupsOf(match)))),
  'scan/1': ({ v }, [p]) => [...p!(plain(v))].flatMap((one) => matches(v, one.v, 'g').map((match) => plain(((match as Obj).captures as Obj[]).length > 0 ? ((match as Obj).captures as Obj[]).map((c) => c.string) : (match as Obj).string))),
  'sub/2': substitute(false), 'gsub/2': substitute(true), 'sub/3': substitute(false), 'gsub/3': substitute(true),
  'path/1': ({ v }, _args, paths) => paths(0, v).map(plain),
  'getpath/1': function* ({ v, path }, [arg]) {
    for (const one of arg!(plain(v))) yield { v: getPath(v, one.v as Step[]), path: path && [...path, ...(one.v as Step[])] };
  },
  'setpath/2': withArgs((v, path, to) => setPath(v, path as Step[], to)),
  'delpaths/1': withArgs((v, paths) => [...(paths as Step[][])].sort(compare).reverse().reduce<Value>((at, path) => deletePath(at, path), v)),
  'first/1': function* (input, [f]) {
    for (const one of f!(input)) {
      yield one;
      return;
    }
  },
  'limit/2': function* (input, [count, f]) {
    for (const most of count!(plain(input.v))) {
      let left = most.v as number;
      if (left <= 0) continue;
      for (const one of f!(input)) {
        yield one;
        if (--left <= 0) break;
      }
    }
  },
  'range/2': function* (input, [from, to]) {
    for (const a of from!(plain(input.v))) for (const b of to!(plain(input.v))) for (let i = a.v as number; i < (b.v as number); i++) yield plain(i);
  },
  'range/3': function* (input, [from, to, by]) {
    for (const a of from!(plain(input.v))) for (const b of to!(plain(input.v))) for (const c of by!(plain(input.v))) {
      const step = c.v as number;
      for (let i = a.v as number; step > 0 ? i < (b.v as number) : step < 0 && i > (b.v as number); i += step) yield plain(i);
    }
  },
  'isempty/1': function* (input, [f]) {
    for (const _ of f!(input)) {
      yield plain(false);
      return;
    }
    yield plain(true);
  },
  'splits/1': ({ v }, [p]) => [...p!(plain(v))].flatMap((one) => (v as string).split(regexOf(one.v, 'g')).map(plain)),
  'match/2': ({ v }, [p, f]) => [...p!(plain(v))].flatMap((one) => [...f!(plain(v))].flatMap((flags) => matches(v, one.v, flags.v).map(plain))),
  'capture/2': ({ v }, [p, f]) => [...p!(plain(v))].flatMap((one) => [...f!(plain(v))].flatMap((flags) => matches(v, one.v, flags.v).map((match) => plain(groupsOf(match))))),
  'gmtime/0': simple(brokenDown), 'mktime/0': simple(secondsOf), 'strftime/1': withArgs(timeText), 'strptime/1': withArgs(timeOf),
};

function refuseKeys(v: Value): never {
  throw new JqError(`${typeOf(v)} (${toJson(v)}) has no keys`);
}

function both(v: Value, part: Value, what: string): string {
  if (typeof v !== 'string' || typeof part !== 'string') throw new JqError(`${what}() requires string inputs`);
  return v;
}

function fail(value: Value): never {
  throw new JqError(value);
}

/** Throws JqError in the words of fromjson. */
export function parseJson(source: string): Value {
  try {
    return JSON.parse(source);
  } catch {
    throw new JqError(`${source} (while parsing '${source}')`);
  }
}

const shown = (v: Value): string => (typeof v === 'string' ? v : toJson(v));

const FORMATS: Readonly<Record<string, (v: Value) => string>> = {
  text: shown,
  json: (v) => toJson(v),
  html: (v) => shown(v).replace(/[<>&'"]/g, (c) => `&${{ '<': 'lt', '>': 'gt', '&': 'amp', "'": '#39', '"': 'quot' }[c]};`),
  uri: (v) => encodeURIComponent(shown(v)).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
  csv: (v) => listOf(v, 'csv-formatted, only an array can be').map((one) => (typeof one === 'string' ? `"${one.replaceAll('"', '""')}"` : one === null ? '' : cell(one, 'csv'))).join(','),
  tsv: (v) => listOf(v, 'tsv-formatted, only an array can be').map((one) => (typeof one === 'string' ? one.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r') : one === null ? '' : cell(one, 'tsv'))).join('\t'),
  sh: (v) => (Array.isArray(v) ? v : [v]).map((one) => (typeof one === 'string' ? `'${one.replaceAll("'", "'\\''")}'` : cell(one, 'sh'))).join(' '),
  base64: (v) => toBase64(bytes(shown(v))),
  base64d: (v) => text(fromBase64(shown(v))),
};

function cell(v: Value, format: string): string {
  if (typeof v === 'object' && v !== null) throw new JqError(format === 'sh' ? `${typeOf(v)} (${toJson(v)}) can not be escaped for shell` : `${typeOf(v)} (${toJson(v)}) is not valid in a ${format} row`);
  return toJson(v);
}

export function formatted(name: string, v: Value): string {
  const format = FORMATS[name];
  if (!format) throw new JqError(`${name} is not a valid format`);
  return format(v);
}
