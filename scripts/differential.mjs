// `node scripts/differential.mjs NAME [options]`: the long comparisons of tests/differential, each a program; without NAME it lists them.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { buildCpu, cpuStale } from './build-cli.mjs';

const root = new URL('..', import.meta.url).pathname;
const [name, ...args] = process.argv.slice(2);
const entry = join(root, 'tests', 'differential', `${name}.ts`);
if (!name || !existsSync(entry)) {
  // those with a command line of their own say so in their first lines
  const names = readdirSync(join(root, 'tests', 'differential')).filter((file) => file.endsWith('.ts') && readFileSync(join(root, 'tests', 'differential', file), 'utf8').slice(0, 600).includes('scripts/differential.mjs'));
  console.error(`differential: ${name ? `no comparison '${name}'` : 'which?'}: ${names.map((file) => file.slice(0, -3)).join(', ')}`);
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
