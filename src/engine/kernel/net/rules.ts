/** Changing a namespace's tables of rules, with the refusals of nf_tables. Source: iptables(8). Shapes in netfilter.ts. */
import { SysError } from '../abi.ts';
import type { NetlinkRequest } from '../sys.ts';
import type { Chain, Rule, TableName } from './netfilter.ts';
import type { NetNamespace } from './types.ts';

const TERMINAL: ReadonlySet<string> = new Set(['', 'ACCEPT', 'DROP', 'REJECT', 'RETURN', 'MASQUERADE', 'DNAT', 'SNAT', 'REDIRECT']);

/** Throws ENOENT for a table that there is not. */
export function tableOf(ns: NetNamespace, table: string): Chain[] {
  const chains = ns.netfilter.tables[table as TableName];
  if (!chains) throw new SysError('ENOENT');
  return chains;
}

function chainOf(ns: NetNamespace, asked: NetlinkRequest): Chain {
  const chain = tableOf(ns, String(asked.table)).find((one) => one.name === asked.chain);
  if (!chain) throw new SysError('ENOENT');
  return chain;
}

/** What a rule says, without what it counted. */
function sayingOf(rule: Rule): string {
  const { packets: _, bytes: __, ...rest } = rule;
  return JSON.stringify(Object.entries(rest).filter(([, v]) => v !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Appends, or with `at` (from 1) inserts. Throws ENOENT for a chain or target that is not there, ERANGE for a position. */
export function appendRule(ns: NetNamespace, asked: NetlinkRequest): object {
  const chain = chainOf(ns, asked);
  const rule = { ...(asked.rule as Rule), packets: 0, bytes: 0 };
  if (!TERMINAL.has(rule.target)) {
    if (!tableOf(ns, String(asked.table)).some((one) => one.name === rule.target && one.policy === null)) throw new SysError('ENOENT');
  }
  const nat = rule.target === 'MASQUERADE' || rule.target === 'DNAT' || rule.target === 'SNAT' || rule.target === 'REDIRECT';
  if (nat && asked.table !== 'nat') throw new SysError('EINVAL');
  if (asked.type === 'nf.insert') {
    const at = Number(asked.at ?? 1);
    if (at < 1 || at > chain.rules.length + 1) throw new SysError('ERANGE');
    chain.rules.splice(at - 1, 0, rule);
  } else chain.rules.push(rule);
  chain.hooked = true;
  if (nat || rule.ctstate) ns.netfilter.tracking = true;
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
