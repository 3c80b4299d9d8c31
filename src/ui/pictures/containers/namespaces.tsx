/** All eight namespaces: of whom there is one, who shares which, and for the chosen task its pid at every level and its id maps. */
import { Fragment } from 'react';
import type { ContainerRow, IdMapRow, PidLevelRow, ProcessRow, TaskNamespaceRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { select, useStore } from '../../store.ts';
import { HOST, same } from './names.ts';
import css from './containers.module.css';

/** As /proc/PID/ns lists them, with the column of a process and what each keeps apart. */
export const TYPES = [
  ['cgroup', 'cgroupns', 'root of the group tree'], ['ipc', 'ipcns', 'message queues, shared memory'], ['mnt', 'mntns', 'mounts'], ['net', 'netns', 'devices, addresses, ports'],
  ['pid', 'pidns', 'process numbers'], ['time', 'timens', 'clock offsets'], ['user', 'userns', 'user ids, capabilities'], ['uts', 'utsns', 'host name'],
] as const;
const COLUMNS = 12;

/** The process that the lower part tells about: the chosen one, else the first of the chosen container, else init. */
export function taskFor(processes: readonly ProcessRow[], selected: string | null, chosen: ContainerRow | undefined): ProcessRow | undefined {
  const alive = processes.filter((one) => one.exit === null);
  return alive.find((one) => String(one.pid) === selected) ?? alive.find((one) => chosen?.running && one.pid === chosen.pid) ?? alive[0];
}

interface Column { key: string; name: string; process: ProcessRow; container: ContainerRow | null }

/** The host, each container, and who else has a namespace that neither has. */
function columnsOf(processes: readonly ProcessRow[], containers: readonly ContainerRow[]): Column[] {
  const alive = processes.filter((one) => one.exit === null);
  const host = alive[0];
  if (!host) return [];
  const found: Column[] = [{ key: 'host', name: 'host', process: host, container: null }];
  for (const container of containers) {
    const first = container.running ? alive.find((one) => one.pid === container.pid) : undefined;
    if (first) found.push({ key: container.id, name: container.name, process: first, container });
  }
  const known = new Set(found.map(({ process }) => signature(process)));
  for (const process of alive) {
    if (process.container !== '' && containers.some((one) => same(process.container, one) && one.pid === process.pid)) continue;
    const own = signature(process);
    if (known.has(own)) continue;
    known.add(own);
    found.push({ key: String(process.pid), name: `${process.comm} ${process.pid}`, process, container: null });
  }
  return found;
}
const signature = (process: ProcessRow): string => TYPES.map(([, column]) => process[column]).join();

export function Namespaces({ processes, containers, chosen }: { processes: ProcessRow[]; containers: ContainerRow[]; chosen: ContainerRow | undefined }) {
  const selection = useStore((s) => s.selection);
  const task = taskFor(processes, selection?.kind === 'process' ? selection.id : null, chosen);
  const all = columnsOf(processes, containers);
  // The chosen task's column is always among those shown.
  const own = task ? all.findIndex(({ process }) => signature(process) === signature(task)) : -1;
  const shown = all.length > COLUMNS && own >= COLUMNS ? [...all.slice(0, COLUMNS - 1), all[own]!] : all.slice(0, COLUMNS);
  return (
    <>
      <section className={css.block} aria-label="Namespaces">
        <h3><RoleMark place="host-kernel" /> Who is in which <small>inode of each namespace; the same number is the same namespace</small></h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <section className={css.wide} tabIndex={0} aria-label="Namespaces by container">
          <table className={css.matrix}>
            <thead><tr><th scope="col"><span className="sr">namespace</span></th>{shown.map((one) => (
              <th key={one.key} scope="col"><button type="button" aria-pressed={shown.indexOf(one) === shown.findIndex((c) => task && signature(c.process) === signature(task))} onClick={() => select({ kind: 'process', id: String(one.process.pid), host: one.process.host })}>{one.container ? <RoleMark place="container" /> : <RoleMark place="host-kernel" />} {one.name}</button></th>
            ))}</tr></thead>
            <tbody>{TYPES.map(([type, column, holds]) => (
              <tr key={type}><th scope="row"><b>{type}</b><small>{holds}</small></th>{shown.map((one, i) => {
                const ino = one.process[column];
                const first = shown.findIndex((other) => other.process[column] === ino);
                return <td key={one.key}><span className={first === 0 ? css.nsHost : first < i ? css.nsShared : css.nsOwn} title={`${type}:[${ino}]`}>{i > 0 && first === 0 ? 'host’s' : first < i ? `${shown[first]!.name}’s` : ino}</span></td>;
              })}</tr>
            ))}</tbody>
          </table>
        </section>
        <div className={css.legend}>
          <span><i className={`${css.swatch} ${css.nsOwn}`} />its own</span><span><i className={`${css.swatch} ${css.nsShared}`} />shared with another</span><span><i className={`${css.swatch} ${css.nsHost}`} />the machine’s first</span>
          {all.length > shown.length ? <span>{all.length - shown.length} more: as a table</span> : null}
        </div>
      </section>
      {task ? <OfTask task={task} /> : null}
    </>
  );
}

function OfTask({ task }: { task: ProcessRow }) {
  const arg = { host: HOST, pid: task.pid };
  const rows = useRows<TaskNamespaceRow>('task-namespaces', arg);
  const levels = useRows<PidLevelRow>('pid-levels', arg);
  const maps = useRows<IdMapRow>('id-maps', arg);
  return (
    <section className={css.block} aria-label={`Namespaces of pid ${task.pid}`}>
      <h3><RoleMark place={task.container ? 'container' : 'host-kernel'} /> {task.comm} <small>pid {task.pid} on the host</small></h3>
      <div className={css.apart}>
        <div>
          <h4>One process, {levels.length === 1 ? 'one number' : `${levels.length} numbers`}</h4>
          <ol className={css.levels}>{levels.map((level) => (
            <li key={level.key}><span>level {level.level}</span><b>{level.pid}</b><small>{level.level === 0 ? 'the host' : `pid 1 there is ${level.initComm}`}, {count(level.processes)} processes in sight</small></li>
          ))}</ol>
          <h4>User ids</h4>
          <IdMaps maps={maps} />
        </div>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <section className={css.wide} tabIndex={0} aria-label="The eight links">
          <table className={css.plain}>
            <thead><tr><th scope="col">/proc/{task.pid}/ns</th><th scope="col">in it</th><th scope="col">with whom</th><th scope="col">holds</th></tr></thead>
            <tbody>{rows.map((row) => (
              <tr key={row.key}><td><span className={row.first ? css.zero : css.strong}>{row.link}</span></td><td className={css.num}>{row.processes}</td><td className={css.text}>{row.shared || 'nobody else'}</td><td className={css.text}>{row.says}</td></tr>
            ))}</tbody>
          </table>
        </section>
      </div>
    </section>
  );
}

/** A map as what it is: a stretch of ids inside, and the stretch outside that it stands for. */
function IdMaps({ maps }: { maps: IdMapRow[] }) {
  const spaces = [...new Set(maps.map((one) => one.ns))];
  if (maps.length === 0) return <p className={css.quiet}>No map is written: every id shows as 65534.</p>;
  return (
    <div className={css.maps}>{spaces.map((ns) => {
      const own = maps.filter((one) => one.ns === ns);
      return (
        <Fragment key={ns}>{own.map((one) => (
          <div key={one.key}><small>{one.kind}</small><code>{stretch(one.inside, one.count)}</code><i aria-hidden="true">→</i><code>{stretch(one.outside, one.count)}</code><small>{one.parent === 0 ? (one.count === 4294967295 ? 'the first user namespace: ids are what they are' : 'outside') : `in user:[${one.parent}]`}</small></div>
        ))}</Fragment>
      );
    })}</div>
  );
}
const stretch = (from: number, many: number): string => (many === 1 ? String(from) : `${from}–${from + many - 1}`);
