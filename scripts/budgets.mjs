// Bundle budgets, gzip: what a browser must fetch before the first lab, and each lazy part. Fails when a part is missing.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const dist = new URL('../dist', import.meta.url).pathname;
const html = readFileSync(join(dist, 'index.html'), 'utf8');
const size = (file) => gzipSync(readFileSync(join(dist, 'assets', file)), { level: 9 }).length;
const files = readdirSync(join(dist, 'assets'));
const first = new Set([...html.matchAll(/(?:src|href)="\.?\/?assets\/([^"]+\.(?:js|css))"/g)].map((m) => m[1]));
const worker = files.filter((f) => /^main-.*\.js$/.test(f) && !first.has(f));
const rest = files.filter((f) => /^rest-.*\.js$/.test(f));
const wasm = files.filter((f) => f.endsWith('.wasm'));
const sum = (list) => list.reduce((n, f) => n + size(f), 0);

export const BUDGETS = [
  { name: 'page and terminal before the first lab (JS and CSS)', files: [...first], limit: 280_000 },
  // what boots run; what comes after the first prompt is every other program of every modelled machine
  { name: 'worker before the first prompt', files: worker, limit: 830_000 },
  { name: 'worker after it', files: rest, limit: 680_000 },
  { name: 'processor (wasm)', files: wasm, limit: 48_000 },
];
let failed = false;
for (const { name, files: list, limit } of BUDGETS) {
  const bytes = sum(list);
  const ok = list.length > 0 && bytes <= limit;
  failed ||= !ok;
  console.log(`${ok ? 'ok  ' : 'OVER'} ${name}: ${(bytes / 1000).toFixed(1)} kB of ${limit / 1000} kB gzip${list.length === 0 ? ' (no file)' : ''}`);
}
process.exitCode = failed ? 1 : 0;
