; The serial line: text, numbers, and the complaint that everything WRONG goes through.

COM1        equ 0x3f8

%ifndef PV
console_start:                  ; 38400 baud, 8N1, FIFOs, no interrupts
    lea rsi, [.words]
    mov ecx, 7
.next:
    movzx edx, byte [rsi]
    add edx, COM1
    mov al, [rsi + 1]
    call out_byte
    add rsi, 2
    loop .next
    ret
.words: db 1, 0, 3, 0x80, 0, 3, 1, 0, 3, 3, 2, 0xc7, 4, 3
%endif

put_char:                       ; al; keeps everything
    push rdx
    push rax
    mov dx, COM1 + 5
.wait:
    call in_byte
    test al, 0x20
    jz .wait
    mov dx, COM1
    mov rax, [rsp]
    call out_byte
    pop rax
    pop rdx
    ret

put_text:                       ; rsi: text, NUL at its end; a line feed brings a carriage return
    push rax
    push rsi
.next:
    lodsb
    test al, al
    jz .end
    cmp al, 10
    jne .plain
    mov al, 13
    call put_char
    mov al, 10
.plain:
    call put_char
    jmp .next
.end:
    pop rsi
    pop rax
    ret

put_number:                     ; rax, decimal; keeps everything
    push rax
    push rbx
    push rcx
    push rdx
    mov ebx, 10
    xor ecx, ecx
.digit:
    xor edx, edx
    div rbx
    push rdx
    inc ecx
    test rax, rax
    jnz .digit
.out:
    pop rax
    add al, '0'
    call put_char
    loop .out
    pop rdx
    pop rcx
    pop rbx
    pop rax
    ret

put_hex:                        ; rax; keeps everything
    push rax
    push rcx
    push rdx
    mov rdx, rax
    mov ecx, 16
.skip:                          ; no zeros in front
    cmp ecx, 1
    je .out
    mov rax, rdx
    shr rax, 60
    jnz .out
    shl rdx, 4
    dec ecx
    jmp .skip
.out:
    mov rax, rdx
    shr rax, 60
    add al, '0'
    cmp al, '9'
    jbe .plain
    add al, 'a' - '0' - 10
.plain:
    call put_char
    shl rdx, 4
    loop .out
    pop rdx
    pop rcx
    pop rax
    ret

%macro say 1                    ; the text of a label
    push rsi
    lea rsi, [%1]
    call put_text
    pop rsi
%endmacro

; rsi: what is wrong. The machine goes on, and its end tells.
wrong:
    inc qword [wrongs]
    say text_wrong
    call put_text
    say text_line
    ret
