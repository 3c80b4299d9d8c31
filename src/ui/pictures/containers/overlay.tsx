/** A stack of layers beside its merged view: which name comes from where, what hides what; what happened to it, in order. */
import { ChevronRight } from 'lucide-react';
import { useState } from 'react';
import type { ContainerRow, OverlayEventRow, OverlayListRow, OverlayRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { seconds, size } from '../../format.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { seek } from '../../session/session.ts';
import { select, useStore } from '../../store.ts';
import { HOST, parts } from './names.ts';
import { useMotion, useWidth } from './size.ts';
import css from './containers.module.css';

const LABEL = 118;
const CELL = 88;

export function Overlay({ chosen, brief }: { chosen: ContainerRow | undefined; brief: boolean }) {
  const stacks = useRows<OverlayListRow>('overlays', { host: HOST });
  const [asked, ask] = useState<string | null>(null);
  const [dir, go] = useState('');
  const stack = stacks.find((one) => one.id === asked) ?? stacks.find((one) => one.id === chosen?.id) ?? stacks[stacks.length - 1];
  const rows = useRows<OverlayRow>(stack ? 'overlay' : null, { host: HOST, container: stack?.id ?? '', dir });
  const events = useRows<OverlayEventRow>(stack && !stack.id.startsWith('mount:') ? 'overlay-events' : null, { host: HOST, container: stack?.id ?? '' });
  const byHand = useRows<OverlayEventRow>(stack?.id.startsWith('mount:') ? 'overlay-events' : null, { host: HOST });
  const own = stack?.id.startsWith('mount:') ? byHand.filter((one) => stack.upper !== '' && (one.upper === stack.upper || one.upper.startsWith(`${stack.upper}/`))) : events;
  if (!stack) return null;
  return (
    <section className={css.block} aria-label="Overlay">
      <h3><RoleMark place="container" /> Overlay of {brief || stacks.length < 2 ? stack.name : (
        <select className={css.select} aria-label="Overlay of" value={stack.id} onChange={(e) => { ask(e.target.value); go(''); const one = e.target.value; if (!one.startsWith('mount:')) select({ kind: 'container', id: one }); }}>{stacks.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}</select>
      )} <small>look down: the first cell that is not empty wins</small></h3>
      {brief ? null : <Way dir={dir} go={go} />}
      {rows.length === 0 ? <p className={css.quiet}>{dir === '' ? 'Nothing of its layers was changed yet. Write a file in the container, and the copy-up shows here.' : 'No layer has a name in this directory.'}</p> : <Stack rows={rows} events={own} go={brief ? null : go} />}
      <Legend rows={rows} />
      {brief ? null : <Events events={own} name={stack.name} />}
    </section>
  );
}

/** Where in the tree the picture looks: each part is a step back. */
function Way({ dir, go }: { dir: string; go: (dir: string) => void }) {
  const steps = dir.split('/').filter(Boolean);
  return (
    <nav className={css.way} aria-label="Directory">
      <button type="button" className={css.link} aria-current={dir === '' ? 'location' : undefined} onClick={() => go('')}>what it changed, and /</button>
      {steps.map((step, i) => <span key={steps.slice(0, i + 1).join('/')}><ChevronRight size={12} aria-hidden="true" /><button type="button" className={css.link} aria-current={i === steps.length - 1 ? 'location' : undefined} onClick={() => go(`/${steps.slice(0, i + 1).join('/')}`)}>{step}</button></span>)}
    </nav>
  );
}

const weight = (rows: OverlayRow[]): number => rows.reduce((n, row) => n + (row.layer === 0 ? 10 : 1) + (row.kind === 'dir' ? 0 : 4) + (row.copiedUp ? 10 : 0) + (row.kind === 'whiteout' ? 10 : 0) + (row.opaque ? 10 : 0), 0);

function Stack({ rows, events, go }: { rows: OverlayRow[]; events: OverlayEventRow[]; go: ((dir: string) => void) | null }) {
  const [width, ref] = useWidth();
  const [from, page] = useState(0);
  const speed = useStore((s) => s.speed);
  const moves = useMotion(speed);
  const byPath = new Map<string, OverlayRow[]>();
  for (const row of rows) byPath.set(row.path, [...(byPath.get(row.path) ?? []), row]);
  const paths = [...byPath.keys()].sort((a, b) => weight(byPath.get(b)!) - weight(byPath.get(a)!) || (a < b ? -1 : 1));
  const fit = Math.max(2, Math.floor((width - LABEL) / CELL));
  const start = Math.min(from, Math.max(0, paths.length - 1));
  const shown = paths.slice(start, start + fit);
  const layers = [...new Map(rows.map((row) => [row.layer, row.layerName])).entries()].sort((a, b) => a[0] - b[0]);
  const newest = events[events.length - 1];
  return (
    <div ref={ref}>
      <table className={css.overlay}>
        <thead><tr><th style={{ width: LABEL }}><span className="sr">layer</span></th>{shown.map((path) => {
          const { dir, base } = parts(path);
          const folder = byPath.get(path)!.some((row) => row.kind === 'dir' && row.visible);
          return <th key={path} scope="col" title={path}><b>{folder && go ? <button type="button" className={css.link} onClick={() => go(path)}>{base}/</button> : base}</b>{dir}</th>;
        })}</tr></thead>
        <tbody>
          <tr><th scope="row"><b>merged</b>what it sees</th>{shown.map((path) => {
            const top = byPath.get(path)!.find((row) => row.visible);
            return <td key={path}>{top ? <span className={css.layMerged}>{top.kind === 'dir' ? 'dir' : size(top.size)}</span> : <span className={css.gone}>ENOENT</span>}</td>;
          })}</tr>
          {layers.map(([layer, name]) => (
            <tr key={layer}><th scope="row" title={name}><b>{layer === 0 ? 'upper' : `lower ${layer}`}</b>{layer === 0 ? 'writable' : name.length > 18 ? `…${name.slice(-17)}` : name}</th>{shown.map((path) => {
              const own = byPath.get(path)!;
              const row = own.find((one) => one.layer === layer);
              const top = own[0]!.layer;
              const rises = row?.copiedUp ? (own.find((one) => one.layer > 0)?.layer ?? 0) : 0;
              if (!row) return <td key={path} className={layer < top ? css.sight : own[0]!.copiedUp && layer < (own[1]?.layer ?? 0) ? css.rose : ''} />;
              return <td key={path}><Cell row={row} rises={moves && rises > 0 && newest?.path === path ? rises : 0} /></td>;
            })}</tr>
          ))}
        </tbody>
      </table>
      {paths.length > fit ? <p className={css.note}>{start + 1} to {Math.min(paths.length, start + fit)} of {paths.length} names <button type="button" className={css.link} disabled={start === 0} onClick={() => page(Math.max(0, start - fit))}>before</button> <button type="button" className={css.link} disabled={start + fit >= paths.length} onClick={() => page(start + fit)}>after</button></p> : null}
    </div>
  );
}

function Cell({ row, rises }: { row: OverlayRow; rises: number }) {
  const says = row.kind === 'whiteout' ? 'whiteout' : `${row.kind}${row.opaque ? ', opaque' : ''}${row.copiedUp ? ', copied up' : ''}${row.visible ? '' : ', hidden'}`;
  const look = row.kind === 'whiteout' ? css.layOut : !row.visible ? css.layHidden : row.kind === 'dir' && !row.opaque ? css.layMerged : css.layTop;
  return (
    <span className={`${look} ${rises > 0 ? css.rises : ''}`} style={rises > 0 ? ({ '--rows': rises } as React.CSSProperties) : undefined} title={`${row.path}: ${says}`}>
      {row.kind === 'whiteout' ? '✕ c 0 0' : row.opaque ? 'dir ▮ opaque' : row.kind === 'dir' ? 'dir' : `${size(row.size)}${row.copiedUp ? ' ↑' : ''}`}
    </span>
  );
}

function Legend({ rows }: { rows: OverlayRow[] }) {
  return (
    <div className={css.legend}>
      <span><i className={`${css.swatch} ${css.layTop}`} />what is seen</span><span><i className={`${css.swatch} ${css.layHidden}`} />hidden by the one above</span>
      {rows.some((row) => row.kind === 'dir') ? <span><i className={`${css.swatch} ${css.layMerged}`} />directories of all layers are merged</span> : null}
      {rows.some((row) => row.copiedUp) ? <span>↑ copied up from below when it was first written</span> : null}
      {rows.some((row) => row.kind === 'whiteout') ? <span>✕ whiteout: deleted here, still below</span> : null}
      {rows.some((row) => row.opaque) ? <span>▮ opaque: nothing below shows through</span> : null}
    </div>
  );
}

const SAYS: Record<string, string> = { 'copied up': 'copied up before it was first changed', whiteout: 'deleted: a whiteout hides the one below', opaque: 'a new directory where one lay below: nothing shows through' };

function Events({ events, name }: { events: OverlayEventRow[]; name: string }) {
  return (
    <div className={css.happened}>
      <h4>What happened to its writable layer <small>newest first; each is a jump</small></h4>
      {events.length === 0 ? <p className={css.quiet}>Nothing yet: {name} has written over nothing that came from below.</p> : (
        <ol className={css.log}>{[...events].reverse().slice(0, 40).map((one) => (
          <li key={one.key}><button type="button" onClick={() => void seek(one.t)}><time>{seconds(one.t)}</time><b>{one.kind === 'copied up' ? '↑' : one.kind === 'whiteout' ? '✕' : '▮'} {one.path}</b><span>{one.what === 'dir' && one.kind === 'copied up' ? 'directory made above, to hold what changed in it' : SAYS[one.kind]}{one.size > 0 && one.what === 'file' ? `, ${size(one.size)}` : ''}</span></button></li>
        ))}</ol>
      )}
    </div>
  );
}
