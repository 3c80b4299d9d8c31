/** Assembles snippets with NASM and runs them on the processor under this test. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from './modelled.ts';
import { source, STRIDE } from './snippets.ts';
import { source32 } from './snippets32.ts';

const has = (tool: string): boolean => spawnSync(tool, ['--version']).status === 0;
/** Null when this machine can judge, otherwise what it lacks. */
export const lacking = (): string | null => (arch() !== 'x64' ? 'an x86-64 processor' : !has('nasm') ? 'nasm' : !has('gcc') ? 'gcc' : null);

const PIECE = 250;

export interface Native {
  code: Uint8Array;
  outcomes: Outcome[];
}

const WAYS = {
  64: { harness: 'harness.c', options: [] as string[], source, record: 176, outcome },
  32: { harness: 'harness32.c', options: ['-m32'], source: source32, record: 112, outcome: outcome32 },
};

/** Null when 32-bit programs can be built and run here. */
export function lacking32(): string | null {
  const missing = lacking();
  if (missing !== null) return missing;
  const built = spawnSync('gcc', ['-m32', '-x', 'c', '-o', '/dev/null', '-'], { input: '#include <signal.h>\nint main(void) { return 0; }\n' });
  return built.status === 0 ? null : 'gcc -m32';
}

/** How a 32-bit push of a segment register leaves the upper half of its place: kept (Intel, and here), or zeroed (AMD). Both are allowed: SDM volume 2, PUSH. */
export function keepsUpperHalf(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'push-'));
  try {
    const program = 'int main(void) { unsigned v; __asm__ volatile("movl $-1, -4(%%esp)\\n\\tpush %%cs\\n\\tpopl %0" : "=r"(v)); return v >> 16 != 0; }';
    execFileSync('gcc', ['-m32', '-x', 'c', '-o', join(folder, 'push'), '-'], { input: program });
    return spawnSync(join(folder, 'push')).status === 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function runNatively(first: number, count: number, bits: 32 | 64 = 64): Native {
  const way = WAYS[bits];
  const folder = mkdtempSync(join(tmpdir(), 'snippets-'));
  try {
    execFileSync('gcc', ['-O1', ...way.options, '-o', join(folder, 'harness'), new URL(way.harness, import.meta.url).pathname]);
    const code = assembleAll(folder, first, count, way.source);
    if (code.length !== count * STRIDE) throw new Error(`${code.length} bytes of code for ${count} snippets`);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(count, 0);
    head.writeUInt32LE(first, 4);
    const out = execFileSync(join(folder, 'harness'), { timeout: 120_000, input: Buffer.concat([head, code]), maxBuffer: count * 200 });
    return { code: Uint8Array.from(code), outcomes: Array.from({ length: count }, (_, n) => way.outcome(out, n * way.record)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** NASM's time grows faster than its source, so in pieces. */
function assembleAll(folder: string, first: number, count: number, text: typeof source): Buffer {
  const pieces: Buffer[] = [];
  for (let n = 0; n < count; n += PIECE) {
    writeFileSync(join(folder, 's.asm'), text(first + n, Math.min(PIECE, count - n), n));
    execFileSync('nasm', ['-w-all', '-f', 'bin', '-o', join(folder, 's.bin'), join(folder, 's.asm')], { maxBuffer: 1 << 24 });
    pieces.push(readFileSync(join(folder, 's.bin')));
  }
  return Buffer.concat(pieces);
}

function outcome(out: Buffer, at: number): Outcome {
  const word = (n: number): bigint => out.readBigUInt64LE(at + 8 * n);
  return { registers: Array.from({ length: 16 }, (_, n) => word(n)), rip: word(16), flags: word(17), vector: Number(word(18)), error: word(19), address: word(20), memory: word(21) };
}

function outcome32(out: Buffer, at: number): Outcome {
  const word = (n: number): bigint => out.readBigUInt64LE(at + 8 * n);
  return { registers: Array.from({ length: 8 }, (_, n) => word(n)), rip: word(8), flags: word(9), vector: Number(word(10)), error: word(11), address: word(12), memory: word(13) };
}

/** What differs, in words; empty: nothing. */
export function differences(real: Outcome, ours: Outcome, mask: number): string[] {
  const out: string[] = [];
  const say = (name: string, a: bigint | number, b: bigint | number): void => {
    if (a !== b) out.push(`${name} ${a.toString(16)} is ${b.toString(16)} here`);
  };
  real.registers.forEach((value, n) => {
    say(`r${n}`, value, ours.registers[n]!);
  });
  say('rip', real.rip, ours.rip);
  say('vector', real.vector, ours.vector);
  say('error', real.error, ours.error);
  say('address', real.address, ours.address);
  say('memory', real.memory, ours.memory);
  if (real.vector === 3) say('flags', real.flags & BigInt(mask | 0x400), ours.flags & BigInt(mask | 0x400));
  return out;
}
