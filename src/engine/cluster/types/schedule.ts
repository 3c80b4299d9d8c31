/** Cron schedules: five fields or @daily and its like. Source: robfig/cron v3 (what Kubernetes uses), its wording of errors. */
import { civilOf } from '../../sim/calendar.ts';

/** Which values each field has. */
export interface Schedule {
  minute: ReadonlySet<number>;
  hour: ReadonlySet<number>;
  day: ReadonlySet<number>;
  month: ReadonlySet<number>;
  weekday: ReadonlySet<number>;
  /** Whether either day field is "*": then both must hold, otherwise one is enough. */
  anyDay: boolean;
}

const NAMES: Record<string, string[]> = {
  month: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'], weekday: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
};
const FIELDS = [['minute', 0, 59], ['hour', 0, 23], ['day', 1, 31], ['month', 1, 12], ['weekday', 0, 6]] as const;
const WORDS: Record<string, string> = { '@yearly': '0 0 1 1 *', '@annually': '0 0 1 1 *', '@monthly': '0 0 1 * *', '@weekly': '0 0 * * 0', '@daily': '0 0 * * *', '@midnight': '0 0 * * *', '@hourly': '0 * * * *' };

/** A string is the error's text. */
export function parseSchedule(source: string): Schedule | string {
  if (source === '') return 'empty spec string';
  if (source.startsWith('@') && !WORDS[source]) return `unrecognized descriptor: ${source}`;
  const parts = (WORDS[source] ?? source).trim().split(/\s+/);
  if (parts.length !== 5) return `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`;
  const out: Record<string, Set<number>> = {};
  for (const [i, [name, low, high]] of FIELDS.entries()) {
    const set = new Set<number>();
    for (const part of parts[i]!.split(',')) {
      const fault = addRange(part, name, low, high, set);
      if (fault) return fault;
    }
    out[name] = set;
  }
  const star = (part: string): boolean => /^[*?]/.test(part);
  return { minute: out.minute!, hour: out.hour!, day: out.day!, month: out.month!, weekday: out.weekday!, anyDay: star(parts[2]!) || star(parts[4]!) };
}

function addRange(part: string, name: string, low: number, high: number, out: Set<number>): string | null {
  const [range = '', step, ...more] = part.split('/');
  const [first = '', last, ...extra] = range.split('-');
  if (extra.length > 0) return `too many hyphens: ${part}`;
  if (more.length > 0) return `too many slashes: ${part}`;
  const value = (text: string): number | string => {
    const named = NAMES[name]?.indexOf(text.toLowerCase()) ?? -1;
    if (named >= 0) return named + low;
    return /^\d+$/.test(text) ? Number(text) : `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
  };
  const every = first === '*' || first === '?';
  const start = every ? low : value(first);
  let end = every ? high : last === undefined ? (step === undefined ? start : high) : value(last);
  const by = step === undefined ? 1 : value(step);
  for (const one of [start, end, by]) if (typeof one === 'string') return one;
  if (Number(start) < low) return `beginning of range (${start}) below minimum (${low}): ${part}`;
  if (Number(end) > high) return `end of range (${end}) above maximum (${high}): ${part}`;
  if (Number(start) > Number(end)) return `beginning of range (${start}) beyond end of range (${end}): ${part}`;
  if (by === 0) return `step of range should be a positive number: ${part}`;
  for (let n = Number(start); n <= Number(end); n += Number(by)) out.add(n);
  return null;
}

/** The first moment after `seconds` since 1970 that it names; null within five years. */
export function nextTime(s: Schedule, seconds: number): number | null {
  let at = Math.floor(seconds / 60) * 60 + 60;
  const end = seconds + 5 * 366 * 86400;
  while (at < end) {
    const c = civilOf(at);
    const day = s.day.has(c.day);
    const weekday = s.weekday.has(c.weekday);
    if (!s.month.has(c.month) || !(s.anyDay ? day && weekday : day || weekday)) at = (Math.floor(at / 86400) + 1) * 86400;
    else if (!s.hour.has(c.hour)) at = (Math.floor(at / 3600) + 1) * 3600;
    else if (!s.minute.has(c.minute)) at += 60;
    else return at;
  }
  return null;
}
