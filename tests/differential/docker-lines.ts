/** `node scripts/differential.mjs docker-lines [COUNT] [SEED]`: random docker command lines, 500 to a machine; faults are printed. */
import { typeLines } from '../robust/docker-lines.ts';

const EACH = 500;
const count = Number(process.argv[2] ?? 10_000);
const seed = Number(process.argv[3] ?? 1);
let faults = 0;
let done = 0;
for (let from = 0; from < count; from += EACH) {
  const outcome = typeLines(seed, from, Math.min(from + EACH, count));
  faults += outcome.faults.length;
  done += outcome.lines;
  console.log(`${done} lines: ${outcome.failed} of the last ${outcome.lines} failed, ${outcome.interrupted} interrupted, ${outcome.faults.length} faults`);
  for (const fault of outcome.faults) console.log(`  ${fault}`);
}
process.exitCode = faults === 0 ? 0 : 1;
