/** ip link: list, add, change, delete. Source: ip-link(8). */
import { AT_FDCWD, SysError } from '../../../kernel/abi.ts';
import type { LinkInfo, NsRef } from '../../../kernel/net/rtnetlink.ts';
import { type NetlinkRequest, sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { ipNumber } from '../addresses.ts';
import { ask, Complaint } from '../rtnl.ts';
import { knownIds } from './netns.ts';
import { type IpOptions, jsonText } from './options.ts';
import { linkJson, linkText } from './show.ts';
import { usageOf } from './usage.ts';
import { garbage, matching, need, peek, take, type Words, wrong, wrongValue } from './words.ts';

const COMMANDS = ['add', 'set', 'change', 'replace', 'delete', 'show', 'list', 'lst', 'help'];
const MAC = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i;

/** Links, or a complaint about the one that is not there. */
export function* links(name?: string): Call<LinkInfo[]> {
  try {
    return (yield* sys('netlink', { type: 'link.list', ...(name === undefined ? {} : { name }) })) as LinkInfo[];
  } catch (error) {
    if (error instanceof SysError && error.errno === 'ENODEV') throw new Complaint(`Device "${name}" does not exist.`, 1);
    throw error;
  }
}

/** For commands that change: "Cannot find device". */
export function* requireDevice(name: string): Call<void> {
  const found = yield* attempt(sys('netlink', { type: 'link.list', name }), null, 'ENODEV');
  if (found === null) throw new Complaint(`Cannot find device "${name}"`, 1);
}

/** A namespace as a name of /run/netns, a path or a pid. */
export function* nsRef(word: string): Call<NsRef> {
  const path = word.includes('/') ? word : `/run/netns/${word}`;
  if ((yield* attempt(sys('faccessat', AT_FDCWD, path, 0), -1)) === 0) return { path };
  if (/^\d+$/.test(word)) {
    if ((yield* attempt(sys('faccessat', AT_FDCWD, `/proc/${word}/ns/net`, 0), -1)) === 0) return { pid: Number(word) };
  }
  throw wrong(word, 'Invalid "netns" value');
}

function lladdr(word: string): string {
  if (!MAC.test(word)) throw new Complaint(`"${word}" is invalid lladdr.`, 1);
  return word;
}

function number(word: string, what: string): number {
  if (!/^\d+$/.test(word)) throw wrong(word, `Invalid "${what}" value`);
  return Number(word);
}

interface Selection {
  dev?: string;
  type?: string;
  up?: boolean;
  master?: string;
  group?: number;
}

/** What `show` is to be about. */
export function selection(words: Words): Selection {
  const chosen: Selection = {};
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'up') chosen.up = true;
    else if (word === 'type') chosen.type = need(words);
    else if (word === 'master') chosen.master = need(words);
    else if (word === 'group') chosen.group = groupOf(need(words));
    else if (word === 'dev') chosen.dev = need(words);
    else if (word === 'vrf') throw wrong(need(words), 'Not a valid VRF name');
    else if (chosen.dev === undefined) chosen.dev = word;
    else throw garbage(word);
  }
  return chosen;
}

export function chosenBy({ type, up, master, group }: Selection): (link: LinkInfo) => boolean {
  return (link) => (type === undefined || link.kind === type) && (up !== true || link.up) && (master === undefined || link.master === master) && (group === undefined || link.group === group);
}

function* show(words: Words, options: IpOptions): Call<number> {
  const chosen = selection(words);
  if (chosen.master !== undefined && (yield* attempt(sys('netlink', { type: 'link.list', name: chosen.master }), null, 'ENODEV')) === null) throw wrong(chosen.master, 'Device does not exist');
  const found = (yield* links(chosen.dev)).filter(chosenBy(chosen));
  if (options.json) {
    yield* print(jsonText(found.map((one) => linkJson(one, 'link', { brief: options.brief, family: 'any' })), options));
    return 0;
  }
  const known = yield* knownIds();
  for (const link of found) yield* print(linkText(link, known, options));
  return 0;
}

/** What cannot be a link's name is refused before the kernel is asked. */
function interfaceName(word: string, keyword = 'dev'): string {
  if (word === '' || /[/\s]/.test(word)) throw wrongValue(word, `"${keyword}" not a valid ifname`);
  return word;
}

function* peer(words: Words): Call<Record<string, unknown>> {
  const made: Record<string, unknown> = {};
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'name') made.name = interfaceName(need(words), 'name');
    else if (word === 'netns') made.netns = yield* nsRef(need(words));
    else if (word === 'address') made.address = lladdr(need(words));
    else if (word === 'mtu') made.mtu = number(need(words), 'mtu');
    else if (word === 'txqueuelen' || word === 'txqlen' || word === 'qlen') made.txqlen = number(need(words), 'txqueuelen');
    else if (word === 'up') made.up = true;
    else if (made.name === undefined) made.name = interfaceName(word);
    else throw garbage(word);
  }
  return made;
}

/** Words of `add` and `set` that both know, into a request; false for another word. */
function* attribute(words: Words, word: string, request: NetlinkRequest): Call<boolean> {
  switch (word) {
    case 'up':
      request.up = true;
      return true;
    case 'down':
      request.up = false;
      return true;
    case 'mtu':
      request.mtu = number(need(words), 'mtu');
      return true;
    case 'address':
      request.address = lladdr(need(words));
      return true;
    case 'txqueuelen': case 'txqlen': case 'qlen':
      request.txqlen = number(need(words), 'txqueuelen');
      return true;
    case 'netns':
      request.netns = yield* nsRef(need(words));
      return true;
    case 'nomaster':
      request.master = null;
      return true;
    case 'master': {
      const master = need(words);
      const found = yield* attempt(sys('netlink', { type: 'link.list', name: master }), null, 'ENODEV');
      if (found === null) throw wrong(master, 'Device does not exist');
      request.master = master;
      return true;
    }
    default:
      return false;
  }
}

const MACVLAN_MODES: readonly string[] = ['private', 'vepa', 'bridge', 'passthru', 'source'];

/** Types that the real kernel has and this one has not. */
const LACKING: ReadonlySet<string> = new Set('bond ipvlan ipvtap macvtap team ifb vrf gre gretap erspan ip6gre ip6gretap ip6erspan ipip ip6tnl sit vti vti6 geneve bareudp wireguard xfrm nlmon netdevsim macsec hsr vcan vxcan can amt gtp batadv'.split(' '));

/** What follows `type KIND`: the options of VLANs, macvlans and VXLANs. */
function kindOptions(words: Words, request: NetlinkRequest): void {
  const { kind } = request;
  if (LACKING.has(String(kind))) throw new Complaint(`not modelled: links of type ${kind}`, 2);
  if (kind === 'bridge') request.bridge = bridgeOptions(words);
  if (kind !== 'vlan' && kind !== 'vxlan' && kind !== 'macvlan') return;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (kind === 'macvlan') {
      if (word !== 'mode') throw new Complaint(`macvlan: unknown command "${word}"?`, 255);
      const mode = need(words);
      if (!MACVLAN_MODES.includes(mode)) throw new Complaint(`Error: argument of "mode" must be "private", "vepa", "bridge", "passthru" or "source", not "${mode}"`, 1);
      if (mode !== 'bridge') throw new Complaint(`not modelled: macvlan mode ${mode}`, 255);
    } else if (kind === 'vlan') {
      if (word === 'id') request.id = numberIn(need(words), 65535, 'id is invalid');
      else if ('protocol'.startsWith(word) && word.length > 1) {
        const protocol = need(words);
        if (!/^802\.1(q|ad)$/i.test(protocol)) throw wrongValue(protocol, 'protocol is invalid');
        if (protocol.toLowerCase() !== '802.1q') throw new Complaint(`not modelled: vlan protocol ${protocol}`, 255);
      } else throw new Complaint(`vlan: unknown command "${word}"?`, 255);
    } else vxlanOption(words, word, request);
  }
}

const BRIDGE_NUMBERS: readonly string[] = ['forward_delay', 'hello_time', 'max_age', 'ageing_time', 'priority'];

/** What follows `type bridge`. The spanning tree protocol and VLANs have no mechanism. */
function bridgeOptions(words: Words): Record<string, number> {
  const out: Record<string, number> = {};
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    const value = need(words);
    if (BRIDGE_NUMBERS.includes(word)) out[word] = numberIn(value, 0xffffffff, `invalid ${word}`);
    else if ((word !== 'stp_state' && word !== 'vlan_filtering') || Number(value) !== 0) throw new Complaint(`not modelled: bridge ${word} ${value}`, 255);
  }
  return out;
}

function numberIn(word: string, most: number, why: string): number {
  if (!/^\d+$/.test(word) || Number(word) > most) throw wrongValue(word, why);
  return Number(word);
}

function vxlanOption(words: Words, word: string, request: NetlinkRequest): void {
  const address = (): string => {
    const given = need(words);
    if (ipNumber(given) === null) throw given.includes(':') ? new Complaint('not modelled: vxlan over IPv6', 255) : new Complaint(`Error: inet address is expected rather than "${given}".`, 1);
    return given;
  };
  switch (word) {
    case 'id': case 'vni':
      request.id = numberIn(need(words), 16777215, 'invalid id');
      return;
    case 'remote': case 'group': {
      const to = address();
      if ((Number(to.split('.')[0]) >= 224) !== (word === 'group')) throw wrongValue(to, word === 'group' ? 'invalid group address' : 'invalid remote address');
      request.remote = to;
      return;
    }
    case 'local':
      request.src = address();
      return;
    case 'dev':
      request.link = need(words);
      return;
    case 'dstport':
      request.port = numberIn(need(words), 65535, 'dst port');
      return;
    case 'ttl': {
      const ttl = need(words);
      request.ttl = ttl === 'auto' || ttl === 'inherit' ? 0 : numberIn(ttl, 255, 'TTL must be <= 255');
      return;
    }
    case 'learning': case 'nolearning':
      request.learning = word === 'learning';
      return;
    default:
      throw new Complaint(`vxlan: unknown command "${word}"?`, 255);
  }
}

function* add(words: Words): Call<number> {
  const request: NetlinkRequest = { type: 'link.add' };
  // a type's own words are looked at only when there are any
  let optioned = false;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'name' || word === 'dev') request.name = interfaceName(need(words), word);
    else if (word === 'index') request.index = numberIn(need(words), 2147483647, 'Invalid "index" value');
    else if (word === 'numtxqueues' || word === 'numrxqueues') throw new Complaint(`not modelled: ip link add ${word}`, 255);
    else if (word === 'type') {
      request.kind = need(words);
      if (request.kind === 'veth' && take(words, 'peer')) request.peer = yield* peer(words);
      else {
        optioned = peek(words) !== undefined;
        kindOptions(words, request);
      }
    } else if (word === 'link') request.link = need(words);
    else if (yield* attribute(words, word, request)) continue;
    else if (request.name === undefined) request.name = interfaceName(word);
    else throw garbage(word);
  }
  if (request.kind === 'vxlan' && optioned && request.id === undefined) throw new Complaint('vxlan: missing virtual network identifier', 1);
  if (request.kind === 'vxlan' && optioned && request.port === undefined) yield* complain("vxlan: destination port not specified\nWill use Linux kernel default (non-standard value)\nUse 'dstport 4789' to get the IANA assigned value\nUse 'dstport 0' to get default and quiet this message\n");
  if (request.link !== undefined) yield* requireDevice(String(request.link));
  if (request.kind === undefined) throw new Complaint('Not enough information: "type" argument is required', 1);
  const { up, master, ...creation } = request;
  const made = yield* ask<{ name: string }>(creation as NetlinkRequest);
  if (up !== undefined || master !== undefined) {
    yield* ask({ type: 'link.set', name: made.name, ...(up === undefined ? {} : { up }), ...(master === undefined ? {} : { master }), ...(request.netns === undefined ? {} : { ns: request.netns }) });
  }
  return 0;
}

function onOff(word: string, what: string): boolean {
  if (word !== 'on' && word !== 'off') throw new Complaint(`Error: argument of "${what}" must be "on" or "off", not "${word}"`, 255);
  return word === 'on';
}

function groupOf(word: string): number {
  if (word === 'default') return 0;
  if (!/^\d+$/.test(word)) throw wrong(word, 'Invalid "group" value');
  return Number(word);
}

function* set(words: Words): Call<number> {
  const request: NetlinkRequest = { type: 'link.set' };
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') request.name = need(words);
    else if (word === 'name') request.newName = need(words);
    else if (yield* attribute(words, word, request)) continue;
    else if (word === 'promisc' || word === 'arp' || word === 'multicast') request[word] = onOff(need(words), word);
    else if (word === 'alias') request.alias = need(words);
    else if (word === 'group') request.group = groupOf(need(words));
    else if (word === 'type' && peek(words) === 'bridge') {
      words.at++;
      request.bridge = bridgeOptions(words);
    } else if (word === 'type') throw new Complaint(`not modelled: ip link set type ${words.argv.slice(words.at).join(' ')}`, 255);
    else if (request.name === undefined) request.name = word;
    else throw garbage(word);
  }
  if (request.name === undefined) throw new Complaint('Not enough information: "dev" argument is required.', 255);
  yield* requireDevice(String(request.name));
  yield* ask(request);
  return 0;
}

function* remove(words: Words): Call<number> {
  let name: string | undefined;
  let group: number | undefined;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') name = need(words);
    else if (word === 'type') need(words);
    else if (word === 'group') group = groupOf(need(words));
    else if (name === undefined) name = word;
    else throw garbage(word);
  }
  if (name === undefined && group !== undefined) {
    for (const one of yield* links()) if (one.group === group) yield* ask({ type: 'link.del', name: one.name });
    return 0;
  }
  if (name === undefined) throw new Complaint('Not enough information: "dev" argument is required.', 1);
  yield* requireDevice(name);
  yield* ask({ type: 'link.del', name });
  return 0;
}

export function* link(words: Words, options: IpOptions): Call<number> {
  const word = peek(words);
  if (word === undefined) return yield* show(words, options);
  const command = matching(word, COMMANDS);
  words.at++;
  switch (command) {
    case 'add':
      return yield* add(words);
    case 'set': case 'change':
      return yield* set(words);
    case 'delete':
      return yield* remove(words);
    case 'show': case 'list': case 'lst':
      return yield* show(words, options);
    case 'help':
      throw new Complaint(usageOf('link'), 255);
    default:
      throw new Complaint(`Command "${word}" is unknown, try "ip link help".`, 255);
  }
}

