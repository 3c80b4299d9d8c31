; Processes: records, making one, fork, exit, wait, sleep, and the switch from one to the next, in turn.

STATE       equ 0               ; a record
PID         equ 8
PARENT      equ 16
CODE        equ 24
SPACE       equ 32
KSP         equ 40
KTOP        equ 48
WAKE        equ 56
PROCESS     equ 64
PROCESSES   equ 8

FREE        equ 0               ; states
READY       equ 1
WAITING     equ 2
SLEEPING    equ 3
ZOMBIE      equ 4

find_slot:                      ; rax: a free record with its stack, or 0
    push rcx
    push rdx
    lea rax, [processes]
    mov edx, KSTACKS + KSTACK_SIZE
    mov ecx, PROCESSES
.next:
    cmp qword [rax + STATE], FREE
    je .found
    add rax, PROCESS
    add edx, KSTACK_SIZE
    loop .next
    xor eax, eax
    jmp .out
.found:
    mov [rax + KTOP], rdx
    inc qword [last_pid]
    mov rcx, [last_pid]
    mov [rax + PID], rcx
    mov qword [rax + STATE], READY
.out:
    pop rdx
    pop rcx
    ret

; rdi: where it begins, rsi: its argument; rax: the record
make_process:
    push rbx
    push r12
    push rdi
    push rsi
    call find_slot
    mov r12, rax
    call new_space
    mov [r12 + SPACE], rax
    lea rdx, [user_image]       ; its code: pages of this image, for reading only
    mov rdi, rbx
.page:
    lea rax, [rdx + P + U]
    call set_entry
    add rdi, 8
    add rdx, 4096
    lea rax, [user_image_end]
    cmp rdx, rax
    jb .page
    call take_frame
    or rax, P + W + U
    lea rdi, [rbx + (UDATA_PAGE - USER) / 4096 * 8]
    call set_entry
    mov rdi, [r12 + KTOP]
    sub rdi, FRAME
    mov rdx, rdi
    xor eax, eax
    mov ecx, FRAME / 8
    rep stosq
    pop rax
    mov [rdx + F_RDI], rax
    pop rax
    mov [rdx + F_RIP], rax
    mov qword [rdx + F_CS], UCODE
    mov qword [rdx + F_FLAGS], IF + 2
    mov qword [rdx + F_RSP], USTACK
    mov qword [rdx + F_SS], UDATA
    call first_context
    mov rax, r12
    pop r12
    pop rbx
    ret

first_context:                  ; r12: record whose frame lies at rdx: its first turn ends in the frame
    lea rax, [trap_return]
    mov [rdx - 8], rax
    lea rax, [rdx - 56]
    mov [r12 + KSP], rax
    ret

first_process:                  ; what the workload begins with
    mov rbx, [workload]
    mov rdi, [rbx + LOAD_USER]
    mov rsi, [count]
    call make_process
    mov [current], rax
    mov rbx, rax
    mov rax, [rbx + SPACE]
    call load_space
    mov rax, [rbx + KTOP]
    call set_kernel_stack
    mov rsp, [rbx + KSP]
    jmp switched

; The running process gives way to the next that is ready, itself when it is and no other; idle until there is one.
schedule:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov rbx, [current]
    mov [rbx + KSP], rsp
.look:
    call next_ready
    jnc .switch
    inc qword [idles]
    call idle
    jmp .look
.switch:
    cmp rax, rbx
    je switched
    inc qword [switches]
    mov [current], rax
    mov rbx, rax
    mov rax, [rbx + SPACE]
    call load_space
    mov rax, [rbx + KTOP]
    call set_kernel_stack
    mov rsp, [rbx + KSP]
switched:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

next_ready:                     ; rbx: the running one; rax: the next in turn, rbx last; CF: none
    push rcx
    mov rax, rbx
    mov ecx, PROCESSES
.next:
    add rax, PROCESS
    push rdx
    lea rdx, [processes + PROCESSES * PROCESS]
    cmp rax, rdx
    pop rdx
    jb .in
    lea rax, [processes]
.in:
    cmp qword [rax + STATE], READY
    je .found
    loop .next
    stc
    pop rcx
    ret
.found:
    clc
    pop rcx
    ret

; ---- what a process may ask; rbp: its frame, rax: the answer
sys_fork:
    call find_slot
    test rax, rax
    jz .none
    mov r12, rax
    mov rbx, [current]
    mov rax, [rbx + PID]
    mov [r12 + PARENT], rax
    mov rax, [rbx + SPACE]
    call copy_space
    mov [r12 + SPACE], rax
    mov rdi, [r12 + KTOP]       ; the child returns from the same call, with 0
    sub rdi, FRAME
    mov rdx, rdi
    mov rsi, rbp
    mov ecx, FRAME / 8
    rep movsq
    mov qword [rdx + F_RAX], 0
    call first_context
    mov rax, [r12 + PID]
    ret
.none:
    mov rax, -1
    ret

sys_spawn:                      ; the second process of the workload boot
    mov edi, USER + u_second - user_image
    xor esi, esi
    call make_process
    mov rdx, [current]
    mov rdx, [rdx + PID]
    mov [rax + PARENT], rdx
    mov rax, [rax + PID]
    ret

sys_exit:
    mov rax, [rbp + F_RDI]
leave_process:                  ; rax: status
    mov rbx, [current]
    mov [rbx + CODE], rax
    mov qword [rbx + STATE], ZOMBIE
    mov eax, PML4
    call load_space
    mov rax, [rbx + SPACE]
    call free_space
    cmp qword [rbx + PID], 1
    je last_process
    mov rdx, [rbx + PARENT]
    lea rax, [processes]
    mov ecx, PROCESSES
.parent:
    cmp [rax + PID], rdx
    jne .next
    cmp qword [rax + STATE], WAITING
    jne .next
    mov qword [rax + STATE], READY
.next:
    add rax, PROCESS
    loop .parent
    call schedule               ; never comes back

last_process:
    mov rax, [free_count]
    cmp rax, FRAMES
    je .all
    lea rsi, [text_lost]
    call wrong
.all:
    mov rax, [workload]
    lea rdx, [workloads]
    cmp rax, rdx
    jne finish
    say text_done
    mov rax, [wrongs]
    call put_number
    say text_wrong_count
    jmp finish

sys_wait:                       ; rax: number of a child that has ended, times 256, and its status; -1: no children
    mov rbx, [current]
    mov rdx, [rbx + PID]
    lea rdi, [processes]
    mov ecx, PROCESSES
    mov rax, -1
.next:
    cmp qword [rdi + STATE], FREE
    je .other
    cmp [rdi + PARENT], rdx
    jne .other
    cmp qword [rdi + STATE], ZOMBIE
    je .reap
    xor eax, eax
.other:
    add rdi, PROCESS
    loop .next
    test rax, rax
    jnz .out
    mov qword [rbx + STATE], WAITING
    call schedule
    jmp sys_wait
.reap:
    mov qword [rdi + STATE], FREE
    mov qword [rdi + PARENT], 0
    mov rax, [rdi + PID]
    shl rax, 8
    or rax, [rdi + CODE]
.out:
    ret

sys_sleep:                      ; rdi: ticks
    mov rbx, [current]
    mov rax, [ticks]
    add rax, [rbp + F_RDI]
    mov [rbx + WAKE], rax
    mov qword [rbx + STATE], SLEEPING
    call schedule
    xor eax, eax
    ret

sys_yield:
    call schedule
    xor eax, eax
    ret

wake_sleepers:                  ; after a tick
    lea rdi, [processes]
    mov ecx, PROCESSES
    mov rax, [ticks]
.next:
    cmp qword [rdi + STATE], SLEEPING
    jne .other
    cmp [rdi + WAKE], rax
    ja .other
    mov qword [rdi + STATE], READY
.other:
    add rdi, PROCESS
    loop .next
    ret
