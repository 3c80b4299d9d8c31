/** Roles and bindings from flags. Source: kubectl pkg/cmd/create/create_role.go, create_rolebinding.go 1.32. */
import { findResource } from '../../../cluster/types/kinds.ts';
import { discover } from './custom.ts';
import type { Json } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, Fatal } from './client.ts';
import { type Builder, nameOf, pairsOf } from './create-objects.ts';
import type { Flags } from './flags.ts';
import { required } from './write.ts';

const RBAC = 'rbac.authorization.k8s.io';
const VERBS = ['*', 'get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', 'use', 'bind', 'impersonate', 'proxy', 'approve', 'sign', 'escalate', 'attest'];
const listed = (flags: Flags, name: string): string[] => [...new Set((flags.many.get(name) ?? []).flatMap((v) => v.split(',')))].filter((v) => v !== '');

/** One rule for each API group of the resources. */
function* rulesOf(flags: Flags, client: Client, urls: readonly string[]): Call<Json[]> {
  const all = listed(flags, 'verb');
  const verbs = all.includes('*') ? ['*'] : all;
  const resources = listed(flags, 'resource');
  const names = listed(flags, 'resource-name');
  if (verbs.length === 0) throw new Fatal('error: at least one verb must be specified');
  for (const verb of verbs) if (!VERBS.includes(verb)) yield* err(`Warning: '${verb}' is not a standard resource verb\n`);
  if (resources.length === 0 && urls.length === 0) throw new Fatal(`error: ${flags.args[0] === 'clusterrole' ? 'one of resource or nonResourceURL must be specified' : 'at least one resource must be specified'}`);
  if (resources.length > 0) yield* call(client, 'GET', '/api');
  const groups = new Map<string, string[]>();
  for (const typed of resources) {
    const [whole = '', sub] = typed.split('/');
    const kind = whole === '*' ? undefined : (findResource(whole) ?? (yield* discover(client, whole)));
    if (!kind && whole !== '*') throw new Fatal(`the server doesn't have a resource type "${whole}"`);
    const name = `${kind?.plural ?? whole}${sub ? `/${sub}` : ''}`;
    const group = kind?.group ?? (whole === '*' ? '*' : '');
    groups.set(group, [...new Set([...(groups.get(group) ?? []), name])]);
  }
  const rules: Json[] = [...groups.keys()].sort().map((group) => ({ apiGroups: [group], ...(names.length > 0 ? { resourceNames: names } : {}), resources: groups.get(group), verbs }));
  if (urls.length > 0) rules.push({ nonResourceURLs: urls, verbs });
  return rules;
}

function subjects(flags: Flags): Json {
  const out: Json[] = [];
  for (const [flag, kind] of [['user', 'User'], ['group', 'Group']] as const) for (const name of flags.many.get(flag) ?? []) out.push({ apiGroup: RBAC, kind, name });
  for (const account of flags.many.get('serviceaccount') ?? []) {
    const [namespace, name, more] = account.split(':');
    if (!namespace || !name || more !== undefined) throw new Fatal('error: serviceaccount must be <namespace>:<name>');
    out.push({ kind: 'ServiceAccount', name, namespace });
  }
  return out.length > 0 ? { subjects: out } : {};
}

const named = (kind: string, name: string): Json => ({ apiVersion: `${RBAC}/v1`, kind, metadata: { creationTimestamp: null, name } });

export const ACCESS_BUILDERS: Record<string, Builder> = {
  *role(flags, args, client) {
    const name = nameOf('role', args);
    return { ...named('Role', name), rules: yield* rulesOf(flags, client, []) };
  },
  *clusterrole(flags, args, client) {
    const name = nameOf('clusterrole', args);
    const aggregated = flags.text.get('aggregation-rule');
    if (aggregated === undefined) return { ...named('ClusterRole', name), rules: yield* rulesOf(flags, client, listed(flags, 'non-resource-url')) };
    if (['verb', 'resource', 'non-resource-url', 'resource-name'].some((f) => flags.many.has(f))) throw new Fatal('error: aggregation rule must be specified without --verb, --resource, --non-resource-url and --resource-name');
    return { aggregationRule: { clusterRoleSelectors: [{ matchLabels: pairsOf(aggregated) }] }, ...named('ClusterRole', name), rules: null };
  },
  *rolebinding(flags, args) {
    const name = nameOf('rolebinding', args);
    const [role, cluster] = [flags.text.get('role'), flags.text.get('clusterrole')];
    if ((role ? 1 : 0) + (cluster ? 1 : 0) !== 1) throw new Fatal('error: exactly one of clusterrole or role must be specified');
    return { ...named('RoleBinding', name), roleRef: { apiGroup: RBAC, kind: role ? 'Role' : 'ClusterRole', name: role ?? cluster }, ...subjects(flags) };
  },
  *clusterrolebinding(flags, args) {
    yield* required(flags, 'clusterrole');
    const name = nameOf('clusterrolebinding', args);
    return { ...named('ClusterRoleBinding', name), roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: flags.text.get('clusterrole') }, ...subjects(flags) };
  },
};
