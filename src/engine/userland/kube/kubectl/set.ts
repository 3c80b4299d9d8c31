/** set: image, env, resources, selector, serviceaccount, subject of what there is. Source: kubectl pkg/cmd/set 1.32. */
import { pathOf } from '../../../cluster/types/kinds.ts';
import { copy, type Json, type KubeObject } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, failed, failureText, Fatal, listKind, out, readFd } from './client.ts';
import { pairsOf } from './create-objects.ts';
import { type Flags, on } from './flags.ts';
import { threeWay } from './merge.ts';
import { printAs } from './print.ts';
import { quantityFault } from '../../../cluster/types/quantity.ts';
import { display, fetch, mustFetch, targets } from './resources.ts';
import { dryRun, manifests, marks, query } from './write.ts';
import type { Kind } from '../../../cluster/types/kinds.ts';

const COMMON = 'f/filename=* k/kustomize= R/recursive all l/selector= o/output= dry-run=?unchanged local record field-manager= show-managed-fields allow-missing-template-keys template=';

export const SET_SUBS: Readonly<Record<string, string>> = {
  image: COMMON, env: `e/env=* c/containers= from= keys= prefix= overwrite=?true list resolve ${COMMON}`, resources: `limits= requests= c/containers= ${COMMON}`,
  selector: `resource-version= ${COMMON}`, serviceaccount: COMMON, subject: `user=* group=* serviceaccount=* ${COMMON}`,
};

const DONE: Readonly<Record<string, string>> = { image: 'image updated', env: 'env updated', resources: 'resource requirements updated', selector: 'selector updated', serviceaccount: 'serviceaccount updated', subject: 'subjects updated' };

const NEED_NAMES = 'error: one or more resources must be specified as <resource> <name> or <resource>/<name>';

interface Chosen { kind: Kind; object: KubeObject }

export function* set(client: Client, flags: Flags): Call<number> {
  const [what = '', ...args] = flags.args;
  const { names, edits } = split(what, args, flags);
  const files = flags.many.has('filename') || flags.text.has('kustomize');
  if (names.length === 0 && !files) throw new Fatal(NEED_NAMES);
  const change = yield* changer(client, what, edits, flags);
  const run = on(flags, 'local') ? 'client' : dryRun(flags);
  let status = 0;
  const chosen = yield* objects(client, flags, names, files);
  if (chosen === null) return 1;
  for (const { kind, object } of chosen) {
    const next: Json = copy(object);
    const problem = change(next);
    if (problem !== null) {
      yield* err(`error: ${kind.plural}/${object.metadata.name} ${problem}\n`);
      status = 1;
      continue;
    }
    if (what === 'env' && on(flags, 'list')) {
      yield* listEnv(kind, next, flags);
      continue;
    }
    const patch = threeWay(object, next, object);
    const changed = Object.keys(patch).length > 0;
    if (!changed && what !== 'env' && what !== 'resources') continue;
    let made: Json = next;
    if (changed && run !== 'client') {
      const reply = yield* call(client, 'PATCH', `${pathOf(kind, object.metadata.namespace, object.metadata.name)}${query(flags, run)}`, patch, 'strategic');
      if (failed(reply)) {
        const doing = ['image', 'env', 'resources'].includes(what) ? `failed to patch ${what} update to pod template: ` : '';
        yield* err(`error: ${doing}${failureText(reply.body).replace(/^Error from server \(\w+\): /, '')}\n`);
        status = 1;
        continue;
      }
      made = reply.body;
    }
    if (flags.text.has('output')) yield* printAs(flags.text.get('output')!, [made], true);
    else yield* out(`${display(kind, object.metadata.name)} ${DONE[what]}${marks(on(flags, 'local') ? '' : run)}\n`);
  }
  return status;
}

/** Resources stand first, then what to change. */
function split(what: string, args: readonly string[], flags: Flags): { names: string[]; edits: string[] } {
  if (what === 'serviceaccount') {
    if (args.length === 0) throw new Fatal('error: serviceaccount is required');
    return { names: args.slice(0, -1), edits: [args.at(-1)!] };
  }
  if (what === 'selector') {
    if (args.length === 0) throw new Fatal(NEED_NAMES);
    return { names: args.slice(0, -1), edits: [args.at(-1)!] };
  }
  const isEdit = (a: string): boolean => what === 'image' ? /^[^/=]+=/.test(a) : what === 'env' && (/^[A-Za-z_.][\w.-]*=/.test(a) || /^[A-Za-z_][\w.-]*-$/.test(a));
  const names = args.filter((a) => !isEdit(a));
  const edits = [...args.filter(isEdit), ...(what === 'env' ? (flags.many.get('env') ?? []) : [])];
  if (what === 'image' && names.length > 0 && edits.length === 0) throw new Fatal('error: at least one image update is required');
  return { names, edits };
}

/** Null after an object that is not there has been reported. */
function* objects(client: Client, flags: Flags, names: readonly string[], files: boolean): Call<Chosen[] | null> {
  const found: Chosen[] = [];
  if (files) {
    for (const m of yield* manifests(client, flags)) found.push({ kind: m.kind, object: on(flags, 'local') ? m.object : yield* mustFetch(client, m.kind, m.name, m.namespace ?? client.namespace) });
    return found;
  }
  if (on(flags, 'local')) throw new Fatal('error: one or more files must be specified as -f when --local is set');
  for (const t of yield* targets(client, names)) {
    if (t.name === null) {
      if (!on(flags, 'all') && !flags.text.has('selector')) throw new Fatal('error: resource(s) were provided, but no name was specified');
      for (const object of (yield* listKind(client, t.kind, t.kind.namespaced ? client.namespace : undefined, { labelSelector: flags.text.get('selector') })).items) found.push({ kind: t.kind, object: { ...object, kind: t.kind.kind } });
      continue;
    }
    const object = yield* fetch(client, t.kind, t.name);
    if (typeof object === 'string') {
      yield* err(`${object}\n`);
      return null;
    }
    found.push({ kind: t.kind, object });
  }
  return found;
}

/** Changes an object in place; a text says why it cannot. */
type Change = (o: Json) => string | null;

const podSpec = (o: Json): Json => (o.kind === 'Pod' ? o.spec : o.kind === 'CronJob' ? o.spec?.jobTemplate?.spec?.template?.spec : o.spec?.template?.spec);

function inTemplate(change: (spec: Json) => string | null): Change {
  return (o) => {
    const spec = podSpec(o);
    return spec ? change(spec) : `the object is not a pod or does not have a pod template: ${o.kind}`;
  };
}

/** Containers by --containers: a name, or a pattern with "*". */
function among(spec: Json, pattern: string | undefined): Json[] {
  const all: Json[] = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const like = new RegExp(`^${(pattern ?? '*').replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`);
  return all.filter((c) => like.test(c.name));
}

function* changer(client: Client, what: string, edits: readonly string[], flags: Flags): Call<Change> {
  switch (what) {
    case 'image':
      return inTemplate((spec) => setImages(spec, edits));
    case 'env':
      return yield* envChange(client, edits, flags);
    case 'resources':
      return resourcesChange(flags);
    case 'serviceaccount':
      return inTemplate((spec) => {
        spec.serviceAccountName = edits[0];
        spec.serviceAccount = edits[0];
        return null;
      });
    case 'selector':
      return (o) => {
        if (o.kind !== 'Service') return 'setting a selector is only supported for Services';
        o.spec.selector = pairsOf(edits[0] ?? '');
        return null;
      };
    default:
      return subjectChange(flags);
  }
}

function setImages(spec: Json, edits: readonly string[]): string | null {
  const all: Json[] = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  for (const pair of edits) {
    const [name, image] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    if (image === '') return `image is required for ${name}`;
    const hits = name === '*' ? all : all.filter((c) => c.name === name);
    if (hits.length === 0) throw new Fatal(`error: unable to find container named ${JSON.stringify(name)}`);
    for (const c of hits) c.image = image;
  }
  return null;
}

function resourcesChange(flags: Flags): Change {
  if (!flags.text.has('limits') && !flags.text.has('requests')) throw new Fatal('error: you must specify an update to requests or limits (in the form of --requests/--limits)');
  const parsed = (list: string): [string, string][] => (flags.text.get(list) ?? '').split(',').filter((p) => p !== '').map((pair) => {
    const parts = pair.split('=');
    if (parts.length !== 2) throw new Fatal(`error: Invalid argument syntax ${pair}, expected <resource>=<value>`);
    const fault = quantityFault(parts[1]!);
    if (fault) throw new Fatal(`error: ${fault}`);
    return parts as [string, string];
  });
  const wanted = { limits: parsed('limits'), requests: parsed('requests') };
  return inTemplate((spec) => {
    const mine = among(spec, flags.text.get('containers'));
    if (mine.length === 0) return `unable to find container named ${flags.text.get('containers')}`;
    for (const c of mine) {
      c.resources ??= {};
      for (const list of ['limits', 'requests'] as const) {
        for (const [name, value] of wanted[list]) {
          c.resources[list] = { ...c.resources[list], [name]: value };
          if (value === '0') delete c.resources[list][name];
        }
        if (c.resources[list] && Object.keys(c.resources[list]).length === 0) delete c.resources[list];
      }
    }
    return null;
  });
}

function* envChange(client: Client, edits: readonly string[], flags: Flags): Call<Change> {
  const changes: { name: string; entry: Json | null }[] = [];
  for (const e of edits) {
    if (e === '-') {
      for (const line of (yield* readFd(0)).split('\n').filter((l) => /^[A-Za-z_.]/.test(l) && l.includes('='))) changes.push({ name: line.slice(0, line.indexOf('=')), entry: { name: line.slice(0, line.indexOf('=')), value: line.slice(line.indexOf('=') + 1) } });
      continue;
    }
    const at = e.indexOf('=');
    if (at < 0) changes.push({ name: e.slice(0, -1), entry: null });
    else changes.push({ name: e.slice(0, at), entry: { name: e.slice(0, at), value: e.slice(at + 1) } });
  }
  const from = flags.text.get('from');
  if (from) {
    const [t] = yield* targets(client, [from]);
    if (!t || t.name === null || !['ConfigMap', 'Secret'].includes(t.kind.kind)) throw new Fatal(`error: unsupported resource specified in --from`);
    const source = yield* mustFetch(client, t.kind, t.name);
    const keys = flags.text.get('keys')?.split(',');
    const ref = t.kind.kind === 'Secret' ? 'secretKeyRef' : 'configMapKeyRef';
    for (const key of Object.keys(source.data ?? {}).sort()) {
      if (keys && !keys.includes(key)) continue;
      const name = `${flags.text.get('prefix') ?? ''}${key.toUpperCase().replace(/[^A-Z0-9_]/g, '_')}`;
      changes.push({ name, entry: { name, valueFrom: { [ref]: { key, name: t.name } } } });
    }
  }
  if (changes.length === 0 && !on(flags, 'list')) throw new Fatal('error: at least one environment variable must be provided');
  return inTemplate((spec) => {
    const mine = among(spec, flags.text.get('containers'));
    if (mine.length === 0) return `does not have any containers matching ${JSON.stringify(flags.text.get('containers') ?? '*')}`;
    for (const c of mine) {
      for (const { name, entry } of changes) {
        const had = (c.env ?? []).findIndex((e: Json) => e.name === name);
        if (had >= 0 && entry !== null && flags.text.get('overwrite') === 'false') return `'${name}' already has a value (${c.env[had].value ?? ''}), and --overwrite is false`;
        if (entry === null) c.env = (c.env ?? []).filter((e: Json) => e.name !== name);
        else if (had >= 0) c.env[had] = entry;
        else c.env = [...(c.env ?? []), entry];
        if (c.env?.length === 0) delete c.env;
      }
    }
    return null;
  });
}

function* listEnv(kind: Kind, o: Json, flags: Flags): Call<void> {
  for (const c of among(podSpec(o), flags.text.get('containers'))) {
    yield* out(`# ${kind.plural} ${o.metadata.name}, container ${c.name}\n`);
    for (const e of c.env ?? []) {
      const from = e.valueFrom;
      if (!from) yield* out(`${e.name}=${e.value ?? ''}\n`);
      else if (from.fieldRef) yield* out(`# ${e.name} from field path ${from.fieldRef.fieldPath}\n`);
      else if (from.configMapKeyRef) yield* out(`# ${e.name} from configmap ${from.configMapKeyRef.name}, key ${from.configMapKeyRef.key}\n`);
      else if (from.secretKeyRef) yield* out(`# ${e.name} from secret ${from.secretKeyRef.name}, key ${from.secretKeyRef.key}\n`);
      else yield* out(`# ${e.name} from resource field ${from.resourceFieldRef?.resource ?? ''}\n`);
    }
  }
}

const RBAC = 'rbac.authorization.k8s.io';

function subjectChange(flags: Flags): Change {
  const wanted: Json[] = [];
  for (const [flag, kind] of [['user', 'User'], ['group', 'Group']] as const) for (const name of flags.many.get(flag) ?? []) wanted.push({ apiGroup: RBAC, kind, name });
  for (const account of flags.many.get('serviceaccount') ?? []) {
    const [namespace, name, more] = account.split(':');
    if (!namespace || !name || more !== undefined) throw new Fatal('error: serviceaccount must be <namespace>:<name>');
    wanted.push({ kind: 'ServiceAccount', name, namespace });
  }
  if (wanted.length === 0) throw new Fatal('error: you must specify at least one value of user, group or serviceaccount');
  return (o) => {
    if (!/RoleBinding$/.test(o.kind)) return 'setting subjects is only supported for RoleBinding/ClusterRoleBinding';
    const have: Json[] = o.subjects ?? [];
    o.subjects = [...have, ...wanted.filter((w) => !have.some((h) => h.kind === w.kind && h.name === w.name && h.namespace === w.namespace))];
    return null;
  };
}
