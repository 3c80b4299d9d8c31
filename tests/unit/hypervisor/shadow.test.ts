/** Guests of real machine code on shadow tables: the same as without, and what it took. */
import { expect, it } from 'vitest';
import { exitName } from '../../../src/engine/hypervisor/exits.ts';
import { type Bench, go, key, MS, power, tiny } from './bench.ts';

const counts = (b: Bench): Record<string, number> => Object.fromEntries([...b.vm.exits].map(([reason, row]) => [exitName(reason), row.count]));

it('boots tiny to its banner on shadow tables, and everything works as before', () => {
  const b = power(tiny(), { technique: 'vmx-shadow' });
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  const exits = counts(b);
  expect(exits.EPT_VIOLATION).toBeUndefined();
  expect(exits.EXCEPTION_NMI).toBeGreaterThan(70);
  expect(exits.CR_ACCESS).toBe(1);
  expect(b.vm.ledger.events.get('shadow: hidden fault')?.count).toBe(exits.EXCEPTION_NMI);
  for (const [pressed, says] of [['t', /\d+\r\n$/], ['c', /cpu GenuineIntel\r\n$/], ['v', /called the hypervisor\r\n$/], ['p', /touched 64 pages\r\n$/]] as const) {
    b.said = '';
    key(b, pressed);
    go(b, b.now + 60 * MS);
    expect(b.said).toMatch(says);
  }
});
