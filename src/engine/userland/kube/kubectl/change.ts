/** delete, patch, scale, label, annotate: changes to what there is. */
import { apiVersionOf, type Kind, pathOf } from '../../../cluster/types/kinds.ts';
import { jsonPatch } from '../../../cluster/types/jsonpatch.ts';
import { mergePatch } from '../../../cluster/types/merge.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { strategicPatch } from '../../../cluster/types/strategic.ts';
import { SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { ask, call, type Client, err, failed, failureText, Fatal, listKind, now, out, readFd, readPath } from './client.ts';
import { seconds } from './query.ts';
import { type Flags, on } from './flags.ts';
import { ManifestError, readManifest } from './manifest.ts';
import { printAs } from './print.ts';
import { display, fetch, mustFetch, targets, type Target } from './resources.ts';
import { announce, dryRun, manifests, marks, NEED_RESOURCE, query, required, tell, whole } from './write.ts';

export const DELETE_FLAGS = 'f/filename=* l/selector= all A/all-namespaces force now grace-period= wait=?true timeout= ignore-not-found cascade=?background dry-run=?unchanged o/output= field-selector= R/recursive k/kustomize= i/interactive raw=';

interface Doomed { kind: Kind; name: string; namespace: string | undefined; source: string }

/** Refuses flags that do not go together; seconds of grace, -1 for the object's own. */
function graceOf(flags: Flags): number {
  const grace = flags.text.has('grace-period') ? whole(flags, 'grace-period')! : -1;
  if (on(flags, 'now') && grace !== -1) throw new Fatal('error: --now and --grace-period cannot be specified together');
  if (on(flags, 'force') && grace > 0) throw new Fatal('error: --force and --grace-period greater than 0 cannot be specified together');
  if (on(flags, 'force')) return 0;
  return on(flags, 'now') || grace === 0 ? 1 : grace;
}

function* doomed(client: Client, flags: Flags, problems: string[]): Call<Doomed[]> {
  const [selector, fields] = [flags.text.get('selector'), flags.text.get('field-selector')];
  const wanted: Doomed[] = [];
  if (flags.many.has('filename') || flags.text.has('kustomize')) {
    for (const m of yield* manifests(client, flags, problems)) wanted.push({ kind: m.kind, name: m.name, namespace: m.namespace, source: m.item.source });
    return wanted;
  }
  for (const t of yield* targets(client, flags.args)) {
    const namespace = t.kind.namespaced ? client.namespace : undefined;
    if (t.name !== null) {
      if (selector !== undefined || fields !== undefined || on(flags, 'all')) throw new Fatal('error: name cannot be provided when a selector is specified');
      if (on(flags, 'all-namespaces') && t.kind.namespaced) throw new Fatal('error: a resource cannot be retrieved by name across all namespaces');
      wanted.push({ kind: t.kind, name: t.name, namespace, source: '' });
      continue;
    }
    if (selector !== undefined && on(flags, 'all')) throw new Fatal('error: cannot set --all and --selector at the same time');
    if (selector === undefined && fields === undefined && !on(flags, 'all')) throw new Fatal('error: resource(s) were provided, but no name, label selector, or --all flag specified');
    const { items } = yield* listKind(client, t.kind, on(flags, 'all-namespaces') ? undefined : namespace, { labelSelector: selector, fieldSelector: fields });
    for (const o of items) wanted.push({ kind: t.kind, name: o.metadata.name, namespace: o.metadata.namespace, source: '' });
  }
  return wanted;
}

export function* remove(client: Client, flags: Flags): Call<number> {
  const format = flags.text.get('output') ?? '';
  const raw = flags.text.get('raw');
  if (raw !== undefined) {
    yield* out(`${JSON.stringify(yield* ask(client, 'DELETE', raw))}\n`);
    return 0;
  }
  if (flags.args.length === 0 && !flags.many.has('filename') && !flags.text.has('kustomize')) throw new Fatal(NEED_RESOURCE);
  if (format !== '' && format !== 'name') throw new Fatal(`error: unexpected -o output mode: ${format}. We only support '-o name'`);
  const run = dryRun(flags);
  const grace = graceOf(flags);
  const problems: string[] = [];
  const wanted = yield* doomed(client, flags, problems);
  if (wanted.length === 0 && problems.length === 0) yield* out('No resources found\n');
  if (on(flags, 'interactive') && wanted.length > 0 && !(yield* agreed(wanted))) {
    yield* out('deletion is cancelled\n');
    return 0;
  }
  if (on(flags, 'force')) yield* err('Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\n');
  if (flags.text.has('namespace') && wanted.some((w) => !w.kind.namespaced)) yield* err('Warning: deleting cluster-scoped resources, not scoped to the provided namespace\n');
  const cascade = { background: 'Background', orphan: 'Orphan', foreground: 'Foreground', true: 'Background', false: 'Orphan' }[flags.text.get('cascade') ?? 'background'];
  if (!cascade) throw new Fatal(`error: invalid cascade value (${flags.text.get('cascade')}). Must be "background", "foreground", or "orphan"`);
  const gone: (Doomed & { uid: string })[] = [];
  let status = 0;
  for (const w of wanted) {
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: cascade, ...(grace >= 0 ? { gracePeriodSeconds: grace } : {}) };
    const before = yield* fetch(client, w.kind, w.name, w.namespace);
    const reply = run === 'client' && typeof before !== 'string' ? { status: 200, body: {} } : yield* call(client, 'DELETE', `${pathOf(w.kind, w.namespace, w.name)}${run === 'server' ? '?dryRun=All' : ''}`, body);
    if (failed(reply)) {
      if (reply.status === 404 && on(flags, 'ignore-not-found')) continue;
      yield* err(`${failureText(reply.body, w.source === '' ? '' : `error when deleting "${w.source}"`)}\n`);
      status = 1;
      continue;
    }
    yield* out(`${format === 'name' ? display(w.kind, w.name) : `${w.kind.singular}${w.kind.group ? `.${w.kind.group}` : ''} "${w.name}" ${on(flags, 'force') ? 'force deleted' : 'deleted'}${marks(run)}`}\n`);
    if (typeof before !== 'string') gone.push({ ...w, uid: before.metadata.uid! });
  }
  if (flags.text.get('wait') !== 'false' && run === '' && !on(flags, 'force')) {
    const limit = flags.text.has('timeout') ? seconds(flags.text.get('timeout'), 0) : 0;
    const deadline = limit > 0 ? (yield* now()) + limit : Number.POSITIVE_INFINITY;
    for (const g of gone) if (!(yield* waitGone(client, g, deadline))) problems.push(`error: timed out waiting for the condition on ${g.kind.plural}/${g.name}`);
  }
  yield* tell(problems, status);
  return problems.length > 0 ? 1 : status;
}

/** -i: shows what will go, and asks. */
function* agreed(wanted: readonly Doomed[]): Call<boolean> {
  yield* out(`You are about to delete the following ${wanted.length} resource(s):\n${wanted.map((w) => `${display(w.kind, w.name)}\n`).join('')}Do you want to continue? (y/n): `);
  return /^y(?:es)?$/i.test((yield* readFd(0)).split('\n')[0]!.trim());
}

/** False when it is still there at the deadline. */
function* waitGone(client: Client, g: Doomed & { uid: string }, deadline: number): Call<boolean> {
  for (;;) {
    const there = yield* fetch(client, g.kind, g.name, g.namespace);
    if (typeof there === 'string' || there.metadata.uid !== g.uid) return true;
    if ((yield* now()) >= deadline) return false;
    yield* sys('nanosleep', 200_000_000);
  }
}

export const PATCH_FLAGS = 'p/patch= patch-file= type= o/output= dry-run=?unchanged subresource= f/filename=* k/kustomize= R/recursive local record field-manager= allow-missing-template-keys template= show-managed-fields';

function* patchText(path: string): Call<string> {
  try {
    return yield* readPath(path);
  } catch (error) {
    if (error instanceof SysError) throw new Fatal(`error: unable to read patch file: open ${path}: ${error.message.toLowerCase()}`);
    throw error;
  }
}

export function* patch(client: Client, flags: Flags): Call<number> {
  const file = flags.text.get('patch-file');
  const given = flags.text.get('patch') ?? (file === undefined ? undefined : yield* patchText(file));
  if (!given) throw new Fatal('error: must specify --patch or --patch-file containing the contents of the patch');
  const files = flags.many.has('filename') || flags.text.has('kustomize');
  if (!files && flags.args.length === 0) throw new Fatal(NEED_RESOURCE);
  const given_ = files ? yield* manifests(client, flags) : [];
  const [t] = files ? given_.map((m): Target => ({ kind: m.kind, name: m.name })) : yield* targets(client, flags.args);
  if (!t || t.name === null) throw new Fatal('error: resource(s) were provided, but no name was specified');
  let body: Json;
  try {
    body = readManifest(given.trim().startsWith('[') ? `x: ${given}` : given, 'patch')[0]?.object;
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    if (/cannot unmarshal/.test(error.message)) body = given;
    else throw new Fatal(`error: unable to parse "${given}": ${error.message.replace(/^.*?yaml: /, 'yaml: ')}`);
  }
  if (given.trim().startsWith('[')) body = body.x;
  const type = flags.text.get('type') ?? 'strategic';
  if (!['json', 'merge', 'strategic'].includes(type)) throw new Fatal(`error: --type must be one of [json merge strategic], not ${JSON.stringify(type)}`);
  const run = dryRun(flags);
  if (on(flags, 'local')) {
    if (!files) throw new Fatal('error: --local must be used with -f');
    const patched = type === 'json' ? jsonPatch(given_[0]!.object, body) : type === 'merge' ? mergePatch(given_[0]!.object, body) : strategicPatch(given_[0]!.object, body);
    if (typeof patched === 'string') throw new Fatal(`error: ${patched}`);
    yield* announce(flags, t.kind, patched, 'patched', '');
    return 0;
  }
  const before = yield* mustFetch(client, t.kind, t.name);
  if (run === 'client') {
    const patched = type === 'json' ? jsonPatch(before, body) : type === 'merge' ? mergePatch(before, body) : strategicPatch(before, body);
    if (typeof patched === 'string') throw new Fatal(`error: ${patched}`);
    yield* announce(flags, t.kind, patched, 'patched', run);
    return 0;
  }
  const reply = yield* call(client, 'PATCH', `${pathOf(t.kind, t.kind.namespaced ? client.namespace : undefined, t.name, flags.text.get('subresource'))}${query(flags, run)}`, typeof body === 'string' ? JSON.stringify(body) : body, type);
  if (reply.status === 415) throw new Fatal(`error: application/${type === 'json' ? 'json' : type === 'merge' ? 'merge' : 'strategic-merge'}-patch+json is not supported by ${apiVersionOf(t.kind)}, Kind=${t.kind.kind}: ${reply.body?.message}`);
  if (failed(reply)) throw new Fatal(failureText(reply.body));
  const changed = reply.body.metadata.resourceVersion !== before.metadata.resourceVersion;
  yield* announce(flags, t.kind, reply.body, changed ? 'patched' : 'patched (no change)', run);
  return 0;
}

export const SCALE_FLAGS = 'replicas= current-replicas= resource-version= timeout= l/selector= all f/filename=* o/output= dry-run=?unchanged';

export function* scale(client: Client, flags: Flags): Call<number> {
  yield* required(flags, 'replicas');
  const replicas = whole(flags, 'replicas')!;
  if (replicas < 0) throw new Fatal('error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0');
  const files = flags.many.get('filename');
  const wanted = files ? (yield* manifests(client, flags)).map((m): Target => ({ kind: m.kind, name: m.name })) : flags.args.length === 0 ? [] : yield* targets(client, flags.args);
  if (wanted.length === 0) throw new Fatal(NEED_RESOURCE);
  const run = dryRun(flags);
  let status = 0;
  const all: Target[] = [];
  for (const t of wanted) {
    if (t.name !== null) all.push(t);
    else for (const o of (yield* listKind(client, t.kind, client.namespace, { labelSelector: flags.text.get('selector') })).items) all.push({ kind: t.kind, name: o.metadata.name });
  }
  if (all.length === 0) throw new Fatal('error: no objects passed to scale');
  for (const t of all) {
    const current = whole(flags, 'current-replicas');
    const there = yield* fetch(client, t.kind, t.name!);
    if (typeof there === 'string') {
      yield* err(`${there}\n`);
      status = 1;
      continue;
    }
    if (!t.kind.custom && !['Deployment', 'ReplicaSet', 'StatefulSet'].includes(t.kind.kind)) throw new Fatal('Error from server (NotFound): the server could not find the requested resource');
    if (current !== undefined && there.spec.replicas !== current) {
      yield* err(`error: Expected replicas to be ${current}, was ${there.spec.replicas}\n`);
      status = 1;
      continue;
    }
    if (run !== 'client') yield* ask(client, 'PATCH', `${pathOf(t.kind, client.namespace, t.name!, 'scale')}${query(flags, run)}`, { spec: { replicas } }, 'merge');
    yield* out(`${display(t.kind, t.name!)} scaled${marks(run)}\n`);
  }
  return status;
}

export const LABEL_FLAGS = 'overwrite l/selector= all A/all-namespaces list resource-version= o/output= dry-run=?unchanged f/filename=* field-selector= local';

/** "a=b" sets, "a-" takes away (null). Labels' values are checked here, keys by the server. */
function editsOf(edits: readonly string[], field: 'labels' | 'annotations'): Record<string, string | null> {
  const set: Record<string, string | null> = {};
  const gone = edits.filter((e) => !e.includes('=')).map((e) => e.slice(0, -1));
  for (const e of edits.filter((one) => one.includes('='))) {
    const [key, value] = [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)];
    const fault = field === 'labels' ? labelValue(value) : null;
    if (fault) throw new Fatal(`error: invalid label value: ${JSON.stringify(e)}: ${fault}`);
    if (gone.includes(key)) throw new Fatal(`error: can not both modify and remove ${field === 'labels' ? 'a label' : 'an annotation'} in the same command`);
    set[key] = value;
  }
  for (const key of gone) set[key] = null;
  return set;
}

function labelValue(value: string): string | null {
  if (value.length > 63) return 'must be no more than 63 characters';
  if (/^(?:(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value)) return null;
  return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
}

/** label and annotate are one thing on two fields. */
export function* mark(client: Client, flags: Flags, field: 'labels' | 'annotations'): Call<number> {
  const word = field === 'labels' ? 'label' : 'annotation';
  const done = field === 'labels' ? 'labeled' : 'annotated';
  const isChange = (a: string): boolean => /^[^=]+=/.test(a) || /^[^=]+-$/.test(a);
  const first = flags.args.findIndex((a, i) => i > 0 && isChange(a));
  const resources = first < 0 ? flags.args : flags.args.slice(0, first);
  const edits = first < 0 ? [] : flags.args.slice(first);
  if (resources.length === 0) throw new Fatal(field === 'labels' ? 'error: at least one label update is required' : 'error: at least one annotation update is required');
  if (edits.length === 0 && !on(flags, 'list')) throw new Fatal(`error: at least one ${word} update is required`);
  const set = editsOf(edits, field);
  const version = flags.text.get('resource-version');
  const run = dryRun(flags);
  const all: { kind: Kind; object: KubeObject }[] = [];
  const wanted = yield* targets(client, resources);
  for (const t of wanted) {
    if (t.name !== null) all.push({ kind: t.kind, object: yield* mustFetch(client, t.kind, t.name) });
    else if (on(flags, 'all') || flags.text.has('selector')) {
      for (const object of (yield* listKind(client, t.kind, t.kind.namespaced ? client.namespace : undefined, { labelSelector: flags.text.get('selector') })).items) all.push({ kind: t.kind, object });
    } else throw new Fatal('error: resource(s) were provided, but no name was specified');
  }
  let status = 0;
  for (const { kind, object } of all) {
    const have = object.metadata[field] ?? {};
    const clash = Object.entries(set).find(([k, v]) => v !== null && have[k] !== undefined && have[k] !== v);
    if (clash && !on(flags, 'overwrite')) {
      yield* err(field === 'labels' ? `error: '${clash[0]}' already has a value (${have[clash[0]]}), and --overwrite is false\n` : `error: --overwrite is false but found the following declared annotation(s): '${clash[0]}' already has a value (${have[clash[0]]})\n`);
      status = 1;
      continue;
    }
    if (on(flags, 'list')) {
      const several = all.length > 1;
      if (several) yield* out(`Listing ${field} for ${kind.kind}.${kind.group}/${object.metadata.name}:\n`);
      for (const k of Object.keys(have).sort()) yield* out(`${several ? ' ' : ''}${k}=${have[k]}\n`);
      continue;
    }
    for (const [k, v] of Object.entries(set)) if (v === null && have[k] === undefined) yield* out(`${word} "${k}" not found.\n`);
    const changes = Object.entries(set).some(([k, v]) => (v === null ? have[k] !== undefined : have[k] !== v));
    const removesOnly = Object.values(set).every((v) => v === null);
    if (run !== 'client' && changes) {
      yield* ask(client, 'PATCH', `${pathOf(kind, object.metadata.namespace, object.metadata.name)}${query(flags, run)}`, { metadata: { [field]: set, ...(version ? { resourceVersion: version } : {}) } }, 'merge');
    }
    const verb = field === 'labels' ? (!changes ? 'not labeled' : removesOnly ? 'unlabeled' : done) : done;
    if (flags.text.has('output')) yield* printAs(flags.text.get('output')!, [yield* mustFetch(client, kind, object.metadata.name, object.metadata.namespace)], true);
    else yield* out(`${display(kind, object.metadata.name)} ${verb}${marks(run)}\n`);
  }
  return status;
}
