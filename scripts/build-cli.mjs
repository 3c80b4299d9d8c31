// Bundles src/cli into build/nestbox.mjs; builds the processor when it is missing or older than its sources.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function newest(dir) {
  let at = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    at = Math.max(at, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return at;
}
const older = (file, than) => !existsSync(file) || statSync(file).mtimeMs < than;
const cpu = join(root, 'build', 'cpu.wasm');
const cli = join(root, 'build', 'nestbox.mjs');
const cpuSources = () => Math.max(newest(join(root, 'src', 'cpu')), statSync(join(root, 'src/engine/machine/isa/table.ts')).mtimeMs);

export const cpuStale = () => older(cpu, cpuSources());
export const stale = () => cpuStale() || older(cli, newest(join(root, 'src')));

export function buildCpu() {
  const done = spawnSync(process.execPath, [join(root, 'scripts', 'build-cpu.mjs')], { stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (cpuStale()) buildCpu();
  const { build } = await import('esbuild');
  await build({
    entryPoints: [join(root, 'src/cli/nestbox.ts')],
    outfile: cli, bundle: true, platform: 'node', target: 'node20', format: 'esm', sourcemap: true, logLevel: 'warning',
    loader: { '.asm': 'text', '.md': 'text' },
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
}
