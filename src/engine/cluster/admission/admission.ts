/**
 * Admission: what plugins add to an object that is to be made, and what they refuse; in the order in which the real server asks
 * them. Those that only look (quotas) come last, after validation. Source: pkg/kubeapiserver/options/plugins.go 1.32.
 */
import { forbidden } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { get } from '../store.ts';
import type { Kind } from '../types/kinds.ts';
import type { KubeObject, PodSpec } from '../types/objects.ts';
import { accountOf } from './account.ts';
import { admitLimits } from './limits.ts';
import { admitPriority } from './priority.ts';
import { enforceSecurity } from './security.ts';

/** Before validation. */
export function admitNew(cluster: Cluster, kind: Kind, object: KubeObject): void {
  if (kind.kind === 'Pod') {
    if (!object.spec) return;
    admitLimits(cluster, kind, object);
    accountOf(cluster, kind, object);
    runtimeClass(cluster, kind, object);
    admitPriority(cluster, kind, object);
    tolerations(object.spec);
    enforceSecurity(cluster, kind, object);
  } else if (kind.kind === 'PersistentVolumeClaim') admitLimits(cluster, kind, object);
  else if (kind.kind === 'Ingress') ingressClass(cluster, object);
}

/** DefaultTolerationSeconds. */
function tolerations(spec: PodSpec): void {
  spec.tolerations ??= [];
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    if (spec.tolerations.some((t) => (t.key === key || !t.key) && (t.effect === 'NoExecute' || !t.effect))) continue;
    spec.tolerations.push({ effect: 'NoExecute', key, operator: 'Exists', tolerationSeconds: 300 });
  }
}

/** RuntimeClass: what its pods cost beside their containers, and where they may run. */
function runtimeClass(cluster: Cluster, kind: Kind, object: KubeObject): void {
  const spec = object.spec as PodSpec;
  if (!spec.runtimeClassName) return;
  const found = get(cluster.store, 'RuntimeClass', spec.runtimeClassName);
  if (!found) throw forbidden(kind, object.metadata.name, `pod rejected: RuntimeClass ${JSON.stringify(spec.runtimeClassName)} not found`);
  if (found.overhead?.podFixed) spec.overhead ??= { ...found.overhead.podFixed };
  if (!found.scheduling) return;
  spec.nodeSelector = { ...spec.nodeSelector, ...found.scheduling.nodeSelector };
  spec.tolerations = [...(spec.tolerations ?? []), ...(found.scheduling.tolerations ?? [])];
}

/** DefaultIngressClass. */
function ingressClass(cluster: Cluster, object: KubeObject): void {
  if (object.spec.ingressClassName !== undefined || object.metadata.annotations?.['kubernetes.io/ingress.class'] !== undefined) return;
  const classes = [...(cluster.store.tables.get('IngressClass')?.values() ?? [])].filter((c) => c.metadata.annotations?.['ingressclass.kubernetes.io/is-default-class'] === 'true');
  const byAge = classes.sort((a, b) => (a.metadata.creationTimestamp! < b.metadata.creationTimestamp! ? 1 : a.metadata.creationTimestamp! > b.metadata.creationTimestamp! ? -1 : a.metadata.name < b.metadata.name ? -1 : 1));
  if (byAge[0]) object.spec.ingressClassName = byAge[0].metadata.name;
}
