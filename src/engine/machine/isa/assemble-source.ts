/**
 * The assembler's preprocessor: lines in, lines out, each with the number of the line it came from. Macros of several lines (by number
 * of parameters, with defaults, greedy), repetition, conditions, structures, files; its single-line macros are in assemble-macros.ts.
 * %include takes its text from whoever calls. Source: NASM manual 4 and 5.9. Left out: %arg, %local, %use, contexts but for %$names.
 */
import { AssemblyError, type Cursor, expression, type Scope, tokens } from './assemble-expression.ts';
import { type Defines, expand, splitArguments, withoutComment } from './assemble-macros.ts';

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
  warning?: boolean;
  /** Told only where no other mistake was made. */
  late?: boolean;
}

interface Macro {
  least: number;
  /** Infinity: any number more. */
  most: number;
  greedy: boolean;
  recursive: boolean;
  defaults: string[];
  body: Line[];
}

/** A macro of several lines while it is being expanded. */
interface Call {
  macro: Macro;
  given: string[];
  unique: number;
  label: string;
}

interface State {
  defines: Defines;
  /** By name; those that mind no case by lower case after a blank. */
  macros: Map<string, Macro[]>;
  out: Line[];
  mistakes: Mistake[];
  expansions: number;
  include: Include;
  call: Call | null;
  active: Macro[];
  repeating: number;
  leaving: boolean;
  section: string;
  structure: { name: string; section: string } | null;
  instance: { name: string; start: string } | null;
  ended: boolean;
  /** Lines of the source. */
  length: number;
}

const LIMIT = 200_000;
const DEEPEST = 64;
const NAME = '[A-Za-z_.?@$][\\w.?@$~#]*';

export function preprocess(source: string, include: Include = () => null, { bits, file }: { bits: number; file: string } = { bits: 64, file: '' }): { lines: Line[]; mistakes: Mistake[] } {
  const standard: [string, string][] = [['__BITS__', String(bits)], ['__FILE__', `'${file}'`], ['__NASM_MAJOR__', '2'], ['__NASM_MINOR__', '16'], ['__OUTPUT_FORMAT__', 'bin'], ['__?BITS?__', String(bits)]];
  const state: State = {
    defines: { exact: new Map(standard.map(([name, body]) => [name, { parameters: null, body }])), any: new Map() }, macros: new Map(), out: [], mistakes: [], expansions: 0, include,
    call: null, active: [], repeating: 0, leaving: false, section: '.text', structure: null, instance: null, ended: false, length: source.split('\n').length,
  };
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
const wordOf = (text: string): string => (text.includes('%') ? (DIRECTIVE.exec(text)?.[1]?.toLowerCase() ?? '') : '');
const END: Readonly<Record<string, string>> = { rep: 'endrep', macro: 'endmacro', imacro: 'endmacro', rmacro: 'endmacro', irmacro: 'endmacro' };
const endOf = (word: string): string => (/^if/.test(word) ? 'endif' : (END[word] ?? ''));
const closes = (word: string): string => (word === 'endm' ? 'endmacro' : word);

function run(state: State, lines: readonly Line[], depth: number): void {
  for (let i = 0; i < lines.length && !state.leaving && !state.ended; i++) {
    const line = lines[i]!;
    if (state.out.length > LIMIT) return fail(state, line, 1, 'too many lines after expansion');
    try {
      const directive = line.text.includes('%') ? DIRECTIVE.exec(line.text) : null;
      if (!directive) {
        plainLine(state, line, depth);
        continue;
      }
      const word = directive[1]!.toLowerCase();
      const rest = withoutComment(directive[2]!);
      const closing = endOf(word);
      if (closing === '') {
        simple(state, word, rest, line, depth);
        continue;
      }
      const end = closed(lines, i, closing);
      if (end < 0) {
        const unfinished: Readonly<Record<string, string>> = { endif: 'expected `%endif\' before end of file', endrep: 'end of file while still in %rep', endmacro: `end of file while still defining macro \`${/^\S*/.exec(rest)![0]}'` };
        return fail(state, { ...line, number: line.file === null ? state.length : line.number }, 1, unfinished[closing]!);
      }
      const body = lines.slice(i + 1, end);
      i = end;
      if (closing === 'endif') condition(state, word, rest, line, body, depth);
      else if (closing === 'endrep') repeat(state, rest, line, body, depth);
      else macro(state, word, rest, body);
    } catch (error) {
      if (!(error instanceof AssemblyError)) throw error;
      fail(state, line, error.column, error.message);
    }
  }
}

function closed(lines: readonly Line[], from: number, end: string): number {
  let open = 0;
  for (let i = from; i < lines.length; i++) {
    const word = closes(wordOf(lines[i]!.text));
    if (endOf(word) === end) open++;
    if (word === end && --open === 0) return i;
  }
  return -1;
}

function fail(state: State, line: Line, column: number, text: string, warning = false): void {
  state.mistakes.push({ line: line.number, column, text, file: line.file, ...(warning ? { warning } : {}) });
}

function included(state: State, rest: string, depth: number): void {
  const name = /^\s*(["'])(.*)\1\s*$/.exec(expand(state.defines, rest))?.[2];
  if (name === undefined) throw new AssemblyError(1, "`%include' expects a file name");
  if (depth > DEEPEST) throw new AssemblyError(1, 'files include one another too deep');
  const source = state.include(name);
  state.ended = source === null;
  if (source === null) throw new AssemblyError(1, `unable to open include file \`${name}': No such file or directory`);
  run(state, linesOf(source, name), depth + 1);
}

// ---- conditions

/** The parts of a condition, each with the question that chooses it; null: whatever is left. */
function condition(state: State, word: string, rest: string, line: Line, body: readonly Line[], depth: number): void {
  const parts: { word: string | null; rest: string; lines: Line[] }[] = [{ word: word.slice(2), rest, lines: [] }];
  let open = 0;
  for (const one of body) {
    const w = wordOf(one.text);
    if (endOf(w) === 'endif') open++;
    if (w === 'endif') open--;
    if (open === 0 && (w === 'else' || /^elif/.test(w))) {
      if (w === 'else' && parts.at(-1)!.word === null) fail(state, one, 1, '`%else\' after `%else\', ignoring content [-w+pp-else-else]', true);
      parts.push({ word: w === 'else' ? null : w.slice(4), rest: withoutComment(DIRECTIVE.exec(one.text)![2]!), lines: [] });
    } else parts.at(-1)!.lines.push(one);
  }
  const chosen = parts.find((part) => part.word === null || asked(state, part.word, part.rest.trim(), line));
  if (chosen) run(state, chosen.lines, depth + 1);
}

function asked(state: State, given: string, rest: string, line: Line): boolean {
  const not = /^n(?!um|$)/.test(given);
  const word = not ? given.slice(1) : given;
  return truth(state, word, rest, line) !== not;
}

function truth(state: State, word: string, rest: string, line: Line): boolean {
  const { exact, any } = state.defines;
  const text = (): string => expand(state.defines, substituted(state, rest)).trim();
  switch (word) {
    case '': return constant(state, substituted(state, rest)) !== 0n;
    case 'def': return rest.split(/\s+/).some((name) => exact.has(name) || any.has(name.toLowerCase()));
    case 'macro': {
      const [name, range] = rest.split(/\s+/);
      return (state.macros.get(name!) ?? []).some((one) => range === undefined || (Number(range) >= one.least && Number(range) <= one.most));
    }
    case 'idn': case 'idni': {
      const [a, b] = splitArguments(text()).map((one) => (word === 'idni' ? one.toLowerCase() : one).replace(/\s+/g, ' '));
      return a === b;
    }
    case 'num': return /^[-+]?\s*(0[xX][\da-fA-F_]+|\d[\w]*|\$\d[\da-fA-F]*)$/.test(text());
    case 'id': return new RegExp(`^${NAME}$`).test(text());
    case 'str': return /^(["'`]).*\1$/.test(text());
    case 'empty': return text() === '';
    case 'env': return false;
    case 'ctx': return false;
    case 'token': return /^\S+$/.test(text());
  }
  throw new AssemblyError(line.number > 0 ? 1 : 0, `unknown preprocessor directive \`%if${word}'`);
}

// ---- repetition and macros of several lines

function repeat(state: State, rest: string, line: Line, body: readonly Line[], depth: number): void {
  const times = Number(constant(state, substituted(state, rest).replace(/\.nolist\s*$/, '')));
  if (times < 0) fail(state, line, 1, `negative \`%rep' count: ${times} [-w+pp-rep-negative]`, true);
  state.repeating++;
  for (let n = 0; n < times && state.out.length <= LIMIT && !state.leaving; n++) run(state, body, depth + 1);
  state.repeating--;
  state.leaving = false;
}

function macro(state: State, word: string, rest: string, body: Line[]): void {
  const m = /^(\S+)(?:\s+(.*))?$/.exec(rest.trim());
  if (!m) throw new AssemblyError(1, '`%macro\' expects a macro name');
  const range = /^(\d+)(?:-(\d+|\*))?(\+)?(?:\.nolist)?(?:\s+(.*))?$/.exec(m[2] ?? '');
  if (!range) throw new AssemblyError(1, '`%macro\' expects a parameter count');
  const name = /^i/.test(word) ? ` ${m[1]!.toLowerCase()}` : m[1]!;
  const least = Number(range[1]);
  const one: Macro = {
    least, most: range[2] === undefined ? least : range[2] === '*' ? Number.POSITIVE_INFINITY : Number(range[2]), greedy: range[3] !== undefined, recursive: /r/.test(word.replace('macro', '')),
    defaults: range[4] ? splitArguments(range[4]) : [], body,
  };
  state.macros.set(name, [one, ...(state.macros.get(name) ?? []).filter((other) => other.least !== one.least || other.most !== one.most)]);
}

const CALL = new RegExp(`^(\\s*(?:${NAME}:)?\\s*)(${NAME})(?:\\s+(.*))?$`);

function plainLine(state: State, line: Line, depth: number): void {
  const text = substituted(state, withoutComment(line.text));
  if (text.trim() === '') return;
  const call = CALL.exec(text);
  const list = call ? (state.macros.get(call[2]!) ?? state.macros.get(` ${call[2]!.toLowerCase()}`)) : undefined;
  if (!call || !list) {
    const word = call ? call[2]!.toLowerCase() : '';
    if (call && STRUCTURES.has(word) && structure(state, word, call, line)) return;
    return emit(state, line, expand(state.defines, text));
  }
  if (depth > DEEPEST) throw new AssemblyError(1, 'macros nest too deep');
  const written = expand(state.defines, call[3] ?? '').trim();
  const given = written === '' ? [] : splitArguments(written);
  const one = list.find((m) => given.length >= m.least && (given.length <= m.most || m.greedy));
  if (!one || (state.active.includes(one) && !one.recursive)) {
    if (!one && !state.active.some((m) => list.includes(m))) fail(state, line, 1, `multi-line macro \`${call[2]}' exists, but not taking ${given.length} parameter${given.length === 1 ? '' : 's'} [-w+pp-macro-params-multi]`, true);
    return emit(state, line, expand(state.defines, text));
  }
  if (call[1]!.trim() !== '') emit(state, line, call[1]!);
  expanded(state, one, given, line, depth);
}

function expanded(state: State, one: Macro, given: string[], line: Line, depth: number): void {
  if (one.greedy && given.length > one.most) given.splice(one.most - 1, given.length, given.slice(one.most - 1).join(','));
  for (let n = given.length; n < Math.min(one.most, one.least + one.defaults.length); n++) given.push(one.defaults[n - one.least] ?? '');
  const { call, repeating } = state;
  state.call = { macro: one, given, unique: ++state.expansions, label: '' };
  state.active.push(one);
  state.repeating = 0;
  run(state, one.body.map(({ text }) => ({ number: line.number, file: line.file, text })), depth + 1);
  state.active.pop();
  state.call = call;
  state.repeating = repeating;
}

/** A line of a macro with its parameters in it. */
function substituted(state: State, text: string): string {
  const { call } = state;
  if (!call || !text.includes('%')) return text;
  return text.replace(/%%(\w+)/g, `..@${call.unique}.$1`).replace(/%(?:\{)?(\d+)(?:\})?/g, (_, n: string) => (n === '0' ? String(call.given.length) : (call.given[Number(n) - 1] ?? '')));
}

function emit(state: State, line: Line, text: string): void {
  const moved = /^\s*\[?\s*(?:section|segment)\s+([^\s\]]+)/i.exec(text);
  if (moved) state.section = moved[1]!;
  const bits = /^\s*\[?\s*(?:bits\s+|use)(16|32|64)\b/i.exec(text);
  if (bits) state.defines.exact.set('__BITS__', { parameters: null, body: bits[1]! });
  state.out.push({ number: line.number, text: text.includes('__') ? text.replace(/\b__\??LINE\??__/g, String(line.number)).replace(/\b__\??SECT\??__/g, `[section ${state.section}]`) : text, file: line.file });
}

// ---- structures (NASM manual 5.9)
const STRUCTURES = new Set(['struc', 'endstruc', 'istruc', 'at', 'iend']);

function structure(state: State, word: string, call: RegExpExecArray, line: Line): boolean {
  const put = (text: string): void => emit(state, line, text);
  const rest = expand(state.defines, call[3] ?? '').trim();
  const [first = '', ...others] = splitArguments(rest);
  if (call[1]!.trim() !== '') put(call[1]!);
  if (word === 'struc' && first !== '') {
    state.structure = { name: first, section: state.section };
    put(`absolute ${others[0] ?? '0'}`);
    put(`${first}:`);
  } else if (word === 'endstruc' && state.structure) {
    const { name, section } = state.structure;
    put(`${name}_size equ $-${name}`);
    state.structure = null;
    put(`[section ${section}]`);
  } else if (word === 'istruc' && first !== '') {
    state.instance = { name: first, start: `..@${++state.expansions}.istruc` };
    put(`${state.instance.start}:`);
  } else if (word === 'at' && state.instance) {
    put(`times (${first})-${state.instance.name}-($-${state.instance.start}) db 0`);
    if (others.length > 0) plainLine(state, { ...line, text: others.join(',') }, 1);
  } else if (word === 'iend' && state.instance) {
    put(`times ${state.instance.name}_size-($-${state.instance.start}) db 0`);
    state.instance = null;
  } else return false;
  return true;
}

// ---- directives of one line

const identifier = (rest: string, word: string, pattern: string): RegExpExecArray => {
  const m = new RegExp(`^(${NAME}|%\\$+\\w+)${pattern}`).exec(rest);
  if (!m) throw new AssemblyError(1, `\`%${word}' expects a macro identifier`);
  return m;
};

function simple(state: State, word: string, given: string, line: Line, depth: number): void {
  const rest = substituted(state, given);
  const { exact, any } = state.defines;
  const text = (): string => expand(state.defines, rest);
  const set = (name: string, body: string, caseless: boolean, parameters: string[] | null = null): void => {
    (caseless ? any : exact).set(caseless ? name.toLowerCase() : name, { parameters, body });
  };
  switch (word) {
    case 'include': return included(state, rest, depth);
    case 'define': case 'xdefine': case 'idefine': case 'ixdefine': {
      const m = identifier(rest, word, '(?:\\(([^)]*)\\))?\\s*(.*)$');
      return set(m[1]!, /x/.test(word) ? expand(state.defines, m[3]!) : m[3]!.trim(), word.startsWith('i'), m[2] === undefined ? null : m[2].split(',').map((p) => p.trim()));
    }
    case 'undef': {
      const [, name] = identifier(rest, word, '');
      exact.delete(name!);
      any.delete(name!.toLowerCase());
      return;
    }
    case 'assign': case 'iassign': {
      const m = identifier(rest, word, '\\s+(.*)$');
      return set(m[1]!, String(constant(state, m[2]!)), word.startsWith('i'));
    }
    case 'defstr': case 'strlen': case 'substr': case 'deftok': return strings(state, word, rest, set);
    case 'error': throw new AssemblyError(1, text().trim().replace(/^(["'])([^"']*)\1$/, '$2'));
    case 'fatal': state.ended = true; throw new AssemblyError(1, text().trim().replace(/^(["'])([^"']*)\1$/, '$2'));
    case 'warning': return fail(state, line, 1, `${text().trim().replace(/^(["'])([^"']*)\1$/, '$2')} [-w+user]`, true);
    case 'rotate': return rotate(state, rest);
    case 'exitrep':
      if (state.repeating === 0) throw new AssemblyError(1, "`%exitrep' not within `%rep' block");
      state.leaving = true;
      return;
    case 'unmacro': state.macros.delete(/^\S*/.exec(rest)![0]); return;
    case 'push': case 'pop': case 'line': case 'pragma': case 'use': case 'note': return;
    case 'endmacro': case 'endm': throw new AssemblyError(1, `\`%${word}': not defining a macro`);
    case 'endrep': throw new AssemblyError(1, "`%endrep': no matching `%rep'");
  }
  if (/^(el(se|if\w*)|endif)$/.test(word)) throw new AssemblyError(1, `\`%${word}': no matching \`%if'`);
  throw new AssemblyError(1, 'label or instruction expected at start of line');
}

function strings(state: State, word: string, rest: string, set: (name: string, body: string, caseless: boolean) => void): void {
  const m = identifier(rest, word, '\\s+(.*)$');
  const text = expand(state.defines, m[2]!).trim();
  if (word === 'defstr') return set(m[1]!, `'${text}'`, false);
  const quoted = /^(["'`])(.*?)\1(.*)$/.exec(text);
  if (!quoted) throw new AssemblyError(1, `\`%${word}' requires string as second parameter`);
  if (word === 'strlen') return set(m[1]!, String(quoted[2]!.length), false);
  if (word === 'deftok') return set(m[1]!, quoted[2]!, false);
  const [from, count = '1'] = splitArguments(quoted[3]!.replace(/^\s*,?/, ''));
  const start = Number(constant(state, from!)) - 1;
  const n = Number(constant(state, count));
  set(m[1]!, `'${quoted[2]!.slice(start, n < 0 ? quoted[2]!.length + n + 1 : start + n)}'`, false);
}

function rotate(state: State, rest: string): void {
  if (!state.call) throw new AssemblyError(1, '`%rotate\' invoked outside a macro call');
  const { given } = state.call;
  const n = Number(constant(state, rest));
  if (given.length === 0) return;
  const by = ((n % given.length) + given.length) % given.length;
  given.push(...given.splice(0, by));
}

function constant(state: State, source: string): bigint {
  const cursor: Cursor = { tokens: tokens(expand(state.defines, source)), at: 0 };
  const scope: Scope = {
    symbol: (name, column) => {
      throw new AssemblyError(column, `symbol \`${name}' not defined before use`);
    },
    isRegister: () => false, here: () => 0n, start: () => 0n,
  };
  const value = expression(cursor, scope);
  if (cursor.at < cursor.tokens.length) throw new AssemblyError(cursor.tokens[cursor.at]!.column, 'expression syntax error');
  return value.n;
}
