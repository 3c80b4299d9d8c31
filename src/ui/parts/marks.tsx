/** The second sign of each meaning: a shape for a place, an icon for an outcome. Drawn in a 12 px box. */
import type { ReactNode } from 'react';
import css from './parts.module.css';

export type Role = 'guest-user' | 'guest-kernel' | 'hypervisor' | 'host-kernel' | 'hardware' | 'container' | 'trap';
export type Outcome = 'ok' | 'warn' | 'killed';

const SHAPES: Record<Role, ReactNode> = {
  'guest-user': <circle cx="6" cy="6" r="3.4" fill="none" strokeWidth="2" />,
  'guest-kernel': <circle cx="6" cy="6" r="4" stroke="none" />,
  hypervisor: <path d="M6 1 11 6 6 11 1 6Z" stroke="none" />,
  'host-kernel': <rect x="2" y="2" width="8" height="8" stroke="none" />,
  hardware: <rect x="1" y="4" width="10" height="4" stroke="none" />,
  container: <rect x="2.5" y="2.5" width="7" height="7" fill="none" strokeWidth="2" />,
  trap: <path d="M6 1.5 11 10.5H1Z" stroke="none" />,
};
const OUTCOMES: Record<Outcome, ReactNode> = {
  ok: <><circle cx="6" cy="6" r="6" /><path d="m3.3 6.2 1.9 1.9 3.6-4" fill="none" stroke="var(--on-ok)" strokeWidth="1.5" /></>,
  warn: <><path d="M6 .5 12 11.5H0Z" /><path d="M6 4.3v3.4M6 8.7v1.4" stroke="var(--on-warn)" strokeWidth="1.4" /></>,
  killed: <><path d="M3.5 0h5L12 3.5v5L8.5 12h-5L0 8.5v-5Z" /><path d="m4 4 4 4M8 4 4 8" stroke="var(--on-killed)" strokeWidth="1.5" /></>,
};
export function roleShape(role: Role): ReactNode {
  return <g fill={`var(--${role})`} stroke={`var(--${role})`}>{SHAPES[role]}</g>;
}
export function outcomeShape(outcome: Outcome): ReactNode {
  return <g fill={`var(--${outcome})`}>{OUTCOMES[outcome]}</g>;
}
export function RoleMark({ place, size = 11 }: { place: Role; size?: number }) {
  return <svg className={css.mark} width={size} height={size} viewBox="0 0 12 12" aria-hidden="true">{roleShape(place)}</svg>;
}
export function OutcomeMark({ outcome, size = 14 }: { outcome: Outcome; size?: number }) {
  return <svg className={css.mark} width={size} height={size} viewBox="0 0 12 12" aria-hidden="true">{outcomeShape(outcome)}</svg>;
}
export function Chip({ place, children }: { place: Role; children: ReactNode }) {
  return <span className={css.chip} style={{ background: `var(--${place}-tint)`, borderColor: `var(--${place}-edge)`, color: `var(--${place}-ink)` }}><RoleMark place={place} />{children}</span>;
}
export function roleOfFloor(floor: string): Role {
  if (floor === 'guest') return 'guest-kernel';
  if (floor === 'hypervisor') return 'trap';
  if (floor === 'container' || floor === 'cluster') return 'container';
  if (floor === 'input') return 'hardware';
  return 'host-kernel';
}
