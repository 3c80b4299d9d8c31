; The code of processes: position-independent, mapped for reading at USER. r15 is where a process goes on after a fault that it
; provokes (traps.asm, FAULT).

%macro ask 1                    ; a system call by SYSCALL: rcx and r11 are lost
    mov eax, %1
    syscall
%endmacro
%macro ask_int 1                ; the same by a gate
    mov eax, %1
    int 0x80
%endmacro
%macro print 1
    lea rdi, [%1]
    ask 1
%endmacro
%macro counter 1                ; rax
    mov edi, %1
    ask 6
%endmacro
%macro timed 0                  ; after the empty loop: r12 how often, r14 what it took, rbx to count down, r13 the clock
    mov r12, rdi
    mov rbx, rdi
    call u_empty
    mov rbx, r12
    clock r13
%endmacro

PATIENCE equ 1000               ; rounds of computing before a process believes that no interrupt comes

; ---- boot
u_boot:
    print u_hello
    call u_demand_check
    call u_fork_check
    call u_preempt_check
    call u_idle_check
    xor edi, edi
    ask 2

u_demand_check:                 ; eight pages that nobody has given
    counter 2
    mov r12, rax
    mov ebx, UHEAP
    mov ecx, 8
.touch:
    mov [rbx], rcx
    add rbx, 4096
    dec ecx
    jnz .touch
    xor edx, edx
    mov ecx, 8
.sum:
    sub rbx, 4096
    add rdx, [rbx]
    dec ecx
    jnz .sum
    mov r13, rdx
    counter 2
    sub rax, r12
    cmp rax, 8
    jne .wrong
    cmp r13, 36
    jne .wrong
    print u_demand_done
    ret
.wrong:
    lea rdi, [u_demand_wrong]
    ask 10
    ret

u_fork_check:                   ; a word before and after, in parent and child
    mov qword [abs UDATA_PAGE], 1
    counter 3
    mov r12, rax
    ask 3
    test eax, eax
    jnz .parent
    mov rbx, [abs UDATA_PAGE]
    mov qword [abs UDATA_PAGE], 2
    imul ebx, ebx, 40
    add ebx, [abs UDATA_PAGE]
    mov edi, ebx
    ask 2
.parent:
    mov rbx, rax
    ask 4
    shl rbx, 8
    or rbx, 42
    cmp rax, rbx
    jne .wrong
    cmp qword [abs UDATA_PAGE], 1
    jne .wrong
    mov qword [abs UDATA_PAGE], 1
    counter 3
    sub rax, r12
    cmp rax, 2                  ; at least the word's page in child and parent
    jb .wrong
    print u_fork_done
    ret
.wrong:
    lea rdi, [u_fork_wrong]
    ask 10
    ret

u_preempt_check:                ; both compute for ever; only the timer takes the processor from them
    ask 11
    mov rbx, rax
    ask 5
    mov ebp, PATIENCE
.spin:
    dec ebp
    jz .late
    mov ecx, 10000
.compute:
    pause
    dec ecx
    jnz .compute
    counter 1
    cmp rax, 4
    jb .spin
    ask 4
    shl rbx, 8
    or rbx, 7
    cmp rax, rbx
    jne .wrong
    cmp qword [abs UDATA_PAGE], 1
    jne .wrong
    print u_preempt_done
    ret
.late:                          ; the second gives up as well
    ask 4
.wrong:
    lea rdi, [u_preempt_wrong]
    ask 10
    ret

u_second:                       ; the second process, all by int 0x80
    mov qword [abs UDATA_PAGE], 2
    lea rdi, [u_second_hello]
    ask_int 1
    mov edi, 9
    mov ebp, PATIENCE
.spin:
    dec ebp
    jz .out
    mov ecx, 10000
.compute:
    pause
    dec ecx
    jnz .compute
    mov edi, 1
    ask_int 6
    cmp rax, 4
    mov edi, 9
    jb .spin
    mov edi, 7
    cmp qword [abs UDATA_PAGE], 2
    je .out
    mov edi, 8
.out:
    ask_int 2

u_idle_check:
    counter 5
    mov r12, rax
    counter 0
    mov r13, rax
    mov edi, 3
    ask 7
    counter 5
    cmp rax, r12
    je .wrong
    counter 0
    sub rax, r13
    cmp rax, 3
    jb .wrong
    print u_idle_done
    ret
.wrong:
    lea rdi, [u_idle_wrong]
    ask 10
    ret

; ---- benchmarks: rdi: how often
u_empty:
    clock r13
.again:
    dec rbx
    jnz .again
    clock r14
    sub r14, r13
    ret

u_timed:                        ; the end: cycles from r13 on, less r14, for r12 operations
    clock rdi
    sub rdi, r13
    sub rdi, r14
    jns .cost
    xor edi, edi
.cost:
    mov rsi, r12
    ask 8
    xor edi, edi
    ask 2

u_syscall:
    timed
.again:
    xor eax, eax
    syscall
    dec rbx
    jnz .again
    jmp u_timed

u_int80:
    timed
.again:
    xor eax, eax
    int 0x80
    dec rbx
    jnz .again
    jmp u_timed

u_divzero:
    lea r15, [.after]
    timed
.again:
    xor edx, edx
    xor ecx, ecx
    div ecx
.after:
    dec rbx
    jnz .again
    xor r15d, r15d
    jmp u_timed

u_pgfault:                      ; a true fault whose handler does nothing but go on
    lea r15, [.after]
    mov esi, FAULT
    timed
.again:
    mov al, [rsi]
.after:
    dec rbx
    jnz .again
    jmp u_timed

u_fork:                         ; a child that ends at once, and is waited for
    timed
.again:
    ask 3
    test eax, eax
    jz .child
    ask 4
    dec rbx
    jnz .again
    jmp u_timed
.child:
    xor edi, edi
    ask 2

u_forkwait:                     ; the same of a process with a heap; after each fork both write some of it
    mov ecx, FORKWAIT_HEAP
    call u_touch
    timed
.again:
    ask 3
    test eax, eax
    jz .child
    ask 4
    mov ecx, FORKWAIT_WRITTEN
    call u_touch
    dec rbx
    jnz .again
    jmp u_timed
.child:
    mov ecx, FORKWAIT_WRITTEN
    call u_touch
    xor edi, edi
    ask 2

u_touch:                        ; ecx: pages of the heap to write
    mov edx, UHEAP
.page:
    mov [rdx], ecx
    add edx, 4096
    loop .page
    ret

FORKWAIT_HEAP    equ 8          ; pages
FORKWAIT_WRITTEN equ 2

u_demand:                       ; pages of the heap for the first time, 256 at most before they go back
    mov r12, rdi
    mov rbp, rdi
    xor r14d, r14d
    xor r9d, r9d
.batch:
    mov ecx, UHEAP_PAGES
    cmp rbp, rcx
    jae .full
    mov rcx, rbp
.full:
    sub rbp, rcx
    mov ebx, UHEAP
    clock r13
.touch:
    mov [rbx], rcx
    add rbx, 4096
    dec rcx
    jnz .touch
    clock rax
    sub rax, r13
    add r9, rax
    ask 9
    test rbp, rbp
    jnz .batch
    clock r13
    sub r13, r9
    jmp u_timed

u_ctxsw:                        ; two processes give the processor to one another
    inc rdi
    and rdi, -2
    mov r12, rdi
    mov rbx, rdi
    shr rbx, 1
    xor r14d, r14d
    ask 3
    test eax, eax
    jz .child
    ask 5                       ; the child's first turn
    clock r13
.again:
    ask 5
    dec rbx
    jnz .again
    clock r9
    ask 4
    clock r8
    sub r9, r13
    sub r8, r9
    mov r13, r8
    jmp u_timed
.child:
    inc rbx
    inc rbx
.more:
    ask 5
    dec rbx
    jnz .more
    xor edi, edi
    ask 2

u_spin:                         ; nothing but computing
    mov r12, rdi
    xor r14d, r14d
    mov rbx, rdi
    clock r13
.again:
    dec rbx
    jnz .again
    jmp u_timed

u_hello:         db 'first: a process in ring 3, by syscall', 10, 0
u_second_hello:  db 'second: another one, by int 0x80, at the same addresses', 10, 0
u_demand_done:   db 'first: 8 pages came on demand', 10, 0
u_demand_wrong:  db 'pages on demand', 0
u_fork_done:     db 'first: forked, the child copied what it wrote and left with 42', 10, 0
u_fork_wrong:    db 'fork and copy on write', 0
u_preempt_done:  db 'first: the timer took turns with the second, which left with 7', 10, 0
u_preempt_wrong: db 'no interrupt took turns between two processes', 0
u_idle_done:     db 'first: slept, and the machine was idle', 10, 0
u_idle_wrong:    db 'sleep and idle', 0
