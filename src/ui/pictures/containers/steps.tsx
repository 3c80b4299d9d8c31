/** Going along a packet's road: the buttons, the list of its steps by place, and what lets it go on by itself. */
import { Pause, Play, SkipBack, StepBack, StepForward } from 'lucide-react';
import { useEffect } from 'react';
import type { PacketRow } from '../../../bridge/rows.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { partsCss } from '../../parts/parts.tsx';
import { seek } from '../../session/session.ts';
import { select } from '../../store.ts';
import { HOST } from './names.ts';
import { changed, hookName, type Road, told } from './road.ts';
import css from './containers.module.css';

/** Real ms that a step waits for each simulated µs, within bounds that an eye can follow. */
const MS_PER_US = 60;
const SLOWEST = 1600;
const FASTEST = 300;

/** Where a step is, in words. */
export type PlaceOf = (step: PacketRow) => string;
const ownPlace: PlaceOf = (step) => `${step.nsName}${step.host === HOST ? '' : ` on ${step.host}`}`;

/** Goes on by itself: each step waits as long as it took in the lab, slowed to what an eye can follow. */
export function usePlay(road: Road | undefined, at: number, playing: boolean, go: (at: number) => void, stop: () => void): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: a step at a time
  useEffect(() => {
    if (!playing || !road) return;
    if (at >= road.steps.length - 1) return stop();
    const us = (road.steps[at + 1]!.t - road.steps[at]!.t) / 1000;
    const timer = setTimeout(() => go(at + 1), Math.min(SLOWEST, Math.max(FASTEST, us * MS_PER_US)));
    return () => clearTimeout(timer);
  }, [playing, at, road?.id]);
}

export function Stepper({ road, at, playing, go, onPlay, placeOf = ownPlace }: { road: Road; at: number; playing: boolean; go: (at: number) => void; onPlay: () => void; placeOf?: PlaceOf }) {
  const now = road.steps[at]!;
  return (
    <div className={css.stepper}>
      <button type="button" className={partsCss.icon} aria-label="To the start of its road" disabled={at === 0} onClick={() => go(0)}><SkipBack size={15} aria-hidden="true" /></button>
      <button type="button" className={partsCss.icon} aria-label="One hop back" disabled={at === 0} onClick={() => go(at - 1)}><StepBack size={15} aria-hidden="true" /></button>
      <button type="button" className={`${partsCss.icon} ${css.solid}`} aria-label={playing ? 'Hold the packet' : 'Let the packet move'} onClick={onPlay}>{playing ? <Pause size={15} aria-hidden="true" /> : <Play size={15} aria-hidden="true" />}</button>
      <button type="button" className={partsCss.icon} aria-label="One hop on" disabled={at >= road.steps.length - 1} onClick={() => go(at + 1)}><StepForward size={15} aria-hidden="true" /></button>
      <span className={css.num}>{at + 1} of {road.steps.length}, +{((now.t - road.first.t) / 1000).toFixed(1)} µs</span><span>{placeOf(now)}{now.dev ? ` ${now.dev}` : ''}: <b>{hookName(now.hook)} {now.action === 'none' ? '' : now.action}</b></span>
      <button type="button" className={css.link} onClick={() => void seek(now.t)}>go to this moment</button>
    </div>
  );
}

export function RoadOf({ road, at, go, placeOf = ownPlace }: { road: Road; at: number; go: (at: number) => void; placeOf?: PlaceOf }) {
  const now = road.steps[at]!;
  return (
    <div>
      <ol className={css.road} aria-label={`Road of packet ${road.id}`}>{road.steps.map((step, i) => {
        const before = road.steps[i - 1];
        const moved = !before || before.ns !== step.ns || before.host !== step.host;
        const bad = step.action === 'drop' || step.action === 'reject';
        const change = changed(step, before);
        return (
          <li key={step.key}>{moved ? <h5><RoleMark place={step.nsName === 'host' ? 'host-kernel' : 'container'} size={10} /> {placeOf(step)}</h5> : null}
            <button type="button" aria-current={i === at ? 'step' : undefined} className={`${i === at ? css.hopNow : i > at ? css.hopLater : ''} ${bad ? css.hopBad : ''}`} onClick={() => { go(i); select({ kind: 'packet', id: `${road.id}@${i}` }); }}>
              <span>+{((step.t - road.first.t) / 1000).toFixed(1)}</span><span>{step.dev || '—'}</span><b>{bad ? <OutcomeMark outcome="killed" size={11} /> : null}{hookName(step.hook)} {step.action === 'none' ? '' : step.action}</b><span>{told(step)}{change ? <em>{change}</em> : null}</span>
            </button>
          </li>
        );
      })}</ol>
      <div className="sr" aria-live="polite">{`${placeOf(now)}${now.dev ? `, ${now.dev}` : ''}: ${hookName(now.hook)} ${now.action}, ${told(now)}`}</div>
    </div>
  );
}
