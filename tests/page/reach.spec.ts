/** Everybody can use it: keyboard alone, no axe violation in any scene and theme, a phone's width. */
import { readFileSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { strFromU8, unzipSync } from 'fflate';
import { open, prompt, run, screen, watch } from './lab.ts';

/** Pictures with several faces, each looked at. */
const MODES = { Spectrum: ['Timeline', 'Events', 'Compare', 'Code', 'VMCS', 'Costs', 'Papers', 'Editor', 'Lock step'], 'Page walk': ['Host memory', 'Exits', 'Registers', 'Walk'] };
const SCENES = ['Spectrum', 'Layers', 'Page walk', 'I/O', 'Containers', 'VM or container', 'Cluster', 'Toolbox'];

for (const theme of ['light', 'dark', 'projector']) {
  test(`no axe violation in any scene, ${theme}`, async ({ page }) => {
    await page.addInitScript((name) => localStorage.setItem('nestbox.page', JSON.stringify({ theme: name })), theme);
    await open(page);
    await run(page, 'virsh start tiny && docker run -d --name web -m 64m nginx && kubectl apply -f web.yaml', /service\/web created/);
    await page.waitForTimeout(2500);
    await page.locator('#time').getByRole('button', { name: 'Pause' }).click();
    for (const name of SCENES) {
      await page.getByRole('tab', { name: new RegExp(`^\\d ${name}$`) }).click();
      await page.waitForTimeout(250);
      const { violations } = await new AxeBuilder({ page }).exclude('.xterm').analyze();
      expect(violations.map((v) => `${name}: ${v.id}: ${v.nodes[0]?.html.slice(0, 200)}`)).toEqual([]);
    }
  });

  test(`no axe violation in any face of the pictures of machines, ${theme}`, async ({ page }) => {
    await page.addInitScript((name) => localStorage.setItem('nestbox.page', JSON.stringify({ theme: name })), theme);
    await open(page);
    await run(page, 'virsh start tiny', /Domain 'tiny' started/);
    await page.waitForTimeout(2000);
    await page.locator('#time').getByRole('button', { name: 'Pause' }).click();
    for (const [scene, modes] of Object.entries(MODES)) {
      await page.getByRole('tab', { name: new RegExp(`^\\d ${scene}$`) }).click();
      for (const mode of modes) {
        await page.getByRole('group', { name: `What ${scene} shows` }).getByRole('button', { name: mode, exact: true }).click();
        await page.waitForTimeout(250);
        const { violations } = await new AxeBuilder({ page }).include('#picture').include('#inspector').analyze();
        expect(violations.map((v) => `${scene}, ${mode}: ${v.id}: ${v.nodes[0]?.html.slice(0, 200)}`)).toEqual([]);
      }
    }
  });
}

for (const theme of ['light', 'dark', 'projector']) {
  test(`no axe violation in any face of the cluster, ${theme}`, async ({ page }) => {
    test.setTimeout(240_000);
    await page.addInitScript((name) => localStorage.setItem('nestbox.page', JSON.stringify({ theme: name })), theme);
    await open(page);
    await run(page, 'kubectl apply -f web.yaml; kubectl wait --for=condition=Available deployment/web --timeout=60s', /condition met/);
    await page.locator('#time').getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('tab', { name: /^\d Cluster$/ }).click();
    for (const face of ['Scheduler', 'Packing', 'Workloads', 'Rollout', 'Roads', 'Volumes', 'Who wrote', 'Events', 'Objects']) {
      await page.getByRole('group', { name: 'What Cluster shows' }).getByRole('button', { name: face, exact: true }).click();
      await page.waitForTimeout(300);
      const { violations } = await new AxeBuilder({ page }).include('#picture').include('#inspector').analyze();
      expect(violations.map((v) => `${face}: ${v.id}: ${v.nodes[0]?.html.slice(0, 200)}`)).toEqual([]);
    }
  });
}

test('a cluster leaves as manifests and a dump comes in', async ({ page }) => {
  await open(page);
  await page.getByRole('tab', { name: /^\d Cluster$/ }).click();
  await page.getByRole('group', { name: 'What Cluster shows' }).getByRole('button', { name: 'Objects', exact: true }).click();
  const down = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export manifests' }).click();
  const zip = await down;
  expect(zip.suggestedFilename()).toBe('lab-manifests.zip');
  const bytes = unzipSync(new Uint8Array(readFileSync((await zip.path())!)));
  expect(Object.keys(bytes).sort()).toEqual(['README.txt', 'kind.yaml', 'kwok.yaml', 'manifests.yaml'].map((name) => `lab-manifests/${name}`));
  expect(strFromU8(bytes['lab-manifests/kind.yaml']!)).toContain('kind: Cluster');
  const choosing = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Import dump' }).click();
  const dump = { apiVersion: 'v1', kind: 'List', items: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'from-afar', namespace: 'default' }, data: { a: 'b' } }] };
  await (await choosing).setFiles({ name: 'dump.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(dump)) });
  await expect.poll(() => screen(page), { timeout: 30_000 }).toMatch(/imported 1 ConfigMap/);
  await run(page, 'kubectl get configmap from-afar', /from-afar +1/);
});

test('keyboard only: terminal, scenes, search, time', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  for (let n = 0; n < 8 && !(await page.evaluate(() => document.activeElement?.classList.contains('xterm-helper-textarea'))); n++) await page.keyboard.press('F6');
  await page.keyboard.type('echo by keys alone');
  await page.keyboard.press('Enter');
  await expect.poll(() => screen(page)).toMatch(/^by keys alone/m);
  await page.keyboard.press('F6');
  await page.keyboard.press('5');
  await expect(page.getByRole('tab', { name: '5 Containers' })).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.type('cluster');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('tab', { name: '7 Cluster' })).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
  expect(faults).toEqual([]);
});

test('at 390 wide nothing overflows and the terminal is one tab away', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('/');
  for (const name of ['Lesson', 'Picture', 'Bits', 'Terminal']) {
    await page.getByRole('tab', { name, exact: true }).click();
    await page.waitForTimeout(150);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), name).toBe(true);
  }
  await prompt(page);
});

test('a lab is done in the page, its checks live', async ({ page }) => {
  await open(page);
  await page.getByRole('button', { name: /Kill a container with its own memory limit/ }).click();
  await expect(page.locator('#lesson')).toContainText('Step 1 of 3');
  await page.getByLabel('the process in the container').check();
  await run(page, 'docker run --name hog -m $(( 0 + 32 ))m busybox tail /dev/zero; docker run -m 64m busybox tail /dev/zero; docker run -m 128m busybox tail /dev/zero; echo over', /^over/m);
  await expect(page.locator('#lesson').getByText(': true').first()).toBeAttached({ timeout: 20_000 });
  // What was predicted is compared with what happened, once it has.
  await expect(page.locator('#lesson label').filter({ hasText: 'the process in the container' })).toContainText('right');
  await page.getByRole('button', { name: 'Next step' }).click();
  await expect(page.locator('#lesson')).toContainText('Step 2 of 3');
  await expect.poll(() => page.evaluate(() => localStorage.getItem('nestbox.page') ?? '')).toContain('"done":["limit"]');
  await page.reload();
  await expect(page.locator('#lesson')).toContainText('Step 2 of 3');
  await expect(page.getByRole('button', { name: 'Step 1, done' })).toBeVisible();
});
