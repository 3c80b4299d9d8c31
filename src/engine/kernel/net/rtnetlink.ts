/**
 * rtnetlink as one request and its answer: `yield* sys('netlink', { type: 'link.add', … })`. Source: rtnetlink(7).
 *
 *   link.list   {name?}                                              -> LinkInfo[] (in order of index)
 *   link.add    {name?, kind, address?, mtu?, txqlen?, netns?, peer?: {name?, netns?, address?}} -> {index, name}
 *               vlan: {link, id}; macvlan: {link}; vxlan: {id, port?, src?, remote?, link?, ttl?, learning?}
 *   link.set    {name, up?, newName?, mtu?, address?, txqlen?, master?: name | null, netns?, ipv6?: false} -> {}   (ipv6: disable_ipv6)
 *   link.del    {name}                                               -> {}
 *   addr.list   {dev?}                                               -> AddressInfo[]
 *   addr.add    {dev, address: "10.0.0.1", prefix: 24, broadcast?, label?, scope?, noPrefixRoute?} -> {}
 *   addr.del    {dev, address, prefix}                               -> {}
 *   route.list  {table?: name | "all"}                                                  -> Route[] (types.ts)
 *   route.add   {to: "10.0.0.0/8" | "default", via?, dev?, src?, proto?, scope?, metric?, kind?, onlink?} -> {}
 *   route.replace, route.del (same shape)                            -> {}
 *   route.get   {to, from?}                                          -> {type, to, via, dev, src, cached}
 *   neigh.list  {dev?}   neigh.add {address, dev, mac}   neigh.del {address, dev}
 *   maddr.list  {}                                                   -> GroupsInfo[] (rtkinds.ts)
 *   fdb.list    {}                                                   -> {dev, master, mac, own, fixed, dst, via}[]
 *   fdb.add, fdb.del {dev, mac, dst?, append?}                       -> {}
 *   rule.list {} -> PolicyRule[]   rule.add, rule.del {rule, pref?}   qdisc.list {dev?} -> QdiscInfo[]   qdisc.set {dev, kind, how, handle?, spec}   qdisc.del {dev}
 *   nsid.get    {netns}                                              -> number, -1 when it has none here
 *   nsid.set    {netns, id}                                          -> {}
 *   socket.list {}                                                   -> SocketInfo[] (diag.ts)
 *   nf.list     {table}                                              -> Chain[] (netfilter.ts)
 *   nf.append, nf.insert, nf.replace {table, chain, rule, at?}  nf.rename {table, chain, newName}  nf.delete {table, chain, rule | at}  nf.newchain, nf.delchain, nf.flush, nf.zero, nf.policy
 *   ct.list     {}   ct.flush {}   ct.forget {tuple}                                     -> Conn[] (conntrack.ts)
 *   frames      {t?, since?}                                         -> Frame[] of this namespace after the moment (t ns, n since): what a packet socket gets
 *   extack      {}                                                   -> the message that came with this process's last refusal, or ""
 *
 * A namespace is named by {pid} or {fd} (a descriptor of nsfs) or {path}. `ns` in any request, such a name too, acts there
 * (ip -n). Changes need CAP_NET_ADMIN (EPERM). Other errors are the kernel's: EEXIST, ENODEV, EOPNOTSUPP, EINVAL, ESRCH,
 * ENETUNREACH, EADDRNOTAVAIL; `extack` then has its text, if it gives one.
 */
import { SysError } from '../abi.ts';
import { nsCapable } from '../credentials.ts';
import type { Kernel, Task } from '../records.ts';
import type { NetlinkRequest } from '../sys.ts';
import { fileOf } from '../vfs/descriptors.ts';
import { nsFile } from '../vfs/nsfs.ts';
import { lookup } from '../vfs/path.ts';
import { timeOf } from '../wait.ts';
import { forgetConnections } from './conntrack.ts';
import { socketList } from './diag.ts';
import { fieldsFit } from './fields.ts';
import { isMac, parseIp } from './ip.ts';
import { addAddress, addLoopback6, addLink, deleteAddress, deleteLink, disableIpv6, freeName, moveLink, reapNetNamespaces, renameLink, setDown, setMaster, setUp } from './links.ts';
import { stateNow } from './neighbour.ts';
import { linkNamed, Refused } from './refusal.ts';
import { appendRule, deleteChain, deleteRule, flushChain, listTable, newChain, renameChain, setPolicy, zeroTable } from './rules.ts';
import { checkKind, fdbAdd, fdbDel, fdbList, finishKind, groupsList } from './rtkinds.ts';
import { isLinkDown, routeAdd, routeDel, routeGet, sortedRoutes } from './rtroutes.ts';
import { qdiscDel, qdiscList, qdiscSet, ruleAdd, ruleDel, rulesOf } from './rtrules.ts';
import { hasCarrier, linkByIndex, linkByName, netOf, operState, peerOf } from './state.ts';
import type { BridgeTimes, Hop, Link, LinkKind, Neighbour, NetNamespace, Tuple } from './types.ts';
import { frameBytes } from './wire.ts';

export type NsRef = { pid: number } | { fd: number } | { path: string };

export interface LinkInfo {
  index: number;
  name: string;
  kind: LinkKind;
  mac: string;
  mtu: number;
  up: boolean;
  carrier: boolean;
  operstate: string;
  qdisc: string;
  txqlen: number;
  master: string | null;
  /** Index of the other end of a veth, and its name when it is in this namespace. */
  peerIndex: number | null;
  peerName: string | null;
  /** The other end is here and down. */
  peerDown: boolean;
  /** Id of the namespace of the other end when it is another one. */
  peerNsid: number | null;
  addresses: AddressInfo[];
  stats: Link['stats'];
  /** Of a link on another: its index, its name when it is here, and the id of its namespace when it is not. */
  vlan: number | null;
  vxlan: { vni: number; port: number; local: string | null; remote: string; dev: string; ttl: number; learning: boolean } | null;
  alias: string;
  group: number;
  promisc: boolean;
  multicast: boolean;
  arp: boolean;
  portNo: number;
  times: BridgeTimes | null;
}

export interface AddressInfo {
  family: 'inet' | 'inet6';
  address: string;
  prefix: number;
  scope: string;
  broadcast: string | null;
  label: string;
  proto: string;
  tentative: boolean;
  secondary: boolean;
  noPrefixRoute?: boolean;
}

type Ask = (kernel: Kernel, task: Task, ns: NetNamespace, request: NetlinkRequest) => unknown;

export function request(kernel: Kernel, task: Task, asked: NetlinkRequest): unknown {
  const one = Object.hasOwn(REQUESTS, asked.type) ? REQUESTS[asked.type] : undefined;
  if (!one) throw new SysError('EOPNOTSUPP');
  if (!fieldsFit(asked)) throw new SysError('EINVAL');
  const { extack } = netOf(kernel);
  if (asked.type === 'extack') return extack.get(task.tgid) ?? '';
  extack.delete(task.tgid);
  reapNetNamespaces(kernel);
  const ns = asked.ns === undefined ? task.ns.net : namespaceOf(kernel, task, asked.ns as NsRef);
  if (one.changes && !nsCapable(task, task.ns.net.owner, 'net_admin')) throw new SysError('EPERM');
  try {
    return one.ask(kernel, task, ns, asked);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    extack.set(task.tgid, error.text);
    throw new SysError(error.errno);
  }
}

/** Throws ESRCH, EBADF, EINVAL, ENOENT. */
export function namespaceOf(kernel: Kernel, task: Task, ref: NsRef): NetNamespace {
  if ('pid' in ref) {
    const other = task.ns.pid.tasks.get(ref.pid);
    if (!other) throw new SysError('ESRCH');
    return other.ns.net;
  }
  const inode = 'fd' in ref ? fileOf(task, ref.fd).inode : lookup(kernel, task, task.fs.cwd, ref.path).dentry.inode;
  const file = nsFile(inode);
  if (file?.type !== 'net') throw new SysError('EINVAL');
  return file.ns as NetNamespace;
}

function nsidOf(ns: NetNamespace, other: NetNamespace): number {
  for (const [id, one] of ns.nsids) if (one === other) return id;
  let id = 0;
  while (ns.nsids.has(id)) id++;
  ns.nsids.set(id, other);
  return id;
}

function addressInfo(kernel: Kernel, link: Link): AddressInfo[] {
  const now = timeOf(kernel);
  return link.addresses.map(({ tentativeUntil, ...rest }) => ({ ...rest, tentative: tentativeUntil > now }));
}

export function linkInfo(kernel: Kernel, ns: NetNamespace, link: Link): LinkInfo {
  const other = link.lower ?? peerOf(link);
  const here = other !== null && other.ns === ns;
  const { vxlan, alias, group, promisc, multicast, arp, vlan, times } = link;
  return {
    index: link.index, name: link.name, kind: link.kind, mac: link.mac, mtu: link.mtu, up: link.up, carrier: hasCarrier(ns, link),
    operstate: operState(ns, link), qdisc: link.qdisc, txqlen: link.txqlen, master: link.master === null ? null : (linkByIndex(ns, link.master)?.name ?? null),
    peerIndex: other ? other.link.index : null, peerName: here ? other.link.name : null, peerDown: here && !other.link.up,
    peerNsid: other && !here ? nsidOf(ns, other.ns) : null, addresses: addressInfo(kernel, link), stats: { ...link.stats }, vlan, alias, group, promisc, multicast, arp, times: times && { ...times },
    vxlan: vxlan && { vni: vxlan.vni, port: vxlan.port, local: vxlan.local, remote: vxlan.remote, dev: vxlan.dev, ttl: vxlan.ttl, learning: vxlan.learning },
    portNo: link.master === null ? 0 : ns.links.filter((one) => one.master === link.master).indexOf(link) + 1,
  };
}

const KINDS: ReadonlySet<string> = new Set(['veth', 'bridge', 'dummy', 'vlan', 'macvlan', 'vxlan']);

function checkName(name: string): void {
  if (name.length > 15) throw new Refused('ERANGE', 'Attribute failed policy validation.');
  if (name === '' || name === '.' || name === '..' || /[\s/:]/.test(name)) throw new SysError('EINVAL');
}

function macOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (!isMac(String(value))) throw new SysError('EINVAL');
  const mac = String(value).toLowerCase().split(':').map((b) => b.padStart(2, '0')).join(':');
  if (Number.parseInt(mac.slice(0, 2), 16) & 1 || mac === '00:00:00:00:00:00') throw new SysError('EADDRNOTAVAIL');
  return mac;
}

function linkAdd(kernel: Kernel, task: Task, here: NetNamespace, asked: NetlinkRequest): { index: number; name: string } {
  const kind = String(asked.kind);
  if (asked.name !== undefined) checkName(String(asked.name));
  const ns = asked.netns === undefined ? here : namespaceOf(kernel, task, asked.netns as NsRef);
  if (asked.name !== undefined && linkByName(ns, String(asked.name))) throw new SysError('EEXIST');
  if (!KINDS.has(kind)) throw new Refused('EOPNOTSUPP', 'Unknown device type.');
  const mac = macOf(asked.address);
  checkKind(here, kind, asked);
  if (kind === 'veth') return vethAdd(kernel, task, ns, asked, mac);
  const link = addLink(kernel, ns, kind as LinkKind, asked.name === undefined ? freeName(ns, `${kind}%d`) : String(asked.name), mac, asked.index === undefined ? undefined : Number(asked.index));
  if (kind === 'bridge') configure(link, asked.bridge as BridgeTimes | undefined);
  // br_stp_change_bridge_id looks at the ports: without one that is up there is no carrier
  if (kind === 'bridge' && mac !== undefined) link.hadPort = true;
  finishKind(kernel, here, ns, link, asked);
  shape(link, asked);
  return { index: link.index, name: link.name };
}

/** The other end is made first: it takes the lower index and, without a name, the first free one. */
function vethAdd(kernel: Kernel, task: Task, ns: NetNamespace, asked: NetlinkRequest, mac: string | undefined): { index: number; name: string } {
  const peer = (asked.peer ?? {}) as { name?: string; netns?: NsRef; address?: string; mtu?: number; txqlen?: number; up?: boolean };
  const there = peer.netns === undefined ? ns : namespaceOf(kernel, task, peer.netns);
  if (peer.name !== undefined) checkName(peer.name);
  const other = addLink(kernel, there, 'veth', peer.name ?? freeName(there, 'veth%d'), macOf(peer.address));
  const name = asked.name === undefined ? freeName(ns, 'veth%d') : String(asked.name);
  if (linkByName(ns, name)) {
    deleteLink(kernel, there, other);
    throw new SysError('EEXIST');
  }
  const link = addLink(kernel, ns, 'veth', name, mac);
  shape(link, asked);
  shape(other, { ...asked, ...peer, type: asked.type });
  link.peer = { ns: there, index: other.index };
  other.peer = { ns, index: link.index };
  if (peer.up === true) setUp(kernel, there, other);
  return { index: link.index, name };
}

/** What a new link may be given at once. */
function shape(link: Link, asked: NetlinkRequest): void {
  if (asked.mtu !== undefined) link.mtu = Number(asked.mtu);
  if (asked.txqlen !== undefined) link.txqlen = Number(asked.txqlen);
}

const RANGES: Readonly<Record<keyof BridgeTimes, [number, number]>> = { forward_delay: [200, 3000], hello_time: [100, 1000], max_age: [600, 4000], ageing_time: [0, 4294967295], priority: [0, 65535] };

/** Throws ERANGE. */
function configure(link: Link, given: Partial<BridgeTimes> = {}): void {
  for (const [name, value] of Object.entries(given) as [keyof BridgeTimes, number][]) {
    const [low, high] = RANGES[name];
    if (value < low || value > high) throw new SysError('ERANGE');
    link.times![name] = value;
  }
}

function linkSet(kernel: Kernel, task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.name);
  if (asked.netns !== undefined) {
    const to = namespaceOf(kernel, task, asked.netns as NsRef);
    moveLink(kernel, ns, link, to);
    const { netns: _, name: __, ...rest } = asked;
    return Object.keys(rest).length > 1 ? linkSet(kernel, task, to, { ...rest, name: link.name }) : {};
  }
  if (asked.address !== undefined) {
    if (link.kind === 'bridge' && link.mac !== macOf(asked.address)) link.hadPort = true;
    link.mac = macOf(asked.address)!;
    link.macSet = true;
  }
  if (asked.mtu !== undefined) {
    const mtu = Number(asked.mtu);
    if (mtu < 68 && link.kind !== 'loopback' && link.kind !== 'dummy') throw new Refused('EINVAL', 'mtu less than device minimum.');
    if (mtu > (link.kind === 'loopback' ? 4294967295 : 65535)) throw new Refused('EINVAL', 'mtu greater than device maximum.');
    link.mtu = mtu;
  }
  if (asked.bridge !== undefined && link.kind === 'bridge') configure(link, asked.bridge as BridgeTimes);
  if (asked.txqlen !== undefined) link.txqlen = Number(asked.txqlen);
  if (asked.alias !== undefined) link.alias = String(asked.alias);
  if (asked.group !== undefined) link.group = Number(asked.group);
  for (const flag of ['promisc', 'multicast', 'arp'] as const) if (asked[flag] !== undefined) link[flag] = asked[flag] === true;
  if (asked.newName !== undefined) {
    checkName(String(asked.newName));
    renameLink(ns, link, String(asked.newName));
  }
  if (asked.master !== undefined) setMaster(kernel, ns, link, asked.master === null ? null : linkNamed(ns, asked.master));
  if (asked.ipv6 !== undefined) disableIpv6(kernel, ns, link.name, asked.ipv6 === false ? 'yes' : 'no');
  if (asked.up === true) setUp(kernel, ns, link);
  if (asked.up === false) setDown(kernel, ns, link);
  return {};
}

function linkDel(kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.name);
  if (link.kind === 'loopback' || link.kind === 'ether') throw new SysError('EOPNOTSUPP');
  deleteLink(kernel, ns, link);
  return {};
}

function addrAdd(kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.dev);
  const address = String(asked.address);
  const prefix = Number(asked.prefix);
  if (address === '::1' && prefix === 128 && link.kind === 'loopback') {
    if (link.addresses.some((a) => a.address === address)) throw new Refused('EEXIST', 'ipv6: address already assigned');
    addLoopback6(ns, link, asked.noPrefixRoute === true);
    return {};
  }
  if (parseIp(address) === null || !(prefix >= 0 && prefix <= 32)) throw new SysError('EINVAL');
  if (String(asked.label ?? '').length > 15) throw new Refused('ERANGE', 'Attribute failed policy validation.');
  if (link.addresses.some((a) => a.address === address && a.prefix === prefix)) throw new Refused('EEXIST', 'ipv4: Address already assigned.');
  addAddress(kernel, ns, link, {
    address, prefix, broadcast: (asked.broadcast as string | undefined) ?? null, noPrefixRoute: asked.noPrefixRoute === true,
    ...(asked.label === undefined ? {} : { label: String(asked.label) }), ...(asked.scope === undefined ? {} : { scope: asked.scope as 'global' }),
  });
  return {};
}

function addrDel(kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.dev);
  if (!link.addresses.some((a) => a.address === asked.address && a.prefix === asked.prefix)) throw new Refused('EADDRNOTAVAIL', 'ipv4: Address not found.');
  deleteAddress(kernel, ns, link, String(asked.address), Number(asked.prefix));
  return {};
}

function neighList(kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object[] {
  const now = timeOf(kernel);
  return ns.neighbours
    .filter((one) => asked.dev === undefined || one.dev === asked.dev)
    .map(({ pending: _, ...one }) => ({ ...one, state: stateNow({ ...one, pending: [] }, now) }));
}

function neighAdd(kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.dev);
  const address = String(asked.address);
  if (ns.neighbours.some((one) => one.address === address && one.dev === link.name)) throw new SysError('EEXIST');
  const state = String(asked.state ?? 'PERMANENT') as Neighbour['state'];
  ns.neighbours.push({ address, dev: link.name, mac: macOf(asked.mac)!, state, at: timeOf(kernel), probes: 0, pending: [] });
  return {};
}

function neighDel(_kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.dev);
  const at = ns.neighbours.findIndex((one) => one.address === asked.address && one.dev === link.name);
  if (at < 0) throw new SysError('ENOENT');
  ns.neighbours.splice(at, 1);
  return {};
}

export interface Frame {
  t: number;
  n: number;
  link: string;
  index: number;
  way: 'in' | 'out';
  data: Uint8Array;
  /** Of the whole frame; `data` may be shorter. */
  length: number;
}

/** What a packet socket would have seen after a moment (t, n), and up to now. */
function frames(kernel: Kernel, task: Task, ns: NetNamespace, asked: NetlinkRequest): Frame[] {
  if (!nsCapable(task, task.ns.net.owner, 'net_raw')) throw new SysError('EPERM');
  const now = timeOf(kernel);
  const t = Number(asked.t ?? -1);
  const n = Number(asked.since ?? 0);
  const seen = (hop: Hop): boolean => hop.ns === ns.ino && (hop.action === 'in' || hop.action === 'out') && hop.t <= now && (hop.t > t || (hop.t === t && hop.n > n));
  return netOf(kernel).hops.filter(seen).sort((a, b) => a.t - b.t || a.n - b.n).map((hop) => ({
    t: hop.t, n: hop.n, link: hop.link, index: linkByName(ns, hop.link)?.index ?? 0, way: hop.action as 'in', data: frameBytes(hop.what, hop.from, hop.to),
    length: hop.what.length + 14 + (hop.what.vlan === undefined ? 0 : 4),
  }));
}

function nsidGet(kernel: Kernel, task: Task, ns: NetNamespace, asked: NetlinkRequest): number {
  const other = namespaceOf(kernel, task, asked.netns as NsRef);
  for (const [id, one] of ns.nsids) if (one === other) return id;
  return -1;
}

const reads = (ask: Ask): { ask: Ask; changes: boolean } => ({ ask, changes: false });
const changes = (ask: Ask): { ask: Ask; changes: boolean } => ({ ask, changes: true });

const REQUESTS: Readonly<Record<string, { ask: Ask; changes: boolean }>> = {
  'link.list': reads((kernel, _task, ns, { name }) => (name === undefined ? ns.links : [linkNamed(ns, name)]).map((link) => linkInfo(kernel, ns, link))),
  'link.add': changes(linkAdd),
  'link.set': changes(linkSet),
  'link.del': changes(linkDel),
  'addr.list': reads((kernel, _task, ns, { dev }) =>
    (dev === undefined ? ns.links : [linkNamed(ns, dev)]).flatMap((link) => addressInfo(kernel, link).map((one) => ({ ...one, dev: link.name }))),
  ),
  'addr.add': changes(addrAdd),
  'addr.del': changes(addrDel),
  'route.list': reads((_kernel, _task, ns, { table }) => sortedRoutes(ns, table === undefined ? 'main' : String(table)).map((route) => ({ ...route, linkdown: isLinkDown(ns, route) }))),
  'route.add': changes(routeAdd),
  'route.replace': changes(routeAdd),
  'route.del': changes(routeDel),
  'route.get': reads(routeGet),
  'neigh.list': reads(neighList),
  'neigh.add': changes(neighAdd),
  'neigh.del': changes(neighDel),
  'fdb.list': reads(fdbList),
  'maddr.list': reads(groupsList),
  'fdb.add': changes(fdbAdd),
  'fdb.del': changes(fdbDel),
  'rule.list': reads((_kernel, _task, ns) => rulesOf(ns)),
  'rule.add': changes(ruleAdd),
  'rule.del': changes(ruleDel),
  'qdisc.list': reads(qdiscList),
  'qdisc.set': changes(qdiscSet),
  'qdisc.del': changes(qdiscDel),
  'nsid.get': reads(nsidGet),
  'nsid.set': changes((kernel, task, ns, asked) => void ns.nsids.set(Number(asked.id), namespaceOf(kernel, task, asked.netns as NsRef))),
  'socket.list': reads((kernel, task, ns) => socketList(kernel, task, ns)),
  'nf.list': changes((_kernel, _task, ns, { table }) => listTable(ns, String(table))),
  'nf.append': changes((_kernel, _task, ns, asked) => appendRule(ns, asked)),
  'nf.insert': changes((_kernel, _task, ns, asked) => appendRule(ns, asked)),
  'nf.replace': changes((_kernel, _task, ns, asked) => appendRule(ns, asked)),
  'nf.rename': changes((_kernel, _task, ns, asked) => renameChain(ns, asked)),
  'nf.delete': changes((_kernel, _task, ns, asked) => deleteRule(ns, asked)),
  'nf.newchain': changes((_kernel, _task, ns, asked) => newChain(ns, asked)),
  'nf.delchain': changes((_kernel, _task, ns, asked) => deleteChain(ns, asked)),
  'nf.flush': changes((_kernel, _task, ns, asked) => flushChain(ns, asked)),
  'nf.zero': changes((_kernel, _task, ns, asked) => zeroTable(ns, asked)),
  'nf.policy': changes((_kernel, _task, ns, asked) => setPolicy(ns, asked)),
  'ct.list': changes((kernel, _task, ns) => ns.netfilter.connections.all.filter((one) => one.until > timeOf(kernel))),
  'ct.delete': changes((_kernel, _task, ns, { proto, dst, src }) => ({
    gone: forgetConnections(ns.netfilter.connections, (c) => c.orig.proto === proto && (c.orig.dst === dst || c.reply.src === dst) && (src === undefined || c.reply.src === src)),
  })),
  'ct.forget': changes((_kernel, _task, ns, { tuple }) => {
    const { proto, src, dst, sport, dport } = tuple as Tuple;
    return { gone: forgetConnections(ns.netfilter.connections, ({ orig }) => orig.proto === proto && orig.src === src && orig.dst === dst && orig.sport === sport && orig.dport === dport) };
  }),
  'ct.flush': changes((_kernel, _task, ns) => {
    forgetConnections(ns.netfilter.connections, () => true);
    return {};
  }),
  frames: reads(frames),
  extack: reads(() => ''),
};
