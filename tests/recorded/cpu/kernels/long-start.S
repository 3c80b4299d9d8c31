/* Multiboot 1 entry that goes to long mode: PAE and four levels, EFER.LME, a far return to 64-bit code. */
    .section .multiboot, "a"
    .align 4
    .long 0x1badb002, 3, -(0x1badb002 + 3)
    .text
    .code32
    .globl _start
_start:
    cli
    movl $stack_top, %esp
    movl %ebx, %edi
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb no_long
    movl $0x80000001, %eax
    cpuid
    testl $1 << 29, %edx
    jz no_long
    movl $pdpt + 7, pml4
    movl $pd + 7, pdpt
    movl $pd + 7, pdpt + 8 * 1
    movl $0, %ecx
1:  movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, pd(,%ecx,8)
    incl %ecx
    cmpl $512, %ecx
    jb 1b
    orl $4, pd
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax
    movl %eax, %cr0
    lgdt pointer
    pushl $8
    pushl $wide
    lretl
no_long:
    hlt
    .code64
wide:
    movw $0x10, %ax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    call kmain
2:  hlt
    jmp 2b
    .globl syscall_entry, compat_code, stubs, enter_user, leave_user
syscall_entry:
    swapgs
    movq %rsp, %gs:8
    movq %gs:0, %rsp
    pushq %rcx
    pushq %r11
    movq %rax, %rdi
    movq %rbx, %rsi
    call syscall
    popq %r11
    popq %rcx
    movq %gs:8, %rsp
    swapgs
    sysretq
/* enter_user(code selector, rip, rsp): comes back through leave_user. */
enter_user:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, kernel_stack(%rip)
    movq %rsp, tss_stack(%rip)
    leaq -256(%rsp), %rax
    movq %rax, tss + 4(%rip)
    pushq $0x23
    pushq %rdx
    pushq $0x202
    pushq %rdi
    pushq %rsi
    iretq
leave_user:
    movq kernel_stack(%rip), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .altmacro
    .macro stub n
stub\n:
    .if !(\n == 8 || (\n >= 10 && \n <= 14) || \n == 17)
    pushq $0
    .endif
    pushq $\n
    jmp common
    .endm
    .set i, 0
    .rept 48
    stub %i
    .set i, i + 1
    .endr
stub128:
    pushq $0
    pushq $128
common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    movq %rsp, %rdi
    call trap
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq
    .code32
/* Compatibility mode, ring 3: 32-bit code that asks by int 0x80, then by a 32-bit far jump goes to 64-bit code. */
compat_code:
    movl $0x23, %eax
    movl %eax, %ds
    movl %eax, %es
    movl $1, %eax
    movl $0xffffffff, %ebx
    incl %ebx
    leal 0x1234(%ebx), %ebx
    int $0x80
    pushl $0x11223344
    popl %ebx
    movl $1, %eax
    int $0x80
    ljmp $0x2b, $back
    .code64
back:
    movq $0x100000055, %rbx
    movl $1, %eax
    int $0x80
    movl $2, %eax
    int $0x80
    .data
    .macro entry n
    .quad stub\n
    .endm
    .align 8
stubs:
    .set i, 0
    .rept 48
    entry %i
    .set i, i + 1
    .endr
    .quad stub128
    .globl gdt, tss
    .align 8
gdt: .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff, 0x00affa000000ffff, 0, 0
pointer: .word 63
    .long gdt
    .bss
    .globl pml4, pdpt, pd
    .align 4096
pml4: .space 4096
pdpt: .space 4096
pd: .space 4096
tss: .space 128
kernel_stack: .space 8
tss_stack: .space 8
    .align 16
    .space 16384
stack_top:
    .globl stack_top
