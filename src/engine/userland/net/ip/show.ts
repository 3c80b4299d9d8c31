/** Links and addresses as ip prints them: full, one line, brief, JSON. Source: iproute2 6.15's output. */
import type { AddressInfo, LinkInfo } from '../../../kernel/net/rtnetlink.ts';
import { type IpOptions, lines } from './options.ts';

export function flagsOf(link: LinkInfo): string[] {
  const flags: string[] = [];
  if (link.up && !link.carrier) flags.push('NO-CARRIER');
  if (link.kind === 'loopback') flags.push('LOOPBACK');
  else flags.push('BROADCAST', link.kind === 'dummy' ? 'NOARP' : 'MULTICAST');
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
  return `${link.index}: ${nameOf(link)}: <${flagsOf(link).join(',')}> mtu ${link.mtu} qdisc ${link.qdisc}${master} state ${link.operstate}${mode} group default${link.txqlen > 0 ? ` qlen ${link.txqlen}` : ''}`;
}

/** busybox takes the other end of a veth for a link of this namespace that it cannot find: down. */
function busyboxLine(link: LinkInfo): string {
  const flags = [...flagsOf(link), ...(link.peerIndex !== null && !link.peerName ? ['M-DOWN'] : [])];
  return `${link.index}: ${nameOf(link)}: <${flags.join(',')}> mtu ${link.mtu} qdisc ${link.qdisc} ${link.master ? `master ${link.master} ` : ''}${link.txqlen > 0 ? `qlen ${link.txqlen}` : ''}`;
}

/** `names` are the namespaces of /run/netns by the ids that this one knows them under. */
export function macLine(link: LinkInfo, names: ReadonlyMap<number, string>, style: IpOptions['style'] = 'iproute2'): string {
  const loop = link.kind === 'loopback';
  const name = link.peerNsid === null ? undefined : names.get(link.peerNsid);
  const where = link.peerNsid === null || style === 'busybox' ? '' : name ? ` link-netns ${name}` : ` link-netnsid ${link.peerNsid}`;
  return `    link/${loop ? 'loopback' : 'ether'} ${link.mac} brd ${loop ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff'}${where}`;
}

export function addressText(one: AddressInfo, style: IpOptions['style'] = 'iproute2'): string {
  const peer = one.broadcast ? ` brd ${one.broadcast}` : '';
  const flags = `${one.secondary ? ' secondary' : ''}${one.tentative ? ' tentative' : ''}`;
  const tail = one.family === 'inet6' ? `${one.proto && style === 'iproute2' ? ` proto ${one.proto}` : ''} ` : ` ${one.label}`;
  return `${one.family} ${one.address}/${one.prefix}${peer} scope ${one.scope}${flags}${tail}`;
}

export const LIFETIME = '       valid_lft forever preferred_lft forever';

export function statLines({ stats }: LinkInfo): string[] {
  const row = (bytes: number, packets: number, dropped: number): string =>
    `    ${String(bytes).padStart(10)} ${String(packets).padStart(7)} ${'0'.padStart(6)} ${String(dropped).padStart(7)} ${'0'.padStart(7)} ${'0'.padStart(7)} `;
  return [
    '    RX:  bytes packets errors dropped  missed   mcast           ', row(stats.rxBytes, stats.rxPackets, stats.rxDropped),
    '    TX:  bytes packets errors dropped carrier collsns           ', row(stats.txBytes, stats.txPackets, stats.txDropped),
  ];
}

const KIND_DETAILS: Partial<Record<LinkInfo['kind'], string>> = { veth: 'veth', bridge: 'bridge forward_delay 1500 hello_time 200 max_age 2000', dummy: 'dummy' };

export function linkText(link: LinkInfo, names: ReadonlyMap<number, string>, options: IpOptions): string {
  if (options.brief) return `${nameOf(link).padEnd(16)} ${link.operstate.padEnd(14)} ${link.mac} <${flagsOf(link).join(',')}> \n`;
  const kind = KIND_DETAILS[link.kind];
  const details = options.details && kind ? [`    ${kind} `] : [];
  return lines([firstLine(link, 'link', options.style), macLine(link, names, options.style), ...details, ...(options.statistics ? statLines(link) : [])], options);
}

export function addressesText(link: LinkInfo, shown: readonly AddressInfo[], names: ReadonlyMap<number, string>, options: IpOptions): string {
  if (options.brief) return `${nameOf(link).padEnd(16)} ${link.operstate.padEnd(14)} ${shown.map((one) => `${one.address}/${one.prefix} `).join('')}\n`;
  if (options.oneline) return shown.map((one) => `${link.index}: ${link.name}    ${addressText(one)}\\${LIFETIME}\n`).join('');
  const head = options.family === 'any' ? [firstLine(link, 'addr', options.style), macLine(link, names, options.style)] : [firstLine(link, 'addr', options.style)];
  const rows = shown.flatMap((one) => [`    ${addressText(one, options.style)}`, LIFETIME]);
  return `${[...head, ...rows, ...(options.statistics ? statLines(link) : [])].join('\n')}\n`;
}

export function linkJson(link: LinkInfo): Record<string, unknown> {
  return {
    ifindex: link.index, ...(link.peerName ? { link: link.peerName } : link.peerIndex === null ? {} : { link_index: link.peerIndex }), ifname: link.name,
    flags: flagsOf(link), mtu: link.mtu, qdisc: link.qdisc, ...(link.master ? { master: link.master } : {}), operstate: link.operstate, linkmode: 'DEFAULT',
    group: 'default', txqlen: link.txqlen, link_type: link.kind === 'loopback' ? 'loopback' : 'ether', address: link.mac,
    broadcast: link.kind === 'loopback' ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff', ...(link.peerNsid === null ? {} : { link_netnsid: link.peerNsid }),
  };
}

export function addressJson(one: AddressInfo): Record<string, unknown> {
  return {
    family: one.family, local: one.address, prefixlen: one.prefix, ...(one.broadcast ? { broadcast: one.broadcast } : {}), scope: one.scope,
    ...(one.secondary ? { secondary: true } : {}), ...(one.tentative ? { tentative: true } : {}), ...(one.proto ? { protocol: one.proto } : {}),
    ...(one.family === 'inet' ? { label: one.label } : {}), valid_life_time: 4294967295, preferred_life_time: 4294967295,
  };
}
