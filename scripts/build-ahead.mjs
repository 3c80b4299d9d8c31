// Works out into build/ahead what a page need not do before its first prompt: the guests' images, the stores of container
// images of the default scenario and the list of programs. The lab's own assembler and image builder do it: what they make here is what they would make there.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const folder = join(root, 'src/engine/hypervisor/guests');
const out = join(root, 'build/ahead');
const GUESTS = ['nest', 'nest-pv', 'tiny'];

mkdirSync(out, { recursive: true });
const tool = join(out, 'tool.mjs');
const parts = { assemble: 'machine/isa/assemble.ts', storeOf: 'world/install.ts', storeName: 'world/install.ts', writeTrees: 'world/treefile.ts', findScenario: 'world/scenario.ts', PROGRAMS: 'userland/table.ts' };
await build({
  stdin: { contents: Object.entries(parts).map(([name, path]) => `export { ${name} } from './src/engine/${path}';`).join('\n'), resolveDir: root, loader: 'ts' },
  outfile: tool, bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'warning',
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
});
const { assemble, storeName, storeOf, writeTrees, findScenario, PROGRAMS } = await import(pathToFileURL(tool).href);
const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/')).filter((name) => name.endsWith('.asm'));
const sources = Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
for (const name of GUESTS) {
  const { bytes, errors } = assemble(sources[`${name}.asm`], `${name}.asm`, (included) => sources[included] ?? null);
  if (errors.length > 0) throw new Error(`guests/${errors[0].text}`);
  writeFileSync(join(out, `${name}.img`), bytes);
}
const hosts = findScenario('lab').hosts.filter((host) => host.images.length > 0);
writeFileSync(join(out, 'stores.gz.img'), gzipSync(writeTrees(Object.fromEntries(hosts.map((host) => [storeName(host), storeOf(host)]))), { level: 9 }));
writeFileSync(join(out, 'programs.json'), JSON.stringify(PROGRAMS.installed));
