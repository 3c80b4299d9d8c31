/** One kernel: the same processes as host and container see them, the tree of control groups with its walls, the layers. */
import { linkHorizontal } from 'd3-shape';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { CgroupHistoryRow, CgroupRow, ContainerRow, HostRow, OverlayRow, ProcessRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { Frame } from '../frame/panel.tsx';
import { limit, mib, size } from '../format.ts';
import { OutcomeMark, RoleMark } from '../parts/marks.tsx';
import { Empty, RowsTable } from '../parts/parts.tsx';
import { select, set, useStore } from '../store.ts';
import { Gauge } from './gauge.tsx';
import { draw } from './memory-chart.ts';
import css from './pictures.module.css';

const MODES = [['all', 'Everything'], ['processes', 'Namespaces'], ['cgroups', 'Control groups'], ['overlay', 'Overlay']] as const;
const HOST = 'lab';
const ROW = 20;

export function Containers() {
  const host = HOST;
  const hosts = useRows<HostRow>('hosts');
  const containers = useRows<ContainerRow>('containers', { host });
  const processes = useRows<ProcessRow>('processes', { host });
  const cgroups = useRows<CgroupRow>('cgroups', { host });
  const mode = useStore((s) => s.mode.containers ?? 'all');
  const selection = useStore((s) => s.selection);
  const chosen = containers.find((one) => selection?.kind === 'container' && one.id === selection.id) ?? containers.find((one) => one.running) ?? containers[containers.length - 1];
  const overlay = useRows<OverlayRow>('overlay', chosen ? { host, container: chosen.id } : null);
  const machine = hosts.find((one) => one.name === host);
  const is = (part: string): boolean => mode === 'all' || mode === part;
  return (
    <Frame title="Containers" modes={MODES} mode={mode} onMode={(next) => set((s) => ({ mode: { ...s.mode, containers: next } }))}
      facts={<><span>host <b>{host}</b></span><span>one kernel, {containers.filter((one) => one.running).length} of {containers.length} containers run</span></>}
      twin={<>{is('processes') ? <RowsTable title="Processes" rows={processes} /> : null}{is('cgroups') ? <RowsTable title="Control groups" rows={cgroups} /> : null}<RowsTable title="Containers" rows={containers} />{is('overlay') ? <RowsTable title="Overlay" rows={overlay} /> : null}</>}>
      {containers.length === 0 && mode !== 'cgroups' ? <Empty title="No container has run yet" line="docker run --name hog -m 64m busybox tail /dev/zero">A box with its own view of the processes appears here, its control group in the tree below. On the host:</Empty> : null}
      {is('processes') ? <Processes processes={processes} containers={containers} /> : null}
      <div className={mode === 'all' && containers.length > 0 ? css.two : ''} style={mode === 'all' ? { borderTop: 'var(--border)', gap: 0 } : undefined}>
        {is('cgroups') ? <Groups cgroups={cgroups} containers={containers} machine={machine} host={host} /> : null}
        {is('overlay') && chosen ? <Overlay rows={overlay} container={chosen} /> : null}
      </div>
    </Frame>
  );
}

function useWidth(): [number, React.RefCallback<HTMLElement>] {
  const [width, setWidth] = useState(640);
  const ref = useCallback((box: HTMLElement | null) => {
    if (!box) return;
    const observer = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  return [width, ref];
}

interface Placed { process: ProcessRow; y: number }
function Processes({ processes, containers }: { processes: ProcessRow[]; containers: ContainerRow[] }) {
  const selection = useStore((s) => s.selection);
  const [width, ref] = useWidth();
  const [unfolded, unfold] = useState(false);
  const ended = processes.filter((one) => one.exit !== null && !matters(one));
  const shown = processes.filter((one) => one.exit === null || unfolded || matters(one)).slice(0, 300);
  const left: Placed[] = shown.map((process, i) => ({ process, y: i * ROW }));
  const boxes: { container: ContainerRow; y: number; inside: Placed[] }[] = [];
  let y = 0;
  const inSome = containers.filter((one) => one.running || shown.some((p) => p.container !== '' && same(p.container, one)));
  for (const container of inSome.slice(-24)) {
    const own = shown.filter((one) => one.container !== '' && same(one.container, container));
    const anchor = left.find((one) => one.process === own[0]);
    const top = Math.max(y, (anchor?.y ?? y) - 26);
    boxes.push({ container, y: top, inside: own.map((process, i) => ({ process, y: top + 26 + i * ROW })) });
    y = top + 26 + Math.max(1, own.length) * ROW + 14;
  }
  const height = Math.max(left.length * ROW, y);
  const link = linkHorizontal<unknown, [number, number]>();
  const pick = (process: ProcessRow): void => select({ kind: 'process', id: String(process.pid), host: process.host });
  const isOn = (process: ProcessRow): boolean => selection?.kind === 'process' && selection.id === String(process.pid);
  return (
    <section className={css.block} aria-label="Processes">
      <div className={css.two}>
        <h3><RoleMark place="host-kernel" /> The host sees <small>pid, RSS MiB</small>{ended.length > 0 ? <button type="button" className={css.fold} aria-expanded={unfolded} onClick={() => unfold(!unfolded)}>{unfolded ? 'fold those that ended' : `${ended.length} more ended`}</button> : null}</h3>
        <h3 className={css.seesInside} style={{ paddingLeft: '8%' }}><RoleMark place="container" /> The container sees <small>its own pid namespace</small></h3>
      </div>
      <div className={css.procs} ref={ref} style={{ height }}>
        <svg className={css.links} width={width} height={height} aria-hidden="true">
          {boxes.flatMap(({ inside }) => inside.map(({ process, y: to }) => {
            const from = left.find((one) => one.process === process);
            if (!from) return null;
            const gone = process.exit !== null;
            return <g key={process.key}>
              <path d={link({ source: [width * 0.42 + 5, from.y + ROW / 2], target: [width * 0.52 - 6, to + ROW / 2] }) ?? ''} fill="none" stroke={process.killedBy ? 'var(--killed)' : 'var(--container)'} strokeWidth="1.5" strokeDasharray={gone ? '3 3' : undefined} />
              <rect x={width * 0.42 + 1} y={from.y + 7} width="6" height="6" fill="var(--host-kernel)" />
              <rect x={width * 0.52 - 9} y={to + 7} width="6" height="6" fill="var(--panel)" stroke="var(--container)" strokeWidth="1.5" />
            </g>;
          }))}
        </svg>
        {left.map(({ process, y: top }) => (
          <button type="button" key={process.key} title={process.args} className={`${css.proc} ${process.container ? css.inside : ''} ${process.killedBy ? css.dead : process.exit !== null ? css.ended : ''} ${isOn(process) ? css.on : ''}`} style={{ top }} onClick={() => pick(process)}>
            <span>{process.pid}</span><span className={css.cmd} style={{ paddingLeft: process.depth * 10 }}>{process.args || process.comm}</span>
            <span>{process.killedBy ? <>{killer(process)} <OutcomeMark outcome="killed" size={12} /></> : process.exit !== null ? `exit ${process.exit}` : (process.rss / 1024).toFixed(1)}</span>
          </button>
        ))}
        {boxes.map(({ container, y: top, inside }) => (
          <div key={container.key} className={`${css.box} ${container.running ? '' : css.ghostBox}`} style={{ top }}>
            <button type="button" style={{ width: '100%' }} onClick={() => select({ kind: 'container', id: container.id })}>
              <header><RoleMark place="container" /><b>{container.name}</b><code>{container.id.slice(0, 12)}</code><span>{container.oomKilled ? <><OutcomeMark outcome="killed" size={12} />OOM-killed, {container.exitCode}</> : container.running ? container.image : `exited ${container.exitCode ?? ''}`}</span></header>
            </button>
            {inside.length === 0 ? <div className={css.in}><span /><span className={css.cmd} style={{ color: 'var(--ink-3)' }}>no process {container.running ? 'here' : 'left'}</span></div> : null}
            {inside.map(({ process }) => (
              <button type="button" key={process.key} className={`${css.in} ${process.killedBy ? css.dead : process.exit !== null ? css.ended : ''}`} onClick={() => pick(process)}>
                <span>{process.nspid || ''}</span><span className={css.cmd}>{process.args || process.comm}</span><span>{process.killedBy ? <><OutcomeMark outcome="killed" size={12} /> SIGKILL</> : process.exit !== null ? `exit ${process.exit}` : ''}</span>
              </button>
            ))}
          </div>
        ))}
      </div>
    </section>
  );
}
/** Of those that ended, what is worth a row: killed for memory, or a container's own process that failed; not what runtimes leave behind. */
const matters = (one: ProcessRow): boolean => one.exit !== null && (one.killedBy === 'oom' || (one.container !== '' && one.exit !== 0 && !/^runc/.test(one.comm)));
const killer = (one: ProcessRow): string => (one.killedBy === 'oom' ? 'OOM' : /^\d+$/.test(one.killedBy) ? `by ${one.killedBy}` : one.killedBy);
const same = (name: string, one: ContainerRow): boolean => name === one.name || name === one.id || one.id.startsWith(name);

function Groups({ cgroups, containers, machine, host }: { cgroups: CgroupRow[]; containers: ContainerRow[]; machine: HostRow | undefined; host: string }) {
  const selection = useStore((s) => s.selection);
  const killed = [...cgroups].reverse().find((one) => one.oomKills > 0 && limit(one.max) !== null);
  const limited = [...cgroups].reverse().find((one) => limit(one.max) !== null);
  const chosen = cgroups.find((one) => selection?.kind === 'cgroup' && one.path === selection.id) ?? cgroups.find((one) => selection?.kind === 'container' && one.container !== '' && selection.id.startsWith(one.container)) ?? killed ?? limited ?? cgroups.find((one) => one.container !== '');
  const scale = machine?.memory || 1;
  return (
    <section className={`${css.block} ${css.groups}`} aria-label="Control groups">
      <div><h3><RoleMark place="host-kernel" /> Control groups <small>memory.current against memory.max</small></h3>
      <div className={css.tree}>
        {cgroups.slice(0, 400).map((one) => {
          const max = limit(one.max);
          const hit = max !== null && (one.oomKills > 0 || (one.current ?? 0) >= max * 0.999);
          const container = containers.find((c) => one.container !== '' && same(one.container, c));
          return (
            <button type="button" key={one.key} title={one.path} className={`${css.leaf} ${chosen?.path === one.path && selection?.kind === 'cgroup' ? css.on : ''}`} onClick={() => select({ kind: 'cgroup', id: one.path, host })}>
              <span className={css.name} style={{ paddingLeft: one.depth * 12 }}>{one.container ? <RoleMark place="container" /> : null}<span style={{ overflow: 'hidden', textOverflow: 'ellipsis' }}>{one.name === '' || one.path === '/' ? '/' : shorten(one.name)}</span>{container ? <b>{container.name}</b> : null}</span>
              {one.current === null ? <span style={{ gridColumn: '2 / 4', fontFamily: 'var(--font-text)' }}>keeps no account</span> : <>
                <Gauge value={one.current} max={max} high={limit(one.high)} scale={scale} place={one.container ? 'container' : 'host-kernel'} hit={hit} />
                <span className={`${css.amount} ${hit ? css.hit : ''}`}>{hit && one.oomKills > 0 ? <><OutcomeMark outcome="killed" size={11} /> </> : null}{mib(one.current)}{max !== null ? ` / ${mib(max)}` : ''}</span></>}
            </button>
          );
        })}
      </div>
      <div className={css.legend}><span>wall: memory.max at the full width</span><span>no wall: no limit, full width is the host’s {size(scale)}</span><span>MiB</span></div></div>
      {chosen ? <History cgroup={chosen} host={host} name={containers.find((c) => chosen.container !== '' && same(chosen.container, c))?.name ?? chosen.name} /> : null}
    </section>
  );
}
const shorten = (name: string): string => name.replace(/^(docker-)([0-9a-f]{6})[0-9a-f]{58}(\.scope)$/, '$1$2…$3');

function History({ cgroup, host, name }: { cgroup: CgroupRow; host: string; name: string }) {
  const rows = useRows<CgroupHistoryRow>('cgroup-history', { host, path: cgroup.path });
  const svg = useRef<SVGSVGElement>(null);
  const [width, ref] = useWidth();
  const max = limit(cgroup.max);
  useEffect(() => draw(svg.current!, rows, { width, max, now: cgroup.current ?? 0, killed: cgroup.oomKills > 0, refused: cgroup.eventsMax }), [rows, width, max, cgroup.current, cgroup.oomKills, cgroup.eventsMax]);
  return (
    <div className={css.history}>
      <h3>{shorten(name)} <small>memory over time</small></h3>
      <div style={{ marginTop: 4 }} ref={ref}><svg ref={svg} width="100%" height={rows.length > 0 ? 112 : 0} role="img" aria-label={`Memory of ${name} over time: ${rows.length} samples, now ${mib(cgroup.current ?? 0)} MiB, ${cgroup.eventsMax} charges refused, ${cgroup.oomKills} killed`} /></div>
      {rows.length === 0 ? <small>no sample yet</small> : null}
    </div>
  );
}

function Overlay({ rows, container }: { rows: OverlayRow[]; container: ContainerRow }) {
  const [width, ref] = useWidth();
  const paths = [...new Set(rows.map((row) => row.path))].sort((a, b) => weight(rows, b) - weight(rows, a) || (a < b ? -1 : 1)).slice(0, Math.max(3, Math.floor((width - 110) / 84)));
  const layers = [...new Map(rows.map((row) => [row.layer, row.layerName])).entries()].sort((a, b) => a[0] - b[0]);
  return (
    <section className={css.block} aria-label="Overlay" style={{ borderTop: 0 }} ref={ref}>
      <h3><RoleMark place="container" /> Overlay of {container.name} <small>look down: the first cell that is not empty wins</small></h3>
      {rows.length === 0 ? <p style={{ color: 'var(--ink-2)', marginTop: 8 }}>Nothing of its layers was changed yet. Write a file in the container, and the copy-up shows here.</p> : (
        <table className={css.overlay}>
          <thead><tr><th style={{ width: 110 }}><span className="sr">layer</span></th>{paths.map((path) => <th key={path} scope="col" title={path}><b>{path.split('/').pop() || '/'}</b>{path.slice(0, path.lastIndexOf('/')) || '/'}</th>)}</tr></thead>
          <tbody>
            <tr><th scope="row"><b>merged</b>what it sees</th>{paths.map((path) => {
              const top = rows.filter((row) => row.path === path).sort((a, b) => a.layer - b.layer)[0];
              return <td key={path}>{top?.kind.includes('whiteout') ? <span style={{ color: 'var(--ink-2)' }}>ENOENT</span> : <span className={css.layMerged}>{top?.kind === 'dir' || top?.kind === 'directory' ? 'dir' : size(top?.size ?? 0)}</span>}</td>;
            })}</tr>
            {layers.map(([layer, name]) => (
              <tr key={layer}><th scope="row" title={name}><b>{layer === 0 ? 'upper' : `lower ${layer}`}</b>{layer === 0 ? 'writable' : name.slice(0, 18)}</th>{paths.map((path) => {
                const row = rows.find((one) => one.path === path && one.layer === layer);
                const top = Math.min(...rows.filter((one) => one.path === path).map((one) => one.layer));
                if (!row) return <td key={path} className={layer < top ? css.sight : ''} />;
                const out = row.kind.includes('whiteout');
                const folder = row.kind === 'dir' || row.kind === 'directory';
                return <td key={path}><span className={out ? css.layOut : !row.visible ? css.layHidden : folder ? css.layMerged : css.layTop} title={`${path}: ${row.kind}`}>{out ? '✕ c 0 0' : row.copiedUp ? `${size(row.size)} ↑` : folder ? 'dir' : size(row.size)}</span></td>;
              })}</tr>
            ))}
          </tbody>
        </table>
      )}
      <div className={css.legend}>
        <span><i className={`${css.swatch} ${css.layTop}`} />what is seen</span><span><i className={`${css.swatch} ${css.layHidden}`} style={{ border: '1.5px solid' }} />hidden by the one above</span>
        {rows.some((row) => /^dir/.test(row.kind)) ? <span><i className={`${css.swatch} ${css.layMerged}`} style={{ border: '1.5px solid' }} />directories of all layers are merged</span> : null}
        {rows.some((row) => row.copiedUp) ? <span>↑ copied up from below when it was first written</span> : null}
        {rows.some((row) => row.kind.includes('whiteout')) ? <span>✕ whiteout: deleted here, still below</span> : null}
      </div>
    </section>
  );
}
const weight = (rows: OverlayRow[], path: string): number => rows.filter((row) => row.path === path).reduce((n, row) => n + (row.layer === 0 ? 10 : 1) + (/^dir/.test(row.kind) ? 0 : 4) + (row.copiedUp ? 10 : 0) + (row.kind.includes('whiteout') ? 10 : 0), 0);
