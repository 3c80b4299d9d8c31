/** What a browser fetches, gzip, and how long until the lab can be typed in, when a Chromium is here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../../src/cli/assets.ts';
import { atPrompt, serveLab } from './browser.ts';
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
  const sizes: Record<string, number> = { firstLab: 0, worker: 0, workerLater: 0, wasm: 0, rest: 0 };
  for (const file of readdirSync(join(dist, 'assets'))) {
    const bytes = gzipSync(readFileSync(join(dist, 'assets', file)), { level: 9 }).length;
    const kind = first.has(file) ? 'firstLab' : file.endsWith('.wasm') ? 'wasm' : /^main-.*\.js$/.test(file) ? 'worker' : /^rest-.*\.js$/.test(file) ? 'workerLater' : 'rest';
    sizes[kind]! += bytes;
  }
  return { gzipBytes: sizes, usableMs: await usable() };
}

/** Milliseconds from navigation to a prompt in the terminal, warm cache, median; null without a Chromium. */
async function usable(): Promise<number | null> {
  const served = await serveLab('page');
  if (!served) return null;
  const tab = await served.browser.newPage();
  const times: number[] = [];
  for (let n = 0; n <= RUNS; n++) {
    await tab.goto('about:blank');
    await tab.evaluate(() => null);
    const began = performance.now();
    await tab.goto(`${served.url}?n=${n}`);
    await tab.waitForFunction(atPrompt, undefined, { polling: 20 });
    if (n > 0) times.push(performance.now() - began);
  }
  await served.close();
  return Math.round(median(times));
}
