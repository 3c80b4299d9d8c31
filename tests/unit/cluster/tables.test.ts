/**
 * Published numbers of the control plane: weights, score formulas with their worked examples, how many nodes are looked at, the
 * preemption cascade. Sources: pkg/scheduler (default_plugins.go, schedule_one.go, plugins/noderesources, plugins/imagelocality).
 */
import { describe, expect, it } from 'vitest';
import { create } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { type Decision, decide, imageCounts, nodesToFind } from '../../../src/engine/cluster/scheduler/cycle.ts';
import { addPod, nodeInfo } from '../../../src/engine/cluster/scheduler/nodes.ts';
import type { NodeInfo } from '../../../src/engine/cluster/scheduler/profile.ts';
import { DEFAULT } from '../../../src/engine/cluster/scheduler/profiles.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { KubeEvent, Node, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { createRandom } from '../../../src/engine/sim/random.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { addHollowNodes } from '../../../src/engine/world/hollow.ts';

const node = (name: string, cpu: string, memory: string, images: object[] = []): NodeInfo =>
  nodeInfo({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: {} }, spec: {}, status: { allocatable: { cpu, memory, pods: '110' }, images } } as unknown as Node);
const pod = (name: string, requests: object, more: object = {}): Pod =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', uid: name, labels: {} }, spec: { containers: [{ name: 'c', image: 'app:1', resources: { requests } }], ...more }, status: {} }) as unknown as Pod;
const scores = (nodes: NodeInfo[], one: Pod): Decision => decide({ pod: one, nodes, profile: DEFAULT, random: createRandom(1), start: 0, imageNodes: imageCounts(nodes), at: 0, attempt: 1 }).decision;
const of = (decision: Decision, plugin: string): number[] => [...decision.scores.find((s) => s.plugin === plugin)!.norm];

describe('the scheduler by its published numbers', () => {
  it('weighs 3 2 1 2 2 1 1: at most 1,200 in all', () => {
    const weights = Object.fromEntries(DEFAULT.scores.map((s) => [s.plugin.name, s.weight]));
    expect(weights).toEqual({ TaintToleration: 3, NodeAffinity: 2, NodeResourcesFit: 1, PodTopologySpread: 2, InterPodAffinity: 2, NodeResourcesBalancedAllocation: 1, ImageLocality: 1 });
    expect(DEFAULT.scores.reduce((sum, s) => sum + s.weight * 100, 0)).toBe(1200);
  });

  it('LeastAllocated: 1,500 of 4,000 millicores and 3 of 8 GiB are 62', () => {
    const nodes = [node('a', '4', '8Gi'), node('b', '4', '8Gi')];
    addPod(nodes[0]!, pod('there', { cpu: '1', memory: '2Gi' }));
    expect(of(scores(nodes, pod('p', { cpu: '500m', memory: '1Gi' })), 'NodeResourcesFit')).toEqual([62, 87]);
  });

  it('BalancedAllocation: shares of 0.6 and 0.2 are 80', () => {
    const nodes = [node('a', '10', '10Gi'), node('b', '10', '30Gi')];
    expect(of(scores(nodes, pod('p', { cpu: '6', memory: '2Gi' })), 'NodeResourcesBalancedAllocation')).toEqual([80, 73]);
  });

  it('ImageLocality: 250 MiB on one node of three are 6, on each of three 23', () => {
    const image = { names: ['app:1'], sizeBytes: 250 * 2 ** 20 };
    const one = [node('a', '4', '8Gi', [image]), node('b', '4', '8Gi'), node('c', '4', '8Gi')];
    expect(of(scores(one, pod('p', {})), 'ImageLocality')).toEqual([6, 0, 0]);
    const all = [node('a', '4', '8Gi', [image]), node('b', '4', '8Gi', [image]), node('c', '4', '8Gi', [image])];
    expect(of(scores(all, pod('p', {})), 'ImageLocality')).toEqual([23, 23, 23]);
  });

  it.each([
    [50, 50], [100, 100], [250, 120], [500, 230], [1000, 420], [2000, 680], [5000, 500], [5625, 281], [10000, 500], [15000, 750],
  ])('of %i nodes %i that fit are enough', (nodes, enough) => {
    expect(nodesToFind(nodes, 0)).toBe(enough);
  });
});

describe('a cascade of preemptions', () => {
  const later = (cluster: Cluster, seconds: number): void => runTo(cluster.timeline, cluster.timeline.now + seconds * SECOND);
  const make = (cluster: Cluster, kind: string, name: string, body: object): void => {
    create(cluster, kindNamed(kind), kindNamed(kind).namespaced ? 'default' : '', { metadata: { name }, ...body });
  };

  it('the highest takes the place of a lower one, whose successor takes that of a lower one still', () => {
    const timeline = createTimeline();
    const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed: 1 });
    addHollowNodes(cluster, { hollow: 2 });
    for (const [name, value] of [['high', 1000], ['mid', 500], ['low', 100]] as const) make(cluster, 'PriorityClass', name, { value });
    const template = (app: string, priorityClassName: string): object => ({ metadata: { labels: { app } }, spec: { priorityClassName, terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: 'x:1', resources: { requests: { cpu: '3' } } }] } });
    for (const name of ['low', 'mid']) make(cluster, 'ReplicaSet', name, { spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: template(name, name) } });
    later(cluster, 10);
    const where = (app: string): [string | undefined, string | undefined][] => list<Pod>(cluster.store, 'Pod').filter((p) => p.metadata.labels?.app === app && !p.metadata.deletionTimestamp).map((p) => [p.spec.nodeName, p.status.phase]);
    const midBefore = where('mid')[0]![0]!;
    const lowBefore = where('low')[0]![0]!;
    // A high one that may run on mid's node alone: mid must go, and finds low's node.
    make(cluster, 'Pod', 'high', { spec: { ...(template('high', 'high') as { spec: object }).spec, nodeSelector: { 'kubernetes.io/hostname': midBefore } } });
    later(cluster, 40);
    expect(get<Pod>(cluster.store, 'Pod', 'default/high')!.spec.nodeName).toBe(midBefore);
    expect(where('mid')).toEqual([[lowBefore, 'Running']]);
    expect(where('low')).toEqual([[undefined, 'Pending']]);
    expect(list<KubeEvent>(cluster.store, 'Event').filter((e) => e.reason === 'Preempted').map((e) => e.involvedObject.name.split('-')[0]).sort()).toEqual(['low', 'mid']);
  });
});
