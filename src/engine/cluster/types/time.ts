/** Times as the API writes them (RFC 3339, UTC) and as kubectl prints them. */
import { civilOf, daysBefore } from '../../sim/calendar.ts';
import { joined } from '../../sim/text.ts';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (n: number): string => String(n).padStart(2, '0');

/** The last time written: what happens in one second shares its text. */
const last = { second: Number.NaN, text: '' };

/** "2026-01-15T09:00:00Z" from seconds since 1970. */
export function rfc3339(seconds: number): string {
  const second = Math.floor(seconds);
  if (second !== last.second) {
    const c = civilOf(second);
    last.second = second;
    last.text = joined([`${c.year}-${two(c.month)}-`, two(c.day), 'T', two(c.hour), ':', two(c.minute), ':', two(c.second), 'Z']);
  }
  return last.text;
}

/** The last time read: leases that were renewed together say the same. */
const read: { text: string | null | undefined; seconds: number | null } = { text: null, seconds: null };

/** Seconds since 1970; null for what is no time. */
export function parseTime(text: string | null | undefined): number | null {
  if (text === read.text) return read.seconds;
  read.seconds = secondsOf(text);
  read.text = text;
  return read.seconds;
}

function secondsOf(text: string | null | undefined): number | null {
  const m = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?Z$/.exec(text ?? '');
  if (!m) return null;
  const days = daysBefore(Number(m[1]), Number(m[2]), Number(m[3]));
  return days * 86400 + Number(m[4]) * 3600 + Number(m[5]) * 60 + Number(m[6]) + Number(m[7] ?? 0);
}

/** "Sun, 22 Nov 2026 08:34:41 +0000", as describe prints. */
export function rfc1123(text: string | null | undefined): string {
  const seconds = parseTime(text);
  if (seconds === null) return '<unset>';
  const c = civilOf(Math.floor(seconds));
  return `${DAYS[c.weekday]}, ${two(c.day)} ${MONTHS[c.month - 1]} ${c.year} ${two(c.hour)}:${two(c.minute)}:${two(c.second)} +0000`;
}

/** An age as kubectl prints it (apimachinery duration.HumanDuration). */
export function humanDuration(seconds: number): string {
  const s = Math.floor(seconds);
  if (s < -1) return '<invalid>';
  if (s < 0) return '0s';
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return s % 60 === 0 ? `${m}m` : `${m}m${s % 60}s`;
  if (m < 180) return `${m}m`;
  const h = Math.floor(m / 60);
  if (h < 8) return m % 60 === 0 ? `${h}h` : `${h}h${m % 60}m`;
  if (h < 48) return `${h}h`;
  if (h < 192) return h % 24 === 0 ? `${Math.floor(h / 24)}d` : `${Math.floor(h / 24)}d${h % 24}h`;
  const d = Math.floor(h / 24);
  if (d < 730) return `${d}d`;
  const y = Math.floor(d / 365);
  if (d < 2920) return d % 365 === 0 ? `${y}y` : `${y}y${d % 365}d`;
  return `${y}y`;
}
