/** NetworkPolicies, Ingresses, IngressClasses. Source: pkg/apis/networking/validation/validation.go 1.32. */
import type { Json, KubeObject } from '../types/objects.ts';
import { type Faults, forbidden, invalid, invalidAs, port, required, unchanged, unsupported } from './faults.ts';
import { dns1035Faults, each, labelFaults, pathSegmentFaults, portNameFaults, selector, subdomainFaults, wildcardFaults } from './names.ts';

export function networkPolicy(object: KubeObject, out: Faults): void {
  const { spec } = object;
  selector(spec.podSelector, 'spec.podSelector', out);
  for (const [way, peers] of [['ingress', 'from'], ['egress', 'to']] as const) {
    for (const [i, rule] of ((spec[way] ?? []) as Json[]).entries()) {
      const at = `spec.${way}[${i}]`;
      for (const [j, p] of ((rule?.ports ?? []) as Json[]).entries()) policyPort(p ?? {}, `${at}.ports[${j}]`, out);
      for (const [j, peer] of ((rule?.[peers] ?? []) as Json[]).entries()) policyPeer(peer ?? {}, `${at}.${peers}[${j}]`, out);
    }
  }
  const types: string[] = spec.policyTypes ?? [];
  if (types.length > 2) out.push(invalidAs('spec.policyTypes', `[]networking.PolicyType{${types.map((t) => JSON.stringify(t)).join(', ')}}`, 'may not specify more than two policyTypes'));
  else for (const [i, type] of types.entries()) if (!['Ingress', 'Egress'].includes(type)) out.push(unsupported(`spec.policyTypes[${i}]`, type, ['Ingress', 'Egress']));
}

function policyPort(p: Json, field: string, out: Faults): void {
  if (p.protocol !== undefined && !['TCP', 'UDP', 'SCTP'].includes(p.protocol)) out.push(unsupported(`${field}.protocol`, p.protocol, ['TCP', 'UDP', 'SCTP']));
  if (typeof p.port === 'number') {
    port(p.port, `${field}.port`, out);
    if (p.endPort === undefined) return;
    if (p.endPort < p.port) out.push(invalid(`${field}.endPort`, p.endPort, 'must be greater than or equal to `port`'));
    port(p.endPort, `${field}.endPort`, out);
  } else {
    if (p.endPort !== undefined) out.push(invalid(`${field}.endPort`, p.endPort, `may not be specified when \`port\` is ${p.port === undefined ? 'not specified' : 'non-numeric'}`));
    if (p.port !== undefined) each(portNameFaults(p.port), `${field}.port`, p.port, out);
  }
}

function policyPeer(peer: Json, field: string, out: Faults): void {
  const given = ['podSelector', 'namespaceSelector', 'ipBlock'].filter((name) => peer[name]);
  for (const name of given) if (name !== 'ipBlock') selector(peer[name], `${field}.${name}`, out);
  if (peer.ipBlock) ipBlock(peer.ipBlock, `${field}.ipBlock`, out);
  if (given.length === 0) out.push(required(field, 'must specify a peer'));
  else if (given.length > 1 && peer.ipBlock) out.push(forbidden(field, 'may not specify both ipBlock and another peer'));
}

interface Net { bits: bigint; size: number; width: number }

/** "10.0.0.0/8" or a v6 prefix; null when it is neither. */
export function parseCidr(text: string): Net | null {
  const [ip, length, ...rest] = text.split('/');
  if (rest.length > 0 || length === undefined || !/^\d+$/.test(length)) return null;
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(ip!);
  const size = Number(length);
  if (four) {
    const parts = four.slice(1).map(Number);
    return parts.some((p) => p > 255) || size > 32 ? null : { bits: parts.reduce((sum, p) => (sum << 8n) | BigInt(p), 0n), size, width: 32 };
  }
  const [head, tail, more] = ip!.split('::');
  if (!ip!.includes(':') || more !== undefined || size > 128) return null;
  const groups = (part: string | undefined): string[] => (part ? part.split(':') : []);
  const filled = tail === undefined ? groups(head) : [...groups(head), ...Array(Math.max(0, 8 - groups(head).length - groups(tail).length)).fill('0'), ...groups(tail)];
  if (filled.length !== 8 || filled.some((g) => !/^[0-9a-fA-F]{1,4}$/.test(g))) return null;
  return { bits: filled.reduce((sum, g) => (sum << 16n) | BigInt(Number.parseInt(g, 16)), 0n), size, width: 128 };
}

const CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

function ipBlock(block: Json, field: string, out: Faults): void {
  if (!block.cidr) {
    out.push(required(`${field}.cidr`));
    return;
  }
  const net = parseCidr(block.cidr);
  if (!net) {
    out.push(invalid(`${field}.cidr`, block.cidr, CIDR));
    return;
  }
  for (const [i, text] of ((block.except ?? []) as string[]).entries()) {
    const inner = parseCidr(text);
    if (!inner) out.push(invalid(`${field}.except[${i}]`, text, CIDR));
    else if (inner.width !== net.width || net.size >= inner.size || inner.bits >> BigInt(net.width - net.size) !== net.bits >> BigInt(net.width - net.size)) out.push(invalid(`${field}.except[${i}]`, text, 'must be a strict subset of `cidr`'));
  }
}

export function ingress(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  const { spec } = object;
  if (!spec.rules?.length && !spec.defaultBackend) out.push(invalidAs('spec', '[]networking.IngressRule(nil)', 'either `defaultBackend` or `rules` must be specified'));
  if (spec.defaultBackend) backend(spec.defaultBackend, 'spec.defaultBackend', out);
  for (const [i, rule] of ((spec.rules ?? []) as Json[]).entries()) ingressRule(rule ?? {}, `spec.rules[${i}]`, out);
  for (const [i, tls] of ((spec.tls ?? []) as Json[]).entries()) {
    for (const [j, host] of ((tls?.hosts ?? []) as string[]).entries()) each(host.includes('*') ? wildcardFaults(host) : subdomainFaults(host), `spec.tls[${i}].hosts[${j}]`, host, out);
    if (tls?.secretName) each(subdomainFaults(tls.secretName), `spec.tls[${i}].secretName`, tls.secretName, out);
  }
  if (spec.ingressClassName !== undefined) each(subdomainFaults(spec.ingressClassName), 'spec.ingressClassName', spec.ingressClassName, out);
  const annotated = object.metadata.annotations?.['kubernetes.io/ingress.class'];
  if (!old && annotated !== undefined && spec.ingressClassName !== undefined && annotated !== spec.ingressClassName) out.push(invalid('annotations.kubernetes.io/ingress.class', annotated, 'must match `ingressClassName` when both are specified'));
}

const SEQUENCES = ['//', '/./', '/../', '%2f', '%2F'];

function ingressRule(rule: Json, field: string, out: Faults): void {
  if (rule.host) {
    if (/^(\d+\.){3}\d+$/.test(rule.host)) out.push(invalid(`${field}.host`, rule.host, 'must be a DNS name, not an IP address'));
    each(rule.host.includes('*') ? wildcardFaults(rule.host) : subdomainFaults(rule.host), `${field}.host`, rule.host, out);
  }
  if (!rule.http) return;
  if (!rule.http.paths?.length) out.push(required(`${field}.http.paths`));
  for (const [i, path] of ((rule.http.paths ?? []) as Json[]).entries()) {
    const at = `${field}.http.paths[${i}]`;
    if (path?.pathType === undefined) {
      out.push(required(`${at}.pathType`, 'pathType must be specified'));
      continue;
    }
    const text: string = path.path ?? '';
    if (path.pathType === 'Exact' || path.pathType === 'Prefix') {
      if (!text.startsWith('/')) out.push(invalid(`${at}.path`, text, 'must be an absolute path'));
      for (const s of SEQUENCES) if (text.includes(s)) out.push(invalid(`${at}.path`, text, `must not contain '${s}'`));
      for (const s of ['/..', '/.']) if (text.endsWith(s)) out.push(invalid(`${at}.path`, text, `cannot end with '${s}'`));
    } else if (path.pathType === 'ImplementationSpecific') {
      if (text !== '' && !text.startsWith('/')) out.push(invalid(`${at}.path`, text, 'must be an absolute path'));
    } else out.push(unsupported(`${at}.pathType`, path.pathType, ['Exact', 'ImplementationSpecific', 'Prefix']));
    backend(path.backend ?? {}, `${at}.backend`, out);
  }
}

function typed(ref: Json, field: string, out: Faults): void {
  if (ref.apiGroup !== undefined) each(subdomainFaults(ref.apiGroup), `${field}.apiGroup`, ref.apiGroup, out);
  for (const name of ['kind', 'name']) {
    if (!ref[name]) out.push(required(`${field}.${name}`));
    else each(pathSegmentFaults(ref[name]), `${field}.${name}`, ref[name], out);
  }
}

function backend(b: Json, field: string, out: Faults): void {
  if (b.resource && b.service) out.push(invalid(field, '', 'cannot set both resource and service backends'));
  else if (b.resource) typed(b.resource, `${field}.resource`, out);
  else if (b.service) {
    if (!b.service.name) out.push(required(`${field}.service.name`));
    else each(dns1035Faults(b.service.name), `${field}.service.name`, b.service.name, out);
    const { name, number } = b.service.port ?? {};
    if (name && number) out.push(invalid(field, '', 'cannot set both port name & port number'));
    else if (name) each(portNameFaults(name), `${field}.service.port.name`, name, out);
    else if (number) port(number, `${field}.service.port.number`, out);
    else out.push(required(field, 'port name or number is required'));
  } else out.push(invalid(field, '', 'resource or service backend is required'));
}

export function ingressClass(object: KubeObject, old: KubeObject | undefined, out: Faults): void {
  const { controller, parameters } = object.spec ?? {};
  if (!controller) out.push(required('spec.controller'));
  else {
    const [host, ...rest] = controller.split('/');
    const path = rest.join('/');
    if (!host || path === '') out.push(invalid('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")'));
    else each(subdomainFaults(host), 'spec.controller', host, out);
  }
  if (parameters) {
    typed(parameters, 'spec.parameters', out);
    if (!['Cluster', 'Namespace'].includes(parameters.scope)) out.push(unsupported('spec.parameters.scope', parameters.scope, ['Cluster', 'Namespace']));
    else if (parameters.scope === 'Namespace') {
      if (parameters.namespace === undefined) out.push(required('spec.parameters.namespace', "`parameters.scope` is set to 'Namespace'"));
      else each(labelFaults(parameters.namespace), 'spec.parameters.namespace', parameters.namespace, out);
    } else if (parameters.namespace !== undefined) out.push(forbidden('spec.parameters.namespace', "`parameters.scope` is set to 'Cluster'"));
  }
  if (old) unchanged(controller, old.spec?.controller, 'spec.controller', out);
}
