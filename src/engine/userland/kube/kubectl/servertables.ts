/** Tables that the server makes (of kinds that only it knows): the objects in them, and the cells beside each. Source: cli-runtime TableGenerator 1.32. */
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import type { Columns } from './columns.ts';

export const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

/** What the server put into an object's row, and under which heads. */
const cells = new WeakMap<KubeObject, { cells: Json[]; heads: Json[] }>();

/** The objects of a Table; other bodies as they are. */
export function objectsOf(body: Json): KubeObject[] {
  return (body.rows ?? []).map((row: Json) => {
    cells.set(row.object, { cells: row.cells, heads: body.columnDefinitions });
    return row.object;
  });
}

/** A Table of one object, opened. */
export const opened = (body: Json): Json => (body?.kind === 'Table' ? (objectsOf(body)[0] ?? body) : body);

const text = (cell: Json): string => (cell === null || cell === undefined ? '' : typeof cell === 'object' ? JSON.stringify(cell) : String(cell));

/** The columns of objects that came in Tables; those of priority 0 first, which is how they stand unless the definition mixes them. */
export function serverColumns(items: readonly KubeObject[]): Columns | undefined {
  const heads = items.map((o) => cells.get(o)?.heads).find((h) => h !== undefined);
  if (!heads) return undefined;
  const order = [...heads.keys()].sort((a, b) => Number(heads[a]!.priority > 0) - Number(heads[b]!.priority > 0) || a - b);
  return {
    headers: order.map((i) => String(heads[i]!.name).toUpperCase()), narrow: heads.filter((h) => !(h.priority > 0)).length,
    row: (object) => order.map((i) => text(cells.get(object)?.cells[i])),
  };
}
