/** ip maddress: the multicast groups that links listen to. Source: ip-maddress(8). Left out: adding and deleting. */
import type { GroupsInfo } from '../../../kernel/net/rtkinds.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { ask, Complaint } from '../rtnl.ts';
import { type IpOptions, jsonText } from './options.ts';
import { garbage, matching, need, peek, type Words } from './words.ts';

function* show(words: Words, options: IpOptions): Call<number> {
  let dev: string | undefined;
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'dev') dev = need(words);
    else if (dev === undefined) dev = word;
    else throw garbage(word);
  }
  const { family } = options;
  const found = (yield* ask<GroupsInfo[]>({ type: 'maddr.list' })).filter((one) => dev === undefined || one.dev === dev).map((one) => ({
    ...one, rows: [...(family === 'any' ? one.link.map((group) => ['link ', group]) : []), ...(family === 'inet6' ? [] : one.inet.map((group) => ['inet ', group])), ...(family === 'inet' ? [] : one.inet6.map((group) => ['inet6', group]))],
  })).filter(({ rows }) => rows.length > 0);
  if (options.json) {
    const json = found.map((one) => ({ ifindex: one.index, ifname: one.dev, maddr: one.rows.map(([kind, address]) => (kind === 'link ' ? { link: address } : { family: kind!.trim(), address })) }));
    yield* print(jsonText(json, options));
    return 0;
  }
  for (const one of found) yield* print(`${one.index}:\t${one.dev}\n${one.rows.map(([kind, group]) => `\t${kind} ${group}\n`).join('')}`);
  return 0;
}

export function* maddress(words: Words, options: IpOptions): Call<number> {
  const word = peek(words);
  if (word === undefined) return yield* show(words, options);
  words.at++;
  switch (matching(word, ['add', 'delete', 'show', 'list', 'lst', 'help'])) {
    case 'show': case 'list': case 'lst':
      return yield* show(words, options);
    case undefined:
      throw new Complaint(`Command "${word}" is unknown, try "ip maddress help".`, 255);
    default:
      throw new Complaint(`not modelled: ip maddress ${word}`, 255);
  }
}
