// Random system-level programs on Debian's bochs and on build/cpu.wasm: node tests/differential/system.mjs --count 50000 --seed 1
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const bundled = await build({ entryPoints: [join(here, 'system', 'main.ts')], bundle: true, format: 'esm', write: false, platform: 'node', logLevel: 'error' });
await import(`data:text/javascript;base64,${Buffer.from(bundled.outputFiles[0].text).toString('base64')}`);
