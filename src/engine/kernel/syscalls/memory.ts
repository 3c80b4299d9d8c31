/** mmap and its kin. Rules in kernel/memory.ts. Source: the calls' manual pages, section 2. */
import { MAP_ANONYMOUS, MAP_POPULATE, MAP_SHARED, O_ACCMODE, PROT_READ, PROT_WRITE, SysError } from '../abi.ts';
import { nsCapable } from '../credentials.ts';
import { advise, areaAt, map, setBreak, touchMemory, unmap } from '../memory.ts';
import type { Kernel, Task } from '../records.ts';
import { fileOf } from '../vfs/descriptors.ts';
import { AGAIN, GONE } from '../wait.ts';
import { swapoff, swapon } from '../swapon.ts';
import type { Handlers } from './handlers.ts';
import type { Path } from '../vfs/types.ts';
import { resourceLimits } from './limits.ts';

/** Touches a range on the caller's behalf, over as many dispatches as it takes. */
function populate(kernel: Kernel, task: Task, address: number, length: number): 'done' | typeof AGAIN | typeof GONE {
  const held = task.scratch;
  const inner = held as { address: number; touch: unknown };
  task.scratch = inner.touch;
  const area = areaAt(task.mm, address);
  const outcome = touchMemory(kernel, task, address, length, area && area.prot & PROT_WRITE ? 'w' : 'r');
  inner.touch = task.scratch;
  task.scratch = inner;
  return outcome === 'done' ? 'done' : outcome === 'more' ? AGAIN : GONE;
}

function fileFor(task: Task, prot: number, flags: number, fd: number | undefined): Path | null {
  if (flags & MAP_ANONYMOUS) return null;
  const file = fileOf(task, fd ?? -1);
  const mode = file.flags & O_ACCMODE;
  if (mode === 1 || (flags & MAP_SHARED && prot & PROT_WRITE && mode !== 2)) throw new SysError('EACCES');
  if (!file.path || (file.inode.kind !== 'file' && file.inode.kind !== 'chr')) throw new SysError('ENODEV');
  return file.inode.kind === 'file' ? file.path : null;
}

export const memoryHandlers = {
  mmap(kernel, task, length, prot, flags, fd) {
    const begun = task.scratch as { address: number } | undefined;
    if (!begun) {
      const file = fileFor(task, prot, flags, fd);
      const area = map(kernel, task, length, prot, flags, file);
      if (!(flags & MAP_POPULATE) || !(prot & (PROT_READ | PROT_WRITE))) return area.start;
      task.scratch = { address: area.start, touch: undefined };
      return AGAIN;
    }
    const outcome = populate(kernel, task, begun.address, length);
    return outcome === 'done' ? begun.address : outcome;
  },
  munmap(kernel, task, address, length) {
    unmap(kernel, task, address, length);
    return 0;
  },
  brk: (kernel, task, address) => setBreak(kernel, task, address),
  mlock(kernel, task, address, length) {
    const begun = task.scratch as { address: number } | undefined;
    if (!begun) {
      const limit = resourceLimits(kernel, task, 'MEMLOCK').cur;
      if (length + task.mm.locked * 4096 > limit && !nsCapable(task, kernel.init.user, 'ipc_lock')) throw new SysError(limit === 0 ? 'EPERM' : 'ENOMEM');
      const area = areaAt(task.mm, address);
      if (!area || length < 0 || address + length > area.start + area.length) throw new SysError('ENOMEM');
      task.scratch = { address, touch: undefined };
    }
    const outcome = populate(kernel, task, address, length);
    if (outcome !== 'done') return outcome;
    const area = areaAt(task.mm, address);
    if (area && !area.locked) {
      area.locked = true;
      task.mm.locked += Math.ceil(length / 4096);
    }
    return 0;
  },
  madvise(kernel, task, address, length, advice) {
    advise(kernel, task, address, length, advice);
    return 0;
  },
  swapon(kernel, task, path, flags) {
    swapon(kernel, task, path, flags);
    return 0;
  },
  swapoff(kernel, task, path) {
    swapoff(kernel, task, path);
    return 0;
  },
} satisfies Partial<Handlers>;
