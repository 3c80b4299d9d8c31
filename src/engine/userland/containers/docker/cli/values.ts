/** Values of flags as docker's Go code reads them: sizes, durations, decimals. */

/** "64m", "1.5g", "512" in bytes; null when it is none. Source: go-units RAMInBytes. */
export function sizeBytes(text: string): number | null {
  const m = /^(\d+(?:\.\d+)?) ?([kKmMgGtTpP])?(?:i?[bB])?$/.exec(text);
  if (!m) return null;
  return Math.floor(Number(m[1]) * 1024 ** ('kmgtp'.indexOf((m[2] ?? '').toLowerCase()) + (m[2] ? 1 : 0)));
}

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** "1h30m" in nanoseconds; the caller has checked the form. */
export function durationNs(text: string): number {
  let total = 0;
  for (const [, n, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) total += Number(n) * UNITS[unit!]!;
  return text.startsWith('-') ? -total : total;
}

/** "0.5" processors in billionths. */
export function nanoCpus(text: string): number {
  return Math.round(Number(text) * 1e9);
}

/** First 12 digits of an id, without its algorithm. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** Cuts to `length` characters, the last an ellipsis when something is lost. */
export function ellipsis(text: string, length: number): string {
  const all = [...text];
  return all.length <= length ? text : `${all.slice(0, length - 1).join('')}…`;
}
