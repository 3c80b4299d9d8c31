/** Assembles snippets with NASM and runs them on the processor under this test. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from './modelled.ts';
import { source, STRIDE } from './snippets.ts';

const has = (tool: string): boolean => spawnSync(tool, ['--version']).status === 0;
/** Null when this machine can judge, otherwise what it lacks. */
export const lacking = (): string | null => (arch() !== 'x64' ? 'an x86-64 processor' : !has('nasm') ? 'nasm' : !has('gcc') ? 'gcc' : null);

const PIECE = 250;

export interface Native {
  code: Uint8Array;
  outcomes: Outcome[];
}

export function runNatively(first: number, count: number): Native {
  const folder = mkdtempSync(join(tmpdir(), 'snippets-'));
  try {
    execFileSync('gcc', ['-O1', '-o', join(folder, 'harness'), new URL('harness.c', import.meta.url).pathname]);
    const code = assembleAll(folder, first, count);
    if (code.length !== count * STRIDE) throw new Error(`${code.length} bytes of code for ${count} snippets`);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(count, 0);
    head.writeUInt32LE(first, 4);
    const out = execFileSync(join(folder, 'harness'), { input: Buffer.concat([head, code]), maxBuffer: count * 200 });
    return { code: Uint8Array.from(code), outcomes: Array.from({ length: count }, (_, n) => outcome(out, n * 176)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** NASM's time grows faster than its source, so in pieces. */
function assembleAll(folder: string, first: number, count: number): Buffer {
  const pieces: Buffer[] = [];
  for (let n = 0; n < count; n += PIECE) {
    writeFileSync(join(folder, 's.asm'), source(first + n, Math.min(PIECE, count - n), n));
    execFileSync('nasm', ['-w-all', '-f', 'bin', '-o', join(folder, 's.bin'), join(folder, 's.asm')], { maxBuffer: 1 << 24 });
    pieces.push(readFileSync(join(folder, 's.bin')));
  }
  return Buffer.concat(pieces);
}

function outcome(out: Buffer, at: number): Outcome {
  const word = (n: number): bigint => out.readBigUInt64LE(at + 8 * n);
  return { registers: Array.from({ length: 16 }, (_, n) => word(n)), rip: word(16), flags: word(17), vector: Number(word(18)), error: word(19), address: word(20), memory: word(21) };
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
