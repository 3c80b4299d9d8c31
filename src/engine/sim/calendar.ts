/** Days and seconds since 1970 to Gregorian dates and back, counting years from March (Howard Hinnant, chrono-compatible low-level date algorithms). */

export interface Civil {
  year: number;
  /** 1 to 12. */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  nanosecond: number;
  /** 0 is Sunday. */
  weekday: number;
  /** 0 is January 1st. */
  yearday: number;
}

/** Days from 1970-01-01 to a date; month 1 to 12. */
export function daysBefore(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719468;
}

/** Seconds since 1970, fractions allowed, to a calendar date. */
export function civilOf(seconds: number): Civil {
  const total = Math.floor(seconds);
  const days = Math.floor(total / 86400);
  const rest = total - days * 86400;
  const z = days + 719468;
  const era = Math.floor(z / 146097);
  const doe = z - era * 146097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36524) - Math.floor(doe / 146096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return {
    year, month, day: doy - Math.floor((153 * mp + 2) / 5) + 1, hour: Math.floor(rest / 3600), minute: Math.floor(rest / 60) % 60, second: rest % 60,
    nanosecond: Math.round((seconds - total) * 1e9) % 1e9, weekday: (((days + 4) % 7) + 7) % 7, yearday: days - daysBefore(year, 1, 1),
  };
}
