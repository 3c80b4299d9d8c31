; The sensitive operations, each in a place of its own, as a processor of one's own has them.
; Convention: arguments in rax, rdi, rcx; only rax (and rdx where said) is changed.

load_space:                     ; rax: root of the tables
    mov cr3, rax
    ret
current_space:
    mov rax, cr3
    ret
flush_page:                     ; rax: linear address
    invlpg [rax]
    ret
read_entry:                     ; rdi: where; rax: the entry
    mov rax, [rdi]
    ret
new_entry:                      ; [rdi] = rax, an entry of a table that is not in use yet
set_entry:                      ; [rdi] = rax, an entry of a table that may be in use
    mov [rdi], rax
entries_done:                   ; what was set must be so from here on: it is
    ret
kernel_entry:                   ; rax: the entry for the kernel's 1 GiB
    mov eax, PD + P + W
    ret
pin_space:                      ; rax: root of new tables; a processor wants nothing of the kind
unpin_space:
    ret

irq_off:
    cli
    ret
irq_on:
    sti
    ret
irq_save:                       ; rax: flags as they were; interrupts off
    pushfq
    pop rax
    cli
    ret
irq_restore:                    ; rax: flags that irq_save gave
    push rax
    popfq
    ret
irq_flags:                      ; rax: flags
    pushfq
    pop rax
    ret
idle:                           ; until an interrupt has been handled; interrupts off again
    sti
    hlt
    cli
    ret
halt_for_ever:
    cli
    hlt
    ret

return_from_trap:               ; the frame is at rsp, without number and error code
    iretq
return_from_syscall:            ; rcx, r11, rsp are the process's
    o64 sysret

load_gdt:
    lgdt [gdt_pointer]
    ret
load_idt:
    lidt [idt_pointer]
    ret
load_task:
    mov ax, TASK
    ltr ax
    ret
set_kernel_stack:               ; rax: where traps out of a process begin
    mov [tss + 4], rax
    mov [kernel_rsp], rax
    ret
read_msr:                       ; ecx; rax
    rdmsr
    shl rdx, 32
    or rax, rdx
    ret
write_msr:                      ; ecx; rax; rdx is lost
    mov rdx, rax
    shr rdx, 32
    wrmsr
    ret
enable_global:
    mov rax, cr4
    or rax, 0x80
    mov cr4, rax
    mov rax, cr0
    or rax, 0x10000             ; WP: the kernel honours read-only pages, or copy-on-write fails it
    mov cr0, rax
    ret
fault_address:                  ; rax
    mov rax, cr2
    ret

out_byte:                       ; dx, al
    out dx, al
    ret
in_byte:
    in al, dx
    ret
debug_exit:                     ; al
    out 0xf4, al
    ret
power_off:
    mov dx, 0x604
    mov ax, 0x2000
    out dx, ax
    mov dx, 0xb004
    out dx, ax
    ret
