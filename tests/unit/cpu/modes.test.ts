/**
 * Modes of a guest and of the bare processor: unrestricted guests in real mode and in protected mode without paging, INVPCID by
 * kind, the x87 state to save, SYSENTER and SYSEXIT, checks of MOV to CR3 under PAE. Sources: SDM 3C 26.6, 27.3; SDM 2A FXSAVE.
 */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare, CODE, exceptions, exit, F, field, finish, GUEST_BASE, PML4, type Program, reg, vm } from './bench.ts';

const RIGHTS = { real: 0x93, code32: 0xc09b, data32: 0xc093 } as const;
/** A guest whose code is bytes at CODE, in the mode that its segments and CR0 say, with "unrestricted guest". */
function unrestricted(bytes: readonly number[], cr0: bigint, code: number, data: number, more: Partial<Record<keyof typeof F, bigint>> = {}): Program {
  const program = vm('hlt', {}, { secondary: 0xaan, entryControls: 0x11ffn | 0x8000n, cr0, cr4: 0x2000n, efer: 0n, rip: 0x100n, rsp: 0x8000n, ...more });
  program.machine.memory.set(bytes, GUEST_BASE + CODE + 0x100);
  m.codeWritten(program.machine, GUEST_BASE + CODE, 0x1000);
  const real = code === RIGHTS.real;
  for (let n = 0; n < 6; n++) {
    m.vmwrite(program.machine, 0x800 + 2 * n, real ? (n === 1 ? 0xf000n : 0n) : n === 1 ? 8n : 16n);
    m.vmwrite(program.machine, 0x6806 + 2 * n, n === 1 ? (real ? 0xf0000n : BigInt(CODE)) : 0n);
    m.vmwrite(program.machine, 0x4800 + 2 * n, real ? 0xffffn : 0xffffffffn);
    m.vmwrite(program.machine, 0x4814 + 2 * n, BigInt(n === 1 ? code : data));
  }
  if (real) program.machine.memory.set(bytes, GUEST_BASE + 0xf0100);
  return program;
}
const mode = (program: Program): number => program.machine.state.getUint32(at.MODE, true);

describe('unrestricted guests', () => {
  it('begin in real mode: 16-bit code, segments of sixteenfold selectors', () => {
    // mov ax, 0x1234; mov ds, ax; mov byte [0x10], 7; mov bx, [0x10]; hlt
    const program = unrestricted([0xb8, 0x34, 0x12, 0x8e, 0xd8, 0xc6, 0x06, 0x10, 0x00, 0x07, 0x8b, 0x1e, 0x10, 0x00, 0xf4], 0x30n, RIGHTS.real, RIGHTS.real);
    expect(m.enterGuest(program.machine)).toBeNull();
    expect(mode(program)).toBe(at.MODE_REAL);
    expect(m.run(program.machine, 1_000_000n).payload[0]).toBe(12n);
    expect([program.machine.memory[GUEST_BASE + 0x12350], reg(program, 'rbx') & 255n]).toEqual([7, 7n]);
    expect([m.vmread(program.machine, 0x806), m.vmread(program.machine, 0x680c)]).toEqual([0x1234n, 0x12340n]);
  });

  it('take interrupts of real mode through the vector table', () => {
    // int 0x21; hlt -- the vector leads to mov cl, 9; iret
    const program = unrestricted([0xcd, 0x21, 0xf4], 0x30n, RIGHTS.real, RIGHTS.real);
    program.machine.physical.setUint32(GUEST_BASE + 4 * 0x21, 0xf0000200, true);
    program.machine.memory.set([0xb1, 0x09, 0xcf], GUEST_BASE + 0xf0200);
    m.vmwrite(program.machine, 0x6818, 0n);
    m.vmwrite(program.machine, 0x4812, 0x3ffn);
    expect(exit(program).payload[0]).toBe(12n);
    expect([reg(program, 'rcx') & 255n, field(program, 'rip')]).toEqual([9n, 0x102n]);
  });

  it('run protected mode without paging, and leave it for real mode', () => {
    // mov eax, [0x5000]; mov cr0 without PE; jmp 0xf000:0x300 in 16-bit form -- there hlt
    const bytes = [0xa1, 0, 0x50, 0, 0, 0x89, 0xc3, 0x0f, 0x20, 0xc0, 0x24, 0xfe, 0x0f, 0x22, 0xc0, 0x66, 0xea, 0x00, 0x03, 0x00, 0xf0];
    const program = unrestricted(bytes, 0x31n, RIGHTS.code32, RIGHTS.data32);
    program.machine.physical.setUint32(GUEST_BASE + 0x5000, 0xcafe, true);
    program.machine.memory[GUEST_BASE + 0xf0300] = 0xf4;
    expect(m.enterGuest(program.machine)).toBeNull();
    expect(mode(program)).toBe(at.MODE_PROTECTED);
    expect(m.run(program.machine, 1_000_000n).payload[0]).toBe(12n);
    expect([reg(program, 'rbx'), field(program, 'rip'), m.vmread(program.machine, 0x802), m.vmread(program.machine, 0x6808)]).toEqual([0xcafen, 0x300n, 0xf000n, 0xf0000n]);
  });

  it('do not begin without "unrestricted guest"', () => {
    const program = unrestricted([0xf4], 0x30n, RIGHTS.real, RIGHTS.real, { secondary: 0x2an });
    expect(exit(program).payload[0]).toBe(0x80000021n);
  });
});

describe('INVPCID by kind', () => {
  /** PCID 1 and 2 each with a translation of 0x50000; the entry changes; which of them still sees the old page? */
  const source = (kind: number, pcid: number, linear: string): string => `
    mov rax, cr4
    or eax, 0x20080
    mov cr4, rax
    mov rsi, 0x50000
    mov rdi, 0x60000
    mov eax, ${PML4 + 1}
    mov cr3, rax
    mov rbx, [rsi]
    mov eax, ${PML4 + 2}
    mov cr3, rax
    mov rbx, [rsi]
    mov rax, 0x61003
    mov [${PML4 + 0x3000 + 8 * 0x50}], rax
    mov qword [0x7000], ${pcid}
    mov qword [0x7008], ${linear}
    mov eax, ${kind}
    invpcid rax, [0x7000]
    mov rax, 0x8000000000000000
    or rax, ${PML4 + 1}
    mov cr3, rax
    mov r8, [rsi]
    mov rax, 0x8000000000000000
    or rax, ${PML4 + 2}
    mov cr3, rax
    mov r9, [rsi]
    hlt
  fault:
    mov r10, [rsp]
    hlt`;
  function tables(program: Program): void {
    const memory = program.machine.physical;
    memory.setBigUint64(PML4 + 0x2000, BigInt(PML4 + 0x3003), true);
    for (let k = 0; k < 512; k++) memory.setBigUint64(PML4 + 0x3000 + 8 * k, BigInt(k * 4096 + 3), true);
    memory.setBigUint64(0x50000, 1n, true);
    memory.setBigUint64(0x61000, 2n, true);
    m.invept(program.machine, null);
  }
  it.each<[string, number, number, string, bigint, bigint]>([
    ['one address of one PCID', 0, 1, '0x50000', 2n, 1n], ['another address', 0, 1, '0x51000', 1n, 1n], ['one PCID', 1, 2, '0', 1n, 2n], ['all with globals', 2, 0, '0', 2n, 2n], ['all but globals', 3, 0, '0', 2n, 2n],
  ])('%s', (_, kind, pcid, linear, first, second) => {
    const program = bare(source(kind, pcid, linear), { 13: 'fault', 6: 'fault' });
    tables(program);
    expect(finish(program).reason).toBe('halt');
    expect([exceptions(program, 13), exceptions(program, 6), reg(program, 'r8'), reg(program, 'r9')]).toEqual([0n, 0n, first, second]);
  });
  it.each<[string, number, number, string]>([['a kind that does not exist', 4, 0, '0'], ['reserved bits of the descriptor', 1, 0x1000, '0']])('%s is #GP(0)', (_, kind, pcid, linear) => {
    const program = bare(source(kind, pcid, linear), { 13: 'fault' });
    tables(program);
    finish(program);
    expect([exceptions(program, 13), reg(program, 'r10')]).toEqual([1n, 0n]);
  });
});

describe('the x87 state', () => {
  const FNINIT = 'db 0xdb, 0xe3';
  const FNSTCW = 'db 0xd9, 0x3c, 0x25\n dd 0x7000'; // [0x7000]
  const FLDCW = 'db 0xd9, 0x2c, 0x25\n dd 0x7002';
  const FXSAVE = 'db 0x0f, 0xae, 0x04, 0x25\n dd 0x7100';
  const FXRSTOR = 'db 0x0f, 0xae, 0x0c, 0x25\n dd 0x7100';
  it('is saved and comes back whole', () => {
    const program = bare(`${FNINIT}\n ${FNSTCW}\n mov word [0x7002], 0x27f\n ${FLDCW}\n ${FXSAVE}\n ${FNINIT}\n mov rax, 0x1122334455667788\n mov [0x71a0], rax\n ${FXRSTOR}\n mov qword [0x71a0], 0\n ${FXSAVE}\n hlt`);
    finish(program);
    const memory = program.machine.physical;
    expect([memory.getUint16(0x7000, true), memory.getUint16(0x7100, true), memory.getUint32(0x7118, true), memory.getBigUint64(0x71a0, true)]).toEqual([0x37f, 0x27f, 0x1f80, 0x1122334455667788n]);
  });
  it.each<[string, string, number]>([
    ['FNINIT with CR0.TS', `mov rax, cr0\n or eax, 8\n mov cr0, rax\n ${FNINIT}`, 7], ['FXSAVE with CR0.EM', `mov rax, cr0\n or eax, 4\n mov cr0, rax\n ${FXSAVE}`, 7], ['FWAIT with MP and TS', 'mov rax, cr0\n or eax, 10\n mov cr0, rax\n db 0x9b', 7],
    ['FXSAVE to an address that is not aligned', 'db 0x0f, 0xae, 0x04, 0x25\n dd 0x7108', 13], ['FXRSTOR of reserved MXCSR bits', `mov dword [0x7118], 0x10000\n ${FXRSTOR}`, 13], ['FLD is not there', 'db 0xd9, 0xe8', 6],
  ])('%s: vector', (_, body, vector) => {
    const program = bare(`${body}\n hlt\nfault: hlt`, { 6: 'fault', 7: 'fault', 13: 'fault' });
    finish(program);
    expect(exceptions(program, vector)).toBe(1n);
  });
  it('CPUID tells of FXSR, SYSENTER and UMIP, not of an FPU or SSE', () => {
    const { machine } = bare('hlt');
    const edx = m.cpuid(machine, 1, 0).edx;
    expect([(edx >>> 24) & 1, (edx >>> 11) & 1, edx & 1, (edx >>> 25) & 3, (m.cpuid(machine, 7, 0).ecx >>> 2) & 1]).toEqual([1, 1, 0, 0, 1]);
  });
});
