/**
 * Random lines of assembly in NASM's syntax for 16-, 32- and 64-bit code: mostly operands that a form of the table takes, at times others.
 * The same number gives the same line.
 */
import { FORMS, type OperandKind } from '../../src/engine/machine/isa/forms.ts';
import { random } from '../recorded/cpu/snippets.ts';

export type Bits = 16 | 32 | 64;

const GENERAL: Record<number, string[]> = {
  1: ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'], 2: ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'], 4: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'],
  8: ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r12', 'r13', 'r15'],
};
const LONG: Record<number, string[]> = { 1: ['spl', 'sil', 'r8b', 'r13b'], 2: ['r8w', 'r15w'], 4: ['r9d', 'r12d', 'r13d'], 8: [] };
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const WORDS: Record<number, string> = { 1: 'byte', 2: 'word', 4: 'dword', 8: 'qword' };
/** Names that NASM does not know. */
const LEFT_OUT = new Set(['o64sysret', 'sysretq', 'sysexitq', 'salc']);
const NAMES = [...FORMS.keys()].filter((name) => !LEFT_OUT.has(name)).sort();

interface Source {
  next: (below: number) => number;
  bits: Bits;
}

const pick = <T>(s: Source, list: readonly T[]): T => list[s.next(list.length)]!;
const hex = (n: number): string => (n < 0 ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`);
const general = (s: Source, size: number): string => pick(s, s.bits === 64 && s.next(3) === 0 ? [...GENERAL[size]!, ...LONG[size]!] : GENERAL[size]!);
const number = (s: Source): string => hex(pick(s, [0, 1, 5, -1, 0x7f, 0x80, -0x80, -0x81, 0xff, 0x100, 0xff80, 0xffff, 0x1234, 0x12345, 0x7fffffff, 0xffffffff, -0x8000, s.next(65536)]));

function place(s: Source): string {
  const wide = s.next(5) === 0 ? pick(s, [2, 4, 8]) : s.bits === 16 && s.next(2) ? 2 : s.bits === 64 && s.next(2) ? 8 : s.bits === 16 ? 2 : 4;
  const plus = s.next(2) ? '' : `${pick(s, ['+', '-'])}${hex(pick(s, [0, 1, 8, 0x7f, 0x80, 0x1234]))}`;
  const segment = s.next(6) === 0 ? `${pick(s, SEGMENTS)}:` : '';
  if (s.next(5) === 0) return `[${s.next(6) === 0 ? `${pick(s, ['word', 'dword'])} ` : ''}${segment}${hex(s.next(0x7fff))}]`;
  if (wide === 2) return `[${segment}${pick(s, ['bx', 'bp', 'si', 'di', 'bx+si', 'bx+di', 'bp+si', 'bp+di', 'di+bx', 'ax', 'si+di'].slice(0, s.next(12) ? 9 : 11))}${plus}]`;
  const base = general(s, wide);
  return `[${s.next(9) === 0 ? `${pick(s, ['byte', 'dword'])} ` : ''}${segment}${pick(s, [base, `${base}+${general(s, wide)}`, `${base}+${general(s, wide)}*${pick(s, [1, 2, 4, 8])}`, `${general(s, wide)}*${pick(s, [1, 2, 3, 4, 5, 8, 9])}`])}${plus}]`;
}

function operand(s: Source, { of, size, name }: OperandKind): string {
  switch (of) {
    case 'general': return general(s, size);
    case 'rm': return s.next(2) ? general(s, size) : `${s.next(4) ? `${WORDS[size]} ` : ''}${place(s)}`;
    case 'memory': return `${s.next(3) && WORDS[size] ? `${WORDS[size]} ` : ''}${place(s)}`;
    case 'far': return `far ${s.next(2) ? `${WORDS[size]} ` : ''}${place(s)}`;
    case 'fixed': return name;
    case 'one': return '1';
    case 'segment': return pick(s, SEGMENTS);
    case 'control': return pick(s, ['cr0', 'cr2', 'cr3', 'cr4', 'cr8']);
    case 'debug': return pick(s, ['dr0', 'dr3', 'dr6', 'dr7']);
    case 'moffs': return `[${s.bits === 64 ? 'qword ' : ''}${hex(s.next(0x7fff))}]`;
    case 'ptr': return `${s.next(3) ? '' : pick(s, ['word ', 'dword '])}${hex(s.next(0x100))}:${hex(s.next(0x7fff))}`;
    case 'relative': return `${pick(s, ['', '', 'short ', 'near '])}$${pick(s, ['', '+2', '+0x40', '+0x400', '-0x40'])}`;
    case 'immediate': return `${s.next(4) ? '' : `${pick(s, ['byte', 'word', 'dword'])} `}${number(s)}`;
  }
}

export function line(n: number, bits: Bits): string {
  const s: Source = { next: ((r) => (below: number) => r() % below)(random(n * 7 + bits)), bits };
  const name = pick(s, NAMES);
  const form = pick(s, FORMS.get(name)!);
  const operands = form.kinds.map((kind) => operand(s, kind));
  if (operands.length > 0 && s.next(10) === 0) {
    const other = pick(s, FORMS.get(pick(s, NAMES))!);
    if (other.kinds.length > 0) operands[s.next(operands.length)] = operand(s, other.kinds[0]!);
  }
  const prefix = s.next(20) === 0 && !/^f?wait|^f(init|clex)/.test(name) ? `${pick(s, ['o16', 'o32', 'a16', 'a32', 'es'])} ` : '';
  return `${prefix}${name} ${operands.join(', ')}`.trim();
}
