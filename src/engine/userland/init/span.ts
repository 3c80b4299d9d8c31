/** Spans of time as systemd reads and prints them ("1h 30min"). Source: systemd.time(7), src/basic/time-util.c. */

/** Months and years are those of systemd: 30.44 and 365.25 days. */
const SECOND = 1_000_000;
const UNITS: readonly (readonly [suffix: string, us: number])[] = [
  ['y', 31_557_600 * SECOND], ['month', 2_629_800 * SECOND], ['w', 604_800 * SECOND], ['d', 86_400 * SECOND], ['h', 3600 * SECOND], ['min', 60 * SECOND], ['s', SECOND], ['ms', 1000], ['us', 1],
];

const NAMES: Readonly<Record<string, number>> = {
  seconds: SECOND, second: SECOND, sec: SECOND, s: SECOND, minutes: 60 * SECOND, minute: 60 * SECOND, min: 60 * SECOND, m: 60 * SECOND, months: 2_629_800 * SECOND, month: 2_629_800 * SECOND, M: 2_629_800 * SECOND,
  msec: 1000, ms: 1000, hours: 3600 * SECOND, hour: 3600 * SECOND, hr: 3600 * SECOND, h: 3600 * SECOND, days: 86_400 * SECOND, day: 86_400 * SECOND, d: 86_400 * SECOND, weeks: 604_800 * SECOND, week: 604_800 * SECOND,
  w: 604_800 * SECOND, years: 31_557_600 * SECOND, year: 31_557_600 * SECOND, y: 31_557_600 * SECOND, usec: 1, us: 1, 'µs': 1, 'μs': 1, '': SECOND,
};

/** Microseconds of a span; a bare number counts in `unit`. Null when it is none, 'range' when it is negative. */
export function parseSpan(text: string, unit = SECOND): number | null | 'range' {
  const trimmed = text.trim();
  if (trimmed === 'infinity') return Number.POSITIVE_INFINITY;
  if (/^-/.test(trimmed)) return 'range';
  let [total, rest] = [0, trimmed];
  do {
    const m = /^(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Zµμ]*)\s*/.exec(rest);
    const each = m ? (m[2] === '' ? unit : NAMES[m[2]!]) : undefined;
    if (!m || each === undefined) return null;
    total += Number(m[1]) * each;
    rest = rest.slice(m[0].length);
  } while (rest !== '');
  return Math.floor(total);
}

/** "1min 30.500s": no finer than `accuracy` microseconds once anything has been said. */
export function formatSpan(us: number, accuracy = 1): string {
  if (us === Number.POSITIVE_INFINITY) return 'infinity';
  if (us <= 0) return '0';
  const parts: string[] = [];
  let left = us;
  for (const [suffix, unit] of UNITS) {
    if (left <= 0 || (left < accuracy && parts.length > 0)) break;
    if (left < unit) continue;
    const whole = Math.floor(left / unit);
    const rest = left % unit;
    const digits = Math.round(Math.log10(unit)) - Math.round(Math.log10(accuracy));
    if (left < 60 * SECOND && rest > 0 && digits > 0) {
      parts.push(`${whole}.${String(Math.floor(rest / accuracy)).padStart(digits, '0')}${suffix}`);
      break;
    }
    parts.push(`${whole}${suffix}`);
    left = rest;
  }
  return parts.length === 0 ? '0' : parts.join(' ');
}

/** "2 days ago" as systemd says how long something is past or to come: at most two units. */
export function relative(ns: number): string {
  const s = Math.floor(Math.abs(ns) / 1e9);
  const word = ns >= 0 ? ' ago' : ' left';
  const of = (n: number, name: string): string => `${n} ${name}${n === 1 ? '' : 's'}`;
  const [YEAR, MONTH, WEEK, DAY] = [31_557_600, 2_629_800, 604_800, 86_400];
  if (s >= YEAR) return `${of(Math.floor(s / YEAR), 'year')} ${of(Math.floor((s % YEAR) / MONTH), 'month')}${word}`;
  if (s >= MONTH) return `${of(Math.floor(s / MONTH), 'month')} ${of(Math.floor((s % MONTH) / DAY), 'day')}${word}`;
  if (s >= WEEK) return `${of(Math.floor(s / WEEK), 'week')} ${of(Math.floor((s % WEEK) / DAY), 'day')}${word}`;
  if (s >= 2 * DAY) return `${Math.floor(s / DAY)} days${word}`;
  if (s >= 25 * 3600) return `1 day ${Math.floor((s - DAY) / 3600)}h${word}`;
  if (s >= 6 * 3600) return `${Math.floor(s / 3600)}h${word}`;
  if (s >= 3600) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}min${word}`;
  if (s >= 5 * 60) return `${Math.floor(s / 60)}min${word}`;
  if (s >= 60) return `${Math.floor(s / 60)}min ${s % 60}s${word}`;
  if (s > 0) return `${s}s${word}`;
  const us = Math.floor(Math.abs(ns) / 1000);
  return us >= 1000 ? `${Math.floor(us / 1000)}ms${word}` : us > 0 ? `${us}us${word}` : 'now';
}
