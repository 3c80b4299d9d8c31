/** Every cost that a figure here follows from, with its source, by processor generation. */
import { useState } from 'react';
import type { CostRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { CsvButton } from '../../parts/parts.tsx';
import type { Side } from './lanes.ts';
import css from './spectrum.module.css';

export function Costs({ side }: { side: Side }) {
  const rows = useRows<CostRow>('costs');
  const profiles = [...new Set(rows.map((row) => row.profile))];
  const [chosen, choose] = useState('');
  const profile = chosen || (side.shown.at(-1)?.profile ?? profiles[0] ?? '');
  const own = rows.filter((row) => row.profile === profile);
  const names = [...new Set(rows.map((row) => row.name))];
  const value = (name: string, of: string): CostRow | undefined => rows.find((row) => row.name === name && row.profile === of);
  return (
    <div className={css.pad}>
      <section>
        <h3>Costs of {profile} <small>{own[0] ? `launched ${own[0].launched}; -cpu chooses the generation of a run` : ''}</small>
          <span className={css.end}><select className={css.select} aria-label="Processor generation" value={profile} onChange={(e) => choose(e.target.value)}>{profiles.map((name) => <option key={name}>{name}</option>)}</select> <CsvButton name="costs" rows={rows} /></span></h3>
        <div className={css.wide}>
          <table className={css.table}>
            <thead><tr><th scope="col">what</th><th scope="col" className={css.num}>cycles</th><th scope="col" className={css.broad}>confidence</th><th scope="col" className={css.broad}>source</th></tr></thead>
            <tbody>{own.map((row) => <tr key={row.key}><td className={css.text} style={{ whiteSpace: 'normal' }}>{row.row}<small className={`${css.small} ${css.narrow}`}>{row.confidence}: {row.source}</small></td><td className={css.num}>{count(row.cycles)}</td><td className={`${css.text} ${css.broad}`}>{row.confidence}</td><td className={`${css.text} ${css.broad}`} style={{ whiteSpace: 'normal', lineHeight: '18px', padding: '3px 0' }}>{row.source}</td></tr>)}</tbody>
          </table>
        </div>
      </section>
      <section>
        <h3>All generations <small>cycles</small></h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <section className={css.wide} tabIndex={0} aria-label="Costs of all generations">
          <table className={css.table}>
            <thead><tr><th scope="col">generation</th>{names.map((name) => <th key={name} scope="col" className={css.num}>{name}</th>)}</tr></thead>
            <tbody>{profiles.map((of) => <tr key={of}><th scope="row">{of}</th>{names.map((name) => <td key={name} className={css.num}>{count(value(name, of)?.cycles ?? 0)}</td>)}</tr>)}</tbody>
          </table>
        </section>
      </section>
    </div>
  );
}
