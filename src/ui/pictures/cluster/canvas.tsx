/** The canvas of a large cluster: zoom, pan, search, colour, keys. It draws when something changed, at most once a frame of the screen; React hears four times a second. */
import { Minus, Plus, Scan } from 'lucide-react';
import { type KeyboardEvent, memo, type PointerEvent, useEffect, useRef, useState } from 'react';
import { watchCells } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { partsCss, Segments } from '../../parts/parts.tsx';
import { get, select, useStore } from '../../store.ts';
import css from './cluster.module.css';
import { createDrawing, draw, type Drawing, follow, moveBy, pointAt, zoomAt } from './draw.ts';
import { dotOf, hitAt } from './layout.ts';
import { drip, HORIZON_MS, pour } from './flow.ts';
import { createModel, isThere, type Model, nodeName, podName, STATE_NAMES } from './model.ts';
import { BY, type By, glyph, legend } from './paint.ts';

/** How often the words round the canvas hear of its changes, ms. */
const BEAT = 250;

export function useDrawing(): { drawing: Drawing; beat: number } {
  const [drawing] = useState<Drawing>(() => createDrawing(createModel()));
  const [beat, setBeat] = useState(0);
  useEffect(() => {
    let told = 0;
    const stop = watchCells((patch) => {
      pour(drawing.flow, drawing.model, patch, performance.now());
      if (patch.reset) drawing.all = true;
      // without a canvas, or with a world that stands still, nothing flows
      if (!render || !get().running) drip(drawing.flow, drawing.model, Number.POSITIVE_INFINITY, 1);
      ask(drawing);
      if (told === 0) told = window.setTimeout(() => { told = 0; setBeat((n) => n + 1); }, BEAT);
    });
    return () => { stop(); clearTimeout(told); };
  }, [drawing]);
  return { drawing, beat };
}

/** Set while a canvas is there to draw on. */
let render: ((drawing: Drawing) => void) | null = null;
function ask(drawing: Drawing): void {
  if (drawing.asked !== 0 || !render) return;
  drawing.asked = requestAnimationFrame((now) => {
    drawing.asked = 0;
    drip(drawing.flow, drawing.model, now, Math.min(HORIZON_MS, Math.max(1, now - drawing.shown)));
    drawing.shown = now;
    render?.(drawing);
    if (drawing.flow.waiting > 0) ask(drawing);
  });
}

export const CellCanvas = memo(function CellCanvas({ drawing, beat }: { drawing: Drawing; beat: number }) {
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
  const at = (e: PointerEvent<HTMLCanvasElement>): { node: number; slot: number } => pointAt(drawing, e.nativeEvent.offsetX, e.nativeEvent.offsetY);
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
          moveBy(drawing, dx, dy);
          drag.current = { x: e.clientX, y: e.clientY, moved: true };
          ask(drawing);
        }}
        onPointerUp={(e) => { if (drag.current && !drag.current.moved) { const hit = at(e); choose(hit.slot, hit.node); } drag.current = null; }} />
      <span className="sr" role="status">{said}</span>
      <ul className={css.legend} aria-label="Legend">{shown.map(({ ink, name, count: n }) => <li key={name}><Swatch css={ink.css} on={ink.on} kind={ink.glyph} />{name} <b>{count(n)}</b></li>)}
        <li><i className={css.notReady} />node not ready</li><li><i className={css.cordoned} />cordoned</li>{drawing.painting && drawing.painting.layout.foot > 0 ? <li><i className={css.loads} />requested: cpu, memory</li> : null}</ul>
    </div>
  );
});

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
