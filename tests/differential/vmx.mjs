// A hypervisor in code on Debian's bochs and on build/cpu.wasm: the example, the mistakes, every entry rule: node tests/differential/vmx.mjs
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const outfile = join(here, '..', '..', 'build', 'vmx-differential.mjs');
// files of tests/unit/cpu find theirs from there
const from = pathToFileURL(join(here, '..', 'unit', 'cpu', 'bench.ts')).href;
await build({ entryPoints: [join(here, 'vmx', 'main.ts')], bundle: true, format: 'esm', outfile, platform: 'node', logLevel: 'error', define: { 'import.meta.url': JSON.stringify(from) } });
process.argv.splice(1, 1, outfile);
await import(outfile);
