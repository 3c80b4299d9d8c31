/**
 * The scheduler's queues and its loop. Active: ready to be tried, by priority, then time. Waiting: tried in vain; any change
 * that could help brings them back after a backoff of 1 s doubling to 10 s, and 5 minutes do in any case. One pod a
 * cycle, one event on the timeline a cycle; binding writes the pod's node through the API.
 */
import { joined } from '../../sim/text.ts';
import { after } from '../../sim/timeline.ts';
import { MS, SECOND } from '../../sim/units.ts';
import { mutate } from '../api.ts';
import { emit } from '../controllers/events.ts';
import { causeOf, type Cluster, note, setCause } from '../state.ts';
import { type Change, get, list, podsOnNode, put, stamp } from '../store.ts';
import type { Condition, LabelSelector, Node, Pod } from '../types/objects.ts';
import { claimsOf } from '../types/claims.ts';
import { matchesMap } from '../types/selectors.ts';
import { extended, keyOf, same } from '../types/objects.ts';
import { ConfigError, readConfig } from './config.ts';
import { type Decision, decide, type Promised, promiseOf } from './cycle.ts';
import { createHeap, enter, type Heap, leave, type Queued } from './heap.ts';
import { createMemory, type Memory, remember } from './memory.ts';
import { addPod, nodeInfo, occupies, removePod, replacePod, setNode } from './nodes.ts';
import { findVictims } from './preemption.ts';
import type { NodeInfo, Profile } from './profile.ts';
import { DEFAULT } from './profiles.ts';
import { complain, type PodVolumes, progress, release, type Reservation, reserve, volumesOf } from './volumes.ts';

export interface Scheduler extends Memory {
  /** By the name that pods give in schedulerName. */
  profiles: Map<string, Profile>;
  infos: Map<string, NodeInfo>;
  /** The same in order of search; rebuilt when nodes come and go. */
  order: NodeInfo[] | null;
  imageNodes: Map<string, number>;
  active: Heap;
  /** Pods that no node took, by key. */
  waiting: Map<string, Queued>;
  /** Pods for which others leave a node: pod's key to the pod. */
  nominated: Map<string, Pod>;
  /** The same by that node. */
  promised: Map<string, Promised[]>;
  /** Attempts so far of pods that have no node, by key. */
  attempts: Map<string, number>;
  /** Pods that have a node and wait for their volumes, by key. */
  reserved: Map<string, Reservation>;
  /** Where the next search begins. */
  start: number;
  /** A cycle is on the timeline. */
  due: boolean;
  /** Cycles so far. */
  cycles: number;
}

/** One cycle takes this long. */
export const CYCLE = 1 * MS;

export function createScheduler(profile: Profile): Scheduler {
  return {
    ...createMemory(), profiles: new Map([[profile.schedulerName, profile]]), infos: new Map(), order: null, imageNodes: new Map(), active: createHeap(), waiting: new Map(), nominated: new Map(), promised: new Map(), attempts: new Map(), reserved: new Map(), start: 0, due: false, cycles: 0,
  };
}

/** Hears every change of pods and nodes. */
export function observe(cluster: Cluster, change: Change): void {
  if (change.kind === 'Pod') observePod(cluster, change);
  else if (change.kind === 'Node') observeNode(cluster, change);
  else if (STORAGE.has(change.kind)) observeStorage(cluster, change);
  else if (change.kind === 'Service' && unhinted(cluster)) retry(cluster);
  else if (change.kind === 'ConfigMap' && change.key === CONFIG) configure(cluster, change);
}

/** The ConfigMap whose config.yaml is a KubeSchedulerConfiguration: read when it is written; without it the defaults hold. */
const CONFIG = 'kube-system/kube-scheduler';

function configure(cluster: Cluster, { type, object }: Change): void {
  const { scheduler } = cluster;
  try {
    const source = object.data?.['config.yaml'];
    if (type !== 'DELETED' && source === undefined) throw new ConfigError(`the ConfigMap has no key of that name (it has ${Object.keys(object.data ?? {}).join(', ') || 'none'})`);
    const profiles = type === 'DELETED' ? [DEFAULT] : readConfig(String(source));
    scheduler.profiles = new Map(profiles.map((p) => [p.schedulerName, p]));
    if (type !== 'DELETED') emit(cluster, object, 'Normal', 'Configured', `profiles: ${profiles.map((p) => p.schedulerName).join(', ')}`, 'kube-scheduler');
    readmitAll(cluster);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    emit(cluster, object, 'Warning', 'InvalidConfiguration', `config.yaml: ${error.message}; the profiles stay as they are`, 'kube-scheduler');
  }
}

/** Pods that named a scheduler which was not there. */
function readmitAll(cluster: Cluster): void {
  const { scheduler, store, timeline } = cluster;
  for (const pod of list<Pod>(store, 'Pod')) {
    const key = keyOf(pod.metadata);
    if (pod.spec.nodeName || !occupies(pod) || gated(pod) || scheduler.active.members.has(key) || scheduler.waiting.has(key) || scheduler.reserved.has(key) || !scheduler.profiles.has(pod.spec.schedulerName ?? '')) continue;
    if (scheduler.attempts.has(key)) continue;
    push(cluster, { key, priority: pod.spec.priority ?? 0, since: timeline.now, attempts: 0, tried: 0 });
  }
  retry(cluster);
}

/** Before plugins gave hints (1.26), whatever happened to a volume or Service moved every pod that waited. */
const unhinted = (cluster: Cluster): boolean => cluster.serverVersion.startsWith('v1.20.');

const STORAGE = new Set(['PersistentVolumeClaim', 'PersistentVolume', 'StorageClass', 'CSINode', 'CSIDriver', 'CSIStorageCapacity']);

/** Volumes come and go: pods that wait for theirs go on, others may find a node now. */
function observeStorage(cluster: Cluster, { kind, type, object, old }: Change): void {
  const { scheduler } = cluster;
  if (kind === 'PersistentVolumeClaim') {
    const key = keyOf(object.metadata);
    for (const [pod, held] of [...scheduler.reserved]) if (held.claims.includes(key)) settle(cluster, pod, held);
  }
  if (type === 'MODIFIED' && old?.spec === object.spec && old?.status?.phase === object.status?.phase && old?.metadata.deletionTimestamp === object.metadata.deletionTimestamp) return;
  const mine = unhinted(cluster) ? () => true : kind === 'PersistentVolumeClaim' ? (pod: Pod) => pod.metadata.namespace === object.metadata.namespace && claimsOf(pod).includes(object.metadata.name) : (pod: Pod) => claimsOf(pod).length > 0;
  if (scheduler.waiting.size > 0) retry(cluster, mine);
}

function settle(cluster: Cluster, key: string, held: Reservation): void {
  const state = progress(cluster, held);
  if (state === null) return;
  release(cluster, key);
  const pod = get<Pod>(cluster.store, 'Pod', key);
  if (!pod || pod.spec.nodeName || pod.metadata.deletionTimestamp) return;
  if (state === true) bind(cluster, key, pod, held.node);
  else again(cluster, key, pod, state);
}

/** What was promised a pod came to nothing: it waits, and is tried again. */
function again(cluster: Cluster, key: string, pod: Pod, why: string): void {
  complain(cluster, pod, why);
  cluster.scheduler.waiting.set(key, { key, priority: pod.spec.priority ?? 0, since: cluster.timeline.now, attempts: cluster.scheduler.attempts.get(key) ?? 1, tried: cluster.timeline.now });
  retry(cluster);
}

/** Ten minutes after a node was chosen: volumes that are not there will not be waited for any longer. */
export function bindTimeout(cluster: Cluster, { key, uid }: { key: string; uid: string }): void {
  const held = cluster.scheduler.reserved.get(key);
  if (held?.pod.metadata.uid !== uid) return;
  release(cluster, key);
  const pod = get<Pod>(cluster.store, 'Pod', key);
  if (pod) again(cluster, key, pod, 'context deadline exceeded');
}

function observePod(cluster: Cluster, change: Change): void {
  const { scheduler } = cluster;
  const pod = change.object as Pod;
  const old = change.old as Pod | undefined;
  const { key } = change;
  const here = change.type !== 'DELETED' && occupies(pod) ? pod.spec.nodeName : undefined;
  const before = old && occupies(old) ? old.spec.nodeName : undefined;
  if (before && before !== here) {
    const info = scheduler.infos.get(before);
    if (info) removePod(info, old!);
    retry(cluster);
  }
  if (here) {
    const info = scheduler.infos.get(here);
    const there = info && before === here ? info.pods.get(key) : undefined;
    if (info && before !== here) addPod(info, pod, key);
    else if (info && there) replacePod(info, there, pod, key);
  }
  if (change.type !== 'DELETED' && !pod.spec.nodeName && pod.status?.nominatedNodeName) nominate(scheduler, key, pod);
  else if (scheduler.nominated.has(key)) nominate(scheduler, key, null);
  if (change.type === 'MODIFIED' && here && before === here && !pod.metadata.deletionTimestamp) return;
  if (change.type === 'DELETED' || pod.spec.nodeName || pod.metadata.deletionTimestamp) {
    forget(scheduler, key);
    if (change.type === 'DELETED' || pod.metadata.deletionTimestamp) release(cluster, key);
    if (change.type === 'DELETED' || pod.spec.nodeName) scheduler.attempts.delete(key);
  } else if (change.type === 'ADDED' || (scheduler.waiting.has(key) && (!same(old?.spec, pod.spec) || !same(old?.metadata.labels, pod.metadata.labels))) || (gated(old) && !gated(pod))) {
    if (!occupies(pod) || gated(pod) || !scheduler.profiles.has(pod.spec.schedulerName ?? '')) return;
    scheduler.waiting.delete(key);
    push(cluster, { key, priority: pod.spec.priority ?? 0, since: cluster.timeline.now, attempts: scheduler.attempts.get(key) ?? 0, tried: 0 });
  }
}

/** A pod is promised a node, another one, or none any more. */
function nominate({ nominated, promised }: Scheduler, key: string, pod: Pod | null): void {
  const old = nominated.get(key);
  const rest = old ? promised.get(old.status.nominatedNodeName!)!.filter((p) => p.pod !== old) : [];
  if (old && rest.length > 0) promised.set(old.status.nominatedNodeName!, rest);
  else if (old) promised.delete(old.status.nominatedNodeName!);
  if (!pod) {
    nominated.delete(key);
    return;
  }
  nominated.set(key, pod);
  promised.set(pod.status.nominatedNodeName!, [...(promised.get(pod.status.nominatedNodeName!) ?? []), promiseOf(pod)]);
}

/** Gates keep a pod out of the queue altogether (the plugin SchedulingGates, at PreEnqueue). */
const gated = (pod: Pod | undefined): boolean => (pod?.spec.schedulingGates ?? []).length > 0;

function observeNode(cluster: Cluster, change: Change): void {
  const { scheduler, store } = cluster;
  const node = change.object as Node;
  const name = node.metadata.name;
  const old = change.old as Node | undefined;
  if (change.type === 'DELETED') {
    const gone = scheduler.infos.get(name);
    if (gone) countImages(scheduler, gone, -1);
    scheduler.infos.delete(name);
    scheduler.order = null;
    return;
  }
  const info = scheduler.infos.get(name);
  if (info) {
    const grew = !same(old?.spec, node.spec) || !same(old?.metadata.labels, node.metadata.labels) || !same(old?.status?.allocatable, node.status?.allocatable);
    const moved = old?.status?.images !== node.status?.images;
    if (moved) countImages(scheduler, info, -1);
    if (grew || moved) setNode(info, node);
    else info.node = node;
    if (moved) countImages(scheduler, info, 1);
    if (grew) retry(cluster);
    return;
  }
  const fresh = nodeInfo(node);
  for (const pod of podsOnNode(store, name)) if (occupies(pod)) addPod(fresh, pod);
  scheduler.infos.set(name, fresh);
  scheduler.order = null;
  countImages(scheduler, fresh, 1);
  retry(cluster);
}

function countImages({ imageNodes }: Scheduler, info: NodeInfo, sign: number): void {
  for (const name of info.images.keys()) {
    const n = (imageNodes.get(name) ?? 0) + sign;
    if (n > 0) imageNodes.set(name, n);
    else imageNodes.delete(name);
  }
}

function push(cluster: Cluster, entry: Queued): void {
  enter(cluster.scheduler.active, entry);
  wake(cluster, CYCLE);
}

function forget(scheduler: Scheduler, key: string): void {
  scheduler.waiting.delete(key);
  scheduler.active.members.delete(key);
}

/** Something changed that may help: everyone who waits may try again when its backoff is over. */
export function retry(cluster: Cluster, helps: (pod: Pod) => boolean = () => true): void {
  const { scheduler, timeline } = cluster;
  if (scheduler.waiting.size === 0) return;
  for (const entry of [...scheduler.waiting.values()]) {
    const pod = get<Pod>(cluster.store, 'Pod', entry.key);
    if (pod && !helps(pod)) continue;
    scheduler.waiting.delete(entry.key);
    const ready = entry.tried + backoff(entry.attempts);
    after(timeline, Math.max(0, ready - timeline.now), { kind: 'cluster.retry', who: cluster.name, arg: entry });
  }
}

/** A pod's backoff is over. */
export function readmit(cluster: Cluster, entry: Queued): void {
  const pod = get<Pod>(cluster.store, 'Pod', entry.key);
  if (!pod || pod.spec.nodeName || pod.metadata.deletionTimestamp) return;
  if (cluster.scheduler.active.members.has(entry.key) || cluster.scheduler.reserved.has(entry.key) || cluster.scheduler.waiting.has(entry.key)) return;
  push(cluster, entry);
}

export function backoff(attempts: number): number {
  return Math.min(10, 2 ** Math.max(0, attempts - 1)) * SECOND;
}

function wake(cluster: Cluster, delay: number): void {
  if (cluster.scheduler.due) return;
  cluster.scheduler.due = true;
  after(cluster.timeline, delay, { kind: 'cluster.schedule', who: cluster.name });
}

/** One cycle: the event's handler. */
export function cycle(cluster: Cluster): void {
  const { scheduler, store } = cluster;
  scheduler.due = false;
  const entry = leave(scheduler.active);
  if (!entry) return;
  const pod = get<Pod>(store, 'Pod', entry.key);
  store.actor = 'kube-scheduler';
  if (pod && !pod.spec.nodeName && !pod.metadata.deletionTimestamp) tryPod(cluster, entry, pod);
  store.actor = '';
  if (scheduler.active.members.size > 0) wake(cluster, CYCLE);
  scheduler.cycles++;
}

function tryPod(cluster: Cluster, entry: Queued, pod: Pod): void {
  const { scheduler, timeline } = cluster;
  scheduler.order ??= [...scheduler.infos.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const nodes = scheduler.order;
  const profile = scheduler.profiles.get(pod.spec.schedulerName ?? '');
  if (!profile) return;
  const found = volumesOf(cluster, pod);
  const [refused, volumes] = typeof found === 'string' ? [found, null] : [null, found];
  const { decision, searched } = decide({
    pod, key: entry.key, nodes, profile, random: cluster.random, start: scheduler.start, imageNodes: scheduler.imageNodes, defaultSelector: defaultSelector(cluster, pod), refused, volumes,
    nominated: scheduler.promised, spare: scheduler.spare, at: timeline.now, attempt: entry.attempts + 1,
  });
  if (nodes.length > 0) scheduler.start = (scheduler.start + searched) % nodes.length;
  remember(scheduler, entry.key, decision);
  entry.attempts++;
  entry.tried = timeline.now;
  if (!decision.chosen) scheduler.attempts.set(entry.key, entry.attempts);
  cluster.cause = causeOf(cluster, 'Pod', entry.key);
  const n = note(cluster, 'sched.decision', {
    pod: entry.key, node: decision.chosen ?? '', feasible: decision.fits, nodes: nodes.length, tied: decision.ties, attempt: entry.attempts,
    message: decision.message,
  });
  setCause(cluster, 'Pod', entry.key, n);
  cluster.cause = n;
  if (!decision.chosen) refuse(cluster, entry, pod, decision, profile, volumes);
  else if (!volumes || !reserve(cluster, entry.key, pod, volumes, decision.chosen)) bind(cluster, entry.key, pod, decision.chosen);
  cluster.cause = undefined;
}

/** What the pod's Services and its ReplicaSet or StatefulSet select, as one selector; null when nothing does. */
function defaultSelector(cluster: Cluster, pod: Pod): LabelSelector | null {
  const matchLabels: Record<string, string> = {};
  for (const service of cluster.store.tables.get('Service')?.values() ?? []) {
    if (service.metadata.namespace !== pod.metadata.namespace || !service.spec.selector || !matchesMap(service.spec.selector, pod.metadata.labels)) continue;
    Object.assign(matchLabels, service.spec.selector);
  }
  const owner = pod.metadata.ownerReferences?.find((r) => r.controller && (r.kind === 'ReplicaSet' || r.kind === 'StatefulSet'));
  const set = owner ? get(cluster.store, owner.kind, `${pod.metadata.namespace}/${owner.name}`) : undefined;
  Object.assign(matchLabels, set?.spec.selector?.matchLabels);
  const matchExpressions = set?.spec.selector?.matchExpressions ?? [];
  return Object.keys(matchLabels).length + matchExpressions.length === 0 ? null : { matchLabels, matchExpressions };
}

/** The binding: the pod's node and its condition in one write (registry/core/pod/storage, setPodHostAndAnnotations). */
function bind(cluster: Cluster, key: string, pod: Pod, node: string): void {
  cluster.cause = note(cluster, 'sched.bind', { pod: key, node });
  setCause(cluster, 'Pod', key, cluster.cause);
  const bound: Pod = extended(pod, { metadata: extended(pod.metadata, {}), spec: extended(pod.spec, { nodeName: node }), status: extended(pod.status, { conditions: [...(pod.status.conditions ?? [])] }) });
  setCondition(bound, { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: stamp(cluster.timeline) });
  delete bound.status.nominatedNodeName;
  put(cluster.store, bound, key);
  emit(cluster, bound, 'Normal', 'Scheduled', joined(['Successfully assigned ', key, ' to ', node]), pod.spec.schedulerName ?? 'default-scheduler');
}

function refuse(cluster: Cluster, entry: Queued, pod: Pod, decision: Decision, profile: Profile, volumes: PodVolumes | null): void {
  const { scheduler } = cluster;
  const found = pod.spec.preemptionPolicy === 'Never' ? null : findVictims(pod, scheduler.order ?? [], decision, profile, list(cluster.store, 'PodDisruptionBudget'), volumes, cluster.random, scheduler.promised);
  if (found) decision.message = decision.message.replace(/ preemption: .*$/, '');
  emit(cluster, pod, 'Warning', 'FailedScheduling', decision.message, pod.spec.schedulerName ?? 'default-scheduler');
  mutate<Pod>(cluster, 'Pod', entry.key, (p) => {
    setCondition(p, { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: decision.message, lastProbeTime: null, lastTransitionTime: stamp(cluster.timeline) });
    if (found) p.status.nominatedNodeName = found.node;
  }, 'status');
  scheduler.waiting.set(entry.key, entry);
  after(cluster.timeline, 300 * SECOND, { kind: 'cluster.flush', who: cluster.name, arg: { key: entry.key, attempts: entry.attempts } });
  if (found) preempt(cluster, pod, found);
}

function preempt(cluster: Cluster, pod: Pod, found: { node: string; victims: Pod[] }): void {
  for (const victim of found.victims) {
    note(cluster, 'sched.preempt', { pod: keyOf(pod.metadata), victim: keyOf(victim.metadata), node: found.node });
    mutate<Pod>(cluster, 'Pod', keyOf(victim.metadata), (p) => {
      setCondition(p, { type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler', message: `${pod.spec.schedulerName}: preempting to accommodate a higher priority pod`, lastProbeTime: null, lastTransitionTime: stamp(cluster.timeline) });
    }, 'status');
    emit(cluster, victim, 'Normal', 'Preempted', `Preempted by pod ${pod.metadata.uid} on node ${found.node}`, 'default-scheduler');
    cluster.work.get('evict')!.add(keyOf(victim.metadata));
  }
  after(cluster.timeline, MS, { kind: 'cluster.sync', who: cluster.name, arg: 'evict' });
}

/** A condition replaces the one of its type; its transition time changes with its status only. */
export function setCondition(object: { status: { conditions?: Condition[] } }, condition: Condition): void {
  const conditions = (object.status.conditions ??= []);
  const at = conditions.findIndex((c) => c.type === condition.type);
  if (at < 0) conditions.push(condition);
  else {
    const same = conditions[at]!.status === condition.status;
    conditions[at] = same ? { ...condition, lastTransitionTime: conditions[at]!.lastTransitionTime ?? null } : condition;
  }
}
