/**
 * Hollow nodes: kubelets at the level of the API only, without a kernel: they register, renew their leases, report pods
 * bound to them as running after a start-up time, and let them go when asked. Big clusters and the recordings of kubectl
 * use them (as kubemark's hollow nodes do).
 */
import { create, remove, writePodStatus } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { HollowNode } from '../cluster/state.ts';
import { V1_20 } from '../cluster/scheduler/profiles.ts';
import { emit } from '../cluster/controllers/events.ts';
import { get, list, microStamp, put, stamp } from '../cluster/store.ts';
import { kindNamed } from '../cluster/types/kinds.ts';
import { type Condition, type ContainerStatus, extended, type KubeObject, type Node, type Pod } from '../cluster/types/objects.ts';
import { joined } from '../sim/text.ts';
import { after, handle } from '../sim/timeline.ts';
import { MS, SECOND } from '../sim/units.ts';

const ADMIT = 100 * MS;
const START = 1200 * MS;
const STOP = 700 * MS;
const BEAT = 10 * SECOND;
const ZONES = ['zone-a', 'zone-b', 'zone-c'];

export interface HollowSpec {
  hollow: number;
  hollowNames?: readonly string[];
  podsPerNode?: number;
  serverVersion?: string;
}

export function addHollowNodes(cluster: Cluster, spec: HollowSpec): void {
  const names = spec.hollowNames ?? Array.from({ length: spec.hollow }, (_, i) => `hollow-${i + 1}`);
  if (spec.serverVersion) cluster.serverVersion = spec.serverVersion;
  if (spec.serverVersion?.startsWith('v1.20.')) {
    cluster.scheduler.profiles.set('default-scheduler', { ...V1_20, schedulerName: 'default-scheduler' });
    for (const space of list(cluster.store, 'Namespace')) put(cluster.store, { ...space, metadata: withoutLabels(space) });
  }
  const { timeline } = cluster;
  const kubelet = (work: () => void): void => {
    cluster.store.actor = 'kubelet';
    work();
    cluster.store.actor = '';
  };
  handle(timeline, 'hollow.start', (event) => kubelet(() => start(cluster, event.arg as string)));
  handle(timeline, 'hollow.admit', (event) => kubelet(() => admit(cluster, event.arg as string)));
  handle(timeline, 'hollow.stop', (event) => kubelet(() => stop(cluster, event.arg as { key: string; uid: string })));
  handle(timeline, 'hollow.beat', () => kubelet(() => beat(cluster)));
  for (const [i, name] of names.entries()) register(cluster, name, i, spec.hollowNames !== undefined, spec.podsPerNode === undefined ? null : ZONES[i % ZONES.length]!);
  cluster.store.listeners.add((change) => {
    if (change.kind !== 'Pod' || change.type === 'DELETED') return;
    const pod = change.object as Pod;
    if (!cluster.hollow.has(pod.spec.nodeName ?? '')) return;
    const { key } = change;
    if (pod.metadata.deletionTimestamp) {
      if (!change.old?.metadata.deletionTimestamp) after(timeline, STOP, { kind: 'hollow.stop', who: cluster.name, arg: { key, uid: pod.metadata.uid! } });
    } else if (change.old?.spec.nodeName !== pod.spec.nodeName) {
      after(timeline, ADMIT, { kind: 'hollow.admit', who: cluster.name, arg: key });
      after(timeline, START, { kind: 'hollow.start', who: cluster.name, arg: key });
    }
  });
  after(timeline, BEAT, { kind: 'hollow.beat', who: cluster.name });
}

/** Before 1.21 a namespace was not labelled with its own name. */
function withoutLabels({ metadata: { labels: _, ...rest } }: KubeObject): KubeObject['metadata'] {
  return rest;
}

/** `kubemark`: what the recordings' hollow kubelets said of themselves. */
function register(cluster: Cluster, name: string, index: number, kubemark: boolean, zone: string | null): void {
  const now = stamp(cluster.timeline);
  const condition = (type: string, status: string, reason: string, message: string): object => ({ type, status, reason, message, lastHeartbeatTime: now, lastTransitionTime: now });
  const room = kubemark ? { cpu: '1', memory: '3840Mi', pods: '110', 'ephemeral-storage': '0' } : { cpu: '4', memory: '16Gi', pods: '110', 'ephemeral-storage': '100Gi' };
  cluster.hollow.set(name, { name, nextIp: 2 });
  create(cluster, kindNamed('Node'), undefined, {
    metadata: {
      name,
      labels: { 'beta.kubernetes.io/arch': 'amd64', 'beta.kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64', 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...(zone ? { 'topology.kubernetes.io/zone': zone } : {}) },
      annotations: { 'node.alpha.kubernetes.io/ttl': '0' },
    },
    spec: { providerID: `${kubemark ? 'kubemark' : 'hollow'}://${name}` },
    status: {
      capacity: room, allocatable: room,
      conditions: [
        condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
        condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
        condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
        condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: kubemark ? 10351 + index : 10250 } },
      addresses: [{ type: 'InternalIP', address: kubemark ? '192.0.2.2' : `10.1.${Math.floor(index / 250)}.${(index % 250) + 2}` }, { type: 'Hostname', address: name }],
      nodeInfo: {
        architecture: 'amd64', bootID: '', containerRuntimeVersion: kubemark ? 'fakeRuntime://0.1.0' : 'hollow://1.0', kernelVersion: kubemark ? '3.16.0-0.bpo.4-amd64' : 'none', kubeProxyVersion: cluster.serverVersion, kubeletVersion: cluster.serverVersion,
        machineID: '', operatingSystem: 'linux', osImage: kubemark ? 'Debian GNU/Linux 7 (wheezy)' : 'none (hollow node)', systemUUID: '',
      },
    },
  });
  create(cluster, kindNamed('Lease'), 'kube-node-lease', { metadata: { name }, spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microStamp(cluster.timeline) } });
}

function beat(cluster: Cluster): void {
  const renewTime = microStamp(cluster.timeline);
  for (const name of cluster.hollow.keys()) {
    const lease = get(cluster.store, 'Lease', `kube-node-lease/${name}`);
    if (lease && get(cluster.store, 'Node', name)) put(cluster.store, { ...lease, metadata: { ...lease.metadata }, spec: { ...lease.spec, renewTime } });
  }
  after(cluster.timeline, BEAT, { kind: 'hollow.beat', who: cluster.name });
}

/** The kubelet has seen the pod: its containers are being made. */
function admit(cluster: Cluster, key: string): void {
  const pod = get<Pod>(cluster.store, 'Pod', key);
  const node = get<Node>(cluster.store, 'Node', pod?.spec.nodeName ?? '');
  if (!pod || !node || pod.metadata.deletionTimestamp || pod.status.phase !== 'Pending' || pod.status.startTime) return;
  const now = stamp(cluster.timeline);
  writePodStatus(cluster, pod, extended(pod.status, {
    startTime: now, hostIP: node.status.addresses?.[0]?.address ?? '',
    containerStatuses: pod.spec.containers.map((c) => ({ name: c.name, image: c.image, imageID: '', lastState: NEVER, ready: false, restartCount: 0, started: false, state: CREATING })),
    conditions: conditionsOf(cluster, pod, false),
  }), key);
}

const CREATING = { waiting: { reason: 'ContainerCreating' } };
/** Of a container that has not ended yet. */
const NEVER = {};

function conditionsOf(cluster: Cluster, pod: Pod, holds: boolean): Condition[] {
  return [condition(cluster, 'Initialized', true), condition(cluster, 'Ready', holds), condition(cluster, 'ContainersReady', holds), ...(pod.status.conditions ?? []).filter((c) => c.type === 'PodScheduled')];
}

/** Pods that change in the same second share their conditions: they are the same words. */
function condition(cluster: Cluster, type: string, holds: boolean): Condition {
  const at = stamp(cluster.timeline);
  if (cluster.moment.at !== at) cluster.moment = { at, conditions: new Map() };
  const { conditions } = cluster.moment;
  const key = `${type}${holds}`;
  let found = conditions.get(key);
  if (!found) {
    found = { type, status: holds ? 'True' : 'False', ...(holds ? {} : { reason: 'ContainersNotReady' }), lastProbeTime: null, lastTransitionTime: at };
    conditions.set(key, found);
  }
  return found;
}

function start(cluster: Cluster, key: string): void {
  const pod = get<Pod>(cluster.store, 'Pod', key);
  const hollow = cluster.hollow.get(pod?.spec.nodeName ?? '');
  if (!pod || !hollow || pod.metadata.deletionTimestamp || pod.status.phase !== 'Pending') return;
  const node = get<Node>(cluster.store, 'Node', hollow.name);
  if (missingVolume(cluster, pod)) return;
  const podIP = joined([baseOf(hollow, node?.spec.podCIDR ?? '10.244.0.0/24'), '.', String(hollow.nextIp)]);
  hollow.nextIp = hollow.nextIp >= 254 ? 2 : hollow.nextIp + 1;
  const now = stamp(cluster.timeline);
  const missing = missingConfig(cluster, pod);
  const containerStatuses = pod.spec.containers.map((c): ContainerStatus => {
    const image = c.image.includes(':') ? c.image : joined([c.image, ':latest']);
    if (missing) return { name: c.name, image, imageID: '', lastState: NEVER, ready: false, restartCount: 0, started: false, state: { waiting: { reason: 'CreateContainerConfigError', message: missing } } };
    return { name: c.name, image, imageID: image, lastState: NEVER, ready: true, restartCount: 0, started: true, state: running(cluster, now), containerID: containerId(cluster, pod, c.name) };
  });
  writePodStatus(cluster, pod, extended(pod.status, {
    phase: missing ? 'Pending' : 'Running', startTime: pod.status.startTime ?? now, hostIP: node?.status.addresses?.[0]?.address ?? '', podIP, podIPs: [{ ip: podIP }], containerStatuses,
    conditions: conditionsOf(cluster, pod, !missing),
  }), key);
  if (missing && !kubemark(cluster)) emit(cluster, pod, 'Warning', 'Failed', `Error: ${missing}`, 'kubelet', hollow.name);
}

/** The first three numbers of the node's pod subnet. */
function baseOf(hollow: HollowNode, cidr: string): string {
  if (hollow.subnet?.cidr !== cidr) hollow.subnet = { cidr, base: cidr.replace(/\.0\/24$/, '') };
  return hollow.subnet.base;
}

function containerId(cluster: Cluster, { metadata: { name, namespace = '', uid = '' } }: Pod, container: string): string {
  return joined(kubemark(cluster) ? ['fakeRuntime://', name, '_', namespace, '_', uid, '_0_', container, '_0'] : ['hollow://', uid, '-', container]);
}

/** Containers that start in the same second share this. */
function running({ moment }: Cluster, startedAt: string): ContainerStatus['state'] {
  if (moment.running?.running?.startedAt !== startedAt) moment.running = { running: { startedAt } };
  return moment.running;
}

/** The recordings' hollow kubelets: those of a 1.20 server. Their events go nowhere (kubemark gives them no recorder). */
const kubemark = (cluster: Cluster): boolean => cluster.serverVersion.startsWith('v1.20.');

/** A volume whose ConfigMap or Secret does not exist: the containers are never made. */
function missingVolume(cluster: Cluster, pod: Pod): boolean {
  const { volumes } = pod.spec;
  if (volumes === undefined) return false;
  return volumes.some(
    (v) =>
      (v.secret && !v.secret.optional && !get(cluster.store, 'Secret', `${pod.metadata.namespace}/${v.secret.secretName}`)) ||
      (v.configMap && !v.configMap.optional && !get(cluster.store, 'ConfigMap', `${pod.metadata.namespace}/${v.configMap.name}`)),
  );
}

/** A ConfigMap or Secret that the pod's environment needs and that does not exist. */
function missingConfig(cluster: Cluster, pod: Pod): string | null {
  for (const c of pod.spec.containers) {
    for (const from of c.envFrom ?? []) {
      for (const [field, kind, word] of [['configMapRef', 'ConfigMap', 'configmap'], ['secretRef', 'Secret', 'secret']] as const) {
        const name = from?.[field]?.name;
        if (name && !from[field].optional && !get(cluster.store, kind, `${pod.metadata.namespace}/${name}`)) return `${word} "${name}" not found`;
      }
    }
  }
  return null;
}

function stop(cluster: Cluster, { key, uid }: { key: string; uid: string }): void {
  const pod = get<Pod>(cluster.store, 'Pod', key);
  if (pod?.metadata.uid === uid) remove(cluster, kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name, { gracePeriodSeconds: 0 });
}

