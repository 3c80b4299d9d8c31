/** 10,000 random command lines over the tools of the machine (tests/robust/tools.test.ts): node scripts/fuzz-tools.mjs [LINES] [SEED] */
import { spawnSync } from 'node:child_process';

const [lines = '10000', seed = '1'] = process.argv.slice(2);
const { status } = spawnSync('npx', ['vitest', 'run', 'tests/robust/tools.test.ts'], { stdio: 'inherit', env: { ...process.env, FUZZ_LINES: lines, FUZZ_SEED: seed } });
process.exit(status ?? 1);
