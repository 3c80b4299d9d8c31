/** ip route and ip neighbour. Source: ip-route(8), ip-neighbour(8). One table, IPv4. */
import type { Route } from '../../../kernel/net/types.ts';
import { SysError } from '../../../kernel/abi.ts';
import { type NetlinkRequest, sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { ipNumber, parseAddress } from '../addresses.ts';
import { ask, Complaint } from '../rtnl.ts';
import { requireDevice } from './link.ts';
import { type IpOptions, jsonText } from './options.ts';
import { garbage, matching, need, peek, take, type Words } from './words.ts';

const COMMANDS = ['list', 'show', 'add', 'append', 'change', 'chg', 'replace', 'delete', 'get', 'flush', 'help'];
const TYPES: ReadonlySet<string> = new Set(['unicast', 'blackhole', 'unreachable', 'prohibit']);

type Shown = Route & { linkdown: boolean };

function routeText(route: Shown, style: IpOptions['style'] = 'iproute2'): string {
  if (style === 'busybox') {
    const via = route.via ? `via ${route.via} ` : '';
    return `${route.to} ${via}dev ${route.dev} ${route.scope === 'global' ? '' : `scope ${route.scope} `}${route.src ? ` src ${route.src} ` : ''}${route.metric ? ` metric ${route.metric} ` : ''}\n`;
  }
  let text = route.type === 'unicast' ? `${route.to} ` : `${route.type} ${route.to} `;
  if (route.via) text += `via ${route.via} `;
  if (route.type === 'unicast') text += `dev ${route.dev} `;
  if (route.proto !== 'boot') text += `proto ${route.proto} `;
  if (route.scope !== 'global') text += `scope ${route.scope} `;
  if (route.src) text += `src ${route.src} `;
  if (route.metric) text += `metric ${route.metric} `;
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

function* show(words: Words, options: IpOptions): Call<number> {
  let dev: string | undefined;
  let to: string | undefined;
  let proto: string | undefined;
  let via: string | undefined;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') dev = need(words);
    else if (word === 'proto') proto = need(words);
    else if (word === 'via') via = need(words);
    else if (word === 'table') {
      const table = need(words);
      if (table !== 'main' && table !== 'all') throw new Complaint(`not modelled: routing table ${table}`, 255);
    } else if (word === 'to' || word === 'exact' || word === 'root' || word === 'match') to = need(words);
    else to = word;
  }
  if (options.family === 'inet6') return 0;
  if (dev !== undefined) yield* requireDevice(dev);
  const found = (yield* ask<Shown[]>({ type: 'route.list' })).filter(
    (r) => (dev === undefined || r.dev === dev) && (proto === undefined || r.proto === proto) && (via === undefined || r.via === via) && (to === undefined || r.to === to),
  );
  if (options.json) yield* print(jsonText(found.map(routeJson), options));
  else for (const route of found) yield* print(dev === undefined ? routeText(route, options.style) : routeText(route, options.style).replace(` dev ${dev}`, ''));
  return 0;
}

function prefixOf(word: string): string {
  if (word === 'default' || word === 'any' || word === 'all') return 'default';
  const short = /^(\d+(?:\.\d+){0,2})\/(\d+)$/.exec(word);
  const full = short ? `${short[1]!.split('.').concat('0', '0', '0').slice(0, 4).join('.')}/${short[2]}` : word;
  if (!parseAddress(full)) throw new Complaint(`Error: inet prefix is expected rather than "${word}".`, 1);
  return full;
}

function gatewayOf(word: string): string {
  if (ipNumber(word) === null) throw new Complaint(`Error: inet address is expected rather than "${word}".`, 1);
  return word;
}

function* change(words: Words, type: 'route.add' | 'route.replace' | 'route.del'): Call<number> {
  const request: NetlinkRequest = { type };
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'via') {
      take(words, 'inet');
      request.via = gatewayOf(need(words));
    } else if (word === 'dev' || word === 'oif') request.dev = need(words);
    else if (word === 'src') request.src = gatewayOf(need(words));
    else if (word === 'metric' || word === 'preference') request.metric = Number(need(words));
    else if (word === 'proto' || word === 'protocol') request.proto = need(words);
    else if (word === 'scope') request.scope = need(words);
    else if (word === 'onlink') request.onlink = true;
    else if (word === 'table') {
      if (need(words) !== 'main') throw new Complaint('not modelled: other routing tables', 255);
    } else if (TYPES.has(word) && request.to === undefined) request.kind = word;
    else if (word === 'to') request.to = prefixOf(need(words));
    else if (request.to === undefined) request.to = prefixOf(word);
    else throw garbage(word);
  }
  if (request.to === undefined) throw new Complaint('RTNETLINK answers: Invalid argument', 2);
  if (request.dev !== undefined) yield* requireDevice(String(request.dev));
  yield* ask(request);
  return 0;
}

function* get(words: Words): Call<number> {
  let to = need(words);
  if (to === 'to') to = need(words);
  if (ipNumber(to) === null) throw new Complaint(`Error: inet prefix is expected rather than "${to}".`, 1);
  const found = yield* ask<{ type: string; via: string | null; dev: string; src: string }>({ type: 'route.get', to });
  const uid = yield* sys('getuid');
  const local = found.type === 'local';
  yield* print(`${local ? 'local ' : ''}${to} ${found.via ? `via ${found.via} ` : ''}dev ${found.dev} src ${found.src} uid ${uid} \n    cache ${local ? '<local> ' : ''}\n`);
  return 0;
}

function* flush(words: Words): Call<number> {
  if (peek(words) === 'cache') return 0;
  const dev = peek(words) === 'dev' ? words.argv[words.at + 1] : undefined;
  if (dev === undefined) throw new Complaint('"ip route flush" requires arguments.', 255);
  for (const route of yield* ask<Shown[]>({ type: 'route.list' })) {
    if (route.dev === dev) yield* ask({ type: 'route.del', to: route.to, dev, metric: route.metric });
  }
  return 0;
}

export function* route(words: Words, options: IpOptions): Call<number> {
  const word = peek(words);
  if (word === undefined) return yield* show(words, options);
  words.at++;
  switch (matching(word, COMMANDS)) {
    case 'add': case 'append':
      return yield* change(words, 'route.add');
    case 'replace': case 'change': case 'chg':
      return yield* change(words, 'route.replace');
    case 'delete':
      return yield* change(words, 'route.del');
    case 'get':
      return yield* get(words);
    case 'flush':
      return yield* flush(words);
    case 'list': case 'show':
      return yield* show(words, options);
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
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') dev = need(words);
    else dev = word;
  }
  if (dev !== undefined) yield* requireDevice(dev);
  const found = yield* ask<Neighbour[]>({ type: 'neigh.list', ...(dev === undefined ? {} : { dev }) });
  if (options.json) {
    yield* print(jsonText(found.map((n) => ({ dst: n.address, dev: n.dev, ...(n.mac ? { lladdr: n.mac } : {}), state: [n.state] })), options));
    return 0;
  }
  for (const n of found) yield* print(`${n.address} ${dev === undefined ? `dev ${n.dev} ` : ''}${n.mac ? `lladdr ${n.mac} ` : ''}${n.state} \n`);
  return 0;
}

export function* neighbour(words: Words, options: IpOptions): Call<number> {
  const word = peek(words);
  if (word === undefined) return yield* neighShow(words, options);
  words.at++;
  const command = matching(word, ['add', 'replace', 'delete', 'list', 'show', 'flush']);
  if (command === 'list' || command === 'show') return yield* neighShow(words, options);
  if (command === undefined) throw new Complaint(`Command "${word}" is unknown, try "ip neigh help".`, 255);
  const request: NetlinkRequest = { type: command === 'delete' ? 'neigh.del' : 'neigh.add' };
  for (let one = peek(words); one !== undefined; one = peek(words)) {
    words.at++;
    if (one === 'dev') request.dev = need(words);
    else if (one === 'lladdr') request.mac = need(words);
    else if (one === 'nud') need(words);
    else request.address = gatewayOf(one);
  }
  if (command === 'flush') return yield* neighFlush(request.dev);
  if (request.dev === undefined || request.address === undefined) throw new Complaint('Device and destination are required arguments.', 255);
  yield* requireDevice(String(request.dev));
  if (command === 'replace') yield* attemptDelete({ ...request, type: 'neigh.del' });
  yield* ask(request);
  return 0;
}

function* attemptDelete(request: NetlinkRequest): Call<void> {
  try {
    yield* sys('netlink', request);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
}

function* neighFlush(dev: unknown): Call<number> {
  for (const n of yield* ask<Neighbour[]>({ type: 'neigh.list', ...(dev === undefined ? {} : { dev }) })) {
    if (n.state !== 'PERMANENT') yield* ask({ type: 'neigh.del', dev: n.dev, address: n.address });
  }
  return 0;
}
