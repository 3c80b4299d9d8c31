/**
 * Getting pages back from the page cache of a group and those below it, as far as memory.min and memory.low protect
 * nobody: first without breaking low, then breaking it (which counts). Where that is not enough, anonymous pages and those of
 * tmpfs go to swap, as far as there is any.
 * Groups give in proportion to what they hold above their protection; in a group the file cached longest ago goes first.
 * Source: kernel doc cgroup-v2 (memory), mm/vmscan.c, mm/memcontrol.c. Left out: active and inactive lists, writeback time.
 */
import { PAGE, SECOND } from '../../sim/units.ts';
import type { Kernel } from '../records.ts';
import { countEvent, dropPages, usage } from './charge.ts';
import { swapOut, swappable, swapTotal } from '../swap.ts';
import { stall as bookStall } from './psi.ts';
import type { Cgroup } from './types.ts';

interface Giver {
  cgroup: Cgroup;
  /** Pages that reclaim may not take the group below. */
  min: number;
  low: number;
}

/** Protection below `top`, in pages: own setting, cut down to the parent's share where siblings ask for more than it has. */
function givers(top: Cgroup): Giver[] {
  const found: Giver[] = [{ cgroup: top, min: 0, low: 0 }];
  const below = (parent: Cgroup, min: number, low: number): void => {
    const children = [...parent.children.values()];
    const claim = (child: Cgroup, key: 'min' | 'low'): number => Math.min(Math.floor(child.memory[key] / PAGE), usage(child.memory));
    const sums = { min: 0, low: 0 };
    for (const child of children) {
      sums.min += claim(child, 'min');
      sums.low += claim(child, 'low');
    }
    for (const child of children) {
      const share = (key: 'min' | 'low', have: number): number =>
        sums[key] > have ? Math.floor((claim(child, key) * have) / sums[key]) : claim(child, key);
      const one = { cgroup: child, min: share('min', min), low: share('low', low) };
      found.push(one);
      below(child, one.min, one.low);
    }
  };
  below(top, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  return found;
}

/** Pages cached directly in a group that may go: all its files' pages, less what protection keeps. */
function spare(giver: Giver, floor: number): number {
  let cached = 0;
  for (const inode of giver.cgroup.memory.cache) cached += inode.charged?.get(giver.cgroup) ?? 0;
  return Math.max(0, Math.min(cached, usage(giver.cgroup.memory) - floor));
}

function take(kernel: Kernel, cgroup: Cgroup, pages: number): number {
  let taken = 0;
  for (const inode of [...cgroup.memory.cache]) {
    if (taken >= pages) break;
    taken += dropPages(kernel, inode, cgroup, pages - taken);
  }
  cgroup.memory.scanned += taken;
  cgroup.memory.stolen += taken;
  return taken;
}

/** Frees up to `pages` pages in `top` and below; says how many. */
export function reclaim(kernel: Kernel, top: Cgroup, pages: number): number {
  let freed = 0;
  const all = givers(top);
  for (const pass of ['keep low', 'break low'] as const) {
    if (freed >= pages) break;
    const able = all.map((giver) => ({ giver, spare: spare(giver, pass === 'keep low' ? Math.max(giver.min, giver.low) : giver.min) }));
    const total = able.reduce((sum, one) => sum + one.spare, 0);
    const wanted = pages - freed;
    if (total === 0) continue;
    for (const one of able) {
      const part = Math.min(one.spare, Math.ceil((wanted * one.spare) / total), pages - freed);
      if (part <= 0) continue;
      if (pass === 'break low' && one.giver.low > 0) countEvent(one.giver.cgroup, 'low');
      freed += take(kernel, one.giver.cgroup, part);
    }
  }
  if (freed < pages && swapTotal(kernel) > 0) {
    for (const { cgroup, min } of all) {
      if (freed >= pages) break;
      const able = Math.min(pages - freed, swappable(kernel, cgroup), usage(cgroup.memory) - min);
      if (able > 0) freed += swapOut(kernel, cgroup, able);
    }
  }
  return freed;
}

/**
 * How long (ns) a task that has just been charged `pages` is held back because a group above is over memory.high: grows with
 * the square of the excess, at most two seconds. Reclaims first; counts `high`.
 */
export function highStall(kernel: Kernel, cgroup: Cgroup, pages: number): number {
  let stall = 0;
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    const { high } = at.memory;
    if (high === null) continue;
    const limit = Math.max(1, Math.floor(high / PAGE));
    if (usage(at.memory) <= limit) continue;
    countEvent(at, 'high');
    reclaim(kernel, at, usage(at.memory) - limit);
    const excess = Math.max(0, (usage(at.memory) - limit) / limit);
    // 2^20 precision shifted by 14: one jiffy (4 ms) at HZ=250 for an excess of 1/8, for a batch of 64 pages.
    stall = Math.max(stall, Math.min(2, excess * excess * 64) * (pages / 64) * SECOND);
  }
  const held = Math.min(stall, 2 * SECOND);
  if (held > 0) bookStall(kernel, cgroup, 'memory', held, 'some');
  return held;
}
