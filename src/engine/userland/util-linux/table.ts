/** util-linux, attr and libcap by install path. */
import type { ProgramTable } from '../programs.ts';
import { packaged } from '../coreutils/package.ts';
import { choom } from './choom.ts';
import { blkid, blockdev, mkfs, resize2fs } from './blocks.ts';
import { fallocate } from './fallocate.ts';
import { findmnt, mountpoint } from './findmnt.ts';
import { getcap, setcap } from './filecaps.ts';
import { capsh, flock, getpcaps, pivotRoot, prlimit, setpriv } from './identity.ts';
import { losetup } from './losetup.ts';
import { logger } from './logger.ts';
import { login, runuser, su, sudo } from './login.ts';
import { lsns } from './lsns.ts';
import { lsblk, lscpu, lsmem, lsmod } from './machine.ts';
import { mount, umount } from './mount.ts';
import { chrt, taskset } from './sched.ts';
import { ionice, script } from './script.ts';
import { newgidmap, newuidmap } from './subids.ts';
import { ipcmk, ipcrm, ipcs } from './sysvipc.ts';
import { mkswap, swapoff, swapon } from './swap.ts';
import { nsenter } from './nsenter.ts';
import { switchRoot } from './switchroot.ts';
import { unshare } from './unshare.ts';
import { getfattr, setfattr } from './xattr.ts';

const programs: ProgramTable = {
  '/usr/bin/ipcmk': ipcmk, '/usr/bin/ipcrm': ipcrm, '/usr/bin/ipcs': ipcs, '/usr/bin/choom': choom, '/usr/bin/chrt': chrt, '/usr/bin/ionice': ionice, '/usr/bin/lsblk': lsblk, '/usr/bin/lscpu': lscpu, '/usr/bin/lsmem': lsmem, '/usr/bin/script': script, '/usr/bin/taskset': taskset, '/usr/sbin/lsmod': lsmod,
  '/usr/bin/fallocate': fallocate, '/usr/bin/findmnt': findmnt, '/usr/bin/flock': flock, '/usr/bin/getfattr': getfattr, '/usr/bin/logger': logger, '/usr/bin/login': login, '/usr/bin/lsns': lsns, '/usr/bin/su': su, '/usr/bin/sudo': sudo, '/usr/sbin/runuser': runuser, '/usr/bin/mount': mount, '/usr/bin/mountpoint': mountpoint, '/usr/bin/nsenter': nsenter,
  '/usr/bin/prlimit': prlimit, '/usr/bin/setfattr': setfattr, '/usr/bin/setpriv': setpriv, '/usr/bin/umount': umount, '/usr/bin/unshare': unshare, '/usr/sbin/capsh': capsh, '/usr/sbin/getcap': getcap, '/usr/sbin/getpcaps': getpcaps,
  '/usr/sbin/pivot_root': pivotRoot, '/usr/sbin/setcap': setcap, '/usr/sbin/switch_root': switchRoot, '/usr/sbin/losetup': losetup, '/usr/sbin/mkswap': mkswap, '/usr/sbin/swapon': swapon, '/usr/sbin/swapoff': swapoff, '/usr/sbin/blkid': blkid, '/usr/sbin/blockdev': blockdev,
};

export const utilLinux: ProgramTable = { ...packaged(programs, 'from util-linux 2.41.5', new Set(['choom'])), '/usr/bin/newuidmap': newuidmap, '/usr/bin/newgidmap': newgidmap, '/usr/sbin/mkfs': mkfs, '/usr/sbin/mkfs.ext4': mkfs, '/usr/sbin/mke2fs': mkfs, '/usr/sbin/resize2fs': resize2fs };
