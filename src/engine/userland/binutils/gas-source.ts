/**
 * A source of GNU as, statement by statement: comments taken away, labels and directives into sections of items that layout places.
 * Source: as info manual, "Syntax" and "Pseudo Ops". Left out: .include, .incbin, .code16gcc, numbers with a point; debugging and unwind directives are read over.
 */
import { bytes as bytesOf } from '../../sim/text.ts';
import { constant, evaluate, type Expr, expression, GasError, type Reader, skipBlanks, type Sum, accept } from './gas-expression.ts';
import { readStatements, statements } from './gas-blocks.ts';
import { type Fixup, instruction } from './gas-instruction.ts';
import type { Bits } from '../../machine/isa/assemble-operand.ts';

export type Item = { line: number } & (
  | { kind: 'bytes'; bytes: number[]; fixups: Fixup[] }
  | { kind: 'jump'; short: number[]; long: number[]; to: Expr; /** Bytes of the long distance. */ size: number; bits: Bits; grown: boolean }
  | { kind: 'align'; to: number; fill: number | null; most: number; bits: Bits }
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
  /** Lines of the macro calls that it came from. */
  from?: readonly number[];
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
  /** Symbols that only have room: bytes and alignment. */
  commons: Map<string, { size: number; align: number }>;
  locals: Set<string>;
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
  bits: Bits;
  /** .intel_syntax, and noprefix with it. */
  intel: boolean;
  naked: boolean;
  from: readonly number[];
  stack: GasSection[];
}

const KNOWN: Readonly<Record<string, [flags: number, type: number]>> = { '.text': [6, 1], '.data': [3, 1], '.bss': [3, 8], '.rodata': [2, 1], '.init': [6, 1], '.fini': [6, 1] };

/** `bits`: of the code before any .code directive. */
export function readSource(source: string, bits: Bits = 64): GasSource {
  const sections = ['.text', '.data', '.bss'].map((name): GasSection => ({ name, flags: KNOWN[name]![0], type: KNOWN[name]![1], align: 1, items: [] }));
  const state: State = {
    sections, values: new Map(), globals: new Set(), weak: new Set(), types: new Map(), sizes: new Map(), labels: new Set(), mistakes: [],
    section: sections[0]!, before: sections[0]!, line: 0, numeric: new Map(), fragment: 0, since: 0, known: new Map(), dots: 0, bits, intel: false, naked: false, from: [], stack: [], commons: new Map(), locals: new Set(),
  };
  readStatements(statements(source), {
    number: (text) => valueNow(state, whole(reading(state, text))),
    defined: (name) => state.labels.has(name) || state.values.has(name),
    statement({ line, text, from }) {
      state.line = line;
      state.from = from;
      statement(state, text);
    },
    mistake: ({ line, from }, text, warning = false) => state.mistakes.push({ line, text, warning, from }),
  });
  return state;
}

function whole(reader: Reader): Expr {
  const expr = expression(reader);
  finished(reader);
  return expr;
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
  const made = instruction(reading(state, text), { bits: state.bits, intel: state.intel, naked: state.naked, valueOf: (expr) => valueNow(state, expr) });
  if ('short' in made) {
    put(state, { kind: 'jump', line: state.line, short: made.short, long: made.long, to: made.to, size: made.size, bits: state.bits, grown: false });
    breakFragment(state);
  } else {
    if (made.warning !== undefined) state.mistakes.push({ line: state.line, text: made.warning, warning: true, from: state.from });
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

const DATA: Readonly<Record<string, number>> = { byte: 1, word: 2, short: 2, hword: 2, value: 2, '2byte': 2, long: 4, int: 4, '4byte': 4, quad: 8, '8byte': 8, octa: 16 };
const PASSED = /^(file|loc|ident|type|size|cfi_.*|addrsig.*|hidden|internal|protected|extern|arch|version|weakref|list|nolist|p2alignw?)$/;

function direct(state: State, name: string, reader: Reader): void {
  if (name in DATA) return data(state, DATA[name]!, reader);
  const run = DIRECTIVES[name];
  if (run) return run(state, reader);
  if (PASSED.test(name)) return;
  const known = /^(include|incbin|code16gcc|float|double|single|uleb128|sleb128|sub.*|struct|reloc|print|symver|linkonce)$/;
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
    for (let k = 0; k < size; k++) list.push(Number((BigInt.asUintN(128, n ?? 0n) >> BigInt(8 * k)) & 255n));
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
      list.push(...unescaped(found[1]!));
      skipBlanks(reader);
      if (reader.text[reader.at] === '"') continue;
      if (terminated) list.push(0);
      if (!accept(reader, ',')) break;
    } while (reader.at <= reader.text.length);
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
    if (to > 1) put(state, { kind: 'align', line: state.line, to, fill, most, bits: state.bits });
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

/** `.lcomm` and what .local named lie in .bss; the others are the linker's to place. */
function common(state: State, reader: Reader, local: boolean): void {
  const m = /^\s*([A-Za-z_.$][\w.$]*)\s*,/.exec(reader.text);
  if (!m) throw new GasError('expected symbol name');
  reader.at = m[0].length;
  const size = number(state, reader);
  const align = accept(reader, ',') ? number(state, reader) : local && size >= 8 ? 8 : size >= 32 ? 32 : 2 ** Math.floor(Math.log2(Math.max(1, size)));
  state.types.set(m[1]!, 1);
  state.sizes.set(m[1]!, constant(BigInt(size)));
  if (!local && !state.locals.has(m[1]!)) {
    state.commons.set(m[1]!, { size, align });
    return;
  }
  const { section: now, before } = state;
  enter(state, '.bss', 3, 8);
  const to = align;
  state.section.align = Math.max(state.section.align, to);
  if (to > 1) put(state, { kind: 'align', line: state.line, to, fill: 0, most: 0, bits: state.bits });
  label(state, m[1]!);
  put(state, { kind: 'space', line: state.line, count: constant(BigInt(size)), fill: 0 });
  enter(state, now.name, 0, 1);
  state.before = before;
}

const TYPES: Readonly<Record<string, number>> = { object: 1, function: 2, notype: 0 };

const DIRECTIVES: Readonly<Record<string, (state: State, reader: Reader) => void>> = {
  text: (state) => enter(state, '.text', 6, 1), data: (state) => enter(state, '.data', 3, 1), bss: (state) => enter(state, '.bss', 3, 8), section,
  ascii: strings(false), asciz: strings(true), string: strings(true), skip: space, space, zero: space, align: align(false), balign: align(false), p2align: align(true), equ, set: equ,
  global: (state, reader) => names(reader).forEach((name) => state.globals.add(name)),
  globl: (state, reader) => names(reader).forEach((name) => state.globals.add(name)),
  weak: (state, reader) => names(reader).forEach((name) => state.weak.add(name)),
  previous: (state) => enter(state, state.before.name, 0, 1),
  code16: (state) => void (state.bits = 16), code32: (state) => void (state.bits = 32), code64: (state) => void (state.bits = 64),
  intel_syntax(state, reader) {
    state.intel = true;
    state.naked = reader.text.trim() === 'noprefix';
  },
  att_syntax(state, reader) {
    if (reader.text.trim() === 'noprefix') throw new GasError('not modelled: .att_syntax noprefix');
    state.intel = state.naked = false;
  },
  pushsection(state, reader) {
    state.stack.push(state.section);
    section(state, reader);
  },
  popsection(state) {
    const back = state.stack.pop();
    if (!back) throw new GasError('.popsection without corresponding .pushsection; ignored');
    enter(state, back.name, 0, 1);
  },
  fill(state, reader) {
    const count = number(state, reader);
    const size = accept(reader, ',') ? number(state, reader) : 1;
    const value = accept(reader, ',') ? number(state, reader) : 0;
    const one = Array.from({ length: Math.min(8, size) }, (_, n) => (n < 4 ? Math.floor(value / 256 ** n) & 255 : 0));
    bytes(state, Array.from({ length: Math.max(0, count) }, () => one).flat());
  },
  comm: (state, reader) => common(state, reader, false),
  lcomm: (state, reader) => common(state, reader, true),
  local: (state, reader) => names(reader).forEach((name) => state.locals.add(name)),
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
