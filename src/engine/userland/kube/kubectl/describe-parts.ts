/** What descriptions of several kinds are made of: labels, events, pod templates, containers, volumes. Source: kubectl pkg/describe/describe.go 1.32. */
import type { Container, ContainerState, ContainerStatus, Json, KubeEvent, KubeObject, Labels, Pod, Toleration } from '../../../cluster/types/objects.ts';
import { canonical } from '../../../cluster/types/quantity.ts';
import { parseTime, rfc1123 } from '../../../cluster/types/time.ts';
import { ageOf } from './columns.ts';

/** What describing needs beside the object itself. */
export interface Surroundings {
  now: number;
  events: readonly KubeEvent[];
  /** Pods on a node, or of a workload. */
  pods?: readonly Pod[];
  replicaSets?: readonly KubeObject[];
  endpoints?: KubeObject;
  lease?: KubeObject;
  /** Of a namespace. */
  quotas?: readonly KubeObject[];
  limits?: readonly KubeObject[];
  /** Behind an Ingress: "web:80" to its endpoints. */
  backends?: ReadonlyMap<string, string>;
}

export type Line = (level: number, text: string) => void;

/** "Labels:" with one a line, or <none>. */
export function multi(w: Line, title: string, map: Labels | undefined, join = '='): void {
  const keys = Object.keys(map ?? {}).sort();
  const skip = (k: string): boolean => k === 'kubectl.kubernetes.io/last-applied-configuration';
  const shown = keys.filter((k) => !skip(k));
  if (shown.length === 0) w(0, `${title}:\t<none>`);
  for (const [i, key] of shown.entries()) w(0, `${i === 0 ? `${title}:` : ''}\t${key}${join}${map![key]}`);
}

export function events(w: Line, s: Surroundings): void {
  if (s.events.length === 0) {
    w(0, 'Events:\t<none>');
    return;
  }
  w(0, 'Events:');
  w(1, 'Type\tReason\tAge\tFrom\tMessage');
  w(1, '----\t------\t----\t----\t-------');
  const sorted = [...s.events].sort((a, b) => (parseTime(a.lastTimestamp) ?? 0) - (parseTime(b.lastTimestamp) ?? 0));
  for (const e of sorted) w(1, `${e.type}\t${e.reason}\t${ageText(e, s.now)}\t${e.source?.component || (e as Json).reportingComponent || ''}\t${e.message.trim()}`);
}

/** "5s", or "5s (x3 over 2m)" for what has been said again. */
export function ageText(e: KubeEvent, now: number): string {
  const { series } = e;
  const first = e.firstTimestamp ?? e.eventTime;
  if (series) return `${ageOf(series.lastObservedTime, now)} (x${series.count} over ${ageOf(first, now)})`;
  return (e.count ?? 1) > 1 ? `${ageOf(e.lastTimestamp ?? first, now)} (x${e.count} over ${ageOf(first, now)})` : ageOf(first, now);
}

export function tolerations(w: Line, all: readonly Toleration[], level: number): void {
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
export function containers(w: Line, title: string, all: readonly Container[], statuses: readonly ContainerStatus[], live: boolean, level: number): void {
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

export function environment(c: Container, line: (t: string) => void, deeper: (t: string) => void): void {
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

export function state(line: (t: string) => void, deeper: (t: string) => void, name: string, s: ContainerState | undefined): void {
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

export function probeText(p: Json): string {
  const tail = `delay=${p.initialDelaySeconds ?? 0}s timeout=${p.timeoutSeconds ?? 1}s period=${p.periodSeconds ?? 10}s #success=${p.successThreshold ?? 1} #failure=${p.failureThreshold ?? 3}`;
  if (p.exec) return `exec [${(p.exec.command ?? []).join(' ')}] ${tail}`;
  if (p.httpGet) return `http-get ${(p.httpGet.scheme ?? 'HTTP').toLowerCase()}://${p.httpGet.host ?? ''}:${p.httpGet.port}${p.httpGet.path ?? ''} ${tail}`;
  if (p.tcpSocket) return `tcp-socket ${p.tcpSocket.host ?? ''}:${p.tcpSocket.port} ${tail}`;
  return `unknown ${tail}`;
}

/** What a volume is: its type with words of explanation, and its fields. */
function volumeRows(v: Json): string[] {
  const rows = (type: string, fields: Record<string, unknown> = {}): string[] => [`Type:\t${type}`, ...Object.entries(fields).map(([k, x]) => `${k}:\t${x}`)];
  if (v.emptyDir) return rows("EmptyDir (a temporary directory that shares a pod's lifetime)", { Medium: v.emptyDir.medium ?? '', SizeLimit: v.emptyDir.sizeLimit === undefined ? '<unset>' : canonical(v.emptyDir.sizeLimit) });
  if (v.configMap) return rows('ConfigMap (a volume populated by a ConfigMap)', { Name: v.configMap.name, Optional: v.configMap.optional ?? false });
  if (v.secret) return rows('Secret (a volume populated by a Secret)', { SecretName: v.secret.secretName, Optional: v.secret.optional ?? false });
  if (v.hostPath) return rows('HostPath (bare host directory volume)', { Path: v.hostPath.path, HostPathType: v.hostPath.type ?? '' });
  if (v.persistentVolumeClaim) return rows('PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)', { ClaimName: v.persistentVolumeClaim.claimName, ReadOnly: v.persistentVolumeClaim.readOnly ?? false });
  if (v.projected) return [...rows('Projected (a volume that contains injected data from multiple sources)'), ...(v.projected.sources ?? []).flatMap(projection)];
  if (v.downwardAPI) return [...rows('DownwardAPI (a volume populated by information about the pod)'), 'Items:', ...(v.downwardAPI.items ?? []).map((i: Json) => `  ${i.fieldRef?.fieldPath ?? i.resourceFieldRef?.resource} -> ${i.path}`)];
  if (v.nfs) return rows('NFS (an NFS mount that lasts the lifetime of a pod)', { Server: v.nfs.server, Path: v.nfs.path, ReadOnly: v.nfs.readOnly ?? false });
  if (v.csi) return rows('CSI (a Container Storage Interface (CSI) volume source)', { Driver: v.csi.driver, FSType: v.csi.fsType ?? '', ReadOnly: v.csi.readOnly ?? false });
  if (v.ephemeral) {
    const spec = v.ephemeral.volumeClaimTemplate?.spec ?? {};
    return rows('EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)', { StorageClass: spec.storageClassName ?? '', Volume: '', Capacity: '', 'Access Modes': '', VolumeMode: spec.volumeMode ?? 'Filesystem' });
  }
  return ['<unknown>'];
}

function projection(source: Json): string[] {
  if (source.secret) return [`SecretName:\t${source.secret.name}`, `SecretOptionalName:\t${source.secret.optional ?? '<nil>'}`];
  if (source.downwardAPI) return ['DownwardAPI:\ttrue'];
  if (source.configMap) return [`ConfigMapName:\t${source.configMap.name}`, `ConfigMapOptional:\t${source.configMap.optional ?? '<nil>'}`];
  return source.serviceAccountToken ? [`TokenExpirationSeconds:\t${source.serviceAccountToken.expirationSeconds ?? 3600}`] : [];
}

export function volumes(w: Line, all: readonly Json[], level: number): void {
  if (all.length === 0) {
    w(level, 'Volumes:\t<none>');
    return;
  }
  w(level, 'Volumes:');
  const pad = level === 0 ? '  ' : ' ';
  for (const v of all) {
    w(level, `${pad}${v.name}:`);
    for (const row of volumeRows(v)) w(level, `${pad}  ${row}`);
  }
}

export function template(w: Line, t: Json): void {
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
