/**
 * A guest of random kernel code: many short pieces, each from registers of its own, each leaving what it made of them in a log.
 * What they do is all that ring 0 may: arithmetic, memory, branches, calls, flags, tables, control registers, faults, interrupts.
 */
export const LOG_AT = 0x300000;
export const LOG_ENTRY = 256;
const DATA = 0x280000;

const REGS = ['rax', 'rcx', 'rdx', 'rbx', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const R32 = ['eax', 'ecx', 'edx', 'ebx', 'ebp', 'esi', 'edi', 'r8d', 'r9d', 'r10d', 'r11d', 'r12d', 'r13d', 'r14d', 'r15d'];

export interface Chance {
  below(n: number): number;
  pick<T>(list: readonly T[]): T;
  word(): bigint;
}

/** xorshift32 */
export function chance(seed: number): Chance {
  let x = seed | 1;
  const next = (): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  const below = (n: number): number => next() % n;
  return { below, pick: (list) => list[below(list.length)]!, word: () => (BigInt(next()) << 32n) | BigInt(next()) };
}

let label = 0;
const fresh = (): string => `l${label++}`;
const hex = (n: bigint | number): string => `0x${n.toString(16)}`;

type Piece = (c: Chance) => string[];
const place = (c: Chance): string => c.pick([`[rel data + ${8 * c.below(32)}]`, `[${hex(DATA + 8 * c.below(32))}]`, `[r15 + ${8 * c.below(16)}]`, `[r15 + r14*8]`]);
/** r14 and r15 stay an index and the data, so that memory is reached in all ways. */
const free = (c: Chance): string => c.pick(REGS.slice(0, 13));

const arithmetic: Piece = (c) => [`${c.pick(['add', 'sub', 'adc', 'sbb', 'xor', 'and', 'or', 'cmp', 'test'])} ${free(c)}, ${c.pick(REGS)}`];
const narrow: Piece = (c) => [`${c.pick(['add', 'sub', 'imul', 'xor', 'cmp', 'cmovc', 'cmovnz'])} ${R32[c.below(13)]}, ${c.pick(R32)}`];
const shift: Piece = (c) => [`${c.pick(['shl', 'shr', 'sar', 'rol', 'ror', 'rcl'])} ${free(c)}, ${1 + c.below(40)}`];
const memory: Piece = (c) => c.pick([
  () => [`mov ${place(c)}, ${c.pick(REGS)}`], () => [`mov ${free(c)}, ${place(c)}`], () => [`add ${place(c)}, ${c.pick(REGS)}`], () => [`xor ${free(c)}, ${place(c)}`],
  () => [`lea ${free(c)}, [rel data + ${c.below(100)}]`], () => [`inc qword ${place(c)}`], () => [`xadd ${place(c)}, ${free(c)}`], () => [`movzx ${R32[c.below(13)]}, byte ${place(c)}`],
])();
const stack: Piece = (c) => c.pick([
  () => [`push ${c.pick(REGS)}`, `pop ${free(c)}`], () => [`push qword ${place(c)}`, `pop qword ${place(c)}`], () => [`push ${hex(c.below(0x7fffffff))}`, `pop ${free(c)}`],
  () => ['enter 32, 0', `mov [rbp - 8], ${free(c)}`, 'leave'],
])();
const flags: Piece = (c) => c.pick([
  () => ['pushfq', `pop ${free(c)}`], () => ['cli'], () => ['sti'], () => ['stc'], () => ['cmc'], () => ['std', 'cld'], () => ['lahf'], () => ['sahf'],
  () => ['pushfq', `xor qword [rsp], ${hex(c.pick([1, 0x40, 0x200, 0x800, 0x4, 0x3000, 0x240]))}`, 'popfq', 'pushfq', `pop ${free(c)}`],
  () => ['cli', 'pushfq', `pop ${free(c)}`, 'sti', 'pushfq', `pop ${free(c)}`], () => ['db 0x66, 0x9c', 'db 0x66, 0x9d'],
])();
const branch: Piece = (c) => {
  const to = fresh();
  return c.pick([
    () => [`j${c.pick(['z', 'nz', 'c', 'nc', 's', 'o', 'p', 'l', 'g', 'a', 'be'])} ${to}`, ...arithmetic(c), `${to}:`],
    () => [`jmp ${to}`, 'ud2', `${to}:`],
    () => [`mov ecx, ${1 + c.below(5)}`, `${to}:`, ...arithmetic(c).map((line) => line.replace(/\brcx\b/g, 'rdx')), `loop ${to}`],
    () => [`jrcxz ${to}`, ...arithmetic(c), `${to}:`],
    () => ['xor ecx, ecx', `jrcxz ${to}`, 'ud2', `${to}:`],
  ])();
};
const calls: Piece = (c) => c.pick([
  () => [`call sub${c.below(4)}`], () => [`lea ${'rax'}, [rel sub${c.below(4)}]`, 'call rax'], () => [`call [rel table + ${8 * c.below(4)}]`], () => [`mov ebx, ${c.below(4)}`, 'call [table + rbx*8]'],
  () => [`push rax`, `push rax`, `call popper`], () => { const back = fresh(); return [`lea rax, [rel ${back}]`, 'push rax', `jmp [rel table + ${8 * c.below(4)}]`, `${back}:`]; },
])();
const system: Piece = (c) => c.pick([
  () => [`mov ${free(c)}, cr0`], () => [`mov ${free(c)}, cr3`], () => [`mov ${free(c)}, cr4`], () => [`mov eax, ${c.below(16)}`, 'mov cr8, rax', `mov ${free(c)}, cr8`],
  () => [`mov eax, ${c.below(16)}`, 'mov r11, rax', 'mov cr8, r11', 'mov r9, cr8'], () => ['mov rax, cr0', 'or rax, 8', 'mov cr0, rax', `mov ${free(c)}, cr0`, 'clts'],
  () => ['mov rax, cr3', 'mov cr3, rax'], () => [`mov eax, ${hex(DATA)}`, 'invlpg [rax]'], () => ['sgdt [rel place]', `mov ${free(c)}, [rel place + 2]`], () => ['sidt [rel place]', `mov ${free(c)}, [rel place + 2]`],
  () => ['sidt [r15]', `mov ${free(c)}, [r15]`], () => ['lgdt [rel gdtr]'], () => ['lidt [rel idtr]'], () => ['mov eax, cs', `mov ${free(c)}, rax`], () => ['mov eax, ss'], () => ['mov [rel place], cs', 'mov ax, [rel place]'],
  () => ['mov ax, 0x10', `mov ${c.pick(['ds', 'es', 'ss'])}, ax`, `mov edx, ${c.pick(['ds', 'es', 'ss'])}`], () => ['db 0x0f, 0x01, 0xe0'], () => ['db 0x48, 0x0f, 0x01, 0xe3'], () => ['db 0x0f, 0x00, 0xca'], () => ['db 0x0f, 0x00, 0xc1'],
  () => [`mov ecx, ${c.pick(['0xc0000100', '0xc0000102', '0xc0000081', '0xc0000082'])}`, `mov eax, ${hex(c.below(0x7fffffff))}`, 'xor edx, edx', 'wrmsr', 'rdmsr'], () => ['swapgs'],
  () => ['mov ax, 8', 'db 0x0f, 0x02, 0xc8'], () => ['mov ax, 0x10', 'db 0x0f, 0x03, 0xd0'], () => ['mov ax, 0x18', 'db 0x0f, 0x00, 0xe8'], () => [`mov al, ${c.below(256)}`, 'out 0x81, al'], () => ['in al, 0x21'],
  () => ['mov rax, dr7', 'mov dr3, rdi', 'mov rsi, dr3'], () => ['wbinvd'],
])();
const traps: Piece = (c) => c.pick([
  () => ['int 0x40'], () => ['int3'], () => ['ud2'], () => ['xor ecx, ecx', 'div rcx'], () => ['mov rdi, 0x00007fffffff0000', 'mov rax, [rdi]'], () => ['mov rdi, 0x7f00000000000000', 'mov [rdi], rax'],
  () => ['mov ecx, 0x12345678', 'rdmsr'], () => ['mov rax, 0x8000000000000000', 'mov cr0, rax'], () => ['mov ax, 0x48', 'mov ds, ax'], () => ['mov rdi, 0x00007fffffff0000', 'push qword [rdi]'], () => ['mov rdi, 0x00007fffffff0000', 'call [rdi]'],
  () => ['mov eax, 99', 'mov cr8, rax'], () => ['mov rdi, 0x00007fffffff0000', 'sgdt [rdi]'], () => ['mov rdi, 0x00007fffffff0000', 'mov [rdi], cs'],
])();
const frames: Piece = (c) => {
  const to = fresh();
  return c.pick([
    () => ['mov rax, rsp', 'push qword 0x10', 'push rax', 'pushfq', `xor qword [rsp], ${hex(c.pick([0, 0x200, 0x41, 0x800]))}`, 'push qword 8', `lea rbx, [rel ${to}]`, 'push rbx', 'iretq', `${to}:`, 'pushfq', 'pop rdx'],
    () => [`lea rbx, [rel ${to}]`, 'push qword 8', 'push rbx', 'db 0x48, 0xcb', `${to}:`],
    () => [`mov edi, ${hex(DATA + 0x200)}`, `mov ecx, ${c.below(20)}`, c.pick(['rep stosb', 'rep stosq'])], () => [`lea rsi, [rel data]`, `mov edi, ${hex(DATA + 0x300)}`, `mov ecx, ${c.below(30)}`, 'rep movsb'],
  ])();
};

const PIECES: readonly Piece[] = [arithmetic, arithmetic, narrow, shift, memory, memory, memory, stack, flags, flags, branch, branch, calls, calls, system, system, traps, frames];

/** Registers set, a few pieces, registers and flags written to the log. */
function snippet(c: Chance, n: number): string[] {
  const out = [`s${n}:`];
  REGS.forEach((name, k) => {
    out.push(k === 13 ? `mov r14d, ${c.below(16)}` : k === 14 ? `mov r15d, ${hex(DATA)}` : `mov ${name}, ${hex(c.below(3) === 0 ? BigInt(c.below(4)) : c.word())}`);
  });
  out.push(`mov dword [rel skip], s${n}_end`, 'mov [rel top], rsp', `push qword ${hex(0x202 | (c.below(2) ? 0x8d5 : 0))}`, 'popfq');
  for (let k = 0; k < 2 + c.below(5); k++) out.push(...c.pick(PIECES)(c));
  out.push(`s${n}_end:`, `mov dword [rel entry], ${hex(LOG_AT + LOG_ENTRY * n)}`, 'call record');
  return out;
}

/** The whole guest's source; it leaves by the debug port, and its log begins at LOG_AT. */
export function randomKernel(seed: number, count: number): string {
  label = 0;
  const c = chance(seed);
  const body: string[] = [];
  for (let n = 0; n < count; n++) body.push(...snippet(c, n));
  return `${HEAD}\n${body.join('\n')}\n${FOOT}`;
}

const HEAD = `
bits 64
org 0x100000
start:
    mov rsp, 0x1ff000
    lgdt [gdtr]
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    push qword 8
    lea rax, [rel .code]
    push rax
    db 0x48, 0xcb
.code:
    mov edi, idt
    mov ecx, 256
    lea rax, [rel faults]
.gate:
    mov [rdi], ax
    mov word [rdi + 2], 8
    mov word [rdi + 4], 0x8f00
    mov rdx, rax
    shr rdx, 16
    mov [rdi + 6], dx
    mov qword [rdi + 8], 0
    add rdi, 16
    add rax, 16
    loop .gate
    lidt [idtr]
    lea rax, [rel tss]
    mov [rel gdt.tss + 2], ax
    shr rax, 16
    mov [rel gdt.tss + 4], al
    mov ax, 0x28
    ltr ax
    jmp s0
`;

const FOOT = `
    mov al, 1
    out 0xf4, al
stop:
    hlt
    jmp stop

; registers and flags of a snippet, then of its data
record:
    push rax
    pushfq
    mov eax, [rel entry]
    pop qword [rax + 8]
    pop qword [rax]
    mov [rax + 16], rcx
    mov [rax + 24], rdx
    mov [rax + 32], rbx
    mov [rax + 40], rbp
    mov [rax + 48], rsi
    mov [rax + 56], rdi
    mov [rax + 64], r8
    mov [rax + 72], r9
    mov [rax + 80], r10
    mov [rax + 88], r11
    mov [rax + 96], r12
    mov [rax + 104], r13
    mov [rax + 112], r14
    mov [rax + 120], r15
    mov rbx, [rsp]
    mov [rax + 128], rbx
    mov rbx, [rel seen]
    mov [rax + 136], rbx
    mov rbx, cr2
    mov [rax + 144], rbx
    mov [rax + 152], rsp
    mov qword [rel seen], 0
    ret

; a fault ends its snippet, a software interrupt goes on
align 16
faults:
%assign vector 0
%rep 256
    align 16
    push qword vector
    jmp near on_fault
    %assign vector vector + 1
%endrep
    align 16
on_fault:
    cmp qword [rsp], 0x40
    je .soft
    cmp qword [rsp], 3
    je .soft
    mov [rel kept], rax
    mov rax, [rsp]
    shl rax, 32
    add rax, [rsp + 8]              ; the error code, or rip
    mov [rel seen], rax
    mov rax, rsp
    mov [rel deep], rax
    mov rsp, [rel top]
    push qword 0x10
    push qword [rel top]
    push qword 0x202
    push qword 8
    mov eax, [rel skip]
    push rax
    mov rax, [rel kept]
    iretq
.soft:
    add rsp, 8
    inc qword [rel seen]
    push rax
    mov rax, [rsp + 24]
    add [rel seen], rax
    pop rax
    iretq

sub0:
    add rax, 1
    ret
sub1:
    xor rdx, rax
    ret
sub2:
    push rbx
    call sub0
    pop rbx
    ret
sub3:
    pushfq
    cli
    popfq
    ret
popper:
    add rcx, 3
    ret 16

align 8
table: dq sub0, sub1, sub2, sub3
gdt:
    dq 0
    dq 0x00af9b000000ffff
    dq 0x00cf93000000ffff
    dq 0x00cff3000000ffff
    dq 0x00affb000000ffff
.tss:
    dw 103, 0
    db 0, 0x89, 0, 0
    dq 0
gdt_end:
gdtr:
    dw gdt_end - gdt - 1
    dq gdt
idtr:
    dw 4095
    dq idt
times 4096 db 0
align 16
place: dq 0, 0
skip: dq 0
entry: dq 0
top: dq 0
seen: dq 0
kept: dq 0
deep: dq 0
data: times 64 dq 0
tss: times 128 db 0
align 16
idt: times 4096 db 0
`;
