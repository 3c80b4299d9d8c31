// `npm test`: everything, in order, each runner's counts added up; the last line is "N passed, N failed".
// A runner that ran nothing has failed. Flags: --no-page leaves the browser out (and says so).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findChromium } from './chromium.mjs';

const root = new URL('..', import.meta.url).pathname;
const bin = (name) => join(root, 'node_modules', '.bin', name);
const reports = join(root, 'build', 'reports');
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });

const tally = [];
function note(name, passed, failed) {
  if (passed + failed === 0) {
    console.error(`${name}: ran nothing`);
    failed = 1;
  }
  tally.push({ name, passed, failed });
  console.log(`-- ${name}: ${passed} passed, ${failed} failed`);
}
function run(command, args, env = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1;
}
/** A check that either holds or does not. */
function one(name, command, args) {
  const status = run(command, args);
  note(name, status === 0 ? 1 : 0, status === 0 ? 0 : 1);
  return status === 0;
}

if (!one('build', process.execPath, [join(root, 'scripts', 'build.mjs')])) finish();
for (const project of ['engine', 'worker', 'page', 'node']) one(`types of ${project}`, bin('tsc'), ['-p', project === 'page' ? 'tsconfig.json' : `tsconfig.${project}.json`]);
one('lint', bin('biome'), ['lint', '--diagnostic-level=error', 'src', 'tests', 'scripts', 'bin']);
one('bundle budgets', process.execPath, [join(root, 'scripts', 'budgets.mjs')]);

const unit = join(reports, 'vitest.json');
run(bin('vitest'), ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${unit}`]);
note('unit, recorded, replay, labs, layers', ...vitestCounts(unit));

if (process.argv.includes('--no-page')) console.log('-- page: left out by --no-page');
else {
  const chromium = findChromium({ install: true });
  const page = join(reports, 'playwright.json');
  if (chromium) run(bin('playwright'), ['test', '--reporter=list,json'], { CHROMIUM_PATH: chromium, PLAYWRIGHT_JSON_OUTPUT_NAME: page });
  note('page', ...playwrightCounts(page));
}
finish();

function vitestCounts(file) {
  if (!existsSync(file)) return [0, 0];
  const r = JSON.parse(readFileSync(file, 'utf8'));
  // A file that fails before its first test counts as one failure.
  const broken = r.testResults.filter((t) => t.status === 'failed' && t.assertionResults.length === 0).length;
  return [r.numPassedTests, r.numFailedTests + broken];
}

function playwrightCounts(file) {
  if (!existsSync(file)) return [0, 0];
  const { stats, errors } = JSON.parse(readFileSync(file, 'utf8'));
  return [stats.expected + stats.flaky, stats.unexpected + (errors?.length ?? 0)];
}

function finish() {
  const passed = tally.reduce((n, t) => n + t.passed, 0);
  const failed = tally.reduce((n, t) => n + t.failed, 0);
  for (const t of tally) if (t.failed > 0) console.log(`failed: ${t.name}`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 ? 1 : 0);
}
