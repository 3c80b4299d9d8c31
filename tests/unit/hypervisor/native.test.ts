/** The same guest on a machine of its own: nothing below it, so nothing is counted outside it. */
import { expect, it } from 'vitest';
import { instructions } from '../../../src/engine/machine/machine.ts';
import { go, key, MS, power, tiny } from './bench.ts';

it('boots tiny without anything below it', () => {
  const b = power(tiny(), { technique: 'native' });
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  expect([b.vm.ledger.events.size, b.vm.ledger.places.monitor, b.vm.exitsEver]).toEqual([0, 0, 0]);
  expect(b.vm.ledger.places.guest).toBe(b.vm.ledger.total);
  expect(Number(instructions(b.vm.machine))).toBeGreaterThan(1000);
});

it('takes keys by interrupt and powers off', () => {
  const b = power(tiny(), { technique: 'native' });
  go(b, 100 * MS);
  b.said = '';
  key(b, 't');
  go(b, b.now + 60 * MS);
  expect(b.said).toMatch(/\d+\r\n$/);
  key(b, 'q');
  go(b, b.now + 60 * MS);
  expect(b.ended).toBe('{"how":"power-off"}');
});
