/**
 * Where the network map puts things: the wire on top, the machine's own namespace with its stack and bridges under it, the other
 * namespaces below their ports. Pure: rows and a width in, boxes, chips and wires out, in px.
 */
import type { NetworkRow, PacketRow } from '../../../bridge/rows.ts';

export interface Point { x: number; y: number }
export interface Chip { key: string; ns: number; name: string; row: NetworkRow; x: number; y: number; w: number; h: number; bridge: boolean }
export interface Space { ns: number; name: string; container: string; host: boolean; x: number; y: number; w: number; h: number; stack: Point; says: string[] }
/** `cable`: a veth pair between namespaces; the others are a port on its bridge and the way to the wire. */
export interface Wire { key: string; from: Point; to: Point; ends: [string, string]; cable: boolean }
export interface NetMap { width: number; height: number; zoom: number; dense: boolean; spaces: Space[]; chips: Chip[]; wires: Wire[]; top: number }

export const chipId = (ns: number, name: string): string => `${ns}/${name}`;

const EDGE = 8;
/** Sizes at the ordinary type; the projector's is a quarter larger. */
const sizesOf = (zoom: number) => ({ wire: 26 * zoom, stack: 40 * zoom, chip: 20 * zoom, bar: 24 * zoom, box: { w: 128 * zoom, h: 86 * zoom, gap: 12 }, small: { w: 84 * zoom, h: 40 * zoom, gap: 6 } });

/** Chips of at most these many devices of a namespace are drawn; all are in the table. */
const MOST = 4;

export function layoutNetwork(rows: readonly NetworkRow[], width: number, first: number, zoom = 1): NetMap {
  const size = sizesOf(zoom);
  const devices = rows.filter((row) => row.kind === 'device');
  // Without a device and without a name nothing is joined to it: the table has it.
  const spaces = rows.filter((row) => row.kind === 'namespace' && (row.ns === first || !row.nsName.startsWith('net:[') || devices.some((one) => one.ns === row.ns && one.name !== 'lo')));
  const own = devices.filter((row) => row.ns === first);
  const bridges = own.filter((row) => row.dev === 'bridge');
  const portsOf = (bridge: NetworkRow): NetworkRow[] => own.filter((row) => row.master === bridge.name);
  const others = ordered(spaces.filter((row) => row.ns !== first), bridges.flatMap(portsOf), devices);
  const map: NetMap = { width, height: 0, zoom, dense: others.length > 18, spaces: [], chips: [], wires: [], top: size.wire };
  const grid = gridOf(others.length, width, zoom);
  const hostTop = size.wire + 12;
  // What leads out, along the upper edge.
  const out = own.filter((row) => row.dev !== 'bridge' && row.master === '' && row.peerNs === 0);
  spread(map, out.slice(0, 6), EDGE + 8, width - EDGE - 8, hostTop - size.chip / 2, 132 * zoom);
  const stack = { x: width * 0.22 + 22, y: hostTop + 18 * zoom + size.stack / 2 };
  const bar = stack.y + size.stack / 2 + 14;
  const foot = bar + size.bar + 10 + size.chip / 2;
  map.spaces.push({ ns: first, name: 'host', container: '', host: true, x: EDGE, y: hostTop, w: width - 2 * EDGE, h: foot - hostTop, stack, says: saysOf(rows, first) });
  const boxTop = foot + 14 + size.chip;
  for (const [i, space] of others.entries()) placeBox(map, rows, space, grid, i, boxTop);
  placeBridges(map, bridges.map((bridge) => ({ bridge, ports: portsOf(bridge) })), bar, foot, grid.rows === 1);
  // Pairs that are on no bridge hang from the lower edge too.
  const loose = own.filter((row) => row.peerNs !== 0 && row.master === '');
  spread(map, loose.slice(0, 8), width * 0.5, width - EDGE - 8, foot - size.chip / 2, 96 * zoom);
  wire(map);
  map.height = boxTop + grid.rows * (grid.h + grid.gap) + 4;
  return map;
}

interface Grid { columns: number; rows: number; w: number; h: number; gap: number; left: number }

function gridOf(many: number, width: number, zoom: number): Grid {
  const size = many > 18 ? sizesOf(zoom).small : sizesOf(zoom).box;
  const columns = Math.max(1, Math.min(many, Math.floor((width - 2 * EDGE + size.gap) / (size.w + size.gap))));
  const rows = Math.max(1, Math.ceil(many / columns));
  const w = rows === 1 ? Math.min(220, (width - 2 * EDGE - (columns - 1) * size.gap) / columns) : size.w;
  return { columns, rows, w, h: size.h, gap: size.gap, left: (width - columns * w - (columns - 1) * size.gap) / 2 };
}

/** Namespaces in the order of their ports, so that wires do not cross; then the rest. */
function ordered(spaces: NetworkRow[], ports: NetworkRow[], devices: NetworkRow[]): NetworkRow[] {
  const place = (space: NetworkRow): number => {
    const at = ports.findIndex((port) => port.peerNs === space.ns);
    return at >= 0 ? at : 10_000 + devices.findIndex((row) => row.ns === space.ns);
  };
  return [...spaces].sort((a, b) => place(a) - place(b));
}

function placeBox(map: NetMap, rows: readonly NetworkRow[], space: NetworkRow, grid: Grid, i: number, top: number): void {
  const x = grid.left + (i % grid.columns) * (grid.w + grid.gap);
  const y = top + Math.floor(i / grid.columns) * (grid.h + grid.gap);
  map.spaces.push({ ns: space.ns, name: space.nsName, container: space.container, host: false, x, y, w: grid.w, h: grid.h, stack: { x: x + grid.w / 2, y: y + grid.h - (map.dense ? 10 : 15) * map.zoom }, says: map.dense ? [] : saysOf(rows, space.ns) });
  const own = rows.filter((row) => row.kind === 'device' && row.ns === space.ns && row.name !== 'lo');
  spread(map, own.slice(0, MOST), x + 6, x + grid.w - 6, y - sizesOf(map.zoom).chip / 2 + 2, 84 * map.zoom);
}

/** Chips side by side, each as wide as it may be, the group in the middle. */
function spread(map: NetMap, rows: readonly NetworkRow[], from: number, to: number, y: number, most: number): void {
  if (rows.length === 0) return;
  const each = Math.min(most, (to - from) / rows.length - 4);
  const left = (from + to) / 2 - (rows.length * (each + 4) - 4) / 2;
  for (const [i, row] of rows.entries()) map.chips.push({ key: chipId(row.ns, row.name), ns: row.ns, name: row.name, row, x: left + i * (each + 4), y, w: each, h: sizesOf(map.zoom).chip, bridge: false });
}

function placeBridges(map: NetMap, bridges: { bridge: NetworkRow; ports: NetworkRow[] }[], bar: number, foot: number, aligned: boolean): void {
  const total = bridges.reduce((sum, { ports }) => sum + Math.max(1, ports.length), 0);
  const { chip: tall, bar: thick } = sizesOf(map.zoom);
  const half = 84 * map.zoom;
  let x = EDGE + 10;
  const room = map.width - 2 * EDGE - 20 - (bridges.length - 1) * 12;
  for (const { bridge, ports } of bridges) {
    const boxes = ports.map((port) => map.spaces.find((space) => !space.host && space.ns === port.peerNs));
    const centres = boxes.flatMap((box) => (box ? [box.x + box.w / 2] : []));
    const fits = aligned && centres.length > 0;
    const share = (room * Math.max(1, ports.length)) / Math.max(1, total);
    const from = fits ? Math.max(x, Math.min(...centres) - half) : x;
    const to = fits ? Math.min(map.width - EDGE - 10, Math.max(...centres) + half) : x + share;
    map.chips.push({ key: chipId(bridge.ns, bridge.name), ns: bridge.ns, name: bridge.name, row: bridge, x: from, y: bar, w: Math.max(70, to - from), h: thick, bridge: true });
    for (const [i, port] of ports.entries()) {
      const box = boxes[i];
      const w = Math.max(6, Math.min(100 * map.zoom, ((to - from) / ports.length) - 4));
      const centre = fits && box ? box.x + box.w / 2 : from + ((i + 0.5) * (to - from)) / ports.length;
      map.chips.push({ key: chipId(port.ns, port.name), ns: port.ns, name: port.name, row: port, x: centre - w / 2, y: foot - tall / 2, w, h: tall, bridge: false });
    }
    x = (fits ? Math.max(to, from + 70) : x + share) + 12;
  }
}

const middle = (chip: Chip): Point => ({ x: chip.x + chip.w / 2, y: chip.y + chip.h / 2 });

function wire(map: NetMap): void {
  const byKey = new Map(map.chips.map((chip) => [chip.key, chip]));
  const done = new Set<string>();
  for (const chip of map.chips) {
    const { row } = chip;
    const other = row.peerNs !== 0 ? byKey.get(chipId(row.peerNs, row.peer)) : row.master !== '' ? byKey.get(chipId(row.ns, row.master)) : undefined;
    const join = (to: Chip, from: Point, end: Point): void => {
      const key = [chip.key, to.key].sort().join(' ');
      if (done.has(key)) return;
      done.add(key);
      map.wires.push({ key, from, to: end, ends: [chip.key, to.key], cable: chip.ns !== to.ns });
    };
    if (other && row.peerNs !== 0) join(other, middle(chip), middle(other));
    const bridge = row.master !== '' ? byKey.get(chipId(row.ns, row.master)) : undefined;
    if (bridge) join(bridge, middle(chip), { x: Math.min(Math.max(middle(chip).x, bridge.x + 4), bridge.x + bridge.w - 4), y: bridge.y + bridge.h });
    if (row.dev === 'ether' && row.ns === map.spaces[0]?.ns) map.wires.push({ key: `${chip.key} wire`, from: middle(chip), to: { x: middle(chip).x, y: map.top - 6 }, ends: [chip.key, 'wire'], cable: false });
  }
}

/** Who listens, what is published, whether it forwards. */
function saysOf(rows: readonly NetworkRow[], ns: number): string[] {
  const own = rows.filter((row) => row.ns === ns);
  const listens = own.filter((row) => row.kind === 'socket' && row.state === 'LISTEN' && !/ 127\.0\.0\.11:/.test(row.name)).map((row) => row.name.replace(/^(\w+) 0\.0\.0\.0:/, '$1 :'));
  const published = own.filter((row) => row.kind === 'published' && !/^127\.0\.0\.11/.test(row.address)).map((row) => `${row.name} → ${row.address}`);
  return [...published, ...(listens.length > 0 ? [`listens ${listens.slice(0, 3).join(', ')}${listens.length > 3 ? ' …' : ''}`] : [])];
}

const AT_DEVICE = new Set(['egress', 'ingress', 'bridge', 'arp', 'qdisc', 'tunnel']);

/** Where on the map a step of a packet happens; null where the map does not show that machine. */
export function pointOf(map: NetMap, step: PacketRow, host: string): Point | null {
  if (step.host !== host) return { x: map.chips.find((chip) => chip.row.dev === 'ether')?.x ?? map.width / 2, y: map.top - 14 };
  const space = map.spaces.find((one) => one.ns === step.ns);
  if (!space) return null;
  if (step.dev !== '' && AT_DEVICE.has(step.hook)) {
    const chip = map.chips.find((one) => one.key === chipId(step.ns, step.dev));
    if (chip?.bridge) return { x: chip.x + chip.w / 2, y: chip.y + chip.h / 2 };
    if (chip) return middle(chip);
  }
  return space.stack;
}
