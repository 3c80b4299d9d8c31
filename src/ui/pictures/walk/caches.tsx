/** Beside a walk: what the TLB and the paging-structure caches hold, and the exits. */
import type { ExitRow, TlbRow, WalkCacheRow, WalkHeadRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { big, count, hex } from '../../format.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { partsCss } from '../../parts/parts.tsx';
import { select } from '../../store.ts';
import { argOf, type Machine } from './machine.ts';
import css from '../pictures.module.css';

export function Caches({ vm, head, done }: { vm: Machine; head: WalkHeadRow | undefined; done: boolean }) {
  const tlb = useRows<TlbRow>('tlb', argOf(vm));
  const exits = useRows<ExitRow>('exits', argOf(vm));
  const caches = useRows<WalkCacheRow>('walk-caches', argOf(vm));
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
        <h3>Paging-structure caches <small>{caches.length === 0 ? 'none, or empty' : `prefix → table, ${count(caches.length)}`}</small></h3>
        {caches.length === 0 ? null : <table className={css.tight}>
          <thead><tr><th scope="col">entry</th><th scope="col">of</th><th scope="col">table at</th></tr></thead>
          <tbody>{caches.slice(-8).map((row) => <tr key={row.key}><td>{row.kind}</td><td><span className={`${partsCss.address} ${row.kind.startsWith('EPT') ? partsCss.gpa : partsCss.gva}`}>{big(row.address).toString(16)}</span></td><td><span className={`${partsCss.address} ${partsCss.hpa}`}>{big(row.host).toString(16)}</span></td></tr>)}</tbody>
        </table>}
      </div>
      <div>
        <h3><RoleMark place="trap" /> Exits <small>by reason</small></h3>
        <table className={css.tight}><tbody>{[...exits].sort((a, b) => b.count - a.count).slice(0, 5).map((row) => <tr key={row.key}><td><button type="button" onClick={() => select({ kind: 'exit', id: row.key })}>{row.reason} {row.name}</button></td><td>{count(row.count)}</td></tr>)}</tbody></table>
        {exits.length === 0 ? <small>none yet</small> : null}
      </div>
    </div>
  );
}

