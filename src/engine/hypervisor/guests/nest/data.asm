; What the kernel says and keeps.

%macro workload_row 4           ; name, routine of the kernel or 0, label in a process or user_image, how often
    dq name_%1, %2, USER + %3 - user_image, %4
%endmacro

    align 8, db 0
workloads:
    workload_row boot, 0, u_boot, 1
    workload_row syscall, 0, u_syscall, 1000
    workload_row int80, 0, u_int80, 1000
    workload_row fork, 0, u_fork, 100
    workload_row forkwait, 0, u_forkwait, 100
    workload_row demand, 0, u_demand, 1000
    workload_row ctxsw, 0, u_ctxsw, 1000
    workload_row spin, 0, u_spin, 1000000
    workload_row pgfault, 0, u_pgfault, 1000
    workload_row divzero, 0, u_divzero, 1000
    workload_row in, k_in, user_image, 1000
    workload_row ptemod, k_ptemod, user_image, 1000
    workload_row cr8, k_cr8, user_image, 1000
    workload_row callret, k_callret, user_image, 1000
    workload_row invlpg, k_invlpg, user_image, 1000
    workload_row cpuid, k_cpuid, user_image, 1000
    workload_row popf, k_popf, user_image, 1000
    workload_row tlbthrash, k_tlbthrash, user_image, 256
    dq 0

name_boot:      db 'boot', 0
name_syscall:   db 'syscall', 0
name_int80:     db 'int80', 0
name_fork:      db 'fork', 0
name_forkwait:  db 'forkwait', 0
name_demand:    db 'demand', 0
name_ctxsw:     db 'ctxsw', 0
name_spin:      db 'spin', 0
name_pgfault:   db 'pgfault', 0
name_divzero:   db 'divzero', 0
name_in:        db 'in', 0
name_ptemod:    db 'ptemod', 0
name_cr8:       db 'cr8', 0
name_callret:   db 'callret', 0
name_invlpg:    db 'invlpg', 0
name_cpuid:     db 'cpuid', 0
name_popf:      db 'popf', 0
name_tlbthrash: db 'tlbthrash', 0

text_theirs:      db "not a paravirtualized kernel's to do", 10, 0
text_exit:        db 'exit', 0
text_unknown:     db 'nest: no such workload: ', 0
text_banner:      db 'nest: a small operating system, ', 0
text_mib:         db ' MiB', 10, 0
text_processor:   db 'processor: ', 0
vendor:           times 13 db 0
text_self:        db 'who am I: cs ', 0
text_tr:          db ' tr ', 0
text_ldt:         db ' ldt ', 0
text_msw:         db ' msw ', 0
text_gdt:         db 'tables: gdt ', 0
text_idt:         db ' idt ', 0
text_line:        db 10, 0
text_who_done:    db 'checked: privilege and tables', 10, 0
text_flags_done:  db 'checked: cpuid, msr, tsc, the interrupt flag', 10, 0
text_pages_done:  db 'checked: a page that changes its frame', 10, 0
text_timer_done:  db 'checked: halt, critical section, iret, with the timer', 10, 0
text_done:        db 'nest: done, ', 0
text_wrong_count: db ' wrong', 10, 0
text_wrong:       db 'WRONG: ', 0
text_memory:      db 'no frame left', 0
text_lost:        db 'frames were lost', 0
text_exception:   db 'WRONG: exception ', 0
text_error:       db ' error ', 0
text_at:          db ' at ', 0
text_of:          db ' address ', 0

text_cs:          db 'cs says that this is not ring 0', 0
text_ss:          db 'ss says that this is not ring 0', 0
text_sgdt:        db 'sgdt tells of another table', 0
text_sidt:        db 'sidt tells of another table', 0
text_str:         db 'str tells of another task', 0
text_smsw:        db 'smsw tells of another cr0', 0
text_lar:         db 'lar tells of other rights', 0
text_lsl:         db 'lsl tells of another limit', 0
text_verw:        db 'verw says that the kernel may not write', 0
text_cpuid:       db 'cpuid knows no long mode', 0
text_msr:         db 'rdmsr gives another value than was written', 0
text_tsc:         db 'rdtsc stands still', 0
text_cli:         db 'pushf shows IF after cli', 0
text_sti:         db 'pushf shows no IF after sti', 0
text_pushf:       db 'pushf lost IF', 0
text_popf_shows:  db 'pushf shows no IF after popf', 0
text_popf_sets:   db 'pushf shows IF after popf cleared it', 0
text_popf:        db 'popf lost IF', 0
text_critical:    db 'an interrupt came between cli and popf', 0
text_idle:        db 'hlt and the timer', 0
text_iret_on:     db 'iret lost IF', 0
text_iret_off:    db 'iret did not clear IF', 0
text_first_frame: db 'a page shows another frame', 0
text_stale:       db 'a stale translation after invlpg', 0
text_stored:      db 'a store went to another frame', 0

    align 16, db 0
gdt:            dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff, 0, 0
gdt_pointer:    dw 55
                dq gdt
idt_pointer:    dw 4095
                dq idt
pseudo:         dw 0
                dq 0
    align 16, db 0
tss:            times 104 db 0
    align 8, db 0
process_rsp:    dq 0
kernel_rsp:     dq 0
workload:       dq 0
count:          dq 0
count2:         dq 0
memory_bytes:   dq 0
free_frames:    dq 0
current:        dq 0
last_pid:       dq 0
wrongs:         dq 0
switches:       dq 0
strays:         dq 0
counters:                       ; what sys_info tells
ticks:          dq 0
preemptions:    dq 0
demand_faults:  dq 0
copy_faults:    dq 0
free_count:     dq 0
idles:          dq 0
COUNTERS equ 6
by_exit:        db 0
    align 8, db 0
processes:      times PROCESSES * PROCESS db 0
command:        times 256 db 0
    align 16, db 0
idt:            times 4096 db 0
