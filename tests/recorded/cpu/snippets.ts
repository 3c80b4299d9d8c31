/**
 * Random user-mode snippets in NASM's syntax, the same for the same number. Each keeps track of which arithmetic flags the
 * manual defines, reads no other, and says at its end which ones may be compared. r12 and r13 point into two pages of data,
 * r14 is a small index, rsp points into a page of stack; everything else is random. A snippet lies in 128 bytes filled up
 * with int3.
 */
export const STRIDE = 128;
export const CODE = 0x10000000;
export const DATA = 0x20000000;
export const DATA_BYTES = 8192;
export const STACK = 0x30000000;

/** CF PF AF ZF SF OF. */
const ALL = 0x8d5;
const CF = 1;
const PF = 4;
const AF = 0x10;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;

export function random(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

interface Writer {
  next: (below: number) => number;
  lines: string[];
  /** Flags with a defined value at this point. */
  defined: number;
  labels: number;
}

const NAMES: Record<number, string[]> = {
  8: ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
  4: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'r8d', 'r9d', 'r10d', 'r11d', 'r12d', 'r13d', 'r14d', 'r15d'],
  2: ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di', 'r8w', 'r9w', 'r10w', 'r11w', 'r12w', 'r13w', 'r14w', 'r15w'],
  1: ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil', 'r8b', 'r9b', 'r10b', 'r11b', 'r12b', 'r13b', 'r14b', 'r15b'],
};
const WORD: Record<number, string> = { 1: 'byte', 2: 'word', 4: 'dword', 8: 'qword' };
const TO = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 15];
const SIZES = [1, 2, 4, 8, 4, 8];
const CONDITIONS: [name: string, reads: number][] = [
  ['o', OF], ['no', OF], ['b', CF], ['ae', CF], ['e', ZF], ['ne', ZF], ['be', CF | ZF], ['a', CF | ZF], ['s', SF], ['ns', SF], ['p', PF], ['np', PF],
  ['l', SF | OF], ['ge', SF | OF], ['le', SF | OF | ZF], ['g', SF | OF | ZF],
];

const pick = <T>(w: Writer, list: readonly T[]): T => list[w.next(list.length)]!;
const size = (w: Writer): number => pick(w, SIZES);
const wide = (w: Writer): number => pick(w, [2, 4, 8]);
const to = (w: Writer, bytes: number): string => NAMES[bytes]![pick(w, TO)]!;
const from = (w: Writer, bytes: number): string => NAMES[bytes]![pick(w, [...TO, 12, 13, 14])]!;
const HIGH = ['ah', 'bh', 'ch', 'dh'];
const hex = (n: number): string => (n < 0 ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`);

function immediate(w: Writer, bytes: number): string {
  const kind = w.next(4);
  if (kind === 0) return hex(w.next(256) - 128);
  if (kind === 1) return pick(w, ['0', '1', '-1', '0x7f', '-0x80']);
  const bits = bytes === 1 ? 7 : bytes === 2 ? 15 : 31;
  return hex(w.next(2 ** 30) % 2 ** bits * (w.next(2) ? 1 : -1));
}

function memory(w: Writer, bytes: number, aligned = 1): string {
  const displacement = Math.floor((w.next(0x800) - 0x400) / aligned) * aligned;
  const plus = displacement < 0 ? `-${hex(-displacement)}` : `+${hex(displacement)}`;
  const place = pick(w, [
    () => `[r12${plus}]`, () => `[r12${plus}]`, () => `[r13+r14*${aligned > 1 ? 8 : pick(w, [1, 2, 4, 8])}${aligned > 8 ? '' : plus}]`, () => `[r12d${plus}]`,
    () => `[abs ${hex(DATA + 0x800 + displacement)}]`, () => `[rel ${hex(DATA + 0x800 + displacement)}]`, () => `[r14*8+${hex(DATA + 0x400)}]`,
  ]);
  // over the boundary of the two pages, and rarely over the end of the second
  const over = aligned > 1 ? 0 : w.next(24);
  const text = aligned > 8 ? `[r12${plus}]` : over === 1 ? `[r12+${hex((w.next(12) === 0 ? 0x1801 : 0x801) - 1 - w.next(8))}]` : place();
  return bytes === 0 ? text : `${WORD[bytes]} ${text}`;
}

const put = (w: Writer, text: string, defines = 0, undefines = 0): number => {
  w.lines.push(text);
  w.defined = (w.defined | defines) & ~undefines;
  return w.defined;
};
/** Of a locked instruction: within a cache line, as machines punish locks over two. */
const locking = (w: Writer, bytes: number): string => memory(w, bytes, bytes);
const rm = (w: Writer, bytes: number): string => (w.next(3) === 0 ? memory(w, bytes) : to(w, bytes));

// ---- kinds of instruction
function alu(w: Writer): number {
  const op = pick(w, ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp', 'test']);
  if ((op === 'adc' || op === 'sbb') && !(w.defined & CF)) return put(w, 'clc', CF);
  const bytes = size(w);
  const logic = /^(or|and|xor|test)$/.test(op);
  const end = (text: string): number => put(w, `${op} ${text}`, ALL, logic ? AF : 0);
  switch (w.next(6)) {
    case 0: return end(`${to(w, bytes)}, ${from(w, bytes)}`);
    case 1: return end(op === 'test' ? `${memory(w, bytes)}, ${from(w, bytes)}` : `${to(w, bytes)}, ${memory(w, bytes)}`);
    case 2: return end(`${memory(w, bytes)}, ${from(w, bytes)}`);
    case 3: return end(`${to(w, bytes)}, ${immediate(w, bytes)}`);
    case 4: return end(`${memory(w, bytes)}, ${immediate(w, bytes)}`);
    default: return end(`${pick(w, HIGH)}, ${pick(w, [...HIGH, 'al', 'cl', 'dl', 'bl'])}`);
  }
}
function locked(w: Writer): number {
  const op = pick(w, ['add', 'or', 'and', 'sub', 'xor']);
  const bytes = size(w);
  return put(w, `lock ${op} ${locking(w, bytes)}, ${from(w, bytes)}`, ALL, op === 'add' || op === 'sub' ? 0 : AF);
}
function move(w: Writer): number {
  const bytes = size(w);
  switch (w.next(9)) {
    case 0: return put(w, `mov ${to(w, bytes)}, ${from(w, bytes)}`);
    case 1: return put(w, `mov ${to(w, bytes)}, ${memory(w, bytes)}`);
    case 2: return put(w, `mov ${memory(w, bytes)}, ${from(w, bytes)}`);
    case 3: return put(w, `mov ${to(w, bytes)}, ${immediate(w, bytes)}`);
    case 4: return put(w, `mov ${memory(w, bytes)}, ${immediate(w, bytes)}`);
    case 5: return put(w, `mov ${to(w, 8)}, 0x${w.next(2 ** 31).toString(16)}${w.next(2 ** 31).toString(16).padStart(8, '0')}`);
    case 6: return put(w, `mov ${pick(w, HIGH)}, ${pick(w, ['al', 'cl', 'dl', 'bl', ...HIGH])}`);
    case 7: return put(w, pick(w, [`mov al, [qword ${hex(DATA + w.next(4096))}]`, `mov rax, [qword ${hex(DATA + w.next(4096))}]`, `mov [qword ${hex(DATA + w.next(4096))}], eax`]));
    default: return put(w, `xchg ${w.next(3) === 0 ? locking(w, bytes) : to(w, bytes)}, ${to(w, bytes)}`);
  }
}
function extend(w: Writer): number {
  switch (w.next(4)) {
    case 0: return put(w, `${pick(w, ['movzx', 'movsx'])} ${to(w, wide(w))}, ${w.next(2) ? memory(w, 1) : from(w, 1)}`);
    case 1: return put(w, `${pick(w, ['movzx', 'movsx'])} ${to(w, pick(w, [4, 8]))}, ${w.next(2) ? memory(w, 2) : from(w, 2)}`);
    case 2: return put(w, `movsxd ${to(w, 8)}, ${w.next(2) ? memory(w, 4) : from(w, 4)}`);
    default: return put(w, pick(w, ['cbw', 'cwde', 'cdqe', 'cwd', 'cdq', 'cqo']));
  }
}
function address(w: Writer): number {
  const base = NAMES[8]![w.next(16)]!;
  const index = NAMES[8]![pick(w, TO)]!;
  return put(w, `lea ${to(w, wide(w))}, [${base}+${index}*${pick(w, [1, 2, 4, 8])}${pick(w, ['+0x12', '-0x80', '+0x12345678', ''])}]`);
}
function unary(w: Writer): number {
  const op = pick(w, ['inc', 'dec', 'not', 'neg']);
  const bytes = size(w);
  return put(w, `${w.next(8) === 0 ? `lock ${op} ${locking(w, bytes)}` : `${op} ${rm(w, bytes)}`}`, op === 'not' ? 0 : op === 'neg' ? ALL : ALL & ~CF);
}
function shift(w: Writer): number {
  const op = pick(w, ['shl', 'shr', 'sar', 'rol', 'ror', 'rcl', 'rcr']);
  if (op.startsWith('rc') && !(w.defined & CF)) return put(w, 'stc', CF);
  const bytes = size(w);
  const target = rm(w, bytes);
  const rotates = op.startsWith('r');
  const kind = w.next(3);
  if (kind === 0) return put(w, `${op} ${target}, 1`, rotates ? CF | OF : ALL, rotates ? 0 : AF);
  if (kind === 1) {
    // a count in CL may be 0, which leaves the flags, or anything
    return put(w, `${op} ${target}, cl`, 0, rotates ? OF | (bytes < 4 ? CF & 0 : 0) : OF | AF | (bytes < 4 ? CF : 0));
  }
  const count = 1 + w.next(bytes === 8 ? 63 : 31);
  const over = !rotates && bytes < 4 && count > bytes * 8;
  if (rotates) {
    const through = op.startsWith('rc');
    const nothing = through && bytes < 4 && count % (bytes * 8 + 1) === 0;
    return put(w, `${op} ${target}, ${count}`, nothing ? 0 : CF, count === 1 ? 0 : OF);
  }
  return put(w, `${op} ${target}, ${count}`, ALL, AF | (count === 1 ? 0 : OF) | (over && op !== 'sar' ? CF : 0));
}
function double(w: Writer): number {
  const op = pick(w, ['shld', 'shrd']);
  const bytes = wide(w);
  const target = rm(w, bytes);
  if (bytes > 2 && w.next(2)) return put(w, `${op} ${target}, ${from(w, bytes)}, cl`, 0, OF | AF);
  const count = 1 + w.next(bytes === 2 ? 15 : bytes * 8 - 1);
  return put(w, `${op} ${target}, ${from(w, bytes)}, ${count}`, ALL, AF | (count === 1 ? 0 : OF));
}
function multiply(w: Writer): number {
  const bytes = size(w);
  const big = wide(w);
  const text = pick(w, [
    () => `mul ${rm(w, bytes)}`, () => `imul ${rm(w, bytes)}`, () => `imul ${to(w, big)}, ${rm(w, big)}`, () => `imul ${to(w, big)}, ${rm(w, big)}, ${immediate(w, 1)}`,
    () => `imul ${to(w, big)}, ${from(w, big)}, ${immediate(w, big)}`,
  ])();
  return put(w, text, CF | OF, ZF | SF | PF | AF);
}
function divide(w: Writer): number {
  const bytes = size(w);
  const signed = w.next(2) === 1;
  if (w.next(8) > 0) put(w, bytes === 1 ? (signed ? 'cbw' : 'movzx eax, al') : signed ? { 2: 'cwd', 4: 'cdq', 8: 'cqo' }[bytes]! : 'mov edx, 0');
  if (bytes === 8 && w.next(3) === 0) put(w, 'mov edx, 0x123');
  const by = w.next(2) ? memory(w, bytes) : NAMES[bytes]![pick(w, [1, 3, 5, 6, 7, 8, 9, 12])]!;
  return put(w, `${signed ? 'idiv' : 'div'} ${by}`, 0, ALL);
}
function bits(w: Writer): number {
  const op = pick(w, ['bt', 'bts', 'btr', 'btc']);
  const bytes = wide(w);
  const text = pick(w, [
    () => `${op} ${to(w, bytes)}, ${from(w, bytes)}`, () => `${op} ${rm(w, bytes)}, ${w.next(256)}`, () => `${op} ${memory(w, 0)}, ${NAMES[bytes]![14]}`, () => `${op} ${memory(w, bytes)}, ${w.next(64)}`,
  ])();
  return put(w, text, CF, OF | SF | AF | PF);
}
function scan(w: Writer): number {
  const bytes = wide(w);
  if (w.next(2)) return put(w, `popcnt ${to(w, bytes === 2 ? 4 : bytes)}, ${rm(w, bytes === 2 ? 4 : bytes)}`, ALL);
  const op = pick(w, ['bsf', 'bsr']);
  put(w, `or ${NAMES[bytes]![1]}, 0x100`, ALL, AF);
  return put(w, `${op} ${to(w, bytes)}, ${NAMES[bytes]![1]}`, ZF, ALL & ~ZF);
}
function exchange(w: Writer): number {
  const bytes = size(w);
  switch (w.next(6)) {
    case 0: return put(w, `bswap ${to(w, pick(w, [4, 8]))}`);
    case 1: return put(w, `${w.next(2) ? 'lock ' : ''}cmpxchg ${locking(w, bytes)}, ${from(w, bytes)}`, ALL);
    case 2: return put(w, `cmpxchg ${to(w, bytes)}, ${from(w, bytes)}`, ALL);
    case 3: return put(w, `${w.next(2) ? 'lock ' : ''}xadd ${locking(w, bytes)}, ${to(w, bytes)}`, ALL);
    case 4: return put(w, `xadd ${to(w, bytes)}, ${to(w, bytes)}`, ALL);
    default: {
      const place = `[r12+${hex(w.next(64) * 16)}]`;
      if (w.next(2)) {
        put(w, `mov rax, ${place}`);
        put(w, `mov rdx, [r12+${hex(w.next(16) * 16 + 8)}]`);
      }
      return put(w, w.next(2) ? `db 0x49, 0x0f, 0xc7, 0x4c, 0x24, ${hex(w.next(7) * 16)}` : `db 0x41, 0x0f, 0xc7, 0x4c, 0x24, ${hex(w.next(15) * 8)}`, ZF);
    }
  }
}
function conditional(w: Writer): number {
  const usable = CONDITIONS.filter(([, reads]) => (w.defined & reads) === reads);
  if (usable.length === 0) return put(w, 'test eax, eax', ALL, AF);
  const [name] = pick(w, usable);
  switch (w.next(3)) {
    case 0: return put(w, `set${name} ${rm(w, 1)}`);
    case 1: {
      const bytes = wide(w);
      return put(w, `cmov${name} ${to(w, bytes)}, ${rm(w, bytes)}`);
    }
    default: {
      const label = `.l${w.labels++}`;
      put(w, `j${name} ${w.next(3) === 0 ? 'near ' : ''}${label}`);
      move(w);
      return put(w, `${label}:`);
    }
  }
}
function stack(w: Writer): number {
  switch (w.next(7)) {
    case 0: return put(w, `push ${from(w, 8)}`);
    case 1: return put(w, `push ${immediate(w, 4)}`);
    case 2: return put(w, `pop ${to(w, 8)}`);
    case 3: return put(w, `${pick(w, ['push', 'pop'])} qword ${memory(w, 0)}`);
    case 4: return put(w, pick(w, ['push rsp', `push ${from(w, 2)}`, `pop ${to(w, 2)}`]));
    case 5: {
      const label = `.l${w.labels++}`;
      put(w, `call ${label}`);
      move(w);
      return put(w, `${label}: pop ${to(w, 8)}`);
    }
    default:
      put(w, `enter ${w.next(64) * 8}, ${w.next(3)}`);
      move(w);
      return put(w, 'leave');
  }
}
function flags(w: Writer): number {
  const choice = pick(w, ['clc', 'stc', 'cmc', 'sahf', 'lahf', 'pushfq']);
  if (choice === 'cmc' && !(w.defined & CF)) return put(w, 'clc', CF);
  if (choice === 'sahf') return put(w, 'sahf', ALL & ~OF);
  if (choice === 'lahf') return (w.defined & (ALL & ~OF)) === (ALL & ~OF) ? put(w, 'lahf') : put(w, 'sahf', ALL & ~OF);
  if (choice === 'pushfq') {
    if (w.defined !== ALL) return put(w, 'cmp rax, rcx', ALL);
    return put(w, `pushfq\npop ${to(w, 8)}`);
  }
  return put(w, choice, CF);
}
function strings(w: Writer): number {
  const op = pick(w, ['movs', 'stos', 'lods', 'cmps', 'scas']) + pick(w, ['b', 'w', 'd', 'q']);
  const down = w.next(4) === 0;
  if (down) put(w, 'std');
  put(w, `lea rsi, [r12+${hex(w.next(256))}]`);
  put(w, `lea rdi, [r13+${hex(w.next(512))}]`);
  const compares = /^(cmps|scas)/.test(op);
  const prefix = w.next(3) === 0 ? '' : compares ? pick(w, ['repe ', 'repne ']) : 'rep ';
  if (prefix) put(w, `mov ecx, ${w.next(40)}`);
  if (compares && prefix) put(w, 'cmp eax, ebx', ALL);
  put(w, prefix + op, compares ? ALL : 0);
  return down ? put(w, 'cld') : w.defined;
}
function odd(w: Writer): number {
  switch (w.next(6)) {
    case 0: return put(w, pick(w, ['nop', 'pause', 'nop dword [rax]', 'db 0x66, 0x0f, 0x1f, 0x44, 0, 0', 'db 0xf3, 0x0f, 0x1e, 0xfa']));
    case 1:
      put(w, 'lea rbx, [r12]');
      return put(w, 'xlatb');
    case 2: {
      const label = `.l${w.labels++}`;
      put(w, `mov ecx, ${1 + w.next(5)}`);
      put(w, `${label}: lea rax, [rax+rcx*4+1]`);
      return put(w, `loop ${label}`);
    }
    case 3: return put(w, pick(w, ['ud2', `mov eax, [${to(w, 8)}]`, 'mov dword [abs 0x40000000], 5', 'mov rax, [r12+0x2000]', 'div r14b']), 0, ALL);
    case 4: {
      const label = `.l${w.labels++}`;
      put(w, `lea rax, [rel ${label}]`);
      put(w, 'jmp rax');
      move(w);
      return put(w, `${label}:`);
    }
    default: return put(w, `jrcxz $+2`);
  }
}

/** Bit strings far away, string instructions and branches by 32-bit registers, returns that pop. */
function rare(w: Writer): number {
  const label = `.l${w.labels++}`;
  switch (w.next(6)) {
    case 0: {
      const bytes = wide(w);
      put(w, `mov ${NAMES[bytes]![15]}, ${w.next(0x3e00) - 0x1f00}`);
      return put(w, `${pick(w, ['bt', 'bts', 'btr', 'btc'])} [r12], ${NAMES[bytes]![15]}`, CF, OF | SF | AF | PF);
    }
    case 1:
      put(w, `lea rsi, [r12+${hex(w.next(64))}]\nlea rdi, [r13+${hex(w.next(64))}]\nmov rcx, 0x${(1 + w.next(255)).toString(16)}${w.next(32).toString(16).padStart(8, '0')}`);
      return put(w, `a32 rep ${pick(w, ['movs', 'stos', 'lods'])}${pick(w, ['b', 'w', 'd', 'q'])}`);
    case 2:
      put(w, `mov rcx, 0x${w.next(4) === 0 ? '1' : ''}0000000${w.next(2)}`);
      put(w, `${pick(w, ['jrcxz', 'jecxz'])} ${label}`);
      move(w);
      return put(w, `${label}:`);
    case 3:
      if ((w.defined & ZF) === 0) return put(w, 'test al, cl', ALL, AF);
      put(w, `mov ecx, ${1 + w.next(4)}\n${label}: lea rdx, [rdx+rcx*2+1]`);
      return put(w, `${pick(w, ['loope', 'loopne', 'a32 loop'])} ${label}`);
    case 4: return put(w, `push rax\nlea rax, [rel ${label}]\npush rax\nret 8\n${label}:`);
    default: return put(w, `lea ${to(w, wide(w))}, [${NAMES[4]![w.next(16)]}+${NAMES[4]![pick(w, TO)]}*${pick(w, [1, 2, 4, 8])}-0x80]`);
  }
}

const KINDS: readonly [kind: (w: Writer) => number, weight: number][] = [
  [alu, 8], [move, 6], [extend, 3], [address, 2], [unary, 3], [shift, 6], [double, 2], [multiply, 3], [divide, 1], [bits, 3], [scan, 2], [exchange, 3], [conditional, 5], [stack, 3], [flags, 2],
  [strings, 1], [odd, 1], [locked, 1], [rare, 2],
];
const BAG = KINDS.flatMap(([kind, weight]) => Array<(w: Writer) => number>(weight).fill(kind));

export interface Snippet {
  text: string;
  /** Flags to compare when the snippet runs to its end. */
  mask: number;
}

export function snippet(number: number): Snippet {
  const draw = random(number * 2654435761 + 12345);
  for (let n = 0; n < 8; n++) draw();
  const w: Writer = { next: (below) => draw() % below, lines: [], defined: ALL, labels: 0 };
  const length = 2 + w.next(6);
  for (let n = 0; n < length; n++) pick(w, BAG)(w);
  return { text: w.lines.join('\n'), mask: w.defined };
}

/** One NASM source of many: the first begins at CODE + index * STRIDE. */
export function source(first: number, count: number, index: number): string {
  const out = ['bits 64', `org ${hex(CODE + index * STRIDE)}`];
  for (let n = 0; n < count; n++) out.push(`s${n}:`, snippet(first + n).text, `times ${STRIDE}-($-s${n}) db 0xcc`);
  return `${out.join('\n')}\n`;
}

/** Registers at the start; 32-bit halves, because most values are random. */
export function registers(number: number): bigint[] {
  const draw = random(number ^ 0x5bd1e995);
  for (let n = 0; n < 4; n++) draw();
  const out: bigint[] = [];
  for (let n = 0; n < 16; n++) {
    const high = BigInt(draw());
    const low = BigInt(draw());
    const kind = draw() % 6;
    out.push(kind === 0 ? low & 0xffn : kind === 1 ? (1n << 64n) - 1n - (low & 0xffn) : kind === 2 ? low : (high << 32n) | low);
  }
  out[4] = BigInt(STACK + 0x800);
  out[12] = BigInt(DATA + 0x800);
  out[13] = BigInt(DATA + 0x400);
  out[14] = BigInt(draw() % 64);
  return out;
}
export const startFlags = (number: number): number => (random(number ^ 0x2545f491)() & ALL) | 0x202;
export function fillData(number: number, words: Uint32Array): void {
  const draw = random(number + 77);
  for (let n = 0; n < words.length; n++) words[n] = draw();
}
