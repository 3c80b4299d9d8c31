// `node scripts/plot-cluster.mjs FILE`: the cost of a scheduling decision from 100 to 5,000 nodes, as docs/cluster-cost.svg, from the JSON
// that `npm run bench -- cluster --json` prints (a line with a `growth` list).
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const line = readFileSync(process.argv[2] ?? '/dev/stdin', 'utf8').split('\n').find((one) => one.includes('"growth"'));
if (!line) {
  console.error('plot-cluster: no line with "growth"; run npm run bench -- cluster --json');
  process.exit(65);
}
const rows = JSON.parse(line).growth;
const shapes = Object.keys(rows[0]).filter((name) => name !== 'nodes');
const cost = (row, shape) => 1e6 / row[shape];
const [W, H, L, B, T, R] = [720, 360, 64, 44, 16, 190];
const most = Math.max(...rows.flatMap((row) => shapes.map((shape) => cost(row, shape))));
const step = 10 ** Math.floor(Math.log10(most)) / (most / 10 ** Math.floor(Math.log10(most)) < 3 ? 2 : 1);
const top = Math.ceil(most / step) * step;
const x = (n) => L + (n / 5000) * (W - L - R);
const y = (v) => H - B - (v / top) * (H - B - T);
const looks = [['#0a6961', '', 'circle'], ['#2750a2', '6 3', 'square'], ['#8d5403', '2 3', 'triangle']];
const mark = (kind, px, py, fill) => kind === 'circle' ? `<circle cx="${px}" cy="${py}" r="4" fill="${fill}"/>` : kind === 'square' ? `<rect x="${px - 4}" y="${py - 4}" width="8" height="8" fill="${fill}"/>` : `<path d="M${px} ${py - 5}l5 9h-10z" fill="${fill}"/>`;
const round = (n) => Math.round(n * 10) / 10;
let svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${W} ${H}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Cost of placing one pod against the number of nodes">\n<rect width="${W}" height="${H}" fill="#ffffff"/>\n`;
for (let v = 0; v <= top + 1e-9; v += step) svg += `<line x1="${L}" x2="${W - R}" y1="${round(y(v))}" y2="${round(y(v))}" stroke="#e2e2dd"/><text x="${L - 8}" y="${round(y(v)) + 4}" text-anchor="end" fill="#484c53">${Math.round(v)}</text>\n`;
for (const row of rows) if (row.nodes % 1000 === 0 || row.nodes === 100) svg += `<text x="${round(x(row.nodes))}" y="${H - B + 18}" text-anchor="middle" fill="#484c53">${row.nodes.toLocaleString('en-US')}</text>\n`;
svg += `<text x="${(L + W - R) / 2}" y="${H - 6}" text-anchor="middle" fill="#191b1f">nodes</text><text transform="rotate(-90)" x="${-(H - B + T) / 2}" y="16" text-anchor="middle" fill="#191b1f">µs of processor time a pod</text>\n`;
const labels = shapes.map((shape, i) => ({ shape, i, at: y(cost(rows.at(-1), shape)) })).sort((a, b) => a.at - b.at);
for (const [n, one] of labels.entries()) if (n > 0) one.at = Math.max(one.at, labels[n - 1].at + 16);
for (const { shape, i, at } of labels) {
  const [colour, dash, kind] = looks[i % looks.length];
  svg += `<polyline fill="none" stroke="${colour}" stroke-width="2"${dash ? ` stroke-dasharray="${dash}"` : ''} points="${rows.map((row) => `${round(x(row.nodes))},${round(y(cost(row, shape)))}`).join(' ')}"/>${rows.map((row) => mark(kind, round(x(row.nodes)), round(y(cost(row, shape))), colour)).join('')}<text x="${W - R + 12}" y="${round(at) + 4}" fill="${colour}">${shape}, ${Math.round(cost(rows.at(-1), shape))} µs</text>\n`;
}
svg += '</svg>\n';
writeFileSync(join(root, 'docs', 'cluster-cost.svg'), svg);
console.log('docs/cluster-cost.svg');
