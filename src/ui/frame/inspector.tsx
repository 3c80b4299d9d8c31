/** What is selected, down to its bits; why it is so; and the command that says the same in a terminal. */
import { PanelRight } from 'lucide-react';
import { Fragment, lazy, type ReactNode, Suspense, useState } from 'react';
import type { CgroupRow, ContainerRow, ExitRow, MarkRow, NodeRow, PodRow, ProcessRow, ScoreRow, WalkHeadRow, WalkRow, WhyRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { big, count, limit, mib, seconds, sentence, size } from '../format.ts';
import { eptFields, type Field, guestFields } from '../pictures/entries.ts';
import { argOf, useVm } from '../pictures/walk/machine.ts';
import { podId } from '../pictures/cluster.tsx';
import { Chip, type Outcome, OutcomeMark, RoleMark, roleOfFloor } from '../parts/marks.tsx';
import { Address, Facts, partsCss, Runnable } from '../parts/parts.tsx';
import { seek } from '../session/session.ts';
import { type SceneId, SCENES, type Selection, set, show, useStore } from '../store.ts';
import { Gone, Panel, Part } from './inspected.tsx';
import frame from './frame.module.css';
import css from './inspector.module.css';

const OfLane = lazy(() => import('../pictures/spectrum/inspect.tsx'));

export function Inspector({ folded }: { folded: boolean }) {
  const selection = useStore((s) => s.selection);
  if (folded) return <div className={frame.rail}><button type="button" className={partsCss.icon} aria-label="Unfold the inspector" onClick={() => set({ inspectorFolded: false })}><PanelRight size={16} aria-hidden="true" /></button><span>Inspector</span></div>;
  if (selection?.kind === 'reference') return <Reference id={selection.id} />;
  if (selection?.kind === 'process') return <Process pid={selection.id} host={selection.host} />;
  if (selection?.kind === 'container') return <Container id={selection.id} />;
  if (selection?.kind === 'cgroup') return <Cgroup path={selection.id} host={selection.host} />;
  if (selection?.kind === 'pod') return <Pod id={selection.id} />;
  if (selection?.kind === 'node') return <Node name={selection.id} />;
  if (selection?.kind === 'exit') return <Exit id={selection.id} />;
  if (selection?.kind === 'leave' || selection?.kind === 'event' || selection?.kind === 'vmcs') return <Suspense fallback={null}><OfLane selection={selection} /></Suspense>;
  return <Panel title="Inspector"><Part><p className={css.quiet}>Choose anything in the picture: an entry of the walk, a process, a control group, a pod. Its bits, why it is so, and the command that shows the same are here.</p></Part><Newest /></Panel>;
}

/** With nothing chosen: what happened last, each a jump to its moment. */
function Newest() {
  const marks = [...new Map(useRows<MarkRow>('marks').slice(-400).map((mark) => [mark.text, mark])).values()].sort((a, b) => b.t - a.t).slice(0, 8);
  if (marks.length === 0) return null;
  return (
    <Part title="What happened last" sub="each line is a jump">
      <ol className={css.why}>{marks.map((mark) => (
        <li key={mark.key}><button type="button" onClick={() => { void seek(mark.t); if (isScene(mark.scene)) show(mark.scene); }}>
          {mark.outcome === '' ? <RoleMark place={roleOfFloor(mark.floor)} size={12} /> : <OutcomeMark outcome={mark.outcome as Outcome} size={13} />}
          <b>{sentence(mark.text)}</b><time>{seconds(mark.t)}</time>
        </button></li>
      ))}</ol>
    </Part>
  );
}
const isScene = (name: string): name is SceneId => SCENES.some((one) => one.id === name);

function Reference({ id }: { id: string }) {
  const vm = useVm();
  const walk = useRows<WalkRow>('walk', argOf(vm));
  const head = useRows<WalkHeadRow>('walk-head', argOf(vm))[0];
  const [lit, light] = useState<Field | null>(null);
  const row = walk.find((one) => one.key === id);
  if (!row || !vm) return <Gone what="Reference" />;
  const entry = big(row.entry);
  const guest = row.table === 'guest';
  const shadow = row.table === 'shadow';
  // with nothing between the guest and memory its frames are the host's
  const direct = guest && vm.technique !== 'vmx-ept';
  const fields = guest || shadow ? guestFields(entry, row.level, row.leaf, shadow || direct) : eptFields(entry, row.leaf, row.level);
  const guestRows = walk.filter((one) => one.table === row.table);
  return (
    <Panel title={`${guest ? 'Guest' : shadow ? 'Shadow' : 'EPT'} ${row.level} [${row.index}]`} sub={`reference ${row.n}`} line={`virsh qemu-monitor-command ${vm.name} --hmp 'xp /1gx ${guest ? row.gpa : row.hpa}'`}>
      <Part>
        <Chip place={guest ? 'guest-kernel' : 'hypervisor'}>{guest ? 'written by the guest kernel' : 'written by the hypervisor'}</Chip>
        <div className={css.raw}>{group(entry)}</div>
        <div className={css.at}><span>at</span><span>{guest && !direct ? <><Address value={row.gpa} space="gpa" tag /><br /></> : null}<Address value={row.hpa} space="hpa" tag /></span></div>
      </Part>
      <Part>
        <Bits entry={entry} fields={fields} lit={lit} onLight={light} />
        <table className={css.fields}><tbody>{fields.map((field) => (
          <tr key={`${field.hi}${field.name}`} className={`${field.zero ? css.zero : ''} ${lit === field ? css.lit : ''}`} onMouseEnter={() => light(field)} onMouseLeave={() => light(null)}>
            <td>{field.hi === field.lo ? field.hi : `${field.hi}:${field.lo}`}</td><td><b>{field.name}</b></td><td>{field.frame ? '' : field.value}</td><td>{field.frame ? <><Address value={field.value} space={field.frame} /> </> : null}{field.means}</td></tr>
        ))}</tbody></table>
      </Part>
      {(guest || shadow) && guestRows.length > 1 ? (
        <Part title={`Rights over ${guestRows.length} levels`} sub="AND; no-execute by OR">
          <table className={css.rights}>
            <thead><tr><th scope="col"><span className="sr">right</span></th>{guestRows.map((one) => <th key={one.key} scope="col">{one.level}</th>)}<th scope="col">page</th></tr></thead>
            <tbody>{([['write', 1n, true], ['user', 2n, true], ['no execute', 63n, false]] as const).map(([name, bit, and]) => {
              const set = guestRows.map((one) => Number((big(one.entry) >> bit) & 1n));
              return <tr key={name}><th scope="row">{name}</th>{set.map((value, i) => <td key={guestRows[i]!.key}>{value}</td>)}<td><b>{and ? Math.min(...set) : Math.max(...set)}</b></td></tr>;
            })}</tbody>
          </table>
        </Part>
      ) : null}
      {head ? <Part title="The walk it belongs to"><Facts facts={[['access', `${head.access} at ring ${head.ring}`], ['rip', head.rip], ['CR3', head.cr3], ['EPTP', head.eptp], ['result', head.result], ['time', seconds(head.t)], ['cost', `${row.cycles} of ${count(head.cycles)} cycles`]]} /></Part> : null}
    </Panel>
  );
}
function group(entry: bigint): ReactNode {
  const text = entry.toString(16).padStart(16, '0');
  return <>0x{[0, 4, 8, 12].map((at) => <span key={at}>{text.slice(at, at + 4)}</span>)}</>;
}
function Bits({ entry, fields, lit, onLight }: { entry: bigint; fields: Field[]; lit: Field | null; onLight: (field: Field | null) => void }) {
  return (
    <div className={css.bits} aria-hidden="true">
      {[63, 47, 31, 15].map((top) => (
        <Fragment key={top}>
          <i>{top}</i>
          {Array.from({ length: 16 }, (_, i) => top - i).map((bit) => {
            const field = fields.find((one) => bit <= one.hi && bit >= one.lo);
            const on = ((entry >> BigInt(bit)) & 1n) === 1n;
            const style = field?.frame ? { color: `var(--${field.frame}-ink)`, borderBottom: `1.5px ${field.frame === 'gpa' ? 'dashed' : 'solid'} var(--${field.frame})`, background: on ? `var(--${field.frame}-tint)` : undefined } : undefined;
            // biome-ignore lint/a11y/noStaticElementInteractions: a light for the pointer; the table below says the same
            return <span key={bit} className={`${on ? css.one : ''} ${lit && lit === field ? css.litBit : ''}`} style={style} onMouseEnter={() => onLight(field ?? null)} onMouseLeave={() => onLight(null)}>{on ? 1 : 0}</span>;
          })}
          <i>{top - 15}</i>
        </Fragment>
      ))}
    </div>
  );
}

function Why({ kind, id, title }: { kind: string; id: string; title: string }) {
  const rows = useRows<WhyRow>('why', { kind, id });
  if (rows.length === 0) return null;
  return (
    <Part title={title} sub="each line is a jump">
      <ol className={css.why}>{rows.map((row, i) => (
        <li key={row.key}><button type="button" onClick={() => { void seek(row.t); jump(row); }}>
          {i === 0 && /kill|OOM/i.test(row.text) ? <OutcomeMark outcome="killed" size={13} /> : <RoleMark place={roleOfFloor(row.floor)} size={12} />}
          <b>{sentence(row.text)}</b><time>{seconds(row.t)}</time><span>{row.figure || row.detail.slice(0, 90)}</span>
        </button></li>
      ))}</ol>
    </Part>
  );
}
function jump(row: WhyRow): void {
  if (isScene(row.scene)) show(row.scene);
  let selection: Selection | null = null;
  if (row.scene === 'cluster' && row.select.includes('/')) selection = { kind: 'pod', id: row.select };
  else if (row.scene === 'containers' && /^\d+$/.test(row.select)) selection = { kind: 'process', id: row.select, host: 'lab' };
  else if (row.scene === 'containers' && row.select.startsWith('/')) selection = { kind: 'cgroup', id: row.select, host: 'lab' };
  if (selection) set({ selection });
}

function Process({ pid, host }: { pid: string; host: string }) {
  const row = useRows<ProcessRow>('processes', { host }).find((one) => String(one.pid) === pid);
  if (!row) return <Gone what={`pid ${pid}`} />;
  return (
    <Panel title={<>{row.killedBy ? <OutcomeMark outcome="killed" size={13} /> : <RoleMark place="host-kernel" />} {row.comm}</>} sub={`pid ${row.pid}`} line={row.exit === null ? `cat /proc/${row.pid}/status` : 'dmesg | tail -n 30'}>
      {row.exit !== null ? <Why kind="process" id={pid} title={row.killedBy ? 'Why was it killed?' : 'Why did it end?'} /> : null}
      <Part><Facts facts={[['command', row.args], ['state', row.exit !== null ? `ended, ${row.killedBy ? `killed by ${row.killedBy}` : `status ${row.exit}`}` : row.state], ['parent', row.ppid], ['pid inside', row.container ? row.nspid : null], ['container', row.container.slice(0, 12)], ['uid', row.uid], ['RSS', `${mib(row.rss * 1024)} MiB`], ['oom_score_adj', row.oomScoreAdj], ['cgroup', row.cgroup]]} /></Part>
      <Part title="Namespaces" sub="inode numbers"><Facts facts={[['pid', row.pidns], ['mnt', row.mntns], ['net', row.netns], ['uts', row.utsns], ['ipc', row.ipcns], ['user', row.userns], ['cgroup', row.cgroupns]]} /><Runnable line={`ls -l /proc/${row.pid}/ns`} /></Part>
    </Panel>
  );
}
function Container({ id }: { id: string }) {
  const row = useRows<ContainerRow>('containers', { host: 'lab' }).find((one) => one.id === id);
  if (!row) return <Gone what="Container" />;
  return (
    <Panel title={<>{row.oomKilled ? <OutcomeMark outcome="killed" size={13} /> : <RoleMark place="container" />} {row.name}</>} sub={row.id.slice(0, 12)} line={`docker inspect ${row.name}`}>
      {row.running ? null : <Why kind="container" id={row.id} title={row.oomKilled ? 'Why was it killed?' : 'Why did it end?'} />}
      <Part><Facts facts={[['status', row.status], ['image', row.image], ['command', row.command], ['pid on the host', row.running ? row.pid : null], ['exit code', row.exitCode], ['OOMKilled', String(row.oomKilled)], ['memory limit', row.memoryLimit > 0 ? size(row.memoryLimit) : 'none'], ['address', row.ip], ['created', seconds(row.createdAt)], ['started', row.startedAt === null ? null : seconds(row.startedAt)], ['finished', row.finishedAt === null ? null : seconds(row.finishedAt)], ['cgroup', row.cgroup]]} /></Part>
    </Panel>
  );
}
function Cgroup({ path, host }: { path: string; host: string }) {
  const row = useRows<CgroupRow>('cgroups', { host }).find((one) => one.path === path);
  if (!row) return <Gone what="Control group" />;
  const whole = Math.max(1, row.current ?? 0);
  const parts: [string, number, string][] = [['anon', row.anon, 'container'], ['file', row.file, 'guest-user'], ['kernel', row.kernel, 'host-kernel']];
  return (
    <Panel title={<><RoleMark place={row.container ? 'container' : 'host-kernel'} /> {row.name || '/'}</>} line={`cat /sys/fs/cgroup${path === '/' ? '' : path}/${row.current === null ? 'cgroup.procs' : 'memory.events'}`}>
      {row.oomKills > 0 ? <Why kind="cgroup" id={path} title="Why was something killed?" /> : null}
      <Part title="Files" sub={path}><Facts facts={[['memory.current', row.current === null ? 'no account' : `${row.current}`], ['memory.peak', row.peak], ['memory.max', row.max], ['memory.high', row.high], ['memory.low', row.low], ['memory.min', row.min], ['cpu.weight', row.cpuWeight], ['cpu.max', row.cpuMax], ['pids.current', row.pids], ['pids.max', row.pidsMax], ['processes', row.procs]]} /></Part>
      <Part title="memory.events" sub="of this cgroup">
        <dl className={css.events}>{([['low', row.eventsLow], ['high', row.eventsHigh], ['max', row.eventsMax], ['oom', row.oom], ['oom_kill', row.oomKills], ['oom_group_kill', row.oomGroupKills]] as const).map(([name, value]) => <div key={name} className={value === 0 ? css.zero : ''}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      </Part>
      {row.current ? <Part title={`memory.stat, ${mib(row.current)} MiB`} sub="what fills it">
        <div className={css.stack}>{parts.map(([name, value, role]) => <i key={name} style={{ width: `${(value / whole) * 100}%`, background: `var(--${role})` }} />)}</div>
        <div className={css.stackKey}>{parts.map(([name, value, role]) => <span key={name}><i style={{ background: `var(--${role})` }} />{name} {size(value)}</span>)}</div>
        {limit(row.max) === null ? <p className={css.quiet}>No limit of its own.</p> : null}
      </Part> : null}
    </Panel>
  );
}
function Pod({ id }: { id: string }) {
  const row = useRows<PodRow>('pods').find((one) => podId(one) === id);
  const scores = useRows<ScoreRow>('scores', { pod: id });
  if (!row) return <Gone what={id} />;
  const own = scores.filter((one) => one.node === row.node);
  return (
    <Panel title={<><RoleMark place="container" /> {row.name}</>} line={`kubectl describe pod ${row.name}${row.namespace === 'default' ? '' : ` -n ${row.namespace}`}`}>
      <Part><Facts facts={[['status', row.status], ['phase', row.phase], ['ready', row.ready], ['restarts', row.restarts], ['node', row.node || 'none yet'], ['address', row.ip], ['requests', `cpu ${row.cpuMilli}m, memory ${size(row.memory)}`], ['QoS', row.qos], ['owner', row.owner], ['labels', row.labels], ['containers', row.containers], ['created', seconds(row.createdAt)]]} /></Part>
      {own.length > 0 ? <Part title={`Why ${row.node}?`} sub={`${own[0]!.total} in all`}><table className={css.fields}><tbody>{own.map((one) => <tr key={one.key} className={one.weighted === 0 ? css.zero : ''}><td style={{ fontFamily: 'var(--font-text)' }}>{one.plugin}</td><td>{one.score} × {one.weight}</td><td><b>{one.weighted}</b></td></tr>)}</tbody></table>{own.filter((one) => one.formula).map((one) => <p key={one.key} className={css.formula}>{one.plugin}: <code>{one.formula}</code></p>)}</Part> : null}
      <Why kind="pod" id={id} title="How it came to this" />
    </Panel>
  );
}
function Node({ name }: { name: string }) {
  const row = useRows<NodeRow>('nodes').find((one) => one.name === name);
  if (!row) return <Gone what={name} />;
  return <Panel title={<><RoleMark place="hardware" /> {name}</>} line={`kubectl describe node ${name}`}><Part><Facts facts={[['ready', String(row.ready)], ['schedulable', String(!row.unschedulable)], ['address', row.ip], ['kubelet', row.version], ['cpu', `${row.cpuRequested}m of ${row.cpuMilli}m requested`], ['memory', `${size(row.memoryRequested)} of ${size(row.memory)} requested`], ['pods', `${row.pods} of ${row.podsMax}`], ['taints', row.taints || 'none']]} /></Part></Panel>;
}
function Exit({ id }: { id: string }) {
  const vm = useVm();
  const row = useRows<ExitRow>('exits', argOf(vm)).find((one) => one.key === id);
  if (!row) return <Gone what="Exit" />;
  return <Panel title={<><RoleMark place="trap" /> {row.name}</>} sub={`reason ${row.reason}`} line={`virsh domstats ${vm?.name ?? ''}`}><Part><Facts facts={[['count', count(row.count)], ['cycles', count(row.cycles)], ['per exit', count(row.cycles / Math.max(1, row.count))], ['last qualification', row.lastQualification], ['last rip', row.lastRip]]} /></Part><Why kind="exit" id={String(row.reason)} title="The last one, and why" /></Panel>;
}
