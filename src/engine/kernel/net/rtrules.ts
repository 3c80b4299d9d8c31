/** Requests about policy rules (ip rule) and queueing disciplines (tc qdisc). Source: ip-rule(8), tc(8), net/core/fib_rules.c, net/sched/sch_api.c. */
import { SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { NetlinkRequest } from '../sys.ts';
import { parsePrefix } from './ip.ts';
import { createDiscipline } from './qdisc.ts';
import { linkNamed, Refused } from './refusal.ts';
import type { Discipline, Link, NetNamespace, PolicyRule } from './types.ts';

const DEFAULTS: readonly PolicyRule[] = ([[0, 'local'], [32766, 'main'], [32767, 'default']] as const).map(([pref, table]) => ({ ...blankRule(), pref, table, proto: 'kernel' }));

function blankRule(): PolicyRule {
  return {
    pref: 0, not: false, from: null, to: null, fwmark: null, iif: null, oif: null, ipproto: null, sport: null, dport: null, uids: null, action: 'table', table: 'main', proto: 'boot',
  };
}

/** With the three that every namespace begins with. */
export function rulesOf(ns: NetNamespace): readonly PolicyRule[] {
  return ns.rules.length > 0 ? ns.rules : DEFAULTS;
}

function ruleOf(asked: NetlinkRequest): PolicyRule {
  const given = asked.rule as Partial<PolicyRule>;
  const rule = { ...blankRule(), ...given };
  for (const prefix of [rule.from, rule.to]) if (prefix !== null && !parsePrefix(prefix)) throw new SysError('EINVAL');
  return rule;
}

const saying = ({ pref: _, proto: __, ...rest }: PolicyRule): string => JSON.stringify(rest);

/** Without a preference it comes before the first that is not 0. Throws EEXIST. */
export function ruleAdd(_kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const rule = ruleOf(asked);
  const rules = rulesOf(ns).slice();
  if (asked.pref === undefined) {
    const second = rules.find((one) => one.pref > 0);
    rule.pref = second ? second.pref - 1 : 32765;
  } else {
    rule.pref = Number(asked.pref);
    if (rules.some((one) => one.pref === rule.pref && saying(one) === saying(rule))) throw new SysError('EEXIST');
  }
  const at = rules.findIndex((one) => one.pref > rule.pref);
  rules.splice(at < 0 ? rules.length : at, 0, rule);
  ns.rules = rules;
  return {};
}

/** The first that has all that is asked. Throws ENOENT. */
export function ruleDel(_kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const given = asked.rule as Partial<PolicyRule>;
  const rules = rulesOf(ns).slice();
  const fits = (one: PolicyRule): boolean =>
    (asked.pref === undefined || one.pref === Number(asked.pref)) && Object.entries(given).every(([key, value]) => JSON.stringify(one[key as keyof PolicyRule]) === JSON.stringify(value));
  const at = rules.findIndex(fits);
  if (at < 0) throw new SysError('ENOENT');
  rules.splice(at, 1);
  ns.rules = rules;
  return {};
}

// ---- queues

export interface QdiscInfo extends Omit<Discipline, 'random' | 'free' | 'tokens' | 'at'> {
  dev: string;
  /** Queues of the link: each refers to the discipline. */
  queues: number;
}

/** The discipline of each link: the one that was put there, or the one that it has by itself. */
export function qdiscList(_kernel: Kernel, _task: Task, ns: NetNamespace, { dev }: NetlinkRequest): QdiscInfo[] {
  return (dev === undefined ? ns.links : [linkNamed(ns, dev)]).flatMap((link) => {
    const found = link.discipline;
    if (!found && link.qdisc === 'noop') return [];
    const { random: _, free: __, tokens: ___, at: ____, ...rest } = found ?? byItself(link);
    return [{ ...rest, dev: link.name, queues: link.kind === 'veth' ? 2 : 1 }];
  });
}

function byItself({ qdisc, stats }: Link): Discipline {
  return {
    kind: qdisc as 'noqueue', handle: '0:', limit: 0, delay: 0, jitter: 0, loss: 0, duplicate: 0, corrupt: 0, reorder: 0, rate: 0, burst: 0, latency: 0, free: 0, tokens: 0, at: 0,
    sentBytes: qdisc === 'noqueue' ? 0 : stats.txBytes, sentPackets: qdisc === 'noqueue' ? 0 : stats.txPackets, dropped: 0, overlimits: 0, backlogBytes: 0, backlogPackets: 0, random: { s: [0, 0, 0, 0] }, seed: '',
  };
}

const NUMBERS = ['limit', 'delay', 'jitter', 'loss', 'duplicate', 'corrupt', 'reorder', 'rate', 'burst', 'latency'] as const;

/** {dev, kind, how: add | change | replace, handle?, spec: {limit, delay, …}}. Throws EEXIST, ENOENT, EINVAL. */
export function qdiscSet(kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.dev);
  const kind = String(asked.kind) as Discipline['kind'];
  if (kind !== 'netem' && kind !== 'tbf' && kind !== 'pfifo' && kind !== 'fq_codel') throw new Refused('ENOENT', 'Specified qdisc kind is unknown.');
  // another kind is put in its place, the same one would be changed
  const stays = link.discipline?.kind === kind && (asked.handle === undefined || asked.handle === link.discipline.handle);
  if (asked.how === 'add' && stays) throw new Refused('EEXIST', 'Exclusivity flag on, cannot modify.');
  if (asked.how === 'change' && !link.discipline) throw new Refused('ENOENT', 'Qdisc not found. To create specify NLM_F_CREATE flag.');
  const same = stays ? link.discipline : null;
  const handle = asked.handle === undefined ? (same?.handle ?? nextHandle(kernel)) : String(asked.handle);
  const made = same ?? createDiscipline(kernel, link, kind, handle);
  const spec = (asked.spec ?? {}) as Record<string, unknown>;
  for (const name of NUMBERS) {
    const value = spec[name];
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) made[name] = value;
    else if (kind === 'netem' && same && name !== 'limit') made[name] = 0;
  }
  made.handle = handle;
  if (kind === 'tbf' && (made.rate <= 0 || made.burst <= 0)) throw new SysError('EINVAL');
  if (kind === 'tbf' && made.tokens === 0) made.tokens = made.burst;
  link.discipline = made;
  link.qdisc = kind;
  return {};
}

/** The kernel counts them for all links together. */
function nextHandle(kernel: Kernel): string {
  kernel.counters.qdiscs = (kernel.counters.qdiscs ?? 0) + 1;
  return `${(0x8000 + kernel.counters.qdiscs).toString(16)}:`;
}

/** Back to what the link has by itself. Throws ENOENT. */
export function qdiscDel(_kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const link = linkNamed(ns, asked.dev);
  if (asked.kind !== undefined && link.discipline && link.discipline.kind !== asked.kind) throw new Refused('EINVAL', 'Invalid qdisc name.');
  if (!link.discipline) throw new Refused('ENOENT', 'Cannot delete qdisc with handle of zero.');
  link.discipline = null;
  link.qdisc = link.kind === 'ether' ? 'fq_codel' : link.up ? 'noqueue' : 'noop';
  return {};
}
