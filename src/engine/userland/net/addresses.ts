/** IPv4 addresses on the command line. */

/** Four octets as a number; null for anything else. */
export function ipNumber(text: string): number | null {
  const m = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!m) return null;
  const octets = m.slice(1).map(Number);
  return octets.some((o) => o > 255) ? null : octets.reduce((n, o) => n * 256 + o, 0);
}

export function ipText(n: number): string {
  return [16777216, 65536, 256, 1].map((unit) => Math.floor(n / unit) % 256).join('.');
}

/** "10.0.0.1/24"; without a length 32. null when it is none. */
export function parseAddress(word: string): { address: string; prefix: number } | null {
  const [address, length] = word.split('/') as [string, string | undefined];
  if (ipNumber(address) === null) return null;
  if (length !== undefined && (!/^\d{1,2}$/.test(length) || Number(length) > 32)) return null;
  return { address, prefix: length === undefined ? 32 : Number(length) };
}

export function broadcastOf(address: string, prefix: number): string {
  const size = 2 ** (32 - prefix);
  return ipText(Math.floor(ipNumber(address)! / size) * size + size - 1);
}

export function networkText(address: string, prefix: number): string {
  const size = 2 ** (32 - prefix);
  return ipText(Math.floor(ipNumber(address)! / size) * size);
}
