/** ConfigMaps, Secrets, Nodes, PriorityClasses, RuntimeClasses. Source: pkg/apis/{core,scheduling,node}/validation 1.32. */
import { fromBase64, text } from '../../sim/text.ts';
import { type KubeObject, same } from '../types/objects.ts';
import { taints } from './affinity.ts';
import { type Faults, forbidden, IMMUTABLE, invalid, required, tooLong, unchanged, unsupported } from './faults.ts';
import { configKeyFaults, each, labelFaults } from './names.ts';

const MIB = 1024 * 1024;

export function configMap(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  let size = 0;
  for (const field of ['data', 'binaryData'] as const) {
    for (const [key, value] of Object.entries((object[field] ?? {}) as Record<string, string>)) {
      each(configKeyFaults(key), `${field}[${key}]`, key, out);
      if (field === 'data' && object.binaryData?.[key] !== undefined) out.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
      size += field === 'data' ? value.length : Math.floor((value.length * 3) / 4);
    }
  }
  if (size > MIB) out.push(tooLong('', MIB));
  if (old) frozen(object, old, ['data', 'binaryData'], out);
}

function frozen(object: KubeObject, old: KubeObject, fields: readonly string[], out: Faults): void {
  if (!old.immutable) return;
  if (!object.immutable) out.push(forbidden('immutable', 'field is immutable when `immutable` is set'));
  for (const field of fields) if (!same(object[field] ?? {}, old[field] ?? {})) out.push(forbidden(field, 'field is immutable when `immutable` is set'));
}

/** What data a type of Secret must hold; any of a list. */
const TYPED: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'], 'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'], 'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

export function secret(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  const data: Record<string, string> = object.data ?? {};
  let size = 0;
  for (const [key, value] of Object.entries(data)) {
    each(configKeyFaults(key), `data[${key}]`, key, out);
    size += Math.floor((String(value).length * 3) / 4);
  }
  if (size > MIB) out.push(tooLong('data', MIB));
  if (object.type === 'kubernetes.io/service-account-token' && !object.metadata.annotations?.['kubernetes.io/service-account.name']) out.push(required('metadata.annotations[kubernetes.io/service-account.name]'));
  for (const key of TYPED[object.type] ?? []) {
    if (data[key] === undefined) out.push(required(`data[${key}]`));
    else if (key.startsWith('.') && !isJson(data[key])) out.push(invalid(`data[${key}]`, '<secret contents redacted>', 'invalid character'));
  }
  if (object.type === 'kubernetes.io/tls') for (const key of ['tls.crt', 'tls.key']) if (data[key] === undefined) out.push(required(`data[${key}]`));
  if (object.type === 'kubernetes.io/basic-auth' && data.username === undefined && data.password === undefined) out.push(required('data[username]'), required('data[password]'));
  if (!old) return;
  if (object.type !== old.type) out.push(invalid('type', object.type, IMMUTABLE));
  frozen(object, old, ['data'], out);
}

function isJson(encoded: string): boolean {
  try {
    JSON.parse(text(fromBase64(encoded)));
    return true;
  } catch {
    return false;
  }
}

export function node(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  taints(object.spec?.taints, 'metadata.taints', out);
  if (!old) return;
  if (old.spec?.podCIDR && object.spec?.podCIDR !== old.spec.podCIDR) out.push(forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
  if (old.spec?.providerID && object.spec?.providerID !== old.spec.providerID) out.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
}

const HIGHEST = 1_000_000_000;
const SYSTEM: Readonly<Record<string, number>> = { 'system-node-critical': 2_000_001_000, 'system-cluster-critical': 2_000_000_000 };

export function priorityClass(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  const { name } = object.metadata;
  if (name?.startsWith('system-')) {
    if (SYSTEM[name] === undefined) out.push(forbidden('metadata.name', `priority class names with 'system-' prefix are reserved for system use only. error: ${name} is not a known system priority class`));
    else if (object.value !== SYSTEM[name]) out.push(forbidden('metadata.name', `priority class names with 'system-' prefix are reserved for system use only. error: value of ${name} PriorityClass must be ${SYSTEM[name]}`));
  } else if (object.value > HIGHEST) out.push(forbidden('value', `maximum allowed value of a user defined priority is ${HIGHEST}`));
  if (object.preemptionPolicy !== undefined && !['PreemptLowerPriority', 'Never'].includes(object.preemptionPolicy)) out.push(unsupported('preemptionPolicy', object.preemptionPolicy, ['PreemptLowerPriority', 'Never']));
  if (!old) return;
  if (object.value !== old.value) out.push(forbidden('value', 'may not be changed in an update.'));
  unchanged(object.preemptionPolicy, old.preemptionPolicy, 'preemptionPolicy', out);
}

export function runtimeClass(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  each(labelFaults(object.handler ?? ''), 'handler', object.handler ?? '', out);
  if (old) unchanged(object.handler, old.handler, 'handler', out);
}
