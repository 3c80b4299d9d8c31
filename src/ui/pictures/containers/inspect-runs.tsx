/** The inspector of what runs: a process, a container, a control group. */
import type { CgroupResourceRow, CgroupRow, ContainerRow, OomRow, PidLevelRow, ProcessRow, SyscallRow, TaskNamespaceRow, WhyRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { Gone, Panel, Part } from '../../frame/inspected.tsx';
import frame from '../../frame/inspector.module.css';
import { Why } from '../../frame/why.tsx';
import { count, limit, mib, seconds, size } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Facts } from '../../parts/parts.tsx';
import { select, set } from '../../store.ts';
import { Files } from './file-text.tsx';
import { same, shorten } from './names.ts';
import css from './containers.module.css';

const PROC = ['status', 'ns', 'cgroup', 'uid_map', 'gid_map', 'mountinfo', 'mounts', 'limits', 'oom_score', 'oom_score_adj', 'stat', 'smaps_rollup', 'maps'];
const CGROUP: Record<string, string[]> = {
  '': ['cgroup.procs', 'cgroup.events', 'cgroup.controllers', 'cgroup.subtree_control', 'cgroup.stat', 'cpu.stat', 'cpu.pressure', 'memory.pressure', 'io.pressure'],
  memory: ['memory.events', 'memory.stat', 'memory.current', 'memory.peak', 'memory.max', 'memory.high', 'memory.low', 'memory.min', 'memory.swap.current', 'memory.swap.max', 'memory.oom.group'],
  cpu: ['cpu.max', 'cpu.weight', 'cpu.idle'], io: ['io.max', 'io.stat', 'io.weight'], pids: ['pids.current', 'pids.max', 'pids.events', 'pids.peak'], cpuset: ['cpuset.cpus', 'cpuset.cpus.effective'],
};
const toMode = (mode: string): void => set((s) => ({ mode: { ...s.mode, containers: mode }, asTable: false }));
const Go = ({ children, to }: { children: React.ReactNode; to: () => void }) => <button type="button" className={css.link} onClick={to}>{children}</button>;

export function Process({ pid, host }: { pid: string; host: string }) {
  const row = useRows<ProcessRow>('processes', { host }).find((one) => String(one.pid) === pid);
  const alive = row !== undefined && row.exit === null;
  const spaces = useRows<TaskNamespaceRow>(alive ? 'task-namespaces' : null, { host, pid: Number(pid) });
  const levels = useRows<PidLevelRow>(alive ? 'pid-levels' : null, { host, pid: Number(pid) });
  const refused = useRows<WhyRow>('why', { kind: 'refusal', id: pid });
  const calls = useRows<SyscallRow>(row ? 'syscalls' : null, { host, pid: Number(pid) });
  const chosen = useRows<OomRow>('oom', { host }).filter((one) => String(one.pid) === pid).at(-1);
  if (!row) return <Gone what={`pid ${pid}`} />;
  return (
    <Panel title={<>{row.killedBy ? <OutcomeMark outcome="killed" size={13} /> : <RoleMark place="host-kernel" />} {row.comm}</>} sub={`pid ${row.pid}`} {...(alive ? {} : { line: 'dmesg | tail -n 30' })}>
      {alive ? null : <Why kind="process" id={pid} title={row.killedBy ? 'Why was it killed?' : 'Why did it end?'} />}
      {chosen ? <Part title="Points when memory ran out"><Facts facts={[['fate', chosen.fate], ['points', chosen.points === null ? 'never chosen' : `${count(chosen.points)} pages`], ['why', chosen.why]]} /><Go to={() => toMode('oom')}>all that could have died</Go></Part> : null}
      {refused.length > 0 ? <Why kind="refusal" id={pid} title="Why was a call refused?" /> : null}
      <Part><Facts facts={[['command', row.args], ['state', row.exit === null ? row.state : `ended, ${row.killedBy ? `killed by ${row.killedBy}` : `status ${row.exit}`}`], ['parent', row.ppid], ['container', row.container === '' ? null : <Go key="c" to={() => select({ kind: 'container', id: row.container })}>{row.container}</Go>], ['uid', row.uid], ['RSS', alive ? `${mib(row.rss * 1024)} MiB` : null], ['oom_score_adj', row.oomScoreAdj], ['cgroup', row.cgroup === '' ? null : <Go key="g" to={() => select({ kind: 'cgroup', id: row.cgroup, host })}>{row.cgroup}</Go>]]} /></Part>
      {levels.length > 1 ? <Part title="Its numbers" sub="one a level"><Facts facts={levels.map((one) => [one.level === 0 ? 'host' : `pid:[${one.ino}]`, one.pid] as const)} /></Part> : null}
      {spaces.length > 0 ? <Part title="Namespaces" sub="inode, and who else is in it"><Facts facts={spaces.map((one) => [one.type, <>{one.ino} <span className={css.aside}>{one.first ? 'the machine’s' : one.shared ? `with ${one.shared}` : 'alone'}</span></>] as const)} /></Part> : null}
      {alive ? <Files base={`/proc/${row.pid}`} names={PROC} host={host} first="status" /> : null}
      {calls.length > 0 ? <Part title="Last system calls" sub={`${calls.length} kept`}><ol className={css.lastCalls}>{calls.slice(-8).map((one) => <li key={one.key} className={one.result.startsWith('-1') ? css.refused : ''}><code>{one.name}({one.args.slice(0, 60)}) = {one.result.slice(0, 30)}</code></li>)}</ol></Part> : null}
    </Panel>
  );
}

export function Container({ id }: { id: string }) {
  const row = useRows<ContainerRow>('containers', { host: 'lab' }).find((one) => one.id === id || same(id, one));
  const group = useRows<CgroupResourceRow>('cgroup-resources', { host: 'lab' }).find((one) => row && one.path === row.cgroup);
  if (!row) return <Gone what="Container" />;
  return (
    <Panel title={<>{row.oomKilled ? <OutcomeMark outcome="killed" size={13} /> : <RoleMark place="container" />} {row.name}</>} sub={row.id.slice(0, 12)} line={`docker inspect ${row.name}`}>
      {row.running ? null : <Why kind="container" id={row.id} title={row.oomKilled ? 'Why was it killed?' : 'Why did it end?'} />}
      {group && group.throttled > 0 ? <Why kind="throttled" id={row.cgroup} title="Why is it throttled?" /> : null}
      <Part><Facts facts={[
        ['status', row.status], ['image', row.image], ['command', row.command], ['pid on the host', row.running ? <Go key="p" to={() => select({ kind: 'process', id: String(row.pid), host: 'lab' })}>{row.pid}</Go> : null], ['exit code', row.exitCode], ['OOMKilled', String(row.oomKilled)],
        ['memory limit', row.memoryLimit > 0 ? size(row.memoryLimit) : 'none'], ['address', row.ip === '' ? null : <Go key="n" to={() => toMode('network')}>{row.ip}</Go>], ['created', seconds(row.createdAt)], ['started', row.startedAt === null ? null : seconds(row.startedAt)], ['finished', row.finishedAt === null ? null : seconds(row.finishedAt)],
        ['cgroup', <Go key="g" to={() => { toMode('cgroups'); select({ kind: 'cgroup', id: row.cgroup, host: 'lab' }); }}>{row.cgroup}</Go>],
      ]} /></Part>
      <Part title="Seen from elsewhere"><p className={css.ways}><Go to={() => toMode('processes')}>namespaces</Go><Go to={() => toMode('overlay')}>layers</Go><Go to={() => toMode('calls')}>the calls that made it</Go>{row.oomKilled ? <Go to={() => toMode('oom')}>who could have died</Go> : null}</p></Part>
    </Panel>
  );
}

export function Cgroup({ path, host }: { path: string; host: string }) {
  const row = useRows<CgroupRow>('cgroups', { host }).find((one) => one.path === path);
  const more = useRows<CgroupResourceRow>('cgroup-resources', { host }).find((one) => one.path === path);
  const refusals = useRows<WhyRow>(row ? null : 'why', { kind: 'cgroup', id: path });
  const base = `/sys/fs/cgroup${path === '/' ? '' : path}`;
  if (!row) return refusals.length > 0 ? <Panel title={shorten(path.slice(path.lastIndexOf('/') + 1))} sub="removed"><Part><p className={css.quiet}>The group is not there at this time.</p></Part><Why kind="cgroup" id={path} title="What happened to it" /></Panel> : <Gone what="Control group" />;
  const whole = Math.max(1, row.current ?? 0);
  const parts: [string, number, string][] = [['anon', row.anon, 'container'], ['file', row.file, 'guest-user'], ['kernel', row.kernel, 'host-kernel']];
  const files = path === '/' ? ['cgroup.procs', 'cgroup.controllers', 'cgroup.subtree_control', 'cpu.stat', 'memory.stat', 'io.stat', 'cpu.pressure', 'memory.pressure', 'io.pressure'] : [...(more?.controllers ?? '').split(' ').flatMap((one) => CGROUP[one] ?? []), ...(CGROUP[''] ?? [])];
  return (
    <Panel title={<><RoleMark place={row.container ? 'container' : 'host-kernel'} /> {row.name ? shorten(row.name) : '/'}</>} sub={path === '/' ? 'the root' : row.container ? 'of a container' : ''}>
      {row.oomKills > 0 ? <Why kind="cgroup" id={path} title="Why was something killed?" /> : null}
      {more && more.throttled > 0 ? <Why kind="throttled" id={path} title="Why is it throttled?" /> : null}
      <Files base={base} names={[...new Set(files)]} host={host} first={row.oomKills > 0 || !more?.quota ? 'memory.events' : 'cpu.max'} />
      <Part title="At a glance" sub={path}><Facts facts={[
        ['memory.current', row.current === null ? 'no account' : `${row.current}`], ['memory.peak', row.peak], ['memory.max', row.max], ['memory.high', row.high], ['memory.low', row.low], ['memory.min', row.min], ['swap', more ? more.swap : null],
        ['cpu.weight', row.cpuWeight], ['cpu.max', row.cpuMax], ['nr_throttled', more ? `${more.throttled} of ${more.periods}` : null], ['io.max', more?.ioMax ?? null], ['pids.current', row.pids], ['pids.max', row.pidsMax], ['processes', row.procs], ['frozen', more?.frozen ? 'yes' : null],
      ]} /></Part>
      <Part title="memory.events" sub="of this cgroup">
        <dl className={frame.events}>{([['low', row.eventsLow], ['high', row.eventsHigh], ['max', row.eventsMax], ['oom', row.oom], ['oom_kill', row.oomKills], ['oom_group_kill', row.oomGroupKills]] as const).map(([name, value]) => <div key={name} className={value === 0 ? frame.zero : ''}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      </Part>
      {row.current ? <Part title={`memory.stat, ${mib(row.current)} MiB`} sub="what fills it">
        <div className={frame.stack}>{parts.map(([name, value, role]) => <i key={name} style={{ width: `${(value / whole) * 100}%`, background: `var(--${role})` }} />)}</div>
        <div className={frame.stackKey}>{parts.map(([name, value, role]) => <span key={name}><i style={{ background: `var(--${role})` }} />{name} {size(value)}</span>)}</div>
        {limit(row.max) === null ? <p className={frame.quiet}>No limit of its own.</p> : null}
      </Part> : null}
    </Panel>
  );
}
