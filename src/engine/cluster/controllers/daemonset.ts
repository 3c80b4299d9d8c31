/**
 * DaemonSet: one pod on each node that its template fits, bound by the scheduler through a node affinity of its own.
 * Source: pkg/controller/daemon/{daemon_controller,update}.go 1.32.
 */
import { mutate } from '../api.ts';
import { matchesNode } from '../scheduler/plugins/affinity.ts';
import { tolerates } from '../scheduler/plugins/taints.ts';
import type { Cluster } from '../state.ts';
import { get, list, ownedBy } from '../store.ts';
import { copy, type Json, type KubeObject, keyOf, type Node, type Pod, same, type Toleration } from '../types/objects.ts';
import { emit } from './events.ts';
import { adopt, availableOf, isReady, retire, spawn } from './pods.ts';
import { currentRevision, forgetRevisions, hashOf, type Revision, revisionsOf } from './revisions.ts';

const COMPONENT = 'daemonset-controller';
const HASH = 'controller-revision-hash';
const TOLERATED: readonly [key: string, effect: string][] = [
  ['node.kubernetes.io/not-ready', 'NoExecute'], ['node.kubernetes.io/unreachable', 'NoExecute'], ['node.kubernetes.io/disk-pressure', 'NoSchedule'],
  ['node.kubernetes.io/memory-pressure', 'NoSchedule'], ['node.kubernetes.io/pid-pressure', 'NoSchedule'], ['node.kubernetes.io/unschedulable', 'NoSchedule'],
];

/** The template's spec as it will be on one node. */
function placed(spec: Json, node: string): Json {
  const out = copy(spec);
  const terms = out.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const field = { key: 'metadata.name', operator: 'In', values: [node] };
  out.affinity ??= {};
  out.affinity.nodeAffinity ??= {};
  out.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = { nodeSelectorTerms: terms ? terms.map((t: Json) => ({ ...t, matchFields: [field] })) : [{ matchFields: [field] }] };
  out.tolerations ??= [];
  const wanted = out.hostNetwork ? [...TOLERATED, ['node.kubernetes.io/network-unavailable', 'NoSchedule'] as const] : TOLERATED;
  for (const [key, effect] of wanted) out.tolerations.push({ effect, key, operator: 'Exists' });
  return out;
}

/** Whether a node should have a pod of the set, and whether one that is there may stay. */
function fits(set: KubeObject, node: Node): { run: boolean; stay: boolean } {
  const spec = placed(set.spec.template.spec, node.metadata.name);
  if (!matchesNode({ spec } as Pod, node)) return { run: false, stay: false };
  const against = (node.spec.taints ?? []).filter((taint) => !spec.tolerations.some((t: Toleration) => tolerates(t, taint)));
  return { run: !against.some((t) => t.effect !== 'PreferNoSchedule'), stay: !against.some((t) => t.effect === 'NoExecute') };
}

const nodeOf = (pod: Pod): string =>
  pod.spec.nodeName ?? pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms?.[0]?.matchFields?.[0]?.values?.[0] ?? '';

export function syncDaemonSet(cluster: Cluster, key: string): void {
  const set = get(cluster.store, 'DaemonSet', key);
  if (!set) return;
  if (!set.metadata.deletionTimestamp) {
    if (!set.status?.observedGeneration) adopt(cluster, set);
    currentRevision(cluster, set);
    arrange(cluster, set);
  }
  settle(cluster, key);
}

const podsByNode = (cluster: Cluster, set: KubeObject): Map<string, Pod[]> => {
  const by = new Map<string, Pod[]>();
  for (const pod of ownedBy<Pod>(cluster.store, set.metadata.uid!, 'Pod')) by.set(nodeOf(pod), [...(by.get(nodeOf(pod)) ?? []), pod]);
  return by;
};

function arrange(cluster: Cluster, set: KubeObject): void {
  const revision = revisionsOf(cluster, set).at(-1)!;
  const by = podsByNode(cluster, set);
  const nodes = list<Node>(cluster.store, 'Node');
  for (const node of nodes) {
    const { name } = node.metadata;
    const { run, stay } = fits(set, node);
    const here = (by.get(name) ?? []).filter((pod) => !pod.metadata.deletionTimestamp);
    const failed = here.filter((pod) => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded');
    for (const pod of failed) {
      emit(cluster, set, 'Warning', pod.status.phase === 'Failed' ? 'FailedDaemonPod' : 'SucceededDaemonPod', `Found ${pod.status.phase === 'Failed' ? 'failed' : 'succeeded'} daemon pod ${keyOf(pod.metadata)} on node ${name}, will try to ${pod.status.phase === 'Failed' ? 'kill' : 'delete'} it`, COMPONENT);
      retire(cluster, set, pod, COMPONENT);
    }
    const live = here.filter((pod) => !failed.includes(pod));
    if (!stay) for (const pod of live) retire(cluster, set, pod, COMPONENT);
    else for (const pod of spare(set, live, hashOf(revision))) retire(cluster, set, pod, COMPONENT);
    if (run && (by.get(name) ?? []).length === 0) put(cluster, set, revision, name);
  }
  const known = new Set(nodes.map((node) => node.metadata.name));
  // A pod that was scheduled is the garbage collector's when its node is gone.
  for (const [name, pods] of by) if (!known.has(name)) for (const pod of pods) if (!pod.metadata.deletionTimestamp && !pod.spec.nodeName) retire(cluster, set, pod, COMPONENT);
  if (set.spec.updateStrategy?.type === 'OnDelete') return;
  if (surges(set)) surge(cluster, set, nodes);
  else roll(cluster, set, nodes);
}

function put(cluster: Cluster, set: KubeObject, revision: Revision, node: string): void {
  spawn(cluster, set, set.spec.template, COMPONENT, {
    labels: { [HASH]: hashOf(revision), 'pod-template-generation': set.metadata.annotations?.['deprecated.daemonset.template.generation'] ?? '1' },
    change: (spec) => Object.assign(spec, placed(spec, node)),
  });
}

/** One pod a node; where pods surge, one of each template. */
function spare(set: KubeObject, live: readonly Pod[], hash: string): Pod[] {
  if (!surges(set)) return live.slice(1);
  const fresh = live.filter((pod) => pod.metadata.labels?.[HASH] === hash);
  const old = live.filter((pod) => !fresh.includes(pod));
  return [...fresh.slice(1), ...old.slice(1)];
}

const surges = (set: KubeObject): boolean => !['0%', 0, undefined].includes(set.spec.updateStrategy?.rollingUpdate?.maxSurge);
const share = (value: string | number, of: number): number => (typeof value === 'number' ? value : Math.ceil((of * Number.parseInt(value, 10)) / 100));

/** New pods beside old ones, on so many nodes at once; an old one goes when the new one is available. */
function surge(cluster: Cluster, set: KubeObject, nodes: readonly Node[]): void {
  const revision = revisionsOf(cluster, set).at(-1)!;
  const by = podsByNode(cluster, set);
  const wanted = nodes.filter((node) => fits(set, node).run);
  let room = share(set.spec.updateStrategy.rollingUpdate.maxSurge, wanted.length);
  const next: string[] = [];
  const now: string[] = [];
  for (const { metadata: { name } } of wanted) {
    const live = (by.get(name) ?? []).filter((pod) => !pod.metadata.deletionTimestamp);
    const fresh = live.find((pod) => pod.metadata.labels?.[HASH] === hashOf(revision));
    const old = live.find((pod) => pod !== fresh);
    if (!old) continue;
    if (!fresh) (isAvailable(cluster, set, old) ? next : now).push(name);
    else if (isAvailable(cluster, set, fresh)) retire(cluster, set, old, COMPONENT);
    else room--;
  }
  for (const name of [...now, ...next.slice(0, Math.max(0, room - now.length))]) put(cluster, set, revision, name);
}

const isAvailable = (cluster: Cluster, set: KubeObject, pod: Pod): boolean => availableOf(cluster, [pod], set.spec.minReadySeconds, 'daemonset', keyOf(set.metadata)).length === 1;

/** Old pods go while no more than maxUnavailable nodes are without a ready one. */
function roll(cluster: Cluster, set: KubeObject, nodes: readonly Node[]): void {
  const hash = hashOf(revisionsOf(cluster, set).at(-1)!);
  const by = podsByNode(cluster, set);
  const wanted = nodes.filter((node) => fits(set, node).run);
  const most = set.spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1;
  let room = share(most, wanted.length);
  const old: Pod[] = [];
  for (const node of wanted) {
    const pod = (by.get(node.metadata.name) ?? []).find((one) => !one.metadata.deletionTimestamp);
    if (!pod || !isAvailable(cluster, set, pod)) room--;
    if (pod && pod.metadata.labels?.[HASH] !== hash) old.push(pod);
  }
  for (const pod of old.filter((one) => !isAvailable(cluster, set, one))) retire(cluster, set, pod, COMPONENT);
  for (const pod of old.filter((one) => isAvailable(cluster, set, one)).slice(0, Math.max(0, room))) retire(cluster, set, pod, COMPONENT);
}

function settle(cluster: Cluster, key: string): void {
  const set = get(cluster.store, 'DaemonSet', key);
  const revision = set ? revisionsOf(cluster, set).at(-1) : undefined;
  if (!set || !revision) return;
  const by = podsByNode(cluster, set);
  const n = { current: 0, desired: 0, mis: 0, ready: 0, available: 0, updated: 0 };
  for (const node of list<Node>(cluster.store, 'Node')) {
    const live = (by.get(node.metadata.name) ?? []).filter((one) => !one.metadata.deletionTimestamp);
    const pod = live.find((one) => one.metadata.labels?.[HASH] === hashOf(revision) && isReady(one)) ?? live[0];
    if (!fits(set, node).run) {
      if (pod) n.mis++;
      continue;
    }
    n.desired++;
    if (!pod) continue;
    n.current++;
    if (isReady(pod)) n.ready++;
    if (isAvailable(cluster, set, pod)) n.available++;
    if (live.some((one) => one.metadata.labels?.[HASH] === hashOf(revision))) n.updated++;
  }
  const next = {
    currentNumberScheduled: n.current, desiredNumberScheduled: n.desired, ...(n.available > 0 ? { numberAvailable: n.available } : {}), numberMisscheduled: n.mis, numberReady: n.ready,
    ...(n.desired > n.available ? { numberUnavailable: n.desired - n.available } : {}), observedGeneration: set.metadata.generation!, ...(n.updated > 0 ? { updatedNumberScheduled: n.updated } : {}),
  };
  forgetRevisions(cluster, set, new Set([hashOf(revision), ...[...by.values()].flat().map((pod) => pod.metadata.labels?.[HASH] ?? '')]));
  if (same(next, set.status)) return;
  mutate(cluster, 'DaemonSet', key, (o) => {
    o.status = next;
  }, 'status');
}
