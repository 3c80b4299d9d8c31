/** The tree of control groups with one resource at a time against its limit; beside it the chosen group over time. */
import { useEffect, useMemo, useRef, useState } from 'react';
import type { CgroupCpuRow, CgroupHistoryRow, CgroupResourceRow, CgroupRow, ContainerRow, HostRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, limit, mib, seconds, size } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Segments } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { draw as drawCpu } from './cpu-chart.ts';
import { Gauge } from './gauge.tsx';
import { draw as drawMemory } from './memory-chart.ts';
import { HOST, same, shorten } from './names.ts';
import { Pressure } from './pressure.tsx';
import { useSight, useWidth } from './size.ts';
import css from './containers.module.css';

type Resource = 'memory' | 'cpu' | 'io' | 'pids' | 'pressure';
const RESOURCES = [['memory', 'Memory'], ['cpu', 'CPU'], ['io', 'I/O'], ['pids', 'pids'], ['pressure', 'Pressure']] as const;
const SAYS: Record<Resource, string> = {
  memory: 'memory.current against memory.max', cpu: 'what it uses now, what its weight and quota give', io: 'read and written since it was made', pids: 'pids.current against pids.max', pressure: 'time lost by waiting, since it was made',
};
const ROW = 24;

export interface Group { row: CgroupRow; more: CgroupResourceRow | undefined; container: ContainerRow | undefined }

export function Groups({ cgroups, containers, machine, brief }: { cgroups: CgroupRow[]; containers: ContainerRow[]; machine: HostRow | undefined; brief: boolean }) {
  const selection = useStore((s) => s.selection);
  const [resource, choose] = useState<Resource>('memory');
  const [sight, sightRef] = useSight();
  const resources = useRows<CgroupResourceRow>('cgroup-resources', { host: HOST });
  const groups = useMemo(() => {
    const more = new Map(resources.map((one) => [one.path, one]));
    return cgroups.map((row): Group => ({ row, more: more.get(row.path), container: row.container === '' ? undefined : containers.find((one) => same(row.container, one)) }));
  }, [cgroups, resources, containers]);
  const chosen = chosenOf(groups, selection?.kind === 'cgroup' || selection?.kind === 'container' ? selection : null, resource);
  const shown = brief && groups.length > 24 ? briefly(groups, chosen) : groups;
  const scales = scalesOf(groups, machine?.memory ?? 1);
  const scrolls = shown.length > 26;
  return (
    <section className={`${css.block} ${css.groups}`} aria-label="Control groups">
      <div>
        <h3><RoleMark place="host-kernel" /> Control groups <small>{SAYS[resource]}</small></h3>
        <div className={css.choice}><Segments label="Resource" value={resource} options={RESOURCES} onChange={choose} /></div>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls when there are many */}
        <section ref={sightRef} className={scrolls ? css.scrolls : ''} tabIndex={scrolls ? 0 : undefined} aria-label={scrolls ? `${shown.length} control groups` : undefined}>
          <div className={css.tree} style={{ height: shown.length * ROW }}>
            {shown.map((one, i) => (i * ROW > sight.bottom || (i + 1) * ROW < sight.top ? null : (
              <button type="button" key={one.row.key} title={one.row.path} style={{ top: i * ROW }} className={`${css.leaf} ${chosen === one && selection?.kind === 'cgroup' ? css.on : ''}`} aria-pressed={chosen === one && selection?.kind === 'cgroup'} onClick={() => select({ kind: 'cgroup', id: one.row.path, host: HOST })}>
                <span className={css.name} style={{ paddingLeft: Math.min(one.row.depth, 6) * 12 }}>{one.row.container ? <RoleMark place="container" /> : null}<span>{one.row.path === '/' ? '/' : shorten(one.row.name)}</span>{one.container ? <b>{one.container.name}</b> : null}</span>
                <Leaf group={one} resource={resource} scales={scales} />
              </button>
            )))}
          </div>
        </section>
        {shown.length < groups.length ? <p className={css.note}>{groups.length - shown.length} more groups are in Control groups.</p> : null}
        <Legend resource={resource} scales={scales} cpus={machine?.cpus ?? 1} />
      </div>
      {chosen ? <div className={css.history}>{resource === 'pressure' ? <Pressure group={chosen} /> : resource === 'cpu' ? <CpuHistory group={chosen} /> : <MemoryHistory group={chosen} />}</div> : null}
    </section>
  );
}

function chosenOf(groups: Group[], selection: { kind: string; id: string } | null, resource: Resource): Group | undefined {
  const telling = (one: Group): boolean => (resource === 'cpu' ? (one.more?.throttled ?? 0) > 0 : one.row.oomKills > 0 && limit(one.row.max) !== null);
  const limited = (one: Group): boolean => (resource === 'cpu' ? one.more?.quota !== null && one.more !== undefined : limit(one.row.max) !== null);
  const back = [...groups].reverse();
  return groups.find((one) => selection?.kind === 'cgroup' && one.row.path === selection.id) ?? groups.find((one) => selection?.kind === 'container' && one.row.container !== '' && selection.id.startsWith(one.row.container))
    ?? back.find(telling) ?? back.find(limited) ?? groups.find((one) => one.row.container !== '') ?? groups[0];
}

/** In the picture of everything: what holds something, the containers first that hit a limit, and the chosen one. */
function briefly(groups: Group[], chosen: Group | undefined): Group[] {
  const worth = groups.filter((one) => one.row.depth <= 1 || one === chosen || one.row.oomKills > 0 || (one.more?.throttled ?? 0) > 0 || (one.row.procs > 0 && one.row.container !== ''));
  const kept = new Set([...worth.filter((one) => one === chosen || one.row.depth <= 1), ...worth.filter((one) => one.row.oomKills > 0 || (one.more?.throttled ?? 0) > 0), ...worth].slice(0, 20));
  return groups.filter((one) => kept.has(one));
}

interface Scales { memory: number; io: number; pids: number; lost: number }
function scalesOf(groups: Group[], memory: number): Scales {
  const most = (of: (one: CgroupResourceRow) => number): number => Math.max(1, ...groups.map(({ row, more }) => (more && row.depth > 0 ? of(more) : 0)));
  return { memory, io: most((one) => one.rbytes + one.wbytes), pids: most((one) => one.pids), lost: most((one) => Math.max(one.cpuSome, one.memorySome, one.ioSome)) };
}

function Leaf({ group, resource, scales }: { group: Group; resource: Resource; scales: Scales }) {
  const { row, more } = group;
  const place = row.container ? 'container' : 'host-kernel';
  if (resource === 'memory') {
    if (row.current === null) return <span className={css.absent}>keeps no account</span>;
    const max = limit(row.max);
    const hit = max !== null && (row.oomKills > 0 || row.current >= max * 0.999);
    return (
      <><Gauge value={row.current} max={max} soft={limit(row.high)} scale={scales.memory} place={place} hit={hit} more={more?.swap ?? 0} />
        <span className={`${css.amount} ${hit ? css.hit : ''}`}>{row.oomKills > 0 && hit ? <><OutcomeMark outcome="killed" size={11} /> </> : null}{mib(row.current)}{max === null ? '' : ` / ${mib(max)}`}{more && more.swap > 0 ? ` + ${mib(more.swap)}` : ''}</span></>
    );
  }
  if (!more) return <span className={css.absent} />;
  if (resource === 'cpu') {
    const quota = more.quota === null ? null : more.quota / more.period;
    const hit = more.throttledNow || more.throttled > 0;
    return (
      <><Gauge value={more.recent} max={quota} soft={more.share * more.cpus} scale={more.cpus} place={place} hit={more.throttledNow} />
        <span className={`${css.amount} ${hit ? css.late : ''}`}>{hit ? <><OutcomeMark outcome="warn" size={11} /> </> : null}{more.recent.toFixed(2)}{quota === null ? '' : ` / ${quota.toFixed(2)}`}</span></>
    );
  }
  if (resource === 'pids') {
    if (row.pids === null) return <span className={css.absent}>keeps no account</span>;
    const max = limit(row.pidsMax);
    const hit = more.pidsEvents > 0;
    return <><Gauge value={row.pids} max={max} soft={null} scale={scales.pids} place={place} hit={hit} /><span className={`${css.amount} ${hit ? css.late : ''}`}>{hit ? <><OutcomeMark outcome="warn" size={11} /> </> : null}{count(row.pids)}{max === null ? '' : ` / ${count(max)}`}</span></>;
  }
  if (resource === 'io') {
    return <><Gauge value={more.rbytes} max={null} soft={null} scale={scales.io} place={place} hit={false} more={more.wbytes} /><span className={css.amount} title={more.ioMax}>{more.ioMax ? <><OutcomeMark outcome="warn" size={11} /> </> : null}{mib(more.rbytes)} + {mib(more.wbytes)}</span></>;
  }
  return (
    <><span className={css.three}>{([['cpu', more.cpuSome, more.cpuFull], ['memory', more.memorySome, more.memoryFull], ['io', more.ioSome, more.ioFull]] as const).map(([name, some, full]) => <Gauge key={name} value={full} max={null} soft={null} scale={scales.lost} place="trap" hit={false} more={Math.max(0, some - full)} />)}</span>
      <span className={css.amount}>{count((more.cpuSome + more.memorySome + more.ioSome) / 1000)} ms</span></>
  );
}

function Legend({ resource, scales, cpus }: { resource: Resource; scales: Scales; cpus: number }) {
  const wall = 'wall: the limit, at the full width';
  const says: Record<Resource, string[]> = {
    memory: [wall, 'dashed: memory.high, slows', `no wall: no limit, full width is the host’s ${size(scales.memory)}`, 'MiB'],
    cpu: ['wall: quota of cpu.max', 'dashed: what its weight gives it when all are busy', `no wall: no quota, full width is ${cpus} processors`, 'processors'],
    io: ['solid: read', 'pale: written', `full width ${size(scales.io)}`, 'MiB'],
    pids: [wall, `no wall: full width is ${count(scales.pids)}`],
    pressure: ['cpu, memory, io', 'solid: all tasks waited', 'pale: some did', `full width ${count(scales.lost / 1000)} ms`],
  };
  return <div className={css.legend}>{says[resource].map((one) => <span key={one}>{one}</span>)}</div>;
}

const titleOf = ({ row, container }: Group): string => container?.name ?? (row.path === '/' ? '/' : shorten(row.name));

function MemoryHistory({ group }: { group: Group }) {
  const { row } = group;
  const rows = useRows<CgroupHistoryRow>('cgroup-history', { host: HOST, path: row.path });
  const svg = useRef<SVGSVGElement>(null);
  const [width, ref] = useWidth();
  const max = limit(row.max);
  useEffect(() => drawMemory(svg.current!, rows, { width, max, now: row.current ?? 0, killed: row.oomKills > 0, refused: row.eventsMax }), [rows, width, max, row.current, row.oomKills, row.eventsMax]);
  return (
    <>
      <h3>{titleOf(group)} <small>memory over time</small></h3>
      <div ref={ref}><svg ref={svg} width="100%" height={rows.length > 0 ? 112 : 0} role="img" aria-label={`Memory of ${titleOf(group)} over time: ${rows.length} samples, now ${mib(row.current ?? 0)} MiB, ${row.eventsMax} charges refused, ${row.oomKills} killed`} /></div>
      {rows.length === 0 ? <p className={css.quiet}>No sample yet: one is taken when its memory has moved visibly.</p> : null}
    </>
  );
}

function CpuHistory({ group }: { group: Group }) {
  const { row, more } = group;
  const rows = useRows<CgroupCpuRow>('cgroup-cpu', { host: HOST, path: row.path });
  const svg = useRef<SVGSVGElement>(null);
  const [width, ref] = useWidth();
  const quota = more && more.quota !== null ? more.quota / more.period : null;
  useEffect(() => drawCpu(svg.current!, rows, { width, quota, cpus: more?.cpus ?? 1 }), [rows, width, quota, more?.cpus]);
  if (!more) return null;
  return (
    <>
      <h3>{titleOf(group)} <small>processor over time, newest at the right</small></h3>
      <div ref={ref}><svg ref={svg} width="100%" height={rows.length > 0 ? 128 : 0} role="img" aria-label={`Processor time of ${titleOf(group)}: ${rows.length} stretches, throttled in ${more.throttled} of ${more.periods} periods, ${seconds(more.throttledTime)} in all`} /></div>
      {rows.length === 0 ? <p className={css.quiet}>It has not run yet.</p> : null}
      <dl className={css.pairs}>
        <div><dt>used</dt><dd>{seconds(more.usage)}</dd></div>
        <div><dt>cpu.weight</dt><dd>{more.weight}, {(more.share * 100).toFixed(1)} % of the machine when all are busy</dd></div>
        <div><dt>cpu.max</dt><dd>{more.quota === null ? 'no quota' : `${count(more.quota)} of each ${count(more.period)} µs`}</dd></div>
        <div><dt>throttled</dt><dd>{more.quota === null ? 'never: nothing throttles it' : `${count(more.throttled)} of ${count(more.periods)} periods, ${seconds(more.throttledTime)}`}</dd></div>
      </dl>
    </>
  );
}
