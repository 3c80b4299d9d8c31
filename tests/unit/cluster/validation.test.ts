/** What the API server refuses, kind by kind, in the words of the real one. */
import { describe, expect, it } from 'vitest';
import { create, update } from '../../../src/engine/cluster/api.ts';
import { type Cluster, createCluster } from '../../../src/engine/cluster/cluster.ts';
import { ApiError } from '../../../src/engine/cluster/errors.ts';
import { kindNamed } from '../../../src/engine/cluster/types/kinds.ts';
import type { Json } from '../../../src/engine/cluster/types/objects.ts';
import { createTimeline } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';

function lab(): Cluster {
  const timeline = createTimeline();
  return createCluster({ name: 'cluster', timeline, trace: createTrace(timeline), seed: 1 });
}
function said(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(ApiError);
    return (error as ApiError).message;
  }
  return '';
}
/** What follows "is invalid: ". */
const refused = (kind: string, body: Json): string => said(() => create(lab(), kindNamed(kind), 'default', body, { strict: true })).replace(/^.*? is invalid: /, '');
const c = { name: 'c', image: 'i' };
const pod = (spec: object, meta: object = {}): Json => ({ metadata: { name: 'p', ...meta }, spec: { containers: [c], ...spec } });
const one = (container: object): Json => pod({ containers: [{ ...c, ...container }] });
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [c] } };
const owner = (spec: object): Json => ({ metadata: { name: 'w' }, spec: { selector: { matchLabels: { a: 'b' } }, template, ...spec } });
const job = (spec: object): Json => ({ metadata: { name: 'j' }, spec: { template: { spec: { containers: [c], restartPolicy: 'Never' } }, ...spec } });
const named = (spec: object): Json => ({ metadata: { name: 'x' }, spec });
const LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const NAME = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const CASES: [string, string, Json, string][] = [
  ['a label key with a space', 'Pod', pod({}, { labels: { 'a b': 'c' } }), `metadata.labels: Invalid value: "a b": ${NAME}`],
  ['an empty label name', 'Pod', pod({}, { labels: { 'x.io/': 'c' } }), `[metadata.labels: Invalid value: "x.io/": name part must be non-empty, metadata.labels: Invalid value: "x.io/": ${NAME}]`],
  ['a label value of 64', 'Pod', pod({}, { labels: { a: 'x'.repeat(64) } }), `metadata.labels: Invalid value: "${'x'.repeat(64)}": must be no more than 63 characters`],
  ['a bare finalizer', 'ConfigMap', { metadata: { name: 'x', finalizers: ['mine'] } }, 'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'],
  ['a container name twice', 'Pod', pod({ containers: [c, c] }), 'spec.containers[1].name: Duplicate value: "c"'],
  ['a container name with dots', 'Pod', pod({ containers: [{ ...c, name: 'a.b' }] }), 'spec.containers[0].name: Invalid value: "a.b": must not contain dots'],
  ['a port name too long', 'Pod', one({ ports: [{ name: 'a-very-long-port-name', containerPort: 1 }] }), 'spec.containers[0].ports[0].name: Invalid value: "a-very-long-port-name": must be no more than 15 characters'],
  ['no container port', 'Pod', one({ ports: [{ name: 'x' }] }), 'spec.containers[0].ports[0].containerPort: Required value'],
  ['a host port twice', 'Pod', one({ ports: [{ containerPort: 1, hostPort: 80 }, { containerPort: 2, hostPort: 80 }] }), 'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"'],
  ['value and valueFrom', 'Pod', one({ env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] }), 'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
  ['an unknown field path', 'Pod', one({ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.nothing' } } }] }), 'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nothing": error converting fieldPath: field label not supported: spec.nothing'],
  ['a mount path twice', 'Pod', pod({ volumes: [{ name: 'v' }], containers: [{ ...c, volumeMounts: [{ name: 'v', mountPath: '/a' }, { name: 'v', mountPath: '/a' }] }] }), 'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique'],
  ['an unknown resource', 'Pod', one({ resources: { requests: { lots: '1' } } }), '[spec.containers[0].resources.requests[lots]: Invalid value: "lots": must be a standard resource type or fully qualified, spec.containers[0].resources.requests[lots]: Invalid value: "lots": must be a standard resource for containers]'],
  ['half a device', 'Pod', one({ resources: { limits: { 'x.io/gpu': '500m' } } }), /* requests follow limits */ '[spec.containers[0].resources.limits[x.io/gpu]: Invalid value: "500m": must be an integer, spec.containers[0].resources.requests[x.io/gpu]: Invalid value: "500m": must be an integer]'],
  ['two handlers', 'Pod', one({ livenessProbe: { exec: { command: ['x'] }, tcpSocket: { port: 1 } } }), 'spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type'],
  ['no handler', 'Pod', one({ readinessProbe: { periodSeconds: 1 } }), 'spec.containers[0].readinessProbe: Required value: must specify a handler type'],
  ['a liveness success threshold', 'Pod', one({ livenessProbe: { tcpSocket: { port: 80 }, successThreshold: 2 } }), 'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1'],
  ['a probe of an init container', 'Pod', pod({ initContainers: [{ name: 'i', image: 'i', readinessProbe: { tcpSocket: { port: 1 } } }] }), 'spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always'],
  ['a restart policy', 'Pod', pod({ restartPolicy: 'Sometimes' }), 'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
  ['an operator of affinity', 'Pod', pod({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Is' }] }] } } } }), 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator'],
  ['a weight', 'Pod', pod({ affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 101, podAffinityTerm: { topologyKey: 'a' } }] } } }), 'spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100'],
  ['a toleration of everything with a key', 'Pod', pod({ tolerations: [{ operator: 'Equal', value: 'x' }] }), 'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"'],
  ['seconds without NoExecute', 'Pod', pod({ tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoSchedule', tolerationSeconds: 3 }] }), 'spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be \'NoExecute\' when `tolerationSeconds` is set'],
  ['a skew of zero', 'Pod', pod({ topologySpreadConstraints: [{ maxSkew: 0, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }] }), 'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero'],
  ['a volume twice', 'Pod', pod({ volumes: [{ name: 'v' }, { name: 'v' }] }), 'spec.volumes[1].name: Duplicate value: "v"'],
  ['two sources of a volume', 'Pod', pod({ volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/x' } }] }), 'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
  ['a deadline', 'Pod', pod({ activeDeadlineSeconds: 0 }), 'spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive'],
  ['no surge, none unavailable', 'Deployment', owner({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }), 'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:0, IntVal:0, StrVal:""}: may not be 0 when `maxSurge` is 0'],
  ['more than all unavailable', 'Deployment', owner({ strategy: { rollingUpdate: { maxUnavailable: '150%' } } }), 'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:"150%"}: must not be greater than 100%'],
  ['a deadline before ready', 'Deployment', owner({ minReadySeconds: 30, progressDeadlineSeconds: 30 }), 'spec.progressDeadlineSeconds: Invalid value: 30: must be greater than minReadySeconds'],
  ['a restart policy of a template', 'Deployment', owner({ template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } }), 'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
  ['an empty selector', 'Deployment', owner({ selector: {} }), 'spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: empty selector is invalid for deployment'],
  ['a pod management policy', 'StatefulSet', owner({ podManagementPolicy: 'Random' }), "spec.podManagementPolicy: Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'"],
  ['surge and unavailable of a daemon set', 'DaemonSet', owner({ updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } }), 'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: intstr.IntOrString{Type:0, IntVal:1, StrVal:""}: may not be set when maxUnavailable is non-zero'],
  ['neither', 'DaemonSet', owner({ updateStrategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }), 'spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0'],
  ['per index without index', 'Job', job({ backoffLimitPerIndex: 1 }), 'spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode'],
  ['a failure policy that restarts', 'Job', job({ podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [1] } }] }, template: { spec: { containers: [c], restartPolicy: 'OnFailure' } } }), 'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified'],
  ['exit code 0', 'Job', job({ podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [0, 3] } }] } }), 'spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator'],
  ['a schedule with a zone', 'CronJob', named({ schedule: 'TZ=UTC * * * * *', jobTemplate: { spec: { template: { spec: { containers: [c], restartPolicy: 'Never' } } } } }), 'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'],
  ['a zone', 'CronJob', named({ schedule: '* * * * *', timeZone: 'Mars/Olympus', jobTemplate: { spec: { template: { spec: { containers: [c], restartPolicy: 'Never' } } } } }), 'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'],
  ['a nodePort of a ClusterIP', 'Service', named({ ports: [{ port: 80, nodePort: 30080 }] }), "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
  ['two ports without names', 'Service', named({ ports: [{ port: 80 }, { port: 81 }] }), '[spec.ports[0].name: Required value, spec.ports[1].name: Required value]'],
  ['a type', 'Service', named({ type: 'Public', ports: [{ port: 80 }] }), 'spec.type: Unsupported value: "Public": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'],
  ['an affinity', 'Service', named({ sessionAffinity: 'Sticky', ports: [{ port: 80 }] }), 'spec.sessionAffinity: Unsupported value: "Sticky": supported values: "ClientIP", "None"'],
  ['no external name', 'Service', named({ type: 'ExternalName' }), 'spec.externalName: Required value'],
  ['a key', 'ConfigMap', { metadata: { name: 'x' }, data: { 'a b': 'c' } }, "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"],
  ['a key of dots', 'ConfigMap', { metadata: { name: 'x' }, data: { '..': 'c' } }, 'data[..]: Invalid value: "..": must not be \'..\''],
  ['a tls secret without its key', 'Secret', { metadata: { name: 'x' }, type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }, 'data[tls.key]: Required value'],
  ['a high priority', 'PriorityClass', { metadata: { name: 'x' }, value: 1_000_000_001 }, 'value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
  ['an unknown quota', 'ResourceQuota', named({ hard: { dogs: '1' } }), '[spec.hard[dogs]: Invalid value: "dogs": must be a standard resource type or fully qualified, spec.hard[dogs]: Invalid value: "dogs": must be a standard resource for quotas]'],
  ['half a pod', 'ResourceQuota', named({ hard: { pods: '500m' } }), 'spec.hard[pods]: Invalid value: "500m": must be an integer'],
  ['scopes at war', 'ResourceQuota', named({ hard: { pods: '1' }, scopes: ['BestEffort', 'NotBestEffort'] }), 'spec.scopes: Invalid value: []core.ResourceQuotaScope{"BestEffort", "NotBestEffort"}: conflicting scopes'],
  ['a minimum above the maximum', 'LimitRange', named({ limits: [{ type: 'Container', min: { cpu: '2' }, max: { cpu: '1' }, defaultRequest: { cpu: '2' }, default: { cpu: '2' } }] }), '[spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1, spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than max value 1, spec.limits[0].default[cpu]: Invalid value: "2": default value 2 is greater than max value 1]'],
  ['a default of pods', 'LimitRange', named({ limits: [{ type: 'Pod', default: { cpu: '1' } }] }), "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
  ['fewer at most than at least', 'HorizontalPodAutoscaler', named({ minReplicas: 5, maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'w' } }), 'spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`'],
  ['no target', 'HorizontalPodAutoscaler', named({ maxReplicas: 2 }), '[spec.scaleTargetRef.kind: Required value, spec.scaleTargetRef.name: Required value]'],
  ['a metric without target', 'HorizontalPodAutoscaler', named({ maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'w' }, metrics: [{ type: 'Resource' }] }), 'spec.metrics[0].resource: Required value: must populate information for the given metric source'],
  ['a percentage', 'PodDisruptionBudget', named({ minAvailable: '101%' }), 'spec.minAvailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:"101%"}: must not be greater than 100%'],
  ['no path type', 'Ingress', named({ rules: [{ http: { paths: [{ path: '/', backend: { service: { name: 's', port: { number: 80 } } } }] } }] }), 'spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified'],
  ['a relative path', 'Ingress', named({ rules: [{ http: { paths: [{ path: 'x', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } }] } }] }), 'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path'],
  ['no rules', 'Ingress', named({}), 'spec: Invalid value: []networking.IngressRule(nil): either `defaultBackend` or `rules` must be specified'],
  ['a peer that is none', 'NetworkPolicy', named({ podSelector: {}, ingress: [{ from: [{}] }] }), 'spec.ingress[0].from[0]: Required value: must specify a peer'],
  ['an exception outside', 'NetworkPolicy', named({ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/24'] } }] }] }), 'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/24": must be a strict subset of `cidr`'],
  ['no verbs', 'Role', { metadata: { name: 'r' }, rules: [{ apiGroups: [''], resources: ['pods'] }] }, 'rules[0].verbs: Required value: verbs must contain at least one value'],
  ['a subject without namespace', 'RoleBinding', { metadata: { name: 'r' }, roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'ServiceAccount', name: 's' }] }, 'subjects[0].namespace: Required value'],
  ['a namespace with capitals', 'Namespace', { metadata: { name: 'Dev' } }, `metadata.name: Invalid value: "Dev": ${LABEL}`],
];

describe('what the API refuses', () => {
  it.each(CASES)('%s', (_name, kind, body, message) => expect(refused(kind, body)).toBe(message));

  it.each([
    ['quantities must match the regular expression \'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$\'', 'lots'], ["unable to parse quantity's suffix", '10ii'], ['unable to parse numeric part of quantity', 'm'],
  ])('%s', (message, text) => {
    expect(said(() => create(lab(), kindNamed('Pod'), 'default', one({ resources: { limits: { cpu: text } } })))).toBe(`Pod in version "v1" cannot be handled as a Pod: ${message}`);
    expect(said(() => create(lab(), kindNamed('ResourceQuota'), 'default', named({ hard: { cpu: text } })))).toBe(`ResourceQuota in version "v1" cannot be handled as a ResourceQuota: ${message}`);
  });
});

describe('what may not change', () => {
  const changed = (kind: string, before: Json, after: (object: Json) => void): string => {
    const cluster = lab();
    const made = create(cluster, kindNamed(kind), 'default', before);
    const next = structuredClone(made);
    after(next);
    return said(() => update(cluster, kindNamed(kind), 'default', made.metadata.name, next)).replace(/^.*? is invalid: /, '');
  };
  const cases: [string, string, Json, (o: Json) => void, string][] = [
    ['a selector', 'Deployment', owner({}), (o) => void (o.spec.selector.matchLabels = { a: 'c' }, o.spec.template.metadata.labels = { a: 'c' }), 'spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"a":"c"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable'],
    ['the containers of a pod', 'Pod', pod({}), (o) => void o.spec.containers.push({ name: 'd', image: 'i' }), 'spec.containers: Forbidden: pod updates may not add or remove containers'],
    ['a toleration', 'Pod', pod({ tolerations: [{ key: 'a', operator: 'Exists' }] }), (o) => void o.spec.tolerations.shift(), 'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds'],
    ['an immutable map', 'ConfigMap', { metadata: { name: 'x' }, immutable: true, data: { a: '1' } }, (o) => void (o.data.a = '2'), 'data: Forbidden: field is immutable when `immutable` is set'],
    ['a type of secret', 'Secret', { metadata: { name: 'x' } }, (o) => void (o.type = 'other'), 'type: Invalid value: "other": field is immutable'],
    ['a role reference', 'RoleBinding', { metadata: { name: 'x' }, roleRef: { kind: 'Role', name: 'a' } }, (o) => void (o.roleRef.name = 'b'), 'roleRef: Invalid value: rbac.RoleRef{APIGroup:"rbac.authorization.k8s.io", Kind:"Role", Name:"b"}: cannot change roleRef'],
    ['a priority', 'PriorityClass', { metadata: { name: 'x' }, value: 1 }, (o) => void (o.value = 2), 'value: Forbidden: may not be changed in an update.'],
  ];
  it.each(cases)('%s', (_name, kind, before, after, message) => expect(changed(kind, before, after)).toBe(message));
});
