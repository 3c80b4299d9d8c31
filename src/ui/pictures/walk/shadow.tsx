/**
 * Shadow paging: above, the guest's tables as it believes them to be walked; below, the tables of the hypervisor's that the
 * processor walks; then the page faults, of which the guest never hears of the hidden ones.
 */
import { Lock, LockOpen } from 'lucide-react';
import type { ShadowFaultRow, TableRow, WalkHeadRow, WalkRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { big, count } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Address } from '../../parts/parts.tsx';
import { Cell, TABLES } from './cell.tsx';
import { argOf, type Machine } from './machine.ts';
import css from '../pictures.module.css';

export function Shadow({ vm, walk, head, shown, selected, onPick }: { vm: Machine; walk: WalkRow[]; head: WalkHeadRow | undefined; shown: number; selected: string | undefined; onPick: (row: WalkRow) => void }) {
  const rows = useRows<TableRow>('tables', argOf(vm));
  const most = Math.max(1, ...walk.map((one) => one.cycles));
  const of = (level: string): TableRow | undefined => rows.find((one) => one.level === level);
  return (
    <>
      <div className={css.shadow}>
        <div className={css.colHead}><b>Table</b></div>
        {TABLES.map((name) => <div key={name} className={css.colHead}><b>{name}</b></div>)}
        <div className={css.rowLabel}><b><RoleMark place="guest-kernel" /> Guest’s</b><span>the guest writes it, no one walks it</span></div>
        {TABLES.map((name) => <GuestEntry key={name} row={of(name)} />)}
        <div />
        {TABLES.map((name) => <div key={name} className={css.mirror} aria-hidden="true">{of(name)?.table && of(name)?.shadow ? <i className={of(name)!.unsync ? css.loose : ''} /> : null}</div>)}
        <div className={css.rowLabel}><b><RoleMark place="hypervisor" /> Shadow</b><span>the processor walks it</span></div>
        {TABLES.map((name) => {
          const reference = walk.find((one) => one.level === `${name}E`);
          const row = of(name);
          return reference ? <Cell key={name} row={reference} shown={shown} selected={selected} most={most} native onPick={onPick} /> : <div key={name} className={`${css.cell} ${css.toCome}`}>{row?.shadow ? <><span style={{ fontFamily: 'var(--font-text)' }}>not walked: cached</span><Address value={row.shadowAt} space="hpa" /></> : <span style={{ fontFamily: 'var(--font-text)' }}>no shadow yet</span>}</div>;
        })}
      </div>
      <div className={css.legend}>
        <span><Lock size={12} aria-hidden="true" /> write-protected: a write is a fault, emulated and copied over</span><span><LockOpen size={12} aria-hidden="true" /> unsync: written unseen, compared at the next flush</span>
        {head?.hpa && shown >= walk.length ? <span>data at <span><Address value={head.hpa} space="hpa" tag /></span></span> : null}
      </div>
    </>
  );
}

function GuestEntry({ row }: { row: TableRow | undefined }) {
  if (!row?.table) return <div className={`${css.cell} ${css.toCome}`}><span style={{ fontFamily: 'var(--font-text)' }}>{row?.shadow ? 'part of a large page' : 'not there'}</span></div>;
  const text = big(row.entry).toString(16);
  return (
    <div className={`${css.cell} ${css.guest} ${row.present ? '' : css.gap}`}>
      <span className={css.top}><span className={css.state}>{row.unsync ? <><LockOpen size={12} aria-hidden="true" /><span className={css.word}> unsync</span></> : row.protected ? <><Lock size={12} aria-hidden="true" /><span className={css.word}> protected</span></> : 'not shadowed'}</span><span>[{row.index}]</span></span>
      <span className={`${css.value} ${css.where}`}>0x<u style={{ textDecorationStyle: 'dashed' }}>{big(row.gpa).toString(16)}</u></span>
      <span className={css.value}>{row.present ? <>0x<u style={{ textDecorationStyle: 'dashed', fontWeight: 600 }}>{text.slice(0, -3)}</u>{text.slice(-3)}</> : 'not present'}</span>
    </div>
  );
}

const KINDS: Readonly<Record<string, string>> = { hidden: 'hidden: the shadow was missing or stale', true: 'true: the guest’s own, brought to it', write: 'write to a traced table: emulated', page: 'a page without a frame', mmio: 'no memory there', reserved: 'in the monitor’s own slot' };

export function Faults({ vm }: { vm: Machine }) {
  const rows = useRows<ShadowFaultRow>('shadow-faults', argOf(vm));
  const kinds = [...new Set(rows.map((row) => row.kind))];
  return (
    <div className={css.faults}>
      <h3><RoleMark place="trap" /> Page faults <small>the newest {rows.length}: {kinds.map((kind) => `${count(rows.filter((row) => row.kind === kind).length)} ${kind}`).join(', ')}</small></h3>
      {rows.length === 0 ? <small>none yet</small> : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <section className={css.scroll} tabIndex={0} aria-label="Page faults">
          <table className={css.tight}>
            <thead><tr><th scope="col">n</th><th scope="col">kind</th><th scope="col">address</th><th scope="col">error</th><th scope="col">rip</th><th scope="col" style={{ textAlign: 'left' }}>what was done</th></tr></thead>
            <tbody>{rows.slice(-30).reverse().map((row) => <tr key={row.key}><td>{row.n}</td><td title={KINDS[row.kind]}>{row.kind === 'true' ? <OutcomeMark outcome="warn" size={11} /> : null} {row.kind}</td><td><Address value={row.gva} space="gva" /></td><td>{row.error}</td><td>{row.rip}</td><td style={{ fontFamily: 'var(--font-text)', textAlign: 'left' }}>{row.done}</td></tr>)}</tbody>
          </table>
        </section>
      )}
    </div>
  );
}
