/** Looking: get, describe, events, wait, explain. */
import { usersOf } from '../../../cluster/types/claims.ts';
import { apiVersionOf, type Kind, kindNamed } from '../../../cluster/types/kinds.ts';
import type { Json, KubeEvent, KubeObject, Pod } from '../../../cluster/types/objects.ts';
import { matchesSelector } from '../../../cluster/types/selectors.ts';
import { amountOf, isQuantity } from '../../../cluster/types/quantity.ts';
import { secondsIn } from '../../lib/duration.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, failed, Fatal, failureText, listKind, nextEvent, now, out, watch } from './client.ts';
import { describeObject } from './describe.ts';
import type { Surroundings } from './describe-parts.ts';
import { backendsOf } from './describe-policy.ts';
import { type Flags, on } from './flags.ts';
import { find, PathError, relaxed } from './jsonpath.ts';
import { manifests } from './write.ts';
import { checkFormat, dated, printAs, type TableOptions, tableRows } from './print.ts';
import { fetch, targets, type Target } from './resources.ts';
import { endpointsText } from './tables.ts';
import { getTable } from './tabwriter.ts';

export const GET_FLAGS =
  'o/output= l/selector= A/all-namespaces w/watch watch-only L/label-columns=* show-labels no-headers sort-by= field-selector= f/filename=* R/recursive ignore-not-found show-kind chunk-size= server-print=?true raw= output-watch-events show-managed-fields allow-missing-template-keys=?true template= k/kustomize= subresource=';

interface Found {
  kind: Kind;
  items: KubeObject[];
  revision: string;
  /** Asked for by name. */
  named: boolean;
}

function* gather(client: Client, flags: Flags, wanted: readonly Target[], errors: string[]): Call<Found[]> {
  const all = on(flags, 'all-namespaces');
  const groups: Found[] = [];
  const names = flags.text.get('selector');
  for (const { kind, name } of wanted) {
    const namespace = kind.namespaced && !all ? client.namespace : undefined;
    if (name === null) {
      const found = yield* listKind(client, kind, namespace, { labelSelector: names, fieldSelector: flags.text.get('field-selector') });
      groups.push({ kind, items: found.items, revision: found.revision, named: false });
      continue;
    }
    if (names !== undefined) throw new Fatal("error: selectors and the name of a resource can't be used at the same time");
    if (all && kind.namespaced) throw new Fatal('error: a resource cannot be retrieved by name across all namespaces');
    const object = yield* fetch(client, kind, name, client.namespace, flags.text.get('subresource'));
    let group = groups.find((g) => g.kind === kind && g.named);
    if (!group) groups.push((group = { kind, items: [], revision: '', named: true }));
    if (typeof object === 'string') {
      if (!(on(flags, 'ignore-not-found') && object.includes('(NotFound)'))) errors.push(object);
    } else {
      group.items.push(object);
      group.revision = object.metadata.resourceVersion!;
    }
  }
  return groups;
}

export function* get(client: Client, flags: Flags): Call<number> {
  const raw = flags.text.get('raw');
  if (raw !== undefined) {
    return yield* getRaw(client, raw);
  }
  const format = flags.text.get('output') ?? '';
  checkFormat(format);
  const files = flags.many.get('filename');
  if (flags.args.length === 0 && !files) {
    yield* err('You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of supported resources.\n\n');
    throw new Fatal("error: Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and examples");
  }
  const wanted = files ? (yield* manifests(client, flags)).map((m): Target => ({ kind: m.kind, name: m.name })) : yield* targets(client, flags.args);
  const errors: string[] = [];
  const groups = yield* gather(client, flags, wanted, errors);
  const by = flags.text.get('sort-by');
  for (const g of groups) if (by !== undefined) sortBy(g.items, by);
  const total = groups.reduce((n, g) => n + g.items.length, 0);
  const now_ = yield* now();
  const watching = on(flags, 'watch') || on(flags, 'watch-only');
  if (format !== '' && format !== 'wide') {
    if (total > 0 || !groups.every((g) => g.named)) {
      const single = files === undefined ? wanted.length === 1 && wanted[0]!.name !== null : total === 1;
      if (!on(flags, 'watch-only')) yield* printAs(format, groups.flatMap((g) => g.items.map((o) => ({ ...o, apiVersion: o.apiVersion ?? apiVersionOf(g.kind), kind: g.kind.kind }))), single, !on(flags, 'no-headers'), flags);
    }
    if (watching) return yield* follow(client, flags, groups, null);
  } else if (total > 0 || watching) {
    const listed = /^all$|,/.test(flags.args[0] ?? '');
    const prefix = listed || new Set(groups.filter((g) => g.items.length > 0).map((g) => g.kind.kind)).size > 1 || on(flags, 'show-kind');
    const events = on(flags, 'output-watch-events') && watching;
    const options: Shown = {
      wide: format === 'wide', headers: !on(flags, 'no-headers'), prefix, namespaces: on(flags, 'all-namespaces'), showLabels: on(flags, 'show-labels'),
      labelColumns: (flags.many.get('label-columns') ?? []).flatMap((l) => l.split(',')), now: now_, widths: [], first: true, minor: yield* minorOf(client, groups), plain: flags.text.get('server-print') === 'false', ...(events ? { event: 'ADDED' } : {}),
    };
    for (const g of on(flags, 'watch-only') ? [] : groups) {
      if (g.items.length === 0) continue;
      const rows = tableRows(g.kind.kind, g.items, { ...options, namespaces: options.namespaces && g.kind.namespaced });
      yield* out(`${options.first ? '' : '\n'}${getTable(rows, watching ? options.widths : [])}`);
      options.first = false;
    }
    if (watching) return yield* follow(client, flags, groups, options);
  } else if (errors.length === 0 && !on(flags, 'ignore-not-found')) {
    const spaced = !on(flags, 'all-namespaces') && wanted.some((t) => t.kind.namespaced);
    yield* err(spaced ? `No resources found in ${client.namespace} namespace.\n` : 'No resources found\n');
  }
  for (const e of errors) yield* err(`${e}\n`);
  return errors.length > 0 ? 1 : 0;
}

/** --raw: the answer as it came. */
function* getRaw(client: Client, path: string): Call<number> {
  const reply = yield* call(client, 'GET', path, undefined, undefined, true);
  if (reply.status < 400) {
    yield* out(reply.body);
    return 0;
  }
  let body: Json = reply.body;
  try {
    body = JSON.parse(reply.body);
  } catch {
    // an answer that is no JSON is shown as it is
  }
  throw new Fatal(failureText(body));
}

/** How tables look, and what has been printed of them: widths are kept, headers are told once. */
type Shown = TableOptions & { widths: number[]; first: boolean };

/** The server's minor version where columns depend on it. */
function* minorOf(client: Client, groups: readonly Found[]): Call<number> {
  if (!groups.some((g) => dated(g.kind.kind) && (g.kind.kind !== 'Pod' || g.items.some((o) => (o.status?.containerStatuses ?? []).some((c: Json) => c.restartCount > 0) || (o.status?.initContainerStatuses ?? []).some((c: Json) => c.restartCount > 0))))) return 32;
  const reply = yield* call(client, 'GET', '/version');
  return failed(reply) ? 32 : Number.parseInt(reply.body.minor, 10) || 32;
}

function* follow(client: Client, flags: Flags, groups: Found[], options: Shown | null): Call<number> {
  const group = groups[0];
  if (groups.length !== 1 || !group) throw new Fatal('error: you may only specify a single resource type');
  const all = on(flags, 'all-namespaces');
  const one = group.named ? group.items[0]?.metadata.name : undefined;
  const w = yield* watch(client, group.kind, group.kind.namespaced && !all ? client.namespace : undefined, group.revision, {
    labelSelector: flags.text.get('selector'), fieldSelector: one ? `metadata.name=${one}` : flags.text.get('field-selector'),
  });
  for (;;) {
    const event = yield* nextEvent(w);
    if (!event) return 0;
    const object = { ...event.object, kind: group.kind.kind };
    if (options === null) {
      const format = flags.text.get('output')!;
      const named = on(flags, 'output-watch-events') && ['json', 'yaml'].includes(format);
      if (format === 'yaml' && flags.printed++ >= 0) yield* out('---\n');
      yield* printAs(format, [named ? ({ object, type: event.type } as never) : object], true, false, flags);
      continue;
    }
    const rows = tableRows(group.kind.kind, [object], { ...options, headers: options.first && options.headers, now: yield* now(), ...(options.event === undefined ? {} : { event: event.type }) });
    options.first = false;
    yield* out(getTable(rows, options.widths));
  }
}

/** By a JSONPath's value: numbers, quantities and times as such, texts as people count ("a2" before "a10"). Source: kubectl pkg/cmd/get/sorter.go. */
function sortBy(items: KubeObject[], path: string): void {
  const keys = new Map<KubeObject, Json>();
  for (const o of items) {
    try {
      keys.set(o, find(path, o)[0]);
    } catch (error) {
      if (error instanceof PathError) throw new Fatal(`error: ${error.message}`);
      throw error;
    }
  }
  if (items.length > 0 && [...keys.values()].every((k) => k === undefined)) throw new Fatal(`error: couldn't find any field with path "${relaxed(path)}" in the list of objects`);
  for (const k of keys.values()) if (k !== null && typeof k === 'object') throw new Fatal(`error: unsortable type: ${Array.isArray(k) ? 'slice' : 'map'}`);
  items.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    const [none, nothing] = [x === undefined || x === null, y === undefined || y === null];
    if (none || nothing) return none ? (nothing ? 0 : -1) : 1;
    return compare(x, y);
  });
}

function compare(x: Json, y: Json): number {
  if (typeof x !== 'string' || typeof y !== 'string') return x < y ? -1 : x > y ? 1 : 0;
  if (isQuantity(x) && isQuantity(y)) return amountOf('memory', x) - amountOf('memory', y);
  const [a, b] = [x.match(/\d+|\D+/g) ?? [], y.match(/\d+|\D+/g) ?? []];
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [p, q] = [a[i]!, b[i]!];
    const numbers = /^\d/.test(p) && /^\d/.test(q);
    if (numbers && Number(p) !== Number(q)) return Number(p) - Number(q);
    if (!numbers && p !== q) return p < q ? -1 : 1;
  }
  return a.length - b.length;
}

export const DESCRIBE_FLAGS = 'l/selector= A/all-namespaces f/filename=* show-events=?true chunk-size= R/recursive';

export function* describeCommand(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (flags.args.length === 0 && !files) {
    throw new Fatal('error: You must specify the type of resource to describe. Use "kubectl api-resources" for a complete list of supported resources.');
  }
  const wanted = files ? (yield* manifests(client, flags)).map((m): Target => ({ kind: m.kind, name: m.name })) : yield* targets(client, flags.args);
  const errors: string[] = [];
  const found: KubeObject[] = [];
  for (const t of wanted) {
    if (t.name === null) {
      found.push(...(yield* gather(client, flags, [t], errors)).flatMap((g) => g.items));
      continue;
    }
    const object = yield* fetch(client, t.kind, t.name);
    if (typeof object !== 'string') {
      found.push(object);
      continue;
    }
    const { items } = yield* listKind(client, t.kind, t.kind.namespaced ? client.namespace : undefined);
    const like = items.filter((o) => o.metadata.name.startsWith(t.name!));
    if (like.length > 0) found.push(...like);
    else errors.push(object);
  }
  for (const [i, object] of found.entries()) {
    yield* out(`${i > 0 ? '\n\n' : ''}${describeObject(object, yield* surroundings(client, object))}`);
  }
  if (found.length === 0 && errors.length === 0) yield* err(on(flags, 'all-namespaces') ? 'No resources found\n' : `No resources found in ${client.namespace} namespace.\n`);
  for (const e of errors) yield* err(`${e}\n`);
  return errors.length > 0 ? 1 : 0;
}

function* surroundings(client: Client, object: KubeObject): Call<Surroundings> {
  const namespace = object.metadata.namespace;
  const about = `involvedObject.name=${object.metadata.name},involvedObject.kind=${object.kind}`;
  const events = (yield* listKind(client, kindNamed('Event'), namespace, { fieldSelector: about })).items.filter(
    (e) => !e.involvedObject.uid || e.involvedObject.uid === object.metadata.uid || (object.kind === 'Node' && e.involvedObject.uid === object.metadata.name),
  ) as KubeEvent[];
  const around: Surroundings = { now: yield* now(), events };
  if (object.kind === 'Node') {
    around.pods = (yield* listKind(client, kindNamed('Pod'), undefined, { fieldSelector: `spec.nodeName=${object.metadata.name}` })).items as Pod[];
    const lease = yield* fetch(client, kindNamed('Lease'), object.metadata.name, 'kube-node-lease');
    if (typeof lease !== 'string') around.lease = lease;
  } else if (object.kind === 'Deployment') {
    around.replicaSets = (yield* listKind(client, kindNamed('ReplicaSet'), namespace)).items.filter((r) => r.metadata.ownerReferences?.some((o) => o.uid === object.metadata.uid) && (r.spec.replicas > 0 || isCurrent(r, object)));
  } else if (object.kind === 'PersistentVolumeClaim') {
    around.pods = usersOf((yield* listKind(client, kindNamed('Pod'), namespace)).items as Pod[], object);
  } else if (['ReplicaSet', 'StatefulSet', 'DaemonSet'].includes(object.kind)) {
    around.pods = ((yield* listKind(client, kindNamed('Pod'), namespace)).items as Pod[]).filter((p) => matchesSelector(object.spec.selector, p.metadata.labels));
  } else if (object.kind === 'Namespace') {
    around.quotas = (yield* listKind(client, kindNamed('ResourceQuota'), object.metadata.name)).items;
    around.limits = (yield* listKind(client, kindNamed('LimitRange'), object.metadata.name)).items;
  } else if (object.kind === 'Ingress') {
    around.backends = yield* backends(client, object);
  } else if (object.kind === 'Service') {
    const endpoints = yield* fetch(client, kindNamed('Endpoints'), object.metadata.name, namespace);
    if (typeof endpoints !== 'string') around.endpoints = endpoints;
  }
  return around;
}

/** What is behind the Services of an Ingress. */
function* backends(client: Client, ingress: KubeObject): Call<Map<string, string>> {
  const known = new Map<string, string>();
  for (const { key, name, port } of backendsOf(ingress)) {
    const service = yield* fetch(client, kindNamed('Service'), name, ingress.metadata.namespace);
    if (typeof service === 'string') {
      known.set(key, `<error: services ${JSON.stringify(name)} not found>`);
      continue;
    }
    const wanted = (service.spec.ports ?? []).find((p: Json) => p.port === port?.number || (p.name && p.name === port?.name))?.name ?? '';
    const found = yield* fetch(client, kindNamed('Endpoints'), name, ingress.metadata.namespace);
    const subsets: Json[] = typeof found === 'string' ? [] : (found.subsets ?? []);
    known.set(key, endpointsText({ subsets: subsets.map((s) => ({ ...s, ports: (s.ports ?? []).filter((p: Json) => (p.name ?? '') === wanted) })) } as never).replace('<none>', ''));
  }
  return known;
}

function isCurrent(rs: KubeObject, deployment: KubeObject): boolean {
  const at = 'deployment.kubernetes.io/revision';
  return rs.metadata.annotations?.[at] === deployment.metadata.annotations?.[at];
}

/** "30s", "1m30s" to seconds. */
export function seconds(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^-?\d+$/.test(text)) return Number(text);
  return secondsIn(text);
}
