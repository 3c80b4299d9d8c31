/** What charts over time share: as wide as there is room, so that their words are never scaled, and round seconds below them. */
import { scaleLinear } from 'd3-scale';
import { type RefObject, useEffect, useRef, useState } from 'react';
import { useStore } from '../../store.ts';

const MOST = 1200;

/** The width that an element has, in CSS pixels. */
export function useWidth<E extends Element>(first = 640): [RefObject<E | null>, number] {
  const ref = useRef<E>(null);
  const [width, set] = useState(first);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => set(Math.max(200, Math.min(MOST, Math.floor(entry!.contentRect.width)))));
    watch.observe(ref.current!);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
}

/** How wide a letter is about, and how far lanes lie apart, in px: a projector's are larger. */
export function useType(): { letter: number; lane: number } {
  return useStore((s) => s.theme) === 'projector' ? LARGE : USUAL;
}
const USUAL = { letter: 6.7, lane: 23 };
const LARGE = { letter: 8.4, lane: 29 };
/** The room that names need at the left of their lanes. */
export const namesRoom = (names: readonly string[], letter: number, width: number): number => Math.min(width / 2, 12 + letter * Math.max(8, ...names.map((name) => name.length)));

/** Round seconds between two times (ns), with hairlines `high` up from `y`. */
export function TimeTicks({ from, to, left, right, y, high }: { from: number; to: number; left: number; right: number; y: number; high: number }) {
  const scale = scaleLinear().domain([from / 1e9, to / 1e9]).range([left, right]);
  const ticks = scale.ticks(Math.max(2, Math.floor((right - left) / 90)));
  const digits = Math.max(0, -Math.floor(Math.log10((ticks[1] ?? 1) - (ticks[0] ?? 0)) + 1e-9));
  return ticks.map((tick) => (
    <g key={tick}>
      <line x1={scale(tick)} x2={scale(tick)} y1={y - high} y2={y} stroke="var(--line)" />
      <text x={scale(tick)} dy="1.25em" y={y} textAnchor={scale(tick) > right - 24 ? 'end' : 'middle'}>{tick.toFixed(digits)} s</text>
    </g>
  ));
}
