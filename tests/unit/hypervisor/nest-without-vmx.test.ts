/** The small operating system, unmodified, without VT-x: as on its own machine when translated, and wrong where x86 is when its traps are all there is. */
import { expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { type Bench, go, MS, power } from './bench.ts';
import { chance } from './kernel-snippets.ts';
import type { TechniqueName } from '../../../src/engine/hypervisor/vm.ts';

const { guests } = loadAssets();
const nest = assemble(guests['nest.asm']!, 'nest.asm', (name) => guests[name] ?? null).bytes;
const boot = (technique: TechniqueName, until: number): Bench => {
  const b = power(nest, { technique, append: 'boot exit' });
  go(b, until);
  return b;
};

it('boots translated with every line as on its own machine', () => {
  const native = boot('native', 2000 * MS);
  const b = boot('binary-translation', 2000 * MS);
  expect([b.ended, b.said]).toEqual([native.ended, native.said]);
  expect(b.said).toContain('nest: done, 0 wrong');
});

it('says what is wrong when nothing but traps is emulated', () => {
  const { said } = boot('trap-and-emulate', 150 * MS);
  for (const line of ['cs says that this is not ring 0', 'sgdt tells of another table', 'pushf shows IF after cli', 'popf lost IF']) expect(said).toContain(`WRONG: ${line}`);
});

const PRIVILEGED = [[0xfa], [0xfb], [0x9c], [0x9d], [0xf4], [0xcf], [0x48, 0xcf], [0x0f, 0x01], [0x0f, 0x00], [0x0f, 0x22, 0xd8], [0x0f, 0x30], [0xee], [0xcd, 0x80], [0xc3], [0xff], [0x8e, 0xd0], [0x0f, 0x05], [0x0f, 0x07], [0x6c], [0xf3, 0xaa]];

it.each(['binary-translation', 'trap-and-emulate'] as const)('ends with a reason, whatever bytes it is given: %s', (technique) => {
  for (let seed = 1; seed <= 12; seed++) {
    const c = chance(seed * 7919);
    const bytes = Uint8Array.from({ length: 1024 }, () => c.below(256));
    for (let k = 0; k < 150; k++) bytes.set(c.pick(PRIVILEGED), c.below(1020));
    const b = power(bytes, { technique, memory: 4 * 2 ** 20 });
    go(b, 1 * MS);
    expect(b.ended).toMatch(/^$|shutdown|mmio|not modelled|debug-exit|power-off/);
  }
});
