/** Presenter: the picture, what it shows in one sentence, and the way to the next moment. */
import { ChevronLeft, ChevronRight, X } from 'lucide-react';
import { useEffect } from 'react';
import type { MarkRow } from '../../bridge/rows.ts';
import { count, sentence } from '../format.ts';
import { partsCss } from '../parts/parts.tsx';
import { seek } from '../session/session.ts';
import { set, useStore } from '../store.ts';
import { useAllMarks } from './timebar.tsx';
import css from './frame.module.css';

/** What is worth a stop before an audience: results, what the cluster did, what was typed; all, where there is nothing of that kind. */
function moments(all: MarkRow[]): MarkRow[] {
  const telling = all.filter((mark) => mark.outcome !== '' || mark.floor === 'cluster' || mark.floor === 'container' || mark.floor === 'input');
  return telling.length > 0 ? telling : all;
}

export function Caption() {
  const t = useStore((s) => s.t);
  const marks = moments(useAllMarks());
  let at = -1;
  while (at + 1 < marks.length && marks[at + 1]!.t <= t) at++;
  const go = (to: number): void => { const mark: MarkRow | undefined = marks[to]; if (mark) void seek(mark.t); };
  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      if (event.key === 'PageDown' || event.key === 'ArrowRight') go(at + 1);
      else if (event.key === 'PageUp' || event.key === 'ArrowLeft') go(at - 1);
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  });
  return (
    <section className={css.caption} aria-label="Presenter" id="time">
      <small>{marks.length === 0 ? 'No moments yet' : `Moment ${count(at + 1)} of ${count(marks.length)}`}<Moments at={at} of={marks.length} /></small>
      <p>{at < 0 ? 'Nothing has happened yet.' : `${sentence(marks[at]!.text)}.`}</p>
      <button type="button" className={partsCss.button} disabled={at <= 0} onClick={() => go(at - 1)}><ChevronLeft size={16} aria-hidden="true" />Back</button>
      <button type="button" className={`${partsCss.button} ${partsCss.primary}`} disabled={at >= marks.length - 1} onClick={() => go(at + 1)}>Next<ChevronRight size={16} aria-hidden="true" /></button>
      <button type="button" className={partsCss.icon} aria-label="Leave presenter mode" onClick={() => set({ present: false })}><X size={18} aria-hidden="true" /></button>
    </section>
  );
}

/** Where this moment stands among all: one bar a moment, or as many as fit. */
function Moments({ at, of }: { at: number; of: number }) {
  const bars = Math.min(of, 24);
  const here = of <= 24 ? at : Math.floor((at / of) * 24);
  return <span className={css.moments} aria-hidden="true">{Array.from({ length: bars }, (_, i) => i).map((i) => <i key={i} className={i === here ? css.here : i < here ? css.past : ''} />)}</span>;
}
