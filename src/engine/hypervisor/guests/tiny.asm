; tiny: a guest small enough to read in one sitting, and real: its own page tables, descriptors and interrupts, a timer,
; a serial line, and one process in ring 3 that asks the kernel for everything by SYSCALL.
;
; It is loaded at 1 MiB and entered at its first byte in long mode, the first 4 GiB mapped to themselves.
; Keys: h help, p pages, c cpu, v hypercall, t ticks, x leave by the debug port, q power off. Once a second it says so.

bits 64
org 0x100000

COM1        equ 0x3f8           ; 16550: data, +1 interrupts, +2 fifo, +3 line, +4 modem, +5 status
DEBUG_EXIT  equ 0xf4            ; isa-debug-exit, when the machine has one
PM_STATUS   equ 0x600           ; ACPI PM1a status, +2 enable: bit 8 is the power button
PM_CONTROL  equ 0x604           ; PM1a control: power off with SLP_EN | S5
HZ          equ 20
PIT_RATE    equ 1193182 / HZ

PML4        equ 0x200000
PDPT        equ 0x201000
PD          equ 0x202000
PT          equ 0x203000        ; eight tables: 16 MiB in 4 KiB pages
TABLES      equ 8
KSTACK      equ 0x1ff000
USTACK      equ 0x5ff000
USER        equ 0x400000        ; where the process runs
PLAYGROUND  equ 0x800000        ; the pages it touches, 8 MiB and up
PAGES       equ 64

KCODE       equ 0x08
KDATA       equ 0x10
UDATA       equ 0x18 | 3
UCODE       equ 0x20 | 3
TSS         equ 0x28

SYS_WRITE   equ 1               ; rdi text, rsi length
SYS_WAIT    equ 2               ; sleeps until an interrupt; rax = key or 0
SYS_TICKS   equ 3
SYS_CPU     equ 4               ; rdi: 12 bytes for the vendor's name
SYS_HYPER   equ 5               ; a hypercall; rax = its answer
SYS_EXIT    equ 6               ; rdi = status
SYS_OFF     equ 7

%macro puts 2
    lea rdi, [rel %1]
    mov esi, %2
    mov eax, SYS_WRITE
    syscall
%endmacro

start:
    mov rsp, KSTACK
    cld
    call build_tables
    mov eax, PML4
    mov cr3, rax
    lgdt [gdtr]
    mov ax, KDATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    push qword KDATA
    push qword KSTACK - 64
    pushfq
    push qword KCODE
    lea rax, [rel .reload]
    push rax
    iretq                       ; the only far jump that long mode gives away
.reload:
    mov rsp, KSTACK
    call build_tss
    call build_idt
    call start_uart
    call start_pic
    call start_pit
    call enable_syscall
    lea rsi, [rel banner]
    mov ecx, banner_end - banner
    call put
    ; copy the process to its own pages and go there
    lea rsi, [rel user_image]
    mov edi, USER
    mov ecx, user_end - user_image
    rep movsb
    push qword UDATA
    push qword USTACK
    push qword 0x202            ; interrupts on
    push qword UCODE
    push qword USER
    iretq

; ---- memory: identity, 4 KiB pages; the process may use 4 MiB and up
build_tables:
    mov edi, PML4
    xor eax, eax
    mov ecx, (3 + TABLES) * 4096 / 8
    rep stosq
    mov qword [PML4], PDPT + 7
    mov qword [PDPT], PD + 7
    mov eax, PT + 7
    mov edi, PD
    mov ecx, TABLES
.pd:
    mov [rdi], rax
    add rax, 4096
    add rdi, 8
    loop .pd
    mov edi, PT
    mov eax, 3                  ; present, writable
    mov ecx, TABLES * 512
.pt:
    mov rdx, rax
    cmp rax, USER
    jb .kernel
    or rdx, 4                   ; user
.kernel:
    mov [rdi], rdx
    add rax, 4096
    add rdi, 8
    loop .pt
    ret

build_tss:
    mov rax, KSTACK - 4096
    mov [tss + 4], rax          ; RSP0
    lea rax, [rel tss]
    mov [gdt.tss + 2], ax
    shr rax, 16
    mov [gdt.tss + 4], al
    mov [gdt.tss + 7], ah
    mov ax, TSS
    ltr ax
    ret

; ---- interrupts: 32 faults that stop the machine with a message, then the timer, the serial line and the power button
build_idt:
    lea rbx, [rel fault_entries]
    mov edi, idt
    mov ecx, 32
.fault:
    mov rax, rbx
    call gate
    add rbx, 16
    loop .fault
    lea rax, [rel on_timer]
    mov edi, idt + 32 * 16
    call gate
    lea rax, [rel on_serial]
    mov edi, idt + 36 * 16
    call gate
    lea rax, [rel on_power]
    mov edi, idt + 41 * 16
    call gate
    lidt [idtr]
    ret

gate:                           ; rdi gate, rax handler; rdi moves on
    mov [rdi], ax
    mov word [rdi + 2], KCODE
    mov word [rdi + 4], 0x8e00
    mov rdx, rax
    shr rdx, 16
    mov [rdi + 6], dx
    shr rdx, 16
    mov [rdi + 8], edx
    mov dword [rdi + 12], 0
    add rdi, 16
    ret

align 16
fault_entries:
%assign vector 0
%rep 32
    align 16
    mov al, vector
    jmp near on_fault
    %assign vector vector + 1
%endrep
    align 16

on_fault:
    movzx ebx, al
    lea rsi, [rel trap]
    mov ecx, trap_end - trap
    call put
    mov eax, ebx
    call put_decimal
    mov al, 10
    call put_byte
.stop:
    cli
    hlt
    jmp .stop

on_timer:
    push rax
    inc qword [ticks]
    mov al, 0x20
    out 0x20, al
    pop rax
    iretq

on_serial:
    push rax
    push rdx
    mov dx, COM1 + 5
    in al, dx
    test al, 1
    jz .none
    mov dx, COM1
    in al, dx
    mov [key], al
.none:
    mov al, 0x20
    out 0x20, al
    pop rdx
    pop rax
    iretq

on_power:                       ; as if q had been pressed
    push rax
    push rdx
    mov dx, PM_STATUS
    mov ax, 0x100
    out dx, ax
    mov byte [key], 'q'
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    pop rdx
    pop rax
    iretq

; ---- devices
start_uart:
    mov dx, COM1 + 3
    mov al, 0x80
    out dx, al                  ; divisor
    mov dx, COM1
    mov al, 1
    out dx, al
    mov dx, COM1 + 1
    xor eax, eax
    out dx, al
    mov dx, COM1 + 3
    mov al, 3
    out dx, al                  ; 8 bits, no parity
    mov dx, COM1 + 4
    mov al, 0x0b
    out dx, al
    mov dx, COM1 + 1
    mov al, 1
    out dx, al                  ; interrupt when a byte has come
    ret

start_pic:
    mov al, 0x11
    out 0x20, al
    out 0xa0, al
    mov al, 32
    out 0x21, al
    mov al, 40
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xea                ; open: the timer, the second controller, the serial line
    out 0x21, al
    mov al, 0xfd                ; and ACPI behind it
    out 0xa1, al
    mov dx, PM_STATUS + 2
    mov ax, 0x100
    out dx, ax
    ret

start_pit:
    mov al, 0x34
    out 0x43, al
    mov al, PIT_RATE & 0xff
    out 0x40, al
    mov al, PIT_RATE >> 8
    out 0x40, al
    ret

put:                            ; rsi text, rcx length
    jrcxz .done
.next:
    lodsb
    call put_byte
    dec rcx
    jnz .next
.done:
    ret

put_byte:
    push rdx
    mov dx, COM1
    out dx, al
    pop rdx
    ret

put_decimal:                    ; eax
    push rbx
    push rcx
    push rdx
    mov ebx, 10
    xor ecx, ecx
.divide:
    xor edx, edx
    div ebx
    push rdx
    inc ecx
    test eax, eax
    jnz .divide
.digits:
    pop rax
    add al, '0'
    call put_byte
    loop .digits
    pop rdx
    pop rcx
    pop rbx
    ret

; ---- system calls
EFER        equ 0xc0000080
STAR        equ 0xc0000081
LSTAR       equ 0xc0000082
FMASK       equ 0xc0000084

enable_syscall:
    mov ecx, EFER
    rdmsr
    or eax, 1                   ; SCE
    wrmsr
    mov ecx, STAR
    xor eax, eax
    mov edx, (0x10 << 16) | KCODE
    wrmsr
    mov ecx, LSTAR
    lea rax, [rel on_syscall]
    mov rdx, rax
    shr rdx, 32
    wrmsr
    mov ecx, FMASK
    mov eax, 0x200
    xor edx, edx
    wrmsr
    ret

on_syscall:
    mov [user_rsp], rsp
    mov rsp, KSTACK
    push rcx
    push r11
    push rbx
    cmp eax, SYS_OFF
    ja .unknown
    lea rbx, [rel calls]
    call [rbx + rax * 8]
.out:
    pop rbx
    pop r11
    pop rcx
    mov rsp, [user_rsp]
    o64 sysret              ; back to ring 3, 64-bit
.unknown:
    mov rax, -38                ; ENOSYS
    jmp .out

align 8
calls:
    dq sys_none, sys_write, sys_wait, sys_ticks, sys_cpu, sys_hyper, sys_exit, sys_off

sys_none:
    mov rax, -38
    ret

sys_write:
    mov rcx, rsi
    mov rsi, rdi
    call put
    xor eax, eax
    ret

sys_wait:
    sti
    hlt
    cli
    movzx eax, byte [key]
    mov byte [key], 0
    ret

sys_ticks:
    mov rax, [ticks]
    ret

sys_cpu:
    xor eax, eax
    cpuid
    mov [rdi], ebx
    mov [rdi + 4], edx
    mov [rdi + 8], ecx
    ret

sys_hyper:
    mov eax, 11                 ; sched_yield, for whoever is below
    vmcall
    ret

sys_exit:
    mov eax, edi
    out DEBUG_EXIT, al
    ret

sys_off:
    mov dx, PM_CONTROL
    mov ax, 0x2000
    out dx, ax
.stop:
    cli
    hlt
    jmp .stop

banner:
    db 13, 10, "tiny 1.0: long mode, 4-level paging, one process", 13, 10, "press h for help", 13, 10
banner_end:
trap:
    db 13, 10, "tiny: trap "
trap_end:

align 8
gdt:
    dq 0
    dq 0x00af9a000000ffff       ; kernel code
    dq 0x00cf92000000ffff       ; kernel data
    dq 0x00cff2000000ffff       ; user data
    dq 0x00affa000000ffff       ; user code
.tss:
    dw 103, 0
    db 0, 0x89, 0, 0
    dq 0
gdt_end:
gdtr:
    dw gdt_end - gdt - 1
    dq gdt
idtr:
    dw 256 * 16 - 1
    dq idt
ticks:      dq 0
user_rsp:   dq 0
key:        db 0

; ---- the process: position independent, copied to USER, ring 3 from here on
align 16
user_image:
    xor r12d, r12d              ; when it spoke last
    xor r14d, r14d              ; rounds
.loop:
    mov eax, SYS_WAIT
    syscall
    mov r13, rax
    test r13, r13
    jnz .answer
    call touch_pages
    mov eax, SYS_TICKS
    syscall
    mov rbx, rax
    sub rax, r12
    cmp rax, HZ
    jb .loop
    mov r12, rbx
    puts dot, dot_end - dot
    jmp .loop
.answer:
    cmp r13b, 'h'
    je .help
    cmp r13b, 'p'
    je .pages
    cmp r13b, 'c'
    je .cpu
    cmp r13b, 'v'
    je .hyper
    cmp r13b, 't'
    je .ticks
    cmp r13b, 'x'
    je .leave
    cmp r13b, 'q'
    je .off
    lea rdi, [rel echo]
    mov [rdi], r13b
    mov esi, 1
    mov eax, SYS_WRITE
    syscall
    jmp .loop
.help:
    puts help, help_end - help
    jmp .loop
.pages:
    call touch_pages
    puts touched, touched_end - touched
    jmp .loop
.cpu:
    lea rdi, [rel vendor]
    mov eax, SYS_CPU
    syscall
    puts processor, processor_end - processor
    jmp .loop
.hyper:
    mov eax, SYS_HYPER
    syscall
    puts called, called_end - called
    jmp .loop
.ticks:
    mov eax, SYS_TICKS
    syscall
    call write_decimal
    jmp .loop
.leave:
    mov edi, 0x10
    mov eax, SYS_EXIT
    syscall
    jmp .loop
.off:
    puts bye, bye_end - bye
    mov eax, SYS_OFF
    syscall
    jmp .loop

; one word in every one of many pages: more pages than the TLB keeps, so that walks happen
touch_pages:
    mov edi, PLAYGROUND
    mov ecx, PAGES
.next:
    inc qword [rdi]
    add rdi, 4096
    dec ecx
    jnz .next
    inc r14
    ret

write_decimal:                  ; rax, then a new line
    lea rdi, [rel digits_end]
    mov ebx, 10
    xor esi, esi
.divide:
    xor edx, edx
    div rbx
    add dl, '0'
    dec rdi
    mov [rdi], dl
    inc esi
    test rax, rax
    jnz .divide
    add esi, 2
    mov eax, SYS_WRITE
    syscall
    ret

dot:        db "."
dot_end:
help:       db 13, 10, "h help  p touch pages  c cpu  v hypercall  t ticks  x leave by port 0xf4  q power off", 13, 10
help_end:
touched:    db 13, 10, "touched 64 pages", 13, 10
touched_end:
called:     db 13, 10, "called the hypervisor", 13, 10
called_end:
bye:        db 13, 10, "power off", 13, 10
bye_end:
processor:  db 13, 10, "cpu "
vendor:     db "            ", 13, 10
processor_end:
echo:       db 0
digits:     times 20 db 0
digits_end: db 13, 10
user_end:

align 16
tss:
    times 104 db 0
align 16
idt:
    times 256 * 16 db 0
