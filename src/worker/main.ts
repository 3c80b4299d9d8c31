/** The worker: loads the processor and the guests, then hands messages to one session. Nothing is decided here. */
import cpuUrl from '../../build/cpu.wasm?url';
import type { ToPage, ToWorker } from '../bridge/protocol.ts';
import { openJournal } from './journal.ts';
import { createServer, type Server } from './server.ts';

/** Sources of the guests by their path below that folder. */
const found = import.meta.glob<string>('../engine/hypervisor/guests/**/*.asm', { query: '?raw', import: 'default', eager: true });
const guests = Object.fromEntries(Object.entries(found).map(([path, source]) => [path.replace('../engine/hypervisor/guests/', ''), source]));

const waiting: ToWorker[] = [];
let server: Server | null = null;

self.onmessage = (event: MessageEvent<ToWorker>): void => {
  if (server) server.receive(event.data);
  else waiting.push(event.data);
};

const channel = new MessageChannel();
const queue: (() => void)[] = [];
channel.port1.onmessage = (): void => queue.shift()?.();

const [cpu, journal] = await Promise.all([fetch(cpuUrl).then(async (response) => new WebAssembly.Module(await response.arrayBuffer())), openJournal()]);
server = createServer({
  assets: { cpu, guests },
  journal,
  post: (message: ToPage) => self.postMessage(message),
  now: () => performance.now(),
  soon(callback) {
    queue.push(callback);
    channel.port2.postMessage(null);
  },
  later: (callback, ms) => void setTimeout(callback, ms),
});
for (const message of waiting) server.receive(message);
