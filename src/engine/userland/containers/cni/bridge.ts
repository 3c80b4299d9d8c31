/**
 * The CNI plugins bridge, host-local and loopback. bridge makes the bridge and a veth pair with one end in the namespace, asks
 * host-local for an address, sets it with its routes, and masquerades what leaves for elsewhere. Source:
 * containernetworking/plugins. Left out: VLANs, promiscuous mode, MAC spoofing checks, port mappings.
 */
import { AT_FDCWD, O_CREAT, O_EXCL, O_WRONLY, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt, list, mkdirAll, poke, removeAll, tryRead, writeFile } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { hexOf } from '../oci.ts';
import { CniError, type CniResult, type Invocation, invoke, plugin } from './plugin.ts';

interface Ipam {
  type: string;
  ranges?: { subnet: string; gateway?: string; rangeStart?: string; rangeEnd?: string }[][];
  routes?: { dst: string; gw?: string }[];
  dataDir?: string;
}

const num = (ip: string): number => ip.split('.').reduce((n, part) => n * 256 + Number(part), 0);
const ip = (n: number): string => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');

function subnetOf(cidr: string): { network: number; size: number; prefix: number } {
  const m = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr);
  if (!m) throw new CniError(999, `invalid CIDR address: ${cidr}`);
  const size = 2 ** (32 - Number(m[2]));
  return { network: Math.floor(num(m[1]!) / size) * size, size, prefix: Number(m[2]) };
}

// ---- host-local: one file an address under the network's directory

export const hostLocal = plugin(function* (i) {
  const ipam = i.conf.ipam as Ipam;
  const range = ipam.ranges?.[0]?.[0];
  if (!range) throw new CniError(999, 'no IP ranges specified');
  const dir = `${ipam.dataDir ?? '/var/lib/cni/networks'}/${i.conf.name}`;
  if (i.command === 'DEL') {
    for (const { name } of yield* list(dir)) if ((yield* tryRead(`${dir}/${name}`))?.startsWith(`${i.containerId}\n`)) yield* removeAll(`${dir}/${name}`);
    return null;
  }
  if (i.command !== 'ADD') return null;
  const { network, size, prefix } = subnetOf(range.subnet);
  const gateway = range.gateway ? num(range.gateway) : network + 1;
  const first = range.rangeStart ? num(range.rangeStart) : network + 1;
  const last = range.rangeEnd ? num(range.rangeEnd) : network + size - 2;
  const before = (yield* tryRead(`${dir}/last_reserved_ip.0`))?.trim();
  yield* mkdirAll(dir);
  const count = last - first + 1;
  const start = before ? num(before) + 1 - first : 0;
  for (let k = 0; k < count; k++) {
    const candidate = first + ((start + k) % count);
    if (candidate === gateway || !(yield* reserve(`${dir}/${ip(candidate)}`, `${i.containerId}\n${i.ifname}`))) continue;
    yield* writeFile(`${dir}/last_reserved_ip.0`, ip(candidate));
    return { cniVersion: i.conf.cniVersion, ips: [{ address: `${ip(candidate)}/${prefix}`, gateway: ip(gateway) }], routes: ipam.routes ?? [], dns: {} };
  }
  throw new CniError(999, `failed to allocate for range 0: no IP addresses available in range set: ${ip(first)}-${ip(last)}`);
});

function* reserve(path: string, owner: string): Call<boolean> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0o644), -1, 'EEXIST');
  if (fd < 0) return false;
  yield* writeAll(fd, bytes(owner));
  yield* sys('close', fd);
  return true;
}

export const loopback = plugin(function* (i) {
  const ns = { path: i.netns };
  if (i.command === 'ADD') yield* sys('netlink', { type: 'link.set', ns, name: 'lo', up: true });
  return i.command === 'ADD' ? { cniVersion: i.conf.cniVersion, interfaces: [{ name: 'lo', sandbox: i.netns }], ips: [{ address: '127.0.0.1/8', interface: 0 }], dns: {} } : null;
});

// ---- bridge

export const bridge = plugin(function* (i) {
  const conf = i.conf as Invocation['conf'] & { bridge?: string; isGateway?: boolean; isDefaultGateway?: boolean; ipMasq?: boolean; ipam: Ipam };
  if (i.command === 'ADD') return yield* add(i, conf);
  if (i.command === 'DEL') yield* remove(i, conf);
  return null;
});

type BridgeConf = Parameters<typeof remove>[1];

function* add(i: Invocation, conf: BridgeConf): Call<CniResult> {
  const name = conf.bridge ?? 'cni0';
  const ns = { path: i.netns };
  yield* attempt(sys('netlink', { type: 'link.add', name, kind: 'bridge' }), null, 'EEXIST');
  yield* sys('netlink', { type: 'link.set', name, up: true });
  const host = `veth${hexOf(`${i.containerId} ${i.ifname}`).slice(0, 8)}`;
  yield* sys('netlink', { type: 'link.add', name: host, kind: 'veth', peer: { name: i.ifname, netns: ns } });
  try {
    yield* sys('netlink', { type: 'link.set', name: host, master: name });
    yield* sys('netlink', { type: 'link.set', name: host, up: true });
    const leased = yield* invoke(conf.ipam.type, i);
    const given = leased?.ips?.[0];
    if (!leased || !given) throw new CniError(999, 'IPAM plugin returned missing IP config');
    const [address, prefix] = given.address.split('/') as [string, string];
    yield* sys('netlink', { type: 'addr.add', ns, dev: i.ifname, address, prefix: Number(prefix) });
    yield* sys('netlink', { type: 'link.set', ns, name: i.ifname, up: true });
    if (conf.isGateway || conf.isDefaultGateway) {
      yield* attempt(sys('netlink', { type: 'addr.add', dev: name, address: given.gateway, prefix: Number(prefix) }), null, 'EEXIST');
      yield* attempt(poke('/proc/sys/net/ipv4/ip_forward', '1'), undefined);
    }
    const routes = leased.routes ?? [];
    for (const route of routes) {
      yield* sys('netlink', { type: 'route.add', ns, to: route.dst === '0.0.0.0/0' ? 'default' : route.dst, via: route.gw ?? given.gateway, dev: i.ifname });
    }
    if (conf.ipMasq) yield* masquerade(i, address, given.address);
    return {
      cniVersion: conf.cniVersion, interfaces: [{ name }, { name: host }, { name: i.ifname, sandbox: i.netns }], ips: [{ ...given, interface: 2 }], routes: leased.routes ?? [], dns: {},
    };
  } catch (error) {
    yield* attempt(sys('netlink', { type: 'link.del', name: host }), null);
    if (error instanceof SysError) throw new CniError(999, `failed to set up ${i.ifname}: ${error.message.toLowerCase()}`);
    throw error;
  }
}

const chainOf = (i: Invocation): string => `CNI-${hexOf(`${i.conf.name}${i.containerId}`).slice(0, 24)}`;
const is = (value: string): { is: string; not: boolean } => ({ is: value, not: false });

/** A chain of its own for the container: its subnet is spared, all but multicast is masqueraded. */
function* masquerade(i: Invocation, address: string, cidr: string): Call<void> {
  const chain = chainOf(i);
  const comment = `name: "${i.conf.name}" id: "${i.containerId}"`;
  const { network, prefix } = subnetOf(cidr);
  yield* sys('netlink', { type: 'nf.newchain', table: 'nat', chain });
  yield* sys('netlink', { type: 'nf.append', table: 'nat', chain, rule: { dst: is(`${ip(network)}/${prefix}`), comment, modules: ['comment'], target: 'ACCEPT' } });
  yield* sys('netlink', { type: 'nf.append', table: 'nat', chain, rule: { dst: { is: '224.0.0.0/4', not: true }, comment, modules: ['comment'], target: 'MASQUERADE' } });
  yield* sys('netlink', { type: 'nf.append', table: 'nat', chain: 'POSTROUTING', rule: { src: is(`${address}/32`), comment, modules: ['comment'], target: chain } });
}

function* remove(i: Invocation, conf: Invocation['conf'] & { bridge?: string; isGateway?: boolean; isDefaultGateway?: boolean; ipMasq?: boolean; ipam: Ipam }): Call<void> {
  yield* invoke(conf.ipam.type, i);
  yield* attempt(sys('netlink', { type: 'link.del', ns: { path: i.netns }, name: i.ifname }), null);
  if (!conf.ipMasq) return;
  const chain = chainOf(i);
  const chains = (yield* sys('netlink', { type: 'nf.list', table: 'nat' })) as { name: string; rules: { target: string }[] }[];
  const at = chains.find((c) => c.name === 'POSTROUTING')?.rules.findIndex((r) => r.target === chain) ?? -1;
  if (at >= 0) yield* attempt(sys('netlink', { type: 'nf.delete', table: 'nat', chain: 'POSTROUTING', at: at + 1 }), null);
  yield* attempt(sys('netlink', { type: 'nf.flush', table: 'nat', chain }), null);
  yield* attempt(sys('netlink', { type: 'nf.delchain', table: 'nat', chain }), null);
}
