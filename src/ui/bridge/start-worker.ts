/**
 * The engine's worker, started before the page is there and told at once to open the session that was kept, or a fresh lab.
 * What it says before anybody listens waits. Apart, so that work on pictures can put another in its place.
 */
import type { Recording, ToPage } from '../../bridge/protocol.ts';

/** The number of the call that opens the first session. */
export const FIRST_CALL = 0;

export const freshLab = (scenario = 'lab', seed = 1): Recording => ({ nestbox: 1, scenario, seed, inputs: [], until: 0 });

let worker: Worker | null = null;
const early: ToPage[] = [];
let fault: string | null = null;

export function startWorker(): Worker {
  if (worker) return worker;
  worker = new Worker(new URL('../../worker/main.ts', import.meta.url), { type: 'module' });
  worker.onmessage = (event: MessageEvent<ToPage>): void => void early.push(event.data);
  worker.onerror = (event): void => {
    fault ??= event.message || 'the engine could not be loaded';
  };
  // A link that brings a session along is asked about first: a fresh lab lies behind the question.
  worker.postMessage({ type: 'call', id: FIRST_CALL, name: 'resume', in: { fresh: freshLab(), kept: !location.hash.startsWith('#s=') } });
  return worker;
}

/** From now on these hear the worker, also what it has said. */
export function listen(receive: (message: ToPage) => void, failed: (message: string) => void): Worker {
  const heard = startWorker();
  heard.onmessage = (event: MessageEvent<ToPage>): void => receive(event.data);
  heard.onerror = (event): void => failed(event.message || 'the engine could not be loaded');
  if (fault !== null) failed(fault);
  for (const message of early.splice(0)) receive(message);
  return heard;
}
