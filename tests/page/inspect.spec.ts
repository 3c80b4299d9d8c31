/** No diagram without the bits: an entry field by field, the chain of causes, and the ways from a name to its picture. */
import { expect, type Page, test } from '@playwright/test';
import { open, run, scene, type, watch } from './lab.ts';

const inspector = (page: Page) => page.locator('#inspector');
const pause = (page: Page): Promise<void> => page.locator('#time').getByRole('button', { name: 'Pause' }).click();

test('the bits of a guest PTE are those of its 64-bit value', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  await run(page, 'virsh start tiny', /Domain 'tiny' started/);
  const cell = page.getByRole('button', { name: /^Reference 20, guest PTE/ });
  await expect(cell).toBeVisible({ timeout: 30_000 });
  await page.locator('#picture').getByRole('button', { name: 'Pause' }).click();
  await expect(page.locator('#picture').getByRole('button', { name: 'Run', exact: true })).toBeVisible();
  await cell.click();
  const entry = BigInt(/entry (0x[0-9a-f]+)/.exec((await cell.getAttribute('aria-label')) ?? '')![1]!);
  await expect(inspector(page)).toContainText('written by the guest kernel');
  await expect(inspector(page)).toContainText(`0x${entry.toString(16).padStart(16, '0')}`);
  for (const [bit, name] of [[63, 'XD'], [6, 'D'], [5, 'A'], [2, 'U/S'], [1, 'R/W'], [0, 'P']] as const) {
    const value = Number((entry >> BigInt(bit)) & 1n);
    await expect(inspector(page).getByRole('row', { name: new RegExp(`^${bit} ${name} ${value} `) })).toHaveCount(1);
  }
  const frame = (entry >> 12n) & 0xff_ffff_ffffn;
  await expect(inspector(page).getByRole('row', { name: /^51:12 frame/ })).toContainText(`0x${(frame << 12n).toString(16)}`);
  expect(faults).toEqual([]);
});

test('why a container was killed: the chain ends at what was typed, and each link is a jump', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  await run(page, 'docker run --name hog -m 64m busybox tail /dev/zero; echo status $?', /status 137/);
  await scene(page, 'Containers');
  await page.locator('#picture').getByRole('button', { name: /hog.*OOM-killed/ }).click();
  await pause(page);
  await expect(inspector(page)).toContainText('Why was it killed?');
  const chain = inspector(page).getByRole('listitem');
  await expect(chain.last()).toContainText('Typed at tty1: docker run --name hog -m 64m busybox tail /dev/zero');
  await chain.filter({ hasText: 'charge was refused' }).first().getByRole('button').click();
  await expect(page.locator('#terminal')).toContainText('You look at the past');
  await expect(inspector(page)).toContainText('memory.events');
  await expect(inspector(page)).toContainText('67108864');
  expect(faults).toEqual([]);
});

test('search finds a pod and shows it', async ({ page }) => {
  await open(page);
  await run(page, 'kubectl apply -f web.yaml && kubectl rollout status deployment/web', /successfully rolled out/);
  await page.getByRole('button', { name: /^Find anything/ }).click();
  await page.getByRole('combobox', { name: 'Find anything' }).fill('pod default/web-');
  await expect(page.getByRole('option', { name: /^default\/web-\S+ ?pod$/ })).toHaveCount(3);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('tab', { name: '7 Cluster' })).toHaveAttribute('aria-selected', 'true');
  await expect(inspector(page).getByRole('heading', { level: 2 })).toContainText('web-');
  await expect(page.locator('#picture').getByRole('button', { name: /^Pod default\/web-.*Running/, pressed: true })).toHaveCount(1);
});

test('the theme changes at once and is kept', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await open(page);
  const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'light');
  const light = await ground();
  await page.getByRole('button', { name: /^Theme: light/ }).click();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  expect(await ground()).not.toBe(light);
  await expect.poll(() => page.evaluate(() => localStorage.getItem('nestbox.page') ?? '')).toContain('"theme":"dark"');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
});

test('a name in the terminal is a link to its picture', async ({ page }) => {
  await open(page);
  await run(page, 'virsh list --all', /tiny\s+shut off/);
  await run(page, 'docker run --name linked busybox true; clear; docker ps -a --format "{{.Names}}"', /^linked\s*$/m);
  await type(page, '');
  const box = (await page.locator('.xterm-rows > div').filter({ hasText: /^linked/ }).first().boundingBox())!;
  await expect(async () => {
    await page.mouse.move(box.x + 200, box.y + 4);
    await page.mouse.move(box.x + 12, box.y + box.height / 2);
    await page.mouse.click(box.x + 12, box.y + box.height / 2);
    await expect(inspector(page).getByRole('heading', { level: 2 })).toContainText('linked', { timeout: 1000 });
  }).toPass({ timeout: 60_000 });
  await expect(page.getByRole('tab', { name: '5 Containers' })).toHaveAttribute('aria-selected', 'true');
});
