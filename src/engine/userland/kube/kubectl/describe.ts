/** `kubectl describe`: pure functions from objects to its text. Source: kubectl pkg/describe/describe.go 1.32. */
import { findKind } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject, Node, Pod } from '../../../cluster/types/objects.ts';
import { podAmounts } from '../../../cluster/types/amounts.ts';
import { amountOf, binary, canonical, decimal } from '../../../cluster/types/quantity.ts';
import { printSelector } from '../../../cluster/types/selectors.ts';
import { humanDuration, parseTime, rfc1123 } from '../../../cluster/types/time.ts';
import { containers, events, type Line, multi, template, tolerations, volumes, type Surroundings } from './describe-parts.ts';
import { claim, cronJob, daemonSet, job, statefulSet } from './describe-workloads.ts';
import { csiNode, persistentVolume, storageClass } from './describe-storage.ts';
import { generic, namespaceLimits, POLICY_DESCRIBERS } from './describe-policy.ts';
import { ageOf } from './columns.ts';
import { rolesOf } from './tables.ts';
import { tabulate } from './tabwriter.ts';

export function describeObject(object: KubeObject, around: Surroundings): string {
  const lines: string[] = [];
  const w: Line = (level, text) => {
    for (const line of text.split('\n')) lines.push('  '.repeat(level) + line);
  };
  ((findKind(object.apiVersion, object.kind) && DESCRIBERS[object.kind]) ?? generic)(object, around, w);
  return tabulate(`${lines.join('\n')}\n`, 0, 2);
}

const DESCRIBERS: Record<string, (o: KubeObject, s: Surroundings, w: Line) => void> = {
  Pod: (o, s, w) => pod(o as Pod, s, w), Node: (o, s, w) => node(o as Node, s, w), Deployment: deployment, ReplicaSet: replicaSet, Service: service, Namespace: namespace,
  StatefulSet: statefulSet, DaemonSet: daemonSet, Job: job, CronJob: cronJob, PersistentVolumeClaim: claim, PersistentVolume: persistentVolume, StorageClass: storageClass, CSINode: csiNode, ConfigMap: configMap, Secret: secret, ...POLICY_DESCRIBERS,
};

function pod(p: Pod, s: Surroundings, w: Line): void {
  const { metadata: m, spec, status } = p;
  w(0, `Name:\t${m.name}\nNamespace:\t${m.namespace}`);
  if (spec.priority !== undefined) w(0, `Priority:\t${spec.priority}`);
  if (spec.priorityClassName) w(0, `Priority Class Name:\t${spec.priorityClassName}`);
  if (spec.serviceAccountName) w(0, `Service Account:\t${spec.serviceAccountName}`);
  w(0, `Node:\t${spec.nodeName ? `${spec.nodeName}/${status.hostIP ?? ''}` : '<none>'}`);
  if (status.startTime) w(0, `Start Time:\t${rfc1123(status.startTime)}`);
  multi(w, 'Labels', m.labels);
  multi(w, 'Annotations', m.annotations, ': ');
  if (m.deletionTimestamp) {
    const left = s.now - (parseTime(m.deletionTimestamp) ?? s.now);
    w(0, left >= 0 ? `Status:\tTerminating (lasts ${humanDuration(left)})` : `Status:\tTerminating (expires ${rfc1123(m.deletionTimestamp)})`);
    w(0, `Termination Grace Period:\t${m.deletionGracePeriodSeconds ?? 0}s`);
  } else w(0, `Status:\t${status.phase ?? ''}`);
  if (status.reason) w(0, `Reason:\t${status.reason}`);
  if (status.message) w(0, `Message:\t${status.message}`);
  w(0, `IP:\t${status.podIP ?? ''}`);
  if (!status.podIPs?.length) w(0, 'IPs:\t<none>');
  else {
    w(0, 'IPs:');
    for (const { ip } of status.podIPs) w(1, `IP:\t${ip}`);
  }
  const owner = m.ownerReferences?.find((r) => r.controller);
  if (owner) w(0, `Controlled By:\t${owner.kind}/${owner.name}`);
  if (status.nominatedNodeName) w(0, `NominatedNodeName:\t${status.nominatedNodeName}`);
  if (spec.initContainers?.length) containers(w, 'Init Containers', spec.initContainers, status.initContainerStatuses ?? [], true, 0);
  containers(w, 'Containers', spec.containers, status.containerStatuses ?? [], true, 0);
  if (spec.ephemeralContainers?.length) containers(w, 'Ephemeral Containers', spec.ephemeralContainers, (status as Json).ephemeralContainerStatuses ?? [], true, 0);
  if (spec.readinessGates?.length) {
    w(0, 'Readiness Gates:\n  Type\tStatus');
    for (const g of spec.readinessGates as Json[]) w(1, `${g.conditionType} \t${status.conditions?.find((c) => c.type === g.conditionType)?.status ?? '<none>'} `);
  }
  if (status.conditions?.length) {
    w(0, 'Conditions:');
    w(1, 'Type\tStatus');
    for (const c of status.conditions) w(1, `${c.type} \t${c.status} `);
  }
  volumes(w, spec.volumes ?? [], 0);
  w(0, `QoS Class:\t${status.qosClass ?? ''}`);
  multi(w, 'Node-Selectors', spec.nodeSelector);
  tolerations(w, spec.tolerations ?? [], 0);
  spread(w, spec.topologySpreadConstraints ?? []);
  events(w, s);
}

function spread(w: Line, all: readonly Json[]): void {
  for (const [i, c] of all.entries()) w(0, `${i === 0 ? 'Topology Spread Constraints:' : ''}\t${c.topologyKey}:${c.whenUnsatisfiable} when max skew ${c.maxSkew} is exceeded${c.labelSelector ? ` for selector ${printSelector(c.labelSelector)}` : ''}`);
}

function deployment(d: KubeObject, s: Surroundings, w: Line): void {
  const { spec, status = {} } = d;
  w(0, `Name:\t${d.metadata.name}\nNamespace:\t${d.metadata.namespace}\nCreationTimestamp:\t${rfc1123(d.metadata.creationTimestamp)}`);
  multi(w, 'Labels', d.metadata.labels);
  multi(w, 'Annotations', d.metadata.annotations, ': ');
  w(0, `Selector:\t${printSelector(spec.selector)}`);
  w(0, `Replicas:\t${spec.replicas} desired | ${status.updatedReplicas ?? 0} updated | ${status.replicas ?? 0} total | ${status.availableReplicas ?? 0} available | ${status.unavailableReplicas ?? 0} unavailable`);
  w(0, `StrategyType:\t${spec.strategy?.type}\nMinReadySeconds:\t${spec.minReadySeconds ?? 0}`);
  const rolling = spec.strategy?.rollingUpdate;
  if (rolling) w(0, `RollingUpdateStrategy:\t${rolling.maxUnavailable} max unavailable, ${rolling.maxSurge} max surge`);
  template(w, spec.template);
  if (status.conditions?.length) {
    w(0, 'Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------');
    for (const c of status.conditions) w(0, `  ${c.type} \t${c.status}\t${c.reason}`);
  }
  const sets = s.replicaSets ?? [];
  const revision = Number(d.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0);
  const isNew = (rs: KubeObject): boolean => Number(rs.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? -1) === revision;
  const shown = (list: readonly KubeObject[]): string => list.map((rs) => `${rs.metadata.name} (${rs.status?.replicas ?? 0}/${rs.spec.replicas} replicas created)`).join(', ') || '<none>';
  w(0, `OldReplicaSets:\t${shown(sets.filter((rs) => !isNew(rs)))}`);
  w(0, `NewReplicaSet:\t${shown(sets.filter(isNew))}`);
  events(w, s);
}

function replicaSet(r: KubeObject, s: Surroundings, w: Line): void {
  w(0, `Name:\t${r.metadata.name}\nNamespace:\t${r.metadata.namespace}\nSelector:\t${printSelector(r.spec.selector)}`);
  multi(w, 'Labels', r.metadata.labels);
  multi(w, 'Annotations', r.metadata.annotations, ': ');
  const owner = r.metadata.ownerReferences?.find((o) => o.controller);
  if (owner) w(0, `Controlled By:\t${owner.kind}/${owner.name}`);
  w(0, `Replicas:\t${r.status?.replicas ?? 0} current / ${r.spec.replicas} desired`);
  const phase = (p: string): number => (s.pods ?? []).filter((x) => x.status.phase === p).length;
  w(0, `Pods Status:\t${phase('Running')} Running / ${phase('Pending')} Waiting / ${phase('Succeeded')} Succeeded / ${phase('Failed')} Failed`);
  template(w, r.spec.template);
  events(w, s);
}

function service(v: KubeObject, s: Surroundings, w: Line): void {
  const { spec } = v;
  w(0, `Name:\t${v.metadata.name}\nNamespace:\t${v.metadata.namespace}`);
  multi(w, 'Labels', v.metadata.labels);
  multi(w, 'Annotations', v.metadata.annotations, ': ');
  const selector = spec.selector ?? {};
  w(0, `Selector:\t${Object.keys(selector).sort().map((k) => `${k}=${selector[k]}`).join(',') || '<none>'}`);
  w(0, `Type:\t${spec.type}`);
  if (spec.ipFamilyPolicy) w(0, `IP Family Policy:\t${spec.ipFamilyPolicy}`);
  w(0, `IP Families:\t${(spec.ipFamilies ?? []).join(',') || '<none>'}`);
  w(0, `IP:\t${spec.clusterIP ?? ''}`);
  w(0, `IPs:\t${(spec.clusterIPs ?? []).join(',') || '<none>'}`);
  if (spec.externalName) w(0, `External Name:\t${spec.externalName}`);
  for (const port of spec.ports ?? []) {
    w(0, `Port:\t${port.name || '<unset>'}\t${port.port}/${port.protocol}`);
    w(0, `TargetPort:\t${port.targetPort}/${port.protocol}`);
    if (port.nodePort) w(0, `NodePort:\t${port.name || '<unset>'}\t${port.nodePort}/${port.protocol}`);
    const all: string[] = [];
    for (const subset of s.endpoints?.subsets ?? []) {
      for (const p of subset.ports ?? []) if ((p.name ?? '') === (port.name ?? '')) for (const a of subset.addresses ?? []) all.push(`${a.ip}:${p.port}`);
    }
    w(0, `Endpoints:\t${all.length > 3 ? `${all.slice(0, 3).join(',')} + ${all.length - 3} more...` : all.join(',')}`);
  }
  w(0, `Session Affinity:\t${spec.sessionAffinity}`);
  if (spec.externalTrafficPolicy) w(0, `External Traffic Policy:\t${spec.externalTrafficPolicy}`);
  if (spec.internalTrafficPolicy) w(0, `Internal Traffic Policy:\t${spec.internalTrafficPolicy}`);
  events(w, s);
}

function namespace(n: KubeObject, s: Surroundings, w: Line): void {
  w(0, `Name:\t${n.metadata.name}`);
  multi(w, 'Labels', n.metadata.labels);
  multi(w, 'Annotations', n.metadata.annotations, ': ');
  w(0, `Status:\t${n.status?.phase ?? ''}`);
  if (n.status?.conditions?.length) {
    w(0, 'Conditions:');
    w(1, 'Type\tStatus\tLastTransitionTime\tReason\tMessage\n----\t------\t------------------\t------\t-------');
    for (const c of n.status.conditions) w(1, `${c.type}\t${c.status}\t${rfc1123(c.lastTransitionTime)}\t${c.reason}\t${c.message}`);
  }
  namespaceLimits(w, s);
}

function configMap(c: KubeObject, s: Surroundings, w: Line): void {
  w(0, `Name:\t${c.metadata.name}\nNamespace:\t${c.metadata.namespace}`);
  multi(w, 'Labels', c.metadata.labels);
  multi(w, 'Annotations', c.metadata.annotations, ': ');
  w(0, '\nData\n====');
  for (const key of Object.keys(c.data ?? {}).sort()) w(0, `${key}:\n----\n${c.data[key]}\n`);
  w(0, '\nBinaryData\n====');
  for (const key of Object.keys(c.binaryData ?? {}).sort()) w(0, `${key}: ${c.binaryData[key].length} bytes`);
  w(0, '');
  events(w, s);
}

function secret(c: KubeObject, _s: Surroundings, w: Line): void {
  w(0, `Name:\t${c.metadata.name}\nNamespace:\t${c.metadata.namespace}`);
  multi(w, 'Labels', c.metadata.labels);
  multi(w, 'Annotations', c.metadata.annotations, ': ');
  w(0, `\nType:\t${c.type}\n\nData\n====`);
  for (const key of Object.keys(c.data ?? {}).sort()) w(0, `${key}:\t${Math.floor((c.data[key].replace(/=+$/, '').length * 3) / 4)} bytes`);
}

function node(n: Node, s: Surroundings, w: Line): void {
  const { metadata: m, spec, status } = n;
  w(0, `Name:\t${m.name}\nRoles:\t${rolesOf(n)}`);
  multi(w, 'Labels', m.labels);
  multi(w, 'Annotations', m.annotations, ': ');
  w(0, `CreationTimestamp:\t${rfc1123(m.creationTimestamp)}`);
  const taints = (spec.taints ?? []).map((t) => `${t.key}${t.value ? `=${t.value}` : ''}:${t.effect}`).sort();
  if (taints.length === 0) w(0, 'Taints:\t<none>');
  for (const [i, t] of taints.entries()) w(0, `${i === 0 ? 'Taints:' : ''}\t${t}`);
  w(0, `Unschedulable:\t${spec.unschedulable ?? false}`);
  if (!s.lease) w(0, `Lease:\tFailed to get lease: leases.coordination.k8s.io "${m.name}" not found`);
  else {
    w(0, 'Lease:');
    w(1, `HolderIdentity:\t${s.lease.spec?.holderIdentity ?? '<unset>'}`);
    w(1, `AcquireTime:\t${rfc1123(s.lease.spec?.acquireTime)}`);
    w(1, `RenewTime:\t${rfc1123(s.lease.spec?.renewTime)}`);
  }
  if (status.conditions?.length) {
    w(0, 'Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n  ----\t------\t-----------------\t------------------\t------\t-------');
    for (const c of status.conditions) w(1, `${c.type} \t${c.status} \t${rfc1123(c.lastHeartbeatTime)} \t${rfc1123(c.lastTransitionTime)} \t${c.reason} \t${c.message} `.trimEnd());
  }
  w(0, 'Addresses:');
  for (const a of status.addresses ?? []) w(1, `${a.type}:\t${a.address}`);
  for (const [word, list] of [['Capacity', status.capacity], ['Allocatable', status.allocatable]] as const) {
    w(0, `${word}:`);
    for (const key of Object.keys(list ?? {}).sort()) w(1, `${key}:\t${canonical(list![key]!)}`);
  }
  const info = status.nodeInfo ?? {};
  w(0, 'System Info:');
  w(1, `Machine ID:\t${info.machineID ?? ''}\nSystem UUID:\t${info.systemUUID ?? ''}\nBoot ID:\t${info.bootID ?? ''}`);
  w(1, `Kernel Version:\t${info.kernelVersion ?? ''}\nOS Image:\t${info.osImage ?? ''}\nOperating System:\t${info.operatingSystem ?? ''}\nArchitecture:\t${info.architecture ?? ''}`);
  w(1, `Container Runtime Version:\t${info.containerRuntimeVersion ?? ''}\nKubelet Version:\t${info.kubeletVersion ?? ''}`);
  if (info.kubeProxyVersion) w(1, `Kube-Proxy Version:\t${info.kubeProxyVersion}`);
  if (spec.podCIDR) w(0, `PodCIDR:\t${spec.podCIDR}`);
  if (spec.podCIDRs?.length) w(0, `PodCIDRs:\t${spec.podCIDRs.join(',')}`);
  if (spec.providerID) w(0, `ProviderID:\t${spec.providerID}`);
  nodePods(n, s, w);
  events(w, s);
}

function nodePods(n: Node, s: Surroundings, w: Line): void {
  const pods = [...(s.pods ?? [])].filter((p) => p.status.phase !== 'Succeeded' && p.status.phase !== 'Failed').sort((a, b) => `${a.metadata.namespace}/${a.metadata.name}` < `${b.metadata.namespace}/${b.metadata.name}` ? -1 : 1);
  const room = (r: string): number => amountOf(r, (n.status.allocatable ?? n.status.capacity ?? {})[r]);
  const share = (r: string, amount: number): string => `${r === 'cpu' ? decimal(amount) : binary(amount)} (${room(r) === 0 ? 0 : Math.trunc((amount * 100) / room(r))}%)`;
  w(0, `Non-terminated Pods:\t(${pods.length} in total)`);
  w(1, 'Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n---------\t----\t\t------------\t----------\t---------------\t-------------\t---');
  const totals = new Map<string, number>();
  for (const p of pods) {
    const cells = (['cpu', 'memory'] as const).flatMap((r) => (['requests', 'limits'] as const).map((list) => {
      const amount = podAmounts(p.spec, list).get(r) ?? 0;
      totals.set(`${r} ${list}`, (totals.get(`${r} ${list}`) ?? 0) + amount);
      return share(r, amount);
    }));
    w(1, `${p.metadata.namespace}\t${p.metadata.name}\t\t${cells.join('\t')}\t${ageOf(p.metadata.creationTimestamp, s.now)}`);
  }
  w(0, 'Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n  Resource\tRequests\tLimits\n  --------\t--------\t------');
  for (const r of ['cpu', 'memory']) w(1, `${r}\t${share(r, totals.get(`${r} requests`) ?? 0)}\t${share(r, totals.get(`${r} limits`) ?? 0)}`);
  w(1, 'ephemeral-storage\t0 (0%)\t0 (0%)');
}
