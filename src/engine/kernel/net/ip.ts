/** IPv4 addresses as numbers and text, prefixes, and Ethernet addresses. Source: RFC 791, 4632, 4291 (EUI-64). */

/** null for anything but four decimal octets. */
export function parseIp(text: string): number | null {
  const m = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!m) return null;
  let n = 0;
  for (let i = 1; i <= 4; i++) {
    const octet = Number(m[i]);
    if (octet > 255) return null;
    n = n * 256 + octet;
  }
  return n;
}

export function formatIp(n: number): string {
  return `${Math.floor(n / 16777216) % 256}.${Math.floor(n / 65536) % 256}.${Math.floor(n / 256) % 256}.${n % 256}`;
}

export function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : 2 ** 32 - 2 ** (32 - prefix);
}

/** The first address of the prefix that an address is in. */
export function networkOf(address: number, prefix: number): number {
  const size = 2 ** (32 - prefix);
  return Math.floor(address / size) * size;
}

/** "10.0.0.0/8", "10.0.0.1" or "default". null when it is none. */
export function parsePrefix(text: string): { network: number; prefix: number } | null {
  if (text === 'default' || text === 'any' || text === 'all') return { network: 0, prefix: 0 };
  const [address, length] = text.split('/') as [string, string | undefined];
  const n = parseIp(address);
  if (n === null || (length !== undefined && (!/^\d{1,2}$/.test(length) || Number(length) > 32))) return null;
  return { network: n, prefix: length === undefined ? 32 : Number(length) };
}

export function inPrefix(address: string, prefix: string): boolean {
  const p = parsePrefix(prefix);
  const a = parseIp(address);
  return p !== null && a !== null && networkOf(a, p.prefix) === networkOf(p.network, p.prefix);
}

export function isMac(text: string): boolean {
  return /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text);
}

/** The link-local IPv6 address that a MAC gives (modified EUI-64), compressed. */
export function linkLocal(mac: string): string {
  const b = mac.split(':').map((part) => Number.parseInt(part, 16));
  const words = [((b[0]! ^ 2) << 8) | b[1]!, (b[2]! << 8) | 0xff, 0xfe00 | b[3]!, (b[4]! << 8) | b[5]!];
  return `fe80::${words.map((w) => w.toString(16)).join(':')}`;
}
