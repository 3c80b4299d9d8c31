/** Requests about routes: see rtnetlink.ts for their shapes. Source: rtnetlink(7), net/ipv4/fib_semantics.c's refusals. */
import { SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { NetlinkRequest } from '../sys.ts';
import { formatIp, networkOf, parseIp, parsePrefix } from './ip.ts';
import { isLocal } from './local.ts';
import { linkNamed, Refused } from './refusal.ts';
import { routeFor } from './routes.ts';
import { hasCarrier, linkByName } from './state.ts';
import type { NetNamespace, Route } from './types.ts';

/** The route that a request describes, its gateway and device checked. */
function routeOf(ns: NetNamespace, asked: NetlinkRequest): Route {
  const p = parsePrefix(String(asked.to));
  if (!p) throw new SysError('EINVAL');
  if (networkOf(p.network, p.prefix) !== p.network) throw new Refused('EINVAL', 'Invalid prefix for given prefix length.');
  const to = p.prefix === 0 ? 'default' : p.prefix === 32 ? formatIp(p.network) : `${formatIp(p.network)}/${p.prefix}`;
  const type = String(asked.kind ?? 'unicast');
  const via = asked.via === undefined ? null : String(asked.via);
  let dev = asked.dev === undefined ? '' : linkNamed(ns, asked.dev).name;
  if (type === 'unicast') {
    if (via !== null) dev = gatewayLink(ns, via, dev, asked.onlink === true);
    if (dev === '') throw new SysError('ENODEV');
    if (!linkByName(ns, dev)!.up) throw new Refused('ENETDOWN', 'Device for nexthop is not up.');
  } else dev = linkByName(ns, 'lo') ? 'lo' : '';
  const table = String(asked.table ?? 'main');
  const src = asked.src === undefined ? null : String(asked.src);
  if (src !== null && !isLocal(ns, src)) throw new Refused('EINVAL', 'Invalid prefsrc address.');
  return {
    to, via, dev, src, proto: String(asked.proto ?? 'boot'), scope: String(asked.scope ?? (via === null && type === 'unicast' ? 'link' : 'global')),
    metric: Number(asked.metric ?? 0), type, onlink: asked.onlink === true, ...(table === 'main' ? {} : { table }), ...(asked.mtu === undefined ? {} : { mtu: Number(asked.mtu) }),
  };
}

/** The link that a gateway is reached by. */
function gatewayLink(ns: NetNamespace, via: string, dev: string, onlink: boolean): string {
  if (parseIp(via) === null) throw new SysError('EINVAL');
  if (onlink && dev !== '') return dev;
  const at = parseIp(via)!;
  const own = localTable(ns).find(({ to, dev: on }) => {
    const { network, prefix } = parsePrefix(to)!;
    return networkOf(at, prefix) === network && (dev === '' || dev === on);
  });
  // an address of this machine is taken, the broadcast address of its network is not
  if (own?.type === 'local') return own.dev;
  const found = own ? null : routeFor(ns, via);
  if (found === null || found.route.via !== null || isLocal(ns, via) || (dev !== '' && found.route.dev !== dev)) {
    throw new Refused(own || isLocal(ns, via) ? 'EINVAL' : 'ENETUNREACH', 'Nexthop has invalid gateway.');
  }
  return found.route.dev;
}

const tableOf = ({ table = 'main' }: Route): string => table;
const sameKey = (a: Route, b: Route): boolean => a.to === b.to && a.metric === b.metric && tableOf(a) === tableOf(b);

export function routeAdd(_kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  if (asked.table !== undefined) (ns.tables ??= new Set()).add(String(asked.table));
  const route = routeOf(ns, asked);
  const at = ns.routes.findIndex((r) => sameKey(r, route));
  if (at >= 0 && asked.append === true) {
    const alike = ns.routes.filter((r) => sameKey(r, route));
    if (alike.some((r) => r.via === route.via && r.dev === route.dev && r.type === route.type)) throw new SysError('EEXIST');
    ns.routes.splice(ns.routes.indexOf(alike.at(-1)!) + 1, 0, route);
    return {};
  }
  if (at >= 0 && asked.type === 'route.add') throw new SysError('EEXIST');
  if (at >= 0) ns.routes[at] = route;
  else ns.routes.push(route);
  return {};
}

export function routeDel(_kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const p = parsePrefix(String(asked.to));
  if (!p) throw new SysError('EINVAL');
  const to = p.prefix === 0 ? 'default' : p.prefix === 32 ? formatIp(p.network) : `${formatIp(p.network)}/${p.prefix}`;
  const at = ns.routes.findIndex(
    (r) => r.to === to && tableOf(r) === String(asked.table ?? 'main') && (asked.via === undefined || r.via === asked.via) && (asked.dev === undefined || r.dev === asked.dev) &&
      (asked.metric === undefined || r.metric === Number(asked.metric)),
  );
  if (at < 0) throw new SysError('ESRCH');
  ns.routes.splice(at, 1);
  return {};
}

export function routeGet(_kernel: Kernel, _task: Task, ns: NetNamespace, asked: NetlinkRequest): object {
  const to = String(asked.to);
  if (parseIp(to) === null) throw new SysError('EINVAL');
  if (isLocal(ns, to)) return { type: 'local', to, via: null, dev: 'lo', src: to, table: 'local', mtu: null };
  const broadcast = localTable(ns).find((one) => one.type === 'broadcast' && one.to === to);
  if (broadcast) return { type: 'broadcast', to, via: null, dev: broadcast.dev, src: broadcast.src, table: 'local', mtu: null, route: broadcast };
  const key = {
    ...(asked.iif === undefined ? {} : { iif: String(asked.iif) }), ...(asked.uid === undefined ? {} : { uid: Number(asked.uid) }), ...(asked.proto === undefined ? {} : { proto: String(asked.proto) as 'tcp' }),
    ...(asked.sport === undefined ? {} : { sport: Number(asked.sport) }), ...(asked.dport === undefined ? {} : { dport: Number(asked.dport) }), ...(asked.from === undefined ? {} : { src: String(asked.from) }), ...(asked.oif === undefined ? {} : { oif: String(asked.oif) }), mark: Number(asked.mark ?? 0),
  };
  const found = routeFor(ns, to, key);
  if (!found) throw new SysError('ENETUNREACH');
  if (found.route.type !== 'unicast') throw new SysError(found.route.type === 'unreachable' ? 'EHOSTUNREACH' : found.route.type === 'prohibit' ? 'EACCES' : 'EINVAL');
  return { type: 'unicast', to, via: found.route.via, dev: found.route.dev, src: found.src, table: tableOf(found.route), mtu: found.route.mtu ?? ns.pathMtu.get(to) ?? null, route: found.route };
}

/** What the kernel keeps in the table local: the addresses of links and their broadcasts. */
function localTable(ns: NetNamespace): Route[] {
  return ns.links.flatMap((link) =>
    link.addresses.filter((a) => a.family === 'inet').flatMap(({ address, prefix }): Route[] => {
      const row = (to: string, type: string, scope: string): Route => ({ to, via: null, dev: link.name, src: address, proto: 'kernel', scope, metric: 0, type, onlink: false, table: 'local' });
      const network = networkOf(parseIp(address)!, prefix);
      const last = formatIp(network + 2 ** (32 - prefix) - 1);
      const loopback = link.kind === 'loopback' && prefix < 32 ? [row(`${formatIp(network)}/${prefix}`, 'local', 'host')] : [];
      // The rows of networks and broadcasts wait for the link to be up.
      if (!link.up) return [row(address, 'local', 'host')];
      return [...loopback, row(address, 'local', 'host'), ...(prefix < 31 ? [row(last, 'broadcast', 'link')] : [])];
    }),
  );
}

/** In the order in which the kernel's trie dumps them: by address, longest prefix first, then metric. */
export function sortedRoutes(ns: NetNamespace, table = 'main'): Route[] {
  const key = (r: Route): [number, number, number] => {
    const p = parsePrefix(r.to)!;
    return [p.network, -p.prefix, r.metric];
  };
  if (table !== 'all' && table !== 'main' && table !== 'local' && table !== 'default' && !ns.tables?.has(table) && !ns.routes.some((one) => tableOf(one) === table)) throw new Refused('ENOENT', 'ipv4: FIB table does not exist.');
  const rank = (r: Route): number => (tableOf(r) === 'local' ? 2 : tableOf(r) === 'main' ? 1 : 0);
  const all = table === 'local' || table === 'all' ? [...ns.routes, ...localTable(ns)] : ns.routes;
  return all.filter((one) => table === 'all' || tableOf(one) === table).sort((a, b) => {
    if (rank(a) !== rank(b)) return rank(a) - rank(b);
    if (tableOf(a) !== tableOf(b)) return tableOf(a) < tableOf(b) ? -1 : 1;
    const x = key(a);
    const y = key(b);
    return x[0] - y[0] || y[1] - x[1] || x[2] - y[2];
  });
}

/** A route whose link is up without a carrier. */
export function isLinkDown(ns: NetNamespace, route: Route): boolean {
  const link = linkByName(ns, route.dev);
  return route.type !== 'local' && link?.up === true && !hasCarrier(ns, link);
}
