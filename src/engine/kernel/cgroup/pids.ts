/** The pids controller: one for every task, zombies too, in its group and above; only fork is refused. Source: kernel doc cgroup-v2 (PID). */
import type { Cgroup } from './types.ts';

/** Counts a new task. Returns the group whose pids.max refuses (nothing is counted then), or null. */
export function chargePid(cgroup: Cgroup): Cgroup | null {
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    if (at.pids.max === null || at.pids.current + 1 <= at.pids.max) continue;
    // Counted from the bottom up and taken back: the groups below have seen one more for a moment.
    for (let below = cgroup; below !== at; below = below.parent!) below.pids.peak = Math.max(below.pids.peak, below.pids.current + 1);
    at.pids.eventsLocal++;
    for (let up: Cgroup | null = at; up?.parent; up = up.parent) up.pids.events++;
    return at;
  }
  add(cgroup, 1);
  return null;
}

export function unchargePid(cgroup: Cgroup): void {
  add(cgroup, -1);
}

/** A task moves: never refused. */
export function movePids(from: Cgroup, to: Cgroup): void {
  add(from, -1);
  add(to, 1);
}

function add(cgroup: Cgroup, n: number): void {
  for (let at: Cgroup | null = cgroup; at; at = at.parent) {
    at.pids.current += n;
    if (at.pids.current > at.pids.peak) at.pids.peak = at.pids.current;
  }
}
