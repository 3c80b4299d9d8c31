/** What the scheduler decided and why: the newest decision of a pod, each filter's verdict, each score. */
import type { DecisionRow, FilterRow, RaceRow, ScoreRow } from '../../bridge/rows.ts';
import { filterFacts, scoreFacts } from '../cluster/inspect.ts';
import type { Decision } from '../cluster/scheduler/cycle.ts';
import type { World } from '../world/world.ts';
import { type Arg, columns, type View } from './view.ts';

/** The decisions looked at: the named pod's newest, or every pod's. */
function chosen(world: World, arg: Arg): Decision[] {
  if (!world.cluster) return [];
  const { decisions } = world.cluster.scheduler;
  if (arg.pod === undefined || arg.pod === null || arg.pod === '') return [...decisions.values()];
  const name = String(arg.pod);
  const one = decisions.get(name.includes('/') ? name : `default/${name}`);
  return one ? [one] : [];
}

export const decisions: View = {
  doc: "The scheduler's newest decision for a pod, or for every pod.",
  arg: 'pod?',
  columns: columns(`
    pod: namespace/name
    t [ns]: when
    attempt [count]: 1 for the first
    node: chosen node, or empty
    feasible [count]: nodes that every filter let pass
    nodes [count]: nodes there were
    tied [count]: nodes that shared the highest total
    message: why it fits nowhere, or empty
    cpuMilli [milli]: requested
    memory [bytes]: requested
    profile: whose filters and scores they were: v1.32 is the default
  `),
  rows: (world, arg) =>
    chosen(world, arg).map((d): DecisionRow => ({
      key: d.pod, pod: d.pod, t: d.at, attempt: d.attempt, node: d.chosen ?? '', feasible: d.fits, nodes: d.nodes, tied: d.ties,
      message: d.message, cpuMilli: d.cpuMilli, memory: d.memory, profile: d.profile.name,
    })),
};

export const filters: View = {
  doc: 'Each filter that ran on each node in the decision for a pod; a refusal ends the row of a node.',
  arg: 'pod',
  columns: columns(`
    node: node
    plugin: filter
    ok: the node passed
    reason: why not
  `),
  rows: (world, arg) =>
    arg.pod === undefined ? [] : chosen(world, arg).flatMap(filterFacts).map((f): FilterRow => ({ key: `${f.node}/${f.plugin}`, ...f })),
};

export const scores: View = {
  doc: 'Each score of each feasible node in the decision for a pod, with the formula and its numbers.',
  arg: 'pod',
  columns: columns(`
    node: node
    plugin: score
    raw [count]: as the plugin gave it
    score [count]: normalised, 0 to 100
    weight [count]: of the plugin
    weighted [count]: score × weight
    formula: how raw came about
    chosen: the pod was bound here
    total [count]: sum over all plugins
  `),
  rows: (world, arg) =>
    arg.pod === undefined ? [] : chosen(world, arg).flatMap(scoreFacts).map((s): ScoreRow => ({ key: `${s.node}/${s.plugin}`, ...s })),
};

export const races: View = {
  doc: 'How the profiles of the newest `lab race` came out, the default first: the same pods placed anew by each. None before the first race.',
  arg: '',
  columns: columns(`
    profile: name
    pods [count]: placed, or tried
    unscheduled [count]: that fitted nowhere
    nodesUsed [count]: nodes with a pod
    nodes [count]: of so many
    cpu [percent]: mean share of processor time requested on nodes used
    memory [percent]: the same of memory
    fullest [percent]: the larger share of the node that is fullest
    uneven [points]: standard deviation of the larger share over all nodes
    zoneSkew [count]: largest difference of one owner's pods between two zones
  `),
  rows: ({ cluster }): RaceRow[] => (cluster?.raced ?? []).map((r, i): RaceRow => ({ key: `${i} ${r.profile}`, ...r })),
};
