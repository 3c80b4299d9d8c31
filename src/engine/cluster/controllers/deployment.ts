/**
 * Deployment: one ReplicaSet a template, the new one grown and the old ones shrunk within maxSurge and maxUnavailable.
 * Source: pkg/controller/deployment/{rolling,recreate,sync,progress}.go. Simplified: the hash in names is not the real server's.
 */
import { create, mutate, remove } from '../api.ts';
import { type Cluster, note, safeEncode } from '../state.ts';
import { get, ownedBy, stamp } from '../store.ts';
import { kindNamed } from '../types/kinds.ts';
import { type Condition, copy, type Deployment, type Json, keyOf, type Pod, type PodTemplate, type ReplicaSet, same } from '../types/objects.ts';
import { parseTime } from '../types/time.ts';
import { EPOCH_SECONDS, SECOND } from '../../sim/units.ts';
import { emit } from './events.ts';

const REVISION = 'deployment.kubernetes.io/revision';
const DESIRED = 'deployment.kubernetes.io/desired-replicas';
const MAXIMUM = 'deployment.kubernetes.io/max-replicas';
const HASH = 'pod-template-hash';

export function syncDeployment(cluster: Cluster, key: string): void {
  const d = get<Deployment>(cluster.store, 'Deployment', key);
  if (!d || d.metadata.deletionTimestamp) return;
  const conditions: Condition[] = copy(d.status?.conditions ?? []);
  let sets = ownedBy<ReplicaSet>(cluster.store, d.metadata.uid!, 'ReplicaSet').filter((rs) => !rs.metadata.deletionTimestamp);
  if (d.spec.paused) {
    scale(cluster, d, sets);
    set(cluster, conditions, 'Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused');
  } else {
    if (conditions.some((c) => c.reason === 'DeploymentPaused')) set(cluster, conditions, 'Progressing', 'Unknown', 'DeploymentResumed', 'Deployment is resumed');
    if (sets.some((rs) => rs.spec.replicas > 0 && rs.metadata.annotations?.[DESIRED] !== undefined && Number(rs.metadata.annotations[DESIRED]) !== d.spec.replicas)) {
      scale(cluster, d, sets);
    } else if (d.spec.strategy.type === 'Recreate') recreate(cluster, d, sets, conditions);
    else roll(cluster, d, sets, conditions);
  }
  sets = ownedBy<ReplicaSet>(cluster.store, d.metadata.uid!, 'ReplicaSet');
  cleanUp(cluster, d, sets);
  status(cluster, key, d, sets, conditions);
}

function roll(cluster: Cluster, d: Deployment, sets: ReplicaSet[], conditions: Condition[]): void {
  const fresh = newSet(cluster, d, sets, conditions, true);
  const all = [fresh, ...sets.filter((rs) => rs.metadata.uid !== fresh.metadata.uid)];
  const old = all.slice(1).filter((rs) => rs.spec.replicas > 0);
  if (growNew(cluster, d, fresh, all)) return;
  shrinkOld(cluster, d, fresh, old);
}

function recreate(cluster: Cluster, d: Deployment, sets: ReplicaSet[], conditions: Condition[]): void {
  const current = findNew(d, sets);
  const old = sets.filter((rs) => rs !== current);
  if (old.some((rs) => rs.spec.replicas > 0)) {
    for (const rs of old) setReplicas(cluster, d, rs, 0);
    return;
  }
  if (old.some((rs) => ownedBy<Pod>(cluster.store, rs.metadata.uid!, 'Pod').some((p) => p.status?.phase !== 'Succeeded' && p.status?.phase !== 'Failed'))) return;
  const fresh = newSet(cluster, d, sets, conditions, true);
  setReplicas(cluster, d, fresh, d.spec.replicas);
}

/** [maxSurge, maxUnavailable] as whole pods; both never 0. */
export function bounds(d: Deployment): [number, number] {
  const rolling = d.spec.strategy.rollingUpdate;
  if (!rolling) return [0, 0];
  const part = (value: string | number, up: boolean): number => {
    if (typeof value === 'number') return value;
    const exact = (Number.parseInt(value, 10) * d.spec.replicas) / 100;
    return up ? Math.ceil(exact) : Math.floor(exact);
  };
  const surge = part(rolling.maxSurge, true);
  const unavailable = Math.min(part(rolling.maxUnavailable, false), d.spec.replicas);
  return surge === 0 && unavailable === 0 ? [0, 1] : [surge, unavailable];
}

function growNew(cluster: Cluster, d: Deployment, fresh: ReplicaSet, all: ReplicaSet[]): boolean {
  if (fresh.spec.replicas === d.spec.replicas) return false;
  if (fresh.spec.replicas > d.spec.replicas) {
    setReplicas(cluster, d, fresh, d.spec.replicas);
    return true;
  }
  const room = d.spec.replicas + bounds(d)[0] - total(all);
  if (room <= 0) return false;
  setReplicas(cluster, d, fresh, fresh.spec.replicas + Math.min(room, d.spec.replicas - fresh.spec.replicas));
  return true;
}

const total = (sets: readonly ReplicaSet[]): number => sets.reduce((sum, rs) => sum + rs.spec.replicas, 0);
const available = (rs: ReplicaSet): number => rs.status.availableReplicas ?? 0;

function shrinkOld(cluster: Cluster, d: Deployment, fresh: ReplicaSet, old: ReplicaSet[]): void {
  const least = d.spec.replicas - bounds(d)[1];
  const most = total([fresh, ...old]) - least - (fresh.spec.replicas - available(fresh));
  if (most <= 0) return;
  const byAge = [...old].sort((a, b) => revisionOf(a) - revisionOf(b));
  const left = new Map(byAge.map((rs) => [rs, rs.spec.replicas]));
  let cleaned = 0;
  for (const rs of byAge) {
    const unhealthy = Math.min(most - cleaned, rs.spec.replicas - available(rs));
    if (unhealthy <= 0) continue;
    left.set(rs, rs.spec.replicas - unhealthy);
    cleaned += unhealthy;
  }
  let spare = [fresh, ...old].reduce((sum, rs) => sum + available(rs), 0) - least;
  for (const rs of byAge) {
    if (spare <= 0) break;
    const take = Math.min(left.get(rs)!, spare);
    left.set(rs, left.get(rs)! - take);
    spare -= take;
  }
  for (const [rs, n] of left) setReplicas(cluster, d, rs, n);
}

/** The wanted number changed, or the rollout is paused: one active set takes it, several share it in proportion. */
function scale(cluster: Cluster, d: Deployment, sets: ReplicaSet[]): void {
  const current = findNew(d, sets);
  const active = sets.filter((rs) => rs.spec.replicas > 0);
  if (active.length <= 1) {
    const one = active[0] ?? current;
    if (one) setReplicas(cluster, d, one, d.spec.replicas);
    return;
  }
  if (current && current.spec.replicas === d.spec.replicas && available(current) === d.spec.replicas) {
    for (const rs of active) if (rs !== current) setReplicas(cluster, d, rs, 0);
    return;
  }
  const allowed = d.spec.replicas > 0 ? d.spec.replicas + bounds(d)[0] : 0;
  const now = total(active);
  let left = allowed - now;
  const sorted = [...active].sort((a, b) => b.spec.replicas - a.spec.replicas || revisionOf(b) - revisionOf(a));
  const sizes = sorted.map((rs) => {
    const before = Number(rs.metadata.annotations?.[MAXIMUM] ?? d.spec.replicas) || now;
    let share = Math.round((rs.spec.replicas * allowed) / before) - rs.spec.replicas;
    share = left > 0 ? Math.min(share, left) : Math.max(share, left);
    if ((left > 0 && share < 0) || (left < 0 && share > 0) || left === 0) share = 0;
    left -= share;
    return rs.spec.replicas + share;
  });
  sizes[0] = Math.max(0, sizes[0]! + left);
  sorted.forEach((rs, i) => {
    setReplicas(cluster, d, rs, sizes[i]!);
  });
}

function setReplicas(cluster: Cluster, d: Deployment, rs: ReplicaSet, n: number): void {
  const from = rs.spec.replicas;
  const key = keyOf(rs.metadata);
  const marks = { [DESIRED]: String(d.spec.replicas), [MAXIMUM]: String(d.spec.replicas + bounds(d)[0]) };
  if (from !== n) {
    cluster.cause = note(cluster, 'deployment.scaled', { deployment: keyOf(d.metadata), replicaset: rs.metadata.name, from, to: n });
  } else if (rs.metadata.annotations?.[DESIRED] === marks[DESIRED] && rs.metadata.annotations[MAXIMUM] === marks[MAXIMUM]) return;
  mutate<ReplicaSet>(cluster, 'ReplicaSet', key, (o) => {
    o.spec.replicas = n;
    o.metadata.annotations = { ...o.metadata.annotations, ...marks };
  });
  if (from !== n) {
    emit(cluster, d, 'Normal', 'ScalingReplicaSet', scaledText(cluster, rs.metadata.name, from, n), 'deployment-controller');
  }
}

/** Up to 1.25 the old number is not said. */
function scaledText(cluster: Cluster, name: string, from: number, to: number): string {
  const told = /^v1\.(1\d|2[0-5])\./.test(cluster.serverVersion) ? '' : ` from ${from}`;
  return `Scaled ${to > from ? 'up' : 'down'} replica set ${name}${told} to ${to}`;
}

function bare(template: PodTemplate): Json {
  const labels = { ...template.metadata.labels };
  delete labels[HASH];
  return { metadata: { labels, annotations: template.metadata.annotations }, spec: template.spec };
}

export function findNew(d: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const wanted = bare(d.spec.template);
  return sets.find((rs) => same(bare(rs.spec.template), wanted));
}

export function revisionOf(rs: { metadata: { annotations?: Record<string, string> } }): number {
  return Number(rs.metadata.annotations?.[REVISION] ?? 0) || 0;
}

function newSet(cluster: Cluster, d: Deployment, sets: ReplicaSet[], conditions: Condition[], make: boolean): ReplicaSet {
  const revision = Math.max(0, ...sets.filter((rs) => rs !== findNew(d, sets)).map(revisionOf)) + 1;
  const found = findNew(d, sets);
  if (found) {
    const mine = Math.max(revision, revisionOf(found));
    if (revisionOf(found) !== mine || (found.spec.minReadySeconds ?? 0) !== (d.spec.minReadySeconds ?? 0)) {
      mutate<ReplicaSet>(cluster, 'ReplicaSet', keyOf(found.metadata), (o) => {
        o.metadata.annotations = { ...o.metadata.annotations, [REVISION]: String(mine) };
        if (d.spec.minReadySeconds) o.spec.minReadySeconds = d.spec.minReadySeconds;
        else delete o.spec.minReadySeconds;
      });
    }
    markRevision(cluster, d, mine);
    if (!conditions.some((c) => c.type === 'Progressing')) set(cluster, conditions, 'Progressing', 'True', 'FoundNewReplicaSet', `Found new replica set "${found.metadata.name}"`);
    return get<ReplicaSet>(cluster.store, 'ReplicaSet', keyOf(found.metadata))!;
  }
  void make;
  const hash = templateHash(d.spec.template, collisions(cluster, d));
  const [surge] = bounds(d);
  const replicas = Math.min(d.spec.replicas, Math.max(0, d.spec.strategy.type === 'Recreate' ? d.spec.replicas : d.spec.replicas + surge - total(sets)));
  const template = copy(d.spec.template);
  template.metadata.labels = { ...template.metadata.labels, [HASH]: hash };
  cluster.cause = note(cluster, 'deployment.scaled', { deployment: keyOf(d.metadata), replicaset: `${d.metadata.name}-${hash}`, from: 0, to: replicas });
  const { 'kubectl.kubernetes.io/last-applied-configuration': _applied, ...annotations } = d.metadata.annotations ?? {};
  const rs = create(cluster, kindNamed('ReplicaSet'), d.metadata.namespace, {
    metadata: {
      name: `${d.metadata.name}-${hash}`, labels: template.metadata.labels,
      annotations: { ...annotations, [DESIRED]: String(d.spec.replicas), [MAXIMUM]: String(d.spec.replicas + surge), [REVISION]: String(revision) },
      ownerReferences: [{ apiVersion: 'apps/v1', blockOwnerDeletion: true, controller: true, kind: 'Deployment', name: d.metadata.name, uid: d.metadata.uid }],
    },
    spec: {
      replicas, ...(d.spec.minReadySeconds ? { minReadySeconds: d.spec.minReadySeconds } : {}),
      selector: { ...copy(d.spec.selector), matchLabels: { ...d.spec.selector.matchLabels, [HASH]: hash } }, template,
    },
  }) as ReplicaSet;
  if (replicas > 0) emit(cluster, d, 'Normal', 'ScalingReplicaSet', scaledText(cluster, rs.metadata.name, 0, replicas), 'deployment-controller');
  set(cluster, conditions, 'Progressing', 'True', 'NewReplicaSetCreated', `Created new replica set "${rs.metadata.name}"`);
  markRevision(cluster, d, revision);
  return rs;
}

/** How often the name of a new set was somebody else's: each time the template is hashed with one more. */
function collisions(cluster: Cluster, d: Deployment): number {
  let n = d.status?.collisionCount ?? 0;
  while (get(cluster.store, 'ReplicaSet', `${d.metadata.namespace}/${d.metadata.name}-${templateHash(d.spec.template, n)}`)) n++;
  if (n !== (d.status?.collisionCount ?? 0)) {
    mutate<Deployment>(cluster, 'Deployment', keyOf(d.metadata), (o) => {
      o.status = { ...o.status, collisionCount: n };
    }, 'status');
  }
  return n;
}

function markRevision(cluster: Cluster, d: Deployment, revision: number): void {
  if (revisionOf(d) === revision) return;
  mutate<Deployment>(cluster, 'Deployment', keyOf(d.metadata), (o) => {
    o.metadata.annotations = { ...o.metadata.annotations, [REVISION]: String(revision) };
  });
}

/** FNV-1a over the template, in the letters that names may hold. */
export function templateHash(template: PodTemplate, collisions: number): string {
  const text = JSON.stringify(sorted(template)) + (collisions > 0 ? collisions : '');
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return safeEncode(String(h));
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((k) => [k, sorted(value[k])]));
}

function cleanUp(cluster: Cluster, d: Deployment, sets: ReplicaSet[]): void {
  const limit = d.spec.revisionHistoryLimit ?? 10;
  const current = findNew(d, sets);
  const done = sets.filter((rs) => rs !== current && rs.spec.replicas === 0 && rs.status.replicas === 0 && !rs.metadata.deletionTimestamp);
  const excess = done.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, done.length - limit));
  for (const rs of excess) remove(cluster, kindNamed('ReplicaSet'), rs.metadata.namespace, rs.metadata.name);
}

/** Same status and reason: nothing changes. Else it goes to the end, as SetDeploymentCondition does. */
function set(cluster: Cluster, conditions: Condition[], type: string, status: string, reason: string, message: string): void {
  const at = conditions.findIndex((c) => c.type === type);
  const old = conditions[at];
  if (old && old.status === status && old.reason === reason) return;
  const now = stamp(cluster.timeline);
  if (at >= 0) conditions.splice(at, 1);
  conditions.push({ type, status, reason, message, lastUpdateTime: now, lastTransitionTime: old && old.status === status ? (old.lastTransitionTime ?? now) : now });
}

function status(cluster: Cluster, key: string, before: Deployment, sets: ReplicaSet[], conditions: Condition[]): void {
  const d = get<Deployment>(cluster.store, 'Deployment', key);
  if (!d) return;
  const current = findNew(d, sets);
  const sum = (f: (rs: ReplicaSet) => number): number => sets.reduce((n, rs) => n + f(rs), 0);
  const replicas = sum((rs) => rs.status.replicas);
  const ready = sum((rs) => rs.status.readyReplicas ?? 0);
  const there = sum(available);
  const updated = current?.status.replicas ?? 0;
  const unavailable = Math.max(0, total(sets) - there);
  const enough = there >= d.spec.replicas - bounds(d)[1];
  if (enough) set(cluster, conditions, 'Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.');
  else set(cluster, conditions, 'Available', 'False', 'MinimumReplicasUnavailable', 'Deployment does not have minimum availability.');
  failures(conditions, sets);
  const complete = updated === d.spec.replicas && replicas === d.spec.replicas && there === d.spec.replicas && before.spec === d.spec;
  if (!d.spec.paused && current) progress(cluster, d, current, conditions, complete, { replicas, updated, there, ready });
  const next = {
    observedGeneration: before.metadata.generation!,
    ...(replicas ? { replicas } : {}), ...(updated ? { updatedReplicas: updated } : {}), ...(ready ? { readyReplicas: ready } : {}),
    ...(there ? { availableReplicas: there } : {}), ...(d.status?.collisionCount ? { collisionCount: d.status.collisionCount } : {}), ...(unavailable ? { unavailableReplicas: unavailable } : {}), conditions,
  };
  if (same(next, d.status)) return;
  mutate<Deployment>(cluster, 'Deployment', key, (o) => {
    o.status = next;
  }, 'status');
}

/** What keeps a set from making its pods is the deployment's failure too. */
function failures(conditions: Condition[], sets: readonly ReplicaSet[]): void {
  const found = sets.flatMap((rs) => ((rs.status as Json)?.conditions ?? []) as Condition[]).find((c) => c.type === 'ReplicaFailure' && c.status === 'True');
  const at = conditions.findIndex((c) => c.type === 'ReplicaFailure');
  if (found) {
    const next = { ...found, lastUpdateTime: found.lastTransitionTime! };
    if (at >= 0) conditions[at] = next;
    else conditions.push(next);
  } else if (at >= 0) conditions.splice(at, 1);
}

function progress(
  cluster: Cluster, d: Deployment, current: ReplicaSet, conditions: Condition[], complete: boolean,
  now: { replicas: number; updated: number; there: number; ready: number },
): void {
  const name = current.metadata.name;
  const old = conditions.find((c) => c.type === 'Progressing');
  if (complete) {
    set(cluster, conditions, 'Progressing', 'True', 'NewReplicaSetAvailable', `ReplicaSet "${name}" has successfully progressed.`);
    return;
  }
  if (old?.reason === 'NewReplicaSetAvailable' && old.message?.includes(`"${name}"`)) return;
  const s = d.status ?? {};
  const moved = now.updated > (s.updatedReplicas ?? 0) || now.replicas - now.updated < (s.replicas ?? 0) - (s.updatedReplicas ?? 0) || now.ready > (s.readyReplicas ?? 0) || now.there > (s.availableReplicas ?? 0);
  if (moved) {
    const at = conditions.findIndex((c) => c.type === 'Progressing');
    const kept = at >= 0 && conditions[at]!.status === 'True' ? conditions[at]!.lastTransitionTime : null;
    if (at >= 0) conditions.splice(at, 1);
    set(cluster, conditions, 'Progressing', 'True', 'ReplicaSetUpdated', `ReplicaSet "${name}" is progressing.`);
    if (kept) conditions[conditions.length - 1]!.lastTransitionTime = kept;
    return;
  }
  const since = parseTime(old?.lastUpdateTime);
  const deadline = d.spec.progressDeadlineSeconds ?? 600;
  if (since !== null && EPOCH_SECONDS + cluster.timeline.now / SECOND - since >= deadline) {
    set(cluster, conditions, 'Progressing', 'False', 'ProgressDeadlineExceeded', `ReplicaSet "${name}" has timed out progressing.`);
  }
}
