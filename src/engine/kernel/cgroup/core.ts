/**
 * The cgroup v2 hierarchy: making and removing groups, which controllers a group has, moving processes, thread mode and
 * the freezer. The picture: a tree of directories; a controller is at work in a group when its parent's subtree_control
 * names it. Rules and errors as kernel/cgroup/cgroup.c of 6.12; source: kernel doc cgroup-v2 and recordings.
 * Left out: cgroup v1, cgroup BPF.
 */
import { record } from '../../sim/trace.ts';
import { MS } from '../../sim/units.ts';
import { SysError } from '../abi.ts';
import { threadsOf } from '../membership.ts';
import type { Kernel, Task } from '../records.ts';
import { changeCgroup, dropQueue, rescheduleAll } from '../sched.ts';
import { wake } from '../wait.ts';
import { cgroupPath, usage } from './charge.ts';
import { movePids } from './pids.ts';
import type { Cgroup, CgroupTree, Controller, MemoryEvents, Psi, PsiLine } from './types.ts';

/** In the kernel's order of printing. */
export const CONTROLLERS: readonly Controller[] = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma', 'misc'];
/** Those that can divide the threads of one process; the others make the no-internal-process rule. */
const THREADED: ReadonlySet<Controller> = new Set<Controller>(['cpuset', 'cpu', 'pids']);
/** A removed group is let go of after a grace period. */
const GRACE = 20 * MS;

const noEvents = (): MemoryEvents => ({ low: 0, high: 0, max: 0, oom: 0, oomKill: 0, oomGroupKill: 0 });
const calm = (): PsiLine => ({ total: 0, avg10: 0, avg60: 0, avg300: 0, at: 0, seen: 0 });
const noStalls = (): Psi => ({ some: calm(), full: calm(), triggers: [] });

export function createTree(): CgroupTree {
  const tree: CgroupTree = { root: null as unknown as Cgroup, nextId: 1, implicit: false };
  tree.root = blank(tree, '', null, 0);
  tree.root.mode = 0o555;
  return tree;
}

function blank(tree: CgroupTree, name: string, parent: Cgroup | null, madeAt: number): Cgroup {
  return {
    id: tree.nextId++, name, parent, children: new Map(), tasks: new Set(), subtree: new Set(), frozen: parent?.frozen ?? false,
    freezeAsked: false, uid: 0, gid: 0, mode: 0o755,
    memory: {
      anon: 0, file: 0, shmem: 0, kernel: 0, peak: 0, swap: 0, swapPeak: 0, min: 0, low: 0, high: null, max: null, swapMax: null, swapHigh: null,
      swapEvents: { high: 0, max: 0, fail: 0 }, oomGroup: false, cache: new Set(), shared: new Set(), scanned: 0, stolen: 0,
      events: noEvents(), eventsLocal: noEvents(), pgfault: 0, pgmajfault: 0, sampled: 0,
    },
    cpu: {
      weight: 100, quota: null, period: 100_000, burst: 0, idle: false, usage: { user: 0, system: 0 }, nrPeriods: 0, nrThrottled: 0,
      throttledTime: 0, left: 0, vruntime: 0, lag: 0, throttled: false, nrBursts: 0, burstTime: 0, samples: [],
    },
    pids: { current: 0, max: null, peak: 0, events: 0, eventsLocal: 0 },
    io: { max: new Map(), stat: new Map(), weight: 100, next: new Map() },
    cpuset: { cpus: '', mems: '', exclusive: '', partition: 'member', fault: null },
    huge: new Map(), removed: false, threaded: false, maxDepth: null, maxDescendants: null, pressure: true,
    psi: { cpu: noStalls(), memory: noStalls(), io: noStalls() }, waiting: { tasks: 0, since: 0 }, attrs: new Map(), xattrs: new Map(), dying: [], madeAt,
  };
}

// ---- what a group has

export function hasController(cgroup: Cgroup, one: Controller): boolean {
  return cgroup.parent === null || (cgroup.parent.subtree.has(one) && (!cgroup.threaded || THREADED.has(one)));
}

/** The group whose cpuset holds for a group's tasks. */
export function cpusetGroup(cgroup: Cgroup): Cgroup {
  let at = cgroup;
  while (at.parent && !hasController(at, 'cpuset')) at = at.parent;
  return at;
}

/** Controllers a group has: those its parent hands down; the root has all. */
export function controllersOf(cgroup: Cgroup): Controller[] {
  return CONTROLLERS.filter((one) => hasController(cgroup, one));
}

export function descendants(cgroup: Cgroup): Cgroup[] {
  return [...cgroup.children.values()].flatMap((child) => [child, ...descendants(child)]);
}

const alive = (task: Task): boolean => task.state !== 'zombie' && task.state !== 'dead';

export function liveTasks(cgroup: Cgroup): Task[] {
  return [...cgroup.tasks].filter(alive);
}

/** Is there a living process here or below? A zombie does not populate its group. */
export function populated(cgroup: Cgroup): boolean {
  for (const task of cgroup.tasks) if (alive(task)) return true;
  for (const child of cgroup.children.values()) if (populated(child)) return true;
  return false;
}

// ---- thread mode

function isThreadRoot(cgroup: Cgroup): boolean {
  if (cgroup.threaded) return false;
  for (const child of cgroup.children.values()) if (child.threaded) return true;
  return liveTasks(cgroup).length > 0 && [...cgroup.subtree].some((one) => THREADED.has(one));
}

function isValidDomain(cgroup: Cgroup): boolean {
  if (cgroup.threaded) return false;
  for (let up = cgroup.parent; up; up = up.parent) if (up.threaded || (up.parent && isThreadRoot(up))) return false;
  return true;
}

/** The domain whose thread subtree a group is in; itself when it is a domain. */
function domainOf(cgroup: Cgroup): Cgroup {
  let at = cgroup;
  while (at.threaded && at.parent) at = at.parent;
  return at;
}

function canBeThreadRoot(cgroup: Cgroup): boolean {
  if (!cgroup.parent) return true;
  for (const child of cgroup.children.values()) if (!child.threaded && populated(child)) return false;
  return [...cgroup.subtree].every((one) => THREADED.has(one));
}

export function typeOf(cgroup: Cgroup): 'domain' | 'threaded' | 'domain threaded' | 'domain invalid' {
  if (cgroup.threaded) return 'threaded';
  if (!isValidDomain(cgroup)) return 'domain invalid';
  return isThreadRoot(cgroup) ? 'domain threaded' : 'domain';
}

export function makeThreaded(cgroup: Cgroup): void {
  if (cgroup.threaded) return;
  const domain = domainOf(cgroup.parent!);
  if (populated(cgroup) || [...cgroup.subtree].some((one) => !THREADED.has(one))) throw new SysError('EOPNOTSUPP');
  if (!isValidDomain(domain) || !canBeThreadRoot(domain)) throw new SysError('EOPNOTSUPP');
  cgroup.threaded = true;
}

// ---- making and removing

export function makeCgroup(kernel: Kernel, task: Task | null, parent: Cgroup, name: string, mode = 0o755): Cgroup {
  if (name.includes('\n')) throw new SysError('EINVAL');
  if (parent.removed) throw new SysError('ENODEV');
  if (parent.children.has(name)) throw new SysError('EEXIST');
  let depth = 1;
  for (let at: Cgroup | null = parent; at; at = at.parent, depth++) {
    if (at.maxDescendants !== null && descendants(at).length >= at.maxDescendants) throw new SysError('EAGAIN');
    if (at.maxDepth !== null && depth > at.maxDepth) throw new SysError('EAGAIN');
  }
  const cgroup = blank(kernel.cgroups, name, parent, kernel.timeline.now);
  cgroup.uid = task?.cred.euid ?? 0;
  cgroup.gid = task?.cred.egid ?? 0;
  cgroup.mode = mode & 0o777;
  parent.children.set(name, cgroup);
  record(kernel.trace, 'kernel', kernel.name, 'cgroup.make', { cgroup: cgroupPath(cgroup), pid: task?.pid ?? 0 });
  return cgroup;
}

/** A path from the root, made where missing. */
export function ensureCgroup(kernel: Kernel, path: string): Cgroup {
  let at = kernel.cgroups.root;
  for (const name of path.split('/')) if (name !== '') at = at.children.get(name) ?? makeCgroup(kernel, null, at, name);
  return at;
}

export function removeCgroup(kernel: Kernel, task: Task | null, cgroup: Cgroup): void {
  const { parent } = cgroup;
  if (!parent || cgroup.children.size > 0 || populated(cgroup)) throw new SysError('EBUSY');
  record(kernel.trace, 'kernel', kernel.name, 'cgroup.remove', { cgroup: cgroupPath(cgroup), pid: task?.pid ?? 0 });
  parent.children.delete(cgroup.name);
  cgroup.removed = true;
  parent.dying = [...parent.dying.filter((one) => stillDying(kernel, one)), { cgroup, until: kernel.timeline.now + GRACE }];
  dropQueue(kernel, cgroup);
}

function stillDying(kernel: Kernel, one: { cgroup: Cgroup; until: number }): boolean {
  return one.until > kernel.timeline.now || usage(one.cgroup.memory) > 0;
}

/** Removed groups below this one that the kernel still keeps: all, and those that hold charged pages. */
export function dyingBelow(kernel: Kernel, cgroup: Cgroup): { all: number; memory: number } {
  const found = { all: 0, memory: 0 };
  const look = (at: Cgroup): void => {
    for (const one of at.dying) {
      if (!stillDying(kernel, one)) continue;
      found.all++;
      if (usage(one.cgroup.memory) > 0) found.memory++;
      look(one.cgroup);
    }
    for (const child of at.children.values()) look(child);
  };
  look(cgroup);
  return found;
}

// ---- subtree_control

/** "+memory -io": all or nothing. */
export function writeSubtree(kernel: Kernel, cgroup: Cgroup, text: string): void {
  const enable = new Set<Controller>();
  const disable = new Set<Controller>();
  for (const token of text.trim().split(' ')) {
    if (token === '') continue;
    const name = token.slice(1) as Controller;
    if (!/^[+-]/.test(token)) throw new SysError('EINVAL');
    if (token === '+perf_event') throw new SysError('ENOENT');
    if (token === '-perf_event') continue;
    if (!CONTROLLERS.includes(name)) throw new SysError('EINVAL');
    const [to, from] = token.startsWith('+') ? [enable, disable] : [disable, enable];
    to.add(name);
    from.delete(name);
  }
  if (cgroup.removed) throw new SysError('ENODEV');
  for (const one of CONTROLLERS) {
    if (enable.has(one)) {
      if (cgroup.subtree.has(one)) enable.delete(one);
      else if (!hasController(cgroup, one)) throw new SysError('ENOENT');
    } else if (disable.has(one)) {
      if (!cgroup.subtree.has(one)) disable.delete(one);
      else for (const child of cgroup.children.values()) if (child.subtree.has(one)) throw new SysError('EBUSY');
    }
  }
  if (enable.size + disable.size === 0) return;
  if (enable.size > 0) requireMayEnable(cgroup, enable);
  kernel.cgroups.implicit = true;
  for (const one of enable) cgroup.subtree.add(one);
  for (const one of disable) {
    cgroup.subtree.delete(one);
    for (const child of cgroup.children.values()) resetController(child, one);
  }
}

function requireMayEnable(cgroup: Cgroup, enable: ReadonlySet<Controller>): void {
  if (!isValidDomain(domainOf(cgroup))) throw new SysError('EOPNOTSUPP');
  if (!cgroup.parent) return;
  if ([...enable].some((one) => !THREADED.has(one))) {
    if (isThreadRoot(cgroup) || cgroup.threaded) throw new SysError('EOPNOTSUPP');
  } else if (canBeThreadRoot(cgroup) || cgroup.threaded) return;
  if (liveTasks(cgroup).length > 0) throw new SysError('EBUSY');
}

/** A controller that is taken away forgets its settings. */
function resetController(cgroup: Cgroup, controller: Controller): void {
  if (controller === 'memory') {
    Object.assign(cgroup.memory, { min: 0, low: 0, high: null, max: null, swapMax: null, swapHigh: null, oomGroup: false });
  }
  if (controller === 'cpu') Object.assign(cgroup.cpu, { weight: 100, quota: null, period: 100_000, burst: 0, idle: false });
  if (controller === 'pids') cgroup.pids.max = null;
  if (controller === 'io') cgroup.io.max.clear();
  if (controller === 'cpuset') Object.assign(cgroup.cpuset, { cpus: '', mems: '', exclusive: '', partition: 'member', fault: null });
}

// ---- moving

/** Throws when no process may be put here (ENODEV, EOPNOTSUPP, EBUSY). */
export function requireCanHost(cgroup: Cgroup): void {
  if (cgroup.removed) throw new SysError('ENODEV');
  if (!isValidDomain(domainOf(cgroup))) throw new SysError('EOPNOTSUPP');
  if (canBeThreadRoot(cgroup) || cgroup.threaded) return;
  if (cgroup.subtree.size > 0) throw new SysError('EBUSY');
}

/** Moves a process, all its threads with it, or one thread alone. Charges stay behind. */
export function attach(kernel: Kernel, mover: Task, task: Task, to: Cgroup, what: 'process' | 'thread' = 'process'): void {
  requireCanHost(to);
  if (what === 'thread' && domainOf(task.cgroup) !== domainOf(to)) throw new SysError('EOPNOTSUPP');
  const from = task.cgroup;
  for (const one of what === 'thread' ? [task] : threadsOf(kernel, task).filter(alive)) {
    if (one.cgroup === to) continue;
    movePids(one.cgroup, to);
    changeCgroup(kernel, one, to);
  }
  notifyPopulated(kernel, from);
  notifyPopulated(kernel, to);
  if (to.frozen || from.frozen) rescheduleAll(kernel);
  record(kernel.trace, 'kernel', kernel.name, 'cgroup.attach', { cgroup: cgroupPath(to), pid: task.pid, comm: task.comm, by: mover.pid });
}

/** Readers of cgroup.events poll on this channel. */
export function eventsChannel(cgroup: Cgroup): string {
  return `cgroup.events:${cgroup.id}`;
}
export function memoryEventsChannel(cgroup: Cgroup): string {
  return `memory.events:${cgroup.id}`;
}

/** A task has come, gone or ended: cgroup.events may read otherwise, here and above. */
export function notifyPopulated(kernel: Kernel, cgroup: Cgroup): void {
  for (let at: Cgroup | null = cgroup; at?.parent; at = at.parent) wake(kernel, eventsChannel(at));
}

// ---- freezer

/** Brings the tasks of a subtree to rest, or lets them go on. */
export function freeze(kernel: Kernel, cgroup: Cgroup, on: boolean): void {
  cgroup.freezeAsked = on;
  applyFreeze(kernel, cgroup, cgroup.parent?.frozen ?? false);
  rescheduleAll(kernel);
}

function applyFreeze(kernel: Kernel, cgroup: Cgroup, above: boolean): void {
  const now = above || cgroup.freezeAsked;
  const changed = cgroup.frozen !== now;
  cgroup.frozen = now;
  for (const child of cgroup.children.values()) applyFreeze(kernel, child, now);
  if (changed) wake(kernel, eventsChannel(cgroup));
}
