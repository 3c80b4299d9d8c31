/**
 * From text to complete commands. unbash parses tolerantly; here its faults become what bash says about them, and a text is
 * cut into complete commands the way bash reads it: line after line until one stands, so that what comes before a syntax
 * error has already run.
 */
import { type Command, forEachChild, parse, type ParsedScript, type SyntaxNode } from 'unbash';
import type { Shell, Source } from './state.ts';

export type Reading =
  | { state: 'complete'; script: ParsedScript; source: Source; warning?: string }
  /** More lines are needed. */
  | { state: 'incomplete'; eof: string; script: ParsedScript; source: Source }
  | { state: 'wrong'; message: string; line: number; lineText: string };

const MAX_COMMAND = 8 * 1024 * 1024;

/** Reads one complete command from `text`; `aliases` are replaced first. */
export function read(text: string, firstLine: number, name: string, aliases: ReadonlyMap<string, string>): Reading {
  if (text.length > MAX_COMMAND) return { state: 'wrong', message: 'command too long', line: firstLine, lineText: '' };
  let body = text;
  let script = parse(body);
  for (let rounds = 0; aliases.size > 0 && rounds < 16; rounds++) {
    const replaced = expandAliases(body, script, aliases);
    if (replaced === body) break;
    body = replaced;
    script = parse(body);
  }
  const source: Source = { text: body, firstLine, name };
  const strange = callOfNothing(body, script);
  if (strange) return wrong(body, strange, firstLine);
  const faults = script.errors ?? [];
  const open = faults.filter((f) => atEnd(f.message, f.pos, body));
  const definite = faults.filter((f) => !atEnd(f.message, f.pos, body) && !(open.length > 0 && f.message.startsWith('expected command')));
  const deep = faults.find((f) => f.message.startsWith('maximum'));
  if (deep) return { state: 'wrong', message: deep.message, line: firstLine, lineText: '' };
  if (definite.length > 0) return wrong(body, definite[0]!, firstLine);
  if (open.length > 0) return inTest(body, open[0]!, firstLine) ?? { state: 'incomplete', eof: eofMessage(body, open[0]!), script, source };
  if (/(^|[^\\])(\\\\)*\\\n?$/.test(body) && body.trimEnd().endsWith('\\')) return { state: 'incomplete', eof: '', script, source };
  if (openHereDoc(script)) return { state: 'incomplete', eof: '', script, source };
  const nested = nestedFault(script);
  if (nested) return wrong(body, nested, firstLine);
  return { state: 'complete', script, source };
}

/** Is the fault only that the text ends here? */
function atEnd(message: string, pos: number, text: string): boolean {
  if (message.startsWith('unterminated')) return true;
  if (message === 'expected redirect target' || !message.startsWith('expected') || message.startsWith('expected word')) return false;
  if (!/^(\s|#[^\n]*)*$/.test(text.slice(pos))) return false;
  const before = text.slice(0, pos).trimEnd();
  if (/(^|[\s;&|(])(for|select|function|case|coproc)$/.test(before)) return false;
  if (/^expected '(do|then)'$/.test(message) && /[;\n&]\s*(done|fi|esac|else|elif|then|do|\})$/.test(before)) return false;
  return !(message.startsWith("expected 'in'") && /case\s+\S+\s+\S+$/.test(before));
}

/** [[ that lacks its end: bash tells what is missing at once. */
function inTest(text: string, fault: { message: string; pos: number }, firstLine: number): Reading | null {
  if (!fault.message.includes("']]'") && !fault.message.includes('test')) return null;
  const inside = text.slice(text.lastIndexOf('[[') + 2);
  const told = (message: string): Reading => ({ state: 'wrong', message, line: firstLine, lineText: '' });
  if (/^\s*(\S+\s+)?\S+\s+\]\]\s*$/.test(inside)) return told(`unexpected argument \`]]' to conditional ${/^\s*-\w\s/.test(inside) ? 'unary' : 'binary'} operator`);
  if (/^\s*-\w\s*$/.test(inside)) return told("unexpected argument `newline' to conditional unary operator");
  if (/^\s*[^\s!(]+\s*$/.test(inside)) return told("unexpected token `newline', conditional binary operator expected");
  return null;
}

/** "f( {": the parser lets a parenthesis after a word pass that begins neither a function nor anything else. */
function callOfNothing(text: string, script: ParsedScript): { message: string; pos: number } | null {
  let found: { message: string; pos: number } | null = null;
  const visit = (node: SyntaxNode): void => {
    if (node.type === 'Command' && node.name && !found) {
      const open = /^[ \t]*\(/.exec(text.slice(node.name.end));
      if (open) found = { message: 'unexpected token', pos: node.name.end + open[0].length };
    }
    if (!found && node.type !== 'Word' && node.type !== 'Assignment') forEachChild(node, visit);
  };
  forEachChild(script, visit);
  return found;
}

/** A fault inside a substitution, whose tree unbash makes only when asked. */
function nestedFault(node: SyntaxNode): { message: string; pos: number } | null {
  let found: { message: string; pos: number } | null = null;
  let depth = 0;
  const visit = (child: SyntaxNode): void => {
    if (found || depth > 200) return;
    if (child.type === 'Script') found = child.errors?.find((f) => !f.message.startsWith('expected command in')) ?? null;
    depth++;
    if (!found) forEachChild(child, visit);
    depth--;
  };
  forEachChild(node, visit);
  return found;
}

function openHereDoc(script: ParsedScript): boolean {
  let open = false;
  const visit = (node: SyntaxNode): void => {
    if (node.type === 'HereDoc' && !node.closing) open = true;
    if (!open && node.type !== 'Word') forEachChild(node, visit);
  };
  forEachChild(script, visit);
  return open;
}

const QUOTES: Record<string, string> = { 'unterminated double quote': '"', 'unterminated single quote': "'", 'unterminated backtick': '`' };

function eofMessage(text: string, fault: { message: string; pos: number }): string {
  const quote = QUOTES[fault.message] ?? (fault.message.includes('quote') ? "'" : undefined);
  if (quote) return `unexpected EOF while looking for matching \`${quote}'`;
  if (fault.message.startsWith('unterminated')) {
    const closer = text.startsWith('${', fault.pos) ? '}' : ')';
    return `unexpected EOF while looking for matching \`${closer}'`;
  }
  return 'syntax error: unexpected end of file';
}

const OPERATORS = [';;&', '<<<', '&>>', '<<-', ';;', ';&', '&&', '||', '|&', '<<', '>>', '<&', '>&', '<>', '>|', '&>', ';', '(', ')', '&', '|', '<', '>'];

/** The token that bash stops at. */
function tokenAt(text: string, pos: number): { token: string; pos: number } {
  let at = pos;
  while (at < text.length && (text[at] === ' ' || text[at] === '\t' || (text[at] === '\\' && text[at + 1] === '\n'))) at += text[at] === '\\' ? 2 : 1;
  if (at >= text.length || text[at] === '\n' || text[at] === '#') return { token: 'newline', pos: at };
  const operator = OPERATORS.find((o) => text.startsWith(o, at));
  if (operator) return { token: operator, pos: at };
  const word = /^[^\s;&|<>()]+/.exec(text.slice(at));
  return { token: word?.[0] ?? text[at]!, pos: at };
}

function lineAt(text: string, pos: number, firstLine: number): number {
  let line = firstLine;
  for (let i = 0; i < pos; i++) if (text[i] === '\n') line++;
  return line;
}

/** unbash stands after the word that should have been another. */
function wordBefore(text: string, pos: number): number {
  const word = /[^\s;&|<>()]+$/.exec(text.slice(0, pos));
  return word ? pos - word[0].length : pos;
}

function insideTest(text: string, pos: number): boolean {
  const before = text.slice(0, pos);
  const open = before.search(/\[\[\s(?!.*\]\])/s);
  return open >= 0 && /(^|[\s;&|(!])$/.test(before.slice(0, open));
}

function wrong(text: string, fault: { message: string; pos: number }, firstLine: number): Reading {
  let from = fault.pos;
  const enclosing = /^expected command in (subshell|brace group)/.exec(fault.message);
  if (enclosing) from++;
  else if (fault.message === 'expected redirect target') {
    const operator = OPERATORS.find((o) => text.startsWith(o, fault.pos) && /[<>]/.test(o));
    if (operator && !/[\s]/.test(text[fault.pos] ?? ' ') && tokenAt(text, fault.pos).pos === fault.pos && text.slice(0, fault.pos).trimEnd() === text.slice(0, fault.pos)) from = fault.pos;
  }
  if (/^expected '(do|then|in)'/.test(fault.message) && !/(^|[\s;&|(])(for|select|function|case|coproc)\s*$/.test(text.slice(0, from))) from = wordBefore(text, from);
  const { token, pos } = tokenAt(text, from);
  if (insideTest(text, pos)) return { state: 'wrong', line: lineAt(text, pos, firstLine), lineText: '', message: 'conditional binary operator expected' };
  const lineStart = text.lastIndexOf('\n', Math.max(0, pos - 1)) + 1;
  const lineEnd = text.indexOf('\n', pos);
  return {
    state: 'wrong', line: lineAt(text, lineStart, firstLine), lineText: text.slice(lineStart, lineEnd < 0 ? text.length : lineEnd),
    message: `syntax error near unexpected token \`${token}'`,
  };
}

function expandAliases(text: string, script: ParsedScript, aliases: ReadonlyMap<string, string>): string {
  const found: { pos: number; end: number; value: string }[] = [];
  const visit = (node: SyntaxNode): void => {
    if (node.type === 'Command') aliasOf(node, aliases, found);
    if (node.type !== 'Word') forEachChild(node, visit);
  };
  forEachChild(script, visit);
  let out = text;
  for (const one of found.reverse()) out = out.slice(0, one.pos) + one.value + out.slice(one.end);
  return out;
}

function aliasOf(node: Command, aliases: ReadonlyMap<string, string>, found: { pos: number; end: number; value: string }[]): void {
  const word = node.name;
  if (!word || word.parts || word.text !== word.value) return;
  const value = aliases.get(word.text);
  if (value === undefined) return;
  // An alias that begins with its own name stands for itself: quoted so that the next round leaves it alone.
  const self = value === word.text || value.startsWith(`${word.text} `);
  found.push({ pos: word.pos, end: word.end, value: self ? `\\${value}` : value });
}

/** A text that ends inside a here-document or after a backslash is a command all the same. */
export function cutShort(script: ParsedScript, source: Source, lastLine: number): Reading {
  let wanted: { delimiter: string; pos: number } | null = null;
  const visit = (node: SyntaxNode): void => {
    if (node.type === 'HereDoc' && !node.closing) wanted = { delimiter: node.delimiter?.value ?? '', pos: node.pos };
    if (node.type !== 'Word') forEachChild(node, visit);
  };
  forEachChild(script, visit);
  const open = wanted as { delimiter: string; pos: number } | null;
  if (!open) return { state: 'complete', script, source };
  const at = lineAt(source.text, open.pos, source.firstLine);
  return { state: 'complete', script, source, warning: `line ${lastLine}: warning: here-document at line ${at} delimited by end-of-file (wanted \`${open.delimiter}')` };
}

/** Whether a next line could complete what is incomplete: of a long quotation or here-document only the last one does. */
export function mayComplete(reading: Reading): (line: string) => boolean {
  const quote = reading.state === 'incomplete' ? /matching `(["'])'$/.exec(reading.eof)?.[1] : undefined;
  if (quote) return (line) => line.includes(quote);
  if (reading.state !== 'incomplete' || reading.eof !== '' || /\\\n?$/.test(reading.source.text)) return () => true;
  const delimiter = openDelimiter(reading.script);
  return delimiter === null ? () => true : (line) => line.replace(/^\t+/, '') === delimiter;
}

function openDelimiter(script: ParsedScript): string | null {
  let found: string | null = null;
  const visit = (node: SyntaxNode): void => {
    if (node.type === 'HereDoc' && !node.closing) found ??= node.delimiter?.value ?? null;
    if (node.type !== 'Word') forEachChild(node, visit);
  };
  forEachChild(script, visit);
  return found;
}

/** Cuts a text into complete commands, as bash reads a script. */
export function* commands(sh: Shell, source: Source): Generator<Reading, void, void> {
  const { text } = source;
  let at = 0;
  let line = source.firstLine;
  while (at < text.length) {
    let end = at;
    let reading: Reading;
    let lines = 0;
    let wanted = (_: string): boolean => true;
    do {
      for (let found = false; !found && end < text.length;) {
        const newline = text.indexOf('\n', end);
        found = wanted(text.slice(end, newline < 0 ? text.length : newline));
        end = newline < 0 ? text.length : newline + 1;
        lines++;
      }
      reading = read(text.slice(at, end), line, source.name, sh.aliases);
      wanted = mayComplete(reading);
    } while (reading.state === 'incomplete' && end < text.length);
    if (reading.state === 'incomplete') {
      reading = reading.eof === '' ? cutShort(reading.script, reading.source, line + lines - 1) : { state: 'wrong', message: reading.eof, line: endLine(text, source, reading.eof, line), lineText: '' };
    }
    yield reading;
    if (reading.state === 'wrong') return;
    line += lines;
    at = end;
  }
}

function endLine(text: string, source: Source, message: string, line: number): number {
  if (message.startsWith('unexpected EOF') && !(message.includes("`)'") && /[$<>]\((?!\()/.test(text))) return line;
  return source.firstLine + text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}
