/** A guest that knows its hypervisor: what it asks, what is refused, what is brought to it. */
import { describe, expect, it } from 'vitest';
import { go, MS, power } from './bench.ts';
import { domainOf } from '../../../src/engine/hypervisor/paravirt/domain.ts';

/** rbx: start_info. `call nr` is a hypercall, `say text` writes a line, `check value` compares rax and says ok or its value. */
const PRELUDE = `
bits 64
org 0x100000
%macro hyper 1
    mov eax, %1
    int 0x82
%endmacro
%macro say 1
    jmp %%over
%%text: db %1, 10
%%over:
    xor edi, edi
    mov esi, %%over - %%text
    lea rdx, [rel %%text]
    hyper 18
%endmacro
start:
    mov rbx, rdx
    mov rbp, [rbx + 96]         ; frame list
    lea rdi, [rel traps]
    hyper 0
    xor edi, edi
    mov rsi, 0x60000
    hyper 3
    lea rdi, [rel on_event]
    xor esi, esi
    lea rdx, [rel on_syscall]
    hyper 4
    jmp main
traps:
    dw 14, 0
    dd 0
    dq on_fault
    dw 13, 0
    dd 0
    dq on_general
    dq 0, 0
on_general:
    say 'general protection'
    add qword [rsp + 24], 1     ; over HLT
    jmp return_error
return_error:
    pop rcx
    pop r11
    add rsp, 8
    iretq
; prints rax as a decimal, signed
number:
    push rbx
    lea rdi, [rel digits_end]
    mov byte [rdi], 10
    mov r8, rax
    test rax, rax
    jns .next
    neg rax
.next:
    xor edx, edx
    mov ecx, 10
    div rcx
    add dl, '0'
    dec rdi
    mov [rdi], dl
    test rax, rax
    jnz .next
    test r8, r8
    jns .out
    dec rdi
    mov byte [rdi], '-'
.out:
    mov rdx, rdi
    lea rsi, [rel digits_end]
    sub rsi, rdx
    inc rsi
    xor edi, edi
    hyper 18
    pop rbx
    ret
off:
    mov edi, 2
    lea rsi, [rel zero]
    hyper 29
    jmp $
zero: dq 0, 0
digits: times 24 db 0
digits_end: db 10
`;
/** Handlers that a case does not give itself. */
const DEFAULTS: Readonly<Record<string, string>> = { on_event: 'ud2', on_syscall: 'ud2', on_fault: 'ud2' };

function boot(main: string, handlers: Partial<typeof DEFAULTS> = {}) {
  const rest = Object.entries({ ...DEFAULTS, ...handlers }).map(([name, code]) => `${name}:\n${code}\n`).join('');
  return power(`${PRELUDE}${rest}\nmain:\n${main}\n    jmp off\n`, { technique: 'paravirt' });
}

describe('paravirtualized guest', () => {
  it('starts in ring 1 with its memory mapped, its frames listed and its command line told', () => {
    const b = boot(`
    mov eax, cs
    and eax, 3
    call number
    mov rax, [rbx + 32]
    call number
    mov rax, [rbp + 8*256]      ; machine frame of guest frame 256
    mov rdx, 0xffff800000000000
    mov rax, [rdx + rax*8]      ; and back
    call number
    cmp dword [rbx], 'xen-'
    jne off
    say 'start info'`);
    go(b, 200 * MS);
    expect([b.ended, b.said]).toEqual(['{"how":"power-off"}', '1\n4096\n256\nstart info\n']);
    expect(b.vm.ledger.events.get('hypercall console_io')?.count).toBe(4);
    expect(b.vm.ledger.places.guest).toBe(0);
    expect(b.vm.exitsEver).toBe(0);
  });

  it('may read its page tables, may not write them, and is told of every refused update', () => {
    const b = boot(`
    mov r12, [rbx + 80]         ; its L4
    mov rax, [r12]
    and eax, 1
    call number
    mov qword [r12 + 8], 7      ; faults
    say 'still here'
    mov rax, [rbp + 8*300]
    shl rax, 12
    or rax, 0x63
    lea rdi, [rel request]
    mov [rdi + 8], rax          ; a level 2 entry for what is a level 1 table? no: frame 300 becomes one
    mov rax, [rbp + 8*256]
    shl rax, 12
    mov [rdi], rax              ; an ordinary page's machine address: just a store
    mov esi, 1
    lea rdx, [rel done]
    xor r10d, r10d
    hyper 1
    call number
    ; the L4's own frame mapped writable: refused
    mov rax, [rbx + 80]
    shr rax, 12
    mov rax, [rbp + rax*8]
    shl rax, 12
    or rax, 0x63
    mov rsi, rax
    mov edi, 0x200000
    xor edx, edx
    hyper 14
    call number
    ; a frame that is not its own
    mov edi, 0x200000
    mov esi, 0x63
    xor edx, edx
    hyper 14
    call number
    ; no such hypercall, and a table it may not set
    hyper 99
    call number
    hyper 2
    call number
    jmp off
request: dq 0, 0
done: dq 0`, { on_fault: `
    say 'fault'
    mov rax, [rsp + 16]         ; error code: write, present
    call number
    add qword [rsp + 24], 9
    jmp return_error` });
    go(b, 200 * MS);
    expect(b.said.split('\n')).toEqual(['1', 'fault', '3', 'still here', '0', '-16', '-1', '-38', '-38', '']);
    expect(domainOf(b.vm).refused).toMatch(/update_va_mapping: frame 0x0 is not the domain's|update_va_mapping: entry 0x63/);
  });

  it('validates a table when it is pinned, batches updates, and changes the root', () => {
    const b = boot(`
    ; frames 512..575 leave the writable mapping, become an L1 in the making: unmap frame 600 first
    mov edi, 600*4096
    xor esi, esi
    mov edx, 2
    hyper 14
    call number
    mov rax, [rbp + 8*600]
    mov [rel op + 8], rax
    lea rdi, [rel op]
    mov esi, 1
    xor edx, edx
    mov r10d, 0x7ff0
    hyper 26                    ; pin it as L1: all zero, fine
    call number
    mov rax, [rbp + 8*600]
    shl rax, 12
    lea rdi, [rel batch]
    mov ecx, 64
    mov r9, [rbp + 8*601]
    shl r9, 12
    or r9, 0x61                 ; read-only, present
.fill:
    mov [rdi], rax
    mov [rdi + 8], r9
    add rax, 8
    add rdi, 16
    loop .fill
    lea rdi, [rel batch]
    mov esi, 64
    lea rdx, [rel count]
    mov r10d, 0x7ff0
    hyper 1
    call number
    mov rax, [rel count]
    call number
    ; writable to a page that is an L1: busy
    lea rdi, [rel batch]
    mov rax, [rbp + 8*600]
    shl rax, 12
    or rax, 0x63
    mov [rdi + 8], rax
    mov esi, 1
    xor edx, edx
    hyper 1
    call number
    ; pinned twice
    lea rdi, [rel op]
    mov esi, 1
    xor edx, edx
    hyper 26
    call number
    jmp off
op: dd 0, 0
    dq 0, 0
count: dq 0
batch: times 128 dq 0`);
    go(b, 300 * MS);
    expect(b.said.split('\n')).toEqual(['0', '0', '0', '64', '-16', '-22', '']);
    const { costs, ledger } = b.vm;
    const update = ledger.events.get('hypercall mmu_update')!;
    expect(update.count).toBe(2);
    expect(update.cycles).toBe(2 * costs.paravirt.hypercall + 64 * costs.paravirt.validate);
  });

  it('gets exceptions of its processes, their system calls, and returns by hypercall', () => {
    const b = boot(`
    ; a page for the process: frame 700, user
    mov rax, [rbp + 8*700]
    shl rax, 12
    or rax, 0x67
    mov rsi, rax
    mov edi, 700*4096
    mov edx, 2
    hyper 14
    lea rsi, [rel process]
    mov edi, 700*4096
    mov ecx, process_end - process
    rep movsb
    ; the tables above it are the domain's: user there too
    mov r12, [rbx + 80]
    mov rax, [r12]              ; L4 entry
    or rax, 4
    mov [rel batch + 8], rax
    mov rax, r12
    shr rax, 12
    mov rax, [rbp + rax*8]
    shl rax, 12
    mov [rel batch], rax
    lea rdi, [rel batch]
    mov esi, 1
    xor edx, edx
    hyper 1
    call number
    mov rax, [r12]
    and rax, -4096
    mov r13, rax                ; L3, machine
    mov [rel batch], rax
    shr rax, 12
    mov rdx, 0xffff800000000000
    mov rax, [rdx + rax*8]
    shl rax, 12
    mov r14, rax                ; linear, as memory is one to one
    mov rax, [r14]
    or rax, 4
    mov [rel batch + 8], rax
    lea rdi, [rel batch]
    mov esi, 1
    xor edx, edx
    hyper 1
    mov rax, [r14]
    and rax, -4096
    mov r15, rax                ; L2, machine
    shr rax, 12
    mov rdx, 0xffff800000000000
    mov rax, [rdx + rax*8]
    shl rax, 12
    mov rax, [rax + 8]          ; its second entry: 2 MiB to 4 MiB
    or rax, 4
    mov [rel batch + 8], rax
    lea rax, [r15 + 8]
    mov [rel batch], rax
    lea rdi, [rel batch]
    mov esi, 1
    xor edx, edx
    hyper 1
    mov rax, 0
    mov edi, 6
    push qword 0xe01b           ; ss
    push qword 700*4096 + 0x800 ; rsp
    push qword 0x202
    push qword 0xe023
    push qword 700*4096
    push qword 0
    push rcx
    push r11
    push rax
    hyper 23
batch: dq 0, 0
process:
    mov eax, 42
    syscall
    hlt
process_end:`, { on_syscall: `
    mov rax, rax
    call number
    mov rax, [rsp + 24]         ; its code selector
    call number
    pop rcx
    pop r11
    iretq`, on_fault: 'ud2' });
    b.said = '';
    go(b, 200 * MS);
    expect(b.said.split('\n').slice(0, 4)).toEqual(['0', '42', '57379', 'general protection']);
    expect(b.vm.ledger.events.get('system call bounced')?.count).toBe(1);
    expect(b.vm.ledger.places.user).toBeGreaterThan(0);
  });

  it('is told of time by events, when it lets them in', () => {
    const b = boot(`
    mov edi, 1
    lea rsi, [rel bind]
    hyper 32
    call number
    mov edi, 9
    lea rsi, [rel bind + 8]
    hyper 32
    mov edi, 6
    xor esi, esi
    lea rdx, [rel period]
    hyper 24
    call number
    mov r12d, 3
.wait:
    mov edi, 1                  ; block
    xor esi, esi
    hyper 29
    dec r12d
    jnz .wait
    mov rax, [rel seen]
    call number
    jmp off
align 8
bind: dq 0, 0
period: dq 10000000
seen: dq 0`, { on_event: `
    push rax
    push rdi
    mov rdi, 4096*4096          ; shared_info
    mov byte [rdi], 0
    mov qword [rdi + 8], 0
    mov qword [rdi + 0x800], 0
    inc qword [rel seen]
    pop rdi
    mov byte [4096*4096 + 1], 0 ; sti
    pop rax
    pop rcx
    pop r11
    iretq` });
    go(b, 500 * MS);
    expect([b.ended, b.said]).toEqual(['{"how":"power-off"}', '0\n0\n3\n']);
    expect(b.vm.ledger.events.get('event upcall')?.count).toBe(3);
    expect(b.now).toBeGreaterThan(29 * MS);
  });

  it('crashes alone, with a reason', () => {
    const b = boot('ud2');
    go(b, 100 * MS);
    expect(b.ended).toMatch(/domain crash: unhandled trap 6 at rip 0x10/);
  });
});
