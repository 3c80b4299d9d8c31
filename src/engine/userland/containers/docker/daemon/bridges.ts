/**
 * Networks: bridge, host and none that are always there, and bridges that people make, each a Linux bridge with an address,
 * rules in nat and filter, and a pool of addresses of which the lowest free one is given. All by rtnetlink.
 * Source: moby libnetwork drivers/bridge, ipam; daemon/network.go.
 */
import { SysError } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { isoNano, nowNs } from '../../../lib/clock.ts';
import { attempt, mkdirAll, poke, readJson, writeFile } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { publish } from './events.ts';
import { newId } from './record.ts';
import { type Any, type Container, type Daemon, type Endpoint, type Network, Refused, ROOT } from './state.ts';
import { byKey } from '../../../lib/bykey.ts';
import { isIPv4 } from '../cli/ports.ts';

const FILE = `${ROOT}/network/files/local-kv.json`;

export function ipNumber(address: string): number {
  return address.split('.').reduce((n, part) => n * 256 + Number(part), 0);
}

export function ipText(n: number): string {
  return `${(n >>> 24) & 255}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

export interface Subnet {
  first: number;
  size: number;
  prefix: number;
}

/** Throws Refused for what is no IPv4 prefix. */
export function readSubnet(text: string): Subnet {
  const m = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(text);
  if (!m || Number(m[2]) > 32 || m[1]!.split('.').some((p) => Number(p) > 255))
    throw new Refused(400, `invalid network config:\ninvalid subnet ${text}: invalid CIDR block notation`);
  const size = 2 ** (32 - Number(m[2]));
  const first = ipNumber(m[1]!);
  if (first % size !== 0)
    throw new Refused(400, `invalid network config:\ninvalid subnet ${text}: it should be ${ipText(first - (first % size))}/${m[2]}`);
  return { first, size, prefix: Number(m[2]) };
}

export function* loadNetworks(daemon: Daemon): Call<void> {
  yield* mkdirAll(`${ROOT}/network/files`, 0o750);
  for (const n of (yield* readJson<Network[]>(FILE)) ?? []) daemon.networks.set(n.Id, { ...n, leases: {} });
  const made = isoNano(yield* nowNs());
  for (const [Name, Driver] of [
    ['bridge', 'bridge'],
    ['host', 'host'],
    ['none', 'null'],
  ] as const) {
    if ([...daemon.networks.values()].some((n) => n.Name === Name)) continue;
    const network = blank(Name, yield* newId(), made, Driver);
    if (Name === 'bridge') {
      network.bridge = 'docker0';
      network.IPAM = { Driver: 'default', Options: null, Config: [{ Subnet: '172.17.0.0/16', Gateway: '172.17.0.1' }] };
      network.Options = {
        'com.docker.network.bridge.default_bridge': 'true',
        'com.docker.network.bridge.enable_icc': 'true',
        'com.docker.network.bridge.enable_ip_masquerade': 'true',
        'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
        'com.docker.network.bridge.name': 'docker0',
        'com.docker.network.driver.mtu': '1500',
      };
    }
    daemon.networks.set(network.Id, network);
  }
  yield* attempt(poke('/proc/sys/net/ipv4/ip_forward', '1'), undefined);
  yield* firewall();
  for (const n of daemon.networks.values()) if (n.Driver === 'bridge') yield* raise(n);
  yield* saveNetworks(daemon);
}

function blank(Name: string, Id: string, Created: string, Driver: string): Network {
  return {
    Name,
    Id,
    Created,
    Scope: 'local',
    Driver,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    Options: {},
    Labels: {},
    leases: {},
    pooled: false,
    bridge: '',
  };
}

function* saveNetworks(daemon: Daemon): Call<void> {
  yield* writeFile(FILE, JSON.stringify([...daemon.networks.values()]), 0o600);
}

type Rule = Record<string, unknown> & { target: string };
export const is = <T>(x: T): { is: T; not: boolean } => ({ is: x, not: false });
export const not = <T>(x: T): { is: T; not: boolean } => ({ is: x, not: true });

/** A change of the rules; what is there already, or is not, is no fault. */
export function* rules(type: string, table: 'nat' | 'filter', chain: string, rule?: Rule, ns?: { pid: number }): Call<void> {
  const modules = rule
    ? [
        ...(rule.dsttype ? ['addrtype'] : []),
        ...(rule.ctstate ? ['conntrack'] : []),
        ...(rule.dport || rule.sport ? [(rule.proto as { is: string }).is] : []),
      ]
    : [];
  const whole = rule && modules.length > 0 ? { ...rule, modules } : rule;
  yield* attempt(sys('netlink', { type, table, chain, ...(whole ? { rule: whole } : {}), ...(ns ? { ns } : {}) }), null, 'EEXIST', 'ENOENT', 'EOPNOTSUPP');
}

/** Adds a rule that is there once, also after a daemon that left it. */
function* ensure(type: 'nf.append' | 'nf.insert', table: 'nat' | 'filter', chain: string, rule: Rule): Call<void> {
  yield* rules('nf.delete', table, chain, rule);
  yield* rules(type, table, chain, rule);
}

/** The chains that docker keeps, and the jumps to them. */
function* firewall(): Call<void> {
  for (const chain of ['DOCKER', 'DOCKER-ISOLATION-STAGE-1', 'DOCKER-ISOLATION-STAGE-2', 'DOCKER-USER'])
    yield* rules('nf.newchain', 'filter', chain);
  yield* rules('nf.newchain', 'nat', 'DOCKER');
  yield* ensure('nf.append', 'nat', 'PREROUTING', { dsttype: is('LOCAL'), target: 'DOCKER' });
  yield* ensure('nf.append', 'nat', 'OUTPUT', { dst: not('127.0.0.0/8'), dsttype: is('LOCAL'), target: 'DOCKER' });
  yield* ensure('nf.append', 'filter', 'FORWARD', { target: 'DOCKER-USER' });
  yield* ensure('nf.append', 'filter', 'FORWARD', { target: 'DOCKER-ISOLATION-STAGE-1' });
  yield* ensure('nf.append', 'filter', 'DOCKER-USER', { target: 'RETURN' });
  yield* ensure('nf.append', 'filter', 'DOCKER-ISOLATION-STAGE-1', { target: 'RETURN' });
  yield* ensure('nf.append', 'filter', 'DOCKER-ISOLATION-STAGE-2', { target: 'RETURN' });
  yield* attempt(sys('netlink', { type: 'nf.policy', table: 'filter', chain: 'FORWARD', policy: 'DROP' }), null);
}

type Step = ['nf.insert' | 'nf.append', 'nat' | 'filter', string, Rule];

const option = (n: Network, name: string): boolean => n.Options?.[`com.docker.network.bridge.${name}`] !== 'false';

/** In the order in which docker puts them in, the later above the earlier. */
function rulesOf(n: Network): Step[] {
  const subnet = n.IPAM.Config[0]!.Subnet;
  const br = n.bridge;
  const among: Rule = { in: is(br), out: is(br), target: option(n, 'enable_icc') ? 'ACCEPT' : 'DROP' };
  const between: Step = [among.target === 'ACCEPT' ? 'nf.insert' : 'nf.append', 'filter', 'FORWARD', among];
  if (n.Internal) {
    return [
      ['nf.insert', 'filter', 'DOCKER-ISOLATION-STAGE-1', { in: is(br), dst: not(subnet), target: 'DROP' }],
      ['nf.insert', 'filter', 'DOCKER-ISOLATION-STAGE-1', { out: is(br), src: not(subnet), target: 'DROP' }],
      between,
    ];
  }
  return [
    ...(option(n, 'enable_ip_masquerade') ? [['nf.insert', 'nat', 'POSTROUTING', { src: is(subnet), out: not(br), target: 'MASQUERADE' }] satisfies Step] : []),
    ['nf.insert', 'nat', 'DOCKER', { in: is(br), target: 'RETURN' }],
    between,
    ['nf.insert', 'filter', 'FORWARD', { in: is(br), out: not(br), target: 'ACCEPT' }],
    ['nf.insert', 'filter', 'FORWARD', { out: is(br), target: 'DOCKER' }],
    ['nf.insert', 'filter', 'FORWARD', { out: is(br), ctstate: is(['RELATED', 'ESTABLISHED']), target: 'ACCEPT' }],
    ['nf.insert', 'filter', 'DOCKER-ISOLATION-STAGE-1', { in: is(br), out: not(br), target: 'DOCKER-ISOLATION-STAGE-2' }],
    ['nf.insert', 'filter', 'DOCKER-ISOLATION-STAGE-2', { out: is(br), target: 'DROP' }],
  ];
}

/** Makes the bridge with its address, route and rules. */
function* raise(n: Network): Call<void> {
  const { Gateway, Subnet } = n.IPAM.Config[0]!;
  const { prefix, first, size } = readSubnet(Subnet);
  const mac = (yield* newId(8)).match(/../g)!.join(':');
  yield* attempt(sys('netlink', { type: 'link.add', name: n.bridge, kind: 'bridge', address: `02:42:${mac}`, txqlen: 0 }), null, 'EEXIST');
  yield* attempt(
    sys('netlink', { type: 'addr.add', dev: n.bridge, address: Gateway!, prefix, broadcast: ipText(first + size - 1) }),
    null,
    'EEXIST',
  );
  yield* sys('netlink', { type: 'link.set', name: n.bridge, up: true });
  for (const [type, table, chain, rule] of rulesOf(n)) yield* ensure(type, table, chain, rule);
  for (const target of ['DOCKER-ISOLATION-STAGE-1', 'DOCKER-USER']) yield* ensure('nf.insert', 'filter', 'FORWARD', { target });
}

/** What com.docker.network.driver.mtu asks for. */
export const mtuOf = (n: Network): number => Number(n.Options?.['com.docker.network.driver.mtu'] ?? 1500) || 1500;

/** POST /networks/create. Throws Refused. */
export function* createNetwork(daemon: Daemon, body: Any): Call<Network> {
  const name = String(body?.Name ?? '').trim();
  if (name === '') throw new Refused(400, 'invalid name: name is empty');
  if (/^(?:bridge|host|none|default)$/.test(name)) throw new Refused(403, `operation is not permitted on predefined ${name} network`);
  if ([...daemon.networks.values()].some((n) => n.Name === name)) throw new Refused(409, `network with name ${name} already exists`);
  const driver = body.Driver || 'bridge';
  if (driver === 'host' || driver === 'null') throw new Refused(403, `only one instance of "${driver}" network is allowed`);
  if (driver !== 'bridge')
    throw new Refused(
      404,
      driver === 'overlay' ? 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.' : ['macvlan', 'ipvlan'].includes(driver) ? `not modelled: network driver ${driver}` : `plugin "${driver}" not found`,
    );
  const asked = body.IPAM?.Config?.[0];
  const subnet = asked?.Subnet ? readSubnet(asked.Subnet) : freeSubnet(daemon);
  const text = `${ipText(subnet.first)}/${subnet.prefix}`;
  if (asked?.Subnet && overlaps(daemon, subnet)) throw new Refused(403, 'Pool overlaps with other one on this address space');
  if (asked?.IPRange) checkRange(asked.IPRange, subnet, text);
  const Gateway = asked?.Gateway ?? ipText(subnet.first + 1);
  const network = blank(name, yield* newId(), isoNano(yield* nowNs()), driver);
  network.IPAM = {
    Driver: 'default',
    Options: {},
    Config: [{ Subnet: text, ...(asked?.IPRange ? { IPRange: asked.IPRange } : {}), Gateway }],
  };
  network.unasked = asked?.Subnet !== undefined && asked.Gateway === undefined;
  network.pooled = !asked?.Subnet;
  network.Internal = body.Internal === true;
  network.Attachable = body.Attachable === true;
  network.Options = byKey(body.Options ?? {});
  network.Labels = byKey(body.Labels ?? {});
  network.bridge = network.Options['com.docker.network.bridge.name'] ?? `br-${network.Id.slice(0, 12)}`;
  yield* raise(network);
  daemon.networks.set(network.Id, network);
  yield* saveNetworks(daemon);
  yield* publish(daemon, 'network', 'create', network.Id, { name, type: driver });
  return network;
}

/** Throws Refused for a range that is none of the subnet's. */
function checkRange(range: string, s: Subnet, text: string): void {
  const r = readSubnet(range);
  const why = r.prefix < s.prefix ? `CIDR block is bigger than its parent subnet ${text}` : r.first < s.first || r.first >= s.first + s.size ? `parent subnet ${text} doesn't contain ip-range` : null;
  if (why !== null) throw new Refused(400, `invalid network config:\ninvalid ip-range ${range}: ${why}`);
}

function overlaps(daemon: Daemon, s: Subnet): boolean {
  return [...daemon.networks.values()].some((n) =>
    n.IPAM.Config.some((c) => {
      const other = readSubnet(c.Subnet);
      return s.first < other.first + other.size && other.first < s.first + s.size;
    }),
  );
}

/** 172.18.0.0/16 to 172.31.0.0/16, then pieces of 192.168.0.0/16. */
function freeSubnet(daemon: Daemon): Subnet {
  const pools = [
    ...Array.from({ length: 15 }, (_, i) => `172.${17 + i}.0.0/16`),
    ...Array.from({ length: 16 }, (_, i) => `192.168.${i * 16}.0/20`),
  ];
  const free = pools.map(readSubnet).find((s) => !overlaps(daemon, s));
  if (!free)
    throw new Refused(500, 'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network');
  return free;
}

/** By id, name, or the beginning of an id. Throws Refused 404. */
export function findNetwork(daemon: Daemon, name: string, missing = `network ${name} not found`): Network {
  const all = [...daemon.networks.values()];
  const near = all.filter((n) => n.Id.startsWith(name));
  const found = daemon.networks.get(name) ?? all.find((n) => n.Name === name) ?? (name !== '' && near.length === 1 ? near[0] : undefined);
  if (!found) throw new Refused(404, missing);
  return found;
}

/** Containers that hold an endpoint in this network now. */
export function membersOf(daemon: Daemon, n: Network): Container[] {
  return [...daemon.containers.values()].filter((c) =>
    Object.values(c.network.endpoints).some((e) => e.NetworkID === n.Id && e.EndpointID !== ''),
  );
}

export interface Bridged {
  name: string;
  n: Network;
  e: Endpoint;
}

/** Its endpoints on bridges, in order of name. */
export function bridged(daemon: Daemon, c: Container): Bridged[] {
  return Object.keys(c.network.endpoints)
    .sort()
    .flatMap((name) => {
      const e = c.network.endpoints[name]!;
      const n = daemon.networks.get(e.NetworkID);
      return n?.Driver === 'bridge' ? [{ name, n, e }] : [];
    });
}

export function* removeNetwork(daemon: Daemon, n: Network): Call<void> {
  if (['bridge', 'host', 'none'].includes(n.Name)) throw new Refused(403, `${n.Name} is a pre-defined network and cannot be removed`);
  if (membersOf(daemon, n).length > 0)
    throw new Refused(403, `error while removing network: network ${n.Name} id ${n.Id} has active endpoints`);
  for (const [, table, chain, rule] of rulesOf(n)) yield* rules('nf.delete', table, chain, rule);
  try {
    yield* sys('netlink', { type: 'link.del', name: n.bridge });
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== 'ENODEV') throw error;
  }
  daemon.networks.delete(n.Id);
  yield* saveNetworks(daemon);
  yield* publish(daemon, 'network', 'destroy', n.Id, { name: n.Name, type: n.Driver });
}

/** No free address of the network's range is below this. */
const lowest = new WeakMap<Network, number>();

/** What speaks against an address asked for on the default bridge. */
export const DEFAULT_BRIDGE: readonly string[] = ['user specified IP address is supported on user defined networks only', 'user specified IP address is supported only when connecting to networks with user configured subnets'];

/** What speaks against an address asked for in a network. Source: moby api/types/network/endpoint.go. */
export function addressFaults(n: Network, asked: string): string[] {
  const { first, size } = readSubnet(n.IPAM.Config[0]!.Subnet);
  const at = isIPv4(asked) && asked !== '0.0.0.0' ? ipNumber(asked) : -1;
  return [
    ...(at < 0 ? [`invalid IPv4 address: ${asked}`] : []),
    ...(n.pooled ? ['user specified IP address is supported only when connecting to networks with user configured subnets'] : at < first || at >= first + size ? [`no configured subnet or ip-range contain the IP address ${asked}`] : []),
  ];
}

/** One fault follows plainly, several as a list. Throws Refused. */
export function refuseFaults(network: string | null, faults: readonly string[]): void {
  if (faults.length > 0) throw new Refused(400, `${network === null ? '' : `invalid config for network ${network}: `}invalid endpoint settings:\n${faults.length === 1 ? faults[0] : faults.map((f) => `* ${f}`).join('\n')}`);
}

/** The lowest free address, or the one asked for. Throws Refused. */
export function lease(n: Network, container: string, asked: string | undefined): string {
  const subnet = readSubnet(n.IPAM.Config[0]!.Subnet);
  const gateway = ipNumber(n.IPAM.Config[0]!.Gateway!);
  if (asked) {
    const at = ipNumber(asked);
    refuseFaults(n.Name, addressFaults(n, asked));
    if (n.leases[asked] !== undefined || at === gateway) throw new Refused(403, 'Address already in use');
    n.leases[asked] = container;
    return asked;
  }
  const range = n.IPAM.Config[0]!.IPRange ? readSubnet(n.IPAM.Config[0]!.IPRange) : subnet;
  for (let at = Math.max(range.first, subnet.first + 1, lowest.get(n) ?? 0); at < Math.min(range.first + range.size, subnet.first + subnet.size - 1); at++) {
    const address = ipText(at);
    if (at === gateway || n.leases[address] !== undefined) continue;
    n.leases[address] = container;
    lowest.set(n, at + 1);
    return address;
  }
  throw new Refused(403, `no available IPv4 addresses on this network's address pools: ${n.Name} (${n.Id})`);
}

/** An address is free again. */
export function release(n: Network, address: string): void {
  if (n.leases[address] === undefined) return;
  delete n.leases[address];
  lowest.set(n, Math.min(lowest.get(n) ?? 0, ipNumber(address)));
}

/** What inspect shows. */
export function networkJson(daemon: Daemon, n: Network, whole: boolean): Any {
  const containers: Record<string, Any> = {};
  if (whole) {
    for (const c of membersOf(daemon, n)) {
      const e = Object.values(c.network.endpoints).find((x) => x.NetworkID === n.Id)!;
      containers[c.ID] = {
        Name: c.Name.slice(1),
        EndpointID: e.EndpointID,
        MacAddress: e.MacAddress,
        IPv4Address: e.IPAddress ? `${e.IPAddress}/${e.IPPrefixLen}` : '',
        IPv6Address: '',
      };
    }
  }
  return {
    Name: n.Name,
    Id: n.Id,
    Created: n.Created,
    Scope: n.Scope,
    Driver: n.Driver,
    EnableIPv6: n.EnableIPv6,
    IPAM: n.Driver === 'bridge' ? (n.unasked ? { ...n.IPAM, Config: n.IPAM.Config.map(({ Gateway: _, ...rest }) => rest) } : n.IPAM) : { ...n.IPAM, Config: null },
    Internal: n.Internal,
    Attachable: n.Attachable,
    Ingress: n.Ingress,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: containers,
    Options: n.Options,
    Labels: n.Labels,
  };
}
