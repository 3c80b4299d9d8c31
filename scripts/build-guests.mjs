// Assembles the larger guests into build/guests, so that a page need not do it before its first prompt. The lab's own assembler does it:
// what it makes here is what it would make there.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const folder = join(root, 'src/engine/hypervisor/guests');
const out = join(root, 'build/guests');
mkdirSync(out, { recursive: true });
const tool = join(out, 'assemble.mjs');
await build({ entryPoints: [join(root, 'src/engine/machine/isa/assemble.ts')], outfile: tool, bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'warning' });
const { assemble } = await import(pathToFileURL(tool).href);
const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/')).filter((name) => name.endsWith('.asm'));
const sources = Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
for (const name of ['nest', 'nest-pv']) {
  const { bytes, errors } = assemble(sources[`${name}.asm`], `${name}.asm`, (included) => sources[included] ?? null);
  if (errors.length > 0) throw new Error(`guests/${errors[0].text}`);
  writeFileSync(join(out, `${name}.img`), bytes);
}
