/** Time: controls, the scrubber with the marks of what happened in three lanes, and the simulated clock. */
import { Pause, Play, SkipBack, SkipForward, StepBack, StepForward, ArrowDownToDot } from 'lucide-react';
import { memo, useEffect, useMemo, useRef, useState } from 'react';
import { scaleLinear } from 'd3-scale';
import type { MarkRow, VmRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { clock, count } from '../format.ts';
import { outcomeShape, roleOfFloor, roleShape, type Outcome } from '../parts/marks.tsx';
import { partsCss } from '../parts/parts.tsx';
import { play, seek, step, stepVm } from '../session/session.ts';
import { get, useStore } from '../store.ts';
import css from './frame.module.css';

const LANES = ['Machine', 'Kernel', 'Cluster'];
const SPEEDS = [0.01, 0.1, 0.25, 0.5, 1, 2, 4, 8, 30, 100];
const GUTTER = 64;
/** Simulated ns. */
const COARSE = 250e6;
const laneOf = (mark: MarkRow): number => (mark.scene === 'walk' || mark.floor === 'guest' || mark.floor === 'hypervisor' ? 0 : mark.scene === 'cluster' || mark.floor === 'cluster' ? 2 : 1);

let seen = new Map<string, MarkRow>();
/** Marks of the whole session: what lies after the playhead was seen before and stays, until the past is changed. */
export function useAllMarks(): MarkRow[] {
  const rows = useRows<MarkRow>('marks');
  // at the end nothing lies ahead
  const end = useStore((s) => (s.t < s.end ? s.end : 0));
  return useMemo(() => {
    const t = get().t;
    const kept = new Map<string, MarkRow>();
    for (const [key, mark] of seen) if (mark.t > t && mark.t <= end) kept.set(key, mark);
    for (const mark of rows) kept.set(mark.key, mark);
    seen = kept;
    return [...kept.values()].sort((a, b) => a.t - b.t).slice(-2000);
  }, [rows, end]);
}

export function TimeBar() {
  return <section className={css.time} id="time" aria-label="Time"><Controls /><Scrubber /><Clock /></section>;
}

function Controls() {
  const running = useStore((s) => s.running);
  const vm = useStore((s) => s.vm);
  const vms = useRows<VmRow>('vms');
  const chosen = vms.find((one) => one.name === vm && one.id !== null) ?? vms.find((one) => one.id !== null);
  return (
    <div className={css.controls}>
      <button type="button" className={`${partsCss.icon} ${css.wide}`} aria-label="Go to the start" onClick={() => void seek(0)}><SkipBack size={16} aria-hidden="true" /></button>
      <button type="button" className={partsCss.icon} aria-label="Step back by an event" title="Step back ( , )" onClick={() => step(-1)}><StepBack size={16} aria-hidden="true" /></button>
      <button type="button" className={css.playButton} aria-label={running ? 'Pause' : 'Play'} onClick={() => play(!running)}>{running ? <Pause size={18} aria-hidden="true" /> : <Play size={18} aria-hidden="true" />}</button>
      <button type="button" className={partsCss.icon} aria-label="Step by an event" title="Step ( . )" onClick={() => step(1)}><StepForward size={16} aria-hidden="true" /></button>
      <button type="button" className={`${partsCss.icon} ${css.wide}`} aria-label="Step the VM by an instruction" title={chosen ? `Step ${chosen.name} by an instruction` : 'No VM runs'} disabled={!chosen} onClick={() => chosen && void stepVm(chosen, 'step')}><ArrowDownToDot size={16} aria-hidden="true" /></button>
      <button type="button" className={`${partsCss.icon} ${css.wide}`} aria-label="Go to the end" onClick={() => void seek(get().end)}><SkipForward size={16} aria-hidden="true" /></button>
    </div>
  );
}

function Clock() {
  const running = useStore((s) => s.running);
  const speed = useStore((s) => s.speed);
  return (
    <div className={css.clock}>
      <b><span className="sr">Simulated time </span><Now /></b>
      <div className={css.low}>
        <span><Word /></span>
        <select aria-label="Speed" value={speed} onChange={(e) => play(running, Number(e.target.value))}>{SPEEDS.map((one) => <option key={one} value={one}>{one}×</option>)}</select>
      </div>
    </div>
  );
}
const Now = (): string => `${clock(useStore((s) => s.t))} s`;
const Word = (): string => useStore(({ ready, instructions, t, end, running }) => (!ready ? 'starting' : instructions > 0 ? `instruction ${count(instructions)}` : t < end ? `of ${clock(end)} s` : running ? 'now' : 'paused'));

function Scrubber() {
  const marks = useAllMarks();
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  const [height, setHeight] = useState(76);
  const [drag, setDrag] = useState<number | null>(null);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => { setWidth(entry!.contentRect.width); setHeight(entry!.contentRect.height); });
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  // The scale grows in steps, so that marks do not crawl while time passes.
  const span = useStore((s) => niceSpan(s.end));
  // what assistive technology hears, and marks after the playhead, follow four times a second; the playhead itself at once
  const t = useStore((s) => (s.running ? Math.floor(s.t / COARSE) * COARSE : s.t));
  const scale = useMemo(() => scaleLinear().domain([0, span]).range([GUTTER, width - 4]), [span, width]);
  const at = (event: { clientX: number }): number => Math.max(0, Math.min(get().end, scale.invert(event.clientX - box.current!.getBoundingClientRect().left)));
  const shown = drag ?? t;
  const small = height < 66;
  const head = useRef<SVGSVGElement>(null);
  useEffect(() => {
    const move = (): void => { head.current!.style.transform = `translateX(${(scale(drag ?? get().t) - 5).toFixed(1)}px)`; };
    move();
    return useStore.subscribe(move);
  }, [scale, drag]);
  return (
    <div ref={box} className={css.scrub} role="slider" tabIndex={0} aria-label="Playhead" aria-valuemin={0} aria-valuemax={Math.max(1, Math.round(span / 1e6))} aria-valuenow={Math.round(shown / 1e6)} aria-valuetext={`${clock(shown)} seconds`}
      onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId); setDrag(at(e)); void seek(at(e)); }}
      onPointerMove={(e) => { if (drag !== null) { setDrag(at(e)); void seek(at(e)); } }}
      onPointerUp={() => setDrag(null)}
      onKeyDown={(e) => {
        if (e.key === 'ArrowRight') step(1);
        else if (e.key === 'ArrowLeft') step(-1);
        else if (e.key === 'Home') void seek(0);
        else if (e.key === 'End') void seek(get().end);
        else if (e.key === 'PageUp') void seek(get().t - get().end / 20);
        else if (e.key === 'PageDown') void seek(get().t + get().end / 20);
        else return;
        e.preventDefault();
      }}>
      <svg aria-hidden="true">
        {scale.ticks(Math.max(2, Math.floor(width / 140))).map((tick) => <g key={tick}><line x1={scale(tick)} x2={scale(tick)} y1={small ? 4 : 18} y2={height - 4} stroke="var(--line)" /><text x={scale(tick) + (scale(tick) > width - 40 ? -4 : 4)} y={14} textAnchor={scale(tick) > width - 40 ? 'end' : 'start'}>{small ? '' : `${tick / 1e9}${tick === 0 ? ' s' : ''}`}</text></g>)}
        {LANES.map((name, i) => <g key={name}><text x={0} y={laneY(i, height) + 4}>{small ? '' : name}</text><line x1={GUTTER} x2={width - 4} y1={laneY(i, height)} y2={laneY(i, height)} stroke="var(--line)" /></g>)}
        <Marks marks={marks} scale={scale} height={height} t={shown} />
      </svg>
      <svg ref={head} className={css.playhead} aria-hidden="true"><line x1={5} x2={5} y1={2} y2={height} stroke="var(--now)" strokeWidth="2" /><path d="M0 0h10v8l-5 5-5-5Z" fill="var(--now)" /></svg>
    </div>
  );
}
const laneY = (lane: number, height: number): number => (height < 66 ? height / 2 + (lane - 1) * 14 : 28 + lane * ((height - 34) / 2.6));
function niceSpan(end: number): number {
  const least = Math.max(end * 1.02, 2e9);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((n) => n >= least) ?? least;
}

const Marks = memo(function Marks({ marks, scale, height, t }: { marks: MarkRow[]; scale: (t: number) => number; height: number; t: number }) {
  const last: Record<number, { x: number; outcome: string }> = {};
  return marks.map((mark) => {
    const lane = laneOf(mark);
    const x = scale(mark.t);
    const before = last[lane];
    // Closer than 3 px: merged into the bar that is there, unless an outcome would be hidden.
    if (before && x - before.x < 3 && (mark.outcome === '' || before.outcome === mark.outcome)) return null;
    last[lane] = { x, outcome: mark.outcome };
    const size = mark.outcome === '' ? 7 : 10;
    return (
      <g key={mark.key} transform={`translate(${x - size / 2} ${laneY(lane, height) - size / 2}) scale(${size / 12})`} opacity={mark.t > t ? 0.4 : 1}>
        <title>{mark.text}</title>
        {mark.outcome === '' ? roleShape(roleOfFloor(mark.floor)) : outcomeShape(mark.outcome as Outcome)}
      </g>
    );
  });
}, (a, b) => a.marks === b.marks && a.scale === b.scale && a.height === b.height && (a.t === b.t || !b.marks.some((m) => m.t > Math.min(a.t, b.t))));
