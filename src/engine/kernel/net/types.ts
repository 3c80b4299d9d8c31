/**
 * The network as records: namespaces, links, addresses, routes, neighbours, packets, sockets. One record a link; both ends of
 * a veth name each other. All state of one kernel that is not a namespace's own is `Net`, reached by `netOf(kernel)`.
 * IPv4 is modelled; of IPv6 only the addresses that the kernel itself gives to links, to be seen and not used.
 */
import type { Random } from '../../sim/random.ts';
import type { Errno } from '../abi.ts';
import type { Kernel, UserNamespace } from '../records.ts';
import type { SockAddr } from '../sys.ts';
import type { File } from '../vfs/types.ts';
import type { Ruleset } from './netfilter.ts';
import type { Tcb } from './tcp.ts';

export interface NetNamespace {
  /** Parameters under /proc/sys/net that were written and have no mechanism of their own. */
  knobs?: Map<string, string>;
  ino: number;
  /** In order of index. */
  links: Link[];
  routes: Route[];
  /** Tables for which a route was ever asked, main and local apart: they stay. */
  tables?: Set<string>;
  nextIndex: number;
  /** Bound sockets by "tcp:address:port"; the address is 0.0.0.0 for any. Several udp or reused ones never share. */
  ports: Map<string, Socket>;
  /** Connected stream sockets by "local:port-remote:port". */
  flows: Map<string, Socket>;
  nextPort: number;
  owner: UserNamespace;
  neighbours: Neighbour[];
  /** net.ipv4.ip_forward. */
  forwarding: boolean;
  /** net.bridge.bridge-nf-call-iptables: bridged frames meet the FORWARD chain. */
  bridgeNetfilter: boolean;
  /** net.ipv4.ip_unprivileged_port_start: ports below need CAP_NET_BIND_SERVICE. */
  unprivilegedFrom: number;
  /** net.ipv4.ping_group_range: groups that may open sockets for ICMP echo. */
  pingGroups: [number, number];
  /** Links, or "all" and "default", with net.ipv6.conf.*.disable_ipv6. */
  ipv6Disabled: Set<string>;
  netfilter: Ruleset;
  /** Other namespaces by the ids that rtnetlink names them with here. */
  nsids: Map<number, NetNamespace>;
  /** Raw sockets that wait for ICMP. */
  raw: Set<Socket>;
  /** In order of preference; without those every address is looked up in "main". */
  rules: PolicyRule[];
  /** Links of vxlan whose outer packets are this namespace's, wherever they are. */
  tunnels: Upper[];
  /** By source, destination, protocol and identification: fragments that wait for the rest. */
  fragments: Map<string, { until: number; got: Map<number, number> }>;
  /** Path MTU by destination, as "fragmentation needed" told it. */
  pathMtu: Map<string, number>;
  nextIdent: number;
}

/** A link and the namespace that it is in now. */
export interface Upper {
  ns: NetNamespace;
  link: Link;
}

/** ip rule: which table an address is looked up in. Source: ip-rule(8). */
export interface PolicyRule {
  pref: number;
  not: boolean;
  from: string | null;
  to: string | null;
  fwmark: { value: number; mask: number } | null;
  iif: string | null;
  oif: string | null;
  ipproto: string | null;
  sport: string | null;
  dport: string | null;
  uids: [number, number] | null;
  tos?: number;
  /** A table, a refusal, nothing, or on with the rule of a preference. */
  action: 'table' | 'unreachable' | 'prohibit' | 'blackhole' | 'nop' | 'goto';
  goto?: number;
  /** Of a table, what is found with no longer a prefix than this counts for nothing. */
  suppress?: number;
  table: string;
  proto: string;
}

/** What a bridge knows of a MAC address: the port, and when it was last seen; static entries stay. */
export interface FdbEntry {
  port: number;
  at: number;
  fixed: boolean;
}

export interface Vxlan {
  vni: number;
  port: number;
  local: string | null;
  /** A remote, or a group of multicast; "" none. */
  remote: string;
  dev: string;
  ttl: number;
  learning: boolean;
  /** By inner MAC address; all zeroes for whatever has no entry. */
  fdb: Map<string, { dst: string; at: number; fixed: boolean }[]>;
  /** Where outer packets are sent and received. */
  under: NetNamespace;
}

/** A queueing discipline that somebody put on a link (tc). Rates are bytes a second, times ns. Source: tc-netem(8), tc-tbf(8). */
export interface Discipline {
  kind: 'netem' | 'tbf' | 'pfifo' | 'fq_codel' | 'noqueue';
  handle: string;
  limit: number;
  delay: number;
  jitter: number;
  /** Of 1. */
  loss: number;
  duplicate: number;
  corrupt: number;
  reorder: number;
  rate: number;
  burst: number;
  latency: number;
  /** ns at which what is queued has left, tokens of tbf at `at`. */
  free: number;
  tokens: number;
  at: number;
  sentBytes: number;
  sentPackets: number;
  dropped: number;
  overlimits: number;
  backlogBytes: number;
  backlogPackets: number;
  random: Random;
  /** What the generator began with. */
  seed: string;
}

/** What a bridge goes by, in hundredths of a second. Only ageing_time steers something: there is no spanning tree. */
export interface BridgeTimes {
  forward_delay: number;
  hello_time: number;
  max_age: number;
  ageing_time: number;
  /** Of its id, 16 bits. */
  priority: number;
}

export type LinkKind = 'loopback' | 'ether' | 'veth' | 'bridge' | 'dummy' | 'vxlan' | 'vlan' | 'macvlan';

export interface Link {
  index: number;
  name: string;
  kind: LinkKind;
  mac: string;
  mtu: number;
  up: boolean;
  /** Index of the bridge it is a port of. */
  master: number | null;
  /** The other end of a veth. */
  peer: { ns: NetNamespace; index: number } | null;
  addresses: Address[];
  stats: { rxBytes: number; rxPackets: number; txBytes: number; txPackets: number; rxDropped: number; txDropped: number };
  /** noop until it is first set up. */
  qdisc: string;
  txqlen: number;
  /** Of a bridge: MAC address to the port it was seen on. */
  fdb: Map<string, FdbEntry> | null;
  /** Of a bridge: has it ever had a port? Until then it has a carrier of its own. */
  hadPort: boolean;
  times: BridgeTimes | null;
  /** Its MAC was given, not chosen: a bridge then does not take its ports' lowest. */
  macSet: boolean;
  /** Of vlan and macvlan: what it stands on; and what stands on it. */
  lower: Upper | null;
  uppers: Upper[];
  vlan: number | null;
  vxlan: Vxlan | null;
  discipline: Discipline | null;
  alias: string;
  group: number;
  promisc: boolean;
  multicast: boolean;
  arp: boolean;
}

export interface Address {
  family: 'inet' | 'inet6';
  address: string;
  prefix: number;
  scope: 'host' | 'link' | 'global';
  broadcast: string | null;
  label: string;
  /** kernel_lo, kernel_ll or nothing. */
  proto: string;
  /** ns at which duplicate address detection ends. */
  tentativeUntil: number;
  secondary: boolean;
  /** IFA_F_NOPREFIXROUTE: no connected route. */
  noPrefixRoute?: boolean;
}

export interface Route {
  /** "default" or a prefix "172.17.0.0/16". */
  to: string;
  via: string | null;
  dev: string;
  src: string | null;
  proto: string;
  scope: string;
  metric: number;
  /** unicast, blackhole, unreachable, prohibit. */
  type: string;
  onlink: boolean;
  /** "main" when it is not said. */
  table?: string;
  mtu?: number;
}

export interface Neighbour {
  address: string;
  dev: string;
  /** Empty while nobody answers. */
  mac: string;
  state: 'INCOMPLETE' | 'REACHABLE' | 'STALE' | 'DELAY' | 'PROBE' | 'FAILED' | 'PERMANENT' | 'NOARP';
  /** ns of the last confirmation. */
  at: number;
  /** Requests sent without an answer. */
  probes: number;
  /** What waits for the answer. */
  pending: { packet: Packet; trail: string }[];
}

/** An IPv4 packet. Plain data: it lies in events. `length` is that of the IP packet. */
export interface Packet {
  proto: 'tcp' | 'udp' | 'icmp' | 'arp';
  src: string;
  dst: string;
  /** Ports; of ICMP echo the identifier, in both. */
  sport: number;
  dport: number;
  ttl: number;
  length: number;
  /** Of TCP: letters of S, F, R, P and . (ACK), as tcpdump prints them. */
  flags: string;
  seq: number;
  ack: number;
  window: number;
  /** Of ICMP: 8 echo request, 0 reply, 3 unreachable, 11 time exceeded; of an error `inner` is what it is about, `about` how long that was, `mtu` the next hop's. */
  icmp: { type: number; code: number; seq: number; inner: Tuple | null; about?: number; mtu?: number } | null;
  data: Uint8Array;
  /** Of ARP: 1 request, 2 reply; the MAC addresses that it names. Addresses are src and dst. */
  arp?: { op: 1 | 2; sender: string; target: string };
  /** Its name in rows, on the wire. */
  trail?: string;
  /** Identification, "don't fragment", and of a fragment its place in bytes and whether more follow. */
  ident?: number;
  df?: boolean;
  offset?: number;
  more?: boolean;
  /** Of a fragment: what it is a part of. */
  whole?: Packet;
  /** Of a SYN: the longest segment that its sender takes. */
  mss?: number;
  /** Of TCP: where its and the other end's sequence numbers begin, and the timestamps. */
  isn?: number;
  peerIsn?: number;
  ts?: [number, number];
  /** Of TCP data: the length of each packet that this one is sent as (segmentation offload). */
  segment?: number;
  /** Of 802.1Q: the VLAN of the frame. */
  vlan?: number;
  /** Of VXLAN: the frame inside. */
  inner?: { vni: number; from: string; to: string; packet: Packet };
  tos?: number;
  /** While it is in one namespace: its mark, who sent it, the MAC address that it came from, and that nothing tracks it. */
  mark?: number;
  uid?: number;
  gid?: number;
  mac?: string;
  untracked?: boolean;
  /** netem has spoilt it. */
  corrupt?: boolean;
}

/** What a flow is known by. */
export interface Tuple {
  proto: Packet['proto'];
  src: string;
  dst: string;
  sport: number;
  dport: number;
}

/** One step of a packet's way: what the pictures and tcpdump read. */
export interface Hop {
  n: number;
  /** ns. */
  t: number;
  /** Inode of the network namespace. */
  ns: number;
  /** The link that it is about, or "". */
  link: string;
  /** Where: a socket, a hook of netfilter, the routing decision, the neighbour table, a link's egress or ingress, a bridge. */
  hook: 'socket' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'route' | 'arp' | 'egress' | 'ingress' | 'bridge' | 'qdisc' | 'tunnel';
  /** What: send, deliver, accept, drop, reject, dnat, snat, route, forward, resolve, out, in, learn, port, flood, … */
  action: string;
  /** The route, the reason of a drop, what a translation changed. */
  why: string;
  /** The rule or policy that decided: "filter FORWARD rule 2". */
  rule: string;
  /** Which packet: equal along its way, over every namespace and machine. */
  packet: string;
  what: Packet;
  /** MACs of the frame, for ingress, egress and bridge. */
  from: string;
  to: string;
}

export interface Net {
  /** By inode: those that somebody holds. */
  namespaces: Map<number, NetNamespace>;
  /** The newest hops. */
  hops: Hop[];
  nextHop: number;
  nextPacket: number;
  /** Unix sockets by "fs:dev:ino" or "abstract:NS:name". */
  unix: Map<string, Socket>;
  /** All open sockets by inode. */
  sockets: Map<number, Socket>;
  /** The message of the last refused rtnetlink request, by pid (NETLINK_EXT_ACK). */
  extack: Map<number, string>;
  nextMac: number;
}

/** What waits in a socket's receive queue. Stream data may carry descriptors at its beginning. */
export interface Chunk {
  data: Uint8Array;
  files: File[];
  from: SockAddr | null;
}

export interface Socket {
  /** Its inode in sockfs. */
  id: number;
  family: 'unix' | 'inet';
  type: 'stream' | 'dgram' | 'raw' | 'seqpacket';
  ns: NetNamespace;
  kernel: Kernel;
  state: 'fresh' | 'listening' | 'connecting' | 'connected' | 'closed';
  local: SockAddr | null;
  remote: SockAddr | null;
  /** Where it is in `Net.unix` or in `NetNamespace.ports`. */
  boundAs: string | null;
  backlog: number;
  /** Connections that accept(2) has not taken yet. */
  accepting: Socket[];
  queue: Chunk[];
  /** Bytes in `queue`. */
  queued: number;
  receiveShut: boolean;
  sendShut: boolean;
  /** Unix: the other end. */
  peer: Socket | null;
  /** Inet stream. */
  tcb: Tcb | null;
  /** Until accept(2) takes it: whose queue it is for. */
  listener: Socket | null;
  error: Errno | null;
  options: Map<string, number>;
  cred: { pid: number; uid: number; gid: number };
  peerCred: { pid: number; uid: number; gid: number };
  /** The accepted end of a connection: what the other end's last writer does it for; null of other sockets. */
  errand: number | null;
  /** Has no descriptor any more. */
  orphaned: boolean;
  owner: string;
  /** ns of the timer event that is under way; 0 none. */
  timerAt: number;
}
