; The same operations for a kernel that knows its hypervisor: what a processor of one's own does by an instruction is asked for
; by a hypercall (int 0x82), or is a byte of shared memory. Entries of page tables hold machine addresses; changes to tables in
; use are collected and asked for together. Convention as in native.asm: only rax (and rdx where said) is changed.

H_TRAPS     equ 0               ; hypercalls
H_MMU       equ 1
H_STACK     equ 3
H_CALLBACKS equ 4
H_MULTI     equ 13
H_MAPPING   equ 14
H_VERSION   equ 17
H_CONSOLE   equ 18
H_IRET      equ 23
H_VCPU      equ 24
H_MMUEXT    equ 26
H_SCHED     equ 29
H_EVENT     equ 32

M2P         equ 0xffff800000000000
MASK        equ 1               ; of shared_info: upcalls are masked
PENDING     equ 8
FAULT_AT    equ 16
EVENTS      equ 0x800
BATCH       equ 64              ; changes that wait at most

%macro hypercall 1
    mov eax, %1
    int 0x82
%endmacro
%macro keep 0
    push rdi
    push rsi
    push rdx
    push r10
    push r8
%endmacro
%macro restore 0
    pop r8
    pop r10
    pop rdx
    pop rsi
    pop rdi
%endmacro

hypervisor_start:               ; rdx: start_info
    mov rax, [rdx + 96]
    mov [frame_list], rax
    mov rax, [rdx + 80]
    mov [first_root], rax
    mov [running_root], rax
    mov rax, [memory_bytes]
    mov [shared], rax           ; shared_info lies behind the last frame
    ret

; ---- entries of page tables
to_machine:                     ; rax: an entry of guest frames; rax: as the tables hold it
    test al, P
    jz .none
    push rdx
    push rdi
    mov rdx, rax
    and edx, 0xfff
    shr rax, 12
    mov rdi, [frame_list]
    mov rax, [rdi + rax * 8]
    shl rax, 12
    or rax, rdx
    pop rdi
    pop rdx
.none:
    ret
read_entry:                     ; rdi: where; rax: the entry, of guest frames
    mov rax, [rdi]
    test al, P
    jz .none
    push rdx
    push rdi
    mov rdx, rax
    and edx, 0xfff
    shr rax, 12
    mov rdi, M2P
    mov rax, [rdi + rax * 8]
    shl rax, 12
    or rax, rdx
    pop rdi
    pop rdx
.none:
    ret
new_entry:                      ; [rdi] = rax, in a table that is not in use yet: memory like any other
    call to_machine
    mov [rdi], rax
    ret
set_entry:                      ; [rdi] = rax, asked for with the others
    push rcx
    push rax
    call to_machine
    mov rcx, [queued]
    shl rcx, 4
    mov [abs queue + rcx + 8], rax
    mov rax, rdi
    or rax, P
    call to_machine
    dec rax
    mov [abs queue + rcx], rax
    inc qword [queued]
    pop rax
    pop rcx
    cmp qword [queued], BATCH
    je entries_done
    ret
entries_done:                   ; what was set is so; keeps everything
    cmp qword [queued], 0
    je .none
    push rax
    keep
    lea rdi, [queue]
    mov rsi, [queued]
    xor edx, edx
    xor r10d, r10d
    hypercall H_MMU
    mov qword [queued], 0
    restore
    call .answer
    pop rax
.none:
    ret
.answer:
    test rax, rax
    jz .none
    push rsi
    lea rsi, [text_refused]
    call wrong
    pop rsi
    ret

kernel_entry:                   ; rax: the entry for the kernel's 1 GiB, with the tables that the domain began with
    push rdi
    mov rdi, [first_root]
    call read_entry
    and rax, -4096
    mov rdi, rax
    call read_entry
    pop rdi
    ret

; ---- address spaces
load_space:                     ; rax: root
    call entries_done
    cmp rax, PML4
    jne .other
    mov rax, [first_root]
.other:
    mov [running_root], rax
    or rax, P
    call to_machine
    shr rax, 12
    mov [operation + 8], rax
    mov dword [operation], 5    ; NEW_BASEPTR
one_operation:
    keep
    lea rdi, [operation]
    mov esi, 1
    xor edx, edx
    mov r10d, 0x7ff0
    hypercall H_MMUEXT
    restore
    jmp entries_done.answer
current_space:
    call entries_done
    mov rax, [running_root]
    ret
flush_page:                     ; rax: linear address
    call entries_done
    mov [operation + 8], rax
    mov dword [operation], 7    ; INVLPG_LOCAL
    jmp one_operation

; The four tables of a space lose the kernel's writable mapping, and the root is pinned: all in one crossing
pin_space:                      ; rax: root, stays
    push rax
    call entries_done
    call four_tables
    mov rax, P + 0x60
    call four_mappings
    mov dword [operation], 3    ; PIN_L4
    call pin_call
    jmp many_calls
unpin_space:                    ; rax: root, stays
    push rax
    call entries_done
    call four_tables
    mov rax, P + W + 0x60
    call four_mappings
    mov dword [operation], 4    ; UNPIN
    call pin_call
many_calls:
    keep
    lea rdi, [calls]
    mov esi, 5
    hypercall H_MULTI
    restore
    call entries_done.answer
    mov rax, [calls + 8]
    or rax, [calls + 72]
    or rax, [calls + 136]
    or rax, [calls + 200]
    or rax, [calls + 264]
    call entries_done.answer
    pop rax
    ret
four_tables:                    ; rax: root
    push rdi
    mov [tables_of], rax
    mov rdi, rax
    call read_entry
    and rax, -4096
    mov [tables_of + 8], rax
    lea rdi, [rax + 8]
    call read_entry
    and rax, -4096
    mov [tables_of + 16], rax
    mov rdi, rax
    call read_entry
    and rax, -4096
    mov [tables_of + 24], rax
    pop rdi
    ret
; rax: flags. Calls 1 to 4 when the tables become read-only, 2 to 5 behind the unpinning when they become writable
four_mappings:
    push rbx
    push rcx
    push rdi
    lea rdi, [calls]
    test al, W
    jz .first
    add rdi, 64
.first:
    mov rbx, rax
    xor ecx, ecx
.next:
    mov qword [rdi], H_MAPPING
    mov rax, [abs tables_of + rcx * 8]
    mov [rdi + 16], rax
    or rax, rbx
    call to_machine
    mov [rdi + 24], rax
    mov qword [rdi + 32], 2     ; INVLPG
    add rdi, 64
    inc ecx
    cmp ecx, 4
    jb .next
    pop rdi
    pop rcx
    pop rbx
    ret
pin_call:                       ; [operation]: which; the fifth call, or the first
    push rdi
    mov rax, [tables_of]
    or rax, P
    call to_machine
    shr rax, 12
    mov [operation + 8], rax
    lea rdi, [calls]
    cmp dword [operation], 4
    je .first
    add rdi, 256
.first:
    mov qword [rdi], H_MMUEXT
    lea rax, [operation]
    mov [rdi + 16], rax
    mov qword [rdi + 24], 1
    mov qword [rdi + 32], 0
    mov qword [rdi + 40], 0x7ff0
    pop rdi
    ret

; The domain began with tables for all its memory; what is added are the empty ones for tlbthrash
build_kernel_tables:
    mov edi, THRASH_PD
    xor eax, eax
    mov ecx, 17 * 512
    rep stosq
    mov edi, THRASH_PD
    mov ebx, THRASH_PT
    mov ecx, 16
.entry:
    lea rax, [rbx + P + W]
    call new_entry
    add rbx, 4096
    add rdi, 8
    loop .entry
    mov ebx, THRASH_PD          ; read-only from here on, all seventeen
.page:
    mov rax, rbx
    or rax, P + 0x60
    call to_machine
    keep
    mov rdi, rbx
    mov rsi, rax
    mov edx, 2
    hypercall H_MAPPING
    restore
    call entries_done.answer
    add rbx, 4096
    cmp rbx, THRASH_PT + 16 * 4096
    jb .page
    mov rdi, [first_root]
    call read_entry
    and rax, -4096
    lea rdi, [rax + 16]
    mov eax, THRASH_PD + P + W
    call set_entry
    jmp entries_done

; ---- interrupts are events; their flag is a byte
irq_off:
    mov rax, [shared]
    mov byte [rax + MASK], 1
    ret
irq_on:
    mov rax, [shared]
    mov byte [rax + MASK], 0
    cmp byte [rax], 0
    je .none
    keep                        ; one came meanwhile: any hypercall brings it in
    xor edi, edi
    hypercall H_VERSION
    restore
.none:
    ret
irq_save:                       ; rax: flags as they were; interrupts off
    call irq_flags
    push rax
    call irq_off
    pop rax
    ret
irq_restore:                    ; rax: flags that irq_save gave
    test eax, IF
    jnz irq_on
    jmp irq_off
irq_flags:                      ; rax: flags
    mov rax, [shared]
    cmp byte [rax + MASK], 0
    mov eax, IF + 2
    je .on
    mov eax, 2
.on:
    ret
idle:                           ; until an event has been handled; events masked again
    keep
    mov edi, 1                  ; block
    xor esi, esi
    hypercall H_SCHED
    restore
    jmp irq_off
halt_for_ever:
    call irq_off
    jmp power_off

on_event:                       ; only the timer's is bound: in as its interrupt would
    pop rcx
    pop r11
    push qword 0
    push qword 32
    push rax
    mov rax, [shared]
    mov byte [rax], 0
    mov qword [rax + PENDING], 0
    mov qword [rax + EVENTS], 0
    pop rax
    jmp trap

    align 8, db 0x90
ways_in:                        ; Xen's frame begins with rcx and r11
%assign vector 0
%rep 32
    pop rcx
    pop r11
    jmp strict near stubs + vector * STUB_SIZE
%assign vector vector + 1
%endrep
way_in_int80:
    pop rcx
    pop r11
    jmp stub_int80
way_in_syscall:
    mov rcx, [shared]
    mov byte [rcx + MASK], 1    ; as the processor's mask for SYSCALL would
    mov rcx, [rsp + 16]
    mov r11, [rsp + 32]
    mov rsp, [rsp + 40]
    jmp on_syscall

return_from_trap:               ; the frame is at rsp, without number and error code
    call entries_done
    push qword 0
    push rcx
    push r11
    push rax
    hypercall H_IRET
return_from_syscall:            ; rcx, r11, rsp are the process's
    mov [process_rsp], rsp
    mov rsp, [kernel_rsp]
    push qword UDATA
    push qword [process_rsp]
    push r11
    push qword UCODE
    push rcx
    jmp return_from_trap

build_gdt:                      ; descriptors are the hypervisor's
    mov eax, BOOT_STACK
    jmp set_kernel_stack
build_idt:
    lea rdi, [trap_table]
    lea rax, [ways_in]
    xor ecx, ecx
.next:
    mov edx, ecx
    or edx, (4 << 8) | (KCODE << 16)
    mov [rdi], rdx
    mov [rdi + 8], rax
    add rdi, 16
    add rax, 8
    inc ecx
    cmp ecx, 32
    jb .next
    mov edx, 0x80 | (7 << 8) | (KCODE << 16)
    mov [rdi], rdx
    lea rax, [way_in_int80]
    mov [rdi + 8], rax
    ret
load_gdt:
load_task:
enable_global:
    ret
load_idt:
    keep
    lea rdi, [trap_table]
    hypercall H_TRAPS
    restore
    jmp entries_done.answer
syscall_start:
    keep
    lea rdi, [on_event]
    xor esi, esi
    lea rdx, [way_in_syscall]
    hypercall H_CALLBACKS
    restore
    jmp entries_done.answer
set_kernel_stack:               ; rax: where traps out of a process begin
    mov [kernel_rsp], rax
    keep
    xor edi, edi
    mov rsi, rax
    hypercall H_STACK
    restore
    ret
fault_address:                  ; rax
    mov rax, [shared]
    mov rax, [rax + FAULT_AT]
    ret

; ---- devices: console and timer are the hypervisor's, ports it does for a domain that may use them
pic_start:
console_start:
    ret
timer_start:
    keep
    mov edi, 1                  ; bind_virq, of the timer
    lea rsi, [event_port]
    hypercall H_EVENT
    mov edi, 9                  ; unmask
    lea rsi, [event_port + 8]
    hypercall H_EVENT
    mov edi, 6                  ; set_periodic_timer
    xor esi, esi
    lea rdx, [period]
    hypercall H_VCPU
    restore
    jmp entries_done.answer
read_timer:                     ; eax: the time-stamp counter, as something that counts down again and again
    rdtsc
    shl rdx, 32
    or rax, rdx
    shr rax, 10
    and eax, 0x3fff
    xor eax, 0x3fff
    ret
out_byte:                       ; dx, al
    cmp dx, COM1
    je .console
    cmp dx, 0xf4
    jae .port
    cmp dx, 0x80
    je .port
    ret                         ; interrupt controller and timer: not ours
.port:
    cmp dx, COM1 + 8
    jae .out
    cmp dx, COM1
    jae .none
.out:
    out dx, al
.none:
    ret
.console:
    push rax
    mov [character], al
    keep
    xor edi, edi
    mov esi, 1
    lea rdx, [character]
    hypercall H_CONSOLE
    restore
    pop rax
    ret
in_byte:
    cmp dx, COM1 + 5
    je .ready
    in al, dx
    ret
.ready:
    mov al, 0x20
    ret
debug_exit:                     ; al
    out 0xf4, al
    ret
power_off:
    mov edi, 2                  ; shutdown
    lea rsi, [power_off_reason]
    hypercall H_SCHED
    jmp $

    align 8, db 0
start_info: dq 0
frame_list: dq 0
first_root: dq 0
running_root: dq 0
shared:     dq 0
queued:     dq 0
queue:      times 2 * BATCH dq 0
operation:  dq 0, 0, 0
tables_of:  dq 0, 0, 0, 0
calls:      times 5 * 8 dq 0
trap_table: times 2 * 34 dq 0
event_port: dd 0, 0, 0, 0
period:     dq 1000000000 / HZ
power_off_reason: dq 0
character:  db 0
text_refused: db 'the hypervisor refused', 0
