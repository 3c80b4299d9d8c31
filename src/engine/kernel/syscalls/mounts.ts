/** mount, umount2, pivot_root. The rules are vfs/mount.ts. */
import { settleLoops } from '../drivers/loop.ts';
import { reapNetNamespaces } from '../net/links.ts';
import { mount, pivotRoot, umount } from '../vfs/mount.ts';
import type { Handlers } from './handlers.ts';

/** What was mounted may have been the last that kept a network namespace. */
const umount2: Handlers['umount2'] = (kernel, task, target, flags) => {
  settleLoops(kernel);
  const done = umount(kernel, task, target, flags);
  reapNetNamespaces(kernel);
  settleLoops(kernel);
  return done;
};

export const mountHandlers = { mount, umount2, pivot_root: pivotRoot } satisfies Partial<Handlers>;
