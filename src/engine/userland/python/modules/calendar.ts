/** Calendar fields of a time, and strftime in the C locale. UTC is the lab's zone. */
const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

/** Year, month, day, hour, minute, second, weekday from Monday 0, day of the year, 0. */
export function civil(seconds: number): number[] {
  const total = Math.floor(seconds);
  const days = Math.floor(total / 86400);
  const rest = total - days * 86400;
  // Days from 0000-03-01, in eras of 400 years.
  const z = days + 719468;
  const era = Math.floor(z / 146097);
  const doe = z - era * 146097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36524) - Math.floor(doe / 146096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const day = doy - Math.floor((153 * mp + 2) / 5) + 1;
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const yday = ((doy + 59 + (leap ? 1 : 0)) % (leap ? 366 : 365)) + 1;
  return [year, month, day, Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60, (((days + 3) % 7) + 7) % 7, yday, 0];
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
