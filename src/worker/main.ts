/** The worker: loads the processor and the guests, then hands messages to one session. Nothing is decided here. */
import cpuUrl from '../../build/cpu.wasm?url';
import nestUrl from '../../build/guests/nest.img?url';
import nestPvUrl from '../../build/guests/nest-pv.img?url';
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

const bytesOf = (url: string): Promise<ArrayBuffer> => fetch(url).then((response) => response.arrayBuffer());
const [cpu, nest, nestPv, journal] = await Promise.all([bytesOf(cpuUrl).then((bytes) => new WebAssembly.Module(bytes)), bytesOf(nestUrl), bytesOf(nestPvUrl), openJournal()]);
server = createServer({
  assets: { cpu, guests, images: { 'nest.asm': new Uint8Array(nest), 'nest-pv.asm': new Uint8Array(nestPv) } },
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
