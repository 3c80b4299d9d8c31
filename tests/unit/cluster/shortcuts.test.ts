/** What the scheduler does for many nodes at once, keeps between cycles or reckons on paper says the same as asking each plugin of each node, anew. */
import { describe, expect, it } from 'vitest';
import { type Decision, decide, type Promised, promiseOf } from '../../../src/engine/cluster/scheduler/cycle.ts';
import { addPod, nodeInfo, removePod } from '../../../src/engine/cluster/scheduler/nodes.ts';
import { candidatesFor } from '../../../src/engine/cluster/scheduler/preemption.ts';
import type { FilterPlugin, NodeInfo, Profile } from '../../../src/engine/cluster/scheduler/profile.ts';
import { DEFAULT } from '../../../src/engine/cluster/scheduler/profiles.ts';
import type { KubeObject, Node, Pod } from '../../../src/engine/cluster/types/objects.ts';
import { below, createRandom, type Random } from '../../../src/engine/sim/random.ts';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
const NODES = 260;

const watcher: FilterPlugin = { name: 'Watcher', seesPods: true, filter: () => null };
/** Plugins that are asked node by node, and one that wants every trial to move pods. */
const SLOW: Profile = {
  ...DEFAULT,
  filters: [...DEFAULT.filters.map(({ sift: _, passes: __, ...rest }) => rest), watcher],
  scores: DEFAULT.scores.map(({ plugin: { scoreAll: _, plain: __, uniform, ...rest }, weight }) => ({
    weight,
    plugin: {
      ...rest,
      uniform(state) {
        uniform?.(state);
        return null;
      },
    },
  })),
};

function freshNodes(random: Random): NodeInfo[] {
  return Array.from({ length: NODES }, (_, i) => nodeInfo({
    apiVersion: 'v1', kind: 'Node',
    metadata: { name: `n${String(i).padStart(3, '0')}`, labels: { [HOST]: `n${i}`, ...(below(random, 20) === 0 ? {} : { [ZONE]: `z${i % 3}` }) } },
    spec: { ...(below(random, 15) === 0 ? { taints: [{ key: 'held', effect: 'NoSchedule' }] } : {}), ...(below(random, 25) === 0 ? { unschedulable: true } : {}) },
    status: { allocatable: { cpu: '4', memory: '8Gi', pods: '6', 'example.com/card': '2' } },
  } as unknown as Node));
}

const term = (key: string, app: string): object => ({ topologyKey: key, labelSelector: { matchLabels: { app } } });

function somePod(random: Random, n: number): Pod {
  const app = `app${below(random, 4)}`;
  const other = `app${below(random, 4)}`;
  const shapes: object[] = [
    {}, {}, {}, { nodeSelector: { [ZONE]: 'z1' } },
    { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(HOST, app)] } } },
    { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(ZONE, other)] } } },
    { affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 5, podAffinityTerm: term(ZONE, other) }] }, podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 9, podAffinityTerm: term(HOST, app) }] } } },
    { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app } } }] },
    { topologySpreadConstraints: [{ maxSkew: 2, topologyKey: HOST, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: { app } } }, { maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: { app } } }] },
  ];
  const requests = { cpu: `${100 + 100 * below(random, 12)}m`, memory: `${100 + 50 * below(random, 8)}Mi`, ...(below(random, 10) === 0 ? { 'example.com/card': '1' } : {}) };
  const ports = below(random, 12) === 0 ? [{ containerPort: 80, hostPort: 8080 }] : [];
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${n}`, namespace: 'default', uid: `p${n}`, labels: { app } },
    spec: { containers: [{ name: 'c', image: 'x', ports, resources: { requests } }], schedulerName: 'default-scheduler', priority: below(random, 5), ...shapes[below(random, shapes.length)]! },
    status: { startTime: `2026-01-15T09:${String(10 + below(random, 40))}:00Z` },
  } as unknown as Pod;
}

const told = (d: Decision): object => ({
  chosen: d.chosen, message: d.message, searched: d.searched, ties: d.ties, best: d.best, refused: [...d.refused], verdicts: d.verdicts, feasible: d.feasible, totals: Array.from(d.totals),
  scores: d.scores.map((s) => [s.plugin, s.applies, [...s.raw], [...s.norm]]),
});

/** The same nodes with the same pods, of which nothing is known yet. */
function anew(nodes: readonly NodeInfo[]): NodeInfo[] {
  return nodes.map((info) => {
    const fresh = nodeInfo(info.node);
    for (const pod of info.pods.values()) addPod(fresh, pod);
    return fresh;
  });
}

describe('shortcuts', () => {
  it.each([1, 2])('decide as the long way does, seed %i', (seed) => {
    const random = createRandom(seed);
    const nodes = freshNodes(random);
    const where = new Map<Pod, NodeInfo>();
    let start = 0;
    let placed = 0;
    for (let n = 0; n < 380; n++) {
      const pod = somePod(random, n);
      const nominated = new Map<string, Promised[]>(n % 7 === 0 ? [[nodes[below(random, NODES)]!.name, [promiseOf(somePod(random, 10_000 + n))]]] : []);
      const ask = (profile: Profile, among: NodeInfo[]): ReturnType<typeof decide> => decide({ pod, nodes: among, profile, random: createRandom(n), start, imageNodes: new Map(), defaultSelector: n % 3 === 0 ? { matchLabels: pod.metadata.labels! } : null, nominated, at: 0, attempt: 1 });
      const { decision, searched } = ask(DEFAULT, nodes);
      if (n % 10 === 0) expect(told(decision)).toEqual(told(ask(SLOW, anew(nodes)).decision));
      start = (start + searched) % NODES;
      if (decision.chosen !== null) {
        const info = nodes.find((one) => one.name === decision.chosen)!;
        addPod(info, pod);
        where.set(pod, info);
        placed++;
      }
      if (n % 5 !== 0) continue;
      const [gone, info] = [...where][below(random, where.size)]!;
      removePod(info, gone);
      where.delete(gone);
    }
    expect(placed).toBeGreaterThan(250);
  });

  it.each([1, 2])('find the same victims, seed %i', (seed) => {
    const random = createRandom(seed);
    const nodes = freshNodes(random).slice(0, 120);
    for (const [i, info] of nodes.entries()) for (let k = 0; k < 5; k++) addPod(info, somePod(random, i * 10 + k));
    const budgets = [{ metadata: { name: 'b', namespace: 'default' }, spec: { selector: { matchLabels: { app: 'app1' } } }, status: { disruptionsAllowed: 1 } } as unknown as KubeObject];
    let found = 0;
    for (let n = 0; n < 12; n++) {
      const pod = somePod(random, 20_000 + n);
      pod.spec.priority = 3 + (n % 4);
      pod.spec.containers[0]!.resources = { requests: { cpu: '3500m' } };
      const under = (profile: Profile): unknown => {
        const { decision } = decide({ pod, nodes, profile: { ...profile, percentageOfNodesToScore: 100 }, random: createRandom(1), start: 0, imageNodes: new Map(), at: 0, attempt: 1 });
        const candidates = candidatesFor(pod, nodes, decision, profile, n % 2 === 0 ? budgets : [], null, createRandom(n));
        found += candidates.length;
        return candidates.map((c) => [c.node, c.violations, c.victims.map((v) => v.metadata.name)]);
      };
      expect(under(DEFAULT)).toEqual(under(SLOW));
    }
    expect(found).toBeGreaterThan(100);
  });
});
