/** apply (three-way merge or server-side), diff, replace: objects as a manifest says. */
import { KINDS, pathOf } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import { AT_FDCWD, AT_REMOVEDIR, O_CREAT, O_TRUNC, O_WRONLY } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt, fork } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { ask, call, type Client, err, failed, failureText, Fatal, listKind, out } from './client.ts';
import { type Edited, session } from './edit.ts';
import { type Flags, on } from './flags.ts';
import { annotated, LAST_APPLIED, lastApplied, threeWay } from './merge.ts';
import { bare, checkFormat, printAs } from './print.ts';
import { display, fetch, mustFetch, targets } from './resources.ts';
import { announce, dryRun, located, type Manifest, manifests, marks, NEED_FILE, NEED_RESOURCE, query, tell, unversioned } from './write.ts';
import { toJson, toYaml } from './yaml.ts';

const COMMON = 'f/filename=* R/recursive k/kustomize= o/output= allow-missing-template-keys template= show-managed-fields';

export const APPLY_FLAGS =
  `${COMMON} dry-run=?unchanged validate=?strict server-side force-conflicts force prune prune-allowlist=* all l/selector= overwrite=?true field-manager= wait=?true cascade=?background grace-period= timeout= save-config openapi-patch=?true applyset= subresource=`;
export const APPLY_SUBS: Readonly<Record<string, string>> = {
  'view-last-applied': `all l/selector= ${COMMON}`, 'set-last-applied': `create-annotation dry-run=?unchanged ${COMMON}`, 'edit-last-applied': `field-manager= validate=?strict windows-line-endings record ${COMMON}`,
};
export const DIFF_FLAGS = 'f/filename=* R/recursive k/kustomize= server-side force-conflicts field-manager= l/selector= prune prune-allowlist=* all concurrency= show-managed-fields';

export function* apply(client: Client, flags: Flags): Call<number> {
  const format = flags.text.get('output') ?? '';
  const below = LAST[flags.args[0] ?? ''];
  if (below) return yield* below(client, flags);
  checkFormat(format, false);
  unexpected(flags, 'apply');
  if (!flags.many.has('filename') && !flags.text.has('kustomize')) throw new Fatal(NEED_FILE);
  const prune = on(flags, 'prune');
  if (on(flags, 'force-conflicts') && !on(flags, 'server-side')) throw new Fatal('error: --force-conflicts only works with --server-side');
  if (dryRun(flags) === 'client' && on(flags, 'server-side')) throw new Fatal("error: --dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)");
  if (flags.text.has('applyset')) throw new Fatal('error: not modelled: kubectl apply --applyset');
  if (prune && !on(flags, 'all') && !flags.text.has('selector')) throw new Fatal('error: all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector');
  const problems: string[] = [];
  const done: KubeObject[] = [];
  let status = 0;
  for (const m of yield* manifests(client, flags, problems)) {
    const object = yield* applyOne(client, flags, m);
    if (object === null) status = 1;
    else done.push(object);
  }
  if (format !== '' && format !== 'name' && done.length > 0) yield* printAs(format, done, done.length === 1);
  yield* tell(problems, status);
  if (prune && status === 0 && problems.length === 0) yield* pruned(client, flags, done);
  return problems.length > 0 ? 1 : status;
}

/** The line for one object; whole objects are printed together at the end. */
function* say(flags: Flags, m: Manifest, object: KubeObject, verb: string, run: string): Call<KubeObject> {
  const format = flags.text.get('output') ?? '';
  if (format === '' || format === 'name') yield* announce(flags, m.kind, object, verb, run);
  return { ...object, kind: m.kind.kind };
}

function* refused(text: string): Call<null> {
  yield* err(`${text}\n`);
  return null;
}

const shownKind = ({ kind, name, namespace }: Manifest): string => {
  const group = kind.group ? `${kind.group}/` : '/';
  return `Resource: "${group}${kind.version}, Resource=${kind.plural}", GroupVersionKind: "${group}${kind.version}, Kind=${kind.kind}"\nName: "${name}", Namespace: "${namespace ?? ''}"`;
};

function* applyOne(client: Client, flags: Flags, m: Manifest): Call<KubeObject | null> {
  const run = dryRun(flags);
  const { kind, name, namespace, item } = m;
  const path = pathOf(kind, namespace, name);
  const object = { ...m.object, metadata: { ...m.object.metadata, ...(namespace ? { namespace } : {}) } };
  if (name === '' && m.object.metadata?.generateName) return yield* refused(`error: from ${m.object.metadata.generateName}: cannot use generate name with apply`);
  if (name === '') return yield* refused(`error: error when retrieving current configuration of:\n${shownKind(m)}\nfrom server for: "${item.source}": resource name may not be empty`);
  if (on(flags, 'server-side')) return yield* serverSide(client, flags, m, object, run);
  const reply = yield* call(client, 'GET', path);
  if (reply.status === 404 && reply.body?.details?.name) {
    const made = yield* makeQuiet(client, flags, m, annotated(object), run);
    return made === null ? null : yield* say(flags, m, made, 'created', run);
  }
  if (failed(reply)) return yield* refused(reply.status === 404 ? failureText(reply.body) : failureText(reply.body, `error when retrieving current configuration of:\n${shownKind(m)}\nfrom server for: "${item.source}"`));
  const live = reply.body as KubeObject;
  if (run === 'client') return yield* say(flags, m, live, 'configured', run);
  const before = lastApplied(live);
  if (before === null) {
    yield* err(`Warning: resource ${kind.plural}/${name} is missing the ${LAST_APPLIED} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.\n`);
  }
  const patch = threeWay(before ?? {}, annotated(object), live);
  if (Object.keys(patch).length === 0) return yield* say(flags, m, live, 'unchanged', run);
  const answer = yield* call(client, 'PATCH', `${path}${query(flags, run)}`, patch, kind.custom ? 'merge' : 'strategic');
  if (failed(answer)) {
    if (on(flags, 'force') && (answer.status === 409 || answer.status === 422)) return yield* recreated(client, flags, m, object, run);
    const wrapped = answer.body?.reason === 'Invalid' && answer.body.details?.kind ? failureText(answer.body) : failureText(answer.body, `error when applying patch:\n${JSON.stringify(patch)}\nto:\n${shownKind(m)}\nfor: "${item.source}": error when patching "${item.source}"`);
    return yield* refused(located(wrapped, item));
  }
  if (live.metadata.deletionTimestamp) yield* err(`Warning: Detected changes to resource ${name} which is currently being deleted.\n`);
  return yield* say(flags, m, answer.body, 'configured', run);
}

/** --force: what cannot be patched is deleted and made again. */
function* recreated(client: Client, flags: Flags, m: Manifest, object: Json, run: string): Call<KubeObject | null> {
  yield* call(client, 'DELETE', pathOf(m.kind, m.namespace, m.name), { propagationPolicy: 'Background' });
  while (typeof (yield* fetch(client, m.kind, m.name, m.namespace ?? client.namespace)) !== 'string') yield* sys('nanosleep', 200_000_000);
  const made = yield* makeQuiet(client, flags, m, annotated(object), run);
  return made === null ? null : yield* say(flags, m, made, 'configured', run);
}

function* makeQuiet(client: Client, flags: Flags, m: Manifest, object: Json, run: string): Call<KubeObject | null> {
  if (run === 'client') return object;
  const reply = yield* call(client, 'POST', `${pathOf(m.kind, m.namespace)}${query(flags, run)}`, unversioned(object));
  if (!failed(reply)) return reply.body;
  return yield* refused(located(failureText(reply.body, `error when creating "${m.item.source}"`), m.item));
}

const CONFLICT = `Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the \`--force-conflicts\` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts`;

function* serverSide(client: Client, flags: Flags, m: Manifest, object: Json, run: string): Call<KubeObject | null> {
  const force = on(flags, 'force-conflicts') ? '&force=true' : '';
  const reply = yield* call(client, 'PATCH', `${pathOf(m.kind, m.namespace, m.name)}${query(flags, run, flags.text.get('field-manager') ?? 'kubectl')}${force}`, object, 'apply');
  if (!failed(reply)) return yield* say(flags, m, reply.body, 'serverside-applied', run);
  if (reply.status === 409 && (reply.body?.details?.causes ?? []).some((c: Json) => c.reason === 'FieldManagerConflict')) return yield* refused(`error: ${reply.body.message}\n${CONFLICT}`);
  return yield* refused(located(failureText(reply.body), m.item));
}

const PRUNED = ['ConfigMap', 'Endpoints', 'Namespace', 'PersistentVolumeClaim', 'PersistentVolume', 'Pod', 'ReplicationController', 'Secret', 'Service', 'Job', 'CronJob', 'Ingress', 'DaemonSet', 'Deployment', 'ReplicaSet', 'StatefulSet'];

/** --prune: what was applied before, is selected, and is not in the manifests any more. */
function* pruned(client: Client, flags: Flags, done: readonly KubeObject[]): Call<void> {
  const kept = new Set(done.map((o) => o.metadata.uid));
  const homes = [...new Set(done.map((o) => o.metadata.namespace).filter((n) => n !== undefined))].sort();
  const run = dryRun(flags);
  const allowed = (flags.many.get('prune-allowlist') ?? []).map((a) => a.split('/').pop()!);
  for (const kind of KINDS.filter((k) => (allowed.length > 0 ? allowed.includes(k.kind) : PRUNED.includes(k.kind))).sort((a, b) => Number(a.namespaced) - Number(b.namespaced))) {
    for (const namespace of kind.namespaced ? homes : [undefined]) {
      for (const o of (yield* listKind(client, kind, namespace, { labelSelector: flags.text.get('selector') })).items) {
        if (lastApplied(o) === null || kept.has(o.metadata.uid) || o.metadata.deletionTimestamp) continue;
        if (run !== 'client') yield* call(client, 'DELETE', `${pathOf(kind, namespace, o.metadata.name)}${run === 'server' ? '?dryRun=All' : ''}`, { propagationPolicy: 'Background' });
        yield* out(`${display(kind, o.metadata.name)} pruned${marks(run)}\n`);
      }
    }
  }
}

function* lastOf(client: Client, flags: Flags): Call<Edited[]> {
  const found: Edited[] = [];
  if (flags.many.has('filename') || flags.text.has('kustomize')) {
    for (const m of yield* manifests(client, flags)) found.push({ kind: m.kind, object: yield* mustFetch(client, m.kind, m.name, m.namespace ?? client.namespace) });
    return found;
  }
  if (flags.args.length < 2) throw new Fatal(NEED_RESOURCE);
  for (const t of yield* targets(client, flags.args.slice(1))) {
    if (t.name !== null) found.push({ kind: t.kind, object: yield* mustFetch(client, t.kind, t.name) });
    else if (!on(flags, 'all') && !flags.text.has('selector')) throw new Fatal('error: resource(s) were provided, but no name was specified');
    else for (const object of (yield* listKind(client, t.kind, t.kind.namespaced ? client.namespace : undefined, { labelSelector: flags.text.get('selector') })).items) found.push({ kind: t.kind, object });
  }
  return found;
}

/** The commands below apply, on the annotation that holds what was applied last. */
const LAST: Readonly<Record<string, (client: Client, flags: Flags) => Call<number>>> = {
  *'view-last-applied'(client, flags) {
    const format = flags.text.get('output') ?? 'yaml';
    if (format !== 'yaml' && format !== 'json') throw new Fatal(`error: Unexpected -o output mode: ${format}, the flag 'output' must be one of yaml|json\nSee 'view-last-applied -h' for help and examples`);
    for (const { object } of yield* lastOf(client, flags)) {
      const last = lastApplied(object);
      if (last !== null) yield* out(format === 'json' ? `${toJson(last, 2)}\n` : toYaml(last));
    }
    return 0;
  },
  *'set-last-applied'(client, flags) {
    const run = dryRun(flags);
    if (!flags.many.has('filename') && !flags.text.has('kustomize')) throw new Fatal(NEED_FILE);
    for (const m of yield* manifests(client, flags)) {
      const live = yield* mustFetch(client, m.kind, m.name, m.namespace ?? client.namespace);
      if (lastApplied(live) === null && !on(flags, 'create-annotation')) throw new Fatal(`error: no last-applied-configuration annotation found on resource: ${m.name}, to create the annotation, run the command with --create-annotation`);
      const wanted = annotated({ ...m.object, metadata: { ...m.object.metadata, ...(m.namespace ? { namespace: m.namespace } : {}) } }).metadata.annotations[LAST_APPLIED];
      if (wanted === live.metadata.annotations?.[LAST_APPLIED]) {
        yield* err(`set-last-applied ${m.name}: no changes required.\n`);
        continue;
      }
      let made: Json = live;
      if (run !== 'client') made = yield* ask(client, 'PATCH', `${pathOf(m.kind, m.namespace, m.name)}${query(flags, run)}`, { metadata: { annotations: { [LAST_APPLIED]: wanted } } }, 'merge');
      yield* announce(flags, m.kind, made, 'configured', run);
    }
    return 0;
  },
  *'edit-last-applied'(client, flags) {
    const chosen: Edited[] = [];
    const live = yield* lastOf(client, flags);
    for (const { kind, object } of live) {
      const last = lastApplied(object);
      if (last !== null) chosen.push({ kind, object: last });
    }
    if (chosen.length === 0) throw new Fatal('error: no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply set-last-applied --create-annotation`');
    return yield* session(client, chosen, flags.text.get('output') ?? 'yaml', 'apply', function* (next) {
      for (const object of next) {
        const mine = live.find((l) => l.object.kind === object.kind && l.object.metadata.name === object.metadata?.name);
        if (!mine) throw new Fatal(`error: no original object found for ${JSON.stringify(object)}`);
        const value = annotated(object).metadata.annotations[LAST_APPLIED];
        yield* ask(client, 'PATCH', `${pathOf(mine.kind, mine.object.metadata.namespace, mine.object.metadata.name)}${query(flags, '')}`, { metadata: { annotations: { [LAST_APPLIED]: value } } }, 'merge');
        yield* out(`${display(mine.kind, mine.object.metadata.name)} edited\n`);
      }
    });
  },
};

/** What applying would change: live and merged objects as YAML in two directories, and `diff -u -N` on them. */
export function* diff(client: Client, flags: Flags): Call<number> {
  unexpected(flags, 'diff');
  if (!flags.many.has('filename') && !flags.text.has('kustomize')) throw new Fatal(NEED_FILE);
  const problems: string[] = [];
  const pairs: { name: string; live: Json | null; merged: Json }[] = [];
  for (const m of yield* manifests(client, flags, problems)) {
    const pair = yield* merged(client, flags, m);
    if (typeof pair === 'string') problems.push(pair);
    else pairs.push({ name: `${m.kind.group ? `${m.kind.group}.` : ''}${m.kind.version}.${m.kind.kind}.${m.namespace ?? ''}.${m.name}`, ...pair });
  }
  const differs = pairs.length > 0 ? yield* external(client, pairs, on(flags, 'show-managed-fields')) : 0;
  for (const p of problems) yield* err(`${p}\n`);
  return problems.length > 0 ? 1 : differs;
}

/** An object as it is and as the server says it would be; or the failure. */
function* merged(client: Client, flags: Flags, m: Manifest): Call<{ live: Json | null; merged: Json } | string> {
  const live = yield* fetch(client, m.kind, m.name, m.namespace ?? client.namespace);
  const wanted = annotated({ ...m.object, metadata: { ...m.object.metadata, ...(m.namespace ? { namespace: m.namespace } : {}) } });
  const asked = query(flags, 'server');
  if (typeof live === 'string') {
    delete wanted.metadata.annotations[LAST_APPLIED];
    const reply = yield* call(client, 'POST', `${pathOf(m.kind, m.namespace)}${asked}`, wanted);
    return failed(reply) ? located(failureText(reply.body), m.item) : { live: null, merged: reply.body };
  }
  const patch = threeWay(lastApplied(live) ?? {}, wanted, live);
  delete patch.metadata?.annotations?.[LAST_APPLIED];
  const reply = yield* call(client, 'PATCH', `${pathOf(m.kind, m.namespace, m.name)}${asked}`, patch, m.kind.custom ? 'merge' : 'strategic');
  return failed(reply) ? located(failureText(reply.body), m.item) : { live, merged: reply.body };
}

function* external(client: Client, pairs: readonly { name: string; live: Json | null; merged: Json }[], managed: boolean): Call<number> {
  const tag = 1_000_000_000 + ((yield* sys('getpid')) * 7_919_317) % 3_000_000_000;
  const [from, to] = [`/tmp/LIVE-${tag}`, `/tmp/MERGED-${tag + 1_234_567}`];
  for (const directory of [from, to]) yield* sys('mkdirat', AT_FDCWD, directory, 0o700);
  const names: string[] = [];
  for (const { name, live, merged: after } of pairs) {
    for (const [directory, object] of [[from, live], [to, after]] as const) {
      if (object === null) continue;
      const fd = yield* sys('openat', AT_FDCWD, `${directory}/${name}`, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
      yield* writeAll(fd, bytes(toYaml(managed ? object : bare(object))));
      yield* sys('close', fd);
      names.push(`${directory}/${name}`);
    }
  }
  const pid = yield* fork(function* (): Body {
    for (const directory of (client.env.PATH ?? '/usr/bin:/bin').split(':')) {
      yield* attempt(sys('execve', `${directory}/diff`, ['diff', '-u', '-N', from, to], client.env), 0 as never);
    }
    return 127;
  });
  const { status } = yield* sys('wait4', pid, 0);
  for (const name of names) yield* sys('unlinkat', AT_FDCWD, name, 0);
  for (const directory of [from, to]) yield* sys('unlinkat', AT_FDCWD, directory, AT_REMOVEDIR);
  const exit = (status >> 8) & 255;
  if (exit > 1) throw new Fatal(exit === 127 ? 'error: exec: "diff": executable file not found in $PATH' : `error: exit status ${exit}`);
  return exit;
}

function unexpected(flags: Flags, command: string): void {
  if (flags.args.length > 0) throw new Fatal(`error: Unexpected args: [${flags.args.join(' ')}]\nSee 'kubectl ${command} -h' for help and examples`);
}

export const REPLACE_FLAGS = 'f/filename=* force o/output= dry-run=?unchanged validate=?strict save-config grace-period= cascade=?background timeout= wait=?true k/kustomize= R/recursive raw= subresource= field-manager= allow-missing-template-keys template= show-managed-fields';

export function* replace(client: Client, flags: Flags): Call<number> {
  if (!flags.many.has('filename') && !flags.text.has('kustomize')) throw new Fatal(flags.args.length > 0 ? `error: unexpected args: [${flags.args.join(' ')}]\nSee 'kubectl replace -h' for help and examples` : NEED_FILE);
  const force = on(flags, 'force');
  if (flags.text.has('grace-period') && Number(flags.text.get('grace-period')) >= 0 && !force) throw new Fatal('error: --grace-period must have --force specified');
  if (flags.text.has('timeout') && flags.text.get('timeout') !== '0' && !force) throw new Fatal('error: --timeout must have --force specified');
  const problems: string[] = [];
  let status = 0;
  const run = dryRun(flags);
  if (force && run !== '') throw new Fatal("error: --dry-run can not be used when --force is set");
  const all = yield* manifests(client, flags, problems);
  if (force) yield* clear(client, flags, all);
  for (const m of all) {
    const save = on(flags, 'save-config') ? annotated(m.object) : m.object;
    if (force) {
      const reply = yield* call(client, 'POST', `${pathOf(m.kind, m.namespace)}${query(flags, run)}`, unversioned(save));
      if (failed(reply)) {
        status = 1;
        yield* err(`${located(failureText(reply.body), m.item)}\n`);
      } else yield* announce(flags, m.kind, reply.body, 'replaced', run);
      continue;
    }
    const reply = run === 'client' ? { status: 200, body: m.object } : yield* call(client, 'PUT', `${pathOf(m.kind, m.namespace, m.name, flags.text.get('subresource'))}${query(flags, run)}`, save);
    if (failed(reply)) {
      status = 1;
      const doing = reply.body?.reason === 'Invalid' ? '' : `error when replacing "${m.item.source}"`;
      yield* err(`${located(failureText(reply.body, doing), m.item)}\n`);
    } else yield* announce(flags, m.kind, reply.body, 'replaced', run);
  }
  yield* tell(problems, status);
  return problems.length > 0 ? 1 : status;
}

/** replace --force: what is there is deleted first, and waited for. */
function* clear(client: Client, flags: Flags, all: readonly Manifest[]): Call<void> {
  const grace = Number(flags.text.get('grace-period') ?? -1);
  for (const m of all) {
    const body = { propagationPolicy: 'Background', ...(grace >= 0 ? { gracePeriodSeconds: grace } : {}) };
    const reply = yield* call(client, 'DELETE', pathOf(m.kind, m.namespace, m.name), body);
    if (!failed(reply)) yield* out(`${m.kind.singular}${m.kind.group ? `.${m.kind.group}` : ''} "${m.name}" deleted\n`);
  }
  for (const m of all) while (typeof (yield* fetch(client, m.kind, m.name, m.namespace ?? client.namespace)) !== 'string') yield* sys('nanosleep', 200_000_000);
}
