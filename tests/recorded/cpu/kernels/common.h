/* Serial output and the exit port of QEMU, for the kernels of this folder. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }

static void put(char c) { while (!(inb(0x3fd) & 0x20)) ; outb(0x3f8, c); }
static void text(const char *s) { for (; *s; s++) put(*s); }
static void hex(u32 v) { for (int n = 28; n >= 0; n -= 4) put("0123456789abcdef"[(v >> n) & 15]); }
static void say(const char *what, u32 v) { text(what); put(' '); hex(v); put('\n'); }
static void leave(u32 code) { outl(0xf4, code); for (;;) __asm__ volatile("cli; hlt"); }
