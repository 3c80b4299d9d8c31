/** All state of a control plane, and the little everyone in it needs: time, chance, causes. */
import { type Random, below, hex8 } from '../sim/random.ts';
import { joined } from '../sim/text.ts';
import type { SimEvent, Timeline } from '../sim/timeline.ts';
import { type Trace, record } from '../sim/trace.ts';
import type { Customs } from './custom/kinds.ts';
import type { Scheduler } from './scheduler/queue.ts';
import type { Result } from './scheduler/race.ts';
import type { ScalerMemory } from './controllers/scaler-behavior.ts';
import type { NodeReport } from './metrics.ts';
import { microStamp, put, stamp, type Store } from './store.ts';
import type { Condition, ContainerStatus, Node } from './types/objects.ts';

/** An event that counts: how often it was said and how much of that is in the store; times in ns of the simulation. */
export interface Series {
  event: string;
  count: number;
  at: number;
  last: string;
  written: number;
  writtenAt: number;
}

export interface Cluster {
  name: string;
  timeline: Timeline;
  trace: Trace;
  random: Random;
  store: Store;
  scheduler: Scheduler;
  /** Work queues of the controllers: name to keys. */
  work: Map<string, Set<string>>;
  /** Controllers with an event on the timeline. */
  due: Set<string>;
  /** ns: when each controller last ran; it then waits a little, and does more at once. */
  synced: Map<string, number>;
  /** Record that last touched an object, by kind and "namespace/name": the chain behind "why?". See `causeOf`. */
  causes: Map<string, Map<string, number>>;
  /** What is being done now was caused by this record. */
  cause: number | undefined;
  serverVersion: string;
  /** What waits while the control plane has no power; null while it has. */
  held: SimEvent[] | null;
  /** Seconds since 1970 at which its controllers began to look at nodes. */
  since: number;
  /** Set by hollow nodes (no kernel of their own). */
  hollow: Map<string, HollowNode>;
  nextSubnet: number;
  /** Conditions that hollow kubelets wrote in this second, and the last state of a container that they wrote. */
  moment: { at: string; conditions: Map<string, Condition>; running?: ContainerStatus['state'] };
  /** Pod subnets given out, and to which node. */
  subnets: Map<string, string>;
  /** Seconds since 1970: no event was last seen before. */
  oldestEvent: number;
  /** Events by what they say, to count repetitions: to their key. */
  eventNames: Map<string, string>;
  /** What the scheduler has said about an object at one version, by the newer recorder's key. */
  series: Map<string, Series>;
  /** Messages about one thing, for events that are combined. */
  similar: Map<string, { messages: Set<string>; at: number }>;
  /** What each component may still say about an object. */
  spam: Map<string, { tokens: number; at: number }>;
  /** What each node's kubelet last counted. */
  metrics: Map<string, NodeReport>;
  /** Seconds since 1970 at which the next node of a zone may be emptied. */
  tainted: Map<string, number>;
  /** What each autoscaler remembers, by key. */
  scalers: Map<string, ScalerMemory>;
  /** How the profiles of the newest race came out. */
  raced: readonly Result[];
  /** Kinds that definitions in the store add. */
  customs: Customs;
}

export interface HollowNode {
  name: string;
  nextIp: number;
  /** As it was last asked for. */
  subnet?: { cidr: string; base: string };
}

/** A node that came from elsewhere has no kernel here: from now on it is hollow, and as alive as it was. */
export function adoptHollow(cluster: Cluster, node: Node): void {
  const { name } = node.metadata;
  const ready = node.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
  const renewTime = ready ? microStamp(cluster.timeline) : '1970-01-01T00:00:00.000000Z';
  if (ready) cluster.hollow.set(name, { name, nextIp: 2 });
  put(cluster.store, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace: 'kube-node-lease', uid: uid(cluster.random), creationTimestamp: stamp(cluster.timeline) }, spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime } });
}

/** The record that last touched an object; of kind 'owner' and a uid: the one after which what it owned was looked at. */
export const causeOf = (cluster: Cluster, kind: string, key: string): number | undefined => cluster.causes.get(kind)?.get(key);

export function setCause(cluster: Cluster, kind: string, key: string, record: number): void {
  let records = cluster.causes.get(kind);
  if (!records) cluster.causes.set(kind, (records = new Map()));
  records.set(key, record);
}

/** Adds a record; without a cause of its own it follows from what is being done. */
export function note(cluster: Cluster, kind: string, data: Record<string, string | number | boolean | null>, because = cluster.cause): number {
  return record(cluster.trace, 'cluster', cluster.name, kind, data, because);
}

const LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** The five characters at the end of generated names. */
export function suffix(random: Random, length = 5): string {
  let out = '';
  for (let i = 0; i < length; i++) out += LETTERS[below(random, LETTERS.length)]!;
  return out;
}

export function uid(random: Random): string {
  const [a, b, c, d] = [hex8(random), hex8(random), hex8(random), hex8(random)];
  return joined([a, '-', b.slice(0, 4), '-4', b.slice(5), '-', '89ab'[below(random, 4)]!, c.slice(1, 4), '-', c.slice(4), d]);
}

/** Digits and letters of a hash as object names may hold them (rand.SafeEncodeString). */
export function safeEncode(text: string): string {
  let out = '';
  for (let i = 0; i < text.length; i++) out += LETTERS[text.charCodeAt(i) % LETTERS.length]!;
  return out;
}
