/**
 * Roads between pods: what pods sent, over bridges, filters, wires and nodes, hop by hop; a Service's address turns into a pod's on the
 * way, a policy ends it. Nodes side by side under the wire that joins them, each with its own way down: interface, filters, bridge, pods.
 */
import { useEffect, useMemo, useState } from 'react';
import type { NodeRow, PacketRow, PodRow, ServiceRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { plural } from '../../format.ts';
import { OutcomeMark, RoleMark } from '../../parts/marks.tsx';
import { Empty, Runnable } from '../../parts/parts.tsx';
import { select, useStore } from '../../store.ts';
import { ends, type Road, roadsOf } from '../containers/road.ts';
import { RoadOf, Stepper, usePlay } from '../containers/steps.tsx';
import box from '../containers/containers.module.css';
import type { FaceProps } from './cluster.tsx';
import { useType, useWidth } from './axis.tsx';
import css from './cluster.module.css';
import { podId } from './nodes.tsx';

const LISTED = 120;
const WIDE = 4;
const DEEP = 6;
/** Where the cable of a node's pods runs, from its left edge. */
const TRUNK = 13;
/** A node's box, px. */
const [NARROWEST, WIDEST, GAP] = [236, 340, 14];

export default function Roads({ pods, nodes }: FaceProps) {
  const services = useRows<ServiceRow>('services');
  const packets = useRows<PacketRow>('packets');
  const [asked, ask] = useState<string | null>(null);
  const [at, go] = useState(0);
  const [playing, play] = useState(false);
  const [only, narrow] = useState('');
  const byIp = useMemo(() => new Map(pods.filter((pod) => pod.ip !== '' && pod.phase === 'Running').map((pod) => [pod.ip, pod])), [pods]);
  const roads = useMemo(() => roadsOf(packets).filter((one) => fromPod(one, byIp)), [packets, byIp]);
  const chosen = services.find((one) => one.key === only);
  const fits = roads.filter((one) => (only === 'dropped' ? one.dropped : !chosen || touches(one, chosen)));
  const near = fits.find((one) => one.id === asked) ?? telling(fits, byIp);
  const whole = useRows<PacketRow>(near ? 'packets' : null, { packet: near?.id ?? '' });
  const road = useMemo(() => (near && whole.length > 0 && whole[0]!.packet === near.id ? roadsOf(whole)[0]! : near), [near, whole]);
  const step = Math.min(at, (road?.steps.length ?? 1) - 1);
  usePlay(road, step, playing, go, () => play(false));
  const hold = (n: number): void => { play(false); go(n); };
  const placeOf = (row: PacketRow): string => podAt(row, road, byIp)?.name ?? row.host;
  if (packets.length === 0) return <Empty title="Nothing was sent yet" line="kubectl exec client -- wget -qO- http://web">Nodes with a kernel of their own send real packets; the scenario three-nodes has three. When a pod asks for something, its packets can be followed here.</Empty>;
  const dropped = roads.filter((one) => one.dropped).length;
  return (
    <section className={css.face} aria-label="Roads between pods">
      <div className={css.row}>
        <h3>Roads between pods <small>a Service's address becomes a pod's on the way</small></h3>
        <label>of <select className={css.pick} value={only} onChange={(e) => { narrow(e.target.value); ask(null); go(0); }}>
          <option value="">all pods, {plural(roads.length, 'packet')}</option>
          {dropped > 0 ? <option value="dropped">dropped on the way, {plural(dropped, 'packet')}</option> : null}
          {services.map((one) => <option key={one.key} value={one.key}>Service {one.namespace === 'default' ? '' : `${one.namespace}/`}{one.name} {one.clusterIp}</option>)}
        </select></label>
      </div>
      {road ? <Stepper road={road} at={step} playing={playing} go={hold} placeOf={placeOf} onPlay={() => { if (!playing && step >= road.steps.length - 1) go(0); play(!playing); }} /> : null}
      <Plan nodes={nodes} pods={pods} road={road ?? null} at={step} byIp={byIp} />
      {road ? (
        <div className={box.apartWide}>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
          <section className={box.packets} tabIndex={0} aria-label="Packets that pods sent, newest first">{fits.slice(-LISTED).reverse().map((one) => (
            <button type="button" key={one.id} aria-pressed={one.id === road.id} className={one.id === road.id ? box.onRow : ''} onClick={() => { ask(one.id); go(0); select({ kind: 'packet', id: one.id }); }}>
              <span>{one.dropped ? <OutcomeMark outcome="killed" size={11} /> : null}{one.first.proto}</span><b>{ends(one.first)}</b><span>{byIp.get(one.first.src)?.name ?? ''}</span>
            </button>
          ))}</section>
          <div><h4 className="sr">The packet's steps</h4><RoadOf road={road} at={step} go={hold} placeOf={placeOf} /></div>
        </div>
      ) : <div><p className={css.quiet}>No pod has sent anything{only ? ' of that kind' : ''} lately.</p><Runnable line="kubectl exec client -- wget -qO- http://web" /></div>}
    </section>
  );
}

/** Sent by a pod's own program, and not as an answer to its node's health checks. */
function fromPod({ first, steps }: Road, byIp: ReadonlyMap<string, PodRow>): boolean {
  return first.action === 'send' && first.proto !== 'arp' && byIp.has(first.src) && first.nsName !== 'host' && !steps.some((one) => one.action === 'deliver' && one.nsName === 'host');
}
/** The one to begin with: rather dropped, translated or over two machines than not, rather a person's pod's than the system's, rather new. */
function telling(roads: readonly Road[], byIp: ReadonlyMap<string, PodRow>): Road | undefined {
  const worth = (one: Road): number => (byIp.get(one.first.src)?.namespace === 'kube-system' ? 0 : 8) + (one.dropped ? 4 : 0) + (translated(one) ? 2 : 0) + (one.steps.some((step) => step.host !== one.first.host) ? 1 : 0);
  let best: Road | undefined;
  for (const one of roads) if (!best || worth(one) >= worth(best)) best = one;
  return best;
}

const translated = (road: Road): boolean => road.steps.some((one) => one.action === 'dnat');

function touches(road: Road, service: ServiceRow): boolean {
  const targets = service.endpoints.split(',').filter((one) => one !== '');
  return road.steps.some((one) => one.dst === service.clusterIp || one.src === service.clusterIp || targets.includes(`${one.dst}:${one.dport}`) || targets.includes(`${one.src}:${one.sport}`));
}

/** In whose namespace a step is: the sender's, before it has left it; the receiver's then. */
function podAt(row: PacketRow, road: Road | undefined, byIp: ReadonlyMap<string, PodRow>): PodRow | undefined {
  if (row.nsName === 'host') return undefined;
  const sender = road?.first.ns === row.ns && road.first.host === row.host;
  return byIp.get(sender ? road.first.src : row.dst);
}

/** What tells pods of one set apart stands at the end of their names. */
const middle = (name: string, most: number): string => (name.length <= most ? name : `${name.slice(0, most - 7)}…${name.slice(-6)}`);

type Layer = 'wire' | 'nic' | 'filter' | 'bridge' | 'pod';
const ROWS: Record<Layer, number> = { wire: 14, nic: 46, filter: 88, bridge: 130, pod: 188 };

function layerOf(row: PacketRow): Layer {
  if (row.nsName !== 'host') return 'pod';
  if (['prerouting', 'forward', 'postrouting', 'route', 'input', 'output', 'socket', 'arp'].includes(row.hook)) return 'filter';
  return /^(veth|cni|cbr)/.test(row.dev) ? 'bridge' : 'nic';
}

function Plan({ nodes, pods, road, at, byIp }: { nodes: readonly NodeRow[]; pods: readonly PodRow[]; road: Road | null; at: number; byIp: ReadonlyMap<string, PodRow> }) {
  const selection = useStore((s) => s.selection);
  const on = new Set(road?.steps.map((one) => one.host));
  const met = new Set(road?.steps.flatMap((one) => { const pod = podAt(one, road, byIp); return pod ? [podId(pod)] : []; }));
  const shown = [...nodes].sort((a, b) => Number(on.has(b.name)) - Number(on.has(a.name)) || (a.name < b.name ? -1 : 1)).slice(0, WIDE).sort((a, b) => (a.name < b.name ? -1 : 1));
  const [ref, room] = useWidth<HTMLElement>();
  const { letter } = useType();
  const width = Math.max(letter > 8 ? 280 : NARROWEST, Math.min(WIDEST, Math.floor((room + GAP) / Math.max(1, shown.length)) - GAP));
  const places = shown.map((node, i) => {
    const mine = pods.filter((pod) => pod.node === node.name && pod.ip !== '').sort((a, b) => Number(met.has(podId(b))) - Number(met.has(podId(a))) || (a.name < b.name ? -1 : 1));
    return { node, x: i * (width + GAP), pods: mine.slice(0, DEEP), more: Math.max(0, mine.length - DEEP) };
  });
  const total = Math.max(1, places.length) * (width + GAP) - GAP;
  const height = ROWS.pod + Math.max(1, ...places.map((p) => p.pods.length)) * 24 + 18;
  const pointOf = (row: PacketRow): [number, number] | null => {
    const place = places.find((one) => one.node.name === row.host);
    if (!place) return null;
    const layer = layerOf(row);
    if (layer !== 'pod') return [place.x + width / 2, ROWS[layer]];
    const pod = podAt(row, road ?? undefined, byIp);
    const n = place.pods.findIndex((one) => pod && podId(one) === podId(pod));
    return [place.x + TRUNK, ROWS.pod + Math.max(0, n) * 24 + 7];
  };
  /** Between the bridge and a pod it goes along their cable. */
  const corners = (a: PacketRow, b: PacketRow): [number, number][] => {
    const place = places.find((one) => one.node.name === b.host);
    if (!place || a.host !== b.host || (layerOf(a) === 'pod') === (layerOf(b) === 'pod')) return [];
    const way: [number, number][] = [[place.x + width / 2, ROWS.pod - 18], [place.x + TRUNK, ROWS.pod - 18]];
    return layerOf(a) === 'pod' ? way.reverse() : way;
  };
  const points: ([number, number] | null)[] = [];
  let reached = 0;
  for (const [i, row] of (road?.steps ?? []).entries()) {
    const before = road!.steps[i - 1];
    const point = pointOf(row);
    if (before) points.push(...corners(before, row));
    // Between two machines it goes along the wire.
    if (before && before.host !== row.host && point) points.push([pointOf(before)?.[0] ?? point[0], ROWS.wire], [point[0], ROWS.wire]);
    points.push(point);
    if (i === at) reached = points.length;
  }
  const path = (list: ([number, number] | null)[]): string => list.filter((one) => one !== null).map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x} ${y}`).join('');
  const now = road?.steps[at];
  const here = now ? pointOf(now) : null;
  const bad = now?.action === 'drop' || now?.action === 'reject';
  // where the packet is comes into sight: first its sender, then each node that it reaches
  const hereX = here?.[0];
  const nodeX = places.find((one) => hereX !== undefined && hereX >= one.x && hereX <= one.x + width)?.x;
  useEffect(() => {
    const box = ref.current!;
    if (nodeX === undefined) return;
    if (nodeX < box.scrollLeft || nodeX + width > box.scrollLeft + box.clientWidth) box.scrollLeft = nodeX - Math.max(0, (box.clientWidth - width) / 2);
  }, [ref, nodeX, width]);
  return (
    <div>
    {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
    <section ref={ref} style={{ overflowX: 'auto', position: 'relative' }} tabIndex={0} aria-label="Nodes and the packet's road over them">
      <svg className={css.chart} style={{ width: total, maxWidth: 'none' }} width={total} height={height} role="img" aria-label={road ? `A packet from ${byIp.get(road.first.src)?.name ?? road.first.src} over ${[...on].join(', ')}: ${road.dropped ? 'dropped' : road.delivered ? 'delivered' : 'on its way'}` : 'Nodes with their pods'}>
        <path d={`M4 ${ROWS.wire}H${total - 4}`} stroke="var(--hardware)" strokeWidth={3} />
        {places.map(({ node, x, pods: mine, more }) => (
          <g key={node.key} transform={`translate(${x} 0)`}>
            <path d={`M${width / 2} ${ROWS.wire}V${ROWS.bridge}`} stroke="var(--line-strong)" />
            <rect x={0.5} y={32} width={width - 1} height={height - 34} fill="none" stroke={on.has(node.name) ? 'var(--host-kernel)' : 'var(--line)'} />
            <text x={8} y={48} style={{ fontWeight: 600, fill: 'var(--ink)' }}>{node.name}</text><text x={8} y={66}>{node.ip}</text>
            {([['nic', 'eth0'], ['filter', 'routing and netfilter'], ['bridge', 'cni0']] as const).map(([layer, said]) => (
              <g key={layer}><rect x={layer === 'nic' ? width / 2 - 36 : 60} y={ROWS[layer] - 11} width={layer === 'nic' ? 72 : width - 72} height={22} fill="var(--raised)" stroke="var(--line-strong)" /><text x={layer === 'nic' ? width / 2 : 60 + (width - 72) / 2} y={ROWS[layer] + 4} textAnchor="middle">{said}</text></g>
            ))}
            {mine.map((pod, n) => {
              const y = ROWS.pod + n * 24 - 3;
              return (
                <g key={pod.key}>
                  <path d={`M${width / 2} ${ROWS.bridge + 11}V${ROWS.pod - 18}H${TRUNK}V${y + 10}H26`} stroke="var(--line)" fill="none" />
                  <rect x={26} y={y} width={width - 36} height={21} fill={met.has(podId(pod)) ? 'var(--sunken)' : 'var(--panel)'} stroke={selection?.kind === 'pod' && selection.id === podId(pod) ? 'var(--now)' : 'var(--container)'} strokeWidth={met.has(podId(pod)) ? 2 : 1} />
                  <text x={34} y={y + 15} style={{ fill: 'var(--ink)' }}><title>{pod.name}</title>{middle(pod.name, Math.floor((width - 58 - pod.ip.length * letter) / (letter + 0.2)))}</text><text x={width - 16} y={y + 15} textAnchor="end">{pod.ip}</text>
                </g>
              );
            })}
            {more > 0 ? <text x={26} y={height - 6}>{more} more</text> : null}
          </g>
        ))}
        {road ? <><path d={path(points.slice(Math.max(0, reached - 1)))} fill="none" stroke="var(--ink-2)" strokeWidth={1.5} strokeDasharray="3 4" /><path d={path(points.slice(0, reached))} fill="none" stroke="var(--now)" strokeWidth={2.5} /></> : null}
        {here ? <g transform={`translate(${here[0]} ${here[1]})`}>{bad ? <><circle r={9} fill="var(--killed)" /><path d="m-4 -4 8 8M4 -4l-8 8" stroke="var(--on-killed)" strokeWidth={2} /></> : <><circle r={7} fill="var(--panel)" stroke="var(--now)" strokeWidth={2} /><circle r={4} fill="var(--now)" /></>}</g> : null}
      </svg>
    </section>
    <p className={css.quiet}><RoleMark place="host-kernel" size={10} /> a node's kernel, <RoleMark place="container" size={10} /> a pod's network namespace; the line above the nodes is the wire between them.</p>
    </div>
  );
}
