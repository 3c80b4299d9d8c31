/** Autoscaler, metrics, disruption budgets and evictions, on hollow nodes whose pods use what their annotations say. */
import { describe, expect, it } from 'vitest';
import { mutate } from '../../../src/engine/cluster/api.ts';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import { get } from '../../../src/engine/cluster/store.ts';
import type { Condition, Json } from '../../../src/engine/cluster/types/objects.ts';
import { ask, events, lab, later, make, names, pods } from './lab.ts';

const web = (replicas: number, usage: string | null, request: string | null = '100m'): Json => ({
  metadata: { name: 'web' },
  spec: {
    replicas, selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' }, ...(usage ? { annotations: { 'kwok.x-k8s.io/usage-cpu': usage, 'kwok.x-k8s.io/usage-memory': '64Mi' } } : {}) },
      spec: { containers: [{ name: 'c', image: 'i', ...(request ? { resources: { requests: { cpu: request } } } : {}) }] },
    },
  },
});
const scaler = (spec: object): Json => ({ metadata: { name: 'web' }, spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 1, maxReplicas: 100, ...spec } });
const cpu = (percent: number): object => ({ metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } } }] });
const replicas = (cluster: Cluster): number => get(cluster.store, 'Deployment', 'default/web')!.spec.replicas;
const conditions = (cluster: Cluster, kind = 'HorizontalPodAutoscaler'): Record<string, string> =>
  Object.fromEntries((get(cluster.store, kind, 'default/web')!.status.conditions as Condition[]).map((c) => [c.type, `${c.status} ${c.reason}`]));
const use = (cluster: Cluster, amount: string): void => {
  for (const pod of pods(cluster)) {
    mutate(cluster, 'Pod', `default/${pod.metadata.name}`, (p) => {
      p.metadata.annotations = { ...p.metadata.annotations, 'kwok.x-k8s.io/usage-cpu': amount };
    });
  }
};

describe('HorizontalPodAutoscaler', () => {
  it('goes from 50 to 60 at 90 of 75 percent', () => {
    const cluster = lab(5);
    make(cluster, 'Deployment', web(50, '90m'));
    later(cluster, 400);
    make(cluster, 'HorizontalPodAutoscaler', scaler(cpu(75)));
    later(cluster, 17);
    expect(replicas(cluster)).toBe(60);
    expect(events(cluster, 'web')).toContain('SuccessfulRescale: New size: 60; reason: cpu resource utilization (percentage of request) above target');
    expect(get(cluster.store, 'HorizontalPodAutoscaler', 'default/web')!.status).toMatchObject({ currentReplicas: 50, desiredReplicas: 60, currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 90, averageValue: '90m' } } }] });
    expect(conditions(cluster)).toEqual({ AbleToScale: 'True SucceededRescale', ScalingActive: 'True ValidMetricFound', ScalingLimited: 'False DesiredWithinRange' });
  });

  it('stays within a tenth of the target', () => {
    const cluster = lab(2);
    make(cluster, 'Deployment', web(10, '109m'));
    later(cluster, 400);
    make(cluster, 'HorizontalPodAutoscaler', scaler(cpu(100)));
    later(cluster, 60);
    expect(replicas(cluster)).toBe(10);
    expect(conditions(cluster).AbleToScale).toBe('True ReadyForNewScale');
  });

  it('grows by doubling or four at most, each 15 s', () => {
    const cluster = lab(4);
    make(cluster, 'Deployment', web(1, '1000m'));
    later(cluster, 400);
    make(cluster, 'HorizontalPodAutoscaler', scaler({ ...cpu(50), maxReplicas: 12 }));
    later(cluster, 17);
    expect([replicas(cluster), conditions(cluster).ScalingLimited]).toEqual([5, 'True ScaleUpLimit']);
    later(cluster, 400);
    expect([replicas(cluster), conditions(cluster).ScalingLimited]).toEqual([12, 'True TooManyReplicas']);
  });

  it('shrinks only when five minutes have asked for less', () => {
    const cluster = lab(4);
    make(cluster, 'Deployment', web(8, '100m'));
    later(cluster, 400);
    make(cluster, 'HorizontalPodAutoscaler', scaler(cpu(100)));
    later(cluster, 30);
    use(cluster, '10m');
    later(cluster, 200);
    expect([replicas(cluster), conditions(cluster).AbleToScale]).toEqual([8, 'True ScaleDownStabilized']);
    later(cluster, 150);
    expect(replicas(cluster)).toBe(1);
    expect(events(cluster, 'web').some((e) => e === 'SuccessfulRescale: New size: 1; reason: All metrics below target')).toBe(true);
  });

  it('follows policies', () => {
    const cluster = lab(4);
    make(cluster, 'Deployment', web(10, '10m'));
    later(cluster, 400);
    make(cluster, 'HorizontalPodAutoscaler', scaler({ ...cpu(100), behavior: { scaleDown: { stabilizationWindowSeconds: 0, policies: [{ type: 'Pods', value: 2, periodSeconds: 60 }] } } }));
    later(cluster, 50);
    expect([replicas(cluster), conditions(cluster).ScalingLimited]).toEqual([8, 'True ScaleDownLimit']);
    later(cluster, 60);
    expect(replicas(cluster)).toBe(6);
  });

  it.each([
    ['no request', web(2, '10m', null), 400, 'FailedGetResourceMetric', 'failed to get cpu utilization: missing request for cpu in container c of Pod web-'],
    ['no metrics yet', web(2, '10m'), 3, 'FailedGetResourceMetric', 'failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API'],
  ])('says what it lacks: %s', (_name, body, wait, reason, message) => {
    const cluster = lab(2);
    make(cluster, 'Deployment', body);
    later(cluster, wait);
    make(cluster, 'HorizontalPodAutoscaler', scaler(cpu(50)));
    later(cluster, 16);
    const said = events(cluster, 'web');
    expect(said.some((e) => e.startsWith(`${reason}: ${message}`))).toBe(true);
    expect(said.some((e) => e.startsWith(`FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: ${message}`))).toBe(true);
    expect(conditions(cluster).ScalingActive).toBe('False FailedGetResourceMetric');
  });

  it('says when there is nothing to scale, or it is asleep', () => {
    const cluster = lab(1);
    make(cluster, 'HorizontalPodAutoscaler', scaler(cpu(50)));
    later(cluster, 16);
    expect(conditions(cluster)).toEqual({ AbleToScale: 'False FailedGetScale' });
    expect(events(cluster, 'web')).toEqual(['FailedGetScale: deployments/scale.apps "web" not found']);
    make(cluster, 'Deployment', web(0, null));
    later(cluster, 20);
    expect(conditions(cluster)).toEqual({ AbleToScale: 'True SucceededGetScale', ScalingActive: 'False ScalingDisabled' });
  });

  it('is served as v1 too', () => {
    const cluster = lab();
    make(cluster, 'HorizontalPodAutoscaler', scaler(cpu(50)));
    const path = '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers';
    expect(ask(cluster, 'GET', `${path}/web`).body).toMatchObject({ apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 50, maxReplicas: 100 } });
    ask(cluster, 'POST', path, { metadata: { name: 'old' }, spec: { scaleTargetRef: { kind: 'Deployment', name: 'x', apiVersion: 'apps/v1' }, maxReplicas: 3, targetCPUUtilizationPercentage: 70 } });
    expect(get(cluster.store, 'HorizontalPodAutoscaler', 'default/old')!.spec.metrics).toEqual([{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } }]);
  });
});

it('tells what pods and nodes use', () => {
  const cluster = lab(1);
  make(cluster, 'Deployment', web(2, '30m'));
  later(cluster, 60);
  const list = ask(cluster, 'GET', '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods').body;
  expect(list.items.map((m: Json) => m.containers)).toEqual([[{ name: 'c', usage: { cpu: '30000000n', memory: '65536Ki' } }], [{ name: 'c', usage: { cpu: '30000000n', memory: '65536Ki' } }]]);
  expect(ask(cluster, 'GET', '/apis/metrics.k8s.io/v1beta1/nodes/hollow-1').body.usage).toEqual({ cpu: '60000000n', memory: '131072Ki' });
  expect(ask(cluster, 'GET', '/apis/metrics.k8s.io/v1beta1/nodes/none').body.message).toBe('nodes.metrics.k8s.io "none" not found');
  ask(cluster, 'PUT', '/apis/metrics.k8s.io/v1beta1/nodes/real', { node: { nodeName: 'real', cpu: { usageNanoCores: 5 }, memory: { workingSetBytes: 2048 } }, pods: [] });
  make(cluster, 'Node', { metadata: { name: 'real' } });
  expect(ask(cluster, 'GET', '/apis/metrics.k8s.io/v1beta1/nodes/real').body.usage).toEqual({ cpu: '5n', memory: '2Ki' });
});

describe('PodDisruptionBudget', () => {
  const budget = (spec: object): Json => ({ metadata: { name: 'web' }, spec: { selector: { matchLabels: { app: 'web' } }, ...spec } });
  const evict = (cluster: Cluster, name: string): { status: number; body: Json } => ask(cluster, 'POST', `/api/v1/namespaces/default/pods/${name}/eviction`, { kind: 'Eviction', apiVersion: 'policy/v1', metadata: { name } });

  it.each([
    [{ minAvailable: 8 }, 2, 8, 10], [{ minAvailable: '75%' }, 2, 8, 10], [{ maxUnavailable: '25%' }, 3, 7, 10], [{ maxUnavailable: 1 }, 1, 9, 10], [{ minAvailable: '100%' }, 0, 10, 10], [{}, 9, 1, 10],
  ])('allows of ten, under %j, %i', (spec, allowed, desired, expected) => {
    const cluster = lab(2);
    make(cluster, 'Deployment', web(10, null));
    make(cluster, 'PodDisruptionBudget', budget(spec));
    later(cluster, 10);
    expect(get(cluster.store, 'PodDisruptionBudget', 'default/web')!.status).toMatchObject({ disruptionsAllowed: allowed, desiredHealthy: desired, expectedPods: expected, currentHealthy: 10, observedGeneration: 1 });
    expect(conditions(cluster, 'PodDisruptionBudget').DisruptionAllowed).toBe(allowed > 0 ? 'True SufficientPods' : 'False InsufficientPods');
  });

  it('lets one go, refuses the next, and allows again', () => {
    const cluster = lab(2);
    make(cluster, 'Deployment', web(3, null));
    make(cluster, 'PodDisruptionBudget', budget({ minAvailable: 2 }));
    later(cluster, 10);
    const [a, b] = names(cluster);
    expect(evict(cluster, a!)).toMatchObject({ status: 201, body: { status: 'Success' } });
    expect(evict(cluster, b!)).toMatchObject({
      status: 429, body: { reason: 'TooManyRequests', message: "Cannot evict pod as it would violate the pod's disruption budget.", details: { causes: [{ reason: 'DisruptionBudget', message: 'The disruption budget web needs 2 healthy pods and has 3 currently' }] } },
    });
    later(cluster, 30);
    expect(evict(cluster, b!).status).toBe(201);
    expect(pods(cluster).find((p) => p.metadata.name === b)!.status.conditions!.find((c) => c.type === 'DisruptionTarget')).toMatchObject({ status: 'True', reason: 'EvictionByEvictionAPI' });
  });

  it.each([['IfHealthyBudget', 429], ['AlwaysAllow', 201]])('a pod that is not ready, under %s: %i', (unhealthyPodEvictionPolicy, status) => {
    const cluster = lab(2);
    make(cluster, 'Deployment', web(2, null));
    make(cluster, 'PodDisruptionBudget', budget({ minAvailable: 2, unhealthyPodEvictionPolicy }));
    later(cluster, 10);
    const [first] = names(cluster);
    mutate(cluster, 'Pod', `default/${first}`, (p) => {
      p.status.conditions = p.status.conditions.map((c: Condition) => (c.type === 'Ready' ? { ...c, status: 'False' } : c));
    }, 'status');
    later(cluster, 1);
    expect(evict(cluster, first!).status).toBe(status);
  });

  it('refuses pods of two budgets', () => {
    const cluster = lab(1);
    make(cluster, 'Deployment', web(1, null));
    make(cluster, 'PodDisruptionBudget', budget({ minAvailable: 0 }));
    make(cluster, 'PodDisruptionBudget', { ...budget({ minAvailable: 0 }), metadata: { name: 'other' } });
    later(cluster, 10);
    expect(evict(cluster, names(cluster)[0]!)).toMatchObject({ status: 500, body: { message: 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.' } });
  });
});
