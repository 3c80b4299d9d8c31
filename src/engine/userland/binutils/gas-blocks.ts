/**
 * What GNU as does with statements before they mean anything: strings and comments told apart, conditions, repetitions and macros.
 * Source: as info manual, ".if", ".macro", ".rept", ".irp", ".irpc", ".altmacro". Left out: expressions and <strings> of .altmacro.
 */
import { GasError } from './gas-expression.ts';

export interface Statement {
  line: number;
  text: string;
  /** Lines of the macro calls that it came from, the innermost first. */
  from: readonly number[];
}

interface Macro {
  parameters: { name: string; value: string | null; kind: 'req' | 'vararg' | '' }[];
  body: Statement[];
}

interface Condition {
  line: number;
  active: boolean;
  /** A branch was taken already. */
  taken: boolean;
  otherwise: boolean;
}

/** Whom the statements are for. */
export interface Reading {
  /** A number, or null: not one yet. */
  number(text: string): bigint | null;
  defined(name: string): boolean;
  statement(one: Statement): void;
  mistake(one: { line: number; from: readonly number[] }, text: string, warning?: boolean): void;
}

interface State extends Reading {
  macros: Map<string, Macro>;
  conditions: Condition[];
  expansions: number;
  alternate: boolean;
  leaving: boolean;
  /** Statements so far: a macro may call itself without end. */
  count: number;
}

/** Lines from here on are those of messages at the end of the file: END itself of no line. */
export const END = 1e9;
const MOST = 500_000;
const DEEPEST = 200;

/** Statements with their line numbers: `;` and line ends part them, strings and comments do not count. */
export function statements(source: string): Statement[] {
  const out: Statement[] = [];
  let line = 1;
  let from = 1;
  let now = '';
  const end = (): void => {
    if (now.trim() !== '') out.push({ line: from, text: now.trim(), from: [] });
    now = '';
    from = line;
  };
  for (let at = 0; at < source.length; at++) {
    const c = source[at]!;
    if (c === '"') {
      const close = /"(?:[^"\\\n]|\\[\s\S])*"?/y;
      close.lastIndex = at;
      const text = close.exec(source)![0];
      now += text;
      at += text.length - 1;
      continue;
    }
    if (c === "'") {
      const text = /^'(\\.|[^\n])?'?/.exec(source.slice(at, at + 4))![0];
      now += text;
      at += text.length - 1;
    } else if (source.startsWith('/*', at)) {
      const close = source.indexOf('*/', at + 2);
      const text = source.slice(at, close < 0 ? source.length : close + 2);
      line += text.split('\n').length - 1;
      at += text.length - 1;
      now += ' ';
    } else if (c === '#' || (c === '/' && now.trim() === '')) {
      const close = source.indexOf('\n', at);
      at = (close < 0 ? source.length : close) - 1;
    } else if (c === '\n') {
      line++;
      end();
    } else if (c === ';') end();
    else now += c === '\r' ? ' ' : c;
  }
  end();
  return out;
}

export function readStatements(list: readonly Statement[], reading: Reading): void {
  const state: State = { ...reading, macros: new Map(), conditions: [], expansions: 0, alternate: false, leaving: false, count: 0 };
  run(state, list, 0);
  const open = state.conditions.at(-1);
  if (!open) return;
  reading.mistake({ line: END, from: [] }, 'end of file inside conditional');
  reading.mistake({ line: END + open.line, from: [] }, 'here is the start of the unterminated conditional');
}

const WORD = /^\.?[A-Za-z_$][\w.$]*/;
const OPENS: Readonly<Record<string, string>> = { '.macro': '.endm', '.rept': '.endr', '.rep': '.endr', '.irp': '.endr', '.irpc': '.endr' };
const NAMED: Readonly<Record<string, string>> = { '.macro': 'MACRO', '.rept': 'REPT', '.rep': 'REPT', '.irp': 'IRP', '.irpc': 'IRPC' };

function run(state: State, list: readonly Statement[], depth: number): void {
  for (let at = 0; at < list.length && !state.leaving; at++) {
    const one = list[at]!;
    if (++state.count > MOST) throw new GasError('macros grow without end');
    try {
      at = step(state, list, at, one, depth);
    } catch (error) {
      if (!(error instanceof GasError)) throw error;
      state.mistake(one, error.message);
    }
  }
}

/** The index of the last statement that was dealt with. */
function step(state: State, list: readonly Statement[], at: number, one: Statement, depth: number): number {
  const word = WORD.exec(one.text)?.[0].toLowerCase() ?? '';
  const rest = one.text.slice(word.length).trim();
  if (/^\.(if|else|endif)/.test(word) && condition(state, word, rest, one)) return at;
  if (state.conditions.some(({ active }) => !active)) return at;
  const closing = OPENS[word];
  if (closing !== undefined) {
    const end = closed(list, at, closing);
    if (end < 0) {
      if (word === '.macro') throw new GasError(`unexpected end of file in macro \`${WORD.exec(rest)?.[0] ?? ''}' definition`);
      state.mistake({ line: list.at(-1)!.line + 1, from: [] }, `${NAMED[word]} without ENDR`);
      return list.length;
    }
    const body = list.slice(at + 1, end);
    try {
      if (word === '.macro') define(state, rest, body, one);
      else repeat(state, word, rest, body, one, depth);
    } catch (error) {
      if (!(error instanceof GasError)) throw error;
      state.mistake(one, error.message);
    }
    return end;
  }
  if (simple(state, word, rest, one)) return at;
  const labelled = /^([A-Za-z_.$][\w.$]*|\d+)\s*:\s*([A-Za-z_.$][\w.$]*)/.exec(one.text);
  if (labelled && state.macros.has(labelled[2]!.toLowerCase())) {
    const cut = labelled[0].length - labelled[2]!.length;
    state.statement({ ...one, text: one.text.slice(0, cut).trim() });
    return step(state, list, at, { ...one, text: one.text.slice(cut) }, depth);
  }
  const macro = state.macros.get(word);
  if (macro && !/^\s*(=|:)/.test(rest)) call(state, macro, word, rest, one, depth);
  else state.statement(one);
  return at;
}

function closed(list: readonly Statement[], from: number, closing: string): number {
  let open = 0;
  for (let at = from; at < list.length; at++) {
    const word = WORD.exec(list[at]!.text)?.[0].toLowerCase() ?? '';
    if (OPENS[word] === closing) open++;
    if ((word === closing || (closing === '.endm' && word === '.endmacro')) && --open === 0) return at;
  }
  return -1;
}

function simple(state: State, word: string, rest: string, one: Statement): boolean {
  switch (word) {
    case '.altmacro': state.alternate = true; return true;
    case '.noaltmacro': state.alternate = false; return true;
    case '.purgem':
      if (!state.macros.delete(rest.toLowerCase())) throw new GasError(`Attempt to purge non-existing macro \`${rest}'`);
      return true;
    case '.exitm':
      if (one.from.length === 0) state.mistake(one, 'ignoring macro exit outside a macro definition.', true);
      else state.leaving = true;
      return true;
    case '.endm': state.mistake(one, '.endm encountered without preceding .macro', true); return true;
    case '.endr': state.mistake(one, '.endr encountered without preceding .rept, .irp, or .irpc', true); return true;
    case '.error': throw new GasError(/^"(.*)"$/s.exec(rest)?.[1] ?? '.error directive invoked in source file');
    case '.warning': state.mistake(one, /^"(.*)"$/s.exec(rest)?.[1] ?? '.warning directive invoked in source file', true); return true;
    case '.err': throw new GasError('.err encountered');
  }
  return false;
}

// ---- conditions

/** False: another directive that begins like one of these. */
function condition(state: State, word: string, rest: string, one: Statement): boolean {
  const top = state.conditions.at(-1);
  if (word === '.endif') {
    if (!top) throw new GasError('".endif" without ".if"');
    state.conditions.pop();
    return true;
  }
  if (word === '.else' || word === '.elseif') {
    if (!top) throw new GasError(`"${word}" without matching ".if"`);
    if (top.otherwise) throw new GasError(`duplicate "${word === '.else' ? 'else' : '.elseif'}"`);
    const outer = state.conditions.slice(0, -1).every(({ active }) => active);
    top.active = !top.taken && outer && (word === '.else' || truth(state, '.if', rest));
    top.taken ||= top.active;
    top.otherwise = word === '.else';
    return true;
  }
  if (!/^\.if(def|ndef|notdef|b|nb|c|nc|eqs|nes|eq|ne|ge|gt|le|lt)?$/.test(word)) return false;
  const outer = state.conditions.every(({ active }) => active);
  const now: Condition = { line: one.line, active: false, taken: false, otherwise: false };
  state.conditions.push(now);
  now.active = now.taken = outer && truth(state, word, rest);
  return true;
}

function truth(state: State, word: string, rest: string): boolean {
  const pair = (): [string, string] => {
    const [a = '', b = ''] = separated(rest, /,/);
    return [a.trim(), b.trim()];
  };
  switch (word) {
    case '.ifdef': return state.defined(rest);
    case '.ifndef': case '.ifnotdef': return !state.defined(rest);
    case '.ifb': return rest === '';
    case '.ifnb': return rest !== '';
    case '.ifc': case '.ifeqs': return pair()[0] === pair()[1];
    case '.ifnc': case '.ifnes': return pair()[0] !== pair()[1];
  }
  const n = state.number(rest);
  if (n === null) throw new GasError('non-constant expression in ".if" statement');
  switch (word) {
    case '.ifeq': return n === 0n;
    case '.ifge': return n >= 0n;
    case '.ifgt': return n > 0n;
    case '.ifle': return n <= 0n;
    case '.iflt': return n < 0n;
    default: return n !== 0n;
  }
}

// ---- macros

/** Parts between separators that stand in no string and no brackets. */
function separated(text: string, by: RegExp): string[] {
  const out: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!;
    if (c === '"') {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++;
    } else if (c === '(' || c === '[') depth++;
    else if (c === ')' || c === ']') depth--;
    else if (depth === 0 && by.test(c)) {
      out.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...out, text.slice(from)];
}

/** The arguments of a call: commas part them, and blanks where no operator stands beside. */
function given(text: string): string[] {
  const tight = text.replace(/\s*([-+*/=])\s*/g, '$1').replace(/\s*,\s*/g, ',').trim();
  return tight === '' ? [] : separated(tight, /[,\s]/).map((one) => one.trim());
}

const bare = (text: string): string => /^"((?:[^"\\]|\\.)*)"$/s.exec(text)?.[1] ?? text;

function define(state: State, rest: string, body: Statement[], one: Statement): void {
  const m = /^([A-Za-z_.$][\w.$]*)\s*,?\s*(.*)$/s.exec(rest);
  if (!m) throw new GasError('Missing macro name');
  if (state.macros.has(m[1]!.toLowerCase())) throw new GasError(`Macro \`${m[1]}' was already defined`);
  const parameters = given(m[2]!).map((text): Macro['parameters'][number] => {
    const p = /^([\w.$]+)(?::(req|vararg))?(?:=(.*))?$/s.exec(text);
    if (!p) throw new GasError(`Missing parameter qualifier for \`${text}' in macro \`${m[1]}'`);
    return { name: p[1]!, value: p[3] === undefined ? null : bare(p[3]), kind: (p[2] ?? '') as '' };
  });
  state.macros.set(m[1]!.toLowerCase(), { parameters, body: body.map((line) => ({ ...line, from: one.from })) });
}

function call(state: State, macro: Macro, name: string, rest: string, one: Statement, depth: number): void {
  if (depth > DEEPEST) throw new GasError('macros nested too deep');
  const { parameters } = macro;
  const values = new Map<string, string>();
  let next = 0;
  const words = given(rest);
  for (let n = 0; n < words.length; n++) {
    const keyed = /^([\w.$]+)=(?!=)(.*)$/s.exec(words[n]!);
    const parameter = keyed ? parameters.find((p) => p.name === keyed[1]) : undefined;
    if (keyed && parameter) {
      values.set(parameter.name, bare(keyed[2]!));
      continue;
    }
    const to = parameters[next++];
    if (!to) throw new GasError('too many positional arguments');
    if (to.kind === 'vararg') {
      values.set(to.name, words.slice(n).join(','));
      break;
    }
    if (words[n] !== '') values.set(to.name, bare(words[n]!));
  }
  for (const { name: parameter, value, kind } of parameters) {
    if (values.has(parameter)) continue;
    if (kind === 'req') throw new GasError(`Missing value for required parameter \`${parameter}' of macro \`${name}'`);
    values.set(parameter, value ?? '');
  }
  const unique = state.expansions++;
  expand(state, macro.body, values, String(unique), [one.line, ...one.from], depth);
}

function expand(state: State, body: readonly Statement[], values: Map<string, string>, unique: string, from: readonly number[], depth: number): void {
  const open = state.conditions.length;
  const list: Statement[] = [];
  for (const { line, text } of body) {
    const local = state.alternate ? /^local\s+(.*)$/i.exec(text) : null;
    if (local) local[1]!.split(/[\s,]+/).forEach((name) => values.set(name, `.LL${unique.padStart(4, '0')}${name}`));
    else list.push(...statements(substituted(text, values, unique, state.alternate)).map((made) => ({ line, text: made.text, from })));
  }
  run(state, list, depth + 1);
  if (state.leaving) state.conditions.length = open;
  state.leaving = false;
}

function substituted(text: string, values: ReadonlyMap<string, string>, unique: string, alternate: boolean): string {
  const made = text.replace(/\\(@|\(\)|[A-Za-z_$][\w.$]*)/g, (whole, name: string) => {
    if (name === '@') return unique;
    if (name === '()') return '';
    for (let length = name.length; length > 0; length--) {
      const value = values.get(name.slice(0, length));
      if (value !== undefined && (length === name.length || /[.$]/.test(name[length]!))) return value + name.slice(length);
    }
    return whole;
  });
  return alternate ? made.replace(/[A-Za-z_$][\w.$]*/g, (word) => values.get(word) ?? word) : made;
}

function repeat(state: State, word: string, rest: string, body: readonly Statement[], one: Statement, depth: number): void {
  if (depth > DEEPEST) throw new GasError('macros nested too deep');
  const again = (values: Map<string, string>): void => expand(state, body, values, String(state.expansions), one.from, depth);
  if (word === '.rept' || word === '.rep') {
    const n = state.number(rest);
    if (n === null) throw new GasError('bad or irreducible absolute expression');
    if (n < 0n) state.mistake(one, 'negative count for .rept - ignored', true);
    for (let k = 0n; k < n; k++) again(new Map());
    return;
  }
  const m = /^([A-Za-z_$][\w.$]*)\s*,?\s*(.*)$/s.exec(rest);
  if (!m) throw new GasError('missing model parameter');
  const list = word === '.irp' ? given(m[2]!).map(bare) : [...bare(m[2]!)];
  for (const value of list.length === 0 ? [''] : list) again(new Map([[m[1]!, value]]));
}
