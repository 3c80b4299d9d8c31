/** Durations as Go's time package prints them. */

/** ns to "1m30s", "1h0m0s", "250ms". */
export function goDuration(ns: number): string {
  if (ns === 0) return '0s';
  if (ns < 1e9) return ns >= 1e6 ? `${ns / 1e6}ms` : ns >= 1e3 ? `${ns / 1e3}µs` : `${ns}ns`;
  const hours = Math.floor(ns / 3600e9);
  const minutes = Math.floor((ns % 3600e9) / 60e9);
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${(ns % 60e9) / 1e9}s`;
}

/** "1m30s" to seconds: the sum of its parts. Whoever wants a form checks it before. */
export function secondsIn(text: string): number {
  let total = 0;
  for (const [, n, unit] of text.matchAll(/(-?\d+(?:\.\d+)?)(ms|h|m|s)/g)) total += Number(n) * { ms: 0.001, s: 1, m: 60, h: 3600 }[unit as 's'];
  return total;
}
