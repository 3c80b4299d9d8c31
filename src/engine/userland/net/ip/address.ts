/** ip address. Source: ip-address(8). */
import type { AddressInfo } from '../../../kernel/net/rtnetlink.ts';
import type { NetlinkRequest } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { ask, Complaint } from '../rtnl.ts';
import { broadcastOf, parseAddress } from '../addresses.ts';
import { chosenBy, links, requireDevice, selection } from './link.ts';
import { knownIds } from './netns.ts';
import { type IpOptions, jsonText } from './options.ts';
import { addressesText, addressJson, linkJson } from './show.ts';
import { usageOf } from './usage.ts';
import { garbage, matching, need, peek, type Words } from './words.ts';

const COMMANDS = ['add', 'change', 'replace', 'delete', 'show', 'list', 'lst', 'flush', 'help'];

function* show(words: Words, options: IpOptions): Call<number> {
  const filters: { scope?: string; to?: string } = {};
  const rest: string[] = [];
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'scope') filters.scope = need(words);
    else if (word === 'to') filters.to = addressOf(need(words)).address;
    else rest.push(word);
  }
  const chosen = selection({ argv: rest, at: 0 });
  const known = yield* knownIds();
  const rows: unknown[] = [];
  for (const one of (yield* links(chosen.dev)).filter(chosenBy(chosen))) {
    const shown = one.addresses.filter((a) => (options.family === 'any' || a.family === options.family) && (filters.scope === undefined || a.scope === filters.scope) && (filters.to === undefined || a.address === filters.to));
    // a link without any address is left out only where a family or an address is asked for
    if (shown.length === 0 && (options.family !== 'any' || filters.to !== undefined || (filters.scope !== undefined && one.addresses.length > 0))) continue;
    if (options.json) rows.push({ ...linkJson(one, 'addr'), addr_info: shown.map(addressJson) });
    else yield* print(addressesText(one, shown, known, options));
  }
  if (options.json) yield* print(jsonText(rows, options));
  return 0;
}

function* change(words: Words, command: 'add' | 'delete' | 'replace'): Call<number> {
  const request: NetlinkRequest = { type: command === 'delete' ? 'addr.del' : 'addr.add' };
  let broadcast: string | undefined;
  let local: { address: string; prefix: number } | undefined;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') request.dev = need(words);
    else if (word === 'brd' || word === 'broadcast') broadcast = need(words);
    else if (word === 'label') request.label = need(words);
    else if (word === 'scope') request.scope = need(words);
    else if (word === 'local') local = addressOf(need(words));
    else if (word === 'noprefixroute') request.noPrefixRoute = true;
    else if (word === 'valid_lft' || word === 'preferred_lft' || word === 'peer') throw new Complaint(`not modelled: ip address ${command} ${word}`, 255);
    else if (local === undefined) local = addressOf(word);
    else throw garbage(word);
  }
  if (request.dev === undefined) throw new Complaint('Not enough information: "dev" argument is required.', 1);
  if (!local) throw new Complaint('RTNETLINK answers: Invalid argument', 2);
  if (broadcast !== undefined) request.broadcast = broadcast === '+' ? broadcastOf(local.address, local.prefix) : broadcast;
  yield* requireDevice(String(request.dev));
  const full: NetlinkRequest = { ...request, address: local.address, prefix: local.prefix };
  if (command === 'replace') {
    const has = ((yield* ask<(AddressInfo & { dev: string })[]>({ type: 'addr.list', dev: request.dev })) ?? []).some((a) => a.address === local.address && a.prefix === local.prefix);
    if (has) return 0;
  }
  yield* ask(full);
  return 0;
}

function addressOf(word: string): { address: string; prefix: number } {
  if (word === '::1' || word === '::1/128') return { address: '::1', prefix: 128 };
  if (/^[0-9a-f:]+:[0-9a-f:]*(\/\d+)?$/i.test(word)) throw new Complaint('not modelled: IPv6 addresses but ::1', 255);
  const found = parseAddress(word);
  if (!found) throw new Complaint(`Error: any valid prefix is expected rather than "${word}".`, 1);
  return found;
}

function* flush(words: Words): Call<number> {
  const { dev } = selection(words);
  if (dev === undefined) throw new Complaint('Flush requires arguments.', 255);
  yield* requireDevice(dev);
  for (;;) {
    const one = (yield* ask<AddressInfo[]>({ type: 'addr.list', dev }))[0];
    if (!one) return 0;
    yield* ask({ type: 'addr.del', dev, address: one.address, prefix: one.prefix });
  }
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
      return yield* flush(words);
    case 'show': case 'list': case 'lst':
      return yield* show(words, options);
    case 'help':
      throw new Complaint(usageOf('address'), 255);
    default:
      throw new Complaint(`Command "${word}" is unknown, try "ip address help".`, 255);
  }
}

