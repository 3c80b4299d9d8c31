/** What each terminal has said, kept outside the screen, so that tabs may come and go. */
import type { Frame } from '../../bridge/protocol.ts';

const MOST = 400_000;
interface Buffer { text: string; alive: boolean; listener: ((data: string, reset: boolean) => void) | null }
const buffers = new Map<string, Buffer>();
const arrivals = new Set<() => void>();

function bufferOf(tty: string): Buffer {
  let one = buffers.get(tty);
  if (!one) buffers.set(tty, (one = { text: '', alive: false, listener: null }));
  return one;
}
export function receiveTerm(entries: Frame['term']): void {
  for (const { tty, data, reset } of entries) {
    const one = bufferOf(tty);
    if (reset) one.text = '';
    if (data !== '') one.alive = true;
    one.text = (one.text + data).slice(-MOST);
    one.listener?.(data, reset === true);
  }
  if (entries.length > 0) for (const arrived of arrivals) arrived();
}
export const textOf = (tty: string): string => bufferOf(tty).text;
export const isAlive = (tty: string): boolean => bufferOf(tty).alive;
export function listen(tty: string, listener: (data: string, reset: boolean) => void): () => void {
  bufferOf(tty).listener = listener;
  return () => { bufferOf(tty).listener = null; };
}
export function onArrival(listener: () => void): () => void {
  arrivals.add(listener);
  return () => { arrivals.delete(listener); };
}
/** Until the terminal has shown something (a prompt), at most two seconds. */
export function waitForTerminal(tty: string): Promise<void> {
  if (bufferOf(tty).text !== '') return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => { if (bufferOf(tty).text !== '') { arrivals.delete(done); resolve(); } };
    arrivals.add(done);
    setTimeout(() => { arrivals.delete(done); resolve(); }, 2000);
  });
}
