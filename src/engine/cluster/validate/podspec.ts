/** Pod specs: volumes, containers, policies, placement. In the order of ValidatePodSpec. Source: pkg/apis/core/validation 1.32. */
import { type Json, type KubeObject, type PodSpec, same } from '../types/objects.ts';
import { affinity, spread, tolerations } from './affinity.ts';
import { container, type Surroundings } from './container.ts';
import { atLeastZero, duplicate, type Faults, forbidden, invalid, required, unsupported, within } from './faults.ts';
import { each, labelFaults, labels, qualifiedFaults, subdomainFaults } from './names.ts';
import { volumes } from './volumes.ts';

export function podSpec(spec: PodSpec | undefined, field: string, out: Faults): void {
  const around: Surroundings = { names: new Set(), volumes: volumes(spec?.volumes ?? [], `${field}.volumes`, out), hostNetwork: spec?.hostNetwork === true, hostPorts: new Set() };
  const containers = spec?.containers ?? [];
  if (containers.length === 0) out.push(required(`${field}.containers`));
  for (const [i, c] of containers.entries()) container(c, `${field}.containers[${i}]`, around, 'container', out);
  for (const [i, c] of (spec?.initContainers ?? []).entries()) container(c, `${field}.initContainers[${i}]`, { ...around, hostPorts: new Set() }, 'init', out);
  for (const [i, c] of ((spec?.ephemeralContainers ?? []) as Json[]).entries()) ephemeral(c, spec!, `${field}.ephemeralContainers[${i}]`, around, out);
  if (spec) policies(spec, field, out);
}

const NOT_EPHEMERAL = ['lifecycle', 'livenessProbe', 'ports', 'readinessProbe', 'resources', 'startupProbe'];

function ephemeral(c: Json, spec: PodSpec, field: string, around: Surroundings, out: Faults): void {
  container({ ...c, ports: undefined, resources: undefined }, field, around, 'ephemeral', out);
  if (c.targetContainerName && ![...spec.containers, ...(spec.initContainers ?? [])].some((x) => x.name === c.targetContainerName)) out.push({ ...invalid(`${field}.targetContainerName`, c.targetContainerName, ''), type: 'Not found' });
  for (const name of NOT_EPHEMERAL) if (c[name] !== undefined && Object.keys(c[name]).length > 0) out.push(forbidden(`${field}.${name}`, 'cannot be set for an Ephemeral Container'));
}

function policies(spec: PodSpec, field: string, out: Faults): void {
  if (spec.restartPolicy !== undefined && !['Always', 'OnFailure', 'Never'].includes(spec.restartPolicy)) {
    out.push(spec.restartPolicy === '' ? required(`${field}.restartPolicy`) : unsupported(`${field}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']));
  }
  const dns = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
  if (spec.dnsPolicy !== undefined && !dns.includes(spec.dnsPolicy)) out.push(spec.dnsPolicy === '' ? required(`${field}.dnsPolicy`) : unsupported(`${field}.dnsPolicy`, spec.dnsPolicy, dns));
  if (spec.dnsPolicy === 'None' && !spec.dnsConfig?.nameservers?.length) out.push(required(`${field}.dnsConfig.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None"));
  labels(spec.nodeSelector, `${field}.nodeSelector`, out);
  securityContext(spec, field, out);
  affinity(spec.affinity, `${field}.affinity`, out);
  const gates = new Set<string>();
  for (const [i, gate] of (spec.schedulingGates ?? []).entries()) {
    each(qualifiedFaults(gate?.name ?? ''), `${field}.schedulingGates[${i}]`, gate?.name ?? '', out);
    if (gates.has(gate?.name)) out.push(duplicate(`${field}.schedulingGates[${i}]`, gate.name));
    gates.add(gate?.name);
  }
  spread(spec.topologySpreadConstraints, `${field}.topologySpreadConstraints`, out);
  for (const name of ['serviceAccountName', 'nodeName', 'priorityClassName', 'runtimeClassName']) if (spec[name]) each(subdomainFaults(spec[name]), `${field}.${name}`, spec[name], out);
  within(spec.activeDeadlineSeconds, 1, 2_147_483_647, `${field}.activeDeadlineSeconds`, out);
  if (spec.hostname) each(labelFaults(spec.hostname), `${field}.hostname`, spec.hostname, out);
  if (spec.subdomain) each(labelFaults(spec.subdomain), `${field}.subdomain`, spec.subdomain, out);
  tolerations(spec.tolerations, `${field}.tolerations`, out);
  for (const [i, alias] of ((spec.hostAliases ?? []) as Json[]).entries()) {
    if (!/^[0-9a-fA-F.:]+$/.test(alias?.ip ?? '')) out.push(invalid(`${field}.hostAliases[${i}].ip`, alias?.ip ?? '', 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
    for (const [j, host] of (alias?.hostnames ?? []).entries()) each(subdomainFaults(host), `${field}.hostAliases[${i}].hostnames[${j}]`, host, out);
  }
  atLeastZero(spec.terminationGracePeriodSeconds, `${field}.terminationGracePeriodSeconds`, out);
  if (spec.preemptionPolicy !== undefined && !['PreemptLowerPriority', 'Never'].includes(spec.preemptionPolicy)) out.push(unsupported(`${field}.preemptionPolicy`, spec.preemptionPolicy, ['PreemptLowerPriority', 'Never']));
}

function securityContext(spec: PodSpec, field: string, out: Faults): void {
  const context = spec.securityContext as Json;
  for (const name of ['runAsUser', 'runAsGroup', 'fsGroup']) within(context?.[name], 0, 2_147_483_647, `${field}.securityContext.${name}`, out);
  if (spec.shareProcessNamespace && spec.hostPID) out.push(invalid(`${field}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'));
}

const CHANGEABLE = 'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What of a pod may change once it is made. */
export function podUpdate(object: KubeObject, old: KubeObject, out: Faults): void {
  const now = object.spec as PodSpec;
  const before = old.spec as PodSpec;
  if (now.containers.length !== before.containers.length) {
    out.push(forbidden('spec.containers', 'pod updates may not add or remove containers'));
    return;
  }
  if ((now.initContainers ?? []).length !== (before.initContainers ?? []).length) {
    out.push(forbidden('spec.initContainers', 'pod updates may not add or remove containers'));
    return;
  }
  const deadline = now.activeDeadlineSeconds;
  if (deadline !== before.activeDeadlineSeconds) {
    if (deadline === undefined) out.push(invalid('spec.activeDeadlineSeconds', '', 'must not update from a positive integer to nil value'));
    else if (before.activeDeadlineSeconds !== undefined && deadline > before.activeDeadlineSeconds) out.push(invalid('spec.activeDeadlineSeconds', deadline, `must be less than or equal to previous value`));
  }
  const kept = (before.tolerations ?? []).filter((t) => !(now.tolerations ?? []).some((n) => same({ ...n, tolerationSeconds: 0 }, { ...t, tolerationSeconds: 0 })));
  if (kept.length > 0) out.push(forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'));
  const gates = new Set((before.schedulingGates ?? []).map((g) => g.name));
  for (const [i, gate] of (now.schedulingGates ?? []).entries()) if (!gates.has(gate.name)) out.push(forbidden(`spec.schedulingGates[${i}].name`, `only deletion is allowed, but found new scheduling gate '${gate.name}'`));
  const gated = gates.size > 0;
  const strip = (spec: PodSpec): Json => ({
    ...spec, tolerations: undefined, activeDeadlineSeconds: undefined, terminationGracePeriodSeconds: undefined, schedulingGates: undefined, ephemeralContainers: undefined, ...(before.nodeName ? {} : { nodeName: undefined }),
    ...(gated ? { nodeSelector: undefined, affinity: undefined } : {}),
    containers: spec.containers.map((c) => ({ ...c, image: '' })), initContainers: spec.initContainers?.map((c) => ({ ...c, image: '' })),
  });
  if (!same(strip(now), strip(before))) out.push(forbidden('spec', CHANGEABLE));
}

/** The ephemeralcontainers subresource adds; it never takes away or changes. */
export function ephemeralUpdate(object: KubeObject, old: KubeObject, out: Faults): void {
  const now: Json[] = object.spec.ephemeralContainers ?? [];
  for (const one of (old.spec.ephemeralContainers ?? []) as Json[]) {
    const found = now.find((c) => c.name === one.name);
    if (!found) out.push(forbidden('spec.ephemeralContainers', `existing ephemeral containers ${JSON.stringify(one.name)} may not be removed\n`));
    else if (!same(found, one)) out.push(forbidden('spec.ephemeralContainers', `existing ephemeral containers ${JSON.stringify(one.name)} may not be changed\n`));
  }
}
