/**
 * Each failure that can be staged, from its start to the state it recovers to, on machines: a node that is cut off, an API server that is down,
 * a full disk, an image that is missing, and a node that is gone with the volume of a pod (six minutes, or a taint that says it is gone).
 * (A node's power is in failures.test.ts.)
 */
import { describe, expect, it } from 'vitest';
import { desk, type Desk } from './world.ts';

const ready = (d: Desk, node: string): string => d.run(`kubectl get node ${node} -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}'`);
const taints = (d: Desk, node: string): string => d.run(`kubectl get node ${node} -o jsonpath='{.spec.taints[*].key}'`);
const running = (d: Desk, label: string): number => d.run(`kubectl get pods -l ${label} --no-headers`).split('\n').filter((l) => /1\/1 +Running/.test(l)).length;

describe('a node that is cut off', () => {
  it('for longer than the toleration loses its pods, runs them until it hears so, and is one of the others again', () => {
    const d = desk('three-nodes');
    d.run('kubectl create deployment web --image=nginx --replicas=3');
    d.wait(8);
    d.run("ssh node-1 '(sleep 1; ip link set eth0 down; sleep 400; ip link set eth0 up) >/dev/null 2>&1 &'");
    d.wait(52);
    expect([ready(d, 'node-1'), taints(d, 'node-1')]).toEqual(['Unknown', 'node.kubernetes.io/unreachable node.kubernetes.io/unreachable']);
    d.wait(320);
    // told to go, and replaced; nobody there has heard it
    expect(d.run('kubectl get pods -o wide --no-headers | grep node-1')).toMatch(/^web-\S+ +1\/1 +Terminating /);
    expect(running(d, 'app=web')).toBe(3);
    const took = d.until('kubectl get node node-1 --no-headers', / Ready /, 60);
    expect(took).toBeLessThan(50);
    d.wait(15);
    expect(taints(d, 'node-1')).toBe('');
    expect(d.run('kubectl get pods -o wide --no-headers | grep node-1')).toBe('');
    expect(d.run('ssh node-1 crictl ps -q --name nginx')).toBe('');
    d.run('kubectl scale deployment web --replicas=6');
    d.wait(8);
    expect(d.run('kubectl get pods -o wide --no-headers | grep node-1')).toMatch(/1\/1 +Running/);
  }, 300_000);
});

describe('an API server that is down', () => {
  it('leaves everything running, and decides and hears again within seconds of being back', () => {
    const d = desk('three-nodes');
    d.run('kubectl create deployment web --image=nginx --replicas=3');
    d.run('kubectl expose deployment web --port=80');
    d.wait(8);
    const address = d.run("kubectl get svc web -o jsonpath='{.spec.clusterIP}'");
    const node = d.run("kubectl get pods -l app=web -o jsonpath='{.items[0].spec.nodeName}'");
    d.run('ipmitool -H control-plane-bmc chassis power off');
    expect(d.run('kubectl get pods')).toContain('Unable to connect to the server: dial tcp 10.0.0.10:6443: connect: no route to host');
    expect(d.run(`ssh node-2 wget -qO- http://${address}`)).toContain('Welcome to nginx');
    // a container that dies meanwhile is the kubelet's affair alone
    d.run(`ssh ${node} 'crictl stop $(crictl ps -q --name nginx)'`);
    d.wait(120);
    expect(d.run(`ssh ${node} crictl ps --name nginx`)).toMatch(/Running +nginx +1 /);
    d.run('ipmitool -H control-plane-bmc chassis power on');
    const back = d.until('kubectl get --raw /readyz', /^ok/, 60);
    // nobody is lost: silence while nobody listened does not count
    expect(d.run('kubectl get nodes --no-headers').match(/ Ready /g)).toHaveLength(3);
    const lag = d.until('kubectl get pods -l app=web', /1 \(\d+s ago|1 \(\d+m/, 30);
    d.run('kubectl scale deployment web --replicas=5');
    const more = d.until('kubectl get deployment web --no-headers', / 5\/5 /, 30);
    expect([back < 60, lag <= 15, more <= 15]).toEqual([true, true, true]);
    d.wait(60);
    expect(d.run('kubectl get nodes --no-headers').match(/ Ready /g)).toHaveLength(3);
    expect(d.run('kubectl get pods --no-headers')).not.toMatch(/Terminating|Pending|Error/);
  }, 300_000);
});

describe('a disk that is full, and an image that is missing', () => {
  it('the node is under pressure until five minutes after there is room, then takes pods again', () => {
    const d = desk('three-nodes');
    d.run(`kubectl run p --image=nginx --overrides='{"spec":{"nodeName":"node-3"}}'`);
    d.wait(6);
    d.run('ssh node-3 fallocate -l 19G /big');
    d.wait(25);
    expect([d.run("kubectl get pod p -o jsonpath='{.status.reason}'"), taints(d, 'node-3')]).toEqual(['Evicted', 'node.kubernetes.io/disk-pressure']);
    d.run('ssh node-3 rm /big');
    d.run(`kubectl run q --image=nginx --overrides='{"spec":{"nodeSelector":{"kubernetes.io/hostname":"node-3"}}}'`);
    d.wait(280);
    expect(d.run('kubectl get pod q --no-headers')).toMatch(/ Pending /);
    expect(d.run('kubectl describe pod q')).toContain('1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }');
    d.until('kubectl get pod q --no-headers', / Running /, 60);
    expect(taints(d, 'node-3')).toBe('');
  }, 300_000);

  it('an image is asked for again after 10, 20, 40 s and so on, and starts once it is there', () => {
    const d = desk('three-nodes');
    d.run('kubectl create deployment api --image=registry.local/none:1');
    d.wait(8);
    expect(d.run('kubectl get pods -l app=api --no-headers')).toMatch(/ 0\/1 +(ErrImagePull|ImagePullBackOff) +0 /);
    d.wait(80);
    expect(d.run('kubectl get pods -l app=api --no-headers')).toMatch(/ 0\/1 +(ErrImagePull|ImagePullBackOff) +0 /);
    const pulls = Number(/Pulling +(?:\S+ )?\(x(\d+)/.exec(d.run('kubectl describe pod -l app=api'))?.[1] ?? 0);
    expect(pulls).toBe(4);
    d.run('kubectl set image deployment/api none=nginx');
    d.until('kubectl get deployment api --no-headers', / 1\/1 /, 20);
    expect(d.run('kubectl get pods -l app=api --no-headers').trim().split('\n').filter((l) => !l.includes('Terminating'))).toHaveLength(1);
  }, 300_000);
});

const SET = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "hostname >> /data/log; sync; exec sleep 100000"], volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: disk, resources: {requests: {storage: 1Gi}}}
`;

describe('a node that is gone with a volume', () => {
  function gone(): { d: Desk; node: string } {
    const d = desk('storage', 10);
    d.put('db.yaml', SET);
    d.run('kubectl apply -f db.yaml');
    d.wait(8);
    const node = d.run("kubectl get pod db-0 -o jsonpath='{.spec.nodeName}'");
    d.run(`ipmitool -H ${node}-bmc chassis power off`);
    d.wait(55);
    expect(ready(d, node)).toBe('Unknown');
    return { d, node };
  }
  /** Who has the volume of db-0 (the storage scenario has no other). */
  const where = (d: Desk): string => d.run("kubectl get volumeattachments -o jsonpath='{.items[*].spec.nodeName}'");

  it('keeps it six minutes after nobody wants it there any more', () => {
    const { d, node } = gone();
    d.run('kubectl delete pod db-0 --force --grace-period=0');
    d.wait(350);
    expect(d.run('kubectl describe pod db-0')).toContain('Volume is already exclusively attached to one node and can\'t be attached to another');
    expect(where(d)).toBe(node);
    const more = d.until('kubectl get pod db-0 --no-headers', /1\/1 +Running/, 60);
    expect(more).toBeLessThan(30);
    expect(where(d)).not.toBe(node);
    expect(d.run('kubectl exec db-0 -- cat /data/log')).toBe('db-0\ndb-0\n');
    d.run(`ipmitool -H ${node}-bmc chassis power on`);
    d.wait(45);
    expect([ready(d, node), d.run(`ssh ${node} mount`).includes('globalmount'), running(d, 'app=db')]).toEqual(['True', false, 1]);
  }, 300_000);

  it('gives it up at once when a taint says that it is out of service', () => {
    const { d, node } = gone();
    d.run(`kubectl taint node ${node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`);
    const took = d.until('kubectl get pod db-0 --no-headers -o wide', new RegExp(`1/1 +Running .* node-[^${node.slice(-1)}] `), 60);
    expect(took).toBeLessThan(30);
    expect(where(d)).not.toBe(node);
    expect(d.run('kubectl exec db-0 -- cat /data/log')).toBe('db-0\ndb-0\n');
  }, 300_000);
});
