/** The linear address that was translated, cut where the format of the guest's tables cuts it. */
import type { WalkHeadRow, WalkRow } from '../../../bridge/rows.ts';
import { big, hex } from '../../format.ts';
import { Address } from '../../parts/parts.tsx';
import css from '../pictures.module.css';

const PARTS: Readonly<Record<string, readonly (readonly [name: string, level: string, hi: number, lo: number])[]>> = {
  '4-level': [['PML4', 'PML4E', 47, 39], ['PDPT', 'PDPTE', 38, 30], ['PD', 'PDE', 29, 21], ['PT', 'PTE', 20, 12], ['offset', '', 11, 0]],
  PAE: [['PDPT', 'PDPTE', 31, 30], ['PD', 'PDE', 29, 21], ['PT', 'PTE', 20, 12], ['offset', '', 11, 0]],
  '32-bit': [['PD', 'PDE', 31, 22], ['PT', 'PTE', 21, 12], ['offset', '', 11, 0]],
};

export function AddressRow({ head, walk, shown }: { head: WalkHeadRow | undefined; walk: WalkRow[]; shown: number }) {
  const gva = big(head?.gva);
  const parts = PARTS[head?.format ?? ''] ?? PARTS['4-level']!;
  const levels = new Set(walk.filter((one) => one.table !== 'ept').map((one) => one.level));
  const large = head?.guestPage !== '4 KiB' && !levels.has('PTE');
  const current = walk[shown - 1];
  const inView = current?.table === 'ept' ? parts[current.row]?.[1] : current?.level;
  return (
    <div className={css.addressRow} style={{ gridTemplateColumns: `minmax(178px, 1fr) repeat(${parts.length - 1}, minmax(70px, 118px)) minmax(92px, 124px)` }}>
      <div>
        <Address value={head?.gva ?? ''} space="gva" tag digits={head?.format === '4-level' ? 16 : 8} />
        <div className={css.vaLabel} style={{ justifyContent: 'flex-start', gap: 8 }}><code style={{ color: 'var(--ink)' }}>{head?.instruction}</code><span>ring {head?.ring}, {head?.access}</span></div>
      </div>
      {parts.map(([name, level, hi, lo]) => {
        const value = (gva >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
        return (
          <div key={name} className={css.vaPart}>
            <div className={`${css.va} ${level !== '' && inView === level ? css.now : ''}`}>{value.toString(2).padStart(hi - lo + 1, '0')}</div>
            <div className={css.vaLabel}><span><b style={{ fontFamily: 'inherit' }}>{large && level === 'PTE' ? 'offset' : name}</b> {hi}:{lo}</span><b>{name === 'offset' ? hex(value) : String(value)}</b></div>
          </div>
        );
      })}
    </div>
  );
}
