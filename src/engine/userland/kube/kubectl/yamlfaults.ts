/**
 * What go-yaml says of broken YAML, where the parser here has found a fault: its words, and its lines, which count from the
 * document's start, from 1 for the scanner's faults and from 0 for the parser's, tell where the thing round the fault begins
 * rather than the fault, and are left out where they are 0. Source: go-yaml v2 yaml.go (fail), scannerc.go, parserc.go; lines
 * and words held against libyaml's algorithm as PyYAML has it.
 */
import type { YAMLError } from 'yaml';

interface Place { text: string; lines: string[]; at: number; line: number }

/** The documents of a stream: kubectl cuts it at "---" before it parses any. */
export function chunks(whole: string): string[] {
  const out: string[] = [];
  let start = 0;
  for (const m of whole.matchAll(/^---[ \t]*(?:#.*)?$\n?/gm)) {
    if (m.index === start) continue;
    out.push(whole.slice(start, m.index));
    start = m.index + m[0].length;
  }
  return [...out, whole.slice(start)];
}

const lineAt = (text: string, at: number): number => text.slice(0, at).split('\n').length - 1;

/** Context first, then where it was noticed; 0 is nowhere. */
const scanner = (context: number, noticed: number, words: string): string => said(context || noticed, 1, words);
const parser = (context: number, noticed: number, words: string): string => said(context || noticed, 0, words);
const said = (line: number, from: number, words: string): string => `yaml: ${line === 0 ? '' : `line ${line + from}: `}${words}`;

/** The innermost block that is open where a line begins: what it is, where it began and how deep it stands. */
function enclosing({ lines }: Place, line: number): { list: boolean; line: number; indent: number } {
  const open: { indent: number; line: number; list: boolean }[] = [];
  const close = (indent: number): void => {
    while (open.length > 0 && open.at(-1)!.indent > indent) open.pop();
  };
  const enter = (indent: number, at: number, list: boolean): void => {
    if ((open.at(-1)?.indent ?? -1) < indent) open.push({ indent, line: at, list });
  };
  for (let i = 0; i < line; i++) {
    const text = lines[i]!;
    if (/^\s*(?:#|$)|^---/.test(text)) continue;
    let indent = text.search(/\S/);
    close(indent);
    for (let m = /^\s*(-\s+|-$)/.exec(text.slice(indent)); m; m = /^(-\s+|-$)/.exec(text.slice(indent))) {
      enter(indent, i, true);
      indent += m[0].length;
    }
    if (/^[^\s].*?:(?:\s|$)/.test(text.slice(indent))) enter(indent, i, false);
  }
  close(Math.max(0, (lines[line] ?? '').search(/\S/)));
  return open.at(-1) ?? { list: false, line: 0, indent: -1 };
}

function blockFault(place: Place, line: number): string {
  const { list, line: from } = enclosing(place, line);
  return parser(from, line, list ? "did not find expected '-' indicator" : 'did not find expected key');
}

/** The bracket that is not closed before `at`. */
function bracket(text: string, at: number): number {
  let depth = 0;
  for (let i = at - 1; i >= 0; i--) {
    if (/[\]}]/.test(text[i]!)) depth++;
    else if (/[[{]/.test(text[i]!) && depth-- === 0) return i;
  }
  return 0;
}

function flowFault({ text, at, line }: Place): string {
  const open = bracket(text, at);
  const before = text.slice(0, at).trimEnd().at(-1) ?? '';
  const over = text.slice(at).trim() === '';
  if (over && /[[{,:]/.test(before)) return parser(lineAt(text, text.length), 0, 'did not find expected node content');
  return parser(lineAt(text, open), over ? lineAt(text, text.length) : line, `did not find expected ',' or '${text[open] === '{' ? '}' : ']'}'`);
}

/** A key without its colon: missed where one must be, otherwise a text that the next colon does not follow. */
function keyFault(place: Place): string {
  const { text, at, line, lines } = place;
  const block = enclosing(place, line);
  const colon = text.slice(at).search(/:(?:\s|$)/);
  if ((!block.list && block.indent === lines[line]!.search(/\S/)) || colon < 0) return scanner(line, lineAt(text, text.length), "could not find expected ':'");
  return scanner(lineAt(text, at + colon), 0, 'mapping values are not allowed in this context');
}

/** A quoted text without an end begins at the last quote there is. */
function quoteFault({ text }: Place, quote: string, words: string): string {
  return scanner(lineAt(text, Math.max(0, text.lastIndexOf(quote))), lineAt(text, text.length), words);
}

/** go-yaml's error for the faults of one document, the first of which decides. */
export function yamlFault(text: string, faults: readonly YAMLError[]): string {
  const first = faults[0]!;
  const at = first.pos[0];
  const line = lineAt(text, at);
  const place: Place = { text, lines: text.split('\n'), at, line };
  const { code, message } = first;
  if (code === 'TAB_AS_INDENT') return scanner(line, 0, 'found character that cannot start any token');
  if (/^Missing closing/.test(message)) return quoteFault(place, message.includes("'") ? "'" : '"', 'found unexpected end of stream');
  if (code === 'BAD_DQ_ESCAPE') return scanner(lineAt(text, text.lastIndexOf('"', at)), line, 'found unknown escape character');
  if (/^Flow (?:sequence|map)/.test(message)) return flowFault(place);
  if (/^Nested mappings/.test(message)) {
    const colon = text.slice(at).search(/:(?:\s|$)/);
    return scanner(lineAt(text, at + Math.max(0, colon)), 0, 'mapping values are not allowed in this context');
  }
  if (code === 'BAD_SCALAR_START' && /reserved/.test(message)) return scanner(line, 0, 'found character that cannot start any token');
  if (code === 'BAD_SCALAR_START' && /directive/.test(message)) return parser(lineAt(text, text.length), 0, 'did not find expected <document start>');
  if (code === 'BAD_SCALAR_START' || /^Unexpected flow-(?:seq|map)-end/.test(message)) return parser(line, 0, 'did not find expected node content');
  if (/^Block scalar header/.test(message)) return scanner(line, 0, 'did not find expected comment or line break');
  if (code === 'BAD_ALIAS') return scanner(line, 0, 'did not find expected alphabetic or numeric character');
  const list = faults.some((f) => /block-seq-ind|block sequence/.test(f.message));
  if (!list && (code === 'MULTILINE_IMPLICIT_KEY' || /^Implicit (?:map )?keys/.test(message))) return keyFault(place);
  if (/^All (?:mapping|sequence) items|^A block sequence may not|^Unexpected scalar at node end|^Sequence item without/.test(message) || list) {
    return blockFault(place, line);
  }
  return parser(line, 0, message.replace(/\s+/g, ' '));
}
