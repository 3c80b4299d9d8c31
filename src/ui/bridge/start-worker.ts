/** The engine's worker. Apart, so that work on pictures can put another in its place. */
export function startWorker(): Worker {
  return new Worker(new URL('../../worker/main.ts', import.meta.url), { type: 'module' });
}
