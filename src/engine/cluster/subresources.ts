/** What hangs below an object's path: scale, binding, eviction, finalize, ephemeralcontainers, token. Status is a plain write. */
import { mutate, read, update, type WriteOptions } from './api.ts';
import { at, place } from './custom/objects.ts';
import { ApiError, badRequest, conflict, invalid, noSuchPath } from './errors.ts';
import { evict } from './eviction.ts';
import type { Cluster } from './state.ts';
import { stamp } from './store.ts';
import { type Kind, kindNamed } from './types/kinds.ts';
import { type Json, type KubeObject, keyOf } from './types/objects.ts';
import { SECOND } from '../sim/units.ts';
import { bytes, toBase64 } from '../sim/text.ts';
import { printSelector } from './types/selectors.ts';

/** By kind, as discovery lists them. */
export const SUBRESOURCES: Readonly<Record<string, readonly string[]>> = {
  Namespace: ['finalize', 'status'], Node: ['status'], PersistentVolumeClaim: ['status'], PersistentVolume: ['status'], Pod: ['binding', 'ephemeralcontainers', 'eviction', 'status'],
  ReplicationController: ['scale', 'status'], ResourceQuota: ['status'], ServiceAccount: ['token'], Service: ['status'], CustomResourceDefinition: ['status'],
  DaemonSet: ['status'], Deployment: ['scale', 'status'], ReplicaSet: ['scale', 'status'], StatefulSet: ['scale', 'status'], HorizontalPodAutoscaler: ['status'], CronJob: ['status'], Job: ['status'],
  Ingress: ['status'], PodDisruptionBudget: ['status'], VolumeAttachment: ['status'],
};

export const subsOf = (kind: Kind): readonly string[] => (kind.custom ? [...(kind.custom.scale ? ['scale'] : []), ...(kind.custom.status ? ['status'] : [])] : (SUBRESOURCES[kind.kind] ?? []));
export const hasSub = (kind: Kind, sub: string): boolean => subsOf(kind).includes(sub);

const success = (): Json => ({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });

/** POST below an object. */
export function postSub(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string, sub: string, body: Json, options: WriteOptions): Json {
  if (!hasSub(kind, sub)) throw noSuchPath();
  if (sub === 'binding') return bind(cluster, namespace!, name, body, options);
  if (sub === 'eviction') {
    evict(cluster, namespace!, name, body?.deleteOptions, options);
    return success();
  }
  if (sub === 'token') return token(cluster, read(cluster, kind, namespace, name), body);
  throw new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
}

/** POST to bindings, or below a pod: the pod is assigned to a node. */
export function bind(cluster: Cluster, namespace: string, name: string, body: Json, options: WriteOptions): Json {
  const kind = kindNamed('Pod');
  const target = body?.target ?? {};
  if (target.kind !== undefined && target.kind !== '' && target.kind !== 'Node' && target.kind !== 'Minion') {
    throw invalid({ ...kindNamed('Binding') }, name, [{ field: 'target.kind', type: 'Unsupported value', value: JSON.stringify(target.kind), detail: 'supported values: "Node", "<empty>"' }]);
  }
  if (!target.name) throw invalid({ ...kindNamed('Binding') }, name, [{ field: 'target.name', type: 'Required value' }]);
  const pod = read(cluster, kind, namespace, name);
  if (pod.metadata.deletionTimestamp) throw conflict(kind, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (pod.spec.nodeName) throw conflict(kind, name, `pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
  if ((pod.spec.schedulingGates ?? []).length > 0) throw conflict(kind, name, `pod ${name} has non-empty .spec.schedulingGates`);
  if (!options.dryRun) {
    mutate(cluster, 'Pod', keyOf(pod.metadata), (p) => {
      p.spec.nodeName = target.name;
    });
  }
  return success();
}

/** A token request: what it answers is shaped like a signed token of the real server, signed by nobody. */
function token(cluster: Cluster, account: KubeObject, body: Json): Json {
  const seconds = body?.spec?.expirationSeconds ?? 3600;
  if (seconds < 600) throw invalid({ ...kindNamed('ServiceAccount'), kind: 'TokenRequest', group: 'authentication.k8s.io' }, account.metadata.name, [{ field: 'spec.expirationSeconds', type: 'Invalid value', value: String(seconds), detail: 'may not specify a duration less than 10 minutes' }]);
  const { timeline } = cluster;
  const part = (value: Json): string => toBase64(bytes(JSON.stringify(value))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const { name, namespace, uid } = account.metadata;
  const claims = { aud: body?.spec?.audiences ?? ['https://kubernetes.default.svc.cluster.local'], iss: 'https://kubernetes.default.svc.cluster.local', 'kubernetes.io': { namespace, serviceaccount: { name, uid } }, sub: `system:serviceaccount:${namespace}:${name}` };
  return {
    kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', metadata: { name, namespace, creationTimestamp: stamp(timeline) }, spec: { audiences: claims.aud, expirationSeconds: seconds, boundObjectRef: null },
    status: { token: `${part({ alg: 'none' })}.${part(claims)}.`, expirationTimestamp: stamp(timeline, timeline.now + seconds * SECOND) },
  };
}

export function scaleOf(kind: Kind, object: KubeObject): Json {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const paths = kind.custom?.scale;
  if (paths) {
    const label = paths.labelSelectorPath ? at(object, paths.labelSelectorPath) : undefined;
    return {
      kind: 'Scale', apiVersion: 'autoscaling/v1', metadata: { name, namespace, uid, resourceVersion, creationTimestamp }, spec: { replicas: at(object, paths.specReplicasPath) ?? 0 },
      status: { replicas: at(object, paths.statusReplicasPath) ?? 0, ...(typeof label === 'string' ? { selector: label } : {}) },
    };
  }
  const selector = object.kind === 'ReplicationController' ? { matchLabels: object.spec.selector } : object.spec.selector;
  const text = printSelector(selector);
  return {
    kind: 'Scale', apiVersion: 'autoscaling/v1', metadata: { name, namespace, uid, resourceVersion, creationTimestamp }, spec: { replicas: object.spec.replicas },
    status: { replicas: object.status?.replicas ?? 0, selector: text === '<none>' ? '' : text },
  };
}

/** PUT below an object, and the end of a PATCH below it. */
export function writeSub(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string, sub: string, body: Json, options: WriteOptions): Json {
  if (!hasSub(kind, sub)) throw noSuchPath();
  if (sub === 'scale') return rescale(cluster, kind, namespace, name, body, options);
  if (sub === 'ephemeralcontainers') {
    const old = read(cluster, kind, namespace, name);
    return update(cluster, kind, namespace, name, { ...old, metadata: { ...old.metadata, resourceVersion: body?.metadata?.resourceVersion }, spec: { ...old.spec, ephemeralContainers: body?.spec?.ephemeralContainers } }, sub, options);
  }
  return update(cluster, kind, namespace, name, body, sub, options);
}

function rescale(cluster: Cluster, kind: Kind, namespace: string | undefined, name: string, body: Json, options: WriteOptions): Json {
  const old = read(cluster, kind, namespace, name);
  const replicas = body?.spec?.replicas ?? 0;
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) throw badRequest('Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal ' + `${typeof replicas} into Go struct field ScaleSpec.spec.replicas of type int32`);
  if (body?.metadata?.resourceVersion && body.metadata.resourceVersion !== old.metadata.resourceVersion) throw conflict(kind, name);
  if (replicas < 0) {
    throw invalid({ ...kind, kind: 'Scale', group: 'autoscaling' }, name, [{ field: 'spec.replicas', type: 'Invalid value', value: String(replicas), detail: 'must be greater than or equal to 0' }]);
  }
  if (options.dryRun) return scaleOf(kind, { ...old, spec: { ...old.spec, replicas } });
  return scaleOf(kind, mutate(cluster, kind.kind, keyOf(old.metadata), (o) => {
    if (kind.custom) place(o, kind.custom.scale.specReplicasPath, replicas);
    else o.spec.replicas = replicas;
  }, undefined, { ...options, sub: 'scale' })!);
}
