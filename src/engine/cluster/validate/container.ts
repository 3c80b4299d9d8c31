/** Containers: names, images, ports, environment, mounts, probes, resources, security contexts. Source: pkg/apis/core/validation 1.32. */
import type { Container, Json } from '../types/objects.ts';
import { amountOf, canonical, isQuantity, milliOf } from '../types/quantity.ts';
import { atLeastZero, duplicate, type Faults, forbidden, invalid, missing, oneOf, port, required, unsupported, within } from './faults.ts';
import { configKeyFaults, each, labelFaults, portNameFaults, qualifiedFaults, subdomainFaults } from './names.ts';

export interface Surroundings {
  /** Names of all containers so far. */
  names: Set<string>;
  volumes: ReadonlySet<string>;
  hostNetwork: boolean;
  /** "proto/ip/port" taken on the host. */
  hostPorts: Set<string>;
}

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

export function container(c: Container, field: string, around: Surroundings, kind: 'container' | 'init' | 'ephemeral', out: Faults): void {
  if (!c.name) out.push(required(`${field}.name`));
  else {
    each(labelFaults(c.name), `${field}.name`, c.name, out);
    if (around.names.has(c.name)) out.push(duplicate(`${field}.name`, c.name));
    around.names.add(c.name);
  }
  if (!c.image) out.push(required(`${field}.image`));
  else if (c.image !== c.image.trim() && field.startsWith('spec.containers')) out.push(invalid(`${field}.image`, c.image, 'must not have leading or trailing whitespace'));
  if (c.terminationMessagePolicy !== undefined) oneOf(c.terminationMessagePolicy, ['FallbackToLogsOnError', 'File'], `${field}.terminationMessagePolicy`, out);
  ports(c, `${field}.ports`, around, out);
  environment(c, field, out);
  mounts(c, `${field}.volumeMounts`, around.volumes, out);
  if (c.imagePullPolicy !== undefined) oneOf(c.imagePullPolicy, ['Always', 'IfNotPresent', 'Never'], `${field}.imagePullPolicy`, out);
  resources(c.resources, `${field}.resources`, out);
  security(c.securityContext, `${field}.securityContext`, out);
  const sidecar = kind === 'init' && c.restartPolicy === 'Always';
  if (c.restartPolicy !== undefined) {
    if (kind !== 'init') out.push(forbidden(`${field}.restartPolicy`, kind === 'container' ? 'may not be set for non-init containers' : 'cannot be set for an Ephemeral Container'));
    else if (!sidecar) out.push(unsupported(`${field}.restartPolicy`, c.restartPolicy, ['Always']));
  }
  if (kind === 'init' && !sidecar) {
    for (const name of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']) if (c[name]) out.push(forbidden(`${field}.${name}`, 'may not be set for init containers without restartPolicy=Always'));
    return;
  }
  if (kind === 'ephemeral') return;
  lifecycle(c.lifecycle, `${field}.lifecycle`, out);
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) probe(c[name], `${field}.${name}`, name !== 'readinessProbe', out);
}

function ports(c: Container, field: string, around: Surroundings, out: Faults): void {
  const names = new Set<string>();
  for (const [i, p] of (c.ports ?? []).entries()) {
    const at = `${field}[${i}]`;
    if (p.name) {
      const faults = portNameFaults(p.name);
      each(faults, `${at}.name`, p.name, out);
      if (faults.length === 0 && names.has(p.name)) out.push(duplicate(`${at}.name`, p.name));
      names.add(p.name);
    }
    if (!p.containerPort) out.push(required(`${at}.containerPort`));
    else port(p.containerPort, `${at}.containerPort`, out);
    if (p.hostPort) port(p.hostPort, `${at}.hostPort`, out);
    oneOf(p.protocol ?? 'TCP', PROTOCOLS, `${at}.protocol`, out);
    if (!p.hostPort) continue;
    const taken = `${p.protocol ?? 'TCP'}/${p.hostIP ?? ''}/${p.hostPort}`;
    if (around.hostPorts.has(taken)) out.push(duplicate(`${at}.hostPort`, taken));
    around.hostPorts.add(taken);
    if (around.hostNetwork && p.hostPort !== p.containerPort) out.push(invalid(`${at}.containerPort`, p.containerPort, 'must match `hostPort` when `hostNetwork` is true'));
  }
}

const FIELDS = ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName', 'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs'];
const RESOURCE_FIELDS = ['limits.cpu', 'limits.ephemeral-storage', 'limits.memory', 'requests.cpu', 'requests.ephemeral-storage', 'requests.memory'];

function environment(c: Container, field: string, out: Faults): void {
  for (const [i, e] of (c.env ?? []).entries()) {
    const at = `${field}.env[${i}]`;
    if (!e.name) out.push(required(`${at}.name`));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: printable ASCII without "="
    else if (/[^\x20-\x7e]|=/.test(e.name)) out.push(invalid(`${at}.name`, e.name, "a valid environment variable name must consist only of printable ASCII characters other than '='"));
    if (e.valueFrom) valueFrom(e, `${at}.valueFrom`, out);
  }
  for (const [i, e] of (c.envFrom ?? []).entries()) {
    const at = `${field}.envFrom[${i}]`;
    const given = ['configMapRef', 'secretRef'].filter((name) => e?.[name]);
    for (const name of given) {
      if (!e[name].name) out.push(required(`${at}.${name}.name`));
      else each(subdomainFaults(e[name].name), `${at}.${name}.name`, e[name].name, out);
    }
    if (given.length === 0) out.push(invalid(at, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (given.length > 1) out.push(invalid(at, '', 'may not have more than one field specified at a time'));
  }
}

function valueFrom(e: Json, field: string, out: Faults): void {
  const from = e.valueFrom;
  const given = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef'].filter((name) => from[name]);
  if (from.fieldRef) fieldRef(from.fieldRef, `${field}.fieldRef`, out);
  if (from.resourceFieldRef) {
    const { resource } = from.resourceFieldRef;
    if (!resource) out.push(required(`${field}.resourceFieldRef.resource`));
    else if (!RESOURCE_FIELDS.includes(resource) && !/hugepages-/.test(resource)) out.push(unsupported(`${field}.resourceFieldRef.resource`, resource, RESOURCE_FIELDS));
  }
  for (const name of ['configMapKeyRef', 'secretKeyRef']) {
    const ref = from[name];
    if (!ref) continue;
    if (!ref.name) out.push(required(`${field}.${name}.name`));
    else each(subdomainFaults(ref.name), `${field}.${name}.name`, ref.name, out);
    if (!ref.key) out.push(required(`${field}.${name}.key`));
    else each(configKeyFaults(ref.key), `${field}.${name}.key`, ref.key, out);
  }
  if (given.length === 0) out.push(invalid(field, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`'));
  else if (e.value) out.push(invalid(field, '', 'may not be specified when `value` is not empty'));
  else if (given.length > 1) out.push(invalid(field, '', 'may not have more than one field specified at a time'));
}

function fieldRef(ref: Json, field: string, out: Faults): void {
  if (!ref.fieldPath) {
    out.push(required(`${field}.fieldPath`));
    return;
  }
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(ref.fieldPath);
  if (keyed) {
    each(qualifiedFaults(keyed[1] === 'annotations' ? keyed[2]!.toLowerCase() : keyed[2]!), field, keyed[2], out);
    return;
  }
  if (FIELDS.includes(ref.fieldPath)) return;
  if (/^(metadata\.(labels|annotations)|spec\.host|status\.phase|spec\.restartPolicy|spec\.schedulerName)$/.test(ref.fieldPath)) out.push(unsupported(`${field}.fieldPath`, ref.fieldPath, FIELDS));
  else out.push(invalid(`${field}.fieldPath`, ref.fieldPath, `error converting fieldPath: field label not supported: ${ref.fieldPath}`));
}

function mounts(c: Container, field: string, volumes: ReadonlySet<string>, out: Faults): void {
  const paths = new Set<string>();
  for (const [i, m] of (c.volumeMounts ?? []).entries()) {
    const at = `${field}[${i}]`;
    if (!m.name) out.push(required(`${at}.name`));
    if (!volumes.has(m.name)) out.push(missing(`${at}.name`, m.name ?? ''));
    if (!m.mountPath) out.push(required(`${at}.mountPath`));
    if (paths.has(m.mountPath)) out.push(invalid(`${at}.mountPath`, m.mountPath, 'must be unique'));
    paths.add(m.mountPath);
    for (const name of ['subPath', 'subPathExpr']) {
      const path = (m as Json)[name];
      if (!path) continue;
      if (path.startsWith('/')) out.push(invalid(`${at}.${name}`, path, 'must be a relative path'));
      if (path.split('/').includes('..')) out.push(invalid(`${at}.${name}`, path, "must not contain '..'"));
    }
    if (m.subPath && (m as Json).subPathExpr) out.push(invalid(`${at}.subPathExpr`, (m as Json).subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
    const propagation = (m as Json).mountPropagation;
    if (propagation !== undefined) oneOf(propagation, ['Bidirectional', 'HostToContainer', 'None'], `${at}.mountPropagation`, out);
    if (propagation === 'Bidirectional' && !c.securityContext?.privileged) out.push(forbidden(`${at}.mountPropagation`, 'Bidirectional mount propagation is available only to privileged containers'));
  }
}

const STANDARD = /^(cpu|memory|ephemeral-storage|hugepages-.+)$/;
const NATIVE = /^(cpu|memory|ephemeral-storage|hugepages-.+|storage|pods|services|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|limits\..+|requests\..+)$/;

function resourceName(name: string, field: string, out: Faults): void {
  if (STANDARD.test(name)) return;
  each(qualifiedFaults(name), field, name, out);
  if (name.includes('/')) return;
  if (!NATIVE.test(name)) out.push(invalid(field, name, 'must be a standard resource type or fully qualified'));
  if (!STANDARD.test(name)) out.push(invalid(field, name, 'must be a standard resource for containers'));
}

export function resources(r: Json, field: string, out: Faults): void {
  for (const list of ['limits', 'requests'] as const) {
    for (const [name, value] of Object.entries((r?.[list] ?? {}) as Record<string, string | number>)) {
      const at = `${field}.${list}[${name}]`;
      resourceName(name, at, out);
      if (!isQuantity(value)) continue;
      if (amountOf(name, value) < 0) out.push(invalid(at, canonical(value), 'must be greater than or equal to 0'));
      else if (name.includes('/') && milliOf(value) % 1000 !== 0) out.push(invalid(at, canonical(value), 'must be an integer'));
      if (list === 'limits') continue;
      const limit = r.limits?.[name];
      if (limit !== undefined && amountOf(name, value) > amountOf(name, limit)) out.push(invalid(`${field}.requests`, canonical(value), `must be less than or equal to ${name} limit of ${canonical(limit)}`));
      else if (name.includes('/') && (limit === undefined || canonical(limit) !== canonical(value))) {
        out.push(limit === undefined ? required(`${field}.limits`, 'Limit must be set for non overcommitable resources') : invalid(`${field}.requests`, canonical(value), `must be equal to ${name} limit of ${canonical(limit)}`));
      }
    }
  }
}

function security(context: Json, field: string, out: Faults): void {
  if (!context) return;
  for (const name of ['runAsUser', 'runAsGroup']) within(context[name], 0, 2_147_483_647, `${field}.${name}`, out);
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged) out.push(invalid(field, '', 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    if ((context.capabilities?.add ?? []).includes('CAP_SYS_ADMIN')) out.push(invalid(field, '', 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'));
  }
}

function lifecycle(l: Json, field: string, out: Faults): void {
  for (const name of ['postStart', 'preStop']) if (l?.[name]) handler(l[name], `${field}.${name}`, ['exec', 'httpGet', 'tcpSocket', 'sleep'], out);
}

const KNOWN = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const;

function handler(h: Json, field: string, allowed: readonly string[], out: Faults): void {
  let seen = 0;
  for (const name of KNOWN) {
    if (!allowed.includes(name) || !h[name]) continue;
    if (seen++ > 0) {
      out.push(forbidden(`${field}.${name}`, 'may not specify more than 1 handler type'));
      continue;
    }
    const one = h[name];
    if (name === 'exec' && !one.command?.length) out.push(required(`${field}.exec.command`));
    if (name === 'httpGet') {
      if (!one.path) out.push(required(`${field}.httpGet.path`));
      portOrName(one.port, `${field}.httpGet.port`, out);
      if (one.scheme !== undefined && !['HTTP', 'HTTPS'].includes(one.scheme)) out.push(unsupported(`${field}.httpGet.scheme`, one.scheme, ['HTTP', 'HTTPS']));
      for (const header of one.httpHeaders ?? []) {
        if (!/^[-A-Za-z0-9]+$/.test(header?.name ?? '')) out.push(invalid(`${field}.httpGet.httpHeaders`, header?.name ?? '', "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"));
      }
    }
    if (name === 'tcpSocket') portOrName(one.port, `${field}.tcpSocket.port`, out);
    if (name === 'grpc') port(one.port ?? 0, `${field}.grpc.port`, out);
  }
  if (seen === 0) out.push(required(field, 'must specify a handler type'));
}

export function portOrName(value: Json, field: string, out: Faults): void {
  if (typeof value === 'string') each(portNameFaults(value), field, value, out);
  else port(value ?? 0, field, out);
}

function probe(p: Json, field: string, once: boolean, out: Faults): void {
  if (!p) return;
  handler(p, field, ['exec', 'httpGet', 'tcpSocket', 'grpc'], out);
  for (const name of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold']) atLeastZero(p[name], `${field}.${name}`, out);
  if (once && p.successThreshold !== undefined && p.successThreshold !== 1) out.push(invalid(`${field}.successThreshold`, p.successThreshold, 'must be 1'));
  if (p.terminationGracePeriodSeconds !== undefined) {
    if (!once) out.push(invalid(`${field}.terminationGracePeriodSeconds`, p.terminationGracePeriodSeconds, 'must not be set for readinessProbes'));
    else if (p.terminationGracePeriodSeconds <= 0) out.push(invalid(`${field}.terminationGracePeriodSeconds`, p.terminationGracePeriodSeconds, 'must be greater than 0'));
  }
}
