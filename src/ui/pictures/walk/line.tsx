/** The line of host-physical memory that a reference read. */
import type { MemoryRow, WalkRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { big, hex } from '../../format.ts';
import { Address } from '../../parts/parts.tsx';
import { argOf, type Machine } from './machine.ts';
import css from '../pictures.module.css';

export function MemoryLine({ vm, row }: { vm: Machine; row: WalkRow }) {
  const line = hex(big(row.hpa) & ~63n);
  const words = useRows<MemoryRow>('memory', { ...argOf(vm)!, hpa: line });
  const first = Math.floor(row.index / 8) * 8;
  return (
    <div className={css.memory}>
      <div style={{ display: 'flex', gap: 8, alignItems: 'baseline', flexWrap: 'wrap' }}><b>Memory</b><Address value={line} space="hpa" tag /><small style={{ color: 'var(--ink-2)' }}>one 64-byte line: {row.table === 'ept' ? 'EPT' : row.table} entries {first} to {first + 7}, little-endian</small></div>
      <div className={css.words}>
        {words.map((word, i) => {
          const bytes = word.bytes.split(' ');
          return <div key={word.key} className={big(word.hpa) === big(row.hpa) ? css.wordNow : ''}><small>+{(i * 8).toString(16).padStart(2, '0')} [{first + i}]</small>{bytes.slice(0, 4).join(' ')}<br />{bytes.slice(4).join(' ')}</div>;
        })}
      </div>
    </div>
  );
}

