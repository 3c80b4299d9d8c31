/** Published measurements beside the same measured in this session: on one logarithmic scale, as numbers, and the command that measures each. */
import type { PaperRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { CsvButton, partsCss } from '../../parts/parts.tsx';
import { OutcomeMark } from '../../parts/marks.tsx';
import { run } from '../../session/session.ts';
import { wordsOf } from './lanes.ts';
import css from './spectrum.module.css';

export function Papers() {
  const rows = useRows<PaperRow>('papers');
  const papers = [...new Set(rows.map((row) => row.paper))];
  const open = rows.filter((row) => row.measured === null);
  const todo = open.length > 0 ? open : rows;
  const done = rows.length - open.length;
  const most = Math.max(10, ...rows.map((row) => Math.max(row.published, row.measured ?? 0)));
  return (
    <div className={css.pad}>
      <p className={css.small} style={{ maxWidth: '80ch' }}>
        What was measured on real machines, beside what the same loop of nest takes here; the costs of the Pentium 4 follow from some of these figures, the rest is a prediction.
        {' '}<b>{done} of {rows.length}</b> measured in this session, {rows.filter((row) => row.agrees === true).length} within their tolerance.
        {' '}<button type="button" className={partsCss.button} disabled={rows.length === 0} onClick={() => void run(todo.map((row) => row.command).join('; '))}>{open.length === 0 ? 'Measure all again' : done === 0 ? 'Measure all' : `Measure the other ${open.length}`}</button>
      </p>
      {papers.map((paper) => (
        <section key={paper}>
          <h3>{paper}<span className={css.end}><CsvButton name="papers" rows={rows.filter((row) => row.paper === paper)} /></span></h3>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
          <section className={css.wide} tabIndex={0} aria-label={paper}>
            <table className={css.table}>
              <thead><tr><th scope="col">operation</th><th scope="col">under</th><th scope="col">measure</th><th scope="col" className={css.num}>published</th><th scope="col" className={css.num}>measured</th><th scope="col" className={css.num}>deviation</th><th scope="col">agrees</th><th scope="col">1 to {count(most)}</th><th scope="col">confidence</th></tr></thead>
              <tbody>{rows.filter((row) => row.paper === paper).map((row, n, own) => <Line key={row.key} row={row} first={own[n - 1]?.row !== row.row} most={most} />)}</tbody>
            </table>
          </section>
        </section>
      ))}
      <div className={css.legend} style={{ padding: 0 }}>
        <span><svg width="12" height="14" aria-hidden="true"><Published x={6} /></svg>published</span>
        <span><svg width="12" height="14" aria-hidden="true"><Measured x={6} /></svg>measured here</span>
        <span>cycles for one operation, or times the native ones; logarithmic scale</span>
      </div>
    </div>
  );
}

function Line({ row, first, most }: { row: PaperRow; first: boolean; most: number }) {
  const { measured, deviation, agrees, tolerance } = row;
  return (
    <tr>
      <th scope="row" className={css.text} style={{ color: 'var(--ink)' }}><span className={first ? '' : 'sr'}>{row.row}</span></th>
      <td className={css.text} title={wordsOf(row.technique).name}>{row.column}</td>
      <td><button type="button" className={`${partsCss.button} ${partsCss.small}`} aria-label={`Run ${row.command}`} title={row.command} onClick={() => void run(row.command)}>Run</button></td>
      <td className={css.num}>{row.published < 100 ? row.published : count(row.published)}{row.unit === 'cycles' ? '' : ' ×'}</td>
      <td className={css.num}>{measured === null ? <span className={css.small}>not yet</span> : <b style={{ fontWeight: 600 }}>{measured.toLocaleString('en', { maximumFractionDigits: 2 })}{row.unit === 'cycles' ? '' : ' ×'}</b>}</td>
      <td className={css.num}>{deviation === null ? '' : `${deviation > 0 ? '+' : ''}${deviation} %`}</td>
      <td className={css.text}>{agrees === null ? (tolerance === null ? 'order only' : `±${tolerance} %`) : <span style={{ display: 'inline-flex', gap: 4, alignItems: 'center' }}><OutcomeMark outcome={agrees ? 'ok' : 'killed'} /><span className="sr">{agrees ? 'yes' : 'no'}, within </span>±{tolerance} %</span>}</td>
      <td><Scale row={row} most={most} /></td>
      <td className={css.text}>{row.confidence}</td>
    </tr>
  );
}

const WIDTH = 132;
/** Both figures on one scale, 1 to `most` cycles, a tick at each power of ten. */
function Scale({ row, most }: { row: PaperRow; most: number }) {
  const at = (cycles: number): number => 6 + (Math.log10(Math.max(1, cycles)) / Math.log10(most)) * (WIDTH - 12);
  const tens = Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, n) => 10 ** n);
  return (
    <svg width={WIDTH} height={14} aria-hidden="true" style={{ display: 'block' }}>
      <line x1={6} x2={WIDTH - 6} y1={7} y2={7} stroke="var(--line)" />
      {tens.map((ten) => <line key={ten} x1={at(ten)} x2={at(ten)} y1={5} y2={9} stroke="var(--line-strong)" />)}
      <Published x={at(row.published)} />
      {row.measured === null ? null : <Measured x={at(row.measured)} />}
    </svg>
  );
}
const Published = ({ x }: { x: number }) => <circle cx={x} cy={7} r={4.5} fill="none" stroke="var(--ink)" strokeWidth={1.5} />;
const Measured = ({ x }: { x: number }) => <circle cx={x} cy={7} r={2} fill="var(--trap)" />;
