/** A value against its limit: fill in the role's hue, a wall at the limit, a dashed tick for a soft one, a hatch where the limit was hit. */
import { useId } from 'react';
import type { Role } from '../../parts/marks.tsx';

export function Gauge({ value, max, soft, scale, place, hit, more = 0 }: { value: number; max: number | null; soft: number | null; scale: number; place: Role; hit: boolean; /** A second part behind the first, as swap. */ more?: number }) {
  const id = useId();
  const full = max ?? scale;
  const x = (n: number): number => Math.max(0, Math.min(100, (n / (full || 1)) * 100));
  const wide = value > 0 ? Math.max(0.8, x(value)) : 0;
  return (
    <svg width="100%" height="14" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">
      <pattern id={id} width="3" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(25)"><rect width="1.6" height="6" fill="var(--killed)" /></pattern>
      {max === null ? <path d="M0 13.5H100" stroke="var(--line)" vectorEffect="non-scaling-stroke" /> : <rect y="2" width="100" height="10" fill="var(--sunken)" stroke="var(--line)" vectorEffect="non-scaling-stroke" />}
      <rect y="2" width={wide} height="10" fill={`var(--${place})`} />
      {more > 0 ? <rect x={wide} y="4" width={Math.min(100 - wide, x(more))} height="6" fill={`var(--${place}-tint)`} stroke={`var(--${place})`} vectorEffect="non-scaling-stroke" /> : null}
      {hit ? <><rect y="2" x="72" width="28" height="10" fill="var(--panel)" /><rect y="2" x="72" width="28" height="10" fill={`url(#${id})`} /></> : null}
      <path d="M0 0V14" stroke="var(--ink-2)" vectorEffect="non-scaling-stroke" />
      {soft !== null && soft <= full ? <path d={`M${x(soft)} 0V14`} stroke="var(--ink)" strokeDasharray="2 2" vectorEffect="non-scaling-stroke" /> : null}
      {max !== null ? <path d="M99 0V14" stroke={hit ? 'var(--killed)' : 'var(--now)'} strokeWidth="3" vectorEffect="non-scaling-stroke" /> : null}
    </svg>
  );
}
