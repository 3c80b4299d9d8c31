/** A Chromium and the built lab, served: what benchmarks of the page share. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from '@playwright/test';
import { root } from '../../src/cli/assets.ts';

export interface Served {
  url: string;
  browser: Browser;
  close(): Promise<void>;
}

/** Null without a Chromium or without a built lab, having said so. */
export async function serveLab(what: string): Promise<Served | null> {
  const { chromium } = await import('@playwright/test');
  const path = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', chromium.executablePath()].find((one) => one && existsSync(one));
  if (!path || !existsSync(join(root(), 'dist/index.html'))) {
    console.error(`${what}: ${path ? 'the lab is not built (npm run build)' : 'no Chromium'}; left out`);
    return null;
  }
  const server = spawn(process.execPath, [join(root(), 'bin/nestbox.mjs'), 'serve', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await new Promise<string>((resolve) => server.stdout.on('data', (data) => resolve(/http:\S+/.exec(String(data))![0])));
  const browser = await chromium.launch({ executablePath: path, args: ['--no-sandbox', '--disable-gpu'] });
  return { url, browser, close: async () => { await browser.close(); server.kill(); } };
}

/** Text that a page shows once its terminal is at a prompt. */
export const atPrompt = (): boolean => /[#$]\s*$/.test(document.querySelector<HTMLElement>('.xterm-rows')?.innerText.trimEnd() ?? '');
