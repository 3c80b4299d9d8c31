/**
 * Where each machine was, cycle by cycle: one strip a lane, levels for the places, all on one scale and aligned at the mark that
 * opens the chosen stretch. A machine keeps its newest 600 spans; a strip whose beginning is no longer kept starts later.
 */
import { useCallback, useEffect, useRef, useState } from 'react';
import type { GuestMarkRow, LaneRow, SpanRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { useStore } from '../../store.ts';
import { drawStrip, LEVEL, levelsOf, spanAt } from './timeline-draw.ts';
import { Legend } from './bar.tsx';
import { PLACE, PLACES, type Place, type Side, stretchName, wordsOf } from './lanes.ts';
import css from './spectrum.module.css';

const SHORT: Record<Place, string> = { guest: 'guest', user: 'user', kernel: 'kernel', translated: 'translated', monitor: 'hypervisor', program: 'program', asleep: 'asleep' };

export function Timeline({ side }: { side: Side }) {
  const spans = useRows<SpanRow>('spans');
  const marks = useRows<GuestMarkRow>('guest-marks');
  const [zoom, setZoom] = useState(1);
  const { shown, segment, segments } = side;
  const windows = shown.map((lane) => {
    const own = spans.filter((row) => row.id === lane.id && row.host === lane.host);
    const row = marks.find((one) => one.id === lane.id && one.host === lane.host && one.segment === segment);
    const from = row?.at ?? 0;
    const length = row ? row.cycles + row.asleep : 0;
    return { lane, from, length, spans: own.filter((one) => one.at + one.cycles > from && one.at < from + length).map((one) => clipped(one, from, from + length)) };
  });
  const longest = Math.max(1, ...windows.map((one) => one.length));
  return (
    <div className={css.pad}>
      <section>
        <h3>{stretchName(segments, segment)} <small>one scale: the whole width is {count(longest / zoom)} cycles from the mark on</small>
          <span className={css.end}><label className={css.small}>zoom <input type="range" min={0} max={10} step={0.5} value={Math.log2(zoom)} aria-valuetext={`${Math.round(zoom)} times`} onChange={(e) => setZoom(2 ** Number(e.target.value))} style={{ accentColor: 'var(--ink)', width: 110, verticalAlign: 'middle' }} /></label></span></h3>
        {windows.map((one) => <Strip key={one.lane.key} {...one} scale={longest / zoom} />)}
        <Legend places={PLACES.filter((place) => windows.some(({ spans: own }) => own.some((row) => row.place === place)))} />
      </section>
    </div>
  );
}

/** A span that began before the stretch or goes on after it counts for its part. */
function clipped(span: SpanRow, from: number, to: number): SpanRow {
  const at = Math.max(from, span.at);
  return { ...span, at, cycles: Math.min(to, span.at + span.cycles) - at };
}

function Strip({ lane, from, length, spans, scale }: { lane: LaneRow; from: number; length: number; spans: SpanRow[]; scale: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useStore((s) => s.theme);
  const [width, setWidth] = useState(400);
  const [at, setAt] = useState(0);
  const ref = useCallback((box: HTMLElement | null) => {
    if (!box) return;
    const observer = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  const levels = levelsOf(spans);
  const here = Math.min(at, spans.length - 1);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas takes the theme's colours when it is drawn
  useEffect(() => drawStrip(canvas.current!, { spans, from, scale, width, levels, chosen: spans[here]?.n ?? -1 }), [spans, from, scale, width, here, theme]);
  const span = spans[here];
  const said = span ? `${PLACE[span.place as Place].name}${span.why ? ` for ${span.why}` : ''}, ${count(span.cycles)} cycles, at ${count(span.at - from)}` : 'no span';
  const late = spans[0] && spans[0].at > from;
  return (
    <div className={css.strip}>
      <div className={css.who}><b>{wordsOf(lane.technique).name}</b><small>{count(length)} cycles</small><small>{spans.length === 0 ? 'its spans are no longer kept' : late ? `its first ${count(spans[0]!.at - from)} are no longer kept` : spans.length === 1 ? 'one span' : `${count(spans.length)} spans`}</small></div>
      <div className={css.levels} aria-hidden="true">{levels.map((place) => <span key={place}>{SHORT[place]}</span>)}</div>
      <div ref={ref} style={{ minWidth: 0 }}>
        <canvas ref={canvas} style={{ height: levels.length * LEVEL + 4 }} role="slider" tabIndex={0} aria-label={`Spans of ${wordsOf(lane.technique).name}`} aria-valuemin={0} aria-valuemax={Math.max(0, spans.length - 1)} aria-valuenow={Math.max(0, here)} aria-valuetext={said}
          onClick={(e) => { const hit = spanAt(spans, from + (e.nativeEvent.offsetX / width) * scale); if (hit >= 0) setAt(hit); }}
          onKeyDown={(e) => {
            const by = { ArrowRight: 1, ArrowLeft: -1, PageDown: 20, PageUp: -20, Home: -spans.length, End: spans.length }[e.key];
            if (by === undefined) return;
            e.preventDefault();
            setAt(Math.max(0, Math.min(spans.length - 1, here + by)));
          }} />
        <div className={css.ruler}>{span ? <>{said}<span style={{ color: 'var(--ink-3)' }}> rip {span.rip}</span></> : ''}</div>
      </div>
    </div>
  );
}
