/**
 * The control plane's speed: pods from their creation to running on 10 nodes; 150,000 pods on 5,000 nodes; the shapes of
 * scheduler_perf beside the published floors (theirs have a network API server and etcd between them, ours a function call);
 * the cost of a decision from 100 to 5,000 nodes. All nodes are hollow. Every decision is recorded.
 */
import { loadAssets } from '../../src/cli/assets.ts';
import { handle } from '../../src/engine/cluster/server.ts';
import type { Cluster } from '../../src/engine/cluster/state.ts';
import { advance, createWorld } from '../../src/engine/world/world.ts';
import { FLOORS, labelNodes, type Shape, SHAPES, small } from './shapes.ts';

interface Bench {
  world: ReturnType<typeof createWorld>;
  cluster: Cluster;
  /** Pods that have been given a node so far. */
  placed: number;
}

function open(nodes: number): Bench {
  const world = createWorld(loadAssets(), `cluster-${nodes}`, 1);
  advance(world, 1e9);
  labelNodes(world.cluster!);
  const bench: Bench = { world, cluster: world.cluster!, placed: 0 };
  bench.cluster.store.listeners.add(({ kind, object, old }) => {
    if (kind === 'Pod' && object.spec.nodeName && !old?.spec.nodeName) bench.placed++;
  });
  return bench;
}

const HEADERS = { 'content-type': 'application/json' };

function create({ cluster }: Bench, pods: object[]): void {
  for (const pod of pods) {
    const { status, body } = handle(cluster, { method: 'POST', path: '/api/v1/namespaces/default/pods', query: {}, headers: HEADERS, body: JSON.stringify(pod) });
    if (status !== 201) throw new Error(JSON.stringify(body));
  }
}

/** Milliseconds of processor time until the scheduler has tried all that waits, and so many pods in all have been given a node. */
function drain(bench: Bench, wanted: number, patience = 60_000): number {
  const { world, cluster } = bench;
  const began = process.cpuUsage();
  for (;;) {
    const { user, system } = process.cpuUsage(began);
    const ms = (user + system) / 1000;
    if ((cluster.scheduler.active.members.size === 0 && bench.placed >= wanted) || ms > patience) return ms;
    advance(world, world.timeline.now + 1e8);
  }
}

const rate = (n: number, ms: number): number => Math.round((n / ms) * 1000);

/** Before and after a shape's own pods: what scheduler_perf calls init and measured pods. */
function shape(nodes: number, { init, measured, count }: Shape): Record<string, number> {
  const bench = open(nodes);
  const first = Math.round((count.init * nodes) / 5000);
  const then = Math.round((count.measured * nodes) / 5000);
  create(bench, Array.from({ length: first }, (_, i) => init(i)));
  drain(bench, 0);
  const before = bench.placed;
  create(bench, Array.from({ length: then }, (_, i) => measured(i)));
  const ms = drain(bench, before + then);
  const placed = bench.placed - before;
  return { initPods: first, pods: then, placed, cpuMs: Math.round(ms), podsPerSecond: rate(placed, ms), decisions: bench.cluster.scheduler.decisions.size };
}

/** From `kubectl create` to every pod running; the rate is of processor time. */
function endToEnd(pods: number, nodes: number): Record<string, number> {
  const bench = open(nodes);
  const began = performance.now();
  const used = process.cpuUsage();
  create(bench, Array.from({ length: pods }, (_, i) => small(i)));
  let running = 0;
  while (running < pods && performance.now() - began < 60_000) {
    advance(bench.world, bench.world.timeline.now + 1e8);
    running = 0;
    for (const pod of bench.cluster.store.tables.get('Pod')!.values()) if (pod.status.phase === 'Running') running++;
  }
  const { user, system } = process.cpuUsage(used);
  const ms = (user + system) / 1000;
  return { running, cpuMs: Math.round(ms), wallMs: Math.round(performance.now() - began), podsPerSecond: rate(running, ms) };
}

function big(nodes: number, pods: number): Record<string, number> {
  const bench = open(nodes);
  const wall = performance.now();
  const made = process.cpuUsage();
  create(bench, Array.from({ length: pods }, (_, i) => SHAPES.SchedulingBasic!.measured(i)));
  const creating = process.cpuUsage(made);
  const ms = drain(bench, pods, 600_000);
  advance(bench.world, bench.world.timeline.now + 5e9);
  globalThis.gc?.();
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  void arrayBuffers;
  return {
    nodes, pods, bound: bench.placed, decisions: bench.cluster.scheduler.decisions.size, createCpuMs: Math.round((creating.user + creating.system) / 1000), scheduleCpuMs: Math.round(ms),
    podsPerSecond: rate(bench.placed, ms), wallMs: Math.round(performance.now() - wall), heapMiB: Math.round((heapUsed + external) / 2 ** 20), rssMiB: Math.round(rss / 2 ** 20),
  };
}

const SIZES = [100, 250, 500, 1000, 2000, 3000, 4000, 5000];
/** As many pods at every size, but where each needs a node of its own. */
const GROWTH: Record<string, (nodes: number) => Shape['count']> = {
  SchedulingBasic: (nodes) => ({ init: 0, measured: 10_000_000 / nodes }),
  TopologySpreading: (nodes) => ({ init: 0, measured: 10_000_000 / nodes }),
  PodAntiAffinity: () => ({ init: 1000, measured: 3000 }),
};

/** The run in the middle by its rate, and the first one, which compiles as it goes. */
function repeated(times: number, run: () => Record<string, number>): Record<string, number> {
  const runs = Array.from({ length: times }, run);
  const middle = [...runs].sort((a, b) => a.podsPerSecond! - b.podsPerSecond!)[Math.floor(times / 2)]!;
  return { ...middle, firstPodsPerSecond: runs[0]!.podsPerSecond! };
}

/** Small clusters come first, and would else pay for what the engine compiles once. */
function warmed<T>(run: () => T): T {
  for (const [name, count] of Object.entries(GROWTH)) shape(250, { ...SHAPES[name]!, count: count(250) });
  return run();
}

export function cluster(): Record<string, unknown> {
  const only = process.env.NESTBOX_BENCH_PART;
  const parts: Record<string, () => unknown> = {
    endToEnd: () => ({ pods1000nodes10: repeated(5, () => endToEnd(1000, 10)), webernetes: 'not in the npm registry: nothing to compare with' }),
    big: () => big(5000, Number(process.env.NESTBOX_BENCH_PODS ?? 150_000)),
    shapes: () => Object.fromEntries(Object.entries(SHAPES).map(([name, one]) => [name, { ...shape(5000, one), publishedFloor: FLOORS[name] ?? null }])),
    growth: () => warmed(() => SIZES.map((nodes) => ({ nodes, ...Object.fromEntries(Object.entries(GROWTH).map(([name, count]) => [name, shape(nodes, { ...SHAPES[name]!, count: count(nodes) }).podsPerSecond])) }))),
  };
  return Object.fromEntries(Object.entries(parts).filter(([name]) => only === undefined || only === name).map(([name, run]) => [name, run()]));
}
