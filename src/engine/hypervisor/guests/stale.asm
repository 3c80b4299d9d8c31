; stale: a guest with a mistake in it. It maps a page, reads it, lets the entry lead to another frame, and reads again. What it
; reads then depends on what the processor still remembers. Flat 64-bit image: entered at 1 MiB in long mode, the first 4 GiB
; mapped to themselves, their PDPT at 0x71000.
;
;   0x40000000  the page        0x200000 PD   0x201000 PT   0x300000, 0x301000 the two frames

bits 64
org 0x100000

PAGE    equ 0x40000000
PD      equ 0x200000
PT      equ 0x201000
FIRST   equ 0x300000
SECOND  equ 0x301000

start:
    mov rsp, 0x70000
    mov qword [0x71008], PD + 3
    mov qword [PD], PT + 3
    mov qword [PT], FIRST + 3
    mov byte [FIRST], 'A'
    mov byte [SECOND], 'B'
    mov ebx, PAGE
    mov al, [rbx]               ; the first frame: A
    call report
remap:
    mov qword [PT], SECOND + 3  ; from here on the page is the second frame
    mov al, [rbx]               ; so this should be B
    call report
    mov dx, 0x604               ; power off
    mov ax, 0x2000
    out dx, ax
    hlt

report:                         ; al: what was read
    mov [seen], al
    lea rsi, [rel text]
    mov ecx, text_end - text
    mov dx, 0x3f8
.next:
    lodsb
    out dx, al
    loop .next
    ret
text: db 'read '
seen: db 0, 10
text_end:
