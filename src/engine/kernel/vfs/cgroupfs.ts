/**
 * The file system of control groups: a directory a group, its files from the table in cgroup/files.ts. mkdir and rmdir make
 * and remove groups; chown and chmod of a directory or file are kept with the group (delegation). The same group shows the
 * same inode wherever it is mounted. Source: kernel doc cgroup-v2.
 */
import { record } from '../../sim/trace.ts';
import { cgroupPath } from '../cgroup/charge.ts';
import { hasController, makeCgroup, removeCgroup } from '../cgroup/core.ts';
import { CGROUP_FILES, type CgroupFile } from '../cgroup/files.ts';
import { DELEGATED, hierarchyOptions } from '../cgroup/hierarchy.ts';
import type { Cgroup } from '../cgroup/types.ts';
import { SysError } from '../abi.ts';
import type { Kernel, Task } from '../records.ts';
import type { Node } from './pseudo.ts';

type DirNode = Extract<Node, { kind: 'dir' }>;

const BY_NAME = new Map(CGROUP_FILES.map((file) => [file.name, file]));

function shows(kernel: Kernel, cgroup: Cgroup, file: CgroupFile): boolean {
  if (file.where === 'root' && cgroup.parent) return false;
  if (file.where === 'below' && !cgroup.parent) return false;
  if (file.controller !== null && !hasController(cgroup, file.controller)) return false;
  if (file.when && !file.when(kernel)) return false;
  return file.shown?.(cgroup) ?? true;
}

function modeOf(file: CgroupFile): number {
  return file.mode ?? (file.read ? 0o444 : 0) | (file.write ? 0o200 : 0);
}

function fileNode(cgroup: Cgroup, file: CgroupFile): Node {
  const { read, write, poll, release } = file;
  const kept = cgroup.attrs.get(file.name);
  return {
    kind: 'file', mode: kept?.mode ?? modeOf(file), uid: kept?.uid ?? cgroup.uid, gid: kept?.gid ?? cgroup.gid,
    ...(file.channel ? { channel: file.channel(cgroup) } : {}),
    ...(read
      ? {
          read(kernel, task) {
            if (cgroup.removed) throw new SysError('ENODEV');
            return read(kernel, cgroup, task);
          },
        }
      : {}),
    ...(write
      ? {
          write(kernel, task, written, opener) {
            if (cgroup.removed) throw new SysError('ENODEV');
            // The handlers read a string of C.
            requireDelegated(kernel, task, cgroup, file);
            const text = written.split('\0', 1)[0]!;
            write(kernel, cgroup, text, task, opener);
            record(kernel.trace, 'kernel', kernel.name, 'cgroup.write', { cgroup: cgroupPath(cgroup), file: file.name, value: text.trim().slice(0, 80), pid: task.pid });
          },
        }
      : {}),
    ...(poll ? { poll: (kernel, opener) => poll(kernel, cgroup, opener) } : {}),
    ...(release ? { release: (kernel, opener) => release(kernel, cgroup, opener) } : {}),
    setattr: (change) => keep(cgroup, file.name, change),
    xattrs: xattrsOf(cgroup, file.name),
  };
}

function xattrsOf(cgroup: Cgroup, name: string): Map<string, Uint8Array> {
  let kept = cgroup.xattrs.get(name);
  if (!kept) cgroup.xattrs.set(name, (kept = new Map()));
  return kept;
}

/** Under nsdelegate the root of a cgroup namespace is its owner's business: from inside only what is marked for delegation is written. */
function requireDelegated(kernel: Kernel, task: Task, cgroup: Cgroup, file: CgroupFile): void {
  const { root } = task.ns.cgroup;
  if (root !== cgroup || root === kernel.cgroups.root || DELEGATED.includes(file.name)) return;
  if (hierarchyOptions(kernel).includes('nsdelegate')) throw new SysError('EPERM');
}

function keep(cgroup: Cgroup, name: string, change: { mode?: number; uid?: number; gid?: number }): void {
  cgroup.attrs.set(name, { ...cgroup.attrs.get(name), ...change });
}

/** The directory that stands for a group; for cgroup2 mounts its namespace's root. */
export function cgroupRoot(cgroup: Cgroup): DirNode {
  const kept = cgroup.attrs.get('');
  return {
    kind: 'dir', id: cgroup, mode: kept?.mode ?? cgroup.mode, uid: kept?.uid ?? cgroup.uid, gid: kept?.gid ?? cgroup.gid,
    nlink: 2 + cgroup.children.size,
    *list(kernel: Kernel) {
      for (const file of CGROUP_FILES) if (shows(kernel, cgroup, file)) yield [file.name, fileNode(cgroup, file)] as const;
      for (const child of cgroup.children.values()) yield [child.name, cgroupRoot(child)] as const;
    },
    get(kernel: Kernel, name: string) {
      const child = cgroup.children.get(name);
      if (child) return cgroupRoot(child);
      const file = BY_NAME.get(name);
      return file && shows(kernel, cgroup, file) ? fileNode(cgroup, file) : null;
    },
    mkdir: (kernel, task, name, mode) => void makeCgroup(kernel, task, cgroup, name, mode),
    rmdir(kernel, task, name) {
      const child = cgroup.children.get(name);
      if (child) removeCgroup(kernel, task, child);
    },
    setattr: (change) => keep(cgroup, '', change),
    xattrs: xattrsOf(cgroup, ''),
  };
}
