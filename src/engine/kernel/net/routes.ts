/** The routing decision: longest prefix, then least metric, over links that are up. Source: ip-route(8). One table. */
import { networkOf, parseIp, parsePrefix } from './ip.ts';
import { linkByName } from './state.ts';
import type { NetNamespace, Route } from './types.ts';

/** The route to an address that is not this namespace's own, and the source address it gives; null when there is none. */
export function routeFor(ns: NetNamespace, to: string): { route: Route; src: string } | null {
  const address = parseIp(to);
  if (address === null) return null;
  let best: Route | null = null;
  let length = -1;
  for (const route of ns.routes) {
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
