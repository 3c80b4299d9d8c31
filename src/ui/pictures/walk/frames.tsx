/** Host-physical memory, a cell a frame: whose page lies there, or which table of the hypervisor's. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { FrameRow, WalkRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { big, count, size } from '../../format.ts';
import { Address, Empty } from '../../parts/parts.tsx';
import { useStore } from '../../store.ts';
import { drawFrames, frameAt, frameOf, layoutOf } from './frames-draw.ts';
import { argOf, type Machine } from './machine.ts';
import css from '../pictures.module.css';

const PAGE = 4096;

export function Frames({ vm, walk }: { vm: Machine; walk: WalkRow[] }) {
  const rows = useRows<FrameRow>('host-memory', argOf(vm));
  const theme = useStore((s) => s.theme);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(600);
  const [at, setAt] = useState(0);
  const ref = useCallback((box: HTMLElement | null) => {
    if (!box) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  const total = rows[0]?.total ?? 0;
  const walked = useMemo(() => new Set(walk.map((one) => Math.floor(Number(big(one.hpa)) / PAGE))), [walk]);
  const layout = useMemo(() => layoutOf(rows, total, width), [rows, total, width]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas takes the theme's colours when it is drawn
  useEffect(() => { if (canvas.current) drawFrames(canvas.current, { rows, total, width, layout, chosen: at, walked }); }, [rows, total, width, layout, at, walked, theme]);
  if (rows.length === 0) return <Empty title="No frame is taken yet">The machine has host memory as soon as its first page is loaded.</Empty>;
  const pages = (kind: string): number => rows.filter((row) => row.kind === kind).reduce((sum, row) => sum + row.pages, 0);
  const here = rows.find((row) => at >= frameOf(row) && at < frameOf(row) + row.pages);
  const offset = here ? at * PAGE - Number(big(here.hpa)) : 0;
  const gpa = here?.gpa ? `0x${(Number(big(here.gpa)) + offset).toString(16)}` : '';
  const said = here ? (here.kind === 'guest' ? `guest page ${gpa}` : here.kind === 'table' ? here.what : 'the hypervisor’s own') : 'free';
  const { columns } = layout;
  return (
    <div className={css.pad}>
      <p className={css.facts}><b>{count(pages('guest'))}</b> guest pages, <b>{count(pages('table'))}</b> tables, <b>{count(pages('other'))}</b> other, <b>{count(total - pages('guest') - pages('table') - pages('other'))}</b> free of {count(total)} frames ({size(total * PAGE)})</p>
      <div ref={ref}>
        <canvas ref={canvas} style={{ width: '100%', height: layout.height, display: 'block' }} role="slider" tabIndex={0} aria-label="Frames of host-physical memory" aria-valuemin={0} aria-valuemax={Math.max(0, total - 1)} aria-valuenow={at} aria-valuetext={`frame 0x${at.toString(16)}: ${said}`}
          onClick={(e) => setAt(Math.min(total - 1, frameAt(layout, e.nativeEvent.offsetX, e.nativeEvent.offsetY)))}
          onKeyDown={(e) => {
            const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -total, End: total }[e.key];
            if (by === undefined) return;
            e.preventDefault();
            setAt(Math.max(0, Math.min(total - 1, at + by)));
          }} />
      </div>
      <div className={css.frameLine}><Address value={`0x${(at * PAGE).toString(16)}`} space="hpa" tag /> <span>{here?.kind === 'guest' ? <>holds <Address value={gpa} space="gpa" tag /></> : said}</span></div>
      <div className={css.legend}>
        <span><i className={css.swatch} style={{ background: 'var(--gpa)' }} />guest page</span>
        <span><i className={css.swatch} style={{ background: 'repeating-linear-gradient(115deg, var(--hypervisor) 0 3px, var(--panel) 3px 5px)' }} />table of the hypervisor’s</span>
        <span><i className={css.swatch} style={{ background: 'var(--hardware)' }} />other</span>
        <span><i className={css.swatch} style={{ border: '1px solid var(--line-strong)' }} />free</span>
        <span><i className={css.swatch} style={{ outline: '2px solid var(--now)', outlineOffset: -2 }} />read by the walk</span>
      </div>
    </div>
  );
}
