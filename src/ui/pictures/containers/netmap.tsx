/** The map itself: boxes and chips are buttons, wires and the packet's road a drawing behind them. */
import { useMemo } from 'react';
import type { NetworkRow } from '../../../bridge/rows.ts';
import { RoleMark } from '../../parts/marks.tsx';
import { select, useStore } from '../../store.ts';
import { HOST } from './names.ts';
import { type Chip, layoutNetwork, type NetMap, type Point, pointOf, type Space } from './network-layout.ts';
import type { Road } from './road.ts';
import { useMotion, useWidth } from './size.ts';
import css from './containers.module.css';

export function MapOf({ rows, road, at, playing }: { rows: NetworkRow[]; road: Road | null; at: number; playing: boolean }) {
  const [width, ref] = useWidth();
  const first = rows.find((row) => row.kind === 'namespace' && row.nsName === 'host')?.ns ?? 0;
  const zoom = useStore((s) => (s.theme === 'projector' ? 1.25 : 1));
  const map = useMemo(() => layoutNetwork(rows, width, first, zoom), [rows, width, first, zoom]);
  const selection = useStore((s) => s.selection);
  const chosen = selection?.kind === 'device' ? selection.id : '';
  const inside = selection?.kind === 'container' ? map.spaces.find((space) => space.container === selection.id)?.ns : undefined;
  const chosenSpace = inside === undefined ? 'none' : `${inside}/`;
  const busy = useMemo(() => new Set(road?.steps.filter((step) => step.dev !== '').map((step) => `${step.ns}/${step.dev}`)), [road]);
  return (
    <div className={css.netmap} ref={ref} style={{ height: map.height, '--zoom': zoom } as React.CSSProperties}>
      {map.spaces.map((space) => <SpaceOf key={space.ns} space={space} dense={map.dense} />)}
      <svg width={width} height={map.height} aria-hidden="true">
        <path d={`M8 ${map.top - 6}H${width - 8}`} stroke="var(--hardware)" strokeWidth="3" />
        {/* Hundreds of cables would hide what they join: then only those of this packet, and of what is chosen. */}
        {map.wires.filter((wire) => !map.dense || !wire.cable || wire.ends.some((end) => busy.has(end) || end === chosen || end.startsWith(chosenSpace))).map((wire) => <path key={wire.key} d={`M${wire.from.x} ${wire.from.y}L${wire.to.x} ${wire.to.y}`} stroke={busy.has(wire.ends[0]) && (wire.ends[1] === 'wire' || busy.has(wire.ends[1])) ? 'var(--ink)' : 'var(--line-strong)'} strokeWidth={map.dense ? 1 : 1.5} fill="none" />)}
      </svg>
      <span className={css.outside}>the wire: other machines, the outside</span>
      {map.chips.map((chip) => <ChipOf key={chip.key} chip={chip} dense={map.dense} busy={busy.has(chip.key)} />)}
      {road ? <Way map={map} road={road} at={at} playing={playing} /> : null}
    </div>
  );
}

function SpaceOf({ space, dense }: { space: Space; dense: boolean }) {
  const selection = useStore((s) => s.selection);
  const on = (selection?.kind === 'container' && selection.id === space.container && space.container !== '') || (selection?.kind === 'netns' && selection.id === String(space.ns));
  const pick = (): void => select(space.container ? { kind: 'container', id: space.container } : { kind: 'netns', id: String(space.ns) });
  return (
    <div className={`${css.space} ${space.host ? css.hostSpace : ''} ${on ? css.on : ''}`} style={{ left: space.x, top: space.y, width: space.w, height: space.h }}>
      <button type="button" aria-pressed={on} onClick={pick} title={`${space.name}, net:[${space.ns}]`}>{space.host ? <RoleMark place="host-kernel" /> : <RoleMark place="container" size={dense ? 9 : 11} />}<b>{space.name}</b></button>
      {space.host ? <div className={css.stackBox}><b>routing and netfilter</b>{space.says.length > 0 ? <span>{space.says.join(', ')}</span> : null}</div> : space.says.slice(0, 1).map((one) => <small key={one}>{one}</small>)}
    </div>
  );
}

function ChipOf({ chip, dense, busy }: { chip: Chip; dense: boolean; busy: boolean }) {
  const selection = useStore((s) => s.selection);
  const { row } = chip;
  const on = selection?.kind === 'device' && selection.id === chip.key;
  const address = row.address.split(' ').find((one) => !one.includes(':')) ?? '';
  const inside = !chip.bridge && row.dev !== 'ether' && row.master === '' && row.peerNs !== 0;
  return (
    <>
      <button type="button" className={`${css.device} ${chip.bridge ? css.bridge : ''} ${row.up && row.state !== 'DOWN' && row.state !== 'LOWERLAYERDOWN' ? '' : css.downDevice} ${busy ? css.busy : ''} ${on ? css.on : ''}`} style={{ left: chip.x, top: chip.y, width: chip.w, height: chip.h }} aria-pressed={on} aria-label={`${row.nsName} ${chip.name}, ${row.dev}, ${address || 'no address'}, ${row.state}`} title={`${chip.name} ${address}`} onClick={() => select({ kind: 'device', id: chip.key })}>
        {chip.w < 34 ? '' : chip.bridge || row.dev === 'ether' || row.dev === 'loopback' ? `${short(chip.name)} ${address}` : short(chip.name)}
      </button>
      {inside && !dense && address ? <span className={css.chipAddress} style={{ left: chip.x - 8, top: chip.y + chip.h + 2, width: chip.w + 16 }}>{address}</span> : null}
    </>
  );
}
const short = (name: string): string => name.replace(/^br-([0-9a-f]{5})[0-9a-f]+$/, 'br-$1');

/** The road behind it, where it is, what is still to come: three textures. */
function Way({ map, road, at, playing }: { map: NetMap; road: Road; at: number; playing: boolean }) {
  const speed = useStore((s) => s.speed);
  const moves = useMotion(speed) && (playing || at > 0);
  const points = road.steps.map((step) => pointOf(map, step, HOST));
  const line = (list: (Point | null)[]): string => list.filter((one) => one !== null).map((one, i) => `${i === 0 ? 'M' : 'L'}${one.x} ${one.y}`).join('');
  const here = [...points.slice(0, at + 1)].reverse().find((one) => one !== null);
  const dropped = road.steps[at]?.action === 'drop' || road.steps[at]?.action === 'reject';
  return (
    <><svg className={css.way1} width={map.width} height={map.height} aria-hidden="true">
      <path d={line(points.slice(at))} stroke="var(--ink-2)" strokeWidth="1.5" strokeDasharray="3 4" fill="none" />
      <path d={line(points.slice(0, at + 1))} stroke="var(--now)" strokeWidth="2.5" fill="none" />
    </svg>
    <svg className={css.way2} width={map.width} height={map.height} aria-hidden="true">
      {here ? <g className={moves ? css.mover : ''} style={{ transform: `translate(${here.x}px, ${here.y}px)` }}>
        {dropped ? <><path transform="translate(-9 -9) scale(1.5)" d="M3.5 0h5L12 3.5v5L8.5 12h-5L0 8.5v-5Z" fill="var(--killed)" /><path transform="translate(-9 -9) scale(1.5)" d="m4 4 4 4M8 4 4 8" stroke="var(--on-killed)" strokeWidth="1.5" /></> : <><circle r="7" fill="var(--panel)" stroke="var(--now)" strokeWidth="2" /><circle r="4" fill="var(--now)" /></>}
      </g> : null}
    </svg></>
  );
}
