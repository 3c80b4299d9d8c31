/** The same as shadow-guests.ts for guests in 32-bit paging (4-byte entries, 4 MiB pages) and in PAE: kernel only, two spaces. */
import { type Pick, picker, POOL } from './shadow-guests.ts';

const TESTED = POOL + 0x8000;
const DATA = 0x300000;
const LOG = 0x340000;

export type Narrow = '32' | 'pae';

/**
 * Down from long mode: paging off, long mode off, then paging of the other kind. The assembler writes 64-bit code: here only what is the
 * same bytes in 32-bit code (no REX prefix, addresses by register or with a SIB byte).
 */
const prologue = (mode: Narrow): string => `
bits 64
org 0x100000
    mov rsp, 0x180000
    lgdt [gdtr]
    push qword 8
    push qword narrow
    db 0x48, 0xcb
narrow:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x180000
    mov rax, cr0
    and eax, 0x7fffffff
    mov cr0, rax
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~0x100
    or eax, ${mode === 'pae' ? 0x800 : 0}
    wrmsr
    mov eax, ${mode === 'pae' ? 0x20 : 0x10}
    mov cr4, rax
    cld
    mov edi, ${POOL}
    xor eax, eax
    mov ecx, 0x10 * 1024
    rep stosd
${mode === 'pae' ? `
    mov dword [${POOL + 0x2000}], ${POOL} + 1
    mov dword [${POOL + 0x2020}], ${POOL} + 1
    mov dword [${POOL + 0x2008}], ${POOL + 0x1000} + 1
    mov dword [${POOL + 0x2028}], ${POOL + 0x1000} + 1
    mov dword [${POOL + 0x2018}], ${POOL + 0x3000} + 1
    mov edi, ${POOL}
    mov eax, ${POOL + 0x4000} + 7
    mov ecx, 4
.pd: mov [rdi], eax
    add eax, 4096
    add edi, 8
    loop .pd
    mov edi, ${POOL + 0x4000}
    mov eax, 3
    mov ecx, 2048
.pt: mov [rdi], eax
    add eax, 4096
    add edi, 8
    loop .pt` : `
    mov dword [${POOL}], ${POOL + 0x4000} + 7
    mov dword [${POOL + 4}], ${POOL + 0x5000} + 7
    mov dword [${POOL + 0x1000}], ${POOL + 0x4000} + 7
    mov dword [${POOL + 0x1004}], ${POOL + 0x5000} + 7
    mov dword [${POOL} + 1020 * 4], ${POOL} + 3
    mov edi, ${POOL + 0x4000}
    mov eax, 3
    mov ecx, 2048
.pt: mov [rdi], eax
    add eax, 4096
    add edi, 4
    loop .pt`}
    mov edi, ${DATA}
.fill: mov [rdi], edi
    mov byte [rdi + 0xff0], 0xc3
    add edi, 4096
    cmp edi, ${DATA + 0x10000}
    jb .fill
    mov eax, on_fault
    mov [idt + 14 * 8], ax
    shr eax, 16
    mov [idt + 14 * 8 + 6], ax
    mov dword [idt + 14 * 8 + 2], 0x8e000008
    lidt [idtr]
    mov eax, ${mode === 'pae' ? POOL + 0x2000 : POOL}
    mov cr3, rax
    mov rax, cr0
    or eax, 0x80010000
    mov cr0, rax
    mov ebp, ${LOG}
    jmp work
on_fault:
    pop qword [rbp]
    mov rax, cr2
    mov [rbp + 4], eax
    add ebp, 8
    mov esp, 0x180000
    jmp rsi
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw 23
    dq gdt
idtr: dw 2047
    dd idt
align 16
idt: times 2048 db 0
work:
`;

interface Table { gpa: number; level: number; indexes: readonly number[] }

const tablesOf = (mode: Narrow): Table[] => {
  const leaves = [0, 1, 2, 3].map((n) => ({ gpa: TESTED + n * 4096, level: 1, indexes: mode === '32' ? [0, 1, 7, 8, 511, 512, 1023] : [0, 1, 2, 7, 8, 511] }));
  return mode === '32' ? [{ gpa: POOL, level: 2, indexes: [256, 257, 511, 512, 800] }, { gpa: POOL + 0x1000, level: 2, indexes: [256, 257, 511, 512, 800] }, ...leaves]
    : [{ gpa: POOL + 0x1000, level: 2, indexes: [0, 1, 2, 511] }, { gpa: POOL + 0x3000, level: 2, indexes: [0, 1, 511] }, ...leaves];
};

function entryValue(p: Pick, mode: Narrow, level: number): bigint {
  const large = level === 2 && p.chance(25);
  const target = level === 1 ? (p.chance(88) ? DATA + p.below(16) * 4096 : TESTED + p.below(4) * 4096) : large ? (mode === '32' ? 0x400000 : p.of([0x400000, 0x600000])) : TESTED + p.below(4) * 4096;
  let value = BigInt(target) | (large ? 0x80n : 0n);
  for (const [bit, percent] of [[1n, 90], [2n, 70], [4n, 50], [0x20n, 30], [0x40n, 30]] as const) if (p.chance(percent)) value |= bit;
  if (mode === 'pae' && p.chance(10)) value |= 1n << 63n;
  if (mode === 'pae' && p.chance(3)) value |= 1n << 53n;
  return value;
}

function edit(p: Pick, mode: Narrow): string {
  const table = p.of(tablesOf(mode));
  const bytes = mode === '32' ? 4 : 8;
  const at = table.gpa + bytes * p.of(table.indexes);
  const value = entryValue(p, mode, table.level);
  const low = Number(value & 0xffffffffn);
  const high = mode === 'pae' ? `mov dword [rdi + 4], ${Number(value >> 32n)}\n` : '';
  const point = `mov edi, ${at}\n`;
  const whole = `${point}${high}mov ebx, ${low}\n`;
  return p.of([
    `${whole}mov [rdi], ebx`, `${whole}mov [rdi], ebx`, `${whole}xchg [rdi], ebx`, `${whole}mov eax, [rdi]\nlock cmpxchg [rdi], ebx`, `${point}lock btr dword [rdi], ${p.of([0, 1, 2, 5, 6])}`, `${point}lock bts dword [rdi], ${p.of([0, 1, 2])}`,
    `${point}and dword [rdi], -97`, `${point}mov dword [rdi], 0`, `${point}and byte [rdi], 0xfd`, `${whole}mov eax, ebx\nstosd`, `mov edi, ${table.level === 1 ? table.gpa : TESTED}\nxor eax, eax\nmov ecx, ${p.of([1, 8, 1024])}\nrep stosd`,
    ...(mode === 'pae' ? [`${point}mov eax, [rdi]\nmov edx, [rdi + 4]\nmov ebx, ${low}\nmov ecx, ${Number(value >> 32n)}\ndb 0xf0, 0x0f, 0xc7, 0x0f`] : []),
  ]);
}

function access(p: Pick, mode: Narrow, label: string): string {
  const base = mode === '32' ? p.of([0x40000000, 0x40400000, 0x7fc00000, 0x80000000, 0xc8000000]) : p.of([0x40000000, 0x40200000, 0x40400000, 0x7fe00000, 0xc0000000, 0xc0200000, 0xffe00000]);
  const gva = base + p.of(mode === '32' ? [0, 1, 7, 8, 511, 512, 1023] : [0, 1, 2, 7, 8, 511]) * 4096 + p.of([0, 8, 0x100, 0xffe]);
  const start = `mov esi, ${label}\nmov edi, ${gva}\ninvlpg [rdi]\nlea ebx, [rdi + 3]\ninvlpg [rbx]\n`;
  const call = `mov edi, ${(gva - (gva % 4096) + 0xff0) >>> 0}\ninvlpg [rdi]\n`;
  return `${start}${p.of(['mov eax, [rdi]\nmov [rbp], eax\nadd ebp, 4', `mov dword [rdi], ${gva >>> 4}`, 'add dword [rdi], 3', 'lock inc byte [rdi]', `${call}cmp byte [rdi], 0xc3\njne ${label}\ncall rdi`])}\n${label}:`;
}

export function randomNarrowGuest(seed: number, steps: number, mode: Narrow): string {
  const p = picker(seed);
  const roots = mode === '32' ? [POOL, POOL + 0x1000] : [POOL + 0x2000, POOL + 0x2020];
  const modes = ['mov rax, cr0\nbtc eax, 16\nmov cr0, rax', 'mov rax, cr4\nbtc eax, 7\nmov cr4, rax', mode === '32' ? 'mov rax, cr4\nbtc eax, 4\nmov cr4, rax' : 'mov ecx, 0xc0000080\nrdmsr\nxor eax, 0x800\nwrmsr'];
  const out = [prologue(mode)];
  for (let n = 0; n < steps; n++) {
    if (p.chance(45)) out.push(edit(p, mode));
    else if (p.chance(15)) out.push(`mov eax, ${p.of(roots)}\nmov cr3, rax`);
    else if (p.chance(8)) out.push(p.of(modes));
    else out.push(access(p, mode, `s${n}`));
  }
  return `${out.join('\n')}\nmov al, 0x10\nout 0xf4, al\nhlt\n`;
}
