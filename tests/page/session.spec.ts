/** Nothing is lost: reload, step back, a share link, a saved recording that replays to the same hash without a page. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, type Page, test } from '@playwright/test';
import { open, prompt, run, screen, type, watch } from './lab.ts';

const root = new URL('../..', import.meta.url).pathname;

async function download(page: Page): Promise<string> {
  await page.locator('body').click({ position: { x: 5, y: 5 } }).catch(() => null);
  await page.getByRole('button', { name: 'Find anything' }).click();
  await page.keyboard.type('download');
  const [file] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
  const path = join(mkdtempSync(join(tmpdir(), 'nestbox-')), 'session.nestbox.json');
  await file.saveAs(path);
  return path;
}

test('a recording made in the browser has the same hash in Node', async ({ page }) => {
  await open(page);
  await run(page, 'virsh start tiny', /started/);
  await run(page, 'docker run --rm busybox echo from a container', /from a container/);
  await run(page, 'kubectl get nodes', /node-3\s+Ready/);
  await page.locator('#time').getByRole('button', { name: 'Pause' }).click();
  const path = await download(page);
  const recording = JSON.parse(readFileSync(path, 'utf8'));
  expect(recording.hash).toMatch(/^[0-9a-f]{16}$/);
  const node = spawnSync(process.execPath, [join(root, 'bin/nestbox.mjs'), 'run', '--replay', path, '--hash', '--quiet'], { encoding: 'utf8', input: '' });
  expect(node.stdout.trim().split('\n').pop()).toBe(recording.hash);
});

test('a reload loses nothing, not even what was typed last', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  await run(page, 'echo kept > note; cat note', /^kept/m);
  await type(page, 'cat note | tr a-z A-Z');
  await page.reload();
  await expect.poll(() => screen(page)).toMatch(/cat note\s+kept[\s\S]*^KEPT/m);
  await page.locator('#time').getByRole('button', { name: 'Pause' }).click();
  // as fast as somebody clicks: each step counts from where the one before will arrive, and what is typed waits
  for (let n = 0; n < 8; n++) await page.getByRole('button', { name: 'Step back by an event' }).click();
  await page.locator('#time').getByRole('button', { name: /^(Play|Run)/ }).click();
  // on a busy machine the eight may lead back into the line that was typed: C-u takes away what is there of it
  await page.locator('.xterm-helper-textarea').first().press('Control+u');
  await run(page, 'echo another way', /^another way/m);
  await page.reload();
  await expect.poll(() => screen(page)).toMatch(/^another way/m);
  expect(faults).toEqual([]);
});

test('two tabs keep a session each; the one used last comes back', async ({ page, context }) => {
  await open(page);
  await run(page, 'echo in the first', /^in the first/m);
  const other = await context.newPage();
  await open(other);
  await run(other, 'echo in the second', /^in the second/m);
  await run(page, 'echo and again in the first', /^and again in the first/m);
  await other.close();
  await page.reload();
  await expect.poll(() => screen(page)).toMatch(/^in the first[\s\S]*^and again in the first/m);
  expect(await screen(page)).not.toContain('in the second');
});

test('a share link shows what it holds before anything of it runs, then opens that session', async ({ page, browser }) => {
  await open(page);
  await run(page, 'echo for a colleague', /^for a colleague/m);
  await page.getByRole('button', { name: 'Share' }).click();
  const field = page.getByRole('dialog').locator('input, textarea').first();
  await expect(field).toHaveValue(/#s=/);
  const link = await field.inputValue();
  const other = await browser.newPage();
  await other.goto(link.replace(/^https?:\/\/[^/]+/, ''));
  await expect(other.getByRole('dialog')).toContainText('echo for a colleague');
  expect(await screen(other)).not.toContain('for a colleague');
  await other.getByRole('dialog').getByRole('button', { name: 'Open it' }).click();
  await expect.poll(() => screen(other)).toMatch(/^for a colleague/m);
  await other.close();
});

test('a broken share link is told so, and the lab opens', async ({ page }) => {
  await page.goto('/#s=AAAA');
  await expect(page.getByRole('dialog')).toContainText(/cannot be opened/);
  await page.getByRole('dialog').getByRole('button').click();
  await prompt(page);
});

test('stepping back and scrubbing show the past, and acting there goes on from it', async ({ page }) => {
  await open(page);
  await run(page, 'echo first', /^first/m);
  await page.waitForTimeout(300);
  await run(page, 'echo second', /^second/m);
  await page.locator('#time').getByRole('button', { name: 'Pause' }).click();
  for (let n = 0; n < 3; n++) {
    await page.getByRole('button', { name: 'Step back by an event' }).click();
    await page.waitForTimeout(200);
  }
  const slider = page.getByRole('slider', { name: 'Playhead' });
  await slider.focus();
  await page.keyboard.press('Home');
  await expect.poll(() => screen(page)).not.toContain('first');
  await page.keyboard.press('End');
  await expect.poll(() => screen(page)).toMatch(/^second/m);
});
