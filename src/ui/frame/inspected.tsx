/** The frame of what the inspector shows: its name, its parts, and the command that says the same in a terminal. */
import { Link, PanelRight } from 'lucide-react';
import type { ReactNode } from 'react';
import { partsCss, Runnable } from '../parts/parts.tsx';
import { set, toast, useStore } from '../store.ts';
import frame from './frame.module.css';
import css from './inspector.module.css';

export function Panel({ title, sub, children, line }: { title: ReactNode; sub?: ReactNode; children: ReactNode; line?: string }) {
  const selection = useStore((s) => s.selection);
  return (
    <>
      <div className={frame.head}>
        <h2>{title}</h2>{sub ? <span className={frame.sub}>{sub}</span> : null}
        <span className={frame.end}>
          {selection ? <button type="button" className={partsCss.icon} aria-label="Copy its name" onClick={() => void navigator.clipboard.writeText(selection.id).then(() => toast('Copied'), () => toast('The browser did not allow copying', true))}><Link size={15} aria-hidden="true" /></button> : null}
          <button type="button" className={partsCss.icon} aria-label="Fold the inspector" onClick={() => set({ inspectorFolded: true })}><PanelRight size={16} aria-hidden="true" /></button>
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <section className={frame.body} tabIndex={0} aria-label="What is selected">
        {children}
        {line ? <Part title="The same in a terminal"><Runnable line={line} /></Part> : null}
      </section>
    </>
  );
}
export function Part({ title, sub, children }: { title?: ReactNode; sub?: ReactNode; children: ReactNode }) {
  return <section className={css.part}>{title ? <h3>{title}{sub ? <small>{sub}</small> : null}</h3> : null}{children}</section>;
}
export const Gone = ({ what }: { what: string }) => <Panel title={what}><Part><p className={css.quiet}>It is not there at this time.</p></Part></Panel>;
