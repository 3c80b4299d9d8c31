/** String literals: escapes, and the split of an f-string into text and expressions. Source: Python 3.13 language reference, 2.4. */
import { BadSyntax, type Expr, type FPart, type Span } from './ast.ts';
import type { Token } from './lex.ts';

const SIMPLE: Readonly<Record<string, string>> = { '\\': '\\', "'": "'", '"': '"', a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** Resolves escapes; in bytes \u is no escape. */
export function unescaped(body: string, raw: boolean, isBytes: boolean, at: Span): string {
  if (raw || !body.includes('\\')) return body;
  return body.replace(/\\(\n|[0-7]{1,3}|x[0-9a-fA-F]{0,2}|u[0-9a-fA-F]{0,4}|U[0-9a-fA-F]{0,8}|N\{[^}]*\}|[\s\S])/g, (all, e: string) => {
    if (e === '\n') return '';
    if (/^[0-7]/.test(e)) return String.fromCharCode(Number.parseInt(e, 8) & (isBytes ? 255 : 0x1ff));
    if (e[0] === 'x') {
      if (e.length < 3) throw new BadSyntax(isBytes ? '(value error) invalid \\x escape at position 0' : "(unicode error) 'unicodeescape' codec can't decode bytes in position 0-1: truncated \\xXX escape", at);
      return String.fromCharCode(Number.parseInt(e.slice(1), 16));
    }
    if (!isBytes && (e[0] === 'u' || e[0] === 'U')) {
      if (e.length < (e[0] === 'u' ? 5 : 9)) throw new BadSyntax("(unicode error) 'unicodeescape' codec can't decode bytes in position 0-1: truncated escape", at);
      return String.fromCodePoint(Number.parseInt(e.slice(1), 16));
    }
    if (!isBytes && e.startsWith('N{')) throw new BadSyntax('not modelled: \\N{NAME} escapes', at);
    return SIMPLE[e] ?? all;
  });
}

/** The value of a bytes literal's body. */
export function byteLiteral(token: Token): Uint8Array {
  const body = token.body!;
  for (const c of body) if (c.charCodeAt(0) > 127) throw new BadSyntax('bytes can only contain ASCII literal characters', token);
  const text = unescaped(body, token.prefix!.includes('r'), true, token);
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** Parses one expression of an f-string, that stands at `offset` into the token's body. */
export type Inner = (source: string, token: Token, offset: number) => Expr;

export function fstringParts(body: string, token: Token, offset: number, inner: Inner, nested: boolean): FPart[] {
  const raw = token.prefix!.includes('r');
  const parts: FPart[] = [];
  let plain = '';
  const flush = (): void => {
    if (plain !== '') parts.push(unescaped(plain, raw, false, token));
    plain = '';
  };
  for (let i = 0; i < body.length; ) {
    const c = body[i]!;
    if ((c === '{' || c === '}') && body[i + 1] === c && !nested) {
      plain += c;
      i += 2;
    } else if (c === '}') throw new BadSyntax("f-string: single '}' is not allowed", token);
    else if (c === '{') {
      flush();
      const end = fieldEnd(body, i + 1, token);
      parts.push(field(body.slice(i + 1, end), token, offset + i + 1, inner));
      i = end + 1;
    } else if (c === '\\' && !raw) {
      plain += body.slice(i, i + 2);
      i += 2;
    } else {
      plain += c;
      i++;
    }
  }
  flush();
  return parts;
}

/** Where the field that starts at `from` closes. */
function fieldEnd(body: string, from: number, token: Token): number {
  let depth = 0;
  for (let i = from; i < body.length; i++) {
    const c = body[i]!;
    if (c === "'" || c === '"') i = skipString(body, i);
    else if ('([{'.includes(c)) depth++;
    else if (c === '}' && depth === 0) return i;
    else if (')]}'.includes(c)) depth--;
  }
  throw new BadSyntax("f-string: expecting '}'", token);
}

function skipString(body: string, at: number): number {
  const end = body.indexOf(body[at]!, at + 1);
  return end < 0 ? body.length : end;
}

function field(text: string, token: Token, offset: number, inner: Inner): FPart {
  let depth = 0;
  let cut = text.length;
  let conversion = '';
  let spec: FPart[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "'" || c === '"') i = skipString(text, i);
    else if ('([{'.includes(c)) depth++;
    else if (')]}'.includes(c)) depth--;
    else if (depth === 0 && c === '!' && text[i + 1] !== '=') {
      cut = i;
      conversion = /^![rsa](?=:|$)/.exec(text.slice(i))?.[0][1] ?? '';
      if (conversion === '') throw new BadSyntax("f-string: invalid conversion character: expected 's', 'r', or 'a'", token);
      if (text[i + 2] === ':') spec = fstringParts(text.slice(i + 3), token, offset + i + 3, inner, true);
      break;
    } else if (depth === 0 && c === ':' && text[i + 1] !== '=') {
      cut = i;
      spec = fstringParts(text.slice(i + 1), token, offset + i + 1, inner, true);
      break;
    }
  }
  let source = text.slice(0, cut);
  let debug = '';
  const equals = /^(.*[^=!<>])=\s*$/s.exec(source);
  if (equals) {
    debug = source;
    source = equals[1]!;
    if (conversion === '' && spec.length === 0) conversion = 'r';
  }
  if (source.trim() === '') throw new BadSyntax(`f-string: valid expression required before '${text[cut] ?? '}'}'`, token);
  return { value: inner(source, token, offset), conversion, spec, debug };
}

