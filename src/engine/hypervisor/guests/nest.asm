; nest: a small real operating system for comparing ways to virtualize it. Two processes with address spaces of their own,
; system calls by SYSCALL and by int 0x80, a preemptive timer, demand paging, fork with copy-on-write, exit and wait, a serial
; line. Each sensitive operation stands once, under a name of its own, in nest/native.asm; a paravirtualized twin defines PV,
; gives the same names in a file of its own and includes this one.
;
; A flat image, loaded at 1 MiB and entered at its first byte in long mode with interrupts off, the first 4 GiB mapped to
; themselves; rdi: the command line (NUL at its end); rsi: bytes of memory, at least 16 MiB.
; Command line: a workload, its numbers, and `exit` to end by isa-debug-exit (status 1, or 3 when something was WRONG)
; instead of ACPI power off. Workloads: boot (default), syscall N, int80 N, fork N, forkwait N, demand N, ctxsw N, spin N,
; pgfault N, divzero N in a process; in N, ptemod N, cr8 N, callret N, invlpg N, cpuid N, popf N, tlbthrash PAGES ROUNDS in the kernel.
; A benchmark prints "name N cycles" (by RDTSC, for one operation, what the empty loop takes already taken off).
;
; Physical memory                              Linear addresses of every process
;   0x100000  this image                         0..16 MiB     the kernel: physical memory, supervisor, global
;   0x1c0000  kernel stacks, 8 of 16 KiB         0x40000000    code, read only (pages of this image)
;   0x1e0000  boot stack (down from 0x1f0000)    0x40010000    data, one page
;   0x200000  kernel tables: PML4, PDPT, PD      0x4001f000    stack, down from 0x40020000, on demand
;   0x203000  eight page tables: 16 MiB          0x40100000    heap of 1 MiB, on demand
;   0x210000  sixteen page tables for tlbthrash  0x80000000    pages of tlbthrash (kernel's own space only)
;   0x220000  references to each pool frame
;   0x400000  pool of frames up to 16 MiB

bits 64
default rel
org 0x100000

KERNEL_END  equ 0x1000000
KSTACKS     equ 0x1c0000
KSTACK_SIZE equ 0x4000
BOOT_STACK  equ 0x1f0000
PML4        equ 0x200000
PDPT        equ 0x201000
PD          equ 0x202000
PT          equ 0x203000
THRASH_PD   equ 0x20f000
THRASH_PT   equ 0x210000
REFERENCES  equ 0x220000
POOL        equ 0x400000
FRAMES      equ (KERNEL_END - POOL) / 4096

USER        equ 0x40000000
UDATA_PAGE  equ 0x40010000
USTACK_LOW  equ 0x4001f000
USTACK      equ 0x40020000
UHEAP       equ 0x40100000
UHEAP_PAGES equ 256
THRASH      equ 0x80000000
THRASH_MOST equ 8192

%ifdef PV
KCODE       equ 0xe008 | 1      ; the hypervisor's descriptors: ring 1
KDATA       equ 0xe010 | 1
UDATA       equ 0xe018 | 3
UCODE       equ 0xe020 | 3
%else
KCODE       equ 0x08
KDATA       equ 0x10
UDATA       equ 0x18 | 3
UCODE       equ 0x20 | 3
%endif
TASK        equ 0x28

P           equ 1               ; bits of a page-table entry
W           equ 2
U           equ 4
G           equ 0x100
COW         equ 0x200           ; ours: shared, to be copied on the first write

IF          equ 0x200           ; of RFLAGS
HZ          equ 100
PIT_RATE    equ 1193182 / HZ

%macro progress 1               ; a code on port 0x80, as firmware sends them: marks that runs are compared between
    mov dx, 0x80
    mov al, %1
    call out_byte
%endmacro

start:
    mov rsp, BOOT_STACK
    cld
    mov [memory_bytes], rsi
    mov rsi, rdi
    lea rdi, [command]
    mov ecx, 255
.copy:                          ; the command line lies where the tables may go
    lodsb
    stosb
    test al, al
    loopnz .copy
    mov byte [rdi], 0
%ifdef PV
    call hypervisor_start
%endif
    call console_start
    call parse_command
    progress 1                  ; the machine is set up
    call pool_start
    call build_kernel_tables
    call enable_global
    mov eax, PML4
    call load_space
    call build_gdt
    call load_gdt
    push qword KDATA
    push qword BOOT_STACK
    pushfq
    push qword KCODE
    lea rax, [.flat]
    push rax
    iretq                       ; the only far jump there is in long mode besides far call and return
.flat:
    mov ax, KDATA
    mov ds, ax
    mov es, ax
    mov ss, ax
    call load_task
    call build_idt
    call load_idt
    call syscall_start
    call pic_start
    progress 2                  ; the workload begins
    mov rbx, [workload]
    cmp qword [rbx + LOAD_KERNEL], 0
    je .process
    call [rbx + LOAD_KERNEL]
    jmp finish
.process:
    lea rax, [boot_greeting]
    cmp rbx, workloads          ; the first row: boot
    jne .quiet
    call rax
    call timer_start
.quiet:
    jmp first_process

; ---- the end of the machine
finish:
    progress 3                  ; what remains is the end
    call irq_off
    cmp byte [by_exit], 0
    je .power
    mov al, 0
    cmp qword [wrongs], 0
    je .out
    mov al, 1
.out:
    call debug_exit
.power:
    call power_off
.stay:
    call halt_for_ever
    jmp .stay

%ifdef PV
%include "nest/paravirt.asm"
%else
%include "nest/native.asm"
%endif
%include "nest/tables.asm"
%include "nest/console.asm"
%include "nest/memory.asm"
%include "nest/process.asm"
%include "nest/traps.asm"
%include "nest/bench.asm"
%include "nest/tests.asm"
%include "nest/command.asm"
%include "nest/data.asm"
    align 4096, db 0
user_image:
%include "nest/user.asm"
    align 4096, db 0
user_image_end:
