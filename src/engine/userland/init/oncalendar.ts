/** Calendar events of timers, "Mon..Fri *-*-01 06:00": read, normalized, and when they come next. Source: systemd.time(7), src/shared/calendarspec.c. */
import { civilOf, daysBefore } from '../../sim/calendar.ts';

/** A start, perhaps to a stop, perhaps every so many; an empty chain is "*". */
interface Part { start: number; stop: number; repeat: number }
type Chain = readonly Part[];

export interface CalendarSpec {
  /** Bit 0 is Monday; 127 or 0 any. */
  weekdays: number;
  year: Chain;
  month: Chain;
  day: Chain;
  /** Days count from the month's end. */
  fromEnd: boolean;
  hour: Chain;
  minute: Chain;
  /** Seconds in microseconds. */
  second: Chain;
  utc: boolean;
}

const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const LONG = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

const SHORTHANDS: Readonly<Record<string, string>> = {
  minutely: '*-*-* *:*:00', hourly: '*-*-* *:00:00', daily: '*-*-* 00:00:00', monthly: '*-*-01 00:00:00', weekly: 'Mon *-*-* 00:00:00', annually: '*-01-01 00:00:00', yearly: '*-01-01 00:00:00', anually: '*-01-01 00:00:00',
  quarterly: '*-01,04,07,10-01 00:00:00', 'semi-annually': '*-01,07-01 00:00:00', semiannually: '*-01,07-01 00:00:00', biannually: '*-01,07-01 00:00:00', 'bi-annually': '*-01,07-01 00:00:00',
};

function weekdaysOf(text: string): number | null {
  let bits = 0;
  const day = (word: string): number => LONG.findIndex((long) => word.toLowerCase() === long || word.toLowerCase() === long.slice(0, 3));
  for (const one of text.split(',')) {
    const [from = '', to = from] = one.split(one.includes('..') ? '..' : '-');
    const [a, b] = [day(from), day(to)];
    if (a < 0 || b < 0) return null;
    for (let i = a; ; i = (i + 1) % 7) {
      bits |= 1 << i;
      if (i === b) break;
    }
  }
  return bits;
}

function chainOf(text: string, min: number, max: number, scale = 1): Chain | null {
  if (text === '*') return [];
  const parts: Part[] = [];
  for (const one of text.split(',')) {
    const m = /^(\*|\d+(?:\.\d{1,6})?)(?:\.\.(\d+(?:\.\d{1,6})?))?(?:\/(\d+(?:\.\d{1,6})?))?$/.exec(one);
    if (!m || (m[1] === '*' && m[2] !== undefined) || (scale === 1 && /\d\.\d/.test(one.replace('..', ' ')))) return null;
    const value = (n: string | undefined): number => (n === undefined ? -1 : Math.round(Number(n) * scale));
    const [start, stop, repeat] = [m[1] === '*' ? min : value(m[1]), value(m[2]), m[3] === undefined ? 0 : value(m[3])];
    if (start < min || start > max || stop > max || (stop >= 0 && stop < start) || (m[3] !== undefined && repeat === 0)) return null;
    if (m[1] === '*' && m[3] === undefined) return [];
    parts.push({ start, stop: stop === start ? -1 : stop, repeat: stop >= 0 && stop !== start && repeat === 0 ? scale : repeat });
  }
  return parts.sort((a, b) => a.start - b.start);
}

const sole = (n: number): Chain => [{ start: n, stop: -1, repeat: 0 }];

/** Null when it is no calendar event. */
export function parseCalendar(source: string): CalendarSpec | null {
  let text = source.trim();
  if (text === '') return null;
  const utc = /\sUTC$/i.test(text);
  if (utc) text = text.slice(0, -3).trim();
  else if (/\s[A-Z][a-z]+\/[A-Z][a-z_]+$/.test(text)) return null;
  text = SHORTHANDS[text.toLowerCase()] ?? text;
  const stamp = /^@(\d+)(?:\.\d+)?$/.exec(text);
  if (stamp) {
    const c = civilOf(Number(stamp[1]));
    return { weekdays: 127, year: sole(c.year), month: sole(c.month), day: sole(c.day), fromEnd: false, hour: sole(c.hour), minute: sole(c.minute), second: sole(c.second * 1e6), utc: true };
  }
  const words = text.split(/[ \t]+|(?<=\d)T(?=\d)/);
  let weekdays = 127;
  if (/^[A-Za-z]/.test(words[0]!)) {
    const bits = weekdaysOf(words.shift()!.replace(/,$/, ''));
    if (bits === null) return null;
    weekdays = bits;
  }
  const date = words[0] !== undefined && !words[0].includes(':') ? words.shift()! : '*-*-*';
  const time = words.shift() ?? '00:00:00';
  if (words.length > 0) return null;
  return assembled(weekdays, date, time, utc);
}

function assembled(weekdays: number, date: string, time: string, utc: boolean): CalendarSpec | null {
  const cut = /^(.*)([-~])([^-~]+)$/.exec(date);
  if (!cut) return null;
  const before = cut[1]!.split('-');
  const [year, month] = before.length === 2 ? before : ['*', before[0]];
  if (before.length > 2 || month === undefined || year === undefined) return null;
  const clock = time.split(':');
  if (clock.length < 2 || clock.length > 3) return null;
  const years = /^\d{1,2}$/.test(year) ? String(Number(year) + (Number(year) >= 70 ? 1900 : 2000)) : year;
  const chains = [chainOf(years, 1970, 2199), chainOf(month, 1, 12), chainOf(cut[3]!, 1, 31), chainOf(clock[0]!, 0, 23), chainOf(clock[1]!, 0, 59), chainOf(clock[2] ?? '00', 0, 60_999_999, 1e6)];
  if (chains.some((one) => one === null)) return null;
  const [y, mo, d, h, mi, s] = chains as Chain[];
  return { weekdays, year: y!, month: mo!, day: d!, fromEnd: cut[2] === '~', hour: h!, minute: mi!, second: s!, utc };
}

function chainText(chain: Chain, width: number, scale = 1): string {
  const n = (v: number): string => {
    const whole = String(Math.floor(v / scale)).padStart(width, '0');
    return v % scale === 0 ? whole : `${whole}.${String(v % scale).padStart(6, '0')}`;
  };
  const every = (v: number): string => (v % scale === 0 ? String(v / scale) : `${Math.floor(v / scale)}.${String(v % scale).padStart(6, '0')}`);
  return chain.length === 0 ? '*' : chain.map((p) => n(p.start) + (p.stop >= 0 ? `..${n(p.stop)}` : '') + (p.repeat > 0 && !(p.stop >= 0 && p.repeat === scale) ? `/${every(p.repeat)}` : '')).join(',');
}

export function normalized(spec: CalendarSpec): string {
  let days = '';
  if (spec.weekdays !== 127) {
    const runs: string[] = [];
    for (let i = 0; i < 7; i++) {
      if (!(spec.weekdays & (1 << i))) continue;
      let end = i;
      while (end < 6 && spec.weekdays & (1 << (end + 1))) end++;
      runs.push(end - i >= 2 ? `${DAYS[i]}..${DAYS[end]}` : end > i ? `${DAYS[i]},${DAYS[end]}` : DAYS[i]!);
      i = end;
    }
    days = `${runs.join(',')} `;
  }
  return `${days}${chainText(spec.year, 4)}-${chainText(spec.month, 2)}${spec.fromEnd ? '~' : '-'}${chainText(spec.day, 2)} ${chainText(spec.hour, 2)}:${chainText(spec.minute, 2)}:${chainText(spec.second, 2, 1e6)}${spec.utc ? ' UTC' : ''}`;
}

/** The least value from `from` on that a chain has, or null. */
function least(chain: Chain, from: number, max: number, scale = 1): number | null {
  if (chain.length === 0) {
    const v = Math.ceil(from / scale) * scale;
    return v <= max ? v : null;
  }
  let best: number | null = null;
  for (const { start, stop, repeat } of chain) {
    const v = from <= start ? start : repeat > 0 ? start + Math.ceil((from - start) / repeat) * repeat : null;
    if (v !== null && v <= (stop >= 0 ? stop : max) && (best === null || v < best)) best = v;
  }
  return best;
}

const monthDays = (year: number, month: number): number => daysBefore(month === 12 ? year + 1 : year, month === 12 ? 1 : month + 1, 1) - daysBefore(year, month, 1);

function dayMatches(spec: CalendarSpec, year: number, month: number, day: number): boolean {
  const last = monthDays(year, month);
  const counted = spec.fromEnd ? last - day + 1 : day;
  if (spec.day.length > 0 && least(spec.day, counted, 31) !== counted) return false;
  const weekday = (daysBefore(year, month, day) + 3) % 7;
  return (spec.weekdays & (1 << weekday)) !== 0;
}

/** The next time after `after`, microseconds since 1970; null never. */
export function nextElapse(spec: CalendarSpec, after: number): number | null {
  const c = civilOf(Math.floor((after + 1) / 1e6));
  const start = daysBefore(c.year, c.month, c.day);
  let micros = after + 1 - start * 86_400e6;
  for (let days = start; ; days++, micros = 0) {
    const at = civilOf(days * 86_400);
    const year = least(spec.year, at.year, 2199);
    if (year === null) return null;
    if (year !== at.year) { days = daysBefore(year, 1, 1) - 1; continue; }
    if (least(spec.month, at.month, 12) !== at.month) {
      days += monthDays(at.year, at.month) - at.day;
      continue;
    }
    if (!dayMatches(spec, at.year, at.month, at.day)) continue;
    const time = timeFrom(spec, micros);
    if (time !== null) return days * 86_400e6 + time;
  }
}

function timeFrom(spec: CalendarSpec, from: number): number | null {
  let [h, m, s] = [Math.floor(from / 3600e6), Math.floor(from / 60e6) % 60, from % 60e6];
  for (;;) {
    const hour = least(spec.hour, h, 23);
    if (hour === null) return null;
    if (hour !== h) [m, s] = [0, 0];
    const minute = least(spec.minute, m, 59);
    if (minute === null) { [h, m, s] = [hour + 1, 0, 0]; continue; }
    if (minute !== m) s = 0;
    const second = least(spec.second, s, 59_999_999, 1e6);
    if (second === null) { [h, m, s] = [hour, minute + 1, 0]; continue; }
    return hour * 3600e6 + minute * 60e6 + second;
  }
}
