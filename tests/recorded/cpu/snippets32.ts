/**
 * Random user-mode snippets of 32-bit code, as snippets.ts makes them of 64-bit code: ebp points into two pages of data, edi
 * too, esi is a small index, esp points into a page of stack, the other four are anything. The opcodes that 64-bit mode
 * dropped are among them, and operands and addresses of 16 bits.
 */
import { CODE, DATA, random, STACK, STRIDE } from './snippets.ts';

const ALL = 0x8d5;
const CF = 1;
const PF = 4;
const AF = 0x10;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;

interface Writer {
  next: (below: number) => number;
  lines: string[];
  defined: number;
  labels: number;
}

const NAMES: Record<number, string[]> = {
  4: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'], 2: ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'], 1: ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'],
};
const WORD: Record<number, string> = { 1: 'byte', 2: 'word', 4: 'dword' };
const CONDITIONS: [name: string, reads: number][] = [
  ['o', OF], ['no', OF], ['b', CF], ['ae', CF], ['e', ZF], ['ne', ZF], ['be', CF | ZF], ['a', CF | ZF], ['s', SF], ['ns', SF], ['p', PF], ['np', PF],
  ['l', SF | OF], ['ge', SF | OF], ['le', SF | OF | ZF], ['g', SF | OF | ZF],
];

const pick = <T>(w: Writer, list: readonly T[]): T => list[w.next(list.length)]!;
const size = (w: Writer): number => pick(w, [1, 2, 4, 4]);
const wide = (w: Writer): number => pick(w, [2, 4, 4]);
const to = (w: Writer, bytes: number): string => NAMES[bytes]![w.next(bytes === 1 ? 8 : 4)]!;
const from = (w: Writer, bytes: number): string => NAMES[bytes]![w.next(8)]!;
const hex = (n: number): string => (n < 0 ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`);

function immediate(w: Writer, bytes: number): string {
  const kind = w.next(4);
  if (kind === 0) return hex(w.next(256) - 128);
  if (kind === 1) return pick(w, ['0', '1', '-1', '0x7f', '-0x80']);
  return hex((w.next(2 ** 30) % 2 ** (bytes * 8 - 1)) * (w.next(2) ? 1 : -1));
}

function memory(w: Writer, bytes: number): string {
  const n = w.next(0x800) - 0x400;
  const plus = n < 0 ? `-${hex(-n)}` : `+${hex(n)}`;
  const place = pick(w, [`[ebp${plus}]`, `[ebp${plus}]`, `[edi+esi*${pick(w, [1, 2, 4, 8])}${plus}]`, `[${hex(DATA + 0x800 + n)}]`, `[esi*8+${hex(DATA + 0x400)}]`, `[ds:ebp+esi${plus}]`, `[esp+${hex(w.next(64))}]`, `[es:edi]`]);
  return bytes === 0 ? place : `${WORD[bytes]} ${place}`;
}
/** Of a locked instruction: within a cache line, as machines punish locks over two. */
const locking = (w: Writer, bytes: number): string => `${WORD[bytes]} [${pick(w, ['ebp', 'edi'])}+${hex(w.next(64) * bytes)}]`;
const rm = (w: Writer, bytes: number): string => (w.next(3) === 0 ? memory(w, bytes) : to(w, bytes));
const put = (w: Writer, text: string, defines = 0, undefines = 0): number => {
  w.lines.push(text);
  w.defined = (w.defined | defines) & ~undefines;
  return w.defined;
};

function alu(w: Writer): number {
  const op = pick(w, ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp', 'test']);
  if ((op === 'adc' || op === 'sbb') && !(w.defined & CF)) return put(w, 'clc', CF);
  const bytes = size(w);
  const end = (text: string): number => put(w, text, ALL, /^(or|and|xor|test)$/.test(op) ? AF : 0);
  switch (w.next(6)) {
    case 0: return end(`${op} ${to(w, bytes)}, ${from(w, bytes)}`);
    case 1: return end(op === 'test' ? `test ${memory(w, bytes)}, ${from(w, bytes)}` : `${op} ${to(w, bytes)}, ${memory(w, bytes)}`);
    case 2: return end(`${op} ${memory(w, bytes)}, ${from(w, bytes)}`);
    case 3: return end(`${op} ${to(w, bytes)}, ${immediate(w, bytes)}`);
    case 4: return end(`${/^(add|or|and|sub|xor)$/.test(op) && w.next(3) === 0 ? `lock ${op} ${locking(w, bytes)}` : `${op} ${memory(w, bytes)}`}, ${immediate(w, bytes)}`);
    default: return op === 'test' ? end('test al, ah') : end(`db 0x82, ${hex(0xc0 + ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'].indexOf(op) * 8 + w.next(8))}, ${w.next(256)}`);
  }
}
function move(w: Writer): number {
  const bytes = size(w);
  return put(w, pick(w, [
    () => `mov ${to(w, bytes)}, ${from(w, bytes)}`, () => `mov ${to(w, bytes)}, ${memory(w, bytes)}`, () => `mov ${memory(w, bytes)}, ${from(w, bytes)}`, () => `mov ${to(w, bytes)}, ${immediate(w, bytes)}`,
    () => `mov ${memory(w, bytes)}, ${immediate(w, bytes)}`, () => `mov eax, [${hex(DATA + w.next(4096))}]`, () => `mov [${hex(DATA + w.next(4096))}], ax`, () => `xchg ${w.next(3) === 0 ? locking(w, bytes) : to(w, bytes)}, ${to(w, bytes)}`,
    () => `xchg eax, ${to(w, 4)}`, () => `mov ${to(w, 4)}, ${pick(w, ['cs', 'ds', 'ss', 'es'])}`, () => `push ${pick(w, ['ds', 'es', 'ss'])}\npop ${pick(w, ['ds', 'es'])}`, () => `push cs\npop ${to(w, 4)}`,
  ])());
}
function extend(w: Writer): number {
  switch (w.next(3)) {
    case 0: return put(w, `${pick(w, ['movzx', 'movsx'])} ${to(w, wide(w))}, ${rm(w, 1)}`);
    case 1: return put(w, `${pick(w, ['movzx', 'movsx'])} ${to(w, 4)}, ${rm(w, 2)}`);
    default: return put(w, pick(w, ['cbw', 'cwde', 'cwd', 'cdq']));
  }
}
function address(w: Writer): number {
  if (w.next(3) === 0) return put(w, `lea ${to(w, wide(w))}, [${pick(w, ['bx+si', 'bx+di', 'bp+si', 'bp+di', 'si', 'di', 'bp', 'bx'])}${pick(w, ['+0x12', '-0x80', '+0x1234', ''])}]`);
  return put(w, `lea ${to(w, wide(w))}, [${from(w, 4)}+${to(w, 4)}*${pick(w, [1, 2, 4, 8])}${pick(w, ['+0x12', '-0x80', '+0x12345678', ''])}]`);
}
function unary(w: Writer): number {
  const op = pick(w, ['inc', 'dec', 'inc', 'dec', 'not', 'neg']);
  const bytes = size(w);
  return put(w, `${op} ${rm(w, bytes)}`, op === 'not' ? 0 : op === 'neg' ? ALL : ALL & ~CF);
}
function shift(w: Writer): number {
  const op = pick(w, ['shl', 'shr', 'sar', 'rol', 'ror', 'rcl', 'rcr']);
  if (op.startsWith('rc') && !(w.defined & CF)) return put(w, 'stc', CF);
  const bytes = size(w);
  const target = rm(w, bytes);
  const rotates = op.startsWith('r');
  const kind = w.next(3);
  if (kind === 0) return put(w, `${op} ${target}, 1`, rotates ? CF | OF : ALL, rotates ? 0 : AF);
  if (kind === 1) return put(w, `${op} ${target}, cl`, 0, rotates ? OF : OF | AF | (bytes < 4 ? CF : 0));
  const count = 1 + w.next(31);
  const over = !rotates && bytes < 4 && count > bytes * 8;
  if (rotates) return put(w, `${op} ${target}, ${count}`, op.startsWith('rc') && bytes < 4 && count % (bytes * 8 + 1) === 0 ? 0 : CF, count === 1 ? 0 : OF);
  return put(w, `${op} ${target}, ${count}`, ALL, AF | (count === 1 ? 0 : OF) | (over && op !== 'sar' ? CF : 0));
}
function double(w: Writer): number {
  const op = pick(w, ['shld', 'shrd']);
  const bytes = wide(w);
  const count = 1 + w.next(bytes === 2 ? 15 : 31);
  return put(w, `${op} ${rm(w, bytes)}, ${from(w, bytes)}, ${count}`, ALL, AF | (count === 1 ? 0 : OF));
}
function multiply(w: Writer): number {
  const bytes = size(w);
  const big = wide(w);
  return put(w, pick(w, [
    () => `mul ${rm(w, bytes)}`, () => `imul ${rm(w, bytes)}`, () => `imul ${to(w, big)}, ${rm(w, big)}`, () => `imul ${to(w, big)}, ${rm(w, big)}, ${immediate(w, 1)}`,
    () => `imul ${to(w, big)}, ${from(w, big)}, ${immediate(w, big)}`,
  ])(), CF | OF, ZF | SF | PF | AF);
}
function divide(w: Writer): number {
  const bytes = size(w);
  const signed = w.next(2) === 1;
  if (w.next(8) > 0) put(w, bytes === 1 ? (signed ? 'cbw' : 'movzx eax, al') : signed ? { 2: 'cwd', 4: 'cdq' }[bytes]! : 'mov edx, 0');
  return put(w, `${signed ? 'idiv' : 'div'} ${w.next(2) ? memory(w, bytes) : to(w, bytes)}`, 0, ALL);
}
function bits(w: Writer): number {
  const op = pick(w, ['bt', 'bts', 'btr', 'btc']);
  const bytes = wide(w);
  return put(w, pick(w, [
    () => `${op} ${to(w, bytes)}, ${from(w, bytes)}`, () => `${op} ${rm(w, bytes)}, ${w.next(256)}`, () => `${op} ${memory(w, 0)}, ${NAMES[bytes]![6]}`,
  ])(), CF, OF | SF | AF | PF);
}
function scan(w: Writer): number {
  const bytes = wide(w);
  put(w, `or ${NAMES[bytes]![1]}, 0x100`, ALL, AF);
  return put(w, `${pick(w, ['bsf', 'bsr'])} ${to(w, bytes)}, ${NAMES[bytes]![1]}`, ZF, ALL & ~ZF);
}
function exchange(w: Writer): number {
  const bytes = size(w);
  return put(w, ...pick<() => [string, number?]>(w, [
    () => [`bswap ${to(w, 4)}`], () => [`lock cmpxchg ${locking(w, bytes)}, ${from(w, bytes)}`, ALL], () => [`cmpxchg ${to(w, bytes)}, ${from(w, bytes)}`, ALL],
    () => [`lock xadd ${locking(w, bytes)}, ${to(w, bytes)}`, ALL], () => [`xadd ${to(w, bytes)}, ${to(w, bytes)}`, ALL],
    () => [`${w.next(2) ? 'mov eax, [ebp+8]\nmov edx, [ebp+12]\n' : ''}cmpxchg8b [ebp+8]`, ZF],
  ])());
}
function conditional(w: Writer): number {
  const usable = CONDITIONS.filter(([, reads]) => (w.defined & reads) === reads);
  if (usable.length === 0) return put(w, 'test eax, eax', ALL, AF);
  const [name] = pick(w, usable);
  const bytes = wide(w);
  if (w.next(3) === 0) return put(w, `set${name} ${rm(w, 1)}`);
  if (w.next(2) === 0) return put(w, `cmov${name} ${to(w, bytes)}, ${rm(w, bytes)}`);
  const label = `.l${w.labels++}`;
  put(w, `j${name} ${w.next(3) === 0 ? 'near ' : ''}${label}`);
  move(w);
  return put(w, `${label}:`);
}
function stack(w: Writer): number {
  const label = `.l${w.labels++}`;
  switch (w.next(10)) {
    case 0: return put(w, `push ${from(w, 4)}`);
    case 1: return put(w, `push ${immediate(w, 4)}`);
    case 2: return put(w, `pop ${to(w, 4)}`);
    case 3: return put(w, `${pick(w, ['push', 'pop'])} ${memory(w, pick(w, [2, 4]))}`);
    case 4: return put(w, pick(w, ['push esp', `push ${from(w, 2)}`, `pop ${to(w, 2)}`, 'pop dword [esp+4]', 'push dword [esp+8]', 'push word 0x1234']));
    case 5:
      put(w, `call ${label}`);
      move(w);
      return put(w, `${label}: pop ${to(w, 4)}`);
    case 6:
      put(w, 'pusha');
      put(w, `mov ${to(w, 4)}, ${from(w, 4)}`);
      return put(w, pick(w, ['popa', 'popaw', 'popa']));
    case 7: {
      if (w.next(5) === 0) return put(w, `cmp eax, ecx\npushf\npush cs\npush ${label}\niret\n${label}:`, ALL);
      return put(w, pick(w, [`push cs\npush ${label}\nretf\n${label}:`, `jmp 0x23:${label}\n${label}:`, `call 0x23:${label}\n${label}:`, `push ${label}\nret 4\n${label}:`]));
    }
    case 8: return put(w, `mov eax, ${label}\n${pick(w, ['jmp eax', 'push eax\nret', 'call eax'])}\n${label}:`);
    default:
      put(w, `push ebp\nenter ${w.next(16) * 4}, ${w.next(3)}`);
      put(w, `mov ${to(w, 4)}, [ebp]`);
      return put(w, 'leave\npop ebp');
  }
}
function flags(w: Writer): number {
  const choice = pick(w, ['clc', 'stc', 'cmc', 'sahf', 'lahf', 'pushf']);
  if (choice === 'cmc' && !(w.defined & CF)) return put(w, 'clc', CF);
  if (choice === 'sahf') return put(w, 'sahf', ALL & ~OF);
  if (choice === 'lahf') return (w.defined & (ALL & ~OF)) === (ALL & ~OF) ? put(w, 'lahf') : put(w, 'sahf', ALL & ~OF);
  if (choice === 'pushf') return w.defined === ALL ? put(w, `pushf\npop ${to(w, 4)}`) : put(w, 'cmp eax, ecx', ALL);
  return put(w, choice, CF);
}
function strings(w: Writer): number {
  const op = pick(w, ['movs', 'stos', 'lods', 'cmps', 'scas']) + pick(w, ['b', 'w', 'd']);
  const down = w.next(4) === 0;
  put(w, `push esi\npush edi${down ? '\nstd' : ''}\nlea esi, [ebp+${hex(w.next(256))}]\nlea edi, [ebp-${hex(w.next(512))}]`);
  const compares = /^(cmps|scas)/.test(op);
  const prefix = w.next(3) === 0 ? '' : compares ? pick(w, ['repe ', 'repne ']) : 'rep ';
  if (prefix) put(w, `mov ecx, ${w.next(40)}`);
  if (compares && prefix) put(w, 'cmp eax, ebx', ALL);
  put(w, prefix + op, compares ? ALL : 0);
  return put(w, `${down ? 'cld\n' : ''}mov edx, edi\npop edi\npop esi`);
}
/** What 64-bit mode has not. */
function old(w: Writer): number {
  const known = (bits: number): boolean => (w.defined & bits) === bits;
  switch (w.next(9)) {
    case 0: return known(CF | AF) ? put(w, pick(w, ['daa', 'das']), ALL & ~OF, OF) : put(w, 'add al, ah', ALL);
    case 1: return known(AF) ? put(w, pick(w, ['aaa', 'aas']), CF | AF, OF | SF | ZF | PF) : put(w, 'sub al, ch', ALL);
    case 2: return put(w, `aam ${w.next(12)}`, SF | ZF | PF, OF | AF | CF);
    case 3: return put(w, `aad ${w.next(256)}`, SF | ZF | PF, OF | AF | CF);
    case 4: return known(CF) ? put(w, 'salc') : put(w, 'stc', CF);
    case 5: return put(w, `arpl ${w.next(2) ? memory(w, 2) : to(w, 2)}, ${from(w, 2)}`, ZF);
    case 6: return put(w, `mov dword [ebp], -0x1000\nmov dword [ebp+4], 0x7ffffff0\nbound ${to(w, 4)}, [ebp]`);
    case 7: return known(OF) ? put(w, 'into') : put(w, 'test eax, eax', ALL, AF);
    default: return put(w, `mov word [ebp+4], ds\n${pick(w, ['les', 'lds'])} ${to(w, 4)}, [ebp]`);
  }
}
function odd(w: Writer): number {
  const label = `.l${w.labels++}`;
  switch (w.next(5)) {
    case 0: return put(w, pick(w, ['nop', 'pause', 'nop dword [eax]', 'push ebx\nlea ebx, [ebp]\nxlatb\npop ebx']));
    case 1: return put(w, `mov ecx, ${1 + w.next(5)}\n${label}: lea eax, [eax+ecx*4+1]\n${pick(w, ['loop', 'a16 loop'])} ${label}`);
    case 2: return put(w, pick(w, ['ud2', `mov eax, [${to(w, 4)}]`, 'mov dword [0x40000000], 5', 'mov eax, [ebp+0x2000]', 'div cl', 'mov eax, [bx+si]', 'mov [cs:ebp], eax', 'hlt', 'mov ax, 0x1234\nmov ds, ax', 'xor eax, eax\nmov ss, ax']), 0, ALL);
    case 3: return put(w, `mov eax, [cs:${label}]\n${label}:`);
    default: return put(w, `${pick(w, ['jecxz', 'jcxz'])} ${label}\n${label}:`);
  }
}

const KINDS: readonly [kind: (w: Writer) => number, weight: number][] = [
  [alu, 8], [move, 6], [extend, 3], [address, 2], [unary, 4], [shift, 6], [double, 2], [multiply, 3], [divide, 1], [bits, 3], [scan, 2], [exchange, 3], [conditional, 5], [stack, 5], [flags, 2],
  [strings, 2], [odd, 1], [old, 4],
];
const BAG = KINDS.flatMap(([kind, weight]) => Array<(w: Writer) => number>(weight).fill(kind));

export function snippet32(number: number): { text: string; mask: number } {
  const draw = random(number * 2654435761 + 54321);
  for (let n = 0; n < 8; n++) draw();
  const w: Writer = { next: (below) => draw() % below, lines: [], defined: ALL, labels: 0 };
  const length = 2 + w.next(5);
  for (let n = 0; n < length; n++) pick(w, BAG)(w);
  return { text: w.lines.join('\n'), mask: w.defined };
}

export function source32(first: number, count: number, index: number): string {
  const out = ['bits 32', `org ${hex(CODE + index * STRIDE)}`];
  for (let n = 0; n < count; n++) out.push(`s${n}:`, snippet32(first + n).text, `times ${STRIDE}-($-s${n}) db 0xcc`);
  return `${out.join('\n')}\n`;
}

export function registers32(number: number): bigint[] {
  const draw = random(number ^ 0x5bd1e995);
  for (let n = 0; n < 4; n++) draw();
  const out: bigint[] = [];
  for (let n = 0; n < 8; n++) {
    const low = draw();
    const kind = draw() % 4;
    out.push(BigInt((kind === 0 ? low & 0xff : kind === 1 ? ~(low & 0xff) : low) >>> 0));
  }
  out[4] = BigInt(STACK + 0x800);
  out[5] = BigInt(DATA + 0x800);
  out[6] = BigInt(draw() % 64);
  out[7] = BigInt(DATA + 0x400);
  return out;
}
