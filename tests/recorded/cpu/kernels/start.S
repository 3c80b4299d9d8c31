/* Multiboot 1 entry of both kernels: 32-bit code, paging off. */
    .section .multiboot, "a"
    .align 4
    .long 0x1badb002, 3, -(0x1badb002 + 3)
    .text
    .globl _start
_start:
    cli
    movl $stack_top, %esp
    pushl %ebx
    pushl %eax
    call kmain
1:  hlt
    jmp 1b
    .bss
    .align 16
    .space 16384
    .globl stack_top
stack_top:
