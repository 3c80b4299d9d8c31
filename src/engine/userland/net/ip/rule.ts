/** ip rule: which table an address is looked up in. Source: ip-rule(8) of iproute2 6.15. */
import type { PolicyRule } from '../../../kernel/net/types.ts';
import type { NetlinkRequest } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { parseAddress } from '../addresses.ts';
import { ask, Complaint } from '../rtnl.ts';
import { type IpOptions, jsonText } from './options.ts';
import { tableName } from './route.ts';
import { usageOf } from './usage.ts';
import { matching, need, peek, type Words, wrong, wrongValue } from './words.ts';

const COMMANDS = ['list', 'lst', 'show', 'add', 'delete', 'flush', 'save', 'restore', 'help'];

function ruleText(rule: PolicyRule, details: boolean, unresolved: boolean): string {
  let text = `${rule.pref}:\t${rule.not ? 'not ' : ''}from ${rule.from ?? 'all'}`;
  if (rule.to) text += ` to ${rule.to}`;
  if (rule.tos !== undefined) text += ` tos 0x${rule.tos.toString(16)}`;
  if (rule.fwmark) text += ` fwmark 0x${rule.fwmark.value.toString(16)}${rule.fwmark.mask === 0xffffffff ? '' : `/0x${rule.fwmark.mask.toString(16)}`}`;
  if (rule.iif) text += ` iif ${rule.iif}`;
  if (rule.oif) text += ` oif ${rule.oif}`;
  if (rule.uids) text += ` uidrange ${rule.uids.join('-')}`;
  if (rule.ipproto) text += ` ipproto ${rule.ipproto}`;
  if (rule.sport) text += ` sport ${rule.sport}`;
  if (rule.dport) text += ` dport ${rule.dport}`;
  const action = rule.action === 'table' ? `lookup ${rule.table}` : rule.action === 'goto' ? `goto ${rule.goto}${unresolved ? ' [unresolved]' : ''}` : rule.action;
  return `${text} ${action}${rule.suppress === undefined ? '' : ` suppress_prefixlength ${rule.suppress}`}${details ? ` proto ${rule.proto}` : ''}\n`;
}

/** Ports of a rule: one, or from where to where. */
function ports(rule: PolicyRule): object {
  const one = (name: 'sport' | 'dport'): object => {
    const [low, high] = (rule[name] ?? '').split('-') as [string, string | undefined];
    return low === '' ? {} : high === undefined ? { [name]: Number(low) } : { [`${name}_start`]: Number(low), [`${name}_end`]: Number(high) };
  };
  return { ...one('sport'), ...one('dport') };
}

function ruleJson(rule: PolicyRule): object {
  const prefix = (word: string | null, name: string): object => {
    if (!word) return name === 'src' ? { src: 'all' } : {};
    const [address, length] = word.split('/') as [string, string | undefined];
    return { [name]: address, ...(length === undefined ? {} : { [`${name}len`]: Number(length) }) };
  };
  return {
    priority: rule.pref, ...(rule.not ? { not: null } : {}), ...prefix(rule.from, 'src'), ...prefix(rule.to, 'dst'), ...(rule.fwmark ? { fwmark: `0x${rule.fwmark.value.toString(16)}` } : {}),
    ...(rule.iif ? { iif: rule.iif } : {}), ...(rule.oif ? { oif: rule.oif } : {}), ...(rule.tos === undefined ? {} : { tos: `0x${rule.tos.toString(16)}` }),
    ...(rule.uids ? { uid_start: rule.uids[0], uid_end: rule.uids[1] } : {}), ...(rule.ipproto ? { ipproto: rule.ipproto } : {}), ...ports(rule),
    ...(rule.action === 'table' ? { table: rule.table } : rule.action === 'goto' ? { goto: rule.goto } : { action: rule.action }), ...(rule.suppress === undefined ? {} : { suppress_prefixlen: rule.suppress }),
  };
}

function prefix(word: string): string | null {
  if (word === 'all' || word === 'any' || word === 'default' || word === '0/0') return null;
  const found = parseAddress(word);
  if (!found) throw new Complaint(`Error: any valid prefix is expected rather than "${word}".`, 1);
  return found.prefix === 32 ? found.address : word;
}

function mark(word: string): { value: number; mask: number } {
  const [value, mask] = word.split('/') as [string, string | undefined];
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(value)) throw wrong(word, 'fwmark value is invalid');
  return { value: Number(value), mask: mask === undefined ? 0xffffffff : Number(mask) };
}

const PREFERENCE: readonly string[] = ['preference', 'order', 'priority'];
const ACTIONS: ReadonlySet<string> = new Set(['unreachable', 'prohibit', 'blackhole', 'nop']);

/** The words of add and delete, as a request. */
function requestOf(words: Words, type: 'rule.add' | 'rule.del'): NetlinkRequest {
  const request: NetlinkRequest = { type };
  const rule: Partial<PolicyRule> = {};
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    words.at++;
    if (word === 'not') rule.not = true;
    else if (word === 'from') rule.from = prefix(need(words));
    else if (word === 'to') rule.to = prefix(need(words));
    else if (word === 'fwmark') rule.fwmark = mark(need(words));
    else if (word === 'iif' || word === 'dev') rule.iif = need(words);
    else if (word === 'oif') rule.oif = need(words);
    else if (word === 'ipproto') rule.ipproto = need(words);
    else if (word === 'sport' || word === 'dport') rule[word] = need(words);
    else if (word === 'uidrange') {
      const given = /^(\d+)-(\d+)$/.exec(need(words));
      if (!given) throw wrong(words.argv[words.at - 1]!, 'invalid UID range');
      rule.uids = [Number(given[1]), Number(given[2])];
    } else if (PREFERENCE.some((keyword) => keyword.startsWith(word))) {
      const pref = need(words);
      if (!/^\d+$/.test(pref)) throw wrong(pref, 'preference value is invalid');
      request.pref = Number(pref);
    } else if (word === 'table' || word === 'lookup') rule.table = ruleTable(need(words));
    else if (word === 'type' || ACTIONS.has(word)) rule.action = (word === 'type' ? need(words) : word) as PolicyRule['action'];
    else if (word === 'tos' || word === 'dsfield') {
      const tos = need(words);
      if (!/^(0x)?[0-9a-f]+$/i.test(tos) || Number.parseInt(tos, 16) > 255) throw wrong(tos, 'TOS value is invalid');
      rule.tos = Number.parseInt(tos, 16);
    } else if (word === 'suppress_prefixlength' || word === 'sup_pl') {
      const length = need(words);
      if (!/^\d+$/.test(length)) throw wrong(length, 'suppress_prefixlength value is invalid');
      rule.suppress = Number(length);
    } else if (word === 'goto') {
      rule.action = 'goto';
      rule.goto = Number(need(words));
    } else if (word === 'protocol' || word === 'proto') rule.proto = need(words);
    else if (word === 'realms' || word === 'suppress_ifgroup' || word === 'l3mdev') throw new Complaint(`not modelled: ip rule ${word}`, 255);
    else throw wrongValue(word, 'Failed to parse rule type');
  }
  request.rule = rule;
  return request;
}

function ruleTable(word: string): string {
  if (!/^\d+$/.test(word) && !/^(main|local|default)$/.test(word)) throw wrong(word, 'invalid table ID');
  return tableName(word);
}

/** Which rules `show` is about: the words of add, each that is said must be so. */
function selected(words: Words): (rule: PolicyRule) => boolean {
  if (peek(words) === undefined) return () => true;
  const { rule, pref } = requestOf(words, 'rule.del') as unknown as { rule: Partial<PolicyRule>; pref?: number };
  return (one) => (pref === undefined || one.pref === pref) && Object.entries(rule).every(([name, value]) => JSON.stringify(one[name as keyof PolicyRule]) === JSON.stringify(value));
}

export function* rule(words: Words, options: IpOptions): Call<number> {
  const word = peek(words);
  if (word !== undefined) words.at++;
  const command = word === undefined ? 'list' : matching(word, COMMANDS);
  if (options.family === 'inet6' && (command === 'list' || command === 'lst' || command === 'show')) {
    if (peek(words) !== undefined) throw new Complaint('not modelled: rules of IPv6', 255);
    yield* print('0:\tfrom all lookup local\n32766:\tfrom all lookup main\n');
    return 0;
  }
  if (options.family === 'inet6') throw new Complaint('not modelled: rules of IPv6', 255);
  switch (command) {
    case 'list': case 'lst': case 'show': {
      const wanted = selected(words);
      const all = yield* ask<PolicyRule[]>({ type: 'rule.list' });
      const rules = all.filter(wanted);
      if (options.json) yield* print(jsonText(rules.map(ruleJson), options));
      else for (const one of rules) yield* print(ruleText(one, options.details, one.action === 'goto' && !all.some(({ pref }) => pref === one.goto)));
      return 0;
    }
    case 'add':
      if (peek(words) === undefined) throw new Complaint('"ip rule add" requires arguments.', 1);
      yield* ask(requestOf(words, 'rule.add'));
      return 0;
    case 'delete':
      if (peek(words) === undefined) throw new Complaint('"ip rule del" requires arguments.', 1);
      yield* ask(requestOf(words, 'rule.del'));
      return 0;
    case 'flush':
      for (const one of yield* ask<PolicyRule[]>({ type: 'rule.list' })) if (one.pref > 0) yield* ask({ type: 'rule.del', pref: one.pref, rule: {} });
      return 0;
    case 'help':
      throw new Complaint(usageOf('rule'), 255);
    default:
      throw new Complaint(`Command "${word}" is unknown, try "ip rule help".`, 255);
  }
}
