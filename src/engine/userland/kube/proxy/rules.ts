/**
 * kube-proxy's rules, pure: from Services and their endpoints to chains. Names, order, comments and marks are those of
 * pkg/proxy/iptables/proxier.go 1.32. Left out: load balancers' source ranges and health checks, topology hints, IPv6.
 */
import type { Json } from '../../../cluster/types/objects.ts';
import { hexOf } from '../../containers/oci.ts';
import { base32, type Chains, commented, is, type Jump, not, type Rule } from '../iptables.ts';

/** One endpoint of a port: "address:port", on which node, and whether it may be sent to. */
export interface Endpoint {
  to: string;
  node: string;
  ready: boolean;
  serving: boolean;
  terminating: boolean;
}

export interface ProxyRules {
  nat: Chains;
  filter: Chains;
}

export const MASQ = 'KUBE-MARK-MASQ';
const MARK = 0x4000;

const keyOf = (object: Json): string => `${object.metadata.namespace}/${object.metadata.name}`;
const hashed = (prefix: string, seed: string): string => `${prefix}-${base32(hexOf(seed))}`;

/** Endpoints of a service's port from its slices; without any, from its Endpoints object. */
export function endpointsOf(service: Json, port: Json, slices: readonly Json[], endpoints: Json | undefined): Endpoint[] {
  const out = new Map<string, Endpoint>();
  const named = (ports: Json[] | undefined): Json | undefined => (ports ?? []).find((p) => (p.name ?? '') === (port.name ?? ''));
  for (const slice of slices) {
    const target = named(slice.ports);
    if (!target?.port || slice.addressType === 'IPv6') continue;
    for (const e of (slice.endpoints ?? []) as Json[]) {
      const { ready = true, serving = ready, terminating = false } = e.conditions ?? {};
      for (const ip of e.addresses ?? []) out.set(`${ip}:${target.port}`, { to: `${ip}:${target.port}`, node: e.nodeName ?? '', ready, serving, terminating });
    }
  }
  if (slices.length === 0) {
    for (const s of (endpoints?.subsets ?? []) as Json[]) {
      const target = named(s.ports) ?? ((service.spec.ports ?? []).length === 1 ? s.ports?.[0] : undefined);
      if (target) for (const a of s.addresses ?? []) out.set(`${a.ip}:${target.port}`, { to: `${a.ip}:${target.port}`, node: a.nodeName ?? '', ready: true, serving: true, terminating: false });
    }
  }
  return [...out.values()].sort((a, b) => (a.to < b.to ? -1 : 1));
}

/** Those that are sent to: the ready ones, or else what still serves while it ends. */
function chosen(all: readonly Endpoint[]): Endpoint[] {
  const ready = all.filter((e) => e.ready && !e.terminating);
  return ready.length > 0 ? ready : all.filter((e) => e.serving && e.terminating);
}

/** Marks and forwards that do not depend on services. */
function fixed(): ProxyRules {
  const nat: Chains = new Map<string, Rule[]>([
    ['KUBE-SERVICES', []], ['KUBE-NODEPORTS', []],
    ['KUBE-POSTROUTING', [
      { mark: not('0x4000/0x4000'), modules: ['mark'], target: 'RETURN' }, { target: 'MARK', setmark: `${MARK}/0` },
      { ...commented('kubernetes service traffic requiring SNAT'), target: 'MASQUERADE', natflags: ['random-fully'] },
    ]],
    [MASQ, [{ target: 'MARK', setmark: `${MARK}/${MARK}` }]], ['KUBE-PROXY-CANARY', []],
  ]);
  const filter: Chains = new Map<string, Rule[]>([
    ['KUBE-SERVICES', []], ['KUBE-EXTERNAL-SERVICES', []], ['KUBE-NODEPORTS', []], ['KUBE-PROXY-FIREWALL', []],
    ['KUBE-FORWARD', [
      { ctstate: { is: ['INVALID'], not: false }, modules: ['conntrack'], target: 'DROP' },
      { ...commented('kubernetes forwarding rules', 'mark'), mark: is('0x4000/0x4000'), target: 'ACCEPT' },
      { ...commented('kubernetes forwarding conntrack rule', 'conntrack'), ctstate: { is: ['RELATED', 'ESTABLISHED'], not: false }, target: 'ACCEPT' },
    ]],
    ['KUBE-PROXY-CANARY', []],
  ]);
  return { nat, filter };
}

const fresh = { ctstate: { is: ['NEW'], not: false } };
const portal = (table: 'nat' | 'filter', chain: string, target: string, comment: string): Jump =>
  ({ table, chain, rule: table === 'nat' || target === 'KUBE-FORWARD' || target === 'KUBE-NODEPORTS' ? { ...commented(comment), target } : { ...fresh, comment, modules: ['conntrack', 'comment'], target } });

/** What leads there from the built-in chains, in the order in which it is put in front. */
export const JUMPS: readonly Jump[] = [
  ...['INPUT', 'FORWARD'].map((c) => portal('filter', c, 'KUBE-EXTERNAL-SERVICES', 'kubernetes externally-visible service portals')), portal('filter', 'INPUT', 'KUBE-NODEPORTS', 'kubernetes health check service ports'),
  ...['FORWARD', 'OUTPUT'].map((c) => portal('filter', c, 'KUBE-SERVICES', 'kubernetes service portals')), portal('filter', 'FORWARD', 'KUBE-FORWARD', 'kubernetes forwarding rules'),
  ...['INPUT', 'OUTPUT', 'FORWARD'].map((c) => portal('filter', c, 'KUBE-PROXY-FIREWALL', 'kubernetes load balancer firewall')),
  ...['OUTPUT', 'PREROUTING'].map((c) => portal('nat', c, 'KUBE-SERVICES', 'kubernetes service portals')), portal('nat', 'POSTROUTING', 'KUBE-POSTROUTING', 'kubernetes postrouting rules'),
];

interface Node {
  name: string;
  clusterCidr: string;
}

/** All chains that these services ask for. */
export function rulesFor(services: readonly Json[], slices: ReadonlyMap<string, Json[]>, endpoints: ReadonlyMap<string, Json>, node: Node): ProxyRules {
  const rules = fixed();
  for (const service of [...services].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
    const { clusterIP, ports = [], type } = service.spec ?? {};
    if (!clusterIP || clusterIP === 'None' || type === 'ExternalName') continue;
    for (const port of ports) addPort(rules, service, port, endpointsOf(service, port, slices.get(keyOf(service)) ?? [], endpoints.get(keyOf(service))), node);
  }
  rules.nat.get('KUBE-SERVICES')!.push({ ...commented('kubernetes service nodeports; NOTE: this must be the last rule in this chain', 'addrtype'), dsttype: is('LOCAL'), target: 'KUBE-NODEPORTS' });
  return rules;
}

interface Port {
  /** "default/web:http" */
  name: string;
  proto: string;
  port: number;
  nodePort: number | null;
  /** Addresses from outside, each with what it is called. */
  external: [string, string][];
  clusterIP: string;
  localOnly: { outside: boolean; inside: boolean };
  /** Seconds of affinity; 0 without. */
  sticky: number;
  chains: { service: string; external: string; local: string };
}

function portOf(service: Json, port: Json): Port {
  const { spec, status } = service;
  const proto = String(port.protocol ?? 'TCP').toLowerCase();
  const name = port.name ? `${keyOf(service)}:${port.name}` : keyOf(service);
  const seed = name + proto;
  const ingress: string[] = (status?.loadBalancer?.ingress ?? []).map((i: Json) => i.ip).filter(Boolean);
  return {
    name, proto, port: port.port, nodePort: port.nodePort ?? null, clusterIP: spec.clusterIP,
    external: [...((spec.externalIPs ?? []) as string[]).map((ip): [string, string] => [ip, 'external IP']), ...ingress.map((ip): [string, string] => [ip, 'loadbalancer IP'])],
    localOnly: { outside: spec.externalTrafficPolicy === 'Local', inside: spec.internalTrafficPolicy === 'Local' },
    sticky: spec.sessionAffinity === 'ClientIP' ? Number(spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800) : 0,
    chains: { service: hashed('KUBE-SVC', seed), external: hashed('KUBE-EXT', seed), local: hashed('KUBE-SVL', seed) },
  };
}

function addPort({ nat, filter }: ProxyRules, service: Json, given: Json, all: Endpoint[], node: Node): void {
  const p = portOf(service, given);
  const everywhere = chosen(all);
  const here = chosen(all.filter((e) => e.node === node.name));
  const inside = p.localOnly.inside ? here : everywhere;
  const outside = p.localOnly.outside ? here : everywhere;
  const isOutside = p.nodePort !== null || p.external.length > 0;
  const to = { dst: is(`${p.clusterIP}/32`), proto: is(p.proto), dport: is(String(p.port)) };
  const why = (local: boolean): string => (local && everywhere.length > 0 ? `${p.name} has no local endpoints` : `${p.name} has no endpoints`);
  const end = (local: boolean): Rule => (local && everywhere.length > 0 ? { target: 'DROP' } : { target: 'REJECT', reject: 'icmp-port-unreachable' });
  if (inside.length > 0) nat.get('KUBE-SERVICES')!.push({ ...to, ...commented(`${p.name} cluster IP`, p.proto), target: p.localOnly.inside ? p.chains.local : p.chains.service });
  else filter.get('KUBE-SERVICES')!.push({ ...to, ...commented(why(p.localOnly.inside), p.proto), ...end(p.localOnly.inside) });
  const jumpsOut = outside.length > 0 || (p.localOnly.outside && everywhere.length > 0);
  for (const [ip, word] of p.external) {
    const match = { dst: is(`${ip}/32`), proto: is(p.proto), dport: is(String(p.port)) };
    if (jumpsOut) nat.get('KUBE-SERVICES')!.push({ ...match, ...commented(`${p.name} ${word}`, p.proto), target: p.chains.external });
    if (outside.length === 0) filter.get('KUBE-EXTERNAL-SERVICES')!.push({ ...match, ...commented(why(p.localOnly.outside), p.proto), ...end(p.localOnly.outside) });
  }
  if (p.nodePort !== null) {
    const match = { proto: is(p.proto), dport: is(String(p.nodePort)) };
    if (jumpsOut) nat.get('KUBE-NODEPORTS')!.push({ ...match, ...commented(p.name, p.proto), target: p.chains.external });
    if (outside.length === 0) filter.get('KUBE-EXTERNAL-SERVICES')!.push({ ...match, ...commented(why(p.localOnly.outside), 'addrtype', p.proto), dsttype: is('LOCAL'), ...end(p.localOnly.outside) });
  }
  const needsService = (inside.length > 0 && !p.localOnly.inside) || (isOutside && everywhere.length > 0);
  const needsLocal = here.length > 0 && ((isOutside && p.localOnly.outside) || p.localOnly.inside);
  if (needsService) nat.set(p.chains.service, [{ src: not(node.clusterCidr), ...to, ...commented(`${p.name} cluster IP`, p.proto), target: MASQ }, ...spread(p, everywhere)]);
  if (needsLocal) nat.set(p.chains.local, [...(p.localOnly.inside ? [{ src: not(node.clusterCidr), ...to, ...commented(`${p.name} cluster IP`, p.proto), target: MASQ }] : []), ...spread(p, here)]);
  if (isOutside && jumpsOut) nat.set(p.chains.external, fromOutside(p, node, here.length > 0));
  for (const e of new Set([...(needsService ? everywhere : []), ...(needsLocal ? here : [])])) nat.set(sepOf(p, e), endpointRules(p, e));
}

function fromOutside(p: Port, node: Node, local: boolean): Rule[] {
  if (!p.localOnly.outside) return [{ ...commented(`masquerade traffic for ${p.name} external destinations`), target: MASQ }, { target: p.chains.service }];
  return [
    { src: is(node.clusterCidr), ...commented(`pod traffic for ${p.name} external destinations`), target: p.chains.service },
    { ...commented(`masquerade LOCAL traffic for ${p.name} external destinations`, 'addrtype'), srctype: is('LOCAL'), target: MASQ },
    { ...commented(`route LOCAL traffic for ${p.name} external destinations`, 'addrtype'), srctype: is('LOCAL'), target: p.chains.service }, ...(local ? [{ target: p.chains.local }] : []),
  ];
}

const sepOf = (p: Port, e: Endpoint): string => hashed('KUBE-SEP', p.name + p.proto + e.to);

/** Each endpoint as likely as the others; who has been sent to one stays with it where the service wants that. */
function spread(p: Port, all: readonly Endpoint[]): Rule[] {
  const sticky: Rule[] = p.sticky === 0 ? [] : all.map((e) => ({
    ...commented(`${p.name} -> ${e.to}`, 'recent'), recent: { op: 'rcheck', name: sepOf(p, e), seconds: p.sticky, hits: 0, reap: true, dest: false, not: false }, target: sepOf(p, e),
  }));
  return [...sticky, ...all.map((e, i) => ({
    ...commented(`${p.name} -> ${e.to}`, ...(i < all.length - 1 ? ['statistic'] : [])), ...(i < all.length - 1 ? { probability: Number((1 / (all.length - i)).toFixed(10)) } : {}), target: sepOf(p, e),
  }))];
}

/** A pod that is sent back to itself must see another source; then the destination is changed. */
function endpointRules(p: Port, e: Endpoint): Rule[] {
  const [ip = ''] = e.to.split(':');
  const noted = p.sticky === 0 ? {} : { recent: { op: 'set', name: sepOf(p, e), seconds: 0, hits: 0, reap: false, dest: false, not: false } };
  return [{ src: is(`${ip}/32`), ...commented(p.name), target: MASQ }, { proto: is(p.proto), ...commented(p.name, ...(p.sticky === 0 ? [] : ['recent']), p.proto), ...noted, target: 'DNAT', to: e.to }];
}
