// The lab's objdump against the one of this machine: node tests/differential/objdump.mjs [COUNT] [SEED]
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const bundled = await build({ entryPoints: [join(here, 'objdump.ts')], bundle: true, format: 'esm', write: false, platform: 'node', logLevel: 'error' });
await import(`data:text/javascript;base64,${Buffer.from(bundled.outputFiles[0].text).toString('base64')}`);
