/** `kubectl describe`: pure functions from objects to its text. Source: kubectl pkg/describe/describe.go 1.32. */
import type { Container, ContainerState, ContainerStatus, Json, KubeEvent, KubeObject, Labels, Node, Pod, Toleration } from '../../../cluster/types/objects.ts';
import { amountOf, binary, canonical, decimal } from '../../../cluster/types/quantity.ts';
import { printSelector } from '../../../cluster/types/selectors.ts';
import { humanDuration, parseTime, rfc1123 } from '../../../cluster/types/time.ts';
import { ageOf, rolesOf } from './tables.ts';
import { tabulate } from './tabwriter.ts';

/** What describing needs beside the object itself. */
export interface Surroundings {
  now: number;
  events: readonly KubeEvent[];
  /** Pods on a node, or of a workload. */
  pods?: readonly Pod[];
  replicaSets?: readonly KubeObject[];
  endpoints?: KubeObject;
  lease?: KubeObject;
}

type Line = (level: number, text: string) => void;

export function describeObject(object: KubeObject, around: Surroundings): string {
  const lines: string[] = [];
  const w: Line = (level, text) => {
    for (const line of text.split('\n')) lines.push('  '.repeat(level) + line);
  };
  (DESCRIBERS[object.kind] ?? generic)(object, around, w);
  return tabulate(`${lines.join('\n')}\n`, 0, 2);
}

const DESCRIBERS: Record<string, (o: KubeObject, s: Surroundings, w: Line) => void> = {
  Pod: (o, s, w) => pod(o as Pod, s, w), Node: (o, s, w) => node(o as Node, s, w), Deployment: deployment, ReplicaSet: replicaSet, Service: service, Namespace: namespace,
  ConfigMap: configMap, Secret: secret, Event: generic,
};

/** "Labels:" with one a line, or <none>. */
function multi(w: Line, title: string, map: Labels | undefined, join = '='): void {
  const keys = Object.keys(map ?? {}).sort();
  const skip = (k: string): boolean => k === 'kubectl.kubernetes.io/last-applied-configuration';
  const shown = keys.filter((k) => !skip(k));
  if (shown.length === 0) w(0, `${title}:\t<none>`);
  for (const [i, key] of shown.entries()) w(0, `${i === 0 ? `${title}:` : ''}\t${key}${join}${map![key]}`);
}

function events(w: Line, s: Surroundings): void {
  if (s.events.length === 0) {
    w(0, 'Events:\t<none>');
    return;
  }
  w(0, 'Events:');
  w(1, 'Type\tReason\tAge\tFrom\tMessage');
  w(1, '----\t------\t----\t----\t-------');
  const sorted = [...s.events].sort((a, b) => (parseTime(a.lastTimestamp) ?? 0) - (parseTime(b.lastTimestamp) ?? 0));
  for (const e of sorted) {
    const last = ageOf(e.lastTimestamp ?? e.firstTimestamp, s.now);
    const age = e.count > 1 ? `${last} (x${e.count} over ${ageOf(e.firstTimestamp, s.now)})` : ageOf(e.firstTimestamp, s.now);
    w(1, `${e.type}\t${e.reason}\t${age}\t${e.source?.component ?? ''}\t${e.message.trim()}`);
  }
}

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
  if (status.conditions?.length) {
    w(0, 'Conditions:');
    w(1, 'Type\tStatus');
    for (const c of status.conditions) w(1, `${c.type} \t${c.status} `);
  }
  volumes(w, spec.volumes ?? [], 0);
  w(0, `QoS Class:\t${status.qosClass ?? ''}`);
  multi(w, 'Node-Selectors', spec.nodeSelector);
  tolerations(w, spec.tolerations ?? [], 0);
  events(w, s);
}

function tolerations(w: Line, all: readonly Toleration[], level: number): void {
  if (all.length === 0) w(level, 'Tolerations:\t<none>');
  const sorted = [...all].sort((a, b) => ((a.key ?? '') < (b.key ?? '') ? -1 : (a.key ?? '') > (b.key ?? '') ? 1 : 0));
  for (const [i, t] of sorted.entries()) {
    let text = t.key ?? '';
    if (t.value) text += `=${t.value}`;
    if (t.effect) text += `:${t.effect}`;
    if (t.operator === 'Exists' && !t.value) text += t.key || t.effect ? ' op=Exists' : 'op=Exists';
    if (t.tolerationSeconds !== undefined) text += ` for ${t.tolerationSeconds}s`;
    w(level, `${i === 0 ? 'Tolerations:' : ''}\t${text}`);
  }
}

/** `space` is the extra indentation inside pod templates. */
function containers(w: Line, title: string, all: readonly Container[], statuses: readonly ContainerStatus[], live: boolean, level: number): void {
  w(level, `${title}:`);
  for (const c of all) {
    const status = statuses.find((x) => x.name === c.name);
    const nameAt = live ? '  ' : ' ';
    const at = live ? '    ' : '  ';
    const line = (text: string): void => w(level, at + text);
    const deeper = (text: string): void => w(level, `${at}  ${text}`);
    w(level, `${nameAt}${c.name}:`);
    if (live && status) line(`Container ID:\t${status.containerID ?? ''}`);
    line(`Image:\t${c.image}`);
    if (live && status) line(`Image ID:\t${status.imageID ?? ''}`);
    const ports = (c.ports ?? []).map((p) => `${p.containerPort}/${p.protocol ?? 'TCP'}${p.name ? ` (${p.name})` : ''}`);
    const hostPorts = (c.ports ?? []).map((p) => `${p.hostPort ?? 0}/${p.protocol ?? 'TCP'}${p.name ? ` (${p.name})` : ''}`);
    line(`${ports.length > 1 ? 'Ports' : 'Port'}:\t${ports.length ? ports.join(', ') : '<none>'}`);
    line(`${ports.length > 1 ? 'Host Ports' : 'Host Port'}:\t${ports.length ? hostPorts.join(', ') : '<none>'}`);
    for (const [word, list] of [['Command', c.command], ['Args', c.args]] as const) {
      if (!list?.length) continue;
      line(`${word}:`);
      for (const one of list) for (const l of one.split('\n')) deeper(l);
    }
    if (live && status) {
      state(line, deeper, 'State', status.state);
      if (status.lastState?.terminated) state(line, deeper, 'Last State', status.lastState);
      line(`Ready:\t${status.ready ? 'True' : 'False'}`);
      line(`Restart Count:\t${status.restartCount}`);
    }
    for (const [word, list] of [['Limits', c.resources?.limits], ['Requests', c.resources?.requests]] as const) {
      const keys = Object.keys(list ?? {}).sort();
      if (keys.length === 0) continue;
      line(`${word}:`);
      for (const key of keys) deeper(`${key}:\t${canonical(list![key]!)}`);
    }
    for (const [word, probe] of [['Liveness', c.livenessProbe], ['Readiness', c.readinessProbe], ['Startup', c.startupProbe]] as const) {
      if (probe) line(`${word}:\t${probeText(probe)}`);
    }
    environment(c, line, deeper);
    if (!c.volumeMounts?.length) line('Mounts:\t<none>');
    else {
      line('Mounts:');
      for (const mount of [...c.volumeMounts].sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1))) {
        deeper(`${mount.mountPath} from ${mount.name} (${mount.readOnly ? 'ro' : 'rw'}${mount.subPath ? `,path="${mount.subPath}"` : ''})`);
      }
    }
  }
}

function environment(c: Container, line: (t: string) => void, deeper: (t: string) => void): void {
  if (c.envFrom?.length) {
    line('Environment Variables from:');
    for (const from of c.envFrom) {
      const [kind, ref] = from.configMapRef ? ['ConfigMap', from.configMapRef] : ['Secret', from.secretRef];
      deeper(`${ref?.name ?? ''}\t${kind}\tOptional: ${ref?.optional ?? false}`);
    }
  }
  if (!c.env?.length) {
    line('Environment:\t<none>');
    return;
  }
  line('Environment:');
  for (const e of c.env) {
    const from = e.valueFrom;
    if (from?.fieldRef) deeper(`${e.name}:\t (${from.fieldRef.apiVersion ?? 'v1'}:${from.fieldRef.fieldPath})`);
    else if (from?.configMapKeyRef) deeper(`${e.name}:\t<set to the key '${from.configMapKeyRef.key}' of config map '${from.configMapKeyRef.name}'>\tOptional: ${from.configMapKeyRef.optional ?? false}`);
    else if (from?.secretKeyRef) deeper(`${e.name}:\t<set to the key '${from.secretKeyRef.key}' in secret '${from.secretKeyRef.name}'>\tOptional: ${from.secretKeyRef.optional ?? false}`);
    else {
      const [first = '', ...more] = (e.value ?? '').split('\n');
      deeper(`${e.name}:\t${first}`);
      for (const l of more) deeper(`\t${l}`);
    }
  }
}

function state(line: (t: string) => void, deeper: (t: string) => void, name: string, s: ContainerState | undefined): void {
  if (s?.running) {
    line(`${name}:\tRunning`);
    deeper(`Started:\t${rfc1123(s.running.startedAt)}`);
  } else if (s?.terminated) {
    line(`${name}:\tTerminated`);
    const t = s.terminated;
    if (t.reason) deeper(`Reason:\t${t.reason}`);
    if (t.message) deeper(`Message:\t${t.message}`);
    deeper(`Exit Code:\t${t.exitCode}`);
    if (t.signal) deeper(`Signal:\t${t.signal}`);
    deeper(`Started:\t${rfc1123(t.startedAt)}`);
    deeper(`Finished:\t${rfc1123(t.finishedAt)}`);
  } else {
    line(`${name}:\tWaiting`);
    if (s?.waiting?.reason) deeper(`Reason:\t${s.waiting.reason}`);
  }
}

function probeText(p: Json): string {
  const tail = `delay=${p.initialDelaySeconds ?? 0}s timeout=${p.timeoutSeconds ?? 1}s period=${p.periodSeconds ?? 10}s #success=${p.successThreshold ?? 1} #failure=${p.failureThreshold ?? 3}`;
  if (p.exec) return `exec [${(p.exec.command ?? []).join(' ')}] ${tail}`;
  if (p.httpGet) return `http-get ${(p.httpGet.scheme ?? 'HTTP').toLowerCase()}://${p.httpGet.host ?? ''}:${p.httpGet.port}${p.httpGet.path ?? ''} ${tail}`;
  if (p.tcpSocket) return `tcp-socket ${p.tcpSocket.host ?? ''}:${p.tcpSocket.port} ${tail}`;
  return `unknown ${tail}`;
}

function volumes(w: Line, all: readonly Json[], level: number): void {
  if (all.length === 0) {
    w(level, `${level === 0 ? '' : ''}Volumes:\t<none>`);
    return;
  }
  w(level, 'Volumes:');
  const pad = level === 0 ? '  ' : ' ';
  for (const v of all) {
    w(level, `${pad}${v.name}:`);
    const line = (text: string): void => w(level, `${pad}  ${text}`);
    if (v.emptyDir) line(`Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)\n${'  '.repeat(level)}${pad}  Medium:\t${v.emptyDir.medium ?? ''}\n${'  '.repeat(level)}${pad}  SizeLimit:\t${v.emptyDir.sizeLimit ?? '<unset>'}`);
    else if (v.configMap) line(`Type:\tConfigMap (a volume populated by a ConfigMap)\n${'  '.repeat(level)}${pad}  Name:\t${v.configMap.name}\n${'  '.repeat(level)}${pad}  Optional:\t${v.configMap.optional ?? false}`);
    else if (v.secret) line(`Type:\tSecret (a volume populated by a Secret)\n${'  '.repeat(level)}${pad}  SecretName:\t${v.secret.secretName}\n${'  '.repeat(level)}${pad}  Optional:\t${v.secret.optional ?? false}`);
    else if (v.hostPath) line(`Type:\tHostPath (bare host directory volume)\n${'  '.repeat(level)}${pad}  Path:\t${v.hostPath.path}\n${'  '.repeat(level)}${pad}  HostPathType:\t${v.hostPath.type ?? ''}`);
    else line('<unknown>');
  }
}

function template(w: Line, t: Json): void {
  w(0, 'Pod Template:');
  const at: Line = (level, text) => w(level + 1, text);
  multi(at, 'Labels', t.metadata?.labels);
  if (Object.keys(t.metadata?.annotations ?? {}).length > 0) multi(at, 'Annotations', t.metadata.annotations, ': ');
  if (t.spec.serviceAccountName) at(0, `Service Account:\t${t.spec.serviceAccountName}`);
  if (t.spec.initContainers?.length) containers(at, 'Init Containers', t.spec.initContainers, [], false, 0);
  containers(at, 'Containers', t.spec.containers, [], false, 0);
  const volumesAt: Line = (_level, text) => w(1, text);
  volumes(volumesAt, t.spec.volumes ?? [], 0);
  multi(at, 'Node-Selectors', t.spec.nodeSelector);
  tolerations(at, t.spec.tolerations ?? [], 0);
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

function namespace(n: KubeObject, _s: Surroundings, w: Line): void {
  w(0, `Name:\t${n.metadata.name}`);
  multi(w, 'Labels', n.metadata.labels);
  multi(w, 'Annotations', n.metadata.annotations, ': ');
  w(0, `Status:\t${n.status?.phase ?? ''}`);
  w(0, '\nNo resource quota.\n\nNo LimitRange resource.');
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
  const sum = (p: Pod, list: 'requests' | 'limits', r: string): number => {
    let total = 0;
    for (const c of p.spec.containers) total += amountOf(r, c.resources?.[list]?.[r]);
    for (const c of p.spec.initContainers ?? []) total = Math.max(total, amountOf(r, c.resources?.[list]?.[r]));
    return total;
  };
  w(0, `Non-terminated Pods:\t(${pods.length} in total)`);
  w(1, 'Namespace\tName\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n---------\t----\t------------\t----------\t---------------\t-------------\t---');
  const totals = new Map<string, number>();
  for (const p of pods) {
    const cells = (['cpu', 'memory'] as const).flatMap((r) => (['requests', 'limits'] as const).map((list) => {
      const amount = sum(p, list, r);
      totals.set(`${r} ${list}`, (totals.get(`${r} ${list}`) ?? 0) + amount);
      return share(r, amount);
    }));
    w(1, `${p.metadata.namespace}\t${p.metadata.name}\t${cells.join('\t')}\t${ageOf(p.metadata.creationTimestamp, s.now)}`);
  }
  w(0, 'Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n  Resource\tRequests\tLimits\n  --------\t--------\t------');
  for (const r of ['cpu', 'memory']) w(1, `${r}\t${share(r, totals.get(`${r} requests`) ?? 0)}\t${share(r, totals.get(`${r} limits`) ?? 0)}`);
  w(1, 'ephemeral-storage\t0 (0%)\t0 (0%)');
}

function generic(o: KubeObject, s: Surroundings, w: Line): void {
  w(0, `Name:\t${o.metadata.name}\nNamespace:\t${o.metadata.namespace ?? ''}`);
  multi(w, 'Labels', o.metadata.labels);
  multi(w, 'Annotations', o.metadata.annotations, ': ');
  w(0, `API Version:\t${o.apiVersion}\nKind:\t${o.kind}`);
  events(w, s);
}
