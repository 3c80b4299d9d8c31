/** What is selected, down to its bits; why it is so; and the command that says the same in a terminal. */
import { PanelRight } from 'lucide-react';
import { Fragment, lazy, type ReactNode, Suspense, useState } from 'react';
import type { ExitRow, MarkRow, NodeRow, PodRow, ScoreRow, WalkHeadRow, WalkRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { big, count, seconds, sentence, size } from '../format.ts';
import { eptFields, type Field, guestFields } from '../pictures/entries.ts';
import { argOf, useVm } from '../pictures/walk/machine.ts';
import { Chip, type Outcome, OutcomeMark, RoleMark, roleOfFloor } from '../parts/marks.tsx';
import { Address, Facts, partsCss } from '../parts/parts.tsx';
import { seek } from '../session/session.ts';
import { set, show, useStore } from '../store.ts';
import { Gone, Panel, Part } from './inspected.tsx';
import { isScene, Why } from './why.tsx';
import frame from './frame.module.css';
import css from './inspector.module.css';

const OfLane = lazy(() => import('../pictures/spectrum/inspect.tsx'));
const OfContainer = lazy(() => import('../pictures/containers/inspect.tsx'));
const OF_CONTAINERS: ReadonlySet<string> = new Set(['process', 'container', 'cgroup', 'image', 'layer', 'netns', 'device', 'packet', 'call']);

export function Inspector({ folded }: { folded: boolean }) {
  const selection = useStore((s) => s.selection);
  if (folded) return <div className={frame.rail}><button type="button" className={partsCss.icon} aria-label="Unfold the inspector" onClick={() => set({ inspectorFolded: false })}><PanelRight size={16} aria-hidden="true" /></button><span>Inspector</span></div>;
  if (selection?.kind === 'reference') return <Reference id={selection.id} />;
  if (selection?.kind === 'pod') return <Pod id={selection.id} />;
  if (selection?.kind === 'node') return <Node name={selection.id} />;
  if (selection?.kind === 'exit') return <Exit id={selection.id} />;
  if (selection?.kind === 'leave' || selection?.kind === 'event' || selection?.kind === 'vmcs') return <Suspense fallback={null}><OfLane selection={selection} /></Suspense>;
  if (selection && OF_CONTAINERS.has(selection.kind)) return <Suspense fallback={null}><OfContainer selection={selection} /></Suspense>;
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
          <b className={css.brief} title={mark.text}>{sentence(mark.text)}</b><time>{seconds(mark.t)}</time>
        </button></li>
      ))}</ol>
    </Part>
  );
}

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

function Pod({ id }: { id: string }) {
  const row = useRows<PodRow>('pods', { pod: id })[0];
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
  const row = useRows<NodeRow>('nodes', { node: name })[0];
  if (!row) return <Gone what={name} />;
  return <Panel title={<><RoleMark place="hardware" /> {name}</>} line={`kubectl describe node ${name}`}><Part><Facts facts={[['ready', String(row.ready)], ['schedulable', String(!row.unschedulable)], ['address', row.ip], ['kubelet', row.version], ['cpu', `${row.cpuRequested}m of ${row.cpuMilli}m requested`], ['memory', `${size(row.memoryRequested)} of ${size(row.memory)} requested`], ['pods', `${row.pods} of ${row.podsMax}`], ['taints', row.taints || 'none']]} /></Part></Panel>;
}
function Exit({ id }: { id: string }) {
  const vm = useVm();
  const row = useRows<ExitRow>('exits', argOf(vm)).find((one) => one.key === id);
  if (!row) return <Gone what="Exit" />;
  return <Panel title={<><RoleMark place="trap" /> {row.name}</>} sub={`reason ${row.reason}`} line={`virsh domstats ${vm?.name ?? ''}`}><Part><Facts facts={[['count', count(row.count)], ['cycles', count(row.cycles)], ['per exit', count(row.cycles / Math.max(1, row.count))], ['last qualification', row.lastQualification], ['last rip', row.lastRip]]} /></Part><Why kind="exit" id={String(row.reason)} title="The last one, and why" /></Panel>;
}
