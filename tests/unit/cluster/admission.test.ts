/** Quotas, limits, accounts, priorities, security levels: what is added to a pod, what is refused, in the server's words. */
import { describe, expect, it } from 'vitest';
import { mutate, remove } from '../../../src/engine/cluster/api.ts';
import { get } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Json } from '../../../src/engine/cluster/types/objects.ts';
import { events, lab, later, make, pods, said } from './lab.ts';

const pod = (name: string, resources: object = {}, more: object = {}): Json => ({ metadata: { name }, spec: { containers: [{ name: 'c', image: 'i', resources }], ...more } });
const asks = (cpu: string, memory: string): object => ({ requests: { cpu, memory }, limits: { cpu, memory } });

describe('ResourceQuota', () => {
  const quota = (hard: object, more: object = {}): Json => ({ metadata: { name: 'q' }, spec: { hard, ...more } });

  it('refuses what is too much, and says how much is used', () => {
    const cluster = lab();
    make(cluster, 'ResourceQuota', quota({ 'requests.cpu': '1', 'requests.memory': '1Gi', 'limits.cpu': '2', 'limits.memory': '2Gi', pods: '3' }));
    later(cluster, 1);
    make(cluster, 'Pod', pod('a', asks('400m', '600Mi')));
    expect(get(cluster.store, 'ResourceQuota', 'default/q')!.status.used).toEqual({ 'requests.cpu': '400m', 'requests.memory': '600Mi', 'limits.cpu': '400m', 'limits.memory': '600Mi', pods: '1' });
    expect(said(() => make(cluster, 'Pod', pod('b', asks('400m', '700Mi'))))).toBe('pods "b" is forbidden: exceeded quota: q, requested: requests.memory=700Mi, used: requests.memory=600Mi, limited: requests.memory=1Gi');
    expect(said(() => make(cluster, 'Pod', pod('b', asks('700m', '700Mi'))))).toBe('pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=700m,requests.memory=700Mi, used: requests.cpu=400m,requests.memory=600Mi, limited: requests.cpu=1,requests.memory=1Gi');
    expect(said(() => make(cluster, 'Pod', pod('b', { requests: { cpu: '1m' } })))).toBe('pods "b" is forbidden: failed quota: q: must specify limits.cpu for: c; limits.memory for: c; requests.memory for: c');
  });

  it('gives back what goes and what ends', () => {
    const cluster = lab();
    make(cluster, 'ResourceQuota', quota({ pods: '2', 'count/configmaps': '2' }));
    later(cluster, 1);
    for (const name of ['a', 'b']) make(cluster, 'Pod', pod(name));
    expect(said(() => make(cluster, 'Pod', pod('c')))).toBe('pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2');
    remove(cluster, kindNamed('Pod'), 'default', 'a');
    mutate(cluster, 'Pod', 'default/b', (p) => {
      p.status.phase = 'Succeeded';
    }, 'status');
    later(cluster, 1);
    expect(get(cluster.store, 'ResourceQuota', 'default/q')!.status.used).toEqual({ pods: '0', 'count/configmaps': '1' });
    make(cluster, 'ConfigMap', { metadata: { name: 'x' } });
    expect(said(() => make(cluster, 'ConfigMap', { metadata: { name: 'y' } }))).toBe('configmaps "y" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=2, limited: count/configmaps=2');
  });

  it.each([
    [{ scopes: ['BestEffort'] }, '1'], [{ scopes: ['NotBestEffort'] }, '1'], [{ scopes: ['Terminating'] }, '0'], [{ scopes: ['NotTerminating'] }, '2'],
    [{ scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] } }, '1'],
  ])('counts within scopes %j', (scope, used) => {
    const cluster = lab();
    make(cluster, 'PriorityClass', { metadata: { name: 'high' }, value: 5 });
    make(cluster, 'ResourceQuota', quota({ pods: '9' }, scope));
    later(cluster, 1);
    make(cluster, 'Pod', pod('a'));
    make(cluster, 'Pod', pod('b', asks('1m', '1Mi'), { priorityClassName: 'high' }));
    expect(get(cluster.store, 'ResourceQuota', 'default/q')!.status.used.pods).toBe(used);
  });

  it('stops a ReplicaSet, which says so', () => {
    const cluster = lab(1);
    make(cluster, 'ResourceQuota', quota({ pods: '1' }));
    later(cluster, 1);
    make(cluster, 'Deployment', { metadata: { name: 'w' }, spec: { replicas: 2, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } } });
    later(cluster, 2);
    const rs = [...cluster.store.tables.get('ReplicaSet')!.values()][0]!;
    expect(pods(cluster)).toHaveLength(1);
    expect(events(cluster, rs.metadata.name).some((e) => /^FailedCreate: Error creating: pods "w-.*" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1$/.test(e))).toBe(true);
  });
});

describe('LimitRange', () => {
  const range = (item: object): Json => ({ metadata: { name: 'l' }, spec: { limits: [item] } });

  it('fills in what containers leave out', () => {
    const cluster = lab();
    make(cluster, 'LimitRange', range({ type: 'Container', default: { cpu: '500m', memory: '512Mi' }, defaultRequest: { cpu: '250m', memory: '256Mi' } }));
    const made = make(cluster, 'Pod', pod('a'));
    expect(made.spec.containers[0].resources).toEqual({ limits: { cpu: '500m', memory: '512Mi' }, requests: { cpu: '250m', memory: '256Mi' } });
    expect(made.metadata.annotations).toEqual({ 'kubernetes.io/limit-ranger': 'LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c' });
    expect(made.status.qosClass).toBe('Burstable');
  });

  it.each([
    [{ type: 'Container', max: { memory: '1Gi' } }, asks('1', '1536Mi'), 'maximum memory usage per Container is 1Gi, but limit is 1536Mi'],
    [{ type: 'Container', min: { memory: '500Mi' } }, asks('1', '100Mi'), 'minimum memory usage per Container is 500Mi, but request is 100Mi'],
    [{ type: 'Pod', max: { cpu: '2' } }, {}, 'maximum cpu usage per Pod is 2.  No limit is specified'],
    [{ type: 'Container', maxLimitRequestRatio: { cpu: '2' } }, { requests: { cpu: '100m' }, limits: { cpu: '300m' } }, 'cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000'],
    [{ type: 'Container', min: { cpu: '200m' }, max: { memory: '1Gi' }, default: { memory: '2Gi' }, defaultRequest: { cpu: '100m' } }, { limits: { cpu: '100m' } }, null],
  ])('holds to %j', (item, resources, message) => {
    const cluster = lab();
    if (message === null) {
      expect(said(() => make(cluster, 'LimitRange', range(item)))).toMatch(/is invalid/);
      return;
    }
    make(cluster, 'LimitRange', range(item));
    expect(said(() => make(cluster, 'Pod', pod('a', resources)))).toBe(`pods "a" is forbidden: ${message}`);
  });

  it('says everything that is wrong', () => {
    const cluster = lab();
    make(cluster, 'LimitRange', range({ type: 'Container', max: { cpu: '1', memory: '1Gi' } }));
    expect(said(() => make(cluster, 'Pod', pod('a', asks('2', '2Gi'))))).toBe('pods "a" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 1Gi, but limit is 2Gi]');
  });
});

describe('accounts, priorities, security', () => {
  it('mounts the account of a pod', () => {
    const cluster = lab();
    const made = make(cluster, 'Pod', pod('a'));
    const name = made.spec.volumes[0].name;
    expect(name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    expect(made.spec.containers[0].volumeMounts).toEqual([{ mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', name, readOnly: true }]);
    expect(make(cluster, 'Pod', pod('b', {}, { automountServiceAccountToken: false })).spec.volumes).toBeUndefined();
    expect(said(() => make(cluster, 'Pod', pod('c', {}, { serviceAccountName: 'bot' })))).toBe('pods "c" is forbidden: error looking up service account default/bot: serviceaccount "bot" not found');
    expect(get(cluster.store, 'ConfigMap', 'default/kube-root-ca.crt')).toBeDefined();
  });

  it('reads priorities from classes', () => {
    const cluster = lab();
    make(cluster, 'PriorityClass', { metadata: { name: 'usual' }, value: 7, globalDefault: true, preemptionPolicy: 'Never' });
    expect(make(cluster, 'Pod', pod('a')).spec).toMatchObject({ priority: 7, priorityClassName: 'usual', preemptionPolicy: 'Never' });
    expect(said(() => make(cluster, 'Pod', pod('b', {}, { priorityClassName: 'none' })))).toBe('pods "b" is forbidden: no PriorityClass with name none was found');
    expect(make(cluster, 'Pod', pod('c', {}, { priorityClassName: 'system-node-critical' })).spec.priority).toBe(2_000_001_000);
  });

  it.each([
    ['baseline', { hostNetwork: true }, 'violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'],
    ['baseline', { containers: [{ name: 'c', image: 'i', securityContext: { privileged: true } }] }, 'violates PodSecurity "baseline:latest": privileged (container "c" must not set securityContext.privileged=true)'],
    ['restricted', {}, 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'],
  ])('enforces %s on %j', (level, spec, message) => {
    const cluster = lab();
    make(cluster, 'Namespace', { metadata: { name: 'tight', labels: { 'pod-security.kubernetes.io/enforce': level } } });
    expect(said(() => make(cluster, 'Pod', pod('a', {}, spec), 'tight'))).toBe(`pods "a" is forbidden: ${message}`);
  });
});
