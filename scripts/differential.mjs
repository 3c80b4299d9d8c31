// `node scripts/differential.mjs NAME [options]`: the long comparisons of tests/differential, each a program: native, encodings, bytes, containers, docker-lines, kubectl-lines.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { buildCpu, cpuStale } from './build-cli.mjs';

const root = new URL('..', import.meta.url).pathname;
const [name, ...args] = process.argv.slice(2);
const entry = join(root, 'tests', 'differential', `${name}.ts`);
if (!name || !existsSync(entry)) {
  console.error(`differential: ${name ? `no comparison '${name}'` : 'which?'}: native, encodings, bytes, containers, docker-lines, kubectl-lines`);
  process.exit(64);
}
if (cpuStale()) buildCpu();

/** Files find what lies beside them by their own address, which bundling would change. */
const ownAddress = {
  name: 'own address',
  setup(context) {
    context.onLoad({ filter: /\/tests\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'ts',
    }));
  },
};
const outfile = join(root, 'build', `differential-${name}.mjs`);
await build({
  entryPoints: [entry], outfile, bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'warning', packages: 'external', plugins: [ownAddress], loader: { '.asm': 'text', '.md': 'text' },
});
process.exitCode = spawnSync(process.execPath, [outfile, ...args], { stdio: 'inherit', cwd: root }).status ?? 1;
