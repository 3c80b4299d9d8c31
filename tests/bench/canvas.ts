/**
 * The Cluster scene's canvas while pods change: 5,000 nodes with 150,000 pods (NESTBOX_BENCH_NODES: fewer), Deployments restarted a few
 * at a time (NESTBOX_BENCH_BATCH), which makes more than 2,000 pods a second change. Frames are the browser's own in which something was drawn on the canvas;
 * with them what the page's main thread spent on each, since frames alone also tell how busy the machine was.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { atPrompt, serveLab } from './browser.ts';
import { median } from './median.ts';

const WINDOW_MS = 4000;
const WINDOWS = 5;
const PATIENCE_MS = 900_000;
/** Threads of the page's process, as Linux names them. */
const MAIN = /^(chrom|CrRendererMain)/;
const WORKER = /DedicatedWorker/;
const RESTARTS = `for ns in shop media search; do kubectl get deployments -n $ns -o name | xargs -n ${Number(process.env.NESTBOX_BENCH_BATCH ?? 4)} kubectl rollout restart -n $ns >/dev/null; done`;

interface Seen { messages: number; pods: number; frames: number; gaps: number[] }

/** In the page: counts frames in which the canvas was drawn on, and pods that the worker told of. */
function watch(): void {
  const seen: Seen = { messages: 0, pods: 0, frames: 0, gaps: [] };
  Object.assign(window, { seen });
  let [drawn, last] = [false, 0];
  const Native = window.Worker;
  window.Worker = class extends Native {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      this.addEventListener('message', ({ data }) => {
        if (data.type !== 'frame') return;
        seen.messages++;
        for (const patch of data.cells ?? []) seen.pods += patch.pods.length / 5;
      });
    }
  };
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (this: CanvasRenderingContext2D, ...args: unknown[]) {
    if (this.canvas.isConnected) drawn = true;
    return (draw as (...args: unknown[]) => void).apply(this, args);
  };
  const frame = (now: number): void => {
    if (drawn) {
      seen.frames++;
      seen.gaps.push(now - last);
      last = now;
    }
    drawn = false;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

const look = (page: Page): Promise<Seen & { now: number }> => page.evaluate(() => {
  const { seen } = window as unknown as { seen: Seen };
  const gaps = seen.gaps.splice(0);
  return { ...seen, gaps, now: performance.now() };
});

/** Milliseconds of processor time of the threads of that name in the page's process; null where there is no /proc. */
function spent(pid: number, thread: RegExp): number | null {
  try {
    let ticks = 0;
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
      const end = stat.lastIndexOf(')');
      if (thread.test(stat.slice(stat.indexOf('(') + 1, end))) ticks += stat.slice(end + 2).split(' ').slice(11, 13).reduce((sum, one) => sum + Number(one), 0);
    }
    return ticks * 10;
  } catch {
    return null;
  }
}

export async function canvas(): Promise<Record<string, unknown>> {
  const served = await serveLab('canvas');
  if (!served) return { framesPerSecond: null };
  const nodes = Number(process.env.NESTBOX_BENCH_NODES ?? 5000);
  const page = await served.browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.addInitScript(watch);
  await page.goto(served.url);
  await page.waitForFunction(atPrompt);
  await page.locator('#picture').focus();
  await page.keyboard.press('Control+k');
  await page.keyboard.type(`big cluster: ${nodes.toLocaleString('en')} hollow`);
  await page.keyboard.press('Enter');
  const filled = performance.now();
  for (let quiet = 0, before = 0; quiet < 2 && performance.now() - filled < PATIENCE_MS; ) {
    await page.waitForTimeout(2000);
    const { pods } = await look(page);
    quiet = pods > 0 && pods - before < 50 ? quiet + 1 : 0;
    before = pods;
  }
  await page.waitForFunction(atPrompt, undefined, { timeout: PATIENCE_MS });
  await page.locator('.xterm-helper-textarea').first().focus();
  await page.keyboard.type(RESTARTS);
  await page.keyboard.press('Enter');
  await page.waitForTimeout(3000);
  const cdp = await served.browser.newBrowserCDPSession();
  const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
  const pid = processInfo.filter((one) => one.type === 'renderer').sort((a, b) => b.cpuTime - a.cpuTime)[0]!.id;
  const windows: Record<string, number | null>[] = [];
  for (let n = 0; n < WINDOWS; n++) {
    const before = await look(page);
    const [main, worker] = [spent(pid, MAIN), spent(pid, WORKER)];
    await page.waitForTimeout(WINDOW_MS);
    const [mainNow, workerNow] = [spent(pid, MAIN), spent(pid, WORKER)];
    const after = await look(page);
    const seconds = (after.now - before.now) / 1000;
    const frames = after.frames - before.frames;
    const gaps = after.gaps.sort((a, b) => a - b);
    windows.push({
      framesPerSecond: Math.round((frames / seconds) * 10) / 10, podsPerSecond: Math.round((after.pods - before.pods) / seconds), gapP95Ms: Math.round(gaps[Math.floor(gaps.length * 0.95)] ?? 0),
      mainCpuMsPerFrame: main === null ? null : Math.round(((mainNow! - main) / frames) * 10) / 10, workerCpuPercent: worker === null ? null : Math.round((workerNow! - worker) / seconds / 10),
    });
  }
  await served.close();
  const middle = (name: string): number | null => (windows.some((one) => one[name] === null) ? null : median(windows.map((one) => one[name]!)));
  return { nodes, ...Object.fromEntries(Object.keys(windows[0]!).map((name) => [name, middle(name)])), windows };
}
