/** The canvas of a large cluster: zoom, pan, search, colour, keys. It draws when something changed, at most once a frame of the screen; React hears four times a second. */
import { Minus, Plus, Scan } from 'lucide-react';
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from 'react';
import { watchCells } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { partsCss, Segments } from '../../parts/parts.tsx';
import { get, select, useStore } from '../../store.ts';
import css from './cluster.module.css';
import { dotOf, fits, hitAt, type Layout, layOut, tileAt } from './layout.ts';
import { applyCells, closeUp, createModel, isThere, type Model, nodeName, podName, search, STATE_NAMES } from './model.ts';
import { BY, type By, glyph, inkOf, legend, paintAll, paintChanges, type Painting, paletteOf } from './paint.ts';

interface View { scale: number; x: number; y: number }
interface Drawing { model: Model; painting: Painting | null; bitmap: HTMLCanvasElement; image: ImageData | null; view: View; moved: boolean; all: boolean; asked: number; cursor: number; query: string; by: By; frames: number; spent: number }

const MOST = 44;

export function useDrawing(): { drawing: Drawing; beat: number } {
  const [drawing] = useState<Drawing>(() => ({ model: createModel(), painting: null, bitmap: document.createElement('canvas'), image: null, view: { scale: 1, x: 0, y: 0 }, moved: false, all: true, asked: 0, cursor: -1, query: '', by: 'state', frames: 0, spent: 0 }));
  const [beat, setBeat] = useState(0);
  useEffect(() => {
    let told = 0;
    const stop = watchCells((patch) => {
      applyCells(drawing.model, patch);
      if (patch.reset) drawing.all = true;
      ask(drawing);
      if (told === 0) told = window.setTimeout(() => { told = 0; setBeat((n) => n + 1); }, 250);
    });
    return () => { stop(); clearTimeout(told); };
  }, [drawing]);
  return { drawing, beat };
}

/** Set while a canvas is there to draw on. */
let render: ((drawing: Drawing) => void) | null = null;
function ask(drawing: Drawing): void {
  if (drawing.asked !== 0 || !render) return;
  drawing.asked = requestAnimationFrame(() => {
    drawing.asked = 0;
    const began = performance.now();
    render?.(drawing);
    drawing.frames++;
    drawing.spent += performance.now() - began;
  });
}

export function CellCanvas({ drawing, beat }: { drawing: Drawing; beat: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useStore((s) => s.theme);
  const selection = useStore((s) => s.selection);
  const [by, setBy] = useState<By>(drawing.by);
  const [query, setQuery] = useState(drawing.query);
  const [said, say] = useState('');
  const drag = useRef<{ x: number; y: number; moved: boolean } | null>(null);
  const { model } = drawing;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas takes the theme's colours when it is drawn
  useEffect(() => {
    drawing.by = by;
    drawing.query = query;
    drawing.all = true;
    render = (d) => draw(canvas.current!, d);
    ask(drawing);
    const watch = new ResizeObserver(() => { drawing.all = true; ask(drawing); });
    watch.observe(canvas.current!);
    return () => { watch.disconnect(); render = null; };
  }, [drawing, by, query, theme]);
  useEffect(() => {
    if (selection?.kind === 'pod' && (drawing.cursor < 0 || podName(model, drawing.cursor) !== selection.id)) drawing.cursor = slotOf(model, selection.id);
    ask(drawing);
  }, [drawing, model, selection]);

  const zoom = (factor: number, px?: number, py?: number): void => { zoomAt(canvas.current!, drawing, factor, px, py); ask(drawing); };
  // React listens to wheels passively; this one must not scroll the page
  useEffect(() => {
    const element = canvas.current!;
    const wheel = (e: WheelEvent): void => { e.preventDefault(); zoomAt(element, drawing, e.deltaY < 0 ? 1.2 : 1 / 1.2, e.offsetX, e.offsetY); ask(drawing); };
    element.addEventListener('wheel', wheel, { passive: false });
    return () => element.removeEventListener('wheel', wheel);
  }, [drawing]);

  const choose = (slot: number, node: number): void => {
    drawing.cursor = slot;
    if (isThere(model, slot)) {
      select({ kind: 'pod', id: podName(model, slot) });
      say(`${podName(model, slot)}, ${STATE_NAMES[model.state[slot]!]}${nodeName(model, slot) ? ` on ${nodeName(model, slot)}` : ''}`);
    } else if (node > 0) {
      select({ kind: 'node', id: model.nodes[node - 1]! });
      say(`node ${model.nodes[node - 1]}`);
    }
    ask(drawing);
  };
  const at = (e: PointerEvent<HTMLCanvasElement>): { node: number; slot: number } => {
    const { view, painting } = drawing;
    return painting ? hitAt(painting.layout, model, (e.nativeEvent.offsetX - view.x) / view.scale, (e.nativeEvent.offsetY - view.y) / view.scale) : { node: -1, slot: -1 };
  };
  const key = (e: KeyboardEvent): void => {
    if (e.key === '+' || e.key === '=') zoom(1.5);
    else if (e.key === '-') zoom(1 / 1.5);
    else if (e.key === '0') { drawing.moved = false; drawing.all = true; ask(drawing); }
    else if (/^Arrow/.test(e.key) && drawing.painting) {
      const slot = step(drawing, e.key);
      if (slot >= 0) { choose(slot, -1); follow(canvas.current!, drawing); }
    } else return;
    e.preventDefault();
  };
  const shown = drawing.painting ? legend(model, drawing.painting.palette, by) : [];
  void beat;
  return (
    <div className={css.wrap}>
      <div className={css.tools}>
        <Segments label="Colour by" value={by} options={BY} onChange={setBy} />
        <input type="search" className={css.search} placeholder="Pod, node, owner, state" aria-label="Search pods and nodes" value={query} onChange={(e) => setQuery(e.target.value)} />
        {query.trim() === '' ? null : <span className={css.found} role="status">{count(drawing.painting?.found?.reduce((n, one) => n + one, 0) ?? 0)} found</span>}
        <span className={css.zoom}>
          <button type="button" className={partsCss.icon} aria-label="Zoom out" onClick={() => zoom(1 / 1.5)}><Minus size={15} aria-hidden="true" /></button>
          <button type="button" className={partsCss.icon} aria-label="Zoom in" onClick={() => zoom(1.5)}><Plus size={15} aria-hidden="true" /></button>
          <button type="button" className={partsCss.icon} aria-label="Show all" onClick={() => { drawing.moved = false; drawing.all = true; ask(drawing); }}><Scan size={15} aria-hidden="true" /></button>
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the picture is walked with the arrow keys */}
      <canvas ref={canvas} className={css.canvas} tabIndex={0} role="img" aria-label={`${count(model.nodes.length)} nodes with ${count(model.living)} pods. Arrow keys go from pod to pod, plus and minus zoom, 0 shows all. The table has them all.`}
        onKeyDown={key}
        onPointerDown={(e) => { drag.current = { x: e.clientX, y: e.clientY, moved: false }; e.currentTarget.setPointerCapture(e.pointerId); }}
        onPointerMove={(e) => {
          const d = drag.current;
          if (!d) return;
          const [dx, dy] = [e.clientX - d.x, e.clientY - d.y];
          if (!d.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
          Object.assign(drawing.view, { x: drawing.view.x + dx, y: drawing.view.y + dy });
          drag.current = { x: e.clientX, y: e.clientY, moved: true };
          drawing.moved = true;
          ask(drawing);
        }}
        onPointerUp={(e) => { if (drag.current && !drag.current.moved) { const hit = at(e); choose(hit.slot, hit.node); } drag.current = null; }} />
      <span className="sr" role="status">{said}</span>
      <ul className={css.legend} aria-label="Legend">{shown.map(({ ink, name, count: n }) => <li key={name}><Swatch css={ink.css} on={ink.on} kind={ink.glyph} />{name} <b>{count(n)}</b></li>)}
        <li><i className={css.notReady} />node not ready</li><li><i className={css.cordoned} />cordoned</li></ul>
    </div>
  );
}

function Swatch({ css: colour, on, kind }: { css: string; on: string; kind: Parameters<typeof glyph>[1] }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = ref.current!.getContext('2d')!;
    context.fillStyle = colour;
    context.fillRect(0, 0, 28, 28);
    context.strokeStyle = context.fillStyle = on;
    context.lineWidth = 3;
    glyph(context, kind, 0, 0, 28);
  }, [colour, on, kind]);
  return <canvas ref={ref} width={28} height={28} className={css.swatch} />;
}

function slotOf(model: Model, id: string): number {
  for (let slot = 0; slot < model.used; slot++) if (isThere(model, slot) && model.names[slot] !== undefined && id.endsWith(model.names[slot]!) && podName(model, slot) === id) return slot;
  return -1;
}

/** The next pod in a direction: cell by cell through the tiles. */
function step({ painting, model, cursor }: Drawing, arrow: string): number {
  const layout = painting!.layout;
  if (!isThere(model, cursor)) return model.at.flatMap((slots) => slots.slice(0, 1)).find((slot) => isThere(model, slot)) ?? -1;
  const dot = dotOf(layout, model.node[cursor]!, model.place[cursor]!);
  let x = dot % layout.width;
  let y = Math.floor(dot / layout.width);
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[arrow] as [number, number];
  for (;;) {
    x += dx;
    y += dy;
    if (x < 0 || y < 0 || x >= layout.width || y >= layout.height) return -1;
    const { slot } = hitAt(layout, model, x, y);
    if (isThere(model, slot)) return slot;
  }
}

function zoomAt(canvas: HTMLCanvasElement, drawing: Drawing, factor: number, px = canvas.clientWidth / 2, py = canvas.clientHeight / 2): void {
  const { view } = drawing;
  const scale = Math.min(MOST, Math.max(0.4, view.scale * factor));
  const by = scale / view.scale;
  drawing.view = { scale, x: px - (px - view.x) * by, y: py - (py - view.y) * by };
  drawing.moved = true;
}

/** Brings the cursor into sight. */
function follow(canvas: HTMLCanvasElement, { painting, model, cursor, view }: Drawing): void {
  const dot = dotOf(painting!.layout, model.node[cursor]!, model.place[cursor]!);
  const x = view.x + ((dot % painting!.layout.width) + 0.5) * view.scale;
  const y = view.y + (Math.floor(dot / painting!.layout.width) + 0.5) * view.scale;
  if (x < 20 || x > canvas.clientWidth - 20) view.x += canvas.clientWidth / 2 - x;
  if (y < 20 || y > canvas.clientHeight - 20) view.y += canvas.clientHeight / 2 - y;
}

function draw(canvas: HTMLCanvasElement, drawing: Drawing): void {
  const { model } = drawing;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === 0 || height === 0) return;
  const ratio = devicePixelRatio;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  refresh(canvas, drawing, width / height);
  const { painting } = drawing;
  const { layout, palette } = painting!;
  if (!drawing.moved) {
    const scale = Math.min(width / layout.width, height / layout.height, MOST);
    drawing.view = { scale: scale > 1.6 ? Math.floor(scale * ratio) / ratio : scale, x: 0, y: 0 };
    drawing.view.x = Math.max(0, (width - layout.width * drawing.view.scale) / 2);
  }
  const { view } = drawing;
  const context = canvas.getContext('2d')!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = palette.panel;
  context.fillRect(0, 0, width, height);
  context.imageSmoothingEnabled = view.scale * ratio < 1;
  context.drawImage(drawing.bitmap, view.x, view.y, layout.width * view.scale, layout.height * view.scale);
  if (view.scale >= 7) glyphs(context, drawing, width, height);
  names(context, drawing, width, height);
  mark(context, drawing);
  model.changed.length = model.changedNodes.length = model.emptied.length = 0;
}

/** The bitmap: laid out anew, painted anew, or only what changed. */
function refresh(canvas: HTMLCanvasElement, drawing: Drawing, shape: number): void {
  const { model } = drawing;
  let { painting } = drawing;
  if (closeUp(model)) drawing.all = true;
  if (drawing.all || !painting || model.grown || !fits(painting.layout, model)) {
    const layout = !painting || model.grown || !fits(painting.layout, model) || !drawing.moved ? layOut(model, shape) : painting.layout;
    model.grown = false;
    if (!drawing.image || drawing.bitmap.width !== layout.width || drawing.bitmap.height !== layout.height) {
      drawing.bitmap.width = layout.width;
      drawing.bitmap.height = layout.height;
      drawing.image = new ImageData(layout.width, layout.height);
    }
    painting = drawing.painting = { model, layout, palette: paletteOf(canvas), by: drawing.by, found: search(model, drawing.query), dots: new Uint32Array(drawing.image.data.buffer) };
    paintAll(painting);
    drawing.all = false;
  } else {
    if (model.changed.length > 0 && painting.found) painting.found = search(model, drawing.query);
    if (model.changed.length + model.changedNodes.length + model.emptied.length === 0) return;
    paintChanges(painting);
  }
  drawing.bitmap.getContext('2d')!.putImageData(drawing.image!, 0, 0);
}

/** Glyphs on the cells in sight, once they are large enough. */
function glyphs(context: CanvasRenderingContext2D, { painting, model, view }: Drawing, width: number, height: number): void {
  const { layout, palette, by, found } = painting!;
  const s = view.scale;
  context.lineWidth = Math.max(1, s / 9);
  const [left, top] = [Math.max(0, Math.floor(-view.x / s)), Math.max(0, Math.floor(-view.y / s))];
  for (let y = top; y < Math.min(layout.height, top + height / s + 1); y++) {
    for (let x = left; x < Math.min(layout.width, left + width / s + 1); x++) {
      const { slot } = hitAt(layout, model, x, y);
      if (!isThere(model, slot) || (found && found[slot] !== 1)) continue;
      const ink = inkOf(model, palette, by, slot);
      context.strokeStyle = context.fillStyle = ink.on;
      glyph(context, ink.glyph, view.x + x * s, view.y + y * s, s);
      context.strokeStyle = palette.panel;
      context.lineWidth = 1;
      context.strokeRect(view.x + x * s, view.y + y * s, s, s);
      context.lineWidth = Math.max(1, s / 9);
    }
  }
}

function names(context: CanvasRenderingContext2D, { painting, model, view }: Drawing, width: number, height: number): void {
  const { layout, palette } = painting!;
  const s = view.scale;
  const room = (layout.wide + 2) * s;
  context.font = `11px ${getComputedStyle(context.canvas).fontFamily}`;
  context.fillStyle = palette.ink;
  context.textBaseline = 'bottom';
  if (room >= 52 && s * 2 >= 11) {
    for (let i = 0; i < layout.nodes; i++) {
      const tile = tileAt(layout, i);
      const [x, y] = [view.x + tile.x * s, view.y + tile.y * s];
      if (x > width || y > height + 12 || x + room < 0 || y < 0) continue;
      context.fillText(model.nodes[i]!, x, y - 1, room);
    }
  }
  if (model.counts[0]! > 0 && layout.height > layout.bandY + 1) {
    const y = view.y + layout.bandY * s;
    if (y > 0 && y < height + 12) context.fillText('no node yet', view.x + s, y - 1);
  }
}

function mark(context: CanvasRenderingContext2D, { painting, model, cursor, view }: Drawing): void {
  const { layout, palette } = painting!;
  const selection = get().selection;
  const s = view.scale;
  context.strokeStyle = palette.ink;
  context.lineWidth = 2;
  if (selection?.kind === 'pod' && isThere(model, cursor)) {
    const dot = dotOf(layout, model.node[cursor]!, model.place[cursor]!);
    const side = Math.max(s, 7);
    const off = (side - s) / 2;
    if (dot >= 0) context.strokeRect(view.x + (dot % layout.width) * s - off - 1, view.y + Math.floor(dot / layout.width) * s - off - 1, side + 2, side + 2);
  }
  const index = selection?.kind === 'node' ? model.nodes.indexOf(selection.id) : -1;
  if (index >= 0) {
    const tile = tileAt(layout, index);
    context.strokeRect(view.x + tile.x * s - 1, view.y + tile.y * s - 1, (layout.wide + 2) * s + 2, (layout.high + 2) * s + 2);
  }
}


