/** Files from outside: picked or dropped they are under /root/uploads; what cannot be taken is refused in words. */
import { expect, type Page, test } from '@playwright/test';
import { open, run, watch } from './lab.ts';

async function drop(page: Page, name: string, content: string, size = 0): Promise<void> {
  const data = await page.evaluateHandle(([file, text, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(bytes > 0 ? [new Uint8Array(bytes)] : [text], file));
    return transfer;
  }, [name, content, size] as const);
  await page.dispatchEvent('body', 'drop', { dataTransfer: data });
}

test('a picked and a dropped file are under /root/uploads', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Put a file into the lab' }).click();
  await (await chooser).setFiles({ name: 'picked one.txt', mimeType: 'text/plain', buffer: Buffer.from('picked by hand\n') });
  await expect(page.getByText('The file is at /root/uploads/picked_one.txt')).toBeVisible();
  await drop(page, 'dropped.txt', 'dropped from outside\n');
  await expect(page.getByText('The file is at /root/uploads/dropped.txt')).toBeVisible();
  await run(page, 'cat uploads/picked_one.txt uploads/dropped.txt', /^picked by hand\s*\ndropped from outside/m);
  expect(faults).toEqual([]);
});

test('a file too large, and a recording that is none, are refused in words', async ({ page }) => {
  await open(page);
  await drop(page, 'disk.iso', '', 65 * 1024 * 1024);
  await expect(page.getByText(/disk\.iso is 65 MiB; files up to 64 MiB/)).toBeVisible();
  await drop(page, 'odd.nestbox.json', '{"nestbox": 2}');
  await expect(page.getByText(/odd\.nestbox\.json: .*not a Nestbox recording/)).toBeVisible();
});
