// `npm start`: builds what is needed, serves the lab on localhost and opens it in a browser where there is one.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const built = spawnSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { stdio: 'inherit' });
if (built.status !== 0) process.exit(built.status ?? 1);
const server = spawn(process.execPath, [join(root, 'bin', 'nestbox.mjs'), 'serve', ...process.argv.slice(2)], { stdio: ['inherit', 'pipe', 'inherit'] });
server.stdout.on('data', (data) => {
  process.stdout.write(data);
  const url = /http:\S+/.exec(String(data))?.[0];
  if (url && !process.env.CI && process.stdout.isTTY) {
    const opener = process.platform === 'darwin' ? 'open' : 'xdg-open';
    spawn(opener, [url], { stdio: 'ignore', detached: true }).on('error', () => {}).unref();
  }
});
server.on('exit', (code) => process.exit(code ?? 0));
