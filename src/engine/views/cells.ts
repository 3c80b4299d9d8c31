/**
 * A cluster as numbers, for pictures of up to 150,000 pods: each pod has a slot, each change travels as five numbers. A feed
 * hears the store's changes and hands out at most one entry a pod; it reads and never writes.
 */
import type { CellPatch } from '../../bridge/protocol.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { nodeFact } from '../cluster/inspect.ts';
import { get, type Listener } from '../cluster/store.ts';
import type { Node, Pod } from '../cluster/types/objects.ts';
import { ownerOf, summarize } from '../cluster/types/podstatus.ts';

export interface CellFeed {
  cluster: Cluster;
  slots: Map<string, number>;
  free: number[];
  used: number;
  nodes: Map<string, number>;
  namespaces: Map<string, number>;
  owners: Map<string, number>;
  dirtyPods: Set<string>;
  dirtyNodes: Set<string>;
  /** Nothing has been sent yet. */
  fresh: boolean;
  listener: Listener;
}

/** What a pod's cell says; 255 is a pod that is gone. */
export const STATES = { waiting: 0, starting: 1, running: 2, unready: 3, done: 4, failing: 5, terminating: 6, gone: 255 } as const;
const QOS = ['BestEffort', 'Burstable', 'Guaranteed'];

export function openFeed(cluster: Cluster): CellFeed {
  const { store } = cluster;
  const feed: CellFeed = {
    cluster, slots: new Map(), free: [], used: 0, nodes: new Map(), namespaces: new Map(), owners: new Map(), fresh: true,
    dirtyPods: new Set(store.tables.get('Pod')?.keys()), dirtyNodes: new Set(store.tables.get('Node')?.keys()),
    listener: (change) => {
      if (change.kind === 'Node') feed.dirtyNodes.add(change.key);
      if (change.kind !== 'Pod') return;
      feed.dirtyPods.add(change.key);
      for (const pod of [change.object, change.old]) if (pod?.spec.nodeName) feed.dirtyNodes.add(pod.spec.nodeName);
    },
  };
  store.listeners.add(feed.listener);
  return feed;
}

export function closeFeed(feed: CellFeed): void {
  feed.cluster.store.listeners.delete(feed.listener);
}

/** What changed since the last time; null when nothing did. */
export function takeCells(feed: CellFeed, sub: number): CellPatch | null {
  if (feed.dirtyPods.size + feed.dirtyNodes.size === 0 && !feed.fresh) return null;
  const known = { nodes: feed.nodes.size, namespaces: feed.namespaces.size, owners: feed.owners.size };
  const nodeCells = takeNodes(feed);
  const names: string[] = [];
  const pods = takePods(feed, names);
  const fresh = (all: Map<string, number>, from: number): string[] => (all.size === from ? [] : [...all.keys()].slice(from));
  const patch: CellPatch = {
    sub, reset: feed.fresh, nodes: fresh(feed.nodes, known.nodes), namespaces: fresh(feed.namespaces, known.namespaces), owners: fresh(feed.owners, known.owners), names: names.join('\n'), pods, nodeCells,
  };
  feed.fresh = false;
  return patch;
}

function takeNodes(feed: CellFeed): Float64Array {
  const { store, scheduler } = feed.cluster;
  const keys = feed.fresh ? [...feed.dirtyNodes].sort(byNumber) : [...feed.dirtyNodes];
  const out = new Float64Array(keys.length * 9);
  let at = 0;
  for (const name of keys) {
    const node = get<Node>(store, 'Node', name);
    const index = numberOf(feed.nodes, name);
    if (!node) out.set([index, -1, 0, 0, 0, 0, 0, 0, 0], at);
    else {
      const f = nodeFact(node, scheduler.infos.get(name));
      out.set([index, (f.ready ? 1 : 0) | (f.unschedulable ? 2 : 0) | (f.taints === '' ? 0 : 4), f.cpuMilli, f.cpuRequested, f.memory, f.memoryRequested, f.pods, f.podsMax, 0], at);
    }
    at += 9;
  }
  feed.dirtyNodes.clear();
  return out;
}

/** hollow-2 before hollow-10. */
function byNumber(a: string, b: string): number {
  const x = /^(.*?)(\d*)$/.exec(a)!;
  const y = /^(.*?)(\d*)$/.exec(b)!;
  if (x[1] !== y[1]) return x[1]! < y[1]! ? -1 : 1;
  return Number(x[2]) - Number(y[2]);
}

function takePods(feed: CellFeed, names: string[]): Uint32Array {
  const { store } = feed.cluster;
  const out = new Uint32Array(feed.dirtyPods.size * 5);
  let at = 0;
  for (const key of feed.dirtyPods) {
    const pod = get<Pod>(store, 'Pod', key);
    let slot = feed.slots.get(key);
    if (!pod) {
      if (slot === undefined) continue;
      feed.slots.delete(key);
      feed.free.push(slot);
      out[at] = slot;
      out[at + 1] = STATES.gone << 16;
      at += 5;
      continue;
    }
    const isNew = slot === undefined;
    if (slot === undefined) {
      slot = feed.free.pop() ?? feed.used++;
      feed.slots.set(key, slot);
      names.push(pod.metadata.name);
    }
    out[at] = slot;
    out[at + 1] = (pod.spec.nodeName ? numberOf(feed.nodes, pod.spec.nodeName) + 1 : 0) | (stateOf(pod) << 16) | (Math.max(0, QOS.indexOf(pod.status.qosClass ?? '')) << 24) | (isNew ? 1 << 28 : 0);
    out[at + 2] = numberOf(feed.namespaces, pod.metadata.namespace!);
    out[at + 3] = numberOf(feed.owners, ownerOf(pod));
    out[at + 4] = Math.min(0xffff_ffff, pod.spec.priority ?? 0) >>> 0;
    at += 5;
  }
  feed.dirtyPods.clear();
  return at === out.length ? out : out.slice(0, at);
}

function numberOf(all: Map<string, number>, name: string): number {
  let n = all.get(name);
  if (n === undefined) all.set(name, (n = all.size));
  return n;
}

function stateOf(pod: Pod): number {
  if (pod.metadata.deletionTimestamp) return STATES.terminating;
  if (pod.status.phase === 'Succeeded') return STATES.done;
  if (pod.status.phase === 'Failed') return STATES.failing;
  const { status, ready, total } = summarize(pod);
  if (/CrashLoop|Err|OOM|BackOff|Evicted/.test(status)) return STATES.failing;
  if (pod.status.phase === 'Running') return ready === total ? STATES.running : STATES.unready;
  return pod.spec.nodeName ? STATES.starting : STATES.waiting;
}
