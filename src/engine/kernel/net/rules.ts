/** Changing a namespace's tables of rules, with the refusals of nf_tables. Source: iptables(8). Shapes in netfilter.ts. */
import { SysError } from '../abi.ts';
import type { NetlinkRequest } from '../sys.ts';
import { type Chain, EFFECTS, type Rule, type TableName } from './netfilter.ts';
import type { NetNamespace } from './types.ts';

const TERMINAL: ReadonlySet<string> = new Set(['', 'ACCEPT', 'DROP', 'REJECT', 'RETURN', 'MASQUERADE', 'DNAT', 'SNAT', 'REDIRECT', ...Object.keys(EFFECTS)]);

/** Targets that belong to one table, or to hooks. */
const ONLY: Readonly<Record<string, { table?: TableName; hooks?: readonly string[] }>> = {
  MASQUERADE: { table: 'nat', hooks: ['POSTROUTING'] }, DNAT: { table: 'nat', hooks: ['PREROUTING', 'OUTPUT'] }, REDIRECT: { table: 'nat', hooks: ['PREROUTING', 'OUTPUT'] },
  SNAT: { table: 'nat', hooks: ['INPUT', 'POSTROUTING'] }, REJECT: { table: 'filter', hooks: ['INPUT', 'FORWARD', 'OUTPUT'] }, NOTRACK: { table: 'raw' }, CT: { table: 'raw' }, TTL: { table: 'mangle' },
};
const TRACKING: ReadonlySet<string> = new Set(['MASQUERADE', 'DNAT', 'SNAT', 'REDIRECT', 'CONNMARK']);

/** Throws ENOENT for a table that there is not. */
export function tableOf(ns: NetNamespace, table: string): Chain[] {
  const chains = ns.netfilter.tables[table as TableName];
  if (!chains) throw new SysError('ENOENT');
  return chains;
}

/** What asks sees: a copy. */
export function listTable(ns: NetNamespace, table: string): Chain[] {
  return tableOf(ns, table).map((chain) => ({ ...chain, rules: chain.rules.map((rule) => ({ ...rule })) }));
}

function chainOf(ns: NetNamespace, asked: NetlinkRequest): Chain {
  const chain = tableOf(ns, String(asked.table)).find((one) => one.name === asked.chain);
  if (!chain) throw new SysError('ENOENT');
  return chain;
}

/** What a rule says, without what it counted. */
function sayingOf(rule: Rule): string {
  const { packets: _, bytes: __, memory: ___, ...rest } = rule;
  return JSON.stringify(Object.entries(rest).filter(([, v]) => v !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Appends, or with `at` (from 1) inserts or replaces. Throws ENOENT for a chain or target that is not there, ERANGE for a position, EINVAL for a target out of place. */
export function appendRule(ns: NetNamespace, asked: NetlinkRequest): object {
  const chain = chainOf(ns, asked);
  const given = asked.rule as Rule;
  const rule: Rule = { ...given, packets: given.packets ?? 0, bytes: given.bytes ?? 0 };
  const table = String(asked.table);
  if (!TERMINAL.has(rule.target) && !tableOf(ns, table).some((one) => one.name === rule.target && one.policy === null)) throw new SysError('ENOENT');
  const only = ONLY[rule.target];
  if (only?.table && only.table !== table) throw new SysError('EINVAL');
  if (only?.hooks && chain.policy !== null && !only.hooks.includes(chain.name)) throw new SysError('EINVAL');
  if (rule.reject === 'tcp-reset' && (rule.proto?.is !== 'tcp' || rule.proto.not)) throw new SysError('EINVAL');
  if ((rule.uid || rule.gid) && chain.policy !== null && chain.name !== 'OUTPUT' && chain.name !== 'POSTROUTING') throw new SysError('EINVAL');
  if (!TERMINAL.has(rule.target) && leadsBack(ns, table, rule.target, chain.name, new Set())) throw new SysError('EMLINK');
  const at = Number(asked.at ?? 1);
  if (asked.type === 'nf.insert') {
    if (at < 1 || at > chain.rules.length + 1) throw new SysError('ERANGE');
    chain.rules.splice(at - 1, 0, rule);
  } else if (asked.type === 'nf.replace') {
    if (!chain.rules[at - 1]) throw new SysError('ENOENT');
    chain.rules[at - 1] = rule;
  } else chain.rules.push(rule);
  chain.hooked = true;
  if (TRACKING.has(rule.target) || rule.ctstate || rule.connmark || rule.connlimit) ns.netfilter.tracking = true;
  return {};
}

/** Would a jump to `from` come back to `to`? */
function leadsBack(ns: NetNamespace, table: string, from: string, to: string, seen: Set<string>): boolean {
  if (from === to) return true;
  if (seen.has(from)) return false;
  seen.add(from);
  return tableOf(ns, table).find((one) => one.name === from)?.rules.some((rule) => leadsBack(ns, table, rule.target, to, seen)) ?? false;
}

export function renameChain(ns: NetNamespace, asked: NetlinkRequest): object {
  const name = String(asked.newName);
  const chains = tableOf(ns, String(asked.table));
  if (chains.some((one) => one.name === name)) throw new SysError('EEXIST');
  const chain = chainOf(ns, asked);
  if (chain.policy !== null) throw new SysError('EOPNOTSUPP');
  for (const one of chains) for (const rule of one.rules) if (rule.target === chain.name) rule.target = name;
  chain.name = name;
  return {};
}

export function deleteRule(ns: NetNamespace, asked: NetlinkRequest): object {
  const chain = chainOf(ns, asked);
  const at = asked.rule === undefined ? Number(asked.at) - 1 : chain.rules.findIndex((one) => sayingOf(one) === sayingOf(asked.rule as Rule));
  if (!chain.rules[at]) throw new SysError('ENOENT');
  chain.rules.splice(at, 1);
  return {};
}

export function newChain(ns: NetNamespace, asked: NetlinkRequest): object {
  const chains = tableOf(ns, String(asked.table));
  const name = String(asked.chain);
  if (chains.some((one) => one.name === name)) throw new SysError('EEXIST');
  chains.push({ name, policy: null, packets: 0, bytes: 0, rules: [], hooked: true });
  return {};
}

/** Throws EBUSY for a chain that is used or holds rules, ENOENT. Without a name all that are free go. */
export function deleteChain(ns: NetNamespace, asked: NetlinkRequest): object {
  const chains = tableOf(ns, String(asked.table));
  const gone = asked.chain === undefined ? chains.filter((one) => one.policy === null) : [chainOf(ns, asked)];
  for (const chain of gone) {
    const used = chains.some((one) => one.rules.some((rule) => rule.target === chain.name));
    if (chain.policy !== null || chain.rules.length > 0 || used) throw new SysError('EBUSY');
    chains.splice(chains.indexOf(chain), 1);
  }
  return {};
}

export function flushChain(ns: NetNamespace, asked: NetlinkRequest): object {
  for (const chain of asked.chain === undefined ? tableOf(ns, String(asked.table)) : [chainOf(ns, asked)]) chain.rules = [];
  return {};
}

export function zeroTable(ns: NetNamespace, asked: NetlinkRequest): object {
  if (asked.chain !== undefined && asked.at !== undefined) {
    const rule = chainOf(ns, asked).rules[Number(asked.at) - 1];
    if (!rule) throw new SysError('ENOENT');
    Object.assign(rule, { packets: 0, bytes: 0 });
    return {};
  }
  for (const chain of asked.chain === undefined ? tableOf(ns, String(asked.table)) : [chainOf(ns, asked)]) {
    chain.packets = 0;
    chain.bytes = 0;
    for (const rule of chain.rules) {
      rule.packets = 0;
      rule.bytes = 0;
    }
  }
  return {};
}

export function setPolicy(ns: NetNamespace, asked: NetlinkRequest): object {
  const chain = chainOf(ns, asked);
  if (chain.policy === null) throw new SysError('EINVAL');
  chain.hooked = true;
  chain.policy = asked.policy === 'DROP' ? 'DROP' : 'ACCEPT';
  chain.packets = 0;
  chain.bytes = 0;
  return {};
}
