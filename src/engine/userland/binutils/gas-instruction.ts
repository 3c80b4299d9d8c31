/**
 * One instruction of AT&T's syntax as bytes: its operands turned into those of the lab's encoder (machine/isa), its mnemonic with
 * suffix into a name of the instruction table. Where a symbol's value goes is found by encoding twice with values that differ in every byte.
 * Source: as info manual, "80386 Dependent Features". Left out: 16- and 32-bit code, far branches, SSE, AVX, the x87's arithmetic.
 */
import { encode, prefixByte } from '../../machine/isa/assemble-encode.ts';
import { AssemblyError, type Value } from '../../machine/isa/assemble-expression.ts';
import { type Operand, REGISTERS, type Size } from '../../machine/isa/assemble-operand.ts';
import { FORMS } from '../../machine/isa/forms.ts';
import { accept, constant, type Expr, expression, GasError, type Reader, skipBlanks } from './gas-expression.ts';

/** A place in an instruction or in data that holds an expression's value. */
export interface Fixup {
  at: number;
  size: number;
  /** 'branch' and 'pc' count from `end`, the bytes between the field's start and the next instruction. */
  kind: 'absolute' | 'signed' | 'pc' | 'branch';
  end: number;
  expr: Expr;
}

export type Encoded = { bytes: number[]; fixups: Fixup[]; warning?: string } | { short: number[]; long: number[]; to: Expr };

type Parsed = { operand: Operand; expr: Expr | null; rip: boolean; starred: boolean };

const SIZES: Readonly<Record<string, Size>> = { b: 1, w: 2, l: 4, q: 8 };
const ALIASES: Readonly<Record<string, string>> = {
  cbtw: 'cbw', cwtl: 'cwde', cltq: 'cdqe', cwtd: 'cwd', cltd: 'cdq', cqto: 'cqo', retq: 'ret', leaveq: 'leave', callq: 'call', jmpq: 'jmp', xlat: 'xlatb', sysretl: 'sysret', sysexitl: 'sysexit',
  movsl: 'movsd', cmpsl: 'cmpsd', stosl: 'stosd', lodsl: 'lodsd', scasl: 'scasd', insl: 'insd', outsl: 'outsd', iretl: 'iretd', repnz: 'repne', repz: 'repe', pushfq: 'pushfq', int1: 'int1', icebp: 'int1', wait: 'fwait',
};
const RAW: Readonly<Record<string, number[]>> = { lret: [0xcb], lretl: [0xcb], lretq: [0x48, 0xcb], endbr64: [0xf3, 0x0f, 0x1e, 0xfa], pushfw: [0x66, 0x9c], popfw: [0x66, 0x9d], iretw: [0x66, 0xcf], ud2a: [0x0f, 0x0b] };
const ABSENT = /^(v[a-z0-9]+|.*(ps|pd|ss|sd)|p[a-z]+[bwdq]|f(i?(add|sub|mul|div|ld|st|com|cmov|tst|sqrt|scale|prem|rnd|xtract|abs|chs|sin|cos|ptan|patan|yl2x|2xm1|nstenv|ldenv|save|nsave|rstor|xch|free|nop|wait|init|clex|inc|dec)[a-z0-9]*)|mov(d|dq[au2]?|nt.*|[au].*|q2dq|be)|cvt.*|ljmp.*|lcall.*|lret.*|x(save|rstor).*|l[fgs]s[wlq]?|crc32.*|adcx|adox|mulx|[bt]zcnt.*|cmpxchg(8|16)b|bextr.*|[lt]zcnt.*|prefetch.*|clflush.*|in[vs].*|tzmsk|st[im]xcsr|ldmxcsr|stmxcsr|sha.*|aes.*|rd[a-z]+|wr[a-z]+|emms|enter[wq]|push[w]|pop[w])$/;

interface Name {
  mnemonic: string;
  size: Size | null;
  /** Of the source of movzb.. and movsb... */
  from: Size | null;
}

function named(word: string, count: number): Name | null {
  const alias = ALIASES[word];
  if (alias !== undefined) return { mnemonic: alias, size: null, from: null };
  if (word === 'movslq' && count === 2) return { mnemonic: 'movsxd', size: 8, from: 4 };
  if (word === 'movabs' || word === 'movabsq') return { mnemonic: 'mov', size: 8, from: null };
  const extended = count === 2 ? /^mov([sz])([bw])([wlq])?$/.exec(word) : null;
  if (extended) return { mnemonic: `mov${extended[1]}x`, size: extended[3] ? SIZES[extended[3]]! : null, from: SIZES[extended[2]!]! };
  if (word === 'movsxd' || word === 'movsd') return { mnemonic: word, size: null, from: null };
  if (FORMS.has(word)) return { mnemonic: word, size: null, from: null };
  const stem = word.slice(0, -1);
  const size = SIZES[word.at(-1)!];
  return size !== undefined && FORMS.has(stem) && FORMS.get(stem)![0]!.operands.length > 0 && !/^(j|set|loop)/.test(stem.replace(/^jmp$/, '')) ? { mnemonic: stem, size, from: null } : null;
}

/** Bytes of the statement, its prefixes before it. `isConstant` gives an expression's value when it has one already. */
export function instruction(reader: Reader, isConstant: (expr: Expr) => bigint | null): Encoded {
  const whole = reader.text.slice(reader.at).replace(/\s+/g, ' ').replace(/ ?, ?/g, ',').trim();
  const prefixes: number[] = [];
  for (;;) {
    skipBlanks(reader);
    const word = /^[A-Za-z][\w.]*/.exec(reader.text.slice(reader.at))?.[0].toLowerCase();
    if (word === undefined) {
      if (prefixes.length > 0 && reader.at === reader.text.length) return { bytes: prefixes, fixups: [] };
      throw new GasError(`invalid character '${reader.text[reader.at]}' in mnemonic`);
    }
    reader.at += word.length;
    const prefix = prefixByte(word) ?? { data16: 0x66, addr32: 0x67, 'rex.w': 0x48, rex64: 0x48 }[word];
    if (prefix === undefined) return body(word, whole, prefixes, operands(reader, isConstant));
    prefixes.push(prefix);
  }
}

function operands(reader: Reader, isConstant: (expr: Expr) => bigint | null): Parsed[] {
  const list: Parsed[] = [];
  skipBlanks(reader);
  if (reader.at === reader.text.length) return list;
  do {
    skipBlanks(reader);
    if (reader.at === reader.text.length) throw new GasError("expecting operand after ','; got nothing");
    list.push(operand(reader, isConstant));
  }
  while (accept(reader, ','));
  skipBlanks(reader);
  if (reader.at < reader.text.length) throw new GasError(`junk \`${reader.text.slice(reader.at)}' after expression`);
  return list;
}

const plain = (n: bigint, addresses = 0): Value => ({ n, addresses, unknown: false, registers: [] });

function register(reader: Reader): string | null {
  skipBlanks(reader);
  if (reader.text[reader.at] !== '%') return null;
  const found = /^%\s*([A-Za-z][A-Za-z0-9]*)/.exec(reader.text.slice(reader.at));
  const name = found?.[1]?.toLowerCase().replace(/^db(\d)$/, 'dr$1').replace(/^(r\d+)l$/, '$1b');
  if (found && /^([xyz]mm\d+|st|mm\d|k\d)$/.test(name!)) throw new GasError(`not modelled: register \`${found[0]}'`);
  if (!found || (name !== 'rip' && name !== 'eip' && !REGISTERS.has(name!))) throw new GasError(`bad register name \`${reader.text.slice(reader.at)}'`);
  reader.at += found[0].length;
  return name!;
}

function operand(reader: Reader, isConstant: (expr: Expr) => bigint | null): Parsed {
  const starred = accept(reader, '*');
  if (accept(reader, '$')) {
    const expr = expression(reader);
    const n = isConstant(expr);
    return { operand: { kind: 'immediate', column: 1, value: n === null ? plain(0n, 1) : plain(n), size: null, strict: false, distance: null }, expr: n === null ? expr : null, rip: false, starred };
  }
  const name = register(reader);
  if (name === null) return memory(reader, isConstant, null, starred);
  if (REGISTERS.get(name)?.group === 'segment' && accept(reader, ':')) return memory(reader, isConstant, name, starred);
  return { operand: { kind: 'register', column: 1, name, ...REGISTERS.get(name)! }, expr: null, rip: false, starred };
}

function memory(reader: Reader, isConstant: (expr: Expr) => bigint | null, segment: string | null, starred: boolean): Parsed {
  skipBlanks(reader);
  const open = /^\(\s*[%,]/.test(reader.text.slice(reader.at));
  const expr = open ? constant(0n) : expression(reader);
  if (/^@/.test(reader.text.slice(reader.at)) && !/^@PLT\b/i.test(reader.text.slice(reader.at))) throw new GasError(`not modelled: \`${reader.text.slice(reader.at)}'`);
  if (accept(reader, '@')) reader.at += 3;
  const n = isConstant(expr);
  const value = n === null ? plain(0n, 1) : plain(n);
  const parsed: Parsed = { operand: { kind: 'memory', column: 1, value, size: null, segment, mode: 'abs', displacement: null }, expr: n === null ? expr : null, rip: false, starred };
  if (!accept(reader, '(')) return n === null ? parsed : { ...parsed, expr };
  const base = register(reader);
  if (base === 'dx') {
    if (!accept(reader, ')')) throw new GasError('expecting `)\'');
    return { operand: { kind: 'register', column: 1, name: 'dx', ...REGISTERS.get('dx')! }, expr: null, rip: false, starred };
  }
  if (base === 'rip' || base === 'eip') {
    if (base === 'eip' || !accept(reader, ')')) throw new GasError('not modelled: such a use of the instruction pointer');
    return { operand: { ...parsed.operand, mode: 'rel' } as Operand, expr, rip: true, starred };
  }
  const written = indexed(reader, base);
  return { ...parsed, operand: { ...parsed.operand, written } as Operand };
}

function indexed(reader: Reader, base: string | null): { base: number; index: number; scale: number; size: number } {
  let index: string | null = null;
  let scale = 1;
  if (accept(reader, ',')) {
    index = register(reader);
    if (accept(reader, ',') || index === null) {
      const digits = /^\s*(\d+)/.exec(reader.text.slice(reader.at));
      if (!digits || ![1, 2, 4, 8].includes(Number(digits[1]))) throw new GasError(`expecting scale factor of 1, 2, 4, or 8: got \`${/^\s*([^\s)]*)/.exec(reader.text.slice(reader.at))![1]}'`);
      scale = Number(digits[1]);
      reader.at += digits[0].length;
    }
  }
  if (!accept(reader, ')')) throw new GasError(`expecting \`)' after scale factor in \`${reader.text}'`);
  const [b, i] = [base, index].map((name) => (name === null ? null : REGISTERS.get(name)!));
  for (const one of [b, i]) if (one && (one.group !== 'general' || one.size < 4)) throw new GasError(`\`${reader.text.slice(reader.text.indexOf('('))}' is not a valid base/index expression`);
  if ((b && i && b.size !== i.size) || index === 'rsp' || index === 'esp') throw new GasError(`\`${reader.text.slice(reader.text.indexOf('('))}' is not a valid base/index expression`);
  return { base: b ? b.number : -1, index: i ? i.number : -1, scale, size: (b ?? i)?.size ?? 8 };
}

function body(word: string, whole: string, prefixes: number[], list: Parsed[]): Encoded {
  if (RAW[word] && list.length === 0) return { bytes: [...prefixes, ...RAW[word]!], fixups: [] };
  const name = named(word, list.length);
  if (!name) throw new GasError(ABSENT.test(word) ? `not modelled: \`${whole}'` : `no such instruction: \`${whole}'`);
  if (/^(j|call|loop)/.test(name.mnemonic) && list.length === 1) {
    const branched = branch(name.mnemonic, prefixes, list[0]!);
    if (branched) return branched;
  }
  if (word === 'nopw') return body('nopl', whole, [...prefixes, 0x66], list);
  const ordered = name.mnemonic === 'enter' || (name.mnemonic === 'xchg' && list.every(({ operand }) => operand.kind === 'register'));
  const turned = ordered ? list : list.slice().reverse();
  if (name.mnemonic === 'mov' && turned.every(({ operand }) => operand.kind === 'register' && operand.group === 'general') && turned.some(({ operand }) => name.size !== null && operand.size !== name.size)) {
    throw new GasError(`operand type mismatch for \`${word === 'movq' ? word : 'mov'}'`);
  }
  for (const [n, one] of turned.entries()) sized(word, name, one, n);
  if (/^(push|pop)$/.test(name.mnemonic) && turned[0]?.operand.kind === 'memory' && name.size === null) turned[0].operand.size = 8;
  implied(name, turned);
  if (name.mnemonic === 'int' && turned[0]?.operand.kind === 'immediate' && turned[0].operand.value.n === 3n && !turned[0].expr) return { bytes: [...prefixes, 0xcc], fixups: [] };
  if (name.mnemonic === 'mov') moved(word, turned);
  if (!unsized(name, turned)) return placed(word, name.mnemonic, prefixes, turned);
  for (const { operand } of turned) if (operand.kind === 'memory') operand.size = 4;
  return { ...placed(word, name.mnemonic, prefixes, turned), warning: `no instruction mnemonic suffix given and no register operands; using default for \`${word}'` };
}

/** Nothing tells the size, and the instruction has one of 32 bits, which as then takes. */
function unsized(name: Name, list: readonly Parsed[]): boolean {
  const sizing = list.some(({ operand }, n) => operand.kind === 'register' && !(n > 0 && operand.name === 'cl'));
  if (sizing || name.size !== null || name.from !== null || !list.some(({ operand }) => operand.kind === 'memory' && operand.size === null)) return false;
  const sizes = new Set(FORMS.get(name.mnemonic)!.flatMap(({ operands: kinds }) => kinds.map((kind) => /^(?:r\/)?m(\d+)$/.exec(kind)?.[1]).filter((bits) => bits !== undefined)));
  return sizes.size > 1 && sizes.has('32');
}

/** A direct branch; null: it goes through a register or memory. */
function branch(mnemonic: string, prefixes: number[], { operand, expr, starred, rip }: Parsed): Encoded | null {
  if (starred || operand.kind !== 'memory' || operand.written || rip) {
    if (operand.kind === 'memory') operand.size = 8;
    return null;
  }
  const to = expr ?? constant(operand.value.n);
  const at = (distance: 'short' | 'near' | null): number[] => encode(mnemonic, [{ kind: 'immediate', column: 1, value: plain(0n, 1), size: null, strict: false, distance }], { here: 0n, bits: 64, defaultRel: false, prefixes }, 1);
  if (/^(loop|jrcxz)/.test(mnemonic)) {
    const bytes = at(null);
    return { bytes, fixups: [{ at: bytes.length - 1, size: 1, kind: 'pc', end: 1, expr: to }] };
  }
  const long = at('near').map((byte, n, all) => (n < all.length - 4 ? byte : 0));
  if (mnemonic === 'call') return { bytes: long, fixups: [{ at: long.length - 4, size: 4, kind: 'branch', end: 4, expr: to }] };
  return { short: at('short'), long, to };
}

const LOOSE = /^(in|out|shl|shr|sar|sal|rol|ror|rcl|rcr|shld|shrd|set.*|l[gi]dt|s[gi]dt|int|enter|l(tr|ldt|msw)|ver[rw]|smsw|str|sldt)$/;

function sized(word: string, name: Name, { operand }: Parsed, n: number): void {
  const size = name.from !== null && n === 1 ? name.from : name.size;
  if (size === null) return;
  if (operand.kind === 'memory') operand.size = size;
  if (operand.kind !== 'register' || operand.group !== 'general' || operand.size === size) return;
  if (LOOSE.test(name.mnemonic) && (operand.name === 'cl' || operand.name === 'dx')) return;
  throw new GasError(`incorrect register \`%${operand.name}' used with \`${word.at(-1)}' suffix`);
}

/** Operands that AT&T's syntax leaves out: the 1 of a shift, the accumulator of a port. */
function implied(name: Name, list: Parsed[]): void {
  const given = (operand: Operand): Parsed => ({ operand, expr: null, rip: false, starred: false });
  const { mnemonic, size } = name;
  if (/^(shl|shr|sar|sal|rol|ror|rcl|rcr)$/.test(mnemonic) && list.length === 1) list.push(given({ kind: 'immediate', column: 1, value: plain(1n), size: null, strict: false, distance: null }));
  if ((mnemonic === 'in' || mnemonic === 'out') && list.length === 1 && size !== null) {
    const accumulator = size === 1 ? 'al' : size === 2 ? 'ax' : 'eax';
    list.splice(mnemonic === 'in' ? 0 : 1, 0, given({ kind: 'register', column: 1, name: accumulator, ...REGISTERS.get(accumulator)! }));
  }
}

/** GNU keeps the 64-bit form of a small constant and gives a symbol 32 signed bits unless movabs asks for all. */
function moved(word: string, [to, from]: Parsed[]): void {
  if (from?.operand.kind !== 'immediate' || to?.operand.kind !== 'register') {
    if (word.startsWith('movabs') && (to?.operand.kind === 'memory' || from?.operand.kind === 'memory')) throw new GasError('not modelled: movabs with an address of 64 bits');
    return;
  }
  if (word.startsWith('movabs')) from.operand.size = 8;
  if (to.operand.size !== 8) return;
  from.operand.strict = true;
  if (from.expr && !word.startsWith('movabs')) from.operand.size = 4;
}

const PROBE = 0x12345678n;

function placed(word: string, mnemonic: string, prefixes: number[], list: Parsed[]): { bytes: number[]; fixups: Fixup[] } {
  const bytes = encoded(word, mnemonic, prefixes, list, null, 0n);
  const fixups: Fixup[] = [];
  for (const [n, one] of list.entries()) {
    if (!one.expr || (one.operand.kind === 'memory' && !one.rip && one.operand.value.addresses === 0)) continue;
    const first = encoded(word, mnemonic, prefixes, list, n, PROBE);
    const second = encoded(word, mnemonic, prefixes, list, n, PROBE + 0x0101_0101_0101_0101n);
    const at = first.findIndex((byte, k) => byte !== second[k]);
    const size = first.filter((byte, k) => byte !== second[k]).length;
    const wide = list.some(({ operand }) => operand.kind === 'register' && operand.size === 8) || list.some(({ operand }) => operand.kind === 'memory' && operand.size === 8);
    const signed = size === 4 && (one.operand.kind === 'memory' || wide || mnemonic === 'push');
    fixups.push({ at, size, kind: one.rip ? 'pc' : signed ? 'signed' : 'absolute', end: bytes.length - at, expr: one.expr });
    for (let k = at; k < at + size; k++) bytes[k] = 0;
  }
  return { bytes, fixups };
}

function encoded(word: string, mnemonic: string, prefixes: number[], list: Parsed[], probe: number | null, n: bigint): number[] {
  const operands = list.map(({ operand }, k) => (k === probe && operand.kind !== 'register' ? { ...operand, value: { ...operand.value, n } } : operand));
  try {
    return encode(mnemonic, operands, { here: 0n, bits: 64, defaultRel: false, prefixes }, 1);
  } catch (error) {
    if (!(error instanceof AssemblyError)) throw error;
    const forms = FORMS.get(mnemonic)!;
    if (!forms.some((form) => form.operands.length === list.length)) throw new GasError(`number of operands mismatch for \`${word}'`);
    if (error.message.includes('size not specified')) throw new GasError('no instruction mnemonic suffix given and no register operands; can\'t size instruction');
    const high = operands.find((one) => one.kind === 'register' && one.high);
    if (error.message.includes('high byte register') && high?.kind === 'register') throw new GasError(`can't encode register '%${high.name}' in an instruction requiring REX prefix.`);
    throw new GasError(`operand type mismatch for \`${word}'`);
  }
}
