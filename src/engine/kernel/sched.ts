/**
 * Who runs on which processor: weighted fair queueing down the cgroup tree. Every entity (a task in its group, a group in
 * its parent) has a virtual runtime, processor time divided by weight; the smallest runs. The picture: a tree of queues,
 * one a cgroup, and N processors that each take the leftmost task at the end of a slice or when one sleeps.
 *
 * A stretch is a span of a task on a processor without a decision: begun by an event, cut short when somebody with a
 * better claim wakes. cpu.max: a stretch takes its time from the quota of every group above before it begins; an empty
 * quota throttles the group until its period timer refills it. Source: kernel doc sched-design-CFS, sched-bwc.
 * Real-time tasks go before all others, by priority; where others wait they leave them a twentieth of every second.
 * Left out: per-processor queues and their balancing.
 */
import { cancel, schedule } from '../sim/timeline.ts';
import { MS, US } from '../sim/units.ts';
import { dropBandwidth, endPeriod, newQuota, overrun, returnQuota, takeQuota } from './bandwidth.ts';
import { countWaiting } from './cgroup/psi.ts';
import { sampleCpu } from './cgroup/samples.ts';
import { settleAffinity } from './affinity.ts';
import { lagOf } from './lag.ts';
import type { Cgroup, Cpu, Kernel, RunQueue, Sched, Task } from './records.ts';

/** ns: least run before another of equal claim gets its turn; longest stretch when nobody waits; wake-up advantage. */
const SLICE = 3 * MS;
const LONG_STRETCH = 100 * MS;
const WAKEUP_GRANULARITY = 1 * MS;
/** ns: the turn of a SCHED_RR task, and what real-time tasks may have of each second while others wait. */
const ROUND = 100 * MS;
const REAL_TIME_PERIOD = 1000 * MS;
const REAL_TIME_SHARE = 950 * MS;

const isRealTime = (task: Task): boolean => task.sched.priority > 0;
const mayRun = (task: Task, cpu: number): boolean => task.sched.allowed === null || task.sched.allowed.includes(cpu);

/** Weight by nice value, -20 to 19 (kernel's sched_prio_to_weight). */
const NICE_WEIGHT = [
  88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
  1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
];

export function createSched(cpus: number): Sched {
  return {
    cpus: Array.from({ length: cpus }, (_, index) => ({
      index, current: null, since: 0, until: 0, ticket: null, latest: null, resched: false, user: 0, system: 0, realTime: { since: 0, spent: 0 },
    })),
    queues: new Map(), bandwidth: new Map(), bursting: null, contextSwitches: 0, realTime: [],
  };
}

function queueOf(sched: Sched, cgroup: Cgroup): RunQueue {
  let queue = sched.queues.get(cgroup);
  if (!queue) {
    const up = cgroup.parent ? queueOf(sched, cgroup.parent) : null;
    queue = { cgroup, up, tasks: [], groups: [], running: 0, minVruntime: 0 };
    sched.queues.set(cgroup, queue);
  }
  return queue;
}

function groupWeight(cgroup: Cgroup): number {
  return cgroup.cpu.idle ? IDLE_WEIGHT : Math.max(2, Math.round((cgroup.cpu.weight * 1024) / 100));
}

/** The weight of SCHED_IDLE, and of a group with cpu.idle. */
const IDLE_WEIGHT = 3;

function taskWeight(task: Task): number {
  if (task.sched.policy === 'SCHED_IDLE') return IDLE_WEIGHT;
  return NICE_WEIGHT[Math.min(39, Math.max(0, task.nice + 20))]!;
}

// ---- queues

/** Makes a task runnable: in its queue, and on a processor when one is free or should be. */
export function enqueue(kernel: Kernel, task: Task): void {
  const { sched } = kernel;
  task.state = 'runnable';
  if (isRealTime(task)) {
    countWaiting(kernel, task.cgroup, 1);
    sched.realTime.push(task);
    claim(kernel, task);
    return;
  }
  const queue = queueOf(sched, task.cgroup);
  settleAll(kernel);
  awaken(kernel, queue);
  task.sched.vruntime = Math.max(task.sched.vruntime, queue.minVruntime - task.sched.lag);
  task.sched.lag = 0;
  insert(kernel, queue, task);
  claim(kernel, task);
}

/** A group in which nobody ran or waited begins where the others are, or ahead by what it is owed (lag.ts). */
function awaken(kernel: Kernel, queue: RunQueue): void {
  catchUp(kernel, queue);
  for (let q = queue; q.up && q.running === 0 && !q.up.groups.includes(q); q = q.up) {
    const { cpu } = q.cgroup;
    cpu.vruntime = Math.max(cpu.vruntime, q.up.minVruntime - cpu.lag);
    cpu.lag = 0;
  }
}

/** A task has gone to sleep, and with it perhaps groups: how far they are behind those that stay. */
function noteLag(kernel: Kernel, task: Task): void {
  let queue = queueOf(kernel.sched, task.cgroup);
  const own = othersIn(kernel, queue);
  task.sched.lag = lagOf(task.sched.vruntime, taskWeight(task), own.least, own.weight);
  for (; queue.up && queue.running === 0 && queue.tasks.length === 0 && queue.groups.length === 0; queue = queue.up) {
    const others = othersIn(kernel, queue.up);
    const { cpu } = queue.cgroup;
    cpu.lag = lagOf(cpu.vruntime, groupWeight(queue.cgroup), others.least, others.weight);
  }
}

/** Those who wait or run in a queue: the least virtual time, and the sum of their weights. */
function othersIn(kernel: Kernel, queue: RunQueue): { least: number; weight: number } {
  const found = { least: leastOf(queue), weight: 0 };
  for (const task of queue.tasks) found.weight += taskWeight(task);
  for (const group of queue.groups) found.weight += groupWeight(group.cgroup);
  if (queue.running === 0) return found;
  for (const { current, since } of kernel.sched.cpus) {
    if (current?.state !== 'running') continue;
    const reached = reachedIn(queue, current, Math.max(0, kernel.timeline.now - since));
    if (reached === null) continue;
    found.least = Math.min(found.least, reached);
    found.weight += weightIn(queue, current);
  }
  return found;
}

/** The weight, in a queue, of the entity through which a running task runs. */
function weightIn(queue: RunQueue, task: Task): number {
  let group = task.cgroup;
  if (group === queue.cgroup) return taskWeight(task);
  while (group.parent !== queue.cgroup) group = group.parent!;
  return queue.groups.some((one) => one.cgroup === group) ? 0 : groupWeight(group);
}

/** Moves the virtual time of a queue and those above it to where what runs there has got by now. */
function catchUp(kernel: Kernel, queue: RunQueue): void {
  const now = kernel.timeline.now;
  for (let q: RunQueue | null = queue; q; q = q.up) {
    let least = leastOf(q);
    for (const cpu of kernel.sched.cpus) {
      if (cpu.current?.state !== 'running') continue;
      const reached = reachedIn(q, cpu.current, Math.max(0, Math.min(now, cpu.until) - cpu.since));
      if (reached !== null) least = Math.min(least, reached);
    }
    if (least !== Number.POSITIVE_INFINITY) q.minVruntime = Math.max(q.minVruntime, least);
  }
}

/** The virtual runtime, in a queue, of the entity through which a running task runs; null when it runs elsewhere. */
function reachedIn(queue: RunQueue, task: Task, spent: number): number | null {
  if (task.cgroup === queue.cgroup) return task.sched.vruntime + (spent * 1024) / taskWeight(task);
  for (let group = task.cgroup; group.parent; group = group.parent) {
    if (group.parent === queue.cgroup) return group.cpu.vruntime + (spent * 1024) / groupWeight(group);
  }
  return null;
}

function leastOf(queue: RunQueue): number {
  let least = Number.POSITIVE_INFINITY;
  for (const task of queue.tasks) least = Math.min(least, task.sched.vruntime);
  for (const group of queue.groups) if (eligible(group, null)) least = Math.min(least, group.cgroup.cpu.vruntime);
  return least;
}

function insert(kernel: Kernel, queue: RunQueue, task: Task): void {
  countWaiting(kernel, queue.cgroup, 1);
  queue.tasks.push(task);
  for (let q = queue; q.up && !q.up.groups.includes(q); q = q.up) {
    q.up.groups.push(q);
  }
}

/** Takes a runnable task out of its queue. */
export function dequeue(kernel: Kernel, task: Task): void {
  const first = isRealTime(task) ? kernel.sched.realTime.indexOf(task) : -1;
  if (first >= 0) {
    kernel.sched.realTime.splice(first, 1);
    countWaiting(kernel, task.cgroup, -1);
    return;
  }
  const queue = kernel.sched.queues.get(task.cgroup);
  if (!queue) return;
  const at = queue.tasks.indexOf(task);
  if (at < 0) return;
  queue.tasks.splice(at, 1);
  countWaiting(kernel, task.cgroup, -1);
  for (let q = queue; q.up && q.tasks.length === 0 && q.groups.length === 0; q = q.up) {
    const index = q.up.groups.indexOf(q);
    if (index >= 0) q.up.groups.splice(index, 1);
  }
}

function onProcessor(kernel: Kernel, task: Task, by: 1 | -1): void {
  for (let q: RunQueue | null = queueOf(kernel.sched, task.cgroup); q; q = q.up) q.running += by;
}

/** Moves a task to another cgroup, its place in the queue with it. */
export function changeCgroup(kernel: Kernel, task: Task, to: Cgroup): void {
  const { state } = task;
  if (state === 'running') {
    settle(kernel, cpuOf(kernel, task));
    onProcessor(kernel, task, -1);
  }
  if (state === 'runnable') dequeue(kernel, task);
  task.cgroup.tasks.delete(task);
  task.cgroup = to;
  to.tasks.add(task);
  settleAffinity(kernel, task);
  const queue = queueOf(kernel.sched, to);
  if (state === 'running') awaken(kernel, queue);
  task.sched.vruntime = queue.minVruntime;
  if (state === 'running') onProcessor(kernel, task, 1);
  if (state === 'runnable') enqueue(kernel, task);
}

/** Changes a task's policy where it stands: off its queue, changed, and back. */
export function repolicy(kernel: Kernel, task: Task, change: () => void): void {
  const { state } = task;
  if (state === 'running') settle(kernel, cpuOf(kernel, task));
  if (state === 'runnable') dequeue(kernel, task);
  change();
  if (state === 'runnable') enqueue(kernel, task);
  rescheduleAll(kernel);
}

/** Forgets the queue of a cgroup that was removed. */
export function dropQueue(kernel: Kernel, cgroup: Cgroup): void {
  kernel.sched.queues.delete(cgroup);
  dropBandwidth(kernel, cgroup);
}

function cpuOf(kernel: Kernel, task: Task): Cpu | null {
  return task.sched.cpu === null ? null : kernel.sched.cpus[task.sched.cpu]!;
}

// ---- choosing

/** Frozen or out of quota, here or above. */
export function held(cgroup: Cgroup): boolean {
  for (let group: Cgroup | null = cgroup; group; group = group.parent) {
    if (group.cpu.throttled || group.freezeAsked) return true;
  }
  return false;
}

/** Is there something to run here, or below, that may run on a processor (null: on any)? */
function eligible(queue: RunQueue, cpu: number | null): boolean {
  if (queue.cgroup.cpu.throttled || queue.cgroup.freezeAsked) return false;
  for (const task of queue.tasks) if (cpu === null || mayRun(task, cpu)) return true;
  for (const group of queue.groups) if (eligible(group, cpu)) return true;
  return false;
}

/** The real-time task of the highest priority that may run on a processor; of equals the first. */
function pickRealTime(kernel: Kernel, cpu: Cpu): Task | null {
  let best: Task | null = null;
  for (const task of kernel.sched.realTime) {
    if (mayRun(task, cpu.index) && !frozen(task.cgroup) && task.sched.priority > (best?.sched.priority ?? 0)) best = task;
  }
  return best && (realTimeLeft(kernel, cpu) > 0 || !fairWaits(kernel, cpu)) ? best : null;
}

function realTimeLeft(kernel: Kernel, { realTime }: Cpu): number {
  if (kernel.timeline.now >= realTime.since + REAL_TIME_PERIOD) Object.assign(realTime, { since: kernel.timeline.now, spent: 0 });
  return REAL_TIME_SHARE - realTime.spent;
}

function fairWaits(kernel: Kernel, cpu: Cpu): boolean {
  const root = kernel.sched.queues.get(kernel.cgroups.root);
  return root !== undefined && eligible(root, cpu.index);
}

function frozen(cgroup: Cgroup): boolean {
  for (let group: Cgroup | null = cgroup; group; group = group.parent) if (group.freezeAsked) return true;
  return false;
}

function pick(kernel: Kernel, cpu: Cpu): Task | null {
  const first = kernel.sched.realTime.length > 0 ? pickRealTime(kernel, cpu) : null;
  if (first) return first;
  const root = kernel.sched.queues.get(kernel.cgroups.root);
  if (!root || !eligible(root, cpu.index)) return null;
  let queue = root;
  for (;;) {
    let best: Task | null = null;
    let bestGroup: RunQueue | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const task of queue.tasks) {
      if (task.sched.vruntime < least && mayRun(task, cpu.index)) {
        least = task.sched.vruntime;
        best = task;
      }
    }
    for (const group of queue.groups) {
      if (group.cgroup.cpu.vruntime < least && eligible(group, cpu.index)) {
        least = group.cgroup.cpu.vruntime;
        bestGroup = group;
      }
    }
    if (least > queue.minVruntime) queue.minVruntime = least;
    if (!bestGroup) return best;
    queue = bestGroup;
  }
}

/** A task has become runnable: wake a processor for it, or cut a stretch short. */
function claim(kernel: Kernel, task: Task): void {
  const now = kernel.timeline.now + kernel.ahead;
  for (const cpu of kernel.sched.cpus) {
    if (cpu.current === null && cpu.ticket === null && cpu !== kernel.sched.bursting && mayRun(task, cpu.index)) {
      arm(kernel, cpu, now);
      return;
    }
  }
  if (isRealTime(task)) {
    claimFirst(kernel, task, now);
    return;
  }
  if (held(task.cgroup)) return;
  let worst: Cpu | null = null;
  let lead = WAKEUP_GRANULARITY;
  for (const cpu of kernel.sched.cpus) {
    if (!cpu.current || cpu.current.state !== 'running' || isRealTime(cpu.current) || !mayRun(task, cpu.index)) continue;
    // Batch work never cuts a turn short; SCHED_IDLE is cut short by anybody else.
    const ahead = task.sched.policy !== 'SCHED_OTHER' ? 0 : cpu.current.sched.policy === 'SCHED_IDLE' && cpu.current.cgroup === task.cgroup ? SLICE : vruntimeLead(kernel, cpu, task);
    if (ahead > lead) {
      lead = ahead;
      worst = cpu;
    }
  }
  if (worst) {
    preempt(kernel, worst, now);
    return;
  }
  for (const cpu of kernel.sched.cpus) {
    if (!cpu.current || cpu === kernel.sched.bursting || isRealTime(cpu.current)) continue;
    const end = Math.max(now, cpu.since + SLICE - cpu.current.sched.sliceUsed);
    if (cpu.until > end) arm(kernel, cpu, end);
  }
}

/** A real-time task takes the processor of whoever matters least. */
function claimFirst(kernel: Kernel, task: Task, now: number): void {
  let least: Cpu | null = null;
  for (const cpu of kernel.sched.cpus) {
    if (!cpu.current || cpu.current.sched.priority >= (least?.current?.sched.priority ?? task.sched.priority) || !mayRun(task, cpu.index)) continue;
    least = cpu;
  }
  if (least) preempt(kernel, least, now);
}

/** By how much the running task's claim is worse than the woken one's, in virtual ns at their common queue. */
function vruntimeLead(kernel: Kernel, cpu: Cpu, woken: Task): number {
  const current = cpu.current!;
  const spent = Math.max(0, kernel.timeline.now - cpu.since);
  const a = ancestry(current.cgroup);
  const b = ancestry(woken.cgroup);
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  const mine = i < a.length ? a[i]!.cpu.vruntime + (spent * 1024) / groupWeight(a[i]!) : current.sched.vruntime + (spent * 1024) / taskWeight(current);
  const its = i < b.length ? b[i]!.cpu.vruntime : woken.sched.vruntime;
  return mine - its;
}

function ancestry(cgroup: Cgroup): Cgroup[] {
  const path: Cgroup[] = [];
  for (let group: Cgroup | null = cgroup; group; group = group.parent) path.unshift(group);
  return path;
}

function preempt(kernel: Kernel, cpu: Cpu, now: number): void {
  cpu.resched = true;
  if (cpu !== kernel.sched.bursting) arm(kernel, cpu, now);
}

function arm(kernel: Kernel, cpu: Cpu, at: number): void {
  if (cpu.ticket) cancel(cpu.ticket);
  cpu.ticket = schedule(kernel.timeline, at, { kind: 'kernel.cpu', who: kernel.name, arg: { cpu: cpu.index } });
}

/** Something became eligible that no wake-up tells of (thaw, refill): idle processors look again. */
export function kick(kernel: Kernel): void {
  for (const cpu of kernel.sched.cpus) {
    if (cpu.current === null && cpu.ticket === null && cpu !== kernel.sched.bursting) arm(kernel, cpu, kernel.timeline.now + kernel.ahead);
  }
}

/** Chooses again soon on every processor: a group was frozen, or a running task must be dealt with. */
export function rescheduleAll(kernel: Kernel): void {
  for (const cpu of kernel.sched.cpus) if (cpu.current) preempt(kernel, cpu, kernel.timeline.now + kernel.ahead);
  kick(kernel);
}

/** A task that is on a processor has ended or stopped by another's hand: its stretch ends now. */
export function endStretch(kernel: Kernel, task: Task): void {
  const cpu = cpuOf(kernel, task);
  if (cpu && cpu !== kernel.sched.bursting) preempt(kernel, cpu, kernel.timeline.now + kernel.ahead);
}

// ---- stretches

/**
 * The event of a processor: settles what ran, chooses, and lets `burst` advance the chosen program until it owes
 * processor time, sleeps or ends.
 */
export function onCpu(kernel: Kernel, index: number, burst: (kernel: Kernel, task: Task) => void): void {
  const { sched } = kernel;
  const cpu = sched.cpus[index]!;
  cpu.ticket = null;
  settle(kernel, cpu);
  let task = stillCurrent(kernel, cpu);
  if (cpu.current && !task) leave(kernel, cpu);
  if (!task) {
    task = pick(kernel, cpu);
    if (!task) return;
    dequeue(kernel, task);
    task.state = 'running';
    task.sched.cpu = cpu.index;
    task.sched.last = cpu.index;
    task.sched.sliceUsed = 0;
    task.switches++;
    sched.contextSwitches++;
    cpu.current = task;
    onProcessor(kernel, task, 1);
  }
  cpu.latest = task;
  cpu.resched = false;
  if (task.owed.user + task.owed.system === 0) {
    sched.bursting = cpu;
    burst(kernel, task);
    sched.bursting = null;
    kernel.ahead = 0;
  }
  begin(kernel, cpu, task);
}

/** The task that goes on here without a decision, if it may. */
function stillCurrent(kernel: Kernel, cpu: Cpu): Task | null {
  const task = cpu.current;
  if (!task || task.state !== 'running' || cpu.resched || !mayRun(task, cpu.index)) return null;
  if (!isRealTime(task)) return task.sched.sliceUsed >= SLICE || held(task.cgroup) ? null : task;
  const turn = task.sched.policy === 'SCHED_RR' && task.sched.sliceUsed >= ROUND;
  return turn || frozen(task.cgroup) || (realTimeLeft(kernel, cpu) <= 0 && fairWaits(kernel, cpu)) ? null : task;
}

/** The current task gives up the processor; back to its queue if it can go on. */
function leave(kernel: Kernel, cpu: Cpu): void {
  const task = cpu.current!;
  cpu.current = null;
  task.sched.cpu = null;
  onProcessor(kernel, task, -1);
  if (task.state !== 'running') {
    if (!isRealTime(task)) noteLag(kernel, task);
    return;
  }
  task.state = 'runnable';
  if (!isRealTime(task)) {
    insert(kernel, queueOf(kernel.sched, task.cgroup), task);
    // Its cpuset has moved away from here.
    if (!mayRun(task, cpu.index)) claim(kernel, task);
    return;
  }
  countWaiting(kernel, task.cgroup, 1);
  // Preempted it stays first of its priority; after its turn it is last.
  if (task.sched.policy === 'SCHED_RR' && task.sched.sliceUsed >= ROUND) kernel.sched.realTime.push(task);
  else kernel.sched.realTime.unshift(task);
}

/** Begins the stretch that pays what the task owes. */
function begin(kernel: Kernel, cpu: Cpu, task: Task): void {
  const now = kernel.timeline.now;
  const owed = task.owed.user + task.owed.system;
  cpu.since = now;
  if (task.state !== 'running') {
    account(kernel, cpu, task, owed);
    leave(kernel, cpu);
    cpu.until = now + owed;
    arm(kernel, cpu, now + owed);
    return;
  }
  let length = Math.min(owed, stretch(kernel, cpu, task));
  if (!isRealTime(task)) length = takeQuota(kernel, task.cgroup, length);
  cpu.until = now + length;
  arm(kernel, cpu, cpu.until);
}

/** How long a task may go on before the processor looks again, ns. */
function stretch(kernel: Kernel, cpu: Cpu, task: Task): number {
  const least = 50 * US;
  if (cpu.resched) return least;
  if (isRealTime(task)) return fairWaits(kernel, cpu) ? Math.max(least, Math.min(ROUND, realTimeLeft(kernel, cpu))) : LONG_STRETCH;
  return fairWaits(kernel, cpu) || kernel.sched.realTime.length > 0 ? Math.max(least, SLICE - task.sched.sliceUsed) : LONG_STRETCH;
}

/** Accounts the stretch that has run on a processor until now, and gives back the quota it did not use. */
function settle(kernel: Kernel, cpu: Cpu | null): void {
  const task = cpu?.current;
  if (!cpu || !task || cpu === kernel.sched.bursting) return;
  const now = kernel.timeline.now;
  const ran = Math.min(now, cpu.until) - cpu.since;
  const unused = cpu.until - cpu.since - ran;
  if (unused > 0 && !isRealTime(task)) returnQuota(kernel, task.cgroup, unused);
  cpu.until = now;
  cpu.since = now;
  if (ran > 0) account(kernel, cpu, task, ran);
}

/** All stretches up to now are in the books: what cpu.stat, /proc/stat and getrusage read. */
export function settleAll(kernel: Kernel): void {
  for (const cpu of kernel.sched.cpus) {
    if (!cpu.current || !cpu.ticket) continue;
    const end = cpu.until;
    settlePartly(kernel, cpu, end);
  }
}

function settlePartly(kernel: Kernel, cpu: Cpu, end: number): void {
  const now = Math.min(kernel.timeline.now, end);
  if (now <= cpu.since || cpu === kernel.sched.bursting) return;
  account(kernel, cpu, cpu.current!, now - cpu.since);
  cpu.since = now;
}

/** Books `ns` of processor time: the task pays what it owes, system part first; its groups' virtual time moves. */
function account(kernel: Kernel, cpu: Cpu, task: Task, ns: number): void {
  const system = Math.min(task.owed.system, ns);
  const user = ns - system;
  task.owed.system -= system;
  task.owed.user = Math.max(0, task.owed.user - user);
  task.times.system += system;
  task.times.user += user;
  cpu.system += system;
  cpu.user += user;
  task.sched.sliceUsed += ns;
  const first = isRealTime(task);
  if (first) cpu.realTime.spent += ns;
  else task.sched.vruntime += (ns * 1024) / taskWeight(task);
  for (let group: Cgroup | null = task.cgroup; group; group = group.parent) {
    group.cpu.usage.user += user;
    group.cpu.usage.system += system;
    if (!first) group.cpu.vruntime += (ns * 1024) / groupWeight(group);
    sampleCpu(group, kernel.timeline.now, ns);
  }
  if (task.state === 'sleeping' || task.state === 'zombie') overrun(kernel, task.cgroup, ns);
}

// ---- cpu.max

/** The event of a period timer. */
export function onPeriod(kernel: Kernel, cgroupId: number): void {
  if (endPeriod(kernel, cgroupId)) rescheduleAll(kernel);
}

/** cpu.max was written. */
export function cpuMaxChanged(kernel: Kernel, cgroup: Cgroup): void {
  newQuota(kernel, cgroup);
  rescheduleAll(kernel);
}
