/**
 * The network as it stands: one row a thing, told apart by `kind`: namespaces, their devices with addresses and what they are
 * joined to, routes, neighbours, listening sockets, and ports that DNAT rules publish.
 */
import type { NetworkRow } from '../../bridge/rows.ts';
import type { Rule } from '../kernel/net/netfilter.ts';
import { sortedRoutes } from '../kernel/net/rtroutes.ts';
import { stateNow } from '../kernel/net/neighbour.ts';
import { linkByIndex, netOf, operState, peerOf } from '../kernel/net/state.ts';
import type { Link, NetNamespace, Socket } from '../kernel/net/types.ts';
import type { Kernel } from '../kernel/records.ts';
import { nsFile } from '../kernel/vfs/nsfs.ts';
import { containerFiles } from './containers.ts';
import { columns, kernelsOf, type View } from './view.ts';

export const network: View = {
  doc: 'The network as it stands: namespaces, devices, routes, neighbours, listening sockets, published ports.',
  arg: 'host?, ns?, kind?',
  columns: columns(`
    host: machine
    kind: namespace, device, route, neighbour, socket or published
    ns [count]: inode of the network namespace
    nsName: the container, named namespace or process that it belongs to; "host" for the machine's own
    container: id of the container, or empty
    name: of a namespace its name, of a device its name, of a route its destination, of a neighbour its address, of a socket "tcp 0.0.0.0:80", of a published port "tcp 8080"
    dev: device of a route or neighbour; of a device its kind (loopback, ether, veth, bridge, dummy, vxlan, vlan, macvlan)
    address: of a device its addresses with prefixes, of a route its gateway, of a neighbour its MAC, of a published port where it leads
    mac: of a device
    mtu [bytes]: of a device
    up: of a device: set up; of others true
    state: of a device its operational state (UP, DOWN, UNKNOWN, LOWERLAYERDOWN), of a neighbour REACHABLE, STALE, …, of a socket LISTEN or UNCONN
    master: bridge that a device is a port of, or empty
    peerNs [count]: of a veth the namespace of its other end, or 0
    peer: of a veth the name of its other end, of a device on another the name of that, or empty
    detail: of a route "src 10.0.0.1 metric 100", of a device "vxlan id 42", of a socket who has it, of a published port the rule
    rx [count]: packets received by a device
    tx [count]: packets sent by a device
    dropped [count]: packets that a device dropped
  `),
  rows: (world, arg) =>
    kernelsOf(world, arg)
      .flatMap(rowsOf)
      .filter((row) => (arg.ns === undefined || row.ns === Number(arg.ns)) && (arg.kind === undefined || row.kind === arg.kind)),
};

/** What people would call each network namespace: "host", a container's name, a name of `ip netns`, or "sleep[812]". */
export function namespaceNames(kernel: Kernel): Map<number, string> {
  const names = new Map<number, string>();
  for (const task of [...kernel.tasks.values()].sort((a, b) => b.pid - a.pid)) {
    if (task.state !== 'zombie' && task.state !== 'dead') names.set(task.ns.net.ino, `${task.comm}[${task.pid}]`);
  }
  for (const { root, at } of kernel.init.mnt.mounts) {
    const file = nsFile(root.inode);
    if (file?.type === 'net' && at.parent?.name === 'netns' && at.parent.parent?.name !== 'docker') names.set(file.ns.ino, at.name);
  }
  for (const { pid, name } of running(kernel)) names.set(pid, name);
  names.set(kernel.init.net.ino, 'host');
  return names;
}

function running(kernel: Kernel): { pid: number; name: string; id: string }[] {
  return containerFiles(kernel).flatMap((file) => {
    const task = file.State.Pid > 0 ? kernel.tasks.get(file.State.Pid) : undefined;
    return task && task.ns.net !== kernel.init.net ? [{ pid: task.ns.net.ino, name: file.Name.slice(1), id: file.ID }] : [];
  });
}

function rowsOf(kernel: Kernel): NetworkRow[] {
  const names = namespaceNames(kernel);
  const ids = new Map(running(kernel).map((one) => [one.pid, one.id]));
  const rows: NetworkRow[] = [];
  for (const ns of [...netOf(kernel).namespaces.values()].sort((a, b) => a.ino - b.ino)) {
    const nsName = names.get(ns.ino) ?? `net:[${ns.ino}]`;
    const blank: NetworkRow = {
      key: '', host: kernel.name, kind: 'namespace', ns: ns.ino, nsName, container: ids.get(ns.ino) ?? '', name: nsName, dev: '', address: '', mac: '', mtu: 0, up: true, state: '',
      master: '', peerNs: 0, peer: '', detail: '', rx: 0, tx: 0, dropped: 0,
    };
    const add = (kind: NetworkRow['kind'], id: string, more: Partial<NetworkRow>): number => rows.push({ ...blank, ...more, kind, key: `${kernel.name}:${ns.ino}:${kind}:${id}` });
    add('namespace', '', { detail: `ip_forward=${ns.forwarding ? 1 : 0}` });
    for (const link of ns.links) add('device', link.name, deviceOf(ns, link));
    for (const [i, route] of sortedRoutes(ns).entries()) {
      const detail = [route.type === 'unicast' ? '' : route.type, route.src ? `src ${route.src}` : '', route.metric ? `metric ${route.metric}` : '', `scope ${route.scope}`];
      add('route', `${i}`, { name: route.to, dev: route.dev, address: route.via ?? '', detail: detail.filter(Boolean).join(' ') });
    }
    for (const one of ns.neighbours) add('neighbour', `${one.dev}/${one.address}`, { name: one.address, dev: one.dev, address: one.mac, state: stateNow(one, kernel.timeline.now) });
    for (const socket of listening(kernel, ns)) add('socket', String(socket.id), socketOf(kernel, socket));
    for (const [id, one] of publishedOf(ns)) add('published', id, one);
  }
  return rows;
}

function deviceOf(ns: NetNamespace, link: Link): Partial<NetworkRow> {
  const other = peerOf(link);
  const { stats } = link;
  return {
    name: link.name, dev: link.kind, address: link.addresses.map((a) => `${a.address}/${a.prefix}`).join(' '), mac: link.mac, mtu: link.mtu, up: link.up, state: operState(ns, link),
    master: link.master === null ? '' : (linkByIndex(ns, link.master)?.name ?? ''), peerNs: other?.ns.ino ?? 0, peer: other?.link.name ?? '',
    rx: stats.rxPackets, tx: stats.txPackets, dropped: stats.rxDropped + stats.txDropped,
  };
}

function listening(kernel: Kernel, ns: NetNamespace): Socket[] {
  const waits = (one: Socket): boolean => one.ns === ns && one.family === 'inet' && (one.state === 'listening' || (one.type === 'dgram' && one.boundAs !== null && one.remote === null));
  return [...netOf(kernel).sockets.values()].filter(waits).sort((a, b) => a.id - b.id);
}

function socketOf(kernel: Kernel, { local, type, state, cred, owner, id }: Socket): Partial<NetworkRow> {
  const at = local?.family === 'inet' ? `${local.address}:${local.port}` : '';
  const task = kernel.tasks.get(cred.pid);
  return { name: `${type === 'stream' ? 'tcp' : 'udp'} ${at}`, state: state === 'listening' ? 'LISTEN' : 'UNCONN', detail: `${task?.comm ?? owner} pid ${cred.pid} socket ${id}` };
}

/** DNAT rules with a port, in the order of the table. */
function publishedOf(ns: NetNamespace): [string, Partial<NetworkRow>][] {
  return ns.netfilter.tables.nat.flatMap((chain) =>
    chain.rules.flatMap((rule, i): [string, Partial<NetworkRow>][] => {
      const port = portOf(rule);
      if (rule.target !== 'DNAT' || port === '') return [];
      return [[`${chain.name}/${i}`, { name: `${rule.proto?.is ?? ''} ${port}`, address: rule.to ?? '', detail: `nat ${chain.name} rule ${i + 1}`, rx: rule.packets }]];
    }),
  );
}

const portOf = (rule: Rule): string => rule.dport?.is ?? '';
