; Operations of the kernel, measured one kind at a time by the time-stamp counter, with interrupts off.
; Convention: r13: the clock at the start, r14: what the empty loop took, rbx: how often still.

%macro clock 1
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov %1, rax
%endmacro
%macro measure 0
    mov rbx, [count]
    call empty_loop
    mov rbx, [count]
    clock r13
%endmacro

empty_loop:
    clock r13
.again:
    dec rbx
    jnz .again
    clock r14
    sub r14, r13
    ret

measured:
    clock rax
    sub rax, r13
    sub rax, r14
    jns .cost
    xor eax, eax
.cost:
    mov rcx, [count]

report:                         ; rax: cycles, rcx: operations; "name operations cycles.hundredths"
    push rax
    mov rax, [workload]
    mov rsi, [rax + LOAD_NAME]
    call put_text
    mov al, ' '
    call put_char
    mov rax, rcx
    call put_number
    mov al, ' '
    call put_char
    pop rax
    xor edx, edx
    div rcx
    call put_number
    mov al, '.'
    call put_char
    imul rax, rdx, 100
    xor edx, edx
    div rcx
    xor edx, edx
    mov ecx, 10
    div rcx
    add al, '0'
    call put_char
    lea eax, [rdx + '0']
    call put_char
    say text_line
    ret

k_in:
    measure
.again:
    in al, 0x80
    dec rbx
    jnz .again
    jmp measured

%ifdef PV
k_cr8:                          ; the hypervisor's
    say text_theirs
    ret
%else
k_cr8:
    xor eax, eax
    measure
    xor eax, eax
.again:
    mov cr8, rax
    dec rbx
    jnz .again
    jmp measured
%endif

k_callret:
    measure
.again:
    call .there
    dec rbx
    jnz .again
    jmp measured
.there:
    ret

k_invlpg:
    mov esi, THRASH
    measure
.again:
%ifdef PV
    mov rax, rsi
    call flush_page
%else
    invlpg [rsi]
%endif
    dec rbx
    jnz .again
    jmp measured

k_cpuid:                        ; cpuid takes rbx for itself
    measure
    mov rsi, rbx
.again:
    xor eax, eax
    cpuid
    dec rsi
    jnz .again
    jmp measured

k_popf:                         ; a critical section
    measure
.again:
%ifdef PV
    call irq_save
    call irq_restore
%else
    pushfq
    cli
    popfq
%endif
    dec rbx
    jnz .again
    jmp measured

k_ptemod:                       ; a present entry of tables in use changes, two values in turn
    mov rax, [count]
    inc rax
    and rax, -2
    mov [count], rax
    mov edi, THRASH_PT
    mov esi, POOL + P + W
    mov ecx, POOL + 4096 + P + W
    mov rax, rsi                ; in use: the page behind it was touched
    call set_entry
    call entries_done
    mov r8d, THRASH
    mov eax, [r8]
    mov rbx, [count]
    shr rbx, 1
    push rbx
    call empty_loop
    pop rbx
    clock r13
.again:
%ifdef PV
    mov rax, rsi
    call set_entry
    mov rax, rcx
    call set_entry
%else
    mov [rdi], rsi
    mov [rdi], rcx
%endif
    dec rbx
    jnz .again
    call entries_done
    jmp measured

; every page once in each round; more pages than the TLB has entries miss every time
k_tlbthrash:
    mov rax, [count]
    cmp rax, THRASH_MOST
    jbe .fits
    mov eax, THRASH_MOST
.fits:
    mov r12, rax
    mov edi, THRASH_PT
    xor ecx, ecx
.map:                           ; sixteen frames behind all of them, so that it is not the cache that misses
    mov eax, ecx
    and eax, 15
    shl eax, 12
    add eax, POOL + P + W
    call set_entry
    add rdi, 8
    inc rcx
    cmp rcx, r12
    jb .map
    call entries_done
    mov r15, [count2]
    call .round
    clock r13
.rounds:
    call .round
    dec r15
    jnz .rounds
    clock rax
    sub rax, r13
    mov rcx, r12
    imul rcx, [count2]
    jmp report
.round:
    mov edi, THRASH
    mov rcx, r12
.touch:
    mov edx, [rdi]
    add rdi, 4096
    dec rcx
    jnz .touch
    ret
