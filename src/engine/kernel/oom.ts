/**
 * What follows a refused charge: reclaim, then the OOM killer. Badness of a process: its resident pages, its page tables,
 * plus oom_score_adj times a thousandth of the limit (whole pages); -1000 exempts; the largest dies, of equals the
 * later one. A group's limit kills only in that group; memory.oom.group kills the victim's whole group.
 * The report is the kernel's, without the call trace and registers that a modelled processor does not have.
 * Source: mm/oom_kill.c, mm/memcontrol.c of 6.12; recorded reports.
 */
import { record } from '../sim/trace.ts';
import { PAGE } from '../sim/units.ts';
import { SIG } from './abi.ts';
import { cgroupPath, countEvent, type Kind, memoryGroup, tryCharge, usage } from './cgroup/charge.ts';
import { cpusetGroup, descendants, memoryEventsChannel } from './cgroup/core.ts';
import { reclaim } from './cgroup/reclaim.ts';
import { memoryStat } from './cgroup/stat.ts';
import type { Cgroup } from './cgroup/types.ts';
import { SWAPPER, wakeKthread } from './kworkers.ts';
import { logLine } from './log.ts';
import { rememberOom } from './oomlog.ts';
import type { Kernel, Task } from './records.ts';
import { alive, killProcess } from './signals.ts';
import { swapTotal } from './swap.ts';
import { wake } from './wait.ts';

/** A charge that cannot be met is tried this often before the killer is called, and again while the victim dies. */
const TRIES = 18;
const TRIES_DYING = 17;

/** Resident pages of a process. */
export function residentPages(task: Task): number {
  const { rss } = task.mm;
  return rss.anon + rss.file + rss.shmem;
}

function totalPages(kernel: Kernel, limit: Cgroup): number {
  if (!limit.parent || limit.memory.max === null) return kernel.frames.total + swapTotal(kernel);
  const { max, swapMax } = limit.memory;
  return Math.floor(max / PAGE) + Math.min(swapTotal(kernel), swapMax === null ? Number.POSITIVE_INFINITY : Math.floor(swapMax / PAGE));
}

/** Badness in pages; null for what must not be killed. */
export function badness(task: Task, totalpages: number): number | null {
  if (task.oomScoreAdj === -1000) return null;
  return residentPages(task) + task.mm.swapped + task.mm.pageTables + task.oomScoreAdj * Math.floor(totalpages / 1000);
}

/** Processes that a limit may cost their lives, in order of pid. */
function candidates(kernel: Kernel, limit: Cgroup): Task[] {
  const groups = new Set([limit, ...descendants(limit)]);
  return [...kernel.tasks.values()].filter((task) => task.leader === task && alive(task) && task.pid !== 1 && !task.kthread && groups.has(task.cgroup));
}

/**
 * Charges, reclaiming and killing as it must. False: it could not be charged, because the caller itself has been killed or
 * because nothing that may be killed is left.
 */
export function reclaimOrKill(kernel: Kernel, task: Task, cgroup: Cgroup, kind: Kind, pages: number): boolean {
  for (;;) {
    const refused = tryCharge(kernel, cgroup, kind, pages);
    if (!refused) {
      if (kind !== 'kernel') watchFree(kernel);
      return true;
    }
    if (!alive(task)) return false;
    const over = usageOf(kernel, refused) + pages - (refused.parent ? Math.floor(refused.memory.max! / PAGE) : kernel.frames.total);
    if (reclaim(kernel, refused, Math.max(over, 1)) >= over) {
      countEvent(refused, 'max');
      continue;
    }
    countEvent(refused, 'max', TRIES);
    if (!outOfMemory(kernel, task, refused)) return false;
    if (!alive(task)) {
      countEvent(refused, 'max', TRIES_DYING);
      return false;
    }
  }
}

function usageOf(kernel: Kernel, limit: Cgroup): number {
  return limit.parent ? usage(limit.memory) : kernel.frames.anon + kernel.frames.file + kernel.frames.kernel;
}

/** Shares of memory that are to stay free: below the first kswapd begins, at the second it stops. */
const LOW_MARK = 0.012;
const HIGH_MARK = 0.018;
/** ns of processor time to find and free a page. */
const SCAN_PAGE = 400;

const freeFrames = ({ frames }: Kernel): number => frames.total - frames.anon - frames.file - frames.kernel;

/** Memory runs short: kswapd is to get some back before anybody has to wait for it. */
export function watchFree(kernel: Kernel): void {
  if (freeFrames(kernel) < kernel.frames.total * LOW_MARK) wakeKthread(kernel, SWAPPER);
}

/** kswapd's round. Null when enough is free, or nothing is to be had. */
export function balance(kernel: Kernel): number | null {
  const wanted = Math.ceil(kernel.frames.total * HIGH_MARK) - freeFrames(kernel);
  if (wanted <= 0) return null;
  const freed = reclaim(kernel, kernel.cgroups.root, Math.min(wanted, 1024));
  return freed === 0 ? null : freed * SCAN_PAGE;
}

/** The killer itself; false when there is nobody to kill. */
export function outOfMemory(kernel: Kernel, task: Task, limit: Cgroup): boolean {
  const group = limit.parent ? cgroupPath(limit) : null;
  const refusal = record(kernel.trace, 'kernel', kernel.name, 'memory.refused', {
    cgroup: cgroupPath(limit), current: usageOf(kernel, limit) * PAGE, max: limit.memory.max, pid: task.pid, comm: task.comm,
  });
  countEvent(limit, 'oom');
  wake(kernel, memoryEventsChannel(limit));
  const total = totalPages(kernel, limit);
  let victim: Task | null = null;
  let most = Number.NEGATIVE_INFINITY;
  const scored = candidates(kernel, limit).map((one) => ({ task: one, points: badness(one, total) }));
  for (const { task: one, points } of scored) {
    if (points === null || points < most) continue;
    most = points;
    victim = one;
  }
  const asker = scored.find((one) => one.task === task.leader && one.points !== null);
  if (!limit.parent && kernel.counters['sysctl:oom_kill_allocating_task'] && asker) victim = task.leader;
  report(kernel, task, limit);
  const invoked = record(kernel.trace, 'kernel', kernel.name, 'oom.invoked', { cgroup: group, pid: task.pid, comm: task.comm, usage: usageOf(kernel, limit) * PAGE }, refusal);
  const whole = victim ? groupToKill(victim, limit) : null;
  const doomed = whole ? candidates(kernel, whole).filter((one) => one.oomScoreAdj !== -1000) : [];
  rememberOom(kernel, task, limit, total, scored, victim, doomed, invoked);
  if (!victim) {
    logLine(kernel, 4, 'Out of memory and no killable processes...');
    return false;
  }
  logLine(kernel, 6, `oom-kill:constraint=${group ? 'CONSTRAINT_MEMCG' : 'CONSTRAINT_NONE'},nodemask=(null),cpuset=${cpusetGroup(victim.cgroup).name || '/'},mems_allowed=0,${group ? `oom_memcg=${group}` : 'global_oom'},task_memcg=${cgroupPath(memoryGroup(victim.cgroup))},task=${victim.comm},pid=${victim.pid},uid=${victim.cred.uid}`);
  const again = killedLine(victim, limit);
  kill(kernel, victim, limit, most, invoked);
  if (!whole) return true;
  logLine(kernel, 6, `Tasks in ${cgroupPath(whole)} are going to be killed due to memory.oom.group set`);
  countEvent(whole, 'oomGroupKill');
  for (const one of doomed) {
    if (alive(one)) kill(kernel, one, limit, badness(one, total) ?? 0, invoked);
    else if (one === victim && one === task.leader) {
      // Who asked for memory itself dies only when it leaves the kernel: it is met, told of and counted once more.
      countEvent(one.cgroup, 'oomKill');
      logLine(kernel, 3, again);
    }
  }
  return true;
}


/** The highest group up to the limit that asks to die as a whole. */
function groupToKill(victim: Task, limit: Cgroup): Cgroup | null {
  let found: Cgroup | null = null;
  for (let at: Cgroup | null = victim.cgroup; at?.parent; at = at.parent) {
    if (at.memory.oomGroup) found = at;
    if (at === limit) break;
  }
  return found;
}

/** A counter without a limit, in the report's unit. */
const NO_LIMIT = '9007199254740988kB';

const kB = (pages: number): string => `${pages * (PAGE / 1024)}kB`;

function totalVm(task: Task): number {
  return task.mm.areas.reduce((sum, area) => sum + area.length / PAGE, 0);
}

function killedLine(victim: Task, limit: Cgroup): string {
  const { rss, pageTables } = victim.mm;
  return `${limit.parent ? 'Memory cgroup out of memory' : 'Out of memory'}: Killed process ${victim.pid} (${victim.comm}) total-vm:${kB(totalVm(victim))}, anon-rss:${kB(rss.anon)}, file-rss:${kB(rss.file)}, shmem-rss:${kB(rss.shmem)}, UID:${victim.cred.uid} pgtables:${kB(pageTables)} oom_score_adj:${victim.oomScoreAdj}`;
}

function kill(kernel: Kernel, victim: Task, limit: Cgroup, points: number, because: number): void {
  countEvent(victim.cgroup, 'oomKill');
  if (!limit.parent) kernel.counters.globalOomKills = (kernel.counters.globalOomKills ?? 0) + 1;
  logLine(kernel, 3, killedLine(victim, limit));
  const cause = record(kernel.trace, 'kernel', kernel.name, 'oom.kill', {
    pid: victim.pid, comm: victim.comm, points, cgroup: cgroupPath(victim.cgroup), limit: cgroupPath(limit), adj: victim.oomScoreAdj,
  }, because);
  wake(kernel, memoryEventsChannel(victim.cgroup));
  killProcess(kernel, victim, SIG.KILL, 'oom', cause);
}

/** "#1  Debian 6.12.48-1": the build's number and the package it is from. */
function builtAs({ version }: Kernel): string {
  const [number = ''] = version.split(' ', 1);
  const from = / (Debian \S+)/.exec(version)?.[1];
  return from ? `${number}  ${from}` : number;
}

function report(kernel: Kernel, task: Task, limit: Cgroup): void {
  const say = (text: string): void => logLine(kernel, 4, text);
  const tell = (text: string): void => logLine(kernel, 6, text);
  say(`${task.comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=${task.oomScoreAdj}`);
  say(`CPU: ${task.sched.cpu ?? 0} UID: ${task.cred.uid} PID: ${task.pid} Comm: ${task.comm} Not tainted ${kernel.release} ${builtAs(kernel)}`);
  if (limit.parent) {
    tell(`memory: usage ${kB(usage(limit.memory))}, limit ${limit.memory.max === null ? NO_LIMIT : kB(Math.floor(limit.memory.max / PAGE))}, failcnt ${limit.memory.eventsLocal.max}`);
    const { swap, swapMax, swapEvents } = limit.memory;
    tell(`swap: usage ${kB(swap)}, limit ${swapMax === null ? NO_LIMIT : kB(Math.floor(swapMax / PAGE))}, failcnt ${swapEvents.max}`);
    tell(`Memory cgroup stats for ${cgroupPath(limit)}:`);
    for (const line of memoryStat(limit).trimEnd().split('\n')) tell(line);
  }
  if (kernel.counters['sysctl:oom_dump_tasks'] === 0) return;
  tell('Tasks state (memory values in pages):');
  tell('[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name');
  for (const one of candidates(kernel, limit)) {
    const { rss, pageTables } = one.mm;
    const cells = [
      `[${String(one.pid).padStart(7)}]`, String(one.cred.uid).padStart(5), String(one.tgid).padStart(5), String(totalVm(one)).padStart(8),
      String(residentPages(one)).padStart(8), String(rss.anon).padStart(8), String(rss.file).padStart(8), String(rss.shmem).padStart(9),
      String(pageTables * PAGE).padStart(8), String(one.mm.swapped).padStart(8), String(one.oomScoreAdj).padStart(13), one.comm,
    ];
    tell(cells.join(' '));
  }
}
