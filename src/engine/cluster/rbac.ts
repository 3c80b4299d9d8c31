/**
 * Who may do what: roles and their bindings, asked by reviews, and held against requests made in another's name (kubectl --as).
 * Who gives no name is the administrator. Source: plugin/pkg/auth/authorizer/rbac, pkg/registry/rbac/validation 1.32.
 * Left out: aggregated roles, tokens and certificates as proof of who asks.
 */
import { ApiError } from './errors.ts';
import type { ApiRequest, Target } from './request.ts';
import type { Cluster } from './state.ts';
import { get, list } from './store.ts';
import { qualified } from './types/kinds.ts';
import type { Json, KubeObject } from './types/objects.ts';

export interface User { name: string; groups: string[] }

export interface Wish {
  verb: string;
  namespace?: string;
  group?: string;
  resource?: string;
  subresource?: string;
  name?: string;
  /** Of what is no resource. */
  path?: string;
}

export const ADMIN: User = { name: 'kubernetes-admin', groups: ['kubeadm:cluster-admins', 'system:authenticated'] };

/** In whose name a request is made. */
export function userOf(headers: Readonly<Record<string, string>>): User {
  const name = headers['impersonate-user'];
  if (!name) return ADMIN;
  const said = (headers['impersonate-group'] ?? '').split(',').map((g) => g.trim()).filter((g) => g !== '');
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  const own = said.length > 0 || !account ? said : ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`];
  return { name, groups: [...own, ...(name === 'system:anonymous' ? ['system:unauthenticated'] : ['system:authenticated'])] };
}

function subjectText(subjects: readonly Json[], user: User, namespace: string | undefined): string | null {
  for (const s of subjects) {
    if (s?.kind === 'User' && s.name === user.name) return `User "${s.name}"`;
    if (s?.kind === 'Group' && user.groups.includes(s.name)) return `Group "${s.name}"`;
    if (s?.kind === 'ServiceAccount' && user.name === `system:serviceaccount:${s.namespace ?? namespace}:${s.name}`) return `ServiceAccount "${s.name}/${s.namespace ?? namespace}"`;
  }
  return null;
}

const has = (values: readonly string[] | undefined, wanted: string): boolean => (values ?? []).some((v) => v === '*' || v === wanted);

function allows(rule: Json, wish: Wish): boolean {
  if (!has(rule.verbs, wish.verb)) return false;
  if (wish.path !== undefined) return (rule.nonResourceURLs ?? []).some((u: string) => u === '*' || u === wish.path || (u.endsWith('*') && wish.path!.startsWith(u.slice(0, -1))));
  const { resource = '', subresource, group = '', name } = wish;
  const full = subresource ? `${resource}/${subresource}` : resource;
  const named = (rule.resources ?? []).some((r: string) => r === '*' || r === full || (subresource !== undefined && r === `*/${subresource}`));
  return has(rule.apiGroups, group) && named && (!rule.resourceNames?.length || (name !== undefined && rule.resourceNames.includes(name)));
}

interface Grant { rules: Json[]; reason: string }

/** Every rule that a user has in a namespace, and why. */
function grants(cluster: Cluster, user: User, namespace: string | undefined): Grant[] {
  const out: Grant[] = [];
  const add = (binding: KubeObject): void => {
    const subject = subjectText(binding.subjects ?? [], user, binding.metadata.namespace);
    if (!subject) return;
    const { kind, name } = binding.roleRef;
    const role = get(cluster.store, kind, kind === 'Role' ? `${binding.metadata.namespace}/${name}` : name);
    const where = binding.metadata.namespace ? `${binding.metadata.name}/${binding.metadata.namespace}` : binding.metadata.name;
    if (role) out.push({ rules: role.rules ?? [], reason: `RBAC: allowed by ${binding.kind} "${where}" of ${kind} "${name}" to ${subject}` });
  };
  for (const binding of list(cluster.store, 'ClusterRoleBinding')) add(binding);
  if (namespace) for (const binding of list(cluster.store, 'RoleBinding', namespace)) add(binding);
  return out;
}

export function authorize(cluster: Cluster, user: User, wish: Wish): { allowed: boolean; reason: string } {
  if (user.groups.includes('system:masters')) return { allowed: true, reason: '' };
  const found = grants(cluster, user, wish.namespace || undefined).find((g) => g.rules.some((rule) => allows(rule, wish)));
  return found ? { allowed: true, reason: found.reason } : { allowed: false, reason: '' };
}

/** All that a user may do in a namespace, as kubectl auth can-i --list shows it. */
export function rulesFor(cluster: Cluster, user: User, namespace: string): { resourceRules: Json[]; nonResourceRules: Json[]; incomplete: boolean } {
  const rules = grants(cluster, user, namespace).flatMap((g) => g.rules);
  return {
    resourceRules: rules.filter((r) => r.resources).map(({ verbs, apiGroups, resources, resourceNames }) => ({ verbs, apiGroups, resources, ...(resourceNames ? { resourceNames } : {}) })),
    nonResourceRules: rules.filter((r) => r.nonResourceURLs).map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })), incomplete: false,
  };
}

const VERBS: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch' };

function verbOf({ method, query }: ApiRequest, name: string | undefined): string {
  if (method === 'DELETE') return name === undefined ? 'deletecollection' : 'delete';
  if (method !== 'GET') return VERBS[method] ?? method.toLowerCase();
  if (name !== undefined) return 'get';
  return query.watch === 'true' || query.watch === '1' ? 'watch' : 'list';
}

/** Refuses what a user who is named in the request may not do. */
export function guard(cluster: Cluster, request: ApiRequest, target: Target): void {
  const user = userOf(request.headers);
  if (user === ADMIN) return;
  const { served, namespace, name, sub } = target;
  const verb = verbOf(request, name);
  const wish: Wish = { verb, group: served.group, resource: served.plural, ...(namespace ? { namespace } : {}), ...(sub ? { subresource: sub } : {}), ...(name ? { name } : {}) };
  if (served.group === 'authorization.k8s.io' && served.kind.startsWith('Self')) return;
  if (authorize(cluster, user, wish).allowed) return;
  const what = `${qualified(served)}${name === undefined ? '' : ` "${name}"`}`;
  const where = namespace ? `in the namespace "${namespace}"` : 'at the cluster scope';
  throw new ApiError(403, 'Forbidden', `${what} is forbidden: User "${user.name}" cannot ${verb} resource "${served.plural}${sub ? `/${sub}` : ''}" in API group "${served.group}" ${where}`, { ...(name ? { name } : {}), ...(served.group ? { group: served.group } : {}), kind: served.plural });
}

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const CORE = ['configmaps', 'endpoints', 'persistentvolumeclaims', 'persistentvolumeclaims/status', 'pods', 'replicationcontrollers', 'replicationcontrollers/scale', 'serviceaccounts', 'services', 'services/status'];
const APPS = ['controllerrevisions', 'daemonsets', 'daemonsets/status', 'deployments', 'deployments/scale', 'deployments/status', 'replicasets', 'replicasets/scale', 'replicasets/status', 'statefulsets', 'statefulsets/scale', 'statefulsets/status'];
const OTHERS: readonly [group: string, resources: string[]][] = [
  ['apps', APPS], ['autoscaling', ['horizontalpodautoscalers', 'horizontalpodautoscalers/status']], ['batch', ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status']], ['policy', ['poddisruptionbudgets', 'poddisruptionbudgets/status']],
  ['networking.k8s.io', ['ingresses', 'ingresses/status', 'networkpolicies']], ['discovery.k8s.io', ['endpointslices']],
];
const rule = (apiGroups: string[], resources: string[], verbs: string[]): Json => ({ apiGroups, resources, verbs });
const VIEW = [
  rule([''], [...CORE, 'bindings', 'events', 'limitranges', 'namespaces', 'namespaces/status', 'pods/log', 'pods/status', 'replicationcontrollers/status', 'resourcequotas', 'resourcequotas/status'], READ), ...OTHERS.map(([group, resources]) => rule([group], resources, READ)),
  rule(['metrics.k8s.io'], ['pods', 'nodes'], READ),
];
const writable = (resources: string[]): string[] => resources.filter((r) => !r.endsWith('/status'));
const EDIT = [
  rule([''], ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'], READ), rule([''], ['serviceaccounts'], ['impersonate']),
  rule([''], [...writable(CORE), 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy', 'events', 'serviceaccounts/token'], WRITE), rule([''], ['pods/eviction'], ['create']),
  ...OTHERS.filter(([group]) => group !== 'discovery.k8s.io').map(([group, resources]) => rule([group], writable(resources), WRITE)), ...VIEW,
];
const RBAC = 'rbac.authorization.k8s.io';

/** The roles for people that every cluster has; those of its own components are left out. */
export const DEFAULT_ROLES: readonly { name: string; rules: Json[] }[] = [
  { name: 'admin', rules: [...EDIT, rule(['authorization.k8s.io'], ['localsubjectaccessreviews'], ['create']), rule([RBAC], ['rolebindings', 'roles'], [...READ, ...WRITE])] },
  { name: 'cluster-admin', rules: [rule(['*'], ['*'], ['*']), { nonResourceURLs: ['*'], verbs: ['*'] }] },
  { name: 'edit', rules: EDIT },
  { name: 'system:basic-user', rules: [rule(['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']), rule(['authentication.k8s.io'], ['selfsubjectreviews'], ['create'])] },
  { name: 'system:discovery', rules: [{ nonResourceURLs: ['/api', '/api/*', '/apis', '/apis/*', '/healthz', '/livez', '/openapi', '/openapi/*', '/readyz', '/version', '/version/'], verbs: ['get'] }] },
  { name: 'view', rules: VIEW },
];
export const DEFAULT_BINDINGS: readonly [name: string, role: string, group: string][] = [
  ['cluster-admin', 'cluster-admin', 'system:masters'], ['kubeadm:cluster-admins', 'cluster-admin', 'kubeadm:cluster-admins'], ['system:basic-user', 'system:basic-user', 'system:authenticated'], ['system:discovery', 'system:discovery', 'system:authenticated'],
];
