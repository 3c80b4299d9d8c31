/** Guests that fault, and what the processor pushes: vectors, error codes, CR2, stacks, double and triple faults. */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare, finish, type Gates, PML4, type Program, reg } from './bench.ts';

/** The handler leaves the frame's words in registers: rax error or rip, as pushed. */
const HANDLER = `
fault:
  mov r8, [rsp]
  mov r9, [rsp+8]
  mov r10, [rsp+16]
  mov r11, [rsp+24]
  mov r15, cr2
  hlt
`;
/** Page n of the first 2 MiB in 4 KiB pages, with bits of its own. */
function page(program: Program, n: number, bits: bigint): void {
  const memory = program.machine.physical;
  memory.setBigUint64(PML4 + 0x2000, BigInt(PML4 + 0x3000) | 7n, true);
  for (let k = 0; k < 512; k++) {
    const entry = PML4 + 0x3000 + 8 * k;
    if (memory.getBigUint64(entry, true) === 0n) memory.setBigUint64(entry, BigInt(k * 4096) | 7n, true);
  }
  memory.setBigUint64(PML4 + 0x3000 + 8 * n, (BigInt(n * 4096) & ((bits & 1n) === 0n ? 0n : -1n)) | bits, true);
  m.invept(program.machine, null);
}
const NX = 1n << 63n;
const TO_USER = `
  push qword 0x1b
  push qword 0x7000
  push qword 0x2
  push qword 0x23
  lea rax, [rel user]
  push rax
  iretq
user:
`;
const SMEP = 'mov rax, cr4\n or eax, 0x100000\n mov cr4, rax\n';
const SMAP = 'mov rax, cr4\n or eax, 0x200000\n mov cr4, rax\n';

describe('page faults: error code and CR2', () => {
  it.each<[given: string, bits: bigint, source: string, error: number, at: number]>([
    ['read of an absent page', 0n, 'mov rax, [0x50123]', 0, 0x50123],
    ['write to an absent page', 0n, 'mov [0x50123], rax', 2, 0x50123],
    ['write to a read-only page with WP', 5n, 'inc byte [0x50001]', 3, 0x50001],
    ['user reads a supervisor page', 3n, `${TO_USER} mov rax, [0x50008]`, 5, 0x50008],
    ['user writes an absent page', 0n, `${TO_USER} mov [0x50008], rax`, 6, 0x50008],
    ['user writes a read-only page', 5n, `${TO_USER} mov [0x50008], rax`, 7, 0x50008],
    ['reserved bit', 7n | (1n << 45n), 'mov rax, [0x50000]', 9, 0x50000],
    ['reserved bit, user writes', 7n | (1n << 45n), `${TO_USER} mov [0x50000], rax`, 15, 0x50000],
    ['fetch from a no-execute page', 7n | NX, 'mov eax, 0x50000\n jmp rax', 17, 0x50000],
    ['fetch from an absent page', 0n, 'mov eax, 0x50000\n jmp rax', 16, 0x50000],
    ['user fetches from a supervisor page', 3n, `${TO_USER} mov eax, 0x50000\n jmp rax`, 21, 0x50000],
    ['supervisor fetches a user page with SMEP', 7n, `${SMEP} mov eax, 0x50000\n jmp rax`, 17, 0x50000],
    ['supervisor reads a user page with SMAP', 7n, `${SMAP} mov rax, [0x50000]`, 1, 0x50000],
    ['write over two pages, the second read-only', 5n, 'mov qword [0x4fffc], 1', 3, 0x50000],
    ['instruction over two pages, the second absent', 0n, 'mov byte [0x4ffff], 0x0f\n mov eax, 0x4ffff\n jmp rax', 16, 0x50000],
    ['absent page table', -1n, 'mov rbx, 0x7fff00000000\n mov rax, [rbx]', 0, 0x7fff00000000],
  ])('%s', (_, bits, source, error, address) => {
    // everything but the page stays the supervisor's under SMEP and SMAP
    const program = bare(`${source}\n hlt\n${HANDLER}`, { 14: 'fault' });
    const strict = source.includes('cr4');
    if (bits !== -1n) page(program, 0x50, bits);
    if (strict) {
      const memory = program.machine.physical;
      for (let k = 0; k < 512; k++) if (k !== 0x50 && k !== 0x4f) memory.setBigUint64(PML4 + 0x3000 + 8 * k, BigInt(k * 4096) | 3n, true);
    }
    expect(finish(program).reason).toBe('halt');
    expect([reg(program, 'r8'), reg(program, 'r15')]).toEqual([BigInt(error), BigInt(address)]);
  });

  it('SMAP lets a read through after STAC', () => {
    const program = bare(`${SMAP} stac\n mov rbx, [0x50000]\n clac\n hlt\n${HANDLER}`, { 14: 'fault' });
    page(program, 0x50, 7n);
    for (let k = 0; k < 512; k++) if (k !== 0x50) program.machine.physical.setBigUint64(PML4 + 0x3000 + 8 * k, BigInt(k * 4096) | 3n, true);
    expect(finish(program).reason).toBe('halt');
    expect(m.slot(program.machine, at.EXCEPTIONS + 8 * 14)).toBe(0n);
  });

  it('sets accessed on a read and dirty on a write, and not before', () => {
    const program = bare('mov rax, [0x50000]\n hlt\n mov [0x50000], rax\n hlt');
    page(program, 0x50, 3n);
    const entry = (): bigint => program.machine.physical.getBigUint64(PML4 + 0x3000 + 8 * 0x50, true) & 0x60n;
    expect(entry()).toBe(0n);
    finish(program);
    expect(entry()).toBe(0x20n);
    program.machine.state.setUint32(at.ACTIVITY, 0, true);
    finish(program);
    expect(entry()).toBe(0x60n);
  });
});

describe('exceptions through the IDT', () => {
  it.each<[given: string, vector: number, source: string, error: number | null]>([
    ['divide error', 0, 'xor ecx, ecx\n div ecx', null],
    ['undefined opcode', 6, 'ud2', null],
    ['x87 does not exist', 6, 'db 0xd9, 0xc0', null],
    ['SSE does not exist', 6, 'db 0x0f, 0x28, 0xc1', null],
    ['LOCK on a register', 6, 'db 0xf0, 0x01, 0xc8', null],
    ['LOCK on a compare', 6, 'db 0xf0, 0x39, 0x08', null],
    ['vmlaunch without VMX', 6, 'vmlaunch', null],
    ['non-canonical read', 13, 'mov rax, 0x800000000000\n mov rax, [rax]', 0],
    ['non-canonical stack', 12, 'mov rsp, 0x800000000100\n push rax', 0],
    ['wrmsr of nothing', 13, 'mov ecx, 0x12345\n wrmsr', 0],
    ['segment beyond the GDT', 13, 'mov ax, 0x58\n mov ds, ax', 0x58],
    ['code segment into DS: fine; system into DS', 13, 'mov ax, 0x28\n mov ds, ax', 0x28],
    ['null into SS in ring 3', 13, `${TO_USER} xor eax, eax\n mov ss, ax`, 0],
    ['privileged instruction in ring 3', 13, `${TO_USER} cli`, 0],
    ['hlt in ring 3', 13, `${TO_USER} hlt`, 0],
    ['mov cr in ring 3', 13, `${TO_USER} mov rax, cr0`, 0],
    ['out in ring 3', 13, `${TO_USER} out 0x80, al`, 0],
    ['int to a gate of ring 0 from ring 3', 13, `${TO_USER} int 6`, (6 << 3) | 2],
    ['int to no gate', 13, 'int 0x70', (0x70 << 3) | 2],
    ['cr4 bit that does not exist', 13, 'mov rax, cr4\n bts rax, 30\n mov cr4, rax', 0],
    ['paging off in long mode', 13, 'mov rax, cr0\n btr rax, 31\n mov cr0, rax', 0],
    ['int3', 3, 'int3', null],
    ['16 bytes of instruction', 13, 'times 15 db 0x66\n nop', 0],
    ['iret to a bad selector', 13, 'push qword 0x10\n push qword 0x7000\n push qword 2\n push qword 0x10\n push qword 0\n iretq', 0x10],
    ['not present segment', 11, 'mov qword [0x1018], 0\n mov dword [0x101c], 0x00cf7300\n mov ax, 0x18\n mov es, ax', 0x18],
  ])('%s', (_, vector, source, error) => {
    const gates: Record<number, Gates[number]> = {};
    for (const v of [0, 3, 6, 11, 12, 13]) gates[v] = v === 3 ? ['fault', 0xee00] : v === 12 ? ['fault', 0x8e01] : 'fault';
    const program = bare(`${source}\n hlt\n${HANDLER}`, gates);
    expect(finish(program).reason).toBe('halt');
    expect(program.machine.state.getUint32(at.LAST_VECTOR, true)).toBe(vector);
    if (error !== null) expect(reg(program, 'r8')).toBe(BigInt(error));
  });

  it('from ring 3 to the stack of ring 0, and back', () => {
    const program = bare(`${TO_USER}
      mov ebx, 5
      int 0x30
      inc ebx
      int 0x31
    on30: mov r8, [rsp+24]
      mov r9d, ss
      mov r10, rsp
      iretq
    on31: hlt`, { 0x30: ['on30', 0xee00], 0x31: ['on31', 0xee00] });
    expect(finish(program).reason).toBe('halt');
    expect(['rbx', 'r8', 'r9', 'r10'].map((name) => reg(program, name))).toEqual([6n, 0x7000n, 0n, 0x9000n - 40n]);
  });

  it('an interrupt stack is taken and aligned', () => {
    const program = bare(`mov rsp, 0x7ffd\n int 0x30\nhandler: mov rax, rsp\n mov rbx, [rsp+24]\n hlt`, { 0x30: ['handler', 0x8e01] });
    finish(program);
    expect([reg(program, 'rax'), reg(program, 'rbx')]).toEqual([0xa000n - 40n, 0x7ffdn]);
  });

  it('an interrupt gate turns interrupts off, a trap gate does not', () => {
    for (const [flags, on] of [[0x8e00, 0n], [0x8f00, 0x200n]] as const) {
      const program = bare('sti\n nop\n int 0x30\nhandler: pushfq\n pop rax\n hlt', { 0x30: ['handler', flags] });
      finish(program);
      expect(reg(program, 'rax') & 0x200n).toBe(on);
    }
  });

  it('a fault in delivery of a page fault is a double fault', () => {
    const program = bare(`mov rsp, 0x40000000\n mov [0x50000000], rax\n hlt\ndouble: mov r8, [rsp]\n hlt`, { 14: 'double', 8: ['double', 0x8e01] });
    program.machine.physical.setBigUint64(PML4 + 0x2000 + 8 * 511, 0n, true);
    expect(finish(program).reason).toBe('halt');
    expect(program.machine.state.getUint32(at.LAST_VECTOR, true)).toBe(8);
    expect(reg(program, 'r8')).toBe(0n);
  });

  it('no way to deliver a double fault shuts the processor down', () => {
    expect(finish(bare('mov [0x50000000], rax')).reason).toBe('shutdown');
  });

  it('single-steps with TF and says so in DR6', () => {
    const program = bare(`pushfq\n or dword [rsp], 0x100\n popfq\n nop\n nop\n hlt\nstep: inc ebx\n mov rdx, dr6\n and qword [rsp+16], ~0x100\n iretq`, { 1: 'step' });
    expect(finish(program).reason).toBe('halt');
    expect([reg(program, 'rbx'), reg(program, 'rdx')]).toEqual([1n, 0xffff4ff0n]);
  });
});

describe('interrupts from outside', () => {
  it('wait for IF, and for one instruction after STI', () => {
    const program = bare('mov ebx, 1\n sti\n inc ebx\n inc ebx\n hlt\nirq: mov r8, [rsp]\n hlt', { 0x40: 'irq' });
    m.setInterruptLine(program.machine, 0x40);
    expect(finish(program).reason).toBe('halt');
    expect([reg(program, 'rbx'), m.interruptLine(program.machine)]).toEqual([2n, null]);
  });

  it('wake a halted processor', () => {
    const program = bare('sti\n hlt\n mov ebx, 7\n cli\n hlt\nirq: mov eax, 9\n iretq', { 0x40: 'irq' });
    expect(finish(program).reason).toBe('halt');
    expect(reg(program, 'rax')).toBe(0n);
    m.setInterruptLine(program.machine, 0x40);
    expect(finish(program).reason).toBe('halt');
    expect([reg(program, 'rax'), reg(program, 'rbx')]).toEqual([9n, 7n]);
  });

  it('do not come between MOV SS and the next instruction', () => {
    const program = bare('mov eax, 0x10\n sti\n mov ss, ax\n mov rsp, 0x7000\n hlt\nirq: mov r8, [rsp+24]\n cli\n hlt', { 0x40: 'irq' });
    m.run(program.machine, 1000n, 2n);
    m.setInterruptLine(program.machine, 0x40);
    finish(program);
    expect(reg(program, 'r8')).toBe(0x7000n);
  });
});

describe('system calls', () => {
  it('SYSCALL goes in, SYSRET goes out, with flags by FMASK', () => {
    const program = bare(`
      mov ecx, 0xc0000081\n xor eax, eax\n mov edx, (0x10 << 16) | 8\n wrmsr
      mov ecx, 0xc0000082\n lea rax, [rel entry]\n xor edx, edx\n wrmsr
      mov ecx, 0xc0000084\n mov eax, 0x601\n xor edx, edx\n wrmsr
      ${TO_USER}
      stc
      std
      syscall
    after: mov r12d, cs
      mov r13d, ss
      pushfq
      pop r14
      int 0x31
    entry: mov r8, rcx
      mov r9, r11
      mov r10d, cs
      mov r15d, ss
      pushfq
      pop rbx
      o64 sysret
    done: hlt`, { 0x31: ['done', 0xee00] });
    m.setRegister(program.machine, 'efer', 0xd01n);
    expect(finish(program).reason).toBe('halt');
    expect(['r8', 'r9', 'r10', 'r15', 'r12', 'r13'].map((n) => reg(program, n))).toEqual([program.labels.get('after'), 0x403n, 8n, 0x10n, 0x23n, 0x1bn]);
    expect([reg(program, 'rbx') & 0x401n, reg(program, 'r14') & 0x401n]).toEqual([0n, 0x401n]);
  });

  it('SYSCALL without EFER.SCE is undefined', () => {
    const program = bare(`syscall\n hlt\n${HANDLER}`, { 6: 'fault' });
    m.setRegister(program.machine, 'efer', 0xd00n);
    finish(program);
    expect(program.machine.state.getUint32(at.LAST_VECTOR, true)).toBe(6);
  });
});
