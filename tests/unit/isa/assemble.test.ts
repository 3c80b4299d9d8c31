/** The assembler against NASM: recorded bytes everywhere, the real program where it is installed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';

const source = readFileSync(new URL('forms.asm', import.meta.url), 'utf8');
const recorded = readFileSync(new URL('forms.hex', import.meta.url), 'utf8').replace(/\s/g, '');
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
const nasm = (() => {
  try {
    return execFileSync('nasm', ['-v'], { encoding: 'utf8' });
  } catch {
    return null;
  }
})();

describe('assembler', () => {
  it('writes the bytes that NASM wrote for every form of the list', () => {
    const result = assemble(source, 'forms.asm');
    expect(result.errors).toEqual([]);
    expect(hex(result.bytes)).toBe(recorded);
  });

  it.runIf(nasm)('agrees with the NASM of this machine', () => {
    const dir = mkdtempSync(join(tmpdir(), 'isa-'));
    writeFileSync(join(dir, 'a.asm'), source);
    execFileSync('nasm', ['-w-all', '-f', 'bin', join(dir, 'a.asm'), '-o', join(dir, 'a.bin')]);
    expect(hex(assemble(source).bytes)).toBe(hex(readFileSync(join(dir, 'a.bin'))));
  });

  it('assembles the guest tiny to a flat image whose first byte is its entry', () => {
    const guest = readFileSync(new URL('../../../src/engine/hypervisor/guests/tiny.asm', import.meta.url), 'utf8');
    const result = assemble(guest, 'tiny.asm');
    expect(result.errors).toEqual([]);
    expect([result.origin, result.labels.get('start')]).toEqual([0x100000n, 0x100000n]);
    if (!nasm) return;
    const dir = mkdtempSync(join(tmpdir(), 'isa-'));
    writeFileSync(join(dir, 'tiny.asm'), guest);
    execFileSync('nasm', ['-w-all', '-f', 'bin', join(dir, 'tiny.asm'), '-o', join(dir, 'tiny.bin')]);
    expect(hex(result.bytes)).toBe(hex(readFileSync(join(dir, 'tiny.bin'))));
  });

  const mistakes: [source: string, line: number, column: number, message: string][] = [
    ['bits 64\n mov rax, nowhere', 2, 11, "symbol `nowhere' not defined"],
    ['mov [rax], 1', 1, 1, 'operation size not specified'],
    ['mov rax, cl', 1, 1, 'invalid combination of opcode and operands'],
    ['a: nop\na: nop', 2, 1, "label `a' inconsistently redefined"],
    ['bits 16', 1, 6, "only `bits 64' is supported: guests are entered in long mode"],
    ['db "abc', 1, 4, 'unterminated string'],
    ['lea rax, [rax+rbx+rcx]', 1, 10, 'invalid effective address'],
    ['times -1 nop', 1, 1, 'TIMES value -1 is negative'],
    ['jmp short far\ntimes 200 nop\nfar:', 1, 5, 'short jump is out of range'],
    ['%macro x 1\nnop\n%endmacro\nx', 4, 1, 'macro `x\' expects 1 parameters, 0 given'],
    ['%if 1\nnop', 1, 1, "`%if' without matching `%endif'"],
  ];
  it.each(mistakes)('%j is refused at its place', (text, line, column, message) => {
    const [first] = assemble(text, 'x.asm').errors;
    expect([first?.line, first?.column, first?.text]).toEqual([line, column, `x.asm:${line}: error: ${message}`]);
  });
});
