/**
 * The last translation of a machine, reference by reference, as its processor recorded it: in two dimensions under EPT, along
 * the guest's own tables without a hypervisor's, along shadow tables in their place. Beside it caches and exits; below, the memory.
 */
import { useEffect, useState } from 'react';
import type { FrameRow, TableRow, TlbRow, WalkHeadRow, WalkRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { Frame } from '../frame/panel.tsx';
import { count } from '../format.ts';
import { Empty, partsCss, RowsTable } from '../parts/parts.tsx';
import { stepVm } from '../session/session.ts';
import { select, set, useStore } from '../store.ts';
import { wordsOf } from './spectrum/lanes.ts';
import { AddressRow } from './walk/address.tsx';
import { Caches } from './walk/caches.tsx';
import { Chain } from './walk/chain.tsx';
import { Frames } from './walk/frames.tsx';
import { Grid } from './walk/grid.tsx';
import { MemoryLine } from './walk/line.tsx';
import { Exits, Registers } from './walk/lists.tsx';
import { argOf, isThere, type Machine, useMachines, useVm } from './walk/machine.ts';
import { Faults, Shadow } from './walk/shadow.tsx';
import { Stepper } from './walk/stepper.tsx';
import css from './pictures.module.css';

const MODES = [['walk', 'Walk'], ['memory', 'Host memory'], ['exits', 'Exits'], ['registers', 'Registers']] as const;

export function Walk() {
  const machines = useMachines();
  const vm = useVm();
  const arg = argOf(vm);
  const walk = useRows<WalkRow>('walk', arg);
  const head = useRows<WalkHeadRow>('walk-head', arg)[0];
  const mode = useStore((s) => s.mode.walk ?? 'walk');
  const asTable = useStore((s) => s.asTable);
  const selection = useStore((s) => s.selection);
  const tlb = useRows<TlbRow>(asTable ? 'tlb' : null, arg);
  const tables = useRows<TableRow>(asTable ? 'tables' : null, arg);
  const frames = useRows<FrameRow>(asTable && mode === 'memory' ? 'host-memory' : null, arg);
  const [at, setAt] = useState(Number.POSITIVE_INFINITY);
  const known = head ? `${vm?.key} ${head.walk}` : '';
  // biome-ignore lint/correctness/useExhaustiveDependencies: another walk is shown whole
  useEffect(() => setAt(Number.POSITIVE_INFINITY), [known]);
  const shown = Math.min(at, walk.length);
  const go = (n: number): void => {
    const to = Math.max(0, Math.min(walk.length, n));
    setAt(to);
    const row = walk[to - 1];
    select(row ? { kind: 'reference', id: row.key } : null);
  };
  const facts = mode === 'walk' && walk.length > 0 ? (
    <>
      <span><b>{shown}</b> of {walk.length} references</span><span><b>{count(head?.cycles ?? walk.reduce((n, r) => n + r.cycles, 0))}</b> cycles</span>
    </>
  ) : vm && isThere(vm) ? <span><b>{count(vm.exits)}</b> exits</span> : null;
  const kind = walk.some((one) => one.table === 'ept') ? 'ept' : walk.some((one) => one.table === 'shadow') ? 'shadow' : 'guest';
  const sub = vm ? (head && mode === 'walk' ? (kind === 'ept' ? `guest ${head.guestPage} on host ${head.hostPage}` : kind === 'shadow' ? `shadow paging, ${head.guestPage}` : `${head.format} paging, ${head.guestPage}`) : `${vm.name}, ${vm.state}`) : '';
  const picked = walk.find((row) => selection?.kind === 'reference' && row.key === selection.id) ?? walk[shown - 1];
  const pick = (row: WalkRow): void => select({ kind: 'reference', id: row.key });
  const shared = { walk, head, shown, selected: picked?.key, onPick: pick };
  return (
    <Frame title="Page walk" sub={sub} modes={MODES} mode={mode} onMode={(next) => set((s) => ({ mode: { ...s.mode, walk: next } }))} facts={facts}
      twin={<><RowsTable title="Virtual machines" rows={machines} />{head ? <RowsTable title="The walk" rows={[head]} /> : null}<RowsTable title="References" rows={walk} />{mode === 'memory' ? <RowsTable title="Host memory" rows={frames} /> : <><RowsTable title="Tables" rows={tables} /><RowsTable title="TLB" rows={tlb} /></>}</>}>
      {vm && isThere(vm) ? <VmBar vm={vm} machines={machines} /> : null}
      {!vm || (!isThere(vm) && walk.length === 0) ? (
        <Empty title="No virtual machine runs" line={`virsh start ${vm?.name ?? 'tiny'}`}>The 24 references of a page walk appear here when a guest misses its TLB. Start one on the host:</Empty>
      ) : mode === 'exits' ? <Exits vm={vm} /> : mode === 'registers' ? <Registers vm={vm} /> : mode === 'memory' ? <Frames vm={vm} walk={walk} /> : walk.length === 0 ? (
        <Empty title={`${vm.name} has not missed its TLB yet`}>{vm.ended === null ? 'Let it run or step it by an instruction: the first translation that is not in the TLB is walked and shown here.' : 'It ended without a walk: paging was off, or nothing was touched.'}</Empty>
      ) : (
        <div className={css.pad}>
          <AddressRow head={head} walk={walk} shown={shown} />
          <div className={css.walk}>
            <div className={css.gridSide}>
              {kind === 'ept' ? <Grid {...shared} /> : kind === 'shadow' ? <Shadow {...shared} vm={vm} /> : <Chain {...shared} words={vm.technique === 'paravirt' ? 'checked by the hypervisor, written by it: they hold host-physical addresses' : 'nothing is below them: a physical address is a place in memory'} />}
              <Stepper walk={walk} shown={shown} go={go} />
              {kind === 'shadow' ? <Faults vm={vm} /> : null}
              <Said row={walk[shown - 1]} />
            </div>
            {picked ? <MemoryLine vm={vm} row={picked} /> : null}
            <Caches vm={vm} head={head} done={shown >= walk.length} />
          </div>
        </div>
      )}
    </Frame>
  );
}

/** The reference that was read last, as a sentence. */
function Said({ row }: { row: WalkRow | undefined }) {
  return <div className="sr" aria-live="polite">{row ? `Reference ${row.n} read ${row.table === 'ept' ? 'EPT' : row.table} ${row.level} ${row.index} at ${row.hpa}: ${row.entry}` : ''}</div>;
}

function VmBar({ vm, machines }: { vm: Machine; machines: Machine[] }) {
  const paused = /paused|debug/.test(`${vm.state} ${vm.debugger}`);
  return (
    <div className={css.toolbar}>
      {machines.length > 1 ? <select aria-label="Virtual machine" value={vm.key} onChange={(e) => set({ vm: e.target.value })}>{machines.map((one) => <option key={one.key} value={one.key}>{one.name}{one.ended === null ? '' : `, ${wordsOf(one.technique).short}`}</option>)}</select> : <b>{vm.name}</b>}
      {vm.ended === null ? (
        <>
          <button type="button" className={partsCss.button} onClick={() => void stepVm(vm, 'step')}>Step an instruction</button>
          <button type="button" className={partsCss.button} onClick={() => void stepVm(vm, 'step-exit')}>To the next exit</button>
          {paused ? <button type="button" className={`${partsCss.button} ${partsCss.primary}`} onClick={() => void stepVm(vm, 'resume')}>Run</button> : <button type="button" className={partsCss.button} onClick={() => void stepVm(vm, 'pause')}>Pause</button>}
          <small>{vm.technique}, {vm.mode}, rip <code>{vm.rip}</code></small>
        </>
      ) : <small>{vm.technique}, as it stood at its end</small>}
    </div>
  );
}
