/**
 * Ordinary C as gcc compiles it: results of 64 pieces of work are those of a real processor. Code and results are recorded;
 * with RECORD_COMPILED=1 they are made anew here.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import * as m from '../../../src/engine/machine/machine.ts';
import { bare, CODE } from '../../unit/cpu/bench.ts';
import { lacking } from './native.ts';

const FILE = new URL('compiled.json', import.meta.url);
const SOURCE = new URL('compiled.c', import.meta.url).pathname;

function record(): void {
  const folder = mkdtempSync(join(tmpdir(), 'compiled-'));
  const at = (name: string): string => join(folder, name);
  const flags = ['-O2', '-mgeneral-regs-only', '-mpopcnt', '-fno-stack-protector', '-fno-pic', '-fno-asynchronous-unwind-tables', '-w'];
  execFileSync('gcc', ['-O2', '-w', '-DNATIVE', '-o', at('native'), SOURCE]);
  execFileSync('gcc', [...flags, '-ffreestanding', '-c', '-o', at('c.o'), SOURCE]);
  writeFileSync(at('link'), `SECTIONS { . = ${CODE}; .text : { *(.text.start) *(.text*) } .rodata : { *(.rodata*) } .data : { *(.data*) *(.bss*) *(COMMON) } }`);
  execFileSync('ld', ['-T', at('link'), '-o', at('c.elf'), at('c.o')]);
  execFileSync('objcopy', ['-O', 'binary', '-j', '.text', '-j', '.rodata', '-j', '.data', at('c.elf'), at('c.bin')]);
  const results = execFileSync(at('native')).toString().trim().split('\n');
  writeFileSync(FILE, `${JSON.stringify({ code: gzipSync(readFileSync(at('c.bin'))).toString('base64'), results })}\n`);
  rmSync(folder, { recursive: true });
}

describe('compiled C', () => {
  it.runIf(process.env.RECORD_COMPILED && lacking() === null)('is recorded', record);

  it('computes what a real processor computes', () => {
    const { code, results } = JSON.parse(readFileSync(FILE, 'utf8')) as { code: string; results: string[] };
    const { machine } = bare('hlt');
    m.load(machine, CODE, new Uint8Array(gunzipSync(Buffer.from(code, 'base64'))));
    m.setRegister(machine, 'rsp', 0x600000n);
    const stop = m.run(machine, 1n << 40n, 200_000_000n);
    expect([stop.reason, results.length]).toEqual(['halt', 64]);
    expect(results.map((_, n) => machine.physical.getBigUint64(0x700000 + 8 * n, true).toString())).toEqual(results);
  });
});
