/** The columns of `kubectl get`, kind by kind: pure functions of an object and the time. Source: pkg/printers/internalversion 1.32. */
import { type Condition, type Json, type KubeEvent, type KubeObject, type Node, type Pod, saidAt } from '../../../cluster/types/objects.ts';
import { summarize } from '../../../cluster/types/podstatus.ts';
import { printSelector } from '../../../cluster/types/selectors.ts';
import { humanDuration, parseTime } from '../../../cluster/types/time.ts';
import { accessModes, ageOf, type Columns } from './columns.ts';
import { POLICY_TABLES } from './tables-policy.ts';
import { STORAGE_COLUMNS } from './tables-storage.ts';

const NONE = '<none>';
const or = (text: string | undefined): string => (text === undefined || text === '' ? NONE : text);
const images = (spec: Json): string[] => [
  (spec?.containers ?? []).map((c: Json) => c.name).join(','), (spec?.containers ?? []).map((c: Json) => c.image).join(','),
];

function pod(object: KubeObject, now: number): string[] {
  const p = object as Pod;
  const { status, ready, total, restarts, lastRestart } = summarize(p);
  const gates = p.spec.readinessGates ?? [];
  return [
    p.metadata.name, `${ready}/${total}`, status, restarts > 0 && lastRestart !== null ? `${restarts} (${humanDuration(now - lastRestart)} ago)` : String(restarts),
    ageOf(p.metadata.creationTimestamp, now), or(p.status.podIP), or(p.spec.nodeName), or(p.status.nominatedNodeName), gates.length === 0 ? NONE : `0/${gates.length}`,
  ];
}

export function rolesOf(node: KubeObject): string {
  const labels = node.metadata.labels ?? {};
  const roles = Object.keys(labels).flatMap((k) => {
    if (k.startsWith('node-role.kubernetes.io/')) return [k.slice(24)].filter((r) => r !== '');
    return k === 'kubernetes.io/role' && labels[k] ? [labels[k]!] : [];
  });
  return roles.length === 0 ? NONE : [...new Set(roles)].sort().join(',');
}

function node(object: KubeObject, now: number): string[] {
  const n = object as Node;
  const ready = (n.status?.conditions ?? []).find((c: Condition) => c.type === 'Ready');
  const states = [ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'];
  if (n.spec?.unschedulable) states.push('SchedulingDisabled');
  const address = (type: string): string => n.status?.addresses?.find((a) => a.type === type)?.address ?? NONE;
  const info = n.status?.nodeInfo ?? {};
  const known = (x: string | undefined): string => (x ? x : '<unknown>');
  return [
    n.metadata.name, states.join(','), rolesOf(n), ageOf(n.metadata.creationTimestamp, now), info.kubeletVersion ?? '', address('InternalIP'), address('ExternalIP'),
    known(info.osImage), known(info.kernelVersion), known(info.containerRuntimeVersion),
  ];
}

export function portsOf(service: KubeObject): string {
  const ports: Json[] = service.spec.ports ?? [];
  return ports.length === 0 ? NONE : ports.map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol ?? 'TCP'}`).join(',');
}

function service(s: KubeObject, now: number): string[] {
  const type = s.spec.type ?? 'ClusterIP';
  const external = type === 'ExternalName' ? s.spec.externalName : type === 'LoadBalancer' ? (s.status?.loadBalancer?.ingress?.[0]?.ip ?? '<pending>') : (s.spec.externalIPs ?? []).join(',') || NONE;
  const selector = s.spec.selector ?? {};
  return [
    s.metadata.name, type, type === 'ExternalName' ? NONE : s.spec.clusterIP || NONE, external, portsOf(s), ageOf(s.metadata.creationTimestamp, now),
    Object.keys(selector).length === 0 ? NONE : Object.keys(selector).sort().map((k) => `${k}=${selector[k]}`).join(','),
  ];
}

export function endpointsText(endpoints: KubeObject | undefined, most = 3): string {
  const all: string[] = [];
  for (const subset of endpoints?.subsets ?? []) {
    for (const port of subset.ports ?? []) for (const a of subset.addresses ?? []) all.push(`${a.ip}:${port.port}`);
  }
  if (all.length === 0) return NONE;
  return all.length > most ? `${all.slice(0, most).join(',')} + ${all.length - most} more...` : all.join(',');
}

const mapText = (map: Record<string, string> | undefined): string => Object.keys(map ?? {}).sort().map((k) => `${k}=${map![k]}`).join(',') || NONE;

const jobCondition = (job: KubeObject, type: string): boolean => ((job.status?.conditions ?? []) as Condition[]).some((c) => c.type === type && c.status === 'True');

function jobStatus(job: KubeObject): string {
  if (jobCondition(job, 'Complete')) return 'Complete';
  if (jobCondition(job, 'Failed')) return 'Failed';
  if (job.metadata.deletionTimestamp) return 'Terminating';
  if (jobCondition(job, 'Suspended')) return 'Suspended';
  if (jobCondition(job, 'FailureTarget')) return 'FailureTarget';
  return jobCondition(job, 'SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running';
}

function completions(job: KubeObject): string {
  const done = job.status?.succeeded ?? 0;
  if (job.spec.completions !== undefined) return `${done}/${job.spec.completions}`;
  return (job.spec.parallelism ?? 0) > 1 ? `${done}/1 of ${job.spec.parallelism}` : `${done}/1`;
}

function jobDuration(job: KubeObject, now: number): string {
  const start = parseTime(job.status?.startTime);
  if (start === null) return '';
  const failed = ((job.status?.conditions ?? []) as Condition[]).find((c) => c.type === 'Failed' && c.status === 'True');
  return humanDuration((parseTime(job.status?.completionTime ?? failed?.lastTransitionTime) ?? now) - start);
}

const TABLE: Record<string, Columns> = {
  Pod: { headers: ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE', 'IP', 'NODE', 'NOMINATED NODE', 'READINESS GATES'], narrow: 5, row: pod },
  Node: { headers: ['NAME', 'STATUS', 'ROLES', 'AGE', 'VERSION', 'INTERNAL-IP', 'EXTERNAL-IP', 'OS-IMAGE', 'KERNEL-VERSION', 'CONTAINER-RUNTIME'], narrow: 5, row: node },
  Service: { headers: ['NAME', 'TYPE', 'CLUSTER-IP', 'EXTERNAL-IP', 'PORT(S)', 'AGE', 'SELECTOR'], narrow: 6, row: service },
  Deployment: {
    headers: ['NAME', 'READY', 'UP-TO-DATE', 'AVAILABLE', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'], narrow: 5,
    row: (d, now) => [
      d.metadata.name, `${d.status?.readyReplicas ?? 0}/${d.spec.replicas}`, String(d.status?.updatedReplicas ?? 0), String(d.status?.availableReplicas ?? 0),
      ageOf(d.metadata.creationTimestamp, now), ...images(d.spec.template.spec), printSelector(d.spec.selector),
    ],
  },
  ReplicaSet: {
    headers: ['NAME', 'DESIRED', 'CURRENT', 'READY', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'], narrow: 5,
    row: (r, now) => [
      r.metadata.name, String(r.spec.replicas), String(r.status?.replicas ?? 0), String(r.status?.readyReplicas ?? 0), ageOf(r.metadata.creationTimestamp, now),
      ...images(r.spec.template?.spec), printSelector(r.spec.selector),
    ],
  },
  StatefulSet: {
    headers: ['NAME', 'READY', 'AGE', 'CONTAINERS', 'IMAGES'], narrow: 3,
    row: (s, now) => [s.metadata.name, `${s.status?.readyReplicas ?? 0}/${s.spec.replicas}`, ageOf(s.metadata.creationTimestamp, now), ...images(s.spec.template.spec)],
  },
  DaemonSet: {
    headers: ['NAME', 'DESIRED', 'CURRENT', 'READY', 'UP-TO-DATE', 'AVAILABLE', 'NODE SELECTOR', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'], narrow: 8,
    row: (d, now) => {
      const s = d.status ?? {};
      const numbers = [s.desiredNumberScheduled, s.currentNumberScheduled, s.numberReady, s.updatedNumberScheduled, s.numberAvailable].map((n) => String(n ?? 0));
      return [d.metadata.name, ...numbers, mapText(d.spec.template.spec.nodeSelector), ageOf(d.metadata.creationTimestamp, now), ...images(d.spec.template.spec), printSelector(d.spec.selector)];
    },
  },
  Job: {
    headers: ['NAME', 'STATUS', 'COMPLETIONS', 'DURATION', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'], narrow: 5,
    row: (j, now) => [j.metadata.name, jobStatus(j), completions(j), jobDuration(j, now), ageOf(j.metadata.creationTimestamp, now), ...images(j.spec.template.spec), printSelector(j.spec.selector)],
  },
  CronJob: {
    headers: ['NAME', 'SCHEDULE', 'TIMEZONE', 'SUSPEND', 'ACTIVE', 'LAST SCHEDULE', 'AGE', 'CONTAINERS', 'IMAGES', 'SELECTOR'], narrow: 7,
    row: (c, now) => [
      c.metadata.name, c.spec.schedule, c.spec.timeZone ?? NONE, c.spec.suspend ? 'True' : 'False', String((c.status?.active ?? []).length), c.status?.lastScheduleTime ? ageOf(c.status.lastScheduleTime, now) : NONE,
      ageOf(c.metadata.creationTimestamp, now), ...images(c.spec.jobTemplate.spec.template.spec), printSelector(c.spec.jobTemplate.spec.selector),
    ],
  },
  ControllerRevision: {
    headers: ['NAME', 'CONTROLLER', 'REVISION', 'AGE'], narrow: 4,
    row: (r, now) => {
      const owner = r.metadata.ownerReferences?.find((o) => o.controller);
      return [r.metadata.name, owner ? `${owner.kind.toLowerCase()}.apps/${owner.name}` : NONE, String(r.revision), ageOf(r.metadata.creationTimestamp, now)];
    },
  },
  PersistentVolumeClaim: {
    headers: ['NAME', 'STATUS', 'VOLUME', 'CAPACITY', 'ACCESS MODES', 'STORAGECLASS', 'VOLUMEATTRIBUTESCLASS', 'AGE', 'VOLUMEMODE'], narrow: 8,
    row: (c, now) => [
      c.metadata.name, c.metadata.deletionTimestamp ? 'Terminating' : (c.status?.phase ?? ''), c.spec.volumeName ?? '', c.status?.capacity?.storage ?? '', accessModes(c.status?.accessModes), c.spec.storageClassName ?? '', c.spec.volumeAttributesClassName ?? '<unset>',
      ageOf(c.metadata.creationTimestamp, now), c.spec.volumeMode ?? '<unset>',
    ],
  },
  Namespace: { headers: ['NAME', 'STATUS', 'AGE'], narrow: 3, row: (n, now) => [n.metadata.name, n.status?.phase ?? '', ageOf(n.metadata.creationTimestamp, now)] },
  ConfigMap: {
    headers: ['NAME', 'DATA', 'AGE'], narrow: 3,
    row: (c, now) => [c.metadata.name, String(Object.keys(c.data ?? {}).length + Object.keys(c.binaryData ?? {}).length), ageOf(c.metadata.creationTimestamp, now)],
  },
  Secret: { headers: ['NAME', 'TYPE', 'DATA', 'AGE'], narrow: 4, row: (s, now) => [s.metadata.name, s.type ?? 'Opaque', String(Object.keys(s.data ?? {}).length), ageOf(s.metadata.creationTimestamp, now)] },
  ServiceAccount: { headers: ['NAME', 'SECRETS', 'AGE'], narrow: 3, row: (s, now) => [s.metadata.name, String((s.secrets ?? []).length), ageOf(s.metadata.creationTimestamp, now)] },
  Endpoints: { headers: ['NAME', 'ENDPOINTS', 'AGE'], narrow: 3, row: (e, now) => [e.metadata.name, endpointsText(e), ageOf(e.metadata.creationTimestamp, now)] },
  EndpointSlice: {
    headers: ['NAME', 'ADDRESSTYPE', 'PORTS', 'ENDPOINTS', 'AGE'], narrow: 5,
    row: (e, now) => {
      const ips: string[] = (e.endpoints ?? []).flatMap((x: Json) => x.addresses ?? []);
      const ports = (e.ports ?? []).map((p: Json) => p.port);
      return [e.metadata.name, e.addressType, ports.length ? ports.join(',') : '<unset>', ips.length === 0 ? '<unset>' : ips.slice(0, 3).join(',') + (ips.length > 3 ? ` + ${ips.length - 3} more...` : ''), ageOf(e.metadata.creationTimestamp, now)];
    },
  },
  Lease: { headers: ['NAME', 'HOLDER', 'AGE'], narrow: 3, row: (l, now) => [l.metadata.name, l.spec?.holderIdentity ?? '', ageOf(l.metadata.creationTimestamp, now)] },
  PriorityClass: {
    headers: ['NAME', 'VALUE', 'GLOBAL-DEFAULT', 'AGE', 'PREEMPTIONPOLICY'], narrow: 5,
    row: (p, now) => [p.metadata.name, String(p.value), String(p.globalDefault ?? false), ageOf(p.metadata.creationTimestamp, now), p.preemptionPolicy ?? 'PreemptLowerPriority'],
  },
  Event: {
    headers: ['LAST SEEN', 'TYPE', 'REASON', 'OBJECT', 'MESSAGE', 'SUBOBJECT', 'SOURCE', 'FIRST SEEN', 'COUNT', 'NAME'], narrow: 5,
    row: (said, now) => {
      const e = said.regarding ? { ...said, involvedObject: said.regarding, message: said.note, source: said.deprecatedSource, count: said.deprecatedCount, firstTimestamp: said.deprecatedFirstTimestamp, lastTimestamp: said.deprecatedLastTimestamp } as KubeObject : said;
      const first = e.firstTimestamp ?? e.eventTime;
      const from = e.source?.component || e.reportingComponent || e.reportingController;
      const host = e.source?.component ? e.source.host : e.source?.host || e.reportingInstance;
      return [
        ageOf(saidAt(e as KubeEvent) ?? first, now), e.type, e.reason, `${e.involvedObject.kind.toLowerCase()}/${e.involvedObject.name}`, String(e.message).trim(),
        e.involvedObject.fieldPath ?? '', [from, host].filter(Boolean).join(', '), ageOf(first, now), String(e.series?.count ?? (e.count || 1)), e.metadata.name,
      ];
    },
  },
};

export function columnsOf(kind: string): Columns {
  return TABLE[kind] ?? POLICY_TABLES[kind] ?? STORAGE_COLUMNS[kind] ?? { headers: ['NAME', 'AGE'], narrow: 2, row: (o, now) => [o.metadata.name, ageOf(o.metadata.creationTimestamp, now)] };
}

export function labelsText(labels: Record<string, string> | undefined): string {
  const keys = Object.keys(labels ?? {}).sort();
  return keys.length === 0 ? NONE : keys.map((k) => `${k}=${labels![k]}`).join(',');
}
