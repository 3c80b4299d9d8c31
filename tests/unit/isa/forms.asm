bits 64
org 0x100000
%define UART 0x3f8
%assign K 5
%macro put 1
	mov al, %1
	out dx, al
%%l: jmp %%l
%endmacro
start:
	mov rax, 1
	mov rax, -1
	mov rax, 0xffffffff
	mov rax, 0x80000000
	mov rax, 0x123456789a
	mov rax, start
	mov rax, later
	mov eax, later
	mov rax, later-start
	mov rax, LATE
	add rax, LATE
	add rax, 1
	add rax, 127
	add rax, 128
	add eax, 0xffffffff
	add rbx, 0x1000
	add bl, 3
	add al, 3
	add byte [rbx], 3
	add dword [rbx], 300
	add qword [rbx], 3
	add [rbx], rcx
	and rsp, ~15
	cmp rcx, later
	cmp dword [later], 1
	mov [later], rax
	mov rax, [later]
	mov rax, [rel later]
	mov dword [rel later], 5
	lea rsi, [rel later]
	lea rsi, [later]
	lea rax, [rbx+rcx*4+8]
	lea rax, [rbx+rcx]
	lea rax, [rcx*2]
	lea rax, [rcx*4]
	lea rax, [rcx*8+later]
	lea rax, [rbp]
	lea rax, [rsp]
	lea rax, [r12]
	lea rax, [r13]
	lea rax, [rbp+rax]
	lea rax, [rax+rbp]
	lea rax, [rax+rsp]
	lea rax, [r13+r12]
	lea rax, [rbx+0x1000]
	lea rax, [rbx-128]
	lea rax, [rbx-129]
	lea rax, [rbx+later]
	lea rax, [rax*3]
	lea rax, [rax*9+4]
	lea eax, [rbx]
	lea rax, [ebx+4]
	mov rax, [fs:0x28]
	mov rax, [gs:rbx]
	push 1
	push 1000
	push -1
	push later
	push rax
	push r8
	push qword [rax]
	pop r15
	pop qword [rbx]
	jmp later
	jz start
	jz later
	jnc far_away
	call later
	call rax
	jmp rax
	jmp [rax]
	call [rbx+8]
	jmp qword [later]
	test al, 1
	test eax, 1
	test rbx, 1
	test rbx, rcx
	test byte [rbx], 1
	test rbx, [rax]
	test [rax], rbx
	xchg rax, rbx
	xchg rbx, rax
	xchg rcx, rdx
	xchg eax, eax
	xchg eax, ebx
	xchg [rax], bl
	xchg bl, [rax]
	imul rax, rbx
	imul rax, rbx, 5
	imul rax, 5
	imul rax, 500
	imul ecx
	shl rax, 1
	shl rax, 5
	shl rax, cl
	sar byte [rbx], 1
	shr dword [rbx], cl
	movzx eax, byte [rbx]
	movzx eax, bl
	movzx rax, cx
	movsx rax, byte [rbx]
	movsxd rax, ecx
	movzx eax, word [rsi]
	setz al
	sete byte [rbx]
	cmovz rax, rbx
	mov cr3, rax
	mov rax, cr0
	mov cr4, r8
	mov r8, cr8
	mov ds, ax
	mov ds, eax
	mov ax, ds
	mov eax, ds
	mov rax, ds
	mov [rbx], ds
	lgdt [gdtr]
	lidt [rel gdtr]
	invlpg [rax]
	ltr ax
	in al, dx
	in al, 0x60
	out dx, al
	out 0xf4, al
	out 0xf4, eax
	mov dx, UART+K
	rep movsb
	rep stosq
	repne scasb
	lock add [rax], rbx
	lock cmpxchg [rax], rbx
	xadd [rax], ecx
	bts qword [rax], 5
	bt rax, rbx
	bswap eax
	bswap r9
	put 'x'
	put 10
.loc:
	loop .loc
	dec rcx
	jnz .loc
	jrcxz .loc
	iretq
	sysret
	syscall
	hlt
	cli
	cpuid
	vmcall
	vmlaunch
	wrmsr
	pushfq
	popfq
	leave
	ret
	ret 8
	int 0x80
	int3
	ud2
	mov byte [rbx], 'a'
	mov ah, 3
	mov spl, 3
	mov r9b, 3
	mov word [rbx], 0x1234
	mov qword [rbx], -1
	mov qword [rbx], later
	mov qword [rbx+r9*8], 5
	mov dword [dword rax+4], 3
	mov rax, strict qword 5
	mov rax, qword 5
	add eax, strict dword 5
	add eax, byte 5
	sub rsp, 8
	times 5 nop
.loc2:
	db "hello", 10, 0, 'it'
	dw 'a', 'abc', 3
	dd later, -1
	dq start, later - start
	align 16
	align 16, db 0
	not rax
	neg byte [rax]
	inc rax
	dec dword [rbx]
	nop dword [rax]
	shld rax, rbx, 4
	mov al, [rbx]
	mov [rbx], al
	mov rax, [0x1000]
	mov eax, [0x1000]
	mov [0xfee00000], eax
	enter 8, 0
	and eax, 0xf
	and eax, 0xff
	and rax, 0xff
	and rax, -4096
	or rax, 0x80
	or eax, 1<<31
	or eax, 0x80000001
	and ax, 0xfff0
	add ax, 0xffff
	cmp al, 'q'
	cmp byte [rsi+rbx], 0
	mov rdi, [rsp+8]
	mov [rsp+r15*8-0x10], r14d
	times 200 nop
far_away:
later:
LATE equ 40
gdtr: dw 23
 dq later
 resb 8
