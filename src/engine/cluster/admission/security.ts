/**
 * PodSecurity: namespaces labelled pod-security.kubernetes.io/enforce hold their pods to "baseline" or "restricted".
 * Source: k8s.io/pod-security-admission/policy 1.32. Left out: warn and audit modes, versions, AppArmor and SELinux checks.
 */
import { forbidden } from '../errors.ts';
import type { Cluster } from '../state.ts';
import { get } from '../store.ts';
import type { Kind } from '../types/kinds.ts';
import type { Container, Json, KubeObject, PodSpec } from '../types/objects.ts';

export function enforceSecurity(cluster: Cluster, kind: Kind, object: KubeObject): void {
  const labels = get(cluster.store, 'Namespace', object.metadata.namespace ?? '')?.metadata.labels;
  const level = labels?.['pod-security.kubernetes.io/enforce'];
  if (level !== 'baseline' && level !== 'restricted') return;
  const spec = object.spec as PodSpec;
  const found = [...BASELINE, ...(level === 'restricted' ? RESTRICTED : [])].map((check) => check(spec)).filter((fault) => fault !== null);
  const shown = level === 'restricted' ? found.filter((fault) => !found.some((other) => other !== fault && other.beats === fault.id)) : found;
  if (shown.length === 0) return;
  const version = labels?.['pod-security.kubernetes.io/enforce-version'] ?? 'latest';
  throw forbidden(kind, object.metadata.name, `violates PodSecurity "${level}:${version}": ${shown.map((f) => `${f.reason} (${f.detail})`).join(', ')}`);
}

interface Violation { id: string; beats?: string; reason: string; detail: string }
type Check = (spec: PodSpec) => Violation | null;

const all = (spec: PodSpec): Container[] => [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...((spec.ephemeralContainers ?? []) as Container[])];
const quoted = (names: readonly string[]): string => names.map((n) => JSON.stringify(n)).join(', ');
const containers = (names: readonly string[]): string => `${names.length === 1 ? 'container' : 'containers'} ${quoted(names)}`;
const isAre = (names: readonly string[], word: string): string => `${names.length === 1 ? word : `${word}s`}`;

const hostNamespaces: Check = (spec) => {
  const used = ['hostNetwork', 'hostPID', 'hostIPC'].filter((name) => spec[name]);
  return used.length === 0 ? null : { id: 'hostNamespaces', reason: 'host namespaces', detail: used.map((n) => `${n}=true`).join(', ') };
};

const privileged: Check = (spec) => {
  const bad = all(spec).filter((c) => c.securityContext?.privileged).map((c) => c.name);
  return bad.length === 0 ? null : { id: 'privileged', reason: 'privileged', detail: `${containers(bad)} must not set securityContext.privileged=true` };
};

const ALLOWED = new Set(['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT']);

const capabilities: Check = (spec) => {
  const bad = all(spec).filter((c) => (c.securityContext?.capabilities?.add ?? []).some((x: string) => !ALLOWED.has(x)));
  if (bad.length === 0) return null;
  const names = [...new Set(bad.flatMap((c) => c.securityContext.capabilities.add.filter((x: string) => !ALLOWED.has(x))))].sort() as string[];
  return { id: 'capabilities', reason: 'non-default capabilities', detail: `${containers(bad.map((c) => c.name))} must not include ${quoted(names)} in securityContext.capabilities.add` };
};

const hostPaths: Check = (spec) => {
  const bad = (spec.volumes ?? []).filter((v: Json) => v?.hostPath).map((v: Json) => v.name);
  return bad.length === 0 ? null : { id: 'hostPath', reason: 'hostPath volumes', detail: `${isAre(bad, 'volume')} ${quoted(bad)}` };
};

const hostPorts: Check = (spec) => {
  const bad = all(spec).filter((c) => (c.ports ?? []).some((p) => p.hostPort));
  if (bad.length === 0) return null;
  const ports = [...new Set(bad.flatMap((c) => (c.ports ?? []).flatMap((p) => (p.hostPort ? [String(p.hostPort)] : []))))].sort();
  return { id: 'hostPorts', reason: 'hostPort', detail: `${containers(bad.map((c) => c.name))} ${bad.length === 1 ? 'uses' : 'use'} ${isAre(ports, 'hostPort')} ${ports.join(', ')}` };
};

const unconfined: Check = (spec) => {
  const pod = spec.securityContext?.seccompProfile?.type === 'Unconfined';
  const bad = all(spec).filter((c) => c.securityContext?.seccompProfile?.type === 'Unconfined').map((c) => c.name);
  if (!pod && bad.length === 0) return null;
  const who = [...(pod ? ['pod'] : []), ...(bad.length > 0 ? [containers(bad)] : [])].join(' and ');
  return { id: 'seccompBaseline', reason: 'seccompProfile', detail: `${who} must not set securityContext.seccompProfile.type to "Unconfined"` };
};

const BASELINE: readonly Check[] = [hostNamespaces, privileged, capabilities, hostPaths, hostPorts, unconfined];

const escalation: Check = (spec) => {
  const bad = all(spec).filter((c) => c.securityContext?.allowPrivilegeEscalation !== false).map((c) => c.name);
  return bad.length === 0 ? null : { id: 'escalation', reason: 'allowPrivilegeEscalation != false', detail: `${containers(bad)} must set securityContext.allowPrivilegeEscalation=false` };
};

const dropAll: Check = (spec) => {
  const keeps = all(spec).filter((c) => !(c.securityContext?.capabilities?.drop ?? []).includes('ALL')).map((c) => c.name);
  const adds = all(spec).filter((c) => (c.securityContext?.capabilities?.add ?? []).some((x: string) => x !== 'NET_BIND_SERVICE'));
  if (keeps.length + adds.length === 0) return null;
  const names = [...new Set(adds.flatMap((c) => c.securityContext.capabilities.add.filter((x: string) => x !== 'NET_BIND_SERVICE')))].sort() as string[];
  const parts = [
    ...(keeps.length > 0 ? [`${containers(keeps)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adds.length > 0 ? [`${containers(adds.map((c) => c.name))} must not include ${quoted(names)} in securityContext.capabilities.add`] : []),
  ];
  return { id: 'dropAll', beats: 'capabilities', reason: 'unrestricted capabilities', detail: parts.join('; ') };
};

const VOLUMES = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret', 'image'];

const volumeTypes: Check = (spec) => {
  const bad = (spec.volumes ?? []).filter((v: Json) => v && !VOLUMES.some((type) => v[type] !== undefined));
  if (bad.length === 0) return null;
  const types = [...new Set(bad.flatMap((v: Json) => Object.keys(v).filter((key) => key !== 'name')))].sort() as string[];
  return { id: 'volumes', beats: 'hostPath', reason: 'restricted volume types', detail: `${isAre(bad as string[], 'volume')} ${quoted(bad.map((v: Json) => v.name))} ${bad.length === 1 ? 'uses' : 'use'} restricted volume ${isAre(types, 'type')} ${quoted(types)}` };
};

const nonRoot: Check = (spec) => {
  const pod = spec.securityContext?.runAsNonRoot;
  const explicit = all(spec).filter((c) => c.securityContext?.runAsNonRoot === false).map((c) => c.name);
  const implicit = all(spec).filter((c) => c.securityContext?.runAsNonRoot === undefined).map((c) => c.name);
  if (explicit.length > 0 || pod === false) {
    const who = [...(pod === false ? ['pod'] : []), ...(explicit.length > 0 ? [containers(explicit)] : [])].join(' and ');
    return { id: 'nonRoot', reason: 'runAsNonRoot != true', detail: `${who} must not set securityContext.runAsNonRoot=false` };
  }
  return pod || implicit.length === 0 ? null : { id: 'nonRoot', reason: 'runAsNonRoot != true', detail: `pod or ${containers(implicit)} must set securityContext.runAsNonRoot=true` };
};

const rootUser: Check = (spec) => {
  const pod = spec.securityContext?.runAsUser === 0;
  const bad = all(spec).filter((c) => c.securityContext?.runAsUser === 0).map((c) => c.name);
  if (!pod && bad.length === 0) return null;
  return { id: 'runAsUser', reason: 'runAsUser=0', detail: `${[...(pod ? ['pod'] : []), ...(bad.length > 0 ? [containers(bad)] : [])].join(' and ')} must not set runAsUser=0` };
};

const seccomp: Check = (spec) => {
  const good = (p: Json): boolean => p?.type === 'RuntimeDefault' || p?.type === 'Localhost';
  const pod = spec.securityContext?.seccompProfile;
  const bad = all(spec).filter((c) => c.securityContext?.seccompProfile && !good(c.securityContext.seccompProfile)).map((c) => c.name);
  const implicit = all(spec).filter((c) => !c.securityContext?.seccompProfile).map((c) => c.name);
  if ((pod && !good(pod)) || bad.length > 0) return { id: 'seccomp', beats: 'seccompBaseline', reason: 'seccompProfile', detail: `${[...(pod && !good(pod) ? ['pod'] : []), ...(bad.length > 0 ? [containers(bad)] : [])].join(' and ')} must not set securityContext.seccompProfile.type to "Unconfined"` };
  return good(pod) || implicit.length === 0 ? null : { id: 'seccomp', reason: 'seccompProfile', detail: `pod or ${containers(implicit)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"` };
};

const RESTRICTED: readonly Check[] = [escalation, dropAll, volumeTypes, nonRoot, rootUser, seccomp];
