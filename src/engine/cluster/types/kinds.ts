/** The kinds this API server serves: one row each, read by the server's paths and by kubectl's arguments. */
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
}

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const row = (kind: string, group: string, plural: string, short: string, namespaced = true, all = false): Kind => ({
  kind, group, version: 'v1', plural, singular: kind.toLowerCase(), short: short === '' ? [] : short.split(','), namespaced, all, verbs: VERBS,
});

/** In the order in which `kubectl api-resources` and `get all` list them. */
export const KINDS: readonly Kind[] = [
  row('ConfigMap', '', 'configmaps', 'cm'),
  row('Endpoints', '', 'endpoints', 'ep'),
  row('Event', '', 'events', 'ev'),
  row('Namespace', '', 'namespaces', 'ns', false),
  row('Node', '', 'nodes', 'no', false),
  row('PersistentVolumeClaim', '', 'persistentvolumeclaims', 'pvc'),
  row('Pod', '', 'pods', 'po', true, true),
  row('Secret', '', 'secrets', ''),
  row('ServiceAccount', '', 'serviceaccounts', 'sa'),
  row('Service', '', 'services', 'svc', true, true),
  row('ControllerRevision', 'apps', 'controllerrevisions', ''),
  row('DaemonSet', 'apps', 'daemonsets', 'ds', true, true),
  row('Deployment', 'apps', 'deployments', 'deploy', true, true),
  row('ReplicaSet', 'apps', 'replicasets', 'rs', true, true),
  row('StatefulSet', 'apps', 'statefulsets', 'sts', true, true),
  row('CronJob', 'batch', 'cronjobs', 'cj', true, true),
  row('Job', 'batch', 'jobs', '', true, true),
  row('Lease', 'coordination.k8s.io', 'leases', ''),
  row('EndpointSlice', 'discovery.k8s.io', 'endpointslices', ''),
  row('PriorityClass', 'scheduling.k8s.io', 'priorityclasses', 'pc', false),
];

const byKind = new Map(KINDS.map((k) => [k.kind, k]));

export function apiVersionOf(kind: Kind): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

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
  const found = byKind.get(kind);
  return found && apiVersionOf(found) === apiVersion ? found : undefined;
}

/** By what people type: plural, singular, short name, with or without the group. */
export function findResource(typed: string): Kind | undefined {
  const [name, ...rest] = typed.toLowerCase().split('.');
  let group = rest.join('.');
  if (/^v\d/.test(group)) group = group.split('.').slice(1).join('.');
  return KINDS.find((k) => (rest.length === 0 || k.group === group || group === `${k.version}`) && (k.plural === name || k.singular === name || k.short.includes(name!)));
}

export function pathOf(kind: Kind, namespace?: string, name?: string, sub?: string): string {
  const base = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const where = kind.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : '';
  return `${base}${where}/${kind.plural}${name === undefined ? '' : `/${name}`}${sub ? `/${sub}` : ''}`;
}
