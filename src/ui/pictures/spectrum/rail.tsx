/**
 * One row of a lane's rail: tracks for ring 3, ring 0 and the hypervisor, time downwards. A leave goes out by an arrow and comes
 * back dotted; where the guest's ring changes, a line crosses. The kernel's track is solid, hollow (deprivileged) or dashed (translated).
 */
import { outcomeShape } from '../../parts/marks.tsx';

const TRACK = { user: 7, kernel: 21, monitor: 37 };
export const RAIL = 46;
const xOf = (ring: number): number => (ring === 3 ? TRACK.user : TRACK.kernel);

export function Rail({ ring, before, lines, left, missed, callout, program, height, last }: { ring: number; before: number; lines: 'solid' | 'hollow' | 'dashed'; left: boolean; missed: boolean; callout: boolean; program: boolean; height: number; last: boolean }) {
  const x = xOf(ring);
  const from = xOf(before);
  const out = Math.round(height * 0.3);
  const back = height - 8;
  const hue = callout ? 'var(--hypervisor)' : 'var(--trap)';
  return (
    <svg width={RAIL} height={height} viewBox={`0 0 ${RAIL} ${height}`} aria-hidden="true">
      {[TRACK.user, TRACK.kernel, TRACK.monitor].map((at) => <line key={at} x1={at} x2={at} y1="0" y2={height} stroke="var(--line)" />)}
      {from !== x ? <line x1={from} x2={x} y1="1" y2="1" stroke="var(--guest-kernel)" strokeWidth="1.5" /> : null}
      <Track x={x} ring={ring} lines={lines} from={0} to={left ? out : height} />
      {missed ? <g transform={`translate(${x - 7} ${out - 3}) scale(1.17)`}>{outcomeShape('killed')}</g> : null}
      {left ? (
        <>
          <path d={`M${x} ${out}H31`} stroke={hue} strokeWidth="1.5" fill="none" /><path d={`M30 ${out - 3.5}l5 3.5-5 3.5Z`} fill={hue} />
          <rect x={TRACK.monitor - 3} y={out - 4} width="7" height={(program ? (back - out) / 2 : back - out) + 6} fill="var(--hypervisor)" />
          {program ? <rect x={TRACK.monitor - 3} y={out + (back - out) / 2 + 2} width="7" height={(back - out) / 2} fill="var(--host-kernel)" stroke="var(--panel)" /> : null}
          {last ? null : <><path d={`M34 ${back}H${x}`} stroke={hue} strokeWidth="1.5" strokeDasharray="2 2" fill="none" /><Track x={x} ring={ring} lines={lines} from={back} to={height} /></>}
        </>
      ) : null}
    </svg>
  );
}

function Track({ x, ring, lines, from, to }: { x: number; ring: number; lines: 'solid' | 'hollow' | 'dashed'; from: number; to: number }) {
  if (ring === 3) return <line x1={x} x2={x} y1={from} y2={to} stroke="var(--guest-user)" strokeWidth="3" />;
  if (lines === 'solid') return <line x1={x} x2={x} y1={from} y2={to} stroke="var(--guest-kernel)" strokeWidth="4" />;
  return (
    <>
      <path d={`M${x - 2} ${from}V${to}M${x + 2} ${from}V${to}`} stroke="var(--guest-kernel)" strokeWidth="1.2" fill="none" />
      {lines === 'dashed' ? <line x1={x} x2={x} y1={from} y2={to} stroke="var(--guest-kernel)" strokeWidth="1.6" strokeDasharray="2 3" /> : null}
    </>
  );
}

/** The three tracks' marks, over a lane's rail. */
export function RailHead() {
  return (
    <svg width={RAIL} height="14" viewBox={`0 0 ${RAIL} 14`} aria-hidden="true">
      <circle cx={TRACK.user} cy="7" r="3.4" fill="none" stroke="var(--guest-user)" strokeWidth="2" />
      <circle cx={TRACK.kernel} cy="7" r="4" fill="var(--guest-kernel)" />
      <path d={`M${TRACK.monitor} 2l5 5-5 5-5-5Z`} fill="var(--hypervisor)" />
    </svg>
  );
}
