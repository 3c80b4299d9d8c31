/** The table of -c: time in the kernel, calls and errors by system call. Source: strace 6.13, count.c. */
export interface Count {
  calls: number;
  errors: number;
  /** ns. */
  time: number;
}

const SORTS: Readonly<Record<string, (a: [string, Count], b: [string, Count]) => number>> = {
  time: ([, a], [, b]) => b.time - a.time, 'time-total': ([, a], [, b]) => b.time - a.time, 'total-time': ([, a], [, b]) => b.time - a.time, 'total_time': ([, a], [, b]) => b.time - a.time,
  calls: ([, a], [, b]) => b.calls - a.calls, count: ([, a], [, b]) => b.calls - a.calls, errors: ([, a], [, b]) => b.errors - a.errors, error: ([, a], [, b]) => b.errors - a.errors,
  name: ([a], [b]) => (a < b ? -1 : 1), 'syscall-name': ([a], [b]) => (a < b ? -1 : 1), syscall: ([a], [b]) => (a < b ? -1 : 1),
  'avg-time': ([, a], [, b]) => b.time / b.calls - a.time / a.calls, 'time-avg': ([, a], [, b]) => b.time / b.calls - a.time / a.calls, none: () => 0, nothing: () => 0,
};

export const isSort = (name: string): boolean => Object.hasOwn(SORTS, name);

const row = (percent: string, seconds: string, each: string, calls: string, errors: string, name: string): string =>
  `${percent.padStart(6)} ${seconds.padStart(11)} ${each.padStart(11)} ${calls.padStart(9)} ${errors.padStart(9)} ${name}\n`;

export function summaryText(counts: ReadonlyMap<string, Count>, sort: string): string {
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).sort(SORTS[sort] ?? SORTS.time);
  const all = rows.reduce((sum, [, one]) => ({ calls: sum.calls + one.calls, errors: sum.errors + one.errors, time: sum.time + one.time }), { calls: 0, errors: 0, time: 0 });
  const line = (name: string, one: Count): string =>
    row((all.time === 0 ? (name === 'total' ? 100 : 0) : (100 * one.time) / all.time).toFixed(2), (one.time / 1e9).toFixed(6), String(one.calls === 0 ? 0 : Math.floor(one.time / one.calls / 1000)), String(one.calls), one.errors > 0 ? String(one.errors) : '', name);
  const rule = row('------', '-----------', '-----------', '---------', '---------', '----------------');
  return row('% time', 'seconds', 'usecs/call', 'calls', 'errors', 'syscall') + rule + rows.map(([name, one]) => line(name, one)).join('') + rule + line('total', all);
}
