/** The three journeys of a newcomer, in the browser: a virtual machine, a container, a cluster. */
import { expect, test } from '@playwright/test';
import { open, prompt, run, scene, screen, type, watch } from './lab.ts';

test('a virtual machine: started, walked, stepped', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  await run(page, 'virsh list --all', /tiny\s+shut off/);
  await run(page, 'virsh start tiny', /Domain 'tiny' started/);
  await scene(page, 'Page walk');
  await expect(page.getByText('of 24 references')).toBeVisible({ timeout: 30_000 });
  await expect(page.getByRole('button', { name: /^Reference \d+, (EPT|guest)/ })).toHaveCount(24);
  await page.getByRole('button', { name: /^Reference 20,/ }).click();
  await expect(page.locator('#inspector')).toContainText(/PTE/);
  await page.getByRole('button', { name: 'Step an instruction' }).click();
  await expect(page.getByRole('button', { name: 'Run', exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'To the next exit' }).click();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.locator('#picture').getByText('Exits', { exact: true }).first().click();
  await expect(page.locator('#picture')).toContainText('EPT_VIOLATION');
  await type(page, 'virsh console tiny');
  await expect.poll(() => screen(page)).toContain('Escape character is ^]');
  await expect.poll(() => screen(page)).toMatch(/tick|second|tiny/i);
  await page.keyboard.press('Control+]');
  await prompt(page);
  expect(faults).toEqual([]);
});

test('a container: killed by its own limit, and told why', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  await scene(page, 'Containers');
  await run(page, 'docker run --name hog -m 64m busybox tail /dev/zero; echo status $?', /status 137/);
  await expect(page.locator('#picture')).toContainText('hog');
  await run(page, "docker inspect -f '{{.State.OOMKilled}}' hog", /true/);
  await run(page, 'dmesg | grep -c "Killed process"', /^[1-9]\d*\s*$/m);
  await run(page, 'docker run -it --rm busybox sh', /\/ #/);
  await run(page, 'echo "pid $$ of $(hostname)"', /pid 1 of [0-9a-f]{12}/);
  await type(page, 'exit');
  await prompt(page);
  expect(faults).toEqual([]);
});

test('a cluster: scheduled, scaled, healed', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  await scene(page, 'Cluster');
  await run(page, 'kubectl get nodes', /node-3\s+Ready/);
  await run(page, 'kubectl apply -f web.yaml', /service\/web created/);
  await run(page, 'kubectl rollout status deployment/web', /successfully rolled out/);
  await expect(page.locator('#picture')).toContainText('node-1');
  await run(page, 'kubectl scale deployment web --replicas=5', /deployment.apps\/web scaled/);
  await run(page, 'kubectl rollout status deployment/web', /successfully rolled out[\s\S]*successfully rolled out/);
  await run(page, 'kubectl get pods -o wide | grep -c Running', /^5\s*$/m);
  expect(faults).toEqual([]);
});
