/** StatefulSet, DaemonSet, Job, CronJob and claims: what their controllers make, in which order, and what they refuse. */
import { describe, expect, it } from 'vitest';
import { create, mutate, remove } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { ApiError } from '../../../src/engine/cluster/errors.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { KubeEvent, KubeObject, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { nextTime, parseSchedule, type Schedule } from '../../../src/engine/cluster/types/schedule.ts';
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
const apply = (cluster: Cluster, kind: string, name: string, spec: object): KubeObject => create(cluster, kindNamed(kind), 'default', { metadata: { name }, spec });
const pods = (cluster: Cluster): Pod[] => list<Pod>(cluster.store, 'Pod', 'default');
const names = (cluster: Cluster): string[] => pods(cluster).filter((p) => !p.metadata.deletionTimestamp).map((p) => p.metadata.name);
const said = (cluster: Cluster, about: string): string[] => list<KubeEvent>(cluster.store, 'Event', 'default').filter((e) => e.involvedObject.name === about).map((e) => e.message);
const template = (image = 'x:1', more: object = {}): object => ({ metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image }], ...more } });
const selector = { matchLabels: { app: 'a' } };
const finish = (cluster: Cluster, pod: Pod, phase: 'Succeeded' | 'Failed'): void => {
  mutate<Pod>(cluster, 'Pod', `default/${pod.metadata.name}`, (o) => {
    o.status = { ...o.status, phase, containerStatuses: [] };
  }, 'status');
};

describe('StatefulSet', () => {
  const set = (cluster: Cluster, more: object = {}): KubeObject => apply(cluster, 'StatefulSet', 'db', { replicas: 3, serviceName: 'db', selector, template: template(), ...more });

  it('makes its pods in order, each when the one before is ready', () => {
    const cluster = lab(2);
    set(cluster);
    later(cluster, 20);
    expect(names(cluster)).toEqual(['db-0', 'db-1', 'db-2']);
    const made = pods(cluster).map((p) => list<KubeEvent>(cluster.store, 'Event').find((e) => e.message.startsWith(`create Pod ${p.metadata.name}`))!.metadata.name.split('.')[1]!);
    expect([...made].sort()).toEqual(made);
    expect(pods(cluster)[1]).toMatchObject({ spec: { hostname: 'db-1', subdomain: 'db' }, metadata: { labels: { 'apps.kubernetes.io/pod-index': '1', 'statefulset.kubernetes.io/pod-name': 'db-1' } } });
    expect(get(cluster.store, 'StatefulSet', 'default/db')!.status).toMatchObject({ replicas: 3, readyReplicas: 3, updatedReplicas: 3 });
  });

  it('gives a name back to the pod that follows a deleted one', () => {
    const cluster = lab(2);
    set(cluster);
    later(cluster, 20);
    const before = pods(cluster)[1]!.metadata.uid;
    remove(cluster, kindNamed('Pod'), 'default', 'db-1');
    later(cluster, 20);
    expect(names(cluster)).toEqual(['db-0', 'db-1', 'db-2']);
    expect(pods(cluster)[1]!.metadata.uid).not.toBe(before);
  });

  it('shrinks from the highest number', () => {
    const cluster = lab(2);
    set(cluster);
    later(cluster, 20);
    mutate(cluster, 'StatefulSet', 'default/db', (o) => {
      o.spec.replicas = 1;
    });
    later(cluster, 20);
    expect(names(cluster)).toEqual(['db-0']);
    expect(said(cluster, 'db').filter((m) => m.startsWith('delete'))).toEqual(['delete Pod db-2 in StatefulSet db successful', 'delete Pod db-1 in StatefulSet db successful']);
  });

  it.each([[0, ['y:2', 'y:2', 'y:2']], [2, ['x:1', 'x:1', 'y:2']]])('updates from the highest number down to the partition %d', (partition, images) => {
    const cluster = lab(2);
    set(cluster, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition } } });
    later(cluster, 20);
    mutate(cluster, 'StatefulSet', 'default/db', (o) => {
      o.spec.template.spec.containers[0].image = 'y:2';
    });
    later(cluster, 60);
    expect(pods(cluster).map((p) => p.spec.containers[0]!.image)).toEqual(images);
    expect(list(cluster.store, 'ControllerRevision').map((r) => r.revision).sort()).toEqual([1, 2]);
  });

  it('keeps the claims of its pods, and says why they wait', () => {
    const cluster = lab(2);
    set(cluster, { volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }] });
    later(cluster, 20);
    expect(list(cluster.store, 'PersistentVolumeClaim').map((c) => c.metadata.name)).toEqual(['data-db-0']);
    expect(pods(cluster)[0]!.status).toMatchObject({ phase: 'Pending' });
    expect(said(cluster, 'db-0').join('\n')).toContain('0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.');
    expect(said(cluster, 'data-db-0')).toEqual(['no persistent volumes available for this claim and no storage class is set']);
  });
});

describe('DaemonSet', () => {
  it('has a pod on each node that fits, and follows nodes, labels and taints', () => {
    const cluster = lab(3);
    apply(cluster, 'DaemonSet', 'agent', { selector, template: template('x:1', { nodeSelector: { 'kubernetes.io/os': 'linux' } }) });
    later(cluster, 10);
    const where = (): string[] => pods(cluster).filter((p) => !p.metadata.deletionTimestamp).map((p) => p.spec.nodeName!).sort();
    const all = list(cluster.store, 'Node').map((n) => n.metadata.name);
    expect(where()).toEqual(all);
    mutate(cluster, 'Node', all[0]!, (o) => {
      o.spec.taints = [{ key: 'k', effect: 'NoExecute' }];
    });
    later(cluster, 60);
    expect(where()).toEqual(all.slice(1));
    expect(get(cluster.store, 'DaemonSet', 'default/agent')!.status).toMatchObject({ desiredNumberScheduled: 2, numberReady: 2, updatedNumberScheduled: 2, numberMisscheduled: 0 });
  });

  it('rolls one node at a time', () => {
    const cluster = lab(3);
    apply(cluster, 'DaemonSet', 'agent', { selector, template: template() });
    later(cluster, 10);
    mutate(cluster, 'DaemonSet', 'default/agent', (o) => {
      o.spec.template.spec.containers[0].image = 'y:2';
    });
    let least = 3;
    for (let i = 0; i < 200; i++) {
      later(cluster, 0.5);
      least = Math.min(least, pods(cluster).filter((p) => !p.metadata.deletionTimestamp && p.status.phase === 'Running').length);
    }
    expect(least).toBe(2);
    expect(pods(cluster).map((p) => p.spec.containers[0]!.image)).toEqual(['y:2', 'y:2', 'y:2']);
    expect(get(cluster.store, 'DaemonSet', 'default/agent')!.metadata.annotations).toMatchObject({ 'deprecated.daemonset.template.generation': '2' });
  });
});

describe('Job', () => {
  const job = (cluster: Cluster, more: object = {}): KubeObject => apply(cluster, 'Job', 'j', { template: template('x:1', { restartPolicy: 'Never' }), ...more });
  const status = (cluster: Cluster): KubeObject['status'] => get(cluster.store, 'Job', 'default/j')!.status;

  it('runs so many at a time until so many have succeeded', () => {
    const cluster = lab(2);
    job(cluster, { completions: 3, parallelism: 2 });
    later(cluster, 3);
    expect(names(cluster)).toHaveLength(2);
    for (let done = 0; done < 3; done++) {
      finish(cluster, pods(cluster).find((p) => p.status.phase === 'Running')!, 'Succeeded');
      later(cluster, 3);
    }
    expect(pods(cluster)).toHaveLength(3);
    expect(status(cluster)).toMatchObject({ succeeded: 3, conditions: [{ type: 'SuccessCriteriaMet' }, { type: 'Complete', status: 'True', reason: 'CompletionsReached' }] });
    expect(said(cluster, 'j').at(-1)).toBe('Job completed');
  });

  it('tries again after 10 and 20 s, and gives up at the limit', () => {
    const cluster = lab(2);
    job(cluster, { backoffLimit: 2 });
    const born: number[] = [];
    for (let i = 0; i < 600 && born.length < 4 && !status(cluster).conditions; i++) {
      later(cluster, 0.1);
      const running = pods(cluster).find((p) => p.status.phase === 'Running');
      if (!running) continue;
      born.push(cluster.timeline.now / SECOND);
      finish(cluster, running, 'Failed');
    }
    expect(born).toHaveLength(3);
    expect(born[1]! - born[0]!).toBeGreaterThan(9);
    expect(born[2]! - born[1]!).toBeGreaterThan(19);
    later(cluster, 1);
    expect(status(cluster)).toMatchObject({ failed: 3, conditions: [{ type: 'FailureTarget' }, { type: 'Failed', reason: 'BackoffLimitExceeded' }] });
  });

  it('counts completions by index', () => {
    const cluster = lab(2);
    job(cluster, { completions: 3, parallelism: 3, completionMode: 'Indexed' });
    later(cluster, 3);
    expect(pods(cluster).map((p) => p.metadata.annotations!['batch.kubernetes.io/job-completion-index']).sort()).toEqual(['0', '1', '2']);
    for (const p of pods(cluster)) if (p.metadata.annotations!['batch.kubernetes.io/job-completion-index'] !== '1') finish(cluster, p, 'Succeeded');
    later(cluster, 3);
    expect(status(cluster)).toMatchObject({ succeeded: 2, active: 1, completedIndexes: '0,2' });
  });

  it('ends at its deadline, is suspended and resumed, and goes after its time to live', () => {
    const cluster = lab(2);
    job(cluster, { activeDeadlineSeconds: 10, suspend: true, ttlSecondsAfterFinished: 5 });
    later(cluster, 20);
    expect([names(cluster), status(cluster).conditions[0].reason]).toEqual([[], 'JobSuspended']);
    mutate(cluster, 'Job', 'default/j', (o) => {
      o.spec.suspend = false;
    });
    later(cluster, 8);
    expect(names(cluster)).toHaveLength(1);
    later(cluster, 4);
    expect(status(cluster).conditions.at(-1)).toMatchObject({ type: 'Failed', reason: 'DeadlineExceeded' });
    later(cluster, 6);
    expect(get(cluster.store, 'Job', 'default/j')).toBeUndefined();
  });

  it.each([
    ['a policy that restarts for ever', { template: template() }, 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ['an index without completions', { completionMode: 'Indexed', parallelism: 2, template: template('x', { restartPolicy: 'Never' }) }, 'spec.completions: Required value: when completion mode is Indexed'],
    ['what is not modelled', { managedBy: 'x/y', template: template('x', { restartPolicy: 'Never' }) }, 'spec.managedBy: Forbidden: not modelled'],
  ])('refuses %s', (_, spec, message) => {
    expect(() => apply(lab(0), 'Job', 'j', spec)).toThrow(ApiError);
    expect(() => apply(lab(0), 'Job', 'j', spec)).toThrow(message);
  });
});

describe('CronJob', () => {
  const cron = (cluster: Cluster, more: object = {}): KubeObject => apply(cluster, 'CronJob', 'c', { schedule: '*/2 * * * *', jobTemplate: { spec: { template: template('x:1', { restartPolicy: 'Never' }) } }, ...more });
  const jobs = (cluster: Cluster): string[] => list(cluster.store, 'Job').map((j) => j.metadata.name);

  it('makes a job at each time, named after the minute', () => {
    const cluster = lab(2);
    cron(cluster);
    later(cluster, 250);
    expect(jobs(cluster)).toHaveLength(2);
    const [first, second] = jobs(cluster).map((name) => Number(name.split('-')[1]));
    expect(second! - first!).toBe(2);
  });

  it.each([['Forbid', 1], ['Replace', 1], ['Allow', 2]])('with concurrencyPolicy %s has %d at once', (concurrencyPolicy, n) => {
    const cluster = lab(2);
    cron(cluster, { concurrencyPolicy });
    later(cluster, 250);
    expect(jobs(cluster)).toHaveLength(n);
  });

  it('keeps as many that ended as it is told', () => {
    const cluster = lab(2);
    cron(cluster, { schedule: '* * * * *', successfulJobsHistoryLimit: 2 });
    for (let minute = 0; minute < 5; minute++) {
      later(cluster, 60);
      for (const p of pods(cluster)) if (p.status.phase === 'Running') finish(cluster, p, 'Succeeded');
    }
    later(cluster, 10);
    const ended = list(cluster.store, 'Job').filter((j) => j.status.completionTime);
    expect(ended).toHaveLength(2);
    expect(said(cluster, 'c').filter((m) => m.startsWith('Deleted job')).length).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['* * * *', 'expected exactly 5 fields, found 4: [* * * *]'], ['61 * * * *', 'end of range (61) above maximum (59): 61'], ['5-1 * * * *', 'beginning of range (5) beyond end of range (1): 5-1'],
    ['*/0 * * * *', 'step of range should be a positive number: */0'], ['@often', 'unrecognized descriptor: @often'], ['x * * * *', 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
  ])('refuses the schedule %s', (schedule, message) => {
    expect(parseSchedule(schedule)).toBe(message);
    expect(() => cron(lab(0), { schedule })).toThrow(message);
  });

  it.each([
    ['0 9 * * mon-fri', '2026-01-16T10:00:00Z', '2026-01-19T09:00:00Z'], ['30 */6 1,15 * *', '2026-01-15T18:30:00Z', '2026-02-01T00:30:00Z'], ['@hourly', '2026-01-15T09:00:00Z', '2026-01-15T10:00:00Z'],
    ['0 0 13 * 5', '2026-01-10T00:00:00Z', '2026-01-13T00:00:00Z'], ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
  ])('%s after %s is %s', (schedule, from, to) => {
    expect(nextTime(parseSchedule(schedule) as Schedule, Date.parse(from) / 1000)).toBe(Date.parse(to) / 1000);
  });
});
