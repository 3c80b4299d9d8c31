; Frames of the pool with their counts of references; address spaces; the page fault: on demand, copy on write.

pool_start:                     ; every frame on the list of free ones, none referred to
    mov edi, REFERENCES
    xor eax, eax
    mov ecx, FRAMES / 4
    rep stosq
    mov [free_frames], rax
    mov edi, KERNEL_END - 4096
.next:
    call put_free
    sub rdi, 4096
    cmp rdi, POOL
    jae .next
    ret
put_free:                       ; rdi; its first word leads to the next
    mov rax, [free_frames]
    mov [rdi], rax
    mov [free_frames], rdi
    inc qword [free_count]
    ret

take_frame:                     ; rax: a frame of zeros with one reference
    mov rax, [free_frames]
    test rax, rax
    jz no_memory
    push rdi
    push rcx
    mov rcx, [rax]
    mov [free_frames], rcx
    dec qword [free_count]
    mov rdi, rax
    push rax
    xor eax, eax
    mov ecx, 512
    rep stosq
    pop rax
    mov rdi, rax
    call reference_of
    mov word [rdi], 1
    pop rcx
    pop rdi
    ret
no_memory:
    lea rsi, [text_memory]
    call wrong
    jmp finish

reference_of:                   ; rdi: frame; rdi: its count
    sub rdi, POOL
    shr rdi, 11
    add rdi, REFERENCES
    ret
share_frame:                    ; rdi: frame, perhaps none of the pool's (the image)
    cmp rdi, POOL
    jb .ours
    push rdi
    call reference_of
    inc word [rdi]
    pop rdi
.ours:
    ret
drop_frame:                     ; rdi
    cmp rdi, POOL
    jb .ours
    push rdi
    call reference_of
    dec word [rdi]
    pop rdi
    jz .free
.ours:
    ret
.free:
    push rax
    call put_free
    pop rax
    ret

; An address space is four frames: PML4, PDPT, PD and one page table for the 2 MiB at USER.
; rax: root of a new one, rbx: its page table; both spaces share the kernel's tables
new_space:
    push rdi
    push rdx
    call take_frame
    mov rbx, rax
    call take_frame
    mov rdi, rax
    lea rax, [rbx + P + W + U]
    call new_entry              ; PD
    push rdi
    call take_frame
    mov rdi, rax
    call kernel_entry
    call new_entry              ; PDPT: the kernel, the process
    add rdi, 8
    pop rax
    add rax, P + W + U
    call new_entry
    call take_frame
    push rax
    lea rdx, [rdi - 8 + P + W + U]
    mov rdi, rax
    mov rax, rdx
    call new_entry
    pop rax
    pop rdx
    pop rdi
    jmp pin_space

page_table:                     ; rax: root; rax: its page table
    push rdi
    mov rdi, rax
    call read_entry
    and rax, -4096
    lea rdi, [rax + 8]
    call read_entry
    and rax, -4096
    mov rdi, rax
    call read_entry
    and rax, -4096
    pop rdi
    ret

; rax: root of a space nobody runs in; all that is only its own goes back
free_space:
    push rbx
    push rcx
    push rdi
    call unpin_space
    push rax
    call page_table
    mov rbx, rax
    mov ecx, 512
.page:
    lea rdi, [rbx + rcx * 8 - 8]
    call read_entry
    test al, P
    jz .none
    and rax, -4096
    mov rdi, rax
    call drop_frame
.none:
    loop .page
    pop rdi                     ; now the tables, from above, each read before it goes
    call read_entry
    call drop_frame
    and rax, -4096
    mov rdi, rax
    add rdi, 8
    call read_entry
    sub rdi, 8
    call drop_frame
    and rax, -4096
    mov rdi, rax
    call drop_frame
    mov rdi, rbx
    call drop_frame
    pop rdi
    pop rcx
    pop rbx
    ret

; fork: rax: root of the running space; rax: root of one that shares every page, writable ones to be copied on write
copy_space:
    push rbx
    push rcx
    push rdi
    push r8
    call page_table
    mov r8, rax
    call new_space
    push rax
    xor ecx, ecx
.page:
    lea rdi, [r8 + rcx * 8]
    call read_entry
    test al, P
    jz .next
    mov rdi, rax
    and rdi, -4096
    call share_frame
    test al, W
    jz .same
    and rax, ~W
    or rax, COW
    lea rdi, [r8 + rcx * 8]
    call set_entry
.same:
    lea rdi, [rbx + rcx * 8]
    call set_entry
.next:
    inc ecx
    cmp ecx, 512
    jb .page
    call current_space          ; what was writable is not any more
    call load_space
    pop rax
    pop r8
    pop rdi
    pop rcx
    pop rbx
    ret

; rax: address, ecx: error code, of the running process. CF: it has no business there.
resolve_fault:
    push rbx
    push rdi
    push rsi
    mov rbx, rax
    mov rdi, rax
    sub rdi, USER
    cmp rdi, 0x200000
    jae .bad
    call current_space
    and rax, -4096
    call page_table
    shr rdi, 12
    lea rdi, [rax + rdi * 8]
    test cl, P
    jnz .write
    cmp rbx, UHEAP              ; not there: the heap and the stack grow
    jae .zero
    cmp rbx, USTACK_LOW - 0x4000
    jb .bad
    cmp rbx, USTACK
    jae .bad
.zero:
    inc qword [demand_faults]
    call take_frame
    or rax, P + W + U
    call set_entry
    jmp .done
.write:                         ; there: only a write to a shared page is right
    call read_entry
    test cl, W
    jz .bad
    test eax, COW
    jz .bad
    inc qword [copy_faults]
    mov rsi, rax
    and rsi, -4096
    push rdi
    mov rdi, rsi
    call reference_of
    cmp word [rdi], 1
    pop rdi
    je .alone
    call take_frame
    push rdi
    push rsi
    push rcx
    mov rdi, rax
    mov ecx, 512
    rep movsq
    pop rcx
    pop rdi
    call drop_frame             ; one reference less to the old one
    pop rdi
    or rax, P + W + U
    jmp .enter
.alone:
    and rax, ~COW
    or rax, W
.enter:
    call set_entry
    mov rax, rbx
    call flush_page
.done:
    clc
.out:
    pop rsi
    pop rdi
    pop rbx
    ret
.bad:
    stc
    jmp .out
