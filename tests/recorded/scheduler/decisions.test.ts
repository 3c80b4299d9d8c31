/**
 * Decisions of the real kube-scheduler 1.20.2, replayed: per node the first refusing filter and its reasons, per plugin raw
 * and normalised scores, the tied set, the message; who is preempted, on every node that could be freed.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { type Decision, decide, imageCounts } from '../../../src/engine/cluster/scheduler/cycle.ts';
import { addPod, nodeInfo, occupies, removePod } from '../../../src/engine/cluster/scheduler/nodes.ts';
import { type Candidate, candidatesFor, pick, victimNames } from '../../../src/engine/cluster/scheduler/preemption.ts';
import type { NodeInfo } from '../../../src/engine/cluster/scheduler/profile.ts';
import { DEFAULT, V1_20, V1_20_WEIGHTS } from '../../../src/engine/cluster/scheduler/profiles.ts';
import { volumesOf } from '../../../src/engine/cluster/scheduler/volumes.ts';
import type { Cluster } from '../../../src/engine/cluster/state.ts';
import { createStore, get, put, type Store } from '../../../src/engine/cluster/store.ts';
import type { KubeObject, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { createRandom } from '../../../src/engine/sim/random.ts';
import { createTimeline } from '../../../src/engine/sim/timeline.ts';

const cases = gunzipSync(readFileSync(new URL('./cases-a.jsonl.gz', import.meta.url)))
  .toString()
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

const CONSTANT = new Set(['NodePreferAvoidPods']);

/** The selectors of all Services that choose the pod, as one. */
// biome-ignore lint/suspicious/noExplicitAny: recorded JSON
function servicesOf(objects: any[], pod: Pod): { matchLabels: Record<string, string> } | null {
  const matchLabels: Record<string, string> = {};
  for (const o of objects) {
    const selector = o.kind === 'Service' ? o.spec.selector : null;
    if (!selector || (o.metadata.namespace ?? 'default') !== (pod.metadata.namespace ?? 'default')) continue;
    if (Object.entries(selector).every(([k, v]) => pod.metadata.labels?.[k] === v)) Object.assign(matchLabels, selector);
  }
  return Object.keys(matchLabels).length > 0 ? { matchLabels } : null;
}

interface Tally {
  pods: number;
  compared: number;
  wrong: string[];
}

/** Replays every case with the recorded nodes, handing each decision to `check`; of a pod that preempts, the cycle before and the one after. */
// biome-ignore lint/suspicious/noExplicitAny: recorded JSON
type Check = (tally: Tally, id: string, decision: Decision, result: any, candidates: Candidate[]) => void;
/** A store with the recorded volumes, claims and classes; claims that name a volume are bound. */
// biome-ignore lint/suspicious/noExplicitAny: recorded JSON
function storeOf(objects: any[]): Store {
  const store = createStore(createTimeline());
  for (const [name, provisioner, mode, allowedTopologies] of CLASSES) put(store, { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name }, provisioner, volumeBindingMode: mode, ...(allowedTopologies ? { allowedTopologies } : {}) } as unknown as KubeObject);
  for (const object of objects.filter((o) => o.kind === 'PersistentVolume' || o.kind === 'PersistentVolumeClaim')) put(store, { ...structuredClone(object), status: { phase: object.kind === 'PersistentVolume' ? 'Available' : 'Pending' } });
  for (const object of objects.filter((o) => o.kind === 'PersistentVolumeClaim' && o.spec.volumeName)) bindClaim(store, object.metadata.namespace, object.metadata.name, object.spec.volumeName);
  return store;
}
const CLASSES: [string, string, string, object[]?][] = [
  ['local', 'kubernetes.io/no-provisioner', 'WaitForFirstConsumer'], ['imm', 'kubernetes.io/no-provisioner', 'Immediate'], ['dyn', 'example.com/prov', 'WaitForFirstConsumer'],
  ['dyn-za', 'example.com/prov', 'WaitForFirstConsumer', [{ matchLabelExpressions: [{ key: 'topology.kubernetes.io/zone', values: ['za'] }] }]],
];

/** As the binder would leave both; a volume that was made for the claim is as wide as the cluster. */
function bindClaim(store: Store, namespace: string, claimName: string, volumeName: string): void {
  const claim = get(store, 'PersistentVolumeClaim', `${namespace}/${claimName}`)!;
  const volume = get(store, 'PersistentVolume', volumeName) ?? ({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: volumeName }, spec: { ...claim.spec, capacity: claim.spec.resources.requests } } as unknown as KubeObject);
  put(store, { ...claim, metadata: { ...claim.metadata, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } }, spec: { ...claim.spec, volumeName }, status: { phase: 'Bound' } });
  put(store, { ...volume, metadata: { ...volume.metadata }, spec: { ...volume.spec, claimRef: { namespace, name: claimName, uid: claim.metadata.uid } }, status: { phase: 'Bound' } });
}

function replay(today: boolean, check: Check): Tally {
  const tally: Tally = { pods: 0, compared: 0, wrong: [] };
  for (const one of cases) {
    const infos: NodeInfo[] = one.nodes.map(nodeInfo);
    const on = (pod: Pod, node: string): void => {
      const info = infos.find((i) => i.name === node);
      if (info && occupies(pod)) addPod(info, pod);
    };
    const budgets = one.objects.filter((o: { kind: string }) => o.kind === 'PodDisruptionBudget');
    const store = storeOf(one.objects);
    for (const pod of one.pods_existing) on({ status: {}, ...pod }, pod.spec.nodeName);
    for (const [i, pod] of one.pods.entries()) {
      const profile = today ? { ...DEFAULT, percentageOfNodesToScore: 100 } : one.profile === 'default-scheduler' ? V1_20 : V1_20_WEIGHTS;
      const found = volumesOf({ store } as Cluster, pod);
      const [refused, volumes] = typeof found === 'string' ? [found, null] : [null, found];
      const cycle = (): Decision => decide({ refused, volumes, pod, nodes: infos, profile, random: createRandom(1), start: 0, imageNodes: imageCounts(infos), defaultSelector: servicesOf(one.objects, pod), at: 0, attempt: 1 }).decision;
      const result = one.results[i];
      tally.pods++;
      if (result.first_attempt) {
        const { first_attempt: first } = result;
        const decision = cycle();
        check(tally, `${one.id}/${i} before`, decision, { ...first, outcome: 'unschedulable', message: result.message }, candidatesFor(pod, infos, decision, profile, budgets));
        for (const victim of result.victims as string[]) for (const info of infos) if (info.pods.has(victim)) removePod(info, info.pods.get(victim)!);
      }
      check(tally, `${one.id}/${i}`, cycle(), result, []);
      for (const [claim, volume] of Object.entries((result.volumes ?? {}) as Record<string, string>)) bindClaim(store, pod.metadata.namespace ?? 'default', claim, volume);
      if (result.node) on({ ...pod, status: result.startTime_set_after_bind ? { startTime: result.startTime_set_after_bind } : {} }, result.node);
    }
  }
  return tally;
}

const same = (tally: Tally, where: string, mine: unknown, theirs: unknown): void => {
  tally.compared++;
  if (JSON.stringify(mine) !== JSON.stringify(theirs)) tally.wrong.push(`${where}: ${JSON.stringify(mine)} not ${JSON.stringify(theirs)}`);
};

it('decides as kube-scheduler 1.20.2 did', () => {
  let preempting = 0;
  const tally = replay(false, (t, id, decision, result, candidates) => {
    if (result.preempt) {
      const mine = Object.fromEntries(candidates.map((c) => [c.node, { pdbViolations: c.violations, victims: victimNames(c) }] as const).sort());
      preempting++;
      same(t, `${id} candidates`, mine, Object.fromEntries(Object.entries(result.preempt.candidates as object).sort()));
      same(t, `${id} selected`, pick(candidates)?.node ?? '', result.preempt.selected);
    }
    const refused = Object.fromEntries(decision.verdicts.filter((v) => v.plugin).map((v) => [v.node, [result.prefilter_failed ? null : v.plugin, v.reasons]]).sort());
    const theirs = Object.fromEntries(Object.entries(result.per_node_filter as Record<string, { plugin: string; reasons: string[] }>).map(([n, f]) => [n, [f.plugin, f.reasons]] as const).sort());
    same(t, `${id} filters`, refused, theirs);
    same(t, `${id} tied`, [...decision.tied].sort(), result.outcome === 'bound' ? [...result.candidates_tied].sort() : []);
    if (result.outcome !== 'bound') same(t, `${id} message`, decision.message, result.message);
    if (decision.scores.length === 0) return;
    for (const kind of ['raw', 'norm'] as const) {
      for (const [plugin, scores] of Object.entries(result[kind] as Record<string, Record<string, number>>)) {
        if (CONSTANT.has(plugin)) continue;
        const mine = decision.scores.find((s) => s.plugin === plugin)!;
        same(t, `${id} ${kind}.${plugin}`, Object.fromEntries(decision.feasible.map((n, i) => [n, mine[kind][i]] as const).sort()), Object.fromEntries(Object.entries(scores).sort()));
      }
    }
  });
  console.log(`v1.20 profile: ${cases.length} cases, ${tally.pods} pods, ${tally.compared} comparisons, ${tally.wrong.length} wrong`);
  expect(tally.wrong.slice(0, 8)).toEqual([]);
  expect(tally.pods).toBeGreaterThan(2300);
  expect(preempting).toBeGreaterThan(80);
});

it("scores as today's formulas where they did not change", () => {
  const names: Record<string, string> = { NodeResourcesFit: 'NodeResourcesLeastAllocated' };
  const tally = replay(true, (t, id, decision, result) => {
    // Limits of volumes that pods name themselves are gone today; the capture's list of differences leaves volumes out.
    if (result.differs_1_30 === undefined || Object.values(result.per_node_filter as Record<string, { plugin: string }>).some((f) => f.plugin === 'EBSLimits')) return;
    const differs = new Set<string>(result.differs_1_30);
    if (!differs.has('filter')) same(t, `${id} feasible`, [...decision.feasible].sort(), [...(result.feasible ?? [])].sort());
    if (decision.scores.length === 0 || differs.has('filter')) return;
    for (const s of decision.scores) {
      const plugin = names[s.plugin] ?? s.plugin;
      if (!s.applies || differs.has(`norm.${plugin}`) || differs.has(`raw.${plugin}`)) continue;
      const theirs = Object.fromEntries(Object.entries(result.norm[plugin] as Record<string, number>).sort());
      same(t, `${id} norm.${plugin}`, Object.fromEntries(decision.feasible.map((n, i) => [n, s.norm[i]] as const).sort()), theirs);
    }
  });
  console.log(`today's profile: ${tally.pods} pods, ${tally.compared} comparisons, ${tally.wrong.length} wrong`);
  expect(tally.wrong.slice(0, 8)).toEqual([]);
});
