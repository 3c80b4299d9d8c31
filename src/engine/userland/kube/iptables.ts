/**
 * Tables of rules kept as somebody wants them, as iptables-restore --noflush does: chains of one's own are made, those that have
 * changed are written again, those no longer wanted go; jumps from the built-in chains are put back when they are missing.
 */
import { sys } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';

export type Table = 'nat' | 'filter' | 'mangle';

export interface Rule {
  [key: string]: unknown;
  target: string;
}

export type Chains = Map<string, Rule[]>;

/** A jump from a built-in chain: where, and the rule. `last` appends it; `first` keeps it before all others. */
export interface Jump {
  table: Table;
  chain: string;
  rule: Rule;
  last?: boolean;
  first?: boolean;
}

export const is = (value: string): { is: string; not: boolean } => ({ is: value, not: false });
export const not = (value: string): { is: string; not: boolean } => ({ is: value, not: true });
export const commented = (comment: string, ...modules: string[]): { comment: string; modules: string[] } => ({ comment, modules: ['comment', ...modules] });

/** What a keeper wrote: rules as text by table and chain. */
export type Written = Record<Table, Map<string, string>>;
export const nothingWritten = (): Written => ({ nat: new Map(), filter: new Map(), mangle: new Map() });

interface Listed {
  name: string;
  rules: Rule[];
}

export const listed = (table: Table): Call<Listed[]> => sys('netlink', { type: 'nf.list', table }) as Call<Listed[]>;

/** Makes the chains of a table as wanted; `ours` says which others are this keeper's to remove. */
export function* keep(table: Table, wanted: Chains, written: Written, ours: (chain: string) => boolean): Call<void> {
  const before = written[table];
  const there = before.size === 0 ? new Set((yield* listed(table)).map((c) => c.name)) : new Set(before.keys());
  for (const chain of wanted.keys()) if (!there.has(chain)) yield* sys('netlink', { type: 'nf.newchain', table, chain });
  for (const chain of there) if (ours(chain) && !wanted.has(chain)) yield* sys('netlink', { type: 'nf.flush', table, chain });
  for (const [chain, rules] of wanted) {
    const said = JSON.stringify(rules);
    if (before.get(chain) === said) continue;
    if (there.has(chain)) yield* sys('netlink', { type: 'nf.flush', table, chain });
    for (const rule of rules) yield* sys('netlink', { type: 'nf.append', table, chain, rule });
    before.set(chain, said);
  }
  for (const chain of there) {
    if (!ours(chain) || wanted.has(chain)) continue;
    yield* sys('netlink', { type: 'nf.delchain', table, chain });
    before.delete(chain);
  }
}

/** Puts in jumps that are not there. */
export function* jump(jumps: readonly Jump[]): Call<void> {
  const tables = new Map<Table, Listed[]>();
  for (const { table, chain, rule, last, first } of jumps) {
    if (!tables.has(table)) tables.set(table, yield* listed(table));
    const there = tables.get(table)!.find((c) => c.name === chain)?.rules ?? [];
    const at = there.findIndex((r) => r.target === rule.target && r.comment === rule.comment);
    if (at === 0 || (at > 0 && !first)) continue;
    if (at > 0) yield* sys('netlink', { type: 'nf.delete', table, chain, at: at + 1 });
    yield* sys('netlink', { type: last ? 'nf.append' : 'nf.insert', table, chain, rule });
  }
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The first 16 characters of the base32 form of a hash given in hexadecimal. */
export function base32(hex: string): string {
  let out = '';
  for (let bit = 0; out.length < 16; bit += 5) {
    let value = 0;
    for (let i = bit; i < bit + 5; i++) value = value * 2 + ((Number.parseInt(hex[i >> 2]!, 16) >> (3 - (i & 3))) & 1);
    out += BASE32[value];
  }
  return out;
}
