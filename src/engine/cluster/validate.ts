/**
 * What the API server refuses, in its words (1.32): one row a kind, the checks themselves in `validate/`. `old` is what an
 * object replaces: then fields that may not change are held against it.
 */
import { definitionFaults } from './custom/definition.ts';
import { customFaults } from './custom/objects.ts';
import type { Fault } from './errors.ts';
import { storageFaults } from './storage/validate.ts';
import type { Kind } from './types/kinds.ts';
import type { KubeObject } from './types/objects.ts';
import { podTemplate, replicationController, workload } from './validate/apps.ts';
import { cronJob, job } from './validate/batch.ts';
import { configMap, node, priorityClass, runtimeClass, secret } from './validate/config.ts';
import type { Faults } from './validate/faults.ts';
import { metadata } from './validate/names.ts';
import { ingress, ingressClass, networkPolicy } from './validate/networking.ts';
import { podSpec, podUpdate } from './validate/podspec.ts';
import { autoscaler, budget, role, roleBinding } from './validate/policy.ts';
import { limitRange, quotaFaults } from './validate/quota.ts';
import { service } from './validate/service.ts';

type Check = (object: KubeObject, old: KubeObject | undefined, out: Faults) => void;

const CHECKS: Readonly<Record<string, Check>> = {
  Pod(object, old, out) {
    podSpec(object.spec, 'spec', out);
    if (old) podUpdate(object, old, out);
  },
  Deployment: workload, ReplicaSet: workload, DaemonSet: workload, StatefulSet: workload,
  ReplicationController: (object, _old, out) => replicationController(object, out),
  PodTemplate: (object, _old, out) => podTemplate(object.template, 'template', out),
  Job: (object, old, out) => job(object.spec, 'spec', old, out),
  CronJob: (object, _old, out) => cronJob(object, out),
  Service: service, ConfigMap: configMap, Secret: secret, Node: node, PriorityClass: priorityClass, RuntimeClass: runtimeClass,
  ResourceQuota: quotaFaults, LimitRange: (object, _old, out) => limitRange(object, out),
  HorizontalPodAutoscaler: (object, _old, out) => autoscaler(object, out), PodDisruptionBudget: (object, _old, out) => budget(object, out),
  NetworkPolicy: (object, _old, out) => networkPolicy(object, out), Ingress: ingress, IngressClass: ingressClass,
  CustomResourceDefinition: definitionFaults,
  Role: (object, _old, out) => role(object, out), ClusterRole: (object, _old, out) => role(object, out), RoleBinding: roleBinding, ClusterRoleBinding: roleBinding,
};

/** All faults of an object. */
export function validate(kind: Kind, object: KubeObject, old?: KubeObject): Fault[] {
  if (kind.custom) return customFaults(kind, object);
  const out: Faults = [];
  metadata(object, kind.namespaced, out);
  if (!storageFaults(object, out, old)) CHECKS[object.kind]?.(object, old, out);
  return out;
}
