/**
 * Where each node's tile and each pod's cell lies, in cells: tiles of equal size in rows that fill the given shape, pods without a
 * node in a band below. One cell is one dot of a bitmap; the picture is that bitmap, enlarged.
 */
import type { Model } from './model.ts';

export interface Layout {
  /** Cells of a tile, without its border. */
  wide: number;
  high: number;
  columns: number;
  nodes: number;
  width: number;
  height: number;
  /** First line of the band of pods without a node, and how many it holds. */
  bandY: number;
  bandHolds: number;
}

/** A tile's border, and the gap to the next one: its name stands there when there is room. */
const EDGE = 1;
const GAP = 1;
const HEAD = 2;

/** `shape`: width over height of the room there is. */
export function layOut(model: Model, shape: number): Layout {
  let most = 4;
  for (let i = 1; i < model.at.length; i++) most = Math.max(most, model.at[i]!.length);
  const wide = Math.ceil(Math.sqrt(most * 1.2));
  const high = Math.ceil(most / wide);
  const nodes = model.nodes.length;
  const pitchX = wide + 2 * EDGE + GAP;
  const pitchY = high + 2 * EDGE + HEAD;
  const waiting = model.at[0]!.length;
  const withColumns = (columns: number): Layout => {
    const width = Math.max(columns * pitchX + GAP, 12);
    const bandY = Math.ceil(nodes / columns) * pitchY + HEAD + 1;
    const lines = waiting === 0 ? 0 : Math.max(2, Math.ceil((waiting * 1.2) / (width - 2)));
    return { wide, high, columns, nodes, width, height: bandY + lines + 1, bandY, bandHolds: lines * (width - 2) };
  };
  // the columns with which the cells come out largest
  const even = Math.sqrt((nodes * pitchY * shape) / pitchX);
  let best = withColumns(1);
  for (const f of [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3]) {
    const one = withColumns(Math.max(1, Math.min(Math.max(1, nodes), Math.round(even * f))));
    if (Math.min(shape / one.width, 1 / one.height) > Math.min(shape / best.width, 1 / best.height)) best = one;
  }
  return best;
}

/** Whether every pod still has a cell. */
export function fits(layout: Layout, model: Model): boolean {
  if (layout.nodes !== model.nodes.length || model.at[0]!.length > layout.bandHolds) return false;
  const room = layout.wide * layout.high;
  for (const slot of model.changed) if (model.node[slot]! > 0 && model.place[slot]! >= room) return false;
  return true;
}

/** Left upper corner of a node's tile, border included. */
export function tileAt(layout: Layout, index: number): { x: number; y: number } {
  return { x: GAP + (index % layout.columns) * (layout.wide + 2 * EDGE + GAP), y: HEAD + Math.floor(index / layout.columns) * (layout.high + 2 * EDGE + HEAD) };
}

/** The dot of a place on a node (0: none), as x + y * width; -1 when it has none. */
export function dotOf(layout: Layout, node: number, place: number): number {
  if (node === 0) return place < layout.bandHolds ? 1 + (place % (layout.width - 2)) + (layout.bandY + Math.floor(place / (layout.width - 2))) * layout.width : -1;
  if (place >= layout.wide * layout.high) return -1;
  const { x, y } = tileAt(layout, node - 1);
  return x + EDGE + (place % layout.wide) + (y + EDGE + Math.floor(place / layout.wide)) * layout.width;
}

export interface Hit { node: number; slot: number }

/** What lies at a cell: a node's index + 1 (0: the band; -1: nothing) and the slot there, or -1. */
export function hitAt(layout: Layout, model: Model, cx: number, cy: number): Hit {
  const x = Math.floor(cx);
  const y = Math.floor(cy);
  if (x < 0 || y < 0 || x >= layout.width || y >= layout.height) return { node: -1, slot: -1 };
  if (y >= layout.bandY) {
    const place = x - 1 + (y - layout.bandY) * (layout.width - 2);
    return x < 1 || x > layout.width - 2 ? { node: -1, slot: -1 } : { node: 0, slot: model.at[0]![place] ?? -1 };
  }
  const pitchX = layout.wide + 2 * EDGE + GAP;
  const pitchY = layout.high + 2 * EDGE + HEAD;
  const column = Math.floor((x - GAP) / pitchX);
  const index = Math.floor(y / pitchY) * layout.columns + column;
  if (column < 0 || column >= layout.columns || index >= layout.nodes) return { node: -1, slot: -1 };
  const tile = tileAt(layout, index);
  const px = x - tile.x - EDGE;
  const py = y - tile.y - EDGE;
  if (px < 0 || py < 0 || px >= layout.wide || py >= layout.high) return { node: index + 1, slot: -1 };
  return { node: index + 1, slot: model.at[index + 1]![px + py * layout.wide] ?? -1 };
}
