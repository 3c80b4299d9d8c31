// `npm run build`: the processor, the headless tool, the page. What is up to date is left alone, but for the page.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildCpu, cpuStale } from './build-cli.mjs';

const root = new URL('..', import.meta.url).pathname;
const run = (command, args) => {
  const status = spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
  if (status !== 0) process.exit(status);
};
if (cpuStale()) buildCpu();
run(process.execPath, [join(root, 'scripts', 'build-cli.mjs')]);
run(process.execPath, [join(root, 'scripts', 'build-ahead.mjs')]);
run(join(root, 'node_modules', '.bin', 'vite'), ['build']);
