/* 64-bit kernel behind long-start.S: gates of 16 bytes with an interrupt stack, SYSCALL, compatibility mode in ring 3, NX, 4K pages. */
#include "common.h"

struct frame { u64 r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax, vector, error, rip, cs, rflags, rsp, ss; };
struct pointer { u16 limit; u64 base; } __attribute__((packed));
struct gate { u16 low, selector; u8 ist, type; u16 middle; u32 high, zero; };
static struct gate idt[256] __attribute__((aligned(16)));
extern u64 gdt[8], stubs[], pml4[512], pdpt[512], pd[512];
extern u8 tss[128];
extern char syscall_entry[], compat_code[], stack_top[];
void enter_user(u64 cs, void *rip, void *rsp);
void leave_user(void);
static u64 pt[512] __attribute__((aligned(4096)));
static char user_stack[4096] __attribute__((aligned(4096))), ist_stack[4096] __attribute__((aligned(16)));
static u64 percpu[2];
static volatile u32 ticks;
static volatile u64 recover, saved;

static inline void wrmsr(u32 n, u64 v) { __asm__ volatile("wrmsr" : : "c"(n), "a"((u32)v), "d"((u32)(v >> 32))); }
static inline u64 rdmsr(u32 n) { u32 a, d; __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n)); return (u64)d << 32 | a; }

void syscall(u64 number, u64 value) {
  say("syscall", (u32)value);
  if (number == 2) leave_user();
}

void trap(struct frame *f) {
  if (f->vector == 32) { ticks++; outb(0x20, 0x20); return; }
  if (f->vector == 128) {
    if (f->rax == 2) leave_user();
    text("int "); hex(f->rbx >> 32); hex(f->rbx); put(' '); hex(f->cs); put(' '); hex(f->rflags & 0x3202); put('\n');
    return;
  }
  u64 cr2;
  __asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
  text("fault "); hex(f->vector); put(' '); hex(f->error); put(' '); hex(f->cs);
  if (f->vector == 14) { put(' '); hex(cr2 >> 32); hex(cr2); }
  if ((char *)f > ist_stack && (char *)f < ist_stack + 4096) text(" ist");
  put('\n');
  if ((f->cs & 3) == 3) leave_user();
  f->rip = recover;
}

#define TRY(code) __asm__ volatile("leaq 1f(%%rip), %%rax\n movq %%rax, %0\n movq %%rsp, %1\n " code "\n1: movq %1, %%rsp\n" : "=m"(recover), "=m"(saved) : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "memory", "cc")

__asm__(".globl user_code\nuser_code: movl $1, %eax\n movq $0xabcdef01, %rbx\n syscall\n pushfq\n popq %rbx\n andl $0x3202, %ebx\n movl $1, %eax\n syscall\n movl $2, %eax\n syscall\n"
        ".globl user_bad\nuser_bad: movq %cr3, %rax\n.globl user_write\nuser_write: movq $0x400000, %rax\n movl $1, (%rax)\n");
extern char user_code[], user_bad[], user_write[];

static void gate(int n, u64 to, u8 type, u8 ist) { idt[n] = (struct gate){ to, 8, ist, type, to >> 16, to >> 32, 0 }; }

static void tables(void) {
  struct pointer q = { sizeof idt - 1, (u64)idt };
  u64 t = (u64)tss;
  *(u64 *)(tss + 4) = (u64)stack_top - 4096;
  *(u64 *)(tss + 36) = (u64)ist_stack + 4096;
  *(u16 *)(tss + 102) = 104;
  gdt[6] = 103 | (t & 0xffffff) << 16 | 0x89ull << 40 | (t >> 24 & 255) << 56;
  gdt[7] = t >> 32;
  for (int n = 0; n < 48; n++) gate(n, stubs[n], 0x8e, n == 8 || n == 6);
  gate(128, stubs[48], 0xee, 0);
  __asm__ volatile("lidt %0\n ltr %w1" : : "m"(q), "r"(0x30) : "memory");
  wrmsr(0xc0000081, 0x001b000800000000ull);
  wrmsr(0xc0000082, (u64)syscall_entry);
  wrmsr(0xc0000084, 0x200);
  percpu[0] = (u64)stack_top - 8192;
  wrmsr(0xc0000102, (u64)percpu);
}

static void paging(void) {
  for (u64 n = 0; n < 512; n++) pt[n] = (0x400000 + n * 4096) | 3;
  pt[1] = 0; pt[2] |= 1ull << 63; pt[3] &= ~2ull; *(u8 *)0x402000 = 0xc3;
  pd[2] = (u64)pt | 7;
  __asm__ volatile("movq %0, %%cr3" : : "r"(pml4) : "memory");
  TRY("movl 0x401008, %%eax"); TRY("movl $0x402000, %%eax\n call *%%rax"); TRY("movl $1, 0x403000"); TRY("movq $0x8000000000000000, %%rax\n movl (%%rax), %%ebx"); TRY("movq $0x40000000, %%rax\n movl (%%rax), %%ebx"); TRY("movq $0x80000000, %%rax\n movl %%ebx, (%%rax)");
  TRY("movq $0x7fffffffffff, %%rsp\n incq %%rsp\n pushq %%rax"); TRY("ud2"); TRY("movw $0x18, %%ax\n movw %%ax, %%ss");
  say("accessed", pt[3] & 0x60); pd[0] |= 4; say("efer", (u32)rdmsr(0xc0000080));
}

static u64 digits(u64 v) { u64 sum = 0; while (v) { sum += v % 10; v /= 10; } return sum; }

void kmain(u32 *info) {
  say("flags", info[0] & 1);
  outb(0x21, 0xff); outb(0xa1, 0xff);
  tables();
  paging();
  enter_user(0x2b, user_code, user_stack + 4096);
  enter_user(0x2b, user_bad, user_stack + 4096);
  enter_user(0x2b, user_write, user_stack + 4096);
  enter_user(0x1b, compat_code, user_stack + 4096);
  outb(0x20, 0x11); outb(0xa0, 0x11); outb(0x21, 32); outb(0xa1, 40); outb(0x21, 4); outb(0xa1, 2); outb(0x21, 1); outb(0xa1, 1); outb(0x21, 0xfe); outb(0xa1, 0xff);
  outb(0x43, 0x34); outb(0x40, 0x9b); outb(0x40, 0x2e);
  while (ticks < 3) __asm__ volatile("sti\n hlt\n cli");
  text("three ticks\n");
  u64 sum = 0;
  for (u64 n = 1; n < 20000; n++) sum += digits(n * n * 0x123456789ull);
  say("digits", (u32)sum);
  leave(0x10);
}
