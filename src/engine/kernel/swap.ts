/**
 * Swap: files with a swap header that swapon(2) has taken, anonymous and tmpfs pages that reclaim puts there, and what they
 * cost. A page that comes back keeps its slot (the swap cache) until it is freed, or swap is more than half full. Slots are
 * charged to the group that the page was taken from (memory.swap.*). Who has not faulted longest gives first.
 * Source: swapon(2), mkswap(8), kernel doc cgroup-v2 (memory.swap), mm/swap_state.c. Left out: zswap, discard, clusters, swap on devices.
 */
import { PAGE } from '../sim/units.ts';
import { dropPages, uncharge } from './cgroup/charge.ts';
import type { Cgroup } from './cgroup/types.ts';
import type { AddressSpace, Area, Kernel } from './records.ts';
import type { Inode } from './vfs/types.ts';

export interface SwapArea {
  inode: Inode;
  path: string;
  pages: number;
  used: number;
  priority: number;
}

export const swapAreas = (kernel: Kernel): SwapArea[] => (kernel.drivers.get('swap') as SwapArea[] | undefined) ?? [];
export const swapTotal = (kernel: Kernel): number => swapAreas(kernel).reduce((sum, one) => sum + one.pages, 0);
export const swapUsed = (kernel: Kernel): number => swapAreas(kernel).reduce((sum, one) => sum + one.used, 0);

export function spread(areas: readonly SwapArea[], pages: number): void {
  let left = pages;
  for (const one of areas) {
    const part = Math.min(left, one.pages - one.used);
    one.used += part;
    left -= part;
  }
}

// ---- slots

/** Takes up to `pages` slots for a group: as many as areas and memory.swap.max of it and those above leave. Reclaim asks beforehand how many there are, so that none is refused: memory.swap.events does not count. */
function takeSlots(kernel: Kernel, cgroup: Cgroup, pages: number): number {
  let got = Math.min(pages, swapTotal(kernel) - swapUsed(kernel));
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    const { swapMax } = at.memory;
    if (swapMax === null) continue;
    const room = Math.max(0, Math.floor(swapMax / PAGE) - at.memory.swap);
    got = Math.min(got, room);
  }
  if (got <= 0) return 0;
  spread(swapAreas(kernel), got);
  count(cgroup, got);
  return got;
}

function count(cgroup: Cgroup, pages: number): void {
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    at.memory.swap += pages;
    at.memory.swapPeak = Math.max(at.memory.swapPeak, at.memory.swap);
  }
}

export function freeSlots(kernel: Kernel, cgroup: Cgroup, pages: number): void {
  if (pages <= 0) return;
  count(cgroup, -pages);
  let left = pages;
  for (const one of [...swapAreas(kernel)].reverse()) {
    const part = Math.min(left, one.used);
    one.used -= part;
    left -= part;
  }
}

export function dropSlot(kernel: Kernel, mm: AddressSpace, area: Area, page: number): void {
  if (!area.slots?.delete(page)) return;
  for (const [cgroup, own] of mm.charged) {
    if (own.swap <= 0) continue;
    own.swap--;
    freeSlots(kernel, cgroup, 1);
    return;
  }
}

// ---- out and in

/** Every address space once, who has not faulted longest first. */
export function spaces(kernel: Kernel): AddressSpace[] {
  const found = new Set<AddressSpace>();
  for (const task of kernel.tasks.values()) if (!task.kthread && task.state !== 'zombie') found.add(task.mm);
  return [...found].sort((a, b) => a.touched - b.touched);
}

/** Pages of a group that could be put out. */
export function swappable(kernel: Kernel, cgroup: Cgroup): number {
  if (swapTotal(kernel) === 0) return 0;
  const file = [...cgroup.memory.shared].reduce((sum, inode) => sum + (inode.charged?.get(cgroup) ?? 0), 0);
  return file + spaces(kernel).reduce((sum, mm) => sum + Math.min(mm.charged.get(cgroup)?.anon ?? 0, mm.rss.anon - mm.locked), 0);
}

/** Puts up to `pages` pages that a group pays for out; says how many went. */
export function swapOut(kernel: Kernel, cgroup: Cgroup, pages: number): number {
  let gone = 0;
  for (const mm of spaces(kernel)) {
    if (gone >= pages) return gone;
    if ((mm.charged.get(cgroup)?.anon ?? 0) > 0) gone += outOf(kernel, cgroup, mm, pages - gone);
  }
  for (const inode of [...cgroup.memory.shared]) {
    if (gone >= pages) return gone;
    gone += shareOut(kernel, cgroup, inode, pages - gone);
  }
  return gone;
}

function outOf(kernel: Kernel, cgroup: Cgroup, mm: AddressSpace, pages: number): number {
  const own = mm.charged.get(cgroup)!;
  let gone = 0;
  for (const area of [...mm.areas].sort((a, b) => a.touched - b.touched)) {
    if (area.locked || area.file || area.flags & 1) continue;
    // The oldest first: pages are faulted in order, and what came back last is youngest.
    for (const page of pagesOf(area)) {
      if (gone >= pages || own.anon <= 0) return gone;
      if (!area.slots?.has(page)) {
        if (takeSlots(kernel, cgroup, 1) === 0) return gone;
        own.swap++;
        (area.slots ??= new Set()).add(page);
      }
      (area.out ??= new Set()).add(page);
      mm.swapped++;
      mm.rss.anon--;
      own.anon--;
      uncharge(kernel, cgroup, 'anon', 1);
      gone++;
    }
  }
  return gone;
}

/** Pages of an area that are its own and in memory, oldest first. */
function* pagesOf(area: Area): Generator<number> {
  const there = typeof area.present === 'number' ? null : area.present;
  const end = typeof area.present === 'number' ? area.present : area.length / PAGE;
  const from = Math.min(area.hand ?? 0, end);
  for (let step = 0; step < end; step++) {
    const page = (from + step) % end;
    if (there && !there.has(page)) continue;
    if (area.out?.has(page) || (page < area.cow && !area.copied?.has(page))) continue;
    area.hand = page + 1;
    yield page;
  }
}

/** A page of tmpfs: its file keeps it, the books say where it is. */
function shareOut(kernel: Kernel, cgroup: Cgroup, inode: Inode, pages: number): number {
  const wanted = Math.min(pages, inode.charged?.get(cgroup) ?? 0);
  const got = wanted > 0 ? takeSlots(kernel, cgroup, wanted) : 0;
  if (got === 0) return 0;
  inode.swapped ??= new Map();
  inode.swapped.set(cgroup, (inode.swapped.get(cgroup) ?? 0) + got);
  return dropPages(kernel, inode, cgroup, got);
}

/** A file of tmpfs is shorter, or gone: its slots go. */
export function dropShared(kernel: Kernel, inode: Inode, keep: number): void {
  let over = [...(inode.swapped?.values() ?? [])].reduce((sum, n) => sum + n, 0) - keep;
  for (const [cgroup, pages] of [...(inode.swapped ?? [])]) {
    const part = Math.min(over, pages);
    if (part <= 0) return;
    freeSlots(kernel, cgroup, part);
    if (part === pages) inode.swapped!.delete(cgroup);
    else inode.swapped!.set(cgroup, pages - part);
    over -= part;
  }
}

/** A page is back in memory (its charge is the caller's): out of the set, and its slot goes when swap is more than half full. */
export function cameBack(kernel: Kernel, mm: AddressSpace, area: Area, page: number): void {
  area.out!.delete(page);
  mm.swapped--;
  if (swapUsed(kernel) * 2 > swapTotal(kernel)) dropSlot(kernel, mm, area, page);
}

/** Pages [from, to) of an area are no more: says how many of them were out. */
export function forgetOut(kernel: Kernel, mm: AddressSpace, area: Area, from: number, to: number): number {
  let out = 0;
  for (const page of [...(area.slots ?? [])]) {
    if (page < from || page >= to) continue;
    if (area.out?.delete(page)) {
      mm.swapped--;
      out++;
    }
    dropSlot(kernel, mm, area, page);
  }
  return out;
}

export function swapsText(kernel: Kernel): string {
  const kib = (pages: number): number => pages * (PAGE / 1024);
  const rows = swapAreas(kernel).map((one) => `${one.path.padEnd(39)} file\t\t${kib(one.pages)}\t\t${kib(one.used)}\t\t${one.priority}\n`);
  return `Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n${rows.join('')}`;
}
