/** Garbage collection of what a deleted owner owned, and the end of namespaces: their contents go first. */
import { create, mutate, remove } from '../api.ts';
import { put } from '../store.ts';
import { type Cluster, suffix } from '../state.ts';
import { drop, get, list, ownedBy } from '../store.ts';
import { KINDS, kindNamed } from '../types/kinds.ts';
import { copy, type KubeObject, type Pod } from '../types/objects.ts';

/** `uid` is gone: what it alone owned goes too. */
export function collect(cluster: Cluster, uid: string): void {
  for (const child of ownedBy(cluster.store, uid)) {
    const others = (child.metadata.ownerReferences ?? []).filter((r) => r.uid !== uid);
    if (others.length > 0) {
      mutate(cluster, child.kind, `${child.metadata.namespace}/${child.metadata.name}`, (o) => {
        o.metadata.ownerReferences = others;
      });
    } else remove(cluster, kindNamed(child.kind), child.metadata.namespace, child.metadata.name);
  }
}

/** What every namespace has: an account, and the certificate (or, before 1.21, the token's Secret) that its pods mount. */
function furnish(cluster: Cluster, name: string): void {
  const old = cluster.serverVersion.startsWith('v1.20.');
  if (!old && !get(cluster.store, 'ConfigMap', `${name}/kube-root-ca.crt`)) {
    create(cluster, kindNamed('ConfigMap'), name, {
      metadata: { name: 'kube-root-ca.crt', annotations: { 'kubernetes.io/description': 'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.' } },
      data: { 'ca.crt': NO_CERTIFICATE },
    });
  }
  if (get(cluster.store, 'ServiceAccount', `${name}/default`)) return;
  const account = create(cluster, kindNamed('ServiceAccount'), name, { metadata: { name: 'default' } });
  if (!old) return;
  const secret = create(cluster, kindNamed('Secret'), name, {
    metadata: { name: `default-token-${suffix(cluster.random)}`, annotations: { 'kubernetes.io/service-account.name': 'default', 'kubernetes.io/service-account.uid': account.metadata.uid } },
    type: 'kubernetes.io/service-account-token', stringData: { 'ca.crt': NO_CERTIFICATE, namespace: name, token: 'unsigned' },
  });
  mutate(cluster, 'ServiceAccount', `${name}/default`, (o) => {
    o.secrets = [{ name: secret.metadata.name }];
  });
}

const NO_CERTIFICATE = '# The API server of this lab speaks plain HTTP: it has no certificate.\n';

export function syncNamespace(cluster: Cluster, name: string): void {
  const namespace = get(cluster.store, 'Namespace', name);
  if (!namespace) return;
  if (!namespace.metadata.deletionTimestamp) {
    furnish(cluster, name);
    return;
  }
  let left = 0;
  for (const kind of KINDS) {
    if (!kind.namespaced) continue;
    for (const object of list<KubeObject>(cluster.store, kind.kind, name)) {
      if (!object.metadata.deletionTimestamp) remove(cluster, kind, name, object.metadata.name);
      if (get(cluster.store, kind.kind, `${name}/${object.metadata.name}`)) left++;
    }
  }
  if (left > 0) return;
  const last = copy(namespace);
  last.spec = {};
  put(cluster.store, last);
  drop(cluster.store, last);
}

/** Victims of preemption. */
export function evictPod(cluster: Cluster, key: string): void {
  const pod = get<Pod>(cluster.store, 'Pod', key);
  if (pod && !pod.metadata.deletionTimestamp) remove(cluster, kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name);
}
