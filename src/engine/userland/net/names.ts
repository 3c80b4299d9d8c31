/** Names to addresses as getaddrinfo(3) does for programs: numbers, /etc/hosts, then DNS (dns.ts). Source: hosts(5), nsswitch.conf(5). */
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { ipNumber } from './addresses.ts';
import { lookup } from './dns.ts';

/** Lines of /etc/hosts: an address and its names. */
export function* hosts(): Call<{ address: string; names: string[] }[]> {
  const source = (yield* tryRead('/etc/hosts')) ?? '';
  return source.split('\n').flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return address && names.length > 0 ? [{ address, names }] : [];
  });
}

/** EAI_NONAME and EAI_AGAIN, as gai_strerror(3) says them. */
export const GAI = { unknown: 'Name or service not known', 'try again': 'Temporary failure in name resolution' } as const;

/** The IPv4 address of a name, or why there is none. */
export function* getaddrinfo(name: string): Call<{ address: string } | { failure: keyof typeof GAI }> {
  if (ipNumber(name) !== null) return { address: name };
  for (const { address, names } of yield* hosts()) if (names.includes(name) && ipNumber(address) !== null) return { address };
  if (name === 'localhost') return { address: '127.0.0.1' };
  if (name === '' || !/^[A-Za-z0-9_.-]+$/.test(name)) return { failure: 'unknown' };
  const found = yield* lookup(name);
  return 'failure' in found ? found : { address: found.addresses[0]! };
}

/** The IPv4 address of a name; null when nobody knows it. */
export function* resolve(name: string): Call<string | null> {
  const found = yield* getaddrinfo(name);
  return 'failure' in found ? null : found.address;
}

/** The first name of an address; null when it has none. */
export function* nameOf(address: string): Call<string | null> {
  return (yield* hosts()).find((one) => one.address === address)?.names[0] ?? null;
}
