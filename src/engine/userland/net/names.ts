/** Names to addresses: numbers, then /etc/hosts as nsswitch's "files". DNS is not modelled. Source: hosts(5), getent(1). */
import type { Call } from '../lib/http.ts';
import { tryRead } from '../lib/files.ts';
import { ipNumber } from './addresses.ts';

/** Lines of /etc/hosts: an address and its names. */
export function* hosts(): Call<{ address: string; names: string[] }[]> {
  const source = (yield* tryRead('/etc/hosts')) ?? '';
  return source.split('\n').flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return address && names.length > 0 ? [{ address, names }] : [];
  });
}

/** The IPv4 address of a name; null when nobody knows it. */
export function* resolve(name: string): Call<string | null> {
  if (ipNumber(name) !== null) return name;
  for (const { address, names } of yield* hosts()) if (names.includes(name) && ipNumber(address) !== null) return address;
  return name === 'localhost' ? '127.0.0.1' : null;
}

/** The first name of an address; null when it has none. */
export function* nameOf(address: string): Call<string | null> {
  return (yield* hosts()).find((one) => one.address === address)?.names[0] ?? null;
}
