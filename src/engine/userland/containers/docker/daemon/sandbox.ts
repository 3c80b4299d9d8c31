/**
 * A container on its networks: addresses and ports taken before it starts, a veth pair moved into its namespace when its
 * first process is there, the files that name hosts, and all given back at its end.
 * Source: moby daemon/container_operations.go, libnetwork/endpoint.go, sandbox_dns_unix.go.
 */
import { AT_FDCWD, MNT_DETACH, MS_BIND } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { attempt, exists, mkdirAll, tryRead, writeFile } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { addressFaults, type Bridged, bridged, DEFAULT_BRIDGE, findNetwork, ipText, lease, mtuOf, readSubnet, refuseFaults, release } from './bridges.ts';
import { publish } from './events.ts';
import { publishPorts, releasePorts, reservePorts } from './ports.ts';
import { directoryOf, findContainer, newId } from './record.ts';
import { needsResolver, RESOLVER, serversFor, startResolver, stopResolver } from './resolver.ts';
import { type Container, type Daemon, type Endpoint, type Network, Refused } from './state.ts';

/** Takes addresses and ports. Throws Refused; what was taken is given back by leaveNetworks. */
export function* connectNetworks(daemon: Daemon, c: Container): Call<void> {
  c.network.sandbox = yield* newId();
  c.network.sandboxKey = `/var/run/docker/netns/${c.network.sandbox.slice(0, 12)}`;
  for (const name of Object.keys(c.network.endpoints).sort()) {
    const known = c.network.endpoints[name]!.NetworkID;
    const n = known === '' ? findNetwork(daemon, name) : findNetwork(daemon, known);
    yield* attach(c, n, c.network.endpoints[name]!);
    yield* publish(daemon, 'network', 'connect', n.Id, { container: c.ID, name: n.Name, type: n.Driver });
  }
  const first = bridged(daemon, c)[0];
  if (first) yield* reservePorts(daemon, c, first.e);
}

function* attach(c: Container, n: Network, e: Endpoint): Call<void> {
  e.NetworkID = n.Id;
  e.EndpointID = yield* newId();
  if (n.Driver !== 'bridge') return;
  const { Subnet, Gateway } = n.IPAM.Config[0]!;
  e.IPAddress = lease(n, c.ID, e.IPAMConfig?.IPv4Address);
  e.IPPrefixLen = readSubnet(Subnet).prefix;
  e.Gateway = n.Internal ? '' : Gateway!;
  e.MacAddress = (c.HostConfig.NetworkMode === n.Name && c.Config.MacAddress) || `02:42:${e.IPAddress.split('.')
    .map((p) => Number(p).toString(16).padStart(2, '0'))
    .join(':')}`;
  e.DNSNames =
    n.bridge === 'docker0'
      ? null
      : [
          ...new Set([
            c.Name.slice(1),
            ...(e.Aliases ?? []),
            c.ID.slice(0, 12),
            ...(c.Config.Hostname && c.Config.Hostname !== c.ID.slice(0, 12) ? [c.Config.Hostname] : []),
          ]),
        ];
}

/** Gives the namespace of this process its interfaces, and the ports their proxies. */
export function* joinNetworks(daemon: Daemon, c: Container, pid: number): Call<void> {
  if (c.HostConfig.NetworkMode.startsWith('container:')) return;
  if (c.HostConfig.NetworkMode === 'host') {
    yield* keepNamespace('/run/docker/netns/default', '/proc/self/ns/net');
    return;
  }
  yield* attempt(sys('netlink', { type: 'link.set', name: 'lo', up: true, ns: { pid } }), null);
  yield* keepNamespace(c.network.sandboxKey.replace('/var/run', '/run'), `/proc/${pid}/ns/net`);
  const all = bridged(daemon, c);
  c.live.plugged = 0;
  for (const b of all) yield* plug(c, b, pid);
  yield* startResolver(daemon, c, pid);
  if (all[0]) yield* publishPorts(c, all[0].e, all[0].n);
}

/** A name for a namespace, kept by a mount; once. */
function* keepNamespace(at: string, from: string): Call<void> {
  if (yield* exists(at)) return;
  yield* attempt(mkdirAll('/run/docker/netns'), undefined);
  yield* attempt(writeFile(at, ''), undefined);
  yield* attempt(sys('mount', from, at, '', MS_BIND, ''), 0);
}

function* plug(c: Container, { name, n, e }: Bridged, pid: number): Call<void> {
  // a number is given once, also when the link before it has gone
  const dev = `eth${c.live.plugged++}`;
  const host = `veth${yield* newId(8)}`.slice(0, 11);
  const inside = `veth${yield* newId(8)}`.slice(0, 11);
  yield* sys('netlink', { type: 'link.add', name: host, kind: 'veth', txqlen: 0, peer: { name: inside, address: e.MacAddress } });
  c.live.links[name] = host;
  if (mtuOf(n) !== 1500) for (const end of [host, inside]) yield* sys('netlink', { type: 'link.set', name: end, mtu: mtuOf(n) });
  yield* sys('netlink', { type: 'link.set', name: host, master: n.bridge });
  yield* sys('netlink', { type: 'link.set', name: inside, netns: { pid } });
  const ns = { pid };
  yield* sys('netlink', { type: 'link.set', name: inside, newName: dev, ipv6: false, ns });
  const subnet = readSubnet(n.IPAM.Config[0]!.Subnet);
  yield* sys('netlink', {
    type: 'addr.add',
    dev,
    address: e.IPAddress,
    prefix: e.IPPrefixLen,
    broadcast: ipText(subnet.first + subnet.size - 1),
    ns,
  });
  yield* sys('netlink', { type: 'link.set', name: dev, up: true, ns });
  yield* sys('netlink', { type: 'link.set', name: host, up: true });
  if (e.Gateway) yield* attempt(sys('netlink', { type: 'route.add', to: 'default', via: e.Gateway, dev, ns }), null, 'EEXIST');
}

/** Gives everything back. */
export function* leaveNetworks(daemon: Daemon, c: Container): Call<void> {
  yield* stopResolver(c);
  const first = bridged(daemon, c)[0];
  yield* releasePorts(c, first?.e ?? null, first?.n ?? null);
  for (const name of Object.keys(c.network.endpoints).sort()) yield* leave(daemon, c, name);
  const key = c.network.sandboxKey.replace('/var/run', '/run');
  if (key !== '' && c.HostConfig.NetworkMode !== 'host') {
    yield* attempt(sys('umount2', key, MNT_DETACH), 0);
    yield* attempt(sys('unlinkat', AT_FDCWD, key, 0), 0);
  }
}

function* leave(daemon: Daemon, c: Container, name: string): Call<void> {
  const e = c.network.endpoints[name]!;
  const n = daemon.networks.get(e.NetworkID);
  const link = c.live.links[name];
  if (link) yield* attempt(sys('netlink', { type: 'link.del', name: link }), null);
  delete c.live.links[name];
  if (!n || e.EndpointID === '') return;
  release(n, e.IPAddress);
  Object.assign(e, { EndpointID: '', Gateway: '', IPAddress: '', IPPrefixLen: 0, MacAddress: '' });
  yield* publish(daemon, 'network', 'disconnect', n.Id, { container: c.ID, name: n.Name, type: n.Driver });
}

/** docker network connect, on a container that runs or not. */
export function* connectLater(
  daemon: Daemon,
  c: Container,
  n: Network,
  config: { IPAMConfig?: Endpoint['IPAMConfig']; Aliases?: string[] | null },
  blank: Endpoint,
): Call<void> {
  if (c.HostConfig.NetworkMode.startsWith('container:'))
    throw new Refused(403, 'container sharing network namespace with another container or host cannot be connected to any other network');
  if (c.HostConfig.NetworkMode === 'host' || n.Driver === 'host')
    throw new Refused(403, 'container cannot be disconnected from host network or connected to host network');
  if (c.HostConfig.NetworkMode === 'none' || n.Driver === 'null')
    throw new Refused(403, 'container cannot be connected to multiple networks with one of the networks in private (none) mode');
  const asked = config.IPAMConfig?.IPv4Address;
  if (asked) refuseFaults(null, /^bridge$/.test(n.Name) ? DEFAULT_BRIDGE : addressFaults(n, asked));
  if (c.network.endpoints[n.Name]) throw new Refused(403, `endpoint with name ${c.Name.slice(1)} already exists in network ${n.Name}`);
  const e: Endpoint = { ...blank, IPAMConfig: config.IPAMConfig ?? null, Aliases: config.Aliases ?? null };
  c.network.endpoints[n.Name] = e;
  if (!c.State.Running) return;
  yield* attach(c, n, e);
  yield* plug(c, { name: n.Name, n, e }, c.State.Pid);
  yield* startResolver(daemon, c, c.State.Pid);
  yield* writeNetworkFiles(daemon, c);
  yield* publish(daemon, 'network', 'connect', n.Id, { container: c.ID, name: n.Name, type: n.Driver });
}

export function* disconnectLater(daemon: Daemon, c: Container, n: Network): Call<void> {
  const name = Object.keys(c.network.endpoints).find((k) => k === n.Name || c.network.endpoints[k]!.NetworkID === n.Id);
  if (name === undefined) throw new Refused(500, `container ${c.ID} is not connected to network ${n.Name}`);
  const silent = c.network.endpoints[name]!.EndpointID === '';
  yield* leave(daemon, c, name);
  delete c.network.endpoints[name];
  if (silent) yield* publish(daemon, 'network', 'disconnect', n.Id, { container: c.ID, name: n.Name, type: n.Driver });
}

const HOSTS =
  '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n';

/** hostname, hosts and resolv.conf; on a network that people made the name server is the daemon's. */
export function* writeNetworkFiles(daemon: Daemon, c: Container): Call<void> {
  const dir = directoryOf(c.ID);
  const other = /^container:(.+)$/.exec(c.HostConfig.NetworkMode);
  if (other) {
    const peer = findContainer(daemon, other[1]!);
    const from = directoryOf(peer.ID);
    c.Config.Hostname = peer.Config.Hostname;
    for (const file of ['hostname', 'hosts', 'resolv.conf']) yield* writeFile(`${dir}/${file}`, (yield* tryRead(`${from}/${file}`)) ?? '');
    return;
  }
  const host = c.HostConfig.NetworkMode === 'host';
  const uts = yield* sys('uname');
  if (host && c.Config.Hostname === '') c.Config.Hostname = uts.nodename;
  yield* writeFile(`${dir}/hostname`, `${c.Config.Hostname}\n`);
  yield* writeFile(`${dir}/hosts`, yield* hostsText(daemon, c));
  yield* writeFile(`${dir}/resolv.conf`, host ? ((yield* tryRead('/etc/resolv.conf')) ?? '') : yield* resolvConf(daemon, c));
}

function* hostsText(daemon: Daemon, c: Container): Call<string> {
  const base = c.HostConfig.NetworkMode === 'host' ? ((yield* tryRead('/etc/hosts')) ?? '') : HOSTS;
  const extra = (c.HostConfig.ExtraHosts ?? []).map((h) => {
    const cut = h.indexOf(':');
    const address = h.slice(cut + 1);
    return `${address === 'host-gateway' ? '172.17.0.1' : address}\t${h.slice(0, cut)}\n`;
  });
  const { Hostname, Domainname } = c.Config;
  const full = Domainname ? `${Hostname}.${Domainname}` : Hostname;
  const names = full.includes('.') ? `${full} ${full.split('.')[0]}` : full;
  const own = bridged(daemon, c)
    .filter(({ e }) => e.IPAddress !== '')
    .map(({ e }) => `${e.IPAddress}\t${names}\n`);
  return base + extra.join('') + own.join('');
}

function* resolvConf(daemon: Daemon, c: Container): Call<string> {
  const host = ((yield* tryRead('/etc/resolv.conf')) ?? '').split('\n');
  const lines = (word: string): string[] => host.filter((l) => l.startsWith(`${word} `));
  const { Dns, DnsSearch, DnsOptions } = c.HostConfig;
  const internal = needsResolver(daemon, c);
  const outside = yield* serversFor(c);
  const search = DnsSearch.length > 0 ? [`search ${DnsSearch.join(' ')}`] : lines('search');
  const given = DnsOptions.length > 0 ? [`options ${DnsOptions.join(' ')}`] : lines('options');
  const ndots = internal && !given.some((l) => l.includes('ndots:'));
  const options = ndots ? [`${given[0] ?? 'options'} ndots:0`] : given;
  const servers = internal ? [RESOLVER] : outside;
  const overrides = [Dns.length > 0 ? 'nameservers' : '', DnsSearch.length > 0 ? 'search' : '', DnsOptions.length > 0 ? 'options' : '']
    .filter((o) => o !== '')
    .join(' ');
  const said = Dns.length > 0 ? outside : outside.map((s) => `host(${s})`);
  const notes = [
    `# Based on host file: '/etc/resolv.conf' (${internal ? 'internal resolver' : 'legacy'})`,
    ...(internal ? [`# ExtServers: [${said.join(' ')}]`] : []),
    `# Overrides: [${overrides}]`,
    ...(ndots ? ['# Option ndots from: internal'] : given.some((l) => /\bndots:/.test(l)) ? [`# Option ndots from: ${DnsOptions.length > 0 ? 'override' : 'host'}`] : []),
  ];
  const top = '# Generated by Docker Engine.\n# This file can be edited; Docker Engine will not make further changes once it\n# has been modified.\n';
  return `${top}\n${[...servers.map((s) => `nameserver ${s}`), ...search, ...options].join('\n')}\n\n${notes.join('\n')}\n`;
}
