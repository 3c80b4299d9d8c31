/** What a browser fetches, gzip, and how long until the lab can be typed in, when a Chromium is here. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../../src/cli/assets.ts';
import { median } from './median.ts';

const RUNS = 3;

export async function page(): Promise<Record<string, unknown>> {
  const dist = join(root(), 'dist');
  if (!existsSync(join(dist, 'index.html'))) {
    console.error('page: the lab is not built (npm run build); left out');
    return { sizes: null, usableMs: null };
  }
  const html = readFileSync(join(dist, 'index.html'), 'utf8');
  const first = new Set([...html.matchAll(/assets\/([^"]+\.(?:js|css))"/g)].map((m) => m[1]!));
  const sizes: Record<string, number> = { firstLab: 0, worker: 0, wasm: 0, rest: 0 };
  for (const file of readdirSync(join(dist, 'assets'))) {
    const bytes = gzipSync(readFileSync(join(dist, 'assets', file)), { level: 9 }).length;
    const kind = first.has(file) ? 'firstLab' : file.endsWith('.wasm') ? 'wasm' : /^main-.*\.js$/.test(file) ? 'worker' : 'rest';
    sizes[kind]! += bytes;
  }
  return { gzipBytes: sizes, usableMs: await usable() };
}

/** Milliseconds from navigation to a prompt in the terminal, warm cache, median; null without a Chromium. */
async function usable(): Promise<number | null> {
  const { chromium } = await import('@playwright/test');
  const path = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', chromium.executablePath()].find((one) => one && existsSync(one));
  if (!path) {
    console.error('page: no Chromium; time to the first lab left out');
    return null;
  }
  const server = spawn(process.execPath, [join(root(), 'bin/nestbox.mjs'), 'serve', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await new Promise<string>((resolve) => server.stdout.on('data', (data) => resolve(/http:\S+/.exec(String(data))![0])));
  const browser = await chromium.launch({ executablePath: path, args: ['--no-sandbox', '--disable-gpu'] });
  const tab = await browser.newPage();
  const times: number[] = [];
  for (let n = 0; n <= RUNS; n++) {
    await tab.goto('about:blank');
    await tab.evaluate(() => null);
    const began = performance.now();
    await tab.goto(`${url}?n=${n}`);
    await tab.waitForFunction(() => /[#$]\s*$/.test(document.querySelector<HTMLElement>('.xterm-rows')?.innerText.trimEnd() ?? ''), undefined, { polling: 20 });
    if (n > 0) times.push(performance.now() - began);
  }
  await browser.close();
  server.kill();
  return Math.round(median(times));
}
