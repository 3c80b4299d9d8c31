/** Programs to begin with: flat 64-bit images, entered at their first byte in long mode, the first 4 GiB mapped to themselves. */
export const EXAMPLES: readonly { name: string; title: string; source: string }[] = [
  {
    name: 'hello', title: 'A line on the serial port',
    source: `; A flat image: loaded at 1 MiB, entered at its first byte in long mode.
bits 64
org 0x100000

    mov rsp, 0x90000
    mov rsi, text
again:
    lodsb
    test al, al
    jz done
    mov dx, 0x3f8           ; COM1: every byte leaves the guest
    out dx, al
    jmp again
done:
    mov al, 0x10            ; isa-debug-exit: the machine ends
    out 0xf4, al
    hlt

text: db 'hello from ring 0', 13, 10, 0
`,
  },
  {
    name: 'popf', title: 'POPF, which does not trap',
    source: `; A critical section as kernels write it: PUSHF, CLI, work, POPF.
; POPF in a ring that may not change IF leaves it alone, and nobody is told.
bits 64
org 0x100000

    mov rsp, 0x90000
    sti                     ; IF is 1
    mov al, 1
    out 0x80, al            ; mark 1: lock step begins here
    pushfq
    cli
    pushfq
    pop rbx                 ; IF as the guest reads it inside: must be 0
    popfq                   ; IF back to 1
    pushfq
    pop rcx
    cli
    mov al, 2
    out 0x80, al            ; mark 2
    mov dx, 0x3f8
    mov al, '1'
    bt ebx, 9
    jc .inside
    mov al, '0'
.inside:
    out dx, al
    mov al, '1'
    bt ecx, 9
    jc .after
    mov al, '0'
.after:
    out dx, al              ; "01" is right
    mov al, 13
    out dx, al
    mov al, 10
    out dx, al
    mov al, 0x10
    out 0xf4, al
    hlt
`,
  },
  {
    name: 'tables', title: 'Page tables of one’s own, changed and flushed',
    source: `; Maps 2 MiB at 4 MiB by a page table of its own, then changes entries:
; free under EPT, a fault each under shadow paging.
bits 64
org 0x100000

    mov rsp, 0x90000
    mov rdi, cr3
    mov rdi, [rdi]          ; PML4[0]
    and rdi, -4096
    mov rdi, [rdi]          ; PDPT[0]
    and rdi, -4096
    mov qword [rdi + 16], 0x300003  ; PD[2]: a table at 3 MiB
    mov rsi, 0x300000
    mov rax, 0x600003
    mov ecx, 512
.fill:
    mov [rsi], rax
    add rsi, 8
    add rax, 0x1000
    loop .fill
    mov rax, cr3
    mov cr3, rax
    mov al, 1
    out 0x80, al            ; mark 1: eight pages are touched
    mov rdi, 0x400000
    mov ecx, 8
.touch:
    mov [rdi], rcx
    add rdi, 0x1000
    loop .touch
    mov al, 2
    out 0x80, al            ; mark 2: eight entries change and are flushed
    mov rsi, 0x300000
    mov rdi, 0x400000
    mov ecx, 8
.change:
    mov qword [rsi], 0x700003
    invlpg [rdi]
    mov rax, [rdi]
    add rsi, 8
    add rdi, 0x1000
    loop .change
    mov al, 3
    out 0x80, al
    mov al, 0x10
    out 0xf4, al
    hlt
`,
  },
  {
    name: 'exits', title: 'Instructions that always, sometimes and never leave',
    source: `; Which of these leave the guest, and under which technique?
bits 64
org 0x100000

    mov rsp, 0x90000
    mov al, 1
    out 0x80, al
    cpuid                   ; always under VT-x
    rdtsc
    mov ecx, 0xc0000080     ; EFER
    rdmsr
    mov rax, cr0
    mov rax, cr3
    mov cr3, rax
    invlpg [0x200000]
    cli
    sti
    cli
    sgdt [0x80000]          ; silent without VT-x
    smsw ax
    mov ecx, 100
.spin:
    loop .spin
    mov al, 2
    out 0x80, al
    mov al, 0x10
    out 0xf4, al
    hlt
`,
  },
];
