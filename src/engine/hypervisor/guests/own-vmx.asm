; own-vmx: a whole hypervisor, small enough to read in one sitting, for a machine that has none below it. It asks the
; processor what it can do, turns VMX on, fills a VMCS, launches a guest of a few instructions under EPT, answers its
; exits and says each on the serial line, and turns VMX off again.
;
; It is loaded at 1 MiB and entered at its first byte in long mode, the first 4 GiB mapped to themselves. It ends by the
; debug port: 0 when the guest did what it should, 1 after an error. Manual: SDM 3C 24-28, 31; MSRs SDM 3D appendix A.

bits 64
org 0x100000

COM1        equ 0x3f8           ; 16550: data, +5 status
DEBUG_EXIT  equ 0xf4

VMXON_AREA  equ 0x200000        ; one page each
VMCS_AREA   equ 0x201000
EPT_PML4    equ 0x202000
EPT_PDPT    equ 0x203000
EPT_PD      equ 0x204000
IDT         equ 0x205000
HOST_STACK  equ 0x20a000
GUEST_STACK equ 0x20c000
LENT        equ 0x400000        ; 2 MiB that the guest gets at BEYOND
BEYOND      equ 0x40000000

FEATURE_CONTROL equ 0x3a
VMX_BASIC   equ 0x480
EFER        equ 0xc0000080
CR4_VMXE    equ 13

; VMCS fields
EPT_POINTER equ 0x201a
LINK        equ 0x2800
GUEST_EFER  equ 0x2806
HOST_EFER   equ 0x2c02
GUEST_PHYS  equ 0x2400
PIN         equ 0x4000
PRIMARY     equ 0x4002
EXIT_CTLS   equ 0x400c
ENTRY_CTLS  equ 0x4012
SECONDARY   equ 0x401e
ERROR       equ 0x4400
REASON      equ 0x4402
LENGTH      equ 0x440c
QUALIFICATION equ 0x6400
GUEST_CR0   equ 0x6800
GUEST_CR3   equ 0x6802
GUEST_CR4   equ 0x6804
GUEST_GDTR  equ 0x6816
GUEST_RIP   equ 0x681e
HOST_CR0    equ 0x6c00
HOST_CR3    equ 0x6c02
HOST_CR4    equ 0x6c04
HOST_GDTR   equ 0x6c0c
HOST_IDTR   equ 0x6c0e
HOST_RSP    equ 0x6c14
HOST_RIP    equ 0x6c16

; prints a text that ends with 0
%macro say 1
    lea rsi, [rel %1]
    call print
%endmacro
; writes a field; a failure ends the program
%macro field 2
    mov rax, %2
    mov edx, %1
    call write_field
%endmacro

start:
    mov rsp, HOST_STACK
    cld
    call make_idt

    ; is there VMX, and does the firmware allow it?
    mov eax, 1
    cpuid
    bt ecx, 5
    jnc no_vmx
    mov ecx, FEATURE_CONTROL
    rdmsr
    and eax, 5                  ; locked, VMXON allowed
    cmp eax, 5
    jne forbidden
    say t_present

    ; VMX operation: CR0.NE, CR4.VMXE, a region that begins with the revision
    mov rax, cr0
    bts rax, 5
    mov cr0, rax
    mov rax, cr4
    bts rax, CR4_VMXE
    mov cr4, rax
    mov ecx, VMX_BASIC
    rdmsr
    and eax, 0x7fffffff
    mov [VMXON_AREA], eax
    mov [VMCS_AREA], eax
    vmxon [rel vmxon_area]
    mov ebx, t_vmxon
    call check
    vmclear [rel vmcs_area]
    mov ebx, t_vmclear
    call check
    vmptrld [rel vmcs_area]
    mov ebx, t_vmptrld
    call check
    say t_on

    call make_ept
    call fill_vmcs
    say t_launch
    vmlaunch
    mov ebx, t_vmlaunch         ; still here: it failed
    call check

; ---- exits: the processor comes here with HOST_RSP, general registers are the guest's

on_exit:
    push rsi
    push rdx
    push rcx
    push rbx
    push rax
    inc dword [rel exits]
    mov edx, REASON
    vmread rbx, rdx
    bt ebx, 31
    jc on_failed
    say t_exit
    mov rax, rbx
    call decimal
    cmp ebx, 10
    je on_cpuid
    cmp ebx, 12
    je on_hlt
    cmp ebx, 18
    je on_vmcall
    cmp ebx, 30
    je on_port
    cmp ebx, 48
    je on_violation
    say t_unknown
.tell:
    say t_qualification
    mov edx, QUALIFICATION
    vmread rax, rdx
    call hexadecimal
    say t_line
    mov edi, 1
    jmp off

on_failed:                      ; the guest's state was refused: the host state is loaded, nothing of the guest ran
    say t_failed
    movzx eax, bx
    call decimal
    jmp on_exit.tell

on_cpuid:                       ; a vendor of our own
    say t_cpuid
    mov qword [rsp], 0
    mov qword [rsp + 8], 'Own '
    mov qword [rsp + 16], 'rvis'
    mov qword [rsp + 24], 'hype'
    jmp next

on_vmcall:                      ; rdi points at a text of the guest
    say t_vmcall
    mov rsi, rdi
    call print
    say t_line
    jmp next

on_port:                        ; qualification: port in 31:16, bit 3 set for IN
    mov edx, QUALIFICATION
    vmread rbx, rdx
    bt ebx, 3
    jc .in
    say t_out
    mov rax, [rsp]
    and eax, 0xff
    call hexadecimal
    jmp .port
.in:
    say t_in
    mov byte [rsp], 0x5a
.port:
    say t_port
    mov eax, ebx
    shr eax, 16
    call hexadecimal
    say t_line
    jmp next

on_violation:                   ; the first gigabyte is mapped: lend two megabytes above it and let it try again
    say t_violation
    mov edx, GUEST_PHYS
    vmread rax, rdx
    call hexadecimal
    say t_qualification
    mov edx, QUALIFICATION
    vmread rax, rdx
    call hexadecimal
    say t_line
    mov qword [EPT_PDPT + 8], EPT_PD + 0x1007
    mov qword [EPT_PD + 0x1000], LENT | 0xb7
    mov eax, 1
    invept rax, [rel ept_descriptor]
    mov ebx, t_invept
    call check
    jmp resume

on_hlt:
    say t_hlt
    mov eax, [rsp]              ; the guest's verdict
    xor edi, edi
    cmp eax, 0x600d
    setne dil
    jmp off

next:                           ; past the instruction
    mov edx, GUEST_RIP
    vmread rax, rdx
    mov ecx, LENGTH
    vmread rbx, rcx
    add rax, rbx
    vmwrite rdx, rax
resume:
    pop rax
    pop rbx
    pop rcx
    pop rdx
    pop rsi
    vmresume
    mov ebx, t_vmresume
    call check

off:
    vmxoff
    mov ebx, t_vmxoff
    call check
    say t_off
    mov eax, [rel exits]
    call decimal
    say t_line
finish:                         ; edi: status
    mov eax, edi
    out DEBUG_EXIT, al
    cli
    hlt
    jmp finish

; ---- filling the VMCS

; ecx: capability MSR, eax: wanted controls -> rax: with what must be one, without what must be zero
controls:
    mov r8d, eax
    rdmsr
    or eax, r8d
    and eax, edx
    mov eax, eax
    ret

; edx: field, rax: value
write_field:
    vmwrite rdx, rax
    mov ebx, t_vmwrite
    jmp check

fill_vmcs:
    ; controls; 0x48d-0x490 say what is possible
    mov ecx, 0x48d
    xor eax, eax
    call controls
    field PIN, rax
    mov ecx, 0x48e
    mov eax, 0x81000080         ; secondary controls, every port, HLT
    call controls
    field PRIMARY, rax
    mov ecx, 0x48b
    mov eax, 2                  ; EPT
    call controls
    field SECONDARY, rax
    mov ecx, 0x48f
    mov eax, 0x00300200         ; the host is 64-bit; save and load EFER
    call controls
    field EXIT_CTLS, rax
    mov ecx, 0x490
    mov eax, 0x00008200         ; so is the guest; load EFER
    call controls
    field ENTRY_CTLS, rax
    field EPT_POINTER, EPT_PML4 | 0x1e

    ; the host as it is now, and the guest as its twin
    mov rax, cr0
    mov rcx, cr3
    mov rdi, cr4
    field HOST_CR0, rax
    field GUEST_CR0, rax
    field HOST_CR3, rcx
    field GUEST_CR3, rcx
    field HOST_CR4, rdi
    field GUEST_CR4, rdi
    mov ecx, EFER
    rdmsr
    shl rdx, 32
    or rax, rdx
    mov rdi, rax
    field HOST_EFER, rdi
    field GUEST_EFER, rdi
    sgdt [rel table]
    mov rdi, [rel table + 2]
    field HOST_GDTR, rdi
    field GUEST_GDTR, rdi
    field HOST_IDTR, IDT
    field HOST_RSP, HOST_STACK
    lea rdi, [rel on_exit]
    field HOST_RIP, rdi
    lea rdi, [rel guest]
    field GUEST_RIP, rdi

    ; and what is constant
    lea rsi, [rel fields]
    mov edi, FIELDS
.next:
    mov edx, [rsi]
    mov eax, [rsi + 4]
    call write_field
    add rsi, 8
    dec edi
    jnz .next
    field LINK, -1
    ret

; encoding, value
fields:
    dd 0x0c00, 0x10, 0x0c02, 0x08, 0x0c04, 0x10, 0x0c06, 0x10, 0x0c08, 0x10, 0x0c0a, 0x10, 0x0c0c, 0x18   ; host selectors: es cs ss ds fs gs tr
    dd 0x0800, 0x10, 0x0802, 0x08, 0x0804, 0x10, 0x0806, 0x10, 0x0808, 0x10, 0x080a, 0x10, 0x080c, 0, 0x080e, 0x18   ; guest: and ldtr before tr
    dd 0x4800, -1, 0x4802, -1, 0x4804, -1, 0x4806, -1, 0x4808, -1, 0x480a, -1, 0x480c, 0, 0x480e, 0x67, 0x4810, 0x1f, 0x4812, 0   ; limits, gdtr, idtr
    dd 0x4814, 0xc093, 0x4816, 0xa09b, 0x4818, 0xc093, 0x481a, 0xc093, 0x481c, 0xc093, 0x481e, 0xc093, 0x4820, 0x10000, 0x4822, 0x8b   ; rights
    dd 0x681a, 0x400, 0x681c, GUEST_STACK, 0x6820, 2                                                      ; dr7, rsp, rflags
FIELDS equ ($ - fields) / 8

; the first gigabyte of the guest is the machine's, write-back, in pages of 2 MiB
make_ept:
    mov edi, EPT_PML4
    xor eax, eax
    mov ecx, 0x4000 / 8
    rep stosq
    mov qword [EPT_PML4], EPT_PDPT + 7
    mov qword [EPT_PDPT], EPT_PD + 7
    mov edi, EPT_PD
    mov eax, 0xb7               ; read, write, execute, type 6, large
    mov ecx, 512
.next:
    mov [rdi], rax
    add rdi, 8
    add rax, 0x200000
    loop .next
    ret

; ---- the guest

guest:
    xor eax, eax
    cpuid
    cmp ebx, 'Own '
    jne .wrong
    lea rdi, [rel t_hello]
    vmcall
    mov al, 0x47
    out 0x80, al
    in al, 0x60
    cmp al, 0x5a
    jne .wrong
    mov ecx, BEYOND
    mov dword [rcx + 8], 0x12345678     ; not there yet
    cmp dword [LENT + 8], 0x12345678    ; the same memory
    jne .wrong
    mov eax, 0x600d
    hlt
.wrong:
    mov eax, 0xbad
    hlt

; ---- errors

; after a VMX instruction, ebx: its name. CF: no VMCS is current or the address is bad; ZF: the VMCS has the number
check:
    jc .invalid
    jz .valid
    ret
.invalid:
    mov esi, ebx
    call print
    say t_invalid
    mov edi, 1
    jmp finish
.valid:
    mov esi, ebx
    call print
    say t_error
    mov edx, ERROR
    vmread rax, rdx
    call decimal
    say t_line
    mov edi, 1
    jmp finish

no_vmx:
    say t_none
    mov edi, 1
    jmp finish
forbidden:
    say t_forbidden
    mov edi, 1
    jmp finish

; gates for #UD, #DF, #GP and #PF, so that a mistake says something
make_idt:
    mov edi, IDT
    xor eax, eax
    mov ecx, 32 * 2
    rep stosq
    lea rax, [rel on_ud]
    mov edi, IDT + 6 * 16
    call gate
    lea rax, [rel on_df]
    mov edi, IDT + 8 * 16
    call gate
    lea rax, [rel on_gp]
    mov edi, IDT + 13 * 16
    call gate
    lea rax, [rel on_pf]
    mov edi, IDT + 14 * 16
    call gate
    lidt [rel idtr]
    ret
gate:
    mov [rdi], ax
    mov word [rdi + 2], 0x08
    mov word [rdi + 4], 0x8e00
    shr eax, 16
    mov [rdi + 6], ax
    ret
on_ud:
    push 0
    mov ebx, t_ud
    jmp exception
on_df:
    mov ebx, t_df
    jmp exception
on_gp:
    mov ebx, t_gp
    jmp exception
on_pf:
    mov ebx, t_pf
exception:                      ; error code and rip on the stack
    mov esi, ebx
    call print
    pop rax
    call hexadecimal
    say t_at
    pop rax
    call hexadecimal
    say t_line
    mov edi, 1
    jmp finish

; ---- the serial line; all keep every register but rax and rsi

print:
    lodsb
    test al, al
    jz .done
    call put
    jmp print
.done:
    ret

put:                            ; al
    push rdx
    push rax
    mov edx, COM1 + 5
.busy:
    in al, dx
    test al, 0x20
    jz .busy
    pop rax
    mov edx, COM1
    out dx, al
    pop rdx
    ret

decimal:                        ; eax
    push rdx
    push rcx
    push rbx
    mov ebx, 10
    xor ecx, ecx
.split:
    xor edx, edx
    div ebx
    push rdx
    inc ecx
    test eax, eax
    jnz .split
.put:
    pop rax
    add al, '0'
    call put
    loop .put
    pop rbx
    pop rcx
    pop rdx
    ret

hexadecimal:                    ; rax
    push rcx
    push rbx
    mov rbx, rax
    mov ecx, 60
.skip:                          ; leading zeros
    mov rax, rbx
    shr rax, cl
    test eax, 15
    jnz .put
    sub ecx, 4
    jg .skip
    xor ecx, ecx
.put:
    mov rax, rbx
    shr rax, cl
    and eax, 15
    cmp al, 10
    jb .digit
    add al, 'a' - '0' - 10
.digit:
    add al, '0'
    call put
    sub ecx, 4
    jns .put
    pop rbx
    pop rcx
    ret

vmxon_area: dq VMXON_AREA
vmcs_area:  dq VMCS_AREA
ept_descriptor: dq EPT_PML4 | 0x1e, 0
idtr:       dw 32 * 16 - 1
            dq IDT
table:      dw 0
            dq 0
exits:      dd 0

t_present:  db 'vmx: present and allowed', 10, 0
t_on:       db 'vmx: on', 10, 0
t_launch:   db 'vmx: launching', 10, 0
t_off:      db 'vmx: off, exits: ', 0
t_exit:     db 'exit ', 0
t_unknown:  db ' unexpected', 0
t_failed:   db 'entry failed, reason ', 0
t_cpuid:    db ' CPUID', 10, 0
t_vmcall:   db ' VMCALL: ', 0
t_out:      db ' OUT ', 0
t_in:       db ' IN', 0
t_port:     db ' port ', 0
t_violation: db ' EPT violation at ', 0
t_qualification: db ', qualification ', 0
t_hlt:      db ' HLT', 10, 0
t_hello:    db 'hello from the guest', 0
t_none:     db 'vmx: this processor has none', 10, 0
t_forbidden: db 'vmx: not allowed by IA32_FEATURE_CONTROL', 10, 0
t_invalid:  db ': VMfailInvalid', 10, 0
t_error:    db ': VM-instruction error ', 0
t_ud:       db '#UD ', 0
t_df:       db '#DF ', 0
t_gp:       db '#GP ', 0
t_pf:       db '#PF ', 0
t_at:       db ' at ', 0
t_line:     db 10, 0
t_vmxon:    db 'VMXON', 0
t_vmclear:  db 'VMCLEAR', 0
t_vmptrld:  db 'VMPTRLD', 0
t_vmwrite:  db 'VMWRITE', 0
t_vmlaunch: db 'VMLAUNCH', 0
t_vmresume: db 'VMRESUME', 0
t_invept:   db 'INVEPT', 0
t_vmxoff:   db 'VMXOFF', 0
