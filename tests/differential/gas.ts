/**
 * The project's as and ld against those of binutils over the sources in tests/unit/binutils: `node scripts/differential.mjs gas`;
 * `--write` records what binutils made of them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SOURCES, LINKS, type Made, ours } from '../unit/binutils/gas-sources.ts';
import { shown } from '../unit/binutils/shown.ts';

const folder = mkdtempSync(join(tmpdir(), 'gas-'));
const path = (name: string): string => join(folder, name);

function run(argv: readonly string[], output: string): Made {
  rmSync(path(output), { force: true });
  const { stderr } = spawnSync(argv[0]!, argv.slice(1), { encoding: 'utf8', cwd: folder, timeout: 20_000 });
  return { said: stderr.split('\n').filter((line) => line !== '' && !line.endsWith('Assembler messages:')), shown: existsSync(path(output)) ? shown(new Uint8Array(readFileSync(path(output)))) : [] };
}

const real: Made[] = [];
for (const [option, source] of SOURCES) {
  writeFileSync(path('s.s'), source);
  real.push(run(['as', option, '-o', 's.o', 's.s'], 's.o'));
}
for (const { files, argv } of LINKS) {
  for (const [name, text] of Object.entries(files)) writeFileSync(path(name), text);
  for (const name of Object.keys(files)) if (name.endsWith('.s')) run(['as', '--32', '-o', name.replace(/s$/, 'o'), name], 'none');
  real.push(run(['ld', ...argv], argv[argv.indexOf('-o') + 1]!));
}
rmSync(folder, { recursive: true });
const titles = [...SOURCES.map(([option, source]) => `${option} ${JSON.stringify(source)}`), ...LINKS.map(({ argv }) => `ld ${argv.join(' ')}`)];
let wrong = 0;
ours().forEach((mine, n) => {
  const [a, b] = [real[n]!, mine].map((one) => [...one.said, ...one.shown]) as [string[], string[]];
  if (JSON.stringify(a) === JSON.stringify(b)) return;
  wrong++;
  console.log(titles[n]);
  for (let k = 0; k < Math.max(a.length, b.length); k++) if (a[k] !== b[k]) console.log(`  gnu  ${a[k]}\n  ours ${b[k]}`);
});
if (process.argv.includes('--write')) writeFileSync('tests/unit/binutils/gas-made.json', `${JSON.stringify(real).replaceAll('},{', '},\n{')}\n`);
console.log(`${titles.length} sources: ${wrong} differ`);
process.exit(wrong > 0 ? 1 : 0);
