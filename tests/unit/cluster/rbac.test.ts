/** Roles and bindings: reviews, requests in another's name; Services' addresses and ports that are asked for. */
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../../src/engine/cluster/cluster.ts';
import type { Json } from '../../../src/engine/cluster/types/objects.ts';
import { ask, lab, make, said } from './lab.ts';

function furnished(): Cluster {
  const cluster = lab();
  make(cluster, 'Role', { metadata: { name: 'reader' }, rules: [{ apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get', 'list'] }, { apiGroups: ['apps'], resources: ['deployments'], resourceNames: ['web'], verbs: ['patch'] }] });
  make(cluster, 'RoleBinding', { metadata: { name: 'read' }, roleRef: { kind: 'Role', name: 'reader' }, subjects: [{ kind: 'User', name: 'jane' }, { kind: 'ServiceAccount', name: 'bot', namespace: 'default' }] });
  make(cluster, 'ClusterRoleBinding', { metadata: { name: 'viewers' }, roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [{ kind: 'Group', name: 'staff' }] });
  return cluster;
}
const as = (name: string, groups = ''): Record<string, string> => ({ 'impersonate-user': name, ...(groups ? { 'impersonate-group': groups } : {}) });

describe('may I', () => {
  const can = (cluster: Cluster, who: Record<string, string>, attributes: object): Json => ask(cluster, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', spec: { resourceAttributes: attributes } }, {}, who).body.status;

  it.each([
    [as('jane'), { verb: 'list', resource: 'pods', namespace: 'default' }, { allowed: true, reason: 'RBAC: allowed by RoleBinding "read/default" of Role "reader" to User "jane"' }],
    [as('jane'), { verb: 'list', resource: 'pods', namespace: 'kube-system' }, { allowed: false }],
    [as('jane'), { verb: 'delete', resource: 'pods', namespace: 'default' }, { allowed: false }],
    [as('jane'), { verb: 'get', resource: 'pods', subresource: 'log', namespace: 'default' }, { allowed: true, reason: 'RBAC: allowed by RoleBinding "read/default" of Role "reader" to User "jane"' }],
    [as('jane'), { verb: 'patch', group: 'apps', resource: 'deployments', name: 'web', namespace: 'default' }, { allowed: true, reason: 'RBAC: allowed by RoleBinding "read/default" of Role "reader" to User "jane"' }],
    [as('jane'), { verb: 'patch', group: 'apps', resource: 'deployments', name: 'api', namespace: 'default' }, { allowed: false }],
    [as('system:serviceaccount:default:bot'), { verb: 'get', resource: 'pods', namespace: 'default' }, { allowed: true, reason: 'RBAC: allowed by RoleBinding "read/default" of Role "reader" to ServiceAccount "bot/default"' }],
    [as('joe', 'staff'), { verb: 'watch', group: 'apps', resource: 'deployments', namespace: 'x' }, { allowed: true, reason: 'RBAC: allowed by ClusterRoleBinding "viewers" of ClusterRole "view" to Group "staff"' }],
    [as('joe', 'staff'), { verb: 'get', resource: 'secrets', namespace: 'x' }, { allowed: false }],
    [as('root', 'system:masters'), { verb: '*', resource: '*' }, { allowed: true }],
    [{}, { verb: 'delete', resource: 'nodes' }, { allowed: true, reason: 'RBAC: allowed by ClusterRoleBinding "kubeadm:cluster-admins" of ClusterRole "cluster-admin" to Group "kubeadm:cluster-admins"' }],
  ])('%j %j', (who, attributes, status) => expect(can(furnished(), who, attributes)).toEqual(status));

  it('and others', () => {
    const review = (user: string): Json => ask(furnished(), 'POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec: { user, resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default' } } }).body.status;
    expect([review('jane').allowed, review('joe').allowed]).toEqual([true, false]);
  });
});

it.each([
  ['GET', '/api/v1/namespaces/default/pods', 200, null],
  ['GET', '/api/v1/pods', 403, 'pods is forbidden: User "jane" cannot list resource "pods" in API group "" at the cluster scope'],
  ['DELETE', '/api/v1/namespaces/default/pods/x', 403, 'pods "x" is forbidden: User "jane" cannot delete resource "pods" in API group "" in the namespace "default"'],
  ['GET', '/apis/apps/v1/namespaces/default/deployments', 403, 'deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps" in the namespace "default"'],
  ['POST', '/api/v1/namespaces/default/pods/x/eviction', 403, 'pods "x" is forbidden: User "jane" cannot create resource "pods/eviction" in API group "" in the namespace "default"'],
])('in the name of jane: %s %s', (method, path, status, message) => {
  const reply = ask(furnished(), method, path, method === 'POST' ? {} : '', {}, as('jane'));
  expect(reply.status).toBe(status);
  if (message) expect(reply.body.message).toBe(message);
});

describe('Services', () => {
  const service = (name: string, spec: object): Json => ({ metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });

  it.each([
    [{ type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] }, 'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated'],
    [{ type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] }, 'Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767'],
    [{ clusterIP: '10.96.7.7' }, 'Service "b" is invalid: spec.clusterIPs: Invalid value: []string{"10.96.7.7"}: failed to allocate IP 10.96.7.7: provided IP is already allocated'],
    [{ clusterIP: '192.0.2.1' }, 'Service "b" is invalid: spec.clusterIPs: Invalid value: []string{"192.0.2.1"}: failed to allocate IP 192.0.2.1: the provided IP (192.0.2.1) is not in the valid range. The range of valid IPs is 10.96.0.0/12'],
  ])('%j', (spec, message) => {
    const cluster = lab();
    make(cluster, 'Service', service('a', { type: 'NodePort', clusterIP: '10.96.7.7', ports: [{ port: 80, nodePort: 30080 }] }));
    expect(said(() => make(cluster, 'Service', service('b', spec)))).toBe(message);
  });

  it('keep and lose what was allocated', () => {
    const cluster = lab();
    const made = make(cluster, 'Service', service('a', { type: 'NodePort' }));
    const path = '/api/v1/namespaces/default/services/a';
    const merge = (body: Json): Json => ask(cluster, 'PATCH', path, body, {}, { 'content-type': 'application/merge-patch+json' }).body;
    const more = merge({ spec: { ports: [{ port: 80 }, { port: 81, name: 'x' }].map((p, i) => ({ name: `p${i}`, ...p })) } });
    expect(more.spec.ports.every((p: Json) => p.nodePort >= 30000)).toBe(true);
    const back = merge({ spec: { type: 'ClusterIP' } });
    expect([back.spec.ports.some((p: Json) => p.nodePort), back.spec.externalTrafficPolicy, back.spec.clusterIP]).toEqual([false, undefined, made.spec.clusterIP]);
  });
});
