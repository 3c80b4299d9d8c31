; The workload boot: what the machine is, and whether it does what the kernel believes it does. Each check is a routine of its
; own; what fails is WRONG, and the machine goes on.

%macro expect 2                 ; condition, complaint
    j%1 %%right
    push rsi
    lea rsi, [%2]
    call wrong
    pop rsi
%%right:
%endmacro

boot_greeting:
    say text_banner
    mov rax, [memory_bytes]
    shr rax, 20
    call put_number
    say text_mib
    call show_processor
%ifndef PV                      ; a kernel that knows need not ask
    call show_self
    call show_tables
    call who_am_i
    say text_who_done
    call check_msr
%endif
    call check_processor
    call check_tsc
    call check_flags
    say text_flags_done
    call check_pages
    say text_pages_done
    call timer_start
    call check_idle
    call check_critical_section
    call check_iret
    say text_timer_done
    jmp irq_off

show_processor:
    xor eax, eax
    cpuid
    mov [vendor], ebx
    mov [vendor + 4], edx
    mov [vendor + 8], ecx
    say text_processor
    say vendor
    say text_line
    ret

; ---- who am I: what reveals the privilege and the tables, and traps nowhere
show_self:
    say text_self
    mov eax, cs
    call put_hex
    say text_tr
    str eax
    call put_hex
    say text_ldt
    sldt eax
    call put_hex
    say text_msw
    smsw eax
    movzx eax, ax
    call put_hex
    say text_line
    ret

show_tables:
    say text_gdt
    sgdt [pseudo]
    call .put
    say text_idt
    sidt [pseudo]
    call .put
    say text_line
    ret
.put:
    mov rax, [pseudo + 2]
    call put_hex
    mov al, '/'
    call put_char
    movzx eax, word [pseudo]
    jmp put_hex

who_am_i:
who_cs:
    mov eax, cs
    test al, 3
    expect z, text_cs
who_ss:
    mov eax, ss
    test al, 3
    expect z, text_ss
who_sgdt:
    sgdt [pseudo]
    lea rax, [gdt]
    cmp rax, [pseudo + 2]
    expect e, text_sgdt
who_sidt:
    sidt [pseudo]
    lea rax, [idt]
    cmp rax, [pseudo + 2]
    expect e, text_sidt
who_str:
    str eax
    cmp ax, TASK
    expect e, text_str
who_smsw:
    smsw eax
    mov rdx, cr0
    cmp ax, dx
    expect e, text_smsw
who_lar:
    mov ecx, KCODE
    lar eax, ecx
    and eax, 0xfe00             ; present, privilege, kind; not whether it was accessed
    cmp eax, 0x9a00
    expect e, text_lar
who_lsl:
    mov ecx, KDATA
    lsl eax, ecx
    cmp eax, -1
    expect e, text_lsl
who_verw:
    mov ecx, KDATA
    verw cx
    expect z, text_verw
    ret

check_processor:                ; long mode, or this would not run
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    expect c, text_cpuid
    ret

%ifndef PV
check_msr:
    mov ecx, LSTAR
    call read_msr
    lea rdx, [on_syscall]
    cmp rax, rdx
    expect e, text_msr
    ret
%endif

check_tsc:
    clock r8
    clock r9
    cmp r9, r8
    expect a, text_tsc
    ret

; ---- the interrupt flag as PUSHF shows it
check_flags:
    call irq_off
    call irq_flags
    test eax, IF
    expect z, text_cli
    call irq_on
    call irq_flags
    test eax, IF
    expect nz, text_sti
    call irq_save
    test eax, IF
    expect nz, text_pushf
    call irq_restore
    call irq_flags
    test eax, IF
    expect nz, text_popf_shows
    call irq_off
    call irq_save
    call irq_restore            ; off before, off after
    call irq_flags
    test eax, IF
    expect z, text_popf_sets
    jmp irq_off

; ---- a page changes its frame, and INVLPG makes it known
check_pages:
    mov qword [abs POOL + 2048], 1
    mov qword [abs POOL + 4096 + 2048], 2
    mov edi, THRASH_PT
    mov eax, POOL + P + W
    call set_entry
    call entries_done
    mov ecx, THRASH + 2048
    mov rdx, [rcx]
    mov eax, POOL + 4096 + P + W
    call set_entry
    mov eax, THRASH
    call flush_page
    cmp rdx, 1
    expect e, text_first_frame
    cmp qword [rcx], 2
    expect e, text_stale
    mov qword [rcx], 3          ; and it is the frame that changes
    cmp qword [abs POOL + 4096 + 2048], 3
    expect e, text_stored
    mov qword [abs POOL + 2048], 0
    mov qword [abs POOL + 4096 + 2048], 0
    xor eax, eax
    call set_entry
    mov eax, THRASH
    jmp flush_page

; ---- with the timer running
wait_periods:                   ; ecx: so many times channel 0 begins anew, seen by reading it, whatever interrupts do
    push rbx
    call read_timer
    mov ebx, eax
.look:
    mov eax, 10000
.rest:
    pause
    dec eax
    jnz .rest
    call read_timer
    cmp eax, ebx
    mov ebx, eax
    jbe .look
    dec ecx
    jnz .look
    pop rbx
    ret

check_idle:                     ; HLT sleeps until a tick
    call irq_off
    mov r12, [ticks]
    call idle
    call idle
    mov rax, [ticks]
    sub rax, r12
    cmp rax, 2
    expect e, text_idle
    ret

; Nothing comes in between CLI and POPF, and POPF lets it in again.
check_critical_section:
    call irq_on
    call irq_save
    mov r13, rax
    mov r12, [ticks]
    mov ecx, 1
    call wait_periods
    cmp r12, [ticks]
    expect e, text_critical
    mov r12, [ticks]
    mov rax, r13
    call irq_restore
    mov ecx, 2
    call wait_periods
    cmp r12, [ticks]
    expect ne, text_popf
    jmp irq_off

; IRET brings interrupts back, and takes them away
check_iret:
    call irq_off
    mov eax, IF + 2
    call .iret
    mov r12, [ticks]
    mov ecx, 2
    call wait_periods
    cmp r12, [ticks]
    expect ne, text_iret_on
    mov eax, 2
    call .iret
    mov r12, [ticks]
    mov ecx, 1
    call wait_periods
    cmp r12, [ticks]
    expect e, text_iret_off
    ret
.iret:
    pop rdx
    mov rcx, rsp
    push qword KDATA
    push rcx
    push rax
    push qword KCODE
    push rdx
    jmp return_from_trap
