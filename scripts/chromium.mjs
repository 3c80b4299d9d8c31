// Finds a Chromium for the browser tests: $CHROMIUM_PATH, the system's, Playwright's own; else tries to install one.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const SYSTEM = [
  '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable',
  '/Applications/Chromium.app/Contents/MacOS/Chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const root = new URL('..', import.meta.url).pathname;

async function playwrights() {
  const { chromium } = await import('@playwright/test');
  const path = chromium.executablePath();
  return path && existsSync(path) ? path : null;
}
const own = await playwrights().catch(() => null);

export function findChromium({ install = false } = {}) {
  const found = [process.env.CHROMIUM_PATH, ...SYSTEM, own].find((path) => path && existsSync(path));
  if (found || !install) return found ?? null;
  console.log("No Chromium found; trying Playwright's own build…");
  const got = spawnSync(join(root, 'node_modules', '.bin', 'playwright'), ['install', 'chromium'], { stdio: 'inherit', timeout: 300_000 });
  if (got.status === 0) {
    const path = spawnSync(process.execPath, ['-e', "import('@playwright/test').then(({chromium})=>console.log(chromium.executablePath()))"], { cwd: root, encoding: 'utf8' }).stdout.trim();
    if (existsSync(path)) return path;
  }
  if (process.platform === 'linux' && process.getuid?.() === 0) {
    console.log("Trying the system's package…");
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit' });
    spawnSync('apt-get', ['install', '-y', '-qq', 'chromium'], { stdio: 'inherit' });
    const path = SYSTEM.find((p) => existsSync(p));
    if (path) return path;
  }
  console.error(
    'No Chromium could be found or installed. Install one and run again:\n' +
      '  Debian or Ubuntu:  sudo apt-get install chromium\n  macOS:             brew install --cask chromium\n' +
      '  any system:        npx playwright install chromium\nor name one: CHROMIUM_PATH=/path/to/chromium npm test',
  );
  return null;
}
