/** Who wrote what: each loop of the control plane a lane, each write a mark; all coordination goes through the store. */
import { useState } from 'react';
import type { WriteRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count, seconds } from '../../format.ts';
import { Empty } from '../../parts/parts.tsx';
import { seek } from '../../session/session.ts';
import { select, set } from '../../store.ts';
import { namesRoom, TimeTicks, useType, useWidth } from './axis.tsx';
import css from './cluster.module.css';

const SHAPES = ['circle', 'square', 'triangle', 'diamond', 'ring', 'bar'] as const;
const FILLS = ['var(--container)', 'var(--guest-kernel)', 'var(--host-kernel)', 'var(--hypervisor)', 'var(--ok)', 'var(--trap)'];
const KINDS = ['Pod', 'ReplicaSet', 'Deployment', 'Node', 'Service', 'EndpointSlice'];

export default function Writers() {
  const rows = useRows<WriteRow>('writes');
  if (rows.length === 0) return <Empty title="Nothing was written yet" line="kubectl create deployment web --image=nginx">Every loop reads and writes objects, and none calls another: here their writes are beside each other.</Empty>;
  return <Lanes rows={rows} />;
}

function Lanes({ rows }: { rows: WriteRow[] }) {
  const [only, setOnly] = useState('');
  const [ref, W] = useWidth<SVGSVGElement>();
  const kinds = [...new Set([...KINDS.filter((kind) => rows.some((row) => row.kind === kind)), ...rows.map((row) => row.kind)])];
  const shown = only === '' ? rows : rows.filter((row) => row.kind === only);
  const actors = [...new Set(rows.map((row) => row.by))].sort();
  const { letter, lane: LANE } = useType();
  const L = namesRoom(actors, letter, W);
  const from = rows[0]!.t;
  const to = Math.max(from + 1e9, rows[rows.length - 1]!.t);
  const x = (t: number): number => L + ((t - from) / (to - from)) * (W - L - 12);
  const height = actors.length * LANE + 26;
  return (
    <section className={css.face} aria-label="Who wrote what">
      <div className={css.row}><label>Kind <select className={css.pick} value={only} onChange={(e) => setOnly(e.target.value)}><option value="">all</option>{kinds.map((kind) => <option key={kind}>{kind}</option>)}</select></label><span className={css.quiet}>the newest {count(rows.length)} writes but events and leases, {seconds(from)} to {seconds(to)}</span></div>
      <svg ref={ref} className={css.chart} height={height} role="img" aria-label={`${rows.length} writes by ${actors.length} writers; the table below counts them`}>
        <TimeTicks from={from} to={to} left={L} right={W - 12} y={height - 22} high={height - 26} />
        {actors.map((actor, i) => <g key={actor}><line x1={L} x2={W - 8} y1={i * LANE + 14} y2={i * LANE + 14} stroke="var(--line)" /><text x={L - 8} y={i * LANE + 18} textAnchor="end">{actor}</text></g>)}
        {shown.map((row) => (
          // biome-ignore lint/a11y/noStaticElementInteractions: the table below has the same by keys
          // biome-ignore lint/a11y/useKeyWithClickEvents: the table below has the same by keys
          <g key={row.key} transform={`translate(${x(row.t)} ${actors.indexOf(row.by) * LANE + 14})`} style={{ cursor: 'pointer' }} onClick={() => go(row)}><title>{`${row.by} ${row.verb} ${row.kind} ${row.object} at ${seconds(row.t)}`}</title><Mark n={kinds.indexOf(row.kind)} verb={row.verb} /></g>
        ))}
      </svg>
      <div className={css.keys}>{kinds.map((kind, n) => <span key={kind}><svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true"><Mark n={n} verb="update" /></svg>{kind}</span>)}<span className={css.quiet}>large: created; crossed: deleted</span></div>
      <Matrix rows={rows} actors={actors} kinds={kinds} />
    </section>
  );
}

function go(row: WriteRow): void {
  if (row.kind === 'Pod' && row.verb !== 'delete') select({ kind: 'pod', id: row.object });
  set((s) => ({ mode: { ...s.mode, object: `${row.kind} ${row.object}` } }));
  void seek(row.t);
}

function Mark({ n, verb }: { n: number; verb: string }) {
  // after six kinds the same shapes come in other hues
  const fill = FILLS[(n + Math.floor(n / SHAPES.length)) % FILLS.length];
  const r = verb === 'create' ? 5.5 : 3.5;
  const shape = SHAPES[n % SHAPES.length];
  return (
    <>
      {shape === 'circle' ? <circle r={r} fill={fill} /> : shape === 'ring' ? <circle r={r - 0.5} fill="none" stroke={fill} strokeWidth={2} /> : shape === 'square' ? <rect x={-r} y={-r} width={2 * r} height={2 * r} fill={fill} />
        : shape === 'triangle' ? <path d={`M0 ${-r}L${r} ${r}H${-r}Z`} fill={fill} /> : shape === 'diamond' ? <path d={`M0 ${-r - 1}L${r + 1} 0L0 ${r + 1}L${-r - 1} 0Z`} fill={fill} /> : <rect x={-1.5} y={-r - 1} width={3} height={2 * r + 2} fill={fill} />}
      {verb === 'delete' ? <path d="M-6 -6L6 6" stroke="var(--ink)" strokeWidth={1.5} /> : null}
    </>
  );
}

function Matrix({ rows, actors, kinds }: { rows: readonly WriteRow[]; actors: readonly string[]; kinds: readonly string[] }) {
  const n = (by: string, kind: string): number => rows.reduce((sum, row) => sum + (row.by === by && row.kind === kind ? 1 : 0), 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
    <section className={css.virtual} style={{ minHeight: 0, height: 'auto' }} tabIndex={0} aria-label="Writes by writer and kind"><table>
      <thead><tr><th scope="col">writer</th>{kinds.map((kind) => <th key={kind} scope="col" className={css.n}>{kind}</th>)}</tr></thead>
      <tbody>{actors.map((by) => <tr key={by}><td>{by}</td>{kinds.map((kind) => <td key={kind} className={css.n}>{n(by, kind) || ''}</td>)}</tr>)}</tbody>
    </table></section>
  );
}
