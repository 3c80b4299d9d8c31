/**
 * A source of GNU as, statement by statement: comments taken away, labels and directives into sections of items that layout places.
 * Source: as info manual, "Syntax" and "Pseudo Ops". Left out: .macro, .rept, .if, .include, .comm, .code32, .intel_syntax; debugging and unwind directives are read over.
 */
import { bytes as bytesOf } from '../../sim/text.ts';
import { constant, evaluate, type Expr, expression, GasError, type Reader, skipBlanks, type Sum, accept } from './gas-expression.ts';
import { type Fixup, instruction } from './gas-instruction.ts';

export type Item = { line: number } & (
  | { kind: 'bytes'; bytes: number[]; fixups: Fixup[] }
  | { kind: 'jump'; short: number[]; long: number[]; to: Expr; grown: boolean }
  | { kind: 'align'; to: number; fill: number | null; most: number }
  | { kind: 'space'; count: Expr; fill: number }
  | { kind: 'org'; to: Expr; fill: number }
  | { kind: 'label'; name: string });

export interface GasSection {
  name: string;
  flags: number;
  type: number;
  align: number;
  items: Item[];
}

export interface Mistake {
  line: number;
  text: string;
  warning?: boolean;
}

export interface GasSource {
  sections: GasSection[];
  /** Symbols given a value, in order. */
  values: Map<string, Expr>;
  globals: Set<string>;
  weak: Set<string>;
  types: Map<string, number>;
  sizes: Map<string, Expr>;
  labels: Set<string>;
  mistakes: Mistake[];
}

interface State extends GasSource {
  section: GasSection;
  before: GasSection;
  line: number;
  numeric: Map<string, number>;
  /** A count of places where the distance between labels stops being known, and the bytes since. */
  fragment: number;
  since: number;
  known: Map<string, { fragment: number; at: number }>;
  dots: number;
}

const KNOWN: Readonly<Record<string, [flags: number, type: number]>> = { '.text': [6, 1], '.data': [3, 1], '.bss': [3, 8], '.rodata': [2, 1], '.init': [6, 1], '.fini': [6, 1] };

export function readSource(source: string): GasSource {
  const sections = ['.text', '.data', '.bss'].map((name): GasSection => ({ name, flags: KNOWN[name]![0], type: KNOWN[name]![1], align: 1, items: [] }));
  const state: State = {
    sections, values: new Map(), globals: new Set(), weak: new Set(), types: new Map(), sizes: new Map(), labels: new Set(), mistakes: [],
    section: sections[0]!, before: sections[0]!, line: 0, numeric: new Map(), fragment: 0, since: 0, known: new Map(), dots: 0,
  };
  for (const { line, text } of statements(source)) {
    state.line = line;
    try {
      statement(state, text);
    } catch (error) {
      if (!(error instanceof GasError)) throw error;
      state.mistakes.push({ line, text: error.message });
    }
  }
  return state;
}

/** Statements with their line numbers: `;` and line ends part them, strings and comments do not count. */
function statements(source: string): { line: number; text: string }[] {
  const out: { line: number; text: string }[] = [];
  let line = 1;
  let from = 1;
  let now = '';
  const end = (): void => {
    if (now.trim() !== '') out.push({ line: from, text: now.trim() });
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

function statement(state: State, given: string): void {
  let text = given;
  for (let m = /^([A-Za-z_.$][\w.$]*|\d+)\s*:/.exec(text); m; m = /^([A-Za-z_.$][\w.$]*|\d+)\s*:/.exec(text)) {
    label(state, m[1]!);
    text = text.slice(m[0].length).trim();
  }
  if (text === '') return;
  const assigned = /^([A-Za-z_.$][\w.$]*)\s*=(?!=)\s*(.*)$/s.exec(text);
  if (assigned) return assign(state, assigned[1]!, reading(state, assigned[2]!));
  const directive = /^\.([A-Za-z_0-9]+)\s*/.exec(text);
  if (directive) return direct(state, directive[1]!.toLowerCase(), reading(state, text.slice(directive[0].length)));
  if (state.section.type === 8) throw new GasError(`attempt to store non-empty data in section \`${state.section.name}'`);
  const made = instruction(reading(state, text), (expr) => valueNow(state, expr));
  if ('short' in made) {
    put(state, { kind: 'jump', line: state.line, short: made.short, long: made.long, to: made.to, grown: false });
    breakFragment(state);
  } else {
    if (made.warning !== undefined) state.mistakes.push({ line: state.line, text: made.warning, warning: true });
    bytes(state, made.bytes, made.fixups);
  }
}

function put(state: State, item: Item): void {
  state.section.items.push(item);
}

function breakFragment(state: State): void {
  state.fragment++;
  state.since = 0;
}

function bytes(state: State, list: number[], fixups: Fixup[] = []): void {
  put(state, { kind: 'bytes', line: state.line, bytes: list, fixups });
  state.since += list.length;
}

function place(state: State, name: string): void {
  put(state, { kind: 'label', line: state.line, name });
  state.labels.add(name);
  state.known.set(name, { fragment: state.fragment, at: state.since });
}

function label(state: State, name: string): void {
  if (/^\d/.test(name)) {
    const n = (state.numeric.get(name) ?? 0) + 1;
    state.numeric.set(name, n);
    return place(state, `.L${name}\u0002${n}`);
  }
  if (state.labels.has(name) || state.values.has(name)) throw new GasError(`symbol \`${name}' is already defined`);
  place(state, name);
}

function reading(state: State, text: string): Reader {
  let dot = '';
  return {
    text, at: 0,
    symbol(name) {
      if (name === '.') {
        if (dot === '') place(state, dot = `.L\u0001${++state.dots}`);
        return dot;
      }
      const numeric = /^(\d+)([fb])$/.exec(name);
      if (!numeric) return name;
      const n = (state.numeric.get(numeric[1]!) ?? 0) + (numeric[2] === 'f' ? 1 : 0);
      if (n === 0) throw new GasError(`backward ref to unknown label "${numeric[1]}:"`);
      return `.L${numeric[1]}\u0002${n}`;
    },
  };
}

/** The value where it is known while reading: absolute symbols and distances within a run of fixed bytes. */
function valueNow(state: State, expr: Expr): bigint | null {
  const lookup = (name: string): Sum => {
    const value = state.values.get(name);
    if (value) return evaluate(value, lookup);
    const at = state.known.get(name);
    return at ? { n: BigInt(at.at), terms: new Map([[`\u0003${at.fragment}`, 1n]]) } : { n: 0n, terms: new Map([[name, 1n]]) };
  };
  try {
    const sum = evaluate(expr, lookup);
    return sum.terms.size === 0 ? sum.n : null;
  } catch (error) {
    if (error instanceof GasError) return null;
    throw error;
  }
}

function assign(state: State, name: string, reader: Reader): void {
  const expr = expression(reader);
  if (state.labels.has(name)) throw new GasError(`symbol \`${name}' is already defined`);
  const n = valueNow(state, expr);
  state.values.set(name, n === null ? expr : constant(n));
}

function number(state: State, reader: Reader): number {
  const n = valueNow(state, expression(reader));
  if (n === null) throw new GasError('non-constant expression in directive; not modelled');
  return Number(n);
}

const DATA: Readonly<Record<string, number>> = { byte: 1, word: 2, short: 2, hword: 2, value: 2, '2byte': 2, long: 4, int: 4, '4byte': 4, quad: 8, '8byte': 8 };
const PASSED = /^(file|loc|ident|type|size|cfi_.*|code64|att_syntax|addrsig.*|hidden|internal|protected|extern|arch|list|nolist|p2alignw?)$/;

function direct(state: State, name: string, reader: Reader): void {
  if (name in DATA) return data(state, DATA[name]!, reader);
  const run = DIRECTIVES[name];
  if (run) return run(state, reader);
  if (PASSED.test(name)) return;
  const known = /^(macro|endm|rept|endr|if.*|else.*|endif|include|incbin|comm|lcomm|code32|code16.*|intel_syntax|float|double|single|octa|uleb128|sleb128|fill|pushsection|popsection|previous|irpc?|sub.*|struct|reloc|err|warning|error|print)$/;
  throw new GasError(known.test(name) ? `not modelled: .${name}` : `unknown pseudo-op: \`.${name}'`);
}

function data(state: State, size: number, reader: Reader): void {
  skipBlanks(reader);
  if (reader.at === reader.text.length) return;
  if (state.section.type === 8) throw new GasError(`attempt to store non-zero value in section \`${state.section.name}'`);
  const list: number[] = [];
  const fixups: Fixup[] = [];
  do {
    const expr = expression(reader);
    const n = valueNow(state, expr);
    if (n === null) fixups.push({ at: list.length, size, kind: 'absolute', end: 0, expr });
    for (let k = 0; k < size; k++) list.push(Number((BigInt.asUintN(64, n ?? 0n) >> BigInt(8 * k)) & 255n));
  } while (accept(reader, ','));
  finished(reader);
  bytes(state, list, fixups);
}

function finished(reader: Reader): void {
  skipBlanks(reader);
  if (reader.at < reader.text.length) throw new GasError(`junk at end of line, first unrecognized character is \`${reader.text[reader.at]}'`);
}

function strings(terminated: boolean) {
  return (state: State, reader: Reader): void => {
    const list: number[] = [];
    do {
      skipBlanks(reader);
      const found = /^"((?:[^"\\]|\\[\s\S])*)"/.exec(reader.text.slice(reader.at));
      if (!found) throw new GasError(`junk at end of line, first unrecognized character is \`${reader.text[reader.at] ?? '\\0'}'`);
      reader.at += found[0].length;
      list.push(...unescaped(found[1]!), ...(terminated ? [0] : []));
    } while (accept(reader, ','));
    bytes(state, list);
  };
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, b: 8, f: 12 };

function unescaped(text: string): number[] {
  const out: number[] = [];
  for (const part of text.match(/\\[0-7]{1,3}|\\[xX][0-9a-fA-F]+|\\[\s\S]|[^\\]+/g) ?? []) {
    if (!part.startsWith('\\')) out.push(...bytesOf(part));
    else if (/^\\[0-7]/.test(part)) out.push(Number.parseInt(part.slice(1), 8) & 255);
    else if (/^\\[xX]./.test(part)) out.push(Number.parseInt(part.slice(-2).replace(/^x/i, ''), 16) & 255);
    else out.push(ESCAPES[part[1]!] ?? part.charCodeAt(1));
  }
  return out;
}

function enter(state: State, name: string, flags: number, type: number): void {
  let section = state.sections.find((one) => one.name === name);
  if (!section) state.sections.push(section = { name, flags, type, align: 1, items: [] });
  state.before = state.section;
  state.section = section;
  breakFragment(state);
}

function section(state: State, reader: Reader): void {
  const m = /^"?([^\s",]+)"?\s*(?:,\s*"([^"]*)"\s*(?:,\s*[@%](\w+))?)?/.exec(reader.text);
  if (!m) throw new GasError('missing name');
  const [flags, type] = KNOWN[m[1]!] ?? KNOWN[/^\.(text|data|bss|rodata)(?=\.)/.exec(m[1]!)?.[0] ?? ''] ?? [0, 1];
  const written = m[2] === undefined ? flags : [...m[2]].reduce((sum, c) => sum | ({ a: 2, w: 1, x: 4 }[c] ?? 0), 0);
  enter(state, m[1]!, written, m[3] === 'nobits' ? 8 : m[3] === 'note' ? 7 : type);
}

function align(power: boolean) {
  return (state: State, reader: Reader): void => {
    const n = number(state, reader);
    const to = power ? 2 ** n : n;
    if (to > 0 && (to & (to - 1)) !== 0) throw new GasError('alignment not a power of 2');
    let fill: number | null = null;
    let most = 0;
    if (accept(reader, ',')) {
      skipBlanks(reader);
      if (reader.text[reader.at] !== ',') fill = number(state, reader);
      if (accept(reader, ',')) most = number(state, reader);
    }
    state.section.align = Math.max(state.section.align, to);
    if (to > 1) put(state, { kind: 'align', line: state.line, to, fill, most });
    breakFragment(state);
  };
}

function space(state: State, reader: Reader): void {
  const count = expression(reader);
  const fill = accept(reader, ',') ? number(state, reader) : 0;
  const n = valueNow(state, count);
  put(state, { kind: 'space', line: state.line, count: n === null ? count : constant(n), fill });
  if (n === null) breakFragment(state);
  else state.since += Number(n);
}

const names = (reader: Reader): string[] => reader.text.split(',').map((one) => one.trim()).filter((one) => one !== '');

function equ(state: State, reader: Reader): void {
  const m = /^\s*([A-Za-z_.$][\w.$]*)\s*,/.exec(reader.text);
  if (!m) throw new GasError('expected symbol name');
  reader.at = m[0].length;
  assign(state, m[1]!, reader);
}

const TYPES: Readonly<Record<string, number>> = { object: 1, function: 2, notype: 0 };

const DIRECTIVES: Readonly<Record<string, (state: State, reader: Reader) => void>> = {
  text: (state) => enter(state, '.text', 6, 1), data: (state) => enter(state, '.data', 3, 1), bss: (state) => enter(state, '.bss', 3, 8), section,
  ascii: strings(false), asciz: strings(true), string: strings(true), skip: space, space, zero: space, align: align(false), balign: align(false), p2align: align(true), equ, set: equ,
  global: (state, reader) => names(reader).forEach((name) => state.globals.add(name)),
  globl: (state, reader) => names(reader).forEach((name) => state.globals.add(name)),
  weak: (state, reader) => names(reader).forEach((name) => state.weak.add(name)),
  previous: (state) => enter(state, state.before.name, 0, 1),
  org(state, reader) {
    const to = expression(reader);
    put(state, { kind: 'org', line: state.line, to, fill: accept(reader, ',') ? number(state, reader) : 0 });
    breakFragment(state);
  },
  type(state, reader) {
    const m = /^([\w.$]+)\s*,\s*[@%]?(\w+)/.exec(reader.text);
    if (m) state.types.set(m[1]!, TYPES[m[2]!] ?? 0);
  },
  size(state, reader) {
    const m = /^([\w.$]+)\s*,/.exec(reader.text);
    if (!m) throw new GasError('expected comma after name in .size directive');
    reader.at = m[0].length;
    state.sizes.set(m[1]!, expression(reader));
  },
};
