/**
 * The words of Go's text/template: a source cut into texts and the tokens of its actions, with where each stands. What cannot be cut
 * ends the list with a token that tells why, as the reader may find another fault before it. Source: pkg.go.dev/text/template/parse.
 */
export type Kind = 'text' | 'left' | 'right' | 'space' | 'assign' | 'declare' | 'pipe' | 'char' | 'string' | 'raw' | 'rune' | 'number' | 'variable' | 'field' | 'dot' | 'identifier' | 'bool' | 'keyword' | '(' | ')' | 'eof' | 'error';

export interface Token {
  kind: Kind;
  /** As written; of an error its words. */
  text: string;
  at: number;
  line: number;
}

const KEYWORDS = new Set(['block', 'break', 'continue', 'define', 'else', 'end', 'if', 'range', 'nil', 'template', 'with']);

/** What ends a name besides the end of the action. */
const ENDS_NAME = /^(?:[\s.,|:()]|\}\}|$)/;

const quoted = (text: string): string => JSON.stringify(text);
const point = (c: string): string => `U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')} '${c}'`;

/** A token as an error names it. */
export function shown(token: Token): string {
  if (token.kind === 'eof') return 'EOF';
  if (token.kind === 'error') return token.text;
  if (token.kind === 'keyword' || token.kind === 'dot') return `<${token.text}>`;
  return token.text.length > 10 ? `${quoted([...token.text].slice(0, 10).join(''))}...` : quoted(token.text);
}

/** The rules inside an action, tried in order: a token of that kind, or the words of a fault. */
const RULES: readonly (readonly [RegExp, Kind | ((found: string, rest: string) => string)])[] = [
  [/^\s+/, 'space'],
  [/^:=/, 'declare'],
  [/^:/, () => 'expected :='],
  [/^=/, 'assign'],
  [/^\|/, 'pipe'],
  [/^"(?:[^"\\\n]|\\[^\n])*"/, 'string'],
  [/^"/, () => 'unterminated quoted string'],
  [/^`[^`]*`/, 'raw'],
  [/^`/, () => 'unterminated raw quoted string'],
  [/^'(?:[^'\\\n]|\\[^\n])*'/, 'rune'],
  [/^'/, () => 'unterminated character constant'],
  [/^[-+]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+(?![\d.])|(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][-+]?\d+)?)(?!\w)/, 'number'],
  [/^(?:[-+]|\.?\d)[\w.]*/, (found) => `bad number syntax: ${quoted(found)}`],
  [/^\$\w*/, 'variable'],
  [/^\.\w+/, 'field'],
  [/^\./, 'dot'],
  [/^[\p{L}_][\p{L}\p{Nd}_]*/u, 'identifier'],
  [/^\(/, '('],
  [/^\)/, ')'],
  [/^[\x20-\x7e]/, 'char'],
];

const NAMES: ReadonlySet<Kind> = new Set(['variable', 'field', 'dot', 'identifier']);

function kindOfWord(word: string): Kind {
  if (KEYWORDS.has(word)) return 'keyword';
  return word === 'true' || word === 'false' ? 'bool' : 'identifier';
}

/** Cuts a source; the last token is its end or a fault. */
export function tokens(source: string): Token[] {
  const out: Token[] = [];
  const lineOf = (at: number): number => source.slice(0, at).split('\n').length;
  const put = (kind: Kind, text: string, at: number): void => {
    out.push({ kind, text, at, line: lineOf(at) });
  };
  let at = 0;
  let trimmed = false;
  for (;;) {
    const open = source.indexOf('{{', at);
    const end = open < 0 ? source.length : open;
    const start = trimmed ? at + /^\s*/.exec(source.slice(at, end))![0].length : at;
    const marked = open >= 0 && /^\{\{-\s/.test(source.slice(open));
    const text = marked ? source.slice(start, end).trimEnd() : source.slice(start, end);
    if (text !== '') put('text', text, start);
    if (open < 0) {
      put('eof', '', source.length);
      return out;
    }
    at = open + (marked ? 3 : 2);
    const comment = /^\s?\/\*/.exec(source.slice(at));
    if (comment && (marked || !/^\s/.test(comment[0]))) {
      const close = source.indexOf('*/', at);
      const after = close < 0 ? null : /^(\s-)?\}\}/.exec(source.slice(close + 2));
      if (!after) {
        put('error', close < 0 ? 'unclosed comment' : 'comment ends before closing delimiter', open);
        return out;
      }
      at = close + 2 + after[0].length;
      trimmed = after[1] !== undefined;
      continue;
    }
    put('left', '{{', open);
    const done = action(source, at, put);
    if (done === null) return out;
    ({ at, trimmed } = done);
  }
}

/** Cuts one action; null after a fault. */
function action(source: string, from: number, put: (kind: Kind, text: string, at: number) => void): { at: number; trimmed: boolean } | null {
  const fail = (why: string, at: number): null => {
    put('error', why, at);
    return null;
  };
  let depth = 0;
  for (let at = from; ;) {
    const rest = source.slice(at);
    const close = /^(\s-)?\}\}/.exec(rest);
    if (close) {
      if (depth > 0) return fail('unclosed left paren', at);
      put('right', '}}', at);
      return { at: at + close[0].length, trimmed: close[1] !== undefined };
    }
    if (rest === '') return fail('unclosed action', at);
    const rule = RULES.find(([pattern]) => pattern.test(rest));
    if (!rule) return fail(`unrecognized character in action: ${point([...rest][0]!)}`, at);
    let found = rule[0].exec(rest)![0];
    // A blank before "-}}" belongs to the end.
    if (rule[1] === 'space' && /^\s-\}\}/.test(rest.slice(found.length - 1))) found = found.slice(0, -1);
    if (typeof rule[1] === 'function') return fail(rule[1](found, rest), at);
    if (rule[1] === ')' && depth === 0) return fail('unexpected right paren', at);
    if (found !== '') put(rule[1] === 'identifier' ? kindOfWord(found) : rule[1], found, at);
    at += found.length;
    if (NAMES.has(rule[1]) && !ENDS_NAME.test(source.slice(at))) return fail(`bad character ${point([...source.slice(at)][0]!)}`, at);
    if (rule[1] === '(') depth++;
    if (rule[1] === ')') depth--;
  }
}
