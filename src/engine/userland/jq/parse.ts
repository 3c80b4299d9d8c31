/**
 * The language of jq 1.7: words and tree. Precedence from loose to tight: | , // assignment or and comparison + * postfix.
 * Source: jq(1). Left out: modules, reduce and foreach with patterns, destructuring alternatives (?//), formats within strings beyond @text.
 */
export class BadFilter extends Error {}

export type Filter =
  | { op: 'identity' | 'recurse' }
  | { op: 'literal'; value: unknown }
  | { op: 'text'; parts: (string | Filter)[]; format: string }
  | { op: 'index'; of: Filter; key: Filter }
  | { op: 'slice'; of: Filter; from: Filter | null; to: Filter | null }
  | { op: 'each'; of: Filter }
  | { op: 'try'; body: Filter; or: Filter | null }
  | { op: 'array'; of: Filter | null }
  | { op: 'object'; fields: [key: Filter, value: Filter][] }
  | { op: 'pipe' | 'comma' | 'alternative'; a: Filter; b: Filter }
  | { op: 'binary'; by: string; a: Filter; b: Filter }
  | { op: 'assign'; by: string; a: Filter; b: Filter }
  | { op: 'negate'; of: Filter }
  | { op: 'if'; branches: [when: Filter, then: Filter][]; or: Filter | null }
  | { op: 'as'; of: Filter; name: string; body: Filter }
  | { op: 'reduce'; of: Filter; name: string; from: Filter; by: Filter }
  | { op: 'foreach'; of: Filter; name: string; from: Filter; by: Filter; show: Filter | null }
  | { op: 'define'; name: string; params: string[]; body: Filter; rest: Filter }
  | { op: 'variable'; name: string }
  | { op: 'format'; name: string }
  | { op: 'call'; name: string; args: Filter[] };

interface Token {
  kind: 'name' | 'number' | 'string' | 'field' | 'variable' | 'format' | 'sign' | 'end';
  text: string;
  parts?: (string | Filter)[];
}

interface Reader {
  tokens: Token[];
  at: number;
}

const SIGNS = ['?//=', '?//', '//=', '|=', '+=', '-=', '*=', '/=', '%=', '==', '!=', '<=', '>=', '//', '..', '|', ',', '=', '<', '>', '+', '-', '*', '/', '%', '(', ')', '[', ']', '{', '}', ':', ';', '?', '.'];

function tokens(source: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  while (at < source.length) {
    const rest = source.slice(at);
    const blank = /^(\s+|#[^\n]*)/.exec(rest);
    if (blank) {
      at += blank[0].length;
      continue;
    }
    const word = /^(?:(\.[A-Za-z_]\w*)|(\$[A-Za-z_]\w*(?:::\w+)*)|(@\w+)|((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*(?:::\w+)*))/.exec(rest);
    if (word) {
      const kind = (['field', 'variable', 'format', 'number', 'name'] as const)[word.slice(1).findIndex((one) => one !== undefined)]!;
      out.push({ kind, text: kind === 'field' || kind === 'variable' ? word[0].slice(1) : word[0] });
      at += word[0].length;
      continue;
    }
    if (rest.startsWith('"') || rest.startsWith('."')) {
      if (rest.startsWith('.')) out.push({ kind: 'sign', text: '.' });
      const read = stringAt(source, at + (rest.startsWith('.') ? 2 : 1));
      out.push({ kind: 'string', text: '', parts: read.parts });
      at = read.end;
      continue;
    }
    const sign = SIGNS.find((one) => rest.startsWith(one));
    if (!sign) throw new BadFilter('syntax error, unexpected INVALID_CHARACTER');
    out.push({ kind: 'sign', text: sign });
    at += sign.length;
  }
  out.push({ kind: 'end', text: '' });
  return out;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '/': '/', '\\': '\\', '"': '"' };

function stringAt(source: string, start: number): { parts: (string | Filter)[]; end: number } {
  const parts: (string | Filter)[] = [''];
  const add = (text: string): void => {
    if (typeof parts.at(-1) === 'string') parts[parts.length - 1] += text;
    else parts.push(text);
  };
  let at = start;
  for (;;) {
    const c = source[at];
    if (c === undefined) throw new BadFilter('syntax error, unexpected end of file, expecting QQSTRING_TEXT or QQSTRING_INTERP_START or QQSTRING_END');
    if (c === '"') return { parts, end: at + 1 };
    if (c !== '\\') {
      add(c);
      at++;
    } else if (source[at + 1] === '(') {
      let depth = 1;
      let end = at + 2;
      for (; depth > 0; end++) {
        const d = source[end];
        if (d === undefined) throw new BadFilter('syntax error, unexpected end of file');
        if (d === '"') end = stringAt(source, end + 1).end - 1;
        else if (d === '(') depth++;
        else if (d === ')') depth--;
      }
      parts.push(parseFilter(source.slice(at + 2, end - 1)));
      at = end;
    } else if (source[at + 1] === 'u') {
      add(String.fromCharCode(Number.parseInt(source.slice(at + 2, at + 6), 16)));
      at += 6;
    } else {
      const known = ESCAPES[source[at + 1] ?? ''];
      if (known === undefined) throw new BadFilter('syntax error, unexpected INVALID_CHARACTER');
      add(known);
      at += 2;
    }
  }
}

/** Throws BadFilter. */
export function parseFilter(source: string): Filter {
  const reader: Reader = { tokens: tokens(source), at: 0 };
  const filter: Filter = peek(reader).kind === 'end' ? { op: 'identity' } : pipe(reader);
  if (peek(reader).kind !== 'end') throw unexpected(reader);
  return filter;
}

const peek = (reader: Reader): Token => reader.tokens[reader.at]!;
const next = (reader: Reader): Token => reader.tokens[reader.at++]!;

function isSign(reader: Reader, text: string): boolean {
  const token = peek(reader);
  return token.kind === 'sign' && token.text === text;
}

const isWord = (reader: Reader, text: string): boolean => peek(reader).kind === 'name' && peek(reader).text === text;

function taken(reader: Reader, text: string): boolean {
  if (!isSign(reader, text) && !isWord(reader, text)) return false;
  reader.at++;
  return true;
}

function need(reader: Reader, text: string): void {
  if (!taken(reader, text)) throw unexpected(reader);
}

const NAMES: Readonly<Record<Token['kind'], string>> = { end: 'end of file', name: 'IDENT', number: 'LITERAL', string: 'QQSTRING_START', field: 'FIELD', variable: "'$'", format: 'FORMAT', sign: '' };

function unexpected(reader: Reader): BadFilter {
  const token = peek(reader);
  return new BadFilter(`syntax error, unexpected ${token.kind === 'sign' ? (token.text.length === 1 ? `'${token.text}'` : token.text) : NAMES[token.kind]}`);
}

function pipe(reader: Reader): Filter {
  if (isWord(reader, 'def')) return definition(reader);
  const a = comma(reader);
  if (taken(reader, 'as')) {
    const pattern = patternOf(reader);
    need(reader, '|');
    return bound(reader, a, pattern, pipe(reader));
  }
  return taken(reader, '|') ? { op: 'pipe', a, b: pipe(reader) } : a;
}

/** `$x`, `[$x, ...]` or `{key: ..., $key}`: names, with the filter that leads to each from the whole. */
type Pattern = string | { at: Filter; of: Pattern }[];

function patternOf(reader: Reader): Pattern {
  if (taken(reader, '[')) {
    const parts: { at: Filter; of: Pattern }[] = [];
    do parts.push({ at: element({ op: 'literal', value: parts.length }), of: patternOf(reader) }); while (taken(reader, ','));
    need(reader, ']');
    return parts;
  }
  if (taken(reader, '{')) {
    const parts: { at: Filter; of: Pattern }[] = [];
    do {
      const token = next(reader);
      let key: Filter = { op: 'literal', value: token.text };
      if (token.kind === 'variable') parts.push({ at: element(key), of: token.text });
      else if (token.kind === 'string') key = stringOf(token, 'text');
      else if (token.kind === 'sign' && token.text === '(') {
        key = pipe(reader);
        need(reader, ')');
      } else if (token.kind !== 'name') throw unexpected({ ...reader, at: reader.at - 1 });
      if (token.kind !== 'variable') need(reader, ':');
      if (token.kind !== 'variable' || taken(reader, ':')) parts.push({ at: element(key), of: patternOf(reader) });
    } while (taken(reader, ','));
    need(reader, '}');
    return parts;
  }
  const name = next(reader);
  if (name.kind !== 'variable') throw unexpected({ ...reader, at: reader.at - 1 });
  return name.text;
}

const element = (key: Filter): Filter => ({ op: 'index', of: { op: 'identity' }, key });

/** A pattern as single bindings: the whole first, under a name that nobody can write, then each of its parts from that. */
function bound(reader: Reader, of: Filter, pattern: Pattern, body: Filter): Filter {
  if (typeof pattern === 'string') return { op: 'as', of, name: pattern, body };
  const whole = ` ${reader.at} ${pattern.length}`;
  const parts = pattern.reduceRight((inner, part) => bound(reader, { op: 'pipe', a: { op: 'variable', name: whole }, b: part.at }, part.of, inner), body);
  return { op: 'as', of, name: whole, body: parts };
}

function definition(reader: Reader): Filter {
  next(reader);
  const name = next(reader).text;
  const params: string[] = [];
  if (taken(reader, '(')) {
    do {
      const param = next(reader);
      params.push(param.kind === 'variable' ? `$${param.text}` : param.text);
    } while (taken(reader, ';'));
    need(reader, ')');
  }
  need(reader, ':');
  const body = pipe(reader);
  need(reader, ';');
  return { op: 'define', name, params, body, rest: pipe(reader) };
}

function comma(reader: Reader): Filter {
  let a = alternative(reader);
  while (taken(reader, ',')) a = { op: 'comma', a, b: alternative(reader) };
  return a;
}

function alternative(reader: Reader): Filter {
  const a = assignment(reader);
  return taken(reader, '//') ? { op: 'alternative', a, b: alternative(reader) } : a;
}

const ASSIGN = ['=', '|=', '+=', '-=', '*=', '/=', '%=', '//='];

function assignment(reader: Reader): Filter {
  const a = binary(reader, 0);
  const by = ASSIGN.find((one) => isSign(reader, one));
  if (!by) return a;
  next(reader);
  return { op: 'assign', by, a, b: alternative(reader) };
}

const LEVELS: readonly (readonly string[])[] = [['or'], ['and'], ['==', '!=', '<', '<=', '>', '>='], ['+', '-'], ['*', '/', '%']];

function binary(reader: Reader, level: number): Filter {
  const signs = LEVELS[level];
  if (!signs) return postfix(reader);
  let a = binary(reader, level + 1);
  for (;;) {
    const by = signs.find((one) => isSign(reader, one) || isWord(reader, one));
    if (!by) return a;
    next(reader);
    a = { op: 'binary', by, a, b: binary(reader, level + 1) };
  }
}

function postfix(reader: Reader): Filter {
  let a = primary(reader);
  for (;;) {
    const token = peek(reader);
    if (token.kind === 'field') {
      next(reader);
      a = { op: 'index', of: a, key: { op: 'literal', value: token.text } };
    } else if (isSign(reader, '.') && reader.tokens[reader.at + 1]!.kind === 'string') {
      next(reader);
      a = { op: 'index', of: a, key: stringOf(next(reader), 'text') };
    } else if (isSign(reader, '.') && reader.tokens[reader.at + 1]!.text === '[') {
      next(reader);
    } else if (taken(reader, '[')) {
      a = bracket(reader, a);
    } else if (taken(reader, '?')) {
      a = { op: 'try', body: a, or: null };
    } else return a;
  }
}

function bracket(reader: Reader, of: Filter): Filter {
  if (taken(reader, ']')) return { op: 'each', of };
  const from = isSign(reader, ':') ? null : pipe(reader);
  if (taken(reader, ':')) {
    const to = isSign(reader, ']') ? null : pipe(reader);
    need(reader, ']');
    return { op: 'slice', of, from, to };
  }
  need(reader, ']');
  return { op: 'index', of, key: from! };
}

const stringOf = (token: Token, format: string): Filter => ({ op: 'text', parts: token.parts!, format });

function primary(reader: Reader): Filter {
  const token = next(reader);
  if (token.kind === 'number') return { op: 'literal', value: Number(token.text) };
  if (token.kind === 'string') return stringOf(token, 'text');
  if (token.kind === 'variable') return { op: 'variable', name: token.text };
  if (token.kind === 'field') return { op: 'index', of: { op: 'identity' }, key: { op: 'literal', value: token.text } };
  if (token.kind === 'format') return peek(reader).kind === 'string' ? stringOf(next(reader), token.text.slice(1)) : { op: 'format', name: token.text.slice(1) };
  if (token.kind === 'name') return named(reader, token.text);
  if (token.text === '.') return peek(reader).kind === 'string' ? { op: 'index', of: { op: 'identity' }, key: stringOf(next(reader), 'text') } : { op: 'identity' };
  if (token.text === '..') return { op: 'recurse' };
  if (token.text === '-') return { op: 'negate', of: postfix(reader) };
  if (token.text === '(') {
    const inner = pipe(reader);
    need(reader, ')');
    return inner;
  }
  if (token.text === '[') {
    if (taken(reader, ']')) return { op: 'array', of: null };
    const of = pipe(reader);
    need(reader, ']');
    return { op: 'array', of };
  }
  if (token.text === '{') return object(reader);
  reader.at--;
  throw unexpected(reader);
}

function named(reader: Reader, name: string): Filter {
  if (name === 'if') return condition(reader);
  if (name === 'try') {
    const body = postfix(reader);
    return { op: 'try', body, or: taken(reader, 'catch') ? postfix(reader) : null };
  }
  if (name === 'reduce' || name === 'foreach') return folding(reader, name);
  if (name === 'null' || name === 'true' || name === 'false') return { op: 'literal', value: name === 'null' ? null : name === 'true' };
  const args: Filter[] = [];
  if (taken(reader, '(')) {
    do args.push(pipe(reader)); while (taken(reader, ';'));
    need(reader, ')');
  }
  return { op: 'call', name, args };
}

function condition(reader: Reader): Filter {
  const branches: [Filter, Filter][] = [];
  do {
    const when = pipe(reader);
    need(reader, 'then');
    branches.push([when, pipe(reader)]);
  } while (taken(reader, 'elif'));
  const or = taken(reader, 'else') ? pipe(reader) : null;
  need(reader, 'end');
  return { op: 'if', branches, or };
}

function folding(reader: Reader, op: 'reduce' | 'foreach'): Filter {
  const of = postfix(reader);
  need(reader, 'as');
  const pattern = patternOf(reader);
  const name = typeof pattern === 'string' ? pattern : ` ${reader.at}`;
  const inside = (body: Filter): Filter => (typeof pattern === 'string' ? body : bound(reader, { op: 'variable', name }, pattern, body));
  need(reader, '(');
  const from = pipe(reader);
  need(reader, ';');
  const by = inside(pipe(reader));
  const show = op === 'foreach' && taken(reader, ';') ? inside(pipe(reader)) : null;
  need(reader, ')');
  return op === 'reduce' ? { op, of, name, from, by } : { op, of, name, from, by, show };
}

function object(reader: Reader): Filter {
  const fields: [Filter, Filter][] = [];
  while (!taken(reader, '}')) {
    if (fields.length > 0) need(reader, ',');
    const token = next(reader);
    let key: Filter;
    let short: Filter | null = null;
    if (token.kind === 'variable') {
      key = { op: 'literal', value: token.text };
      short = { op: 'variable', name: token.text };
    } else if (token.kind === 'string') key = stringOf(token, 'text');
    else if (token.kind === 'name' || token.kind === 'number') key = { op: 'literal', value: token.text };
    else if (token.kind === 'sign' && token.text === '(') {
      key = pipe(reader);
      need(reader, ')');
    } else {
      reader.at--;
      throw unexpected(reader);
    }
    if (taken(reader, ':')) fields.push([key, objectValue(reader)]);
    else fields.push([key, short ?? { op: 'index', of: { op: 'identity' }, key }]);
  }
  return { op: 'object', fields };
}

/** Without commas and loose operators: those stand between fields. */
function objectValue(reader: Reader): Filter {
  const a = binary(reader, 0);
  return taken(reader, '|') ? { op: 'pipe', a, b: objectValue(reader) } : taken(reader, '//') ? { op: 'alternative', a, b: objectValue(reader) } : a;
}
