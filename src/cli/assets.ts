/** Loads what the engine is given: the processor's module from the build folder, every program, the guests' sources. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROGRAMS } from '../engine/userland/table.ts';
import type { Assets } from '../engine/world/world.ts';

/** The project's folder: the bundle lies in build/, the sources in src/cli/. */
export function root(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.endsWith('build') ? join(here, '..') : join(here, '..', '..');
}

let guests: Assets['guests'] | null = null;

/** Every assembly source below a folder, by its path from there. */
function sources(folder: string): Assets['guests'] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/')).filter((name) => name.endsWith('.asm'));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

export function loadAssets(): Assets {
  const cpu = new WebAssembly.Module(readFileSync(join(root(), 'build', 'cpu.wasm')));
  guests ??= sources(join(root(), 'src/engine/hypervisor/guests'));
  return { cpu, guests, programs: PROGRAMS };
}
