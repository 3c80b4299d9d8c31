/** Decoded code and cached translations against memory that changes under them. */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare, CODE, finish, MEMORY, module, PML4, type Program, reg } from './bench.ts';

function smallPages(program: Program): void {
  const memory = program.machine.physical;
  memory.setBigUint64(PML4 + 0x2000, BigInt(PML4 + 0x3000) | 7n, true);
  for (let k = 0; k < 512; k++) memory.setBigUint64(PML4 + 0x3000 + 8 * k, BigInt(k * 4096) | 3n, true);
  m.invept(program.machine, null);
}
const pte = (page: number): number => PML4 + 0x3000 + 8 * page;

describe('self-modifying code', () => {
  it('the next instruction, in the same block', () => {
    const program = bare('mov byte [rel there + 1], 7\nthere: mov al, 1\n hlt');
    finish(program);
    expect(reg(program, 'rax') & 255n).toBe(7n);
  });

  it('a loop that rewrites its own body', () => {
    const program = bare('mov ecx, 5\nround: inc byte [rel body + 2]\nbody: add ebx, 0\n dec ecx\n jnz round\n hlt');
    finish(program);
    expect(reg(program, 'rbx')).toBe(15n);
  });

  it('a function on another page, after it ran', () => {
    const program = bare('mov rdi, 0x200000\n mov word [rdi], 0xc301\n mov word [rdi], 0xb0b0\n mov word [rdi], 0x05b0\n mov byte [rdi+2], 0xc3\n call rdi\n mov dl, al\n mov byte [rdi+1], 9\n call rdi\n hlt');
    finish(program);
    expect([reg(program, 'rdx') & 255n, reg(program, 'rax') & 255n]).toEqual([5n, 9n]);
  });

  it('by rep stos over code', () => {
    const program = bare('mov rdi, 0x200000\n mov al, 0x90\n mov ecx, 16\n rep stosb\n mov byte [rdi], 0xc3\n mov rbx, 0x200000\n call rbx\n mov rdi, rbx\n mov eax, 0xc3ffc3ff\n stosd\n mov byte [rbx+1], 0xc2\n xor edx, edx\n call rbx\n hlt');
    finish(program);
    expect(reg(program, 'rdx')).toBe(1n);
  });

  it('an instruction over two pages, its tail changed', () => {
    const program = bare('mov dword [0x200ffd], 0x0000b890\n mov dword [0x201000], 0x00000005\n mov byte [0x200fff], 0xb8\n mov byte [0x201004], 0xc3\n mov ebx, 0x200ffd\n mov byte [rbx+1], 0x90\n call rbx\n mov edx, eax\n mov byte [0x201000], 6\n call rbx\n hlt');
    finish(program);
    expect([reg(program, 'rdx'), reg(program, 'rax')]).toEqual([5n, 6n]);
  });

  it('by the host, once told', () => {
    const program = bare('mov al, 1\n hlt');
    finish(program);
    program.machine.memory[CODE + 1] = 2;
    m.codeWritten(program.machine, CODE + 1, 1);
    program.machine.state.setUint32(at.ACTIVITY, 0, true);
    m.setRegister(program.machine, 'rip', BigInt(CODE));
    finish(program);
    expect(reg(program, 'rax') & 255n).toBe(2n);
  });

  it('more code than the arena holds', () => {
    const program = bare(`mov edi, 0x300000\n.l: mov byte [rdi], 0x40\n mov word [rdi+1], 0xc3c0\n mov byte [rdi], 0xff\n call rdi\n add edi, 16\n cmp edi, 0xe00000\n jb .l\n hlt`);
    expect(m.run(program.machine, 1n << 40n).reason).toBe('halt');
    expect(reg(program, 'rax')).toBe(BigInt((0xe00000 - 0x300000) / 16));
    expect(m.slot(program.machine, at.BLOCKS)).toBeGreaterThan(700_000n);
  });
});

describe('translations', () => {
  it('stay until INVLPG', () => {
    const program = bare(`mov rax, [0x50000]\n mov qword [${pte(0x50)}], 0x51003\n mov rbx, [0x50000]\n invlpg [0x50000]\n mov rcx, [0x50000]\n hlt`);
    smallPages(program);
    program.machine.physical.setBigUint64(0x50000, 1n, true);
    program.machine.physical.setBigUint64(0x51000, 2n, true);
    finish(program);
    expect(['rax', 'rbx', 'rcx'].map((n) => reg(program, n))).toEqual([1n, 1n, 2n]);
  });

  it('MOV CR3 drops them, but not global ones', () => {
    for (const [global, expected] of [[0n, 2n], [0x100n, 1n]] as const) {
      const program = bare(`mov rax, [0x50000]\n mov qword [${pte(0x50)}], 0x51003\n mov rdx, cr3\n mov cr3, rdx\n mov rbx, [0x50000]\n hlt`);
      smallPages(program);
      program.machine.physical.setBigUint64(pte(0x50), 0x50003n | global, true);
      program.machine.physical.setBigUint64(0x50000, 1n, true);
      program.machine.physical.setBigUint64(0x51000, 2n, true);
      finish(program);
      expect(reg(program, 'rbx')).toBe(expected);
    }
  });

  it('PCIDs keep address spaces apart, bit 63 keeps what is there', () => {
    const program = bare(`
      mov rax, cr4\n bts rax, 17\n mov cr4, rax
      mov rax, [0x50000]
      mov qword [${pte(0x50)}], 0x51003
      mov rdx, ${PML4 + 1}\n mov cr3, rdx
      mov rbx, [0x50000]
      mov rdx, ${PML4}\n bts rdx, 63\n mov cr3, rdx
      mov rcx, [0x50000]
      mov rdx, ${PML4}\n mov cr3, rdx
      mov rsi, [0x50000]
      hlt`);
    smallPages(program);
    program.machine.physical.setBigUint64(0x50000, 1n, true);
    program.machine.physical.setBigUint64(0x51000, 2n, true);
    finish(program);
    expect(['rax', 'rbx', 'rcx', 'rsi'].map((n) => reg(program, n))).toEqual([1n, 2n, 1n, 2n]);
  });

  it('64 entries hold 64 pages; a page more and walks begin again', () => {
    const touch = (pages: number): bigint => {
      const program = bare(`mov ebp, 2\n.round: mov edi, 0x80000\n mov ecx, ${pages}\n.l: inc byte [rdi]\n add edi, 4096\n dec ecx\n jnz .l\n dec ebp\n jnz .round\n hlt`);
      smallPages(program);
      finish(program);
      return m.slot(program.machine, at.WALKS);
    };
    expect(Number(touch(40))).toBeLessThan(50);
    expect(Number(touch(100))).toBeGreaterThan(190);
  });

  it('memory that is not there reads as ones and takes no writes', () => {
    const program = bare('mov eax, 0x3f000000\n mov qword [rax], 5\n mov rbx, [rax]\n hlt');
    finish(program);
    expect(reg(program, 'rbx')).toBe(0xffffffffffffffffn);
    expect(() => m.createMachine(module, 1)).toThrow('not modelled');
    expect(MEMORY).toBeLessThan(0x3f000000);
  });
});
