/** Fields that the API server fills in when a manifest leaves them out. Source: pkg/apis v1 defaults.go, 1.32. */
import type { Container, Json, KubeObject, PodSpec } from './types/objects.ts';
import { policyDefaults } from './defaults-policy.ts';
import { claimSpec, storageDefaults } from './storage/defaults.ts';
import { canonical } from './types/quantity.ts';

export function setDefaults(object: KubeObject): void {
  if (storageDefaults(object)) return;
  switch (object.kind) {
    case 'Pod':
      podSpec(object.spec);
      object.spec.enableServiceLinks ??= true;
      object.status ??= {};
      object.status.phase ??= 'Pending';
      object.status.qosClass ??= qosOf(object.spec);
      return;
    case 'Deployment':
      deployment(object);
      return;
    case 'ReplicaSet':
      object.spec.replicas ??= 1;
      if (!object.spec.selector && object.spec.template?.metadata?.labels) object.spec.selector = { matchLabels: { ...object.spec.template.metadata.labels } };
      template(object.spec.template);
      object.status ??= { replicas: 0 };
      return;
    case 'StatefulSet':
      statefulSet(object.spec);
      return;
    case 'DaemonSet':
      object.spec.revisionHistoryLimit ??= 10;
      object.spec.updateStrategy ??= {};
      object.spec.updateStrategy.type ??= 'RollingUpdate';
      if (object.spec.updateStrategy.type === 'RollingUpdate') object.spec.updateStrategy.rollingUpdate = { maxSurge: 0, maxUnavailable: 1, ...object.spec.updateStrategy.rollingUpdate };
      template(object.spec.template);
      return;
    case 'Job':
      job(object.spec);
      return;
    case 'CronJob':
      object.spec.concurrencyPolicy ??= 'Allow';
      object.spec.failedJobsHistoryLimit ??= 1;
      object.spec.successfulJobsHistoryLimit ??= 3;
      object.spec.suspend ??= false;
      template(object.spec.jobTemplate?.spec?.template);
      return;
    case 'Service':
      service(object.spec);
      object.status ??= { loadBalancer: {} };
      return;
    case 'Namespace':
      object.spec ??= {};
      object.spec.finalizers ??= ['kubernetes'];
      object.status ??= { phase: 'Active' };
      object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name ?? '' };
      return;
    case 'Secret':
      object.type ??= 'Opaque';
      return;
    case 'Node':
      object.spec ??= {};
      object.status ??= {};
      return;
    case 'PodTemplate':
      template(object.template);
      return;
    case 'ReplicationController':
      object.spec.replicas ??= 1;
      object.spec.selector ??= object.spec.template?.metadata?.labels;
      template(object.spec.template);
      object.status ??= { replicas: 0 };
      return;
    default:
      policyDefaults(object);
  }
}

function template(t: Json): void {
  if (!t) return;
  t.metadata ??= {};
  if (t.metadata.creationTimestamp === undefined) t.metadata = { creationTimestamp: null, ...t.metadata };
  if (t.spec) podSpec(t.spec);
}

function deployment(object: KubeObject): void {
  const spec = object.spec;
  spec.progressDeadlineSeconds ??= 600;
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.strategy ??= {};
  spec.strategy.type ??= 'RollingUpdate';
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {};
    spec.strategy.rollingUpdate.maxSurge ??= '25%';
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
  }
  template(spec.template);
  object.status ??= {};
}

function statefulSet(spec: Json): void {
  spec.persistentVolumeClaimRetentionPolicy ??= { whenDeleted: 'Retain', whenScaled: 'Retain' };
  spec.podManagementPolicy ??= 'OrderedReady';
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.updateStrategy ??= {};
  spec.updateStrategy.type ??= 'RollingUpdate';
  if (spec.updateStrategy.type === 'RollingUpdate') spec.updateStrategy.rollingUpdate = { partition: 0, ...spec.updateStrategy.rollingUpdate };
  template(spec.template);
  for (const one of spec.volumeClaimTemplates ?? []) {
    one.apiVersion ??= 'v1';
    one.kind ??= 'PersistentVolumeClaim';
    claimSpec(one.spec);
    one.status ??= { phase: 'Pending' };
  }
}

function job(spec: Json): void {
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2_147_483_647;
  spec.completionMode ??= 'NonIndexed';
  for (const rule of spec.podFailurePolicy?.rules ?? []) for (const c of rule?.onPodConditions ?? []) c.status ??= 'True';
  spec.manualSelector ??= false;
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed';
  spec.suspend ??= false;
  template(spec.template);
}

function podSpec(spec: PodSpec): void {
  for (const c of spec.initContainers ?? []) container(c);
  for (const c of spec.containers ?? []) container(c);
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.restartPolicy ??= 'Always';
  spec.schedulerName ??= 'default-scheduler';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  if (spec.serviceAccountName) spec.serviceAccount ??= spec.serviceAccountName;
  for (const volume of spec.volumes ?? []) {
    if (volume?.configMap) volume.configMap.defaultMode ??= 420;
    if (volume?.hostPath) volume.hostPath.type ??= '';
    if (volume?.secret) volume.secret.defaultMode ??= 420;
    if (volume && Object.keys(volume).length === 1) volume.emptyDir = {};
  }
  if (spec.hostNetwork) {
    for (const c of spec.containers ?? []) for (const p of c.ports ?? []) p.hostPort ??= p.containerPort;
  }
}

function container(c: Container): void {
  const untagged = /(^|\/)[^:@/]+$/.test(c.image ?? '') || (c.image ?? '').endsWith(':latest');
  c.imagePullPolicy ??= untagged ? 'Always' : 'IfNotPresent';
  c.resources ??= {};
  for (const list of ['limits', 'requests'] as const) {
    const given = c.resources[list];
    if (given) for (const key of Object.keys(given)) given[key] = canonical(given[key]!);
  }
  if (c.resources.limits) {
    for (const [key, value] of Object.entries(c.resources.limits)) {
      c.resources.requests ??= {};
      c.resources.requests[key] ??= value;
    }
  }
  c.terminationMessagePath ??= '/dev/termination-log';
  c.terminationMessagePolicy ??= 'File';
  for (const p of c.ports ?? []) p.protocol ??= 'TCP';
  for (const key of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    const probe = c[key];
    if (!probe) continue;
    probe.failureThreshold ??= 3;
    probe.periodSeconds ??= 10;
    probe.successThreshold ??= 1;
    probe.timeoutSeconds ??= 1;
    if (probe.httpGet) {
      probe.httpGet.path ??= '/';
      probe.httpGet.scheme ??= 'HTTP';
    }
  }
  for (const e of c.env ?? []) if (e.valueFrom?.fieldRef) e.valueFrom.fieldRef.apiVersion ??= 'v1';
}

function service(spec: Json): void {
  spec.type ??= 'ClusterIP';
  spec.sessionAffinity ??= 'None';
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') spec.externalTrafficPolicy ??= 'Cluster';
  for (const port of spec.ports ?? []) {
    port.protocol ??= 'TCP';
    port.targetPort ??= port.port;
  }
}

/** Guaranteed: every container's limits equal its requests, CPU and memory both; BestEffort: none set anywhere. */
export function qosOf(spec: PodSpec): string {
  let any = false;
  let guaranteed = true;
  for (const c of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    for (const resource of ['cpu', 'memory']) {
      const request = c.resources?.requests?.[resource];
      const limit = c.resources?.limits?.[resource];
      if (request !== undefined || limit !== undefined) any = true;
      if (limit === undefined || (request !== undefined && canonical(request) !== canonical(limit))) guaranteed = false;
    }
  }
  return !any ? 'BestEffort' : guaranteed ? 'Guaranteed' : 'Burstable';
}
