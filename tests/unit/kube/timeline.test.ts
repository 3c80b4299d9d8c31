/**
 * Acceptance table 20 on machines with kernels: when a container that crashes is started again, what the kernel would kill first, and which of a
 * service's pods a connection comes to. Times are what the container itself wrote; counts are the kernel's.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Desk, desk } from './world.ts';

const pod = (name: string, command: string, resources = '{}'): string => `apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  nodeName: node-1
  volumes: [{name: h, hostPath: {path: /var/tmp}}]
  containers:
  - {name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, ${JSON.stringify(command)}], resources: ${resources}, volumeMounts: [{name: h, mountPath: /h}]}
---
`;

let d: Desk;
beforeAll(() => {
  d = desk('three-nodes');
  d.put('pods.yaml', [
    pod('crash', 'date +%s >> /h/crash; exit 1'), pod('heals', 'date +%s >> /h/heals; n=$(wc -l < /h/heals); [ $n -eq 3 ] && sleep 601; exit 1'),
    pod('best', 'exec sleep 7001'), pod('burst', 'exec sleep 7002', '{requests: {memory: 512Mi}}'), pod('sure', 'exec sleep 7003', '{limits: {memory: 64Mi, cpu: 100m}}'),
  ].join(''));
  d.run('kubectl apply -f pods.yaml');
  d.run('kubectl create deployment web --image=nginx --replicas=3');
  d.run('kubectl expose deployment web --port=80');
  d.wait(10);
}, 300_000);

describe('table 20: quality of service', () => {
  it.each([['best', 7001, () => 1000], ['sure', 7003, () => -997], ['burst', 7002, (kib: number) => 1000 - Math.floor((1000 * 512 * 1024) / kib)]])('the kernel is told of %s', (_name, mark, adj) => {
    const kib = Number.parseInt(d.run("kubectl get node node-1 -o jsonpath='{.status.capacity.memory}'"), 10);
    expect(kib).toBeGreaterThan(1024 * 1024);
    expect(d.run(`ssh node-1 'cat /proc/$(pgrep -x -f "sleep ${mark}")/oom_score_adj'`)).toBe(`${adj(kib)}\n`);
  });
  it.each([['pause', -998], ['kubelet', -999], ['kube-proxy', -999]])('and of %s: %i', (comm, adj) => {
    const said = d.run(`ssh node-1 'for p in $(pgrep -x ${comm}); do cat /proc/$p/oom_score_adj; done'`).trim().split('\n');
    expect(new Set(said)).toEqual(new Set([String(adj)]));
  });
});

describe('table 20: kube-proxy', () => {
  it('gives three pods 1/3, 1/2, 1: each a third of 300 connections (chi-square, two degrees, p > 0.01)', () => {
    const address = d.run("kubectl get svc web -o jsonpath='{.spec.clusterIP}'");
    const rules = d.run("ssh node-1 iptables -t nat -S | grep 'default/web ->'");
    expect([...rules.matchAll(/--probability (\S+)|(-j)/g)].map((m) => m[1] ?? m[2])).toEqual(['0.33333333349', '-j', '0.50000000000', '-j', '-j']);
    d.run(`ssh node-1 'for i in $(seq 300); do wget -qO- http://${address} > /dev/null || echo failed; done'`);
    const counts = d.run("ssh node-1 iptables -t nat -L -v -x -n | grep 'default/web ->'").trim().split('\n').map((l) => Number(l.trim().split(/\s+/)[0]));
    expect(counts.reduce((a, b) => a + b, 0)).toBe(300);
    expect(counts.reduce((sum, n) => sum + (n - 100) ** 2 / 100, 0)).toBeLessThan(9.21);
    // what the counters say is what the pods saw
    const served = d.run("for p in $(kubectl get pods -l app=web -o name); do kubectl logs $p | grep -c 'GET / '; done").trim().split('\n').map(Number);
    expect(served.sort()).toEqual([...counts].sort());
  }, 300_000);
});

it('the bridge of a node keeps its MAC while pods come and go, so that others may remember it', () => {
  const mac = (): string => /link\/ether (\S+)/.exec(d.run('ssh node-1 ip link show cni0'))![1]!;
  const before = mac();
  for (let i = 0; i < 4; i++) d.run(`kubectl run m${i} --image=busybox --overrides='{"spec":{"nodeName":"node-1","terminationGracePeriodSeconds":0}}' --command -- sleep 100`);
  d.wait(4);
  expect(mac()).toBe(before);
  d.run('kubectl delete pod m0 m1 m2 m3 best burst sure');
  d.wait(3);
  expect(mac()).toBe(before);
}, 300_000);

describe('table 20: CrashLoopBackOff', () => {
  const starts = (file: string): number[] => d.run(`ssh node-1 cat /var/tmp/${file}`).trim().split('\n').map(Number);
  const gaps = (times: number[]): number[] => times.slice(1).map((t, i) => t - times[i]!);

  it('waits 10, 20, 40, 80, 160 and 300 s, to the kubelet\'s next look', () => {
    d.wait(660);
    const [first, ...rest] = gaps(starts('crash'));
    expect(first).toBeLessThanOrEqual(3);
    for (const [i, wanted] of [10, 20, 40, 80, 160, 300].entries()) {
      expect(rest[i], `back-off ${i + 1}`).toBeGreaterThanOrEqual(wanted);
      expect(rest[i], `back-off ${i + 1}`).toBeLessThanOrEqual(wanted + 3);
    }
    expect(d.run('kubectl get pod crash --no-headers')).toMatch(/^crash +0\/1 +(CrashLoopBackOff|Error) +7 /);
    expect(d.run("kubectl get pod crash -o jsonpath='{.status.containerStatuses[0].state.waiting.message}'")).toMatch(/^back-off 5m0s restarting failed container=c pod=crash_default\([0-9a-f-]{36}\)$/);
  }, 300_000);

  it('begins anew after ten minutes without a crash', () => {
    // two crashes, then one that lasted 601 s: the next start waits no more, the one after it 10 s
    const [a, b, long, next] = gaps(starts('heals'));
    expect([a! <= 3, b! >= 10 && b! <= 13]).toEqual([true, true]);
    expect(long).toBeGreaterThanOrEqual(601);
    expect(long).toBeLessThanOrEqual(604 + 10);
    expect(next).toBeLessThanOrEqual(23);
  });
});
