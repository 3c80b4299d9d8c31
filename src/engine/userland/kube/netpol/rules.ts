/**
 * From NetworkPolicies to rules of one node, pure: a chain a local pod that some policy selects, for each direction; a chain a policy
 * that accepts what it allows; what no policy accepts is refused. Chains are named as kube-router's. Replies pass by connection
 * tracking; so do the node's own packets to its pods, as probes need. Source: NetworkPolicy v1, kube-router pkg/controllers/netpol.
 */
import type { Json, LabelSelector } from '../../../cluster/types/objects.ts';
import { matchesSelector } from '../../../cluster/types/selectors.ts';
import { hexOf } from '../../containers/oci.ts';
import { base32, type Chains, commented, is, type Rule } from '../iptables.ts';

type Way = 'Ingress' | 'Egress';

export interface Cluster {
  policies: readonly Json[];
  pods: readonly Json[];
  namespaces: ReadonlyMap<string, Json>;
  /** The node whose pods are guarded. */
  node: string;
  /** Its own address. */
  address: string;
}

const keyOf = (o: Json): string => `${o.metadata.namespace}/${o.metadata.name}`;
const podChain = (pod: Json): string => `KUBE-POD-FW-${base32(hexOf(`${pod.metadata.uid}`))}`;
const policyChain = (policy: Json, way: Way): string => `KUBE-NWPLCY-${base32(hexOf(`${keyOf(policy)} ${way}`))}`;
const hasIp = (pod: Json): boolean => Boolean(pod.status?.podIP) && !pod.spec.hostNetwork && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed';

/** In which directions a policy isolates: as it says, else ingress, and egress when it has rules for that. */
export function waysOf(policy: Json): Way[] {
  return policy.spec.policyTypes ?? ['Ingress', ...(policy.spec.egress ? ['Egress'] : [])];
}

const selects = (selector: LabelSelector | undefined, labels: Record<string, string> | undefined): boolean => matchesSelector(selector ?? {}, labels ?? {});

export function isSelected(policy: Json, pod: Json): boolean {
  return policy.metadata.namespace === pod.metadata.namespace && selects(policy.spec.podSelector, pod.metadata.labels);
}

/** The pods that a peer of a policy means. */
function podsOf(c: Cluster, policy: Json, peer: Json): Json[] {
  return c.pods.filter((pod) => {
    if (!hasIp(pod)) return false;
    const ns = c.namespaces.get(pod.metadata.namespace);
    const here = peer.namespaceSelector ? selects(peer.namespaceSelector, ns?.metadata.labels) : pod.metadata.namespace === policy.metadata.namespace;
    return here && selects(peer.podSelector, pod.metadata.labels);
  });
}

/** Matches of a rule's ports; a named one is looked up in the pods it leads to. Without any: everything. */
function portMatches(ports: Json[] | undefined, targets: readonly Json[]): Partial<Rule>[] {
  if (!ports || ports.length === 0) return [{}];
  return ports.flatMap((p): Partial<Rule>[] => {
    const proto = String(p.protocol ?? 'TCP').toLowerCase();
    if (p.port === undefined) return [{ proto: is(proto) }];
    if (typeof p.port === 'number') return [{ proto: is(proto), dport: is(p.endPort ? `${p.port}:${p.endPort}` : String(p.port)), modules: [proto] }];
    const numbers = new Set<number>();
    for (const pod of targets) for (const container of pod.spec.containers) for (const port of container.ports ?? []) if (port.name === p.port && String(port.protocol ?? 'TCP').toLowerCase() === proto) numbers.add(port.containerPort);
    return [...numbers].sort((a, b) => a - b).map((n) => ({ proto: is(proto), dport: is(String(n)), modules: [proto] }));
  });
}

const withComment = (rule: Partial<Rule>, comment: string, target: string): Rule => ({ ...rule, comment, modules: ['comment', ...((rule.modules as string[] | undefined) ?? [])], target });

/** The rules of one policy in one direction. `dst` holds for ingress the peers' side as source. */
function policyRules(c: Cluster, policy: Json, way: Way): Rule[] {
  const out: Rule[] = [];
  const peerSide = way === 'Ingress' ? 'src' : 'dst';
  const local = c.pods.filter((pod) => hasIp(pod) && isSelected(policy, pod));
  for (const rule of (way === 'Ingress' ? policy.spec.ingress : policy.spec.egress) ?? []) {
    const peers: Json[] = (way === 'Ingress' ? rule.from : rule.to) ?? [];
    const comment = `rule to ACCEPT traffic ${way === 'Ingress' ? 'to dest' : 'from source'} pods selected by policy name: ${policy.metadata.name} namespace ${policy.metadata.namespace}`;
    if (peers.length === 0) {
      for (const match of portMatches(rule.ports, way === 'Ingress' ? local : c.pods)) out.push(withComment(match, comment, 'ACCEPT'));
      continue;
    }
    for (const peer of peers) {
      if (peer.ipBlock) {
        const ports = portMatches(rule.ports, way === 'Ingress' ? local : []);
        if (!/^\d+\.\d+\.\d+\.\d+\/\d+$/.test(String(peer.ipBlock.cidr))) continue;
        // What is excepted must not return to other rules' ACCEPT by this one only: it goes on to the next rule.
        out.push(...blockRules(peer.ipBlock, peerSide, ports, comment));
        continue;
      }
      const pods = podsOf(c, policy, peer);
      for (const pod of pods) for (const match of portMatches(rule.ports, way === 'Ingress' ? local : [pod])) out.push(withComment({ ...match, [peerSide]: is(`${pod.status.podIP}/32`) }, comment, 'ACCEPT'));
    }
  }
  return out;
}

const toNumber = (ip: string): number => ip.split('.').reduce((n, p) => n * 256 + Number(p), 0);
const toText = (n: number): string => [24, 16, 8, 0].map((s) => Math.floor(n / 2 ** s) % 256).join('.');

/** A block without its exceptions, as the blocks that are left when those are cut out. */
export function without(cidr: string, except: readonly string[]): string[] {
  const [ip = '', bits = '32'] = cidr.split('/');
  const prefix = Number(bits);
  const size = 2 ** (32 - prefix);
  const base = Math.floor(toNumber(ip) / size) * size;
  const inside = except.filter((e) => {
    const [at = '', b = '32'] = e.split('/');
    const s = 2 ** (32 - Number(b));
    const from = Math.floor(toNumber(at) / s) * s;
    return from < base + size && from + s > base;
  });
  if (inside.length === 0) return [`${toText(base)}/${prefix}`];
  const covered = inside.some((e) => {
    const [at = '', b = '32'] = e.split('/');
    const s = 2 ** (32 - Number(b));
    const from = Math.floor(toNumber(at) / s) * s;
    return from <= base && from + s >= base + size;
  });
  if (covered || prefix === 32) return [];
  return [...without(`${toText(base)}/${prefix + 1}`, inside), ...without(`${toText(base + size / 2)}/${prefix + 1}`, inside)];
}

function blockRules(block: Json, side: 'src' | 'dst', ports: readonly Partial<Rule>[], comment: string): Rule[] {
  return without(block.cidr, block.except ?? []).flatMap((cidr) => ports.map((match) => withComment({ ...match, ...(cidr.endsWith('/0') ? {} : { [side]: is(cidr) }) }, comment, 'ACCEPT')));
}

/** All chains of the filter table that this node needs. */
export function policyChains(c: Cluster): Chains {
  const chains: Chains = new Map();
  const forward: Rule[] = [];
  const input: Rule[] = [];
  const output: Rule[] = [];
  const used = new Set<string>();
  for (const pod of [...c.pods].filter((p) => p.spec.nodeName === c.node && hasIp(p)).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
    const mine = c.policies.filter((p) => isSelected(p, pod)).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    if (mine.length === 0) continue;
    const chain = podChain(pod);
    const ip = is(`${pod.status.podIP}/32`);
    const name = `name:${pod.metadata.name} namespace: ${pod.metadata.namespace}`;
    const rules: Rule[] = [
      { ...commented('rule for stateful firewall for pod', 'conntrack'), ctstate: { is: ['RELATED', 'ESTABLISHED'], not: false }, target: 'RETURN' },
      { ...commented('rule to permit the traffic to pods when source is the pod\'s local node', 'addrtype'), srctype: is('LOCAL'), dst: ip, target: 'RETURN' },
    ];
    for (const way of ['Ingress', 'Egress'] as const) {
      const ruling = mine.filter((p) => waysOf(p).includes(way));
      if (ruling.length === 0) continue;
      const side = way === 'Ingress' ? 'dst' : 'src';
      const down = `${chain}-${way === 'Ingress' ? 'I' : 'E'}`;
      const verdict: Rule[] = ruling.map((policy) => {
        used.add(`${keyOf(policy)} ${way}`);
        return { ...commented(`run through nw policy ${policy.metadata.name}`), target: policyChain(policy, way) };
      });
      chains.set(down, [...verdict, { ...commented('rule to mark traffic matching a network policy', 'mark'), mark: is('0x10000/0x10000'), target: 'RETURN' }, { ...commented(`rule to DROP traffic not accepted for POD ${name}`), target: 'DROP' }]);
      rules.push({ [side]: ip, ...commented(`${way.toLowerCase()} of POD ${name}`), target: 'MARK', setmark: `0/${0x10000}` }, { [side]: ip, ...commented(`${way.toLowerCase()} of POD ${name}`), target: down });
    }
    chains.set(chain, rules);
    for (const [list, side, words] of [[forward, 'dst', 'to'], [forward, 'src', 'from'], [output, 'dst', 'to'], [input, 'src', 'from']] as const) {
      list.push({ [side]: ip, ...commented(`rule to jump traffic ${words === 'to' ? 'destined to' : 'from'} POD ${name} to chain ${chain}`), target: chain });
    }
  }
  for (const policy of c.policies) {
    for (const way of waysOf(policy)) {
      if (!used.has(`${keyOf(policy)} ${way}`)) continue;
      chains.set(policyChain(policy, way), policyRules(c, policy, way).flatMap((r) => [{ ...r, target: 'MARK', setmark: `${0x10000}/${0x10000}` }, { ...r, target: 'RETURN' }]));
    }
  }
  chains.set('KUBE-ROUTER-FORWARD', forward);
  chains.set('KUBE-ROUTER-INPUT', input);
  chains.set('KUBE-ROUTER-OUTPUT', output);
  return chains;
}
