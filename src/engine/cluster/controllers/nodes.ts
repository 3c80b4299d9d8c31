/**
 * Node lifecycle: a subnet for each new node; taints that follow its conditions; a node whose lease is not renewed for
 * 40 s becomes Unknown, its pods not ready, and pods leave when their toleration of the taint runs out.
 * Source: pkg/controller/nodelifecycle, tainteviction. How fast nodes are emptied is in `nodezones.ts`.
 */
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { mutate, remove } from '../api.ts';
import { setCondition } from '../scheduler/queue.ts';
import { tolerates } from '../scheduler/plugins/taints.ts';
import { causeOf, type Cluster, note } from '../state.ts';
import { get, list, podsOnNode, stamp } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { keyOf, type Node, type Pod, same, type Taint } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';
import { emit } from './events.ts';
import { allDown, mayTaint, zoneOf, zonesOf } from './nodezones.ts';
import { NODE_GRACE_SECONDS } from './timers.ts';

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';
const MANAGED = new Set([NOT_READY, UNREACHABLE, 'node.kubernetes.io/unschedulable', 'node.kubernetes.io/memory-pressure', 'node.kubernetes.io/disk-pressure', 'node.kubernetes.io/pid-pressure']);

export function syncNode(cluster: Cluster, name: string): void {
  const node = get<Node>(cluster.store, 'Node', name);
  if (!node) {
    for (const pod of podsOnNode(cluster.store, name)) {
      remove(cluster, kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name, { gracePeriodSeconds: 0 });
    }
    return;
  }
  if (!node.spec.podCIDR) {
    const number = /-(\d+)$/.exec(name);
    let subnet = number ? Number(number[1]) : cluster.nextSubnet++;
    while (!free(cluster, subnet, name)) subnet = cluster.nextSubnet++;
    cluster.subnets.set(cidr(subnet), name);
    mutate<Node>(cluster, 'Node', name, (n) => {
      n.spec.podCIDR = cidr(subnet);
      n.spec.podCIDRs = [cidr(subnet)];
    });
    emit(cluster, node, 'Normal', 'RegisteredNode', `Node ${name} event: Registered Node ${name} in Controller`, 'node-controller');
  } else cluster.subnets.set(node.spec.podCIDR, name);
  taintByCondition(cluster, name);
}

const cidr = (n: number): string => `10.${244 + Math.floor(n / 256)}.${n % 256}.0/24`;

/** Whether a pod subnet is nobody's: never given out, or to a node that is gone. */
function free(cluster: Cluster, subnet: number, name: string): boolean {
  const holder = cluster.subnets.get(cidr(subnet));
  return holder === undefined || holder === name || get<Node>(cluster.store, 'Node', holder)?.spec.podCIDR !== cidr(subnet);
}

function taintByCondition(cluster: Cluster, name: string): void {
  const node = get<Node>(cluster.store, 'Node', name)!;
  const status = (type: string): string => node.status?.conditions?.find((c) => c.type === type)?.status ?? 'Unknown';
  const wanted: Taint[] = [];
  const ready = status('Ready');
  if (ready !== 'True') {
    const key = ready === 'False' ? NOT_READY : UNREACHABLE;
    if ((node.spec.taints ?? []).some((t) => t.effect === 'NoExecute' && (t.key === NOT_READY || t.key === UNREACHABLE))) wanted.push({ key, effect: 'NoExecute' });
    wanted.push({ key, effect: 'NoSchedule' });
  }
  if (node.spec.unschedulable) wanted.push({ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' });
  for (const [type, key] of [['MemoryPressure', 'memory-pressure'], ['DiskPressure', 'disk-pressure'], ['PIDPressure', 'pid-pressure']] as const) {
    if (status(type) === 'True') wanted.push({ key: `node.kubernetes.io/${key}`, effect: 'NoSchedule' });
  }
  const have = node.spec.taints ?? [];
  const now = stamp(cluster.timeline);
  const among = (t: Taint, all: readonly Taint[]): boolean => all.some((one) => one.key === t.key && one.effect === t.effect);
  const next = [...have.filter((t) => !MANAGED.has(t.key) || among(t, wanted)), ...wanted.filter((t) => !among(t, have)).map((t) => ({ ...t, timeAdded: now }))];
  if (same(next, have)) return;
  mutate<Node>(cluster, 'Node', name, (n) => {
    if (next.length > 0) n.spec.taints = next;
    else delete n.spec.taints;
  });
}

/** Every tick: silent nodes, those whose pods must leave, and pods whose time on a tainted node is over. */
export function monitorNodes(cluster: Cluster): void {
  const now = EPOCH_SECONDS + cluster.timeline.now / SECOND;
  for (const node of list<Node>(cluster.store, 'Node')) {
    const lease = get(cluster.store, 'Lease', `kube-node-lease/${node.metadata.name}`);
    const seen = Math.max(cluster.since, parseTime(lease?.spec?.renewTime) ?? parseTime(node.metadata.creationTimestamp) ?? now);
    const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
    if (now - seen > NODE_GRACE_SECONDS && ready && ready.status !== 'Unknown') lose(cluster, node);
  }
  const nodes = list<Node>(cluster.store, 'Node');
  const sick = nodes.filter((n) => !n.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'));
  if (sick.length > 0) repel(cluster, nodes, sick, now);
  for (const node of nodes) if ((node.spec.taints ?? []).some((t) => t.effect === 'NoExecute')) evict(cluster, get<Node>(cluster.store, 'Node', node.metadata.name)!, now);
}

const repels = (node: Node): boolean => (node.spec.taints ?? []).some((t) => t.effect === 'NoExecute' && (t.key === NOT_READY || t.key === UNREACHABLE));

/** NoExecute taints, one node of a zone after the other; none while all zones are down. */
function repel(cluster: Cluster, nodes: readonly Node[], sick: readonly Node[], now: number): void {
  const zones = zonesOf(nodes);
  const none = allDown(zones);
  for (const node of sick) {
    const { name } = node.metadata;
    if (none !== repels(node)) continue;
    if (none) {
      mutate<Node>(cluster, 'Node', name, (n) => {
        n.spec.taints = (n.spec.taints ?? []).filter((t) => t.effect !== 'NoExecute' || (t.key !== NOT_READY && t.key !== UNREACHABLE));
      });
    } else if (mayTaint(cluster, zoneOf(node), zones.get(zoneOf(node))!, now)) {
      const key = node.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'False' ? NOT_READY : UNREACHABLE;
      mutate<Node>(cluster, 'Node', name, (n) => {
        n.spec.taints = [...(n.spec.taints ?? []), { key, effect: 'NoExecute', timeAdded: stamp(cluster.timeline) }];
      });
    }
  }
}

function lose(cluster: Cluster, node: Node): void {
  const name = node.metadata.name;
  cluster.cause = note(cluster, 'node.unknown', { node: name }, undefined);
  const at = stamp(cluster.timeline);
  mutate<Node>(cluster, 'Node', name, (n) => {
    for (const c of n.status.conditions ?? []) {
      Object.assign(c, { status: 'Unknown', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.', lastTransitionTime: at });
    }
  }, 'status');
  emit(cluster, node, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`, 'node-controller');
  for (const pod of podsOnNode(cluster.store, name)) {
    if (!pod.status.conditions?.some((c) => c.type === 'Ready' && c.status !== 'False')) continue;
    mutate<Pod>(cluster, 'Pod', keyOf(pod.metadata), (p) => setCondition(p, { type: 'Ready', status: 'False', lastProbeTime: null, lastTransitionTime: at }), 'status');
    emit(cluster, pod, 'Warning', 'NodeNotReady', 'Node is not ready', 'node-controller');
  }
  cluster.cause = undefined;
}

function evict(cluster: Cluster, node: Node, now: number): void {
  const taints = (node.spec.taints ?? []).filter((t) => t.effect === 'NoExecute');
  for (const pod of podsOnNode(cluster.store, node.metadata.name)) {
    if (pod.metadata.deletionTimestamp) continue;
    const due = taints.some((taint) => {
      const matching = (pod.spec.tolerations ?? []).filter((t) => tolerates(t, taint));
      if (matching.length === 0) return true;
      const limits = matching.flatMap((t) => (t.tolerationSeconds === undefined ? [] : [t.tolerationSeconds]));
      return limits.length > 0 && now - (parseTime(taint.timeAdded) ?? now) >= Math.min(...limits);
    });
    if (!due) continue;
    cluster.cause = note(cluster, 'pod.evicted', { pod: keyOf(pod.metadata), node: node.metadata.name }, causeOf(cluster, 'Node', node.metadata.name));
    emit(cluster, pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${keyOf(pod.metadata)}`, 'taint-eviction-controller');
    mutate<Pod>(cluster, 'Pod', keyOf(pod.metadata), (p) => {
      setCondition(p, { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager', message: 'Taint manager: deleting due to NoExecute taint', lastProbeTime: null, lastTransitionTime: stamp(cluster.timeline) });
    }, 'status');
    remove(cluster, kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name);
    cluster.cause = undefined;
  }
}
