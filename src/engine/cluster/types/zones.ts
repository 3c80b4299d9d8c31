/**
 * Time zones of CronJobs: an offset from UTC in seconds at a moment. Known: UTC and zones of a table of rules (standard offset,
 * daylight saving of the European Union or of the United States). Others are "unknown time zone", as where tzdata lacks them.
 */
import { civilOf, daysBefore } from '../../sim/calendar.ts';

/** Minutes east of UTC, and which rule moves clocks by an hour. */
const ZONES: Readonly<Record<string, readonly [minutes: number, rule: '' | 'eu' | 'us']>> = {
  UTC: [0, ''], 'Etc/UTC': [0, ''], GMT: [0, ''], 'Etc/GMT': [0, ''], 'Europe/London': [0, 'eu'], 'Europe/Dublin': [0, 'eu'], 'Europe/Lisbon': [0, 'eu'],
  'Europe/Berlin': [60, 'eu'], 'Europe/Paris': [60, 'eu'], 'Europe/Madrid': [60, 'eu'], 'Europe/Rome': [60, 'eu'], 'Europe/Vienna': [60, 'eu'], 'Europe/Zurich': [60, 'eu'], 'Europe/Amsterdam': [60, 'eu'],
  'Europe/Brussels': [60, 'eu'], 'Europe/Stockholm': [60, 'eu'], 'Europe/Oslo': [60, 'eu'], 'Europe/Copenhagen': [60, 'eu'], 'Europe/Prague': [60, 'eu'], 'Europe/Warsaw': [60, 'eu'], 'Europe/Budapest': [60, 'eu'],
  'Europe/Athens': [120, 'eu'], 'Europe/Helsinki': [120, 'eu'], 'Europe/Kiev': [120, 'eu'], 'Europe/Kyiv': [120, 'eu'], 'Europe/Bucharest': [120, 'eu'], 'Europe/Istanbul': [180, ''], 'Europe/Moscow': [180, ''],
  'America/New_York': [-300, 'us'], 'America/Toronto': [-300, 'us'], 'America/Chicago': [-360, 'us'], 'America/Denver': [-420, 'us'], 'America/Phoenix': [-420, ''], 'America/Los_Angeles': [-480, 'us'], 'America/Vancouver': [-480, 'us'],
  'America/Anchorage': [-540, 'us'], 'America/Sao_Paulo': [-180, ''], 'America/Argentina/Buenos_Aires': [-180, ''], 'America/Bogota': [-300, ''], 'America/Mexico_City': [-360, ''],
  'Asia/Tokyo': [540, ''], 'Asia/Seoul': [540, ''], 'Asia/Shanghai': [480, ''], 'Asia/Hong_Kong': [480, ''], 'Asia/Singapore': [480, ''], 'Asia/Taipei': [480, ''], 'Asia/Manila': [480, ''], 'Asia/Jakarta': [420, ''],
  'Asia/Bangkok': [420, ''], 'Asia/Ho_Chi_Minh': [420, ''], 'Asia/Dhaka': [360, ''], 'Asia/Kolkata': [330, ''], 'Asia/Calcutta': [330, ''], 'Asia/Karachi': [300, ''], 'Asia/Dubai': [240, ''], 'Asia/Riyadh': [180, ''],
  'Africa/Lagos': [60, ''], 'Africa/Johannesburg': [120, ''], 'Africa/Nairobi': [180, ''], 'Australia/Brisbane': [600, ''], 'Australia/Perth': [480, ''], 'Pacific/Honolulu': [-600, ''],
};

/** What is wrong with the name of a zone; null when it is known. */
export function zoneFault(name: string): string | null {
  if (name === '') return 'timeZone must be nil or non-empty string';
  if (name.toLowerCase() === 'local') return 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
  return ZONES[name] ? null : `unknown time zone ${name}`;
}

/** Seconds to add to UTC (seconds since 1970) for the zone's clock; 0 for a zone that is unknown. */
export function offsetAt(name: string | undefined, utc: number): number {
  const [minutes, rule] = ZONES[name ?? 'UTC'] ?? [0, ''];
  return minutes * 60 + (summer(rule, utc, minutes * 60) ? 3600 : 0);
}

/** The EU changes at 01:00 UTC on the last Sundays of March and October; the US at 02:00 local on the second of March, the first of November. */
function summer(rule: string, utc: number, offset: number): boolean {
  if (rule === '') return false;
  const { year } = civilOf(utc);
  if (rule === 'eu') return utc >= sunday(year, 3, 31, -1) + 3600 && utc < sunday(year, 10, 31, -1) + 3600;
  return utc >= sunday(year, 3, 8, 1) + 7200 - offset && utc < sunday(year, 11, 1, 1) + 3600 - offset;
}

/** Midnight of the first Sunday from a day on, or backwards. */
function sunday(year: number, month: number, day: number, step: 1 | -1): number {
  let at = daysBefore(year, month, day) * 86400;
  while (civilOf(at).weekday !== 0) at += step * 86400;
  return at;
}
