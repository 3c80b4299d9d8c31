/**
 * The interface files of cgroup v2, a row each: which controller brings it, where it is absent, what it prints, what it
 * takes. Order, formats and errors as recorded on 6.12. A file stands beside the record that it prints.
 */
import { PAGE } from '../../sim/units.ts';
import { SIG, SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import { cpuMaxChanged, rescheduleAll } from '../sched.ts';
import { sendSignal } from '../signals.ts';
import { outOfMemory } from '../oom.ts';
import { usage } from './charge.ts';
import {
  attach, CONTROLLERS, controllersOf, descendants, eventsChannel, freeze, hasController, liveTasks, makeThreaded, memoryEventsChannel, populated, typeOf, writeSubtree,
} from './core.ts';
import { effective, exclusiveOf, requireEmptyable, setCpus, setExclusive, setPartition } from './cpuset.ts';
import { cpusetChanged } from '../policy.ts';
import { hierarchyOptions } from './hierarchy.ts';
import { ioMaxText, ioStatText, writeIoMax, writeIoWeight } from './io.ts';
import { modelText, qosText, writeModel, writeQos } from './iocost.ts';
import { bare, listOf, listText, memorySize, unsigned, whole } from './numbers.ts';
import { type Opener, pressureFile } from './psi.ts';
import { RARE_FILES } from './rare.ts';
import { reclaim } from './reclaim.ts';
import { cgroupStat, cpuStat, memoryNumaStat, memoryStat } from './stat.ts';
import type { Cgroup, Controller, MemoryEvents } from './types.ts';

export interface CgroupFile {
  name: string;
  /** Null: in every group, whatever its controllers. */
  controller: Controller | null;
  where: 'everywhere' | 'below' | 'root';
  mode?: number;
  /** Only on some machines. */
  when?(kernel: Kernel): boolean;
  /** Only while the group has it so. */
  shown?(cgroup: Cgroup): boolean;
  channel?(cgroup: Cgroup): string;
  read?(kernel: Kernel, cgroup: Cgroup, task: Task): string;
  write?(kernel: Kernel, cgroup: Cgroup, text: string, task: Task, opener: Opener): void;
  poll?(kernel: Kernel, cgroup: Cgroup, opener: Opener): number;
  release?(kernel: Kernel, cgroup: Cgroup, opener: Opener): void;
}

type Rest = Omit<CgroupFile, 'name' | 'controller' | 'where'>;
const everywhere = (name: string, rest: Rest): CgroupFile => ({ name, controller: null, where: 'everywhere', ...rest });
const below = (controller: Controller | null, name: string, rest: Rest): CgroupFile => ({ name, controller, where: 'below', ...rest });
const root = (controller: Controller | null, name: string, rest: Rest): CgroupFile => ({ name, controller, where: 'root', ...rest });

const orMax = (value: number | null): string => `${value === null ? 'max' : BigInt(value)}\n`;
const line = (value: string | number): string => `${value}\n`;
const invalid = (): never => {
  throw new SysError('EINVAL');
};

// ---- core

/** A pid as the reader numbers it; 0 when its namespace does not hold the task. */
function pidIn(reader: Task, task: Task): number {
  const { pid: ns } = reader.ns;
  const n = task.nspids[ns.level];
  return n !== undefined && ns.tasks.get(n) === task ? n : 0;
}

/** A threaded domain's processes are those of all its threaded groups. */
function pidList(cgroup: Cgroup, reader: Task, leaders: 'leaders' | 'all'): string {
  const below = leaders === 'leaders' && typeOf(cgroup) === 'domain threaded' ? descendants(cgroup).filter((one) => typeOf(one) === 'threaded') : [];
  return [cgroup, ...below].flatMap(liveTasks)
    .filter((task) => leaders === 'all' || task === task.leader)
    .map((task) => pidIn(reader, task))
    .sort((a, b) => a - b)
    .map((pid) => `${pid}\n`)
    .join('');
}

function writePid(kernel: Kernel, cgroup: Cgroup, text: string, task: Task, what: 'process' | 'thread'): void {
  const value = text.trim();
  if (!/^\+?\d+$/.test(value)) invalid();
  const pid = Number(value);
  if (pid > 2 ** 31 - 1) throw new SysError('EINVAL');
  const target = pid === 0 ? task : task.ns.pid.tasks.get(pid);
  if (!target || target.state === 'dead' || target.state === 'zombie') throw new SysError('ESRCH');
  if (target.kthread?.bound) throw new SysError('EINVAL');
  requireInView(kernel, task, target.cgroup, cgroup);
  requireCommonAncestor(kernel, task, target.cgroup, cgroup);
  attach(kernel, task, what === 'process' ? target.leader : target, cgroup, what);
}

/** Under nsdelegate nobody moves what is outside of the mover's cgroup namespace, nor out of it. */
function requireInView(kernel: Kernel, task: Task, from: Cgroup, to: Cgroup): void {
  const { root } = task.ns.cgroup;
  if (root === kernel.cgroups.root) return;
  const inside = (group: Cgroup): boolean => {
    for (let at: Cgroup | null = group; at; at = at.parent) if (at === root) return true;
    return false;
  };
  if (hierarchyOptions(kernel).includes('nsdelegate') && !(inside(from) && inside(to))) throw new SysError('ENOENT');
}

/** Who is not root must be able to write cgroup.procs of the lowest group that holds both ends. */
function requireCommonAncestor(_kernel: Kernel, task: Task, from: Cgroup, to: Cgroup): void {
  if (task.cred.caps.effective.includes('dac_override')) return;
  const above = new Set<Cgroup>();
  for (let at: Cgroup | null = from; at; at = at.parent) above.add(at);
  let common: Cgroup = to;
  while (!above.has(common) && common.parent) common = common.parent;
  const owner = common.attrs.get('cgroup.procs')?.uid ?? common.uid;
  if (owner !== task.cred.euid) throw new SysError('EACCES');
}

function requireProcs(cgroup: Cgroup): void {
  const type = typeOf(cgroup);
  if (type === 'threaded' || type === 'domain invalid') throw new SysError('EOPNOTSUPP');
}

const INT_MAX = 2 ** 31 - 1;

function countOrMax(text: string): number | null {
  const count = text.trim() === 'max' ? INT_MAX : whole(text, 0, INT_MAX);
  return count === INT_MAX ? null : count;
}

const pressure = (resource: 'cpu' | 'memory' | 'io'): CgroupFile => everywhere(`${resource}.pressure`, { ...pressureFile((_k, c) => c!, resource), mode: 0o644, shown: (c) => c.pressure });

/** No line at all when there is none to name. */
const names = (controllers: readonly Controller[]): string => (controllers.length === 0 ? '' : line(controllers.join(' ')));

const CORE: CgroupFile[] = [
  everywhere('cgroup.controllers', { read: (_k, c) => names(controllersOf(c)) }),
  below(null, 'cgroup.events', { read: (_k, c) => `populated ${populated(c) ? 1 : 0}\nfrozen ${c.frozen ? 1 : 0}\n`, channel: eventsChannel }),
  below(null, 'cgroup.freeze', { read: (_k, c) => line(c.freezeAsked ? 1 : 0), write: (k, c, text) => freeze(k, c, whole(text, 0, 1) === 1) }),
  below(null, 'cgroup.kill', {
    mode: 0o200,
    write(kernel, cgroup, text, task) {
      whole(text, 1, 1);
      if (cgroup.threaded) throw new SysError('EOPNOTSUPP');
      for (const one of [cgroup, ...descendants(cgroup)]) for (const victim of liveTasks(one)) sendSignal(kernel, victim, SIG.KILL, 'cgroup.kill', task);
    },
  }),
  everywhere('cgroup.max.depth', { read: (_k, c) => orMax(c.maxDepth), write: (_k, c, text) => void (c.maxDepth = countOrMax(text)) }),
  everywhere('cgroup.max.descendants', { read: (_k, c) => orMax(c.maxDescendants), write: (_k, c, text) => void (c.maxDescendants = countOrMax(text)) }),
  everywhere('cgroup.pressure', { read: (_k, c) => line(c.pressure ? 1 : 0), write: (_k, c, text) => void (c.pressure = whole(text, 0, 1) === 1) }),
  everywhere('cgroup.procs', {
    read(_kernel, cgroup, task) {
      requireProcs(cgroup);
      return pidList(cgroup, task, 'leaders');
    },
    write: (k, c, text, task) => writePid(k, c, text, task, 'process'),
  }),
  everywhere('cgroup.stat', { read: (k, c) => cgroupStat(k, c) }),
  everywhere('cgroup.subtree_control', {
    read: (_k, c) => names(CONTROLLERS.filter((one) => c.subtree.has(one))),
    write: (k, c, text) => writeSubtree(k, c, text),
  }),
  everywhere('cgroup.threads', { read: (_k, c, task) => pidList(c, task, 'all'), write: (k, c, text, task) => writePid(k, c, text, task, 'thread') }),
  below(null, 'cgroup.type', {
    read: (_k, c) => line(typeOf(c)),
    write: (_k, c, text) => (text.trim() === 'threaded' ? makeThreaded(c) : invalid()),
  }),
  pressure('cpu'),
  everywhere('cpu.stat', { read: cpuStat }),
  everywhere('cpu.stat.local', {
    read: (_k, c) => (hasController(c, 'cpu') ? `throttled_usec ${Math.floor(c.cpu.throttledTime / 1000)}\n` : ''),
  }),
  pressure('io'),
  pressure('memory'),
];

// ---- cpu

/** Weight by nice value, -20 to 19 (kernel's sched_prio_to_weight). */
const NICE = [
  88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
  1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
];
const shares = (cgroup: Cgroup): number => (cgroup.cpu.idle ? 3 : Math.round((cgroup.cpu.weight * 1024) / 100));

function nearestNice(weight: number): number {
  let best = 0;
  for (let i = 1; i < NICE.length; i++) {
    if (Math.abs(NICE[i]! - weight) >= Math.abs(NICE[best]! - weight)) break;
    best = i;
  }
  return best - 20;
}

function setWeight(kernel: Kernel, cgroup: Cgroup, weight: number): void {
  if (cgroup.cpu.idle) throw new SysError('EINVAL');
  cgroup.cpu.weight = weight;
  rescheduleAll(kernel);
}

/** The largest quota: what fits 44 bits, us. */
const QUOTA_MAX = 2 ** 44 - 1;

/** "QUOTA [PERIOD]" in us; a quota alone keeps the period. */
function writeCpuMax(kernel: Kernel, cgroup: Cgroup, text: string): void {
  const words = text.trim().split(/\s+/);
  const first = words[0]!;
  const digits = /^\d+/.exec(first);
  if (!digits && first !== 'max') invalid();
  const period = words[1] !== undefined && /^\d+/.test(words[1]) ? Number.parseInt(words[1], 10) : cgroup.cpu.period;
  const quota = digits ? Number(digits[0]) : null;
  if (period < 1000 || period > 1_000_000 || (quota !== null && (quota < 1000 || quota > QUOTA_MAX))) invalid();
  if (quota !== null && cgroup.cpu.burst > quota) invalid();
  cgroup.cpu.quota = quota;
  cgroup.cpu.period = period;
  cpuMaxChanged(kernel, cgroup);
}

const CPU: CgroupFile[] = [
  below('cpu', 'cpu.idle', {
    read: (_k, c) => line(c.cpu.idle ? 1 : 0),
    write(kernel, cgroup, text) {
      const on = bare(text, 0, 1, 'EINVAL') === 1;
      if (on !== cgroup.cpu.idle) cgroup.cpu.weight = 100;
      cgroup.cpu.idle = on;
      rescheduleAll(kernel);
    },
  }),
  below('cpu', 'cpu.max', { read: (_k, c) => `${c.cpu.quota ?? 'max'} ${c.cpu.period}\n`, write: (k, c, text) => writeCpuMax(k, c, text) }),
  below('cpu', 'cpu.max.burst', {
    read: (_k, c) => line(c.cpu.burst),
    write(_kernel, cgroup, text) {
      const burst = unsigned(text, 0, Number.MAX_SAFE_INTEGER, 'EINVAL');
      if (cgroup.cpu.quota !== null && burst > cgroup.cpu.quota) invalid();
      cgroup.cpu.burst = burst;
    },
  }),
  below('cpu', 'cpu.weight', {
    read: (_k, c) => line(Math.max(1, Math.round((shares(c) * 100) / 1024))),
    write: (k, c, text) => setWeight(k, c, unsigned(text, 1, 10_000)),
  }),
  below('cpu', 'cpu.weight.nice', {
    read: (_k, c) => line(nearestNice(shares(c))),
    write: (k, c, text) => setWeight(k, c, (NICE[bare(text, -20, 19) + 20]! * 100) / 1024),
  }),
];

// ---- cpuset

/** What a list of memory nodes may name; this machine has node 0. */
const NODES_MAX = 1024;

const CPUSET: CgroupFile[] = [
  ...(['cpus', 'mems'] as const).flatMap((what): CgroupFile[] => [
    below('cpuset', `cpuset.${what}`, {
      read: (_k, c) => line(c.cpuset[what]),
      write(kernel, cgroup, text) {
        const items = listOf(text, what === 'cpus' ? kernel.cpus : NODES_MAX);
        if (what === 'mems' && items.some((one) => one > 0)) invalid();
        if (what === 'cpus') setCpus(kernel, cgroup, listText(items));
        else {
          requireEmptyable(cgroup, cgroup.cpuset.mems, listText(items));
          cgroup.cpuset.mems = listText(items);
        }
        cpusetChanged(kernel, cgroup.parent!);
      },
    }),
    { name: `cpuset.${what}.effective`, controller: 'cpuset', where: 'everywhere', read: (k, c) => line(listText(effective(k, c, what))) },
  ]),
  below('cpuset', 'cpuset.cpus.exclusive', {
    read: (_k, c) => line(c.cpuset.exclusive),
    write(kernel, cgroup, text) {
      setExclusive(kernel, cgroup, listText(listOf(text, kernel.cpus)));
      cpusetChanged(kernel, cgroup.parent!);
    },
  }),
  below('cpuset', 'cpuset.cpus.exclusive.effective', { read: (k, c) => line(listText(exclusiveOf(k, c))) }),
  below('cpuset', 'cpuset.cpus.partition', {
    read: (_k, c) => line(c.cpuset.fault === null ? c.cpuset.partition : `${c.cpuset.partition} invalid${c.cpuset.fault === '' ? '' : ` (${c.cpuset.fault})`}`),
    write(kernel, cgroup, text) {
      const value = text.trim();
      if (value !== 'member' && value !== 'root' && value !== 'isolated') throw new SysError('EINVAL');
      setPartition(kernel, cgroup, value);
      cpusetChanged(kernel, cgroup.parent!);
    },
  }),
  root('cpuset', 'cpuset.cpus.isolated', {
    read: (k) => line(listText(descendants(k.cgroups.root).filter((c) => c.cpuset.partition === 'isolated' && c.cpuset.fault === null).flatMap((c) => exclusiveOf(k, c)))),
  }),
];

// ---- io

const IO: CgroupFile[] = [
  // No model of the disk's costs is set by hand: the lab's disk has the one it is built with.
  root('io', 'io.cost.model', { read: (k) => modelText(k), write: (k, _c, text) => writeModel(k, text) }),
  root('io', 'io.cost.qos', { read: (k) => qosText(k), write: (k, _c, text) => writeQos(k, text) }),
  below('io', 'io.max', { read: (_k, c) => ioMaxText(c), write: (_k, c, text) => writeIoMax(c, text) }),
  { name: 'io.stat', controller: 'io', where: 'everywhere', read: (_k, c) => ioStatText(c) },
  below('io', 'io.weight', { read: (_k, c) => `default ${c.io.weight}\n`, write: (_k, c, text) => writeIoWeight(c, text) }),
];

// ---- memory

const eventsText = (e: MemoryEvents): string =>
  `low ${e.low}\nhigh ${e.high}\nmax ${e.max}\noom ${e.oom}\noom_kill ${e.oomKill}\noom_group_kill ${e.oomGroupKill}\n`;

/** A new limit holds when the write returns: what is over it is reclaimed, then killed for. */
function writeMemoryMax(kernel: Kernel, cgroup: Cgroup, text: string, task: Task): void {
  const max = memorySize(text);
  cgroup.memory.max = max;
  if (max === null) return;
  const over = (): number => usage(cgroup.memory) - Math.floor(max / PAGE);
  if (over() > 0) reclaim(kernel, cgroup, over());
  while (over() > 0 && outOfMemory(kernel, task, cgroup));
}

function writeHigh(kernel: Kernel, cgroup: Cgroup, text: string): void {
  const high = memorySize(text);
  cgroup.memory.high = high;
  if (high === null) return;
  const over = usage(cgroup.memory) - Math.floor(high / PAGE);
  if (over > 0) reclaim(kernel, cgroup, over);
}

const protection = (what: 'min' | 'low'): CgroupFile =>
  below('memory', `memory.${what}`, {
    read: (_k, c) => orMax(c.memory[what] === Number.MAX_SAFE_INTEGER ? null : c.memory[what]),
    write: (_k, c, text) => void (c.memory[what] = memorySize(text) ?? Number.MAX_SAFE_INTEGER),
  });

/** "SIZE [swappiness=N]": frees that much, or EAGAIN. */
function writeReclaim(kernel: Kernel, cgroup: Cgroup, text: string): void {
  const [size, ...rest] = text.trim().split(/\s+/);
  for (const one of rest) if (!/^swappiness=(\d{1,2}|1\d\d|200)$/.test(one)) invalid();
  const wanted = size && size !== 'max' ? memorySize(size)! : invalid();
  const pages = Math.floor(wanted / PAGE);
  if (reclaim(kernel, cgroup, pages) < pages) throw new SysError('EAGAIN');
}

const MEMORY: CgroupFile[] = [
  below('memory', 'memory.current', { read: (_k, c) => line(usage(c.memory) * PAGE) }),
  below('memory', 'memory.events', { read: (_k, c) => eventsText(c.memory.events), channel: memoryEventsChannel }),
  below('memory', 'memory.events.local', { read: (_k, c) => eventsText(c.memory.eventsLocal), channel: memoryEventsChannel }),
  below('memory', 'memory.high', { read: (_k, c) => orMax(c.memory.high), write: (k, c, text) => writeHigh(k, c, text) }),
  protection('low'),
  below('memory', 'memory.max', { read: (_k, c) => orMax(c.memory.max), write: writeMemoryMax }),
  protection('min'),
  { name: 'memory.numa_stat', controller: 'memory', where: 'everywhere', read: (_k, c) => memoryNumaStat(c) },
  below('memory', 'memory.oom.group', {
    read: (_k, c) => line(c.memory.oomGroup ? 1 : 0),
    write: (_k, c, text) => void (c.memory.oomGroup = whole(text, 0, 1, 'EINVAL') === 1),
  }),
  below('memory', 'memory.peak', { read: (_k, c) => line(c.memory.peak * PAGE), write: (_k, c) => void (c.memory.peak = usage(c.memory)) }),
  { name: 'memory.reclaim', controller: 'memory', where: 'everywhere', mode: 0o200, write: (k, c, text) => writeReclaim(k, c, text) },
  { name: 'memory.stat', controller: 'memory', where: 'everywhere', read: (_k, c) => memoryStat(c) },
  below('memory', 'memory.swap.current', { read: (_k, c) => line(c.memory.swap * PAGE) }),
  below('memory', 'memory.swap.events', { read: (_k, c) => `high ${c.memory.swapEvents.high}\nmax ${c.memory.swapEvents.max}\nfail ${c.memory.swapEvents.fail}\n` }),
  below('memory', 'memory.swap.high', { read: (_k, c) => orMax(c.memory.swapHigh), write: (_k, c, text) => void (c.memory.swapHigh = memorySize(text)) }),
  below('memory', 'memory.swap.max', { read: (_k, c) => orMax(c.memory.swapMax), write: (_k, c, text) => void (c.memory.swapMax = memorySize(text)) }),
  below('memory', 'memory.swap.peak', { read: (_k, c) => line(c.memory.swapPeak * PAGE), write: (_k, c) => void (c.memory.swapPeak = c.memory.swap) }),
];

// ---- pids

const PIDS: CgroupFile[] = [
  below('pids', 'pids.current', { read: (_k, c) => line(c.pids.current) }),
  below('pids', 'pids.events', { read: (_k, c) => `max ${c.pids.events}\n` }),
  below('pids', 'pids.events.local', { read: (_k, c) => `max ${c.pids.eventsLocal}\n` }),
  below('pids', 'pids.max', {
    read: (_k, c) => orMax(c.pids.max),
    write: (_k, c, text) => void (c.pids.max = text.trim() === 'max' ? null : whole(text, 0, 4_194_304, 'EINVAL')),
  }),
  below('pids', 'pids.peak', { read: (_k, c) => line(c.pids.peak) }),
];

export const CGROUP_FILES: readonly CgroupFile[] = [...CORE, ...CPU, ...CPUSET, ...IO, ...MEMORY, ...PIDS, ...RARE_FILES].sort((a, b) => (a.name < b.name ? -1 : 1));
