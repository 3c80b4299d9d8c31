/**
 * The CNI plugins bridge and loopback. bridge makes the bridge and a veth pair with one end in the namespace, asks its IPAM plugin
 * for an address, sets it with its routes, and may masquerade what leaves for elsewhere. Source: containernetworking/plugins
 * main/{bridge,loopback}. Left out: VLANs, promiscuous mode, MAC spoofing checks.
 */
import { SysError } from '../../../kernel/abi.ts';
import type { LinkInfo } from '../../../kernel/net/rtnetlink.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, exists, poke } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { hexOf } from '../oci.ts';
import { type Ipam, ip, subnetOf } from './ipam.ts';
import { CniError, type CniResult, type Invocation, invoke, plugin } from './plugin.ts';

/** The link of a name, here or in a namespace; null when there is none. */
function* linkOf(name: string, ns?: { path: string }): Call<LinkInfo | null> {
  return (((yield* attempt(sys('netlink', { type: 'link.list', name, ...(ns ? { ns } : {}) }), null)) as LinkInfo[] | null) ?? [])[0] ?? null;
}

function* checkNetns(i: Invocation): Call<void> {
  if (!(yield* exists(i.netns))) throw new CniError(999, `failed to open netns "${i.netns}": failed to Statfs "${i.netns}": no such file or directory`);
}

export const loopback = plugin('loopback', function* (i) {
  if (i.command === 'DEL') return null;
  yield* checkNetns(i);
  const ns = { path: i.netns };
  if (i.command === 'CHECK') {
    if ((yield* linkOf('lo', ns))?.up) return null;
    throw new CniError(999, 'loopback interface is down');
  }
  yield* sys('netlink', { type: 'link.set', ns, name: 'lo', up: true });
  return { cniVersion: i.conf.cniVersion, interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: i.netns }], ips: [{ interface: 0, address: '127.0.0.1/8' }, { interface: 0, address: '::1/128' }], dns: {} };
});

type BridgeConf = Invocation['conf'] & { bridge?: string; isGateway?: boolean; isDefaultGateway?: boolean; ipMasq?: boolean; mtu?: number; hairpinMode?: boolean; ipam: Ipam; prevResult?: CniResult };

export const bridge = plugin('bridge', function* (i) {
  const conf = i.conf as BridgeConf;
  if (!conf.ipam?.type && i.command === 'ADD') throw new CniError(999, 'not modelled: a bridge without addresses; give ipam.type');
  if (i.command === 'ADD') return yield* add(i, conf);
  if (i.command === 'DEL') yield* remove(i, conf);
  if (i.command === 'CHECK') yield* check(i, conf);
  return null;
});

const nameOf = (conf: BridgeConf): string => conf.bridge ?? 'cni0';
const vethOf = (i: Invocation): string => `veth${hexOf(`${i.containerId} ${i.ifname}`).slice(0, 8)}`;

function* add(i: Invocation, conf: BridgeConf): Call<CniResult> {
  const name = nameOf(conf);
  const ns = { path: i.netns };
  yield* checkNetns(i);
  const there = yield* linkOf(name);
  if (there && there.kind !== 'bridge') throw new CniError(999, `failed to create bridge "${name}": "${name}" already exists but is not a bridge`);
  if (yield* linkOf(i.ifname, ns)) throw new CniError(999, `container veth name provided (${i.ifname}) already exists`);
  if (!there) yield* sys('netlink', { type: 'link.add', name, kind: 'bridge', ...(conf.mtu ? { mtu: conf.mtu } : {}) });
  yield* sys('netlink', { type: 'link.set', name, up: true });
  const host = vethOf(i);
  yield* sys('netlink', { type: 'link.add', name: host, kind: 'veth', ...(conf.mtu ? { mtu: conf.mtu } : {}), peer: { name: i.ifname, netns: ns } });
  try {
    if (conf.mtu) yield* sys('netlink', { type: 'link.set', ns, name: i.ifname, mtu: conf.mtu });
    yield* sys('netlink', { type: 'link.set', name: host, master: name });
    yield* sys('netlink', { type: 'link.set', name: host, up: true });
    return yield* address(i, conf, host);
  } catch (error) {
    yield* attempt(sys('netlink', { type: 'link.del', name: host }), null);
    if (error instanceof SysError) throw new CniError(999, `failed to set up ${i.ifname}: ${error.message.toLowerCase()}`);
    throw error;
  }
}

function* address(i: Invocation, conf: BridgeConf, host: string): Call<CniResult> {
  const name = nameOf(conf);
  const ns = { path: i.netns };
  const leased = yield* invoke(conf.ipam.type, i);
  const given = leased?.ips?.[0];
  if (!leased || !given) throw new CniError(999, 'IPAM plugin returned missing IP config');
  const [own, prefix] = given.address.split('/') as [string, string];
  const gateway = given.gateway ?? ip(subnetOf(given.address).network + 1);
  yield* sys('netlink', { type: 'addr.add', ns, dev: i.ifname, address: own, prefix: Number(prefix) });
  yield* sys('netlink', { type: 'link.set', ns, name: i.ifname, up: true });
  if (conf.isGateway || conf.isDefaultGateway) {
    yield* gatewayAt(name, gateway, Number(prefix));
    yield* attempt(poke('/proc/sys/net/ipv4/ip_forward', '1'), undefined);
  }
  const routes = [...(leased.routes ?? []), ...(conf.isDefaultGateway && !(leased.routes ?? []).some((r) => r.dst === '0.0.0.0/0') ? [{ dst: '0.0.0.0/0', gw: gateway }] : [])];
  for (const route of routes) yield* attempt(sys('netlink', { type: 'route.add', ns, to: route.dst === '0.0.0.0/0' ? 'default' : route.dst, via: route.gw ?? gateway, dev: i.ifname }), null, 'EEXIST');
  if (conf.ipMasq) yield* masquerade(i, own, given.address);
  const mac = function* (link: string, at?: { path: string }): Call<{ mac?: string }> {
    const found = yield* linkOf(link, at);
    return found ? { mac: found.mac } : {};
  };
  return {
    cniVersion: conf.cniVersion, interfaces: [{ name, ...(yield* mac(name)) }, { name: host, ...(yield* mac(host)) }, { name: i.ifname, ...(yield* mac(i.ifname, ns)), sandbox: i.netns }],
    ips: [{ interface: 2, address: given.address, gateway }], routes, dns: (conf.dns as object) ?? {},
  };
}

/** The bridge's own address; and its MAC, set to what it is, or it would change as ports with lower ones come and go. */
function* gatewayAt(name: string, address: string, prefix: number): Call<void> {
  if ((yield* attempt(sys('netlink', { type: 'addr.add', dev: name, address, prefix }), null, 'EEXIST')) === null) return;
  const link = yield* linkOf(name);
  if (link?.mac) yield* sys('netlink', { type: 'link.set', name, address: link.mac });
}

/** Is everything still as ADD left it? */
function* check(i: Invocation, conf: BridgeConf): Call<void> {
  yield* checkNetns(i);
  yield* invoke(conf.ipam.type, i);
  const name = nameOf(conf);
  const there = yield* linkOf(name);
  if (!there) throw new CniError(999, `Interface ${name} does not exist`);
  const veth = conf.prevResult!.interfaces?.find((x) => x.name.startsWith('veth') && !x.sandbox);
  const host = veth ? yield* linkOf(veth.name) : null;
  if (veth && !host) throw new CniError(999, `Error: Host Interface ${veth.name} not found: Link not found`);
  if (host && host.master !== name) throw new CniError(999, `Interface ${veth!.name} is not a port of bridge ${name}`);
  const inner = yield* linkOf(i.ifname, { path: i.netns });
  if (!inner) throw new CniError(999, `Interface ${i.ifname} does not exist in sandbox ${i.netns}`);
  const have = ((yield* sys('netlink', { type: 'link.list', ns: { path: i.netns }, name: i.ifname })) as LinkInfo[])[0]?.addresses ?? [];
  for (const { address: wanted } of conf.prevResult!.ips ?? []) if (!have.some((a) => `${a.address}/${a.prefix}` === wanted)) throw new CniError(999, `Failed to match addr ${wanted} on interface ${i.ifname}`);
}

const chainOf = (i: Invocation): string => `CNI-${hexOf(`${i.conf.name}${i.containerId}`).slice(0, 24)}`;
const is = (value: string): { is: string; not: boolean } => ({ is: value, not: false });

/** A chain of its own for the container: its subnet is spared, all but multicast is masqueraded. */
function* masquerade(i: Invocation, own: string, cidr: string): Call<void> {
  const chain = chainOf(i);
  const comment = `name: "${i.conf.name}" id: "${i.containerId}"`;
  const { network, prefix } = subnetOf(cidr);
  yield* sys('netlink', { type: 'nf.newchain', table: 'nat', chain });
  yield* sys('netlink', { type: 'nf.append', table: 'nat', chain, rule: { dst: is(`${ip(network)}/${prefix}`), comment, modules: ['comment'], target: 'ACCEPT' } });
  yield* sys('netlink', { type: 'nf.append', table: 'nat', chain, rule: { dst: { is: '224.0.0.0/4', not: true }, comment, modules: ['comment'], target: 'MASQUERADE' } });
  yield* sys('netlink', { type: 'nf.append', table: 'nat', chain: 'POSTROUTING', rule: { src: is(`${own}/32`), comment, modules: ['comment'], target: chain } });
}

function* remove(i: Invocation, conf: BridgeConf): Call<void> {
  if (conf.ipam?.type) yield* invoke(conf.ipam.type, i);
  if (i.netns !== '') yield* attempt(sys('netlink', { type: 'link.del', ns: { path: i.netns }, name: i.ifname }), null);
  yield* attempt(sys('netlink', { type: 'link.del', name: vethOf(i) }), null);
  if (!conf.ipMasq) return;
  const chain = chainOf(i);
  const chains = (yield* sys('netlink', { type: 'nf.list', table: 'nat' })) as { name: string; rules: { target: string }[] }[];
  const at = chains.find((c) => c.name === 'POSTROUTING')?.rules.findIndex((r) => r.target === chain) ?? -1;
  if (at >= 0) yield* attempt(sys('netlink', { type: 'nf.delete', table: 'nat', chain: 'POSTROUTING', at: at + 1 }), null);
  yield* attempt(sys('netlink', { type: 'nf.flush', table: 'nat', chain }), null);
  yield* attempt(sys('netlink', { type: 'nf.delchain', table: 'nat', chain }), null);
}
