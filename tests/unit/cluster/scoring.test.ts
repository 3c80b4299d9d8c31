import { describe, expect, it } from 'vitest';
import { create, mutate, update } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { decisionOf, eventFacts, scoreFacts } from '../../../src/engine/cluster/inspect.ts';
import { ConfigError, readConfig } from '../../../src/engine/cluster/scheduler/config.ts';
import { beginCycle } from '../../../src/engine/cluster/scheduler/cycle.ts';
import { compile, ExpressionError } from '../../../src/engine/cluster/scheduler/expression.ts';
import { nodeInfo } from '../../../src/engine/cluster/scheduler/nodes.ts';
import { DEFAULT } from '../../../src/engine/cluster/scheduler/profiles.ts';
import { race } from '../../../src/engine/cluster/scheduler/race.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Node, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { addHollowNodes } from '../../../src/engine/world/hollow.ts';

function lab(hollow: number): Cluster {
  const timeline = createTimeline();
  const cluster = createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed: 1 });
  addHollowNodes(cluster, { hollow });
  return cluster;
}
const later = (cluster: Cluster, seconds: number): void => runTo(cluster.timeline, cluster.timeline.now + seconds * SECOND);

const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a', labels: { disk: 'ssd' } }, spec: {}, status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' } } } as unknown as Node;
const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default', uid: 'p' }, spec: { containers: [{ name: 'c', image: 'x', resources: { requests: { cpu: '1', memory: '2Gi' } } }] }, status: {} } as unknown as Pod;
const value = (rule: string): number => compile(rule)(beginCycle({ pod, nodes: [nodeInfo(node)], profile: DEFAULT, imageNodes: new Map() }), 0);

describe('a scoring rule', () => {
  it.each([
    ['1 + 2 * 3', 7], ['(1 + 2) * 3', 9], ['-2 - -3', 1], ['10 % 4', 2], ['1 / 0', 0], ['2 < 3 && 3 < 2', 0], ['2 < 3 || 3 < 2', 1], ['!0', 1], ['1 ? 2 : 3', 2], ['0 ? 2 : 0 ? 4 : 5', 5],
    ['100 * cpuAfter', 25], ['100 * memoryAfter', 25], ['cpu - cpuUsed', 4000], ['label("disk") == "ssd" ? 80 : 10', 80], ['label("gpu") == ""', 1], ['clamp(120, 0, 100)', 100], ['max(1, 5, 3) + floor(1.7)', 6], ['sqrt(-4)', 0], ['.5e1', 5],
  ])('%s is %d', (rule, is) => expect(value(rule)).toBe(is));

  it.each([
    ['', 1, 'missing at the end'], ['1 +', 4, 'missing at the end'], ['(1', 3, 'expected ")", but it ends here'], ['1 2', 3, 'unexpected "2"'], ['cpuu', 1, 'unknown name "cpuu"'], ['1 + $', 5, 'unexpected character "$"'],
    ['min()', 1, 'min takes 1 to 8 arguments, not 0'], ['clamp(1, 2)', 1, 'clamp takes 3'], ['constructor', 1, 'unknown name'], ['toString(1)', 1, 'unknown function'], ['1 ? 2', 6, 'expected ":"'], [`${'('.repeat(200)}1`, 41, 'nested too deep'],
  ])('%s fails at column %d', (rule, column, why) => {
    try {
      compile(rule);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ExpressionError);
      expect((error as ExpressionError).message).toContain(why);
      expect((error as ExpressionError).column).toBe(column);
    }
  });
});

const config = (rule: string, name = 'default-scheduler'): string => `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: ${name}
  plugins:
    score:
      disabled:
      - name: "*"
      enabled:
      - name: Expression
        weight: 2
  pluginConfig:
  - name: Expression
    args:
      rule: ${rule}
`;

describe('a scheduler configuration', () => {
  it.each([
    [config('100 * cpuAftr'), 'line 15, column 19: rule: unknown name "cpuAftr"'], [config('"1 +"'), 'line 15, column 17: rule: a number, name or "(" is missing at the end'], ['a: [', 'line 1, column'], ['kind: Pod', 'line 1, column 7: kind is not KubeSchedulerConfiguration but "Pod"'],
    [config('1').replace('weight: 2', 'weight: 0'), 'line 11, column 17: Invalid value: 0'], [config('1').replace('name: Expression\n        weight', 'name: Foo\n        weight'), 'unknown score plugin "Foo"'], [config('1').replace('profiles:', 'profiles: 3\nx:'), 'profiles: a list'],
    [config('1').replace('      enabled:\n', '      enabled: 7\n').replace(/ {6}- name: Expression\n.*\n/, ''), 'enabled: a list is needed'],
  ])('says where it is wrong', (source, why) => {
    expect(() => readConfig(source)).toThrow(ConfigError);
    expect(() => readConfig(source)).toThrow(why);
  });

  it('is read from its ConfigMap: pods pack, and each score says by which rule', () => {
    const cluster = lab(4);
    create(cluster, kindNamed('ConfigMap'), 'kube-system', { metadata: { name: 'kube-scheduler' }, data: { 'config.yaml': config('100 * cpuAfter') } });
    create(cluster, kindNamed('Deployment'), 'default', { metadata: { name: 'web' }, spec: { replicas: 8, selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'nginx', resources: { requests: { cpu: '100m' } } }] } } } });
    later(cluster, 5);
    const pods = list<Pod>(cluster.store, 'Pod');
    expect(new Set(pods.map((p) => p.spec.nodeName)).size).toBe(1);
    expect(scoreFacts(decisionOf(cluster, `default/${pods[7]!.metadata.name}`)!)[0]).toMatchObject({ plugin: 'Expression', weight: 2, formula: expect.stringContaining('100 * cpuAfter = ') });
    expect(eventFacts(cluster).some((e) => e.reason === 'Configured')).toBe(true);
  });

  it('that is wrong changes nothing, and says so; a second profile serves pods that name it', () => {
    const cluster = lab(3);
    const map = create(cluster, kindNamed('ConfigMap'), 'kube-system', { metadata: { name: 'kube-scheduler' }, data: { 'config.yaml': config('100 * nothing') } });
    later(cluster, 1);
    expect(eventFacts(cluster).find((e) => e.reason === 'InvalidConfiguration')?.message).toContain('line 15, column 19');
    expect(cluster.scheduler.profiles.get('default-scheduler')).toBe(DEFAULT);
    create(cluster, kindNamed('Pod'), 'default', { metadata: { name: 'p' }, spec: { schedulerName: 'packer', containers: [{ name: 'c', image: 'nginx' }] } });
    later(cluster, 3);
    expect(get<Pod>(cluster.store, 'Pod', 'default/p')!.spec.nodeName).toBeUndefined();
    update(cluster, kindNamed('ConfigMap'), 'kube-system', 'kube-scheduler', { ...map, metadata: { name: 'kube-scheduler' }, data: { 'config.yaml': config('1', 'packer') } });
    later(cluster, 3);
    expect(get<Pod>(cluster.store, 'Pod', 'default/p')!.spec.nodeName).toMatch(/^hollow-/);
  });
});

it('races profiles on the same pods without touching the cluster', () => {
  const cluster = lab(10);
  create(cluster, kindNamed('Deployment'), 'default', { metadata: { name: 'web' }, spec: { replicas: 30, selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'nginx', resources: { requests: { cpu: '400m', memory: '64Mi' } } }] } } } });
  later(cluster, 5);
  const before = cluster.store.revision;
  const { results } = race(cluster, config('100 * cpuAfter', 'packer'), {});
  expect(results.map((r) => [r.profile, r.pods, r.unscheduled, r.nodesUsed])).toEqual([['default', 30, 0, 10], ['packer', 30, 0, 3]]);
  expect(results[1]!.cpu).toBe(100);
  expect(results[1]!.uneven).toBeGreaterThan(results[0]!.uneven);
  expect(cluster.store.revision).toBe(before);
});

it('a gated pod waits for its gate', () => {
  const cluster = lab(2);
  create(cluster, kindNamed('Pod'), 'default', { metadata: { name: 'p' }, spec: { schedulingGates: [{ name: 'x/y' }], containers: [{ name: 'c', image: 'nginx' }] } });
  later(cluster, 3);
  expect(get<Pod>(cluster.store, 'Pod', 'default/p')!.spec.nodeName).toBeUndefined();
  mutate<Pod>(cluster, 'Pod', 'default/p', (p) => {
    delete p.spec.schedulingGates;
  });
  later(cluster, 3);
  expect(get<Pod>(cluster.store, 'Pod', 'default/p')!.status.phase).toBe('Running');
});
