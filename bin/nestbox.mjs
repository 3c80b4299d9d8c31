#!/usr/bin/env node
// Starts the headless tool; builds it (and the processor) first when its sources are newer.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const built = join(root, 'build', 'nestbox.mjs');
if (existsSync(join(root, 'scripts', 'build-cli.mjs'))) {
  const { stale } = await import(pathToFileURL(join(root, 'scripts', 'build-cli.mjs')).href);
  if (stale()) {
    const done = spawnSync(process.execPath, [join(root, 'scripts', 'build-cli.mjs')], { stdio: ['ignore', 'ignore', 'inherit'] });
    if (done.status !== 0) process.exit(70);
  }
}
const { main } = await import(pathToFileURL(built).href);
process.exitCode = await main(process.argv.slice(2));
