/** systemctl list-units, list-timers, list-dependencies and their like. Source: systemctl(1). */
import { sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { globOf } from '../coreutils/ls.ts';
import type { Call } from '../lib/http.ts';
import { print } from '../lib/io.ts';
import { ask, type UnitRow } from './control.ts';
import { groups } from './groups.ts';
import { relative } from './span.ts';
import { readUnit } from './units.ts';

/** A shell pattern; a bare name is a service's. */
export const matches = (pattern: string, name: string): boolean => globOf(/[*?[.]/.test(pattern) ? pattern : `${pattern}.service`).test(name);

export function* listUnits(on: ReadonlyMap<string, number>, patterns: readonly string[], type: string | undefined, state: string | undefined): Call<number> {
  const rows = [...(yield* ask({ verb: 'list', units: [] })).units, ...(yield* groups())]
    .filter((u) => (type === undefined || type.split(',').some((one) => u.name.endsWith(`.${one}`))) && (patterns.length === 0 || patterns.some((one) => matches(one, u.name))) && (on.has('failed') ? u.active === 'failed' : state ? state.split(',').some((one) => u.active === one || u.sub === one || u.load === one) : on.has('all') || u.active !== 'inactive'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const wide = (pick: (u: UnitRow) => string, head: string): number => Math.max(head.length, ...rows.map((u) => pick(u).length));
  const [n, l, a, s] = [wide((u) => u.name, 'UNIT'), wide((u) => u.load, 'LOAD'), wide((u) => u.active, 'ACTIVE'), wide((u) => u.sub, 'SUB')];
  const line = (mark: string, name: string, load: string, active: string, sub: string, description: string): string => `${on.has('plain') ? '' : `${mark} `}${name.padEnd(n)} ${load.padEnd(l)} ${active.padEnd(a)} ${sub.padEnd(s)} ${description}\n`;
  let out = on.has('no-legend') ? '' : `${line(' ', 'UNIT', 'LOAD', 'ACTIVE', 'SUB', 'DESCRIPTION')}`;
  for (const u of rows) out += line(u.active === 'failed' ? '●' : ' ', u.name, u.load, u.active, u.sub, u.description);
  if (!on.has('no-legend')) {
    out += rows.length > 0 ? '\nLegend: LOAD   → Reflects whether the unit definition was properly loaded.\n        ACTIVE → The high-level unit activation state, i.e. generalization of SUB.\n        SUB    → The low-level unit activation state, values depend on unit type.\n\n' : '\n';
    const every = on.has('all') || (state?.split(',').includes('inactive') ?? false);
    const states = state !== undefined || on.has('failed');
    out += `${rows.length} loaded units listed.${every || states ? '' : ' Pass --all to see loaded but inactive units, too.'}\n${states && !every ? '' : "To show all installed unit files use 'systemctl list-unit-files'.\n"}`;
  }
  yield* print(out);
  return 0;
}


const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const wide = head.map((one, i) => Math.max(one.length, ...rows.map((row) => row[i]!.length)));
  return [head, ...rows].map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(wide[i]!))).join(' ').trimEnd()}\n`).join('');
};

const stamp = (ns: number): string => (ns === 0 ? '-' : strftime('%a %Y-%m-%d %H:%M:%S UTC', ns / 1e9));

export function* listTimers(on: ReadonlyMap<string, number>, patterns: readonly string[]): Call<number> {
  const now = yield* sys('clock_gettime', 'realtime');
  const timers = (yield* ask({ verb: 'list', units: [] })).units.filter((u) => u.triggers !== '' && (on.has('all') || u.active === 'active') && (patterns.length === 0 || patterns.some((one) => matches(one, u.name))));
  timers.sort((a, b) => (a.next || Number.POSITIVE_INFINITY) - (b.next || Number.POSITIVE_INFINITY) || (a.name < b.name ? -1 : 1));
  const rows = timers.map((u) => [stamp(u.next), u.next === 0 ? '-' : relative(now - u.next).replace(/ (left|ago)$/, ''), stamp(u.lastTrigger), u.lastTrigger === 0 ? '-' : relative(now - u.lastTrigger), u.name, u.triggers]);
  const legend = on.has('no-legend') ? '' : `${rows.length > 0 ? '\n' : ''}${rows.length} timers listed.\n${on.has('all') ? '' : 'Pass --all to see loaded but inactive timers, too.\n'}`;
  yield* print((rows.length === 0 ? '' : on.has('no-legend') ? table(rows[0]!, rows.slice(1)) : table(['NEXT', 'LEFT', 'LAST', 'PASSED', 'UNIT', 'ACTIVATES'], rows)) + legend);
  return 0;
}

export function* listSockets(): Call<number> {
  yield* print('0 sockets listed.\nPass --all to see loaded but inactive sockets, too.\n');
  return 0;
}

const DOTS: Readonly<Record<string, string>> = { failed: '×', inactive: '○' };

export function* listDependencies(units: readonly string[], on: ReadonlyMap<string, number>): Call<number> {
  const rows = [...(yield* ask({ verb: 'list', units: [] })).units, ...(yield* groups())];
  const dot = (name: string): string => DOTS[rows.find((u) => u.name === name)?.active ?? 'inactive'] ?? '●';
  function* below(name: string, indent: string, above: readonly string[]): Call<string> {
    const unit = yield* readUnit(name);
    const names = unit === null ? [] : [...new Set([...unit.requires, ...unit.wants, ...(unit.name.endsWith('.service') ? [unit.slice] : [])])].sort();
    let out = '';
    for (const [i, one] of names.entries()) {
      const last = i === names.length - 1;
      out += `${on.has('plain') ? '' : `${dot(one)} `}${indent}${on.has('plain') ? '  ' : last ? '└─' : '├─'}${one}\n`;
      if (!above.includes(one) && (one.endsWith('.target') || on.has('all'))) out += yield* below(one, `${indent}${on.has('plain') || last ? '  ' : '│ '}`, [...above, one]);
    }
    return out;
  }
  for (const [i, name] of units.entries()) yield* print(`${i > 0 ? '\n' : ''}${name}\n${yield* below(name, '', [name])}`);
  return 0;
}
