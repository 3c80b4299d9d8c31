/**
 * Robin and Irvine's table: what sensitive instructions do in ring 3, with UMIP off and on, in 64-bit code and (for those that
 * only exist there) in compatibility mode; beside them the privileged ones, which all trap. Sources: Robin and Irvine 2000, table 1;
 * SDM 2 of each; SDM 3A 2.5 (UMIP).
 */
import { describe, expect, it } from 'vitest';
import { bare, exceptions, finish, type Program, reg } from './bench.ts';

/** Ring 3 with IF set and IOPL 0; the end is a gate that ring 3 may use, a fault leaves its error code in r8. */
function inRing3(body: string, umip: boolean, compat = false): Program {
  const to = compat
    ? 'push qword 0x1b\n push qword 0x7000\n push qword 0x202\n push qword 0x43\n lea rax, [rel user]\n push rax\n iretq\nuser:\n'
    : 'push qword 0x1b\n push qword 0x7000\n push qword 0x202\n push qword 0x23\n lea rax, [rel user]\n push rax\n iretq\nuser:\n';
  const source = `mov rax, cr4\n ${umip ? 'or rax, 0x800\n' : ''} mov cr4, rax\n mov rax, 0x00cffb000000ffff\n mov [0x1040], rax\n lgdt [rel table]\n xor eax, eax\n mov r8, -1\n ${to}
${body}
 int 0x50
fault:
  mov r8, [rsp]
  hlt
done:
  hlt
table:
  dw 0x47
  dq 0x1000
`;
  return bare(source, { 13: 'fault', 6: 'fault', 80: ['done', 0xee00] });
}

interface Row {
  group: string;
  body: string;
  /** What ring 3 gets to see without a trap: register and value, or null when only the absence of the trap counts. */
  sees: readonly [register: string, value: bigint] | null;
  umip: 'traps' | 'same';
  compat?: boolean;
}

const SILENT: readonly Row[] = [
  { group: '1 SGDT', body: 'sgdt [0x7100]\n mov rbx, [0x7102]', sees: ['rbx', 0x1000n], umip: 'traps' },
  { group: '2 SIDT', body: 'sidt [0x7100]\n mov rbx, [0x7102]', sees: ['rbx', 0x800n], umip: 'traps' },
  { group: '3 SLDT', body: 'mov ebx, -1\n db 0x0f, 0x00, 0xc3', sees: ['rbx', 0n], umip: 'traps' },
  { group: '4 SMSW', body: 'db 0x0f, 0x01, 0xe3', sees: ['rbx', 0x80010033n], umip: 'traps' },
  { group: '5 PUSHF', body: 'pushfq\n pop rbx', sees: ['rbx', 0x202n], umip: 'same' },
  { group: '6 POPF keeps IF and IOPL', body: 'push qword 0x3002\n popfq\n pushfq\n pop rbx', sees: ['rbx', 0x202n], umip: 'same' },
  { group: '7 LAR of a segment of ring 0', body: 'mov eax, 0x10\n mov ebx, 7\n db 0x0f, 0x02, 0xd8', sees: ['rbx', 7n], umip: 'same' },
  { group: '7 LAR of one of ring 3', body: 'mov eax, 0x18\n db 0x0f, 0x02, 0xd8', sees: ['rbx', 0xcff300n], umip: 'same' },
  { group: '8 LSL of a segment of ring 0', body: 'mov eax, 0x10\n mov ebx, 7\n db 0x0f, 0x03, 0xd8', sees: ['rbx', 7n], umip: 'same' },
  { group: '8 LSL of one of ring 3', body: 'mov eax, 0x18\n db 0x0f, 0x03, 0xd8', sees: ['rbx', 0xffffffffn], umip: 'same' },
  { group: '9 VERR of a segment of ring 0', body: 'mov eax, 0x10\n db 0x0f, 0x00, 0xe0\n setz bl\n movzx ebx, bl', sees: ['rbx', 0n], umip: 'same' },
  { group: '9 VERR of one of ring 3', body: 'mov eax, 0x18\n db 0x0f, 0x00, 0xe0\n setz bl\n movzx ebx, bl', sees: ['rbx', 1n], umip: 'same' },
  { group: '10 VERW of a segment of ring 0', body: 'mov eax, 0x10\n db 0x0f, 0x00, 0xe8\n setz bl\n movzx ebx, bl', sees: ['rbx', 0n], umip: 'same' },
  { group: '10 VERW of one of ring 3', body: 'mov eax, 0x18\n db 0x0f, 0x00, 0xe8\n setz bl\n movzx ebx, bl', sees: ['rbx', 1n], umip: 'same' },
  { group: '11 PUSH of a segment shows the ring', body: 'db 0x0e, 0x5b', sees: ['rbx', 0x43n], umip: 'same', compat: true },
  { group: '12 POP of a segment that ring 3 may have', body: 'db 0x6a, 0x1b, 0x1f, 0x8c, 0xdb', sees: ['rbx', 0x1bn], umip: 'same', compat: true },
  { group: '13 CALL far within the ring', body: 'call there\n jmp short past\nthere: push qword 0x23\n lea rbx, [rel back]\n push rbx\n db 0x48, 0xcb\nback: mov ebx, cs\n ret\npast:', sees: ['rbx', 0x23n], umip: 'same' },
  { group: '14 JMP far within the ring', body: 'lea rbx, [rel landed]\n mov [0x7200], rbx\n mov word [0x7208], 0x23\n db 0x48, 0xff, 0x2c, 0x25\n dd 0x7200\nlanded: mov ebx, cs', sees: ['rbx', 0x23n], umip: 'same' },
  { group: '15 INT n to a gate of ring 3', body: 'mov ebx, 5\n int 0x50', sees: ['rbx', 5n], umip: 'same' },
  { group: '16 RET far and IRET keep IF and IOPL', body: 'push qword 0x1b\n push qword 0x7000\n push qword 0x3002\n push qword 0x23\n lea rbx, [rel home]\n push rbx\n iretq\nhome: pushfq\n pop rbx', sees: ['rbx', 0x202n], umip: 'same' },
  { group: '17 STR', body: 'str ebx', sees: ['rbx', 0x28n], umip: 'traps' },
  { group: '18 MOV from a segment register', body: 'mov ebx, ss', sees: ['rbx', 0x1bn], umip: 'same' },
];

const TRAPPING: readonly [name: string, body: string][] = [
  ['LGDT', 'lgdt [0x7100]'], ['LIDT', 'lidt [0x7100]'], ['LLDT', 'lldt ax'], ['LTR', 'ltr ax'], ['MOV from CR0', 'mov rax, cr0'], ['MOV to CR3', 'mov cr3, rax'], ['LMSW', 'lmsw ax'], ['CLTS', 'clts'],
  ['MOV from DR7', 'mov rax, dr7'], ['INVD', 'invd'], ['WBINVD', 'wbinvd'], ['INVLPG', 'invlpg [0x7000]'], ['HLT', 'hlt'], ['RDMSR', 'rdmsr'], ['WRMSR', 'wrmsr'], ['RDPMC', 'rdpmc'], ['CLI', 'cli'], ['STI', 'sti'],
  ['IN', 'in al, 0x80'], ['OUT', 'out 0x80, al'],
];

describe.each([['UMIP off', false], ['UMIP on', true]])('sensitive instructions in ring 3, %s', (_, umip) => {
  it.each(SILENT.map((row): [string, Row] => [row.group, row]))('%s', (_name, row) => {
    const program = inRing3(row.body, umip, row.compat);
    expect(finish(program).reason).toBe('halt');
    const traps = umip && row.umip === 'traps';
    expect([exceptions(program, 13), reg(program, 'r8')]).toEqual(traps ? [1n, 0n] : [0n, 0xffffffffffffffffn]);
    if (!traps && row.sees) expect(reg(program, row.sees[0]).toString(16)).toBe(row.sees[1].toString(16));
  });

  it.each(TRAPPING)('%s traps', (_name, body) => {
    const program = inRing3(body, umip);
    expect(finish(program).reason).toBe('halt');
    expect([exceptions(program, 13), reg(program, 'r8')]).toEqual([1n, 0n]);
  });
});

describe('by segment and gate', () => {
  it.each<[string, string, bigint, bigint]>([
    ['POP of a segment of ring 0 is #GP with its selector', 'mov eax, 0x10\n mov ds, ax', 13n, 0x10n],
    ['INT n to a gate of ring 0 is #GP with the vector', 'int 6', 13n, BigInt(6 * 8 + 2)],
    ['IRET to ring 0 is #GP with the selector', 'push qword 0x10\n push qword 0x7000\n push qword 2\n push qword 8\n push qword 0x100000\n iretq', 13n, 8n],
    ['CALL far to a segment of ring 0 is #GP with it', 'mov word [0x7208], 8\n db 0x48, 0xff, 0x1c, 0x25\n dd 0x7200', 13n, 8n],
  ])('%s', (_name, body, vector, error) => {
    const program = inRing3(body, false);
    expect(finish(program).reason).toBe('halt');
    expect([exceptions(program, Number(vector)), reg(program, 'r8')]).toEqual([1n, error]);
  });
});
