/** The table of controllers: which changes wake each, for which key, and what it does. They keep nothing between two calls. */
import { after } from '../../sim/timeline.ts';
import { definitionsWoken, syncDefinition } from '../custom/controller.ts';
import { causeOf, type Cluster, setCause } from '../state.ts';
import { type Change } from '../store.ts';
import { type KubeEvent, keyOf, type Node, type Pod, same, type Service } from '../types/objects.ts';
import { matchesMap } from '../types/selectors.ts';
import { attachmentsWoken, syncAttachments } from './attach.ts';
import { claimsWoken, syncClaim, syncVolume, volumesWoken } from './claims.ts';
import { budgetsTouched, syncBudget } from './budget.ts';
import { syncCronJob } from './cronjob.ts';
import { syncDaemonSet } from './daemonset.ts';
import { syncDeployment } from './deployment.ts';
import { syncEndpoints } from './endpoints.ts';
import { noticeEvent } from './events.ts';
import { collect, evictPod, lostOwners, syncForeground, syncNamespace, waitingOwners } from './garbage.ts';
import { syncJob } from './job.ts';
import type { Later } from './later.ts';
import { syncNode } from './nodes.ts';
import { isReady } from './pods.ts';
import { quotasTouched, syncQuota } from './quota.ts';
import { syncReplicaSet, syncReplicationController } from './replicaset.ts';
import { syncScaler } from './scaler.ts';
import { syncStatefulSet } from './statefulset.ts';
import { SYNC_DELAY, SYNC_PAUSE } from './timers.ts';

export interface Controller {
  name: string;
  /** The kind of its keys, for causes; '' when they are not objects. */
  kind: string;
  /** The kinds whose changes it looks at (CUSTOM: all that definitions add); of all kinds without this. */
  hears?: readonly string[];
  wakes(cluster: Cluster, change: Change): readonly string[];
  sync(cluster: Cluster, key: string): void;
}

const NOBODY: readonly string[] = [];
const CUSTOM = '.';

function ownerKeys(change: Change, kind: string): readonly string[] {
  if (!change.object.metadata.ownerReferences && !change.old?.metadata.ownerReferences) return NOBODY;
  const out: string[] = [];
  for (const object of [change.object, change.old]) {
    for (const ref of object?.metadata.ownerReferences ?? []) {
      const key = `${object!.metadata.namespace}/${ref.name}`;
      if (ref.controller && ref.kind === kind && !out.includes(key)) out.push(key);
    }
  }
  return out;
}

/** Whether a pod's change matters to those who count pods or their addresses: not that it was bound. */
function counts(change: Change): boolean {
  const now = change.object as Pod;
  const old = change.old as Pod | undefined;
  return (
    !old || change.type === 'DELETED' || old.metadata.deletionTimestamp !== now.metadata.deletionTimestamp || old.status.phase !== now.status.phase || old.status.podIP !== now.status.podIP ||
    isReady(old) !== isReady(now) || !same(old.metadata.labels, now.metadata.labels) || !same(old.metadata.ownerReferences, now.metadata.ownerReferences)
  );
}

/** The owners of a kind whom a pod's change concerns. */
function podOwners(change: Change, kind: string): readonly string[] {
  const keys = ownerKeys(change, kind);
  return keys.length > 0 && counts(change) ? keys : NOBODY;
}

/** Whether a node's change matters to who runs on it: labels and taints. */
function placesDiffer(change: Change): boolean {
  const now = change.object as Node;
  const old = change.old as Node | undefined;
  return !old || change.type === 'DELETED' || !same(old.metadata.labels, now.metadata.labels) || !same(old.spec.taints, now.spec.taints);
}

/** ReplicaSets come before Deployments: a set has shrunk before the room that leaves is given away. */
export const CONTROLLERS: readonly Controller[] = [
  {
    name: 'replicaset', kind: 'ReplicaSet', sync: syncReplicaSet,
    hears: ['ReplicaSet', 'Pod'],
    wakes: (_c, change) => (change.kind === 'ReplicaSet' ? [keyOf(change.object.metadata)] : podOwners(change, 'ReplicaSet')),
  },
  {
    name: 'replicationcontroller', kind: 'ReplicationController', sync: syncReplicationController,
    hears: ['ReplicationController', 'Pod'],
    wakes: (_c, change) => (change.kind === 'ReplicationController' ? [change.key] : podOwners(change, 'ReplicationController')),
  },
  {
    name: 'deployment', kind: 'Deployment', sync: syncDeployment,
    hears: ['Deployment', 'ReplicaSet'],
    wakes: (_c, change) => (change.kind === 'Deployment' ? [keyOf(change.object.metadata)] : change.kind === 'ReplicaSet' ? ownerKeys(change, 'Deployment') : []),
  },
  {
    name: 'statefulset', kind: 'StatefulSet', sync: syncStatefulSet,
    hears: ['StatefulSet', 'Pod'],
    wakes: (_c, change) => (change.kind === 'StatefulSet' ? [keyOf(change.object.metadata)] : podOwners(change, 'StatefulSet')),
  },
  {
    name: 'daemonset', kind: 'DaemonSet', sync: syncDaemonSet, hears: ['DaemonSet', 'Node', 'Pod'],
    wakes(cluster, change) {
      if (change.kind === 'DaemonSet') return [keyOf(change.object.metadata)];
      if (change.kind === 'Node') return placesDiffer(change) ? [...(cluster.store.tables.get('DaemonSet')?.keys() ?? [])].sort() : [];
      return podOwners(change, 'DaemonSet');
    },
  },
  {
    name: 'job', kind: 'Job', sync: syncJob,
    hears: ['Job', 'Pod'],
    wakes: (_c, change) => (change.kind === 'Job' ? [keyOf(change.object.metadata)] : podOwners(change, 'Job')),
  },
  {
    name: 'cronjob', kind: 'CronJob', sync: syncCronJob,
    hears: ['CronJob', 'Job'],
    wakes: (_c, change) => (change.kind === 'CronJob' ? [keyOf(change.object.metadata)] : change.kind === 'Job' ? ownerKeys(change, 'CronJob') : []),
  },
  {
    name: 'claim', kind: 'PersistentVolumeClaim', sync: syncClaim, hears: ['PersistentVolumeClaim', 'PersistentVolume', 'Pod'], wakes: claimsWoken,
  },
  {
    name: 'volume', kind: 'PersistentVolume', sync: syncVolume, hears: ['PersistentVolume', 'PersistentVolumeClaim'], wakes: volumesWoken,
  },
  {
    name: 'attach', kind: 'PersistentVolume', sync: syncAttachments, hears: ['VolumeAttachment', 'Pod', 'Node'], wakes: attachmentsWoken,
  },
  {
    name: 'endpoints', kind: 'Service', sync: syncEndpoints, hears: ['Service', 'Endpoints', 'Pod'],
    wakes(cluster, change) {
      if (change.kind === 'Service') return [keyOf(change.object.metadata)];
      if (change.kind === 'Endpoints') return cluster.store.tables.get('Service')?.get(change.key)?.spec.selector === undefined ? [change.key] : [];
      if (change.kind !== 'Pod' || !change.object.status?.podIP || !counts(change)) return [];
      const { namespace, labels } = change.object.metadata;
      const out: string[] = [];
      for (const s of (cluster.store.tables.get('Service')?.values() ?? []) as Iterable<Service>) {
        if (s.metadata.namespace === namespace && s.spec.selector && (matchesMap(s.spec.selector, labels) || matchesMap(s.spec.selector, change.old?.metadata.labels))) out.push(keyOf(s.metadata));
      }
      return out;
    },
  },
  {
    name: 'node', kind: 'Node', sync: syncNode, hears: ['Node'],
    wakes: (_c, change) => [change.object.metadata.name],
  },
  { name: 'garbage', kind: '', sync: collect, wakes: lostOwners },
  { name: 'foreground', kind: '', sync: syncForeground, wakes: waitingOwners },
  {
    name: 'namespace', kind: 'Namespace', sync: syncNamespace,
    wakes(cluster, change) {
      if (change.kind === 'Namespace') return change.type === 'DELETED' ? [] : [change.object.metadata.name];
      const home = change.type === 'DELETED' ? change.object.metadata.namespace : undefined;
      return home && cluster.store.tables.get('Namespace')?.get(home)?.metadata.deletionTimestamp ? [home] : [];
    },
  },
  {
    name: 'scaler', kind: 'HorizontalPodAutoscaler', sync: syncScaler, hears: ['HorizontalPodAutoscaler'],
    wakes: (_c, change) => (!(change.old && same(change.old.spec, change.object.spec)) ? [change.key] : []),
  },
  { name: 'budget', kind: 'PodDisruptionBudget', sync: syncBudget, wakes: budgetsTouched },
  { name: 'quota', kind: 'ResourceQuota', sync: syncQuota, wakes: quotasTouched },
  { name: 'definition', kind: 'CustomResourceDefinition', sync: syncDefinition, hears: ['CustomResourceDefinition', CUSTOM], wakes: definitionsWoken },
  { name: 'evict', kind: 'Pod', sync: evictPod, hears: [], wakes: () => NOBODY },
];

const byName = new Map(CONTROLLERS.map((c) => [c.name, c]));
const byKind = new Map<string, readonly Controller[]>();

/** In the order of the table. */
function hearersOf(kind: string): readonly Controller[] {
  let found = byKind.get(kind);
  if (!found) byKind.set(kind, (found = CONTROLLERS.filter((c) => c.hears?.some((heard) => heard === kind || (heard === CUSTOM && kind.includes(CUSTOM))) ?? true)));
  return found;
}

/** Hears every change and puts keys on work queues. */
export function enqueue(cluster: Cluster, change: Change): void {
  if (change.kind === 'Event' && change.type !== 'DELETED') noticeEvent(cluster, change.object as KubeEvent);
  if (change.kind === 'Event' || change.kind === 'Lease') return;
  for (const controller of hearersOf(change.kind)) {
    for (const key of controller.wakes(cluster, change)) {
      queue(cluster, controller.name, key);
      const because = controller.kind === '' ? causeOf(cluster, change.kind, change.key) : undefined;
      if (because !== undefined) setCause(cluster, 'owner', key, because);
    }
  }
}

function queue(cluster: Cluster, name: string, key: string): void {
  cluster.work.get(name)!.add(key);
  if (cluster.due.has(name)) return;
  cluster.due.add(name);
  const pause = (cluster.synced.get(name) ?? Number.NEGATIVE_INFINITY) + SYNC_PAUSE - cluster.timeline.now;
  after(cluster.timeline, Math.max(SYNC_DELAY, pause), { kind: 'cluster.sync', who: cluster.name, arg: name });
}

/** The handler of what `later` put on the timeline. */
export function arrive(cluster: Cluster, { name, key }: Later): void {
  queue(cluster, name, key);
}

/** The event's handler: everything on one controller's queue. */
export function syncAll(cluster: Cluster, name: string): void {
  const controller = byName.get(name)!;
  cluster.due.delete(name);
  cluster.synced.set(name, cluster.timeline.now);
  const queue = cluster.work.get(name)!;
  const keys = [...queue];
  queue.clear();
  for (const key of keys) {
    cluster.cause = causeOf(cluster, controller.kind === '' ? 'owner' : controller.kind, key);
    cluster.store.actor = controller.name === 'evict' ? 'kube-scheduler' : `${controller.name}-controller`;
    controller.sync(cluster, key);
    cluster.store.actor = '';
    cluster.cause = undefined;
  }
}
