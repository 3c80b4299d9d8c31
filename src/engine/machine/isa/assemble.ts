/**
 * An assembler for flat images in NASM's syntax, of 16-, 32- and 64-bit code: the guests of this house and whatever people write in it.
 * Passes repeat until no label moves (jumps start short and grow), then one more writes. Its bytes are those of `nasm -f bin`.
 * Source: NASM manual 3, 6, 7, 8.1. Left out: object formats, floating-point numbers of other than 4 and 8 bytes.
 */
import { directive, equal, isWord, statement } from './assemble-directives.ts';
import { AssemblyError, type Token, tokens } from './assemble-expression.ts';
import { type Bits, REGISTERS } from './assemble-operand.ts';
import { ABSOLUTE, define, fullName, here, laidOut, namesOf, type Pass, put, scopeOf, type Section, sectionNamed, type Named, warn } from './assemble-pass.ts';
import { FORMS } from './forms.ts';
import { type Include, type Line, type Mistake, preprocess } from './assemble-source.ts';

export interface AssembledError {
  file: string;
  line: number;
  /** 1-based. */
  column: number;
  /** "file:line: error: message", as NASM prints it. */
  text: string;
}

export interface Assembled {
  bytes: Uint8Array;
  origin: bigint;
  /** Full names, local ones as "label.local". */
  labels: ReadonlyMap<string, bigint>;
  /** What each source line produced, in order; the file where it is an included one's. */
  lines: { line: number; file: string | null; address: bigint; length: number }[];
  errors: AssembledError[];
  /** Also in the words of NASM; the image is written all the same. */
  warnings: AssembledError[];
}

export interface AssembleOptions {
  /** Of the code before any `bits`: 16 in NASM's bin format. */
  bits?: Bits;
  /** Files that `incbin` names. */
  binary?: (name: string) => Uint8Array | null;
}

const PASSES = 60;

/** `include` gives the text of files that the source includes. */
export function assemble(source: string, file = 'input.asm', include: Include = () => null, options: AssembleOptions = {}): Assembled {
  const { lines, mistakes } = preprocess(source, include, { bits: options.bits ?? 64, file });
  const errors: Mistake[] = [];
  const code = mistakes.some(({ text }) => UNFINISHED.test(text)) ? [] : parse(lines, errors);
  let pass = runPass(code, null, false, include, options);
  for (let n = 0; n < PASSES; n++) {
    const next = runPass(code, pass, false, include, options);
    const still = same(next, pass);
    pass = next;
    if (still) break;
  }
  pass = runPass(code, pass, true, include, options);
  errors.push(...pass.mistakes);
  const early = errors.some(({ warning, late }) => !warning && !late);
  return assembled(pass, [...mistakes, ...errors.filter(({ late }) => !(early && late))], file);
}

/** After which nothing else is looked at. */
const UNFINISHED = /^(expected `%endif'|end of file while|unable to open include)/;

function assembled(pass: Pass, mistakes: Mistake[], file: string): Assembled {
  const all = mistakes.map((m, n) => ({ ...m, n })).sort((a, b) => a.line - b.line || a.column - b.column || a.n - b.n);
  const told = (m: Mistake, word: string): AssembledError[] => m.text.split('\n').map((text) => ({ file: m.file ?? file, line: m.line, column: m.column, text: `${m.file ?? file}:${m.line}: ${word}: ${text}` }));
  const errors = all.filter(({ warning }) => !warning).flatMap((m) => told(m, 'error'));
  const order = laidOut(pass.sections, pass.origin);
  const address = (section: Section, at: number): bigint => section.address + BigInt(at);
  return {
    bytes: errors.length > 0 ? new Uint8Array(0) : image(order, pass.origin), origin: pass.origin,
    lines: pass.lines.map(({ line, file: from, section, at, length }) => ({ line, file: from, address: address(section, at), length })),
    labels: new Map([...pass.symbols].map(([name, s]) => [name, s.n])), errors, warnings: all.filter(({ warning }) => warning).flatMap((m) => told(m, 'warning')),
  };
}

function image(order: readonly Section[], origin: bigint): Uint8Array {
  const held = order.filter(({ bytes, size }) => bytes && size > 0);
  const end = held.reduce((to, one) => Math.max(to, Number(one.start - origin) + one.size), 0);
  const out = new Uint8Array(end);
  for (const one of held) out.set(one.data, Number(one.start - origin));
  return out;
}

interface Parsed {
  number: Line['number'];
  file: Line['file'];
  /** What stands before the statement. */
  label: Token | null;
  colon: boolean;
  words: Token[];
  equate: boolean;
  /** Key of what lines of the same text give; null: that depends on where they stand. */
  key: string | null;
  /** A jump that may be short or not. */
  jump: { to: Token; opcode: number } | null;
  /** Its length, once no later pass can change it; -1 before. */
  length: number;
}

/** Names that begin with a dot mean another thing behind another label. */
const LOCAL = /(?<![\w.$@?~#])\.[A-Za-z_?@]/;

function parse(lines: readonly Line[], errors: Mistake[]): Parsed[] {
  const out: Parsed[] = [];
  const seen = new Map<string, Token[]>();
  for (const { number, file, text } of lines) {
    try {
      let words = seen.get(text);
      if (!words) seen.set(text, words = tokens(text));
      if (words.length === 0) continue;
      out.push(split(words, text, number, file));
    } catch (error) {
      if (!(error instanceof AssemblyError)) throw error;
      errors.push({ line: number, column: error.column, text: error.message, file });
    }
  }
  return out;
}

function split(words: Token[], text: string, number: number, file: string | null): Parsed {
  const [first, second] = words;
  const parsed: Parsed = { number, file, label: null, colon: false, words, equate: false, key: LOCAL.test(text) ? null : text, jump: jumpOf(words), length: -1 };
  if (first!.kind !== 'name' || REGISTERS.get(first!.text.toLowerCase())?.group === 'segment') return parsed;
  parsed.colon = second?.kind === 'punct' && second.text === ':';
  if (!parsed.colon && isWord(first!.text)) return parsed;
  parsed.label = first!;
  parsed.words = words.slice(parsed.colon ? 2 : 1);
  parsed.equate = parsed.words[0]?.kind === 'name' && parsed.words[0].text.toLowerCase() === 'equ';
  parsed.key = null;
  parsed.jump = jumpOf(parsed.words);
  return parsed;
}

function same(a: Pass, b: Pass): boolean {
  if (a.symbols.size !== b.symbols.size || a.origin !== b.origin) return false;
  for (const [name, s] of a.symbols) if (b.symbols.get(name)?.n !== s.n) return false;
  return a.sections.every((one, n) => one.size === b.sections[n]?.size && one.align === b.sections[n]!.align && one.start === b.sections[n]!.start);
}

function fresh(before: Pass | null, last: boolean, include: Include, options: AssembleOptions): Pass {
  const symbols = new Map<string, Named>();
  const pass: Pass = {
    symbols, previous: before?.symbols ?? new Map(), last, origin: before?.origin ?? 0n, originSet: false, sections: [], section: null as unknown as Section, scope: '', bits: options.bits ?? 64, defaultRel: false,
    lines: [], mistakes: [], defined: new Set(), line: { number: 0, file: null }, addresses: 0, varies: false, binary: options.binary ?? (() => null), include, names: null as unknown as Pass['names'],
  };
  pass.names = namesOf(pass);
  if (before) {
    laidOut(before.sections, before.origin);
    pass.sections = before.sections.filter(({ name }) => !name.startsWith('*')).map((one) => ({ ...one, size: 0, data: [] }));
  }
  pass.section = sectionNamed(pass, '.text');
  return pass;
}

/** Of lines whose text says all: their lengths, and in the last pass their bytes. */
interface Known {
  lengths: Map<string, number>;
  fixed: Map<string, number[]>;
}

function runPass(lines: readonly Parsed[], before: Pass | null, last: boolean, include: Include, options: AssembleOptions): Pass {
  const pass = fresh(before, last, include, options);
  const known: Known = { lengths: new Map(), fixed: new Map() };
  for (const line of lines) {
    const { section } = pass;
    const from = section.size;
    pass.line = line;
    try {
      if (line.label && !line.equate) label(pass, line);
      if (line.length >= 0 && !last) section.size += line.length;
      else if (line.words.length > 0) run(pass, line, known);
    } catch (error) {
      if (!(error instanceof AssemblyError)) throw error;
      if (last) pass.mistakes.push({ line: line.number, column: error.column, text: error.message, file: line.file, late: error.late });
    }
    if (last && section.size > from) pass.lines.push({ line: line.number, file: line.file, section, at: from, length: section.size - from });
  }
  return pass;
}

/** Lines of the same text whose bytes follow from it alone are worked out once a pass. */
function run(pass: Pass, line: Parsed, { lengths, fixed }: Known): void {
  const { section, mistakes, last } = pass;
  const key = line.key === null || !section.bytes ? null : `${pass.bits}${pass.defaultRel ? 'r' : ''}${line.key}`;
  if (key !== null && last) {
    const bytes = fixed.get(key);
    if (bytes) return put(pass, bytes);
  } else if (key !== null) {
    const length = lengths.get(key);
    if (length !== undefined) {
      line.length = length;
      section.size += length;
      return;
    }
  }
  if (!last && line.jump) {
    section.size += jumpLength(pass, line.jump);
    return;
  }
  if (line.equate) return equate(pass, line);
  if (directive(pass, line.words)) return;
  const from = section.size;
  const complaints = mistakes.length;
  pass.addresses = 0;
  pass.varies = false;
  statement(pass, line.words);
  if (pass.varies || pass.addresses > 1) return;
  if (!last) {
    line.length = section.size - from;
    if (key !== null) lengths.set(key, line.length);
  } else if (pass.addresses === 0 && key !== null && mistakes.length === complaints) fixed.set(key, section.data.slice(from));
}

/** `jz there`: its name and the bytes that it is long before the displacement when it is not short; null: another statement. */
function jumpOf(words: readonly Token[]): Parsed['jump'] {
  const [first, second] = words;
  const name = first?.kind === 'name' ? first.text.toLowerCase() : '';
  if (words.length !== 2 || second!.kind !== 'name' || second!.text.startsWith('$') || REGISTERS.has(second!.text.toLowerCase()) || !(name === 'jmp' || (/^j/.test(name) && FORMS.get(name)?.length === 2))) return null;
  return { to: second!, opcode: name === 'jmp' ? 1 : 2 };
}

/** As the encoder decides: short while its target is not known or near enough. */
function jumpLength(pass: Pass, { to, opcode }: NonNullable<Parsed['jump']>): number {
  const target = scopeOf(pass, 0n).symbol(to.text, to.column);
  const distance = target ? Number(target.n - here(pass)) - 2 : 0;
  return distance >= -128 && distance <= 127 ? 2 : opcode + (pass.bits === 16 ? 2 : 4);
}

function label(pass: Pass, line: Parsed): void {
  const token = line.label!;
  if (REGISTERS.has(token.text.toLowerCase())) throw new AssemblyError(token.column, `invalid use of register name \`${token.text}' as a label`);
  if (line.words.length > 0 && !line.colon && !(line.words[0]!.kind === 'name' && isWord(line.words[0]!.text))) throw new AssemblyError(token.column, 'parser: instruction expected');
  if (!line.colon && line.words.length === 0) warn(pass, 'label alone on a line without a colon might be in error [-w+label-orphan]');
  const full = fullName(pass, token.text);
  if (!token.text.startsWith('.')) pass.scope = token.text;
  define(pass, token.column, full, here(pass), pass.section.name !== ABSOLUTE, false);
}

function equate(pass: Pass, line: Parsed): void {
  pass.addresses = 0;
  pass.varies = false;
  const { value, rest } = equal(pass, line.words);
  const token = line.label!;
  if (value.unknown && !pass.last) return;
  if (value.registers.length > 0 || value.addresses > 1 || value.addresses < 0) throw new AssemblyError(token.column, 'bad syntax for EQU');
  define(pass, token.column, fullName(pass, token.text), value.n, value.addresses === 1, pass.addresses === 0 && !pass.varies);
  if (rest) throw new AssemblyError(rest.column, 'expression syntax error');
}
