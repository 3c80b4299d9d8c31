/**
 * Operands in AT&T's syntax as those of the lab's encoder, and what both syntaxes of GNU as have in common. Source: as info manual,
 * "i386-Syntax", "i386-Memory". Left out: registers of SSE, AVX and the x87.
 */
import type { Value } from '../../machine/isa/assemble-expression.ts';
import { type Bits, type Operand, REGISTERS, type Written } from '../../machine/isa/assemble-operand.ts';
import { accept, constant, type Expr, expression, GasError, type Reader, skipBlanks } from './gas-expression.ts';

/** How the source is to be read here. */
export interface Mode {
  bits: Bits;
  intel: boolean;
  /** Registers without a percent sign. */
  naked: boolean;
  /** An expression's value when it has one already. */
  valueOf: (expr: Expr) => bigint | null;
}

export type Parsed = { operand: Operand; expr: Expr | null; rip: boolean; starred: boolean; /** A far branch's selector. */ selector?: bigint };

/** Operands behind one another, in AT&T's order. */
export function operands(reader: Reader, mode: Mode): Parsed[] {
  const list: Parsed[] = [];
  skipBlanks(reader);
  if (reader.at === reader.text.length) return list;
  do {
    skipBlanks(reader);
    if (reader.at === reader.text.length) throw new GasError("expecting operand after ','; got nothing");
    list.push(operand(reader, mode));
  }
  while (accept(reader, ','));
  skipBlanks(reader);
  if (reader.at < reader.text.length) throw new GasError(`junk \`${reader.text.slice(reader.at)}' after expression`);
  return list;
}

export const plain = (n: bigint, addresses = 0): Value => ({ n, addresses, unknown: false, registers: [] });

export function register(reader: Reader, { bits }: Mode): string | null {
  skipBlanks(reader);
  if (reader.text[reader.at] !== '%') return null;
  const found = /^%\s*([A-Za-z][A-Za-z0-9]*)/.exec(reader.text.slice(reader.at));
  const name = found?.[1]?.toLowerCase().replace(/^db(\d)$/, 'dr$1').replace(/^(r\d+)l$/, '$1b');
  if (found && /^([xyz]mm\d+|st|mm\d|k\d)$/.test(name!)) throw new GasError(`not modelled: register \`${found[0]}'`);
  if (!found || (name !== 'rip' && name !== 'eip' && !REGISTERS.has(name!)) || (bits !== 64 && isLong(name!))) throw new GasError(`bad register name \`${/^[^\s,)]*/.exec(reader.text.slice(reader.at))![0]}'`);
  reader.at += found[0].length;
  return name!;
}

/** Whether only 64-bit code has the register. */
export function isLong(name: string): boolean {
  const one = REGISTERS.get(name);
  return name === 'rip' || (one !== undefined && one.group === 'general' && (one.size === 8 || one.number > 7 || one.rex));
}

function operand(reader: Reader, mode: Mode): Parsed {
  const starred = accept(reader, '*');
  if (accept(reader, '$')) {
    const expr = expression(reader);
    const n = mode.valueOf(expr);
    return { operand: { kind: 'immediate', column: 1, value: n === null ? plain(0n, 1) : plain(n), size: null, strict: false, distance: null }, expr: n === null ? expr : null, rip: false, starred };
  }
  const name = register(reader, mode);
  if (name === null) return memory(reader, mode, null, starred);
  if (REGISTERS.get(name)?.group === 'segment' && accept(reader, ':')) return memory(reader, mode, name, starred);
  return { operand: { kind: 'register', column: 1, name, ...REGISTERS.get(name)! }, expr: null, rip: false, starred };
}

function memory(reader: Reader, mode: Mode, segment: string | null, starred: boolean): Parsed {
  skipBlanks(reader);
  const open = /^\(\s*[%,]/.test(reader.text.slice(reader.at));
  const expr = open ? constant(0n) : expression(reader);
  if (/^@/.test(reader.text.slice(reader.at)) && !/^@PLT\b/i.test(reader.text.slice(reader.at))) throw new GasError(`not modelled: \`${reader.text.slice(reader.at)}'`);
  if (accept(reader, '@')) reader.at += 3;
  const n = mode.valueOf(expr);
  const value = n === null ? plain(0n, 1) : plain(n);
  const parsed: Parsed = { operand: { kind: 'memory', column: 1, value, size: null, segment, mode: 'abs', displacement: null }, expr: n === null ? expr : null, rip: false, starred };
  if (!accept(reader, '(')) return n === null ? parsed : { ...parsed, expr };
  const base = register(reader, mode);
  if (base === 'dx') {
    if (!accept(reader, ')')) throw new GasError('expecting `)\'');
    return { operand: { kind: 'register', column: 1, name: 'dx', ...REGISTERS.get('dx')! }, expr: null, rip: false, starred };
  }
  if (base === 'rip' || base === 'eip') {
    if (base === 'eip' || !accept(reader, ')')) throw new GasError('not modelled: such a use of the instruction pointer');
    return { operand: { ...parsed.operand, mode: 'rel' } as Operand, expr, rip: true, starred };
  }
  const written = indexed(reader, base, mode);
  return { ...parsed, operand: { ...parsed.operand, written } as Operand };
}

function indexed(reader: Reader, base: string | null, mode: Mode): Written {
  let index: string | null = null;
  let scale = 1;
  if (accept(reader, ',')) {
    index = register(reader, mode);
    if (accept(reader, ',') || index === null) {
      const digits = /^\s*(\d+)/.exec(reader.text.slice(reader.at));
      if (!digits || ![1, 2, 4, 8].includes(Number(digits[1]))) throw new GasError(`expecting scale factor of 1, 2, 4, or 8: got \`${/^\s*([^\s)]*)/.exec(reader.text.slice(reader.at))![1]}'`);
      scale = Number(digits[1]);
      reader.at += digits[0].length;
    }
  }
  if (!accept(reader, ')')) throw new GasError(`expecting \`)' after scale factor in \`${reader.text}'`);
  const [b, i] = [base, index].map((name) => (name === null ? null : REGISTERS.get(name)!));
  for (const one of [b, i]) if (one && (one.group !== 'general' || one.size < 2 || (one.size === 2 && mode.bits === 64))) throw new GasError(`\`${reader.text.slice(reader.text.indexOf('('))}' is not a valid base/index expression`);
  if ((b && i && b.size !== i.size) || index === 'rsp' || index === 'esp') throw new GasError(`\`${reader.text.slice(reader.text.indexOf('('))}' is not a valid base/index expression`);
  if ((b ?? i)?.size === 2 && ((b && ![3, 5, 6, 7].includes(b.number)) || (i && (![6, 7].includes(i.number) || scale !== 1 || !b || ![3, 5].includes(b.number))))) throw new GasError(`\`${reader.text.slice(reader.text.indexOf('('))}' is not a valid base/index expression`);
  return { base: b ? b.number : -1, index: i ? i.number : -1, scale, size: (b ?? i)?.size ?? mode.bits / 8 };
}
