/** Times as systemd's tools take them: dates, "yesterday", "-5min", "2h ago", "@0". Source: systemd.time(7), "Parsing Timestamps". */
import { civilOf, daysBefore } from '../../sim/calendar.ts';
import { parseSpan } from './span.ts';

const DAY = 86_400e9;

/** ns since 1970, or null. `now` likewise. */
export function parseTimestamp(source: string, now: number): number | null {
  const text = source.trim().replace(/\s+(UTC|Z)$/i, '').replace(/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+/i, '');
  const midnight = Math.floor(now / DAY) * DAY;
  const word: Readonly<Record<string, number>> = { now, today: midnight, yesterday: midnight - DAY, tomorrow: midnight + DAY };
  if (Object.hasOwn(word, text)) return word[text]!;
  const stamp = /^@(\d+(?:\.\d+)?)$/.exec(text);
  if (stamp) return Number(stamp[1]) * 1e9;
  const moved = /^([-+])(.+)$/.exec(text) ?? /^()(.+?)\s+(ago|left)$/.exec(text);
  if (moved) {
    const us = parseSpan(moved[2]!);
    if (typeof us !== 'number') return null;
    return moved[1] === '-' || moved[3] === 'ago' ? now - us * 1000 : now + us * 1000;
  }
  const m = /^(?:(\d{2,4})-(\d{1,2})-(\d{1,2}))?(?:(?:^|[ T])(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?)?$/.exec(text);
  if (!m || (m[1] === undefined && m[4] === undefined)) return null;
  const today = civilOf(now / 1e9);
  const [year, month, day] = m[1] === undefined ? [today.year, today.month, today.day] : [m[1].length === 2 ? 2000 + Number(m[1]) : Number(m[1]), Number(m[2]), Number(m[3])];
  if (month < 1 || month > 12 || day < 1 || day > 31 || Number(m[4] ?? 0) > 23 || Number(m[5] ?? 0) > 59 || Number(m[6] ?? 0) >= 60) return null;
  return daysBefore(year, month, day) * DAY + (Number(m[4] ?? 0) * 3600 + Number(m[5] ?? 0) * 60 + Number(m[6] ?? 0)) * 1e9;
}
