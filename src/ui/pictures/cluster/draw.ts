/**
 * The map on its canvas, in device pixels. From afar it is the bitmap, enlarged by a whole number; close up each tile has its name, its
 * load, lines between its cells and glyphs in them. After a change only the tiles that it concerns are drawn again: software
 * rasters then touch a few thousand pixels instead of half a million.
 */
import { get } from '../../store.ts';
import { createFlow, type Flow } from './flow.ts';
import { CLOSE, dotOf, fits, hitAt, layOut, tileAt } from './layout.ts';
import { closeUp, isThere, type Model, nodeNumbers, search, searchAgain } from './model.ts';
import { type By, glyph, inkOf, paintAll, paintChanges, type Painting, paletteOf } from './paint.ts';

/** Device pixels a dot, and where dot 0 lies. */
export interface View { scale: number; x: number; y: number }

export interface Drawing {
  model: Model;
  painting: Painting | null;
  bitmap: HTMLCanvasElement;
  image: ImageData | null;
  view: View;
  /** Somebody zoomed or moved it: it stays so. */
  moved: boolean;
  /** All must be painted anew, or only drawn anew. */
  all: boolean;
  whole: boolean;
  asked: number;
  /** What is still to be shown, and when it was shown last, ms. */
  flow: Flow;
  shown: number;
  cursor: number;
  query: string;
  by: By;
  mesh: { canvas: HTMLCanvasElement; of: string } | null;
  font: string;
  /** What was marked as chosen. */
  marked: string;
}

export function createDrawing(model: Model): Drawing {
  return {
    model, painting: null, bitmap: document.createElement('canvas'), image: null, view: { scale: 1, x: 0, y: 0 }, moved: false, all: true, whole: true, asked: 0, flow: createFlow(), shown: 0, cursor: -1, query: '', by: 'state',
    mesh: null, font: '', marked: '',
  };
}

const LARGEST = 64;
const GLYPHS_FROM = 10;
/** With more tiles to draw than this the whole picture is as cheap. */
const MANY = 400;
/** Places for pods without a node that are kept free anyway. */
const SPARE = 2000;

export function draw(canvas: HTMLCanvasElement, drawing: Drawing): void {
  const ratio = devicePixelRatio;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (width === 0 || height === 0) return;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    drawing.whole = true;
  }
  const { model } = drawing;
  const tiles = refresh(canvas, drawing, width, height);
  const { layout } = drawing.painting!;
  if (!drawing.moved) drawing.view = { scale: layout.scale, x: Math.max(0, Math.floor((width - layout.width * layout.scale) / 2)), y: 0 };
  const context = canvas.getContext('2d', { alpha: false })!;
  context.imageSmoothingEnabled = drawing.view.scale < 1;
  const mark = markOf(drawing);
  if (tiles === null || drawing.whole || mark !== drawing.marked || tiles.size > MANY || drawing.view.scale < 1) drawWhole(context, drawing, width, height);
  else for (const tile of tiles) drawAgain(context, drawing, tile, width, height);
  if (mark !== '') drawMark(context, drawing);
  drawing.marked = mark;
  drawing.whole = false;
  model.changed.length = model.changedNodes.length = model.emptied.length = 0;
  model.closed = false;
}

/** Brings the bitmap up to date: laid out and painted anew (null), or only what changed: the tiles that it concerns. */
function refresh(canvas: HTMLCanvasElement, drawing: Drawing, width: number, height: number): Set<number> | null {
  const { model } = drawing;
  closeUp(model);
  const { painting } = drawing;
  const fitting = painting !== null && !model.grown && fits(painting.layout, model);
  // the room of pods that have found their nodes goes to the map again
  const wasted = fitting && !drawing.moved && painting.layout.bandHolds > SPARE && model.at[0]!.length * 4 < painting.layout.bandHolds;
  if (!drawing.all && fitting && !wasted) {
    if (painting.found) painting.found = searchAgain(model, drawing.query, painting.found, model.changed);
    const tiles = new Set<number>();
    paintChanges(painting, tiles);
    upload(drawing, tiles);
    return tiles;
  }
  const layout = fitting && drawing.moved ? painting.layout : layOut(model, width, height);
  model.grown = false;
  if (!drawing.image || drawing.bitmap.width !== layout.width || drawing.bitmap.height !== layout.height) {
    drawing.bitmap.width = layout.width;
    drawing.bitmap.height = layout.height;
    drawing.image = new ImageData(layout.width, layout.height);
  }
  const palette = paletteOf(canvas);
  drawing.font = getComputedStyle(canvas).fontFamily;
  drawing.painting = { model, layout, palette, by: drawing.by, found: search(model, drawing.query), dots: new Uint32Array(drawing.image.data.buffer) };
  drawing.mesh = null;
  paintAll(drawing.painting);
  drawing.bitmap.getContext('2d')!.putImageData(drawing.image, 0, 0);
  drawing.all = false;
  return null;
}

function upload({ bitmap, image, painting }: Drawing, tiles: Set<number>): void {
  const context = bitmap.getContext('2d')!;
  const { layout } = painting!;
  if (tiles.size > MANY) return context.putImageData(image!, 0, 0);
  for (const tile of tiles) {
    if (tile === 0) context.putImageData(image!, 0, 0, 0, layout.bandY, layout.width, layout.height - layout.bandY);
    else {
      const { x, y } = tileAt(layout, tile - 1);
      context.putImageData(image!, 0, 0, x, y, layout.wide, layout.high + 1);
    }
  }
}

function drawWhole(context: CanvasRenderingContext2D, drawing: Drawing, width: number, height: number): void {
  const { view, painting, bitmap } = drawing;
  const { layout, palette } = painting!;
  const s = view.scale;
  context.fillStyle = palette.panel;
  context.fillRect(0, 0, width, height);
  if (s < CLOSE) context.drawImage(bitmap, view.x, view.y, layout.width * s, layout.height * s);
  else {
    const pitchX = (layout.wide + layout.gap) * s;
    const pitchY = (layout.high + layout.head + layout.foot) * s;
    const rows = Math.ceil(layout.nodes / layout.columns);
    for (let row = Math.max(0, Math.floor(-view.y / pitchY)); row < rows && view.y + row * pitchY < height; row++) {
      for (let column = Math.max(0, Math.floor(-view.x / pitchX)); column < layout.columns && view.x + column * pitchX < width; column++) {
        const index = column + row * layout.columns;
        if (index < layout.nodes) drawTile(context, drawing, index);
      }
    }
  }
  drawBand(context, drawing);
}

/** One tile or the band, over what was there. */
function drawAgain(context: CanvasRenderingContext2D, drawing: Drawing, tile: number, width: number, height: number): void {
  const { view, painting, bitmap } = drawing;
  const { layout, palette } = painting!;
  const s = view.scale;
  const { x, y } = tile === 0 ? { x: 0, y: layout.bandY } : tileAt(layout, tile - 1);
  const [left, top] = [view.x + x * s, view.y + y * s];
  context.fillStyle = palette.panel;
  if (tile === 0) {
    if (top > height) return;
    const above = Math.min(layout.head, 2) * s;
    context.fillRect(0, top - (s < CLOSE ? 0 : above), width, height);
    drawBand(context, drawing);
    return;
  }
  if (left > width || top > height || left + (layout.wide + 1) * s < 0 || top + (layout.high + 2) * s < 0) return;
  if (s < CLOSE) context.drawImage(bitmap, x, y, layout.wide, layout.high + 1, left, top, layout.wide * s, (layout.high + 1) * s);
  else {
    context.fillRect(left - 2, top - layout.head * s, (layout.wide + layout.gap) * s, (layout.high + layout.head + layout.foot) * s + 2);
    drawTile(context, drawing, tile - 1);
  }
}

/** A tile close up. */
function drawTile(context: CanvasRenderingContext2D, drawing: Drawing, index: number): void {
  const { view, painting, model, bitmap } = drawing;
  const { layout, palette } = painting!;
  const s = view.scale;
  const ratio = devicePixelRatio;
  const tile = tileAt(layout, index);
  const [x, y, wide, high] = [view.x + tile.x * s, view.y + tile.y * s, layout.wide * s, layout.high * s];
  context.drawImage(bitmap, tile.x, tile.y, layout.wide, layout.high, x, y, wide, high);
  if (s >= GLYPHS_FROM * ratio) for (const [place, slot] of model.at[index + 1]!.entries()) if (slot >= 0) drawGlyph(context, drawing, slot, x + (place % layout.wide) * s, y + Math.floor(place / layout.wide) * s);
  context.drawImage(meshOf(drawing), x, y);
  const facts = nodeNumbers(model, index);
  if (facts.gone) return;
  if (layout.foot > 0) loads(context, drawing, facts, x, y + high, wide);
  if (!facts.ready) {
    context.strokeStyle = palette.killed;
    context.lineWidth = 1.5 * ratio;
    context.setLineDash([4 * ratio, 3 * ratio]);
    context.strokeRect(x - 1, y - 1, wide + 2, high + 2);
    context.setLineDash([]);
  } else if (facts.cordoned) {
    context.fillStyle = palette.warn;
    context.fillRect(x, y + high - 1, wide, 2 * ratio);
  }
  name(context, drawing, index, x, y - 3 * ratio, wide + (layout.gap - 0.5) * s);
}

/** A node's name, or its number where only that has room. */
function name(context: CanvasRenderingContext2D, { model, painting, view, font }: Drawing, index: number, x: number, y: number, room: number): void {
  const ratio = devicePixelRatio;
  if (painting!.layout.head * view.scale < 12 * ratio) return;
  context.font = `${12 * ratio}px ${font}`;
  context.fillStyle = painting!.palette.ink;
  context.textBaseline = 'bottom';
  const whole = model.nodes[index]!;
  const short = /\d+$/.exec(whole)?.[0] ?? '';
  if (context.measureText(whole).width <= room) context.fillText(whole, x, y);
  else if (context.measureText(short).width <= room) context.fillText(short, x, y);
}

/** Requested processor time above, memory below, of what there is. */
function loads(context: CanvasRenderingContext2D, { painting, view }: Drawing, facts: ReturnType<typeof nodeNumbers>, x: number, y: number, wide: number): void {
  const thick = Math.max(1, Math.min(3 * devicePixelRatio, Math.floor((view.scale - 2) / 2)));
  for (const [i, part] of [facts.cpuRequested / facts.cpu, facts.memoryRequested / facts.memory].entries()) {
    context.fillStyle = painting!.palette.line;
    context.fillRect(x, y + 1 + i * (thick + 1), wide, thick);
    context.fillStyle = painting!.palette.load[i]!;
    context.fillRect(x, y + 1 + i * (thick + 1), Math.round(wide * Math.min(1, part || 0)), thick);
  }
}

/** The lines between a tile's cells, made once for a scale. */
function meshOf(drawing: Drawing): HTMLCanvasElement {
  const { layout, palette } = drawing.painting!;
  const s = drawing.view.scale;
  const of = `${s} ${layout.wide} ${layout.high}`;
  if (drawing.mesh?.of === of) return drawing.mesh.canvas;
  const canvas = document.createElement('canvas');
  canvas.width = layout.wide * s;
  canvas.height = layout.high * s;
  const context = canvas.getContext('2d')!;
  const line = s >= 8 ? Math.max(1, Math.round(s / 7)) : 1;
  context.fillStyle = palette.panel;
  for (let i = 1; i <= layout.wide; i++) context.fillRect(i * s - line, 0, line, canvas.height);
  for (let i = 1; i <= layout.high; i++) context.fillRect(0, i * s - line, canvas.width, line);
  drawing.mesh = { canvas, of };
  return canvas;
}

function drawGlyph(context: CanvasRenderingContext2D, { painting, model, view }: Drawing, slot: number, x: number, y: number): void {
  const { palette, by, found } = painting!;
  if (!isThere(model, slot) || (found && found[slot] !== 1)) return;
  const ink = inkOf(model, palette, by, slot);
  context.strokeStyle = context.fillStyle = ink.on;
  context.lineWidth = Math.max(1, view.scale / 9);
  glyph(context, ink.glyph, x, y, view.scale * 0.86);
}

/** Pods that no node has yet. */
function drawBand(context: CanvasRenderingContext2D, drawing: Drawing): void {
  const { view, painting, model, bitmap, font } = drawing;
  const { layout, palette } = painting!;
  const s = view.scale;
  const y = view.y + layout.bandY * s;
  context.drawImage(bitmap, 0, layout.bandY, layout.width, layout.height - layout.bandY, view.x, y, layout.width * s, (layout.height - layout.bandY) * s);
  if (model.counts[0] === 0 || s < CLOSE) return;
  context.fillStyle = palette.panel;
  const line = s >= 8 ? Math.max(1, Math.round(s / 7)) : 1;
  for (let i = 2; i < layout.width; i++) context.fillRect(view.x + i * s - line, y, line, (layout.height - layout.bandY) * s);
  if (s >= GLYPHS_FROM * devicePixelRatio) for (const [place, slot] of model.at[0]!.entries()) if (slot >= 0) drawGlyph(context, drawing, slot, view.x + (1 + (place % (layout.width - 2))) * s, y + Math.floor(place / (layout.width - 2)) * s);
  context.font = `${12 * devicePixelRatio}px ${font}`;
  context.fillStyle = palette.ink;
  context.textBaseline = 'bottom';
  if (layout.head > 1) context.fillText('no node yet', view.x + s, y - 2);
}

/** What is chosen and where: two of these are equal when the mark need not move. */
function markOf({ painting, model, cursor, view }: Drawing): string {
  const selection = get().selection;
  if (selection?.kind === 'pod' && isThere(model, cursor)) return `pod ${dotOf(painting!.layout, model.node[cursor]!, model.place[cursor]!)} ${view.scale}`;
  if (selection?.kind === 'node' && model.nodes.includes(selection.id)) return `node ${model.nodes.indexOf(selection.id)}`;
  return '';
}

function drawMark(context: CanvasRenderingContext2D, drawing: Drawing): void {
  const { layout, palette } = drawing.painting!;
  const { view } = drawing;
  const s = view.scale;
  const ratio = devicePixelRatio;
  const [kind, at] = markOf(drawing).split(' ');
  const n = Number(at);
  if (n < 0) return;
  context.strokeStyle = palette.ink;
  context.lineWidth = 2 * ratio;
  if (kind === 'node') {
    const { x, y } = tileAt(layout, n);
    context.strokeRect(view.x + x * s - 2 * ratio, view.y + y * s - 2 * ratio, layout.wide * s + 4 * ratio, layout.high * s + 4 * ratio);
    return;
  }
  const side = Math.max(s, 7 * ratio);
  const off = (side - s) / 2 + ratio;
  context.strokeRect(view.x + (n % layout.width) * s - off, view.y + Math.floor(n / layout.width) * s - off, side + 2 * ratio, side + 2 * ratio);
}

/** By whole device pixels a dot, so that every cell has as many; `px`, `py` in CSS pixels stays where it is. */
export function zoomAt(canvas: HTMLCanvasElement, drawing: Drawing, factor: number, px = canvas.clientWidth / 2, py = canvas.clientHeight / 2): void {
  const { view } = drawing;
  const wanted = view.scale * factor;
  const whole = factor > 1 ? Math.max(Math.floor(view.scale) + 1, Math.round(wanted)) : Math.min(Math.ceil(view.scale) - 1, Math.round(wanted));
  const scale = Math.min(LARGEST * devicePixelRatio, whole < 1 ? Math.max(0.25, Math.min(wanted, 0.9)) : whole);
  const by = scale / view.scale;
  const [x, y] = [px * devicePixelRatio, py * devicePixelRatio];
  drawing.view = { scale, x: Math.round(x - (x - view.x) * by), y: Math.round(y - (y - view.y) * by) };
  drawing.moved = drawing.whole = true;
}

export function moveBy(drawing: Drawing, dx: number, dy: number): void {
  drawing.view = { ...drawing.view, x: Math.round(drawing.view.x + dx * devicePixelRatio), y: Math.round(drawing.view.y + dy * devicePixelRatio) };
  drawing.moved = drawing.whole = true;
}

/** Brings the cursor into sight. */
export function follow(canvas: HTMLCanvasElement, drawing: Drawing): void {
  const { painting, model, cursor, view } = drawing;
  const dot = dotOf(painting!.layout, model.node[cursor]!, model.place[cursor]!);
  const x = view.x + ((dot % painting!.layout.width) + 0.5) * view.scale;
  const y = view.y + (Math.floor(dot / painting!.layout.width) + 0.5) * view.scale;
  const out = (at: number, room: number): boolean => at < 20 || at > room - 20;
  if (!out(x, canvas.width) && !out(y, canvas.height)) return;
  moveBy(drawing, out(x, canvas.width) ? (canvas.width / 2 - x) / devicePixelRatio : 0, out(y, canvas.height) ? (canvas.height / 2 - y) / devicePixelRatio : 0);
}

/** What lies at a point of the canvas, in CSS pixels. */
export function pointAt({ painting, model, view }: Drawing, px: number, py: number): { node: number; slot: number } {
  return painting ? hitAt(painting.layout, model, (px * devicePixelRatio - view.x) / view.scale, (py * devicePixelRatio - view.y) / view.scale) : { node: -1, slot: -1 };
}
