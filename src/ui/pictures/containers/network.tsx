/** The network: namespaces, devices and wires as a map; packets of the kernel's own record over it, hop by hop, with the road as a list. */
import { Pause, Play, SkipBack, StepBack, StepForward } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import type { NetworkRow, PacketRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { partsCss, Runnable } from '../../parts/parts.tsx';
import { seek } from '../../session/session.ts';
import { select, useStore } from '../../store.ts';
import { HOST } from './names.ts';
import { MapOf } from './netmap.tsx';
import { changed, ends, hookName, type Road, roadsOf, told } from './road.ts';
import css from './containers.module.css';

/** Real ms that a step waits for each simulated µs, within bounds that an eye can follow. */
const MS_PER_US = 60;
const SLOWEST = 1600;
const FASTEST = 300;
const LISTED = 120;

export function Network() {
  const rows = useRows<NetworkRow>('network', { host: HOST });
  const packets = useRows<PacketRow>('packets', { host: HOST });
  const selection = useStore((s) => s.selection);
  const [asked, ask] = useState<string | null>(null);
  const [at, go] = useState(0);
  const [playing, play] = useState(false);
  const [only, narrow] = useState<'all' | 'dropped'>('all');
  const roads = useMemo(() => roadsOf(packets), [packets]);
  const wanted = asked ?? (selection?.kind === 'packet' ? selection.id.split('@')[0]! : null);
  const near = roads.find((one) => one.id === wanted) ?? [...roads].reverse().find((one) => one.dropped) ?? [...roads].reverse().find((one) => one.first.proto !== 'arp' && one.steps.some((step) => step.ns !== one.first.ns)) ?? roads.find((one) => one.first.proto !== 'arp') ?? roads[0];
  // Over all machines, once it is known which.
  const whole = useRows<PacketRow>(near ? 'packets' : null, { packet: near?.id ?? '' });
  const road = useMemo(() => (near && whole.length > 0 && whole[0]!.packet === near.id ? roadsOf(whole)[0]! : near), [near, whole]);
  const step = Math.min(at, (road?.steps.length ?? 1) - 1);
  usePlay(road, step, playing, go, () => play(false));
  const pick = (one: Road): void => { ask(one.id); go(0); select({ kind: 'packet', id: one.id }); };
  const hold = (n: number): void => { play(false); go(n); };
  const dropped = roads.filter((one) => one.dropped).length;
  const listed = (only === 'dropped' ? roads.filter((one) => one.dropped) : roads).slice(-LISTED).reverse();
  return (
    <>
      <section className={css.block} aria-label="Network map">
        <h3><RoleMark place="host-kernel" /> Network <small>each box a namespace of its own; a veth pair is one cable with two ends</small></h3>
        {road ? <Stepper road={road} at={step} playing={playing} go={hold} onPlay={() => { if (!playing && step >= road.steps.length - 1) go(0); play(!playing); }} /> : null}
        <MapOf rows={rows} road={road ?? null} at={step} playing={playing} />
      </section>
      {road ? (
        <section className={`${css.block} ${css.apartWide}`} aria-label="Packets">
          <div>
            <div className={css.choice}>
              <h4>{count(roads.length)} packets</h4>
              {dropped > 0 ? <button type="button" className={css.link} aria-pressed={only === 'dropped'} onClick={() => narrow(only === 'dropped' ? 'all' : 'dropped')}>{only === 'dropped' ? 'all of them' : `${dropped} dropped`}</button> : null}
            </div>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
            <section className={css.packets} tabIndex={0} aria-label="Packets, newest first">{listed.map((one) => (
              <button type="button" key={one.id} aria-pressed={one.id === road.id} className={one.id === road.id ? css.onRow : ''} onClick={() => pick(one)}>
                <span>{one.dropped ? <OutcomeMark outcome="killed" size={11} /> : null}{one.first.proto}</span><b>{ends(one.first)}</b><span>{one.first.text.replace(/ \d+ > \d+/, '')}</span>
              </button>
            ))}</section>
          </div>
          <RoadOf road={road} at={step} go={hold} />
        </section>
      ) : (
        <section className={css.block}><p className={css.quiet}>No packet was sent yet. Ask for a page, and its packets walk over the map:</p><Runnable line="docker run --rm busybox ping -c 1 172.17.0.1" /></section>
      )}
    </>
  );
}

/** Goes on by itself: each step waits as long as it took in the lab, slowed to what an eye can follow. */
function usePlay(road: Road | undefined, at: number, playing: boolean, go: (at: number) => void, stop: () => void): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: a step at a time
  useEffect(() => {
    if (!playing || !road) return;
    if (at >= road.steps.length - 1) return stop();
    const us = (road.steps[at + 1]!.t - road.steps[at]!.t) / 1000;
    const timer = setTimeout(() => go(at + 1), Math.min(SLOWEST, Math.max(FASTEST, us * MS_PER_US)));
    return () => clearTimeout(timer);
  }, [playing, at, road?.id]);
}

function Stepper({ road, at, playing, go, onPlay }: { road: Road; at: number; playing: boolean; go: (at: number) => void; onPlay: () => void }) {
  const now = road.steps[at]!;
  return (
    <div className={css.stepper}>
      <button type="button" className={partsCss.icon} aria-label="To the start of its road" disabled={at === 0} onClick={() => go(0)}><SkipBack size={15} aria-hidden="true" /></button>
      <button type="button" className={partsCss.icon} aria-label="One hop back" disabled={at === 0} onClick={() => go(at - 1)}><StepBack size={15} aria-hidden="true" /></button>
      <button type="button" className={`${partsCss.icon} ${css.solid}`} aria-label={playing ? 'Hold the packet' : 'Let the packet move'} onClick={onPlay}>{playing ? <Pause size={15} aria-hidden="true" /> : <Play size={15} aria-hidden="true" />}</button>
      <button type="button" className={partsCss.icon} aria-label="One hop on" disabled={at >= road.steps.length - 1} onClick={() => go(at + 1)}><StepForward size={15} aria-hidden="true" /></button>
      <span className={css.num}>{at + 1} of {road.steps.length}, +{((now.t - road.first.t) / 1000).toFixed(1)} µs</span><span>{now.nsName}{now.dev ? ` ${now.dev}` : ''}: <b>{hookName(now.hook)} {now.action === 'none' ? '' : now.action}</b></span>
      <button type="button" className={css.link} onClick={() => void seek(now.t)}>go to this moment</button>
    </div>
  );
}

function RoadOf({ road, at, go }: { road: Road; at: number; go: (at: number) => void }) {
  const now = road.steps[at]!;
  return (
    <div>
      <ol className={css.road} aria-label={`Road of packet ${road.id}`}>{road.steps.map((step, i) => {
        const before = road.steps[i - 1];
        const moved = !before || before.ns !== step.ns || before.host !== step.host;
        const bad = step.action === 'drop' || step.action === 'reject';
        const change = changed(step, before);
        return (
          <li key={step.key}>{moved ? <h5><RoleMark place={step.nsName === 'host' ? 'host-kernel' : 'container'} size={10} /> {step.nsName}{step.host === HOST ? '' : ` on ${step.host}`}</h5> : null}
            <button type="button" aria-current={i === at ? 'step' : undefined} className={`${i === at ? css.hopNow : i > at ? css.hopLater : ''} ${bad ? css.hopBad : ''}`} onClick={() => { go(i); select({ kind: 'packet', id: `${road.id}@${i}` }); }}>
              <span>+{((step.t - road.first.t) / 1000).toFixed(1)}</span><span>{step.dev || '—'}</span><b>{bad ? <OutcomeMark outcome="killed" size={11} /> : null}{hookName(step.hook)} {step.action === 'none' ? '' : step.action}</b><span>{told(step)}{change ? <em>{change}</em> : null}</span>
            </button>
          </li>
        );
      })}</ol>
      <div className="sr" aria-live="polite">{`${now.nsName}${now.dev ? `, ${now.dev}` : ''}: ${hookName(now.hook)} ${now.action}, ${told(now)}`}</div>
    </div>
  );
}
