/**
 * Random guests that edit their own page tables: two address spaces over a pool of tables and frames, edits by many kinds of
 * instruction, INVLPG or CR3 before the next access, reads, writes, fetches and user accesses, all faults logged. What the
 * architecture promises is determined, so every technique must end with the same memory.
 */
import { createRandom, uint32 } from '../../../src/engine/sim/random.ts';

/** Tables: two roots, then for the tested half a PDPT, two PDs, five PTs; frames of data; large pages from 4 MiB. */
export const POOL = 0x210000;
const TESTED = POOL + 0x8000;
const DATA = 0x300000;
const LOG = 0x340000;
export const MEMORY = 8 * 2 ** 20;
const LOW = 0x40000000n;
const HIGH = 0xffff800000000000n;
const RECURSIVE = 0xffffff8000000000n;

export type Pick = { below(n: number): number; of<T>(list: readonly T[]): T; chance(percent: number): boolean };

export function picker(seed: number): Pick {
  const random = createRandom(seed);
  const below = (n: number): number => uint32(random) % n;
  return { below, of: (list) => list[below(list.length)]!, chance: (percent) => below(100) < percent };
}

/** Wherever large pages are called: a RET. */
const RETURNS = [0, 0x200000, 0x400000, 0x600000].flatMap((base) => [0, 1, 2, 3, 7, 8, 511].map((n) => `    mov byte [${base + n * 4096 + 0xff0}], 0xc3`)).join('\n');

const PROLOGUE = `
bits 64
org 0x100000
    mov rsp, 0x180000
    cld
    mov edi, ${POOL}
    xor eax, eax
    mov ecx, 0x20 * 512
    rep stosq
    ; the kernel: 8 MiB to themselves, 4 KiB pages, in both spaces
    mov qword [${POOL}], ${POOL + 0x2000} + 7
    mov qword [${POOL + 0x1000}], ${POOL + 0x2000} + 7
    mov qword [${POOL + 0x2000}], ${POOL + 0x3000} + 7
    mov edi, ${POOL + 0x3000}
    mov eax, ${POOL + 0x4000} + 7
    mov ecx, 4
.pd: mov [rdi], rax
    add eax, 4096
    add edi, 8
    loop .pd
    mov edi, ${POOL + 0x4000}
    mov eax, 3
    mov ecx, 2048
.pt: mov [rdi], rax
    add eax, 4096
    add edi, 8
    loop .pt
    mov qword [${POOL + 0x4000} + 0x120 * 8], 0x120007
    ; recursive in both, the tested half from the pool
    mov qword [${POOL} + 511 * 8], ${POOL} + 3
    mov qword [${POOL + 0x1000} + 511 * 8], ${POOL + 0x1000} + 3
    mov qword [${POOL} + 256 * 8], ${TESTED} + 7
    mov qword [${POOL + 0x1000} + 256 * 8], ${TESTED} + 7
    mov qword [${POOL + 0x2000} + 8], ${TESTED + 0x1000} + 7
    mov edi, ${DATA}
.fill: mov [rdi], rdi
    mov byte [rdi + 0xff0], 0xc3
    add edi, 4096
    cmp edi, ${DATA + 0x10000}
    jb .fill
${RETURNS}
    mov eax, ${POOL}
    mov cr3, rax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x800
    wrmsr
    lgdt [gdtr]
    mov ax, 0x28
    ltr ax
    mov ebx, 14
    lea rax, [rel on_fault]
    call gate
    mov ebx, 13
    lea rax, [rel on_fault]
    call gate
    mov ebx, 0x80
    lea rax, [rel on_call]
    call gate
    mov byte [idt + 0x80 * 16 + 5], 0xee
    lidt [idtr]
    mov rsi, user_code
    mov edi, 0x120000
    mov ecx, user_end - user_code
    rep movsb
    mov r14, ${LOG}
    jmp work
gate:
    shl ebx, 4
    mov [idt + rbx], ax
    mov word [idt + rbx + 2], 8
    mov word [idt + rbx + 4], 0x8e00
    shr rax, 16
    mov [idt + rbx + 6], ax
    ret
on_fault:                       ; the log: error code, address, and on at r15 in the kernel
    pop qword [r14]
    mov rax, cr2
    mov [r14 + 8], rax
    add r14, 16
    mov rsp, 0x180000
    jmp r15
on_call:
    mov [r14], rax
    add r14, 8
    mov rsp, 0x180000
    jmp r15
bits 64
user_code:
    mov rax, [rdi]
    int 0x80
user_store:
    mov [rdi], rsi
    int 0x80
user_call:
    call rdi
    int 0x80
user_end:
align 16
gdt: dq 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00cff2000000ffff, 0x00affa000000ffff
    dw 103
    dw tss - 0x100000
    db 0x10, 0x89, 0, 0
    dq 0
gdtr: dw 55
    dq gdt
idtr: dw 4095
    dq idt
align 16
tss: dd 0
    dq 0x180000
    times 92 db 0
align 16
idt: times 4096 db 0
work:
`;

const INDEXES = [0, 1, 2, 3, 7, 8, 511];

interface Table { gpa: number; level: number }
const TABLES: readonly Table[] = [
  { gpa: TESTED, level: 3 }, { gpa: TESTED + 0x1000, level: 2 }, { gpa: TESTED + 0x2000, level: 2 },
  ...[3, 4, 5, 6].map((n) => ({ gpa: TESTED + n * 0x1000, level: 1 })),
];

/** An entry that mostly makes sense: sometimes the wrong level's table, another frame's, a reserved bit. */
function entryValue(p: Pick, level: number): bigint {
  const next = TABLES.filter((table) => table.level === level - 1);
  const large = level > 1 && p.chance(25);
  const target = level === 1 ? (p.chance(85) ? DATA + p.below(16) * 4096 : p.of(TABLES).gpa) : large ? (level === 2 ? p.of([0x400000, 0x600000]) : 0) : p.chance(92) ? p.of(next).gpa : p.of(TABLES).gpa;
  let value = BigInt(target);
  if (p.chance(88)) value |= 1n;
  if (p.chance(75)) value |= 2n;
  if (p.chance(70)) value |= 4n;
  if (p.chance(30)) value |= 0x20n;
  if (p.chance(30)) value |= 0x40n;
  if (large) value |= 0x80n;
  if (p.chance(12)) value |= 1n << 63n;
  if (p.chance(3)) value |= 1n << 45n;
  if (p.chance(3)) value |= 0x100n;
  return value;
}

const asHex = (value: bigint): string => `0x${value.toString(16)}`;

/** One edit of one table, through the kernel's own mapping of it or through the recursive one. */
function edit(p: Pick, label: string): string {
  const table = p.of(TABLES);
  const at = table.gpa + 8 * p.of(INDEXES);
  const value = entryValue(p, table.level);
  const load = `mov rbx, ${asHex(value)}\nmov edi, ${at}`;
  const bit = p.of([0, 1, 2, 5, 6, 63]);
  return p.of([
    `${load}\nmov [rdi], rbx`, `${load}\nmov [rdi], rbx`, `${load}\nmov [rdi], rbx`, `${load}\nmov [rdi], ebx`, `${load}\nxchg [rdi], rbx\nmov [r14], rbx\nadd r14, 8`,
    `${load}\nmov rax, [rdi]\nlock cmpxchg [rdi], rbx\npushfq\npop qword [r14]\nadd r14, 8`, `${load}\nmov eax, 5\nlock cmpxchg [rdi], rbx\nmov [r14], rax\nadd r14, 8`,
    `mov edi, ${at}\nlock bts qword [rdi], ${bit}`, `mov edi, ${at}\nlock btr qword [rdi], ${bit}`, `mov edi, ${at}\nmov ecx, ${bit}\nlock btr [rdi], rcx`, `mov edi, ${at}\nbtc qword [rdi], ${bit}`,
    `mov edi, ${at}\nlock and qword [rdi], -97`, `mov edi, ${at}\nlock or qword [rdi], 0x66\npushfq\npop qword [r14]\nadd r14, 8`, `mov edi, ${at}\nand byte [rdi], 0xfd`, `mov edi, ${at}\nxor dword [rdi], 2`,
    `${load}\nmov rax, rbx\nstosq`, `${load}\nmov esi, ${LOG - 64}\nmov [rsi], rbx\nmovsq`, `mov edi, ${table.gpa}\nmov eax, 0\nmov ecx, ${p.of([1, 4, 16, 512])}\nrep stosq`,
    `mov edi, ${at}\nmov qword [rdi], 0`, `${load}\nmov [rdi], rbx\nadd qword [rdi], 0x1000\npushfq\npop qword [r14]\nadd r14, 8`, `${load}\nmov [rdi], rbx\nsub dword [rdi + 1], 0x10`, `mov edi, ${at}\nmov eax, 0x2000\nlock xadd [rdi], rax\nmov [r14], rax\nadd r14, 8`,
    `mov edi, ${at}\nmov rsp, rdi\nadd rsp, 8\npush rbx\nmov rsp, 0x180000`, `mov edi, ${at}\nshl qword [rdi], 1\nshr qword [rdi], 1`, `mov edi, ${at}\nneg qword [rdi]\nneg qword [rdi]\nnot qword [rdi]\nnot qword [rdi]\ninc qword [rdi]\ndec qword [rdi]`,
    `mov edi, ${at & ~15}\nmov eax, 1\nxor edx, edx\nxor ebx, ebx\nxor ecx, ecx\ndb 0xf0, 0x48, 0x0f, 0xc7, 0x0f\nmov [r14], rax\nadd r14, 8`, `mov edi, ${at}\nand byte [rdi + 1], 0xf0\ntest al, al\nsete [rdi + 7]`,
    // through the recursive slot, which may itself fault
    `lea r15, [rel ${label}]\nmov rdi, ${asHex(recursiveAddress(p))}\ninvlpg [rdi]\nmov rbx, ${asHex(value)}\nmov [rdi], rbx\n${label}:`,
  ]);
}

const spread = (p: Pick): bigint => BigInt(p.of(INDEXES)) * 4096n + BigInt(p.of([0, 0, 0, 1, 2])) * 0x200000n;

/** Some entry of a PT or PD of the tested half, seen through slot 511. */
function recursiveAddress(p: Pick): bigint {
  const gva = address(p);
  const level = p.of([1n, 1n, 2n]);
  return RECURSIVE | (((gva & 0xffffffffffffn) >> (9n * level)) & 0x7fffffffffn & ~7n) | (level === 2n ? 0x7fc0000000n : 0n);
}

/** In the large page at the very bottom the tables themselves can be met. */
const address = (p: Pick): bigint => p.chance(6) ? HIGH + BigInt(p.below(4)) * 0x40000000n + BigInt(TESTED + p.below(8) * 4096) : (p.chance(50) ? LOW : HIGH + BigInt(p.of([0, 1, 2, 3])) * 0x40000000n) + spread(p);

function access(p: Pick, label: string, flushed: boolean): string {
  const gva = address(p) + BigInt(p.of([0, 8, 0x100, 0xffc]));
  const lines = [`lea r15, [rel ${label}]`, `mov rdi, ${asHex(gva)}`];
  if (!flushed) lines.push('invlpg [rdi]', `lea rsi, [rdi + 7]`, 'invlpg [rsi]');
  const call = gva & ~0xfffn | 0xff0n;
  const user = (entry: string): string[] => ['push 0x1b', 'push 0', 'push 2', 'push 0x23', `push ${0x120000} + ${entry} - user_code`, 'iretq'];
  lines.push(...p.of<string[]>([
    ['mov rax, [rdi]', 'mov [r14], rax', 'add r14, 8'], ['mov rax, [rdi]', 'mov [r14], rax', 'add r14, 8'],
    [`mov rsi, ${asHex(gva ^ 0x5555n)}`, 'mov [rdi], rsi'], [`mov rsi, ${asHex(gva ^ 0x5555n)}`, 'mov [rdi], rsi'], ['add qword [rdi], 3'], ['lock inc dword [rdi]'],
    [`mov rdi, ${asHex(call)}`, 'invlpg [rdi]', 'call rdi'], user('user_code'), user('user_code'), ['mov rsi, rdi', ...user('user_store')], ['mov rsi, rdi', ...user('user_store')],
    [`mov rdi, ${asHex(call)}`, 'invlpg [rdi]', ...user('user_call')], ['push qword 0x40002', 'popfq', 'mov rax, [rdi]', 'mov [rdi], rax', 'push qword 2', 'popfq'],
  ]));
  return `${lines.join('\n')}\n${label}:`;
}

const MODES = ['mov rax, cr0\nbtc rax, 16\nmov cr0, rax', 'mov rax, cr4\nbtc rax, 20\nmov cr4, rax', 'mov rax, cr4\nbtc rax, 21\nmov cr4, rax', 'mov rax, cr4\nbtc rax, 7\nmov cr4, rax', 'mov ecx, 0xc0000080\nrdmsr\nxor eax, 0x800\nwrmsr', 'mov rax, cr3\nmov [r14], rax\nadd r14, 8'];

/** A guest of so many steps. SMAP, SMEP, WP and NX change as it goes when `modes`. */
export function randomGuest(seed: number, steps: number, modes = true): string {
  const p = picker(seed);
  const out = [PROLOGUE];
  let root = POOL;
  let flushed = false;
  for (let n = 0; n < steps; n++) {
    const label = `.s${n}`;
    if (p.chance(45)) {
      out.push(edit(p, label));
      flushed = false;
    } else if (p.chance(14)) {
      root = p.of([POOL, POOL + 0x1000]);
      out.push(`mov eax, ${root}\nmov cr3, rax`);
      // global pages outlive it
      flushed = false;
    } else if (modes && p.chance(10)) out.push(p.of(MODES));
    else {
      out.push(access(p, label, flushed));
      flushed = false;
    }
  }
  out.push('mov al, 0x10', 'out 0xf4, al', 'hlt');
  return out.join('\n');
}
