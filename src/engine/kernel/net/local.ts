/** Which addresses are a namespace's own, and how its routes see others. Source: ip-route(8), rtnetlink(7). */
import { formatIp, inPrefix, networkOf, parseIp } from './ip.ts';
import type { Address, NetNamespace } from './types.ts';

/** LOCAL, BROADCAST, MULTICAST or UNICAST: how this namespace's routes see an address. */
export function typeOf(ns: NetNamespace, address: string): string {
  if (isLocal(ns, address)) return 'LOCAL';
  if (isBroadcast(ns, address)) return 'BROADCAST';
  return inPrefix(address, '224.0.0.0/4') ? 'MULTICAST' : 'UNICAST';
}

/** The last address of a connected prefix is a broadcast address, told or not. */
function lastOf({ family, address, prefix, secondary }: Address): string | null {
  if (family !== 'inet' || secondary || prefix > 30) return null;
  return formatIp(networkOf(parseIp(address)!, prefix) + 2 ** (32 - prefix) - 1);
}

/** 255.255.255.255, or the broadcast address of a link. */
export function isBroadcast(ns: NetNamespace, address: string): boolean {
  return address === '255.255.255.255' || ns.links.some((l) => l.up && l.addresses.some((a) => a.broadcast === address || lastOf(a) === address));
}

/** An address of this namespace: of any link that is up, or in 127/8 with a loopback that is up. */
export function isLocal(ns: NetNamespace, address: string): boolean {
  for (const link of ns.links) {
    if (!link.up) continue;
    for (const one of link.addresses) {
      if (one.address === address) return true;
      if (one.scope === 'host' && one.family === 'inet' && inPrefix(address, `${one.address}/${one.prefix}`)) return true;
    }
  }
  return false;
}
