/** The same processes seen from the host and from inside each container or pid namespace, joined across. */
import { linkHorizontal } from 'd3-shape';
import { memo, useMemo, useState } from 'react';
import type { ContainerRow, ProcessRow } from '../../../bridge/rows.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { select, set, useStore } from '../../store.ts';
import { type Box, layout, type Line, ROW } from './boxes.ts';
import { killer, matters, same } from './names.ts';
import { useSight, useWidth } from './size.ts';
import css from './containers.module.css';

/** Rows that the picture of everything gives to processes. */
const BRIEF = 26;

export function Processes({ processes, containers, brief, chosen }: { processes: ProcessRow[]; containers: ContainerRow[]; brief: boolean; chosen: ContainerRow | undefined }) {
  const selection = useStore((s) => s.selection);
  const [width, widthRef] = useWidth();
  const [sight, sightRef] = useSight();
  const [unfolded, unfold] = useState(false);
  const ended = processes.filter((one) => one.exit !== null && !matters(one));
  const worth = useMemo(() => processes.filter((one) => one.exit === null || unfolded || matters(one)), [processes, unfolded]);
  const shown = useMemo(() => (brief && worth.length > BRIEF ? telling(worth, containers, chosen) : worth), [brief, worth, containers, chosen]);
  const { left, boxes, height, at } = useMemo(() => layout(shown, containers.filter((one) => !brief || shown === worth || same(shown.find((p) => same(p.container, one))?.container ?? '', one))), [shown, containers, brief, worth]);
  const on = selection?.kind === 'process' ? selection.id : '';
  const seen = (y: number, tall: number): boolean => y + tall >= sight.top && y <= sight.bottom;
  const scrolls = height > 30 * ROW;
  return (
    <section className={css.block} aria-label="Processes">
      <div className={css.two}>
        <h3><RoleMark place="host-kernel" /> The host sees <small>RSS in MiB</small>{ended.length > 0 ? <button type="button" className={css.fold} aria-expanded={unfolded} onClick={() => unfold(!unfolded)}>{unfolded ? 'fold the ended' : `+ ${ended.length} ended`}</button> : null}</h3>
        <h3 className={css.seesInside}><RoleMark place="container" /> The container sees <small>its own pid namespace</small></h3>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls when there are many */}
      <section className={scrolls ? css.scrolls : ''} ref={sightRef} tabIndex={scrolls ? 0 : undefined} aria-label={scrolls ? `${left.length} processes` : undefined}>
        <div className={css.procs} ref={widthRef} style={{ height }}>
          <Wires boxes={boxes} at={at} width={width} height={height} top={sight.top} bottom={sight.bottom} />
          {left.map(({ process, y }) => (seen(y, ROW) ? <HostLine key={process.key} process={process} y={y} on={on === String(process.pid)} /> : null))}
          {boxes.map((box) => (seen(box.y, box.height) ? <BoxOf key={box.key} box={box} on={on} chosen={selection?.kind === 'container' && box.container?.id === selection.id} /> : null))}
        </div>
      </section>
      {shown.length < worth.length ? <p className={css.note}>{worth.length - shown.length} more processes are in <button type="button" className={css.link} onClick={() => set((s) => ({ mode: { ...s.mode, containers: 'processes' } }))}>Namespaces</button>.</p> : null}
    </section>
  );
}

/** Too many for a glance: the chosen container and the newest two others, with those above them on the host. */
function telling(worth: ProcessRow[], containers: readonly ContainerRow[], chosen: ContainerRow | undefined): ProcessRow[] {
  const told = [chosen, ...containers.filter((one) => one.running && one !== chosen).slice(-2)].filter((one) => one !== undefined);
  const byPid = new Map(worth.map((one) => [one.pid, one]));
  const kept = new Set<ProcessRow>();
  for (const process of worth) {
    if (!told.some((one) => same(process.container, one)) || kept.size > BRIEF) continue;
    for (let at: ProcessRow | undefined = process; at; at = byPid.get(at.ppid)) kept.add(at);
  }
  return kept.size === 0 ? worth.slice(0, BRIEF) : worth.filter((one) => kept.has(one));
}

const pick = (process: ProcessRow): void => select({ kind: 'process', id: String(process.pid), host: process.host });
const link = linkHorizontal<unknown, [number, number]>();

const Wires = memo(function Wires({ boxes, at, width, height, top, bottom }: { boxes: Box[]; at: ReadonlyMap<ProcessRow, number>; width: number; height: number; top: number; bottom: number }) {
  const lines = boxes.flatMap((box) => box.lines).filter((line) => { const from = at.get(line.process) ?? line.y; return Math.max(from, line.y) >= top && Math.min(from, line.y) <= bottom; });
  return (
    <svg className={css.links} width={width} height={height} aria-hidden="true">
      {lines.map(({ process, y }) => {
        const from = at.get(process);
        if (from === undefined) return null;
        return (
          <g key={process.key}>
            <path d={link({ source: [width * 0.42 + 5, from + ROW / 2], target: [width * 0.52 - 6, y + ROW / 2] }) ?? ''} fill="none" stroke={process.killedBy ? 'var(--killed)' : 'var(--container)'} strokeWidth="1.5" strokeDasharray={process.exit === null ? undefined : '3 3'} />
            <rect x={width * 0.42 + 1} y={from + 7} width="6" height="6" fill="var(--host-kernel)" />
            <rect x={width * 0.52 - 9} y={y + 7} width="6" height="6" fill="var(--panel)" stroke="var(--container)" strokeWidth="1.5" />
          </g>
        );
      })}
    </svg>
  );
});

const tone = (process: ProcessRow): string => (process.killedBy ? css.dead : process.exit === null ? '' : css.ended) ?? '';

function HostLine({ process, y, on }: { process: ProcessRow; y: number; on: boolean }) {
  return (
    <button type="button" title={process.args} className={`${css.proc} ${process.container ? css.inside : ''} ${tone(process)} ${on ? css.on : ''}`} style={{ top: y }} aria-pressed={on} onClick={() => pick(process)}>
      <span>{process.pid}</span><span className={css.cmd} style={{ paddingLeft: Math.min(process.depth, 8) * 10 }}>{process.args || process.comm}</span>
      <span>{process.killedBy ? <>{killer(process)} <OutcomeMark outcome="killed" size={12} /></> : process.exit === null ? (process.rss / 1024).toFixed(1) : `exit ${process.exit}`}</span>
    </button>
  );
}

function BoxOf({ box, on, chosen }: { box: Box; on: string; chosen: boolean }) {
  const { container } = box;
  const head = <><RoleMark place="container" /><b>{box.name}</b><code>{box.id}</code><span>{box.shares ? 'sees the host’s processes' : container ? stateOf(container) : 'made by hand'}</span></>;
  return (
    <div className={`${css.box} ${container && !container.running ? css.ghostBox : ''} ${chosen ? css.on : ''}`} style={{ top: box.y }}>
      {container ? <button type="button" className={css.boxHead} aria-pressed={chosen} onClick={() => select({ kind: 'container', id: container.id })}>{head}</button> : <div className={css.boxHead}>{head}</div>}
      {box.lines.length === 0 ? <div className={css.in}><span /><span className={css.cmd}>no process {container?.running ? 'here' : 'left'}</span></div> : null}
      {box.lines.map((line) => <InsideLine key={line.process.key} line={line} on={on === String(line.process.pid)} />)}
    </div>
  );
}

const stateOf = (one: ContainerRow): React.ReactNode => (one.oomKilled ? <><OutcomeMark outcome="killed" size={12} />OOM-killed, {one.exitCode}</> : one.running ? (one.status === 'running' ? one.image : one.status) : `exited ${one.exitCode ?? ''}`);

function InsideLine({ line, on }: { line: Line; on: boolean }) {
  const { process, pids, deeper } = line;
  return (
    <button type="button" className={`${css.in} ${deeper > 0 ? css.nested : ''} ${tone(process)} ${on ? css.on : ''}`} style={deeper > 0 ? { paddingLeft: 8 + deeper * 10 } : undefined} aria-pressed={on} onClick={() => pick(process)}>
      <span>{pids.join('▸')}</span>
      <span className={css.cmd}>{process.args || process.comm}</span>
      <span>{process.killedBy ? <><OutcomeMark outcome="killed" size={12} /> SIGKILL</> : process.exit === null ? '' : `exit ${process.exit}`}</span>
    </button>
  );
}
