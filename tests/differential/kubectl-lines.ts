/** `node scripts/differential.mjs kubectl-lines [COUNT] [SEED]`: random kubectl lines and manifests, 500 to a cluster; faults are printed. */
import { typeKubectl } from '../robust/kubectl-lines.ts';

const EACH = 500;
const count = Number(process.argv[2] ?? 20_000);
const seed = Number(process.argv[3] ?? 1);
const first = Number(process.argv[4] ?? 0);
let faults = 0;
let done = 0;
for (let from = first; from < count; from += EACH) {
  const outcome = typeKubectl(seed, from, Math.min(from + EACH, count));
  faults += outcome.faults.length;
  done += outcome.lines;
  console.log(`${done} lines: ${outcome.failed} of the last ${outcome.lines} failed, ${outcome.faults.length} faults`);
  for (const fault of outcome.faults) console.log(`  ${fault.slice(0, 600)}`);
}
process.exitCode = faults === 0 ? 0 : 1;
