/** The directory of one process or thread: /proc/PID and /proc/PID/task/TID. Source: proc_pid(5) and its pages. */
import { offsetsText, writeOffsets } from '../../timens.ts';
import { PAGE } from '../../../sim/units.ts';
import { MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE, SysError } from '../../abi.ts';
import { nsCapable } from '../../credentials.ts';
import { badness } from '../../oom.ts';
import type { Kernel, PidNamespace, Task } from '../../records.ts';
import { cgroupPath } from '../../cgroup/charge.ts';
import type { Cgroup } from '../../cgroup/types.ts';
import { threadsOf } from '../../membership.ts';
import { pidIn } from '../../task.ts';
import { pathText } from '../path.ts';
import { fixed, type Node } from '../pseudo.ts';
import { requireLook } from './access.ts';
import { mapText, writeMap, writeSetgroups } from './idmaps.ts';
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

/** Path of a group as seen from another: "/../sibling" outside of it. */
function cgroupFrom(root: Cgroup, cgroup: Cgroup): string {
  const base = cgroupPath(root);
  const path = cgroupPath(cgroup);
  if (base === '/') return path;
  if (path === base) return '/';
  if (path.startsWith(`${base}/`)) return path.slice(base.length);
  const a = base.split('/').slice(1);
  const b = path === '/' ? [] : path.split('/').slice(1);
  let common = 0;
  while (common < a.length && common < b.length && a[common] === b[common]) common++;
  return `/${[...Array.from({ length: a.length - common }, () => '..'), ...b.slice(common)].join('/')}`;
}

function oomScore(kernel: Kernel, task: Task): string {
  const points = badness(task, kernel.frames.total);
  if (points === null) return '0\n';
  return `${Math.max(0, Math.floor(Math.floor((1000 + Math.floor((points * 1000) / kernel.frames.total)) * 2) / 3))}\n`;
}

/** Below what it is, if that is negative, or below 0, only with CAP_SYS_RESOURCE. */
function writeOomAdj(kernel: Kernel, task: Task, writer: Task, text: string): void {
  const value = text.trim();
  if (!/^[+-]?\d+$/.test(value)) throw new SysError('EINVAL');
  const adj = Number(value);
  if (adj < -1000 || adj > 1000) throw new SysError('EINVAL');
  if (adj < Math.min(0, task.leader.oomScoreAdj) && !nsCapable(writer, kernel.init.user, 'sys_resource')) throw new SysError('EACCES');
  task.leader.oomScoreAdj = adj;
}

function wchan(task: Task): string {
  return task.state === 'sleeping' && task.pending?.op === 'sys' ? `do_${task.pending.name.replace(/\d+$/, '')}` : '0';
}

/** Files that process and thread directories share. */
function common(ns: PidNamespace, task: Task, what: 'process' | 'thread'): Record<string, Node> {
  const { leader } = task;
  const uid = task.cred.euid;
  const gid = task.cred.egid;
  const says = (read: Read, mode = 0o444): Node => ({ kind: 'file', mode, uid, gid, read });
  /** Only who may look into the process. */
  const guarded = (read: Read, mode = 0o444): Node => says((kernel, looker) => {
    requireLook(looker, task);
    return read(kernel, looker);
  }, mode);
  const changes = (read: Read, write: (writer: Task, text: string, kernel: Kernel) => void): Node => ({
    kind: 'file', mode: 0o644, uid, gid, read, write: (kernel, writer, text) => write(writer, text, kernel),
  });
  return {
    cgroup: says((_kernel, looker) => `0::${cgroupFrom(looker.ns.cgroup.root, task.cgroup)}${task.cgroup.removed ? ' (deleted)' : ''}\n`),
    children: says(() => task.children.map((one) => pidIn(ns, one)).filter((pid) => pid > 0).map((pid) => `${pid} `).join('')),
    cmdline: says(() => (task.state === 'zombie' ? '' : joined(leader.argv))),
    comm: changes(() => `${task.comm}\n`, (writer, text) => {
      if (writer.leader !== leader) throw new SysError('EINVAL');
      task.comm = text.replace(/\n$/, '').slice(0, 15);
    }),
    cwd: placeLink(task, (one) => one.fs.cwd),
    environ: guarded(() => joined(Object.entries(leader.env).map(([key, value]) => `${key}=${value}`)), 0o400),
    exe: placeLink(task, (one) => one.leader.exe),
    fd: fdDir(task),
    fdinfo: fdInfoDir(ns, task),
    gid_map: changes((_kernel, looker) => mapText(task.ns.user, 'gidMap', looker), (writer, text) => writeMap(task.ns.user, 'gidMap', writer, text)),
    limits: says(() => limitsText(task)),
    loginuid: says(() => '4294967295'),
    maps: guarded((_kernel, looker) => mapsText(task, looker)),
    mountinfo: guarded(() => mountinfoText(task)),
    mounts: guarded(() => mountsText(task)),
    mountstats: guarded(() => mountstatsText(task), 0o400),
    net: netDir(task),
    ns: nsDir(task),
    oom_score: says((kernel) => oomScore(kernel, leader)),
    oom_score_adj: changes(() => `${leader.oomScoreAdj}\n`, (writer, text, kernel) => writeOomAdj(kernel, task, writer, text)),
    root: placeLink(task, (one) => one.fs.root),
    sched: says((kernel) => schedText(kernel, ns, task)),
    schedstat: says((kernel) => schedstatText(kernel, task)),
    sessionid: says(() => '4294967295'),
    setgroups: changes(() => `${task.ns.user.setgroups}\n`, (writer, text) => writeSetgroups(task.ns.user, writer, text)),
    smaps_rollup: guarded(() => rollup(task)),
    stat: says((kernel) => statText(kernel, ns, task, what)),
    statm: says(() => statmText(task)),
    status: says((kernel, looker) => statusText(kernel, ns, task, looker)),
    timens_offsets: changes(() => offsetsText(task), (writer, text, kernel) => writeOffsets(kernel, writer, task, text)),
    uid_map: changes((_kernel, looker) => mapText(task.ns.user, 'uidMap', looker), (writer, text) => writeMap(task.ns.user, 'uidMap', writer, text)),
    wchan: says(() => wchan(task)),
  };
}

function rollup(task: Task): string {
  const { rss, areas } = task.mm;
  const all = rss.anon + rss.file + rss.shmem;
  const first = areas[0]?.start ?? 0;
  const last = areas.at(-1);
  const row = (name: string, pages: number): string => `${`${name}:`.padEnd(16)}${String((pages * PAGE) / 1024).padStart(8)} kB\n`;
  return `${first.toString(16)}-${(last ? last.start + last.length : 0).toString(16)} ---p 00000000 00:00 0 ${' '.repeat(26)}[rollup]\n${row('Rss', all)}${row('Pss', all)}${row('Anonymous', rss.anon)}${row('Swap', task.mm.swapped)}`;
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
  const threads = (kernel: Kernel): (readonly [string, Node])[] =>
    threadsOf(kernel, task).sort((a, b) => a.pid - b.pid).map((one) => [String(pidIn(ns, one)), threadDir(ns, one)] as const);
  const { children: _, ...entries } = common(ns, task.leader, 'process');
  const all: Record<string, Node> = {
    ...entries,
    task: {
      kind: 'dir', nlink: 3, list: threads,
      get(kernel, name) {
        return threads(kernel).find(([tid]) => tid === name)?.[1] ?? null;
      },
    },
  };
  return { ...fixed(all), uid: task.cred.euid, gid: task.cred.egid, nlink: 9, id: task };
}

function threadDir(ns: PidNamespace, task: Task): DirNode {
  return { ...fixed(common(ns, task, 'thread')), uid: task.cred.euid, gid: task.cred.egid, nlink: 7, id: task };
}

