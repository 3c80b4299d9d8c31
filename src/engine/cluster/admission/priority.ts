/** Priority: a pod's class as a number; without one the global default, or 0. Source: plugin/pkg/admission/priority 1.32. */
import { forbidden, givenName } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { get } from '../store.ts';
import type { Kind } from '../types/kinds.ts';
import type { KubeObject } from '../types/objects.ts';

export function admitPriority(cluster: Cluster, kind: Kind, object: KubeObject): void {
  const { spec } = object;
  const found = spec.priorityClassName ? get(cluster.store, 'PriorityClass', spec.priorityClassName) : defaultClass(cluster);
  if (spec.priorityClassName && !found) throw forbidden(kind, givenName(object), `no PriorityClass with name ${spec.priorityClassName} was found`);
  if (!spec.priorityClassName && found) spec.priorityClassName = found.metadata.name;
  const value = found?.value ?? 0;
  const policy = found?.preemptionPolicy ?? 'PreemptLowerPriority';
  if (spec.priority !== undefined && spec.priority !== value && spec.priorityClassName) {
    throw forbidden(kind, givenName(object), `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`);
  }
  spec.priority ??= value;
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy && spec.priorityClassName) {
    throw forbidden(kind, givenName(object), `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`);
  }
  spec.preemptionPolicy ??= policy;
}

/** The one that says globalDefault; of several the lowest. There are few classes. */
function defaultClass(cluster: Cluster): KubeObject | undefined {
  let found: KubeObject | undefined;
  for (const one of cluster.store.tables.get('PriorityClass')?.values() ?? []) if (one.globalDefault && (found === undefined || one.value < found.value)) found = one;
  return found;
}
