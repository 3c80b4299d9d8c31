/**
 * What the plugin kubernetes of CoreDNS answers in its zones, pure: services, headless ones, their named ports, pods, and addresses the
 * other way round. Source: Kubernetes DNS-Based Service Discovery 1.1; coredns plugin/kubernetes 1.11.
 */
import type { Json } from '../../../cluster/types/objects.ts';
import { address, authority, CODE, pointer, type Question, type Record, type Reply, service as srv, text, TYPE } from './message.ts';

export interface Source {
  services: ReadonlyMap<string, Json>;
  /** Slices by "namespace/service". */
  slices: ReadonlyMap<string, readonly Json[]>;
  namespaces: ReadonlyMap<string, Json>;
  /** For `pods verified`. */
  pods: ReadonlyMap<string, Json> | null;
}

export interface Zone {
  /** "cluster.local." */
  name: string;
  ttl: number;
  pods: 'disabled' | 'insecure' | 'verified';
  serial: number;
}

interface Target {
  ip: string;
  /** "web-0" or the address with dashes. */
  host: string;
  ports: { name: string; protocol: string; port: number }[];
}

const none = (zone: Zone, code: number): Reply => ({ code, authoritative: true, answers: [], authority: [authority(zone.name, zone.serial, zone.ttl)], additional: [] });
const found = (answers: Record[], additional: Record[] = []): Reply => ({ code: CODE.NOERROR, authoritative: true, answers, authority: [], additional });

/** The ready endpoints of a headless service, or all where it publishes those too. */
function targetsOf(source: Source, key: string, all: boolean): Target[] {
  const out: Target[] = [];
  for (const slice of source.slices.get(key) ?? []) {
    for (const e of (slice.endpoints ?? []) as Json[]) {
      if (!all && e.conditions?.ready === false) continue;
      for (const ip of e.addresses ?? []) out.push({ ip, host: e.hostname || ip.replace(/\./g, '-'), ports: (slice.ports ?? []).map((p: Json) => ({ name: p.name ?? '', protocol: String(p.protocol ?? 'TCP').toLowerCase(), port: p.port })) });
    }
  }
  return out;
}

/** The answer to a question whose name lies in the zone. */
export function answer(zone: Zone, source: Source, q: Question): Reply {
  if (q.name === zone.name) return q.type === TYPE.SOA ? found([authority(zone.name, zone.serial, zone.ttl)]) : q.type === TYPE.NS ? found([pointer(q.name, `ns.dns.${zone.name}`, zone.ttl, TYPE.NS)]) : none(zone, CODE.NOERROR);
  const words = q.name.slice(0, -zone.name.length - 1).split('.');
  if (q.name === `dns-version.${zone.name}`) return q.type === TYPE.TXT ? found([text(q.name, '1.1.0', zone.ttl)]) : none(zone, CODE.NOERROR);
  if (q.name === `ns.dns.${zone.name}`) {
    const dns = source.services.get('kube-system/kube-dns')?.spec?.clusterIP;
    return q.type === TYPE.A && dns ? found([address(q.name, dns, zone.ttl)]) : none(zone, CODE.NOERROR);
  }
  const kind = words.at(-1);
  if (kind === 'pod') return podAnswer(zone, source, q, words);
  if (kind !== 'svc') return none(zone, CODE.NXDOMAIN);
  if (words.length === 1) return none(zone, CODE.NOERROR);
  const namespace = words.at(-2)!;
  if (!source.namespaces.has(namespace)) return none(zone, CODE.NXDOMAIN);
  if (words.length === 2) return none(zone, CODE.NOERROR);
  const service = source.services.get(`${namespace}/${words.at(-3)}`);
  return service ? serviceAnswer(zone, source, q, service, words.slice(0, -3)) : none(zone, CODE.NXDOMAIN);
}

/** `10-244-1-5.default.pod`: the address that the name says; with `verified` only when such a pod is. */
function podAnswer(zone: Zone, source: Source, q: Question, words: readonly string[]): Reply {
  if (zone.pods === 'disabled' || words.length > 3) return none(zone, CODE.NXDOMAIN);
  const namespace = words.at(-2);
  if (words.length < 3) return words.length === 1 || source.namespaces.has(namespace!) ? none(zone, CODE.NOERROR) : none(zone, CODE.NXDOMAIN);
  const ip = words[0]!.replace(/-/g, '.');
  const good = /^\d{1,3}(\.\d{1,3}){3}$/.test(ip) && source.namespaces.has(namespace!);
  const known = zone.pods === 'insecure' || [...(source.pods?.values() ?? [])].some((p) => p.status?.podIP === ip && p.metadata.namespace === namespace);
  if (!good || !known) return none(zone, CODE.NXDOMAIN);
  return q.type === TYPE.A ? found([address(q.name, ip, zone.ttl)]) : none(zone, CODE.NOERROR);
}

function serviceAnswer(zone: Zone, source: Source, q: Question, service: Json, left: readonly string[]): Reply {
  const { spec, metadata } = service;
  const base = `${metadata.name}.${metadata.namespace}.svc.${zone.name}`;
  if (spec.type === 'ExternalName') return left.length > 0 ? none(zone, CODE.NXDOMAIN) : found([pointer(q.name, `${String(spec.externalName).replace(/\.$/, '')}.`, zone.ttl, TYPE.CNAME)]);
  const headless = spec.clusterIP === 'None' || !spec.clusterIP;
  const targets: Target[] = headless
    ? targetsOf(source, `${metadata.namespace}/${metadata.name}`, spec.publishNotReadyAddresses === true)
    : [{ ip: spec.clusterIP, host: '', ports: (spec.ports ?? []).map((p: Json) => ({ name: p.name ?? '', protocol: String(p.protocol ?? 'TCP').toLowerCase(), port: p.port })) }];
  if (left.length === 2 && left[0]!.startsWith('_') && left[1]!.startsWith('_')) return portAnswer(zone, q, base, targets, left[0]!.slice(1), left[1]!.slice(1));
  if (left.length > 1) return none(zone, CODE.NXDOMAIN);
  const chosen = left.length === 0 ? targets : targets.filter((t) => t.host === left[0] && headless);
  if (chosen.length === 0) return none(zone, left.length === 0 && !headless ? CODE.NOERROR : CODE.NXDOMAIN);
  if (q.type === TYPE.A || q.type === TYPE.ANY) return found(chosen.map((t) => address(q.name, t.ip, zone.ttl)));
  if (q.type === TYPE.SRV) return found(...records(zone, q, base, chosen, () => true));
  return none(zone, CODE.NOERROR);
}

/** SRV records with the addresses of what they name. */
function records(zone: Zone, q: Question, base: string, targets: readonly Target[], wanted: (port: Target['ports'][number]) => boolean): [Record[], Record[]] {
  const all = targets.flatMap((t) => t.ports.filter(wanted).map((p) => ({ host: t.host === '' ? base : `${t.host}.${base}`, port: p.port, ip: t.ip })));
  const weight = Math.max(1, Math.floor(100 / Math.max(1, all.length)));
  return [all.map((x) => srv(q.name, weight, x.port, x.host, zone.ttl)), [...new Map(all.map((x) => [x.host, address(x.host, x.ip, zone.ttl)])).values()]];
}

function portAnswer(zone: Zone, q: Question, base: string, targets: readonly Target[], name: string, protocol: string): Reply {
  const wanted = (p: Target['ports'][number]): boolean => p.name === name && p.protocol === protocol;
  if (!targets.some((t) => t.ports.some(wanted))) return none(zone, CODE.NXDOMAIN);
  if (q.type === TYPE.SRV) return found(...records(zone, q, base, targets, wanted));
  return q.type === TYPE.A ? found(targets.filter((t) => t.ports.some(wanted)).map((t) => address(q.name, t.ip, zone.ttl))) : none(zone, CODE.NOERROR);
}

/** The names of an address: of a service, or of an endpoint of headless ones. null when nobody here has it. */
export function reverse(zone: Zone, source: Source, q: Question): Reply | null {
  const ip = q.name.replace(/\.in-addr\.arpa\.$/, '').split('.').reverse().join('.');
  const names: string[] = [];
  for (const s of source.services.values()) if (s.spec?.clusterIP === ip) names.push(`${s.metadata.name}.${s.metadata.namespace}.svc.${zone.name}`);
  if (names.length === 0) {
    for (const [key, slices] of source.slices) {
      const [namespace, name] = key.split('/');
      for (const slice of slices) for (const e of (slice.endpoints ?? []) as Json[]) if ((e.addresses ?? []).includes(ip)) names.push(`${e.hostname || ip.replace(/\./g, '-')}.${name}.${namespace}.svc.${zone.name}`);
    }
  }
  if (names.length === 0) return null;
  return q.type === TYPE.PTR ? found([...new Set(names)].map((n) => pointer(q.name, n, zone.ttl))) : none(zone, CODE.NOERROR);
}
