/** Making links that stand on others: VLANs, macvlans, VXLANs; and the static entries of forwarding tables. Source: ip-link(8), bridge(8), drivers/net/vxlan's refusals. */
import { SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { NetlinkRequest } from '../sys.ts';
import { timeOf } from '../wait.ts';
import { parseIp } from './ip.ts';
import { linkNamed, Refused } from './refusal.ts';
import { linkByIndex, linkByName } from './state.ts';
import type { Link, NetNamespace } from './types.ts';
import { OVERHEAD, ZERO } from './vxlan.ts';

/** Checks what a kind needs before the link is made. `here` is where the request was sent: what the link stands on is there. */
export function checkKind(here: NetNamespace, kind: string, asked: NetlinkRequest): void {
  if (kind === 'vlan' || kind === 'macvlan') {
    if (asked.link === undefined) throw kind === 'vlan' ? new Refused('EINVAL', '8021q: link not specified.') : new SysError('EINVAL');
    const lower = linkNamed(here, asked.link);
    if (kind === 'vlan') {
      const id = Number(asked.id);
      if (asked.id === undefined) throw new Refused('EINVAL', '8021q: VLAN properties not specified.');
      if (id >= 4095) throw new Refused('ERANGE', '8021q: Invalid VLAN id.');
      if (lower.kind === 'loopback') throw new Refused('EOPNOTSUPP', '8021q: VLANs not supported on device.');
      if (lower.uppers.some(({ link }) => link.kind === 'vlan' && link.vlan === id)) throw new Refused('EEXIST', '8021q: VLAN device already exists.');
    }
    if (kind === 'macvlan' && lower.kind === 'loopback') throw new SysError('EINVAL');
  }
  if (kind !== 'vxlan') return;
  if (asked.id === undefined) throw new Refused('EINVAL', 'Required attributes not provided to perform the operation.');
  const port = portOf(asked);
  for (const { link } of here.tunnels) if (link.vxlan!.vni === Number(asked.id) && link.vxlan!.port === port) throw new Refused('EEXIST', 'A VXLAN device with the specified VNI already exists.');
}

const portOf = (asked: NetlinkRequest): number => Number(asked.port ?? 8472) || 8472;

/** Ties a new link to what it stands on. */
export function finishKind(kernel: Kernel, here: NetNamespace, ns: NetNamespace, link: Link, asked: NetlinkRequest): void {
  if (link.kind === 'vlan' || link.kind === 'macvlan') {
    const lower = linkNamed(here, asked.link);
    link.lower = { ns: here, link: lower };
    lower.uppers.push({ ns, link });
    link.mtu = lower.mtu;
    if (link.kind === 'vlan') {
      link.vlan = Number(asked.id);
      link.arp = lower.arp;
      link.multicast = lower.multicast && lower.kind !== 'dummy';
      if (asked.address === undefined) link.mac = lower.mac;
    }
    return;
  }
  if (link.kind !== 'vxlan') return;
  const dev = asked.link === undefined ? '' : linkNamed(here, asked.link).name;
  link.vxlan = {
    vni: Number(asked.id), port: portOf(asked), local: asked.src === undefined ? null : String(asked.src), remote: asked.remote === undefined ? '' : String(asked.remote), dev, ttl: Number(asked.ttl ?? 0),
    learning: asked.learning !== false, fdb: new Map(), under: here,
  };
  if (link.vxlan.remote !== '') link.vxlan.fdb.set(ZERO, [{ dst: link.vxlan.remote, at: timeOf(kernel), fixed: true }]);
  if (dev !== '') link.mtu = linkByName(here, dev)!.mtu - OVERHEAD;
  here.tunnels.push({ ns, link });
}

// ---- forwarding tables

export function fdbList(_kernel: Kernel, _task: Task, ns: NetNamespace): object[] {
  const rows: object[] = [];
  for (const link of ns.links) {
    const bridge = link.master === null ? undefined : linkByIndex(ns, link.master);
    if (bridge?.fdb) {
      const seen = [...bridge.fdb].filter(([, { port }]) => port === link.index);
      rows.push({ dev: link.name, master: bridge.name, mac: link.mac, own: true, fixed: true, dst: '', via: '' });
      for (const [mac, { fixed }] of seen) rows.push({ dev: link.name, master: bridge.name, mac, own: false, fixed, dst: '', via: '' });
    }
    for (const mac of groupsOf(ns, link)) rows.push({ dev: link.name, master: '', mac, own: true, fixed: true, dst: '', via: '' });
    const all = [...(link.vxlan?.fdb ?? [])].sort(([a], [b]) => (a === ZERO ? 1 : 0) - (b === ZERO ? 1 : 0));
    for (const [mac, entries] of all) {
      for (const { dst, fixed } of entries) rows.push({ dev: link.name, master: '', mac, own: fixed, fixed, dst, via: mac === ZERO && dst === link.vxlan!.remote ? link.vxlan!.dev : '' });
    }
  }
  return rows;
}

/** The multicast addresses that a link listens to: all nodes of IPv6; of one that is up all hosts of IPv4, and the solicited nodes of its IPv6 addresses. */
export function groupsOf(ns: NetNamespace, link: Link): string[] {
  // vxlan lists its own table instead
  if (link.kind === 'loopback' || link.vxlan) return [];
  const out = ns.ipv6Disabled.has(link.name) || ns.ipv6Disabled.has('all') ? [] : ['33:33:00:00:00:01'];
  if (!link.up) return out;
  out.push('01:00:5e:00:00:01');
  for (const { family, address } of link.addresses) {
    if (family !== 'inet6') continue;
    const [a, b] = address.split(':').slice(-2).map((part) => part.padStart(4, '0'));
    const mac = `33:33:ff:${a!.slice(2)}:${b!.slice(0, 2)}:${b!.slice(2)}`;
    if (!out.includes(mac)) out.push(mac);
  }
  return out;
}

export interface GroupsInfo {
  index: number;
  dev: string;
  link: string[];
  inet: string[];
  inet6: string[];
}

/** The groups that each link listens to, newest first; IPv6's of a link that is not up too. */
export function groupsList(_kernel: Kernel, _task: Task, ns: NetNamespace): GroupsInfo[] {
  return ns.links.map((link) => {
    const without6 = ns.ipv6Disabled.has(link.name) || ns.ipv6Disabled.has('all');
    const link6 = link.addresses.filter(({ family, address }) => family === 'inet6' && address !== '::1').map(({ address }) => {
      const [a, b] = address.split(':').slice(-2).map((part) => part.padStart(4, '0'));
      return `ff02::1:ff${a!.slice(2)}:${b!.replace(/^0{1,3}/, '')}`;
    });
    return { index: link.index, dev: link.name, link: groupsOf(ns, link), inet: link.up ? ['224.0.0.1'] : [], inet6: without6 ? [] : [...new Set(link6), 'ff02::1', 'ff01::1'] };
  });
}

/** {dev, mac, dst?, append?, master?}. Throws EEXIST, EOPNOTSUPP, EINVAL. */
export function fdbAdd(kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.dev);
  const mac = String(asked.mac).toLowerCase();
  if (link.vxlan) {
    const dst = String(asked.dst ?? '');
    if (parseIp(dst) === null) throw new SysError('EINVAL');
    const known = link.vxlan.fdb.get(mac) ?? [];
    if (known.some((one) => one.dst === dst) || (known.length > 0 && asked.append !== true)) throw new SysError('EEXIST');
    link.vxlan.fdb.set(mac, [...known, { dst, at: timeOf(kernel), fixed: true }]);
    return {};
  }
  const bridge = link.master === null ? null : linkByIndex(ns, link.master);
  if (!bridge?.fdb) throw new SysError('EOPNOTSUPP');
  if (bridge.fdb.get(mac)?.fixed) throw new SysError('EEXIST');
  bridge.fdb.set(mac, { port: link.index, at: timeOf(kernel), fixed: true });
  return {};
}

/** Throws ENOENT. */
export function fdbDel(_kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.dev);
  const mac = String(asked.mac).toLowerCase();
  if (link.vxlan) {
    const known = link.vxlan.fdb.get(mac) ?? [];
    const left = asked.dst === undefined ? [] : known.filter((one) => one.dst !== asked.dst);
    if (left.length === known.length) throw new SysError('ENOENT');
    if (left.length > 0) link.vxlan.fdb.set(mac, left);
    else link.vxlan.fdb.delete(mac);
    return {};
  }
  const bridge = link.master === null ? null : linkByIndex(ns, link.master);
  if (bridge?.fdb?.get(mac)?.port !== link.index) throw new SysError('ENOENT');
  bridge.fdb.delete(mac);
  return {};
}
