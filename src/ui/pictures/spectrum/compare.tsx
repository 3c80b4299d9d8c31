/** The same work under each technique: cycles of every stretch between the guest's marks, and how many times those of the bare machine. */
import type { GuestMarkRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { CsvButton } from '../../parts/parts.tsx';
import { Bar, Legend } from './bar.tsx';
import { PLACES, type Side, stretchName, wordsOf } from './lanes.ts';
import css from './spectrum.module.css';

export function Compare({ side }: { side: Side }) {
  const { shown, segments } = side;
  const marks = useRows<GuestMarkRow>('guest-marks');
  const rowsOf = (lane: { id: number; host: string }): GuestMarkRow[] => marks.filter((row) => row.id === lane.id && row.host === lane.host);
  const at = (lane: { id: number; host: string }, segment: number): GuestMarkRow | undefined => rowsOf(lane)[segment];
  const most = Math.max(1, ...shown.flatMap((lane) => rowsOf(lane).map((row) => row.cycles)));
  const native = shown.some((lane) => lane.technique === 'native');
  const commands = new Set(shown.map((lane) => lane.workload.split(' ').slice(1).join(' ')));
  const ids = new Set(shown.map((lane) => lane.key));
  return (
    <div className={css.pad}>
      <section>
        <h3>Cycles between marks <small>{commands.size > 1 ? 'not the same command line: compare with care' : [...commands][0] ? `“${[...commands][0]}”` : 'the guest’s own marks on port 0x80'}; sleep not counted{native ? '; × is against the bare machine' : ''}</small><span className={css.end}><CsvButton name="stretches" rows={marks.filter((row) => ids.has(`${row.host}:${row.id}`))} /></span></h3>
        <div className={css.wide}>
          <table className={css.table}>
            <thead><tr><th scope="col">stretch</th>{shown.map((lane) => <th key={lane.key} scope="col" className={css.num} style={{ minWidth: 96 }}>{wordsOf(lane.technique).name}<br />{lane.profile}</th>)}</tr></thead>
            <tbody>
              {segments.map((segment) => (
                <tr key={segment.segment}><th scope="row" className={css.text}><button type="button" className={css.link} onClick={() => side.go(segment.segment)}>{stretchName(segments, segment.segment)}</button></th>
                  {shown.map((lane) => {
                    const row = at(lane, segment.segment);
                    return <td key={lane.key} className={css.num}>{row ? <>{count(row.cycles)}{row.ratio !== null && lane.technique !== 'native' ? <b style={{ fontWeight: 600 }}> {row.ratio}×</b> : null}</> : <span className={css.zero}>not there</span>}</td>;
                  })}</tr>
              ))}
              <tr className={css.sumRow}><th scope="row" className={css.text}>all</th>{shown.map((lane) => <td key={lane.key} className={css.num}>{count(lane.cycles - lane.asleep)}</td>)}</tr>
            </tbody>
          </table>
        </div>
        {native ? null : <p className={css.small}>Run the same image with <code>bare</code> to have the bare machine to measure against.</p>}
      </section>
      <section>
        <h3>By place <small>each stretch, one scale, full bar {count(most)} cycles</small></h3>
        {segments.map((segment) => (
          <div key={segment.segment} className={`${css.strip} ${css.plain}`}>
            <div className={css.who}><b>{stretchName(segments, segment.segment)}</b></div>
            <div>{shown.map((lane) => { const row = at(lane, segment.segment); return row ? <div key={lane.key} style={{ display: 'grid', gridTemplateColumns: '86px minmax(0, 1fr)', alignItems: 'center', gap: 8 }}><small className={css.small}>{wordsOf(lane.technique).short}</small><Bar row={row} scale={most} /></div> : null; })}</div>
          </div>
        ))}
        <Legend places={PLACES.filter((place) => shown.some((lane) => lane[place] > 0))} />
      </section>
    </div>
  );
}
