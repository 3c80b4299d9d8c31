/** After the first visit the lab opens with its server gone. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { expect, test } from '@playwright/test';
import { prompt, run } from './lab.ts';

const dist = new URL('../../dist/', import.meta.url).pathname;
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };

function serve(): Promise<Server> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    const file = join(dist, normalize(path === '/' ? 'index.html' : path));
    void readFile(file).then((body) => response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(body), () => response.writeHead(404).end());
  });
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server)); });
}

test('a reload with the server stopped opens the lab and the session', async ({ page }) => {
  const server = await serve();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await prompt(page);
  await run(page, 'echo before the cut', /^before the cut/m);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => null));
  await expect.poll(() => page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).length))).reduce((a, b) => a + b, 0))).toBeGreaterThan(8);
  await page.waitForTimeout(1500);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await page.reload();
  await prompt(page);
  await run(page, 'echo still here', /before the cut[\s\S]*^still here/m);
});
