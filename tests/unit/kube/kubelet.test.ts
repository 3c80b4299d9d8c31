import { describe, expect, it } from 'vitest';
import { create } from '../../../src/engine/cluster/api.ts';
import { eventFacts, nodeFacts, podFacts } from '../../../src/engine/cluster/inspect.ts';
import { get } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Pod } from '../../../src/engine/cluster/types/objects.ts';
import { oomScoreAdj, podSlice, resourcesOf, sharesOf, weightOf } from '../../../src/engine/userland/kube/qos.ts';
import { ctl, type Machine, machine, pass, startKubelet } from './machine.ts';

function node(): Machine {
  const m = machine();
  startKubelet(m);
  pass(m, 3);
  return m;
}

function pod(m: Machine, name: string, image: string, more: object = {}, container: object = {}): void {
  create(m.cluster, kindNamed('Pod'), 'default', { metadata: { name }, spec: { containers: [{ name: 'c', image, imagePullPolicy: 'IfNotPresent', ...container }], ...more } });
}
const status = (m: Machine, name: string): string => podFacts(m.cluster).find((p) => p.name === name)?.status ?? 'gone';
const restarts = (m: Machine, name: string): number => podFacts(m.cluster).find((p) => p.name === name)!.restarts;

describe('kubelet', () => {
  it('registers its node and keeps it ready', () => {
    const m = node();
    pass(m, 120);
    expect(nodeFacts(m.cluster)).toMatchObject([{ name: 'node-1', ready: true, cpuMilli: 2000, podsMax: 110, ip: '10.0.0.11', version: 'v1.32.4' }]);
    expect(ctl(m, 'kubectl get nodes -o wide')).toMatch(/node-1 {3}Ready {4}<none> {3}2m\d+s? {3}v1\.32\.4 {3}10\.0\.0\.11 {5}<none> {8}Debian GNU\/Linux 13 \(trixie\) {3}6\.12\.107\+deb13-cloud-amd64 {3}containerd:\/\/1\.7\.24/);
  });

  it('runs a pod and says so', () => {
    const m = node();
    m.behaviours['nginx'] = 'runs';
    pod(m, 'web', 'nginx');
    pass(m, 4);
    expect(podFacts(m.cluster)).toMatchObject([{ name: 'web', node: 'node-1', status: 'Running', ready: '1/1', ip: '10.244.1.5', qos: 'BestEffort' }]);
    expect(eventFacts(m.cluster, 'default').filter((e) => e.object === 'pod/web').map((e) => e.reason)).toEqual(expect.arrayContaining(['Scheduled', 'Pulled', 'Created', 'Started']));
    expect([...m.dirs].some((d) => d.includes('/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod'))).toBe(true);
  });

  it('ends a pod with its grace and removes what it made', () => {
    const m = node();
    m.behaviours['nginx'] = 'runs';
    pod(m, 'web', 'nginx');
    pass(m, 4);
    expect(ctl(m, 'kubectl delete pod web')).toBe('pod "web" deleted\n');
    expect(status(m, 'web')).toBe('gone');
    expect(m.calls.slice(-4)).toEqual(expect.arrayContaining(['StopPodSandbox', 'RemovePodSandbox']));
  });

  it('backs off 10, 20, 40 s between crashes', () => {
    const m = node();
    m.behaviours['crash'] = { after: 1, exitCode: 1 };
    pod(m, 'bad', 'crash');
    pass(m, 8);
    expect([status(m, 'bad'), restarts(m, 'bad')]).toEqual(['CrashLoopBackOff', 1]);
    pass(m, 10);
    expect(restarts(m, 'bad')).toBe(2);
    pass(m, 20);
    expect(restarts(m, 'bad')).toBe(3);
    pass(m, 30);
    expect(restarts(m, 'bad')).toBe(3);
    pass(m, 20);
    expect(restarts(m, 'bad')).toBe(4);
    expect(eventFacts(m.cluster).find((e) => e.reason === 'BackOff')?.message).toMatch(/^Back-off restarting failed container c in pod bad_default\([0-9a-f-]{36}\)$/);
  });

  it('completes a pod that is not restarted', () => {
    const m = node();
    m.behaviours['job'] = { after: 2, exitCode: 0 };
    m.behaviours['fails'] = { after: 2, exitCode: 3 };
    pod(m, 'done', 'job', { restartPolicy: 'Never' });
    pod(m, 'broken', 'fails', { restartPolicy: 'Never' });
    pass(m, 10);
    expect([status(m, 'done'), status(m, 'broken')]).toEqual(['Completed', 'Error']);
    expect(podFacts(m.cluster).map((p) => p.phase).sort()).toEqual(['Failed', 'Succeeded']);
  });

  it('says OOMKilled', () => {
    const m = node();
    m.behaviours['hog'] = { after: 1, exitCode: 137, reason: 'OOMKilled' };
    pod(m, 'hog', 'hog', { restartPolicy: 'Never' }, { resources: { limits: { memory: '64Mi' } } });
    pass(m, 6);
    expect(status(m, 'hog')).toBe('OOMKilled');
    expect(podFacts(m.cluster)[0]!.oomKilled).toBe(true);
    expect(ctl(m, 'kubectl describe pod hog')).toMatch(/ {4}State:\s+Terminated\n {6}Reason:\s+OOMKilled\n {6}Exit Code:\s+137\n/);
  });

  it('tries again to pull, ever more slowly', () => {
    const m = node();
    pod(m, 'none', 'nosuch:1');
    pass(m, 2.5);
    expect(status(m, 'none')).toMatch(/ErrImagePull|ImagePullBackOff/);
    pass(m, 4);
    expect(status(m, 'none')).toBe('ImagePullBackOff');
    m.behaviours['nosuch:1'] = 'runs';
    pass(m, 30);
    expect(status(m, 'none')).toBe('Running');
  });

  it('runs init containers one after another', () => {
    const m = node();
    m.behaviours['init'] = { after: 2, exitCode: 0 };
    m.behaviours['nginx'] = 'runs';
    pod(m, 'two', 'nginx', { initContainers: [{ name: 'i1', image: 'init', imagePullPolicy: 'IfNotPresent' }, { name: 'i2', image: 'init', imagePullPolicy: 'IfNotPresent' }] });
    pass(m, 2.5);
    expect(status(m, 'two')).toMatch(/^Init:[01]\/2$/);
    pass(m, 12);
    expect(status(m, 'two')).toBe('Running');
  });

  it('waits for a ConfigMap that its environment needs', () => {
    const m = node();
    m.behaviours['nginx'] = 'runs';
    pod(m, 'cfg', 'nginx', {}, { envFrom: [{ configMapRef: { name: 'settings' } }] });
    pass(m, 4);
    expect(status(m, 'cfg')).toBe('CreateContainerConfigError');
    create(m.cluster, kindNamed('ConfigMap'), 'default', { metadata: { name: 'settings' }, data: { A: '1' } });
    pass(m, 15);
    expect(status(m, 'cfg')).toBe('Running');
    expect([...m.containers.values()].at(-1).config.envs).toContainEqual({ key: 'A', value: '1' });
    expect([...m.containers.values()].at(-1).config.envs).toContainEqual({ key: 'KUBERNETES_SERVICE_HOST', value: '10.96.0.1' });
  });

  it('shows logs and runs commands', () => {
    const m = node();
    m.behaviours['nginx'] = 'runs';
    pod(m, 'web', 'nginx');
    pass(m, 4);
    expect(ctl(m, 'kubectl logs web')).toBe('hello\nworld\n');
    expect(ctl(m, 'kubectl logs web --tail=1')).toBe('world\n');
    expect(ctl(m, 'kubectl exec web -- echo hi')).toBe('echo hi\n');
    expect(ctl(m, 'kubectl exec web -- false')).toBe('false\ncommand terminated with exit code 1\n');
  });
});

describe('quality of service', () => {
  const made = (resources: object, more: object = {}): Pod => {
    const m = machine();
    create(m.cluster, kindNamed('Pod'), 'default', { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i', resources }], ...more } });
    return get<Pod>(m.cluster.store, 'Pod', 'default/p')!;
  };
  const GiB = 1024 ** 3;
  it.each([
    ['guaranteed', { limits: { cpu: '1', memory: '1Gi' } }, -997, /^\/kubepods\.slice\/kubepods-pod[0-9a-f_]+\.slice$/],
    ['best effort', {}, 1000, /^\/kubepods\.slice\/kubepods-besteffort\.slice\/kubepods-besteffort-pod[0-9a-f_]+\.slice$/],
    ['2 GiB of 16', { requests: { memory: '2Gi' } }, 875, /kubepods-burstable-pod/],
    ['all of it', { requests: { memory: '16Gi' } }, 3, /kubepods-burstable-pod/],
    ['only CPU', { requests: { cpu: '1' } }, 999, /kubepods-burstable-pod/],
  ])('%s', (_name, resources, adj, slice) => {
    const pod = made(resources);
    expect(oomScoreAdj(pod, pod.spec.containers[0]!, 16 * GiB)).toBe(adj);
    expect(podSlice(pod)).toMatch(slice);
  });
  it('turns CPU into shares, weights and quotas', () => {
    expect([sharesOf(0), sharesOf(250), sharesOf(1000), weightOf(2), weightOf(1024), weightOf(262144)]).toEqual([2, 256, 1024, 1, 39, 10000]);
    const pod = made({ requests: { cpu: '250m' }, limits: { cpu: '500m', memory: '128Mi' } });
    expect(resourcesOf(pod, pod.spec.containers[0]!, 16 * GiB)).toMatchObject({ cpuQuota: '50000', cpuPeriod: '100000', cpuShares: '256', memoryLimitInBytes: '134217728' });
  });
});
