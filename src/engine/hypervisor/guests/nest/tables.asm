; Descriptors, gates, task state, page tables of the kernel, MSRs for SYSCALL, interrupt controller and timer.

%ifndef PV
build_gdt:
    lea rax, [tss]
    mov rdx, rax
    mov word [gdt + TASK], 103
    mov [gdt + TASK + 2], ax
    shr rax, 16
    mov [gdt + TASK + 4], al
    mov byte [gdt + TASK + 5], 0x89
    mov [gdt + TASK + 7], ah
    shr rdx, 32
    mov [gdt + TASK + 8], edx
    mov word [tss + 102], 104   ; no map of ports
    mov rax, BOOT_STACK
    jmp set_kernel_stack

build_idt:                      ; 48 stubs of equal size, and int 0x80 for processes
    lea rdi, [idt]
    lea rax, [stubs]
    mov ecx, 48
    mov edx, 0x8e00
.gate:
    call put_gate
    add rax, STUB_SIZE
    add rdi, 16
    loop .gate
    lea rdi, [idt + 0x80 * 16]
    lea rax, [stub_int80]
    mov edx, 0xee00
put_gate:                       ; rdi: where, rax: handler, edx: type in bits 15:8
    mov [rdi], ax
    mov word [rdi + 2], KCODE
    mov [rdi + 4], dx
    mov rsi, rax
    shr rsi, 16
    mov [rdi + 6], si
    shr rsi, 16
    mov [rdi + 8], rsi
    ret

; 16 MiB in 4 KiB pages for the kernel alone, and empty tables for tlbthrash
build_kernel_tables:
    mov edi, PML4
    xor eax, eax
    mov ecx, (REFERENCES - PML4) / 8
    rep stosq
    mov qword [abs PML4], PDPT + P + W + U
    mov qword [abs PDPT], PD + P + W
    mov qword [abs PDPT + 16], THRASH_PD + P + W
    mov edi, PD
    mov eax, PT + P + W
    mov ecx, 8
    call chain
    mov edi, THRASH_PD
    mov eax, THRASH_PT + P + W
    mov ecx, 16
    call chain
    mov edi, PT
    mov eax, P + W + G
    mov ecx, 8 * 512
chain:                          ; ecx entries at rdi, each 4096 on from the one before
    mov [rdi], rax
    add rax, 4096
    add rdi, 8
    loop chain
    ret

EFER        equ 0xc0000080
STAR        equ 0xc0000081
LSTAR       equ 0xc0000082
FMASK       equ 0xc0000084

syscall_start:
    mov ecx, EFER
    call read_msr
    or eax, 1
    call write_msr
    mov ecx, STAR
    mov rax, (0x10 << 48) | (KCODE << 32)
    call write_msr
    mov ecx, LSTAR
    lea rax, [on_syscall]
    call write_msr
    mov ecx, FMASK
    mov eax, 0x700              ; no interrupts, no trap, upwards
    jmp write_msr

pic_start:                      ; vectors 32 to 47, everything masked
    lea rsi, [.words]
    mov ecx, 10
.next:
    movzx edx, byte [rsi]
    mov al, [rsi + 1]
    call out_byte
    add rsi, 2
    loop .next
    ret
.words: db 0x20, 0x11, 0xa0, 0x11, 0x21, 32, 0xa1, 40, 0x21, 4, 0xa1, 2, 0x21, 1, 0xa1, 1, 0x21, 0xff, 0xa1, 0xff

timer_start:                    ; channel 0, rate generator, HZ; its line unmasked
    mov dx, 0x43
    mov al, 0x34
    call out_byte
    mov dx, 0x40
    mov al, PIT_RATE & 255
    call out_byte
    mov al, PIT_RATE >> 8
    call out_byte
    mov dx, 0x21
    mov al, 0xfe
    jmp out_byte

read_timer:                     ; eax: what channel 0 counts down
    mov dx, 0x43
    xor eax, eax
    call out_byte
    mov dx, 0x40
    call in_byte
    mov ah, al
    call in_byte
    xchg al, ah
    movzx eax, ax
    ret
%endif
