/** Loads what the engine is given: the processor's module from the build folder, the guests' sources from the bundle. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Assets } from '../engine/world/world.ts';

/** The project's folder: the bundle lies in build/, the sources in src/cli/. */
export function root(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.endsWith('build') ? join(here, '..') : join(here, '..', '..');
}

export function loadAssets(): Assets {
  const cpu = new WebAssembly.Module(readFileSync(join(root(), 'build', 'cpu.wasm')));
  const guests = join(root(), 'src/engine/hypervisor/guests');
  return { cpu, guests: { 'tiny.asm': readFileSync(join(guests, 'tiny.asm'), 'utf8') } };
}
