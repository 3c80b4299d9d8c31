/** Words of Dockerfiles as BuildKit's shell lexer reads them: quotes, escapes, $NAME, ${NAME:-word} and its kin. Source: buildkit frontend/dockerfile/shell/lex.go. */

export class BadWord extends Error {}

type Values = ReadonlyMap<string, string>;

interface Reader {
  source: string;
  at: number;
  values: Values;
  escape: string;
  depth: number;
  /** Quotes are taken away, kept where they stand, or mean nothing. */
  quotes: 'gone' | 'kept' | 'text';
  /** What has no value stays as it is written. */
  skip: boolean;
}

const reader = (source: string, values: Values, mark: string, quotes: Reader['quotes'], skip = false): Reader => ({ source, at: 0, values, escape: mark, depth: 0, quotes, skip });

/** A word with its quotes gone and its variables put in. Throws BadWord. */
export function expand(source: string, values: Values, mark = '\\'): string {
  try {
    return read(reader(source, values, mark, 'gone'), '');
  } catch (error) {
    if (error instanceof BadWord) throw new BadWord(`failed to process ${JSON.stringify(source)}: ${error.message}`);
    throw error;
  }
}

/** Text of a heredoc: quotes mean nothing. */
export const fillIn = (source: string, values: Values, mark = '\\'): string => read(reader(source, values, mark, 'text'), '');

/** A command as it is shown: quotes stay, and what has no value. Throws BadWord. */
export const fillShown = (source: string, values: Values, mark = '\\'): string => read(reader(source, values, mark, 'kept', true), '');

function read(r: Reader, until: string): string {
  let out = '';
  const kept = (quote: string): string => (r.quotes === 'kept' ? quote : '');
  while (r.at < r.source.length) {
    const c = r.source[r.at]!;
    if (until !== '' && c === until) return out;
    r.at++;
    if (c === '$') out += variable(r);
    else if (c === r.escape) {
      const next = r.source[r.at];
      if (next === undefined) return out + (r.quotes === 'text' ? c : '');
      r.at++;
      out += r.quotes !== 'text' || next === '$' ? next : c + next;
    } else if (r.quotes !== 'text' && c === "'") {
      const end = r.source.indexOf("'", r.at);
      if (end < 0) throw new BadWord('unexpected end of statement while looking for matching single-quote');
      out += kept("'") + r.source.slice(r.at, end) + kept("'");
      r.at = end + 1;
    } else if (r.quotes !== 'text' && c === '"') out += kept('"') + doubled(r) + kept('"');
    else out += c;
  }
  if (until === '}') throw new BadWord("syntax error: missing '}'");
  return out;
}

function doubled(r: Reader): string {
  let out = '';
  while (r.at < r.source.length) {
    const c = r.source[r.at++]!;
    if (c === '"') return out;
    if (c === '$') out += variable(r);
    else if (c === r.escape && (r.source[r.at] === '"' || r.source[r.at] === '$' || r.source[r.at] === r.escape)) out += r.source[r.at++]!;
    else out += c;
  }
  throw new BadWord('unexpected end of statement while looking for matching double-quote');
}

function variable(r: Reader): string {
  const from = r.at - 1;
  if (r.depth > 20) throw new BadWord('syntax error: too deep');
  if (r.source[r.at] !== '{') {
    const name = /^([A-Za-z_]\w*|[@*#?$!-]|\d)/.exec(r.source.slice(r.at, r.at + 300))?.[0];
    if (name === undefined) return '$';
    r.at += name.length;
    return r.values.get(name) ?? (r.skip ? `$${name}` : '');
  }
  r.at++;
  const name = /^([A-Za-z_]\w*|[@*#?$!-]|\d+)/.exec(r.source.slice(r.at, r.at + 300))?.[0];
  if (name === undefined) throw new BadWord(r.source[r.at] === '}' ? 'bad substitution' : `unsupported modifier (${r.source.slice(r.at - 2, r.at + 1)}) in substitution`);
  r.at += name.length;
  const value = r.values.get(name);
  const c = r.source[r.at];
  if (c === '}') {
    r.at++;
    return value ?? (r.skip ? `\${${name}}` : '');
  }
  if (c === undefined) throw new BadWord("syntax error: missing '}'");
  const colon = c === ':';
  if (colon) r.at++;
  const op = r.source[r.at++];
  if (op === undefined) throw new BadWord("syntax error: missing '}'");
  if (!/[-+?#%]/.test(op) || (colon && /[#%]/.test(op))) throw new BadWord(`unsupported modifier (${op}) in substitution`);
  const greedy = /[#%]/.test(op) && r.source[r.at] === op ? (r.at++, true) : false;
  r.depth++;
  const word = read(r, '}');
  r.depth--;
  r.at++;
  if (r.skip && value === undefined) return r.source.slice(from, r.at);
  return modified(name, value, op, colon, word, greedy);
}

function modified(name: string, value: string | undefined, op: string, colon: boolean, word: string, greedy: boolean): string {
  const set = value !== undefined && (!colon || value !== '');
  if (op === '-') return set ? value : word;
  if (op === '+') return set ? word : '';
  if (op === '?') {
    if (set) return value;
    throw new BadWord(`${name}: ${word === '' ? 'not allowed to be unset' : word}`);
  }
  const pattern = word.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, greedy ? '.*' : '.*?').replace(/\?/g, '.');
  const source = value ?? '';
  if (op === '#') return source.replace(new RegExp(`^${pattern}`, 's'), '');
  for (let i = greedy ? 0 : source.length; greedy ? i <= source.length : i >= 0; i += greedy ? 1 : -1) if (new RegExp(`^${pattern.replaceAll('.*?', '.*')}$`, 's').test(source.slice(i))) return source.slice(0, i);
  return source;
}
