/** util-linux by install path. */
import type { ProgramTable } from '../programs.ts';
import { mount, umount } from './mount.ts';
import { nsenter, unshare } from './unshare.ts';

export const utilLinux: ProgramTable = {
  '/usr/bin/mount': mount, '/usr/bin/nsenter': nsenter, '/usr/bin/umount': umount, '/usr/bin/unshare': unshare,
};
