/** The network: namespaces, devices and wires as a map; packets of the kernel's own record over it, hop by hop, with the road as a list. */
import { useMemo, useState } from 'react';
import type { NetworkRow, PacketRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { count } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Runnable } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { HOST } from './names.ts';
import { MapOf } from './netmap.tsx';
import { ends, type Road, roadsOf } from './road.ts';
import { RoadOf, Stepper, usePlay } from './steps.tsx';
import css from './containers.module.css';

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
