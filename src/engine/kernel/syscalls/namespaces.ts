/** unshare and setns. Rules in kernel/namespaces.ts. */
import { setns, unshare } from '../namespaces.ts';
import { fileOf } from '../vfs/descriptors.ts';
import type { Handlers } from './handlers.ts';

export const namespaceHandlers = {
  unshare(kernel, task, flags) {
    unshare(kernel, task, flags);
    return 0;
  },
  setns(kernel, task, fd, type) {
    setns(kernel, task, fileOf(task, fd), type);
    return 0;
  },
} satisfies Partial<Handlers>;
