/** Random kernel code under binary translation against the same on the bare machine: registers, flags, faults and memory, piece by piece. */
import { expect, it } from 'vitest';
import { readGuest } from '../../../src/engine/hypervisor/memory/frames.ts';
import type { TechniqueName } from '../../../src/engine/hypervisor/vm.ts';
import { go, MS, power } from './bench.ts';
import { LOG_AT, LOG_ENTRY, randomKernel } from './kernel-snippets.ts';

const COUNT = 120;
const SEEDS = (process.env.SEEDS ?? '1,2').split(',').map(Number);
const FIELDS = ['rax', 'flags', 'rcx', 'rdx', 'rbx', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'from', 'seen', 'cr2', 'rsp'];

function log(source: string, technique: TechniqueName): { ended: string; rows: string[]; data: string } {
  const b = power(source, { technique, memory: 8 * 2 ** 20 });
  go(b, 3000 * MS);
  const rows: string[] = [];
  for (let n = 0; n < COUNT; n++) {
    const bytes = readGuest(b.vm, LOG_AT + LOG_ENTRY * n, LOG_ENTRY);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    rows.push(`${n}: ${FIELDS.map((name, k) => `${name}=${view.getBigUint64(8 * k, true).toString(16)}`).join(' ')}`);
  }
  return { ended: b.ended, rows, data: [...readGuest(b.vm, 0x280000, 4096)].join() };
}

for (const seed of SEEDS) {
  it(`seed ${seed}`, () => {
    const source = randomKernel(seed, COUNT);
    const native = log(source, 'native');
    const translated = log(source, 'binary-translation');
    expect(native.ended).toBe('{"how":"debug-exit","status":3}');
    expect(translated.rows).toEqual(native.rows);
    expect(translated).toEqual(native);
  });
}
