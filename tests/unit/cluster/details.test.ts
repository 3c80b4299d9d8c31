/** minReadySeconds, surges, failures that are told, policies of Jobs, zones of CronJobs, replication controllers. */
import { describe, expect, it } from 'vitest';
import { mutate, remove } from '../../../src/engine/cluster/api.ts';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Condition, Json, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { offsetAt } from '../../../src/engine/cluster/types/zones.ts';
import { events, lab, later, make, names, pods } from './lab.ts';

const template = (image = 'i:1', more: object = {}): Json => ({ metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image }], ...more } });
const owner = (name: string, spec: object): Json => ({ metadata: { name }, spec: { selector: { matchLabels: { a: 'b' } }, template: template(), ...spec } });
const status = (cluster: Cluster, kind: string, name: string): Json => get(cluster.store, kind, `default/${name}`)!.status;
const reimage = (cluster: Cluster, kind: string, name: string): void => {
  mutate(cluster, kind, `default/${name}`, (o) => {
    o.spec.template.spec.containers[0].image = 'i:2';
  });
};
const end = (cluster: Cluster, pod: Pod, exitCode: number, conditions: Condition[] = []): void => {
  mutate<Pod>(cluster, 'Pod', `default/${pod.metadata.name}`, (o) => {
    const state = { terminated: { exitCode, finishedAt: '2026-01-15T09:00:00Z', startedAt: null } };
    o.status = { ...o.status, phase: exitCode === 0 ? 'Succeeded' : 'Failed', conditions, containerStatuses: [{ name: 'c', state, lastState: {}, ready: false, restartCount: 0, image: 'i', imageID: '' }] };
  }, 'status');
};
const condition = (cluster: Cluster, kind: string, name: string, type: string): Condition | undefined => (status(cluster, kind, name).conditions ?? []).find((c: Condition) => c.type === type);

describe('minReadySeconds', () => {
  it.each([['Deployment'], ['StatefulSet'], ['DaemonSet']])('%s', (kind) => {
    const cluster = lab(1);
    make(cluster, kind, owner('w', { minReadySeconds: 30, ...(kind === 'DaemonSet' ? {} : { replicas: 1 }), ...(kind === 'StatefulSet' ? { serviceName: 's' } : {}) }));
    const available = (): number => status(cluster, kind, 'w')[kind === 'DaemonSet' ? 'numberAvailable' : 'availableReplicas'] ?? 0;
    const ready = (): number => status(cluster, kind, 'w')[kind === 'DaemonSet' ? 'numberReady' : 'readyReplicas'] ?? 0;
    later(cluster, 15);
    expect([ready(), available()]).toEqual([1, 0]);
    later(cluster, 25);
    expect([ready(), available()]).toEqual([1, 1]);
  });

  it('slows a rollout', () => {
    const cluster = lab(3);
    make(cluster, 'Deployment', owner('w', { replicas: 4, minReadySeconds: 20, strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }));
    later(cluster, 60);
    reimage(cluster, 'Deployment', 'w');
    later(cluster, 30);
    expect(status(cluster, 'Deployment', 'w').updatedReplicas).toBe(2);
    later(cluster, 100);
    expect(status(cluster, 'Deployment', 'w')).toMatchObject({ updatedReplicas: 4, availableReplicas: 4, replicas: 4 });
  });
});

it('a Deployment tells why its set cannot grow, and goes on when it can', () => {
  const cluster = lab(1);
  make(cluster, 'ResourceQuota', { metadata: { name: 'q' }, spec: { hard: { pods: '1' } } });
  later(cluster, 1);
  make(cluster, 'Deployment', owner('w', { replicas: 2 }));
  later(cluster, 3);
  expect(condition(cluster, 'Deployment', 'w', 'ReplicaFailure')).toMatchObject({ status: 'True', reason: 'FailedCreate', message: expect.stringMatching(/^pods "w-.*" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1$/) });
  mutate(cluster, 'ResourceQuota', 'default/q', (o) => {
    o.spec.hard.pods = '5';
  });
  later(cluster, 30);
  expect([status(cluster, 'Deployment', 'w').readyReplicas, condition(cluster, 'Deployment', 'w', 'ReplicaFailure')]).toEqual([2, undefined]);
});

it('a Deployment whose set has the name of another hashes once more', () => {
  const cluster = lab(1);
  make(cluster, 'Deployment', owner('w', { replicas: 1 }));
  later(cluster, 3);
  const name = list(cluster.store, 'ReplicaSet')[0]!.metadata.name;
  remove(cluster, kindNamed('Deployment'), 'default', 'w');
  later(cluster, 3);
  make(cluster, 'ReplicaSet', { ...owner(name, { replicas: 0, selector: { matchLabels: { z: 'z' } } }), spec: { replicas: 0, selector: { matchLabels: { z: 'z' } }, template: { metadata: { labels: { z: 'z' } }, spec: { containers: [{ name: 'c', image: 'x' }] } } } });
  make(cluster, 'Deployment', owner('w', { replicas: 1 }));
  later(cluster, 5);
  expect(status(cluster, 'Deployment', 'w')).toMatchObject({ collisionCount: 1, readyReplicas: 1 });
});

it('a DaemonSet surges: the old pod stays until the new one is available', () => {
  const cluster = lab(3);
  make(cluster, 'DaemonSet', owner('d', { updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }, minReadySeconds: 5 }));
  later(cluster, 20);
  let fewest = 9;
  let most = 0;
  cluster.store.listeners.add((change) => {
    if (change.kind !== 'Pod') return;
    const live = pods(cluster).filter((p) => !p.metadata.deletionTimestamp);
    fewest = Math.min(fewest, live.filter((p) => p.status.phase === 'Running').length);
    most = Math.max(most, live.length);
  });
  reimage(cluster, 'DaemonSet', 'd');
  later(cluster, 60);
  expect([fewest, most]).toEqual([3, 4]);
  expect(pods(cluster).map((p) => p.spec.containers[0]!.image)).toEqual(['i:2', 'i:2', 'i:2']);
  expect(status(cluster, 'DaemonSet', 'd')).toMatchObject({ updatedNumberScheduled: 3, numberAvailable: 3, desiredNumberScheduled: 3 });
});

it('a ReplicationController keeps its pods', () => {
  const cluster = lab(1);
  make(cluster, 'ReplicationController', { metadata: { name: 'r' }, spec: { replicas: 3, template: template() } });
  later(cluster, 5);
  expect(status(cluster, 'ReplicationController', 'r')).toMatchObject({ replicas: 3, readyReplicas: 3, availableReplicas: 3 });
  remove(cluster, kindNamed('Pod'), 'default', names(cluster)[0]!);
  later(cluster, 5);
  expect(names(cluster)).toHaveLength(3);
});

describe('Job policies', () => {
  const job = (cluster: Cluster, spec: object): void => {
    make(cluster, 'Job', { metadata: { name: 'j' }, spec: { template: { spec: { containers: [{ name: 'c', image: 'i' }], restartPolicy: 'Never' } }, ...spec } });
    later(cluster, 3);
  };
  const rule = { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }, { action: 'FailJob', onExitCodes: { containerName: 'c', operator: 'In', values: [42] } }] };

  it('fails at once on an exit code', () => {
    const cluster = lab(1);
    job(cluster, { podFailurePolicy: rule });
    const [pod] = pods(cluster);
    end(cluster, pod!, 42);
    later(cluster, 2);
    expect(condition(cluster, 'Job', 'j', 'Failed')).toMatchObject({ reason: 'PodFailurePolicy', message: `Container c for pod default/${pod!.metadata.name} failed with exit code 42 matching FailJob rule at index 1` });
  });

  it('ignores disruptions', () => {
    const cluster = lab(1);
    job(cluster, { podFailurePolicy: rule, backoffLimit: 0 });
    end(cluster, pods(cluster)[0]!, 1, [{ type: 'DisruptionTarget', status: 'True' }]);
    later(cluster, 5);
    expect([condition(cluster, 'Job', 'j', 'Failed'), names(cluster).length, status(cluster, 'Job', 'j').failed]).toEqual([undefined, 2, undefined]);
    end(cluster, pods(cluster).find((p) => p.status.phase !== 'Failed')!, 1);
    later(cluster, 5);
    expect(condition(cluster, 'Job', 'j', 'Failed')).toMatchObject({ reason: 'BackoffLimitExceeded' });
  });

  it('gives up indexes by themselves', () => {
    const cluster = lab(1);
    job(cluster, { completionMode: 'Indexed', completions: 3, parallelism: 3, backoffLimitPerIndex: 0 });
    const byIndex = (n: number): Pod => pods(cluster).find((p) => p.metadata.annotations?.['batch.kubernetes.io/job-completion-index'] === String(n))!;
    end(cluster, byIndex(1), 1);
    for (const n of [0, 2]) end(cluster, byIndex(n), 0);
    later(cluster, 3);
    expect(status(cluster, 'Job', 'j')).toMatchObject({ failedIndexes: '1', completedIndexes: '0,2', succeeded: 2, failed: 1 });
    expect(condition(cluster, 'Job', 'j', 'Failed')).toMatchObject({ reason: 'FailedIndexes', message: 'Job has failed indexes' });
  });

  it('is done when enough succeeded', () => {
    const cluster = lab(1);
    job(cluster, { completionMode: 'Indexed', completions: 3, parallelism: 3, successPolicy: { rules: [{ succeededIndexes: '0' }] } });
    end(cluster, pods(cluster).find((p) => p.metadata.annotations?.['batch.kubernetes.io/job-completion-index'] === '0')!, 0);
    later(cluster, 3);
    expect(condition(cluster, 'Job', 'j', 'Complete')).toMatchObject({ reason: 'SuccessPolicy', message: 'Matched rules at index 0' });
    expect(condition(cluster, 'Job', 'j', 'SuccessCriteriaMet')).toMatchObject({ status: 'True', reason: 'SuccessPolicy' });
    expect(names(cluster).length).toBeLessThan(3);
  });

  it('goes after its time to live', () => {
    const cluster = lab(1);
    job(cluster, { ttlSecondsAfterFinished: 60 });
    end(cluster, pods(cluster)[0]!, 0);
    later(cluster, 50);
    expect(get(cluster.store, 'Job', 'default/j')).toBeDefined();
    later(cluster, 20);
    expect([get(cluster.store, 'Job', 'default/j'), pods(cluster).length]).toEqual([undefined, 0]);
  });
});

describe('time zones', () => {
  it.each([
    ['UTC', '2026-01-15T12:00:00Z', 0], ['Asia/Kolkata', '2026-07-15T12:00:00Z', 330], ['Europe/Berlin', '2026-03-29T00:59:59Z', 60], ['Europe/Berlin', '2026-03-29T01:00:00Z', 120], ['Europe/Berlin', '2026-10-25T01:00:00Z', 60],
    ['America/New_York', '2026-03-08T06:59:59Z', -300], ['America/New_York', '2026-03-08T07:00:00Z', -240], ['America/New_York', '2026-11-01T06:00:00Z', -300],
  ])('%s at %s is %i minutes off', (zone, at, minutes) => expect(offsetAt(zone, Date.parse(at) / 1000)).toBe(minutes * 60));

  it('a CronJob follows its zone', () => {
    const cluster = lab(1);
    make(cluster, 'CronJob', { metadata: { name: 'c' }, spec: { schedule: '30 18 * * *', timeZone: 'Asia/Tokyo', jobTemplate: { spec: { template: { spec: { containers: [{ name: 'c', image: 'i' }], restartPolicy: 'Never' } } } } } });
    later(cluster, 24 * 3600);
    expect(status(cluster, 'CronJob', 'c').lastScheduleTime).toMatch(/T09:30:00Z$/);
    expect(events(cluster, 'c').length).toBeGreaterThanOrEqual(0);
  });
});

describe('endpoints', () => {
  const web = (replicas: number): Json => owner('w', { replicas, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: 8080 }] }] } } });
  const service = (more: object = {}): Json => ({ metadata: { name: 's' }, spec: { selector: { a: 'b' }, ports: [{ port: 80, targetPort: 'http' }], ...more } });
  const slices = (cluster: Cluster): Json[] => list(cluster.store, 'EndpointSlice', 'default').filter((s) => s.metadata.labels?.['kubernetes.io/service-name'] === 's');

  it('come in slices of a hundred', () => {
    const cluster = lab(3);
    make(cluster, 'Service', service());
    make(cluster, 'Deployment', web(230));
    later(cluster, 20);
    expect(slices(cluster).map((s) => s.endpoints.length).sort()).toEqual([100, 100, 30]);
    expect(slices(cluster)[0].ports).toEqual([{ name: '', port: 8080, protocol: 'TCP' }]);
    expect(get(cluster.store, 'Endpoints', 'default/s')!.subsets[0].addresses).toHaveLength(230);
    mutate(cluster, 'Deployment', 'default/w', (o) => {
      o.spec.replicas = 10;
    });
    later(cluster, 20);
    expect(slices(cluster).reduce((n, s) => n + s.endpoints.length, 0)).toBe(10);
  });

  it('keep what terminates, as such', () => {
    const cluster = lab(1);
    make(cluster, 'Service', service());
    make(cluster, 'Deployment', web(1));
    later(cluster, 5);
    remove(cluster, kindNamed('Pod'), 'default', names(cluster)[0]!);
    later(cluster, 0.3);
    const conditions = slices(cluster).flatMap((s) => s.endpoints.map((e: Json) => e.conditions));
    expect(conditions).toContainEqual({ ready: false, serving: true, terminating: true });
    expect(get(cluster.store, 'Endpoints', 'default/s')!.subsets).toBeUndefined();
    later(cluster, 10);
    expect(slices(cluster).flatMap((s) => s.endpoints.map((e: Json) => e.conditions))).toEqual([{ ready: true, serving: true, terminating: false }]);
  });

  it('of a service without selector are what somebody wrote, mirrored', () => {
    const cluster = lab(0);
    make(cluster, 'Service', { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } });
    make(cluster, 'Endpoints', { metadata: { name: 's' }, subsets: [{ addresses: [{ ip: '192.0.2.7' }], ports: [{ port: 9376 }] }] });
    later(cluster, 1);
    expect(slices(cluster)).toMatchObject([{ endpoints: [{ addresses: ['192.0.2.7'], conditions: { ready: true } }], ports: [{ port: 9376 }], metadata: { labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' } } }]);
  });
});
