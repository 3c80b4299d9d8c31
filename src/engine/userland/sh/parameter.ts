/** Parameter expansion: $x and every form of ${…}. Source: bash(1) "Parameter Expansion". */
import type { ParameterExpansionPart, ParameterOperation, SimpleExpansionPart, Word } from 'unbash';
import type { Call } from '../lib/http.ts';
import { evaluate, keyOf } from './arithmetic.ts';
import { endField, ifsOf, put, putSplit, type Sink } from './fields.ts';
import { knows } from './flavour.ts';
import { compile, type Pattern, prefixMatch, suffixMatch } from './pattern.ts';
import { ansiQuote, unescapeAnsi } from './quote.ts';
import { Bad, type Shell } from './state.ts';
import { element, entries, find, findPlain, get, names, set, setElement, timed } from './variables.ts';

/** What parameter expansion needs of word expansion. */
interface Words {
  into(sh: Shell, word: Word, sink: Sink): Call<void>;
  expandOne(sh: Shell, word: Word): Call<string>;
  expandPattern(sh: Shell, word: Word): Call<string>;
  evaluateText(sh: Shell, text: string): Call<bigint>;
  expandString(sh: Shell, text: string): Call<string>;
}

/** What a parameter stands for: one value, or a list ($@, $*, ${a[@]}, ${a[*]}). */
interface Value {
  values: string[];
  /** '@' and '*' lists; null for a single value. */
  list: '@' | '*' | null;
  set: boolean;
}

type Part = SimpleExpansionPart | ParameterExpansionPart;
type Operation = ParameterOperation | undefined;

export function* parameter(sh: Shell, part: Part, sink: Sink, quoted: boolean, words: Words): Call<void> {
  if (part.type === 'SimpleExpansion') {
    const name = part.text.slice(1);
    emit(sh, sink, required(sh, name, yield* parameterValue(sh, name, null)), quoted);
    return;
  }
  const { operation } = part;
  if (operation?.type === 'Unknown' || part.parameter === '' || (operation && !knows(sh.flavour, operation)) || (part.index && sh.flavour !== 'bash')) throw new Bad(`${part.text}: bad substitution`, { fatal: true });
  const index = part.index ? yield* indexText(sh, part, words) : null;
  if (operation?.type === 'Names') {
    const found = names(sh).filter((n) => n.startsWith(part.parameter));
    emit(sh, sink, { values: found, list: operation.operator, set: true }, quoted);
    return;
  }
  let name = part.parameter;
  let key = index;
  if (part.prefix === '!') {
    if (index === '@' || index === '*') {
      emit(sh, sink, { values: (entries(sh, name) ?? []).map(([k]) => k), list: index, set: true }, quoted);
      return;
    }
    [name, key] = yield* indirect(sh, name, index);
  }
  const value = yield* parameterValue(sh, name, key);
  if (part.prefix === '#') {
    const length = value.list ? value.values.length : Array.from(required(sh, name, value).values[0] ?? '').length;
    put(sink, String(length), quoted);
    return;
  }
  yield* operated(sh, { name, key, operation, label: part.index ? `${name}[${part.index.text}]` : name }, value, sink, quoted, words);
}

function* indexText(sh: Shell, part: ParameterExpansionPart, words: Words): Call<string> {
  const text = part.index!.text;
  if (text === '@' || text === '*') return text;
  return keyOf(sh, part.parameter, yield* words.expandOne(sh, part.index!));
}

function* indirect(sh: Shell, name: string, index: string | null): Call<[string, string | null]> {
  const plain = findPlain(sh, name);
  if (plain?.nameref && typeof plain.value === 'string') return [plain.value, null];
  const to = (yield* parameterValue(sh, name, index)).values[0];
  if (to === undefined || to === '') throw new Bad(`${name}: invalid indirect expansion`);
  const element = /^([A-Za-z_]\w*)\[(.*)\]$/s.exec(to);
  if (element) return [element[1]!, element[2] === '@' || element[2] === '*' ? element[2] : keyOf(sh, element[1]!, element[2]!)];
  if (!/^([A-Za-z_]\w*|\d+|[@*#?$!-])$/.test(to)) throw new Bad(`${to}: invalid variable name`);
  return [to, null];
}

export function* parameterValue(sh: Shell, name: string, key: string | null): Call<Value> {
  const one = (value: string | undefined): Value => ({ values: value === undefined ? [] : [value], list: null, set: value !== undefined });
  if (key === '@' || key === '*') {
    const all = entries(sh, name);
    return { values: (all ?? []).map(([, v]) => v), list: key, set: all !== null && all.length > 0 };
  }
  if (key !== null) return one(element(sh, name, key));
  if (name === '@' || name === '*') return { values: sh.params, list: name, set: sh.params.length > 0 };
  if (/^\d+$/.test(name)) return one(Number(name) === 0 ? sh.arg0 : sh.params[Number(name) - 1]);
  switch (name) {
    case '#': return one(String(sh.params.length));
    case '?': return one(String(sh.status));
    case '$': return one(String(sh.rootPid));
    case '!': return one(sh.lastBackground > 0 ? String(sh.lastBackground) : undefined);
    case '-': return one(flags(sh));
    case '_': return one(sh.lastWord);
  }
  return one((yield* timed(sh, name)) ?? get(sh, name));
}

const LETTERS: Record<string, string> = { errexit: 'e', noglob: 'f', nounset: 'u', xtrace: 'x', noclobber: 'C', allexport: 'a', noexec: 'n', verbose: 'v', monitor: 'm' };

/** $-: the letters of the options that are on. */
export function flags(sh: Shell): string {
  const letters = [...sh.options].map((o) => LETTERS[o] ?? '').filter(Boolean).sort().join('');
  if (sh.flavour !== 'bash') return letters + (sh.interactive ? 'i' : '');
  return `${letters.replace(/C/, '')}h${sh.interactive ? 'i' : ''}B${sh.interactive ? 'H' : ''}${letters.includes('C') ? 'C' : ''}${sh.from === 'string' ? 'c' : sh.from === 'stdin' || sh.interactive ? 's' : ''}`;
}

function required(sh: Shell, name: string, value: Value): Value {
  if (!value.set && sh.options.has('nounset') && !value.list) throw new Bad(`${/^\d/.test(name) ? `$${name}` : name}: unbound variable`, { fatal: true, status: 127 });
  return value;
}

/** Hands a value to the sink as its quoting and kind ask. */
function emit(sh: Shell, sink: Sink, value: Value, quoted: boolean): void {
  if (!value.list) {
    const text = value.values[0] ?? '';
    if (quoted) put(sink, text, true);
    else putSplit(sh, sink, text);
    return;
  }
  if (quoted && value.list === '*') {
    const ifs = ifsOf(sh);
    put(sink, value.values.join(ifs === '' ? '' : ifs[0]), true);
    return;
  }
  for (const [i, one] of value.values.entries()) {
    if (i > 0) {
      if (sink.split) endField(sink);
      else put(sink, ' ', quoted);
    }
    if (quoted) put(sink, one, true);
    else putSplit(sh, sink, one);
  }
}

interface Wanted {
  name: string;
  key: string | null;
  operation: Operation;
  label: string;
}

function* operated(sh: Shell, wanted: Wanted, value: Value, sink: Sink, quoted: boolean, words: Words): Call<void> {
  const { operation } = wanted;
  if (!operation) {
    emit(sh, sink, required(sh, wanted.label, value), quoted);
    return;
  }
  if (operation.type === 'Default') {
    yield* defaulted(sh, wanted, operation, value, sink, quoted, words);
    return;
  }
  if (operation.type === 'Slice') {
    emit(sh, sink, yield* slice(sh, wanted, operation, value, words), quoted);
    return;
  }
  required(sh, wanted.label, value);
  const change = yield* changer(sh, wanted, operation, words);
  const values: string[] = [];
  for (const one of value.values) values.push(yield* change(one));
  emit(sh, sink, { ...value, values }, quoted);
}

function* defaulted(
  sh: Shell, wanted: Wanted, operation: Extract<ParameterOperation, { type: 'Default' }>, value: Value, sink: Sink, quoted: boolean, words: Words,
): Call<void> {
  const { operator, operand } = operation;
  const blank = operator.startsWith(':') ? value.values.every((v) => v === '') : !value.set;
  const kind = operator.at(-1)!;
  if (kind === '+' ? blank : !blank) {
    if (kind !== '+') emit(sh, sink, value, quoted);
    else if (quoted) put(sink, '', true);
    return;
  }
  if (kind === '?') {
    const text = yield* words.expandOne(sh, operand);
    throw new Bad(`${wanted.label}: ${text === '' ? (operator === ':?' ? 'parameter null or not set' : 'parameter not set') : text}`, { fatal: true, status: 127 });
  }
  if (kind === '=') {
    if (!/^[A-Za-z_]/.test(wanted.name)) throw new Bad(`$${wanted.name}: cannot assign in this way`);
    const text = yield* words.expandOne(sh, operand);
    if (wanted.key === null) set(sh, wanted.name, text);
    else setElement(sh, wanted.name, wanted.key, text);
    emit(sh, sink, { values: [text], list: null, set: true }, quoted);
    return;
  }
  if (quoted) put(sink, yield* quotedOperand(sh, operand, words), true);
  else {
    sink.operand++;
    yield* words.into(sh, operand, sink);
    sink.operand--;
  }
}

/** Inside double quotes the operand's single quotes are characters. */
function* quotedOperand(sh: Shell, operand: Word, words: Words): Call<string> {
  if (!operand.parts && !operand.text.includes('\\')) return operand.text;
  return yield* words.expandOne(sh, operand);
}

function* slice(sh: Shell, wanted: Wanted, operation: Extract<ParameterOperation, { type: 'Slice' }>, value: Value, words: Words): Call<Value> {
  const offset = Number(evaluate(sh, yield* words.expandOne(sh, operation.offset)));
  const length = operation.length ? Number(evaluate(sh, yield* words.expandOne(sh, operation.length))) : null;
  required(sh, wanted.label, value);
  const positional = value.list && wanted.key === null;
  const items = positional && offset <= 0 ? [sh.arg0, ...value.values] : positional ? ['', ...value.values] : value.list ? value.values : Array.from(value.values[0] ?? '');
  const from = offset < 0 ? items.length + offset : offset;
  if (from < 0 || from > items.length) return { ...value, values: value.list ? [] : [''] };
  if (length !== null && length < 0 && value.list) throw new Bad(`${length}: substring expression < 0`);
  const end = length === null ? items.length : length < 0 ? items.length + length : Math.min(items.length, from + length);
  if (end < from) throw new Bad(`${length}: substring expression < 0`);
  const taken = items.slice(from, end);
  return value.list ? { ...value, values: taken } : { ...value, values: [taken.join('')] };
}

type Change = (text: string) => Call<string>;

// biome-ignore lint/correctness/useYield: the shape of every change
const pure = (change: (text: string) => string): Change => function* (text) { return change(text); };

function* changer(sh: Shell, wanted: Wanted, operation: Exclude<ParameterOperation, { type: 'Default' | 'Slice' }>, words: Words): Call<Change> {
  switch (operation.type) {
    case 'Remove': {
      const pattern = compile(yield* words.expandPattern(sh, operation.operand));
      return pure((text) => removed(text, pattern, operation.operator));
    }
    case 'Replace': {
      const pattern = compile(yield* words.expandPattern(sh, operation.pattern));
      const template = yield* words.expandPattern(sh, operation.replacement);
      return pure((text) => replaced(text, pattern, template, operation.operator));
    }
    case 'CaseModification': {
      const pattern = operation.operand && operation.operand.text !== '' ? compile(yield* words.expandPattern(sh, operation.operand)) : null;
      return pure((text) => recased(text, pattern, operation.operator));
    }
    case 'Transform': return transformer(sh, wanted, operation.operand.text, words);
    default: throw new Bad(`${wanted.label}: bad substitution`, { fatal: true });
  }
}

function removed(text: string, pattern: Pattern, operator: string): string {
  const chars = Array.from(text);
  const want = operator.length === 2 ? 'longest' : 'shortest';
  if (operator.startsWith('#')) {
    const n = prefixMatch(pattern, chars, 0, want);
    return n < 0 ? text : chars.slice(n).join('');
  }
  const from = suffixMatch(pattern, chars, want);
  return from < 0 ? text : chars.slice(0, from).join('');
}

/** In `template` what is quoted stands after a backslash; an unquoted & is what matched. */
function replaced(text: string, pattern: Pattern, template: string, operator: string): string {
  const chars = Array.from(text);
  const by = (match: string): string => template.replace(/\\(.)|&/gs, (all, quoted) => (all === '&' ? match : quoted));
  if (operator === '/%') {
    const from = suffixMatch(pattern, chars, 'longest');
    return from < 0 ? text : chars.slice(0, from).join('') + by(chars.slice(from).join(''));
  }
  if (pattern.length === 0 && operator !== '/#') return text;
  let out = '';
  for (let at = 0; at <= chars.length; ) {
    const n = prefixMatch(pattern, chars, at, 'longest');
    if (n > 0 || (n === 0 && operator === '/#')) {
      out += by(chars.slice(at, at + n).join(''));
      at += n;
      if (operator !== '//') return out + chars.slice(at).join('');
    } else {
      if (operator === '/#') return text;
      out += chars[at] ?? '';
      at++;
    }
  }
  return out;
}

function recased(text: string, pattern: Pattern | null, operator: string): string {
  const chars = Array.from(text);
  return chars
    .map((c, i) => {
      if ((operator.length === 1 && i > 0) || (pattern && prefixMatch(pattern, [c], 0, 'longest') !== 1)) return c;
      return operator.startsWith('^') ? c.toUpperCase() : c.toLowerCase();
    })
    .join('');
}

function transformer(sh: Shell, wanted: Wanted, letter: string, words: Words): Change {
  switch (letter) {
    case 'Q': return pure(ansiQuote);
    case 'E': return pure((text) => unescapeAnsi(text));
    case 'P': return (text) => words.expandString(sh, text);
    case 'U': return pure((text) => text.toUpperCase());
    case 'L': return pure((text) => text.toLowerCase());
    case 'u': return pure((text) => text.charAt(0).toUpperCase() + text.slice(1));
    case 'a': return pure(() => attributes(sh, wanted.name));
    case 'A': return pure((text) => `${wanted.name}=${ansiQuote(text)}`);
    case 'K': case 'k': return pure(ansiQuote);
    default: throw new Bad(`${wanted.label}: bad substitution`, { fatal: true });
  }
}

/** The letters of declare: "ax". */
export function attributes(sh: Shell, name: string): string {
  const v = find(sh, name);
  if (!v) return '';
  return (
    (v.kind === 'array' ? 'a' : v.kind === 'assoc' ? 'A' : '') + (v.integer ? 'i' : '') + (v.letters === 'lower' ? 'l' : v.letters === 'upper' ? 'u' : '') +
    (v.nameref ? 'n' : '') + (v.readonly ? 'r' : '') + (v.exported ? 'x' : '')
  );
}
