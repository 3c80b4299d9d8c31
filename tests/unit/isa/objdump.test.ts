/** Instructions in the words of GNU objdump: recorded lines of binutils 2.40 everywhere, the real program where it is installed. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decode, type Mode } from '../../../src/engine/machine/isa/decode.ts';
import { print } from '../../../src/engine/machine/isa/objdump.ts';
import { encodings, generator, ours, theirs } from '../../differential/objdump.ts';

const recorded = readFileSync(new URL('objdump.txt', import.meta.url), 'utf8').trim().split('\n');
const installed = (() => {
  try {
    return execFileSync('objdump', ['--version'], { encoding: 'utf8' }).includes('2.40');
  } catch {
    return false;
  }
})();

describe('objdump', () => {
  it.each(recorded)('%s', (line) => {
    const [head, att, intel] = line.split(' | ') as [string, string, string];
    const [mode, code, length] = head.split(' ') as [string, string, string];
    const bytes = new Uint8Array(40).fill(0x90);
    bytes.set(Buffer.from(code, 'hex'));
    for (const [syntax, text] of [['att', att], ['intel', intel]] as const) {
      const one = print(bytes, 0n, Number(mode) as Mode, syntax);
      const comment = one.target?.kind === 'data' ? `        # 0x${one.target.address.toString(16)}` : '';
      expect([one.length, `${one.text}${comment}`]).toEqual([Number(length), text]);
    }
  });

  it.runIf(installed).each([64, 32, 16] as const)('agrees with the program of this machine in %i-bit code', (mode) => {
    const codes = encodings(1200, mode, 7);
    for (const syntax of ['att', 'intel'] as const) {
      const said = theirs(codes, mode, syntax);
      const differing = codes.map((code, n) => [ours(code, n, mode, syntax), said[n]?.trimEnd()]).filter(([a, b]) => a !== b);
      expect(differing.length, JSON.stringify(differing.slice(0, 5))).toBeLessThanOrEqual(mode === 16 ? 36 : 12);
    }
  });

  it('is never stopped by any bytes', () => {
    const random = generator(99);
    for (let n = 0; n < 20_000; n++) {
      const code = Uint8Array.from({ length: 1 + random(16) }, () => random(256));
      for (const mode of [16, 32, 64] as const) {
        const one = decode(code, 0x1000n, mode);
        expect(one === null || (one.length > 0 && one.length <= Math.min(15, code.length))).toBe(true);
        expect(print(code, 0x1000n, mode, n % 2 ? 'att' : 'intel').length).toBeGreaterThan(0);
      }
    }
  });
});
