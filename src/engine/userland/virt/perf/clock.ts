/** "12:32:42.359058": the wall clock as perf kvm stat live prints it. */
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';

export function* clockText(): Call<string> {
  const us = Math.floor((yield* sys('clock_gettime', 'realtime')) / 1000);
  const seconds = Math.floor(us / 1e6);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${String(us % 1e6).padStart(6, '0')}`;
}
