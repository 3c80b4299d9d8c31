/** Moments on the command line: RFC 3339, seconds since 1970, or how long ago. Source: docker api/types/time. */
import { parseIso } from '../../../lib/clock.ts';
import { Stop } from './client.ts';
import { durationNs } from './values.ts';

/** "SECONDS.NANOSECONDS"; throws Stop, with `what` was asked for where the daemon's client names it. `now` in ns. */
export function timestamp(text: string, now: number, what = ''): string {
  if (/^-?(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/.test(text)) return seconds(now - durationNs(text));
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  const m = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  if (!m) throw new Stop(`${what === '' ? '' : `invalid value for "${what}": `}failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return seconds(parseIso(`${m[1]}T${m[2] ?? '00:00'}${m[3] ?? ':00'}${m[4] ?? 'Z'}`));
}

function seconds(ns: number): string {
  const whole = Math.floor(ns / 1e9);
  return `${whole}.${String(Math.floor(ns - whole * 1e9)).padStart(9, '0')}`;
}
