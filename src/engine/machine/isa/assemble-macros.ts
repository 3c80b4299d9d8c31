/**
 * The single-line macros of the preprocessor: %define with and without parameters, pasting by %+, %[...], quotes minded everywhere.
 * Source: NASM manual 4.1. Left out: parameters that are evaluated or stringified by a mark (=, &).
 */
import { AssemblyError } from './assemble-expression.ts';

export interface Define {
  parameters: string[] | null;
  body: string;
}

export interface Defines {
  exact: Map<string, Define>;
  /** By lower case. */
  any: Map<string, Define>;
}

const WORDS = /("[^"]*"|'[^']*'|`[^`]*`)|(?<![\w.$?@%])(%\$+)?([A-Za-z_.?@$][\w.?@$~#]*)/g;
const LONGEST = 10_000;

const found = ({ exact, any }: Defines, name: string): Define | undefined => exact.get(name) ?? (any.size > 0 ? any.get(name.toLowerCase()) : undefined);

/** Replaces names, within what replaces them too, each not within its own. */
export function expand(defines: Defines, source: string): string {
  const text = source.includes('%[') ? source.replace(/%\[([^\]]*)\]/g, (_, inner: string) => expand(defines, inner)) : source;
  return pasted(replaced(defines, text, []));
}

function replaced(defines: Defines, text: string, within: readonly string[]): string {
  if (defines.exact.size === 0 && defines.any.size === 0) return text;
  let from = 0;
  let out = '';
  const words = new RegExp(WORDS);
  for (let m = words.exec(text); m; m = words.exec(text)) {
    const name = m[3] === undefined ? '' : (m[2] ?? '') + m[3];
    const define = name === '' || within.includes(name) ? undefined : found(defines, name);
    if (!define) continue;
    let end = words.lastIndex;
    let { body } = define;
    if (define.parameters) {
      const open = /^\s*\(/.exec(text.slice(end));
      const close = open ? matching(text, end + open[0].length - 1) : -1;
      if (!open || close < 0) continue;
      body = bound(define, splitArguments(text.slice(end + open[0].length, close)).map((one) => replaced(defines, one, within)));
      end = close + 1;
    }
    out += text.slice(from, m.index) + replaced(defines, body, [...within, name]);
    from = end;
    words.lastIndex = end;
    if (out.length > LONGEST) throw new AssemblyError(1, 'a %define grows without end');
  }
  return out + text.slice(from);
}

function bound({ parameters, body }: Define, given: readonly string[]): string {
  return body.replace(WORDS, (whole: string, quoted: string | undefined, _context, name: string | undefined) => (quoted === undefined && name !== undefined ? (given[parameters!.indexOf(name)] ?? whole) : whole));
}

const pasted = (text: string): string => (text.includes('%+') ? text.replace(/\s*%\+\s*/g, '') : text);

function matching(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  return -1;
}

/** Cuts a comment off, minding quotes. */
export function withoutComment(text: string): string {
  if (!text.includes(';')) return text;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'" || c === '`') quote = c;
    else if (c === ';') return text.slice(0, i);
  }
  return text;
}

/** By the commas that stand in no quotes and no brackets; braces around one are taken off. */
export function splitArguments(text: string): string[] {
  const out: string[] = [];
  let quote = '';
  let depth = 0;
  let from = 0;
  const cut = (to: number): void => {
    const one = text.slice(from, to).trim();
    out.push(one.startsWith('{') && one.endsWith('}') ? one.slice(1, -1) : one);
    from = to + 1;
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'" || c === '`') quote = c;
    else if (c === '(' || c === '[' || c === '{') depth++;
    else if (c === ')' || c === ']' || c === '}') depth--;
    else if (c === ',' && depth === 0) cut(i);
  }
  cut(text.length);
  return out;
}
