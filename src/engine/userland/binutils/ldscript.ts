/**
 * Linker scripts read: ENTRY, OUTPUT_FORMAT, OUTPUT_ARCH, assignments, ASSERT, and SECTIONS with addresses, AT, ALIGN, patterns and data.
 * Source: ld info manual, chapter 3. Left out: MEMORY, PHDRS, OVERLAY, VERSION, INPUT and its kin.
 */
export class ScriptError extends Error {}

export type Expression =
  | { op: 'number'; n: bigint }
  | { op: 'name'; name: string; line: number }
  | { op: 'call'; name: string; of: Expression[] }
  | { op: 'one' | 'two' | 'three'; of: string; parts: Expression[] };

export interface Assignment {
  kind: 'assign';
  name: string;
  value: Expression;
  /** Only when something refers to it and nothing defines it. */
  provide: boolean;
}

export interface Pattern {
  kind: 'input';
  file: string;
  excluded: string[];
  sections: string[];
  sorted: boolean;
}

export type Content = Assignment | Pattern | { kind: 'data'; size: number; value: Expression } | { kind: 'fill' };

export interface SectionCommand {
  kind: 'section';
  name: string;
  address: Expression | null;
  align: Expression | null;
  load: Expression | null;
  noload: boolean;
  contents: Content[];
}

export type Command = Assignment | SectionCommand | { kind: 'assert'; value: Expression; message: string };

export interface Script {
  entry: string | null;
  format: string | null;
  commands: Command[];
}

interface Reader {
  text: string;
  at: number;
  /** As it was named on the command line. */
  file: string;
}

const lineOf = ({ text, at }: Reader): number => text.slice(0, at).split('\n').length;

function fail(reader: Reader): never {
  throw new ScriptError(`${reader.file}:${lineOf(reader)}: syntax error`);
}

function blank(reader: Reader): void {
  const space = /(?:\s+|\/\*[\s\S]*?\*\/)*/y;
  space.lastIndex = reader.at;
  reader.at += space.exec(reader.text)![0].length;
}

function accept(reader: Reader, text: string): boolean {
  blank(reader);
  if (!reader.text.startsWith(text, reader.at)) return false;
  reader.at += text.length;
  return true;
}

function need(reader: Reader, text: string): void {
  if (!accept(reader, text)) fail(reader);
}

function match(reader: Reader, pattern: RegExp): string | null {
  blank(reader);
  const sticky = new RegExp(pattern.source, 'y');
  sticky.lastIndex = reader.at;
  const found = sticky.exec(reader.text);
  if (!found) return null;
  reader.at += found[0].length;
  return found[0];
}

const NAME = /[A-Za-z_.$][\w.$]*/;
const WORD = /"[^"]*"|[^\s(){};,:=&|]+/;
const unquoted = (word: string): string => word.replace(/^"(.*)"$/, '$1');

/** Throws ScriptError in the words of ld. */
export function readScript(text: string, file: string): Script {
  const reader: Reader = { text, at: 0, file };
  const script: Script = { entry: null, format: null, commands: [] };
  for (blank(reader); reader.at < text.length; blank(reader)) {
    if (accept(reader, ';')) continue;
    const from = reader.at;
    const word = match(reader, NAME);
    if (word === null) fail(reader);
    const argument = (): string => {
      need(reader, '(');
      const value = unquoted(match(reader, WORD) ?? fail(reader));
      while (accept(reader, ',')) match(reader, WORD);
      need(reader, ')');
      return value;
    };
    if (word === 'ENTRY') script.entry = argument();
    else if (word === 'OUTPUT_FORMAT') script.format = argument();
    else if (/^(OUTPUT_ARCH|OUTPUT|TARGET|SEARCH_DIR|STARTUP|EXTERN)$/.test(word!)) argument();
    else if (/^(MEMORY|PHDRS|VERSION|INPUT|GROUP|INCLUDE|REGION_ALIAS|NOCROSSREFS)$/.test(word!)) throw new ScriptError(`${file}:${lineOf(reader)}: not modelled: ${word} in linker scripts`);
    else if (word === 'SECTIONS') {
      need(reader, '{');
      while (!accept(reader, '}')) inside(reader, script);
    } else {
      reader.at = from;
      script.commands.push(common(reader) ?? fail(reader));
    }
  }
  return script;
}

function inside(reader: Reader, script: Script): void {
  if (accept(reader, ';')) return;
  if (reader.at >= reader.text.length) fail(reader);
  if (match(reader, /ENTRY\b/)) {
    need(reader, '(');
    script.entry = unquoted(match(reader, WORD) ?? fail(reader));
    return need(reader, ')');
  }
  script.commands.push(common(reader) ?? section(reader));
}

const OPERATOR = /(?:<<|>>|[-+*/&|])?=(?!=)/;

/** An assignment or an assertion; null: something else. */
function common(reader: Reader): Assignment | { kind: 'assert'; value: Expression; message: string } | null {
  blank(reader);
  const from = reader.at;
  const word = match(reader, NAME);
  if (word === 'ASSERT' && accept(reader, '(')) {
    const value = expression(reader);
    need(reader, ',');
    const message = unquoted(match(reader, /"[^"]*"/) ?? fail(reader));
    need(reader, ')');
    accept(reader, ';');
    return { kind: 'assert', value, message };
  }
  if (word !== null && /^(PROVIDE|PROVIDE_HIDDEN|HIDDEN)$/.test(word) && accept(reader, '(')) {
    const name = match(reader, NAME) ?? fail(reader);
    need(reader, '=');
    const value = expression(reader);
    need(reader, ')');
    need(reader, ';');
    return { kind: 'assign', name, value, provide: word !== 'HIDDEN' };
  }
  const operator = word === null ? null : match(reader, OPERATOR);
  if (word === null || operator === null) {
    reader.at = from;
    return null;
  }
  const line = lineOf(reader);
  const value = expression(reader);
  need(reader, ';');
  return { kind: 'assign', name: word, provide: false, value: operator === '=' ? value : { op: 'two', of: operator.slice(0, -1), parts: [{ op: 'name', name: word, line }, value] } };
}

function section(reader: Reader): SectionCommand {
  const name = unquoted(match(reader, WORD) ?? fail(reader));
  const out: SectionCommand = { kind: 'section', name, address: null, align: null, load: null, noload: false, contents: [] };
  for (blank(reader); !accept(reader, ':'); blank(reader)) {
    const type = match(reader, /\(\s*(?:NOLOAD|DSECT|COPY|INFO|OVERLAY|READONLY)?\s*\)/);
    if (type !== null) out.noload ||= type.includes('NOLOAD');
    else if (match(reader, /BLOCK\b/)) out.address = { op: 'call', name: 'ALIGN', of: [inParentheses(reader)] };
    else if (out.address === null) out.address = expression(reader);
    else fail(reader);
  }
  for (;;) {
    if (match(reader, /AT\b/)) out.load = inParentheses(reader);
    else if (match(reader, /ALIGN\b/)) out.align = inParentheses(reader);
    else if (match(reader, /SUBALIGN\b/)) throw new ScriptError(`${reader.file}:${lineOf(reader)}: not modelled: SUBALIGN in linker scripts`);
    else if (!match(reader, /ONLY_IF_R[OW]\b/)) break;
  }
  need(reader, '{');
  while (!accept(reader, '}')) content(reader, out);
  if (match(reader, />\s*\w+/) || match(reader, /:\s*\w+/)) throw new ScriptError(`${reader.file}:${lineOf(reader)}: not modelled: regions and program headers in linker scripts`);
  if (accept(reader, '=')) expression(reader);
  accept(reader, ',');
  return out;
}

function inParentheses(reader: Reader): Expression {
  need(reader, '(');
  const value = expression(reader);
  need(reader, ')');
  return value;
}

const DATA: Readonly<Record<string, number>> = { BYTE: 1, SHORT: 2, LONG: 4, QUAD: 8, SQUAD: 8 };

function content(reader: Reader, out: SectionCommand): void {
  if (accept(reader, ';')) return;
  if (reader.at >= reader.text.length) fail(reader);
  const data = match(reader, /(?:BYTE|SHORT|LONG|S?QUAD)(?=\s*\()/);
  if (data !== null) {
    out.contents.push({ kind: 'data', size: DATA[data]!, value: inParentheses(reader) });
    return;
  }
  if (match(reader, /FILL(?=\s*\()/)) {
    inParentheses(reader);
    return;
  }
  if (match(reader, /CONSTRUCTORS\b/)) return;
  const made = common(reader);
  if (made) {
    if (made.kind === 'assign') out.contents.push(made);
    return;
  }
  if (match(reader, /KEEP\s*\(/)) {
    pattern(reader, out);
    need(reader, ')');
  } else pattern(reader, out);
}

/** `*(.text .text.*)`, `*(EXCLUDE_FILE(x.o) .a SORT(.b.*))`. */
function pattern(reader: Reader, out: SectionCommand): void {
  const file = unquoted(match(reader, WORD) ?? fail(reader));
  const one: Pattern = { kind: 'input', file, excluded: [], sections: [], sorted: false };
  out.contents.push(one);
  if (!accept(reader, '(')) {
    one.sections.push('*');
    return;
  }
  while (!accept(reader, ')')) {
    accept(reader, ',');
    if (match(reader, /EXCLUDE_FILE\s*\(/)) {
      while (!accept(reader, ')')) one.excluded.push(unquoted(match(reader, WORD) ?? fail(reader)));
    } else if (match(reader, /SORT(?:_BY_\w+|_NONE)?\s*\(/)) {
      one.sorted = true;
      one.sections.push(unquoted(match(reader, WORD) ?? fail(reader)));
      need(reader, ')');
    } else one.sections.push(unquoted(match(reader, WORD) ?? fail(reader)));
  }
}

// ---- expressions

const LEVELS: readonly (readonly string[])[] = [['||'], ['&&'], ['|'], ['^'], ['&'], ['==', '!='], ['<=', '>=', '<', '>'], ['<<', '>>'], ['+', '-'], ['*', '/', '%']];

function expression(reader: Reader): Expression {
  const question = binary(reader, 0);
  if (!accept(reader, '?')) return question;
  const yes = expression(reader);
  need(reader, ':');
  return { op: 'three', of: '?', parts: [question, yes, expression(reader)] };
}

function binary(reader: Reader, level: number): Expression {
  if (level === LEVELS.length) return unary(reader);
  let left = binary(reader, level + 1);
  for (;;) {
    blank(reader);
    const rest = reader.text.slice(reader.at, reader.at + 3);
    const of = LEVELS[level]!.find((text) => rest.startsWith(text) && !(text.length === 1 && (rest[1] === '=' || (rest[1] === text && '|&<>'.includes(text)))));
    if (of === undefined) return left;
    reader.at += of.length;
    left = { op: 'two', of, parts: [left, binary(reader, level + 1)] };
  }
}

const NUMBER = /0[xX][0-9a-fA-F]+[kKmM]?|[0-9][0-9a-fA-F]*[hH]\b|[0-9]+[kKmM]?/;

function unary(reader: Reader): Expression {
  for (const of of ['-', '~', '!', '+']) if (accept(reader, of)) return { op: 'one', of, parts: [unary(reader)] };
  if (accept(reader, '(')) {
    const inner = expression(reader);
    need(reader, ')');
    return inner;
  }
  const number = match(reader, NUMBER);
  if (number !== null) {
    const unit = /k$/i.test(number) && !/^0x.*k$/i.test(number.slice(0, -1)) ? 1024n : /m$/i.test(number) ? 1048576n : 1n;
    const digits = unit === 1n ? number : number.slice(0, -1);
    return { op: 'number', n: (/h$/i.test(digits) ? BigInt(`0x${digits.slice(0, -1)}`) : /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits.replace(/^0X/, '0x'))) * unit };
  }
  const line = lineOf(reader);
  const name = match(reader, NAME) ?? fail(reader);
  if (!/^[A-Z_]+$/.test(name) || !accept(reader, '(')) return { op: 'name', name, line };
  const of: Expression[] = [];
  do of.push(expression(reader));
  while (accept(reader, ','));
  need(reader, ')');
  return { op: 'call', name, of };
}
