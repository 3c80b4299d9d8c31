/**
 * Operands in Intel's syntax as GNU as takes them: `dword ptr [ebx + ecx*4 + table]`, `offset name`, `name[ebx]`, `8:there`.
 * They are handed on in AT&T's order. Source: as info manual, "i386-Syntax". Left out: other operators of MASM.
 */
import { REGISTERS, type Size, type Written } from '../../machine/isa/assemble-operand.ts';
import { constant, type Expr, expression, GasError, type Reader, skipBlanks } from './gas-expression.ts';
import { isLong, type Mode, type Parsed, plain, register } from './gas-operand.ts';

const SIZES: Readonly<Record<string, Size>> = { byte: 1, word: 2, dword: 4, qword: 8 };

/** Commas outside brackets part operands. */
export function intelOperands(reader: Reader, mode: Mode): Parsed[] {
  const text = reader.text.slice(reader.at);
  reader.at = reader.text.length;
  if (text.trim() === '') return [];
  const parts: string[] = [''];
  let depth = 0;
  for (const c of text) {
    if (c === '[' || c === '(') depth++;
    if (c === ']' || c === ')') depth--;
    if (c === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += c;
  }
  return parts.map((part) => operand(part.trim(), reader, mode)).reverse();
}

function registerOf(text: string, mode: Mode): string | null {
  const name = text.trim().toLowerCase();
  if (name.startsWith('%')) return register({ text: name, at: 0, symbol: (one) => one }, mode);
  if (!mode.naked || (!REGISTERS.has(name) && name !== 'rip')) return null;
  return mode.bits !== 64 && isLong(name) ? null : name;
}

/** An expression that is all of the text. */
function whole(text: string, reader: Reader): Expr {
  const inner: Reader = { text, at: 0, symbol: (name) => reader.symbol(name) };
  const expr = expression(inner);
  skipBlanks(inner);
  if (inner.at < text.length) throw new GasError(`junk \`${text.slice(inner.at)}' after expression`);
  return expr;
}

function operand(given: string, reader: Reader, mode: Mode): Parsed {
  let text = given;
  const sized = /^(byte|word|dword|qword)\s+ptr\s+/i.exec(text);
  if (sized) text = text.slice(sized[0].length);
  const size = sized ? SIZES[sized[1]!.toLowerCase()]! : null;
  const name = registerOf(text, mode);
  if (name !== null) return { operand: { kind: 'register', column: 1, name, ...REGISTERS.get(name)! }, expr: null, rip: false, starred: true };
  const offset = /^(?:offset|offset\s+flat:)\s*/i.exec(text);
  if (offset) return immediate(whole(text.slice(offset[0].length).replace(/^flat:/i, ''), reader), mode);
  const pointer = /^([^[\]:]+):([^[\]]+)$/.exec(text);
  if (pointer && registerOf(pointer[1]!, mode) === null) {
    const selector = mode.valueOf(whole(pointer[1]!, reader));
    if (selector === null) throw new GasError('not modelled: a far pointer whose selector is a symbol');
    return { ...immediate(whole(pointer[2]!, reader), mode), selector };
  }
  return memoryOrNumber(text, size, reader, mode);
}

function immediate(expr: Expr, mode: Mode): Parsed {
  const n = mode.valueOf(expr);
  return { operand: { kind: 'immediate', column: 1, value: n === null ? plain(0n, 1) : plain(n), size: null, strict: false, distance: null }, expr: n === null ? expr : null, rip: false, starred: false };
}

interface Terms {
  base: string | null;
  index: string | null;
  scale: number;
  rest: string;
}

/** A register, times a scale or not, or something that is added. */
function term(out: Terms, sign: string, text: string, mode: Mode): void {
  const [a, b] = text.split('*').map((part) => part.trim());
  const times = b === undefined ? null : registerOf(a!, mode) !== null ? [a!, b] : registerOf(b, mode) !== null ? [b, a!] : null;
  const name = times ? registerOf(times[0]!, mode) : registerOf(text, mode);
  if (name === null) {
    out.rest += `${sign}(${text})`;
    return;
  }
  if (sign === '-') throw new GasError(`invalid use of register`);
  const scale = times ? Number(times[1]) : 1;
  if (times && ![1, 2, 4, 8].includes(scale)) throw new GasError(`expecting scale factor of 1, 2, 4, or 8: got \`${times[1]}'`);
  if (out.base === null && !times) out.base = name;
  else if (out.index === null) {
    out.index = name;
    out.scale = scale;
  } else if (out.base === null && out.scale === 1) out.base = name;
  else throw new GasError(`\`[${text}]' is not a valid base/index expression`);
}

function terms(inside: string, mode: Mode): Terms {
  const out: Terms = { base: null, index: null, scale: 1, rest: '' };
  let sign = '+';
  let depth = 0;
  let now = '';
  const end = (next: string): void => {
    if (now.trim() !== '') term(out, sign, now.trim(), mode);
    now = '';
    sign = next;
  };
  for (const c of inside) {
    if (c === '(') depth++;
    if (c === ')') depth--;
    if (depth === 0 && (c === '+' || c === '-') && !/[*/%|&^]\s*$/.test(now)) end(c);
    else now += c;
  }
  end('+');
  if (out.index === 'rsp' || out.index === 'esp') [out.base, out.index] = [out.index, out.base];
  return out;
}

function memoryOrNumber(given: string, size: Size | null, reader: Reader, mode: Mode): Parsed {
  let text = given;
  const over = /^%?([c-gs]s)\s*:/i.exec(text);
  const segment = over && registerOf(over[1]!, mode) ? over[1]!.toLowerCase() : null;
  if (segment) text = text.slice(over![0].length);
  const inside = [...text.matchAll(/\[([^\]]*)\]/g)].map((m) => m[1]!);
  const outside = text.replace(/\[[^\]]*\]/g, '').trim();
  if (inside.length === 0 && segment === null && size === null) {
    const number = mode.valueOf(whole(outside, reader));
    if (number !== null) return immediate(constant(number), mode);
  }
  const found = terms([...inside, ...(outside === '' ? [] : [outside])].join('+'), mode);
  const expr = found.rest === '' ? constant(0n) : whole(found.rest.replace(/^\+/, ''), reader);
  const n = mode.valueOf(expr);
  const rip = found.base === 'rip';
  const made: Parsed = {
    operand: { kind: 'memory', column: 1, value: n === null ? plain(0n, 1) : plain(n), size, segment: segment === 'ds' && found.base === null ? null : segment, mode: rip ? 'rel' : 'abs', displacement: null },
    expr: n === null || rip ? expr : null, rip, starred: inside.length > 0 || size !== null,
  };
  if (rip || (found.base === null && found.index === null)) return made;
  const [b, i] = [found.base, found.index].map((name) => (name === null ? null : REGISTERS.get(name)!));
  const written: Written = { base: b ? b.number : -1, index: i ? i.number : -1, scale: found.scale, size: (b ?? i)!.size };
  return { ...made, operand: { ...made.operand, written } as Parsed['operand'] };
}
