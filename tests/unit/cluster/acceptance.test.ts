/**
 * Acceptance tables 19 and 20 at the API: scores of each plugin, weights, the table of feasible nodes and the cascade of preemption,
 * as whole numbers; rollout arithmetic and the autoscaler's step, watched at each write. Each expected number is the facts' own.
 */
import { describe, expect, it } from 'vitest';
import { mutate } from '../../../src/engine/cluster/api.ts';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import { decisionOf, type ScoreFacts, scoreFacts } from '../../../src/engine/cluster/inspect.ts';
import { nodesToFind } from '../../../src/engine/cluster/scheduler/cycle.ts';
import { DEFAULT } from '../../../src/engine/cluster/scheduler/profiles.ts';
import { backoff } from '../../../src/engine/cluster/scheduler/queue.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import type { Json, Node, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { amountOf } from '../../../src/engine/cluster/types/quantity.ts';
import { events, lab, later, make, pods } from './lab.ts';

const MIB = 1024 * 1024;
const ROOM = { cpu: '4', memory: '8Gi', pods: '110' };
interface Place { labels?: object; taints?: object[]; images?: object[]; room?: object }

/** Nodes of 4 cores and 8 GiB, unless a place says else. */
function places(spec: Record<string, Place>): Cluster {
  const cluster = lab(0);
  for (const [name, { labels = {}, taints = [], images = [], room = ROOM }] of Object.entries(spec)) {
    make(cluster, 'Node', { metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } }, spec: { taints } });
    mutate(cluster, 'Node', name, (n) => {
      n.status = { allocatable: room, capacity: room, images, conditions: [{ type: 'Ready', status: 'True' }] } as never;
    }, 'status');
    // not-ready, which the node lifecycle controller took from a node that had said nothing yet
    mutate<Node>(cluster, 'Node', name, (n) => {
      n.spec.taints = taints as never;
    });
  }
  return cluster;
}
const requests = (cpu?: string, memory?: string): Json => ({ requests: { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) } });
const pod = (name: string, spec: object = {}, labels: Record<string, string> = {}): Json => ({ metadata: { name, labels }, spec: { containers: [{ name: 'c', image: 'x' }], ...spec } });
const asks = (cpu?: string, memory?: string, more: object = {}): object => ({ containers: [{ name: 'c', image: 'x', resources: requests(cpu, memory) }], ...more });

/** What one plugin gave the pod p on each node: raw and normalized. */
function scored(cluster: Cluster, plugin: string, p: Json): Record<string, [number, number]> {
  make(cluster, 'Pod', p);
  later(cluster, 1);
  const rows: ScoreFacts[] = scoreFacts(decisionOf(cluster, 'default/p')!).filter((s) => s.plugin === plugin);
  for (const row of rows) expect(row.weighted).toBe(row.score * row.weight);
  return Object.fromEntries(rows.map((r) => [r.node, [r.raw, r.score]]));
}
const term = (key: string, values: string[]): object => ({ matchExpressions: [{ key, operator: 'In', values }] });
const near = (kind: string, topologyKey: string, weight: number, app: string): object => ({ affinity: { [kind]: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight, podAffinityTerm: { topologyKey, labelSelector: { matchLabels: { app } } } }] } } });

describe('table 19: the scheduler', () => {
  it('weighs 3, 2, 1, 2, 2, 1, 1, so that 1200 is the most', () => {
    expect(DEFAULT.scores.map((s) => [s.plugin.name, s.weight])).toEqual([
      ['TaintToleration', 3], ['NodeAffinity', 2], ['NodeResourcesFit', 1], ['PodTopologySpread', 2], ['InterPodAffinity', 2], ['NodeResourcesBalancedAllocation', 1], ['ImageLocality', 1],
    ]);
    expect(DEFAULT.scores.reduce((sum, s) => sum + s.weight * 100, 0)).toBe(1200);
  });

  it.each([[50, 50], [100, 100], [250, 120], [500, 230], [1000, 420], [2000, 680], [5000, 500], [5625, 281], [10_000, 500], [15_000, 750]])('of %i nodes %i feasible ones are enough', (nodes, enough) => {
    expect(nodesToFind(nodes, 0)).toBe(enough);
  });

  it.each([[1, 1], [2, 2], [3, 4], [4, 8], [5, 10], [9, 10]])('after attempt %i a pod waits %i s', (attempts, seconds) => expect(backoff(attempts) / 1e9).toBe(seconds));

  it('LeastAllocated: 1500m and 3Gi of 4 cores and 8Gi leave 62', () => {
    expect(scored(places({ a: {}, b: {} }), 'NodeResourcesFit', pod('p', asks('1500m', '3Gi'))).a).toEqual([62, 62]);
  });
  it('LeastAllocated: a container that asks for nothing counts as 100m and 200Mi', () => {
    // 97 of cpu (3900/4000), 97 of memory (7992/8192)
    expect(scored(places({ a: {}, b: {} }), 'NodeResourcesFit', pod('p')).a).toEqual([97, 97]);
  });
  it('BalancedAllocation: shares of 0.6 and 0.2 give 80', () => {
    expect(scored(places({ a: { room: { cpu: '5', memory: '10Gi', pods: '110' } }, b: {} }), 'NodeResourcesBalancedAllocation', pod('p', asks('3', '2Gi'))).a).toEqual([80, 80]);
  });
  it('TaintToleration: 100 - 100 * taints / most', () => {
    const mild = (n: number): object[] => Array.from({ length: n }, (_, i) => ({ key: `k${i}`, effect: 'PreferNoSchedule' }));
    expect(scored(places({ a: {}, b: { taints: mild(1) }, c: { taints: mild(3) } }), 'TaintToleration', pod('p'))).toEqual({ a: [0, 100], b: [1, 67], c: [3, 0] });
  });
  it('NodeAffinity: weights that match, as a share of the most', () => {
    const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 80, preference: term('disk', ['ssd']) }, { weight: 20, preference: term('zone', ['x']) }] } };
    expect(scored(places({ a: { labels: { disk: 'ssd', zone: 'x' } }, b: { labels: { zone: 'x' } }, c: {} }), 'NodeAffinity', pod('p', { affinity }))).toEqual({ a: [100, 100], b: [20, 20], c: [0, 0] });
  });
  it('InterPodAffinity: preferred terms both ways, and 1 for a required term of those who are there', () => {
    const cluster = places({ a: { labels: { zone: '1' } }, b: { labels: { zone: '2' } }, c: { labels: { zone: '3' } } });
    const at = (name: string, nodeName: string, spec: object, app: string): void => void make(cluster, 'Pod', pod(name, { nodeName, ...spec }, { app }));
    at('friend', 'a', {}, 'db');
    at('host', 'b', { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', labelSelector: { matchLabels: { app: 'web' } } }] } } }, 'x');
    at('hermit', 'c', near('podAntiAffinity', 'zone', 50, 'web'), 'y');
    later(cluster, 1);
    // +30 for the friend, +1 hard, -50 for whoever would rather not
    expect(scored(cluster, 'InterPodAffinity', pod('p', near('podAffinity', 'zone', 30, 'db'), { app: 'web' }))).toEqual({ a: [30, 100], b: [1, 63], c: [-50, 0] });
  });
  it('PodTopologySpread: count * ln(size + 2) + maxSkew - 1, rounded; the emptiest gets 100', () => {
    const cluster = places({ a: { labels: { zone: '1' } }, b: { labels: { zone: '2' } }, c: { labels: { zone: '3' } } });
    for (const [name, nodeName] of [['1', 'a'], ['2', 'a'], ['3', 'b']]) make(cluster, 'Pod', pod(name!, { nodeName }, { app: 'web' }));
    later(cluster, 1);
    const spread = { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: { app: 'web' } } }] };
    // ln 5 = 1.609: 2 -> 3.2, 1 -> 1.6, 0 -> 0; 100 * (3 + 0 - s) / 3
    expect(scored(cluster, 'PodTopologySpread', pod('p', spread, { app: 'web' }))).toEqual({ a: [3, 0], b: [2, 33], c: [0, 100] });
  });
  it.each([[1, 6], [3, 23]])('ImageLocality: 250 MiB on %i of 3 nodes give %i', (holders, score) => {
    const image = [{ names: ['big:1'], sizeBytes: 250 * MIB }];
    const cluster = places({ a: { images: image }, b: { images: holders > 1 ? image : [] }, c: { images: holders > 2 ? image : [] } });
    expect(scored(cluster, 'ImageLocality', pod('p', { containers: [{ name: 'c', image: 'big:1' }] })).a).toEqual([score, score]);
  });
  const strategy = (type: string, more = ''): string => `{apiVersion: kubescheduler.config.k8s.io/v1, kind: KubeSchedulerConfiguration, profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: ${type}${more}}}}]}]}`;
  const shape = (points: string): string => `, requestedToCapacityRatio: {shape: [${points}]}`;
  const ramp = shape('{utilization: 0, score: 0}, {utilization: 100, score: 10}');
  it.each([
    // 1500m of 4000m are 37 per cent, 3Gi of 8Gi as well
    ['MostAllocated', strategy('MostAllocated'), 37], ['RequestedToCapacityRatio, a ramp', strategy('RequestedToCapacityRatio', ramp), 37],
    ['a ramp down', strategy('RequestedToCapacityRatio', shape('{utilization: 0, score: 10}, {utilization: 100, score: 0}')), 63], ['a hill: 37 of 50 to the top of 8', strategy('RequestedToCapacityRatio', shape('{utilization: 0, score: 0}, {utilization: 50, score: 8}, {utilization: 100, score: 0}')), 59],
    ['LeastAllocated by weights', strategy('LeastAllocated', ', resources: [{name: cpu, weight: 3}, {name: memory, weight: 1}]'), 62], ['a resource that nobody asks for', strategy('RequestedToCapacityRatio', `${ramp}, resources: [{name: cpu, weight: 1}, {name: example.com/gpu, weight: 5}]`), 37],
  ])('%s', (_what, config, score) => {
    const cluster = places({ a: {}, b: {} });
    make(cluster, 'ConfigMap', { metadata: { name: 'kube-scheduler' }, data: { 'config.yaml': config } }, 'kube-system');
    later(cluster, 1);
    expect(scored(cluster, 'NodeResourcesFit', pod('p', asks('1500m', '3Gi'))).a).toEqual([score, score]);
  });

  it('filters by what is asked for, not by what scores assume; and by the number of pods', () => {
    const cluster = places({ a: { room: { cpu: '50m', memory: '100Mi', pods: '1' } } });
    make(cluster, 'Pod', pod('fits'));
    later(cluster, 1);
    expect(get<Pod>(cluster.store, 'Pod', 'default/fits')!.spec.nodeName).toBe('a');
    make(cluster, 'Pod', pod('p', asks('60m')));
    later(cluster, 1);
    expect(decisionOf(cluster, 'default/p')!.message).toContain('0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods.');
  });
});

/** Pods of 3 cores fill the nodes; one of priority 1000 comes. Each row: what is on the nodes (name: priority), budgets, who goes. */
describe('table 19: whom preemption takes', () => {
  const CASES: [string, Record<string, [string, number, string?][]>, object | null, string[]][] = [
    ['1 where no budget is broken, even at a higher priority', { a: [['held', 1]], b: [['free', 5]] }, { app: 'held' }, ['free']],
    ['2 where the highest victim is lowest', { a: [['p9', 9, '1'], ['p1', 1, '2']], b: [['p5', 5, '3']] }, null, ['p5']],
    ['3 where the priorities sum to least', { a: [['a5', 5, '1500m'], ['a4', 4, '1500m']], b: [['b5', 5, '1500m'], ['b3', 3, '1500m']] }, null, ['b3', 'b5']],
    ['4 where there are fewest', { a: [['one', 5, '3']], b: [['two', 5, '1500m'], ['three', 5, '1500m']] }, null, ['one']],
    ['5 those that began last', { a: [['early', 5]], b: [['late', 5]] }, null, ['late']],
  ];
  it.each(CASES)('%s', (_what, on, budget, gone) => {
    const cluster = places({ a: {}, b: {} });
    for (const value of [1, 3, 4, 5, 9, 1000]) make(cluster, 'PriorityClass', { metadata: { name: `c${value}` }, value });
    if (budget) make(cluster, 'PodDisruptionBudget', { metadata: { name: 'b' }, spec: { minAvailable: 1, selector: { matchLabels: budget } } });
    for (const [where, those] of Object.entries(on)) {
      for (const [name, value, cpu = '3'] of those) {
        make(cluster, 'Pod', pod(name, asks(cpu, undefined, { nodeName: where, priorityClassName: `c${value}` }), { app: name }));
        later(cluster, 2);
        mutate<Pod>(cluster, 'Pod', `default/${name}`, (p) => {
          p.status = { ...p.status, phase: 'Running', startTime: new Date(Date.UTC(2026, 0, 15, 9) + cluster.timeline.now / 1e6).toISOString().replace(/\.\d+/, ''), conditions: [{ type: 'Ready', status: 'True' }] } as never;
        }, 'status');
      }
    }
    later(cluster, 2);
    make(cluster, 'Pod', pod('vip', asks('3500m', undefined, { priorityClassName: 'c1000' })));
    later(cluster, 2);
    expect(pods(cluster).filter((p) => p.metadata.deletionTimestamp).map((p) => p.metadata.name).sort()).toEqual(gone);
    expect(get<Pod>(cluster.store, 'Pod', 'default/vip')!.status.nominatedNodeName).toBe(Object.entries(on).find(([, those]) => those.some(([n]) => gone.includes(n)))![0]);
    expect(pods(cluster).find((p) => p.metadata.deletionTimestamp)!.metadata.deletionGracePeriodSeconds).toBe(30);
  });

  it('spares whom it can, the most important first', () => {
    const cluster = places({ a: {} });
    for (const value of [1, 5, 1000]) make(cluster, 'PriorityClass', { metadata: { name: `c${value}` }, value });
    for (const [name, value] of [['low', 1], ['high', 5]] as const) make(cluster, 'Pod', pod(name, asks('2', undefined, { nodeName: 'a', priorityClassName: `c${value}` })));
    later(cluster, 2);
    make(cluster, 'Pod', pod('vip', asks('2', undefined, { priorityClassName: 'c1000' })));
    later(cluster, 2);
    expect(pods(cluster).filter((p) => p.metadata.deletionTimestamp).map((p) => p.metadata.name)).toEqual(['low']);
  });
  it.each([['system-cluster-critical', 2_000_000_000], ['system-node-critical', 2_000_001_000]])('%s is %i', (name, value) => expect(get(lab(0).store, 'PriorityClass', name)!.value).toBe(value));
});

const web = (replicas: number, strategy: object = {}, container: object = {}): Json => ({
  metadata: { name: 'web' },
  spec: { replicas, strategy: { type: 'RollingUpdate', ...strategy }, selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i:1', ...container }] } } },
});
const rolling = (maxSurge: string | number, maxUnavailable: string | number): object => ({ rollingUpdate: { maxSurge, maxUnavailable } });
const isReady = (p: Pod): boolean => !p.metadata.deletionTimestamp && (p.status.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True');

describe('table 20: rollouts', () => {
  it.each<[number, object, number, number]>([
    [10, {}, 13, 8], [3, {}, 4, 3], [1, {}, 2, 1], [4, rolling(0, '50%'), 4, 2], [5, rolling('100%', 0), 10, 5], [7, rolling('30%', '30%'), 10, 5],
  ])('%i replicas with %j are at most %i, at least %i', (n, strategy, most, least) => {
    const cluster = lab(5);
    make(cluster, 'Deployment', web(n, strategy));
    later(cluster, 30);
    const seen = { most: 0, least: n };
    // every write counts, not only those between seconds; one that is about to be deleted no longer stands
    cluster.store.listeners.add(() => {
      const all = pods(cluster).filter((p) => !p.metadata.deletionTimestamp);
      seen.most = Math.max(seen.most, all.length);
      seen.least = Math.min(seen.least, all.filter(isReady).length);
    });
    mutate(cluster, 'Deployment', 'default/web', (d) => {
      d.spec.template.spec.containers[0].image = 'i:2';
    });
    later(cluster, 90);
    expect(pods(cluster).filter(isReady).map((p) => p.spec.containers[0]!.image)).toEqual(Array.from({ length: n }, () => 'i:2'));
    expect([seen.most, seen.least]).toEqual([most, least]);
  });
  it('both at nothing make one unavailable', () => {
    const cluster = lab(2);
    make(cluster, 'Deployment', web(3, rolling('0%', '10%')));
    later(cluster, 10);
    mutate(cluster, 'Deployment', 'default/web', (d) => {
      d.spec.template.spec.containers[0].image = 'i:2';
    });
    later(cluster, 60);
    expect(pods(cluster).filter(isReady).map((p) => p.spec.containers[0]!.image)).toEqual(['i:2', 'i:2', 'i:2']);
  });
  it('has stalled after 600 s, and keeps 10 revisions', () => {
    const cluster = lab(2);
    const made = make(cluster, 'Deployment', web(1));
    expect([made.spec.progressDeadlineSeconds, made.spec.revisionHistoryLimit]).toEqual([600, 10]);
    later(cluster, 10);
    mutate(cluster, 'Deployment', 'default/web', (d) => {
      d.spec.template.spec.nodeSelector = { none: 'such' };
    });
    const reason = (): string => get(cluster.store, 'Deployment', 'default/web')!.status.conditions.find((c: Json) => c.type === 'Progressing').reason;
    later(cluster, 598);
    expect(reason()).toBe('ReplicaSetUpdated');
    later(cluster, 12);
    expect(reason()).toBe('ProgressDeadlineExceeded');
  });
});

describe('table 20: the autoscaler', () => {
  it.each([[50, '90m', 75, 60], [10, '109m', 100, 10], [10, '111m', 100, 12], [10, '50m', 100, 5]])('%i pods that use %s of 100m at a target of %i per cent become %i', (n, usage, target, becomes) => {
    const cluster = lab(5);
    const body = web(n, {}, { resources: requests('100m') });
    body.spec.template.metadata.annotations = { 'kwok.x-k8s.io/usage-cpu': usage, 'kwok.x-k8s.io/usage-memory': '64Mi' };
    make(cluster, 'Deployment', body);
    later(cluster, 400);
    make(cluster, 'HorizontalPodAutoscaler', { metadata: { name: 'web' }, spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 1, maxReplicas: 100, metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: target } } }] } });
    // up at once, on the next round of 15 s; down only when five minutes have wanted it
    later(cluster, 17);
    expect(get(cluster.store, 'Deployment', 'default/web')!.spec.replicas).toBe(becomes > n ? becomes : n);
    later(cluster, becomes < n ? 300 : 0);
    expect(get(cluster.store, 'Deployment', 'default/web')!.spec.replicas).toBe(becomes);
  });
});

describe('table 20: a lost node', () => {
  it('is unknown 40 s after its last beat, and its pods are to go 300 s later, to the tick of 5 s', () => {
    const cluster = lab(3);
    make(cluster, 'Deployment', web(3));
    later(cluster, 20);
    const lease = get(cluster.store, 'Lease', 'kube-node-lease/hollow-1')!.spec.renewTime as string;
    const seconds = (time: string): number => Date.parse(time) / 1000;
    cluster.hollow.delete('hollow-1');
    later(cluster, 400);
    const node = get<Node>(cluster.store, 'Node', 'hollow-1')!;
    const lost = seconds(node.status.conditions!.find((c) => c.type === 'Ready')!.lastTransitionTime!) - seconds(lease);
    expect(lost).toBeGreaterThanOrEqual(40);
    expect(lost).toBeLessThanOrEqual(45);
    const [going] = list<Pod>(cluster.store, 'Pod').filter((p) => p.spec.nodeName === 'hollow-1');
    const told = seconds(going!.metadata.deletionTimestamp!) - going!.metadata.deletionGracePeriodSeconds! - seconds(lease);
    expect(told).toBeGreaterThanOrEqual(340);
    expect(told).toBeLessThanOrEqual(350);
    expect(events(cluster, 'hollow-1')).toContain('NodeNotReady: Node hollow-1 status is now: NodeNotReady');
    expect(amountOf('pods', node.status.allocatable!.pods)).toBe(110);
  });
});
