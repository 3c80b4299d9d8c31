/** The frame: bars, panels, keys that work everywhere, files dropped anywhere. */
import { FileText, Grid3x3, SquareTerminal, TableProperties } from 'lucide-react';
import { lazy, Suspense, useEffect, useState } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { clearHash, download, openFresh, play, putFile, step } from '../session/session.ts';
import { get, SCENES, set, show, type Tab, useStore } from '../store.ts';
import { clock } from '../format.ts';
import { Inspector } from './inspector.tsx';
import { Picture } from './picture.tsx';
import { Splitter } from './splitter.tsx';
import { TimeBar } from './timebar.tsx';
import { TopBar } from './topbar.tsx';
import { Caption } from './present.tsx';
import { Dialogs } from './dialogs.tsx';
import { TerminalPanel } from '../terminal/panel.tsx';
import { OutcomeMark } from '../parts/marks.tsx';
import { partsCss } from '../parts/parts.tsx';
import { Announcer } from './announcer.tsx';
import css from './frame.module.css';

const Lesson = lazy(() => import('../lesson/lesson.tsx'));
const REGIONS = ['scenes', 'lesson', 'picture', 'terminal', 'inspector', 'time'];

function moveRegion(by: number): void {
  const here = REGIONS.findIndex((id) => document.getElementById(id)?.contains(document.activeElement));
  for (let n = 1; n <= REGIONS.length; n++) {
    const region = document.getElementById(REGIONS[(here + by * n + REGIONS.length * 8) % REGIONS.length]!);
    if (!region || region.offsetParent === null) continue;
    const target = region.querySelector<HTMLElement>('.xterm-helper-textarea, [aria-selected="true"], [tabindex="0"], button:not(:disabled), input, select');
    (target ?? region).focus();
    return;
  }
}

function onKey(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  const inTerminal = target.classList.contains('xterm-helper-textarea');
  if (event.key === 'F6') {
    event.preventDefault();
    moveRegion(event.shiftKey ? -1 : 1);
    return;
  }
  if (inTerminal) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    set({ dialog: 'search' });
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || get().dialog) return;
  if (/^[1-8]$/.test(event.key)) show(SCENES[Number(event.key) - 1]!.id);
  else if (event.key === '.') step(1);
  else if (event.key === ',') step(-1);
  else if (event.key === '?') set({ dialog: 'help' });
  else if (event.key === 'f') set((s) => ({ full: !s.full }));
  else if (event.key === 'Escape') set({ full: false, present: false });
  else if (event.key === ' ' && !/^(BUTTON|SUMMARY|A)$/.test(target.tagName) && target.getAttribute('role') !== 'tab') {
    event.preventDefault();
    play(!get().running);
  } else return;
}

export function App() {
  // not the time: that comes sixty times a second, and only the time bar draws it
  const s = useStore(useShallow(({ theme, lessonFolded, lessonWidth, inspectorFolded, inspectorWidth, terminalFolded, terminalHeight, full, present, tab, toasts }) => ({ theme, lessonFolded, lessonWidth, inspectorFolded, inspectorWidth, terminalFolded, terminalHeight, full, present, tab, toasts })));
  const [dropping, setDropping] = useState(false);
  useEffect(() => {
    addEventListener('keydown', onKey, true);
    return () => removeEventListener('keydown', onKey, true);
  }, []);
  useEffect(() => { document.documentElement.dataset.theme = s.theme; }, [s.theme]);
  useEffect(() => {
    const over = (e: DragEvent): void => {
      if (!e.dataTransfer?.types.includes('Files')) return;
      e.preventDefault();
      setDropping(true);
    };
    const leave = (e: DragEvent): void => { if (e.relatedTarget === null) setDropping(false); };
    const drop = (e: DragEvent): void => {
      e.preventDefault();
      setDropping(false);
      for (const file of e.dataTransfer?.files ?? []) void putFile(file);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => { removeEventListener('dragover', over); removeEventListener('dragleave', leave); removeEventListener('drop', drop); };
  }, []);
  const phone = useNarrow();
  const lesson = s.lessonFolded && !phone ? '40px' : `min(${s.lessonWidth}px, 34vw)`;
  const inspector = s.inspectorFolded && !phone ? '40px' : `min(${s.inspectorWidth}px, 34vw)`;
  const style = { '--lesson': lesson, '--lesson-full': `${Math.min(s.lessonWidth, 300)}px`, '--inspector': inspector, '--present-zoom': usePresentZoom() } as React.CSSProperties;
  return (
    <div className={`${css.app} ${s.full ? css.full : ''} ${s.present ? css.present : ''}`} style={style} data-tab={s.tab} data-present={s.present ? '' : undefined}>
      <button type="button" className={css.skip} onClick={() => document.getElementById('picture')?.focus()}>Skip to the picture</button>
      <TopBar />
      <aside className={css.lesson} id="lesson" aria-label="Lesson" tabIndex={-1}>
        <Suspense fallback={null}><Lesson folded={s.lessonFolded && !phone} /></Suspense>
        {s.lessonFolded ? null : <Splitter label="Width of the lesson" edge="right" value={s.lessonWidth} min={220} max={520} onChange={(lessonWidth) => set({ lessonWidth })} onFold={() => set({ lessonFolded: true })} />}
      </aside>
      <main className={css.middle}>
        <section className={css.picture} id="picture" aria-label="Picture" tabIndex={-1}>
          <Picture />
        </section>
        <div style={{ minHeight: 0, minWidth: 0, display: phone && s.tab !== 'terminal' ? 'none' : undefined }}>
          {s.terminalFolded ? null : <Splitter label="Height of the terminal" edge="top" value={s.terminalHeight} min={90} max={Math.max(200, innerHeight - 320)} onChange={(terminalHeight) => set({ terminalHeight })} onFold={() => set({ terminalFolded: true })} />}
          <TerminalPanel />
        </div>
      </main>
      <aside className={css.inspector} id="inspector" aria-label="Inspector" tabIndex={-1}>
        {s.inspectorFolded ? null : <Splitter label="Width of the inspector" edge="left" value={s.inspectorWidth} min={240} max={560} onChange={(inspectorWidth) => set({ inspectorWidth })} onFold={() => set({ inspectorFolded: true })} />}
        <Inspector folded={s.inspectorFolded && !phone} />
      </aside>
      {s.present ? <Caption /> : <TimeBar />}
      <div className={css.bottom} role="tablist" aria-label="Parts of the page">
        {([['lesson', 'Lesson', FileText], ['picture', 'Picture', Grid3x3], ['bits', 'Bits', TableProperties], ['terminal', 'Terminal', SquareTerminal]] as const).map(([id, name, Icon]) => (
          <button key={id} type="button" role="tab" aria-selected={s.tab === id} onClick={() => set({ tab: id as Tab })}><Icon size={18} aria-hidden="true" />{name}</button>
        ))}
      </div>
      <Overlays />
      {dropping ? <div className={css.drop}>Drop it: it appears under /root/uploads</div> : null}
      <div className={css.toasts} role="status">
        {s.toasts.map((one) => <div key={one.id} className={css.toast}>{one.bad ? <OutcomeMark outcome="warn" size={12} /> : null}{one.text}</div>)}
      </div>
      <Announcer />
      <Dialogs />
    </div>
  );
}

function Overlays() {
  const seeking = useStore((s) => s.seeking);
  const fault = useStore((s) => s.fault);
  const broken = useStore((s) => s.broken);
  const [slow, setSlow] = useState(false);
  const replaying = seeking !== null;
  useEffect(() => {
    if (!replaying) return setSlow(false);
    const timer = setTimeout(() => setSlow(true), 400);
    return () => clearTimeout(timer);
  }, [replaying]);
  if (fault || broken) {
    return (
      <div className={css.fault} role="alertdialog" aria-label="The engine stopped">
        <h2>{broken ? 'The lab could not start' : 'The lab stopped: a fault of its own'}</h2>
        <p>{broken ? 'The engine did not come up in this browser. It needs WebAssembly and module workers.' : `At ${clock(fault!.at)} s the engine met a case that it does not handle. Nothing you did is lost: the recording leads to this very point.`}</p>
        <pre>{broken ?? fault!.message}</pre>
        <div style={{ display: 'flex', gap: 8 }}>
          {broken ? null : <button type="button" className={`${partsCss.button} ${partsCss.primary}`} onClick={() => void download()}>Download the recording</button>}
          <button type="button" className={partsCss.button} onClick={() => { clearHash(); set({ fault: null, broken: null }); void openFresh(get().scenario, get().seed); }}>Start anew</button>
          {broken ? <button type="button" className={partsCss.button} onClick={() => location.reload()}>Reload the page</button> : null}
        </div>
      </div>
    );
  }
  if (seeking === null || !slow) return null;
  return (
    <div className={css.progress} role="status"><div>
      Replaying, {Math.floor(seeking * 100)} %
      <div className={css.bar}><i style={{ width: `${seeking * 100}%` }} /></div>
    </div></div>
  );
}

/** A picture scales as a whole: 1.6 at 1600 by 1000, less where either side is short. */
function usePresentZoom(): number {
  const now = (): number => Math.min(2.4, Math.max(1, Math.min(innerWidth / 1000, (innerHeight - 100) / 540)));
  const [zoom, setZoom] = useState(now);
  useEffect(() => {
    const changed = (): void => setZoom(now());
    addEventListener('resize', changed);
    return () => removeEventListener('resize', changed);
  });
  return zoom;
}

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia('(max-width: 719px)').matches);
  useEffect(() => {
    const query = matchMedia('(max-width: 719px)');
    const changed = (): void => setNarrow(query.matches);
    query.addEventListener('change', changed);
    return () => query.removeEventListener('change', changed);
  }, []);
  return narrow;
}
