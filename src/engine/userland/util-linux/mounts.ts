/** Mounts as /proc/PID/mountinfo lists them. Source: proc_pid_mountinfo(5). */
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

export interface MountRow {
  id: number;
  parent: number;
  dev: string;
  root: string;
  target: string;
  /** Options of the mount. */
  options: string;
  /** "shared:1", "master:2", "unbindable". */
  propagation: string[];
  type: string;
  source: string;
  /** Options of the file system. */
  superOptions: string;
}

const unescaped = (s: string): string => s.replace(/\\(\d{3})/g, (_, o: string) => String.fromCharCode(Number.parseInt(o, 8)));

export function* readMounts(file = '/proc/self/mountinfo'): Call<MountRow[]> {
  return parseMounts((yield* tryRead(file)) ?? '');
}

export function parseMounts(source: string): MountRow[] {
  return source.split('\n').filter(Boolean).map((line) => {
    const f = line.split(' ');
    const dash = f.indexOf('-');
    return {
      id: Number(f[0]), parent: Number(f[1]), dev: f[2]!, root: unescaped(f[3]!), target: unescaped(f[4]!), options: f[5]!, propagation: f.slice(6, dash),
      type: f[dash + 1]!, source: unescaped(f[dash + 2] ?? ''), superOptions: unescaped(f[dash + 3] ?? ''),
    };
  });
}

/** What mount(8) and findmnt(8) show: both kinds of options as one list, "ro" when either says so. */
export function allOptions(row: MountRow): string {
  const seen = new Set<string>();
  const list = [...row.options.split(','), ...row.superOptions.split(',')].filter((o) => o !== '' && !seen.has(o) && seen.add(o));
  const readOnly = list.includes('ro');
  return [readOnly ? 'ro' : 'rw', ...list.filter((o) => o !== 'ro' && o !== 'rw')].join(',');
}

/** Does a list of types, as -t takes it, name this one? After "no" it names all others. */
export function isOfType(type: string, list: string): boolean {
  const not = list.startsWith('no');
  const names = (not ? list.slice(2) : list).split(',').map((name) => (not ? name.replace(/^no/, '') : name));
  return names.includes(type) !== not;
}

/** Does every option of a list, as -O takes it, hold? One that begins with "no" holds where the rest is not an option; "+" takes it as it is. */
export function hasOptions(row: MountRow, list: string): boolean {
  const own = allOptions(row).split(',');
  return list.split(',').every((one) => (one.startsWith('+') ? own.includes(one.slice(1)) : one.startsWith('no') ? !own.includes(one.slice(2)) : own.includes(one)));
}

/** The topmost mount at this path. */
export function mountAt(rows: readonly MountRow[], path: string): MountRow | null {
  return rows.findLast((r) => r.target === path) ?? null;
}

/** The mount that holds this absolute path. */
export function mountOver(rows: readonly MountRow[], path: string): MountRow | null {
  let best: MountRow | null = null;
  for (const row of rows) {
    const inside = row.target === '/' || path === row.target || path.startsWith(`${row.target}/`);
    if (inside && (!best || row.target.length >= best.target.length)) best = row;
  }
  return best;
}
