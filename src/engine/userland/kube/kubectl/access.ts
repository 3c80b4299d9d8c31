/** auth: can-i and whoami by the API's reviews; reconcile of roles from files. Source: kubectl pkg/cmd/auth 1.32. */
import { findResource } from '../../../cluster/types/kinds.ts';
import { discover } from './custom.ts';
import type { Json } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { ask, call, type Client, err, failed, failureText, Fatal, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { printAs } from './print.ts';
import { getTable } from './tabwriter.ts';

export const AUTH_SUBS: Readonly<Record<string, string>> = {
  'can-i': 'A/all-namespaces list q/quiet subresource= no-headers', whoami: 'o/output= allow-missing-template-keys template= show-managed-fields',
  reconcile: 'f/filename=* k/kustomize= R/recursive dry-run=?unchanged o/output= remove-extra-permissions remove-extra-subjects',
};

const VERBS = 'get list watch create update patch delete deletecollection use bind impersonate * approve sign escalate attest head options post put'.split(' ');

export function* auth(client: Client, flags: Flags): Call<number> {
  const [verb, ...args] = flags.args;
  if (verb === 'can-i') return on(flags, 'list') ? yield* rules(client, flags) : yield* canI(client, flags, args);
  if (verb === 'whoami') return yield* whoami(client, flags);
  throw new Fatal('error: not modelled: kubectl auth reconcile');
}

function* canI(client: Client, flags: Flags, args: readonly string[]): Call<number> {
  if (args.length < 2 || args.length > 3) throw new Fatal('error: you must specify two arguments: verb resource or verb resource/resourceName.');
  const [verb = '', typed = '', third] = args;
  const url = typed.startsWith('/');
  let attributes: Json;
  if (url) attributes = { nonResourceAttributes: { path: typed, verb } };
  else {
    const [what = '', name = third] = typed.split('/');
    if (!VERBS.includes(verb)) yield* err(`Warning: verb '${verb}' is not a known verb\n`);
    const kind = what === '*' ? null : (findResource(what) ?? (yield* discover(client, what)));
    if (what !== '*' && !kind) {
      if (what.includes('.')) yield* err(`Warning: the server doesn't have a resource type '${what.split('.')[0]}' in group '${what.split('.').slice(1).join('.')}'\n\n`);
      else yield* err(`Warning: the server doesn't have a resource type '${what}'\n\n`);
    } else if (kind && !kind.namespaced && !on(flags, 'all-namespaces')) yield* err(`Warning: resource '${kind.plural}' is not namespace scoped${kind.group ? ` in group '${kind.group}'` : ''}\n\n`);
    attributes = {
      resourceAttributes: {
        namespace: on(flags, 'all-namespaces') ? '' : client.namespace, verb, resource: kind?.plural ?? what, group: kind?.group ?? (what === '*' ? '*' : ''), ...(name ? { name } : {}), ...(flags.text.get('subresource') ? { subresource: flags.text.get('subresource') } : {}),
      },
    };
  }
  const answer = yield* ask(client, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: attributes });
  const { allowed, reason, evaluationError } = answer.status ?? {};
  if (!on(flags, 'quiet')) yield* out(`${allowed ? 'yes' : `no${reason ? ` - ${reason}` : ''}${evaluationError ? ` - ${evaluationError}` : ''}`}\n`);
  return allowed ? 0 : 1;
}

function* rules(client: Client, flags: Flags): Call<number> {
  const answer = yield* ask(client, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace: client.namespace } });
  const list = (x: Json): string => `[${(x ?? []).join(' ')}]`;
  const rows: string[][] = [];
  for (const rule of answer.status?.resourceRules ?? []) {
    for (const resource of rule.resources ?? []) for (const group of rule.apiGroups ?? ['']) rows.push([`${resource}${group === '' ? '' : `.${group}`}`, '[]', list(rule.resourceNames), list(rule.verbs)]);
  }
  for (const rule of answer.status?.nonResourceRules ?? []) rows.push(['', list(rule.nonResourceURLs), '[]', list(rule.verbs)]);
  yield* out(getTable(on(flags, 'no-headers') ? rows : [['Resources', 'Non-Resource URLs', 'Resource Names', 'Verbs'], ...rows]));
  return 0;
}

function* whoami(client: Client, flags: Flags): Call<number> {
  const reply = yield* call(client, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview', metadata: { creationTimestamp: null }, status: { userInfo: {} } });
  if (reply.status === 404) throw new Fatal('error: the selfsubjectreviews API is not enabled in the cluster\nenable APISelfSubjectReview feature gate and authentication.k8s.io/v1alpha1 or authentication.k8s.io/v1beta1 API');
  if (failed(reply)) throw new Fatal(failureText(reply.body));
  if (flags.text.has('output')) {
    yield* printAs(flags.text.get('output')!, [{ ...reply.body, metadata: { creationTimestamp: null } }], true);
    return 0;
  }
  const user: Json = reply.body.status?.userInfo ?? {};
  const rows = [['ATTRIBUTE', 'VALUE']];
  if (user.username) rows.push(['Username', user.username]);
  if (user.uid) rows.push(['UID', user.uid]);
  if (user.groups?.length) rows.push(['Groups', `[${user.groups.join(' ')}]`]);
  for (const key of Object.keys(user.extra ?? {}).sort()) rows.push([`Extra: ${key}`, `[${user.extra[key].join(' ')}]`]);
  yield* out(getTable(rows));
  return 0;
}
