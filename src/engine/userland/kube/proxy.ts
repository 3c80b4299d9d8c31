/**
 * kube-proxy in iptables mode: watches Services and Endpoints and keeps the nat table so that a connection to a service's
 * address, or to a node's port, goes to one of its ready pods, each as likely as the others. Source: kubernetes
 * pkg/proxy/iptables/proxier.go 1.32. Left out: session affinity, external addresses and load balancers, health checks,
 * topology, masquerade marks (other sources are masqueraded by the rule of their pod), IPv6.
 */
import type { Json } from '../../cluster/types/objects.ts';
import { SysError } from '../../kernel/abi.ts';
import { type Body, type SockAddr, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { SECOND } from '../../sim/units.ts';
import { hexOf } from '../containers/oci.ts';
import { attempt } from '../lib/files.ts';
import { type Call, open, thread } from '../lib/http.ts';
import { api, serverOf } from './api.ts';

interface Proxy {
  server: SockAddr;
  /** By "namespace/name". */
  services: Map<string, Json>;
  endpoints: Map<string, Json>;
  dirty: boolean;
  /** Rules as last written, as text. */
  written: string;
}

interface Rule {
  [key: string]: unknown;
  target: string;
}

type Chains = Map<string, Rule[]>;

export function* kubeProxy(argv: readonly string[]): Body {
  const at = argv.find((a) => a.startsWith('--kubeconfig='))?.slice(13) ?? '/etc/kubernetes/kubelet.conf';
  const server = yield* serverOf(at);
  if (!server) {
    yield* sys('write', 2, bytes(`kube-proxy: failed to load kubeconfig ${at}: no server in it\n`));
    return 1;
  }
  const p: Proxy = { server, services: new Map(), endpoints: new Map(), dirty: true, written: '' };
  yield* thread(() => follow(p, 'services', p.services));
  yield* thread(() => follow(p, 'endpoints', p.endpoints));
  yield* sys('write', 1, bytes('"Using iptables Proxier"\n'));
  for (;;) {
    if (p.dirty) {
      p.dirty = false;
      yield* sync(p);
    }
    yield* sys('nanosleep', SECOND);
  }
}

const keyOf = (object: Json): string => `${object.metadata.namespace}/${object.metadata.name}`;

/** Keeps a map of all objects of a kind, for ever: a list, then its watch. */
function* follow(p: Proxy, plural: string, into: Map<string, Json>): Body {
  for (;;) {
    const listed = yield* api(p.server, 'GET', `/api/v1/${plural}`);
    if (listed && listed.status < 400) {
      into.clear();
      for (const object of listed.body.items as Json[]) into.set(keyOf(object), object);
      p.dirty = true;
      yield* attempt(watch(p, plural, into, String(listed.body.metadata?.resourceVersion ?? '0')), undefined);
    }
    yield* sys('nanosleep', SECOND);
  }
}

function* watch(p: Proxy, plural: string, into: Map<string, Json>, version: string): Call<void> {
  const stream = yield* open(p.server, { method: 'GET', path: `/api/v1/${plural}?watch=true&resourceVersion=${version}`, headers: { 'User-Agent': 'kube-proxy/v1.32.4' } });
  let rest = '';
  for (let piece = yield* stream.readChunk(); piece !== null; piece = yield* stream.readChunk()) {
    const lines = (rest + text(piece)).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (line === '') continue;
      const { type, object } = JSON.parse(line) as { type: string; object: Json };
      if (type === 'DELETED') into.delete(keyOf(object));
      else if (type === 'ADDED' || type === 'MODIFIED') into.set(keyOf(object), object);
      p.dirty = true;
    }
  }
  yield* stream.close();
}

// ---- rules

const is = (value: string): { is: string; not: boolean } => ({ is: value, not: false });
const chainName = (prefix: string, seed: string): string => `${prefix}-${hexOf(seed).slice(0, 16).toUpperCase()}`;
const commented = (comment: string, ...modules: string[]): { comment: string; modules: string[] } => ({ comment, modules: ['comment', ...modules] });

/** The chains of the nat and filter tables that these services ask for. */
export function chainsFor(services: readonly Json[], endpoints: ReadonlyMap<string, Json>): { nat: Chains; filter: Chains } {
  const nat: Chains = new Map([['KUBE-SERVICES', []], ['KUBE-NODEPORTS', []], ['KUBE-POSTROUTING', []]]);
  const filter: Chains = new Map([['KUBE-SERVICES', []]]);
  const sorted = [...services].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  for (const service of sorted) {
    const { clusterIP, ports = [] } = service.spec ?? {};
    if (!clusterIP || clusterIP === 'None') continue;
    for (const port of ports) addPort(nat, filter, keyOf(service), String(clusterIP), port, endpoints.get(keyOf(service)));
  }
  nat.get('KUBE-SERVICES')!.push({ dsttype: is('LOCAL'), ...commented('kubernetes service nodeports; NOTE: this must be the last rule in this chain', 'addrtype'), target: 'KUBE-NODEPORTS' });
  return { nat, filter };
}

function addPort(nat: Chains, filter: Chains, key: string, clusterIP: string, port: Json, endpoints: Json): void {
  const proto = String(port.protocol ?? 'TCP').toLowerCase();
  const name = port.name ? `${key}:${port.name}` : key;
  const to = { dst: is(`${clusterIP}/32`), proto: is(proto), dport: is(String(port.port)) };
  const targets: string[] = (endpoints?.subsets ?? []).flatMap((s: Json) => {
    const target = (s.ports ?? []).find((q: Json) => (q.name ?? '') === (port.name ?? '')) ?? s.ports?.[0];
    return target ? (s.addresses ?? []).map((a: Json) => `${a.ip}:${target.port}`) : [];
  });
  if (targets.length === 0) {
    filter.get('KUBE-SERVICES')!.push({ ...to, ...commented(`${name} has no endpoints`, proto), target: 'REJECT' });
    return;
  }
  const service = chainName('KUBE-SVC', name + proto);
  nat.get('KUBE-SERVICES')!.push({ ...to, ...commented(`${name} cluster IP`, proto), target: service });
  if (port.nodePort) nat.get('KUBE-NODEPORTS')!.push({ proto: is(proto), dport: is(String(port.nodePort)), ...commented(name, proto), target: service });
  nat.set(service, []);
  for (const [i, target] of targets.entries()) {
    const left = targets.length - i;
    const chain = chainName('KUBE-SEP', name + proto + target);
    const share = left > 1 ? { probability: 1 / left } : {};
    nat.get(service)!.push({ ...commented(`${name} -> ${target}`, ...(left > 1 ? ['statistic'] : [])), ...share, target: chain });
    hairpin(nat, target.split(':')[0]!);
    nat.set(chain, [{ proto: is(proto), ...commented(name, proto), target: 'DNAT', to: target }]);
  }
}

/** A pod that a service sends back to itself must see another source, or it answers itself directly. */
function hairpin(nat: Chains, ip: string): void {
  const rules = nat.get('KUBE-POSTROUTING')!;
  const rule = { src: is(`${ip}/32`), dst: is(`${ip}/32`), ...commented('kubernetes service traffic requiring SNAT'), target: 'MASQUERADE' };
  if (!rules.some((r) => JSON.stringify(r) === JSON.stringify(rule))) rules.push(rule);
}

/** Writes the tables if they differ from what was written last. */
function* sync(p: Proxy): Call<void> {
  const wanted = chainsFor([...p.services.values()], p.endpoints);
  const text = JSON.stringify([[...wanted.nat], [...wanted.filter]]);
  if (text === p.written) return;
  try {
    for (const table of ['nat', 'filter'] as const) yield* write(table, wanted[table]);
    yield* hook();
    p.written = text;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* sys('write', 2, bytes(`"Failed to execute iptables-restore" err="${error.message}"\n`));
    p.dirty = true;
  }
}

const ours = /^KUBE-(SERVICES|NODEPORTS|POSTROUTING|SVC-|SEP-)/;

function* write(table: 'nat' | 'filter', wanted: Chains): Call<void> {
  const there = ((yield* sys('netlink', { type: 'nf.list', table })) as { name: string }[]).map((c) => c.name).filter((n) => ours.test(n));
  for (const chain of wanted.keys()) if (!there.includes(chain)) yield* sys('netlink', { type: 'nf.newchain', table, chain });
  for (const chain of there) yield* sys('netlink', { type: 'nf.flush', table, chain });
  for (const [chain, rules] of wanted) for (const rule of rules) yield* sys('netlink', { type: 'nf.append', table, chain, rule });
  for (const chain of there) if (!wanted.has(chain)) yield* sys('netlink', { type: 'nf.delchain', table, chain });
}

/** The built-in chains lead here, once. */
function* hook(): Call<void> {
  const portals: readonly [string, string, string][] = [
    ['nat', 'PREROUTING', 'KUBE-SERVICES'], ['nat', 'OUTPUT', 'KUBE-SERVICES'], ['nat', 'POSTROUTING', 'KUBE-POSTROUTING'], ['filter', 'FORWARD', 'KUBE-SERVICES'], ['filter', 'OUTPUT', 'KUBE-SERVICES'],
  ];
  for (const [table, chain, target] of portals) {
    const chains = (yield* sys('netlink', { type: 'nf.list', table })) as { name: string; rules: Rule[] }[];
    if (chains.find((c) => c.name === chain)?.rules.some((r) => r.target === target)) continue;
    yield* sys('netlink', { type: 'nf.insert', table, chain, rule: { ...commented(target === 'KUBE-SERVICES' ? 'kubernetes service portals' : 'kubernetes postrouting rules'), target } });
  }
}
