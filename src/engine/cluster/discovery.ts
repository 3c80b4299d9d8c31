/** What the API server tells of itself: version, health, groups, resources. */
import type { Cluster } from './state.ts';
import { apiVersionOf, type Kind, SERVED } from './types/kinds.ts';
import type { Json } from './types/objects.ts';
import { subsOf } from './subresources.ts';

/** The body for a path that names no object; undefined when it does. */
export function general(cluster: Cluster, path: string): Json | undefined {
  const version = cluster.serverVersion;
  if (path === '/version' || path === '/version/') {
    const [, major = '1', minor = '32'] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
    return { major, minor, gitVersion: version, gitCommit: '59526cd4867447956156ae3a602fcbac10a2c335', gitTreeState: 'clean', buildDate: '2025-04-22T15:58:34Z', goVersion: 'go1.23.6', compiler: 'gc', platform: 'linux/amd64' };
  }
  if (path === '/healthz' || path === '/livez' || path === '/readyz') return 'ok';
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '10.0.0.10:6443' }] };
  if (path === '/apis' || path === '/apis/') return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups(cluster).map((g) => groupOf(cluster, g)) };
  const group = /^\/apis\/([^/]+)\/?$/.exec(path);
  if (group) return groups(cluster).includes(group[1]!) ? { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(cluster, group[1]!) } : undefined;
  const schemas = openApi(cluster, path);
  if (schemas) return schemas;
  const match = /^\/(?:api|apis\/([^/]+))\/(v[0-9a-z]+)\/?$/.exec(path);
  if (!match) return undefined;
  const rows = served(cluster).filter((k) => k.group === (match[1] ?? '') && k.version === match[2]);
  return rows.length === 0 ? undefined : { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(rows[0]!), resources: rows.flatMap(resourcesOf) };
}

const served = (cluster: Cluster): readonly Kind[] => (cluster.customs.served.length === 0 ? SERVED : [...SERVED, ...cluster.customs.served]);
const groups = (cluster: Cluster): string[] => [...new Set(served(cluster).filter((k) => offers(cluster, k)).map((k) => k.group))].filter((g) => g !== '');

/** A 1.20 server stands alone: no metrics server beside it, and it cannot say who asks. */
export function offers(cluster: Cluster, kind: Kind): boolean {
  return !(cluster.serverVersion.startsWith('v1.20.') && (kind.group === 'metrics.k8s.io' || kind.kind === 'SelfSubjectReview'));
}

/** The preferred version of a group is the one listed first. */
function groupOf(cluster: Cluster, name: string): Json {
  const versions = [...new Set(served(cluster).filter((k) => k.group === name).map((k) => k.version))].map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions, preferredVersion: versions[0] };
}

const SUB_KINDS: Readonly<Record<string, Json>> = {
  scale: { group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: ['get', 'patch', 'update'] }, binding: { kind: 'Binding', verbs: ['create'] }, eviction: { group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] },
  token: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest', verbs: ['create'] }, finalize: { verbs: ['update'] },
};

function resourcesOf(k: Kind): Json[] {
  const subs = subsOf(k).map((sub) => ({ name: `${k.plural}/${sub}`, singularName: '', namespaced: k.namespaced, kind: k.kind, verbs: ['get', 'patch', 'update'], ...SUB_KINDS[sub] }));
  return [
    { name: k.plural, singularName: k.singular, namespaced: k.namespaced, kind: k.kind, verbs: k.verbs, ...(k.short.length > 0 ? { shortNames: k.short } : {}), ...(k.custom ? (k.custom.categories.length > 0 ? { categories: k.custom.categories } : {}) : k.all ? { categories: ['all'] } : {}) }, ...subs,
  ];
}

/** Schemas of the kinds that definitions add (those of its own kinds this server does not tell). */
function openApi(cluster: Cluster, path: string): Json | undefined {
  const { served: rows } = cluster.customs;
  if (path === '/openapi/v3') return { paths: Object.fromEntries([...new Set(rows.map((k) => `apis/${apiVersionOf(k)}`))].map((p) => [p, { serverRelativeURL: `/openapi/v3/${p}` }])) };
  const match = /^\/openapi\/v3\/apis\/([^/]+\/[^/]+)$/.exec(path);
  const found = match ? rows.filter((k) => apiVersionOf(k) === match[1]) : [];
  if (found.length === 0) return undefined;
  const schemas = Object.fromEntries(found.map((k) => [
    `${k.group.split('.').reverse().join('.')}.${k.version}.${k.kind}`, { ...k.custom!.schema, 'x-kubernetes-group-version-kind': [{ group: k.group, kind: k.kind, version: k.version }] },
  ]));
  return { openapi: '3.0.0', info: { title: 'Kubernetes CRD Swagger', version: 'v0.1.0' }, paths: {}, components: { schemas } };
}
