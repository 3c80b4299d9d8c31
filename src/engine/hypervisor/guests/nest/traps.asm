; Traps, interrupts, system calls. Whatever the way in, the registers lie in one frame on the kernel stack.

F_R15       equ 0
F_RDI       equ 64
F_RSI       equ 72
F_RAX       equ 112
F_VECTOR    equ 120
F_ERROR     equ 128
F_RIP       equ 136
F_CS        equ 144
F_FLAGS     equ 152
F_RSP       equ 160
F_SS        equ 168
FRAME       equ 176

STUB_SIZE   equ 16
FAULT       equ 0x40300000      ; nothing is ever there: a process that goes there goes on at its r15

%macro push_registers 0
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
%endmacro
%macro pop_registers 0
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
%endmacro

    align 16
stubs:
%assign vector 0
%rep 48
%if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
    xchg ax, ax                 ; the processor has pushed an error code
%else
    push qword 0
%endif
    push qword vector
    jmp trap
    align 16
%assign vector vector + 1
%endrep
stub_int80:
    push qword 0
    push qword 0x80

trap:
    push_registers
    cld
    mov rbp, rsp
    mov rax, [rbp + F_VECTOR]
    cmp eax, 32
    je .timer
    cmp eax, 14
    je .fault
    test eax, eax
    je .divide
    cmp eax, 0x80
    je .call
    cmp eax, 32
    ja .interrupt
    jmp unexpected
.call:
    call system_call
    jmp trap_return
.timer:
    inc qword [ticks]
    mov dx, 0x20
    mov al, 0x20
    call out_byte
    call wake_sleepers
    test byte [rbp + F_CS], 2   ; the kernel is not taken off the processor
    jz trap_return
    mov rbx, [current]
    call next_ready
    jc trap_return
    cmp rax, rbx
    je trap_return
    inc qword [preemptions]
    call schedule
    jmp trap_return
.interrupt:                     ; nobody asked for it
    inc qword [strays]
    mov al, 0x20
    mov dx, 0xa0
    call out_byte
    mov dx, 0x20
    call out_byte
    jmp trap_return
.fault:
    call fault_address
    cmp rax, FAULT
    je .skip
    mov rcx, [rbp + F_ERROR]
    call resolve_fault
    jnc trap_return
    jmp unexpected
.divide:
    test byte [rbp + F_CS], 2
    jz unexpected
    cmp qword [rbp + F_R15], 0
    je unexpected
.skip:
    mov rax, [rbp + F_R15]
    mov [rbp + F_RIP], rax
trap_return:
    pop_registers
    add rsp, 16
    jmp return_from_trap

; Nobody expected it: a process is ended for it, the kernel ends the machine.
unexpected:
    inc qword [wrongs]
    say text_exception
    mov rax, [rbp + F_VECTOR]
    call put_number
    say text_error
    mov rax, [rbp + F_ERROR]
    call put_hex
    say text_at
    mov rax, [rbp + F_RIP]
    call put_hex
    say text_of
    call fault_address
    call put_hex
    say text_line
    mov eax, 139
    test byte [rbp + F_CS], 2
    jnz leave_process
    jmp finish

on_syscall:                     ; interrupts are off; rcx: return address, r11: flags
    mov [process_rsp], rsp
    mov rsp, [kernel_rsp]
    push qword UDATA
    push qword [process_rsp]
    push r11
    push qword UCODE
    push rcx
    push qword 0
    push qword 0x100
    push_registers
    cld
    mov rbp, rsp
    call system_call
    pop_registers
    add rsp, 16
    pop rcx
    add rsp, 8
    pop r11
    pop rsp
    jmp return_from_syscall

system_call:                    ; rbp: frame; number in rax, arguments in rdi and rsi, answer in rax
    mov rax, [rbp + F_RAX]
    cmp rax, SYSTEM_CALLS
    jae .unknown
    lea rdx, [system_calls]
    call [rdx + rax * 8]
    mov [rbp + F_RAX], rax
    ret
.unknown:
    mov qword [rbp + F_RAX], -38
    ret

    align 8, db 0
system_calls:
    dq sys_null, sys_write, sys_exit, sys_fork, sys_wait, sys_yield, sys_info, sys_sleep, sys_report, sys_release, sys_complain, sys_spawn
SYSTEM_CALLS equ 12

sys_null:
    ret
sys_write:                      ; rdi: text of the process's, NUL at its end
    mov rsi, [rbp + F_RDI]
    call put_text
    xor eax, eax
    ret
sys_complain:
    mov rsi, [rbp + F_RDI]
    call wrong
    xor eax, eax
    ret
sys_info:                       ; rdi: which of the counters
    mov rax, [rbp + F_RDI]
    cmp rax, COUNTERS
    jae .none
    lea rdx, [counters]
    mov rax, [rdx + rax * 8]
    ret
.none:
    mov rax, -1
    ret
sys_report:                     ; rdi: cycles, rsi: operations
    mov rax, [rbp + F_RDI]
    mov rcx, [rbp + F_RSI]
    call report
    xor eax, eax
    ret
sys_release:                    ; the heap of the process goes back to the pool
    call current_space
    and rax, -4096
    call page_table
    lea rbx, [rax + (UHEAP - USER) / 4096 * 8]
    mov ecx, UHEAP_PAGES
.page:
    mov rdi, rbx
    call read_entry
    test al, P
    jz .none
    and rax, -4096
    mov rdi, rax
    call drop_frame
    mov rdi, rbx
    xor eax, eax
    call set_entry
.none:
    add rbx, 8
    loop .page
    call current_space
    call load_space
    xor eax, eax
    ret
