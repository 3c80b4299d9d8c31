/** Cycles by place as one bar: hue for the place, a pattern as its second sign, the order always the same. */
import { count } from '../../format.ts';
import { PLACE, PLACES, type Place } from './lanes.ts';
import css from './spectrum.module.css';

const styleOf = (place: Place): React.CSSProperties => {
  const { hue, pattern } = PLACE[place];
  const c = `var(--${hue})`;
  if (pattern === 'hatch') return { background: `repeating-linear-gradient(115deg, ${c} 0 4px, color-mix(in srgb, ${c} 45%, var(--panel)) 4px 6px)` };
  if (pattern === 'dots') return { background: `radial-gradient(circle at 2px 2px, var(--panel) 1px, transparent 1.2px) 0 0 / 5px 4px, ${c}` };
  if (pattern === 'rows') return { background: `repeating-linear-gradient(90deg, ${c} 0 3px, color-mix(in srgb, ${c} 35%, var(--panel)) 3px 5px)` };
  if (pattern === 'hollow') return { background: `color-mix(in srgb, ${c} 12%, var(--panel))`, boxShadow: `inset 0 0 0 1.5px ${c}` };
  return { background: c };
};

export function Bar({ row, scale, tall = false }: { row: Record<Place, number>; scale: number; tall?: boolean }) {
  const parts = PLACES.filter((place) => row[place] > 0 && place !== 'asleep');
  const said = parts.map((place) => `${PLACE[place].name} ${count(row[place])}`).join(', ');
  return <div className={`${css.bar} ${tall ? css.tall : ''}`} role="img" aria-label={`Cycles: ${said || 'none'}`} title={said}>{parts.map((place) => <i key={place} style={{ ...styleOf(place), width: `${(row[place] / scale) * 100}%` }} />)}</div>;
}

export function Legend({ places }: { places: readonly Place[] }) {
  return <div className={css.legend}>{places.filter((place) => place !== 'asleep').map((place) => <span key={place}><i style={styleOf(place)} />{PLACE[place].name}</span>)}</div>;
}
