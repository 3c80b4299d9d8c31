/** ip route and ip neighbour. Source: ip-route(8), ip-neighbour(8). IPv4; of IPv6 the routes of link-local addresses are shown. */
import type { LinkInfo } from '../../../kernel/net/rtnetlink.ts';
import type { Route } from '../../../kernel/net/types.ts';
import { SysError } from '../../../kernel/abi.ts';
import { type NetlinkRequest, sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { ipNumber, parseAddress } from '../addresses.ts';
import { ask, Complaint } from '../rtnl.ts';
import { colouredRoute } from './color.ts';
import { requireDevice } from './link.ts';
import { type IpOptions, jsonText } from './options.ts';
import { usageOf } from './usage.ts';
import { garbage, matching, need, peek, take, type Words, wrong, wrongValue } from './words.ts';

const COMMANDS = ['list', 'show', 'add', 'append', 'change', 'chg', 'replace', 'delete', 'get', 'flush', 'help'];
const TYPES: ReadonlySet<string> = new Set(['unicast', 'blackhole', 'unreachable', 'prohibit', 'throw']);

type Shown = Route & { linkdown: boolean };

function routeText(route: Shown, { style, details, numeric }: IpOptions, table: 'all' | null = null): string {
  if (style === 'busybox') {
    const via = route.via ? `via ${route.via} ` : '';
    return `${route.to} ${via}dev ${route.dev} ${route.scope === 'global' ? '' : `scope ${route.scope} `}${route.src ? ` src ${route.src} ` : ''}${route.metric ? ` metric ${route.metric} ` : ''}\n`;
  }
  let text = route.type === 'unicast' && !details ? `${route.to} ` : `${route.type} ${route.to} `;
  if (route.via) text += `via ${route.via} `;
  if (route.type === 'unicast' || route.type === 'local' || route.type === 'broadcast') text += `dev ${route.dev} `;
  if (table !== null && (route.table ?? 'main') !== 'main') text += `table ${route.table} `;
  if (route.proto !== 'boot' || details) text += `proto ${numeric ? numberOf(PROTOCOLS, route.proto) : route.proto} `;
  if (route.scope !== 'global' || details) text += `scope ${numeric ? numberOf(SCOPES, route.scope) : route.scope} `;
  if (route.src) text += `src ${route.src} `;
  if (route.metric) text += `metric ${route.metric} `;
  if (route.mtu) text += `mtu ${route.mtu} `;
  if (route.onlink) text += 'onlink ';
  return `${text}${route.linkdown ? 'linkdown ' : ''}\n`;
}

function routeJson(route: Shown): Record<string, unknown> {
  return {
    ...(route.type === 'unicast' ? {} : { type: route.type }), dst: route.to, ...(route.via ? { gateway: route.via } : {}), dev: route.dev,
    ...(route.proto === 'boot' ? {} : { protocol: route.proto }), ...(route.scope === 'global' ? {} : { scope: route.scope }),
    ...(route.src ? { prefsrc: route.src } : {}), ...(route.metric ? { metric: route.metric } : {}), flags: route.linkdown ? ['linkdown'] : [],
  };
}

const printed = ({ colour }: IpOptions, line: string): Call<void> => print(colour ? colouredRoute(line) : line);

function* show(words: Words, options: IpOptions): Call<number> {
  let dev: string | undefined;
  let to: string | undefined;
  let proto: string | undefined;
  let via: string | undefined;
  let type: string | undefined;
  let table = 'main';
  let how = 'exact';
  let scope: string | undefined;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') dev = need(words);
    else if (word === 'proto') proto = need(words);
    else if (word === 'via') via = need(words);
    else if (word === 'table') {
      table = tableName(need(words));
    } else if (word === 'to' || word === 'exact' || word === 'root' || word === 'match') {
      if (word !== 'to') how = word;
      to = need(words);
      if (to === 'root' || to === 'match' || to === 'exact') {
        how = to;
        to = need(words);
      }
      to = prefixOf(to, options.family);
    } else if (word === 'type') type = need(words);
    else if (word === 'scope') scope = need(words);
    else if (TYPES.has(word)) type = word;
    else to = prefixOf(word, options.family);
  }
  if (options.family === 'inet6') return yield* show6(dev);
  if (dev !== undefined) yield* requireDevice(dev);
  const listed = yield* routesOf(table);
  const found = listed.filter(
    (r) => (dev === undefined || r.dev === dev) && (proto === undefined || r.proto === proto) && (via === undefined || r.via === via) && (type === undefined || r.type === type) && (scope === undefined || r.scope === scope) && (to === undefined || isWanted(r.to, to, how)),
  );
  if (options.json) yield* print(jsonText(found.map(routeJson), options));
  else for (const route of found) yield* printed(options, routeText(route, options, table === 'all' ? 'all' : null).replace(dev === undefined ? '\0' : ` dev ${dev}`, '').replace(scope === undefined ? '\0' : ` scope ${scope}`, '').replace(via === undefined ? '\0' : ` via ${via}`, ''));
  return 0;
}

const TABLES: Readonly<Record<string, string>> = { 254: 'main', 255: 'local', 253: 'default', 0: 'all', unspec: 'all' };

/** A table by number or by the names that rt_tables begins with. */
export function tableName(word: string): string {
  if (/^(main|local|default|all)$/.test(word)) return word;
  if (!/^\d+$/.test(word)) throw wrong(word, 'table id value is invalid');
  if (Number(word) > 0xffffffff) throw wrong(word, '"table" value is invalid');
  return TABLES[word] ?? word;
}

function* routesOf(table: string): Call<Shown[]> {
  try {
    return (yield* sys('netlink', { type: 'route.list', table })) as Shown[];
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== 'ENOENT') throw error;
    throw new Complaint('Error: ipv4: FIB table does not exist.\nDump terminated', 2);
  }
}

function isWanted(to: string, wanted: string, how: string): boolean {
  const range = (word: string): [number, number] => {
    const { address, prefix } = word === 'default' ? { address: '0.0.0.0', prefix: 0 } : parseAddress(word)!;
    const size = 2 ** (32 - prefix);
    const first = Math.floor(ipNumber(address)! / size) * size;
    return [first, first + size];
  };
  const [a, b] = range(to);
  const [c, d] = range(wanted);
  if (how === 'root') return a >= c && b <= d;
  return how === 'match' ? a <= c && b >= d : a === c && b === d;
}

/** The routes that link-local addresses bring: all of IPv6 that there is. */
function* show6(dev: string | undefined): Call<number> {
  for (const link of yield* ask<LinkInfo[]>({ type: 'link.list' })) {
    if (dev !== undefined && dev !== link.name) continue;
    if (link.up && link.addresses.some((a) => a.family === 'inet6' && a.scope === 'link')) yield* print(`fe80::/64 ${dev === undefined ? `dev ${link.name} ` : ''}proto kernel metric 256 ${link.carrier ? '' : 'linkdown '}pref medium\n`);
  }
  return 0;
}

function prefixOf(word: string, family: IpOptions['family']): string {
  if (word === 'default' || word === 'any' || word === 'all') return 'default';
  const short = /^(\d+(?:\.\d+){0,2})\/(\d+)$/.exec(word);
  const full = short ? `${short[1]!.split('.').concat('0', '0', '0').slice(0, 4).join('.')}/${short[2]}` : word;
  if (!parseAddress(full)) throw new Complaint(`Error: ${family === 'inet' ? 'inet' : 'any valid'} prefix is expected rather than "${word}".`, 1);
  return full;
}

function counted(word: string, what: string): number {
  if (!/^(\d+|0x[0-9a-f]+)$/i.test(word) || Number(word) > 0xffffffff) throw wrong(word, `"${what}" value is invalid`);
  return Number(word);
}

const SCOPES: Readonly<Record<string, string>> = { 0: 'global', 200: 'site', 253: 'link', 254: 'host', 255: 'nowhere' };
/** With -N names are numbers. */
const numberOf = (names: Readonly<Record<string, string>>, name: string): string => Object.keys(names).find((n) => names[n] === name) ?? name;

const PROTOCOLS: Readonly<Record<string, string>> = { 0: 'unspec', 1: 'redirect', 2: 'kernel', 3: 'boot', 4: 'static', 8: 'gated', 9: 'ra', 16: 'dhcp', 186: 'bgp', 188: 'ospf' };

function protocolOf(word: string): string {
  if (/^\d+$/.test(word) && Number(word) <= 255) return PROTOCOLS[word] ?? word;
  if (!Object.values(PROTOCOLS).includes(word) && !/^(mrt|zebra|bird|dnrouted|xorp|ntk|keepalived|babel|isis|rip|eigrp|openr)$/.test(word)) throw wrong(word, '"protocol" value is invalid');
  return word;
}

function gatewayOf(word: string): string {
  if (ipNumber(word) === null) throw new Complaint(`Error: inet address is expected rather than "${word}".`, 1);
  return word;
}

function* change(words: Words, options: IpOptions, type: 'route.add' | 'route.replace' | 'route.del', append = false): Call<number> {
  const request: NetlinkRequest = { type, ...(append ? { append } : {}) };
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'via') {
      take(words, 'inet');
      request.via = gatewayOf(need(words));
    } else if (word === 'dev' || word === 'oif') request.dev = need(words);
    else if (word === 'src') request.src = gatewayOf(need(words));
    else if (word === 'metric' || word === 'preference') request.metric = counted(need(words), 'metric');
    else if (word === 'proto' || word === 'protocol') request.proto = protocolOf(need(words));
    else if (word === 'scope') request.scope = need(words);
    else if (word === 'onlink') request.onlink = true;
    else if (word === 'table') {
      request.table = tableName(need(words));
    } else if (word === 'mtu') {
      take(words, 'lock');
      request.mtu = Number(need(words));
    } else if (METRICS.has(word)) throw new Complaint(`not modelled: ip route ${word}`, 255);
    else if (word === 'nexthop') throw new Complaint('not modelled: routes with several next hops', 255);
    else if (TYPES.has(word) && request.to === undefined) request.kind = word;
    else if (word === 'to') request.to = prefixOf(need(words), options.family);
    else if (request.to === undefined) request.to = prefixOf(word, options.family);
    else throw garbage(word);
  }
  if (request.to === undefined && Object.keys(request).length <= 1) throw new Complaint(usageOf('route'), 255);
  if (request.to === undefined) throw new Complaint('RTNETLINK answers: Invalid argument', 2);
  if (request.dev !== undefined) yield* requireDevice(String(request.dev));
  yield* ask(request);
  return 0;
}

/** Words of a route that have no effect on packets here. */
const METRICS: ReadonlySet<string> = new Set('hoplimit advmss rtt rttvar rto_min window cwnd initcwnd initrwnd ssthresh reordering features quickack congctl fastopen_no_cookie nhid encap pref expires realm realms tos dsfield'.split(' '));

interface Got {
  type: string;
  via: string | null;
  dev: string;
  src: string;
  table: string;
  mtu: number | null;
  to: string;
}

function* get(words: Words, options: IpOptions): Call<number> {
  const request: NetlinkRequest = { type: 'route.get' };
  let fibmatch = false;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'from') request.from = need(words);
    else if (word === 'oif' || word === 'dev') request.oif = need(words);
    else if (word === 'iif') request.iif = need(words);
    else if (word === 'mark') request.mark = counted(need(words), 'mark');
    else if (word === 'uid') request.uid = counted(need(words), 'uid');
    else if (word === 'ipproto') request.proto = need(words);
    else if (word === 'sport' || word === 'dport') request[word] = counted(need(words), word);
    else if (word === 'fibmatch') fibmatch = true;
    else if (word === 'tos' || word === 'vrf' || word === 'connected' || word === 'notify') throw new Complaint(`not modelled: ip route get ${word}`, 255);
    else request.to = word === 'to' ? need(words) : word;
  }
  const to = String(request.to ?? '').replace(/\/\d+$/, '');
  if (request.to === undefined) throw new Complaint('need at least a destination address', 1);
  if (ipNumber(to) === null) throw new Complaint(`Error: any valid prefix is expected rather than "${to}".`, 1);
  for (const link of [request.oif, request.iif]) if (link !== undefined) yield* requireDevice(String(link));
  const found = yield* ask<Got & { route?: Shown }>({ ...request, to });
  if (fibmatch && found.route) {
    yield* print(routeText({ ...found.route, linkdown: false }, options));
    return 0;
  }
  const uid = request.uid ?? (yield* sys('getuid'));
  if (options.json) yield* print(jsonText([gotJson(found, to, request, Number(uid))], options));
  else yield* print(gotText(found, to, request, Number(uid)));
  return 0;
}

function gotText(found: Got, to: string, request: NetlinkRequest, uid: number): string {
  const kind = found.type === 'unicast' ? '' : `${found.type} `;
  const from = request.from === undefined ? '' : `from ${String(request.from)} `;
  const table = found.table !== 'main' && found.table !== 'local' ? `table ${found.table} ` : '';
  const mark = request.mark ? `mark ${Number(request.mark) < 16 ? Number(request.mark) : `0x${Number(request.mark).toString(16)}`} ` : '';
  const src = request.from === undefined ? `src ${found.src} ` : '';
  const cached = found.type === 'local' ? '<local> ' : found.type === 'broadcast' ? '<local,brd> ' : '';
  const who = request.iif === undefined ? `uid ${uid} ` : '';
  return `${kind}${to} ${from}${found.via ? `via ${found.via} ` : ''}dev ${found.dev} ${table}${src}${mark}${who}\n    cache ${cached}${found.mtu ? `mtu ${found.mtu} ` : ''}${request.iif === undefined ? '' : `iif ${String(request.iif)} `}\n`;
}

function gotJson(found: Got, to: string, request: NetlinkRequest, uid: number): object {
  return {
    ...(found.type === 'unicast' ? {} : { type: found.type }), dst: to, ...(request.from === undefined ? {} : { from: request.from }), ...(found.via ? { gateway: found.via } : {}), dev: found.dev,
    ...(request.from === undefined ? { prefsrc: found.src } : {}), flags: [], uid, cache: found.type === 'local' ? ['local'] : found.type === 'broadcast' ? ['local', 'brd'] : [],
  };
}

function* flush(words: Words): Call<number> {
  if (peek(words) === 'cache') return 0;
  if (peek(words) === undefined) throw new Complaint('"ip route flush" requires arguments.', 255);
  let dev: string | undefined;
  let proto: string | undefined;
  let table = 'main';
  let to: string | undefined;
  let via: string | undefined;
  let how = 'exact';
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') dev = need(words);
    else if (word === 'proto') proto = need(words);
    else if (word === 'table') table = tableName(need(words));
    else if (word === 'via') via = gatewayOf(need(words));
    else if (word === 'root' || word === 'match' || word === 'exact') {
      how = word;
      to = prefixOf(need(words), 'any');
    } else to = prefixOf(word === 'to' ? need(words) : word, 'any');
  }
  if (dev !== undefined) yield* requireDevice(dev);
  for (const route of yield* routesOf(table)) {
    if (route.table === 'local' || (via !== undefined && route.via !== via) || (dev !== undefined && route.dev !== dev) || (proto !== undefined && route.proto !== proto) || (to !== undefined && !isWanted(route.to, to, how))) continue;
    yield* ask({ type: 'route.del', to: route.to, dev: route.dev, metric: route.metric, table: route.table ?? 'main' });
  }
  return 0;
}

export function* route(words: Words, options: IpOptions): Call<number> {
  const word = peek(words);
  if (word === undefined) return yield* show(words, options);
  words.at++;
  switch (matching(word, COMMANDS)) {
    case 'add': case 'append':
      return yield* change(words, options, 'route.add', matching(word, COMMANDS) === 'append');
    case 'replace': case 'change': case 'chg':
      return yield* change(words, options, 'route.replace');
    case 'delete':
      return yield* change(words, options, 'route.del');
    case 'get':
      return yield* get(words, options);
    case 'flush':
      return yield* flush(words);
    case 'list': case 'show':
      return yield* show(words, options);
    case 'help':
      throw new Complaint(usageOf('route'), 255);
    default:
      throw new Complaint(`Command "${word}" is unknown, try "ip route help".`, 255);
  }
}

interface Neighbour {
  address: string;
  dev: string;
  mac: string;
  state: string;
}

function* neighShow(words: Words, options: IpOptions): Call<number> {
  let dev: string | undefined;
  let to: string | undefined;
  let state: string | undefined;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') dev = need(words);
    else if (word === 'nud') state = nudOf(need(words));
    else if (word === 'proxy') throw new Complaint('not modelled: ip neigh proxy', 255);
    else {
      to = word === 'to' ? need(words) : word;
      if (!parseAddress(to)) throw new Complaint(`Error: any valid prefix is expected rather than "${to}".`, 1);
    }
  }
  if (dev !== undefined) yield* requireDevice(dev);
  const all = yield* ask<Neighbour[]>({ type: 'neigh.list', ...(dev === undefined ? {} : { dev }) });
  const found = all.filter((n) => (to === undefined || isWanted(n.address, to, 'root')) && (state === undefined || state === 'ALL' || n.state === state));
  if (options.json) {
    yield* print(jsonText(found.map((n) => ({ dst: n.address, dev: n.dev, ...(n.mac ? { lladdr: n.mac } : {}), state: [n.state] })), options));
    return 0;
  }
  for (const n of found) yield* printed(options, options.brief ? `${n.address.padEnd(40)}${n.dev.padEnd(17)}${n.mac}\n` : `${n.address} ${dev === undefined ? `dev ${n.dev} ` : ''}${n.mac ? `lladdr ${n.mac} ` : ''}${n.state} \n`);
  return 0;
}

export function* neighbour(words: Words, options: IpOptions): Call<number> {
  const word = peek(words);
  if (word === undefined) return yield* neighShow(words, options);
  words.at++;
  const command = matching(word, ['add', 'change', 'chg', 'replace', 'delete', 'get', 'list', 'show', 'flush']);
  if (command === 'list' || command === 'show') return yield* neighShow(words, options);
  if (command === 'get') return yield* neighGet(words);
  if (command === undefined && !'help'.startsWith(word)) throw new Complaint(`Command "${word}" is unknown, try "ip neigh help".`, 255);
  if ('help'.startsWith(word)) throw new Complaint(usageOf('neigh'), 255);
  let flushAll = false;
  const request: NetlinkRequest = { type: command === 'delete' ? 'neigh.del' : 'neigh.add' };
  for (let one = peek(words); one !== undefined; one = peek(words)) {
    words.at++;
    if (one === 'dev') request.dev = need(words);
    else if (one === 'lladdr') request.mac = hardware(need(words));
    else if (one === 'proxy' || one === 'router' || one === 'use' || one === 'managed' || one === 'extern_learn' || one === 'protocol') throw new Complaint(`not modelled: ip neigh ${one}`, 255);
    else if (command === 'flush' && one === 'all') flushAll = true;
    else if (command === 'flush' && one === 'to') request.address = gatewayOf(need(words));
    else if (one === 'nud') request.state = stateOf(need(words));
    else request.address = gatewayOf(one);
  }
  if (command === 'flush') {
    if (!flushAll && Object.keys(request).length === 1) throw new Complaint('Flush requires arguments.', 1);
    return yield* neighFlush(request.dev, request.address, request.state, options);
  }
  if (request.dev === undefined || request.address === undefined) throw new Complaint('Device and destination are required arguments.', 255);
  yield* requireDevice(String(request.dev));
  if (request.type === 'neigh.add' && request.mac === undefined) throw new Complaint('Error: No link layer address given.', 2);
  if (command === 'change' || command === 'chg') yield* ask({ ...request, type: 'neigh.del' });
  if (command === 'replace') yield* attemptDelete({ ...request, type: 'neigh.del' });
  yield* ask(request);
  return 0;
}

const STATES: readonly string[] = ['PERMANENT', 'REACHABLE', 'NOARP', 'NONE', 'STALE', 'INCOMPLETE', 'DELAY', 'PROBE', 'FAILED'];

function stateOf(word: string): string {
  const state = word.toUpperCase();
  if (!STATES.includes(state)) throw wrongValue(word, 'nud state is bad');
  return state;
}

/** One entry by its address and device. */
function* neighGet(words: Words): Call<number> {
  let dev: string | undefined;
  let address: string | undefined;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') dev = need(words);
    else address = gatewayOf(word === 'to' ? need(words) : word);
  }
  if (dev === undefined || address === undefined) throw new Complaint('Device and address are required arguments.', 255);
  yield* requireDevice(dev);
  const found = (yield* ask<Neighbour[]>({ type: 'neigh.list', dev })).find((one) => one.address === address);
  if (!found) throw new Complaint('Error: Neighbour entry not found.', 2);
  yield* print(`${found.address} dev ${found.dev} ${found.mac ? `lladdr ${found.mac} ` : ''}${found.state} \n`);
  return 0;
}

function* attemptDelete(request: NetlinkRequest): Call<void> {
  try {
    yield* sys('netlink', request);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}

function hardware(word: string): string {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(word)) throw new Complaint(`"${word}" is invalid lladdr.`, 1);
  return word;
}

function nudOf(word: string): string {
  return word === 'all' ? 'ALL' : stateOf(word);
}

function* neighFlush(dev: unknown, address: unknown, state: unknown, { statistics }: IpOptions): Call<number> {
  let flushed = 0;
  for (const n of yield* ask<Neighbour[]>({ type: 'neigh.list', ...(dev === undefined ? {} : { dev }) })) {
    if (address !== undefined && n.address !== address) continue;
    if (state === undefined ? n.state !== 'PERMANENT' && n.state !== 'NOARP' : n.state === state) {
      yield* ask({ type: 'neigh.del', dev: n.dev, address: n.address });
      flushed++;
    }
  }
  if (statistics) yield* print(flushed === 0 ? 'Nothing to flush.\n' : `\n*** Round 1, deleting ${flushed} entries ***\n*** Flush is complete after 1 round ***\n`);
  return 0;
}
