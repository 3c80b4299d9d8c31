/**
 * Profiles against each other: the same pods, in the order they were made, placed anew on copies of the same nodes by each profile. Nothing
 * in the cluster changes. Compared: what stays out, nodes used, how full these are, how even all are, how pods of one owner spread over zones.
 */
import { createRandom } from '../../sim/random.ts';
import { badRequest } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { list } from '../store.ts';
import type { Node, Pod } from '../types/objects.ts';
import { ownerOf } from '../types/podstatus.ts';
import { ConfigError, readConfig } from './config.ts';
import { decide } from './cycle.ts';
import { addPod, nodeInfo, occupies } from './nodes.ts';
import type { NodeInfo, Profile } from './profile.ts';
import { DEFAULT } from './profiles.ts';

export interface Result {
  profile: string;
  pods: number;
  unscheduled: number;
  nodesUsed: number;
  nodes: number;
  /** Means over the nodes used, in per cent of allocatable. */
  cpu: number;
  memory: number;
  /** The larger share of the node that is fullest, in per cent. */
  fullest: number;
  /** Standard deviation of the larger share over all nodes, in points. */
  uneven: number;
  /** The largest difference of one owner's pods between two zones. */
  zoneSkew: number;
}

const MOST_PODS = 20_000;
const ZONE = 'topology.kubernetes.io/zone';

/** Each profile of the configuration, after the default; or of the scheduler as it is, without one. */
export function race(cluster: Cluster, config: string, query: Record<string, string>): { results: Result[] } {
  let profiles: Profile[];
  try {
    profiles = config.trim() === '' ? [...cluster.scheduler.profiles.values()] : readConfig(config);
  } catch (error) {
    if (error instanceof ConfigError) throw badRequest(error.message);
    throw error;
  }
  const raced = [{ ...DEFAULT, name: 'default' }, ...profiles.filter((p) => p !== cluster.scheduler.profiles.get('default-scheduler') || p.scores !== DEFAULT.scores)];
  const mine = (pod: Pod): boolean => occupies(pod) && !pod.metadata.deletionTimestamp && pod.metadata.namespace !== 'kube-system' && (query.namespace === undefined || pod.metadata.namespace === query.namespace) && !pod.metadata.ownerReferences?.some((r) => r.kind === 'DaemonSet');
  const pods = list<Pod>(cluster.store, 'Pod').filter(mine).sort((a, b) => born(a) - born(b));
  if (pods.length === 0) throw badRequest('no pods to place');
  if (pods.length > MOST_PODS) throw badRequest(`${pods.length} pods: at most ${MOST_PODS} are placed; name a namespace`);
  const others = list<Pod>(cluster.store, 'Pod').filter((pod) => occupies(pod) && pod.spec.nodeName && !mine(pod));
  cluster.raced = raced.map((profile) => place(cluster, profile, pods, others));
  return { results: [...cluster.raced] };
}

/** When it was made, as a number that grows; those of one second stay in the order of their names. */
const born = (pod: Pod): number => Number(pod.metadata.creationTimestamp?.replace(/\D/g, '') ?? 0);

function place(cluster: Cluster, profile: Profile, pods: readonly Pod[], others: readonly Pod[]): Result {
  const nodes = list<Node>(cluster.store, 'Node').map(nodeInfo);
  const byName = new Map(nodes.map((info) => [info.name, info]));
  for (const pod of others) {
    const info = byName.get(pod.spec.nodeName!);
    if (info) addPod(info, pod);
  }
  const random = createRandom(1);
  const zones = new Map<string, Map<string, number>>();
  let start = 0;
  let unscheduled = 0;
  for (const pod of pods) {
    const { nodeName: _, ...spec } = pod.spec;
    const free: Pod = { ...pod, spec };
    const owner = pod.metadata.ownerReferences?.length ? { matchLabels: pod.metadata.labels ?? {} } : null;
    const { decision, searched } = decide({ pod: free, nodes, profile, random, start, imageNodes: cluster.scheduler.imageNodes, defaultSelector: owner, at: 0, attempt: 1 });
    start = nodes.length === 0 ? 0 : (start + searched) % nodes.length;
    const info = decision.chosen === null ? undefined : byName.get(decision.chosen);
    if (!info) {
      unscheduled++;
      continue;
    }
    addPod(info, free);
    countZone(zones, ownerOf(pod), info);
  }
  return { profile: profile.name, pods: pods.length, unscheduled, ...measure(nodes), zoneSkew: skewOf(zones, nodes) };
}

function countZone(zones: Map<string, Map<string, number>>, owner: string, info: NodeInfo): void {
  const zone = info.node.metadata.labels?.[ZONE];
  if (zone === undefined || owner === '') return;
  const counts = zones.get(owner) ?? new Map<string, number>();
  counts.set(zone, (counts.get(zone) ?? 0) + 1);
  zones.set(owner, counts);
}

function skewOf(zones: Map<string, Map<string, number>>, nodes: readonly NodeInfo[]): number {
  const all = [...new Set(nodes.flatMap((info) => info.node.metadata.labels?.[ZONE] ?? []))];
  let worst = 0;
  for (const counts of zones.values()) {
    const each = all.map((zone) => counts.get(zone) ?? 0);
    worst = Math.max(worst, Math.max(...each) - Math.min(...each));
  }
  return worst;
}

function measure(nodes: readonly NodeInfo[]): Pick<Result, 'nodes' | 'nodesUsed' | 'cpu' | 'memory' | 'fullest' | 'uneven'> {
  const shares = nodes.map(({ room, index, pods }) => ({ used: pods.size > 0, cpu: room.cpu[index]! === 0 ? 0 : room.usedCpu[index]! / room.cpu[index]!, memory: room.memory[index]! === 0 ? 0 : room.usedMemory[index]! / room.memory[index]! }));
  const used = shares.filter((s) => s.used);
  const mean = (of: readonly number[]): number => (of.length === 0 ? 0 : of.reduce((a, b) => a + b, 0) / of.length);
  const larger = shares.map((s) => Math.max(s.cpu, s.memory));
  const middle = mean(larger);
  const rounded = (x: number): number => Math.round(x * 1000) / 10;
  return { nodes: nodes.length, nodesUsed: used.length, cpu: rounded(mean(used.map((s) => s.cpu))), memory: rounded(mean(used.map((s) => s.memory))), fullest: rounded(Math.max(0, ...larger)), uneven: rounded(Math.sqrt(mean(larger.map((x) => (x - middle) ** 2)))) };
}
