/** Trap-and-emulate: a guest that does nothing sensitive silently runs as on its own machine. */
import { expect, it } from 'vitest';
import { go, key, MS, power, tiny } from './bench.ts';

it('boots tiny', () => {
  const b = power(tiny(), { technique: 'trap-and-emulate' });
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  key(b, 't');
  go(b, b.now + 60 * MS);
  expect(b.said).toMatch(/\d+\r\n$/);
});
