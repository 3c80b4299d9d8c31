/** The worker: loads the processor, the programs and the guests, then hands messages to one session. Nothing is decided here. */
import nestUrl from '../../build/ahead/nest.img?url';
import nestPvUrl from '../../build/ahead/nest-pv.img?url';
import installed from '../../build/ahead/programs.json?raw';
import storesUrl from '../../build/ahead/stores.gz.img?url';
import tinyUrl from '../../build/ahead/tiny.img?url';
import cpuUrl from '../../build/cpu.wasm?url';
import type { ToPage, ToWorker } from '../bridge/protocol.ts';
import { AT_BOOT } from '../engine/userland/atboot.ts';
import { supplied } from '../engine/userland/supply.ts';
import { readTrees } from '../engine/world/treefile.ts';
import type { Assets } from '../engine/world/world.ts';
import type { Rest } from './gate.ts';
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

const bytesOf = async (url: string): Promise<Uint8Array<ArrayBuffer>> => new Uint8Array(await (await fetch(url)).arrayBuffer());
/** Of a file compressed with gzip. */
const unzipped = async (url: string): Promise<Uint8Array> => new Uint8Array(await new Response((await fetch(url)).body!.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());

const programs = supplied(AT_BOOT, JSON.parse(installed));
const rest: Rest = { missed: programs.missed, load: () => import('./rest.ts').then(({ PROGRAMS }) => programs.complete(PROGRAMS)) };

async function assets(): Promise<Assets> {
  const [cpu, nest, nestPv, tiny, stores] = await Promise.all([bytesOf(cpuUrl).then((bytes) => WebAssembly.compile(bytes)), bytesOf(nestUrl), bytesOf(nestPvUrl), bytesOf(tinyUrl), unzipped(storesUrl)]);
  return { cpu, programs, guests, images: { 'nest.asm': nest, 'nest-pv.asm': nestPv, 'tiny.asm': tiny }, stores: readTrees(stores) };
}

// No await at the top level: it would keep the bundler from laying what the rest shares with this file into this file.
void Promise.all([assets(), openJournal()]).then(([loaded, journal]) => {
  server = createServer({
    assets: loaded, rest, journal,
    post: (message: ToPage) => self.postMessage(message),
    now: () => performance.now(),
    soon(callback) {
      queue.push(callback);
      channel.port2.postMessage(null);
    },
    later: (callback, ms) => void setTimeout(callback, ms),
  });
  for (const message of waiting) server.receive(message);
}, (error) => reportError(error));
