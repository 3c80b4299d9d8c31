/**
 * The assembler's preprocessor: lines in, lines out, each with the number of the line it came from. Knows %define,
 * %undef, %assign, %macro (fixed parameters, %0, %%local), %rep, %if, %ifdef, %ifndef, %else, %endif, %error, %include.
 * %include takes its text from whoever calls. Source: NASM manual 4. Left out: greedy and default parameters, %strlen and kin, contexts.
 */
import { AssemblyError, type Cursor, expression, type Scope, tokens } from './assemble-expression.ts';

export interface Line {
  number: number;
  text: string;
  /** The included file that it stands in; null: the source itself. */
  file: string | null;
}

/** The text of a file that %include names, or null: there is none. */
export type Include = (name: string) => string | null;

export interface Mistake {
  line: number;
  column: number;
  /** Without the file and line. */
  text: string;
  file: string | null;
}

interface Macro {
  parameters: number;
  body: Line[];
}

interface State {
  defines: Map<string, { parameters: string[] | null; body: string }>;
  macros: Map<string, Macro>;
  out: Line[];
  mistakes: Mistake[];
  expansions: number;
  include: Include;
}

const LIMIT = 200_000;
const DEEPEST = 64;

export function preprocess(source: string, include: Include = () => null): { lines: Line[]; mistakes: Mistake[] } {
  const state: State = { defines: new Map(), macros: new Map(), out: [], mistakes: [], expansions: 0, include };
  run(state, linesOf(source, null), 0);
  return { lines: state.out, mistakes: state.mistakes };
}

/** A backslash at its end joins a line with the next. */
function linesOf(source: string, file: string | null): Line[] {
  const lines: Line[] = [];
  const raw = source.split('\n');
  for (let i = 0; i < raw.length; i++) {
    const number = i + 1;
    let text = raw[i]!.replace(/\r$/, '');
    while (text.endsWith('\\') && i + 1 < raw.length) text = text.slice(0, -1) + raw[++i]!;
    lines.push({ number, text, file });
  }
  return lines;
}

const DIRECTIVE = /^\s*%([a-z]+)\b\s*(.*)$/i;
const OPENS: Record<string, string> = { if: 'endif', ifdef: 'endif', ifndef: 'endif', rep: 'endrep', macro: 'endmacro' };

function run(state: State, lines: readonly Line[], depth: number): void {
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (state.out.length > LIMIT) return fail(state, line, 1, 'too many lines after expansion');
    try {
      const directive = DIRECTIVE.exec(line.text);
      if (!directive) {
        plainLine(state, line, depth);
        continue;
      }
      const word = directive[1]!.toLowerCase();
      const rest = withoutComment(directive[2]!);
      if (word === 'include') {
        included(state, rest, depth);
        continue;
      }
      if (!(word in OPENS)) {
        simple(state, word, rest, line);
        continue;
      }
      const end = closing(lines, i, OPENS[word]!);
      if (end < 0) return fail(state, line, 1, `\`%${word}' without matching \`%${OPENS[word]}'`);
      block(state, word, rest, line, lines.slice(i + 1, end), depth);
      i = end;
    } catch (error) {
      if (!(error instanceof AssemblyError)) throw error;
      fail(state, line, error.column, error.message);
    }
  }
}

function included(state: State, rest: string, depth: number): void {
  const name = /^\s*(["'])(.*)\1\s*$/.exec(expand(state, rest))?.[2];
  if (name === undefined) throw new AssemblyError(1, "`%include' expects a file name");
  if (depth > DEEPEST) throw new AssemblyError(1, 'files include one another too deep');
  const source = state.include(name);
  if (source === null) throw new AssemblyError(1, `unable to open include file \`${name}': No such file or directory`);
  run(state, linesOf(source, name), depth + 1);
}

function fail(state: State, line: Line, column: number, text: string): void {
  state.mistakes.push({ line: line.number, column, text, file: line.file });
}

function closing(lines: readonly Line[], from: number, end: string): number {
  let open = 0;
  for (let i = from; i < lines.length; i++) {
    const word = DIRECTIVE.exec(lines[i]!.text)?.[1]?.toLowerCase() ?? '';
    if (OPENS[word] === end) open++;
    if (word === end && --open === 0) return i;
  }
  return -1;
}

function simple(state: State, word: string, rest: string, line: Line): void {
  switch (word) {
    case 'define': case 'xdefine': case 'idefine': {
      const m = /^([A-Za-z_.?@$][\w.?@$]*)(?:\(([^)]*)\))?\s*(.*)$/.exec(rest);
      if (!m) throw new AssemblyError(1, `\`%${word}' expects a macro identifier`);
      const parameters = m[2] === undefined ? null : m[2].split(',').map((p) => p.trim());
      state.defines.set(m[1]!, { parameters, body: word === 'xdefine' ? expand(state, m[3]!) : m[3]! });
      return;
    }
    case 'undef': state.defines.delete(rest.trim()); return;
    case 'assign': {
      const m = /^([A-Za-z_.?@$][\w.?@$]*)\s+(.*)$/.exec(rest);
      if (!m) throw new AssemblyError(1, '`%assign\' expects a macro identifier');
      state.defines.set(m[1]!, { parameters: null, body: String(constant(state, m[2]!)) });
      return;
    }
    case 'error': case 'fatal': throw new AssemblyError(1, rest.replace(/^["']|["']$/g, ''));
    case 'else': case 'elif': case 'endif': case 'endrep': case 'endmacro': throw new AssemblyError(1, `\`%${word}': no matching \`%${word === 'endmacro' ? 'macro' : word === 'endrep' ? 'rep' : 'if'}'`);
  }
  throw new AssemblyError(1, `preprocessor directive \`%${word}' is not supported`);
}

function block(state: State, word: string, rest: string, line: Line, body: Line[], depth: number): void {
  if (depth > DEEPEST) throw new AssemblyError(1, 'macros nest too deep');
  if (word === 'macro') {
    const m = /^(\S+)\s+(\d+)\s*$/.exec(rest);
    if (!m) throw new AssemblyError(1, '`%macro\' expects a name and a number of parameters');
    state.macros.set(m[1]!.toLowerCase(), { parameters: Number(m[2]), body });
    return;
  }
  if (word === 'rep') {
    const times = Number(constant(state, rest));
    for (let n = 0; n < times && state.out.length <= LIMIT; n++) run(state, body, depth + 1);
    return;
  }
  let open = 0;
  const split = body.findIndex((l) => {
    const w = DIRECTIVE.exec(l.text)?.[1]?.toLowerCase() ?? '';
    if (OPENS[w] === 'endif') open++;
    if (w === 'endif') open--;
    return w === 'else' && open === 0;
  });
  const truth = word === 'if' ? constant(state, rest) !== 0n : state.defines.has(rest.trim()) === (word === 'ifdef');
  const chosen = truth ? (split < 0 ? body : body.slice(0, split)) : split < 0 ? [] : body.slice(split + 1);
  run(state, chosen, depth + 1);
}

function constant(state: State, source: string): bigint {
  const cursor: Cursor = { tokens: tokens(expand(state, source)), at: 0 };
  const scope: Scope = {
    symbol: (name, column) => {
      throw new AssemblyError(column, `symbol \`${name}' is not a constant here`);
    },
    isRegister: () => false, here: 0n, start: 0n,
  };
  const value = expression(cursor, scope);
  if (cursor.at < cursor.tokens.length) throw new AssemblyError(cursor.tokens[cursor.at]!.column, 'expression syntax error');
  return value.n;
}

const CALL = /^(\s*(?:[A-Za-z_.?@$][\w.?@$]*:)?\s*)([A-Za-z_.?@$][\w.?@$]*)(?:\s+(.*))?$/;

function plainLine(state: State, line: Line, depth: number): void {
  const text = withoutComment(line.text);
  const call = CALL.exec(text);
  const macro = call && state.macros.get(call[2]!.toLowerCase());
  if (!macro) {
    state.out.push({ number: line.number, text: expand(state, text), file: line.file });
    return;
  }
  if (depth > DEEPEST) throw new AssemblyError(1, 'macros nest too deep');
  const given = (call[3] ?? '').trim() === '' ? [] : splitArguments(call[3]!);
  if (given.length !== macro.parameters) throw new AssemblyError(1, `macro \`${call[2]}' expects ${macro.parameters} parameters, ${given.length} given`);
  const unique = ++state.expansions;
  if (call[1]!.trim() !== '') state.out.push({ number: line.number, text: call[1]!, file: line.file });
  const body = macro.body.map((l) => ({
    number: line.number, file: line.file,
    text: l.text.replace(/%%(\w+)/g, `..@${unique}.$1`).replace(/%(\d+)/g, (_, n: string) => (n === '0' ? String(given.length) : (given[Number(n) - 1] ?? ''))),
  }));
  run(state, body, depth + 1);
}

/** Cuts a comment off, minding quotes. */
function withoutComment(text: string): string {
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

function splitArguments(text: string): string[] {
  const out: string[] = [];
  let quote = '';
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'" || c === '`') quote = c;
    else if (c === '(' || c === '[') depth++;
    else if (c === ')' || c === ']') depth--;
    else if (c === ',' && depth === 0) {
      out.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  return [...out, text.slice(from).trim()];
}

const WORDS = /("[^"]*"|'[^']*'|`[^`]*`)|(?<![\w.$?@])([A-Za-z_.?@$][\w.?@$]*)/g;

/** Replaces %define names, several times over, so that one may name another. */
function expand(state: State, source: string): string {
  if (state.defines.size === 0) return source;
  let text = source;
  for (let round = 0; round < 16; round++) {
    let changed = false;
    let from = 0;
    let out = '';
    WORDS.lastIndex = 0;
    for (let m = WORDS.exec(text); m; m = WORDS.exec(text)) {
      const define = m[2] ? state.defines.get(m[2]) : undefined;
      if (!define) continue;
      let end = WORDS.lastIndex;
      let body = define.body;
      if (define.parameters) {
        if (text[end] !== '(') continue;
        const close = matching(text, end);
        if (close < 0) continue;
        const given = splitArguments(text.slice(end + 1, close));
        body = body.replace(/[A-Za-z_]\w*/g, (w) => given[define.parameters!.indexOf(w)] ?? w);
        end = close + 1;
      }
      out += text.slice(from, m.index) + body;
      from = end;
      WORDS.lastIndex = end;
      changed = true;
      if (out.length > 10_000) throw new AssemblyError(1, 'a %define grows without end');
    }
    text = out + text.slice(from);
    if (!changed) return text;
  }
  return text;
}

function matching(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  return -1;
}
