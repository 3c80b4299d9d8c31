/** A rollout over time: how many pods each revision's set has and how many are ready, stacked, between the bounds of the strategy. */
import { useState } from 'react';
import type { RolloutRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { Empty, RowsTable } from '../../parts/parts.tsx';
import { TimeTicks, useWidth } from './axis.tsx';
import { seek } from '../../session/session.ts';
import { useStore } from '../../store.ts';
import css from './cluster.module.css';

const FILLS = ['var(--container)', 'var(--guest-kernel)', 'var(--host-kernel)', 'var(--hypervisor)', 'var(--ok)', 'var(--guest-user)'];
const [H, L, B] = [240, 40, 26];

export default function Rollout() {
  const rows = useRows<RolloutRow>('rollouts');
  const now = useStore((s) => s.t);
  const asked = useStore((s) => s.mode.rollout);
  const [picked, pick] = useState<string | null>(asked ?? null);
  const owners = [...new Set(rows.map((row) => row.owner))];
  const newest = rows[rows.length - 1]?.owner;
  const owner = picked && owners.includes(picked) ? picked : newest;
  if (!owner) return <Empty title="No set of pods has changed yet" line="kubectl create deployment web --image=nginx --replicas=4">Each revision of a Deployment is a ReplicaSet; here they grow and shrink against each other.</Empty>;
  const mine = rows.filter((row) => row.owner === owner);
  return (
    <section className={css.face} aria-label="Rollout over time">
      <div className={css.row}><label>Of <select className={css.pick} value={owner} onChange={(e) => pick(e.target.value)}>{owners.map((one) => <option key={one}>{one}</option>)}</select></label><span className={css.quiet}>filled: ready; outlined: there, not ready; dotted line: wanted. A click goes to that moment.</span></div>
      <Chart rows={mine} now={now} />
      <RowsTable title={`Changes of ${owner}`} rows={[...mine].reverse()} most={60} />
    </section>
  );
}

interface Step { t: number; by: Map<string, RolloutRow> }

function Chart({ rows, now }: { rows: RolloutRow[]; now: number }) {
  const [ref, W] = useWidth<SVGSVGElement>();
  const sets = [...new Set(rows.map((row) => row.set))];
  const steps: Step[] = [];
  const last = new Map<string, RolloutRow>();
  for (const row of rows) {
    last.set(row.set, row);
    if (steps[steps.length - 1]?.t === row.t) steps[steps.length - 1]!.by = new Map(last);
    else steps.push({ t: row.t, by: new Map(last) });
  }
  const from = steps[0]!.t;
  const to = Math.max(now, steps[steps.length - 1]!.t + 1e9);
  const most = Math.max(1, ...steps.map((s) => [...s.by.values()].reduce((sum, row) => sum + Math.max(row.pods, row.wanted), 0)));
  const x = (t: number): number => L + ((t - from) / (to - from)) * (W - L - 8);
  const y = (n: number): number => H - B - (n / most) * (H - B - 14);
  return (
    <div>
    <div className={css.keys}>{sets.map((set, n) => <span key={set}><i style={{ width: 10, height: 10, background: FILLS[n % FILLS.length] }} />{set.replace('ReplicaSet/', '')}</span>)}</div>
    {/* biome-ignore lint/a11y/useKeyWithClickEvents: the time bar is the way by keys */}
    <svg ref={ref} className={css.chart} height={H} role="img" aria-label={`${sets.length} sets; the table below has every change`} onClick={(e) => { const box = e.currentTarget.getBoundingClientRect(); const f = e.clientX - box.left; if (f > L) void seek(from + ((f - L) / (W - L - 8)) * (to - from)); }}>
      <TimeTicks from={from} to={to} left={L} right={W - 8} y={H - B} high={H - B - 14} />
      {steps.map((step, i) => {
        const end = steps[i + 1]?.t ?? to;
        let base = 0;
        return <g key={step.t}>{sets.map((set, n) => {
          const row = step.by.get(set);
          if (!row || row.pods === 0) return null;
          const below = base;
          base += row.pods;
          const ready = Math.min(row.ready, row.pods);
          return <g key={set}><rect x={x(step.t)} width={Math.max(0.5, x(end) - x(step.t))} y={y(below + ready)} height={y(below) - y(below + ready)} fill={FILLS[n % FILLS.length]} /><rect x={x(step.t)} width={Math.max(0.5, x(end) - x(step.t))} y={y(base)} height={y(below + ready) - y(base)} fill="none" stroke={FILLS[n % FILLS.length]} strokeWidth={0.75} /></g>;
        })}
          <line x1={x(step.t)} x2={x(end)} y1={y([...step.by.values()].reduce((sum, row) => sum + row.wanted, 0))} y2={y([...step.by.values()].reduce((sum, row) => sum + row.wanted, 0))} stroke="var(--ink)" strokeDasharray="2 3" /></g>;
      })}
      {[0, most].map((n) => <text key={n} x={L - 6} y={y(n) + 4} textAnchor="end">{n}</text>)}
      <line x1={L} x2={W - 8} y1={H - B} y2={H - B} stroke="var(--line-strong)" />
    </svg>
    </div>
  );
}
