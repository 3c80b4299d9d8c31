/** Times as the Go tools print them, from the modelled clock. */
import { sys } from '../../kernel/sys.ts';
import { civilOf, daysBefore } from '../../sim/calendar.ts';
import type { Call } from './http.ts';

/** Nanoseconds since 1970 now. */
export function* nowNs(): Call<number> {
  return yield* sys('clock_gettime', 'realtime');
}

/** "2026-01-15T09:00:00.123456789Z"; trailing zeros of the fraction go, as in RFC3339Nano. */
export function isoNano(ns: number): string {
  const [date, time] = civil(ns);
  const fraction = String(Math.floor(ns % 1e9)).padStart(9, '0').replace(/0+$/, '');
  return `${date}T${time}${fraction ? `.${fraction}` : ''}Z`;
}

export function* nowIso(): Call<string> {
  return isoNano(yield* nowNs());
}

/** "2026-01-15T09:00:00Z". */
export function isoSeconds(ns: number): string {
  const [date, time] = civil(ns);
  return `${date}T${time}Z`;
}

/** "2026-01-15 09:00:00 +0000 UTC". */
export function goTime(ns: number): string {
  const [date, time] = civil(ns);
  return `${date} ${time} +0000 UTC`;
}

/** "Thu Jan 15 09:00:00 2026". */
export function ansiTime(ns: number): string {
  const { year, month, day, weekday } = civilOf(Math.floor(ns / 1e9));
  return `${DAYS[weekday]!} ${MONTHS[month - 1]!} ${String(day).padStart(2)} ${civil(ns)[1]} ${year}`;
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Date and time of the whole second. */
function civil(ns: number): [string, string] {
  const { year, month, day, hour, minute, second } = civilOf(Math.floor(ns / 1e9));
  const two = (n: number): string => String(n).padStart(2, '0');
  return [`${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`, `${two(hour)}:${two(minute)}:${two(second)}`];
}

/** Nanoseconds since 1970 of an RFC 3339 time; 0 for Go's zero time and for what is none. */
export function parseIso(source: string): number {
  const m = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?$/.exec(source);
  if (!m || m[1] === '0001') return 0;
  const days = daysBefore(Number(m[1]), Number(m[2]), Number(m[3]));
  const zone = m[8] && m[8] !== 'Z' ? (m[8][0] === '-' ? -1 : 1) * (Number(m[8].slice(1, 3)) * 3600 + Number(m[8].slice(4, 6)) * 60) : 0;
  const seconds = days * 86400 + Number(m[4]) * 3600 + Number(m[5]) * 60 + Number(m[6]) - zone;
  return seconds * 1e9 + (m[7] ? Number(m[7].padEnd(9, '0').slice(0, 9)) : 0);
}

/** go-units' HumanDuration. */
export function humanDuration(ns: number): string {
  const seconds = Math.floor(ns / 1e9);
  const minutes = Math.floor(ns / 60e9);
  const hours = Math.round(ns / 3600e9);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(ns / 3600e9 / 24 / 365)} years`;
}

/** go-units' sizes: four significant digits, or three. */
export function decimalSize(n: number, digits = 4): string {
  return sized(n, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], digits);
}
export function binarySize(n: number): string {
  return sized(n, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 4);
}

function sized(n: number, base: number, units: string[], digits: number): string {
  let value = n;
  let i = 0;
  while (value >= base && i < units.length - 1) {
    value /= base;
    i++;
  }
  return `${Number(value.toPrecision(digits))}${units[i]!}`;
}
