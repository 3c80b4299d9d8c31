/**
 * Defaults of the kinds that govern others: autoscalers, network policies, ingress classes, limits, roles, priorities.
 * Source: pkg/apis/{autoscaling/v2,networking/v1,core/v1,rbac/v1,scheduling/v1}/defaults.go 1.32.
 */
import { definitionDefaults } from './custom/definition.ts';
import { canonical } from './types/quantity.ts';
import type { Json, KubeObject } from './types/objects.ts';

const RBAC_GROUP = 'rbac.authorization.k8s.io';

export function policyDefaults(object: KubeObject): void {
  WAYS[object.kind]?.(object);
}

const WAYS: Readonly<Record<string, (object: KubeObject) => void>> = {
  HorizontalPodAutoscaler({ spec }) {
    spec.minReplicas ??= 1;
    if (!spec.metrics?.length) spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }];
    if (spec.behavior?.scaleUp) spec.behavior.scaleUp = { stabilizationWindowSeconds: 0, selectPolicy: 'Max', policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }, { type: 'Percent', value: 100, periodSeconds: 15 }], ...spec.behavior.scaleUp };
    if (spec.behavior?.scaleDown) spec.behavior.scaleDown = { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }], ...spec.behavior.scaleDown };
  },
  CustomResourceDefinition: definitionDefaults,
  NetworkPolicy({ spec }) {
    spec.podSelector ??= {};
    spec.policyTypes ??= spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of rule?.ports ?? []) port.protocol ??= 'TCP';
  },
  IngressClass({ spec }) {
    if (spec?.parameters) spec.parameters.scope ??= 'Cluster';
  },
  LimitRange({ spec }) {
    for (const item of spec.limits ?? []) limits(item);
  },
  ResourceQuota({ spec }) {
    exact(spec.hard);
  },
  PriorityClass(object) {
    object.preemptionPolicy ??= 'PreemptLowerPriority';
    object.value ??= 0;
  },
  RoleBinding: binding,
  ClusterRoleBinding: binding,
};

function exact(list: Json): void {
  for (const key of Object.keys(list ?? {})) list[key] = canonical(list[key]);
}

/** Of a container: the default limit is the maximum, the default request the default limit, or else the minimum. */
function limits(item: Json): void {
  for (const name of ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio']) exact(item[name]);
  if (item.type !== 'Container') return;
  for (const [to, from] of [['default', 'max'], ['defaultRequest', 'default'], ['defaultRequest', 'min']] as const) {
    for (const [key, value] of Object.entries(item[from] ?? {})) {
      item[to] ??= {};
      item[to][key] ??= value;
    }
  }
}

function binding(object: KubeObject): void {
  if (object.roleRef) object.roleRef.apiGroup ??= RBAC_GROUP;
  for (const subject of object.subjects ?? []) if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ??= RBAC_GROUP;
}
