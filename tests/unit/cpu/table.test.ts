/** The instruction table says who may execute what; the processor is asked whether that is so. */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import { exitRow } from '../../../src/engine/hypervisor/exits.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { INSTRUCTIONS, type Instruction } from '../../../src/engine/machine/isa/table.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare } from './bench.ts';

/** One encoding with operands that are good in ring 3, or null when the assembler has none. */
function example(row: Instruction): string | null {
  for (const form of row.forms) {
    const operands = form.operands.map((kind) => {
      if (/^(r\/)?m\d*$/.test(kind)) return kind.startsWith('r/') ? { 8: 'al', 16: 'ax', 32: 'eax', 64: 'rax' }[Number(kind.slice(3))] : '[0x60000]';
      if (/^r\d+x?$/.test(kind)) return { 8: 'cl', 16: 'cx', 32: 'ecx', 64: 'rcx' }[Number.parseInt(kind.slice(1), 10)];
      if (/^imm/.test(kind)) return '1';
      if (kind === 'sreg') return 'ds';
      if (/^(cr|dr|rel|moffs)/.test(kind)) return null;
      return kind;
    });
    if (operands.includes(null as never) || operands.includes(undefined)) continue;
    const text = `${row.mnemonic} ${operands.join(', ')}`;
    if (assemble(`bits 64\n${text}`).errors.length === 0) return text;
  }
  return null;
}

/** Vector that it raises in ring 3; null when it runs. */
function inRing3(text: string): number | null {
  const program = bare(`
    push qword 0x1b
    push qword 0x7000
    push qword 2
    push qword 0x23
    lea rax, [rel user]
    push rax
    iretq
  user: mov eax, 0x60000
    ${text}
    mov ebx, 0x600d
    int 0x40
  done: hlt`, { 0x40: ['done', 0xee00], 1: ['done', 0xee00], 3: ['done', 0xee00], 6: 'done', 13: 'done', 14: 'done' });
  const stop = m.run(program.machine, 100_000n);
  if (stop.reason === 'shutdown') return 8;
  const vector = program.machine.state.getUint32(at.LAST_VECTOR, true);
  return vector === 0x40 && stop.reason === 'halt' ? null : vector;
}

const rows = [...INSTRUCTIONS.values()];
const cases = rows.map((row) => ({ row, text: example(row) })).filter((c): c is { row: Instruction; text: string } => c.text !== null);

describe('instruction table', () => {
  it('covers what it should', () => {
    expect(rows.length).toBeGreaterThan(200);
    expect(cases.length).toBeGreaterThan(150);
  });

  it('ring 0 and port instructions trap in ring 3', () => {
    const wrong = cases.filter(({ row }) => row.privilege !== 'any').map(({ row, text }) => [text, row.privilege, inRing3(text)]).filter(([, , vector]) => vector !== 13);
    expect(wrong).toEqual([]);
  });

  it('what is sensitive and silent does not trap in ring 3', () => {
    const transfers = /^(int|iret|iretd|iretq|retf|popf|popfq|lss|lfs|lgs)$/;
    const wrong = cases.filter(({ row }) => row.sensitivity === 'silent' && !transfers.test(row.mnemonic)).map(({ text }) => [text, inRing3(text)]).filter(([, vector]) => vector !== null);
    expect(wrong).toEqual([]);
    expect(inRing3('mov eax, 0x202\n push rax\n popfq')).toBe(null);
  });

  it('every exit has a row in the exit table', () => {
    for (const row of rows) for (const reason of row.exits) expect(exitRow(reason)?.name, `${row.mnemonic} ${reason}`).toBeTruthy();
  });
});
