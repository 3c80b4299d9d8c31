/** What every browser test does: open the lab, type at the terminal, read it. */
import { expect, type Page } from '@playwright/test';

export async function open(page: Page, hash = ''): Promise<void> {
  await page.goto(`/${hash}`);
  await prompt(page);
}

/** The terminal in front as text. */
export const screen = (page: Page): Promise<string> => page.locator('.xterm-rows').first().innerText().then((text) => text.replaceAll('\u00a0', ' '));

/** Waits until the last line of the terminal is a prompt. */
export async function prompt(page: Page, timeout = 60_000): Promise<void> {
  await expect.poll(async () => (await screen(page)).trimEnd().split('\n').pop() ?? '', { timeout }).toMatch(/[#$]\s*$/);
}

export async function type(page: Page, line: string): Promise<void> {
  await page.locator('.xterm-helper-textarea').first().focus();
  await page.keyboard.type(line);
  await page.keyboard.press('Enter');
}

/** Types a line and waits until what it printed is there. */
export async function run(page: Page, line: string, expected: string | RegExp, timeout = 60_000): Promise<void> {
  await type(page, line);
  await expect.poll(() => screen(page), { timeout }).toMatch(expected);
}

export const scene = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name: new RegExp(`^\\d ${name}$`) }).click();

/** Fails a test in which the page complained: an exception, an error on the console, a stopped engine. */
export function watch(page: Page): string[] {
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  return faults;
}
