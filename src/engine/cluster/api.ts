/**
 * The API server's verbs on one object: decode, default, admit, validate, write. The HTTP face is `server.ts`; controllers
 * and the scheduler call these directly. Failures are thrown `ApiError`s with the real server's wording.
 */
import { bytes, joined, toBase64 } from '../sim/text.ts';
import { SECOND } from '../sim/units.ts';
import { alreadyExists, ApiError, badRequest, conflict, forbidden, invalid, notFound } from './errors.ts';
import { CLEANUP, kindOf, terminating } from './custom/kinds.ts';
import { decodeCustom, fillCustom, refuseWhileGoing, sameWish, unknownFields } from './custom/objects.ts';
import { admitNew } from './admission/admission.ts';
import { admitQuota } from './admission/quota.ts';
import { allocate, keepAllocated } from './allocate.ts';
import { qosOf, setDefaults } from './defaults.ts';
import { decode } from './types/schema.ts';
import { causeOf, type Cluster, note, setCause, suffix, uid } from './state.ts';
import { drop, get, ownedBy, put, stamp, table } from './store.ts';
import { apiVersionOf, type Kind, kindNamed } from './types/kinds.ts';
import { copy, extended, isObject, type Json, keyOf, type KubeObject, type Pod, same } from './types/objects.ts';
import { admitStorage } from './storage/defaults.ts';
import { admitExpansion } from './storage/expansion.ts';
import { afterUpdate, type Entry, isTracked } from './managed.ts';
import { validate } from './validate.ts';

export interface WriteOptions {
  dryRun?: boolean;
  /** Unknown fields are errors ("Strict"), or dropped in silence. */
  strict?: boolean;
  /** Who writes, for the ownership of fields. */
  manager?: string;
  /** The subresource that the write came through, where it is not a plain write below it. */
  sub?: string;
  /** The ownership of fields as it will be, already reckoned. */
  managed?: Entry[];
}

const GENERATIONS = new Set(['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', 'ReplicationController', 'PodDisruptionBudget', 'Ingress', 'IngressClass', 'NetworkPolicy', 'PriorityClass', 'CustomResourceDefinition']);

/** Checks a body against the kind's schema. Source of the wording: apimachinery's strict decoder. */
export function decodeBody(kind: Kind, body: Json, strict: boolean): KubeObject {
  if (kind.custom) return decodeCustom(kind, body, strict);
  const says = (why: string): ApiError =>
    badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw says('json: cannot unmarshal into Go value');
  const found = decode(kind.kind, body);
  if (found.mistyped) throw says(found.mistyped);
  if (found.unknown.length > 0 && strict) throw says(`strict decoding error: ${found.unknown.map((f) => `unknown field "${f}"`).join(', ')}`);
  const object = copy(body) as KubeObject;
  for (const path of found.unknown) prune(object, path);
  for (const [field, value] of Object.entries(object)) {
    if (value === null) delete object[field];
    else if (field !== 'status') object[field] = zeroed(value, field);
  }
  if (SPECIFIED.has(kind.kind)) object.spec ??= {};
  if (object.status !== undefined) object.status = soundStatus(object.status);
  return object;
}

/** Fields of a body that its kind does not have. */
export const unknownOf = (kind: Kind, body: Json): string[] => (kind.custom ? unknownFields(kind, body) : decode(kind.kind, body).unknown);

const SPECIFIED = new Set([
  'Pod', 'Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', 'PersistentVolumeClaim', 'Service', 'Node', 'Namespace',
  'ReplicationController', 'ResourceQuota', 'LimitRange', 'HorizontalPodAutoscaler', 'PodDisruptionBudget', 'NetworkPolicy', 'Ingress', 'IngressClass',
  'PersistentVolume', 'VolumeAttachment', 'CSIDriver', 'CSINode',
]);

/** As Go decodes: a null field is an absent one, a null element an empty one. */
const TEXTS = /^(command|args|values|finalizers|namespaces|matchLabelKeys|mismatchLabelKeys|podCIDRs|clusterIPs|externalIPs|ipFamilies|loadBalancerSourceRanges)$/;

function zeroed(value: Json, field = ''): Json {
  if (Array.isArray(value)) return value.map((x) => (x === null ? (TEXTS.test(field) ? '' : {}) : zeroed(x)));
  if (value === null || typeof value !== 'object') return value;
  const out: Json = {};
  for (const [key, inner] of Object.entries(value)) if (inner !== null) out[key] = zeroed(inner, key);
  return out;
}

/** A status is not held against the schema; the lists that everybody walks are lists of objects, or dropped. */
function soundStatus(status: Json): Json {
  const out = { ...status };
  for (const field of ['conditions', 'addresses', 'images', 'containerStatuses', 'initContainerStatuses', 'podIPs']) {
    if (out[field] === undefined) continue;
    if (!Array.isArray(out[field])) delete out[field];
    else out[field] = out[field].filter(isObject);
  }
  for (const field of ['containerStatuses', 'initContainerStatuses']) {
    for (const c of out[field] ?? []) for (const part of ['state', 'lastState']) if (c[part] === null || typeof c[part] !== 'object') c[part] = {};
  }
  for (const field of ['capacity', 'allocatable', 'nodeInfo']) if (out[field] !== undefined && (out[field] === null || typeof out[field] !== 'object')) delete out[field];
  return out;
}

function prune(object: Json, path: string): void {
  const parts = path.split(/\.|\[(\d+)\]\.?/).filter((p) => p !== undefined && p !== '');
  let at = object;
  for (const part of parts.slice(0, -1)) at = at?.[part];
  if (at && typeof at === 'object') delete at[parts[parts.length - 1]!];
}

export function create(cluster: Cluster, kind: Kind, namespace: string | undefined, body: Json, options: WriteOptions = {}): KubeObject {
  const object = decodeBody(kind, body, options.strict ?? false);
  const { store } = cluster;
  object.apiVersion = apiVersionOf(kind);
  object.kind = kind.kind;
  const meta = (object.metadata = extended(object.metadata ?? { name: '' }, {}));
  if (kind.namespaced) {
    if (meta.namespace && namespace && meta.namespace !== namespace) {
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    }
    meta.namespace = namespace ?? meta.namespace ?? 'default';
    const home = get(store, 'Namespace', meta.namespace);
    if (!home) throw notFound(kindNamed('Namespace'), meta.namespace);
    if (home.metadata.deletionTimestamp && kind.kind !== 'Event') {
      throw forbidden(kind, meta.name, `unable to create new content in namespace ${meta.namespace} because it is being terminated`);
    }
  } else delete meta.namespace;
  if (meta.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  if (!meta.name && meta.generateName) meta.name = generated(cluster, kind, meta);
  if (kind.custom) {
    refuseWhileGoing(cluster, kind);
    if (kind.custom.status) delete object.status;
    fillCustom(kind, object);
  } else setDefaults(object);
  if (kind.kind === 'Namespace' && cluster.serverVersion.startsWith('v1.20.')) delete object.metadata.labels?.['kubernetes.io/metadata.name'];
  if (kind.kind === 'Pod') {
    object.status = { phase: 'Pending', qosClass: object.status.qosClass, ...pickStatus(body) };
  }
  admitNew(cluster, kind, object);
  if (kind.kind === 'Pod' && !body?.metadata?.annotations?.['nestbox.dev/status']) object.status.qosClass = qosOf(object.spec);
  admitStorage(cluster, object);
  if (FIRST_STATUS[kind.kind]) object.status = copy(FIRST_STATUS[kind.kind]);
  const faults = validate(kind, object);
  if (faults.length > 0) throw invalid(kind, meta.name ?? '', faults);
  if (kind.kind === 'Service') allocate(cluster, object);
  if (kind.kind === 'Secret' && object.stringData) encodeSecret(object);
  const key = meta.namespace ? joined([meta.namespace, '/', meta.name]) : meta.name;
  if (get(store, kind.kind, key)) throw alreadyExists(kind, meta.name);
  const charge = kind.namespaced ? admitQuota(cluster, kind, object) : null;
  meta.uid = uid(cluster.random);
  if (kind.kind === 'Job') markJob(object);
  meta.creationTimestamp = stamp(cluster.timeline);
  delete meta.deletionTimestamp;
  if (kind.custom || GENERATIONS.has(kind.kind)) meta.generation = 1;
  if (kind.kind === 'DaemonSet') meta.annotations = { ...meta.annotations, [TEMPLATE_GENERATION]: '1' };
  if (options.managed) meta.managedFields = options.managed;
  else if (isTracked(undefined, options.manager)) meta.managedFields = afterUpdate(cluster, kind, undefined, object, options.manager!, undefined);
  else delete meta.managedFields;
  if (options.dryRun) return object;
  if (kind.kind === 'Pod') {
    const owner = meta.ownerReferences?.find((r) => r.controller);
    const n = note(cluster, 'pod.created', { namespace: meta.namespace!, name: meta.name, owner: owner ? `${owner.kind}/${owner.name}` : '' });
    setCause(cluster, 'Pod', key, n);
  } else if (cluster.cause !== undefined && kind.kind !== 'Event') setCause(cluster, kind.kind, key, cluster.cause);
  charge?.();
  return put(store, object, key);
}

/** A free name: the base, at most 58 characters of it, and five more; tried eight times. */
function generated(cluster: Cluster, kind: Kind, meta: KubeObject['metadata']): string {
  const base = meta.generateName!.slice(0, 58);
  let name = base + suffix(cluster.random);
  for (let i = 0; i < 7 && get(cluster.store, kind.kind, meta.namespace ? `${meta.namespace}/${name}` : name); i++) name = base + suffix(cluster.random);
  return name;
}

/** The status of what has just been made; controllers write the rest. */
const FIRST_STATUS: Readonly<Record<string, Json>> = {
  Deployment: {}, ReplicaSet: { replicas: 0 }, StatefulSet: { availableReplicas: 0, replicas: 0 }, DaemonSet: { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 },
  ReplicationController: { replicas: 0 }, HorizontalPodAutoscaler: { currentMetrics: null, desiredReplicas: 0 }, Ingress: { loadBalancer: {} }, ResourceQuota: {},
  PodDisruptionBudget: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
  Job: {}, CronJob: {}, PersistentVolumeClaim: { phase: 'Pending' }, PersistentVolume: { phase: 'Pending' }, VolumeAttachment: { attached: false },
};

/** A Job selects its pods by its own uid, unless it brought a selector (strategy.go, generateSelector). */
function markJob(job: KubeObject): void {
  const { spec, metadata } = job;
  if (spec.manualSelector) return;
  spec.template.metadata ??= {};
  spec.template.metadata.labels = {
    ...spec.template.metadata.labels, 'batch.kubernetes.io/controller-uid': metadata.uid, 'batch.kubernetes.io/job-name': metadata.name, 'controller-uid': metadata.uid, 'job-name': metadata.name,
  };
  spec.selector = { matchLabels: { 'batch.kubernetes.io/controller-uid': metadata.uid } };
  metadata.labels = { ...spec.template.metadata.labels, ...metadata.labels };
}

const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

function countTemplates(set: KubeObject, old: KubeObject): void {
  const n = Number(old.metadata.annotations?.[TEMPLATE_GENERATION] ?? 0);
  set.metadata.annotations = { ...set.metadata.annotations, [TEMPLATE_GENERATION]: String(same(set.spec.template, old.spec.template) ? n : n + 1) };
}

/** Static state that recordings and hollow nodes bring along; a manifest's own status is dropped. */
function pickStatus(body: Json): Json {
  return body?.metadata?.annotations?.['nestbox.dev/status'] === 'keep' ? body.status : {};
}

function encodeSecret(object: KubeObject): void {
  object.data ??= {};
  for (const [key, value] of Object.entries(object.stringData as Record<string, string>)) object.data[key] = toBase64(bytes(value));
  delete object.stringData;
}

export function read(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string): KubeObject {
  const found = get(cluster.store, kind.kind, kind.namespaced ? `${namespace}/${name}` : name);
  if (!found) throw notFound(kind, name);
  return found;
}

/** Replaces an object, or with sub 'status' only its status. A stale resourceVersion is a conflict. */
export function update(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string, body: Json, sub?: string, options: WriteOptions = {}): KubeObject {
  const old = read(cluster, kind, namespace, name);
  const object = decodeBody(kind, body, options.strict ?? false);
  object.apiVersion = apiVersionOf(kind);
  object.kind = kind.kind;
  const given = object.metadata ?? { name };
  if (given.name !== undefined && given.name !== name) {
    throw badRequest(`the name of the object (${given.name}) does not match the name on the URL (${name})`);
  }
  if (given.resourceVersion && given.resourceVersion !== old.metadata.resourceVersion) throw conflict(kind, name);
  if (given.uid && given.uid !== old.metadata.uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${given.uid}, UID in object meta: ${old.metadata.uid}`);
  }
  return replace(cluster, kind, old, object, sub, options);
}

/** The last half of every write to an existing object: what may not change is kept, the rest checked and put. */
function replace(cluster: Cluster, kind: Kind, old: KubeObject, object: KubeObject, sub: string | undefined, options: WriteOptions): KubeObject {
  const fixed = old.metadata;
  if (sub === 'status') {
    object = { ...old, metadata: { ...fixed }, status: object.status };
    if (kind.custom) {
      fillCustom(kind, object);
      const faults = validate(kind, object, old);
      if (faults.length > 0) throw invalid(kind, fixed.name, faults);
    }
  } else {
    const versioned = object.metadata?.resourceVersion !== undefined;
    object.metadata = {
      ...object.metadata, name: fixed.name, ...(fixed.namespace ? { namespace: fixed.namespace } : {}), uid: fixed.uid!,
      creationTimestamp: fixed.creationTimestamp!, resourceVersion: fixed.resourceVersion!,
    };
    if (fixed.managedFields) object.metadata.managedFields = fixed.managedFields;
    else delete object.metadata.managedFields;
    if (fixed.generateName) object.metadata.generateName = fixed.generateName;
    if (fixed.deletionTimestamp) {
      object.metadata.deletionTimestamp = fixed.deletionTimestamp;
      object.metadata.deletionGracePeriodSeconds = fixed.deletionGracePeriodSeconds!;
    } else delete object.metadata.deletionTimestamp;
    if (object.metadata.finalizers?.length === 0) delete object.metadata.finalizers;
    if (!kind.custom || kind.custom.status) {
      if (old.status !== undefined) object.status = old.status;
      else if (kind.custom) delete object.status;
    }
    if (kind.custom) fillCustom(kind, object);
    else setDefaults(object);
    if (kind.kind === 'Service') keepAllocated(cluster, object, old, versioned);
    if (kind.kind === 'Secret' && object.stringData) encodeSecret(object);
    admitExpansion(cluster, kind, object, old);
    const faults = validate(kind, object, old);
    if (faults.length > 0) throw invalid(kind, fixed.name, faults);
    if (kind.kind === 'DaemonSet') countTemplates(object, old);
    if (fixed.generation !== undefined) object.metadata.generation = (kind.custom ? sameWish(kind, object, old) : same(object.spec, old.spec)) ? fixed.generation : fixed.generation + 1;
  }
  if (!options.managed && same(object, old)) return old;
  own(cluster, kind, old, object, sub, options);
  if (options.managed && same(object, old)) return old;
  if (options.dryRun) return object;
  if (cluster.cause !== undefined && sub !== 'status') setCause(cluster, kind.kind, keyOf(fixed), cluster.cause);
  if (kind.kind === 'Pod' && sub === 'status') noticePod(cluster, old, object, keyOf(fixed));
  const written = put(cluster.store, object);
  if (written.metadata.deletionTimestamp && !written.metadata.finalizers?.length && finished(written)) drop(cluster.store, written);
  return written;
}

/** Who owns which fields after a write; subresources have owners of their own. */
function own(cluster: Cluster, kind: Kind, old: KubeObject, object: KubeObject, sub: string | undefined, options: WriteOptions): void {
  if (options.managed) object.metadata = { ...object.metadata, managedFields: options.managed };
  else if (isTracked(old, options.manager)) {
    const writer = options.manager ?? (kind.kind === 'Pod' && sub === undefined ? 'kube-scheduler' : 'kube-controller-manager');
    object.metadata = { ...object.metadata, managedFields: afterUpdate(cluster, kind, old, object, writer, options.sub ?? sub) };
  }
}

/** The end of a server-side apply: `object` is what is there with what was applied laid over it. */
export function writeApplied(cluster: Cluster, kind: Kind, old: KubeObject, object: KubeObject, sub: string | undefined, options: WriteOptions): KubeObject {
  const decoded = decodeBody(kind, object, true);
  if (decoded.metadata.resourceVersion && decoded.metadata.resourceVersion !== old.metadata.resourceVersion) throw conflict(kind, old.metadata.name);
  return replace(cluster, kind, old, { ...decoded, apiVersion: apiVersionOf(kind), kind: kind.kind }, sub, options);
}

/** A terminating object whose last finalizer went; pods wait for their kubelet, namespaces for their controller. */
function finished(object: KubeObject): boolean {
  if (object.kind === 'Pod') return object.metadata.deletionGracePeriodSeconds === 0;
  if (object.kind === 'Namespace') return (object.spec?.finalizers ?? []).length === 0;
  return true;
}

function noticePod(cluster: Cluster, old: KubeObject, now: KubeObject, key: string): void {
  const { namespace = '', name } = old.metadata;
  const node: string = old.spec.nodeName ?? '';
  const say = (kind: string, data: Parameters<typeof note>[2]): void => setCause(cluster, 'Pod', key, note(cluster, kind, data, causeOf(cluster, 'Pod', key)));
  if (!old.status?.startTime && now.status?.startTime) say('kubelet.start', { namespace, name, node });
  if (old.status?.phase !== 'Running' && now.status?.phase === 'Running') say('pod.running', { namespace, name, node, ip: now.status.podIP ?? '' });
  for (const c of now.status?.containerStatuses ?? []) {
    const end = c.state?.terminated ?? c.lastState?.terminated;
    if (!end) continue;
    const before = old.status?.containerStatuses?.find((x: Json) => x.name === c.name);
    const known = before?.state?.terminated ?? before?.lastState?.terminated;
    if (known?.finishedAt !== end.finishedAt || known?.containerID !== end.containerID) {
      say('container.ended', { namespace, name, node, container: c.name, reason: end.reason ?? '', exitCode: end.exitCode });
    }
  }
}

/** Writes a fresh status of a pod that is known to be sound: a hollow kubelet's. */
export function writePodStatus(cluster: Cluster, old: Pod, status: Pod['status'], key: string): Pod {
  const object: Pod = extended(old, { metadata: extended(old.metadata, {}), status });
  noticePod(cluster, old, object, key);
  return put(cluster.store, object, key) as Pod;
}

/** Changes an object by a function on a copy (of its status alone, with sub 'status'); undefined means leave it. For the control plane's own writes. */
export function mutate<T extends KubeObject>(cluster: Cluster, kind: string, key: string, change: (object: T) => void, sub?: 'status', options: WriteOptions = {}): T | undefined {
  const old = get<T>(cluster.store, kind, key);
  if (!old) return undefined;
  const object = sub === 'status' ? { ...old, metadata: { ...old.metadata }, status: copy(old.status) } : copy(old);
  change(object);
  return replace(cluster, kindOf(cluster, kind), old, object, sub, options) as T;
}

/** Of an object that goes when what it owns has gone. */
export const FOREGROUND = 'foregroundDeletion';

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: string;
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: boolean;
}

/** Deletes, or marks for deletion. Returns the object as it was last. */
export function remove(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string, options: DeleteOptions = {}): KubeObject {
  const old = read(cluster, kind, namespace, name);
  const { store, timeline } = cluster;
  if (kind.kind === 'Namespace' && ['default', 'kube-system', 'kube-public'].includes(name)) {
    throw forbidden(kind, name, 'this namespace may not be deleted');
  }
  if (options.preconditions?.uid && options.preconditions.uid !== old.metadata.uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${options.preconditions.uid}, UID in object meta: ${old.metadata.uid}`);
  }
  if (options.preconditions?.resourceVersion && options.preconditions.resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(kind, name, `Precondition failed: ResourceVersion in precondition: ${options.preconditions.resourceVersion}, ResourceVersion in object meta: ${old.metadata.resourceVersion}`);
  }
  if (options.dryRun) return old;
  if (options.propagationPolicy === 'Orphan') orphan(cluster, old);
  let grace = 0;
  if (kind.kind === 'Pod') {
    grace = options.gracePeriodSeconds ?? old.spec.terminationGracePeriodSeconds ?? 30;
    if (!old.spec.nodeName || old.status?.phase === 'Succeeded' || old.status?.phase === 'Failed') grace = 0;
    if (old.metadata.deletionTimestamp) grace = Math.min(grace, old.metadata.deletionGracePeriodSeconds ?? grace);
  }
  const foreground = options.propagationPolicy === 'Foreground' && ownedBy(store, old.metadata.uid!).length > 0 && !old.metadata.finalizers?.includes(FOREGROUND);
  const definition = kind.kind === 'CustomResourceDefinition' && !old.metadata.finalizers?.includes(CLEANUP);
  const waits = foreground || definition || (kind.kind === 'Namespace' ? (old.spec?.finalizers ?? []).length > 0 : grace > 0 || (old.metadata.finalizers?.length ?? 0) > 0);
  if (!waits) {
    noteDeleted(cluster, old);
    drop(store, old);
    return old;
  }
  if (!foreground && old.metadata.deletionTimestamp && old.metadata.deletionGracePeriodSeconds === grace) return old;
  const object = copy(old);
  if (definition) {
    object.metadata.finalizers = [...(object.metadata.finalizers ?? []), CLEANUP];
    terminating(cluster, object, 'InstanceDeletionPending', 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon');
  }
  if (foreground) object.metadata.finalizers = [...(object.metadata.finalizers ?? []), FOREGROUND];
  object.metadata.deletionTimestamp = stamp(timeline, timeline.now + grace * SECOND);
  object.metadata.deletionGracePeriodSeconds = grace;
  if (kind.kind === 'Namespace') {
    delete object.metadata.deletionGracePeriodSeconds;
    object.status = { ...object.status, phase: 'Terminating' };
  }
  if (object.metadata.generation !== undefined) object.metadata.generation++;
  const n = note(cluster, kind.kind === 'Pod' ? 'pod.terminating' : 'object.terminating', { kind: kind.kind, namespace: namespace ?? '', name, grace });
  setCause(cluster, kind.kind, keyOf(old.metadata), n);
  return put(store, object);
}

function noteDeleted(cluster: Cluster, old: KubeObject): void {
  if (old.kind === 'Event' || old.kind === 'Lease') return;
  const key = keyOf(old.metadata);
  const because = old.metadata.deletionTimestamp ? causeOf(cluster, old.kind, key) : cluster.cause;
  const kind = old.kind === 'Pod' ? 'pod.deleted' : 'object.deleted';
  setCause(cluster, old.kind, key, note(cluster, kind, { kind: old.kind, namespace: old.metadata.namespace ?? '', name: old.metadata.name }, because));
}

function orphan(cluster: Cluster, owner: KubeObject): void {
  for (const child of ownedBy(cluster.store, owner.metadata.uid!)) {
    mutate(cluster, child.kind, keyOf(child.metadata), (o) => {
      const rest = o.metadata.ownerReferences!.filter((r) => r.uid !== owner.metadata.uid);
      if (rest.length > 0) o.metadata.ownerReferences = rest;
      else delete o.metadata.ownerReferences;
    });
  }
}

/** Objects of a kind in this cluster. */
export function count(cluster: Cluster, kind: string): number {
  return table(cluster.store, kind).size;
}
