/** Magic links of a process: its namespaces, open files, program, root and working directory. Source: proc_pid_ns(5), proc_pid_fd(5). */
import { O_CLOEXEC, SysError } from '../../abi.ts';
import type { Kernel, Namespaces, PidNamespace, Task } from '../../records.ts';
import { translate } from './status.ts';
import { mountApart } from '../hanging.ts';
import { nsFile, nsPath, type NsFile } from '../nsfs.ts';
import { pathText } from '../path.ts';
import { fixed, type Node } from '../pseudo.ts';
import { makeDentry } from '../inode.ts';
import type { File, Path } from '../types.ts';
import { requireLook } from './access.ts';

type DirNode = Extract<Node, { kind: 'dir' }>;

const NAMESPACES: readonly [name: string, type: NsFile['type'], of: (ns: Namespaces) => { ino: number }][] = [
  ['cgroup', 'cgroup', (ns) => ns.cgroup], ['ipc', 'ipc', (ns) => ns.ipc], ['mnt', 'mnt', (ns) => ns.mnt], ['net', 'net', (ns) => ns.net],
  ['pid', 'pid', (ns) => ns.pid], ['pid_for_children', 'pid', (ns) => ns.pidForChildren], ['time', 'time', (ns) => ns.time],
  ['time_for_children', 'time', (ns) => ns.timeForChildren], ['user', 'user', (ns) => ns.user], ['uts', 'uts', (ns) => ns.uts],
];

export function nsDir(task: Task): DirNode {
  const entries: Record<string, Node> = {};
  for (const [name, type, of] of NAMESPACES) {
    entries[name] = {
      kind: 'link', uid: task.cred.euid, gid: task.cred.egid,
      target(_kernel, looker) {
        requireLook(looker, task);
        return `${type}:[${of(task.ns).ino}]`;
      },
      follow(kernel, looker) {
        requireLook(looker, task);
        return nsPath(kernel, type, of(task.ns));
      },
    };
  }
  return { ...fixed(entries, 0o511), uid: task.cred.euid, gid: task.cred.egid };
}

/** What an open description is, as its link says it. */
function fileText(looker: Task, file: File): string {
  const { inode } = file;
  const ns = nsFile(inode);
  if (ns) return `${ns.type}:[${ns.ns.ino}]`;
  if (inode.sb.type === 'sockfs') return `socket:[${inode.ino}]`;
  if (inode.sb.type === 'pipefs') return `pipe:[${inode.ino}]`;
  return file.path ? pathText(looker, file.path) : `anon_inode:[${inode.sb.type}]`;
}

/** A place for a link to lead to. What has no name of its own is reached through a mount that is nowhere. */
function fileAt(file: File): Path | null {
  if (file.path) return file.path;
  const { inode } = file;
  if (inode.sb.type === 'sockfs') throw new SysError('ENXIO');
  const dentry = makeDentry('', null, inode);
  return { mount: mountApart(inode.sb, dentry), dentry };
}

function slots(task: Task): [number, File][] {
  const found: [number, File][] = [];
  task.files.slots.forEach((slot, fd) => {
    if (slot) found.push([fd, slot.file]);
  });
  return found;
}

function openFile(task: Task, name: string): File | null {
  return /^\d+$/.test(name) ? (task.files.slots[Number(name)]?.file ?? null) : null;
}

function fdLink(task: Task, file: File): Node {
  const mode = (file.flags & 3) === 0 ? 0o500 : (file.flags & 3) === 1 ? 0o300 : 0o700;
  return {
    kind: 'link', mode, uid: task.cred.euid, gid: task.cred.egid,
    target(_kernel, looker) {
      requireLook(looker, task);
      return fileText(looker, file);
    },
    follow(_kernel, looker) {
      requireLook(looker, task);
      return fileAt(file);
    },
  };
}

export function fdDir(task: Task): DirNode {
  return {
    kind: 'dir', mode: 0o500, uid: task.cred.euid, gid: task.cred.egid,
    list: () => slots(task).map(([fd, file]) => [String(fd), fdLink(task, file)] as const),
    get(_kernel, name) {
      const file = openFile(task, name);
      return file ? fdLink(task, file) : null;
    },
  };
}

function fdInfo(kernel: Kernel, ns: PidNamespace, task: Task, fd: number): string {
  const slot = task.files.slots[fd];
  if (!slot) throw new SysError('ENOENT');
  const { file } = slot;
  const flags = file.flags | (slot.cloexec ? O_CLOEXEC : 0) | 0o100000;
  let text = `pos:\t${file.offset}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${file.path?.mount.id ?? 0}\nino:\t${file.inode.ino}\n`;
  const of = (file.data as { pidfd?: number } | null)?.pidfd;
  if (of !== undefined) text += `Pid:\t${translate(kernel, ns, of)}\n`;
  return text;
}

export function fdInfoDir(ns: PidNamespace, task: Task): DirNode {
  const node = (fd: number): Node => ({
    kind: 'file', mode: 0o400, uid: task.cred.euid, gid: task.cred.egid, read: (kernel) => fdInfo(kernel, ns, task, fd),
  });
  return {
    kind: 'dir', mode: 0o500, uid: task.cred.euid, gid: task.cred.egid,
    list: () => slots(task).map(([fd]) => [String(fd), node(fd)] as const),
    get: (_kernel, name) => (openFile(task, name) ? node(Number(name)) : null),
  };
}

/** exe, cwd, root. */
export function placeLink(task: Task, of: (task: Task) => Path | null): Node {
  const look = (looker: Task): Path => {
    requireLook(looker, task);
    const path = task.state === 'zombie' ? null : of(task);
    if (!path) throw new SysError('ENOENT');
    return path;
  };
  return {
    kind: 'link', uid: task.cred.euid, gid: task.cred.egid,
    target: (_kernel, looker) => pathText(looker, look(looker)).replace(/^\(unreachable\)/, ''),
    follow: (_kernel, looker) => look(looker),
  };
}
