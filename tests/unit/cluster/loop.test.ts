import { describe, expect, it } from 'vitest';
import { create, mutate, remove, update } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { ApiError } from '../../../src/engine/cluster/errors.ts';
import { decisionOf, deploymentFacts, eventFacts, filterFacts, nodeFacts, podFacts, scoreFacts, serviceFacts } from '../../../src/engine/cluster/inspect.ts';
import { handle } from '../../../src/engine/cluster/server.ts';
import { get, list } from '../../../src/engine/cluster/store.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import { createTimeline, runTo } from '../../../src/engine/sim/timeline.ts';
import { createTrace, recordAt, traceHash } from '../../../src/engine/sim/trace.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { addHollowNodes } from '../../../src/engine/world/hollow.ts';

function lab(hollow: number, seed = 1): Cluster {
  const timeline = createTimeline();
  const trace = createTrace(timeline);
  const cluster = createCluster({ name: 'cluster', timeline, trace, seed });
  addHollowNodes(cluster, { hollow });
  return cluster;
}

const later = (cluster: Cluster, seconds: number): void => runTo(cluster.timeline, cluster.timeline.now + seconds * SECOND);

const web = (replicas: number, image = 'nginx:1', cpu = '100m'): object => ({
  metadata: { name: 'web' },
  spec: {
    replicas, selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image, resources: { requests: { cpu, memory: '64Mi' } } }] } },
  },
});
const apply = (cluster: Cluster, kind: string, body: object): unknown => create(cluster, kindNamed(kind), 'default', body);

describe('the control loop', () => {
  it('brings a deployment to its replicas, spread over nodes', () => {
    const cluster = lab(3);
    apply(cluster, 'Deployment', web(6));
    later(cluster, 5);
    expect(deploymentFacts(cluster)).toMatchObject([{ name: 'web', replicas: 6, ready: 6, updated: 6, available: 6 }]);
    expect(nodeFacts(cluster).map((n) => [n.pods, n.cpuRequested])).toEqual([[2, 200], [2, 200], [2, 200]]);
    expect(podFacts(cluster).every((p) => p.status === 'Running' && p.ready === '1/1')).toBe(true);
  });

  it('replaces a deleted pod and counts down by scale', () => {
    const cluster = lab(2);
    apply(cluster, 'Deployment', web(3));
    later(cluster, 5);
    const first = podFacts(cluster)[0]!;
    remove(cluster, kindNamed('Pod'), 'default', first.name);
    expect(podFacts(cluster).find((p) => p.name === first.name)?.status).toBe('Terminating');
    later(cluster, 5);
    expect(podFacts(cluster).map((p) => p.name)).not.toContain(first.name);
    expect(podFacts(cluster)).toHaveLength(3);
    mutate(cluster, 'Deployment', 'default/web', (d) => {
      d.spec.replicas = 1;
    });
    later(cluster, 5);
    expect(podFacts(cluster)).toHaveLength(1);
  });

  it('rolls within surge and unavailable', () => {
    const cluster = lab(5);
    apply(cluster, 'Deployment', web(10));
    later(cluster, 5);
    let most = 0;
    let least = 99;
    cluster.store.listeners.add((change) => {
      if (change.kind !== 'Pod') return;
      const pods = podFacts(cluster).filter((p) => !p.terminating);
      most = Math.max(most, pods.length);
      least = Math.min(least, pods.filter((p) => p.status === 'Running').length);
    });
    mutate(cluster, 'Deployment', 'default/web', (d) => {
      d.spec.template.spec.containers[0].image = 'nginx:2';
    });
    later(cluster, 60);
    expect(deploymentFacts(cluster)[0]).toMatchObject({ updated: 10, available: 10, image: 'nginx:2' });
    expect(list(cluster.store, 'ReplicaSet').map((r) => r.spec.replicas).sort()).toEqual([0, 10]);
    expect(most).toBeLessThanOrEqual(13);
    expect(least).toBeGreaterThanOrEqual(8);
  });

  it('deletes what a deleted owner owned', () => {
    const cluster = lab(2);
    apply(cluster, 'Deployment', web(2));
    later(cluster, 5);
    remove(cluster, kindNamed('Deployment'), 'default', 'web');
    later(cluster, 5);
    expect([list(cluster.store, 'ReplicaSet').length, podFacts(cluster).length]).toEqual([0, 0]);
  });

  it('empties a namespace before it ends', () => {
    const cluster = lab(1);
    create(cluster, kindNamed('Namespace'), undefined, { metadata: { name: 'dev' } });
    create(cluster, kindNamed('Deployment'), 'dev', web(2));
    later(cluster, 5);
    remove(cluster, kindNamed('Namespace'), undefined, 'dev');
    expect(get(cluster.store, 'Namespace', 'dev')?.status.phase).toBe('Terminating');
    expect(() => create(cluster, kindNamed('Pod'), 'dev', { metadata: { name: 'x' }, spec: { containers: [{ name: 'c', image: 'i' }] } })).toThrow(/being terminated/);
    later(cluster, 10);
    expect(get(cluster.store, 'Namespace', 'dev')).toBeUndefined();
    expect(podFacts(cluster, 'dev')).toEqual([]);
  });

  it('gives a service the addresses of its ready pods', () => {
    const cluster = lab(2);
    apply(cluster, 'Deployment', web(2));
    apply(cluster, 'Service', { metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } });
    later(cluster, 5);
    const service = serviceFacts(cluster).find((s) => s.name === 'web')!;
    expect(service.endpoints).toMatch(/^10\.244\.\d\.\d+:8080,10\.244\.\d\.\d+:8080$/);
    expect(service.clusterIp).toMatch(/^10\.(9[6-9]|10\d|11[01])\./);
  });

  it('says why a pod is pending and schedules it when room appears', () => {
    const cluster = lab(2);
    apply(cluster, 'Deployment', web(1, 'nginx', '6'));
    later(cluster, 3);
    const name = `default/${podFacts(cluster)[0]!.name}`;
    const decision = decisionOf(cluster, name)!;
    const says = '0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.';
    expect(decision.message).toBe(says);
    expect(eventFacts(cluster).filter((e) => e.reason === 'FailedScheduling')).toMatchObject([{ message: says, source: 'default-scheduler' }]);
    expect(filterFacts(decision).filter((f) => !f.ok).map((f) => [f.plugin, f.reason])).toEqual([['NodeResourcesFit', 'Insufficient cpu'], ['NodeResourcesFit', 'Insufficient cpu']]);
    mutate(cluster, 'Node', 'hollow-2', (n) => {
      n.status.allocatable = { ...n.status.allocatable, cpu: '8' };
    }, 'status');
    later(cluster, 30);
    expect(podFacts(cluster)[0]).toMatchObject({ node: 'hollow-2', status: 'Running' });
  });

  it('records scores whose weighted sum is the total', () => {
    const cluster = lab(3);
    apply(cluster, 'Deployment', web(4));
    later(cluster, 5);
    for (const pod of podFacts(cluster)) {
      const rows = scoreFacts(decisionOf(cluster, `default/${pod.name}`)!);
      for (const node of new Set(rows.map((r) => r.node))) {
        const mine = rows.filter((r) => r.node === node);
        expect(mine.reduce((sum, r) => sum + r.weighted, 0)).toBe(mine[0]!.total);
      }
    }
  });

  it('evicts for a pod of higher priority', () => {
    const cluster = lab(1);
    create(cluster, kindNamed('PriorityClass'), undefined, { metadata: { name: 'high' }, value: 1000 });
    apply(cluster, 'Deployment', web(3, 'nginx', '1300m'));
    later(cluster, 5);
    apply(cluster, 'Pod', { metadata: { name: 'vip' }, spec: { priorityClassName: 'high', containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] } });
    later(cluster, 15);
    expect(podFacts(cluster).find((p) => p.name === 'vip')).toMatchObject({ status: 'Running', node: 'hollow-1' });
    expect(podFacts(cluster).filter((p) => p.status === 'Pending')).toHaveLength(1);
  });

  it('refuses a stale write', () => {
    const cluster = lab(1);
    const made = apply(cluster, 'ConfigMap', { metadata: { name: 'c' }, data: { a: '1' } }) as { metadata: { resourceVersion: string } };
    update(cluster, kindNamed('ConfigMap'), 'default', 'c', { metadata: { name: 'c', resourceVersion: made.metadata.resourceVersion }, data: { a: '2' } });
    expect(() => update(cluster, kindNamed('ConfigMap'), 'default', 'c', { metadata: { name: 'c', resourceVersion: made.metadata.resourceVersion }, data: { a: '3' } })).toThrow(
      'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to the latest version and try again',
    );
  });

  it('moves pods off a silent node after 40 s and 300 s', () => {
    const cluster = lab(2);
    apply(cluster, 'Deployment', web(2));
    later(cluster, 5);
    cluster.hollow.delete('hollow-1');
    later(cluster, 60);
    expect(nodeFacts(cluster)[0]).toMatchObject({ name: 'hollow-1', ready: false });
    expect(podFacts(cluster).filter((p) => p.node === 'hollow-1' && !p.terminating)).toHaveLength(1);
    later(cluster, 310);
    expect(podFacts(cluster).filter((p) => p.node === 'hollow-1' && !p.terminating)).toHaveLength(0);
    expect(podFacts(cluster).filter((p) => p.node === 'hollow-2' && p.status === 'Running')).toHaveLength(2);
  });

  it('keeps the chain of causes from a request to a running pod', () => {
    const cluster = lab(2);
    handle(cluster, { method: 'POST', path: '/apis/apps/v1/namespaces/default/deployments', query: {}, headers: { 'user-agent': 'kubectl/v1.32.4' }, body: JSON.stringify(web(1)) });
    later(cluster, 5);
    const chain: string[] = [];
    let at = cluster.trace.records.find((r) => r.kind === 'pod.running');
    while (at) {
      chain.push(at.kind);
      at = at.because === undefined ? undefined : recordAt(cluster.trace, at.because);
    }
    expect(chain).toEqual(['pod.running', 'kubelet.start', 'sched.bind', 'sched.decision', 'pod.created', 'deployment.scaled', 'api.request']);
  });

  it('is the same history for the same seed', () => {
    const run = (seed: number): string => {
      const cluster = lab(4, seed);
      apply(cluster, 'Deployment', web(9));
      later(cluster, 20);
      return traceHash(cluster.trace);
    };
    expect(run(5)).toBe(run(5));
    expect(run(5)).not.toBe(run(6));
  });

  it('places 1,000 pods on 10 nodes', () => {
    const cluster = lab(10);
    apply(cluster, 'Deployment', web(1000, 'nginx', '10m'));
    later(cluster, 20);
    expect(podFacts(cluster).filter((p) => p.status === 'Running')).toHaveLength(1000);
  });
});

describe('what the API refuses', () => {
  const container = { name: 'c', image: 'i' };
  const deployment = (spec: object): object => ({
    metadata: { name: 'web' },
    spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [container] } }, ...spec },
  });
  const cases: [string, string, object, string | RegExp][] = [
    ['negative replicas', 'Deployment', deployment({ replicas: -1 }), 'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'],
    ['unknown field', 'Deployment', deployment({ replica: 3 }), 'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replica"'],
    ['text for a number', 'Deployment', deployment({ replicas: 'three' }), 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32'],
    ['boolean image', 'Pod', { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: true }] } }, 'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal bool into Go struct field Container.spec.containers.image of type string'],
    ['label mismatch', 'Deployment', deployment({ selector: { matchLabels: { a: 'c' } } }), 'Deployment.apps "web" is invalid: spec.template.metadata.labels: Invalid value: map[string]string{"a":"b"}: `selector` does not match template `labels`'],
    ['no containers', 'Pod', { metadata: { name: 'p' }, spec: { containers: [] } }, 'Pod "p" is invalid: spec.containers: Required value'],
    ['no image', 'Pod', { metadata: { name: 'p' }, spec: { containers: [{ name: 'c' }] } }, 'Pod "p" is invalid: spec.containers[0].image: Required value'],
    ['bad quantity', 'Pod', { metadata: { name: 'p' }, spec: { containers: [{ ...container, resources: { requests: { cpu: 'lots' } } }] } }, /quantities must match the regular expression/],
    ['request above limit', 'Pod', { metadata: { name: 'p' }, spec: { containers: [{ ...container, resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }] } }, 'Pod "p" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ['bad name', 'Pod', { metadata: { name: 'BadName' }, spec: { containers: [container] } }, /^Pod "BadName" is invalid: metadata.name: Invalid value: "BadName": a lowercase RFC 1123 subdomain/],
    ['no ports', 'Service', { metadata: { name: 's' }, spec: { selector: { a: 'b' } } }, 'Service "s" is invalid: spec.ports: Required value'],
    ['port out of range', 'Service', { metadata: { name: 's' }, spec: { ports: [{ port: 70000 }] } }, /spec.ports\[0\].port: Invalid value: 70000: must be between 1 and 65535, inclusive/],
    ['mount of no volume', 'Pod', { metadata: { name: 'p' }, spec: { containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v' }] }] } }, 'Pod "p" is invalid: spec.containers[0].volumeMounts[0].name: Not found: "v"'],
  ];
  it.each(cases)('%s', (_name, kind, body, message) => {
    const cluster = lab(0);
    let said = '';
    try {
      create(cluster, kindNamed(kind), 'default', body, { strict: true });
    } catch (error) {
      expect(error).toBeInstanceOf(ApiError);
      said = (error as ApiError).message;
    }
    if (typeof message === 'string') expect(said).toBe(message);
    else expect(said).toMatch(message);
  });
});
