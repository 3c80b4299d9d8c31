/**
 * The encodings that the assembler writes and the disassembler reads, in the notation of SDM 2 ("REX.W 81 /0 id"), one
 * line a form. Both read this list and nothing else; order decides between forms of the same length, as NASM takes them.
 */
import { ASSEMBLED_ONLY } from './forms-assembled.ts';

/** Of a memory operand that no size may be written before. */
export const UNSIZED = -1;

/** What an operand of a form may be; `size` in bytes, 0: of no particular size. */
export interface OperandKind {
  of: 'general' | 'rm' | 'memory' | 'far' | 'fixed' | 'one' | 'segment' | 'control' | 'debug' | 'moffs' | 'ptr' | 'relative' | 'immediate';
  size: number;
  /** As the notation has it. */
  name: string;
}

export interface Form {
  mnemonic: string;
  operands: string[];
  /** A 66, f2 or f3 that belongs to the opcode and stands before REX. */
  mandatory: number[];
  opcode: number[];
  /** Operand-size prefix. */
  o16: boolean;
  /** REX.W. */
  w: boolean;
  /** 'r', a digit, or null without ModRM. */
  modrm: 'r' | number | null;
  /** Register in the low bits of the opcode. */
  plus: boolean;
  /** Bytes of the operation. */
  width: number;
  /** Written size that an immediate of another encoded size may carry. */
  immediateSize: number;
  /** Only a short form exists (loop, jrcxz). */
  noOptimize: boolean;
  /** Register and memory operand have different sizes (movzx). */
  mixed: boolean;
  kinds: OperandKind[];
  /** Operand size that the encoding needs of its mode or by a prefix, bytes; 0: none in particular. */
  needs: 0 | 2 | 4 | 8;
  /** Address size that it needs, bytes; 0: any. */
  address: 0 | 2 | 4;
  /** 16- and 32-bit code has it; 64-bit code has it. */
  legacy: boolean;
  long: boolean;
}

const lines: string[] = [];
const put = (text: string): void => {
  lines.push(text);
};
const hex = (n: number): string => n.toString(16).padStart(2, '0');
/** The three wide sizes with their prefix words. */
const WIDE: readonly [bits: number, prefix: string, immediate: string, code: string, acc: string][] = [
  [16, 'o16 ', 'imm16', 'iw', 'ax'], [32, '', 'imm32', 'id', 'eax'], [64, 'REX.W ', 'imm32s', 'id', 'rax'],
];

['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'].forEach((name, n) => {
  const at = n * 8;
  put(`${name} r/m8, r8 | ${hex(at)} /r`);
  for (const [b, p] of WIDE) put(`${name} r/m${b}, r${b} | ${p}${hex(at + 1)} /r`);
  put(`${name} r8, r/m8 | ${hex(at + 2)} /r`);
  for (const [b, p] of WIDE) put(`${name} r${b}, r/m${b} | ${p}${hex(at + 3)} /r`);
  for (const [b, p] of WIDE) put(`${name} r/m${b}, imm8s | ${p}83 /${n} ib`);
  put(`${name} al, imm8 | ${hex(at + 4)} ib`);
  for (const [, p, i, c, acc] of WIDE) put(`${name} ${acc}, ${i} | ${p}${hex(at + 5)} ${c}`);
  put(`${name} r/m8, imm8 | 80 /${n} ib`);
  for (const [b, p, i, c] of WIDE) put(`${name} r/m${b}, ${i} | ${p}81 /${n} ${c}`);
});
put('mov r/m8, r8 | 88 /r');
for (const [b, p] of WIDE) put(`mov r/m${b}, r${b} | ${p}89 /r`);
put('mov r8, r/m8 | 8a /r');
for (const [b, p] of WIDE) put(`mov r${b}, r/m${b} | ${p}8b /r`);
put('mov r32, sreg | 8c /r');
put('mov r64, sreg | 8c /r');
put('mov r16, sreg | o16 8c /r');
put('mov m16, sreg | 8c /r');
for (const k of ['r/m16', 'r32', 'r64']) put(`mov sreg, ${k} | 8e /r`);
put('mov r8, imm8 | b0+r ib');
put('mov r16, imm16 | o16 b8+r iw');
put('mov r32, imm32 | b8+r id');
put('mov r64, imm32c | REX.W c7 /0 id');
put('mov r64, imm64 | REX.W b8+r iq');
put('mov m8, imm8 | c6 /0 ib');
for (const [b, p, i, c] of WIDE) put(`mov m${b}, ${i} | ${p}c7 /0 ${c}`);
put('mov r64, cr | 0f 20 /r');
put('mov cr, r64 | 0f 22 /r');
put('mov r64, dr | 0f 21 /r');
put('mov dr, r64 | 0f 23 /r');
for (const [b, p] of WIDE) put(`lea r${b}, m | ${p}8d /r`);
put('test r/m8, r8 | 84 /r');
for (const [b, p] of WIDE) put(`test r/m${b}, r${b} | ${p}85 /r`);
put('test r8, m8 | 84 /r');
for (const [b, p] of WIDE) put(`test r${b}, m${b} | ${p}85 /r`);
put('test al, imm8 | a8 ib');
for (const [, p, i, c, acc] of WIDE) put(`test ${acc}, ${i} | ${p}a9 ${c}`);
put('test r/m8, imm8 | f6 /0 ib');
for (const [b, p, i, c] of WIDE) put(`test r/m${b}, ${i} | ${p}f7 /0 ${c}`);
put('xchg r8, r/m8 | 86 /r');
for (const [b, p, , , acc] of WIDE) {
  if (b !== 32) put(`xchg ${acc}, r${b} | ${p}90+r`);
  if (b !== 32) put(`xchg r${b}, ${acc} | ${p}90+r`);
}
put('xchg eax, r32x | 90+r');
put('xchg r32x, eax | 90+r');
for (const [b, p] of WIDE) put(`xchg r${b}, r/m${b} | ${p}87 /r`);
put('xchg m8, r8 | 86 /r');
for (const [b, p] of WIDE) put(`xchg m${b}, r${b} | ${p}87 /r`);
[['not', 2], ['neg', 3], ['mul', 4], ['imul', 5], ['div', 6], ['idiv', 7]].forEach(([name, n]) => {
  put(`${name} r/m8 | f6 /${n}`);
  for (const [b, p] of WIDE) put(`${name} r/m${b} | ${p}f7 /${n}`);
});
for (const [b, p, i, c] of WIDE) {
  put(`imul r${b}, r/m${b} | ${p}0f af /r`);
  put(`imul r${b}, r/m${b}, imm8s | ${p}6b /r ib`);
  put(`imul r${b}, r/m${b}, ${i} | ${p}69 /r ${c}`);
  put(`imul r${b}, imm8s | ${p}6b /rr ib`);
  put(`imul r${b}, ${i} | ${p}69 /rr ${c}`);
}
[['inc', 0], ['dec', 1]].forEach(([name, n]) => {
  put(`${name} r/m8 | fe /${n}`);
  for (const [b, p] of WIDE) put(`${name} r/m${b} | ${p}ff /${n}`);
});
[['rol', 0], ['ror', 1], ['rcl', 2], ['rcr', 3], ['shl', 4], ['sal', 4], ['shr', 5], ['sar', 7]].forEach(([name, n]) => {
  for (const [b, p, op] of [[8, '', 0], [16, 'o16 ', 1], [32, '', 1], [64, 'REX.W ', 1]] as const) {
    put(`${name} r/m${b}, 1 | ${p}${hex(0xd0 + op)} /${n}`);
    put(`${name} r/m${b}, cl | ${p}${hex(0xd2 + op)} /${n}`);
    put(`${name} r/m${b}, imm8 | ${p}${hex(0xc0 + op)} /${n} ib`);
  }
});
for (const [b, p] of WIDE) {
  put(`shld r/m${b}, r${b}, imm8 | ${p}0f a4 /r ib`);
  put(`shld r/m${b}, r${b}, cl | ${p}0f a5 /r`);
  put(`shrd r/m${b}, r${b}, imm8 | ${p}0f ac /r ib`);
  put(`shrd r/m${b}, r${b}, cl | ${p}0f ad /r`);
  put(`bsf r${b}, r/m${b} | ${p}0f bc /r`);
  put(`bsr r${b}, r/m${b} | ${p}0f bd /r`);
  [['bt', 4, 0xa3], ['bts', 5, 0xab], ['btr', 6, 0xb3], ['btc', 7, 0xbb]].forEach(([name, n, op]) => {
    put(`${name} r/m${b}, r${b} | ${p}0f ${hex(op as number)} /r`);
    put(`${name} r/m${b}, imm8 | ${p}0f ba /${n} ib`);
  });
  put(`cmpxchg r/m${b}, r${b} | ${p}0f b1 /r`);
  put(`xadd r/m${b}, r${b} | ${p}0f c1 /r`);
  put(`movzx r${b}, r/m8 | ${p}0f b6 /r`);
  put(`movsx r${b}, r/m8 | ${p}0f be /r`);
  if (b > 16) put(`movzx r${b}, r/m16 | ${p}0f b7 /r`);
  if (b > 16) put(`movsx r${b}, r/m16 | ${p}0f bf /r`);
}
put('cmpxchg r/m8, r8 | 0f b0 /r');
put('xadd r/m8, r8 | 0f c0 /r');
put('movsxd r64, r/m32 | REX.W 63 /r');
put('bswap r32 | 0f c8+r');
put('bswap r64 | REX.W 0f c8+r');

export const CONDITIONS: readonly (readonly string[])[] = [
  ['o'], ['no'], ['b', 'c', 'nae'], ['ae', 'nb', 'nc'], ['e', 'z'], ['ne', 'nz'], ['be', 'na'], ['a', 'nbe'],
  ['s'], ['ns'], ['p', 'pe'], ['np', 'po'], ['l', 'nge'], ['ge', 'nl'], ['le', 'ng'], ['g', 'nle'],
];
CONDITIONS.forEach((names, n) => {
  for (const name of names) {
    put(`j${name} rel8 | ${hex(0x70 + n)} cb`);
    put(`j${name} rel32 | 0f ${hex(0x80 + n)} cd`);
    put(`set${name} r/m8 | 0f ${hex(0x90 + n)} /0`);
    for (const [b, p] of WIDE) put(`cmov${name} r${b}, r/m${b} | ${p}0f ${hex(0x40 + n)} /r`);
  }
});
for (const text of [
  'jmp rel8 | eb cb', 'jmp rel32 | e9 cd', 'jmp r/m64 | ff /4', 'call rel32 | e8 cd', 'call r/m64 | ff /2', 'ret | c3', 'ret imm16 | c2 iw',
  'push r64 | 50+r', 'push r16 | o16 50+r', 'push m64 | ff /6', 'push imm8s | 6a ib', 'push imm32s | 68 id', 'push fs | 0f a0', 'push gs | 0f a8',
  'pop r64 | 58+r', 'pop r16 | o16 58+r', 'pop m64 | 8f /0', 'pop fs | 0f a1', 'pop gs | 0f a9',
  'loop rel8 | e2 cb', 'loope rel8 | e1 cb', 'loopz rel8 | e1 cb', 'loopne rel8 | e0 cb', 'loopnz rel8 | e0 cb', 'jrcxz rel8 | e3 cb',
  'in al, imm8 | e4 ib', 'in ax, imm8 | o16 e5 ib', 'in eax, imm8 | e5 ib', 'in al, dx | ec', 'in ax, dx | o16 ed', 'in eax, dx | ed',
  'out imm8, al | e6 ib', 'out imm8, ax | o16 e7 ib', 'out imm8, eax | e7 ib', 'out dx, al | ee', 'out dx, ax | o16 ef', 'out dx, eax | ef',
  'int imm8 | cd ib', 'lgdt m | 0f 01 /2', 'lidt m | 0f 01 /3', 'sgdt m | 0f 01 /0', 'sidt m | 0f 01 /1', 'invlpg m | 0f 01 /7',
  'ltr r/m16 | 0f 00 /3', 'lldt r/m16 | 0f 00 /2', 'lmsw r/m16 | 0f 01 /6', 'verr r/m16 | 0f 00 /4', 'verw r/m16 | 0f 00 /5',
  'enter imm16, imm8 | c8 iw ib', 'prefetcht0 m8 | 0f 18 /1', 'invept r64, m | 66 0f 38 80 /r', 'invvpid r64, m | 66 0f 38 81 /r', 'invpcid r64, m | 66 0f 38 82 /r',
  'vmread r/m64, r64 | 0f 78 /r', 'vmwrite r64, r/m64 | 0f 79 /r', 'vmptrld m64 | 0f c7 /6', 'vmclear m64 | 66 0f c7 /6', 'vmxon m64 | f3 0f c7 /6', 'vmptrst m64 | 0f c7 /7',
  'rdrand r32 | 0f c7 /6', 'rdrand r64 | REX.W 0f c7 /6', 'rdseed r32 | 0f c7 /7', 'rdseed r64 | REX.W 0f c7 /7', 'popcnt r32, r/m32 | f3 0f b8 /r', 'popcnt r64, r/m64 | f3 REX.W 0f b8 /r',
  'nop r/m32 | 0f 1f /0', 'fnstcw m16 | d9 /7', 'fldcw m16 | d9 /5', 'fnstsw m16 | dd /7', 'fnstsw ax | df e0', 'fxsave m | 0f ae /0', 'fxsave64 m | REX.W 0f ae /0', 'fxrstor m | 0f ae /1', 'fxrstor64 m | REX.W 0f ae /1',
]) put(text);
for (const [name, code] of [['sldt', '0f 00 /0'], ['str', '0f 00 /1'], ['smsw', '0f 01 /4']] as const) {
  put(`${name} m16 | ${code}`);
  for (const [b, p] of WIDE) put(`${name} r${b} | ${name === 'sldt' && b === 64 ? '' : p}${code}`);
}
for (const [name, code] of [['lar', '0f 02 /r'], ['lsl', '0f 03 /r']] as const) {
  for (const [b, p] of WIDE) put(`${name} r${b}, r/m${b} | ${p}${code}`);
  for (const [b, p] of WIDE) put(`${name} r${b}, r/m16 | ${p}${code}`);
}
const BARE: Record<string, string> = {
  sysenter: '0f 34', sysexit: '0f 35', sysexitq: 'REX.W 0f 35', fninit: 'db e3', fnclex: 'db e2', fwait: '9b',
  nop: '90', hlt: 'f4', cli: 'fa', sti: 'fb', cld: 'fc', std: 'fd', clc: 'f8', stc: 'f9', cmc: 'f5', cpuid: '0f a2', rdtsc: '0f 31', rdtscp: '0f 01 f9',
  rdmsr: '0f 32', wrmsr: '0f 30', rdpmc: '0f 33', syscall: '0f 05', sysret: '0f 07', sysretq: 'REX.W 0f 07', o64sysret: 'REX.W 0f 07', iretq: 'REX.W cf', iret: 'cf', iretd: 'cf', vmcall: '0f 01 c1', vmlaunch: '0f 01 c2',
  vmresume: '0f 01 c3', vmxoff: '0f 01 c4', vmfunc: '0f 01 d4', swapgs: '0f 01 f8', clts: '0f 06', invd: '0f 08', wbinvd: '0f 09', ud2: '0f 0b', int3: 'cc', int1: 'f1',
  leave: 'c9', pushfq: '9c', popfq: '9d', pushf: '9c', popf: '9d', cbw: 'o16 98', cwde: '98', cdqe: 'REX.W 98', cwd: 'o16 99', cdq: '99', cqo: 'REX.W 99', lahf: '9f', sahf: '9e', xlatb: 'd7',
  pause: 'f3 90', mfence: '0f ae f0', lfence: '0f ae e8', sfence: '0f ae f8', monitor: '0f 01 c8', mwait: '0f 01 c9', xgetbv: '0f 01 d0', xsetbv: '0f 01 d1', clac: '0f 01 ca', stac: '0f 01 cb', rsm: '0f aa',
  movsb: 'a4', movsw: 'o16 a5', movsd: 'a5', movsq: 'REX.W a5', cmpsb: 'a6', cmpsw: 'o16 a7', cmpsd: 'a7', cmpsq: 'REX.W a7', stosb: 'aa', stosw: 'o16 ab', stosd: 'ab', stosq: 'REX.W ab',
  lodsb: 'ac', lodsw: 'o16 ad', lodsd: 'ad', lodsq: 'REX.W ad', scasb: 'ae', scasw: 'o16 af', scasd: 'af', scasq: 'REX.W af', insb: '6c', insw: 'o16 6d', insd: '6d', outsb: '6e', outsw: 'o16 6f', outsd: '6f',
};
for (const [name, code] of Object.entries(BARE)) put(`${name} | ${code}`);

const FIXED_KINDS = new Set(['al', 'ax', 'eax', 'rax', 'cl', 'cx', 'ecx', 'rcx', 'dx', 'es', 'cs', 'ss', 'ds', 'fs', 'gs']);
const NAMED_KINDS: Readonly<Record<string, OperandKind['of']>> = { '1': 'one', sreg: 'segment', cr: 'control', dr: 'debug', moffs: 'moffs', ptr: 'ptr' };

function kindOf(name: string): OperandKind {
  if (FIXED_KINDS.has(name)) return { of: 'fixed', size: 0, name };
  const named = NAMED_KINDS[name];
  if (named) return { of: named, size: 0, name };
  const size = name === 'm' ? UNSIZED : Number(/\d+/.exec(name)?.[0] ?? 0) / 8;
  const of = name.startsWith('rel') ? 'relative' : name.startsWith('imm') ? 'immediate' : name.startsWith('far') ? 'far' : name.startsWith('r/m') ? 'rm' : name.startsWith('m') ? 'memory' : 'general';
  return { of, size, name };
}

/** Whose encoding has an operand size that no operand shows. */
const SIZED_BARE = /^(cwde|cdq|movsd|cmpsd|stosd|lodsd|scasd|insd|outsd|iretd)$/;
/** Whose operands of 64 bits are so in every mode. */
const EVERYWHERE = /^(cmpxchg8b|vmptrld|vmclear|vmxon|vmptrst|nop|prefetcht0|mov|sldt|str|smsw)$/;
const LONG_ONLY = /^(pushfq|popfq|swapgs|jrcxz|syscall64)$/;

/** What the words of the notation leave to the operands. */
function completed(form: Form, words: readonly string[]): Form {
  form.kinds = form.operands.map((name) => kindOf(form.mnemonic === 'lea' && name === 'm' ? 'many' : /^vm(ptr|clear|xon)/.test(form.mnemonic) ? 'm' : name));
  const sized = form.kinds.some(({ of, size, name }) => (size === 4 && of !== 'relative' && of !== 'far' && name !== 'imm32s') || name === 'eax');
  const neutral = words.includes('neutral') || form.kinds.some(({ of, name }, n) => of === 'segment' && (n === 0 || form.operands[0] === 'm16' || name === ''));
  form.needs = form.w ? 8 : form.o16 ? 2 : words.includes('o32') || (!neutral && (sized || SIZED_BARE.test(form.mnemonic))) ? 4 : 0;
  form.address = words.includes('a16') ? 2 : words.includes('a32') ? 4 : 0;
  const wide = form.w || LONG_ONLY.test(form.mnemonic) || form.kinds.some(({ of, size, name }) => (size === 8 && (of === 'general' || ((of === 'memory' || of === 'rm') && !EVERYWHERE.test(form.mnemonic)))) || name === 'imm32s');
  form.long = !words.includes('legacy');
  form.legacy = !words.includes('long') && !(wide && form.long) && !(form.mnemonic === 'push' && form.operands[0] === 'imm8s' && form.needs === 0);
  return form;
}

/** One line of the notation. */
export function parseForm(line: string): Form {
  const [left, right] = line.split('|') as [string, string];
  const space = left.trim().indexOf(' ');
  const mnemonic = space < 0 ? left.trim() : left.slice(0, space);
  const operands = space < 0 ? [] : left.slice(space).split(',').map((o) => o.trim());
  const form: Form = {
    mnemonic, operands, mandatory: [], opcode: [], o16: false, w: false, modrm: null, plus: false, width: 4, immediateSize: 0, noOptimize: false, mixed: /^mov[sz]x/.test(mnemonic),
    kinds: [], needs: 0, address: 0, legacy: true, long: true,
  };
  const words = right.trim().split(' ');
  for (const word of words) {
    if (word === 'REX.W') form.w = true;
    else if (word === 'o16') form.o16 = true;
    else if (word === '/r' || word === '/rr') form.modrm = 'r';
    else if (word.startsWith('/')) form.modrm = Number(word.slice(1));
    else if (word.endsWith('+r')) {
      form.plus = true;
      form.opcode.push(Number.parseInt(word, 16));
    } else if (/^[0-9a-f]{2}$/.test(word) && !(/^c[bd]$/.test(word) && operands[0]?.startsWith('rel'))) form.opcode.push(Number.parseInt(word, 16));
  }
  if (form.opcode.length > 1 && [0x66, 0xf2, 0xf3].includes(form.opcode[0]!)) form.mandatory.push(form.opcode.shift()!);
  form.width = form.w ? 8 : form.o16 ? 2 : 4;
  if (operands.some((o) => o === 'imm8s')) form.immediateSize = 0;
  form.noOptimize = /^(loop|j[re]?cxz)/.test(mnemonic);
  return completed(form, words);
}

export const ALL_FORMS: readonly Form[] = lines.map(parseForm);

/** By mnemonic, in the order of the lists: all that the assembler writes. */
export const FORMS: ReadonlyMap<string, readonly Form[]> = byMnemonic();

function byMnemonic(): Map<string, Form[]> {
  const out = new Map<string, Form[]>();
  for (const form of [...ALL_FORMS, ...ASSEMBLED_ONLY.map(parseForm)]) {
    const list = out.get(form.mnemonic);
    if (list) list.push(form);
    else out.set(form.mnemonic, [form]);
  }
  return out;
}
