/**
 * The project's assembler against NASM on the same source, byte for byte:
 * `node scripts/differential.mjs encodings [--count 5000] [--first 0]` snippets of 64-bit code, some six instructions each.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assemble } from '../../src/engine/machine/isa/assemble.ts';
import { snippet, source, STRIDE } from '../recorded/cpu/snippets.ts';
import { options } from './options.ts';

const CHUNK = 200;
/** What the assembler says that it has not. Of `rel` with a number NASM makes an absolute address, the assembler a relative one: not compared. */
const ABSENT = /^.*(\[qword 0x|\bjecxz\b|\ba32 ).*$/gm;
const { count, first } = options({ count: 5000, first: 0 });
const folder = mkdtempSync(join(tmpdir(), 'encodings-'));
let wrong = 0;
let lines = 0;
for (let done = 0; done < count; done += CHUNK) {
  const many = Math.min(CHUNK, count - done);
  const text = source(first + done, many, 0).replace(ABSENT, 'nop').replaceAll('[rel 0x', '[abs 0x');
  writeFileSync(join(folder, 's.asm'), text);
  execFileSync('nasm', ['-w-all', '-f', 'bin', '-o', join(folder, 's.bin'), join(folder, 's.asm')], { timeout: 60_000 });
  const theirs = readFileSync(join(folder, 's.bin'));
  const ours = assemble(text, 's.asm');
  for (const error of ours.errors.slice(0, 3)) console.log(`line ${error.line}: ${error.text}: ${text.split('\n')[error.line - 1]}`);
  wrong += ours.errors.length;
  for (let n = 0; n < many; n++) {
    const one = snippet(first + done + n).text;
    lines += one.split('\n').length;
    if (ours.errors.length > 0 || Buffer.compare(theirs.subarray(n * STRIDE, (n + 1) * STRIDE), ours.bytes.subarray(n * STRIDE, (n + 1) * STRIDE)) === 0) continue;
    if (wrong++ < 20) console.log(`snippet ${first + done + n}:\n${one}\nnasm ${theirs.subarray(n * STRIDE, (n + 1) * STRIDE).toString('hex')}\nours ${Buffer.from(ours.bytes.subarray(n * STRIDE, (n + 1) * STRIDE)).toString('hex')}`);
  }
}
rmSync(folder, { recursive: true });
console.log(`${count} snippets, ${lines} lines: ${wrong} differ`);
process.exit(wrong > 0 ? 1 : 0);
