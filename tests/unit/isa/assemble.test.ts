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

/** Warnings that are not compared: of prefixes that mean nothing, of displacements that are cut. */
const UNSAID = /^warning: (instruction is not lockable|.*\[-w\+(prefix|ea|obsolete|hle|regsize)|(byte|word|dword|signed dword|signed byte) .*exceeds bounds)/;
/** Of `node scripts/differential.mjs forms --count 1200 --first 50000 --write FILE`: bits, line, bytes, what NASM says. */
const modes = JSON.parse(readFileSync(new URL('modes.json', import.meta.url), 'utf8')) as [bits: number, text: string, bytes: string, told: string][];

const IMAGES: [name: string, source: string, bytes: string][] = [
  ['a boot sector', 'org 0x7c00\nstart: jmp 0:main\nmain: xor ax, ax\n mov ds, ax\n lgdt [gdtr]\n mov eax, cr0\n or al, 1\n mov cr0, eax\n jmp dword 8:wide\nbits 32\nwide: mov ax, 16\n mov ss, ax\n mov esp, 0x7c00\n hlt\ngdtr: dw 23\n dd gdt\ngdt: dq 0\ntimes 64-($-$$) db 0\ndw 0xaa55',
    'ea057c000031c08ed80f01162a7c0f20c00c010f22c066ea1e7c0000080066b810008ed0bc007c0000f41700307c00000000000000000000000000000000000055aa'],
  ['sections', 'section .data\nd1: db 1\nsection .text\nt1: db d1-t1\nsection .bss\nb: resb 4\nsection .rodata\ndd b', '04000000010000000c000000'],
  ['macros', '%macro m 1-*\n%rep %0\ndb %1\n%rotate 1\n%endrep\n%endmacro\nm 1,2,3\n%assign i 0\n%rep 3\nisr%+i: db i\n%assign i i+1\n%endrep\ndb isr2-isr0', '01020300010202'],
  ['structures', 'struc s, 4\n.x: resb 2\nendstruc\nv: istruc s\nat s.x, db 9\niend\ndb s_size', '090002'],
];

describe('assembler', () => {
  it('writes in 16-, 32- and 64-bit code what NASM wrote, and says what it said', () => {
    expect(modes.length).toBeGreaterThan(1000);
    const told = (bits: number, text: string): [number, string, string, string] => {
      const { bytes, errors, warnings } = assemble(`bits ${bits}\n${text}\n`, 'x');
      return [bits, text, hex(bytes).replace(/(cc)*$/, ''), [...errors, ...warnings].map((one) => one.text.replace('x:2: ', '')).filter((one) => !UNSAID.test(one)).join('; ')];
    };
    expect(modes.map(([bits, text]) => told(bits, text))).toEqual(modes);
  });

  it.each(IMAGES)('makes the image of %s', (_, source, bytes) => {
    expect(assemble(source, 'x.asm', () => null, { bits: 16 }).errors).toEqual([]);
    expect(hex(assemble(source, 'x.asm', () => null, { bits: 16 }).bytes)).toBe(bytes);
  });

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
    ['bits 48', 1, 6, "`48' is not a valid segment size; must be 16, 32 or 64"],
    ['bits 32\nmov rax, 1', 2, 1, 'instruction not supported in 32-bit mode'],
    ['bits 32\nmov r8d, 1', 2, 1, 'invalid operands in non-64-bit mode'],
    ['bits 16\nmov ax, [bx+bp]', 2, 9, 'invalid 16-bit effective address'],
    ['bits 32\nmov dword [ebx], al', 2, 1, 'mismatch in operand sizes'],
    ['bits 64\njmp 8:5', 2, 1, 'instruction not supported in 64-bit mode'],
    ['org 5\norg 6', 2, 5, 'program origin redefined'],
    ['%exitrep', 1, 1, "`%exitrep' not within `%rep' block"],
    ['%macro m x\n%endmacro', 1, 1, "`%macro' expects a parameter count"],
    ['db "abc', 1, 4, 'unterminated string'],
    ['lea rax, [rax+rbx+rcx]', 1, 10, 'invalid effective address: too many registers'],
    ['times -1 nop', 1, 1, 'TIMES value -1 is negative'],
    ['jmp short there\ntimes 200 nop\nthere:', 1, 5, 'short jump is out of range'],
    ['%macro x 1\nnop\n%endmacro\nx 1, 2', 4, 1, 'parser: instruction expected'],
    ['%if 1\nnop', 2, 1, "expected `%endif' before end of file"],
  ];
  it.each(mistakes)('%j is refused at its place', (text, line, column, message) => {
    const [first] = assemble(text, 'x.asm').errors;
    expect([first?.line, first?.column, first?.text]).toEqual([line, column, `x.asm:${line}: error: ${message}`]);
  });
});
