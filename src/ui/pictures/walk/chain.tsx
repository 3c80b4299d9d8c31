/** A walk in one dimension, on the bare machine or under direct paging: each entry names the next table by its host-physical address. */
import type { WalkHeadRow, WalkRow } from '../../../bridge/rows.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { Address } from '../../parts/parts.tsx';
import { Cell } from './cell.tsx';
import css from '../pictures.module.css';

export function Chain({ walk, head, shown, selected, onPick, words }: { walk: WalkRow[]; head: WalkHeadRow | undefined; shown: number; selected: string | undefined; onPick: (row: WalkRow) => void; words: string }) {
  const most = Math.max(1, ...walk.map((one) => one.cycles));
  return (
    <div>
      <div className={css.colHead}><b><RoleMark place="guest-kernel" /> The guest’s own tables, walked by the processor</b><span>{words}</span></div>
      <ol className={css.chain}>
        {walk.map((row) => (
          <li key={row.key}>
            <div className={css.rowLabel}><b>{row.level.replace(/E$/, '')}</b>{row.n === 1 ? 'from CR3' : `from ${row.n - 1}`}</div>
            <Cell row={row} shown={shown} selected={selected} most={most} native onPick={onPick} />
          </li>
        ))}
        <li>
          <div className={css.rowLabel}><b>Data page</b>{shown >= walk.length ? `from ${walk.length}` : 'not known yet'}</div>
          <div className={`${css.cell} ${css.toCome}`} style={shown >= walk.length ? { borderStyle: 'solid', borderColor: 'var(--hpa)' } : undefined}>
            <span style={{ fontFamily: 'var(--font-text)' }}>HPA, {head?.guestPage}</span>
            {shown >= walk.length ? <Address value={head?.hpa ?? ''} space="hpa" /> : <span style={{ fontFamily: 'var(--font-text)' }}>known after {walk.length}</span>}
          </div>
        </li>
      </ol>
    </div>
  );
}
