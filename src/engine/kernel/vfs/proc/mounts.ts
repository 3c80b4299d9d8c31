/** The mounts that a process sees: /proc/PID/mounts, mountinfo, mountstats. Source: proc_pid_mountinfo(5), fstab(5). */
import { MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_STRICTATIME } from '../../abi.ts';
import { pathFrom } from '../../cgroup/charge.ts';
import type { Cgroup } from '../../cgroup/types.ts';
import type { Task } from '../../records.ts';
import { complete } from '../latecopy.ts';
import { pathText } from '../path.ts';
import { shownBy } from '../pseudo.ts';
import type { Mount, SuperBlock } from '../types.ts';

/** What follows ro or rw. */
function flagText(mount: Mount): string {
  const { flags } = mount;
  let text = '';
  if (flags & MS_NOSUID) text += ',nosuid';
  if (flags & MS_NODEV) text += ',nodev';
  if (flags & MS_NOEXEC) text += ',noexec';
  if (flags & MS_NOATIME) text += ',noatime';
  if (flags & MS_NODIRATIME) text += ',nodiratime';
  return mount.sb.type === 'nsfs' || flags & (MS_NOATIME | MS_STRICTATIME) ? text : `${text},relatime`;
}

/** Mounts that `task` can reach, in order, with the path each hangs at. */
function reachable(task: Task): { mount: Mount; at: string }[] {
  const rows: { mount: Mount; at: string }[] = [];
  complete(task.ns.mnt);
  for (const mount of task.ns.mnt.mounts) {
    const at = pathText(task, { mount, dentry: mount.root });
    if (!at.startsWith('(unreachable)')) rows.push({ mount, at });
  }
  return rows;
}

/** "\\054" is a comma within a value, already escaped by its file system. */
const escaped = (text: string): string => text.replace(/[ \t\n]|\\(?!054)/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);

const access = (readonly: boolean): string => (readonly ? 'ro' : 'rw');

/** Of the whole file system. */
const superText = (sb: SuperBlock): string => `${sb.synchronous ? ',sync' : ''}`;

const ownText = (sb: SuperBlock): string => (sb.options ? `,${escaped(sb.options)}` : '');

export function mountsText(task: Task): string {
  return reachable(task)
    .map(({ mount, at }) => `${escaped(mount.source)} ${escaped(at)} ${mount.sb.type} ${access(mount.sb.readonly || (mount.flags & MS_RDONLY) !== 0)}${superText(mount.sb)}${flagText(mount)}${ownText(mount.sb)} 0 0\n`)
    .join('');
}

/** The part of the file system that a mount shows; of control groups as seen from the looker's own. */
function rootText(mount: Mount, looker: Task): string {
  if (mount.sb.type === 'nsfs') return mount.root.name;
  const shown = mount.sb.type === 'cgroup2' ? shownBy(mount.root) : null;
  if (shown) return pathFrom(looker.ns.cgroup.root, shown as Cgroup);
  let root = '';
  for (let d = mount.root; d.parent !== d; d = d.parent) root = `/${d.name}${root}`;
  return root || '/';
}

/** Major and minor of the device: the modelled disk is 254:0, a loop device 7:N, the others have none. */
function deviceText(mount: Mount): string {
  if (mount.sb.type !== 'ext4') return `0:${mount.sb.dev}`;
  const loop = /^\/dev\/loop(\d+)$/.exec(mount.sb.source)?.[1];
  if (loop !== undefined) return `7:${loop}`;
  const minor = /^\/dev\/vd([b-z])$/.exec(mount.sb.source)?.[1];
  return `254:${minor ? (minor.charCodeAt(0) - 97) * 16 : 0}`;
}

export function mountinfoText(task: Task, looker: Task): string {
  return reachable(task)
    .map(({ mount, at }) => {
      const { sb } = mount;
      const optional = `${mount.shared ? ` shared:${mount.shared}` : ''}${mount.master ? ` master:${mount.master}` : ''}${mount.unbindable ? ' unbindable' : ''}`;
      const parent = mount.parent === mount ? 1 : mount.parent.id;
      return `${mount.id} ${parent} ${deviceText(mount)} ${escaped(rootText(mount, looker))} ${escaped(at)} ${access((mount.flags & MS_RDONLY) !== 0)}${flagText(mount)}${optional} - ${sb.type} ${escaped(mount.source)} ${access(sb.readonly)}${superText(sb)}${ownText(sb)}\n`;
    })
    .join('');
}

export function mountstatsText(task: Task): string {
  return reachable(task)
    .map(({ mount, at }) => `device ${mount.source} mounted on ${at} with fstype ${mount.sb.type}\n`)
    .join('');
}
