/** Binary translation of whole guests: the structure that Adams and Agesen tell of, and guests that make it hard. */
import { expect, it } from 'vitest';
import { readGuest } from '../../../src/engine/hypervisor/memory/frames.ts';
import { cacheOf } from '../../../src/engine/hypervisor/cpu/translate-cache.ts';
import type { TechniqueName } from '../../../src/engine/hypervisor/vm.ts';
import { type Bench, go, key, MS, power, tiny } from './bench.ts';

const events = (b: Bench): Record<string, number> => Object.fromEntries([...b.vm.ledger.events].map(([name, row]) => [name, row.count]));
const callouts = (b: Bench): number => cacheOf(b.vm).counts.callouts;

it('boots tiny, which answers as on its own machine', () => {
  const b = power(tiny(), { technique: 'binary-translation' });
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  for (const [pressed, says] of [['t', /\d+\r\n$/], ['c', /cpu GenuineIntel\r\n$/], ['p', /touched 64 pages\r\n$/]] as const) {
    b.said = '';
    key(b, pressed);
    go(b, b.now + 60 * MS);
    expect(b.said).toMatch(says);
  }
  key(b, 'q');
  go(b, b.now + 60 * MS);
  expect(b.ended).toBe('{"how":"power-off"}');
  const { places } = b.vm.ledger;
  expect([places.guest, places.kernel, places.translated > 0, places.user > 0]).toEqual([0, 0, true, true]);
});

/** Loops with calls and branches; between OUT 1 and OUT 2 they have run before. */
const LOOPS = `bits 64
org 0x100000
    mov rsp, 0x180000
    mov ebp, 2
.again:
    mov al, 3
    sub al, bpl
    out 0x80, al
    mov ecx, 5000
.loop:
    mov eax, ecx
    and eax, 7
    cmp eax, 3
    jne .other
    call more
.other:
    call [table]
    lea rax, [rel less]
    call rax
    pushfq
    cli
    popfq
    dec ecx
    jnz .loop
    dec ebp
    jnz .again
    mov al, 3
    out 0x80, al
    mov al, 0
    out 0xf4, al
    hlt
more:
    add ebx, ecx
    ret
less:
    sub edx, 3
    ret
table: dq less
`;

it('has units of at most 12 instructions, most of them as they were, and chained loops that call for nothing', () => {
  const b = power(LOOPS, { technique: 'binary-translation' });
  const cache = cacheOf(b.vm);
  const seen: number[] = [];
  while (b.ended === '') {
    go(b, b.now + 50 * MS, 'to-exit');
    if (b.vm.ledger.marks.length > seen.length) seen.push(callouts(b));
  }
  expect(b.vm.ledger.marks.map((mark) => mark.value)).toEqual([1, 2, 3]);
  // from the second mark to the third 5,000 rounds with four returns or indirect calls each: what is left is the way out of the loops and the marks
  expect(seen[2]! - seen[1]!).toBeLessThanOrEqual(3);
  expect(seen[1]! - seen[0]!).toBeGreaterThan(10);
  expect(cache.all.every((unit) => unit.instructions.length <= 12)).toBe(true);
  const all = cache.all.flatMap((unit) => unit.instructions);
  expect(all.filter((one) => one.kind === 'IDENT').length / all.length).toBeGreaterThan(0.4);
  expect(all.filter((one) => one.kind === 'IDENT').every((one) => one.length === one.d.length)).toBe(true);
  expect(cache.counts.lookups).toBeGreaterThan(30_000);
});

/** Writes over an immediate of code that runs, on its own page and in the unit itself, and a table entry again and again. */
const CHANGES = `bits 64
org 0x100000
    mov rsp, 0x180000
    xor ebx, ebx
    mov ecx, 20
.loop:
    mov [rel .value + 1], ecx
.value:
    mov eax, 0x11111111
    add ebx, eax
    mov byte [rel other.what + 2], cl
    call other
    dec ecx
    jnz .loop
    mov [0x200000], rbx
    mov ecx, 100
    mov rax, cr3
.table:
    mov rdx, [rax + 8 * 300]
    mov [rax + 8 * 300], rdx
    dec ecx
    jnz .table
    mov al, 0
    out 0xf4, al
    hlt
times 5000 nop
other:
.what:
    add ebx, 1
    ret
`;

it('follows code that changes itself, and translates stores to watched pages again', () => {
  const result = (technique: TechniqueName): [string, number, Bench] => {
    const b = power(CHANGES, { technique });
    go(b, 200 * MS);
    return [b.ended, new DataView(readGuest(b.vm, 0x200000, 8).slice().buffer).getUint32(0, true), b];
  };
  const [ended, sum] = result('native');
  expect([ended, sum]).toEqual(['{"how":"debug-exit","status":1}', 2 * 210]);
  const [over, same, b] = result('binary-translation');
  expect([over, same]).toEqual([ended, sum]);
  expect(events(b)['adaptive write']).toBeGreaterThan(90);
  expect(cacheOf(b.vm).counts.dropped).toBeGreaterThan(20);
});

/** The timer ticks while sequences run; the handler looks at what it interrupted. */
const TICKS = `bits 64
org 0x100000
    mov rsp, 0x180000
    lgdt [rel gdtr]
    lea rax, [rel tick]
    mov edi, 0x5000 + 32 * 16
    mov [rdi], ax
    mov word [rdi + 2], 8
    mov word [rdi + 4], 0x8e00
    shr rax, 16
    mov [rdi + 6], ax
    mov qword [rdi + 8], 0
    lidt [rel idtr]
    mov al, 0x11
    out 0x20, al
    mov al, 32
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xfe
    out 0x21, al
    mov al, 0x34
    out 0x43, al
    mov al, 0x40
    out 0x40, al
    mov al, 1
    out 0x40, al
    xor ebx, ebx
    mov r8, 0x1111
    sti
.loop:
    pushfq
    cli
    mov rcx, 0x2222
    popfq
    call nothing
    cmp r8, 0x1111
    jne bad
    cmp rcx, 0x2222
    jne bad
    cmp rsp, 0x180000
    jne bad
    cmp ebx, 200
    jb .loop
    mov al, 1
    out 0xf4, al
bad:
    mov al, 2
    out 0xf4, al
    hlt
nothing:
    ret
tick:
    push rax
    inc ebx
    test qword [rsp + 24], 0x200    ; it came with interrupts on
    jz bad
    mov al, 0x20
    out 0x20, al
    pop rax
    iretq
align 8
gdt: dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr: dw 23
    dq gdt
idtr: dw 4095
    dq 0x5000
`;

it('takes interrupts between guest instructions, at any place in the cache', () => {
  const b = power(TICKS, { technique: 'binary-translation' });
  go(b, 300 * MS);
  expect(b.ended).toBe('{"how":"debug-exit","status":3}');
  expect(events(b)['interrupt 32']).toBe(200);
});

it('steps one guest instruction at a time', () => {
  const walk = (technique: TechniqueName): string[] => {
    const b = power(CHANGES, { technique });
    const rips: string[] = [];
    for (let n = 0; n < 40; n++) {
      go(b, b.now + 10 * MS, 'step');
      rips.push(b.vm.way.cpu.state.register(b.vm, 'rip').toString(16));
    }
    return [...new Set(rips)];
  };
  expect(walk('binary-translation')).toEqual(walk('native'));
});

/** A kernel that goes up to its own addresses: where the monitor is near, and where no 32-bit displacement reaches from the cache. */
const high = (base: string, slot: number, third: number): string => `bits 64
org 0x100000
    mov rsp, 0x180000
    lgdt [rel gdtr]
    mov edi, 0x200000
    xor eax, eax
    mov ecx, 0x3000 / 8
    rep stosq
    mov rax, cr3
    mov rax, [rax]
    mov [0x200000], rax
    mov qword [0x200000 + 8 * ${slot}], 0x201003
    mov qword [0x201000 + 8 * ${third}], 0x202003
    mov qword [0x202000], 0x83
    mov eax, 0x200000
    mov cr3, rax
    lea rbx, [rel up]
    mov r15, ${base}
    add rbx, r15
    add rsp, r15
    jmp rbx
up:
    lidt [rel idtr]
    lea rax, [rel fault]
    lea rdi, [rel idt]
    mov [rdi + 14 * 16], ax
    mov word [rdi + 14 * 16 + 2], 8
    mov word [rdi + 14 * 16 + 4], 0x8f00
    shr rax, 16
    mov [rdi + 14 * 16 + 6], ax
    shr rax, 16
    mov [rdi + 14 * 16 + 8], eax
    mov dword [rdi + 14 * 16 + 12], 0
    mov ecx, 50
.loop:
    call count
    push qword [rel total]
    pop qword [rel copy]
    add [rel copy], rcx
    lea rdx, [rel count]
    call rdx
    call [rel pointer]
    mov rsi, [rel total]
    cmp byte [rel total], ah
    dec ecx
    jnz .loop
    mov rax, 0xffffffffbffff000
    mov [rax], rbx                                        ; nobody has that
    mov rax, -0x1000
    inc dword [rel stage]
    mov rbx, [rax]                                        ; nor, for the guest, this
    mov al, 1
    out 0xf4, al
    hlt
count:
    inc qword [rel total]
    ret
fault:
    mov rax, cr2
    add [rel faults], rax
    mov rax, [rsp]
    mov [rel codes], rax
    inc qword [rel copy]
    cmp dword [rel stage], 0
    je .first
    mov rax, [rel faults]
    mov [0x300000], rax
    mov rax, [rel codes]
    mov [0x300008], rax
    mov rax, [rel copy]
    mov [0x300010], rax
    mov rax, [rel total]
    mov [0x300018], rax
    mov al, 0
    out 0xf4, al
.first:
    add rsp, 8
    add qword [rsp], 3                                    ; over the store
    iretq
align 8
gdt: dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr: dw 23
    dq gdt + ${base}
idtr: dw 4095
    dq idt + ${base}
total: dq 0
copy: dq 0
pointer: dq count + ${base}
faults: dq 0
codes: dq 0
stage: dq 0
align 16
idt: times 256 * 16 db 0
`;

it.each([['0xffffffff80000000', 511, 510], ['0xffff800000000000', 256, 0], ['0xffffff8000000000', 511, 0]] as const)('runs a kernel at %s', (base, slot, third) => {
  const result = (technique: TechniqueName): unknown => {
    const b = power(high(base, slot, third), { technique });
    go(b, 100 * MS);
    return [b.ended, [...readGuest(b.vm, 0x300000, 32)].join(' ')];
  };
  const native = result('native');
  expect(result('binary-translation')).toEqual(native);
  expect(result('trap-and-emulate')).toEqual(native);
  expect(native).toEqual(['{"how":"debug-exit","status":1}', expect.stringMatching(/150 0 0 0 0 0 0 0$/)]);
});
