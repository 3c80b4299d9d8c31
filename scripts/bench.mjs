// `npm run bench`: builds what is needed, bundles tests/bench and runs it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildCpu, cpuStale } from './build-cli.mjs';

const root = new URL('..', import.meta.url).pathname;
const args = process.argv.slice(2);
if (cpuStale()) buildCpu();
if (!args.some((a) => !a.startsWith('--')) || args.includes('page') || args.includes('canvas')) {
  const built = spawnSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
const { build } = await import('esbuild');
const outfile = join(root, 'build', 'bench.mjs');
await build({
  entryPoints: [join(root, 'tests/bench/bench.ts')], outfile, bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'warning', packages: 'external',
  loader: { '.asm': 'text', '.md': 'text' },
});
process.exitCode = spawnSync(process.execPath, ['--expose-gc', outfile, ...args], { stdio: 'inherit', cwd: root }).status ?? 1;
