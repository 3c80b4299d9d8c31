/** mount, umount2, pivot_root. The rules are vfs/mount.ts. */
import { mount, pivotRoot, umount } from '../vfs/mount.ts';
import type { Handlers } from './handlers.ts';

export const mountHandlers = { mount, umount2: umount, pivot_root: pivotRoot } satisfies Partial<Handlers>;
