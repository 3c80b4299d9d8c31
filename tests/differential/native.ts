/**
 * Random user-mode snippets on this machine's own processor and on cpu.wasm, as many as one likes:
 * `node scripts/differential.mjs native [--count 1000000] [--first 2000000] [--bits 64]`. Registers, memory, defined flags, and of
 * a fault its vector, error code and address must be alike. Ends with 1 when any differs, with 2 where it cannot run.
 */
import { modelled, play } from '../recorded/cpu/modelled.ts';
import { modelled32, play32 } from '../recorded/cpu/modelled32.ts';
import { differences, lacking, lacking32, runNatively } from '../recorded/cpu/native.ts';
import { snippet } from '../recorded/cpu/snippets.ts';
import { snippet32 } from '../recorded/cpu/snippets32.ts';
import { options } from './options.ts';

const CHUNK = 5000;
const SHOWN = 20;

const { count, first, bits } = options({ count: 1_000_000, first: 2_000_000, bits: 64 });
const wide = bits !== 32;
const missing = wide ? lacking() : lacking32();
if (missing !== null) {
  console.error(`native: this machine has not ${missing}`);
  process.exit(2);
}

/** A snippet that the real processor was taken out of must not end here either. */
function endless(run: () => unknown): string[] {
  try {
    run();
    return ['does not end on the real processor'];
  } catch (error) {
    return String(error).includes('stopped by budget') ? [] : [String(error)];
  }
}

let wrong = 0;
let faults = 0;
const vectors: Record<number, number> = {};
const began = performance.now();
for (let done = 0; done < count; done += CHUNK) {
  const from = first + done;
  const { code, outcomes } = runNatively(from, Math.min(CHUNK, count - done), wide ? 64 : 32);
  const machine = wide ? modelled(code) : modelled32(code);
  outcomes.forEach((real, n) => {
    const { text, mask } = wide ? snippet(from + n) : snippet32(from + n);
    const found = real.vector === 255 ? endless(() => (wide ? play : play32)(machine, n, from + n)) : differences(real, wide ? play(machine, n, from + n) : play32(machine, n, from + n), mask);
    vectors[real.vector] = (vectors[real.vector] ?? 0) + 1;
    if (real.vector !== 3) faults++;
    if (found.length === 0) return;
    if (wrong++ < SHOWN) console.log(`snippet ${from + n}: ${found.join('; ')}\n${text}\n`);
  });
  if ((done / CHUNK) % 20 === 19) console.error(`${done + CHUNK} snippets, ${wrong} differ, ${Math.round((performance.now() - began) / 1000)} s`);
}
console.log(`${count} ${wide ? 64 : 32}-bit snippets from ${first}: ${wrong} differ; ${faults} ended by a fault; by vector ${JSON.stringify(vectors)}; ${Math.round((performance.now() - began) / 1000)} s`);
process.exit(wrong > 0 ? 1 : 0);
