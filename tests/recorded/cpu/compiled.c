// What gcc -O2 -mgeneral-regs-only makes of ordinary C, as a judge of the processor: work(n) for n = 0.. gives one number each.
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned char u8;
typedef unsigned __int128 u128;

static u64 seed;
static u64 draw(void) { seed ^= seed << 13; seed ^= seed >> 7; return seed ^= seed << 17; }

static u32 table[256];
static u32 crc(const u8 *p, u32 n) {
  for (u32 i = 0; i < 256; i++) { u32 c = i; for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1; table[i] = c; }
  u32 c = ~0u;
  while (n--) c = table[(c ^ *p++) & 255] ^ c >> 8;
  return ~c;
}

static const u32 K[64] = {
  0x428a2f98,0x71374491,0xb5c0fbcf,0xe9b5dba5,0x3956c25b,0x59f111f1,0x923f82a4,0xab1c5ed5,0xd807aa98,0x12835b01,0x243185be,0x550c7dc3,0x72be5d74,0x80deb1fe,0x9bdc06a7,0xc19bf174,
  0xe49b69c1,0xefbe4786,0x0fc19dc6,0x240ca1cc,0x2de92c6f,0x4a7484aa,0x5cb0a9dc,0x76f988da,0x983e5152,0xa831c66d,0xb00327c8,0xbf597fc7,0xc6e00bf3,0xd5a79147,0x06ca6351,0x14292967,
  0x27b70a85,0x2e1b2138,0x4d2c6dfc,0x53380d13,0x650a7354,0x766a0abb,0x81c2c92e,0x92722c85,0xa2bfe8a1,0xa81a664b,0xc24b8b70,0xc76c51a3,0xd192e819,0xd6990624,0xf40e3585,0x106aa070,
  0x19a4c116,0x1e376c08,0x2748774c,0x34b0bcb5,0x391c0cb3,0x4ed8aa4a,0x5b9cca4f,0x682e6ff3,0x748f82ee,0x78a5636f,0x84c87814,0x8cc70208,0x90befffa,0xa4506ceb,0xbef9a3f7,0xc67178f2};
static u32 ror(u32 x, int n) { return x >> n | x << (32 - n); }
static void compress(u32 *h, const u8 *p) {
  u32 w[64], s[8];
  for (int i = 0; i < 16; i++) w[i] = (u32)p[4*i] << 24 | p[4*i+1] << 16 | p[4*i+2] << 8 | p[4*i+3];
  for (int i = 16; i < 64; i++) w[i] = w[i-16] + (ror(w[i-15],7)^ror(w[i-15],18)^w[i-15]>>3) + w[i-7] + (ror(w[i-2],17)^ror(w[i-2],19)^w[i-2]>>10);
  for (int i = 0; i < 8; i++) s[i] = h[i];
  for (int i = 0; i < 64; i++) {
    u32 a = s[7] + (ror(s[4],6)^ror(s[4],11)^ror(s[4],25)) + ((s[4]&s[5])^(~s[4]&s[6])) + K[i] + w[i];
    u32 b = (ror(s[0],2)^ror(s[0],13)^ror(s[0],22)) + ((s[0]&s[1])^(s[0]&s[2])^(s[1]&s[2]));
    for (int k = 7; k > 0; k--) s[k] = s[k-1];
    s[4] += a; s[0] = a + b;
  }
  for (int i = 0; i < 8; i++) h[i] += s[i];
}

static long values[512];
static void sort(long *a, long lo, long hi) {
  if (lo >= hi) return;
  long p = a[(lo + hi) / 2], i = lo, j = hi;
  while (i <= j) { while (a[i] < p) i++; while (a[j] > p) j--; if (i <= j) { long t = a[i]; a[i++] = a[j]; a[j--] = t; } }
  sort(a, lo, j); sort(a, i, hi);
}
static int operate(int op, int a, int b) {
  switch (op) {
    case 0: return a + b; case 1: return a - b; case 2: return a * b; case 3: return b ? a / (b | 1) : a; case 4: return a % (b | 1); case 5: return a << (b & 31);
    case 6: return a >> (b & 31); case 7: return a < b; case 8: return (unsigned)a < (unsigned)b ? -a : ~b; case 9: return (short)a * (signed char)b; case 10: return __builtin_popcountll((u64)a << 7 | b);
    case 11: return __builtin_clz(a | 1) - __builtin_ctz(b | 4); default: return a ^ b;
  }
}
static u64 power(u64 b, u64 e, u64 m) { u64 r = 1; while (e) { if (e & 1) r = (u128)r * b % m; b = (u128)b * b % m; e >>= 1; } return r; }
static u64 fibonacci(u64 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
struct bits { u32 a : 5; int b : 11; u64 c : 40; signed char d; };
static u8 buffer[4096];

#ifndef NATIVE
// the compiler's library, without the library
u128 __umodti3(u128 n, u128 d) { u128 r = 0; for (int i = 127; i >= 0; i--) { r = r << 1 | (n >> i & 1); if (r >= d) r -= d; } return r; }
void *memset(void *p, int c, unsigned long n) { u8 *q = p; while (n--) *q++ = c; return p; }
void *memcpy(void *p, const void *s, unsigned long n) { u8 *q = p; const u8 *r = s; while (n--) *q++ = *r++; return p; }
#endif

__attribute__((used, noinline)) u64 work(u64 n) {
  seed = 0x9e3779b97f4a7c15ull + n * 77;
  u64 out = n;
  for (int i = 0; i < 4096; i++) buffer[i] = draw();
  switch (n % 8) {
    case 0: return crc(buffer, 4000 + n);
    case 1: { u32 h[8] = {1,2,3,4,5,6,7,8}; for (int i = 0; i < 4096; i += 64) compress(h, buffer + i); for (int i = 0; i < 8; i++) out = out * 31 + h[i]; return out; }
    case 2: { for (int i = 0; i < 512; i++) values[i] = (long)draw() >> (i & 31); sort(values, 0, 511); for (int i = 0; i < 512; i++) out = out * 1099511628211ull ^ values[i]; return out; }
    case 3: { for (int i = 0; i < 20000; i++) out = out * 17 + operate(draw() % 13, draw(), draw() >> 9); return out; }
    case 4: { for (int i = 0; i < 40; i++) out ^= power(draw(), draw() & 0xffff, draw() | 1); return out; }
    case 5: return fibonacci(18 + n % 5);
    case 6: { struct bits b = {0}; for (int i = 0; i < 5000; i++) { b.a += draw(); b.b ^= draw(); b.c -= draw() + b.a; b.d = b.b * b.d + 3; out += b.c ^ (u64)b.d << 50 ^ b.b; } return out; }
    default: { long m[16][16]; for (int i = 0; i < 256; i++) m[i / 16][i % 16] = draw() >> 40; for (int k = 0; k < 16; k++) for (int i = 0; i < 16; i++) for (int j = 0; j < 16; j++) m[i][j] += m[i][k] * m[k][j] - (m[j][i] >> 3);
      for (int i = 0; i < 256; i++) out = (out << 7 | out >> 57) + m[i / 16][i % 16]; return out; }
  }
}

#ifdef NATIVE
#include <stdio.h>
int main(void) { for (u64 n = 0; n < 64; n++) printf("%llu\n", work(n)); }
#else
// rdi: how often; results at 0x700000, then HLT
__attribute__((section(".text.start"), naked)) void start(void) {
  __asm__("xor %ebx, %ebx\n1: mov %rbx, %rdi\n call work\n mov %rax, 0x700000(,%rbx,8)\n inc %rbx\n cmp $64, %rbx\n jb 1b\n hlt");
}
#endif
