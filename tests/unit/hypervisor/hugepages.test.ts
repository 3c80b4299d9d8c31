/** How many references a walk takes, by the size of the page in the guest's tables and in the host's (Bhargava et al., ASPLOS 2008). */
import { expect, it } from 'vitest';
import { walk } from '../../../src/engine/machine/machine.ts';
import { go, MS, power, tiny } from './bench.ts';

const touch = 'bits 64\norg 0x100000\nmov rax, [0x555000]\nhlt\n';
/** The loader's tables are of 2 MiB; here the PDPTE becomes a page of 1 GiB. */
const gigabyte = 'bits 64\norg 0x100000\nmov qword [0x71000], 0x83\nmov rax, cr3\nmov cr3, rax\nmov rax, [0x555000]\nhlt\n';

const newest = (source: string, hugePages: boolean): [number, number, number] => {
  const b = power(source, { hugePages });
  go(b, 2 * MS);
  for (let back = 0; ; back++) {
    const one = walk(b.vm.machine, back);
    if (!one) return [0, 0, 0];
    if (one.result === 'ok' && one.gva === 0x555000n) return [one.references.length, one.guestShift, one.hostShift];
  }
};

it.each([
  ['2 MiB on 4 KiB', touch, false, [19, 21, 12]],
  ['2 MiB on 2 MiB', touch, true, [15, 21, 21]],
  ['1 GiB on 4 KiB', gigabyte, false, [14, 30, 12]],
  ['1 GiB on 2 MiB', gigabyte, true, [11, 30, 21]],
] as const)('%s', (_name, source, huge, want) => expect(newest(source, huge)).toEqual(want));

it('4 KiB on 2 MiB, and the guest runs the same', () => {
  const b = power(tiny(), { hugePages: true });
  go(b, 300 * MS);
  expect(b.said).toContain('tiny 1.0');
  const sizes = new Set<string>();
  for (let back = 0; back < 64; back++) {
    const one = walk(b.vm.machine, back);
    if (one?.result === 'ok') sizes.add(`${one.guestShift} ${one.hostShift} ${one.references.length}`);
  }
  expect([...sizes]).toContain('12 21 19');
  expect(b.vm.tables).toBeLessThan(6);
});
