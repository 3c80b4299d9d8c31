/** Ports, time, identification, MSRs, far transfers, local descriptors, debug registers: the system's own instructions. */
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare, CODE, finish, type Program, reg } from './bench.ts';

describe('ports in root operation', () => {
  it.each<[source: string, port: number, bytes: number, incoming: number, value: number]>([
    ['mov al, 0x41\n out 0x80, al', 0x80, 1, 0, 0x41],
    ['mov dx, 0x3f8\n mov eax, 0x12345678\n out dx, ax', 0x3f8, 2, 0, 0x5678],
    ['mov dx, 0xcf8\n mov eax, 0x80000000\n out dx, eax', 0xcf8, 4, 0, 0x80000000],
    ['in al, 0x60', 0x60, 1, 1, 0],
  ])('%s', (source, port, bytes, incoming, value) => {
    const program = bare(`${source}\n hlt`);
    const stop = finish(program);
    expect([stop.reason, ...stop.payload.map(Number)]).toEqual(['io', port, bytes, incoming, value]);
    m.finishIo(program.machine, 0n);
    expect(finish(program).reason).toBe('halt');
  });

  it('IN takes what the board gives, 32 bits clear the upper half', () => {
    const program = bare('mov rax, -1\n in al, 0x60\n mov rbx, rax\n in eax, 0x61\n hlt');
    finish(program);
    m.finishIo(program.machine, 0x12n);
    finish(program);
    m.finishIo(program.machine, 0x89abcdefn);
    finish(program);
    expect([reg(program, 'rbx'), reg(program, 'rax')]).toEqual([0xffffffffffffff12n, 0x89abcdefn]);
  });

  it('REP INSB and OUTSB go byte by byte', () => {
    const program = bare('mov dx, 0x1f0\n mov edi, 0x50000\n mov ecx, 3\n rep insb\n mov esi, 0x50000\n mov ecx, 3\n rep outsb\n hlt');
    const seen: number[] = [];
    for (let n = 0; ; n++) {
      const stop = finish(program);
      if (stop.reason !== 'io') break;
      if (stop.payload[2] === 0n) seen.push(Number(stop.payload[3]));
      m.finishIo(program.machine, BigInt(65 + n));
    }
    expect([seen, reg(program, 'rcx'), reg(program, 'rdi'), reg(program, 'rsi')]).toEqual([[65, 66, 67], 0n, 0x50003n, 0x50003n]);
  });

  it("the task's bitmap lets ring 3 have one port", () => {
    const source = (port: number): string => `push qword 0x1b\n push qword 0x7000\n push qword 2\n push qword 0x23\n lea rax, [rel user]\n push rax\n iretq\nuser: in al, ${port}\n hlt\nfault: hlt`;
    for (const [port, reason] of [[0x60, 'io'], [0x61, 'halt']] as const) {
      const program = bare(source(port), { 13: 'fault' });
      program.machine.physical.setUint16(0x1100 + 102, 0x68, true);
      program.machine.memory.fill(0xff, 0x1168, 0x1188);
      program.machine.memory[0x1168 + 12] = 0xfe;
      m.setSegment(program.machine, 'tr', { selector: 0x28, base: 0x1100n, limit: 0x87, rights: 0x8b });
      expect(finish(program).reason).toBe(reason);
    }
  });
});

describe('time and identity', () => {
  it('the time-stamp counter is the cycles, to the instruction', () => {
    const program = bare('rdtsc\n mov ebx, eax\n nop\n nop\n nop\n rdtsc\n sub eax, ebx\n hlt');
    finish(program);
    // rdtsc 20, four of one cycle
    expect(reg(program, 'rax')).toBe(24n);
  });

  it('CPUID says what exists and nothing else', () => {
    const program = bare('hlt');
    const { ecx, edx } = m.cpuid(program.machine, 1, 0);
    const bit = (word: number, n: number): boolean => (word / 2 ** n) % 2 >= 1;
    expect({ fpu: bit(edx, 0), tsc: bit(edx, 4), cx8: bit(edx, 8), cmov: bit(edx, 15), sse2: bit(edx, 26), cx16: bit(ecx, 13), popcnt: bit(ecx, 23), vmx: bit(ecx, 5), avx: bit(ecx, 28) })
      .toEqual({ fpu: false, tsc: true, cx8: true, cmov: true, sse2: false, cx16: true, popcnt: true, vmx: true, avx: false });
  });

  it('MSRs: written, read, refused', () => {
    const program = bare('mov ecx, 0xc0000102\n mov eax, 0x1234\n xor edx, edx\n wrmsr\n swapgs\n mov rbx, [gs:0x10]\n mov ecx, 0xc0000101\n rdmsr\n hlt');
    program.machine.physical.setBigUint64(0x1244, 77n, true);
    finish(program);
    expect([reg(program, 'rbx'), reg(program, 'rax')]).toEqual([77n, 0x1234n]);
    expect([m.readMsr(program.machine, 0x12345), m.writeMsr(program.machine, 0xc0000082, 1n << 60n), m.writeMsr(program.machine, 0xc0000082, 0x1000n)]).toEqual([null, false, true]);
  });
});

describe('segments', () => {
  it('far jump, call and return', () => {
    const program = bare(`
      lea rax, [rel there]\n mov [0x60000], rax\n mov word [0x60008], 8
      db 0x48, 0xff, 0x2c, 0x25, 0, 0, 6, 0
      hlt
    there: lea rax, [rel function]\n mov [0x60000], rax
      db 0x48, 0xff, 0x1c, 0x25, 0, 0, 6, 0
      mov ebx, 5\n hlt
    function: mov rcx, [rsp+8]\n db 0x48, 0xcb`);
    expect(finish(program).reason).toBe('halt');
    expect([reg(program, 'rbx'), reg(program, 'rcx'), reg(program, 'rsp')]).toEqual([5n, 8n, 0x8000n]);
  });

  it('a local descriptor table', () => {
    const program = bare('mov ax, 0x30\n lldt ax\n mov ax, 0xc\n mov fs, ax\n mov ebx, fs\n mov rcx, [fs:8]\n sldt [0x60000]\n hlt');
    const memory = program.machine.physical;
    memory.setBigUint64(0x1030, 0x000082005000000fn | (0n << 56n), true);
    memory.setBigUint64(0x1038, 0n, true);
    memory.setBigUint64(0x5008, 0x0040f3060000ffffn, true);
    memory.setBigUint64(0x60008, 99n, true);
    m.setSegment(program.machine, 'gdtr', { selector: 0, base: 0x1000n, limit: 0x3f, rights: 0 });
    expect(finish(program).reason).toBe('halt');
    expect([reg(program, 'rbx'), reg(program, 'rcx'), memory.getUint16(0x60000, true)]).toEqual([0xcn, 99n, 0x30]);
  });

  it('LAR, LSL, VERR and VERW answer by privilege', () => {
    const program = bare('mov ecx, 0x18\n db 0x0f, 0x02, 0xc1\n setz bl\n db 0x0f, 0x03, 0xd1\n setz bh\n db 0x0f, 0x00, 0xe1\n setz r8b\n mov ecx, 8\n db 0x0f, 0x00, 0xe9\n setz r9b\n hlt');
    finish(program);
    expect([reg(program, 'rax'), reg(program, 'rbx') & 0xffffn, reg(program, 'rdx'), reg(program, 'r8') & 255n, reg(program, 'r9') & 255n]).toEqual([0xcff300n, 0x101n, 0xffffffffn, 1n, 0n]);
  });
});

describe('debug registers', () => {
  it('hold values, and GD traps their use', () => {
    const program = bare('mov eax, 0x1234\n mov dr0, rax\n mov rbx, dr0\n mov eax, 0x2400\n mov dr7, rax\n mov rcx, dr0\n hlt\ntrap: mov rdx, dr6\n hlt', { 1: 'trap' });
    finish(program);
    expect([reg(program, 'rbx'), reg(program, 'rcx'), reg(program, 'rdx') & 0x2000n]).toEqual([0x1234n, 0n, 0x2000n]);
  });
});

describe('stepping', () => {
  it('one instruction is one, wherever blocks begin and end', () => {
    const program = bare('mov ecx, 3\n.l: nop\n dec ecx\n jnz .l\n jmp .m\n.m: call f\n cli\n hlt\nf: ret');
    const rips: number[] = [];
    for (let n = 1; ; n++) {
      if (m.run(program.machine, 1n << 40n, 1n).reason !== 'budget') break;
      expect(m.instructions(program.machine)).toBe(BigInt(n));
      rips.push(Number(reg(program, 'rip')) - CODE);
    }
    expect(rips).toEqual([5, 6, 8, 5, 6, 8, 5, 6, 8, 10, 12, 19, 17, 18, 19]);
  });
});

describe('cost', () => {
  const cycles = (source: string): bigint => {
    const program: Program = bare(`jmp $+2\n ${source}\n hlt`);
    m.run(program.machine, 1n << 40n, 1n);
    const before = m.cycles(program.machine);
    finish(program);
    return m.cycles(program.machine) - before - 5n;
  };
  it.each<[source: string, cost: bigint]>([['nop', 1n], ['imul eax, ebx', 3n], ['mov ecx, 1\n div ecx', 26n], ['add eax, 1\n lea ebx, [rax]', 2n]])('%s', (source, cost) => {
    expect(cycles(source)).toBe(cost);
    expect(at.INSTRUCTIONS).toBeGreaterThan(0);
    expect(CODE).toBe(0x100000);
  });
});
