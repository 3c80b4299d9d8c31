/** The kinds this API server serves: one row each, read by the server's paths and by kubectl's arguments. */
import type { Json } from './objects.ts';

export interface Kind {
  kind: string;
  /** '' is core. */
  group: string;
  version: string;
  plural: string;
  singular: string;
  short: readonly string[];
  namespaced: boolean;
  /** Part of `kubectl get all`. */
  all: boolean;
  verbs: readonly string[];
  /** Of a kind that a CustomResourceDefinition adds. */
  custom?: Custom;
}

export interface Custom {
  /** As people call it: in the store a kind is named with its group. */
  name: string;
  listKind: string;
  categories: readonly string[];
  schema: Json;
  columns: Json[] | null;
  /** Whether the status is written apart. */
  status: boolean;
  scale: Json;
  /** A warning for whoever uses this version, or ''. */
  deprecated: string;
  /** The row by which the store knows it, of a row that is served. */
  stored?: Kind;
}

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const ALL_KINDS = new Set(['Pod', 'ReplicationController', 'Service', 'DaemonSet', 'Deployment', 'ReplicaSet', 'StatefulSet', 'HorizontalPodAutoscaler', 'CronJob', 'Job']);

interface Odd { cluster?: true; version?: string; verbs?: readonly string[] }

const row = (kind: string, group: string, plural: string, short = '', { cluster, version = 'v1', verbs = VERBS }: Odd = {}): Kind => ({
  kind, group, version, plural, singular: kind.toLowerCase(), short: short === '' ? [] : short.split(','), namespaced: !cluster, all: ALL_KINDS.has(kind), verbs,
});
const CLUSTER = { cluster: true } as const;
const REVIEW = { cluster: true, verbs: ['create'] } as const;
const RBAC = 'rbac.authorization.k8s.io';

/** In the order in which `kubectl api-resources` lists them: the preferred version of each. */
export const KINDS: readonly Kind[] = [
  row('Binding', '', 'bindings', '', { verbs: ['create'] }),
  row('ComponentStatus', '', 'componentstatuses', 'cs', { cluster: true, verbs: ['get', 'list'] }),
  row('ConfigMap', '', 'configmaps', 'cm'),
  row('Endpoints', '', 'endpoints', 'ep'),
  row('Event', '', 'events', 'ev'),
  row('LimitRange', '', 'limitranges', 'limits'),
  row('Namespace', '', 'namespaces', 'ns', { cluster: true, verbs: VERBS.filter((v) => v !== 'deletecollection') }),
  row('Node', '', 'nodes', 'no', CLUSTER),
  row('PersistentVolumeClaim', '', 'persistentvolumeclaims', 'pvc'),
  row('PersistentVolume', '', 'persistentvolumes', 'pv', CLUSTER),
  row('Pod', '', 'pods', 'po'),
  row('PodTemplate', '', 'podtemplates'),
  row('ReplicationController', '', 'replicationcontrollers', 'rc'),
  row('ResourceQuota', '', 'resourcequotas', 'quota'),
  row('Secret', '', 'secrets'),
  row('ServiceAccount', '', 'serviceaccounts', 'sa'),
  row('Service', '', 'services', 'svc'),
  row('CustomResourceDefinition', 'apiextensions.k8s.io', 'customresourcedefinitions', 'crd,crds', CLUSTER),
  row('ControllerRevision', 'apps', 'controllerrevisions'),
  row('DaemonSet', 'apps', 'daemonsets', 'ds'),
  row('Deployment', 'apps', 'deployments', 'deploy'),
  row('ReplicaSet', 'apps', 'replicasets', 'rs'),
  row('StatefulSet', 'apps', 'statefulsets', 'sts'),
  row('SelfSubjectReview', 'authentication.k8s.io', 'selfsubjectreviews', '', REVIEW),
  row('LocalSubjectAccessReview', 'authorization.k8s.io', 'localsubjectaccessreviews', '', { verbs: ['create'] }),
  row('SelfSubjectAccessReview', 'authorization.k8s.io', 'selfsubjectaccessreviews', '', REVIEW),
  row('SelfSubjectRulesReview', 'authorization.k8s.io', 'selfsubjectrulesreviews', '', REVIEW),
  row('SubjectAccessReview', 'authorization.k8s.io', 'subjectaccessreviews', '', REVIEW),
  row('HorizontalPodAutoscaler', 'autoscaling', 'horizontalpodautoscalers', 'hpa', { version: 'v2' }),
  row('CronJob', 'batch', 'cronjobs', 'cj'),
  row('Job', 'batch', 'jobs'),
  row('Lease', 'coordination.k8s.io', 'leases'),
  row('EndpointSlice', 'discovery.k8s.io', 'endpointslices'),
  row('Event', 'events.k8s.io', 'events', 'ev'),
  row('NodeMetrics', 'metrics.k8s.io', 'nodes', '', { cluster: true, version: 'v1beta1', verbs: ['get', 'list'] }),
  row('PodMetrics', 'metrics.k8s.io', 'pods', '', { version: 'v1beta1', verbs: ['get', 'list'] }),
  row('IngressClass', 'networking.k8s.io', 'ingressclasses', '', CLUSTER),
  row('Ingress', 'networking.k8s.io', 'ingresses', 'ing'),
  row('NetworkPolicy', 'networking.k8s.io', 'networkpolicies', 'netpol'),
  row('RuntimeClass', 'node.k8s.io', 'runtimeclasses', '', CLUSTER),
  row('PodDisruptionBudget', 'policy', 'poddisruptionbudgets', 'pdb'),
  row('ClusterRoleBinding', RBAC, 'clusterrolebindings', '', CLUSTER),
  row('ClusterRole', RBAC, 'clusterroles', '', CLUSTER),
  row('RoleBinding', RBAC, 'rolebindings'),
  row('Role', RBAC, 'roles'),
  row('PriorityClass', 'scheduling.k8s.io', 'priorityclasses', 'pc', CLUSTER),
  row('CSIDriver', 'storage.k8s.io', 'csidrivers', '', CLUSTER),
  row('CSINode', 'storage.k8s.io', 'csinodes', '', CLUSTER),
  row('CSIStorageCapacity', 'storage.k8s.io', 'csistoragecapacities'),
  row('StorageClass', 'storage.k8s.io', 'storageclasses', 'sc', CLUSTER),
  row('VolumeAttachment', 'storage.k8s.io', 'volumeattachments', '', CLUSTER),
];

/** Other versions that the server serves of kinds above; stored in the preferred one (`versions.ts`). */
const OLDER: readonly Kind[] = [row('HorizontalPodAutoscaler', 'autoscaling', 'horizontalpodautoscalers', 'hpa')];

export const SERVED: readonly Kind[] = [...KINDS, ...OLDER];

/** The stored one of a name: Events are those of core. */
const byKind = new Map<string, Kind>();
for (const kind of KINDS) if (!byKind.has(kind.kind)) byKind.set(kind.kind, kind);

/** Whether objects of it are in the store: not so for what is only asked or reckoned. */
export const isStored = (kind: Kind): boolean => kind.verbs.includes('watch');

export function apiVersionOf(kind: Kind): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

/** As messages call it. */
export const nameOf = (kind: Kind): string => kind.custom?.name ?? kind.kind;

/** "deployments.apps", "pods". */
export function qualified(kind: Kind): string {
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
}

export function kindNamed(name: string): Kind {
  const kind = byKind.get(name);
  if (!kind) throw new Error(`no kind ${name}`);
  return kind;
}

/** By apiVersion and kind, as a manifest gives them. */
export function findKind(apiVersion: string, kind: string): Kind | undefined {
  return SERVED.find((k) => k.kind === kind && apiVersionOf(k) === apiVersion);
}

/** By what people type: plural, singular, short name, with or without version and group ("hpa.v1.autoscaling"). */
export function findResource(typed: string): Kind | undefined {
  const [name, ...rest] = typed.toLowerCase().split('.');
  const version = /^v\d/.test(rest[0] ?? '') ? rest.shift() : undefined;
  const group = rest.length === 0 && version === undefined ? undefined : rest.join('.');
  return (version === undefined ? KINDS : SERVED).find(
    (k) => (group === undefined || k.group === group) && (version === undefined || k.version === version) && (k.plural === name || k.singular === name || k.short.includes(name!)),
  );
}

export function pathOf(kind: Kind, namespace?: string, name?: string, sub?: string): string {
  const base = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const where = kind.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : '';
  return `${base}${where}/${kind.plural}${name === undefined ? '' : `/${name}`}${sub ? `/${sub}` : ''}`;
}
