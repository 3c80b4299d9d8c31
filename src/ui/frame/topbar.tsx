/** Scenes by name and number, search, share, present, theme. */
import { CircleHelp, Contrast, MonitorPlay, Search, Share2 } from 'lucide-react';
import { type SceneId, SCENES, set, setTheme, show, type Theme, useStore } from '../store.ts';
import { READY } from './picture.tsx';
import css from './frame.module.css';

const THEMES: Theme[] = ['light', 'dark', 'projector'];

export function TopBar() {
  const scene = useStore((s) => s.scene);
  const theme = useStore((s) => s.theme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % 3]!;
  const move = (event: React.KeyboardEvent, at: number): void => {
    const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    const to = (at + by + SCENES.length) % SCENES.length;
    show(SCENES[to]!.id);
    ((event.currentTarget.parentElement as HTMLElement).children[to] as HTMLElement).focus();
  };
  return (
    <header className={css.top}>
      <h1 className={css.brand}>
        <svg width="22" height="22" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2.4" aria-hidden="true"><path d="M3 3v18h18V3M8 6v10h8V6M12 6v5" /></svg>
        <span>Nestbox</span>
      </h1>
      <select className={css.scenes} aria-label="Scene" value={scene} onChange={(event) => show(event.target.value as SceneId)}>{SCENES.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}</select>
      <div className={css.tabs} role="tablist" aria-label="Scenes" id="scenes">
        {SCENES.map(({ id, name }, i) => (
          <button key={id} type="button" role="tab" aria-selected={scene === id} aria-label={`${i + 1} ${name}`} tabIndex={scene === id ? 0 : -1} ref={(tab) => { if (scene === id) tab?.scrollIntoView({ block: 'nearest', inline: 'nearest' }); }} className={READY.has(id) ? '' : css.later}
            onClick={() => show(id)} onKeyDown={(event) => move(event, i)}><span>{i + 1}</span><b className={css.name} style={{ fontWeight: 'inherit' }}>{name}</b></button>
        ))}
      </div>
      <div className={css.tools}>
        <button type="button" className={css.search} aria-label="Find anything, Ctrl K" onClick={() => set({ dialog: 'search' })}><Search size={15} aria-hidden="true" /><span>Find anything</span><kbd className={css.key}>Ctrl K</kbd></button>
        <button type="button" className={css.tool} aria-label="Share" title="Share" onClick={() => set({ dialog: 'share' })}><Share2 size={16} aria-hidden="true" /><span>Share</span></button>
        <button type="button" className={`${css.tool} ${css.wide}`} aria-label="Present" title="Present" onClick={() => set({ present: true })}><MonitorPlay size={16} aria-hidden="true" /><span>Present</span></button>
        <button type="button" className={css.tool} aria-label={`Theme: ${theme}. Change to ${next}`} title={`Theme: ${theme}`} onClick={() => setTheme(next)}><Contrast size={16} aria-hidden="true" /></button>
        <button type="button" className={`${css.tool} ${css.wide}`} aria-label="Keys and help" title="Keys and help ( ? )" onClick={() => set({ dialog: 'help' })}><CircleHelp size={16} aria-hidden="true" /></button>
      </div>
    </header>
  );
}
