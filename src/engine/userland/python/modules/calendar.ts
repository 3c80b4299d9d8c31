/** Calendar fields of a time, and strftime in the C locale. UTC is the lab's zone. */
import { civilOf } from '../../../sim/calendar.ts';

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

/** Year, month, day, hour, minute, second, weekday from Monday 0, day of the year, 0. */
export function civil(seconds: number): number[] {
  const { year, month, day, hour, minute, second, weekday, yearday } = civilOf(seconds);
  return [year, month, day, hour, minute, second, (weekday + 6) % 7, yearday + 1, 0];
}

const two = (n: number): string => String(n).padStart(2, '0');

export function strftime(format: string, f: readonly number[]): string {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0, weekday = 0, yday = 1] = f;
  const table: Record<string, string> = {
    Y: String(year), m: two(month), d: two(day), H: two(hour), M: two(minute), S: two(second), a: DAYS[weekday]!.slice(0, 3), A: DAYS[weekday]!, b: MONTHS[month - 1]!.slice(0, 3), B: MONTHS[month - 1]!, j: String(yday).padStart(3, '0'),
    y: two(year % 100), e: String(day).padStart(2), I: two(((hour + 11) % 12) + 1), p: hour < 12 ? 'AM' : 'PM', Z: 'UTC', z: '+0000', '%': '%', w: String((weekday + 1) % 7), u: String(weekday + 1), n: '\n', t: '\t',
  };
  const all: Record<string, string> = {
    ...table, F: `${table.Y}-${table.m}-${table.d}`, T: `${table.H}:${table.M}:${table.S}`, R: `${table.H}:${table.M}`, D: `${table.m}/${table.d}/${table.y}`, x: `${table.m}/${table.d}/${table.y}`, X: `${table.H}:${table.M}:${table.S}`,
    c: `${table.a} ${table.b} ${table.e} ${table.H}:${table.M}:${table.S} ${table.Y}`,
  };
  return format.replace(/%(.)/gs, (whole, c: string) => all[c] ?? whole);
}
