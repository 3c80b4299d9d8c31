/** Dates of the modelled clock, which is UTC: strftime(3) and the dates that date -d and touch -d take. */
import { type Civil, civilOf, daysBefore } from '../../sim/calendar.ts';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December',
];

const two = (n: number): string => String(n).padStart(2, '0');
const blank = (n: number): string => String(n).padStart(2, ' ');

/** strftime with GNU's flags "-" (no padding), "_" (blanks), "0", "^" and a width for %N. */
export function strftime(format: string, seconds: number): string {
  const at = civilOf(seconds);
  return format.replace(/%([-_0^]?)(\d*)(:{0,2}[a-zA-Z%+])/g, (whole, flag: string, width: string, letter: string) => {
    const value = field(letter, at, seconds, width);
    if (value === null) return whole;
    if (flag === '^') return value.toUpperCase();
    if (flag === '-') return value.replace(/^[0 ]+(?=\d)/, '');
    if (flag === '_') return value.replace(/^0+(?=\d)/, (zeros) => ' '.repeat(zeros.length));
    if (flag === '0') return value.replace(/^ +/, (blanks) => '0'.repeat(blanks.length));
    return width !== '' && letter !== 'N' ? value.padStart(Number(width), /^\d/.test(value) ? '0' : ' ') : value;
  });
}

function field(letter: string, at: Civil, seconds: number, width: string): string | null {
  const twelve = at.hour % 12 === 0 ? 12 : at.hour % 12;
  switch (letter) {
    case 'Y': return String(at.year);
    case 'C': return two(Math.floor(at.year / 100));
    case 'y': return two(at.year % 100);
    case 'm': return two(at.month);
    case 'd': return two(at.day);
    case 'e': return blank(at.day);
    case 'H': return two(at.hour);
    case 'I': return two(twelve);
    case 'k': return blank(at.hour);
    case 'l': return blank(twelve);
    case 'M': return two(at.minute);
    case 'S': return two(at.second);
    case 'N': return String(at.nanosecond).padStart(9, '0').slice(0, width === '' ? 9 : Number(width));
    case 'p': return at.hour < 12 ? 'AM' : 'PM';
    case 'P': return at.hour < 12 ? 'am' : 'pm';
    case 'a': return DAYS[at.weekday]!.slice(0, 3);
    case 'A': return DAYS[at.weekday]!;
    case 'b': case 'h': return MONTHS[at.month - 1]!.slice(0, 3);
    case 'B': return MONTHS[at.month - 1]!;
    case 'j': return String(at.yearday + 1).padStart(3, '0');
    case 'u': return String(at.weekday === 0 ? 7 : at.weekday);
    case 'w': return String(at.weekday);
    case 'U': return two(Math.floor((at.yearday + 7 - at.weekday) / 7));
    case 'W': return two(Math.floor((at.yearday + 7 - ((at.weekday + 6) % 7)) / 7));
    case 'V': return two(isoWeek(at).week);
    case 'G': return String(isoWeek(at).year);
    case 'q': return String(Math.ceil(at.month / 3));
    case 's': return String(Math.floor(seconds));
    case 'z': return '+0000';
    case ':z': return '+00:00';
    case '::z': return '+00:00:00';
    case 'Z': return 'UTC';
    case 'n': return '\n';
    case 't': return '\t';
    case '%': return '%';
    case 'F': return `${at.year}-${two(at.month)}-${two(at.day)}`;
    case 'T': case 'X': return `${two(at.hour)}:${two(at.minute)}:${two(at.second)}`;
    case 'R': return `${two(at.hour)}:${two(at.minute)}`;
    case 'r': return `${two(twelve)}:${two(at.minute)}:${two(at.second)} ${at.hour < 12 ? 'AM' : 'PM'}`;
    case 'D': case 'x': return `${two(at.month)}/${two(at.day)}/${two(at.year % 100)}`;
    case 'c': return strftime('%a %b %e %H:%M:%S %Y', seconds);
    default: return null;
  }
}

function isoWeek(at: Civil): { year: number; week: number } {
  const monday = (at.weekday + 6) % 7;
  const week = Math.floor((at.yearday - monday + 10) / 7);
  if (week < 1) return { year: at.year - 1, week: weeksIn(at.year - 1) };
  return week > weeksIn(at.year) ? { year: at.year + 1, week: 1 } : { year: at.year, week };
}

function weeksIn(year: number): number {
  const first = (((daysBefore(year, 1, 1) + 4) % 7) + 7) % 7;
  const leap = daysBefore(year + 1, 1, 1) - daysBefore(year, 1, 1) === 366;
  return first === 4 || (leap && first === 3) ? 53 : 52;
}

const UNITS: Readonly<Record<string, number>> = { sec: 1, second: 1, min: 60, minute: 60, hour: 3600, day: 86400, week: 604800, fortnight: 1209600 };

/** Seconds since 1970 of a date as people write it, or null. `now` is what relative ones count from. */
export function parseDate(source: string, now: number): number | null {
  let rest = ` ${source.trim().toLowerCase()} `;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const m = pattern.exec(rest);
    if (m) rest = `${rest.slice(0, m.index)} ${rest.slice(m.index + m[0].length)}`;
    return m;
  };
  const stamp = take(/ @(-?\d+(?:\.\d+)?) /);
  if (stamp) return rest.trim() === '' ? Number(stamp[1]) : null;
  const base = civilOf(now);
  let time: number | null = null;
  let zone = 0;
  const iso = take(/(\d{4})-(\d{1,2})-(\d{1,2})(?:t(?=\d))?/);
  const named = iso ? null : take(/ (\d{1,2})[ -]([a-z]{3})[a-z]*(?:[ -](\d{4}))? | ([a-z]{3})[a-z]* (\d{1,2})(?:,? (\d{4}))? /);
  const compact = iso ?? named ? null : take(/ (\d{4})(\d\d)(\d\d) /);
  const clock = take(/(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?\s*(am|pm)?\s*(z|utc|gmt|[+-]\d\d:?\d\d)?/);
  if (clock) {
    const hour = clock[4] ? (Number(clock[1]) % 12) + (clock[4] === 'pm' ? 12 : 0) : Number(clock[1]);
    if (hour > 24 || Number(clock[2]) > 59) return null;
    time = hour * 3600 + Number(clock[2]) * 60 + Number(clock[3] ?? 0);
    const z = /^([+-])(\d\d):?(\d\d)$/.exec(clock[5] ?? '');
    if (z) zone = (z[1] === '-' ? -1 : 1) * (Number(z[2]) * 3600 + Number(z[3]) * 60);
  }
  take(/ (utc|gmt) /);
  let day = daysBefore(base.year, base.month, base.day);
  let dated = true;
  const date = iso ?? compact;
  if (date) {
    if (Number(date[2]) < 1 || Number(date[2]) > 12 || Number(date[3]) < 1 || Number(date[3]) > 31) return null;
    day = daysBefore(Number(date[1]), Number(date[2]), Number(date[3]));
  } else if (named) {
    const month = MONTHS.findIndex((m) => m.toLowerCase().startsWith(named[2] ?? named[4]!)) + 1;
    if (month === 0) return null;
    day = daysBefore(Number(named[3] ?? named[6] ?? base.year), month, Number(named[1] ?? named[5]));
  } else if (take(/ tomorrow /)) day++, (time ??= now - daysBefore(base.year, base.month, base.day) * 86400);
  else if (take(/ yesterday /)) day--, (time ??= now - daysBefore(base.year, base.month, base.day) * 86400);
  else if (take(/ (today|now) /)) time ??= now - day * 86400;
  else if (take(/ midnight /)) time = 0;
  else dated = time !== null || source.trim() === '';
  let at = dated ? day * 86400 + (time ?? 0) - zone : now;
  let relative = false;
  for (;;) {
    const m = take(/ ([+-]?\s*\d+|next|last|an?)\s*(sec|second|min|minute|hour|day|week|fortnight|month|year)s?( ago)? /);
    if (!m) break;
    relative = true;
    const count = { next: 1, last: -1, a: 1, an: 1 }[m[1]!] ?? Number(m[1]!.replace(/\s/g, ''));
    at = moved(at, m[3] ? -count : count, m[2]!);
  }
  return rest.trim() !== '' || (!dated && !relative) ? null : at;
}

function moved(at: number, count: number, unit: string): number {
  if (unit !== 'month' && unit !== 'year') return at + count * UNITS[unit]!;
  const c = civilOf(at);
  const months = c.year * 12 + c.month - 1 + count * (unit === 'year' ? 12 : 1);
  return daysBefore(Math.floor(months / 12), (months % 12) + 1, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
}
