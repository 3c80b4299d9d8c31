/**
 * Questions about rows: what a lab's check is. `where` maps columns to what they must be; `count` says how many rows must
 * match (at least one, when nothing is said). Conditions:
 *
 *   value            equal; sizes may be written with units ("64Mi", "1GiB") against a number or its decimal text
 *   {min, max}       numeric bounds, inclusive
 *   {not: value}     anything else
 *   {in: [values]}   one of them
 *   {match: "text"}  contains the text; "^text" starts with it, "text$" ends with it
 */
import type { Cell, Query, Row } from '../../bridge/protocol.ts';

export interface Answer {
  ok: boolean;
  /** The live value the question looked at, in a few words. */
  seen: string;
}

type Condition = Cell | { min?: Cell; max?: Cell; not?: Cell; in?: Cell[]; match?: string };

export function answer(query: Query, rows: readonly Row[]): Answer {
  const where = (query.where ?? {}) as Record<string, Condition>;
  const fields = Object.entries(where);
  const matching = rows.filter((row) => fields.every(([name, want]) => holds(row[name] ?? null, want)));
  const ok = query.count === undefined ? matching.length > 0 : holds(matching.length, query.count as Condition);
  return { ok, seen: seen(query, fields, rows, matching) };
}

/** Does a cell meet a condition? */
export function holds(cell: Cell, want: Condition): boolean {
  if (want === null || typeof want !== 'object') return equal(cell, want);
  if (want.min !== undefined && !(number(cell) >= number(want.min))) return false;
  if (want.max !== undefined && !(number(cell) <= number(want.max))) return false;
  if (want.not !== undefined && equal(cell, want.not)) return false;
  if (want.in !== undefined && !want.in.some((one) => equal(cell, one))) return false;
  if (want.match !== undefined && !contains(String(cell ?? ''), want.match)) return false;
  return true;
}

/** Words a condition may use; anything else in a lab file is a mistake. */
export const CONDITION_WORDS = ['min', 'max', 'not', 'in', 'match'];

function contains(text: string, pattern: string): boolean {
  const starts = pattern.startsWith('^');
  const ends = pattern.endsWith('$');
  const inner = pattern.slice(starts ? 1 : 0, ends ? -1 : undefined);
  if (starts && ends) return text === inner;
  if (starts) return text.startsWith(inner);
  return ends ? text.endsWith(inner) : text.includes(inner);
}

function equal(cell: Cell, want: Cell): boolean {
  if (cell === want) return true;
  if (cell === null || want === null || typeof cell === 'boolean' || typeof want === 'boolean') return false;
  const a = number(cell);
  const b = number(want);
  return !Number.isNaN(a) && a === b;
}

const UNITS: Record<string, number> = {
  '': 1, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30,
};

/** A number, or text that says one: "64Mi", "0x40", "max" (infinite). NaN for anything else. */
function number(cell: Cell): number {
  if (typeof cell === 'number') return cell;
  if (typeof cell !== 'string' || cell === '') return Number.NaN;
  if (cell === 'max') return Number.POSITIVE_INFINITY;
  const match = /^(-?\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(cell);
  if (match) return Number(match[1]) * (UNITS[match[2]!] ?? Number.NaN);
  return /^0x[0-9a-f]+$/i.test(cell) ? Number(cell) : Number.NaN;
}

function seen(query: Query, fields: [string, Condition][], rows: readonly Row[], matching: readonly Row[]): string {
  if (query.count !== undefined) return `${matching.length} ${query.view}`;
  if (rows.length === 0) return `no ${query.view} yet`;
  const best = matching[0] ?? nearest(fields, rows);
  return fields.length === 0
    ? `${rows.length} ${query.view}`
    : fields.map(([name]) => `${name} ${best[name] === null || best[name] === '' ? 'none' : String(best[name])}`).join(', ');
}

/** The row that meets most of the conditions: the one worth showing while the check is not true yet. */
function nearest(fields: [string, Condition][], rows: readonly Row[]): Row {
  let best = rows[0]!;
  let most = -1;
  for (const row of rows) {
    const met = fields.filter(([name, want]) => holds(row[name] ?? null, want)).length;
    if (met > most) {
      most = met;
      best = row;
    }
  }
  return best;
}
