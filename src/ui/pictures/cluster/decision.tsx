/** How the scheduler decided about a pod: which nodes each filter refused, what each score gave. */
import type { DecisionRow, FilterRow, ScoreRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { seconds } from '../../format.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { partsCss } from '../../parts/parts.tsx';
import { seek } from '../../session/session.ts';
import css from '../pictures.module.css';

export function Decision({ id }: { id: string }) {
  const decision = useRows<DecisionRow>('decisions', { pod: id })[0];
  const filters = useRows<FilterRow>('filters', { pod: id });
  const scores = useRows<ScoreRow>('scores', { pod: id });
  const plugins = [...new Set(filters.map((row) => row.plugin))];
  const columns = [...new Set(scores.map((row) => row.plugin))];
  const byNode = new Map<string, ScoreRow[]>();
  for (const row of scores) byNode.set(row.node, [...(byNode.get(row.node) ?? []), row]);
  const ranked = [...byNode.entries()].sort((a, b) => (b[1][0]!.total - a[1][0]!.total) || (a[1][0]!.chosen ? -1 : b[1][0]!.chosen ? 1 : 0));
  return (
    <section className={css.block} style={{ borderTop: 'var(--border)' }} aria-label="Decision of the scheduler">
      <h3><RoleMark place="container" /> {id.slice(id.indexOf('/') + 1)} <small>{decision ? `attempt ${decision.attempt} at ${seconds(decision.t)}: ${decision.node ? `${decision.node}, of ${decision.feasible} feasible${decision.tied > 1 ? `; ${decision.tied} tied, drawn by lot` : ''}` : 'no node'}` : 'no decision recorded for it'}</small></h3>
      {decision?.message && !decision.node ? <p style={{ color: 'var(--trap-ink)', margin: '6px 0' }}>{decision.message}</p> : null}
      {filters.length === 0 && scores.length === 0 ? (decision && decision.nodes > 0 ? <p style={{ color: 'var(--ink-2)', margin: '6px 0' }}>Of older decisions the outcome is kept. <button type="button" className={`${partsCss.button} ${partsCss.small}`} onClick={() => void seek(decision.t)}>Go back to it</button> for every filter and score.</p> : null) : (
        <div className={css.deciding}>
          <div>
            <h3>Filter <small>nodes that pass each</small></h3>
            {plugins.map((plugin) => {
              const rows = filters.filter((row) => row.plugin === plugin);
              const refused = rows.filter((row) => !row.ok);
              return <div key={plugin} className={css.filter}><span>{plugin}</span><span className={css.trough}><i style={{ width: `${((rows.length - refused.length) / Math.max(1, rows.length)) * 100}%` }} /></span><span>{rows.length - refused.length} of {rows.length}</span>{refused.length > 0 ? <span className={css.why}>{[...new Set(refused.map((row) => row.reason))].map((reason) => `${refused.filter((row) => row.reason === reason).map((row) => row.node).slice(0, 3).join(', ')}${refused.length > 3 ? ` and ${refused.length - 3} more` : ''}: ${reason}`).join('; ')}</span> : null}</div>;
            })}
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
          <section style={{ overflowX: 'auto', minWidth: 0 }} tabIndex={0} aria-label="Scores">
            {ranked.length === 0 ? <p style={{ color: 'var(--ink-2)' }}>{decision?.feasible === 1 ? 'Only one node was feasible: nothing to score.' : 'No node was feasible: nothing to score.'}</p> : (
              <table className={css.scores}>
                <thead><tr><th scope="col"><b style={{ color: 'var(--ink)' }}>Score</b><br />of 100,<br />times weight</th>{columns.map((name) => <th key={name} scope="col">{name.replace(/([a-z])([A-Z])/g, '$1 $2')}<br /><b>×{scores.find((row) => row.plugin === name)?.weight}</b></th>)}<th scope="col" style={{ textAlign: 'right' }}>Total</th></tr></thead>
                <tbody>{ranked.slice(0, 40).map(([node, rows]) => (
                  <tr key={node} className={rows[0]!.chosen ? css.won : ''}><td><b>{node}</b>{rows[0]!.chosen ? <span className="sr"> chosen</span> : null}</td>
                    {columns.map((name) => { const row = rows.find((one) => one.plugin === name); return <td key={name} title={row?.formula}>{row ? <span className={css.fill}><i style={{ width: `${row.score}%` }} /><em>{row.score}</em></span> : ''}</td>; })}
                    <td style={{ textAlign: 'right', fontWeight: 600 }}>{rows[0]!.total}</td></tr>
                ))}</tbody>
              </table>
            )}
          </section>
        </div>
      )}
    </section>
  );
}
