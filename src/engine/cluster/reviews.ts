/** Questions that are POSTed and never stored: who am I, may I. Everyone here is the administrator of a kind cluster. */
import { noSuchPath } from './errors.ts';
import type { Cluster } from './state.ts';
import { apiVersionOf, type Kind } from './types/kinds.ts';
import type { Json } from './types/objects.ts';

export function review(_cluster: Cluster, kind: Kind, _namespace: string | undefined, body: Json): Json {
  const said = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata: body?.metadata ?? {} };
  if (kind.kind === 'SelfSubjectReview') return { ...said, status: { userInfo: { username: 'kubernetes-admin', groups: ['kubeadm:cluster-admins', 'system:authenticated'] } } };
  if (kind.kind === 'SelfSubjectAccessReview') return { ...said, spec: body?.spec ?? {}, status: { allowed: true, reason: 'RBAC: allowed by ClusterRoleBinding "kubeadm:cluster-admins" of ClusterRole "cluster-admin" to Group "kubeadm:cluster-admins"' } };
  throw noSuchPath();
}
