/**
 * What the API server refuses, in its words (1.32): names, labels, required and immutable fields, numbers out of range,
 * quantities, ports, selectors. Source: apimachinery validation, pkg/apis/core/validation, pkg/apis/apps/validation.
 */
import { type Fault, goValue } from './errors.ts';
import { storageFaults } from './storage/validate.ts';
import type { Container, Json, KubeObject, PodSpec } from './types/objects.ts';
import { same } from './types/objects.ts';
import { parseSchedule } from './types/schedule.ts';
import { amountOf, canonical, isQuantity, QUANTITY_PATTERN } from './types/quantity.ts';
import { matchesSelector } from './types/selectors.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

const SAYS = {
  label: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  subdomain: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  dns1035: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
  qualified: "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
  name: "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
  value: "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
};

/** All faults of an object; `old` is what it replaces. */
export function validate(object: KubeObject, old?: KubeObject): Fault[] {
  const out: Fault[] = [];
  metadata(object, out);
  if (storageFaults(object, out, old)) return out;
  switch (object.kind) {
    case 'Pod':
      podSpec(object.spec, 'spec', out);
      if (old) podUpdate(object, old, out);
      break;
    case 'Deployment':
    case 'ReplicaSet':
    case 'DaemonSet':
      workload(object, out, old);
      break;
    case 'StatefulSet':
      workload(object, out, old && { ...old, spec: { ...old.spec, selector: object.spec?.selector } });
      if (old) statefulSetUpdate(object, old, out);
      break;
    case 'Job':
      job(object.spec, 'spec', out, old);
      break;
    case 'CronJob':
      cronJob(object, out);
      break;
    case 'Service':
      service(object, out, old);
      break;
    case 'ConfigMap':
    case 'Secret':
      for (const key of Object.keys(object.data ?? {})) {
        if (!/^[-._a-zA-Z0-9]+$/.test(key)) {
          out.push({ field: `data[${key}]`, type: 'Invalid value', value: goValue(key), detail: "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')" });
        }
      }
      break;
    case 'Node':
      for (const [i, taint] of (object.spec?.taints ?? []).entries()) {
        if (!['NoSchedule', 'PreferNoSchedule', 'NoExecute'].includes(taint?.effect)) {
          out.push({ field: `metadata.taints[${i}].effect`, type: 'Unsupported value', value: goValue(taint?.effect ?? ''), detail: 'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"' });
        }
      }
      break;
  }
  return out;
}

function metadata(object: KubeObject, out: Fault[]): void {
  const { name, generateName } = object.metadata;
  if (!name && !generateName) out.push({ field: 'metadata.name', type: 'Required value', detail: 'name or generateName is required' });
  else if (name) {
    const strict = object.kind === 'Namespace';
    const service = object.kind === 'Service';
    const good = service ? DNS1035.test(name) : strict ? LABEL.test(name) : SUBDOMAIN.test(name);
    if (!good) out.push({ field: 'metadata.name', type: 'Invalid value', value: goValue(name), detail: service ? SAYS.dns1035 : strict ? SAYS.label : SAYS.subdomain });
    const longest = strict || service ? 63 : 253;
    if (name.length > longest) out.push({ field: 'metadata.name', type: 'Invalid value', value: goValue(name), detail: `must be no more than ${longest} characters` });
  }
  labels(object.metadata.labels, 'metadata.labels', out);
  for (const key of Object.keys(object.metadata.annotations ?? {})) qualifiedName(key, 'metadata.annotations', out);
}

function labels(map: Record<string, string> | undefined, field: string, out: Fault[]): void {
  for (const [key, value] of Object.entries(map ?? {})) {
    qualifiedName(key, field, out);
    if (!VALUE.test(value)) out.push({ field, type: 'Invalid value', value: goValue(value), detail: SAYS.value });
    else if (value.length > 63) out.push({ field, type: 'Invalid value', value: goValue(value), detail: 'must be no more than 63 characters' });
  }
}

function qualifiedName(key: string, field: string, out: Fault[]): void {
  const parts = key.split('/');
  const name = parts[parts.length - 1]!;
  const say = (detail: string): void => void out.push({ field, type: 'Invalid value', value: goValue(key), detail });
  if (parts.length > 2) say(SAYS.qualified);
  else if (parts.length === 2 && !SUBDOMAIN.test(parts[0]!)) say(parts[0] === '' ? 'prefix part must be non-empty' : `prefix part ${SAYS.subdomain}`);
  else if (name === '') say('name part must be non-empty');
  else if (!QUALIFIED.test(name)) say(SAYS.name);
  else if (name.length > 63) say('name part must be no more than 63 characters');
}

function range(value: Json, field: string, out: Fault[], least = 0): void {
  if (typeof value === 'number' && value < least) {
    out.push({ field, type: 'Invalid value', value: String(value), detail: least === 0 ? 'must be greater than or equal to 0' : `must be greater than or equal to ${least}` });
  }
}

function port(value: Json, field: string, out: Fault[]): void {
  if (typeof value === 'number' && (value < 1 || value > 65535)) {
    out.push({ field, type: 'Invalid value', value: String(value), detail: 'must be between 1 and 65535, inclusive' });
  }
}

function podSpec(spec: PodSpec | undefined, field: string, out: Fault[]): void {
  const containers = spec?.containers ?? [];
  if (containers.length === 0) out.push({ field: `${field}.containers`, type: 'Required value' });
  const names = new Set<string>();
  const volumes = new Set((spec?.volumes ?? []).map((v) => v?.name));
  for (const [list, all] of [['initContainers', spec?.initContainers ?? []], ['containers', containers]] as const) {
    for (const [i, c] of all.entries()) container(c ?? ({} as Container), `${field}.${list}[${i}]`, names, volumes, out);
  }
  if (!spec) return;
  if (spec.restartPolicy !== undefined && !['Always', 'OnFailure', 'Never'].includes(spec.restartPolicy)) {
    out.push({ field: `${field}.restartPolicy`, type: 'Unsupported value', value: goValue(spec.restartPolicy), detail: 'supported values: "Always", "OnFailure", "Never"' });
  }
  range(spec.terminationGracePeriodSeconds, `${field}.terminationGracePeriodSeconds`, out);
  labels(spec.nodeSelector, `${field}.nodeSelector`, out);
  for (const [i, t] of (spec.tolerations ?? []).entries()) {
    if (t.operator !== undefined && !['Exists', 'Equal'].includes(t.operator)) {
      out.push({ field: `${field}.tolerations[${i}].operator`, type: 'Unsupported value', value: goValue(t.operator), detail: 'supported values: "Equal", "Exists"' });
    }
  }
}

function container(c: Container, field: string, names: Set<string>, volumes: Set<string>, out: Fault[]): void {
  if (!c.name) out.push({ field: `${field}.name`, type: 'Required value' });
  else if (!LABEL.test(c.name)) out.push({ field: `${field}.name`, type: 'Invalid value', value: goValue(c.name), detail: SAYS.label });
  else if (c.name.length > 63) out.push({ field: `${field}.name`, type: 'Invalid value', value: goValue(c.name), detail: 'must be no more than 63 characters' });
  if (c.name && names.has(c.name)) out.push({ field: `${field}.name`, type: 'Duplicate value', value: goValue(c.name) });
  names.add(c.name);
  if (!c.image) out.push({ field: `${field}.image`, type: 'Required value' });
  else if (c.image !== c.image.trim()) out.push({ field: `${field}.image`, type: 'Invalid value', value: goValue(c.image), detail: 'must not have leading or trailing whitespace' });
  if (c.imagePullPolicy !== undefined && !['Always', 'IfNotPresent', 'Never'].includes(c.imagePullPolicy)) {
    out.push({ field: `${field}.imagePullPolicy`, type: 'Unsupported value', value: goValue(c.imagePullPolicy), detail: 'supported values: "Always", "IfNotPresent", "Never"' });
  }
  for (const [i, p] of (c.ports ?? []).entries()) {
    if (p?.containerPort === undefined) out.push({ field: `${field}.ports[${i}].containerPort`, type: 'Required value' });
    else port(p.containerPort, `${field}.ports[${i}].containerPort`, out);
    if (p?.hostPort) port(p.hostPort, `${field}.ports[${i}].hostPort`, out);
    if (p?.protocol !== undefined && !['TCP', 'UDP', 'SCTP'].includes(p.protocol)) {
      out.push({ field: `${field}.ports[${i}].protocol`, type: 'Unsupported value', value: goValue(p.protocol), detail: 'supported values: "SCTP", "TCP", "UDP"' });
    }
  }
  for (const [i, e] of (c.env ?? []).entries()) if (!e?.name) out.push({ field: `${field}.env[${i}].name`, type: 'Required value' });
  for (const [i, m] of (c.volumeMounts ?? []).entries()) {
    if (!m?.name) out.push({ field: `${field}.volumeMounts[${i}].name`, type: 'Required value' });
    else if (!volumes.has(m.name)) out.push({ field: `${field}.volumeMounts[${i}].name`, type: 'Not found', value: goValue(m.name) });
    if (!m?.mountPath) out.push({ field: `${field}.volumeMounts[${i}].mountPath`, type: 'Required value' });
  }
  resources(c, `${field}.resources`, out);
}

function resources(c: Container, field: string, out: Fault[]): void {
  for (const list of ['limits', 'requests'] as const) {
    for (const [key, value] of Object.entries(c.resources?.[list] ?? {})) {
      const at = `${field}.${list}[${key}]`;
      if (!isQuantity(value)) continue;
      if (amountOf(key, value) < 0) out.push({ field: at, type: 'Invalid value', value: goValue(String(value)), detail: 'must be greater than or equal to 0' });
      if (!key.includes('/') && !/^(cpu|memory|ephemeral-storage|hugepages-.+)$/.test(key)) {
        out.push({ field: at, type: 'Invalid value', value: goValue(key), detail: 'must be a standard resource type or fully qualified' });
      }
    }
  }
  for (const [key, request] of Object.entries(c.resources?.requests ?? {})) {
    const limit = c.resources?.limits?.[key];
    if (limit !== undefined && amountOf(key, request) > amountOf(key, limit)) {
      out.push({ field: `${field}.requests`, type: 'Invalid value', value: goValue(canonical(request)), detail: `must be less than or equal to ${key} limit of ${canonical(limit)}` });
    }
  }
}

/** The decoder's complaint about a quantity that is none, or null. */
export function badQuantity(value: Json): string | null {
  if (Array.isArray(value)) {
    for (const one of value) {
      const fault = badQuantity(one);
      if (fault) return fault;
    }
  } else if (value !== null && typeof value === 'object') {
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'resources' && inner !== null && typeof inner === 'object') {
        for (const list of Object.values(inner)) {
          if (list === null || typeof list !== 'object' || Array.isArray(list)) continue;
          for (const q of Object.values(list)) if (!isQuantity(q)) return `quantities must match the regular expression '${QUANTITY_PATTERN}'`;
        }
      } else {
        const fault = badQuantity(inner);
        if (fault) return fault;
      }
    }
  }
  return null;
}

function podUpdate(object: KubeObject, old: KubeObject, out: Fault[]): void {
  const strip = (spec: Json): Json => ({
    ...spec, tolerations: undefined, activeDeadlineSeconds: undefined, nodeName: undefined, terminationGracePeriodSeconds: undefined, schedulingGates: undefined, nodeSelector: undefined,
    containers: spec.containers.map((c: Json) => ({ ...c, image: '' })), initContainers: spec.initContainers?.map((c: Json) => ({ ...c, image: '' })),
  });
  if (!same(strip(object.spec), strip(old.spec)) || (old.spec.nodeName && object.spec.nodeName !== old.spec.nodeName)) {
    out.push({ field: 'spec', type: 'Forbidden', detail: 'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)' });
  }
}

function workload(object: KubeObject, out: Fault[], old?: KubeObject): void {
  const spec = object.spec ?? {};
  range(spec.replicas, 'spec.replicas', out);
  range(spec.minReadySeconds, 'spec.minReadySeconds', out);
  if (object.kind === 'DaemonSet' && spec.updateStrategy?.rollingUpdate?.maxSurge) out.push({ field: 'spec.updateStrategy.rollingUpdate.maxSurge', type: 'Forbidden', detail: 'not modelled: only 0' });
  if (object.kind === 'Deployment') {
    range(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
    const rolling = spec.strategy?.rollingUpdate;
    if (spec.strategy && !['RollingUpdate', 'Recreate'].includes(spec.strategy.type)) {
      out.push({ field: 'spec.strategy.type', type: 'Unsupported value', value: goValue(spec.strategy.type), detail: 'supported values: "Recreate", "RollingUpdate"' });
    }
    if (spec.strategy?.type === 'Recreate' && rolling) {
      out.push({ field: 'spec.strategy.rollingUpdate', type: 'Forbidden', detail: "may not be specified when strategy `type` is 'Recreate'" });
    } else if (rolling) {
      for (const key of ['maxUnavailable', 'maxSurge'] as const) {
        const value = rolling[key];
        if (typeof value === 'string' && !/^[0-9]+%$/.test(value)) {
          out.push({ field: `spec.strategy.rollingUpdate.${key}`, type: 'Invalid value', value: goValue(value), detail: "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')" });
        }
        range(value, `spec.strategy.rollingUpdate.${key}`, out);
      }
      const zero = (x: Json): boolean => x === 0 || x === '0%';
      if (zero(rolling.maxSurge) && zero(rolling.maxUnavailable)) {
        out.push({ field: 'spec.strategy.rollingUpdate.maxUnavailable', type: 'Invalid value', value: '0', detail: 'may not be 0 when `maxSurge` is 0' });
      }
    }
  }
  if (!spec.selector) {
    out.push({ field: 'spec.selector', type: 'Required value' });
    if (spec.template) mislabelled(spec.template, out);
  } else if (Object.keys(spec.selector.matchLabels ?? {}).length + (spec.selector.matchExpressions ?? []).length === 0) {
    out.push({ field: 'spec.selector', type: 'Invalid value', value: goSelector(spec.selector), detail: `empty selector is invalid for ${object.kind === 'ReplicaSet' ? 'replica set' : object.kind.toLowerCase()}` });
  } else if (!matchesSelector(spec.selector, spec.template?.metadata?.labels)) mislabelled(spec.template, out);
  labels(spec.template?.metadata?.labels, 'spec.template.labels', out);
  if (!spec.template?.spec) out.push({ field: 'spec.template.spec.containers', type: 'Required value' });
  else {
    podSpec(spec.template.spec, 'spec.template.spec', out);
    const policy = spec.template.spec.restartPolicy;
    if (policy && policy !== 'Always' && ['OnFailure', 'Never'].includes(policy)) {
      out.push({ field: 'spec.template.spec.restartPolicy', type: 'Unsupported value', value: goValue(policy), detail: 'supported values: "Always"' });
    }
  }
  if (old && !same(old.spec.selector, spec.selector)) {
    out.push({ field: 'spec.selector', type: 'Invalid value', value: goSelector(spec.selector), detail: 'field is immutable' });
  }
}

/** What of a kind the lab does not do is refused, so that nobody waits for it. */
function notModelled(spec: Json, field: string, fields: readonly string[], out: Fault[]): void {
  for (const name of fields) if (spec?.[name] !== undefined) out.push({ field: `${field}.${name}`, type: 'Forbidden', detail: 'not modelled' });
}

const SET_FIELDS = ['replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy', 'minReadySeconds'];

function statefulSetUpdate(object: KubeObject, old: KubeObject, out: Fault[]): void {
  const fixed = (spec: Json): Json => Object.fromEntries(Object.entries(spec).filter(([name]) => !SET_FIELDS.includes(name)));
  if (same(fixed(object.spec), fixed(old.spec))) return;
  const names = SET_FIELDS.map((name) => `'${name}'`);
  out.push({ field: 'spec', type: 'Forbidden', detail: `updates to statefulset spec for fields other than ${names.slice(0, -1).join(', ')} and ${names.at(-1)} are forbidden` });
}

function job(spec: Json, field: string, out: Fault[], old?: KubeObject): void {
  for (const name of ['parallelism', 'completions', 'activeDeadlineSeconds', 'backoffLimit', 'ttlSecondsAfterFinished']) range(spec?.[name], `${field}.${name}`, out);
  notModelled(spec, field, ['podFailurePolicy', 'successPolicy', 'backoffLimitPerIndex', 'maxFailedIndexes', 'managedBy'], out);
  if (!['NonIndexed', 'Indexed'].includes(spec?.completionMode)) out.push({ field: `${field}.completionMode`, type: 'Unsupported value', value: goValue(spec?.completionMode), detail: 'supported values: "Indexed", "NonIndexed"' });
  if (spec?.completionMode === 'Indexed' && spec.completions === undefined) out.push({ field: `${field}.completions`, type: 'Required value', detail: 'when completion mode is Indexed' });
  const template = spec?.template;
  labels(template?.metadata?.labels, `${field}.template.labels`, out);
  podSpec(template?.spec, `${field}.template.spec`, out);
  if (template?.spec?.restartPolicy === 'Always') out.push({ field: `${field}.template.spec.restartPolicy`, type: 'Required value', detail: 'valid values: "OnFailure", "Never"' });
  if (!old) return;
  for (const name of ['selector', 'completionMode', 'template']) {
    if (!same(old.spec[name], spec[name])) out.push({ field: `${field}.${name}`, type: 'Invalid value', value: goValue(spec[name]), detail: 'field is immutable' });
  }
  if (spec.completionMode === 'NonIndexed' && old.spec.completions !== spec.completions) out.push({ field: `${field}.completions`, type: 'Invalid value', value: String(spec.completions ?? 'null'), detail: 'field is immutable' });
}

function cronJob(object: KubeObject, out: Fault[]): void {
  const { spec } = object;
  if (object.metadata.name?.length > 52) out.push({ field: 'metadata.name', type: 'Invalid value', value: goValue(object.metadata.name), detail: 'must be no more than 52 characters' });
  const schedule = spec?.schedule ? parseSchedule(spec.schedule) : null;
  if (!spec?.schedule) out.push({ field: 'spec.schedule', type: 'Required value' });
  else if (typeof schedule === 'string') out.push({ field: 'spec.schedule', type: 'Invalid value', value: goValue(spec.schedule), detail: schedule });
  notModelled(spec, 'spec', ['timeZone'], out);
  for (const name of ['startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit']) range(spec?.[name], `spec.${name}`, out);
  if (!['Allow', 'Forbid', 'Replace'].includes(spec?.concurrencyPolicy)) out.push({ field: 'spec.concurrencyPolicy', type: 'Unsupported value', value: goValue(spec?.concurrencyPolicy), detail: 'supported values: "Allow", "Forbid", "Replace"' });
  job({ completionMode: 'NonIndexed', ...spec?.jobTemplate?.spec }, 'spec.jobTemplate.spec', out);
}

function mislabelled(template: Json, out: Fault[]): void {
  out.push({ field: 'spec.template.metadata.labels', type: 'Invalid value', value: goValue(template?.metadata?.labels ?? {}), detail: '`selector` does not match template `labels`' });
}

function goSelector(selector: Json): string {
  const map = selector?.matchLabels ? goValue(selector.matchLabels) : 'map[string]string(nil)';
  return `v1.LabelSelector{MatchLabels:${map}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}`;
}

function service(object: KubeObject, out: Fault[], old?: KubeObject): void {
  const spec = object.spec ?? {};
  if (!['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'].includes(spec.type)) {
    out.push({ field: 'spec.type', type: 'Unsupported value', value: goValue(spec.type), detail: 'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"' });
  }
  const ports: Json[] = spec.ports ?? [];
  if (ports.length === 0 && spec.type !== 'ExternalName' && spec.clusterIP !== 'None') out.push({ field: 'spec.ports', type: 'Required value' });
  for (const [i, p] of ports.entries()) {
    const field = `spec.ports[${i}]`;
    if (ports.length > 1 && !p?.name) out.push({ field: `${field}.name`, type: 'Required value' });
    if (p?.port === undefined) out.push({ field: `${field}.port`, type: 'Invalid value', value: '0', detail: 'must be between 1 and 65535, inclusive' });
    else port(p.port, `${field}.port`, out);
    port(p?.targetPort, `${field}.targetPort`, out);
    if (p?.nodePort && (p.nodePort < 30000 || p.nodePort > 32767)) {
      out.push({ field: `${field}.nodePort`, type: 'Invalid value', value: String(p.nodePort), detail: 'provided port is not in the valid range. The range of valid ports is 30000-32767' });
    }
  }
  if (old?.spec?.clusterIP && old.spec.type !== 'ExternalName' && spec.clusterIP !== old.spec.clusterIP) {
    out.push(
      spec.clusterIP
        ? { field: 'spec.clusterIPs[0]', type: 'Invalid value', value: `[]string{${goValue(spec.clusterIP)}}`, detail: 'may not change once set' }
        : { field: 'spec.clusterIPs[0]', type: 'Invalid value', value: '[]string(nil)', detail: 'primary clusterIP can not be unset' },
    );
  }
}
