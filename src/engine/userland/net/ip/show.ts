/** Links and addresses as ip prints them: full, one line, brief, JSON. Source: iproute2 6.15's output. */
import type { AddressInfo, LinkInfo } from '../../../kernel/net/rtnetlink.ts';
import { colouredBrief, colouredLink } from './color.ts';
import { type IpOptions, lines } from './options.ts';

export function flagsOf(link: LinkInfo): string[] {
  const flags: string[] = [];
  if (link.up && !link.carrier) flags.push('NO-CARRIER');
  if (link.kind === 'loopback') flags.push('LOOPBACK');
  else flags.push('BROADCAST', ...(link.multicast && link.kind !== 'dummy' ? ['MULTICAST'] : []), ...(link.arp ? [] : ['NOARP']));
  if (link.promisc) flags.push('PROMISC');
  if (link.up) flags.push('UP');
  if (link.up && link.carrier) flags.push('LOWER_UP');
  if (link.peerDown) flags.push('M-DOWN');
  return flags;
}

/** "v1@c1eth", "v1@if3", "br0". */
export function nameOf(link: LinkInfo): string {
  if (link.peerIndex === null) return link.name;
  return `${link.name}@${link.peerName ?? `if${link.peerIndex}`}`;
}

export function firstLine(link: LinkInfo, what: 'link' | 'addr', style: IpOptions['style'] = 'iproute2'): string {
  if (style === 'busybox') return busyboxLine(link);
  const master = link.master ? ` master ${link.master}` : '';
  const mode = what === 'link' ? ' mode DEFAULT' : '';
  return `${link.index}: ${nameOf(link)}: <${flagsOf(link).join(',')}> mtu ${link.mtu} qdisc ${link.qdisc}${master} state ${link.operstate}${mode} group ${link.group === 0 ? 'default' : link.group}${link.txqlen > 0 ? ` qlen ${link.txqlen}` : ''}`;
}

/** What IPv6 has to say of a link: less. */
function line6(link: LinkInfo): string {
  return `${link.index}: ${link.name}: <${flagsOf(link).join(',')}> mtu ${link.mtu} state ${link.operstate}${link.txqlen > 0 ? ` qlen ${link.txqlen}` : ''}`;
}

/** busybox takes the other end of a veth for a link of this namespace that it cannot find: down. */
function busyboxLine(link: LinkInfo): string {
  const flags = [...flagsOf(link), ...(link.peerIndex !== null && !link.peerName ? ['M-DOWN'] : [])];
  return `${link.index}: ${nameOf(link)}: <${flags.join(',')}> mtu ${link.mtu} qdisc ${link.qdisc} ${link.master ? `master ${link.master} ` : ''}${link.txqlen > 0 ? `qlen ${link.txqlen}` : ''}`;
}

/** `names` are the namespaces of /run/netns by the ids that this one knows them under. */
export function macLine(link: LinkInfo, names: ReadonlyMap<number, string>, style: IpOptions['style'] = 'iproute2'): string {
  const loop = link.kind === 'loopback';
  const where = style === 'busybox' ? '' : otherEnd(link, names);
  return `    link/${loop ? 'loopback' : 'ether'} ${link.mac} brd ${loop ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff'}${where}`;
}

/** In which namespace the other end is, if it is another one. */
function otherEnd({ peerNsid }: LinkInfo, names: ReadonlyMap<number, string>): string {
  if (peerNsid === null) return '';
  const name = names.get(peerNsid);
  return name ? ` link-netns ${name}` : ` link-netnsid ${peerNsid}`;
}

export function addressText(one: AddressInfo, style: IpOptions['style'] = 'iproute2'): string {
  const peer = one.broadcast ? ` brd ${one.broadcast}` : '';
  const flags = `${one.secondary ? ' secondary' : ''}${one.tentative ? ' tentative' : ''}${one.noPrefixRoute ? ' noprefixroute' : ''}`;
  const tail = one.family === 'inet6' ? `${one.proto && style === 'iproute2' ? ` proto ${one.proto}` : ''} ` : ` ${one.label}`;
  return `${one.family} ${one.address}/${one.prefix}${peer} scope ${one.scope}${flags}${tail}`;
}

export const LIFETIME = '       valid_lft forever preferred_lft forever';

const ERRORS = '                     0      0       0       0       0 ';

export function statLines({ stats }: LinkInfo, more = false): string[] {
  const row = (bytes: number, packets: number, dropped: number): string =>
    `    ${String(bytes).padStart(10)} ${String(packets).padStart(7)} ${'0'.padStart(6)} ${String(dropped).padStart(7)} ${'0'.padStart(7)} ${'0'.padStart(7)} `;
  return [
    '    RX:  bytes packets errors dropped  missed   mcast           ', row(stats.rxBytes, stats.rxPackets, stats.rxDropped), ...(more ? ['    RX errors:  length    crc   frame    fifo overrun', ERRORS] : []),
    '    TX:  bytes packets errors dropped carrier collsns           ', row(stats.txBytes, stats.txPackets, stats.txDropped), ...(more ? ['    TX errors: aborted   fifo  window heartbt transns', ERRORS] : []),
  ];
}

const QUEUES = (n: number, tso = 524280): string => `addrgenmode eui64 numtxqueues ${n} numrxqueues ${n} gso_max_size 65536 gso_max_segs 65535 tso_max_size ${tso} tso_max_segs 65535 gro_max_size 65536 gso_ipv4_max_size 65536 gro_ipv4_max_size 65536 `;

function vxlanText({ vni, port, local, remote, dev, ttl, learning }: NonNullable<LinkInfo['vxlan']>): string {
  const far = remote === '' ? '' : `${Number(remote.split('.')[0]) >= 224 ? 'group' : 'remote'} ${remote} `;
  return `vxlan id ${vni} ${far}${local ? `local ${local} ` : ''}${dev ? `dev ${dev} ` : ''}srcport 0 0 dstport ${port} ttl ${ttl || 'auto'} ageing 300 ${learning ? '' : 'nolearning '}`.trimEnd();
}

function bridgeText({ mac, times }: LinkInfo): string {
  const { forward_delay, hello_time, max_age, ageing_time, priority } = times!;
  const id = `${priority.toString(16).padStart(4, '0')}.${mac}`;
  const multicast = 'mcast_snooping 1 no_linklocal_learn 0 mcast_vlan_snooping 0 mst_enabled 0 mdb_offload_fail_notification 0 fdb_max_learned 0 mcast_router 1 mcast_query_use_ifaddr 0 mcast_querier 0 mcast_hash_elasticity 16 mcast_hash_max 4096 mcast_last_member_count 2 mcast_startup_query_count 2 mcast_last_member_interval 100 mcast_membership_interval 26000 mcast_querier_interval 25500 mcast_query_interval 12500 mcast_query_response_interval 1000 mcast_startup_query_interval 3125 mcast_stats_enabled 0 mcast_igmp_version 2 mcast_mld_version 1 nf_call_iptables 0 nf_call_ip6tables 0 nf_call_arptables 0';
  return `bridge forward_delay ${forward_delay} hello_time ${hello_time} max_age ${max_age} ageing_time ${ageing_time} stp_state 0 priority ${priority} vlan_filtering 0 vlan_protocol 802.1Q bridge_id ${id} designated_root ${id} root_port 0 root_path_cost 0 topology_change 0 topology_change_detected 0 hello_timer    0.00 tcn_timer    0.00 topology_change_timer    0.00 gc_timer    0.00 fdb_n_learned 0 group_fwd_mask 0 group_address 01:80:c2:00:00:00 ${multicast}`;
}

function kindText(link: LinkInfo): string {
  if (link.kind === 'vxlan' && link.vxlan) return vxlanText(link.vxlan);
  if (link.kind === 'vlan') return `vlan protocol 802.1Q id ${link.vlan} <REORDER_HDR>`;
  if (link.kind === 'macvlan') return 'macvlan mode bridge bcqueuelen 1000 usedbcqueuelen 1000';
  return link.kind === 'bridge' ? bridgeText(link) : link.kind;
}

/** Of a bridge's port: by its speed, which a veth takes for 10 Gbit/s and of others is not known. */
export const portCost = ({ kind }: LinkInfo): number => (kind === 'veth' ? 2 : 100);

/** -d: what follows the addresses, on the same line for a link without a kind. */
function details(link: LinkInfo): { tail: string; rows: string[] } {
  const limits = link.kind === 'loopback' || link.kind === 'dummy' ? [0, 0] : link.kind === 'vlan' ? [0, 65535] : [68, 65535];
  const promiscuity = ` promiscuity ${link.promisc || link.master ? 1 : 0} allmulti ${link.master ? 1 : 0} minmtu ${limits[0]} maxmtu ${limits[1]} `;
  const queues = QUEUES(link.kind === 'veth' ? 2 : 1, link.kind === 'dummy' ? 65536 : 524280);
  if (link.kind === 'loopback' || link.kind === 'ether') return { tail: `${promiscuity}${queues}`, rows: [] };
  if (!link.master) return { tail: promiscuity, rows: [`    ${kindText(link)} ${queues}`] };
  const slave = `bridge_slave state ${link.up && link.carrier ? 'forwarding' : 'disabled'} priority 32 cost ${portCost(link)} hairpin off guard off root_block off fastleave off learning on flood on port_id 0x${(0x8000 + link.portNo).toString(16)} port_no 0x${link.portNo.toString(16)}`;
  return { tail: promiscuity, rows: [`    ${kindText(link)} `, `    ${slave} ${queues}`] };
}

const coloured = (text: string, { colour, brief }: IpOptions): string => (!colour ? text : brief ? colouredBrief(text) : colouredLink(text));

export function linkText(link: LinkInfo, names: ReadonlyMap<number, string>, options: IpOptions): string {
  if (options.brief) return coloured(`${nameOf(link).padEnd(16)} ${link.operstate.padEnd(14)} ${link.mac} <${flagsOf(link).join(',')}> \n`, options);
  const more = options.details ? details(link) : { tail: '', rows: [] };
  const alias = link.alias === '' ? [] : [`    alias ${link.alias}`];
  return coloured(lines([firstLine(link, 'link', options.style), `${macLine(link, names, options.style)}${more.tail}`, ...more.rows, ...(options.statistics ? statLines(link, options.moreStatistics) : []), ...alias], options), options);
}

export function addressesText(link: LinkInfo, shown: readonly AddressInfo[], names: ReadonlyMap<number, string>, options: IpOptions, headed = true): string {
  if (options.brief) return coloured(`${nameOf(link).padEnd(16)} ${link.operstate.padEnd(14)} ${shown.map((one) => `${one.address}/${one.prefix} `).join('')}\n`, options);
  if (options.oneline) return shown.map((one) => `${link.index}: ${link.name}    ${addressText(one)}\\${LIFETIME}\n`).join('');
  const head = !headed ? [] : options.family === 'inet6' && options.style === 'iproute2' ? [line6(link)] : options.family === 'any' ? [firstLine(link, 'addr', options.style), macLine(link, names, options.style)] : [`${firstLine(link, 'addr', options.style)}${options.style === 'busybox' ? '' : otherEnd(link, names)}`];
  const rows = shown.flatMap((one) => [`    ${addressText(one, options.style)}`, LIFETIME]);
  return coloured(`${[...head, ...rows, ...(options.statistics ? statLines(link) : [])].join('\n')}\n`, options);
}

export function linkJson(link: LinkInfo, of: 'link' | 'addr' = 'link', options: Pick<IpOptions, 'brief' | 'family'> = { brief: false, family: 'any' }): Record<string, unknown> {
  const peer = link.peerName ? { link: link.peerName } : link.peerIndex === null ? {} : { link_index: link.peerIndex };
  if (options.brief) return { ...peer, ifname: link.name, operstate: link.operstate, ...(of === 'link' ? { address: link.mac, flags: flagsOf(link) } : {}) };
  const hardware = options.family === 'any' ? { link_type: link.kind === 'loopback' ? 'loopback' : 'ether', address: link.mac, broadcast: link.kind === 'loopback' ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff' } : {};
  return {
    ifindex: link.index, ...(link.peerName ? { link: link.peerName } : link.peerIndex === null ? {} : { link_index: link.peerIndex }), ifname: link.name,
    flags: flagsOf(link), mtu: link.mtu, qdisc: link.qdisc, ...(link.master ? { master: link.master } : {}), operstate: link.operstate, ...(of === 'link' ? { linkmode: 'DEFAULT' } : {}),
    group: 'default', txqlen: link.txqlen, ...hardware, ...(link.peerNsid === null ? {} : { link_netnsid: link.peerNsid }),
  };
}

export function addressJson(one: AddressInfo): Record<string, unknown> {
  return {
    family: one.family, local: one.address, prefixlen: one.prefix, ...(one.broadcast ? { broadcast: one.broadcast } : {}), scope: one.scope,
    ...(one.secondary ? { secondary: true } : {}), ...(one.tentative ? { tentative: true } : {}), ...(one.noPrefixRoute ? { noprefixroute: true } : {}), ...(one.proto ? { protocol: one.proto } : {}),
    ...(one.family === 'inet' ? { label: one.label } : {}), valid_life_time: 4294967295, preferred_life_time: 4294967295,
  };
}
