/**
 * One instruction of AT&T's syntax as bytes: its operands turned into those of the lab's encoder (machine/isa), its mnemonic with
 * suffix into a name of the instruction table. Where a symbol's value goes is found by encoding twice with values that differ in every byte.
 * Source: as info manual, "80386 Dependent Features". Left out: SSE, AVX, the x87's arithmetic. Intel's syntax is read by gas-intel.ts.
 */
import { type Context, encode, prefixByte } from '../../machine/isa/assemble-encode.ts';
import { AssemblyError } from '../../machine/isa/assemble-expression.ts';
import { type Operand, REGISTERS, type Size } from '../../machine/isa/assemble-operand.ts';
import { FORMS } from '../../machine/isa/forms.ts';
import { intelOperands } from './gas-intel.ts';
import { type Mode, operands, type Parsed, plain } from './gas-operand.ts';
import { constant, type Expr, GasError, type Reader, skipBlanks } from './gas-expression.ts';

/** A place in an instruction or in data that holds an expression's value. */
export interface Fixup {
  at: number;
  size: number;
  /** 'branch' and 'pc' count from `end`, the bytes between the field's start and the next instruction. */
  kind: 'absolute' | 'signed' | 'pc' | 'branch';
  end: number;
  expr: Expr;
  /** A branch of other than 64-bit code: never by way of a table. */
  plain?: boolean;
}

export type Encoded = { bytes: number[]; fixups: Fixup[]; warning?: string } | { short: number[]; long: number[]; to: Expr; size: number };

const SIZES: Readonly<Record<string, Size>> = { b: 1, w: 2, l: 4, q: 8 };
const ALIASES: Readonly<Record<string, string>> = {
  cbtw: 'cbw', cwtl: 'cwde', cltq: 'cdqe', cwtd: 'cwd', cltd: 'cdq', cqto: 'cqo', retq: 'ret', leaveq: 'leave', callq: 'call', jmpq: 'jmp', xlat: 'xlatb', sysretl: 'sysret', sysexitl: 'sysexit',
  movsl: 'movsd', cmpsl: 'cmpsd', stosl: 'stosd', lodsl: 'lodsd', scasl: 'scasd', insl: 'insd', outsl: 'outsd', iretl: 'iretd', pushfl: 'pushfd', popfl: 'popfd', pushal: 'pushad', popal: 'popad', retl: 'ret', repnz: 'repne', repz: 'repe', pushfq: 'pushfq', int1: 'int1', icebp: 'int1', wait: 'fwait',
};
/** Names of AT&T's for those of the table; those that only Intel's syntax has. */
const FAR: Readonly<Record<string, string>> = { lret: 'retf', lretw: 'retfw', lretl: 'retfd', lretq: 'retfq' };
const INTEL_ONLY = new Set('pushad popad pushfd popfd iretd retn retd retf retfw retfd retfq stosd lodsd scasd cmpsd insd outsd'.split(' '));
const RAW: Readonly<Record<string, number[]>> = { endbr64: [0xf3, 0x0f, 0x1e, 0xfa], endbr32: [0xf3, 0x0f, 0x1e, 0xfb], ud2a: [0x0f, 0x0b] };
const ABSENT = /^(v[a-z0-9]+|.*(ps|pd|ss|sd)|p[a-z]+[bwdq]|f(i?(add|sub|mul|div|ld|st|com|cmov|tst|sqrt|scale|prem|rnd|xtract|abs|chs|sin|cos|ptan|patan|yl2x|2xm1|nstenv|ldenv|save|nsave|rstor|xch|free|nop|wait|init|clex|inc|dec)[a-z0-9]*)|mov(d|dq[au2]?|nt.*|[au].*|q2dq|be)|cvt.*|x(save|rstor).*|crc32.*|adcx|adox|mulx|[bt]zcnt.*|bextr.*|[lt]zcnt.*|prefetch.*|clflush.*|in[vs].*|tzmsk|st[im]xcsr|ldmxcsr|stmxcsr|sha.*|aes.*|rd[a-z]+|wr[a-z]+|emms|enter[wq])$/;

interface Name {
  mnemonic: string;
  size: Size | null;
  /** Of the source of movzb.. and movsb... */
  from: Size | null;
}

function named(word: string, count: number, mode: Mode): Name | null {
  if (!mode.intel && INTEL_ONLY.has(word)) return null;
  const far = FAR[word] ?? null;
  if (far !== null) return { mnemonic: far, size: null, from: null };
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

/** What a prefix's name stands for in code of this size; undefined: it is none. */
function prefixOf(word: string, { bits }: Mode): number | undefined {
  const sizes: Readonly<Record<string, [byte: number, not: number]>> = { data16: [0x66, 16], data32: [0x66, 32], addr16: [0x67, 16], addr32: [0x67, 32] };
  const size = sizes[word];
  if (size) return size[1] === bits ? undefined : size[0];
  return prefixByte(word) ?? { 'rex.w': 0x48, rex64: 0x48, cs: 0x2e, ss: 0x36, ds: 0x3e, es: 0x26, fs: 0x64, gs: 0x65 }[word];
}

/** Bytes of the statement, its prefixes before it. */
export function instruction(reader: Reader, mode: Mode): Encoded {
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
    const prefix = prefixOf(word, mode);
    if (prefix === undefined) return body(word, whole, prefixes, mode.intel ? intelOperands(reader, mode) : operands(reader, mode), mode);
    prefixes.push(prefix);
  }
}

function body(word: string, whole: string, prefixes: number[], list: Parsed[], mode: Mode): Encoded {
  if (/^l?(jmp|call)[lwq]?$/.test(word) && (word.startsWith('l') || list[0]?.selector !== undefined)) return far(word, prefixes, list, mode);
  if (RAW[word] && list.length === 0) return { bytes: [...prefixes, ...RAW[word]!], fixups: [] };
  const name = named(word, list.length, mode);
  if (!name) throw new GasError(ABSENT.test(word) ? `not modelled: \`${whole}'` : `no such instruction: \`${whole}'`);
  if (/^(j|call|loop)/.test(name.mnemonic) && list.length === 1) {
    const branched = branch(name.mnemonic, prefixes, list[0]!, mode);
    if (branched) return branched;
  }
  if (word === 'nopw') return body('nopl', whole, [...prefixes, 0x66], list, mode);
  if (mode.bits !== 64 && name.size === 8) throw new GasError(name.mnemonic === 'mov' ? `operand type mismatch for \`${word}'` : `\`${word}' is only supported in 64-bit mode`);
  const ordered = name.mnemonic === 'enter' || name.mnemonic === 'bound' || (name.mnemonic === 'xchg' && list.every(({ operand }) => operand.kind === 'register'));
  const turned = ordered ? list : list.slice().reverse();
  if (name.mnemonic === 'mov' && turned.every(({ operand }) => operand.kind === 'register' && operand.group === 'general') && turned.some(({ operand }) => name.size !== null && operand.size !== name.size)) {
    throw new GasError(`operand type mismatch for \`${word === 'movq' ? word : 'mov'}'`);
  }
  for (const [n, one] of turned.entries()) sized(word, name, one, n);
  if (/^(push|pop)$/.test(name.mnemonic) && turned[0]?.operand.kind === 'memory' && name.size === null) turned[0].operand.size = (mode.bits / 8) as Size;
  const prefixed = TABLES.test(name.mnemonic) || (/^(push|pop)$/.test(name.mnemonic) && turned[0]?.operand.kind === 'register' && turned[0].operand.group === 'segment');
  const table = prefixed && name.size !== null && name.size < 8 ? name.size : 0;
  if (TABLES.test(name.mnemonic)) for (const { operand } of turned) if (operand.kind === 'memory') operand.size = null;
  implied(name, turned);
  if (name.mnemonic === 'int' && turned[0]?.operand.kind === 'immediate' && turned[0].operand.value.n === 3n && !turned[0].expr) return { bytes: [...prefixes, 0xcc], fixups: [] };
  if (name.mnemonic === 'mov') moved(word, turned);
  if (!unsized(name, turned)) return placed(word, name.mnemonic, prefixes, turned, mode, table);
  if (mode.intel) throw new GasError(`ambiguous operand size for \`${word}'`);
  for (const { operand } of turned) if (operand.kind === 'memory') operand.size = mode.bits === 16 ? 2 : 4;
  return { ...placed(word, name.mnemonic, prefixes, turned, mode, 0), warning: `no instruction mnemonic suffix given and no register operands; using default for \`${word}'` };
}

/** Nothing tells the size, and the instruction has one of 32 bits, which as then takes. */
function unsized(name: Name, list: readonly Parsed[]): boolean {
  const sizing = list.some(({ operand }, n) => operand.kind === 'register' && !(n > 0 && operand.name === 'cl'));
  if (sizing || name.size !== null || name.from !== null || !list.some(({ operand }) => operand.kind === 'memory' && operand.size === null)) return false;
  const sizes = new Set(FORMS.get(name.mnemonic)!.flatMap(({ operands: kinds }) => kinds.map((kind) => /^(?:r\/)?m(\d+)$/.exec(kind)?.[1]).filter((bits) => bits !== undefined)));
  return sizes.size > 1 && sizes.has('32');
}

const TABLES = /^[ls][gi]dt$/;

/** `ljmp $8, $there`, `lcall *pointer`. */
function far(word: string, prefixes: number[], list: Parsed[], mode: Mode): Encoded {
  const mnemonic = word.replace(/^l/, '').slice(0, word.includes('jmp') ? 3 : 4);
  const suffix = SIZES[/[lwq]$/.exec(word.replace(/call$/, ''))?.[0] ?? ''] ?? null;
  const [a, b] = list;
  if (a?.operand.kind === 'memory' && list.length === 1) return placed(word, mnemonic, prefixes, [{ ...a, operand: { ...a.operand, far: true, size: suffix } }], mode, 0);
  const selector = a?.selector ?? (a?.operand.kind === 'immediate' && !a.expr ? a.operand.value.n : null);
  const to = a?.selector === undefined ? b : a;
  if (selector === null || !to || (to.operand.kind !== 'immediate' && to.selector === undefined)) throw new GasError(`operand type mismatch for \`${word}'`);
  const value = to.operand.kind === 'register' ? plain(0n) : to.operand.kind === 'far' ? plain(0n) : to.operand.value;
  return placed(word, mnemonic, prefixes, [{ operand: { kind: 'far', column: 1, selector: plain(selector), value, size: suffix }, expr: to.expr, rip: false, starred: false }], mode, 0);
}

/** A direct branch; null: it goes through a register or memory. */
function branch(mnemonic: string, prefixes: number[], { operand, expr, starred, rip }: Parsed, { bits }: Mode): Encoded | null {
  if (starred || operand.kind !== 'memory' || operand.written || rip) {
    if (operand.kind === 'memory' && operand.size === null) operand.size = (bits / 8) as Size;
    return null;
  }
  const to = expr ?? constant(operand.value.n);
  const at = (distance: 'short' | 'near' | null): number[] => encode(mnemonic, [{ kind: 'immediate', column: 1, value: plain(0n, 1), size: null, strict: false, distance }], { here: 0n, bits, defaultRel: false, prefixes }, 1);
  if (/^(loop|j[re]?cxz)/.test(mnemonic)) {
    const bytes = at(null);
    return { bytes, fixups: [{ at: bytes.length - 1, size: 1, kind: 'pc', end: 1, expr: to }] };
  }
  const size = bits === 16 ? 2 : 4;
  const long = at('near').map((byte, n, all) => (n < all.length - size ? byte : 0));
  if (mnemonic === 'call') return { bytes: long, fixups: [{ at: long.length - size, size, kind: 'branch', end: size, expr: to, plain: bits !== 64 }] };
  return { short: at('short'), long, to, size };
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

function placed(word: string, mnemonic: string, prefixes: number[], list: Parsed[], mode: Mode, table: number): { bytes: number[]; fixups: Fixup[]; warning?: string } {
  const told: string[] = [];
  const context: Context = { here: 0n, bits: mode.bits, defaultRel: false, prefixes, operandSize: table, warn: (text) => told.push(text) };
  const bytes = encoded(word, mnemonic, context, list, null, 0n);
  const cut = told.find((text) => text.includes('data exceeds bounds'));
  const number = list.find(({ operand, expr }) => operand.kind === 'immediate' && !expr)?.operand;
  const fixups: Fixup[] = [];
  for (const [n, one] of list.entries()) {
    if (!one.expr || (one.operand.kind === 'memory' && !one.rip && one.operand.value.addresses === 0)) continue;
    const first = encoded(word, mnemonic, context, list, n, PROBE);
    const second = encoded(word, mnemonic, context, list, n, PROBE + 0x0101_0101_0101_0101n);
    const at = first.findIndex((byte, k) => byte !== second[k]);
    const size = first.filter((byte, k) => byte !== second[k]).length;
    const wide = list.some(({ operand }) => operand.kind === 'register' && operand.size === 8) || list.some(({ operand }) => operand.kind === 'memory' && operand.size === 8);
    const signed = size === 4 && mode.bits === 64 && (one.operand.kind === 'memory' || wide || mnemonic === 'push');
    fixups.push({ at, size, kind: one.rip ? 'pc' : signed ? 'signed' : 'absolute', end: bytes.length - at, expr: one.expr });
    for (let k = at; k < at + size; k++) bytes[k] = 0;
  }
  if (!cut || number?.kind !== 'immediate') return { bytes, fixups };
  const { n } = number.value;
  const width = cut.startsWith('byte') ? 8 : cut.startsWith('word') ? 16 : 32;
  return { bytes, fixups, warning: `0x${BigInt.asUintN(64, n).toString(16)} shortened to 0x${BigInt.asUintN(width, n).toString(16)}` };
}

/** GNU's order of prefixes: segment, address size, operand size, the others. */
const RANK: ReadonlyMap<number, number> = new Map([[0x26, 0], [0x2e, 0], [0x36, 0], [0x3e, 0], [0x64, 0], [0x65, 0], [0x67, 1], [0x66, 2], [0xf0, 3], [0xf2, 3], [0xf3, 3]]);

function ordered(bytes: number[]): number[] {
  const count = bytes.findIndex((byte) => !RANK.has(byte));
  return count < 2 ? bytes : [...bytes.slice(0, count).sort((a, b) => RANK.get(a)! - RANK.get(b)!), ...bytes.slice(count)];
}

function encoded(word: string, mnemonic: string, context: Context, list: Parsed[], probe: number | null, n: bigint): number[] {
  const operands = list.map(({ operand }, k) => (k === probe && operand.kind !== 'register' ? { ...operand, value: { ...operand.value, n } } : operand));
  try {
    return ordered(encode(mnemonic, operands, context, 1));
  } catch (error) {
    if (!(error instanceof AssemblyError)) throw error;
    const forms = FORMS.get(mnemonic)!;
    if (context.bits === 64 && forms.every(({ long }) => !long)) throw new GasError(`\`${word}' is not supported in 64-bit mode`);
    if (context.bits !== 64 && forms.every(({ legacy }) => !legacy)) throw new GasError(`\`${word}' is only supported in 64-bit mode`);
    if (context.bits === 64 && /^(push|pop)$/.test(mnemonic) && operands[0]?.kind === 'register' && operands[0].group === 'general') throw new GasError(`operand size mismatch for \`${word}'`);
    if (mnemonic === 'pop' && operands[0]?.kind === 'register' && operands[0].name === 'cs') throw new GasError(`you can't \`${word} %cs'`);
    if (!forms.some((form) => form.operands.length === list.length)) throw new GasError(`number of operands mismatch for \`${word}'`);
    if (error.message.includes('size not specified')) throw new GasError('no instruction mnemonic suffix given and no register operands; can\'t size instruction');
    const high = operands.find((one) => one.kind === 'register' && one.high);
    if (error.message.includes('high byte register') && high?.kind === 'register') throw new GasError(`can't encode register '%${high.name}' in an instruction requiring REX prefix.`);
    throw new GasError(`operand type mismatch for \`${word}'`);
  }
}
