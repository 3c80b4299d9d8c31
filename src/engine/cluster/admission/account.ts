/**
 * ServiceAccount: pods without one get "default", and every pod the volume through which it reaches the API server: a projected
 * token, certificate and namespace; before 1.21 the Secret of the account's token. Source: plugin/pkg/admission/serviceaccount 1.32.
 */
import { forbidden, givenName } from '../errors.ts';
import { type Cluster, safeEncode, suffix } from '../state.ts';
import { get } from '../store.ts';
import type { Kind } from '../types/kinds.ts';
import type { Json, KubeObject, PodSpec } from '../types/objects.ts';

export const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Shared by all pods: nothing in the store is changed in place. */
const PROJECTED: Json = {
  defaultMode: 420,
  sources: [
    { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }, { configMap: { items: [{ key: 'ca.crt', path: 'ca.crt' }], name: 'kube-root-ca.crt' } },
    { downwardAPI: { items: [{ fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' }, path: 'namespace' }] } },
  ],
};

export function accountOf(cluster: Cluster, kind: Kind, object: KubeObject): void {
  const spec = object.spec as PodSpec;
  const mirrored = object.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;
  if (mirrored) return;
  if (spec.serviceAccountName === undefined && spec.serviceAccount) spec.serviceAccountName = spec.serviceAccount;
  spec.serviceAccountName ||= 'default';
  spec.serviceAccount = spec.serviceAccountName;
  const { namespace } = object.metadata;
  const account = get(cluster.store, 'ServiceAccount', `${namespace}/${spec.serviceAccountName}`);
  if (!account && spec.serviceAccountName !== 'default') throw forbidden(kind, givenName(object), `error looking up service account ${namespace}/${spec.serviceAccountName}: serviceaccount ${JSON.stringify(spec.serviceAccountName)} not found`);
  if (!spec.imagePullSecrets?.length && account?.imagePullSecrets?.length) spec.imagePullSecrets = account.imagePullSecrets;
  if ((spec.automountServiceAccountToken ?? account?.automountServiceAccountToken ?? true) && account) mount(cluster, object, account);
}

/** Pods of one owner have the volume's name in common, and so all of their specs: the store keeps one copy. */
function nameFor(cluster: Cluster, pod: KubeObject): string {
  const owner = pod.metadata.ownerReferences?.find((r) => r.controller);
  return `kube-api-access-${owner ? safeEncode(owner.uid.slice(0, 5)) : suffix(cluster.random)}`;
}

function mount(cluster: Cluster, pod: KubeObject, account: KubeObject): void {
  const spec = pod.spec as PodSpec;
  const all = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const need = all.filter((c) => !(c.volumeMounts ?? []).some((m) => m?.mountPath === TOKEN_PATH));
  if (need.length === 0) return;
  const secret = account.secrets?.[0]?.name as string | undefined;
  const old = cluster.serverVersion.startsWith('v1.20.');
  if (old && !secret) return;
  const name = old ? secret! : nameFor(cluster, pod);
  for (const c of need) c.volumeMounts = [...(c.volumeMounts ?? []), { mountPath: TOKEN_PATH, name, readOnly: true }];
  spec.volumes = [...(spec.volumes ?? []), old ? { name, secret: { defaultMode: 420, secretName: name } } : { name, projected: PROJECTED }];
}
