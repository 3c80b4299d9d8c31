/**
 * The last translation of a VM, reference by reference, as the processor recorded it: rows are the guest's tables, columns
 * the EPT levels and the guest entry read at the end. Beside it TLB, exits; below, the line of memory that was read.
 */
import { ChevronLeft, ChevronRight, RotateCcw } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { DisassemblyRow, ExitLogRow, ExitRow, MemoryRow, RegisterRow, TlbRow, VmcsRow, VmRow, WalkHeadRow, WalkRow } from '../../bridge/rows.ts';
import { useRows } from '../bridge/client.ts';
import { Frame } from '../frame/panel.tsx';
import { big, count, hex, seconds } from '../format.ts';
import { RoleMark } from '../parts/marks.tsx';
import { Address, Empty, partsCss, RowsTable } from '../parts/parts.tsx';
import { stepVm } from '../session/session.ts';
import { select, set, useStore } from '../store.ts';
import css from './pictures.module.css';

const LEVELS = ['PML4E', 'PDPTE', 'PDE', 'PTE'];
const TABLES = ['PML4', 'PDPT', 'PD', 'PT'];
const PAST = 5;
const MODES = [['walk', 'Walk'], ['exits', 'Exits'], ['registers', 'Registers']] as const;

/** The VM in view: the chosen one, else the first that runs, else the first. */
export function useVm(): VmRow | undefined {
  const vms = useRows<VmRow>('vms');
  const name = useStore((s) => s.vm);
  return vms.find((one) => one.name === name) ?? vms.find((one) => one.id !== null) ?? vms[0];
}
export const argOf = (vm: VmRow | undefined): { host: string; vm: string } | null => (vm ? { host: vm.host, vm: vm.name } : null);

export function Walk() {
  const vms = useRows<VmRow>('vms');
  const vm = useVm();
  const arg = argOf(vm);
  const walk = useRows<WalkRow>('walk', arg);
  const head = useRows<WalkHeadRow>('walk-head', arg)[0];
  const mode = useStore((s) => s.mode.walk ?? 'walk');
  const selection = useStore((s) => s.selection);
  const [at, setAt] = useState(Number.POSITIVE_INFINITY);
  const known = head ? `${head.walk}` : '';
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
  ) : vm?.id !== null && vm ? <span><b>{count(vm.exits)}</b> exits</span> : null;
  const sub = vm ? (head && mode === 'walk' ? `guest ${head.guestPage} on host ${head.hostPage}` : `${vm.name}, ${vm.state}`) : '';
  const picked = walk.find((row) => selection?.kind === 'reference' && row.key === selection.id) ?? walk[shown - 1];
  return (
    <Frame title="Page walk" sub={sub} modes={MODES} mode={mode} onMode={(next) => set((s) => ({ mode: { ...s.mode, walk: next } }))} facts={facts}
      twin={<><RowsTable title="Virtual machines" rows={vms} />{head ? <RowsTable title="The walk" rows={[head]} /> : null}<RowsTable title="References" rows={walk} /></>}>
      {vm && vm.id !== null ? <VmBar vm={vm} vms={vms} /> : null}
      {!vm || (vm.id === null && walk.length === 0) ? (
        <Empty title="No virtual machine runs" line={`virsh start ${vm?.name ?? 'tiny'}`}>The 24 references of a page walk appear here when a guest misses its TLB. Start one on the host:</Empty>
      ) : mode === 'exits' ? <Exits vm={vm} /> : mode === 'registers' ? <Registers vm={vm} /> : walk.length === 0 ? (
        <Empty title={`${vm.name} has not missed its TLB yet`}>Let it run or step it by an instruction: the first translation that is not in the TLB is walked and shown here.</Empty>
      ) : (
        <Grid walk={walk} head={head} shown={shown} selected={picked?.key} onPick={(row) => { select({ kind: 'reference', id: row.key }); }} go={go} vm={vm} />
      )}
    </Frame>
  );
}

function VmBar({ vm, vms }: { vm: VmRow; vms: VmRow[] }) {
  const paused = /paused|debug/.test(`${vm.state} ${vm.debugger}`);
  return (
    <div className={css.toolbar}>
      {vms.length > 1 ? <select aria-label="Virtual machine" value={vm.name} onChange={(e) => set({ vm: e.target.value })}>{vms.map((one) => <option key={one.key} value={one.name}>{one.name}</option>)}</select> : <b>{vm.name}</b>}
      <button type="button" className={partsCss.button} onClick={() => void stepVm(vm, 'step')}>Step an instruction</button>
      <button type="button" className={partsCss.button} onClick={() => void stepVm(vm, 'step-exit')}>To the next exit</button>
      {paused ? <button type="button" className={`${partsCss.button} ${partsCss.primary}`} onClick={() => void stepVm(vm, 'resume')}>Run</button> : <button type="button" className={partsCss.button} onClick={() => void stepVm(vm, 'pause')}>Pause</button>}
      <small>{vm.technique}, {vm.mode}, rip <code>{vm.rip}</code></small>
    </div>
  );
}

function Grid({ walk, head, shown, selected, onPick, go, vm }: { walk: WalkRow[]; head: WalkHeadRow | undefined; shown: number; selected: string | undefined; onPick: (row: WalkRow) => void; go: (n: number) => void; vm: VmRow }) {
  const at = (row: number, table: string, level: string): WalkRow | undefined => walk.find((one) => one.row === row && one.table === table && one.level === level);
  const most = Math.max(1, ...walk.map((one) => one.cycles));
  const gva = big(head?.gva);
  const parts = [['PML4', 47, 39], ['PDPT', 38, 30], ['PD', 29, 21], ['PT', 20, 12], ['offset', 11, 0]] as const;
  const current = walk[shown - 1];
  const ept = walk.some((one) => one.table === 'ept');
  const levelsUsed = walk.filter((one) => one.table === 'guest').length;
  const picked = walk.find((one) => one.key === selected);
  return (
    <div className={css.pad}>
      <div className={css.addressRow}>
        <div>
          <Address value={head?.gva ?? ''} space="gva" tag digits={16} />
          <div className={css.vaLabel} style={{ justifyContent: 'flex-start', gap: 8 }}><code style={{ color: 'var(--ink)' }}>{head?.instruction}</code><span>ring {head?.ring}, {head?.access}</span></div>
        </div>
        {parts.map(([name, hi, lo], i) => {
          const value = (gva >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
          const used = i < levelsUsed || name === 'offset';
          return (
            <div key={name} className={css.vaPart}>
              <div className={`${css.va} ${current?.row === i ? css.now : ''}`}>{value.toString(2).padStart(hi - lo + 1, '0')}</div>
              <div className={css.vaLabel}><span><b style={{ fontFamily: 'inherit' }}>{used ? name : 'offset'}</b> {hi}:{lo}</span><b>{name === 'offset' ? hex(value) : String(value)}</b></div>
            </div>
          );
        })}
      </div>
      <div className={css.walk}>
        <div className={css.gridSide}>
          <div className={css.grid}>
            <div className={css.colHead}><b>To translate</b><span>guest-physical</span></div>
            {TABLES.map((name, i) => <div key={name} className={css.colHead}>{i === 0 ? <b className={css.over}><RoleMark place="hypervisor" /> EPT: the host frame</b> : <b>&nbsp;</b>}<span>{name}</span></div>)}
            <div className={css.colHead}><b><RoleMark place="guest-kernel" /> <span className={css.wordy}>Guest </span>table</b><span className={css.wordy}>entry read there</span></div>
            {Array.from({ length: PAST }, (_, row) => row).filter((row) => walk.some((one) => one.row === row)).map((row, position, rows) => {
              const own = walk.filter((one) => one.row === row);
              const entry = own.find((one) => one.table === 'guest');
              const first = own[0]!;
              const begun = first.n <= shown;
              const source = rows[position - 1];
              const from = source === undefined ? undefined : walk.find((one) => one.row === source && one.table === 'guest');
              return (
                <RowOf key={row}>
                  {position > 0 ? <div className={`${css.wire} ${(from?.n ?? 0) <= shown ? '' : css.pending}`}><i /></div> : null}
                  <div className={css.rowLabel}>
                    <b>{row === 4 ? 'Data page' : `Guest ${TABLES[row]}`}</b>
                    {begun || row === 0 ? <Address value={first.gpa} space="gpa" /> : <span>not known yet</span>}
                    <div className={css.made}>{row === 0 ? `CR3 + 8 × ${(gva >> 39n) & 511n}` : row === 4 ? `from ${from?.n ?? ''} + offset` : `from ${from?.n ?? ''} + 8 × ${entry?.index ?? ''}`}</div>
                  </div>
                  {LEVELS.map((level) => {
                    const one = at(row, 'ept', level);
                    return one ? <Cell key={level} row={one} shown={shown} selected={selected} most={most} onPick={onPick} /> : <div key={level} className={css.absent}>{ept ? '–' : 'no EPT'}</div>;
                  })}
                  {entry ? <Cell row={entry} shown={shown} selected={selected} most={most} onPick={onPick} /> : (
                    <div className={`${css.cell} ${css.toCome}`} style={shown >= walk.length ? { borderStyle: 'solid', borderColor: 'var(--hpa)' } : undefined}>
                      <span style={{ fontFamily: 'var(--font-text)' }}>Data<span className={css.wordy}>, HPA</span></span>
                      {shown >= walk.length ? <Address value={head?.hpa ?? ''} space="hpa" /> : <span style={{ fontFamily: 'var(--font-text)' }}>known after {walk.length}</span>}
                    </div>
                  )}
                </RowOf>
              );
            })}
          </div>
          <div className={`${css.legend} ${css.stepper}`}>
            <span style={{ gap: 2 }}>
              <button type="button" className={partsCss.icon} aria-label="First reference" onClick={() => go(1)}><RotateCcw size={14} aria-hidden="true" /></button>
              <button type="button" className={partsCss.icon} aria-label="Previous reference" disabled={shown <= 1} onClick={() => go(shown - 1)}><ChevronLeft size={16} aria-hidden="true" /></button>
              <input type="range" aria-label="Reference" min={0} max={walk.length} value={shown} onChange={(e) => go(Number(e.target.value))} style={{ accentColor: 'var(--ink)', width: 90 }} />
              <button type="button" className={partsCss.icon} aria-label="Next reference" disabled={shown >= walk.length} onClick={() => go(shown + 1)}><ChevronRight size={16} aria-hidden="true" /></button>
            </span>
            <span><i className={css.swatch} style={{ background: 'var(--hypervisor-tint)', borderLeft: '2px solid var(--hypervisor)' }} />read</span>
            <span><i className={css.swatch} style={{ background: 'var(--now)' }} />now</span>
            <span><i className={css.swatch} style={{ border: '1px dashed var(--line-strong)' }} />to come</span>
            <span><i className={css.swatch} style={{ background: 'var(--hypervisor)', height: 3, width: 24 }} />cost: full bar {most} cycles</span>
          </div>
        </div>
        {picked ? <MemoryLine vm={vm} row={picked} /> : null}
        <Caches vm={vm} head={head} done={shown >= walk.length} />
      </div>
    </div>
  );
}
const RowOf = ({ children }: { children: React.ReactNode }) => <>{children}</>;

function Cell({ row, shown, selected, most, onPick }: { row: WalkRow; shown: number; selected: string | undefined; most: number; onPick: (row: WalkRow) => void }) {
  const state = row.n > shown ? css.toCome : row.n === shown ? css.nowCell : row.table === 'ept' ? css.ept : css.guest;
  const seen = row.n <= shown;
  const text = big(row.entry).toString(16);
  const flags = text.slice(-3);
  const frame = text.slice(0, -3);
  const guest = row.table === 'guest';
  return (
    <button type="button" className={`${css.cell} ${state} ${row.key === selected && row.n !== shown ? css.picked : ''}`} onClick={() => onPick(row)} aria-pressed={row.key === selected}
      aria-label={`Reference ${row.n}, ${guest ? 'guest' : 'EPT'} ${row.level} ${row.index}${seen ? `, entry ${row.entry}, ${row.cycles} cycles` : ', to come'}`}>
      <span className={css.top}><span className={css.n}>{row.n}</span><span>{guest ? `${row.level} ` : ''}[{row.index}]</span></span>
      {seen ? (
        <>
          {guest ? <span className={`${css.value} ${css.where}`}>0x<u style={{ textDecorationStyle: 'solid' }}>{big(row.hpa).toString(16)}</u></span> : null}
          <span className={css.value}>0x<u style={{ textDecorationStyle: guest ? 'dashed' : 'solid', fontWeight: 600 }}>{frame}</u>{flags}</span>
          <span className={css.cost}><i style={{ width: `${Math.max(3, (row.cycles / most) * 100)}%` }} /></span>
        </>
      ) : null}
    </button>
  );
}

function Caches({ vm, head, done }: { vm: VmRow; head: WalkHeadRow | undefined; done: boolean }) {
  const tlb = useRows<TlbRow>('tlb', argOf(vm));
  const exits = useRows<ExitRow>('exits', argOf(vm));
  const kinds = [...new Set(tlb.map((row) => row.kind))];
  const page = (text: string): string => big(text).toString(16);
  const walked = big(head?.gva) & ~0xfffn;
  const isIt = (row: TlbRow): boolean => head !== undefined && big(row.gva) === walked;
  return (
    <div className={css.side}>
      {kinds.length === 0 ? <div><h3>TLB</h3><small>empty</small></div> : kinds.map((kind) => {
        const rows = tlb.filter((row) => row.kind === kind);
        return (
          <div key={kind}>
            <h3>{kind} <small>GVA page → HPA frame, {rows.length} {rows.length === 1 ? 'entry' : 'entries'}</small></h3>
            <table className={css.tight}>
              <thead><tr><th scope="col">GVA</th><th scope="col">HPA</th><th scope="col">rights</th></tr></thead>
              <tbody>
                {head ? <tr className={css.missed}><td><span className={`${partsCss.address} ${partsCss.gva}`}>{page(hex(walked))}</span></td><td>{done && head.hpa ? <span className={`${partsCss.address} ${partsCss.hpa}`}>{page(hex(big(head.hpa) & ~0xfffn))}</span> : 'not yet'}</td><td>missed</td></tr> : null}
                {rows.filter((row) => !isIt(row)).slice(-5).map((row) => <tr key={row.key}><td><span className={`${partsCss.address} ${partsCss.gva}`}>{page(row.gva)}</span></td><td><span className={`${partsCss.address} ${partsCss.hpa}`}>{page(row.hpa)}</span></td><td>{row.rights}</td></tr>)}
              </tbody>
            </table>
          </div>
        );
      })}
      <div>
        <h3><RoleMark place="trap" /> Exits <small>by reason</small></h3>
        <table className={css.tight}><tbody>{[...exits].sort((a, b) => b.count - a.count).slice(0, 5).map((row) => <tr key={row.key}><td><button type="button" onClick={() => select({ kind: 'exit', id: row.key })}>{row.reason} {row.name}</button></td><td>{count(row.count)}</td></tr>)}</tbody></table>
        {exits.length === 0 ? <small>none yet</small> : null}
      </div>
    </div>
  );
}

function MemoryLine({ vm, row }: { vm: VmRow; row: WalkRow }) {
  const line = hex(big(row.hpa) & ~63n);
  const words = useRows<MemoryRow>('memory', { host: vm.host, vm: vm.name, hpa: line });
  const first = Math.floor(row.index / 8) * 8;
  return (
    <div className={css.memory}>
      <div style={{ display: 'flex', gap: 8, alignItems: 'baseline', flexWrap: 'wrap' }}><b>Memory</b><Address value={line} space="hpa" tag /><small style={{ color: 'var(--ink-2)' }}>one 64-byte line: {row.table === 'ept' ? 'EPT' : 'guest'} entries {first} to {first + 7}, little-endian</small></div>
      <div className={css.words}>
        {words.map((word, i) => {
          const bytes = word.bytes.split(' ');
          return <div key={word.key} className={big(word.hpa) === big(row.hpa) ? css.wordNow : ''}><small>+{(i * 8).toString(16).padStart(2, '0')} [{first + i}]</small>{bytes.slice(0, 4).join(' ')}<br />{bytes.slice(4).join(' ')}</div>;
        })}
      </div>
    </div>
  );
}

function Exits({ vm }: { vm: VmRow }) {
  const exits = useRows<ExitRow>('exits', argOf(vm));
  const log = useRows<ExitLogRow>('exit-log', argOf(vm));
  const most = Math.max(1, ...exits.map((row) => row.count));
  if (exits.length === 0) return <Empty title="No exit yet">The guest has not left guest mode.</Empty>;
  return (
    <div className={css.pad}>
      <div className={css.side} style={{ flexDirection: 'column' }}>
        <div>
          <h3><RoleMark place="trap" /> Exits by reason <small>full bar {count(most)}</small></h3>
          <table className={css.tight}>
            <thead><tr><th scope="col">reason</th><th scope="col">name</th><th scope="col">share</th><th scope="col">cycles</th><th scope="col">count</th></tr></thead>
            <tbody>{[...exits].sort((a, b) => b.count - a.count).map((row) => <tr key={row.key}><td>{row.reason}</td><td><button type="button" onClick={() => select({ kind: 'exit', id: row.key })}><u>{row.name}</u></button></td><td style={{ width: '30%' }}><span style={{ display: 'block', height: 8, width: `${(row.count / most) * 100}%`, background: 'var(--trap)' }} /></td><td>{count(row.cycles)}</td><td>{count(row.count)}</td></tr>)}</tbody>
          </table>
        </div>
        <div>
          <h3>The newest exits <small>in order</small></h3>
          <table className={css.tight}>
            <thead><tr><th scope="col">n</th><th scope="col">time</th><th scope="col">exit</th><th scope="col">rip</th><th scope="col">qualification</th><th scope="col">cycles</th></tr></thead>
            <tbody>{log.slice(-40).reverse().map((row) => <tr key={row.key}><td>{row.n}</td><td>{seconds(row.t)}</td><td>{row.name}</td><td>{row.rip}</td><td>{row.qualification}{row.gpa ? <> <Address value={row.gpa} space="gpa" /></> : null}</td><td>{count(row.cycles)}</td></tr>)}</tbody>
          </table>
        </div>
      </div>
    </div>
  );
}

function Registers({ vm }: { vm: VmRow }) {
  const registers = useRows<RegisterRow>('registers', argOf(vm));
  const code = useRows<DisassemblyRow>('disassembly', argOf(vm));
  const vmcs = useRows<VmcsRow>('vmcs', argOf(vm));
  const groups = [...new Set(registers.map((row) => row.group))];
  return (
    <div className={css.pad}>
      <div className={css.two}>
        <div className={css.side}>
          {groups.map((group) => <div key={group}><h3>{group}</h3><table className={css.tight}><tbody>{registers.filter((row) => row.group === group).map((row) => <tr key={row.key}><td>{row.name}</td><td style={{ color: /^0x0*$/.test(row.value) ? 'var(--ink-3)' : undefined }}>{row.value}</td><td style={{ fontFamily: 'var(--font-text)', color: 'var(--ink-2)' }}>{row.text}</td></tr>)}</tbody></table></div>)}
        </div>
        <div className={css.side}>
          <div><h3><RoleMark place="guest-kernel" /> Code <small>around rip</small></h3><table className={css.tight}><tbody>{code.map((row) => <tr key={row.key} style={row.current ? { background: 'var(--now)', color: 'var(--on-now)' } : undefined}><td>{row.address}</td><td style={{ opacity: 1 }}>{row.bytes}</td><td style={{ textAlign: 'left', width: '50%' }}>{row.text}</td></tr>)}</tbody></table></div>
          <div><h3><RoleMark place="hypervisor" /> VMCS <small>field, encoding, value</small></h3><table className={css.tight}><tbody>{vmcs.map((row) => <tr key={row.key}><td>{row.name}</td><td style={{ color: 'var(--ink-3)' }}>{row.encoding}</td><td>{row.value}</td></tr>)}</tbody></table></div>
        </div>
      </div>
    </div>
  );
}
