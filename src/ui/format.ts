/** Numbers and times as the lab writes them: thousands by comma, fractions of a second in groups of three. */
export const count = (value: number): string => Math.round(value).toLocaleString('en-US');
/** A number with its noun: 1 exit, 2 exits. */
export const plural = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
export const mib = (bytes: number): string => (bytes / 1048576 >= 100 ? count(bytes / 1048576) : (bytes / 1048576).toFixed(1));
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1048576) return `${(bytes / 1024).toFixed(bytes < 10240 ? 1 : 0)} KiB`;
  if (bytes < 1073741824) return `${mib(bytes)} MiB`;
  return `${(bytes / 1073741824).toFixed(1)} GiB`;
}
/** Seconds with microseconds in groups of three, by a thin gap: 3.412 236 */
export function clock(ns: number): string {
  const us = Math.floor(ns / 1000);
  const fraction = String(us % 1_000_000).padStart(6, '0');
  return `${Math.floor(us / 1_000_000).toLocaleString('en-US')}.${fraction.slice(0, 3)}\u2009${fraction.slice(3)}`;
}
export const seconds = (ns: number): string => `${(ns / 1e9).toFixed(3)} s`;
export const hex = (value: bigint, digits = 0): string => `0x${value.toString(16).padStart(digits, '0')}`;
export function big(text: unknown): bigint {
  try {
    return BigInt(String(text));
  } catch {
    return 0n;
  }
}
/** Names of 64 digits shortened, the first letter large: a recorded sentence as a line to read. */
export function sentence(text: string): string {
  const short = text.replace(/\b([0-9a-f]{7})[0-9a-f]{57}\b/g, '$1…');
  const named = /^([a-z]+_[a-z_]+\b|pid|cgroup|kubectl|docker|virsh|\/)/.test(short) || (/ (ended|started)$/.test(short) && !/^(a|the) /.test(short));
  return named ? short : short.charAt(0).toUpperCase() + short.slice(1);
}
/** "max", "67108864" → bytes or null when there is no limit */
export function limit(text: string): number | null {
  const value = Number(text);
  return text === '' || text === 'max' || !Number.isFinite(value) ? null : value;
}
