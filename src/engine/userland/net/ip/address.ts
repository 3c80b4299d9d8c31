/** ip address. Source: ip-address(8). */
import type { AddressInfo } from '../../../kernel/net/rtnetlink.ts';
import { type NetlinkRequest, sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { ask, Complaint } from '../rtnl.ts';
import { broadcastOf, networkText, parseAddress } from '../addresses.ts';
import { chosenBy, links, requireDevice, selection } from './link.ts';
import { knownIds } from './netns.ts';
import { type IpOptions, jsonText } from './options.ts';
import { addressesText, addressJson, linkJson } from './show.ts';
import { usageOf } from './usage.ts';
import { garbage, matching, need, peek, type Words, wrong, wrongValue } from './words.ts';
import { globOf } from '../../coreutils/ls.ts';

const COMMANDS = ['add', 'change', 'replace', 'delete', 'show', 'list', 'lst', 'flush', 'help'];

interface Filters {
  scope?: string;
  to?: { address: string; prefix: number };
  label?: RegExp;
  secondary?: boolean;
  /** None here has a lifetime. */
  dynamic?: boolean;
}

/** The words about addresses taken out of those about links. */
function filtersOf(words: Words): { filters: Filters; rest: Words } {
  const filters: Filters = {};
  const rest: string[] = [];
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'scope') filters.scope = scopeOf(need(words));
    else if (word === 'to') filters.to = addressOf(need(words));
    else if (word === 'label') filters.label = globOf(need(words));
    else if (word === 'primary') filters.secondary = false;
    else if (word === 'secondary' || word === 'temporary') filters.secondary = true;
    else if (word === 'dynamic') filters.dynamic = true;
    else if (word === 'permanent') filters.dynamic = false;
    else rest.push(word);
  }
  return { filters, rest: { argv: rest, at: 0 } };
}

const SCOPES: Readonly<Record<string, string>> = { 0: 'global', 200: 'site', 253: 'link', 254: 'host', 255: 'nowhere' };

function scopeOf(word: string): string {
  const named = SCOPES[word] ?? word;
  if (!/^(global|site|link|host|nowhere|all)$/.test(named)) throw wrong(word, 'invalid "scope"');
  return named;
}

function given(word: string): string {
  const named = SCOPES[word] ?? word;
  if (!/^(global|site|link|host|nowhere)$/.test(named)) throw wrongValue(word, 'invalid scope value.');
  return named;
}

function wanted(one: AddressInfo, { scope, to, label, secondary, dynamic }: Filters, { family }: IpOptions, link = ''): boolean {
  if (family !== 'any' && one.family !== family) return false;
  if (dynamic === true) return false;
  if (scope !== undefined && scope !== 'all' && one.scope !== scope) return false;
  // only IPv4 addresses have labels of their own: others go by their link
  if (label && !label.test(one.family === 'inet' ? one.label : one.label || link)) return false;
  if (secondary !== undefined && one.secondary !== secondary) return false;
  if (to === undefined) return true;
  if (one.family === 'inet6' || to.address.includes(':')) return one.address === to.address;
  return networkText(one.address, to.prefix) === networkText(to.address, to.prefix);
}

function* show(words: Words, options: IpOptions): Call<number> {
  const { filters, rest } = filtersOf(words);
  const chosen = selection(rest);
  const known = yield* knownIds();
  const rows: unknown[] = [];
  for (const one of (yield* links(chosen.dev)).filter(chosenBy(chosen))) {
    const shown = one.addresses.filter((a) => wanted(a, filters, options, one.name));
    // a link without any address is left out only where a family or an address is asked for
    if (shown.length === 0 && (options.family !== 'any' || filters.to !== undefined || one.addresses.length > 0)) continue;
    if (options.json) rows.push({ ...linkJson(one, 'addr', { brief: options.brief, family: filters.to || filters.label ? 'inet' : options.family }), addr_info: shown.map((a) => (options.brief ? { local: a.address, prefixlen: a.prefix } : addressJson(a))) });
    else yield* print(addressesText(one, shown, known, filters.to ? { ...options, family: 'inet' } : options, filters.label === undefined));
  }
  if (options.json) yield* print(jsonText(rows, options));
  return 0;
}

function* change(words: Words, command: 'add' | 'delete' | 'replace'): Call<number> {
  const request: NetlinkRequest = { type: command === 'delete' ? 'addr.del' : 'addr.add' };
  let broadcast: string | undefined;
  let bare = false;
  let local: { address: string; prefix: number } | undefined;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') request.dev = need(words);
    else if (word === 'brd' || word === 'broadcast') broadcast = need(words);
    else if (word === 'label') request.label = need(words);
    else if (word === 'scope') request.scope = given(need(words));
    else if (word === 'local') local = addressOf(need(words));
    else if (word === 'noprefixroute') request.noPrefixRoute = true;
    else if (word === 'valid_lft' || word === 'preferred_lft' || word === 'peer') throw new Complaint(`not modelled: ip address ${command} ${word}`, 255);
    else if (local === undefined) {
      local = addressOf(word);
      bare = !word.includes('/');
    } else throw garbage(word, 'local');
  }
  if (request.dev === undefined) throw new Complaint('Not enough information: "dev" argument is required.', 1);
  if (!local) throw new Complaint('RTNETLINK answers: Invalid argument', 2);
  if (broadcast !== undefined) request.broadcast = broadcast === '+' ? broadcastOf(local.address, local.prefix) : broadcast;
  yield* requireDevice(String(request.dev));
  if (command === 'delete' && bare) local = yield* wildcard(String(request.dev), local);
  const full: NetlinkRequest = { ...request, address: local.address, prefix: local.prefix };
  if (command === 'replace') {
    const has = ((yield* ask<(AddressInfo & { dev: string })[]>({ type: 'addr.list', dev: request.dev })) ?? []).some((a) => a.address === local.address && a.prefix === local.prefix);
    if (has) return 0;
  }
  yield* ask(full);
  return 0;
}

/** An address without its length: /32, or, as older scripts have it, the one that begins so. */
function* wildcard(dev: string, one: { address: string; prefix: number }): Call<{ address: string; prefix: number }> {
  const all = yield* ask<(AddressInfo & { dev: string })[]>({ type: 'addr.list', dev });
  if (all.some((a) => a.address === one.address && a.prefix === 32)) return one;
  const found = all.find((a) => a.address === one.address);
  if (!found) return one;
  yield* complain(`Warning: Executing wildcard deletion to stay compatible with old scripts.\n         Explicitly specify the prefix length (${one.address}/32) to avoid this warning.\n         This special behaviour is likely to disappear in further releases,\n         fix your scripts!\n`);
  return { address: found.address, prefix: found.prefix };
}

function addressOf(word: string): { address: string; prefix: number } {
  if (word === '::1' || word === '::1/128') return { address: '::1', prefix: 128 };
  if (/^[0-9a-f:]+:[0-9a-f:]*(\/\d+)?$/i.test(word)) throw new Complaint('not modelled: IPv6 addresses but ::1', 255);
  const [bare = '', length] = word.split('/');
  const short = length !== undefined && /^\d{1,3}(\.\d{1,3}){0,2}$/.test(bare);
  const found = parseAddress(short ? `${bare}${'.0'.repeat(4 - bare.split('.').length)}/${length}` : word);
  if (!found) throw new Complaint(`Error: any valid prefix is expected rather than "${word}".`, 1);
  return found;
}

function* flush(words: Words, options: IpOptions): Call<number> {
  const { filters, rest } = filtersOf(words);
  if (words.argv.length === words.at && rest.argv.length === 0 && Object.keys(filters).length === 0) throw new Complaint('Flush requires arguments.', 1);
  const { dev } = selection(rest);
  if (dev !== undefined && (yield* attempt(sys('netlink', { type: 'link.list', name: dev }), null, 'ENODEV')) === null) throw new Complaint(`Device "${dev}" does not exist.`, 1);
  let deleted = 0;
  for (;;) {
    const all = yield* ask<(AddressInfo & { dev: string })[]>({ type: 'addr.list', ...(dev === undefined ? {} : { dev }) });
    const one = all.find((a) => wanted(a, filters, options));
    if (!one) break;
    if (deleted === 0) deleted = all.filter((a) => wanted(a, filters, options)).length;
    yield* ask({ type: 'addr.del', dev: one.dev, address: one.address, prefix: one.prefix });
  }
  if (!options.statistics) return 0;
  yield* print(deleted === 0 ? 'Nothing to flush.\n' : `\n*** Round 1, deleting ${deleted} addresses ***\n*** Flush is complete after 1 round ***\n`);
  return 0;
}

export function* address(words: Words, options: IpOptions): Call<number> {
  const word = peek(words);
  if (word === undefined) return yield* show(words, options);
  const command = matching(word, COMMANDS);
  words.at++;
  switch (command) {
    case 'add': case 'delete': case 'replace':
      return yield* change(words, command);
    case 'change':
      return yield* change(words, 'replace');
    case 'flush':
      return yield* flush(words, options);
    case 'show': case 'list': case 'lst':
      return yield* show(words, options);
    case 'help':
      throw new Complaint(usageOf('address'), 255);
    default:
      throw new Complaint(`Command "${word}" is unknown, try "ip address help".`, 255);
  }
}

