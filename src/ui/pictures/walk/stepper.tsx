/** Through the references one by one, or let them fill in order; and what the looks of a cell mean. */
import { ChevronLeft, ChevronRight, Pause, Play, RotateCcw } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { WalkRow } from '../../../bridge/rows.ts';
import { partsCss } from '../../parts/parts.tsx';
import css from '../pictures.module.css';

const PACE = 180;

export function Stepper({ walk, shown, go }: { walk: WalkRow[]; shown: number; go: (n: number) => void }) {
  const [playing, setPlaying] = useState(false);
  const step = useRef(go);
  step.current = go;
  const most = Math.max(1, ...walk.map((one) => one.cycles));
  useEffect(() => {
    if (!playing) return;
    if (shown >= walk.length) return setPlaying(false);
    const timer = setTimeout(() => step.current(shown + 1), PACE);
    return () => clearTimeout(timer);
  }, [playing, shown, walk.length]);
  const play = (): void => {
    if (playing) return setPlaying(false);
    // without motion the whole walk is there at once
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return go(walk.length);
    if (shown >= walk.length) go(0);
    setPlaying(true);
  };
  const kinds = new Set(walk.map((one) => one.table));
  return (
    <div className={`${css.legend} ${css.stepper}`}>
      <span style={{ gap: 2 }}>
        <button type="button" className={partsCss.icon} aria-label="First reference" onClick={() => go(1)}><RotateCcw size={14} aria-hidden="true" /></button>
        <button type="button" className={partsCss.icon} aria-label={playing ? 'Stop' : 'Fill in order'} title={playing ? 'Stop' : 'Fill in order'} onClick={play}>{playing ? <Pause size={14} aria-hidden="true" /> : <Play size={14} aria-hidden="true" />}</button>
        <button type="button" className={partsCss.icon} aria-label="Previous reference" disabled={shown <= 1} onClick={() => go(shown - 1)}><ChevronLeft size={16} aria-hidden="true" /></button>
        <input type="range" aria-label="Reference" min={0} max={walk.length} value={shown} onChange={(e) => go(Number(e.target.value))} style={{ accentColor: 'var(--ink)', width: 90 }} />
        <button type="button" className={partsCss.icon} aria-label="Next reference" disabled={shown >= walk.length} onClick={() => go(shown + 1)}><ChevronRight size={16} aria-hidden="true" /></button>
      </span>
      {kinds.has('ept') || kinds.has('shadow') ? <span><i className={css.swatch} style={{ background: 'var(--hypervisor-tint)', borderLeft: '2px solid var(--hypervisor)' }} />read, the hypervisor’s</span> : null}
      {kinds.has('guest') ? <span><i className={css.swatch} style={{ background: 'var(--guest-kernel-tint)', borderLeft: '2px solid var(--guest-kernel)' }} />read, the guest’s</span> : null}
      <span><i className={css.swatch} style={{ background: 'var(--now)' }} />now</span>
      <span><i className={css.swatch} style={{ border: '1px dashed var(--line-strong)' }} />to come</span>
      <span><i className={css.swatch} style={{ background: kinds.has('guest') && kinds.size === 1 ? 'var(--guest-kernel)' : 'var(--hypervisor)', height: 3, width: 24 }} />cost: full bar {most} cycles</span>
    </div>
  );
}
