/** The scheduler's rules that no recording of 1.20 holds: newer fields of spreading, sidecars, nominated pods, budgets in preemption. */
import { describe, expect, it } from 'vitest';
import { type Decision, decide, imageCounts, type Promised, promiseOf } from '../../../src/engine/cluster/scheduler/cycle.ts';
import { addPod, demandOf, nodeInfo } from '../../../src/engine/cluster/scheduler/nodes.ts';
import { candidatesFor, pick, victimNames } from '../../../src/engine/cluster/scheduler/preemption.ts';
import type { NodeInfo } from '../../../src/engine/cluster/scheduler/profile.ts';
import { DEFAULT } from '../../../src/engine/cluster/scheduler/profiles.ts';
import type { Container, KubeObject, Node, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { createRandom } from '../../../src/engine/sim/random.ts';

const ZONE = 'topology.kubernetes.io/zone';
const node = (name: string, zone: string, taint?: string, cpu = '4'): NodeInfo =>
  nodeInfo({
    apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { [ZONE]: zone, 'kubernetes.io/hostname': name } },
    spec: { taints: taint ? [{ key: taint, effect: 'NoSchedule' }] : [] }, status: { allocatable: { cpu, memory: '8Gi', pods: '110' } },
  } as unknown as Node);
const pod = (name: string, spec: object = {}, labels: Record<string, string> = { app: 'a' }): Pod =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', uid: name, labels }, spec: { containers: [{ name: 'c', image: 'x' }], schedulerName: 'default-scheduler', ...spec }, status: {} }) as unknown as Pod;
const cpu = (amount: string, more: object = {}): object => ({ containers: [{ name: 'c', image: 'x', resources: { requests: { cpu: amount } } }], ...more });
const tryOn = (nodes: NodeInfo[], one: Pod, nominated?: Map<string, Promised[]>): Decision =>
  decide({ pod: one, nodes, profile: { ...DEFAULT, percentageOfNodesToScore: 100 }, random: createRandom(1), start: 0, imageNodes: imageCounts(nodes), at: 0, attempt: 1, ...(nominated ? { nominated } : {}) }).decision;

describe('spread constraints', () => {
  const spread = (more: object): object => ({ topologySpreadConstraints: [{ maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'a' } }, ...more }] });
  const three = (): NodeInfo[] => {
    const nodes = [node('n1', 'a'), node('n2', 'b'), node('n3', 'c', 'burning')];
    addPod(nodes[0]!, pod('one'));
    addPod(nodes[1]!, pod('two'));
    return nodes;
  };
  it.each([
    ['a zone behind a taint counts as empty', {}, []],
    ['unless taints are honoured', { nodeTaintsPolicy: 'Honor' }, ['n1', 'n2']],
  ])('%s', (_, more, feasible) => {
    expect(tryOn(three(), pod('p', spread(more))).feasible).toEqual(feasible);
  });
  it.each([
    ['a zone the pod may not use does not count', {}, ['n1', 'n2']],
    ['unless affinity is ignored', { nodeAffinityPolicy: 'Ignore' }, []],
  ])('%s', (_, more, feasible) => {
    const nodes = [node('n1', 'a'), node('n2', 'b'), node('n3', 'c')];
    addPod(nodes[0]!, pod('one'));
    addPod(nodes[1]!, pod('two'));
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: ZONE, operator: 'NotIn', values: ['c'] }] }] } } };
    expect(tryOn(nodes, pod('p', { ...spread(more), affinity })).feasible).toEqual(feasible);
  });
  it('with fewer zones than minDomains the least is none', () => {
    const nodes = [node('n1', 'a'), node('n2', 'b')];
    for (const n of nodes) addPod(n, pod(`on-${n.name}`));
    expect(tryOn(nodes, pod('p', spread({ minDomains: 2 }))).feasible).toEqual(['n1', 'n2']);
    expect(tryOn(nodes, pod('p', spread({ minDomains: 3 }))).feasible).toEqual([]);
  });
  it('matchLabelKeys counts pods of the same revision only', () => {
    const nodes = [node('n1', 'a'), node('n2', 'b')];
    addPod(nodes[0]!, pod('old', {}, { app: 'a', rev: '1' }));
    const next = pod('p', spread({ matchLabelKeys: ['rev', 'absent'] }), { app: 'a', rev: '2' });
    expect(tryOn(nodes, next).feasible).toEqual(['n1', 'n2']);
    expect(tryOn(nodes, pod('p', spread({}), { app: 'a', rev: '2' })).feasible).toEqual(['n2']);
  });
});

describe('what a pod takes', () => {
  const c = (amount: string, more: object = {}): Container => ({ name: 'c', image: 'x', resources: { requests: { cpu: amount } }, ...more }) as Container;
  it.each([
    ['sidecars run beside the containers', [c('100m', { restartPolicy: 'Always' })], [c('200m')], 300],
    ['an init container runs beside the sidecars before it', [c('100m', { restartPolicy: 'Always' }), c('500m'), c('50m', { restartPolicy: 'Always' })], [c('200m')], 600],
    ['and not beside those after it', [c('500m'), c('400m', { restartPolicy: 'Always' })], [c('200m')], 600],
  ])('%s', (_, initContainers, containers, milli) => {
    expect(demandOf({ initContainers, containers } as unknown as Pod['spec']).requests.get('cpu')).toBe(milli);
  });
});

describe('preemption', () => {
  it('keeps the place of a nominated pod against pods of no higher priority', () => {
    const nodes = [node('n1', 'a')];
    const waits = pod('waits', cpu('3', { priority: 100 }));
    const nominated = new Map([['n1', [promiseOf(waits)]]]);
    expect(tryOn(nodes, pod('small', cpu('2', { priority: 100 })), nominated).feasible).toEqual([]);
    expect(tryOn(nodes, pod('great', cpu('2', { priority: 101 })), nominated).feasible).toEqual(['n1']);
    expect(tryOn(nodes, waits, nominated).feasible).toEqual(['n1']);
  });
  it.each([
    ['prefers victims whom no budget holds, even of a higher priority', 0, 'n2', 0],
    ['takes the lower priority where the budget allows one', 1, 'n1', 0],
  ])('%s', (_, allowed, chosen, violations) => {
    const nodes = [node('n1', 'a'), node('n2', 'b')];
    addPod(nodes[0]!, pod('held', cpu('3', { priority: 1 }), { app: 'held' }));
    addPod(nodes[1]!, pod('free', cpu('3', { priority: 5 }), { app: 'free' }));
    const budget = { metadata: { name: 'b', namespace: 'default' }, spec: { selector: { matchLabels: { app: 'held' } } }, status: { disruptionsAllowed: allowed } } as unknown as KubeObject;
    const big = pod('big', cpu('3', { priority: 10 }));
    const found = pick(candidatesFor(big, nodes, tryOn(nodes, big), DEFAULT, [budget]))!;
    expect([found.node, found.violations, victimNames(found)]).toEqual([chosen, violations, [chosen === 'n1' ? 'default/held' : 'default/free']]);
  });
  it('leaves to a pod that was promised a node what was freed for it', () => {
    const nodes = [node('n1', 'a'), node('n2', 'b')];
    for (const [i, one] of nodes.entries()) addPod(one, pod(`low${i}`, cpu('3', { priority: 1 })));
    const nominated = new Map([['n1', [promiseOf(pod('first', cpu('3', { priority: 10 })))]]]);
    const second = pod('second', cpu('3', { priority: 10 }));
    const among = (one: Pod): string[] => candidatesFor(one, nodes, tryOn(nodes, one, nominated), DEFAULT, [], null, undefined, nominated).map((c) => c.node);
    expect(among(second)).toEqual(['n2']);
    expect(among(pod('greater', cpu('3', { priority: 11 })))).toEqual(['n1', 'n2']);
    expect(among(pod('ported', cpu('3', { priority: 10, containers: [{ name: 'c', image: 'x', ports: [{ containerPort: 1, hostPort: 1 }], resources: { requests: { cpu: '3' } } }] })))).toEqual(['n2']);
  });
  it('breaks a budget when there is no other way', () => {
    const nodes = [node('n1', 'a')];
    addPod(nodes[0]!, pod('held', cpu('3', { priority: 1 }), { app: 'held' }));
    const budget = { metadata: { name: 'b', namespace: 'default' }, spec: { selector: { matchLabels: { app: 'held' } } }, status: { disruptionsAllowed: 0 } } as unknown as KubeObject;
    const big = pod('big', cpu('3', { priority: 10 }));
    expect(pick(candidatesFor(big, nodes, tryOn(nodes, big), DEFAULT, [budget]))).toMatchObject({ node: 'n1', violations: 1 });
  });
});
