/**
 * One pass over the lines of a source: its symbols, its sections and what goes into them. A statement's length is worked out anew in
 * every pass only while it can still change: while it names symbols that are not known, numbers that may move, or a jump that may grow.
 * Sections lie as NASM's bin format lays them: .text first, the others in order, those without bytes last. Source: NASM manual 8.1.
 */
import { AssemblyError, type Scope } from './assemble-expression.ts';
import { type Bits, little, REGISTERS } from './assemble-operand.ts';
import type { Include, Mistake } from './assemble-source.ts';

export interface Named {
  n: bigint;
  address: boolean;
  /** A number that no later pass changes. */
  constant: boolean;
}

export interface Section {
  name: string;
  bytes: boolean;
  align: number;
  /** Where its first byte lies, and where its code believes to lie. */
  start: bigint;
  wantedStart: bigint | null;
  wantedAddress: bigint | null;
  address: bigint;
  size: number;
  data: number[];
}

export interface Pass {
  symbols: Map<string, Named>;
  previous: ReadonlyMap<string, Named>;
  /** Bytes are kept, and undefined symbols are mistakes. */
  last: boolean;
  origin: bigint;
  originSet: boolean;
  sections: Section[];
  section: Section;
  scope: string;
  bits: Bits;
  defaultRel: boolean;
  lines: { line: number; file: string | null; section: Section; at: number; length: number }[];
  mistakes: Mistake[];
  /** A symbol that is already this pass's, not the one before's. */
  defined: Set<string>;
  /** Of the statement now: where it stands, how many addresses it named, and whether its length may change. */
  line: { number: number; file: string | null };
  addresses: number;
  varies: boolean;
  binary: (name: string) => Uint8Array | null;
  include: Include;
  names: Scope & { at: bigint };
}

export const LARGEST = 64 * 1024 * 1024;

export function sectionNamed(pass: Pass, name: string): Section {
  let found = pass.sections.find((one) => one.name === name);
  if (!found) {
    found = { name, bytes: !/^\.bss/.test(name), align: name === '.text' ? 1 : 4, start: 0n, wantedStart: null, wantedAddress: null, address: 0n, size: 0, data: [] };
    pass.sections.push(found);
  }
  return found;
}

const up = (n: bigint, to: number): bigint => ((n + BigInt(to) - 1n) / BigInt(to)) * BigInt(to);

/** Gives every section its place from the sizes that it has now. */
export function laidOut(sections: readonly Section[], origin: bigint): Section[] {
  const order = [...sections].sort((a, b) => Number(b.bytes) - Number(a.bytes) || Number(b.name === '.text') - Number(a.name === '.text'));
  let at = origin;
  for (const one of order) {
    if (one.name === ABSOLUTE) continue;
    one.start = one.wantedStart ?? up(at, one.align);
    one.address = one.wantedAddress ?? one.start;
    at = one.start + BigInt(one.size);
  }
  return order.filter(({ name }) => name !== ABSOLUTE);
}

/** Name of the section that `absolute` opens: it has addresses and no bytes. */
export const ABSOLUTE = '*absolute*';

export const here = (pass: Pass): bigint => pass.section.address + BigInt(pass.section.size);

export function warn(pass: Pass, text: string): void {
  if (pass.last && !pass.mistakes.some((one) => one.line === pass.line.number && one.file === pass.line.file && one.text === text)) {
    pass.mistakes.push({ line: pass.line.number, column: 1, text, file: pass.line.file, warning: true, late: !text.includes('label-orphan') });
  }
}

/** `bytes` behind what the section has. */
export function put(pass: Pass, bytes: readonly number[]): void {
  const { section } = pass;
  if (!section.bytes) {
    if (section.name === ABSOLUTE) throw new AssemblyError(1, 'attempt to assemble code in [ABSOLUTE] space');
    return warn(pass, 'attempt to initialize memory in a nobits section: ignored [-w+other]');
  }
  section.size += bytes.length;
  if (pass.last) for (const byte of bytes) section.data.push(byte);
}

export function putMany(pass: Pass, count: number, byte: number): void {
  pass.section.size += count;
  if (pass.last && pass.section.bytes) for (let n = 0; n < count; n++) pass.section.data.push(byte);
}

export function fullName(pass: Pass, name: string): string {
  return name.charCodeAt(0) === 46 && name.charCodeAt(1) !== 46 ? pass.scope + name : name;
}

/** What names mean at `at`; the same record every time, as expressions are many. */
export function scopeOf(pass: Pass, at: bigint): Scope {
  pass.names.at = at;
  pass.names.absolute = pass.section.name === ABSOLUTE;
  return pass.names;
}

export function namesOf(pass: Pass): Pass['names'] {
  return {
    at: 0n,
    symbol(name, column) {
      const full = fullName(pass, name);
      const found = pass.symbols.get(full) ?? pass.previous.get(full);
      if (!found && pass.last) throw new AssemblyError(column, `symbol \`${full}' not defined`, true);
      if (found?.address) pass.addresses++;
      else if (!found?.constant) pass.varies = true;
      return found;
    },
    isRegister: (name) => REGISTERS.has(name),
    here() {
      pass.addresses++;
      return this.at;
    },
    start() {
      pass.addresses++;
      return pass.section.address;
    },
  };
}

export function define(pass: Pass, column: number, full: string, n: bigint, address: boolean, constant: boolean): void {
  if (pass.defined.has(full)) throw new AssemblyError(column, `label \`${full}' inconsistently redefined`);
  pass.defined.add(full);
  pass.symbols.set(full, { n, address, constant });
}

export function room(pass: Pass, n: bigint, column: number): number {
  if (n < 0n) throw new AssemblyError(column, `TIMES value ${n} is negative`);
  if (n + BigInt(pass.section.size) > BigInt(LARGEST)) throw new AssemblyError(column, 'the image grows beyond 64 MiB');
  return Number(n);
}

export function number(n: bigint, size: number): number[] {
  const out: number[] = [];
  little(out, n, size);
  return out;
}
