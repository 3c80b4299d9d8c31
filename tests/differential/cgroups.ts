/** `node scripts/differential.mjs cgroups [WRITES]`: random writes to control groups, 10,000 unless told, in parts of 1,000. */
import { fuzzCgroups } from '../robust/cgroupwrites.ts';

const PART = 1000;
const total = Number(process.argv[2] ?? 10_000);
let faults = 0;
for (let seed = 1; seed * PART <= total; seed++) {
  const got = fuzzCgroups(seed, PART);
  for (const fault of got.faults) console.log(`seed ${seed}: ${fault}`);
  faults += got.faults.length;
}
console.log(`${total} writes, ${faults} faults`);
process.exitCode = faults === 0 ? 0 : 1;
