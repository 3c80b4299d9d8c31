mov rax, rbx
mov eax, 0x1
mov rax, 0x123456789a
mov rax, -0x1
mov al, 0x61
mov ah, 0x3
mov spl, 0x3
mov [rbx], rcx
mov rcx, [rbx+0x8]
mov r15, [rsp+r14*8-0x10]
mov byte [rbx], 0x61
mov qword [rbx], -0x1
mov dword [0x200000], 0x203007
mov cr3, rax
mov rax, cr0
mov ds, ax
mov ax, ds
add rax, 0x1
add eax, 0x1000
add [rax], cl
add byte [rax], 0x1
sub rsp, 0x28
xor r12d, r12d
cmp r13b, 0x68
test rax, rax
test al, 0x1
lea rsi, [rel 0x2000]
lea rax, [rbx+rcx*4+0x8]
inc qword [rdi]
dec ecx
shl rax, 0x4
shr edx, 1
sar byte [rbx], cl
movzx eax, byte [rbx]
movzx ebx, al
movsx rax, word [rsi]
movsxd rax, ecx
imul rax, rbx, 0x5
imul ecx
mul rbx
div rbx
push rax
push r12
push 0x10
push qword [rax]
pop r15
pushfq
popfq
call 0x1800
call rax
jmp 0x1004
jmp rax
jmp qword [rbx+0x8]
ja 0x1010
jrcxz 0x1000
loop 0x1000
sete al
cmove rax, rbx
in al, dx
out dx, al
out 0xf4, al
in al, 0x60
rep movsb
rep stosq
repne scasb
lock cmpxchg [rax], rbx
xchg rax, rbx
xchg bl, [rax]
bswap r9
bt rax, rbx
bts qword [rax], 0x5
cpuid
hlt
cli
sti
vmcall
vmlaunch
syscall
sysretq
iretq
wrmsr
rdmsr
rdtsc
swapgs
lgdt [0x1000]
lidt [rel 0x2000]
invlpg [rax]
ltr ax
int 0x80
int3
ud2
leave
ret
nop
pause
mfence
cqo
popcnt rax, rbx
mov rax, [fs:0x28]
lea eax, [rbx]
lea rax, [ebx+0x4]
