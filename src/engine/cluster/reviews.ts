/** Questions that are POSTed and never stored: who am I, may I, may they. Source: pkg/registry/authorization 1.32. */
import { badRequest, noSuchPath } from './errors.ts';
import { authorize, rulesFor, type User, type Wish } from './rbac.ts';
import type { Cluster } from './state.ts';
import { apiVersionOf, type Kind } from './types/kinds.ts';
import type { Json } from './types/objects.ts';

export function review(cluster: Cluster, kind: Kind, namespace: string | undefined, body: Json, user: User): Json {
  const spec = body?.spec ?? {};
  const said = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata: body?.metadata ?? {} };
  switch (kind.kind) {
    case 'SelfSubjectReview':
      return { ...said, status: { userInfo: { username: user.name, groups: user.groups } } };
    case 'SelfSubjectRulesReview':
      return { ...said, spec, status: rulesFor(cluster, user, spec.namespace ?? 'default') };
    case 'SelfSubjectAccessReview':
      return { ...said, spec, status: answer(cluster, user, wishOf(spec)) };
    case 'LocalSubjectAccessReview':
    case 'SubjectAccessReview': {
      if (!spec.user && !spec.groups?.length) throw badRequest('at least one of user or group must be specified');
      const wish = wishOf(spec);
      if (kind.namespaced && wish.namespace !== namespace) throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
      return { ...said, spec, status: answer(cluster, { name: spec.user ?? '', groups: spec.groups ?? [] }, wish) };
    }
  }
  throw noSuchPath();
}

function answer(cluster: Cluster, user: User, wish: Wish): Json {
  const { allowed, reason } = authorize(cluster, user, wish);
  return { allowed, ...(reason ? { reason } : {}) };
}

function wishOf(spec: Json): Wish {
  const { resourceAttributes: r, nonResourceAttributes: n } = spec;
  if (!r === !n) throw badRequest('exactly one of nonResourceAttributes or resourceAttributes must be specified');
  return n ? { verb: n.verb ?? '', path: n.path ?? '' } : { verb: r.verb ?? '', namespace: r.namespace ?? '', group: r.group ?? '', resource: r.resource ?? '', ...(r.subresource ? { subresource: r.subresource } : {}), ...(r.name ? { name: r.name } : {}) };
}
