/**
 * Colours and glyphs of cells, and the bitmap of one dot a cell. A colour is never alone: with enough room each cell bears the glyph that the
 * legend shows beside the same colour. Eight hues by eight glyphs tell 64 namespaces, nodes or owners apart; then they repeat.
 */
import { dotOf, type Layout, tileAt } from './layout.ts';
import { type Model, nodeNumbers, QOS_NAMES, STATE_NAMES } from './model.ts';

export const BY = [['state', 'State'], ['node', 'Node'], ['namespace', 'Namespace'], ['qos', 'QoS'], ['owner', 'Owner']] as const;
export type By = (typeof BY)[number][0];
export type Glyph = 'plain' | 'ring' | 'half' | 'dot' | 'check' | 'cross' | 'slash' | 'bar' | 'corner';
export interface Ink { css: string; dot: number; glyph: Glyph; on: string }

const STATE_INKS: readonly [string, Glyph][] = [['--ink-3', 'ring'], ['--container-edge', 'half'], ['--container', 'plain'], ['--warn', 'dot'], ['--ok', 'check'], ['--killed', 'cross'], ['--hardware', 'slash']];
const QOS_INKS: readonly [string, Glyph][] = [['--hypervisor', 'dot'], ['--guest-user', 'bar'], ['--guest-kernel', 'plain']];
const HUES = ['--container', '--guest-kernel', '--host-kernel', '--hypervisor', '--ok', '--trap', '--guest-user', '--warn'];
const GLYPHS: readonly Glyph[] = ['plain', 'dot', 'bar', 'slash', 'half', 'corner', 'ring', 'cross'];

export interface Palette {
  panel: string;
  line: string;
  killed: string;
  warn: string;
  load: [string, string];
  ground: number;
  bad: number;
  cordoned: number;
  tint: number;
  ink: string;
  state: Ink[];
  qos: Ink[];
  many: Ink[];
}

/** The theme's colours, as the bitmap needs them. */
export function paletteOf(element: HTMLElement): Palette {
  const style = getComputedStyle(element);
  const css = (name: string): string => style.getPropertyValue(name).trim();
  const ink = ([name, glyph]: readonly [string, Glyph]): Ink => ({ css: css(name), dot: packed(css(name)), glyph, on: contrast(css(name)) });
  const many: Ink[] = [];
  for (const glyph of GLYPHS) for (const hue of HUES) many.push(ink([hue, glyph]));
  return {
    panel: css('--panel'), line: css('--line'), killed: css('--killed'), warn: css('--warn'), load: [css('--ink-2'), css('--ink-3')], ground: packed(css('--panel')), bad: packed(css('--killed')), cordoned: packed(css('--warn')), tint: packed(css('--line')), ink: css('--ink-2'),
    state: STATE_INKS.map(ink), qos: QOS_INKS.map(ink), many,
  };
}

function channels(hex: string): [number, number, number] {
  const digits = hex.replace('#', '');
  const full = digits.length === 3 ? [...digits].map((d) => d + d).join('') : digits;
  return [0, 2, 4].map((i) => Number.parseInt(full.slice(i, i + 2), 16) || 0) as [number, number, number];
}
/** As a little-endian canvas has it: alpha, blue, green, red. */
function packed(hex: string): number {
  const [r, g, b] = channels(hex);
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}
function contrast(hex: string): string {
  const [r, g, b] = channels(hex);
  return r * 0.299 + g * 0.587 + b * 0.114 > 140 ? '#101215' : '#ffffff';
}

export function inkOf(model: Model, palette: Palette, by: By, slot: number): Ink {
  if (by === 'state') return palette.state[model.state[slot]!]!;
  if (by === 'qos') return palette.qos[model.qos[slot]!]!;
  const n = by === 'node' ? model.node[slot]! : by === 'namespace' ? model.namespace[slot]! : model.owner[slot]!;
  return palette.many[n % palette.many.length]!;
}

/** A colour with `parts` times as much of the ground in it. */
function mixed(dot: number, ground: number, parts = 1): number {
  const mix = (shift: number): number => Math.floor((((dot >>> shift) & 255) + ((ground >>> shift) & 255) * parts) / (1 + parts)) << shift;
  return ((255 << 24) | mix(16) | mix(8) | mix(0)) >>> 0;
}
/** What was not searched for. */
const faded = (dot: number, ground: number): number => mixed(dot, ground, 3);

export interface Painting { model: Model; layout: Layout; palette: Palette; by: By; found: Uint8Array | null; dots: Uint32Array }

export function paintAll(p: Painting): void {
  p.dots.fill(p.palette.ground);
  for (let i = 0; i < p.layout.nodes; i++) paintTile(p, i);
  for (let slot = 0; slot < p.model.used; slot++) if (p.model.state[slot] !== 255) paintSlot(p, slot);
}

/** What changed since the last time only; puts into `tiles` which nodes that concerns (their place + 1; 0: the band). */
export function paintChanges(p: Painting, tiles: Set<number>): void {
  const { emptied, changed, changedNodes, closed, node, state } = p.model;
  for (let i = 0; i < emptied.length; i += 2) {
    const at = dotOf(p.layout, emptied[i]!, emptied[i + 1]!);
    if (at >= 0) p.dots[at] = emptied[i] === 0 ? p.palette.ground : p.palette.tint;
    tiles.add(emptied[i]!);
  }
  for (const index of changedNodes) {
    if (index >= p.layout.nodes) continue;
    paintMark(p, index);
    tiles.add(index + 1);
  }
  for (const slot of changed) {
    if (state[slot] === 255) continue;
    paintSlot(p, slot);
    tiles.add(node[slot]!);
  }
  if (!closed) return;
  p.dots.fill(p.palette.ground, p.layout.bandY * p.layout.width);
  for (const slot of p.model.at[0]!) if (slot >= 0) paintSlot(p, slot);
  tiles.add(0);
}

function paintSlot({ model, layout, palette, by, found, dots }: Painting, slot: number): void {
  const at = dotOf(layout, model.node[slot]!, model.place[slot]!);
  if (at < 0) return;
  const { dot } = inkOf(model, palette, by, slot);
  dots[at] = found && found[slot] !== 1 ? faded(dot, palette.ground) : dot;
}

function paintTile(p: Painting, index: number): void {
  const { x, y } = tileAt(p.layout, index);
  for (let dy = 0; dy < p.layout.high; dy++) p.dots.fill(p.palette.tint, x + (y + dy) * p.layout.width, x + p.layout.wide + (y + dy) * p.layout.width);
  paintMark(p, index);
}

/** The line below a tile that is seen from afar: broken where the node is not ready, whole where it is cordoned. */
function paintMark({ model, layout, palette, dots }: Painting, index: number): void {
  const { x, y } = tileAt(layout, index);
  const { ready, cordoned, gone } = nodeNumbers(model, index);
  const below = x + (y + layout.high) * layout.width;
  for (let dx = 0; dx < layout.wide; dx++) dots[below + dx] = gone ? palette.ground : !ready ? (dx % 3 === 2 ? palette.ground : palette.bad) : cordoned ? palette.cordoned : palette.ground;
}

/** The legend: what each colour and glyph means, at most a dozen, the most frequent first. */
export function legend(model: Model, palette: Palette, by: By): { ink: Ink; name: string; count: number }[] {
  if (by === 'state') return STATE_NAMES.map((name, i) => ({ ink: palette.state[i]!, name, count: model.counts[i]! })).filter((one) => one.count > 0);
  const column = by === 'qos' ? model.qos : by === 'node' ? model.node : by === 'namespace' ? model.namespace : model.owner;
  const names = by === 'qos' ? QOS_NAMES : by === 'node' ? ['no node yet', ...model.nodes] : by === 'namespace' ? model.namespaces : model.owners;
  const counts = new Int32Array(names.length);
  for (let slot = 0; slot < model.used; slot++) if (model.state[slot] !== 255) counts[column[slot]!]!++;
  const most = [...counts.keys()].filter((n) => counts[n]! > 0).sort((a, b) => counts[b]! - counts[a]! || a - b).slice(0, 12);
  return most.map((n) => ({ ink: by === 'qos' ? palette.qos[n]! : palette.many[n % palette.many.length]!, name: names[n] || 'nobody', count: counts[n]! }));
}

/** A glyph in a square of that side. */
export function glyph(context: CanvasRenderingContext2D, kind: Glyph, x: number, y: number, side: number): void {
  const m = side * 0.26;
  if (kind === 'plain') return;
  context.beginPath();
  if (kind === 'ring') context.arc(x + side / 2, y + side / 2, side * 0.26, 0, Math.PI * 2);
  else if (kind === 'cross') {
    context.moveTo(x + m, y + m);
    context.lineTo(x + side - m, y + side - m);
    context.moveTo(x + side - m, y + m);
    context.lineTo(x + m, y + side - m);
  } else if (kind === 'slash') {
    context.moveTo(x + side - m, y + m);
    context.lineTo(x + m, y + side - m);
  } else if (kind === 'check') {
    context.moveTo(x + m, y + side / 2);
    context.lineTo(x + side * 0.45, y + side - m);
    context.lineTo(x + side - m, y + m);
  } else if (kind === 'bar') {
    context.moveTo(x + m, y + side / 2);
    context.lineTo(x + side - m, y + side / 2);
  } else if (kind === 'corner') {
    context.moveTo(x + m, y + m);
    context.lineTo(x + side - m, y + m);
    context.lineTo(x + side - m, y + side - m);
  }
  context.stroke();
  if (kind === 'dot') context.fillRect(x + side * 0.36, y + side * 0.36, side * 0.28, side * 0.28);
  if (kind === 'half') context.fillRect(x + m, y + side / 2, side - 2 * m, side / 2 - m);
}
