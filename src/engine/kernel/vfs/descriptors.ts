/** Descriptors and open file descriptions: slots of a task that share, or do not share, an offset and flags. Source: open(2), dup(2). */
import { O_ACCMODE, O_CLOEXEC, O_PATH, SysError } from '../abi.ts';
import type { FileTable, Kernel, Slot, Task } from '../records.ts';
import { unlock } from './flock.ts';
import type { File, FileOps, Inode, Path } from './types.ts';

export function newFiles(): FileTable {
  return { slots: [], users: 0, free: 0 };
}

export function makeFile(path: Path | null, inode: Inode, ops: FileOps, flags: number, data: unknown): File {
  return { path, inode, ops, flags: flags & ~O_CLOEXEC, offset: 0, refs: 0, data };
}

/** The lowest free descriptor at or above `from`. Throws EMFILE past the soft limit. */
export function install(task: Task, file: File, cloexec: boolean, from = 0): number {
  const { files } = task;
  let fd = Math.max(from, files.free);
  while (files.slots[fd]) fd++;
  if (fd >= (task.limits?.RLIMIT_NOFILE?.cur ?? 1024)) throw new SysError('EMFILE');
  put(task, fd, { file, cloexec });
  return fd;
}

const writes = ({ inode, flags }: File): boolean => inode.kind === 'file' && (flags & O_ACCMODE) !== 0 && !(flags & O_PATH);

export function put(task: Task, fd: number, slot: Slot): void {
  const { files } = task;
  const { file } = slot;
  if (file.refs++ === 0 && writes(file)) file.inode.writers = (file.inode.writers ?? 0) + 1;
  files.slots[fd] = slot;
  if (fd === files.free) files.free++;
}

/** The open description behind a descriptor. Throws EBADF. */
export function fileOf(task: Task, fd: number): File {
  const slot = task.files.slots[fd];
  if (!slot) throw new SysError('EBADF');
  return slot.file;
}

export function slotOf(task: Task, fd: number): Slot {
  const slot = task.files.slots[fd];
  if (!slot) throw new SysError('EBADF');
  return slot;
}

/** One holder less; the last one releases. */
export function dropFile(kernel: Kernel, file: File): void {
  file.refs--;
  if (file.refs > 0) return;
  if (writes(file)) file.inode.writers = Math.max(0, (file.inode.writers ?? 0) - 1);
  unlock(kernel, file);
  file.ops.release?.(kernel, file);
}

export function closeFd(kernel: Kernel, task: Task, fd: number): void {
  const slot = slotOf(task, fd);
  task.files.slots[fd] = undefined;
  task.files.free = Math.min(task.files.free, fd);
  dropFile(kernel, slot.file);
}

/** The table of a forked child: the same descriptions. */
export function copyFiles(files: FileTable): FileTable {
  const slots: FileTable['slots'] = [];
  for (const slot of files.slots) {
    if (slot) slot.file.refs++;
    slots.push(slot && { file: slot.file, cloexec: slot.cloexec });
  }
  return { slots, users: 0, free: files.free };
}

/** A task stops waiting in open(2) of a fifo: the end that it held open while it waited goes. */
export function abandonOpen(kernel: Kernel, task: Task): void {
  const { pending, scratch } = task;
  if (pending?.op !== 'sys' || pending.name !== 'openat' || scratch === undefined || scratch === null) return;
  const { file } = scratch as { file: File };
  task.scratch = undefined;
  file.ops.release?.(kernel, file);
}

/** At exit, when no other task shares the table. */
export function closeAll(kernel: Kernel, files: FileTable): void {
  const slots = files.slots.splice(0);
  files.free = 0;
  for (const slot of slots) if (slot) dropFile(kernel, slot.file);
}

/** At execve: descriptors with FD_CLOEXEC go. */
export function closeOnExec(kernel: Kernel, task: Task): void {
  const { slots } = task.files;
  for (let fd = 0; fd < slots.length; fd++) if (slots[fd]?.cloexec) closeFd(kernel, task, fd);
}
