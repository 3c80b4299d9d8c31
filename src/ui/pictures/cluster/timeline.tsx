/** Kubernetes events over time, a lane a reason, warnings apart; below them the words. */
import type { KubeEventRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { seconds } from '../../format.ts';
import { Empty, RowsTable } from '../../parts/parts.tsx';
import { seek } from '../../session/session.ts';
import { namesRoom, TimeTicks, useType, useWidth } from './axis.tsx';
import css from './cluster.module.css';

const MOST = 1500;

export default function Timeline() {
  const events = useRows<KubeEventRow>('kube-events');
  if (events.length === 0) return <Empty title="No events yet" line="kubectl get events -A">What the components say about objects: why a pod waits, what was pulled, what failed.</Empty>;
  return <Lanes events={events} />;
}

function Lanes({ events }: { events: KubeEventRow[] }) {
  const [ref, W] = useWidth<SVGSVGElement>();
  const newest = events.slice(-MOST);
  const { letter, lane: LANE } = useType();
  const reasons = [...new Set(newest.map((e) => `${e.type === 'Warning' ? '0' : '1'}${e.reason}`))].sort().slice(0, 24);
  const L = namesRoom(reasons, letter, W);
  const from = newest[0]!.lastAt;
  const to = Math.max(from + 1e9, newest[newest.length - 1]!.lastAt);
  const x = (t: number): number => L + ((t - from) / (to - from)) * (W - L - 14);
  const height = reasons.length * LANE + 26;
  const rows = [...newest].reverse().slice(0, 200).map((row) => ({ key: row.key, time: seconds(row.lastAt), type: row.type, reason: row.reason, object: `${row.namespace}/${row.object}`, message: row.message, count: row.count, source: row.source }));
  return (
    <section className={css.face} aria-label="Events over time">
      <svg ref={ref} className={css.chart} height={height} role="img" aria-label={`${newest.length} events of ${reasons.length} reasons; the table below has them`}>
        <TimeTicks from={from} to={to} left={L} right={W - 14} y={height - 22} high={height - 26} />
        {reasons.map((reason, i) => <g key={reason}><line x1={L} x2={W - 8} y1={i * LANE + 12} y2={i * LANE + 12} stroke="var(--line)" /><text x={L - 8} y={i * LANE + 16} textAnchor="end" style={reason.startsWith('0') ? { fill: 'var(--killed-ink)', fontWeight: 600 } : undefined}>{reason.startsWith('0') ? '⚠ ' : ''}{reason.slice(1)}</text></g>)}
        {newest.map((e) => {
          const lane = reasons.indexOf(`${e.type === 'Warning' ? '0' : '1'}${e.reason}`);
          if (lane < 0) return null;
          const r = Math.min(7, 3 + Math.log2(Math.max(1, e.count)));
          // biome-ignore lint/a11y/noStaticElementInteractions: the time bar is the way by keys
          // biome-ignore lint/a11y/useKeyWithClickEvents: the time bar is the way by keys
          return <g key={e.key} transform={`translate(${x(e.lastAt)} ${lane * LANE + 12})`} style={{ cursor: 'pointer' }} onClick={() => void seek(e.lastAt)}><title>{`${e.object}: ${e.message}${e.count > 1 ? ` (${e.count} times)` : ''}`}</title>{e.type === 'Warning' ? <path d={`M0 ${-r - 1}L${r + 1} ${r}H${-r - 1}Z`} fill="var(--killed)" /> : <circle r={r} fill="var(--container)" />}</g>;
        })}
      </svg>
      <RowsTable title="Events, newest first" rows={rows} />
    </section>
  );
}
