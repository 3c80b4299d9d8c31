/**
 * Which processes see each other: a box a container, or a pid namespace that somebody made by hand; inside it, in the order of the
 * host, what it sees, each with its pid at every level from the box's own down. Pure: rows in, places out.
 */
import type { ContainerRow, ProcessRow } from '../../../bridge/rows.ts';
import { same } from './names.ts';

export const ROW = 20;
const HEAD = 26;
const GAP = 14;

export interface Line {
  process: ProcessRow;
  y: number;
  /** Pids from the box's level down; empty once it has ended. */
  pids: string[];
  /** Levels below the box's own namespace. */
  deeper: number;
}

export interface Box {
  key: string;
  container: ContainerRow | null;
  name: string;
  id: string;
  y: number;
  height: number;
  lines: Line[];
  /** It has no pid namespace of its own. */
  shares: boolean;
}

export interface Placed { process: ProcessRow; y: number }

export interface Layout { left: Placed[]; boxes: Box[]; height: number; at: ReadonlyMap<ProcessRow, number> }

const levelOf = (process: ProcessRow): number => (process.nspids === '' ? 0 : process.nspids.split(' ').length - 1);

/** Lays out the host's list and the boxes beside it; a box stands beside its first process, or below the one before. */
export function layout(shown: readonly ProcessRow[], containers: readonly ContainerRow[], most = 1000): Layout {
  const order = new Map(shown.map((process, i) => [process, i]));
  const groups = new Map<string, { container: ContainerRow | null; members: ProcessRow[] }>();
  const inits = namespaceTops(shown);
  for (const process of shown) {
    const container = process.container === '' ? null : (containers.find((one) => same(process.container, one)) ?? null);
    const top = inits.get(process.pidns);
    const key = process.container !== '' ? `c:${process.container}` : top !== undefined && levelOf(process) > 0 ? `n:${top}` : '';
    if (key === '') continue;
    const group = groups.get(key) ?? { container, members: [] };
    group.members.push(process);
    groups.set(key, group);
  }
  for (const one of containers) if (one.running && ![...groups.values()].some((group) => group.container === one)) groups.set(`c:${one.id.slice(0, 12)}`, { container: one, members: [] });
  const ordered = [...groups].sort(([, a], [, b]) => (order.get(a.members[0]!) ?? 1e9) - (order.get(b.members[0]!) ?? 1e9)).slice(0, most);
  const left = placed(shown, ordered.map(([, group]) => group.members));
  const at = new Map(left.map(({ process, y }) => [process, y]));
  let y = 0;
  const boxes = ordered.map(([key, { container, members }]) => {
    const box = boxOf(key, container, members, Math.max(y, (at.get(members[0]!) ?? y) - HEAD));
    y = box.y + box.height + GAP;
    return box;
  });
  return { left, boxes, height: Math.max((left[left.length - 1]?.y ?? 0) + ROW, y), at };
}

/** Many boxes would drift away from their processes: then the host's list waits for them, and the wires stay level. */
const MANY = 60;

function placed(shown: readonly ProcessRow[], boxes: readonly (readonly ProcessRow[])[]): Placed[] {
  const room = new Map(boxes.map((members) => [members[0], HEAD + members.length * ROW + GAP]));
  let y = 0;
  let free = 0;
  return shown.map((process) => {
    const needs = shown.length > MANY ? room.get(process) : undefined;
    if (needs !== undefined) {
      y = Math.max(y, free + HEAD);
      free = y - HEAD + needs;
    }
    y += ROW;
    return { process, y: y - ROW };
  });
}

/** For each pid namespace below the first, the inode of the outermost one that it is in: known by who is pid 1 where. */
function namespaceTops(shown: readonly ProcessRow[]): Map<number, number> {
  const byPid = new Map(shown.filter((one) => one.exit === null).map((one) => [one.pid, one]));
  const tops = new Map<number, number>();
  for (const process of byPid.values()) {
    if (levelOf(process) === 0 || tops.has(process.pidns)) continue;
    let top = process;
    for (let up = byPid.get(top.ppid); up && levelOf(up) > 0; up = byPid.get(up.ppid)) top = up;
    tops.set(process.pidns, top.pidns);
  }
  return tops;
}

function boxOf(key: string, container: ContainerRow | null, members: ProcessRow[], y: number): Box {
  const first = members.find((one) => one.exit === null);
  const base = first ? Math.min(...members.filter((one) => one.exit === null).map(levelOf)) : 1;
  const lines = members.map((process, i): Line => ({
    process, y: y + HEAD + i * ROW, pids: process.nspids === '' ? [] : process.nspids.split(' ').slice(base), deeper: process.exit === null ? levelOf(process) - base : 0,
  }));
  return {
    key, container, y, height: HEAD + Math.max(1, lines.length) * ROW, lines, shares: first !== undefined && base === 0,
    name: container?.name ?? (key.startsWith('n:') ? `pid namespace` : key.slice(2)), id: container?.id.slice(0, 12) ?? (key.startsWith('n:') ? key.slice(2) : ''),
  };
}
