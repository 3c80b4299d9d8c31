/**
 * From the rows that were sent and the rows that are, the patch between: changed and new rows whole, keys that are gone,
 * and the order when it changed. Rows are flat; two rows are equal when every cell is.
 */
import type { Patch, Row } from '../../bridge/protocol.ts';

export interface Sent {
  rows: Map<string, Row>;
  order: string[];
}

export function nothingSent(): Sent {
  return { rows: new Map(), order: [] };
}

/** The patch from `sent` to `rows`, null when nothing changed; `sent` is brought up to date. */
export function diff(sub: number, sent: Sent, rows: readonly Row[]): Patch | null {
  const set: Row[] = [];
  let reordered = rows.length !== sent.order.length;
  const before = sent.rows;
  const now = new Map<string, Row>();
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (now.has(row.key)) throw new Error(`two rows with the key ${row.key}`);
    now.set(row.key, row);
    const old = before.get(row.key);
    if (!old || !same(old, row)) set.push(row);
    if (sent.order[i] !== row.key) reordered = true;
  }
  const gone: string[] = [];
  for (const key of before.keys()) if (!now.has(key)) gone.push(key);
  if (set.length === 0 && gone.length === 0 && !reordered) return null;
  sent.rows = now;
  if (!reordered) return { sub, set, gone };
  sent.order = rows.map((row) => row.key);
  return { sub, set, gone, order: sent.order };
}

/** The receiving end: rows in order after a patch. */
export function patched(sent: Sent, patch: Patch): Row[] {
  for (const row of patch.set) sent.rows.set(row.key, row);
  for (const key of patch.gone) sent.rows.delete(key);
  if (patch.order) sent.order = patch.order;
  return sent.order.map((key) => sent.rows.get(key)!);
}

function same(a: Row, b: Row): boolean {
  for (const name in b) if (!Object.is(a[name], b[name])) return false;
  for (const name in a) if (!(name in b)) return false;
  return true;
}
