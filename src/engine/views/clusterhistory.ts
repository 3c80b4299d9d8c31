/** What the store remembers of the past: who wrote what, how sets of pods grew and shrank, an object as it was at any revision. */
import type { ExportRow, ObjectLineRow, ObjectRow, RevisionRow, RolloutRow, WriteRow } from '../../bridge/rows.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { get, type Change } from '../cluster/store.ts';
import type { KubeObject } from '../cluster/types/objects.ts';
import { exportCluster } from '../cluster/transfer/export.ts';
import { exportedFiles } from '../userland/kube/exported.ts';
import { toYaml } from '../userland/kube/kubectl/yaml.ts';
import { type Arg, columns, type View } from './view.ts';

const VERBS = { ADDED: 'create', MODIFIED: 'update', DELETED: 'delete' } as const;
const NOISE = new Set(['Event', 'Lease']);
const MOST_WRITES = 1500;
const MOST_OBJECTS = 2000;
const text = (arg: Arg, name: string): string => (typeof arg[name] === 'string' ? String(arg[name]) : '');

export const writes: View = {
  doc: 'The newest writes to the store: who, what, when. Events and leases only when asked for by kind.',
  arg: 'kind?',
  columns: columns(`
    revision [count]: of the store
    t [ns]: when
    by: controller, kubelet, kubectl or other client
    kind: of the object
    object: namespace/name
    verb: create, update or delete
  `),
  rows({ cluster }, arg) {
    const kind = text(arg, 'kind');
    const out: WriteRow[] = [];
    const history = cluster?.store.history ?? [];
    for (let i = history.length - 1; i >= 0 && out.length < MOST_WRITES; i--) {
      const change = history[i]!;
      if (kind === '' ? NOISE.has(change.kind) : change.kind !== kind) continue;
      out.push({ key: String(change.revision), revision: change.revision, t: change.at, by: change.by === '' ? 'control plane' : change.by, kind: change.kind, object: change.key, verb: VERBS[change.type] });
    }
    return out.reverse();
  },
};

const SETS = new Set(['ReplicaSet', 'StatefulSet', 'DaemonSet']);

export const rollouts: View = {
  doc: 'Sets of pods over time: each change of how many are wanted, there and ready.',
  arg: '',
  columns: columns(`
    t [ns]: when
    owner: namespace/name of the Deployment, or of the set itself
    set: kind/name
    wanted [count]: spec
    pods [count]: status
    ready [count]: status
  `),
  rows({ cluster }) {
    const out: RolloutRow[] = [];
    for (const change of cluster?.store.history ?? []) {
      if (!SETS.has(change.kind)) continue;
      const { spec, status, metadata } = change.object;
      const owner = metadata.ownerReferences?.find((r) => r.controller)?.name ?? metadata.name;
      const gone = change.type === 'DELETED';
      out.push({
        key: String(change.revision), t: change.at, owner: `${metadata.namespace}/${owner}`, set: `${change.kind}/${metadata.name}`, wanted: gone ? 0 : (spec.replicas ?? status?.desiredNumberScheduled ?? 0),
        pods: gone ? 0 : (status?.replicas ?? status?.currentNumberScheduled ?? 0), ready: gone ? 0 : (status?.readyReplicas ?? status?.numberReady ?? 0),
      });
    }
    return out;
  },
};

export const objects: View = {
  doc: `Objects of a kind, or how many there are of each; at most ${MOST_OBJECTS}.`,
  arg: 'kind?, match?',
  columns: columns(`
    kind: kind
    namespace: namespace, or empty
    name: name
    revision [count]: of its last write; of a kind, how many there are
  `),
  rows({ cluster }, arg) {
    const kind = text(arg, 'kind');
    const match = text(arg, 'match').toLowerCase();
    const out: ObjectRow[] = [];
    if (kind === '') for (const [name, rows] of [...(cluster?.store.tables ?? [])].sort()) if (rows.size > 0) out.push({ key: name, kind: name, namespace: '', name: '', revision: rows.size });
    for (const [key, object] of cluster?.store.tables.get(kind) ?? []) {
      if (match !== '' && !key.toLowerCase().includes(match)) continue;
      if (out.push({ key, kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name, revision: Number(object.metadata.resourceVersion) }) === MOST_OBJECTS) break;
    }
    return out;
  },
};

function changesOf(cluster: Cluster | null, arg: Arg): Change[] {
  const [kind, object] = [text(arg, 'kind'), text(arg, 'object')];
  return (cluster?.store.history ?? []).filter((c) => c.kind === kind && c.key === object);
}

export const revisions: View = {
  doc: 'The writes of one object that the store remembers, oldest first.',
  arg: 'kind, object',
  columns: columns(`
    revision [count]: of the store
    t [ns]: when
    by: who wrote it
    verb: create, update or delete
  `),
  rows: ({ cluster }, arg) => changesOf(cluster, arg).map((c): RevisionRow => ({ key: String(c.revision), revision: c.revision, t: c.at, by: c.by === '' ? 'control plane' : c.by, verb: VERBS[c.type] })),
};

export const objectText: View = {
  doc: 'An object as YAML, now or at a revision, and which lines that write added or took.',
  arg: 'kind, object, revision?',
  columns: columns(`
    n [count]: line
    text: the line
    change: empty, fresh or lost
  `),
  rows({ cluster }, arg) {
    if (!cluster) return [];
    const all = changesOf(cluster, arg);
    const wanted = typeof arg.revision === 'number' ? all.find((c) => c.revision === arg.revision) : undefined;
    const now = wanted ? wanted.object : get(cluster.store, text(arg, 'kind'), text(arg, 'object'));
    if (!now) return [];
    const before = wanted?.old;
    return compare(before ? linesOf(before) : null, linesOf(now)).map((line, i): ObjectLineRow => ({ key: String(i), n: i + 1, ...line }));
  },
};

/** As kubectl shows it: without who owns which field; a kind of one's own without the group that it is stored under. */
function linesOf({ metadata: { managedFields: _, ...metadata }, ...object }: KubeObject): string[] {
  return toYaml({ ...object, kind: object.kind.split('.')[0], metadata }).trimEnd().split('\n');
}

/** Lines of both in order, by the longest common subsequence; without an older text all lines are as they are. */
function compare(before: string[] | null, now: string[]): { text: string; change: string }[] {
  if (!before || before.length * now.length > 4_000_000) return now.map((line) => ({ text: line, change: '' }));
  const width = now.length + 1;
  const common = new Uint16Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) common[i * width + j] = before[i] === now[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  }
  const out: { text: string; change: string }[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < now.length) {
    if (i < before.length && j < now.length && before[i] === now[j]) {
      out.push({ text: now[j]!, change: '' });
      i++;
      j++;
    } else if (j >= now.length || (i < before.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) out.push({ text: before[i++]!, change: 'lost' });
    else out.push({ text: now[j++]!, change: 'fresh' });
  }
  return out;
}

export const clusterExport: View = {
  doc: 'All of the cluster as files that a real one, kind and KWOK take: what `lab export` writes. None without a cluster.',
  arg: '',
  columns: columns(`
    name: of the file
    text: all of it
  `),
  rows: ({ cluster }) => (cluster ? exportedFiles(exportCluster(cluster)) : []).map(([name, text]): ExportRow => ({ key: name, name, text })),
};
