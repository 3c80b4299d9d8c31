/** One image under several techniques beside each other: where each left the guest, down to the bits, and what it cost. */
import { readFileSync } from 'node:fs';
import { expect, type Page, test } from '@playwright/test';
import { assemble } from '../../src/engine/machine/isa/assemble.ts';
import { open, run, scene, watch } from './lab.ts';

/** Two marks, between them a CPUID, a byte on the serial line and a flush. */
const GUEST = `bits 64
org 0x100000
    mov al, 1
    out 0x80, al
    xor eax, eax
    cpuid
    mov dx, 0x3f8
    mov al, '!'
    out dx, al
    mov rax, cr3
    mov cr3, rax
    mov al, 2
    out 0x80, al
    mov dx, 0xf4
    mov eax, 0x10
    out dx, eax
`;

async function put(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Put a file into the lab' }).click();
  await (await chooser).setFiles({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(bytes) });
  await expect(page.getByText(`The file is at /root/uploads/${name}`)).toBeVisible();
}

const picture = (page: Page) => page.locator('#picture');
const mode = (page: Page, name: string): Promise<void> => picture(page).getByRole('button', { name, exact: true }).click();

test('the same image three ways: aligned by its instructions, summed between its marks, down to the bits', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  await put(page, 'two.img', assemble(GUEST, 'two.asm').bytes);
  const qemu = (cpu: string): string => `qemu-system-x86_64 -accel kvm ${cpu} -m 16 -nographic -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel uploads/two.img`;
  await run(page, `clear; ${qemu('')}; ${qemu('-cpu host,ept=off')}; bare -m 16 -kernel uploads/two.img; echo; echo over`, /^over/m);
  await scene(page, 'Spectrum');
  for (const name of ['Bare machine', 'VT-x, shadow paging', 'VT-x with EPT']) await expect(picture(page)).toContainText(name);
  await expect(picture(page).getByLabel('Stretch between marks')).toHaveValue('1');
  const cell = picture(page).getByRole('button', { name: /^Line \d+, VT-x with EPT: CPUID, 1500 cycles/ });
  await expect(cell).toHaveCount(1);
  await expect(picture(page).getByRole('button', { name: /^Line \d+, VT-x, shadow paging: CR_ACCESS/ }).first()).toBeVisible();
  await expect(picture(page)).toContainText('× bare');
  await picture(page).getByRole('button', { name: /^Line \d+, VT-x with EPT: IO_INSTRUCTION, 6000 cycles, out port 0x3f8/ }).click();
  await expect(page.locator('#inspector')).toContainText('0x03f80000');
  await expect(page.locator('#inspector')).toContainText('COM1 data');
  await expect(page.locator('#inspector').getByRole('row', { name: /unconditional I\/O exiting/ })).toContainText('4002');
  await page.keyboard.press('ArrowUp');
  await expect(page.locator('#inspector')).toContainText('CPUID');
  await mode(page, 'Events');
  await expect(picture(page).getByRole('row', { name: /CPUID 1 1,500 1,500/ }).first()).toBeVisible();
  await mode(page, 'Compare');
  await expect(picture(page).getByRole('row', { name: /mark 0x1 to mark 0x2/ })).toContainText('×');
  await mode(page, 'VMCS');
  await picture(page).getByRole('searchbox', { name: 'Search the VMCS' }).fill('enable VPID');
  await expect(picture(page).getByRole('button', { name: 'SECONDARY_PROCESSOR_CONTROLS' })).toBeVisible();
  await expect(picture(page).getByRole('button', { name: 'GUEST_CR3' })).toHaveCount(0);
  await mode(page, 'Costs');
  const [file] = await Promise.all([page.waitForEvent('download'), picture(page).getByRole('button', { name: 'Download costs as CSV' }).click()]);
  const csv = readFileSync((await file.path())!, 'utf8');
  expect(csv.split('\r\n')[0]).toBe('profile,launched,row,name,cycles,source,confidence');
  expect(csv).toMatch(/^nehalem,2009,/m);
  await mode(page, 'Papers');
  await picture(page).getByRole('button', { name: /^Run bare .*'callret 1000'$/ }).click();
  await expect(picture(page).getByRole('row', { name: /^call and return native Run .* 11 11 0 % yes, within ±5 % high$/ })).toBeVisible();
  await page.getByRole('button', { name: 'As a table' }).click();
  await expect(picture(page).getByRole('region', { name: 'Papers' })).toContainText('callret');
  await expect(picture(page).getByRole('region', { name: 'Machines' })).toContainText('vmx-shadow');
  expect(faults).toEqual([]);
});

test('page walk of machines that ended: the bare machine’s own tables, shadow tables beside the guest’s', async ({ page }) => {
  const faults = watch(page);
  await open(page);
  await put(page, 'two.img', assemble(GUEST, 'two.asm').bytes);
  await run(page, 'clear; bare -m 16 -kernel uploads/two.img; qemu-system-x86_64 -accel kvm -cpu host,ept=off -m 16 -nographic -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel uploads/two.img; echo; echo over', /^over/m);
  await scene(page, 'Page walk');
  const machines = picture(page).getByLabel('Virtual machine');
  await machines.selectOption({ label: (await machines.locator('option').allInnerTexts()).find((name) => /^qemu.*ended/.test(name))! });
  await expect(picture(page)).toContainText('the processor walks it');
  await expect(picture(page).getByRole('button', { name: /^Reference 4, shadow PTE/ })).toBeVisible();
  await expect(picture(page).getByRole('region', { name: 'Page faults' })).toContainText('hidden');
  await machines.selectOption({ label: (await machines.locator('option').allInnerTexts()).find((name) => /^bare.*ended/.test(name))! });
  await expect(picture(page)).toContainText('nothing is below them');
  await picture(page).getByRole('button', { name: 'Host memory' }).click();
  await expect(picture(page)).toContainText('guest pages');
  await picture(page).getByRole('slider', { name: 'Frames of host-physical memory' }).focus();
  await page.keyboard.press('ArrowRight');
  await expect(picture(page).getByRole('slider', { name: 'Frames of host-physical memory' })).toHaveAttribute('aria-valuetext', /frame 0x1: guest page 0x1000/);
  expect(faults).toEqual([]);
});
