/**
 * kube-proxy in iptables mode: follows Services and their endpoints and keeps the tables so that a connection to a service's
 * address, or to a node's port, goes to one of its ready pods, each as likely as the others. What has changed is written, at most
 * once a second; canaries tell when somebody has taken the chains away. Source: kubernetes cmd/kube-proxy, pkg/proxy/iptables 1.32.
 */
import type { Json } from '../../../cluster/types/objects.ts';
import { SysError } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { SECOND } from '../../../sim/units.ts';
import { attempt, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { serverOf } from '../api.ts';
import { jump, keep, listed, nothingWritten, type Table, type Written } from '../iptables.ts';
import { follow, keyOf, type Watched } from '../watching.ts';
import { endpointsOf, JUMPS, rulesFor } from './rules.ts';

const CANARY = 'KUBE-PROXY-CANARY';
/** iptablesSyncPeriod, s. */
const MONITOR = 30;

const ours = (chain: string): boolean => /^KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|POSTROUTING|FORWARD|PROXY-FIREWALL|MARK-MASQ|PROXY-CANARY|SVC-|SVL-|SEP-|EXT-|FW-)/.test(chain);

interface Proxy {
  services: Watched;
  slices: Watched;
  endpoints: Watched;
  node: { name: string; clusterCidr: string };
  written: Written;
  /** Endpoints of udp ports when last written: "proto address" of service to theirs. */
  udp: Map<string, Set<string>>;
}

export function* kubeProxy(argv: readonly string[]): Body {
  const option = (name: string): string | undefined => argv.find((a) => a.startsWith(`--${name}=`))?.slice(name.length + 3);
  const at = option('kubeconfig') ?? '/etc/kubernetes/kubelet.conf';
  const server = yield* serverOf(at);
  if (!server) {
    yield* sys('write', 2, bytes(`kube-proxy: failed to load kubeconfig ${at}: no server in it\n`));
    return 1;
  }
  yield* attempt(writeFile('/proc/self/oom_score_adj', '-999'), undefined);
  const state = { dirty: true };
  const changed = (): void => {
    state.dirty = true;
  };
  const agent = 'kube-proxy/v1.32.4';
  const p: Proxy = {
    services: yield* follow(server, '/api/v1/services', agent, changed), slices: yield* follow(server, '/apis/discovery.k8s.io/v1/endpointslices', agent, changed), endpoints: yield* follow(server, '/api/v1/endpoints', agent, changed),
    node: { name: option('hostname-override') ?? (yield* sys('uname')).nodename, clusterCidr: option('cluster-cidr') ?? '10.244.0.0/16' }, written: nothingWritten(), udp: new Map(),
  };
  yield* sys('write', 1, bytes('"Using iptables Proxier"\n'));
  yield* attempt(clean(), undefined);
  for (let second = 1; ; second++) {
    if (second % MONITOR === 0 && (yield* canaryGone())) {
      p.written = nothingWritten();
      state.dirty = true;
    }
    if (state.dirty && p.services.synced && p.slices.synced && p.endpoints.synced) {
      state.dirty = !(yield* sync(p));
    }
    yield* sys('nanosleep', SECOND);
  }
}

/** What an earlier run has left is written anew. */
function* clean(): Call<void> {
  for (const table of ['nat', 'filter'] as const) for (const { name } of yield* listed(table)) if (ours(name)) yield* sys('netlink', { type: 'nf.flush', table, chain: name });
}

function* canaryGone(): Call<boolean> {
  for (const table of ['nat', 'filter', 'mangle'] as Table[]) if (!(yield* listed(table)).some((c) => c.name === CANARY)) return true;
  return false;
}

/** Writes what differs; says whether that went well. */
function* sync(p: Proxy): Call<boolean> {
  const services = [...p.services.all.values()];
  const slices = new Map<string, Json[]>();
  for (const s of [...p.slices.all.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
    const name = s.metadata.labels?.['kubernetes.io/service-name'];
    if (name) slices.set(`${s.metadata.namespace}/${name}`, [...(slices.get(`${s.metadata.namespace}/${name}`) ?? []), s]);
  }
  const wanted = rulesFor(services, slices, p.endpoints.all, p.node);
  try {
    yield* keep('filter', wanted.filter, p.written, ours);
    yield* keep('nat', wanted.nat, p.written, ours);
    yield* keep('mangle', new Map([[CANARY, []]]), p.written, ours);
    yield* jump(JUMPS);
    yield* forgetUdp(p, services, slices);
    return true;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* sys('write', 2, bytes(`"Failed to execute iptables-restore" err="${error.message}"\n`));
    p.written = nothingWritten();
    return false;
  }
}

/** Flows over udp know no end: those to an endpoint that is gone are forgotten, else they would go on there. */
function* forgetUdp(p: Proxy, services: readonly Json[], slices: ReadonlyMap<string, Json[]>): Call<void> {
  const now = new Map<string, Set<string>>();
  for (const service of services) {
    for (const port of service.spec?.ports ?? []) {
      if (port.protocol !== 'UDP' || !service.spec.clusterIP || service.spec.clusterIP === 'None') continue;
      const ips = endpointsOf(service, port, slices.get(keyOf(service)) ?? [], p.endpoints.all.get(keyOf(service))).filter((e) => e.ready).map((e) => e.to.split(':')[0]!);
      now.set(service.spec.clusterIP, new Set([...(now.get(service.spec.clusterIP) ?? []), ...ips]));
    }
  }
  for (const [service, before] of p.udp) for (const ip of before) if (!now.get(service)?.has(ip)) yield* sys('netlink', { type: 'ct.delete', proto: 'udp', dst: service, src: ip });
  for (const [service, ips] of now) if (ips.size > 0 && (p.udp.get(service)?.size ?? 0) === 0) yield* sys('netlink', { type: 'ct.delete', proto: 'udp', dst: service });
  p.udp = now;
}
