/** The Containers scene: every face drawn from a session's own rows, a packet followed hop by hop, down to files and bits, usable by all. */
import { AxeBuilder } from '@axe-core/playwright';
import { expect, type Page, test } from '@playwright/test';
import { open, run, scene, watch } from './lab.ts';

const picture = (page: Page) => page.locator('#picture');
const inspector = (page: Page) => page.locator('#inspector');
const MODES = ['All', 'Namespaces', 'Control groups', 'OOM', 'Overlay', 'Images', 'Network', 'Calls'];
const mode = (page: Page, name: string): Promise<void> => page.getByRole('group', { name: 'What Containers shows' }).getByRole('button', { name, exact: true }).click();

/** Two containers of which one is throttled, one killed for memory, a layer written to, a packet dropped, a namespace made by hand. */
async function session(page: Page): Promise<void> {
  await run(page, [
    'docker run -d --name web -m 64m -p 8080:80 nginx', 'docker run -d --name busy --cpus 0.2 busybox sh -c "while true; do :; done"', 'docker exec web sh -c "echo x >> /etc/nginx/nginx.conf; rm /etc/passwd"',
    'iptables -I FORWARD 1 -p icmp -j DROP', 'docker exec busy ping -c 1 -W 1 10.0.0.1', 'docker run --name hog -m 32m busybox sh -c "sleep 60 & tail /dev/zero"',
    'unshare --mount --pid --uts --fork --mount-proc sh -c "hostname mine; sleep 0.1"', 'sleep 1; clear; echo all d""one',
  ].join('; '), /^all done/m, 90_000);
  await page.locator('#time').getByRole('button', { name: 'Pause' }).click();
}

test('every face of Containers, and a packet followed to where it was dropped', async ({ page }) => {
  test.setTimeout(300_000);
  const faults = watch(page);
  await open(page);
  await scene(page, 'Containers');
  await mode(page, 'Images');
  await expect(picture(page)).toContainText('nginx');
  for (const name of ['OOM', 'Calls', 'Overlay']) {
    await mode(page, name);
    await expect(picture(page).getByRole('button', { name: /^Run / }).first()).toBeVisible();
  }
  await session(page);

  await mode(page, 'Namespaces');
  await picture(page).getByRole('button', { name: /^\d+ ?nginx -g daemon off/ }).first().click();
  await expect(picture(page).getByRole('region', { name: /^Namespaces of pid/ })).toContainText('level 1');
  await expect(inspector(page).getByRole('region', { name: 'Text of status' })).toContainText(/NSpid:\s+\d+\s+1/);

  await mode(page, 'Control groups');
  await picture(page).getByRole('button', { name: 'CPU', exact: true }).click();
  await picture(page).getByRole('button', { name: /busy/ }).click();
  await expect(inspector(page)).toContainText('Why is it throttled?');
  await expect(inspector(page)).toContainText('20000 100000');
  await expect(picture(page).getByRole('img', { name: /throttled in [1-9]\d* of/ })).toBeVisible();

  await mode(page, 'OOM');
  await expect(picture(page).getByRole('row', { name: /tail.*most points/ })).toBeVisible();
  await expect(picture(page).getByRole('row', { name: /sleep.*fewer points/ })).toBeVisible();
  await expect(picture(page)).toContainText('Memory cgroup out of memory: Killed process');

  await mode(page, 'Overlay');
  await picture(page).getByLabel('Overlay of').selectOption({ label: 'web' });
  await expect(picture(page).getByRole('region', { name: 'Overlay' })).toContainText('✕ c 0 0');
  await expect(picture(page).getByRole('button', { name: /\/etc\/nginx\/nginx\.conf/ })).toContainText('copied up before');

  await mode(page, 'Calls');
  await expect(picture(page)).toContainText('pivot_root');
  await picture(page).getByRole('button', { name: /^unshare ?unshare/ }).click();
  await expect(inspector(page)).toContainText('CLONE_NEWUTS');

  await mode(page, 'Network');
  await picture(page).getByRole('button', { name: /^\d+ dropped$/ }).click();
  await picture(page).getByRole('region', { name: 'Packets, newest first' }).getByRole('button').first().click();
  await expect(inspector(page)).toContainText('Why was it dropped?');
  await expect(inspector(page)).toContainText('filter FORWARD rule 1');
  const dot = (): Promise<string> => picture(page).locator('svg g[style*="translate"]').first().evaluate((g) => (g as SVGGElement).style.transform);
  const before = await dot();
  await expect(picture(page)).toContainText(/1 of \d+, \+0\.0 µs/);
  await picture(page).getByRole('button', { name: 'Let the packet move' }).click();
  await expect.poll(dot).not.toBe(before);
  await expect(picture(page).locator('li button[aria-current="step"]')).toContainText('FORWARD drop');
  await picture(page).getByRole('button', { name: 'One hop back' }).click();
  await expect(picture(page).locator('li button[aria-current="step"]')).toContainText('routing');
  await picture(page).getByRole('button', { name: /^host docker0, bridge/ }).click();
  await expect(inspector(page)).toContainText('172.17.0.1/16');
  await page.getByRole('button', { name: 'As a table' }).click();
  await expect(picture(page).getByRole('row', { name: /dropped by a rule filter FORWARD rule 1/ }).first()).toBeVisible();
  expect(faults).toEqual([]);
});

test('no axe violation in any face of Containers and any theme; nothing overflows a phone', async ({ page }) => {
  test.setTimeout(300_000);
  const faults = watch(page);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await open(page);
  await session(page);
  await scene(page, 'Containers');
  for (const theme of ['light', 'dark', 'projector']) {
    await expect(page.locator('html')).toHaveAttribute('data-theme', theme);
    for (const name of MODES) {
      await mode(page, name);
      await page.waitForTimeout(200);
      const { violations } = await new AxeBuilder({ page }).include('#picture').analyze();
      expect(violations.map((v) => `${theme}, ${name}: ${v.id}: ${v.nodes[0]?.html.slice(0, 200)} ${v.nodes[0]?.failureSummary?.slice(0, 200)}`)).toEqual([]);
    }
    await page.getByRole('button', { name: /^Theme: / }).click();
  }
  await page.setViewportSize({ width: 390, height: 844 });
  for (const name of MODES) {
    await mode(page, name);
    await page.waitForTimeout(150);
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), name).toBe(true);
  }
  expect(faults).toEqual([]);
});
