/**
 * Where each node's tile and each pod's cell lies, in cells: tiles of equal size in rows that fill the given room, pods without a
 * node in a band below. One cell is one dot of a bitmap, drawn with a whole number of device pixels wherever the room allows.
 */
import type { Model } from './model.ts';

export interface Layout {
  /** Cells of a tile. */
  wide: number;
  high: number;
  /** Dots between two tiles; above one, where its name stands; below one, where its load stands. */
  gap: number;
  head: number;
  foot: number;
  columns: number;
  nodes: number;
  width: number;
  height: number;
  /** First line of the band of pods without a node, and how many it holds. */
  bandY: number;
  bandHolds: number;
  /** Device pixels a dot at which all of it is seen. */
  scale: number;
}

/** From so many device pixels a cell on, tiles have names, loads and lines between their cells. */
export const CLOSE = 4;
const LARGEST = 44;
/** Tiles hold so many cells, so that the map stands still while pods come. */
const HOLDS = [4, 8, 12, 16, 20, 24, 30, 36, 42, 49, 56, 64, 72, 90, 110];

interface Spacing { gap: number; head: number; foot: number }
const ROOMY: Spacing = { gap: 1, head: 2, foot: 1 };
const TIGHT: Spacing = { gap: 1, head: 1, foot: 0 };

/** `width` and `height` of the room, in device pixels. */
export function layOut(model: Model, width: number, height: number): Layout {
  const roomy = arrange(model, ROOMY, width, height);
  if (roomy.scale >= CLOSE) return roomy;
  const tight = arrange(model, TIGHT, width, height);
  // what room is left goes between the tiles
  for (const gap of [4, 3, 2]) {
    const one = arrange(model, { gap, head: gap, foot: 0 }, width, height);
    if (one.scale === tight.scale) return one;
  }
  return tight;
}

function arrange(model: Model, { gap, head, foot }: Spacing, roomX: number, roomY: number): Layout {
  let most = 4;
  for (let i = 1; i < model.at.length; i++) most = Math.max(most, model.at[i]!.length);
  const holds = HOLDS.find((n) => n >= most) ?? most;
  const wide = Math.ceil(Math.sqrt(holds));
  const high = Math.ceil(holds / wide);
  const nodes = model.nodes.length;
  const [pitchX, pitchY] = [wide + gap, high + head + foot];
  const waiting = model.at[0]!.length;
  const withColumns = (columns: number): Layout => {
    const width = Math.max(columns * pitchX + gap, 12);
    const bandY = Math.ceil(nodes / columns) * pitchY + head + 1;
    const lines = Math.max(1, Math.ceil((waiting * 1.5) / (width - 2)));
    const height = bandY + lines + 1;
    const all = Math.min(roomX / width, roomY / height, LARGEST);
    return { wide, high, gap, head, foot, columns, nodes, width, height, bandY, bandHolds: lines * (width - 2), scale: all >= 1 ? Math.floor(all) : all };
  };
  // the columns with which the cells come out largest
  const even = Math.sqrt((nodes * pitchY * roomX) / (roomY * pitchX));
  let best = withColumns(1);
  let bestSize = 0;
  for (const f of [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3]) {
    const one = withColumns(Math.max(1, Math.min(Math.max(1, nodes), Math.round(even * f))));
    const size = one.scale + Math.min(roomX / one.width, roomY / one.height) / 1000;
    if (size > bestSize) [best, bestSize] = [one, size];
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

/** Left upper corner of a node's cells. */
export function tileAt(layout: Layout, index: number): { x: number; y: number } {
  return { x: layout.gap + (index % layout.columns) * (layout.wide + layout.gap), y: layout.head + Math.floor(index / layout.columns) * (layout.high + layout.head + layout.foot) };
}

/** The dot of a place on a node (0: none), as x + y * width; -1 when it has none. */
export function dotOf(layout: Layout, node: number, place: number): number {
  if (node === 0) return place < layout.bandHolds ? 1 + (place % (layout.width - 2)) + (layout.bandY + Math.floor(place / (layout.width - 2))) * layout.width : -1;
  if (place >= layout.wide * layout.high) return -1;
  const { x, y } = tileAt(layout, node - 1);
  return x + (place % layout.wide) + (y + Math.floor(place / layout.wide)) * layout.width;
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
  const column = Math.floor((x - layout.gap) / (layout.wide + layout.gap));
  const index = Math.floor(y / (layout.high + layout.head + layout.foot)) * layout.columns + column;
  if (column < 0 || column >= layout.columns || index >= layout.nodes) return { node: -1, slot: -1 };
  const tile = tileAt(layout, index);
  const [px, py] = [x - tile.x, y - tile.y];
  if (px < 0 || px >= layout.wide) return { node: -1, slot: -1 };
  if (py < 0 || py >= layout.high) return { node: index + 1, slot: -1 };
  return { node: index + 1, slot: model.at[index + 1]![px + py * layout.wide] ?? -1 };
}
