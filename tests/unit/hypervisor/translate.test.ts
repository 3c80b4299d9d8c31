/** Binary translation of whole guests. */
import { expect, it } from 'vitest';
import { go, key, MS, power, tiny } from './bench.ts';

it('boots tiny', () => {
  const b = power(tiny(), { technique: 'binary-translation' });
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  key(b, 't');
  go(b, b.now + 60 * MS);
  expect(b.said).toMatch(/\d+\r\n$/);
});
