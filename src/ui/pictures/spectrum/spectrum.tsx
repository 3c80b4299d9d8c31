/** The same guest under several techniques beside each other: where each leaves the guest, why, and for how many cycles. */
import { lazy, Suspense, useState } from 'react';
import { ChevronLeft, ChevronRight } from 'lucide-react';
import type { CostRow, GuestMarkRow, LaneRow, LedgerEventRow, LeaveRow, PaperRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { Frame } from '../../frame/panel.tsx';
import { count } from '../../format.ts';
import { partsCss, RowsTable, Runnable } from '../../parts/parts.tsx';
import { set, useStore } from '../../store.ts';
import { Code } from './code.tsx';
import { Compare } from './compare.tsx';
import { Costs } from './costs.tsx';
import { Events } from './events.tsx';
import { type Side, stretchName, useSide, wordsOf } from './lanes.ts';
import { Lockstep } from './lockstep.tsx';
import { Papers } from './papers.tsx';
import { Timeline } from './timeline.tsx';
import { Vmcs } from './vmcs.tsx';
import css from './spectrum.module.css';

const Editor = lazy(() => import('../editor/editor.tsx'));

const MODES = [['lock', 'Lock step'], ['time', 'Timeline'], ['events', 'Events'], ['compare', 'Compare'], ['code', 'Code'], ['vmcs', 'VMCS'], ['costs', 'Costs'], ['papers', 'Papers'], ['editor', 'Editor']] as const;

/** Faces that are not about the machines chosen. */
const ALONE = new Set(['costs', 'papers', 'editor']);

export default function Spectrum() {
  const side = useSide();
  const mode = useStore((s) => s.mode.spectrum ?? 'lock');
  const { all, shown } = side;
  const any = all.length > 0;
  return (
    <Frame title="Spectrum" modes={MODES} mode={mode} onMode={(next) => set((s) => ({ mode: { ...s.mode, spectrum: next } }))}
      sub={any ? `one guest, ${shown.length === 1 ? 'one way' : `${shown.length} ways`} to run it` : 'one guest, six ways to run it'}
      facts={any ? <span><b>{count(shown.reduce((sum, lane) => sum + lane.events, 0))}</b> times left</span> : null} twin={<Twin mode={mode} side={side} />}>
      {any && !ALONE.has(mode) ? <Chooser side={side} stretches={mode === 'lock' || mode === 'time'} /> : null}
      {mode === 'editor' ? <Suspense fallback={null}><Editor /></Suspense> : mode === 'costs' ? <Costs side={side} /> : mode === 'papers' ? <Papers /> : !any ? <Nothing /> : mode === 'time' ? <Timeline side={side} /> : mode === 'events' ? <Events side={side} /> : mode === 'compare' ? <Compare side={side} /> : mode === 'code' ? <Code side={side} /> : mode === 'vmcs' ? <Vmcs side={side} /> : <Lockstep side={side} />}
      <Spoken side={side} />
    </Frame>
  );
}

function Twin({ mode, side }: { mode: string; side: Side }) {
  const ids = new Set(side.shown.map((lane) => lane.key));
  const own = <T extends { host: string; id: number }>(rows: T[]): T[] => rows.filter((row) => ids.has(`${row.host}:${row.id}`));
  const events = own(useRows<LedgerEventRow>(mode === 'events' ? 'ledger-events' : null));
  const leaves = own(useRows<LeaveRow>(mode === 'lock' ? 'leaves' : null, { segment: side.segment }));
  const marks = own(useRows<GuestMarkRow>('guest-marks'));
  const costs = useRows<CostRow>(mode === 'costs' ? 'costs' : null);
  const papers = useRows<PaperRow>(mode === 'papers' ? 'papers' : null);
  return (
    <>
      {mode === 'papers' ? <RowsTable title="Papers" rows={papers} /> : null}
      <RowsTable title="Machines" rows={side.all} />
      {mode === 'costs' ? <RowsTable title="Costs" rows={costs} /> : null}
      {mode === 'events' ? <RowsTable title="Events" rows={events} /> : null}
      {mode === 'lock' ? <RowsTable title={`Times left, ${stretchName(side.segments, side.segment)}`} rows={leaves} /> : null}
      <RowsTable title="Stretches between marks" rows={marks} />
    </>
  );
}

function Chooser({ side, stretches }: { side: Side; stretches: boolean }) {
  const { all, shown, segment, segments, go, toggle } = side;
  return (
    <div className={css.chooser}>
      <fieldset className={css.chips} style={{ border: 0, padding: 0, margin: 0 }} aria-label="Machines to show">
        {all.slice(-10).map((lane) => (
          <button key={lane.key} type="button" aria-pressed={shown.includes(lane)} title={`${lane.vm}, ${lane.state}: ${lane.workload}`} onClick={() => toggle(lane)}>{wordsOf(lane.technique).short} <small>{nameOf(lane, all)}</small></button>
        ))}
      </fieldset>
      <details className={css.more}><summary>Run it again…</summary><div><Commands short /></div></details>
      {stretches && segments.length > 1 ? (
        <span className={css.stretch}>
          <button type="button" className={partsCss.icon} aria-label="Previous stretch" disabled={segment === 0} onClick={() => go(segment - 1)}><ChevronLeft size={16} aria-hidden="true" /></button>
          <select aria-label="Stretch between marks" value={segment} onChange={(e) => go(Number(e.target.value))}>{segments.map((row) => <option key={row.segment} value={row.segment}>{stretchName(segments, row.segment)}</option>)}</select>
          <button type="button" className={partsCss.icon} aria-label="Next stretch" disabled={segment >= segments.length - 1} onClick={() => go(segment + 1)}><ChevronRight size={16} aria-hidden="true" /></button>
        </span>
      ) : null}
    </div>
  );
}
/** The number where a technique was run more than once; its state unless it has ended, as nearly all have. */
const nameOf = (lane: LaneRow, all: LaneRow[]): string => (all.filter((one) => one.technique === lane.technique).length > 1 ? `#${lane.id}` : lane.endedAt === null ? lane.state : '');

/** The last thing that took a guest out, for those who listen. */
function Spoken({ side }: { side: Side }) {
  const rows = useRows<LeaveRow>('leaves', side.shown[0] ? { segment: side.segment } : null);
  const last = rows.filter((row) => side.shown.some((lane) => lane.id === row.id)).at(-1);
  const selection = useStore((s) => s.selection);
  const chosen = selection?.kind === 'leave' ? rows.find((row) => row.key === selection.id) : undefined;
  const row = chosen ?? last;
  return <div className="sr" aria-live="polite">{row ? `${wordsOf(row.technique).name}: ${row.event} at ${row.text || row.rip}, ${count(row.cycles)} cycles` : ''}</div>;
}

const IMAGE = '/var/lib/libvirt/images/nest.img';
const REST = `-m 32 -nographic -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel ${IMAGE} -append`;
const WORKLOADS = ['fork 10 exit', 'syscall 100 exit', 'ptemod 50 exit', 'popf 50 exit', 'demand 100 exit', 'ctxsw 20 exit', 'invlpg 50 exit', 'cpuid 50 exit'] as const;
/** The same guest under one technique after the other, as a loop of the shell. */
const everyWay = (work: string): string => `bare -m 32 -kernel ${IMAGE} -append '${work}'; for how in deprivileged tcg 'kvm -cpu host,ept=off' kvm; do qemu-system-x86_64 -accel $how ${REST} '${work}'; done; qemu-system-x86_64 -accel xen ${REST.replace('nest.img', 'nest-pv.img')} '${work}'`;
const WAYS: readonly (readonly [string, (work: string) => string])[] = [
  ['All of them, one after the other', everyWay],
  ['Bare machine', (work) => `bare -m 32 -kernel ${IMAGE} -append '${work}'`],
  ['Trap and emulate', (work) => `qemu-system-x86_64 -accel deprivileged ${REST} '${work}'`],
  ['Binary translation', (work) => `qemu-system-x86_64 -accel tcg ${REST} '${work}'`],
  ['Paravirtualization', (work) => `qemu-system-x86_64 -accel xen ${REST.replace('nest.img', 'nest-pv.img')} '${work}'`],
  ['VT-x, shadow paging', (work) => `qemu-system-x86_64 -accel kvm -cpu host,ept=off ${REST} '${work}'`],
  ['VT-x with EPT', (work) => `qemu-system-x86_64 -accel kvm ${REST} '${work}'`],
];

/** Commands that put machines here; each is typed at the terminal. */
function Commands({ short = false }: { short?: boolean }) {
  const [work, setWork] = useState<string>(WORKLOADS[0]);
  return (
    <>
      <label className={css.small}>Workload of nest, a small operating system: <select value={work} onChange={(e) => setWork(e.target.value)} className={css.select}>{WORKLOADS.map((one) => <option key={one}>{one}</option>)}</select></label>
      <div className={css.commands}>{(short ? WAYS.slice(0, 1) : WAYS).map(([name, line]) => <div key={name}><small className={css.small}>{name}</small><Runnable line={line(work)} /></div>)}</div>
    </>
  );
}

function Nothing() {
  return (
    <div className={css.empty}>
      <h3>No virtual machine has run yet</h3>
      <p>Each machine that runs is a lane here: where it leaves the guest, why, and for how many cycles. One that has ended stays to be compared. The same image, byte for byte, under each technique:</p>
      <Commands />
      <p style={{ marginTop: 12 }}>Or write one: <button type="button" className={partsCss.button} onClick={() => set((s) => ({ mode: { ...s.mode, spectrum: 'editor' } }))}>Assembly editor</button></p>
    </div>
  );
}
