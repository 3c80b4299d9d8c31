/** rollout and set: changing a deployment's template, and watching, listing, undoing what that did. */
import { kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import { copy, type Deployment, type Json, type KubeObject } from '../../../cluster/types/objects.ts';
import { rfc3339 } from '../../../cluster/types/time.ts';
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { ask, type Client, err, Fatal, listKind, now, out } from './client.ts';
import { describeObject } from './describe.ts';
import type { Flags } from './flags.ts';
import { seconds } from './query.ts';
import { display, fetch, mustFetch, targets, type Target } from './resources.ts';
import { dryRun, marks, query } from './write.ts';
import { printAs } from './print.ts';
import { tabulate } from './tabwriter.ts';

const REVISION = 'deployment.kubernetes.io/revision';
const CAUSE = 'kubernetes.io/change-cause';

export const ROLLOUT_FLAGS = 'f/filename=* w/watch=?true timeout= revision= to-revision= o/output= dry-run=?unchanged l/selector=';

export function* rollout(client: Client, flags: Flags): Call<number> {
  const [verb, ...args] = flags.args;
  const verbs: Record<string, (client: Client, flags: Flags, t: Target) => Call<number>> = { status, history, undo, restart, pause: (c, f, t) => hold(c, f, t, true), resume: (c, f, t) => hold(c, f, t, false) };
  const run = verbs[verb ?? ''];
  if (!run) {
    throw new Fatal("error: unknown rollout command: use status, history, undo, restart, pause or resume\nSee 'kubectl rollout -h' for help and examples");
  }
  if (args.length === 0) throw new Fatal(`error: required resource not specified\nSee 'kubectl rollout ${verb} -h' for help and examples`);
  let last = 0;
  for (const t of yield* targets(client, args)) {
    if (!(t.kind.kind === 'Deployment' || (['StatefulSet', 'DaemonSet'].includes(t.kind.kind) && verb !== 'pause' && verb !== 'resume'))) throw new Fatal(`error: no rollout ${verb === 'status' ? 'status viewer' : 'support'} has been implemented for ${t.kind.group ? `${t.kind.kind}.${t.kind.group}` : t.kind.kind}`);
    if (t.name === null) {
      for (const o of (yield* listKind(client, t.kind, client.namespace)).items) last = Math.max(last, yield* run(client, flags, { kind: t.kind, name: o.metadata.name }));
    } else last = Math.max(last, yield* run(client, flags, t));
  }
  return last;
}

type Progress = { done: boolean; text: string } | { failed: string };

/** How far a rollout has come. Source: kubectl pkg/polymorphichelpers/rollout_status.go. */
function progress(object: KubeObject): Progress {
  if (object.kind === 'Deployment') return progressOf(object as Deployment);
  if (object.spec.updateStrategy?.type !== 'RollingUpdate') return { failed: 'error: rollout status is only available for RollingUpdate strategy type' };
  return object.kind === 'DaemonSet' ? daemonProgress(object) : setProgress(object);
}

function daemonProgress(d: KubeObject): Progress {
  const s = d.status ?? {};
  if ((d.metadata.generation ?? 0) > (s.observedGeneration ?? 0)) return { done: false, text: 'Waiting for daemon set spec update to be observed...\n' };
  const [desired, updated, available] = [s.desiredNumberScheduled ?? 0, s.updatedNumberScheduled ?? 0, s.numberAvailable ?? 0];
  const head = `Waiting for daemon set "${d.metadata.name}" rollout to finish: `;
  if (updated < desired) return { done: false, text: `${head}${updated} out of ${desired} new pods have been updated...\n` };
  if (available < desired) return { done: false, text: `${head}${available} of ${desired} updated pods are available...\n` };
  return { done: true, text: `daemon set "${d.metadata.name}" successfully rolled out\n` };
}

function setProgress(d: KubeObject): Progress {
  const s = d.status ?? {};
  const { replicas } = d.spec;
  if (!s.observedGeneration || (d.metadata.generation ?? 0) > s.observedGeneration) return { done: false, text: 'Waiting for statefulset spec update to be observed...\n' };
  const ready = s.readyReplicas ?? 0;
  if (ready < replicas) return { done: false, text: `Waiting for ${replicas - ready} pods to be ready...\n` };
  const partition = d.spec.updateStrategy.rollingUpdate?.partition;
  const updated = s.updatedReplicas ?? 0;
  if (partition !== undefined) {
    return updated < replicas - partition
      ? { done: false, text: `Waiting for partitioned roll out to finish: ${updated} out of ${replicas - partition} new pods have been updated...\n` }
      : { done: true, text: `partitioned roll out complete: ${updated} new pods have been updated...\n` };
  }
  if (s.updateRevision !== s.currentRevision) return { done: false, text: `waiting for statefulset rolling update to complete ${updated} pods at revision ${s.updateRevision}...\n` };
  return { done: true, text: `statefulset rolling update complete ${s.currentReplicas ?? 0} pods at revision ${s.currentRevision}...\n` };
}

/** What is still missing, or null when the rollout is done. */
export function progressOf(d: Deployment): Progress {
  const { name } = d.metadata;
  const s = d.status ?? {};
  if ((d.metadata.generation ?? 0) > (s.observedGeneration ?? 0)) return { done: false, text: 'Waiting for deployment spec update to be observed...\n' };
  if (s.conditions?.some((c) => c.type === 'Progressing' && c.reason === 'ProgressDeadlineExceeded')) return { failed: `error: deployment "${name}" exceeded its progress deadline` };
  const updated = s.updatedReplicas ?? 0;
  const head = `Waiting for deployment "${name}" rollout to finish: `;
  if (updated < d.spec.replicas) return { done: false, text: `${head}${updated} out of ${d.spec.replicas} new replicas have been updated...\n` };
  if ((s.replicas ?? 0) > updated) return { done: false, text: `${head}${(s.replicas ?? 0) - updated} old replicas are pending termination...\n` };
  if ((s.availableReplicas ?? 0) < updated) return { done: false, text: `${head}${s.availableReplicas ?? 0} of ${updated} updated replicas are available...\n` };
  return { done: true, text: `deployment "${name}" successfully rolled out\n` };
}

function* status(client: Client, flags: Flags, t: Target): Call<number> {
  const deadline = flags.text.has('timeout') ? (yield* now()) + seconds(flags.text.get('timeout'), 0) : Number.POSITIVE_INFINITY;
  let version = '';
  for (;;) {
    const d = yield* mustFetch(client, t.kind, t.name!);
    if (d.metadata.resourceVersion !== version) {
      version = d.metadata.resourceVersion!;
      const p = progress(d);
      if ('failed' in p) throw new Fatal(p.failed);
      yield* out(p.text);
      if (p.done || flags.text.get('watch') === 'false') return 0;
    }
    if ((yield* now()) >= deadline) throw new Fatal('error: timed out waiting for the condition');
    yield* sys('nanosleep', 100_000_000);
  }
}

/** A template that a workload has had, with its number. */
interface Past { revision: number; cause: string; template: Json }

/** Oldest first: a Deployment's are its ReplicaSets, the others' ControllerRevisions. */
function* pastOf(client: Client, d: KubeObject): Call<Past[]> {
  const deployment = d.kind === 'Deployment';
  const { items } = yield* listKind(client, kindNamed(deployment ? 'ReplicaSet' : 'ControllerRevision'), d.metadata.namespace);
  return items
    .filter((r) => r.metadata.ownerReferences?.some((o) => o.uid === d.metadata.uid))
    .map((r) => ({
      revision: Number(deployment ? (r.metadata.annotations?.[REVISION] ?? 0) : r.revision), cause: r.metadata.annotations?.[CAUSE] ?? '<none>',
      template: deployment ? r.spec.template : { metadata: r.data.spec.template.metadata, spec: r.data.spec.template.spec },
    }))
    .sort((a, b) => a.revision - b.revision);
}

function* history(client: Client, flags: Flags, t: Target): Call<number> {
  const d = yield* mustFetch(client, t.kind, t.name!);
  const past = yield* pastOf(client, d);
  const wanted = flags.text.get('revision');
  if (wanted !== undefined && wanted !== '0') {
    const found = past.find((one) => String(one.revision) === wanted);
    if (!found) throw new Fatal('error: unable to find the specified revision');
    const text = describeObject({ ...d, kind: 'ReplicaSet', spec: { ...d.spec, template: found.template } }, { now: 0, events: [] });
    const body = text.slice(text.indexOf('Pod Template:'), text.indexOf('Events:'));
    yield* out(`${display(t.kind, t.name!)} with revision #${wanted}\n${body}\n`);
    return 0;
  }
  const rows = past.map((one) => `${one.revision}\t${one.cause}`);
  yield* out(`${display(t.kind, t.name!)} \n${tabulate(`REVISION\tCHANGE-CAUSE\n${rows.join('\n')}\n`, 0, 2)}\n`);
  return 0;
}

function* undo(client: Client, flags: Flags, t: Target): Call<number> {
  const d = yield* mustFetch(client, t.kind, t.name!);
  if (d.spec.paused) throw new Fatal(`error: you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again`);
  const past = yield* pastOf(client, d);
  const to = Number(flags.text.get('to-revision') ?? 0);
  const found = to === 0 ? past[past.length - 2] : past.find((one) => one.revision === to);
  if (!found) throw new Fatal(to === 0 ? `error: no rollout history found for ${t.kind.singular} "${t.name}"` : `error: unable to find specified revision ${to} in history`);
  const run = dryRun(flags);
  const template = copy(found.template);
  delete template.metadata.labels?.['pod-template-hash'];
  if (JSON.stringify(template.spec) === JSON.stringify(d.spec.template.spec) && to !== 0) {
    yield* out(`${display(t.kind, t.name!)} skipped rollback (current template already matches revision ${to})\n`);
    return 0;
  }
  if (run !== 'client') {
    yield* ask(client, 'PATCH', `${pathOf(t.kind, client.namespace, t.name!)}${query(flags, run)}`, [{ op: 'replace', path: '/spec/template', value: template }], 'json');
  }
  yield* out(`${display(t.kind, t.name!)} rolled back${marks(run)}\n`);
  return 0;
}

function* restart(client: Client, flags: Flags, t: Target): Call<number> {
  const d = yield* mustFetch(client, t.kind, t.name!);
  if (d.spec.paused) throw new Fatal(`error: deployments.apps "${t.name}" can't restart paused deployment (run rollout resume first)`);
  const at = rfc3339(yield* now());
  yield* ask(client, 'PATCH', `${pathOf(t.kind, client.namespace, t.name!)}${query(flags, '')}`, { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': at } } } } }, 'strategic');
  yield* out(`${display(t.kind, t.name!)} restarted\n`);
  return 0;
}

function* hold(client: Client, flags: Flags, t: Target, paused: boolean): Call<number> {
  const d = yield* mustFetch(client, t.kind, t.name!);
  if (Boolean(d.spec.paused) === paused) throw new Fatal(`error: deployments.apps "${t.name}" is ${paused ? 'already paused' : 'not paused'}`);
  yield* ask(client, 'PATCH', `${pathOf(t.kind, client.namespace, t.name!)}${query(flags, '')}`, { spec: { paused: paused ? true : null } }, 'merge');
  yield* out(`${display(t.kind, t.name!)} ${paused ? 'paused' : 'resumed'}\n`);
  return 0;
}

export const SET_FLAGS = 'f/filename=* all l/selector= o/output= dry-run=?unchanged local e/env=* limits= requests= c/containers= overwrite=?true list from= record resolve';

export function* set(client: Client, flags: Flags): Call<number> {
  const [what, ...args] = flags.args;
  if (!['image', 'env', 'resources'].includes(what ?? '')) throw new Fatal("error: unknown set command: use image, env or resources\nSee 'kubectl set -h' for help and examples");
  const isPair = (a: string): boolean => /^[^/=]+=/.test(a) || (what === 'env' && /^[A-Za-z_]\w*-$/.test(a));
  const first = args.findIndex(isPair);
  const names = first < 0 ? args : args.slice(0, first);
  const pairs = [...(first < 0 ? [] : args.slice(first)), ...(flags.many.get('env') ?? [])];
  if (names.length === 0) throw new Fatal('error: one or more resources must be specified as <resource> <name> or <resource>/<name>');
  if (what === 'image' && pairs.length === 0) throw new Fatal('error: at least one image update is required');
  const run = dryRun(flags);
  for (const t of yield* targets(client, names)) {
    if (t.name === null) throw new Fatal('error: resource(s) were provided, but no name was specified');
    const object = yield* fetch(client, t.kind, t.name);
    if (typeof object === 'string') {
      yield* err(`${object}\n`);
      return 1;
    }
    const next = copy(object);
    const spec: Json = next.kind === 'Pod' ? next.spec : next.spec?.template?.spec;
    if (!spec) throw new Fatal(`error: ${t.kind.plural}/${t.name} the object is not a pod or does not have a pod template: ${next.kind}`);
    edit(what!, spec, pairs, flags);
    const changed = JSON.stringify(next) !== JSON.stringify(object);
    if (changed && run !== 'client') yield* ask(client, 'PUT', `${pathOf(t.kind, client.namespace, t.name)}${query(flags, run)}`, next);
    const done = { image: 'image updated', env: 'env updated', resources: 'resource requirements updated' }[what as 'image'];
    if (flags.text.has('output')) yield* printAs(flags.text.get('output')!, [next], true);
    else if (changed || what !== 'image') yield* out(`${display(t.kind, t.name)} ${done}${marks(run)}\n`);
  }
  return 0;
}

function edit(what: string, spec: Json, pairs: readonly string[], flags: Flags): void {
  const all: Json[] = [...(spec.containers ?? []), ...(what === 'image' ? (spec.initContainers ?? []) : [])];
  const chosen = flags.text.get('containers');
  const mine = chosen && chosen !== '*' ? all.filter((c) => c.name === chosen) : all;
  if (what === 'image') {
    for (const pair of pairs) {
      const [name, image] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const hits = name === '*' ? all : all.filter((c) => c.name === name);
      if (hits.length === 0) throw new Fatal(`error: unable to find container named "${name}"`);
      for (const c of hits) c.image = image;
    }
  } else if (what === 'env') {
    for (const c of mine) {
      for (const pair of pairs) {
        const at = pair.indexOf('=');
        const name = at < 0 ? pair.slice(0, -1) : pair.slice(0, at);
        const rest = (c.env ?? []).filter((e: Json) => e.name !== name);
        const had = (c.env ?? []).findIndex((e: Json) => e.name === name);
        if (at < 0) c.env = rest;
        else if (had >= 0) c.env[had] = { name, value: pair.slice(at + 1) };
        else c.env = [...rest, { name, value: pair.slice(at + 1) }];
        if (c.env.length === 0) delete c.env;
      }
    }
  } else {
    if (!flags.text.has('limits') && !flags.text.has('requests')) throw new Fatal('error: you must specify an update to requests or limits (in the form of --requests/--limits)');
    for (const c of mine) {
      c.resources ??= {};
      for (const list of ['limits', 'requests'] as const) {
        for (const pair of (flags.text.get(list) ?? '').split(',').filter((p) => p !== '')) {
          const [name = '', value = ''] = pair.split('=');
          c.resources[list] = { ...c.resources[list], [name]: value };
        }
      }
    }
  }
}
