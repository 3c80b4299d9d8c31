; The command line: which workload, how often, how to end.

LOAD_NAME   equ 0               ; a row of the table of workloads
LOAD_KERNEL equ 8               ; a routine of the kernel, or 0
LOAD_USER   equ 16              ; where a process begins
LOAD_COUNT  equ 24              ; how often, when the command line does not say
LOAD        equ 32

parse_command:
    lea rsi, [command]
    lea rbx, [workloads]
    mov [workload], rbx
    lea r12, [count]            ; where the next number goes
.word:
    lodsb
    cmp al, ' '
    je .word
    test al, al
    jz .end
    dec rsi
    cmp al, '0'
    jb .name
    cmp al, '9'
    jbe .number
.name:
    lea rdi, [text_exit]
    call same_word
    jc .row
    mov byte [by_exit], 1
    jmp .word
.row:
    lea rbx, [workloads]
.rows:
    mov rdi, [rbx + LOAD_NAME]
    call same_word
    jnc .found
    add rbx, LOAD
    cmp qword [rbx + LOAD_NAME], 0
    jne .rows
    say text_unknown
    inc qword [wrongs]
.letter:                        ; the word, and on to the next
    mov al, [rsi]
    and al, ~' '
    jz .unknown
    mov al, [rsi]
    call put_char
    inc rsi
    jmp .letter
.unknown:
    say text_line
    jmp .word
.found:
    mov [workload], rbx
    jmp .word
.number:
    xor edx, edx
.digit:
    movzx eax, byte [rsi]
    sub eax, '0'
    cmp eax, 9
    ja .whole
    imul rdx, rdx, 10
    add rdx, rax
    inc rsi
    jmp .digit
.whole:
    mov [r12], rdx
    lea r12, [count2]
    jmp .word
.end:
    cmp qword [wrongs], 0
    jne finish
    cmp qword [count], 0
    jne .counted
    mov rbx, [workload]
    mov rax, [rbx + LOAD_COUNT]
    mov [count], rax
.counted:
    cmp qword [count2], 0
    jne .both
    mov qword [count2], 10
.both:
    ret

same_word:                      ; rsi: text, rdi: a word; CF: it is not the next; otherwise rsi stands behind it
    push rax
    push rsi
    push rdi
.next:
    mov al, [rsi]
    mov ah, [rdi]
    test ah, ah
    jz .over
    cmp al, ah
    jne .other
    inc rsi
    inc rdi
    jmp .next
.over:
    test al, al
    jz .same
    cmp al, ' '
    jne .other
.same:
    pop rdi
    add rsp, 8
    pop rax
    clc
    ret
.other:
    pop rdi
    pop rsi
    pop rax
    stc
    ret
