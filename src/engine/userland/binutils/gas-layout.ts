/**
 * From the items of a source to section contents, symbols and relocations: jumps start short and grow until nothing moves.
 * Source: as info manual, "Relaxation"; psABI x86-64 4.4 for the relocations.
 */
import { evaluate, type Expr, GasError, type Sum } from './gas-expression.ts';
import type { Fixup } from './gas-instruction.ts';
import type { GasSection, GasSource, Item, Mistake } from './gas-source.ts';

export interface ObjectRelocation {
  offset: number;
  type: number;
  /** A symbol's name, or a section's. */
  to: string;
  addend: bigint;
}

export interface ObjectSection {
  name: string;
  flags: number;
  type: number;
  align: number;
  size: number;
  data: Uint8Array;
  relocations: ObjectRelocation[];
}

export interface ObjectSymbol {
  name: string;
  /** Of a section in the list; 'abs'; 'common': its value is an alignment; null: undefined. */
  section: string | 'abs' | 'common' | null;
  value: bigint;
  size: number;
  bind: number;
  type: number;
}

export interface ObjectFile {
  sections: ObjectSection[];
  symbols: ObjectSymbol[];
  mistakes: Mistake[];
}

interface Layout {
  source: GasSource;
  places: Map<string, { section: GasSection; at: number }>;
  undefineds: Set<string>;
  /** ELF64 with addends in its relocations, or ELF32 with them in the fields. */
  wide: boolean;
}

const PASSES = 200;
/** Mark of a section's own name among the terms of a sum. */
const OF = '\u0004';

export function layOut(source: GasSource, wide = true): ObjectFile {
  const layout: Layout = { source, places: new Map(), undefineds: new Set(), wide };
  const mistakes = source.mistakes.slice();
  let moved = true;
  for (let n = 0; moved && n < PASSES; n++) {
    moved = false;
    for (const section of source.sections) if (place(layout, section)) moved = true;
    for (const section of source.sections) if (grow(layout, section)) moved = true;
  }
  const sections = source.sections.map((section) => written(layout, section, mistakes));
  return { sections, symbols: symbolsOf(layout, mistakes), mistakes: mistakes.sort((a, b) => (a.line || Number.MAX_SAFE_INTEGER) - (b.line || Number.MAX_SAFE_INTEGER)) };
}

function lookup(layout: Layout, name: string, depth = 0): Sum {
  if (depth > 50) throw new GasError(`symbol definition loop encountered at \`${name}'`);
  const value = layout.source.values.get(name);
  if (value) return evaluate(value, (other) => lookup(layout, other, depth + 1));
  const found = layout.places.get(name);
  return found ? { n: BigInt(found.at), terms: new Map([[OF + found.section.name, 1n]]) } : { n: 0n, terms: new Map([[name, 1n]]) };
}

const resolved = (layout: Layout, expr: Expr): Sum => evaluate(expr, (name) => lookup(layout, name));

function length(layout: Layout, section: GasSection, item: Item, at: number): number {
  switch (item.kind) {
    case 'bytes': return item.bytes.length;
    case 'jump': return (item.grown ? item.long : item.short).length;
    case 'label': return 0;
    case 'align': {
      const missing = (item.to - (at % item.to)) % item.to;
      return item.most > 0 && missing > item.most ? 0 : missing;
    }
    case 'space': {
      const count = resolved(layout, item.count);
      return count.terms.size === 0 && count.n > 0n && count.n < 0x1000_0000n ? Number(count.n) : 0;
    }
    case 'org': {
      const to = resolved(layout, item.to);
      return to.terms.size === 0 || (to.terms.size === 1 && to.terms.has(OF + section.name)) ? Math.max(0, Number(to.n) - at) : 0;
    }
  }
}

/** Whether a label moved. */
function place(layout: Layout, section: GasSection): boolean {
  let at = 0;
  let moved = false;
  for (const item of section.items) {
    if (item.kind === 'label') {
      if (layout.places.get(item.name)?.at !== at) moved = true;
      layout.places.set(item.name, { section, at });
    }
    try {
      at += length(layout, section, item, at);
    } catch (error) {
      if (!(error instanceof GasError)) throw error;
    }
  }
  return moved;
}

function grow(layout: Layout, section: GasSection): boolean {
  let at = 0;
  let grown = false;
  for (const item of section.items) {
    if (item.kind === 'jump' && !item.grown) {
      const to = resolved(layout, item.to);
      const near = to.terms.size === 1 && to.terms.get(OF + section.name) === 1n && !isWeak(layout, item.to);
      const distance = Number(to.n) - at - item.short.length;
      if (!near || distance < -128 || distance > 127) item.grown = grown = true;
    }
    at += item.kind === 'jump' && item.grown ? item.long.length : length(layout, section, item, at);
  }
  return grown;
}

const isWeak = (layout: Layout, expr: Expr): boolean => expr.op === 'symbol' && layout.source.weak.has(expr.name);

/** The no-operations that fill code, longest first (SDM 2B, NOP; what as takes for a generic processor). */
const NOPS = ['90', '6690', '0f1f00', '0f1f4000', '0f1f440000', '660f1f440000', '0f1f8000000000', '0f1f840000000000', '660f1f840000000000', '662e0f1f840000000000', '66662e0f1f840000000000'];

const SHORT_NOPS: Readonly<Record<16 | 32, readonly string[]>> = { 32: ['90', '6690', '8d7600', '8d742600', '8d74260090', '8db600000000', '8db42600000000'], 16: ['90', '6690', '8d7400', '8db40000'] };

function filled(section: GasSection, count: number, fill: number | null, bits: 16 | 32 | 64): number[] {
  if (fill !== null || !(section.flags & 4)) return new Array<number>(count).fill(fill ?? 0);
  const nops = bits === 64 ? NOPS : SHORT_NOPS[bits];
  // more than two whole ones are jumped over
  const jumped = bits !== 64 && Math.floor(count / nops.length) > 2;
  const out: number[] = !jumped ? [] : count - 2 < 128 ? [0xeb, count - 2] : [0xe9, (count - 5) & 255, (count - 5) >> 8, 0, 0];
  while (out.length < count) {
    const nop = nops[Math.min(nops.length, count - out.length) - 1]!;
    for (let k = 0; k < nop.length; k += 2) out.push(Number.parseInt(nop.slice(k, k + 2), 16));
  }
  return out;
}

function written(layout: Layout, section: GasSection, mistakes: ObjectFile['mistakes']): ObjectSection {
  const out: number[] = [];
  const relocations: ObjectRelocation[] = [];
  for (const item of section.items) {
    try {
      const at = out.length;
      const count = length(layout, section, item, at);
      if (item.kind === 'bytes') {
        for (const byte of item.bytes) out.push(byte);
        for (const fixup of item.fixups) fix(layout, section, out, at + fixup.at, fixup, relocations);
      } else if (item.kind === 'jump') jump(layout, section, out, item, relocations);
      else if (item.kind === 'align') out.push(...filled(section, count, item.fill, item.bits));
      else if (item.kind === 'space' || item.kind === 'org') {
        complain(layout, section, item, at);
        for (let k = 0; k < count; k++) out.push(item.fill & 255);
      }
    } catch (error) {
      if (!(error instanceof GasError)) throw error;
      mistakes.push({ line: item.line, text: error.message });
    }
  }
  const { name, flags, type, align } = section;
  return { name, flags, type, align, size: out.length, data: Uint8Array.from(type === 8 ? [] : out), relocations };
}

function complain(layout: Layout, section: GasSection, item: Extract<Item, { kind: 'space' | 'org' }>, at: number): void {
  const sum = resolved(layout, item.kind === 'space' ? item.count : item.to);
  if (item.kind === 'space' && (sum.terms.size > 0 || sum.n >= 0x1000_0000n)) throw new GasError('invalid number of bytes in .space; or not modelled');
  if (item.kind === 'org' && (sum.terms.size > 1 || (sum.terms.size === 1 && !sum.terms.has(OF + section.name)))) throw new GasError('invalid segment for .org');
  if (item.kind === 'org' && Number(sum.n) < at) throw new GasError(`attempt to move .org backwards`);
}

function jump(layout: Layout, section: GasSection, out: number[], item: Extract<Item, { kind: 'jump' }>, relocations: ObjectRelocation[]): void {
  const bytes = item.grown ? item.long : item.short;
  const size = item.grown ? item.size : 1;
  const at = out.length + bytes.length - size;
  for (const byte of bytes) out.push(byte);
  fix(layout, section, out, at, { at: 0, size, kind: 'branch', end: size, expr: item.to, plain: item.bits !== 64 }, relocations, true);
}

/** The symbol that an expression starts from. */
const namedIn = (expr: Expr): string => (expr.op === 'symbol' ? expr.name : expr.op === 'two' ? namedIn(expr.a) : '');

const ABSOLUTE: Readonly<Record<number, number>> = { 1: 14, 2: 12, 4: 10, 8: 1 };
const RELATIVE: Readonly<Record<number, number>> = { 1: 15, 2: 13, 4: 2, 8: 24 };
/** Of i386. */
const NARROW: Readonly<Record<number, readonly [absolute: number, relative: number]>> = { 1: [22, 23], 2: [20, 21], 4: [1, 2] };

function typeOf({ wide }: Layout, { size, kind, plain }: Fixup, relative: boolean): number {
  if (!wide) {
    const pair = NARROW[size];
    if (!pair) throw new GasError(`cannot represent relocation type BFD_RELOC_${relative ? `${8 * size}_PCREL` : 8 * size}`);
    return pair[relative ? 1 : 0];
  }
  if (kind === 'signed') return 11;
  if (kind === 'branch' && size === 4 && !plain) return 4;
  return relative ? RELATIVE[size]! : ABSOLUTE[size]!;
}

function fix(layout: Layout, section: GasSection, out: number[], at: number, fixup: Fixup, relocations: ObjectRelocation[], relaxed = false): void {
  const sum = resolved(layout, fixup.expr);
  const relative = fixup.kind === 'pc' || fixup.kind === 'branch';
  const here = OF + section.name;
  const written = namedIn(fixup.expr);
  const global = layout.source.globals.has(written) || layout.source.weak.has(written);
  const direct = (relaxed ? !isWeak(layout, fixup.expr) : !global) && sum.terms.size === 1 && sum.terms.get(here) === 1n;
  if (relative && direct) return store(out, at, fixup, sum.n - BigInt(at + fixup.end));
  if (sum.terms.size === 0 && !(relative && fixup.kind === 'branch')) return store(out, at, fixup, sum.n);
  let type = typeOf(layout, fixup, relative);
  let addend = sum.n - (relative ? BigInt(fixup.end) : 0n);
  const terms = [...sum.terms];
  const less = terms.find(([name, times]) => name === here && times === -1n);
  if (less && terms.length === 2 && !relative) {
    type = typeOf(layout, { ...fixup, kind: 'pc' }, true);
    addend += BigInt(at);
    terms.splice(terms.indexOf(less), 1);
  }
  if (terms.length === 0) {
    relocated(layout, out, fixup, { offset: at, type: typeOf(layout, { ...fixup, kind: 'pc' }, true), to: '', addend }, relocations);
    return;
  }
  if (terms.length !== 1 || terms[0]![1] !== 1n) throw new GasError('invalid operands (*UND* and *UND* sections) for `-\'; or not modelled');
  const name = terms[0]![0];
  if (!name.startsWith(OF)) layout.undefineds.add(name);
  if (global && name.startsWith(OF) && layout.places.has(written)) relocated(layout, out, fixup, { offset: at, type, to: written, addend: addend - BigInt(layout.places.get(written)!.at) }, relocations);
  else relocated(layout, out, fixup, { offset: at, type: layout.wide && type === 4 && name.startsWith(OF) ? 2 : type, to: name.startsWith(OF) ? name.slice(1) : name, addend }, relocations);
}

/** i386 keeps what is added in the field itself. */
function relocated(layout: Layout, out: number[], fixup: Fixup, one: ObjectRelocation, relocations: ObjectRelocation[]): void {
  relocations.push(one);
  if (!layout.wide) for (let k = 0; k < fixup.size; k++) out[one.offset + k] = Number((BigInt.asUintN(64, one.addend) >> BigInt(8 * k)) & 255n);
}

function store(out: number[], at: number, fixup: Fixup, n: bigint): void {
  const bits = 8 * fixup.size;
  if (BigInt.asIntN(bits, n) !== n && (fixup.kind !== 'absolute' || BigInt.asUintN(bits, n) !== n)) {
    throw new GasError(`value of ${n} too large for field of ${fixup.size} ${fixup.size === 1 ? 'byte' : 'bytes'} at ${at.toString(16).padStart(16, '0')}`);
  }
  for (let k = 0; k < fixup.size; k++) out[at + k] = Number((BigInt.asUintN(64, n) >> BigInt(8 * k)) & 255n);
}

function symbolsOf(layout: Layout, mistakes: ObjectFile['mistakes']): ObjectSymbol[] {
  const { source } = layout;
  const names = [...new Set([...source.labels, ...source.values.keys(), ...source.globals, ...source.weak, ...source.commons.keys(), ...layout.undefineds])].filter((name) => !name.startsWith('.L') || layout.undefineds.has(name));
  const out = names.map((name): ObjectSymbol => {
    const bind = source.weak.has(name) ? 2 : source.globals.has(name) || layout.undefineds.has(name) ? 1 : 0;
    const size = source.sizes.get(name);
    const symbol: ObjectSymbol = { name, section: null, value: 0n, size: 0, bind, type: source.types.get(name) ?? 0 };
    try {
      if (size) symbol.size = Number(resolved(layout, size).n);
      const room = source.commons.get(name);
      if (room && !layout.places.has(name)) return { ...symbol, section: 'common', value: BigInt(room.align), bind: bind || 1 };
      const sum = lookup(layout, name);
      const [term] = sum.terms.keys();
      if (term === undefined) return { ...symbol, section: 'abs', value: sum.n };
      return term.startsWith(OF) && sum.terms.size === 1 ? { ...symbol, section: term.slice(1), value: sum.n } : { ...symbol, bind: bind || 1 };
    } catch (error) {
      if (!(error instanceof GasError)) throw error;
      mistakes.push({ line: 0, text: error.message });
      return symbol;
    }
  });
  for (const name of layout.undefineds) {
    const numeric = /^\.L(\d+)\u0002(\d+)$/.exec(name);
    if (numeric) mistakes.push({ line: 0, text: `local label \`"${numeric[1]}" (instance number ${numeric[2]} of a fb label)' is not defined` });
  }
  return [...out.filter((one) => one.bind === 0), ...out.filter((one) => one.bind !== 0)];
}
