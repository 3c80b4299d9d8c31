/**
 * A block store on the wire, as a cloud's: volumes of a pool, created, attached to one machine at a time, detached, grown, deleted
 * by HTTP and JSON at 10.0.0.20:7000. Attaching plugs the volume's disk into that machine's kernel; the data is the volume's own.
 * What it did is kept and recorded. Left out: snapshots, authentication, attaching to several machines.
 */
import { type BlockDisk, bytesOn, newDisk, noticeSize, plugDisk, unplugDisk } from '../kernel/block.ts';
import { settleDisk } from '../kernel/power.ts';
import type { Kernel } from '../kernel/records.ts';
import { hex, type Random, forkRandom } from '../sim/random.ts';
import { text } from '../sim/text.ts';
import { after, handle, type Timeline } from '../sim/timeline.ts';
import { record, type Trace } from '../sim/trace.ts';
import { GiB, MS } from '../sim/units.ts';
import { createParser, feed, formatResponse, joinBytes, type WireParser } from '../sim/wire.ts';
import type { RemoteService } from './lan.ts';

export const BLOCK_STORE = { address: '10.0.0.20', port: 7000 };
/** Bytes of the pool, volumes a machine, and how long the store takes. */
const POOL = 64 * GiB;
const MOST = 8;
const TAKES: Readonly<Record<string, number>> = { create: 400 * MS, remove: 300 * MS, attach: 1500 * MS, detach: 1000 * MS, resize: 500 * MS };

export interface StoredVolume {
  id: string;
  name: string;
  disk: BlockDisk;
  /** Machine, and its device there; null when attached nowhere. */
  attached: { node: string; device: string } | null;
  /** ns and what happened. */
  history: { at: number; what: string }[];
}

export interface BlockStore {
  timeline: Timeline;
  trace: Trace;
  random: Random;
  kernels: ReadonlyMap<string, Kernel>;
  volumes: Map<string, StoredVolume>;
  /** Volumes that are no more, for their history; the newest 50. */
  gone: StoredVolume[];
}

export function createBlockStore(timeline: Timeline, trace: Trace, kernels: ReadonlyMap<string, Kernel>, seed: number): BlockStore {
  return { timeline, trace, random: forkRandom(seed, 'blockstore'), kernels, volumes: new Map(), gone: [] };
}

interface Answer { status: number; body: object }
const refuse = (status: number, message: string): Answer => ({ status, body: { error: message } });
const shown = (v: StoredVolume): object => ({ id: v.id, name: v.name, size: v.disk.size, node: v.attached?.node ?? null, device: v.attached?.device ?? null, used: bytesOn(v.disk) });

function noted(store: BlockStore, v: StoredVolume, kind: string, what: string): void {
  v.history.push({ at: store.timeline.now, what });
  record(store.trace, 'cluster', 'blockstore', `volume.${kind}`, { volume: v.id, name: v.name, what });
}

// biome-ignore lint/suspicious/noExplicitAny: a request's JSON
type Body = any;

function create(store: BlockStore, body: Body): Answer {
  const size = Number(body?.size);
  if (typeof body?.name !== 'string' || !Number.isInteger(size) || size <= 0) return refuse(400, 'name and size in bytes are needed');
  const known = [...store.volumes.values()].find((v) => v.name === body.name);
  if (known) return known.disk.size === size ? { status: 200, body: shown(known) } : refuse(409, `volume ${body.name} exists with another size`);
  const used = [...store.volumes.values()].reduce((sum, v) => sum + v.disk.size, 0);
  if (used + size > POOL) return refuse(507, `pool exhausted: ${size} bytes asked, ${POOL - used} of ${POOL} free`);
  const id = `vol-${hex(store.random, 12)}`;
  const v: StoredVolume = { id, name: body.name, disk: newDisk(id, size), attached: null, history: [] };
  store.volumes.set(id, v);
  noted(store, v, 'create', `created, ${size / GiB} GiB`);
  return { status: 201, body: shown(v) };
}

function attach(store: BlockStore, v: StoredVolume, body: Body): Answer {
  const kernel = store.kernels.get(String(body?.node));
  if (!kernel) return refuse(404, `no machine ${body?.node}`);
  if (v.attached?.node === kernel.name) return { status: 200, body: shown(v) };
  if (v.attached) return refuse(409, `volume ${v.id} is attached to ${v.attached.node}`);
  const there = [...store.volumes.values()].filter((one) => one.attached?.node === kernel.name).length;
  if (there >= MOST) return refuse(429, `${kernel.name} has ${there} volumes attached, no more than ${MOST} fit`);
  v.attached = { node: kernel.name, device: `/dev/${plugDisk(kernel, v.disk)}` };
  noted(store, v, 'attach', `attached to ${kernel.name} as ${v.attached.device}`);
  return { status: 200, body: shown(v) };
}

/** A machine that was started again finds what is attached to it. */
export function plugAgain(store: BlockStore, kernel: Kernel): void {
  for (const v of store.volumes.values()) {
    if (v.attached?.node !== kernel.name) continue;
    if (v.disk.tree) settleDisk(v.disk.tree.sb);
    v.attached = { node: kernel.name, device: `/dev/${plugDisk(kernel, v.disk)}` };
  }
}

function detach(store: BlockStore, v: StoredVolume, body: Body): Answer {
  if (!v.attached || (body?.node && body.node !== v.attached.node)) return { status: 200, body: shown(v) };
  const { node } = v.attached;
  const kernel = store.kernels.get(node);
  if (kernel) unplugDisk(kernel, v.disk);
  v.attached = null;
  noted(store, v, 'detach', `detached from ${node}`);
  return { status: 200, body: shown(v) };
}

function resize(store: BlockStore, v: StoredVolume, body: Body): Answer {
  const size = Number(body?.size);
  if (!Number.isInteger(size) || size < v.disk.size) return refuse(400, `volumes only grow: ${v.disk.size} bytes now`);
  const others = [...store.volumes.values()].reduce((sum, one) => sum + (one === v ? 0 : one.disk.size), 0);
  if (others + size > POOL) return refuse(507, `pool exhausted: ${size} bytes asked, ${POOL - others} of ${POOL} free`);
  if (size === v.disk.size) return { status: 200, body: shown(v) };
  v.disk.size = size;
  const kernel = v.attached ? store.kernels.get(v.attached.node) : undefined;
  if (kernel) noticeSize(kernel, v.disk);
  noted(store, v, 'resize', `grown to ${size / GiB} GiB`);
  return { status: 200, body: shown(v) };
}

function erase(store: BlockStore, v: StoredVolume): Answer {
  if (v.attached) return refuse(409, `volume ${v.id} is attached to ${v.attached.node}`);
  store.volumes.delete(v.id);
  noted(store, v, 'remove', 'deleted');
  store.gone.push(v);
  if (store.gone.length > 50) store.gone.shift();
  return { status: 200, body: {} };
}

/** GET /volumes, POST /volumes, GET and DELETE /volumes/ID, POST /volumes/ID/attach|detach|resize. */
function answer(store: BlockStore, method: string, path: string, body: Body): Answer {
  const [what, id, verb] = path.split('/').filter(Boolean);
  if (what !== 'volumes') return refuse(404, `no such path ${path}`);
  if (id === undefined) return method === 'POST' ? create(store, body) : { status: 200, body: { volumes: [...store.volumes.values()].map(shown), free: POOL - [...store.volumes.values()].reduce((sum, v) => sum + v.disk.size, 0) } };
  const v = store.volumes.get(id);
  if (!v) return refuse(404, `no volume ${id}`);
  if (verb === undefined) return method === 'DELETE' ? erase(store, v) : { status: 200, body: shown(v) };
  const act = { attach, detach, resize }[verb];
  return act && method === 'POST' ? act(store, v, body) : refuse(404, `no such path ${path}`);
}

const verbOf = (method: string, path: string): string => path.split('/').filter(Boolean)[2] ?? (method === 'POST' ? 'create' : method === 'DELETE' ? 'remove' : 'read');

interface Asked { conn: number; method: string; path: string; body: string }

/** Its face on the wire: each request is answered after the time that its work takes. */
export function createBlockService(store: BlockStore, send: (conn: number, data: Uint8Array) => void, hangup: (conn: number) => void): RemoteService {
  const open = new Map<number, { parser: WireParser; method: string; path: string; parts: Uint8Array[] }>();
  handle(store.timeline, 'blockstore.answer', (event) => {
    const { conn, method, path, body } = event.arg as Asked;
    let parsed: Body;
    try {
      parsed = body === '' ? {} : JSON.parse(body);
    } catch {
      parsed = null;
    }
    const { status, body: out } = parsed === null ? refuse(400, 'the body is not JSON') : answer(store, method, path, parsed);
    send(conn, formatResponse(status, { 'Content-Type': 'application/json', Connection: 'close' }, `${JSON.stringify(out)}\n`));
    hangup(conn);
  });
  return {
    open: (conn) => void open.set(conn, { parser: createParser('request'), method: '', path: '', parts: [] }),
    data(conn, bytes) {
      const c = open.get(conn);
      if (!c) return;
      for (const event of feed(c.parser, bytes)) {
        if (event.type === 'head') Object.assign(c, { method: event.head.method, path: event.head.target, parts: [] });
        else if (event.type === 'body') c.parts.push(event.data);
        else if (event.type === 'end') after(store.timeline, TAKES[verbOf(c.method, c.path)] ?? 5 * MS, { kind: 'blockstore.answer', who: 'blockstore', arg: { conn, method: c.method, path: c.path, body: text(joinBytes(c.parts)) } satisfies Asked });
        else if (event.type === 'error') hangup(conn);
      }
    },
    close: (conn) => void open.delete(conn),
  };
}
