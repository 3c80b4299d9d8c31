/** The routing decision: rules choose a table (policy routing), there the longest prefix, then the least metric, over links that are up. Source: ip-route(8), ip-rule(8). */
import { inPrefix, networkOf, parseIp, parsePrefix } from './ip.ts';
import { linkByName } from './state.ts';
import type { NetNamespace, Packet, PolicyRule, Route } from './types.ts';

/** What rules look at beside the destination. */
export interface RouteKey {
  src?: string;
  mark?: number;
  /** The link that it came in by; "lo" for what is sent here. */
  iif?: string;
  oif?: string;
  proto?: Packet['proto'];
  sport?: number;
  dport?: number;
  uid?: number;
  tos?: number;
}

const BLANK: RouteKey = {};

/** The route to an address that is not this namespace's own, and the source address it gives; null when there is none. */
export function routeFor(ns: NetNamespace, to: string, key: RouteKey = BLANK): { route: Route; src: string } | null {
  const address = parseIp(to);
  if (address === null) return null;
  if (ns.rules.length === 0) return lookedUp(inTable(ns, address, to, 'main', key)) ?? lookedUp(inTable(ns, address, to, 'default', key));
  for (let i = 0; i < ns.rules.length; i++) {
    const rule = ns.rules[i]!;
    if (ruleFits(rule, to, key) === rule.not || rule.action === 'nop') continue;
    if (rule.action === 'goto') {
      const target = ns.rules.findIndex((one) => one.pref === rule.goto);
      if (target > i) i = target - 1;
      continue;
    }
    if (rule.action !== 'table') return { route: { to: 'default', via: null, dev: 'lo', src: null, proto: 'kernel', scope: 'global', metric: 0, type: rule.action, onlink: false }, src: '0.0.0.0' };
    const found = lookedUp(inTable(ns, address, to, rule.table, key));
    if (found && (rule.suppress === undefined || parsePrefix(found.route.to)!.prefix > rule.suppress)) return found;
  }
  return null;
}

/** A route of type throw ends the search in its table. */
function lookedUp<Found extends { route: Route }>(found: Found | null): Found | null {
  return found?.route.type === 'throw' ? null : found;
}

/** The packet's key, where it is routed. */
export function keyOf({ src, mark, proto, sport, dport, uid, tos }: Packet, iif: string): RouteKey {
  return { src, mark: mark ?? 0, iif, proto, sport, dport, ...(tos === undefined ? {} : { tos }), ...(uid === undefined ? {} : { uid }) };
}

function ruleFits(rule: PolicyRule, to: string, key: RouteKey): boolean {
  const { from, fwmark, iif, oif, ipproto, sport, dport, uids } = rule;
  const port = (range: string, n: number | undefined): boolean => {
    const [low, high = low] = range.split('-').map(Number) as [number, number | undefined];
    return n !== undefined && n >= low && n <= high;
  };
  return (
    (rule.tos === undefined || rule.tos === ((key.tos ?? 0) & 0x1c)) && (from === null || inPrefix(key.src ?? '0.0.0.0', from)) && (rule.to === null || inPrefix(to, rule.to)) && (fwmark === null || (((key.mark ?? 0) & fwmark.mask) >>> 0) === fwmark.value) &&
    (iif === null || iif === (key.iif ?? 'lo')) && (oif === null || oif === key.oif) && (ipproto === null || ipproto === key.proto) && (sport === null || port(sport, key.sport)) &&
    (dport === null || port(dport, key.dport)) && (uids === null || (key.uid !== undefined && key.uid >= uids[0] && key.uid <= uids[1]))
  );
}

function inTable(ns: NetNamespace, address: number, to: string, table: string, { oif }: RouteKey): { route: Route; src: string } | null {
  let best: Route | null = null;
  let length = -1;
  for (const route of ns.routes) {
    if ((route.table ?? 'main') !== table || (oif !== undefined && route.dev !== oif)) continue;
    const { network, prefix } = parsePrefix(route.to)!;
    if (networkOf(address, prefix) !== network || prefix < length) continue;
    if (prefix === length && best && best.metric <= route.metric) continue;
    if (route.type === 'unicast' && linkByName(ns, route.dev)?.up !== true) continue;
    best = route;
    length = prefix;
  }
  return best ? { route: best, src: sourceOf(ns, best, best.via ?? to) } : null;
}

/** The preferred source, or the first address of the link, one in the next hop's prefix before others. */
function sourceOf(ns: NetNamespace, route: Route, nexthop: string): string {
  if (route.src) return route.src;
  const own = (linkByName(ns, route.dev)?.addresses ?? []).filter((a) => a.family === 'inet');
  const hop = parseIp(nexthop)!;
  const near = own.find((a) => networkOf(parseIp(a.address)!, a.prefix) === networkOf(hop, a.prefix));
  if (near ?? own[0]) return (near ?? own[0])!.address;
  for (const link of ns.links) for (const one of link.addresses) if (link.up && one.family === 'inet' && one.scope === 'global') return one.address;
  return '0.0.0.0';
}
