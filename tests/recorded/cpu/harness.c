// Runs snippets on this machine's own processor and writes what became of registers, flags and memory.
// In:  u32 count, first; count * 128 bytes of code. Registers, flags and memory come from the snippet's number, as in snippets.ts.
// Out: a record of 21 u64 a snippet: 16 registers, rip, rflags, vector, error code, fault address; then u64 hash of data and stack.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#define CODE 0x10000000UL
#define DATA 0x20000000UL
#define STACK 0x30000000UL
#define ALL 0x8d5

static ucontext_t home;
static volatile int entering;
static volatile uint32_t running, ticked = UINT32_MAX;
static uint64_t start[18];
static uint64_t out[22];

static const int ORDER[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void handler(int sig, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  greg_t *g = u->uc_mcontext.gregs;
  if (sig == SIGVTALRM) {
    // a snippet that two ticks meet does not end by itself: vector 255
    uintptr_t at = (uintptr_t)g[REG_RIP];
    if (at < CODE || at >= DATA || ticked != running) {
      ticked = running;
      return;
    }
    g[REG_TRAPNO] = 255;
    g[REG_ERR] = 0;
  }
  if (entering) {
    entering = 0;
    home = *u;
    for (int n = 0; n < 16; n++) g[ORDER[n]] = start[n];
    g[REG_RIP] = start[16];
    g[REG_EFL] = start[17];
    return;
  }
  for (int n = 0; n < 16; n++) out[n] = g[ORDER[n]];
  out[16] = g[REG_RIP];
  out[17] = g[REG_EFL];
  out[18] = g[REG_TRAPNO];
  out[19] = g[REG_ERR];
  out[20] = g[REG_TRAPNO] == 14 ? g[REG_CR2] : 0;
  memcpy(g, home.uc_mcontext.gregs, sizeof(home.uc_mcontext.gregs));
}

static uint32_t state;
static uint32_t draw(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}
static void seed(uint32_t s) {
  state = s ^ 0x9e3779b9;
  if (state == 0) state = 1;
}

static void prepare(uint32_t number) {
  seed(number ^ 0x5bd1e995);
  for (int n = 0; n < 4; n++) draw();
  for (int n = 0; n < 16; n++) {
    uint64_t high = draw(), low = draw();
    uint32_t kind = draw() % 6;
    start[n] = kind == 0 ? low & 0xff : kind == 1 ? ~(low & 0xff) : kind == 2 ? low : high << 32 | low;
  }
  start[4] = STACK + 0x800;
  start[12] = DATA + 0x800;
  start[13] = DATA + 0x400;
  start[14] = draw() % 64;
  seed(number ^ 0x2545f491);
  start[17] = (draw() & ALL) | 0x202;
  seed(number + 77);
  uint32_t *data = (uint32_t *)DATA;
  for (int n = 0; n < 2048; n++) data[n] = draw();
  memset((void *)STACK, 0, 4096);
}

static uint64_t hash(void) {
  uint32_t a = 0x811c9dc5, b = 0x1234567;
  const uint32_t *data = (const uint32_t *)DATA;
  for (int n = 0; n < 2048; n++) {
    a = (a ^ data[n]) * 0x01000193;
    b = (b + data[n]) * 0x85ebca6b;
    b ^= b >> 13;
  }
  const uint32_t *stack = (const uint32_t *)STACK;
  for (int n = 0; n < 1024; n++) a = (a ^ stack[n]) * 0x01000193;
  return (uint64_t)b << 32 | a;
}

int main(void) {
  uint32_t head[2];
  if (fread(head, 4, 2, stdin) != 2) return 1;
  size_t bytes = (size_t)head[0] * 128;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  char *code = mmap((void *)CODE, (bytes + 0x1fffff) & ~0x1fffffUL, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
  mmap((void *)DATA, 8192, PROT_READ | PROT_WRITE, flags, -1, 0);
  mmap((void *)STACK, 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (fread(code, 1, bytes, stdin) != bytes) return 1;
  mprotect(code, (bytes + 0x1fffff) & ~0x1fffffUL, PROT_READ | PROT_EXEC);
  stack_t alternate = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  sigaltstack(&alternate, 0);
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int signals[] = {SIGUSR1, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS, SIGVTALRM};
  for (int n = 0; n < 7; n++) sigaction(signals[n], &action, 0);
  struct itimerval ticks = {{0, 200000}, {0, 200000}};
  setitimer(ITIMER_VIRTUAL, &ticks, 0);
  for (uint32_t n = 0; n < head[0]; n++) {
    running = n;
    prepare(head[1] + n);
    start[16] = CODE + 128UL * n;
    entering = 1;
    raise(SIGUSR1);
    out[21] = hash();
    fwrite(out, 8, 22, stdout);
  }
  return 0;
}
