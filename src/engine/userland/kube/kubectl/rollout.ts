/** rollout and set: changing a deployment's template, and watching, listing, undoing what that did. */
import { kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import { copy, type Deployment, type Json, type KubeObject } from '../../../cluster/types/objects.ts';
import { rfc3339 } from '../../../cluster/types/time.ts';
import type { Call } from '../../lib/http.ts';
import { ask, type Client, err, Fatal, listKind, nextEvent, now, out, watch } from './client.ts';
import { describeObject } from './describe.ts';
import type { Flags } from './flags.ts';
import { seconds } from './query.ts';
import { display, mustFetch, targets, type Target } from './resources.ts';
import { dryRun, manifests, marks, query } from './write.ts';
import { tabulate } from './tabwriter.ts';

const REVISION = 'deployment.kubernetes.io/revision';
const CAUSE = 'kubernetes.io/change-cause';

const COMMON = 'f/filename=* k/kustomize= R/recursive l/selector= o/output= allow-missing-template-keys template= show-managed-fields';

export const ROLLOUT_SUBS: Readonly<Record<string, string>> = {
  status: 'f/filename=* k/kustomize= R/recursive w/watch=?true timeout= revision= l/selector=', history: `revision= ${COMMON}`, undo: `to-revision= dry-run=?unchanged ${COMMON}`,
  pause: `field-manager= ${COMMON}`, resume: `field-manager= ${COMMON}`, restart: `field-manager= ${COMMON}`,
};

const SUPPORT: Readonly<Record<string, readonly string[]>> = {
  status: ['Deployment', 'StatefulSet', 'DaemonSet'], history: ['Deployment', 'StatefulSet', 'DaemonSet'], undo: ['Deployment', 'StatefulSet', 'DaemonSet'], restart: ['Deployment', 'StatefulSet', 'DaemonSet'], pause: ['Deployment'], resume: ['Deployment'],
};

/** Of what a kind cannot do. */
function unsupported(verb: string, t: Target): string {
  const { kind, group } = t.kind;
  const full = group ? `${kind}.${group}` : kind;
  if (verb === 'status') return `error: no status viewer has been implemented for ${full}`;
  if (verb === 'history') return `error: no history viewer has been implemented for ${JSON.stringify(full)}`;
  if (verb === 'undo') return `error: no rollbacker has been implemented for ${JSON.stringify(full)}`;
  return `error: ${t.kind.plural}${group ? `.${group}` : ''} ${JSON.stringify(t.name ?? '')} ${verb === 'restart' ? 'restarting is not supported' : verb === 'pause' ? 'pausing is not supported' : 'resuming is not supported'}`;
}

export function* rollout(client: Client, flags: Flags): Call<number> {
  const [verb = '', ...args] = flags.args;
  const verbs: Record<string, (client: Client, flags: Flags, t: Target) => Call<number>> = { status, history, undo, restart, pause: (c, f, t) => hold(c, f, t, true), resume: (c, f, t) => hold(c, f, t, false) };
  const files = flags.many.has('filename') || flags.text.has('kustomize');
  if (args.length === 0 && !files) throw new Fatal('error: required resource not specified');
  const wanted = files ? (yield* manifests(client, flags)).map((m): Target => ({ kind: m.kind, name: m.name })) : yield* targets(client, args);
  let last = 0;
  for (const t of wanted) {
    if (!SUPPORT[verb]!.includes(t.kind.kind)) throw new Fatal(unsupported(verb, t));
    if (t.name !== null) {
      last = Math.max(last, yield* verbs[verb]!(client, flags, t));
      continue;
    }
    const { items } = yield* listKind(client, t.kind, client.namespace, { labelSelector: flags.text.get('selector') });
    for (const o of items) last = Math.max(last, yield* verbs[verb]!(client, flags, { kind: t.kind, name: o.metadata.name }));
    if (items.length === 0) yield* err(`No resources found in ${client.namespace} namespace.\n`);
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

/** Tells what is missing at every change, as a watch gives them. */
function* status(client: Client, flags: Flags, t: Target): Call<number> {
  const limit = flags.text.has('timeout') ? seconds(flags.text.get('timeout'), 0) : 0;
  const wanted = Number(flags.text.get('revision') ?? 0);
  const first = yield* mustFetch(client, t.kind, t.name!);
  const say = function* (d: KubeObject): Call<boolean> {
    if (wanted > 0 && d.kind === 'Deployment' && Number(d.metadata.annotations?.[REVISION] ?? 0) !== wanted) throw new Fatal(`error: desired revision (${wanted}) is different from the running revision (${d.metadata.annotations?.[REVISION] ?? 0})`);
    const p = progress(d);
    if ('failed' in p) throw new Fatal(p.failed);
    yield* out(p.text);
    return p.done;
  };
  if ((yield* say(first)) || flags.text.get('watch') === 'false') return 0;
  const w = yield* watch(client, t.kind, first.metadata.namespace, first.metadata.resourceVersion!, { fieldSelector: `metadata.name=${t.name}` });
  if (limit > 0) w.until = (yield* now()) + limit;
  for (;;) {
    const event = yield* nextEvent(w);
    if (!event) throw new Fatal('error: timed out waiting for the condition');
    if (event.type === 'DELETED') throw new Fatal('error: object has been deleted');
    if (yield* say({ ...event.object, kind: t.kind.kind })) return 0;
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
  if (past.length === 0) {
    yield* out(`${display(t.kind, t.name!)} \nNo rollout history found.\n`);
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

