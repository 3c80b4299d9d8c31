/** The disassembler: what the assembler wrote, read back; and, where it is installed, where objdump sees instructions begin. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { disassemble, disassembleAll } from '../../../src/engine/machine/isa/disassemble.ts';

const lines = readFileSync(new URL('read.asm', import.meta.url), 'utf8').trim().split('\n');
const bytesOf = (source: string): Uint8Array => {
  const result = assemble(`bits 64\norg 0x1000\n${source}`, 'x.asm');
  if (result.errors.length > 0) throw new Error(result.errors[0]!.text);
  return result.bytes;
};

describe('disassembler', () => {
  it.each(lines)('%s', (line) => {
    const code = bytesOf(line);
    const read = disassemble(code, 0x1000n);
    expect([read.length, read.text]).toEqual([code.length, line]);
  });

  it('assembles back to the same bytes', () => {
    for (const line of lines) {
      const code = bytesOf(line);
      expect(bytesOf(disassemble(code, 0x1000n).text)).toEqual(code);
    }
  });

  it('is never stopped by any bytes', () => {
    let state = 12345;
    const noise = Uint8Array.from({ length: 20_000 }, () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 24);
    const all = disassembleAll(noise, 0n);
    expect(all.reduce((sum, one) => sum + one.length, 0)).toBe(noise.length);
  });

  const objdump = (() => {
    try {
      return execFileSync('objdump', ['--version'], { encoding: 'utf8' });
    } catch {
      return null;
    }
  })();
  it.runIf(objdump)("finds the instructions of the forms list where objdump finds them", () => {
    const code = Uint8Array.from(lines.flatMap((line) => [...bytesOf(line)]));
    const dir = mkdtempSync(join(tmpdir(), 'isa-'));
    writeFileSync(join(dir, 'a.bin'), code);
    const listing = execFileSync('objdump', ['-D', '-b', 'binary', '-mi386:x86-64', '-M', 'intel', '-w', '--adjust-vma=0x1000', join(dir, 'a.bin')], { encoding: 'utf8' });
    const theirs = [...listing.matchAll(/^\s*([0-9a-f]+):\t/gm)].map((m) => Number.parseInt(m[1]!, 16));
    expect(disassembleAll(code, 0x1000n).map((one) => Number(one.address))).toEqual(theirs);
  });
});
