/**
 * Guests of random bytes in each mode: `node scripts/differential.mjs bytes [--count 100000] [--first 0] [--mode -1]` (a mode's number, or
 * all). Says how they ended, and ends with 1 when one brought the processor down or wrote outside its memory.
 */
import { createBench, MODES, play } from '../robust/random-guests.ts';
import { options } from './options.ts';

const { count, first, mode: only } = options({ count: 100_000, first: 0, mode: -1 });
let failed = 0;
for (const [number, mode] of MODES.entries()) {
  if (only >= 0 && only !== number) continue;
  const ends: Record<string, number> = {};
  let bench = createBench(mode);
  let instructions = 0;
  const began = performance.now();
  for (let n = first; n < first + count; n++) {
    try {
      const end = play(bench, mode, n);
      ends[end.reason] = (ends[end.reason] ?? 0) + 1;
      instructions += end.instructions;
    } catch (error) {
      if (failed++ < 20) console.log(`guest ${n} in ${mode}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
      bench = createBench(mode);
    }
  }
  console.log(`${mode}: ${count} guests, ${instructions} instructions, ${JSON.stringify(ends)}; ${Math.round((performance.now() - began) / 1000)} s`);
}
console.log(`${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
