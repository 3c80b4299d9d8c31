/** The frame of a picture: one header (title, modes, facts), the drawing, and its text twin in its place. */
import { ImageDown, Maximize2, Minimize2, Table2 } from 'lucide-react';
import type { ReactNode } from 'react';
import { partsCss, Segments } from '../parts/parts.tsx';
import { set, useStore } from '../store.ts';
import css from './frame.module.css';

export function Frame({ title, sub, modes, mode, onMode, facts, twin, children }: {
  title: string; sub?: ReactNode; modes?: readonly (readonly [string, string])[]; mode?: string; onMode?: (mode: string) => void; facts?: ReactNode; twin?: ReactNode; children: ReactNode;
}) {
  const full = useStore((s) => s.full);
  const asTable = useStore((s) => s.asTable);
  return (
    <>
      <div className={css.head}>
        <h2>{title}</h2>
        {modes && mode && onMode ? <Segments label={`What ${title} shows`} value={mode} options={modes} onChange={onMode} /> : null}
        {sub ? <span className={css.sub}>{sub}</span> : null}
        {facts ? <span className={css.facts}>{facts}</span> : null}
        <span className={css.end}>
          {twin ? <button type="button" className={partsCss.icon} aria-label="As a table" aria-pressed={asTable} title="The same as a table" onClick={() => set({ asTable: !asTable })}><Table2 size={15} aria-hidden="true" /></button> : null}
          {twin && !asTable ? <button type="button" className={`${partsCss.icon} ${css.saves}`} aria-label="Save the picture" title="Save the picture as SVG or PNG" onClick={() => set({ dialog: 'save' })}><ImageDown size={15} aria-hidden="true" /></button> : null}
          <button type="button" className={partsCss.icon} aria-label={full ? 'Leave the full page' : 'Picture over the whole page'} onClick={() => set({ full: !full })}>{full ? <Minimize2 size={15} aria-hidden="true" /> : <Maximize2 size={15} aria-hidden="true" />}</button>
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={css.body} tabIndex={0} aria-label={title}>{twin && asTable ? twin : children}</section>
    </>
  );
}
