/**
 * Garbage collection of what a deleted owner owned, or of what it waits for (foreground); the end of namespaces: their contents
 * go first. Source: pkg/controller/{garbagecollector,namespace} 1.32.
 */
import { create, FOREGROUND, mutate, remove } from '../api.ts';
import { kindOf, storedName } from '../custom/kinds.ts';
import { put } from '../store.ts';
import { type Cluster, suffix } from '../state.ts';
import { type Change, drop, get, list, ownedBy, stamp } from '../store.ts';
import { isStored, KINDS, kindNamed } from '../types/kinds.ts';
import { type Condition, copy, type KubeObject, keyOf, type OwnerReference, type Pod, same } from '../types/objects.ts';

/** `uid` is gone, or never was: what it alone owned goes too. */
export function collect(cluster: Cluster, uid: string): void {
  for (const child of ownedBy(cluster.store, uid)) {
    const refs = child.metadata.ownerReferences ?? [];
    const others = refs.filter((r) => r.uid !== uid && ownerOf(cluster, child, r));
    if (others.length > 0) {
      mutate(cluster, child.kind, keyOf(child.metadata), (o) => {
        o.metadata.ownerReferences = others;
      });
    } else remove(cluster, kindOf(cluster, child.kind), child.metadata.namespace, child.metadata.name, { propagationPolicy: 'Background' });
  }
}

/** The owner that a reference means: of that name and uid, in the same namespace or in none. */
function ownerOf(cluster: Cluster, child: KubeObject, ref: OwnerReference): KubeObject | undefined {
  const group = ref.apiVersion?.split('/').length === 2 ? ref.apiVersion.split('/')[0]! : '';
  const custom = storedName(ref.kind, group);
  const kind = cluster.customs.stored.has(custom) ? custom : ref.kind;
  const found = get(cluster.store, kind, `${child.metadata.namespace}/${ref.name}`) ?? get(cluster.store, kind, ref.name);
  return found?.metadata.uid === ref.uid ? found : undefined;
}

/** Owners that are gone: the one that a change deleted, and those that a new object names in vain. */
export function lostOwners(cluster: Cluster, change: Change): string[] {
  if (change.kind === 'Event') return [];
  if (change.type === 'DELETED') return change.object.metadata.uid ? [change.object.metadata.uid] : [];
  if (change.type !== 'ADDED') return [];
  return (change.object.metadata.ownerReferences ?? []).filter((r) => !ownerOf(cluster, change.object, r)).map((r) => r.uid);
}

const waiting = (object: KubeObject | undefined): boolean => Boolean(object?.metadata.deletionTimestamp && object.metadata.finalizers?.includes(FOREGROUND));

/** Owners that wait for what they own: when they begin to, and when some of it has gone. */
export function waitingOwners(cluster: Cluster, change: Change): string[] {
  if (change.type !== 'DELETED') return waiting(change.object) && !waiting(change.old) ? [`${change.kind} ${change.key}`] : [];
  return (change.object.metadata.ownerReferences ?? []).flatMap((ref) => {
    const owner = ownerOf(cluster, change.object, ref);
    return waiting(owner) ? [`${owner!.kind} ${keyOf(owner!.metadata)}`] : [];
  });
}

/** What blocks its owner is deleted first, in the same way where it owns something itself; then the owner goes. */
export function syncForeground(cluster: Cluster, entry: string): void {
  const [kind, key] = entry.split(' ') as [string, string];
  const owner = get(cluster.store, kind, key);
  if (!owner || !waiting(owner)) return;
  const children = ownedBy(cluster.store, owner.metadata.uid!);
  for (const child of children) {
    if (child.metadata.deletionTimestamp) continue;
    const policy = ownedBy(cluster.store, child.metadata.uid!).length > 0 ? 'Foreground' : 'Background';
    remove(cluster, kindOf(cluster, child.kind), child.metadata.namespace, child.metadata.name, { propagationPolicy: policy });
  }
  const blocks = ownedBy(cluster.store, owner.metadata.uid!).some((child) => child.metadata.ownerReferences!.some((r) => r.uid === owner.metadata.uid && r.blockOwnerDeletion));
  if (blocks) return;
  mutate(cluster, kind, key, (o) => {
    o.metadata.finalizers = o.metadata.finalizers!.filter((f) => f !== FOREGROUND);
  });
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
  const left = new Map<string, number>();
  const held = new Map<string, number>();
  for (const kind of [...KINDS, ...cluster.customs.stored.values()]) {
    if (!kind.namespaced || !isStored(kind) || (!kind.custom && kindNamed(kind.kind) !== kind)) continue;
    for (const { metadata } of list<KubeObject>(cluster.store, kind.kind, name)) {
      if (!metadata.deletionTimestamp) remove(cluster, kind, name, metadata.name);
      const still = get(cluster.store, kind.kind, `${name}/${metadata.name}`);
      if (!still) continue;
      left.set(`${kind.plural}.${kind.group}`, (left.get(`${kind.plural}.${kind.group}`) ?? 0) + 1);
      for (const f of still.metadata.finalizers ?? []) held.set(f, (held.get(f) ?? 0) + 1);
    }
  }
  if (left.size > 0) return remaining(cluster, namespace, left, held);
  const others = (namespace.spec?.finalizers ?? []).filter((f: string) => f !== 'kubernetes');
  const last = copy(namespace);
  last.spec = others.length > 0 ? { finalizers: others } : {};
  put(cluster.store, last);
  if (others.length === 0 && !namespace.metadata.finalizers?.length) drop(cluster.store, last);
}

/** Why it takes so long, as conditions. Source: pkg/controller/namespace/deletion/status_condition_utils.go. */
function remaining(cluster: Cluster, namespace: KubeObject, left: ReadonlyMap<string, number>, held: ReadonlyMap<string, number>): void {
  const now = stamp(cluster.timeline);
  const texts = (counts: ReadonlyMap<string, number>, word: string): string => [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, n]) => `${what} ${word} ${n} resource instances`).join(', ');
  const rows: [string, boolean, string, string][] = [
    ['NamespaceDeletionDiscoveryFailure', false, 'ResourcesDiscovered', 'All resources successfully discovered'],
    ['NamespaceDeletionGroupVersionParsingFailure', false, 'ParsedGroupVersions', 'All legacy kube types successfully parsed'],
    ['NamespaceDeletionContentFailure', false, 'ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    ['NamespaceContentRemaining', true, 'SomeResourcesRemain', `Some resources are remaining: ${texts(left, 'has')}`],
    held.size > 0 ? ['NamespaceFinalizersRemaining', true, 'SomeFinalizersRemain', `Some content in the namespace has finalizers remaining: ${texts(held, 'in')}`] : ['NamespaceFinalizersRemaining', false, 'ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
  ];
  const old: Condition[] = namespace.status?.conditions ?? [];
  const conditions = rows.map(([type, is, reason, message]) => {
    const status = is ? 'True' : 'False';
    const before = old.find((c) => c.type === type);
    return { lastTransitionTime: before?.status === status ? before.lastTransitionTime : now, message, reason, status, type };
  });
  if (same(conditions, old)) return;
  mutate(cluster, 'Namespace', namespace.metadata.name, (o) => {
    o.status = { ...o.status, conditions };
  }, 'status');
}

/** Victims of preemption. */
export function evictPod(cluster: Cluster, key: string): void {
  const pod = get<Pod>(cluster.store, 'Pod', key);
  if (pod && !pod.metadata.deletionTimestamp) remove(cluster, kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name);
}
