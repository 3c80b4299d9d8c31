/* A 32-bit kernel: own GDT and IDT, PIC and PIT, ring 3 processes by IRET and SYSEXIT, int 0x80, 4M and 4K paging, PAE, faults. */
#include "common.h"

struct frame { u32 gs, fs, es, ds, edi, esi, ebp, esp0, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss; };
struct pointer { u16 limit; u32 base; } __attribute__((packed));
static u64 gdt[8] __attribute__((aligned(8)));
static struct { u16 low, selector; u8 zero, type; u16 high; } __attribute__((packed)) idt[256];
static u32 tss[26 + 8];
extern u32 stubs[];
extern char stack_top[];
static u32 directory[1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096)));
static u64 pdpt[4] __attribute__((aligned(32)));
static u64 pd[4][512] __attribute__((aligned(4096)));
static u64 pt[512] __attribute__((aligned(4096)));
char user_stack[4096] __attribute__((aligned(4096)));
static char spare[4096] __attribute__((aligned(4096)));
static char image[512] __attribute__((aligned(16)));
static volatile u32 ticks, calls;
static volatile u32 recover;

__asm__(
    ".text\n"
    ".macro stub n\n stub\\n:\n .if !(\\n == 8 || (\\n >= 10 && \\n <= 14) || \\n == 17)\n pushl $0\n .endif\n pushl $\\n\n jmp common\n.endm\n"
    ".altmacro\n.set i, 0\n.rept 48\n stub %i\n .set i, i + 1\n.endr\n"
    "stub128: pushl $0\n pushl $128\n jmp common\n"
    "common: pushal\n pushl %ds\n pushl %es\n pushl %fs\n pushl %gs\n movw $0x10, %ax\n movw %ax, %ds\n movw %ax, %es\n pushl %esp\n call trap\n addl $4, %esp\n"
    "popl %gs\n popl %fs\n popl %es\n popl %ds\n popal\n addl $8, %esp\n iret\n"
    ".macro entry n\n .long stub\\n\n.endm\n"
    ".data\n.globl stubs\nstubs:\n.set i, 0\n.rept 48\n entry %i\n .set i, i + 1\n.endr\n.long stub128\n.text\n"
    "sysenter_entry: movl $stack_top - 4096, %esp\n pushl %ecx\n pushl %edx\n call fast\n popl %edx\n popl %ecx\n sti\n sysexit\n");
extern char sysenter_entry[];

void fast(void) { calls += 0x10000; }

void trap(struct frame *f) {
  if (f->vector == 32) { ticks++; outb(0x20, 0x20); return; }
  if (f->vector == 128) {
    calls++;
    if (f->eax == 1) say("user says", f->ebx);
    else if (f->eax == 2) { f->eip = recover; f->cs = 8; f->ds = f->es = 0x10; f->eflags &= ~0x3200; }
    else f->eax = f->ebx * 3;
    return;
  }
  u32 cr2;
  __asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
  text("fault "); hex(f->vector); put(' '); hex(f->error); put(' '); hex(f->cs); put(' '); hex(f->eflags & 0x3202);
  if (f->vector == 14) { put(' '); hex(cr2); }
  put('\n');
  f->eip = recover;
  if ((f->cs & 3) == 3) {
    /* back to the kernel: a frame without a stack above this one */
    f->cs = 8; f->ds = f->es = 0x10; f->fs = f->gs = 0; f->eflags &= ~0x200;
    f->eflags &= ~0x4000;
  }
}

static void gate(int n, u32 to, u8 type) { idt[n].low = to; idt[n].selector = 8; idt[n].type = type; idt[n].high = to >> 16; }
static u64 segment(u32 base, u32 limit, u32 rights) {
  return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(rights & 0xff) << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)(rights >> 12) << 52 | (u64)(base >> 24) << 56;
}

static void tables(void) {
  struct pointer p = { sizeof gdt - 1, (u32)gdt }, q = { sizeof idt - 1, (u32)idt };
  gdt[1] = segment(0, 0xfffff, 0xc09a); gdt[2] = segment(0, 0xfffff, 0xc092);
  gdt[3] = segment(0, 0xfffff, 0xc0fa); gdt[4] = segment(0, 0xfffff, 0xc0f2);
  gdt[5] = segment((u32)tss, sizeof tss - 1, 0x89);
  gdt[6] = segment((u32)spare, 15, 0x40f2);
  tss[1] = (u32)stack_top - 8192; tss[2] = 0x10; tss[25] = 104 << 16;
  for (int n = 26; n < 34; n++) tss[n] = ~0u;
  tss[26 + 3] = ~(1u << 1);
  for (int n = 0; n < 48; n++) gate(n, stubs[n], 0x8e);
  gate(128, stubs[48], 0xee);
  __asm__ volatile("lgdt %0\n lidt %1\n ljmp $8, $1f\n1: movw $0x10, %%ax\n movw %%ax, %%ds\n movw %%ax, %%es\n movw %%ax, %%ss\n xorl %%eax, %%eax\n movw %%ax, %%fs\n movw %%ax, %%gs\n movw $0x28, %%ax\n ltr %%ax" : : "m"(p), "m"(q) : "eax", "memory");
}

static u32 saved;

/* Runs code that may fault; the handler goes on behind it with this function's frame. */
#define TRY(code) __asm__ volatile("movl $1f, %0\n pushal\n movl %%esp, %1\n " code "\n1: movl %1, %%esp\n popal\n" : "=m"(recover), "=m"(saved) : : "memory", "cc")
/* The same in ring 3. */
#define USER(code) __asm__ volatile("movl $2f, %0\n pushal\n movl %%esp, %1\n pushl $0x23\n pushl $user_stack + 4096\n pushl $0x202\n pushl $0x1b\n pushl $1f\n iret\n1: movw $0x23, %%ax\n movw %%ax, %%ds\n movw %%ax, %%es\n " code "\n movl $2, %%eax\n int $0x80\n2: movw $0x10, %%ax\n movw %%ax, %%ds\n movw %%ax, %%es\n movl %1, %%esp\n popal\n" : "=m"(recover), "=m"(saved) : : "memory", "cc")

static u32 collatz(u32 n) { u32 steps = 0; while (n != 1) { n = n & 1 ? 3 * n + 1 : n / 2; steps++; } return steps; }

static void instructions(void) {
  u32 a, b, c, d;
  u64 q = 0x1122334455667788ull;
  u8 ok;
  u32 bounds[2] = { 3, 9 };
  __asm__ volatile("lock cmpxchg8b %1\n sete %0" : "=q"(ok), "+m"(q) : "a"(0x55667788), "d"(0x11223344), "b"(1), "c"(2) : "cc", "memory");
  say("cmpxchg8b", ok); say("low", (u32)q);
  __asm__("bsfl %1, %0" : "=r"(a) : "r"(0x5000)); __asm__("bsrl %1, %0" : "=r"(b) : "r"(0x5000)); say("bsf", a); say("bsr", b);
  __asm__("movb $0x79, %%al\n addb $0x35, %%al\n daa\n movzbl %%al, %0" : "=r"(a) : : "eax", "cc"); say("daa", a);
  __asm__("movw $57, %%ax\n aam\n movzwl %%ax, %0\n" : "=r"(a) : : "eax", "cc"); say("aam", a);
  __asm__("movw $0x0507, %%ax\n aad\n movzwl %%ax, %0\n" : "=r"(a) : : "eax", "cc"); say("aad", a);
  static const u8 translate[256] = { [7] = 0x5a };
  __asm__("xlat" : "=a"(a) : "0"(7), "b"(translate)); say("xlat", a);
  __asm__ volatile("boundl %0, %1" : : "r"(5), "m"(bounds));
  TRY("movl $12, %%eax\n pushl $9\n pushl $3\n boundl %%eax, (%%esp)");
  __asm__ volatile("pushw %%es\n pushl $0x10\n pushl $0x1234\n lesl (%%esp), %0\n addl $8, %%esp\n popw %%es" : "=r"(a)); say("les", a);
  __asm__ volatile("lcall $8, $1f\n jmp 2f\n1: movl 4(%%esp), %0\n lret\n2:" : "=r"(a)); say("lcall", a);
  __asm__ volatile("movl $0x10003, %%ecx\n xorl %0, %0\n1: incl %0\n addr16 loop 1b\n movl %%ecx, %1" : "=&r"(a), "=r"(b) : : "ecx", "cc"); say("loop", a); say("ecx", b);
  __asm__ volatile("movl $0x10000, %%ecx\n movl $1, %0\n jcxz 1f\n movl $2, %0\n1:" : "=&r"(a) : : "ecx"); say("jcxz", a);
  static char from[] = "strings of sixteen", to[20];
  __asm__ volatile("cld\n rep movsb" : "+S"((const char *){ from }), "+D"((char *){ to }), "+c"((u32){ 18 }) : : "memory"); text(to); put('\n');
  __asm__ volatile("enter $16, $0\n movl %%esp, %0\n leave" : "=r"(a)); 
  __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(0x80000000)); say("extended", a >= 0x80000001);
  __asm__ volatile("fninit\n fnstcw %0\n fnstsw %%ax\n movzwl %%ax, %1" : "=m"(*(u16 *)image), "=r"(a) : : "eax"); say("fcw", *(u16 *)image); say("fsw", a);
  __asm__ volatile("movl %%cr4, %%eax\n orl $0x200, %%eax\n movl %%eax, %%cr4\n fxsave %0" : "=m"(image) : : "eax"); say("fxsave", *(u16 *)image); say("mxcsr", *(u32 *)(image + 24));
  __asm__ volatile("movl %%cr0, %%eax\n orl $8, %%eax\n movl %%eax, %%cr0" : : : "eax");
  TRY("fninit"); 
  __asm__ volatile("clts\n fxrstor %0" : : "m"(image));
  TRY("xorl %%edx, %%edx\n xorl %%ecx, %%ecx\n divl %%ecx"); TRY("ud2"); TRY("int3"); TRY("movw $0x48, %%ax\n movw %%ax, %%ds");
  TRY("movl $0x7fffffff, %%eax\n incl %%eax\n into"); TRY("int $0x33");
}

static void paging(void) {
  for (u32 n = 0; n < 1024; n++) { directory[n] = n << 22 | 0x83; table[n] = n << 12 | 3; }
  directory[1] = 4 << 20 | 0x87;
  directory[0] = (u32)table | 7;
  for (u32 n = 0x100; n < 0x400; n++) table[n] |= 4;
  directory[2] = 0;
  __asm__ volatile("movl %%cr4, %%eax\n orl $0x10, %%eax\n movl %%eax, %%cr4\n movl %0, %%cr3\n movl %%cr0, %%eax\n orl $0x80000000, %%eax\n movl %%eax, %%cr0\n jmp 1f\n1:" : : "r"(directory) : "eax", "memory");
  TRY("movl 0x800123, %%eax"); TRY("movl %%eax, 0x800124");
  table[0x5] = 0x5001; __asm__ volatile("invlpg 0x5000");
  TRY("movl $7, 0x5000"); text("no WP: written\n");
  __asm__ volatile("movl %%cr0, %%eax\n orl $0x10000, %%eax\n movl %%eax, %%cr0" : : : "eax"); TRY("movl $7, 0x5000");
  say("accessed", table[5] & 0x60); say("dirty", directory[1] & 0x60);
  USER("movl 0x5000, %%eax"); USER("movl $1, 0x5000"); USER("cli"); USER("hlt"); USER("movl %%cr0, %%eax"); USER("inb $0x61, %%al"); USER("outb %%al, $0x62"); USER("int $0x20"); USER("lgdt 0x100000");
  USER("movl $1, %%eax\n movl $0xbeef, %%ebx\n int $0x80"); USER("movl $9, %%eax\n movl $7, %%ebx\n int $0x80\n movl %%eax, %%ebx\n movl $1, %%eax\n int $0x80");
  USER("pushfl\n popl %%ebx\n andl $0x3200, %%ebx\n movl $1, %%eax\n int $0x80"); USER("pushl $0x3000\n popfl\n pushfl\n popl %%ebx\n andl $0x3200, %%ebx\n movl $1, %%eax\n int $0x80");
  USER("movl $1f, %%edx\n movl %%esp, %%ecx\n sysenter\n 1: movl $1, %%eax\n movl %%esp, %%ebx\n subl $user_stack, %%ebx\n int $0x80");
  say("calls", calls);
}

static void pae(void) {
  __asm__ volatile("movl %%cr0, %%eax\n andl $0x7fffffff, %%eax\n movl %%eax, %%cr0\n movl %%cr4, %%eax\n orl $0x20, %%eax\n movl %%eax, %%cr4" : : : "eax");
  for (u32 n = 0; n < 4; n++) { pdpt[n] = (u32)pd[n] | 1; for (u32 k = 0; k < 512; k++) pd[n][k] = (u64)(n * 512 + k) << 21 | 0x83; }
  for (u32 k = 0; k < 512; k++) pt[k] = k << 12 | 3;
  pd[0][1] = 0x200087;
  pd[0][0] = (u32)pt | 7;
  for (u32 k = 0x100; k < 0x200; k++) pt[k] |= 4;
  pd[0][3] = 0; pt[6] = 1ull << 63 | 0x6003;
  *(u8 *)0x6000 = 0xc3;
  __asm__ volatile("movl $0xc0000080, %%ecx\n rdmsr\n orl $0x800, %%eax\n wrmsr\n movl %0, %%cr3\n movl %%cr0, %%eax\n orl $0x80000000, %%eax\n movl %%eax, %%cr0" : : "r"(pdpt) : "eax", "ecx", "edx", "memory");
  TRY("movl 0x600123, %%eax"); TRY("movl $0x6000, %%eax\n call *%%eax"); USER("movl %%eax, 0x400000"); USER("movl $0x200000, %%eax\n movl (%%eax), %%eax"); say("2M accessed", (u32)pd[0][1] & 0x60);
}

void kmain(u32 magic, u32 *info) {
  say("magic", magic); say("flags", info[0] & 1);
  tables();
  text("tables\n");
  instructions();
  outb(0x20, 0x11); outb(0xa0, 0x11); outb(0x21, 32); outb(0xa1, 40); outb(0x21, 4); outb(0xa1, 2); outb(0x21, 1); outb(0xa1, 1); outb(0x21, 0xfe); outb(0xa1, 0xff);
  outb(0x43, 0x34); outb(0x40, 0x9b); outb(0x40, 0x2e);
  while (ticks < 3) __asm__ volatile("sti\n hlt\n cli");
  outb(0x21, 0xff);
  text("three ticks\n");
  __asm__ volatile("wrmsr" : : "c"(0x174), "a"(8), "d"(0)); __asm__ volatile("wrmsr" : : "c"(0x175), "a"(0), "d"(0)); __asm__ volatile("wrmsr" : : "c"(0x176), "a"(sysenter_entry), "d"(0));
  paging();
  pae();
  u32 sum = 0;
  for (u32 n = 1; n < 3000; n++) sum += collatz(n);
  say("collatz", sum);
  leave(0x10);
}
