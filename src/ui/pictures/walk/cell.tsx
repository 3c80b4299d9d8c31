/** One reference of a walk: its ordinal, which entry of which table, what was read there, what it cost. */
import type { WalkRow } from '../../../bridge/rows.ts';
import { big } from '../../format.ts';
import css from '../pictures.module.css';

export const LEVELS = ['PML4E', 'PDPTE', 'PDE', 'PTE'];
export const TABLES = ['PML4', 'PDPT', 'PD', 'PT'];

export function Cell({ row, shown, selected, most, native = false, onPick }: { row: WalkRow; native?: boolean; shown: number; selected: string | undefined; most: number; onPick: (row: WalkRow) => void }) {
  const state = row.n > shown ? css.toCome : row.n === shown ? css.nowCell : row.table === 'guest' ? css.guest : css.ept;
  const seen = row.n <= shown;
  const text = big(row.entry).toString(16);
  const flags = text.slice(-3);
  const frame = text.slice(0, -3);
  const guest = row.table === 'guest';
  return (
    <button type="button" className={`${css.cell} ${state} ${row.key === selected && row.n !== shown ? css.picked : ''}`} onClick={() => onPick(row)} aria-pressed={row.key === selected}
      aria-label={`Reference ${row.n}, ${guest ? 'guest' : row.table === 'ept' ? 'EPT' : 'shadow'} ${row.level} ${row.index}${seen ? `, entry ${row.entry}, ${row.cycles} cycles` : ', to come'}`}>
      <span className={css.top}><span className={css.n}>{row.n}</span><span>{row.table === 'ept' ? '' : `${row.level} `}[{row.index}]</span></span>
      {seen ? (
        <>
          {row.table === 'ept' ? null : <span className={`${css.value} ${css.where}`}>0x<u style={{ textDecorationStyle: 'solid' }}>{big(row.hpa).toString(16)}</u></span>}
          <span className={css.value}>0x<u style={{ textDecorationStyle: guest && !native ? 'dashed' : 'solid', fontWeight: 600 }}>{frame}</u>{flags}</span>
          <span className={css.cost}><i style={{ width: `${Math.max(3, (row.cycles / most) * 100)}%` }} /></span>
        </>
      ) : null}
    </button>
  );
}
