/** The directory of one process or thread: /proc/PID and /proc/PID/task/TID. Source: proc_pid(5) and its pages. */
import { offsetsText, writeOffsets } from '../../timens.ts';
import { PAGE } from '../../../sim/units.ts';
import { MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE, SysError } from '../../abi.ts';
import { nsCapable } from '../../credentials.ts';
import { badness } from '../../oom.ts';
import { addIo, pidIn } from '../../task.ts';
import type { Kernel, PidNamespace, Task } from '../../records.ts';
import { pathFrom } from '../../cgroup/charge.ts';
import { cpusetGroup } from '../../cgroup/core.ts';
import { whole } from '../../cgroup/numbers.ts';
import { threadsOf } from '../../membership.ts';
import { pathText } from '../path.ts';
import type { Node } from '../pseudo.ts';
import { requireLook } from './access.ts';
import { mapText, requireMaySetgroups, writeMap, writeSetgroups } from './idmaps.ts';
import { fdDir, fdInfoDir, nsDir, placeLink } from './links.ts';
import { mountinfoText, mountstatsText, mountsText } from './mounts.ts';
import { netDir } from './net.ts';
import { limitsText, schedstatText, schedText, statmText, statText, statusText } from './status.ts';

type DirNode = Extract<Node, { kind: 'dir' }>;
type Read = (kernel: Kernel, looker: Task) => string;

function joined(words: readonly string[]): string {
  return words.map((word) => `${word}\0`).join('');
}

/** Address ranges with their permissions; offset and inode of the file behind. */
function mapsText(task: Task, looker: Task): string {
  return task.mm.areas
    .map(({ start, length, prot, flags, file }) => {
      const range = `${start.toString(16).padStart(8, '0')}-${(start + length).toString(16).padStart(8, '0')}`;
      const perms = `${prot & PROT_READ ? 'r' : '-'}${prot & PROT_WRITE ? 'w' : '-'}${prot & PROT_EXEC ? 'x' : '-'}${flags & MAP_SHARED ? 's' : 'p'}`;
      const name = file ? pathText(looker, file) : start === task.mm.brk.start ? '[heap]' : '';
      const line = `${range} ${perms} 00000000 00:00 ${file?.dentry.inode.ino ?? 0}`;
      return name === '' ? `${line} \n` : `${line.padEnd(73)}${name}\n`;
    })
    .join('');
}

function oomScore(kernel: Kernel, task: Task): string {
  const points = task.pid === 1 || task.kthread ? null : badness(task, kernel.frames.total);
  if (points === null) return '0\n';
  return `${Math.max(0, Math.floor(Math.floor((1000 + Math.floor((points * 1000) / kernel.frames.total)) * 2) / 3))}\n`;
}

/** Below what it is, if that is negative, or below 0, only with CAP_SYS_RESOURCE. */
function writeOomAdj(kernel: Kernel, task: Task, writer: Task, text: string): void {
  const adj = whole(text, -(2 ** 31), 2 ** 31 - 1);
  if (adj < -1000 || adj > 1000) throw new SysError('EINVAL');
  setOomAdj(kernel, task, writer, adj);
}

/** The older file, -17 to 15: a scale of its own, on which -17 is never. */
const oldAdj = (adj: number): number => (adj === 1000 ? 15 : Math.trunc((adj * 17) / 1000));

function writeOldAdj(kernel: Kernel, task: Task, writer: Task, text: string): void {
  const value = whole(text, -(2 ** 31), 2 ** 31 - 1);
  if (value < -17 || value > 15) throw new SysError('EINVAL');
  setOomAdj(kernel, task, writer, value === 15 ? 1000 : Math.trunc((value * 1000) / 17));
}

function setOomAdj(kernel: Kernel, task: Task, writer: Task, adj: number): void {
  if (adj < Math.min(0, task.leader.oomScoreAdj) && !nsCapable(writer, kernel.init.user, 'sys_resource')) throw new SysError('EACCES');
  task.leader.oomScoreAdj = adj;
}

function wchan(task: Task): string {
  if (task.cgroup.frozen) return 'get_signal';
  return task.state === 'sleeping' && task.pending?.op === 'sys' ? `do_${task.pending.name.replace(/\d+$/, '')}` : '0';
}

/** A process's numbers are those of all its threads. */
function ioText(kernel: Kernel, { task, what }: Shown): string {
  const sum = { ...task.io };
  if (what === 'process') for (const one of threadsOf(kernel, task)) if (one !== task) addIo(sum, one.io);
  return `rchar: ${sum.rchar}\nwchar: ${sum.wchar}\nsyscr: ${sum.syscr}\nsyscw: ${sum.syscw}\nread_bytes: ${sum.read}\nwrite_bytes: ${sum.write}\ncancelled_write_bytes: ${sum.cancelled}\n`;
}

/** Whose directory it is, and as what. */
interface Shown {
  ns: PidNamespace;
  task: Task;
  what: 'process' | 'thread';
}

const says = ({ task }: Shown, read: Read, mode = 0o444): Node => ({ kind: 'file', mode, uid: task.cred.euid, gid: task.cred.egid, read });

/** Only who may look into the process. */
const guarded = (shown: Shown, read: Read, mode = 0o444): Node => says(shown, (kernel, looker) => {
  requireLook(looker, shown.task);
  return read(kernel, looker);
}, mode);

const changes = ({ task }: Shown, read: Read, write: (writer: Task, text: string, kernel: Kernel) => void): Node => ({
  kind: 'file', mode: 0o644, uid: task.cred.euid, gid: task.cred.egid, read, write: (kernel, writer, text) => write(writer, text, kernel),
});

/** Files of process and thread directories, each made when it is looked at; `only` says that one of the two has it. */
const FILES: Readonly<Record<string, { only?: Shown['what']; make(shown: Shown): Node }>> = {
  cgroup: { make: (shown) => says(shown, (_kernel, looker) => `0::${pathFrom(looker.ns.cgroup.root, shown.task.cgroup)}${shown.task.cgroup.removed ? ' (deleted)' : ''}\n`) },
  children: { only: 'thread', make: (shown) => says(shown, () => shown.task.children.map((one) => pidIn(shown.ns, one)).filter((pid) => pid > 0).map((pid) => `${pid} `).join('')) },
  cmdline: { make: (shown) => says(shown, () => (shown.task.state === 'zombie' ? '' : joined(shown.task.leader.argv))) },
  comm: { make: (shown) => changes(shown, () => `${shown.task.comm}\n`, (writer, text) => {
    if (writer.leader !== shown.task.leader) throw new SysError('EINVAL');
    shown.task.comm = text.replace(/\n$/, '').slice(0, 15);
  }) },
  cpuset: { make: (shown) => says(shown, (_kernel, looker) => `${pathFrom(looker.ns.cgroup.root, cpusetGroup(shown.task.cgroup))}\n`) },
  cwd: { make: ({ task }) => placeLink(task, (one) => one.fs.cwd) },
  environ: { make: (shown) => guarded(shown, () => joined(Object.entries(shown.task.leader.env).map(([key, value]) => `${key}=${value}`)), 0o400) },
  exe: { make: ({ task }) => placeLink(task, (one) => one.leader.exe) },
  fd: { make: ({ task }) => fdDir(task) },
  fdinfo: { make: ({ ns, task }) => fdInfoDir(ns, task) },
  gid_map: { make: (shown) => changes(shown, (_kernel, looker) => mapText(shown.task.ns.user, 'gidMap', looker), (writer, text) => writeMap(shown.task.ns.user, 'gidMap', writer, text)) },
  io: { make: (shown) => guarded(shown, (kernel) => ioText(kernel, shown), 0o400) },
  limits: { make: (shown) => says(shown, (kernel) => limitsText(kernel, shown.task)) },
  loginuid: { make: (shown) => says(shown, () => '4294967295') },
  maps: { make: (shown) => guarded(shown, (_kernel, looker) => mapsText(shown.task, looker)) },
  mountinfo: { make: (shown) => guarded(shown, (_kernel, looker) => mountinfoText(shown.task, looker)) },
  mounts: { make: (shown) => guarded(shown, () => mountsText(shown.task)) },
  mountstats: { make: (shown) => guarded(shown, () => mountstatsText(shown.task), 0o400) },
  net: { make: ({ task }) => netDir(task) },
  ns: { make: ({ task }) => nsDir(task) },
  oom_adj: { make: (shown) => changes(shown, () => `${oldAdj(shown.task.leader.oomScoreAdj)}\n`, (writer, text, kernel) => writeOldAdj(kernel, shown.task, writer, text)) },
  oom_score: { make: (shown) => says(shown, (kernel) => oomScore(kernel, shown.task.leader)) },
  oom_score_adj: { make: (shown) => changes(shown, () => `${shown.task.leader.oomScoreAdj}\n`, (writer, text, kernel) => writeOomAdj(kernel, shown.task, writer, text)) },
  projid_map: { make: (shown) => changes(shown, (_kernel, looker) => mapText(shown.task.ns.user, 'projidMap', looker), (writer, text) => writeMap(shown.task.ns.user, 'projidMap', writer, text)) },
  root: { make: ({ task }) => placeLink(task, (one) => one.fs.root) },
  sched: { make: (shown) => says(shown, (kernel) => schedText(kernel, shown.ns, shown.task)) },
  schedstat: { make: (shown) => says(shown, (kernel) => schedstatText(kernel, shown.task)) },
  sessionid: { make: (shown) => says(shown, () => '4294967295') },
  setgroups: { make: (shown) => ({ opens: (task) => requireMaySetgroups(shown.task.ns.user, task), ...changes(shown, () => `${shown.task.ns.user.setgroups}\n`, (writer, text) => writeSetgroups(shown.task.ns.user, writer, text)) }) },
  smaps_rollup: { make: (shown) => guarded(shown, () => rollup(shown.task)) },
  stat: { make: (shown) => says(shown, (kernel) => statText(kernel, shown.ns, shown.task, shown.what)) },
  statm: { make: (shown) => says(shown, () => statmText(shown.task)) },
  status: { make: (shown) => says(shown, (kernel, looker) => statusText(kernel, shown.ns, shown.task, looker)) },
  timens_offsets: { make: (shown) => changes(shown, () => offsetsText(shown.task), (writer, text, kernel) => writeOffsets(kernel, writer, shown.task, text)) },
  uid_map: { make: (shown) => changes(shown, (_kernel, looker) => mapText(shown.task.ns.user, 'uidMap', looker), (writer, text) => writeMap(shown.task.ns.user, 'uidMap', writer, text)) },
  wchan: { make: (shown) => says(shown, () => wchan(shown.task)) },
  task: { only: 'process', make: ({ ns, task }) => threadsDir(ns, task) },
};

const namesOf = (what: Shown['what']): readonly string[] => Object.keys(FILES).filter((name) => (FILES[name]!.only ?? what) === what);
const NAMES = { process: namesOf('process'), thread: namesOf('thread') };

/** A directory whose files are made one by one, each once. */
function dirOf(shown: Shown, nlink: number): DirNode {
  const made = new Map<string, Node>();
  const get = (_kernel: Kernel, name: string): Node | null => {
    const known = made.get(name);
    if (known) return known;
    if (!Object.hasOwn(FILES, name) || (FILES[name]!.only ?? shown.what) !== shown.what) return null;
    const node = FILES[name]!.make(shown);
    made.set(name, node);
    return node;
  };
  const { euid, egid } = shown.task.cred;
  return { kind: 'dir', list: (kernel) => NAMES[shown.what].map((name) => [name, get(kernel, name)!] as const), get, uid: euid, gid: egid, nlink, id: shown.task };
}

function rollup(task: Task): string {
  const { rss, areas } = task.mm;
  const all = rss.anon + rss.file + rss.shmem;
  const first = areas[0]?.start ?? 0;
  const last = areas.at(-1);
  const file = rss.file + rss.shmem;
  const rows: readonly [string, number][] = [
    ['Rss', all], ['Pss', all], ['Pss_Dirty', rss.anon], ['Pss_Anon', rss.anon], ['Pss_File', rss.file], ['Pss_Shmem', rss.shmem], ['Shared_Clean', 0], ['Shared_Dirty', 0], ['Private_Clean', file], ['Private_Dirty', rss.anon],
    ['Referenced', all], ['Anonymous', rss.anon], ['KSM', 0], ['LazyFree', 0], ['AnonHugePages', 0], ['ShmemPmdMapped', 0], ['FilePmdMapped', 0], ['Shared_Hugetlb', 0], ['Private_Hugetlb', 0], ['Swap', task.mm.swapped],
    ['SwapPss', task.mm.swapped], ['Locked', 0],
  ];
  const text = rows.map(([name, pages]) => `${`${name}:`.padEnd(16)}${String((pages * PAGE) / 1024).padStart(8)} kB\n`).join('');
  return `${first.toString(16)}-${(last ? last.start + last.length : 0).toString(16)} ---p 00000000 00:00 0 ${' '.repeat(26)}[rollup]\n${text}`;
}

/** /proc/PID. */
export function processDir(ns: PidNamespace, task: Task): DirNode {
  const known = shown.get(task);
  if (known && known.ns === ns && known.dir.uid === task.cred.euid && known.dir.gid === task.cred.egid) return known.dir;
  const dir = makeProcessDir(ns, task);
  shown.set(task, { ns, dir });
  return dir;
}

/** As it was made last: it is looked up with every path through it. */
const shown = new WeakMap<Task, { ns: PidNamespace; dir: DirNode }>();

function makeProcessDir(ns: PidNamespace, task: Task): DirNode {
  return { ...dirOf({ ns, task: task.leader, what: 'process' }, 9), uid: task.cred.euid, gid: task.cred.egid, id: task };
}

function threadsDir(ns: PidNamespace, task: Task): DirNode {
  const threads = (kernel: Kernel): Task[] => threadsOf(kernel, task).sort((a, b) => a.pid - b.pid);
  return {
    kind: 'dir', nlink: 3,
    list: (kernel) => threads(kernel).map((one) => [String(pidIn(ns, one)), threadDir(ns, one)] as const),
    get(kernel, name) {
      const found = threads(kernel).find((one) => String(pidIn(ns, one)) === name);
      return found ? threadDir(ns, found) : null;
    },
  };
}

function threadDir(ns: PidNamespace, task: Task): DirNode {
  return dirOf({ ns, task, what: 'thread' }, 7);
}
