/** The terminals of the host, one a tab. The emulator itself is loaded when the panel is first shown. */
import { FilePlus2, PanelBottom } from 'lucide-react';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { pickFile } from '../frame/dialogs.tsx';
import frame from '../frame/frame.module.css';
import { clock } from '../format.ts';
import { OutcomeMark } from '../parts/marks.tsx';
import { partsCss } from '../parts/parts.tsx';
import type { ContainerRow, NodeRow, PodRow, VmRow } from '../../bridge/rows.ts';
import { GLANCE, useRows } from '../bridge/client.ts';
import { act } from '../session/session.ts';
import { set, useStore } from '../store.ts';
import { isAlive, onArrival, textOf } from './buffers.ts';

const TTYS = ['tty1', 'tty2', 'tty3', 'tty4'];

export function TerminalPanel() {
  const tty = useStore((s) => s.tty);
  const folded = useStore((s) => s.terminalFolded);
  const height = useStore((s) => s.terminalHeight);
  const behind = useStore((s) => (s.ready && s.seeking === null && s.t < s.end - 1 && !s.running ? s.end - s.t : 0));
  const ready = useStore((s) => s.ready);
  const spoken = useSyncExternalStore(onArrival, () => textOf(tty) !== '');
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (ready && !isAlive(tty) && useStore.getState().t >= useStore.getState().end) void act({ do: 'open', tty });
  }, [ready, tty]);
  useEffect(() => {
    if (folded) return;
    let close = (): void => {};
    let gone = false;
    void import('./screen.ts').then(({ openScreen }) => { if (!gone && box.current) close = openScreen(box.current, tty); });
    return () => { gone = true; close(); };
  }, [tty, folded]);
  const choose = (name: string): void => set({ tty: name, terminalFolded: false });
  return (
    <section className={frame.terminal} id="terminal" aria-label="Terminal" style={{ height: folded ? 29 : height }} tabIndex={-1}>
      <div className={frame.termTabs}>
        <div role="tablist" aria-label="Terminals" style={{ display: 'flex' }}>
          {TTYS.map((name, i) => <button key={name} type="button" role="tab" aria-selected={name === tty} tabIndex={name === tty ? 0 : -1} onClick={() => choose(name)} onKeyDown={(e) => {
            const by = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? 3 : 0;
            if (by === 0) return;
            const to = (i + by) % 4;
            choose(TTYS[to]!);
            (e.currentTarget.parentElement!.children[to] as HTMLElement).focus();
          }}>{i === 0 ? 'host tty1' : name}</button>)}
        </div>
        <div className={frame.right}>
          <button type="button" className={partsCss.icon} aria-label="Put a file into the lab" title="Put a file into /root/uploads" onClick={pickFile}><FilePlus2 size={15} aria-hidden="true" /></button>
          <button type="button" className={partsCss.icon} aria-label={folded ? 'Unfold the terminal' : 'Fold the terminal'} onClick={() => set({ terminalFolded: !folded })}><PanelBottom size={15} aria-hidden="true" /></button>
        </div>
      </div>
      {behind > 0 && !folded ? <div className={frame.past}><OutcomeMark outcome="warn" size={12} />You look at the past, {clock(behind)} s before the end. What you type here drops what came after.</div> : null}
      {folded ? null : <div className={frame.screen}><div className={frame.glass} ref={box} /><Names />{spoken ? null : <div className={frame.wait} role="status">{ready ? 'waiting for a prompt…' : 'the lab is starting…'}</div>}</div>}
    </section>
  );
}

/** Keeps the rows at hand whose names are links in the terminal, whatever picture is shown. */
function Names() {
  useRows<VmRow>('vms');
  useRows<ContainerRow>('containers');
  useRows<NodeRow>('nodes', GLANCE);
  useRows<PodRow>('pods', GLANCE);
  return null;
}
