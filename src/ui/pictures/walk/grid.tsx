/** A walk in two dimensions: rows are the guest's tables, columns the EPT levels and the guest entry read at the end. */
import { Fragment } from 'react';
import type { WalkHeadRow, WalkRow } from '../../../bridge/rows.ts';
import { big } from '../../format.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { Address } from '../../parts/parts.tsx';
import { Cell, LEVELS, TABLES } from './cell.tsx';
import css from '../pictures.module.css';

const PAST = 5;

export function Grid({ walk, head, shown, selected, onPick }: { walk: WalkRow[]; head: WalkHeadRow | undefined; shown: number; selected: string | undefined; onPick: (row: WalkRow) => void }) {
  const at = (row: number, table: string, level: string): WalkRow | undefined => walk.find((one) => one.row === row && one.table === table && one.level === level);
  const most = Math.max(1, ...walk.map((one) => one.cycles));
  const gva = big(head?.gva);
  return (
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
          <Fragment key={row}>
            {position > 0 ? <div className={`${css.wire} ${(from?.n ?? 0) <= shown ? '' : css.pending}`}><i /></div> : null}
            <div className={css.rowLabel}>
              <b>{row === 4 ? 'Data page' : `Guest ${TABLES[row]}`}</b>
              {begun || row === 0 ? <Address value={first.gpa} space="gpa" /> : <span>not known yet</span>}
              <div className={css.made}>{row === 0 ? `CR3 + 8 × ${(gva >> 39n) & 511n}` : from === undefined ? 'from a paging-structure cache' : row === 4 ? `from ${from.n} + offset` : `from ${from.n} + 8 × ${entry?.index ?? ''}`}</div>
            </div>
            {LEVELS.map((level) => {
              const one = at(row, 'ept', level);
              return one ? <Cell key={level} row={one} shown={shown} selected={selected} most={most} onPick={onPick} /> : <div key={level} className={css.absent}><span className="sr">no reference</span><span aria-hidden="true">–</span></div>;
            })}
            {entry ? <Cell row={entry} shown={shown} selected={selected} most={most} onPick={onPick} /> : (
              <div className={`${css.cell} ${css.toCome}`} style={shown >= walk.length ? { borderStyle: 'solid', borderColor: 'var(--hpa)' } : undefined}>
                <span style={{ fontFamily: 'var(--font-text)' }}>Data<span className={css.wordy}>, HPA</span></span>
                {shown >= walk.length ? <Address value={head?.hpa ?? ''} space="hpa" /> : <span style={{ fontFamily: 'var(--font-text)' }}>known after {walk.length}</span>}
              </div>
            )}
          </Fragment>
        );
      })}
    </div>
  );
}
