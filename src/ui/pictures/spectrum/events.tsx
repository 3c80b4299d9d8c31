/** What took each guest out, how often and at what cost, on one scale; and where all of its cycles went. */
import type { LedgerEventRow, LedgerPlaceRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { OutcomeMark } from '../../parts/marks.tsx';
import { CsvButton } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { Bar, Legend } from './bar.tsx';
import { isCallout, isMissed, PLACES, type Side, wordsOf } from './lanes.ts';
import css from './spectrum.module.css';

export function Events({ side }: { side: Side }) {
  const events = useRows<LedgerEventRow>('ledger-events');
  const places = useRows<LedgerPlaceRow>('ledger-places');
  const selection = useStore((s) => s.selection);
  const { shown } = side;
  const of = (lane: { id: number; host: string }): LedgerEventRow[] => events.filter((row) => row.id === lane.id && row.host === lane.host);
  const most = Math.max(1, ...shown.flatMap((lane) => of(lane).map((row) => row.cycles)));
  const scale = Math.max(1, ...shown.map((lane) => lane.cycles - lane.asleep));
  const ids = new Set(shown.map((lane) => lane.key));
  const own = <T extends { host: string; id: number }>(rows: T[]): T[] => rows.filter((row) => ids.has(`${row.host}:${row.id}`));
  return (
    <div className={css.pad}>
      <section>
        <h3>Where the cycles went <small>since power-on, without sleep; one scale, full bar {count(scale)}</small><span className={css.end}><CsvButton name="places" rows={own(places)} /></span></h3>
        <div className={css.wide}>
          <table className={css.table}>
            <thead><tr><th scope="col">machine</th><th scope="col" style={{ width: '38%' }}>cycles by place</th><th scope="col" className={css.num}>in the guest</th><th scope="col" className={css.num}>outside</th><th scope="col" className={css.num}>left</th></tr></thead>
            <tbody>{shown.map((lane) => (
              <tr key={lane.key}><td className={css.text}>{lane.state === 'crashed' ? <OutcomeMark outcome="warn" size={12} /> : null} {wordsOf(lane.technique).name}</td><td><Bar row={lane} scale={scale} tall /></td>
                <td className={css.num}>{count(lane.guest + lane.user + lane.kernel + lane.translated)}</td><td className={css.num}>{count(lane.monitor + lane.program)}</td><td className={css.num}>{count(lane.events)}</td></tr>
            ))}</tbody>
          </table>
        </div>
        <Legend places={PLACES.filter((place) => shown.some((lane) => lane[place] > 0))} />
      </section>
      {shown.map((lane) => {
        const rows = of(lane);
        return (
          <section key={lane.key}>
            <h3>{wordsOf(lane.technique).name} <small>{lane.vm}, costs of {lane.profile}; full bar {count(most)} cycles</small><span className={css.end}><CsvButton name={`events-${lane.technique}`} rows={rows} /></span></h3>
            {rows.length === 0 ? <p className={css.small}>{lane.technique === 'native' ? 'Nothing below it: its traps, interrupts and ports go to its own handlers and its own devices.' : 'It has not been left yet.'}</p> : (
              <div className={css.wide}>
                <table className={css.table}>
                  <thead><tr><th scope="col">event</th><th scope="col" className={css.num}>count</th><th scope="col" className={css.num}>cycles</th><th scope="col" className={css.num}>each</th><th scope="col" style={{ width: '34%' }}>share of the longest bar</th></tr></thead>
                  <tbody>{rows.map((row) => (
                    <tr key={row.key} className={selection?.kind === 'event' && selection.id === row.key ? css.on : ''}><td style={row.part ? { paddingLeft: 18 } : undefined}>{isMissed(row.event) ? <><OutcomeMark outcome="killed" size={11} /> </> : row.part ? <span className={css.small}>of which </span> : null}<button type="button" className={css.link} onClick={() => select({ kind: 'event', id: row.key })}>{row.event}</button></td>
                      <td className={css.num}>{count(row.count)}</td><td className={css.num}>{count(row.cycles)}</td><td className={css.num}>{count(row.each)}</td>
                      <td><span className={`${css.share} ${isCallout(row.event) ? css.callout : ''}`} style={{ width: `${(row.cycles / most) * 100}%` }} /></td></tr>
                  ))}</tbody>
                </table>
              </div>
            )}
          </section>
        );
      })}
    </div>
  );
}
