/** /dev: a tree in memory that begins with a node for every device; programs may add to it. One a kernel. */
import { diskNodes } from '../block.ts';
import type { Kernel } from '../records.ts';
import { populate, type Tree } from './build.ts';
import { NODES } from './devices.ts';
import { createTmpfs } from './tmpfs.ts';
import type { SuperBlock } from './types.ts';

/** As /etc/group has them, and udev's rules give the nodes to. */
const TTY_GROUP = 5;
const KVM_GROUP = 104;
const DISK_GROUP = 6;

export function createDevtmpfs(kernel: Kernel): SuperBlock {
  const sb = createTmpfs(kernel, 'tmpfs', 'udev', '', 0o755);
  sb.options = `size=${sb.space!.pages * 4}k,nr_inodes=${sb.space!.pages},mode=755,inode64`;
  sb.type = 'devtmpfs';
  const tree: Tree = {
    '/fd': { type: 'link', target: '/proc/self/fd' },
    '/stdin': { type: 'link', target: '/proc/self/fd/0' },
    '/stdout': { type: 'link', target: '/proc/self/fd/1' },
    '/stderr': { type: 'link', target: '/proc/self/fd/2' },
    '/pts': { type: 'dir' },
    '/shm': { type: 'dir', mode: 0o1777 },
    '/xen': { type: 'dir' },
    '/mqueue': { type: 'dir', mode: 0o1777 },
  };
  for (const [name, major, minor, mode] of NODES) tree[`/${name}`] = { type: 'chr', major, minor, mode, gid: /^(kvm|bench|vmmon|xen.privcmd)$/.test(name) ? KVM_GROUP : /^tty\d|^ptmx$/.test(name) ? TTY_GROUP : 0 };
  // The modelled disk and its one partition: limits name them by number; nobody reads their blocks.
  for (const [minor, name] of ['vda', 'vda1'].entries()) tree[`/${name}`] = { type: 'blk', major: 254, minor, mode: 0o660, gid: DISK_GROUP };
  for (let n = 0; n < kernel.cpus; n++) {
    if (!kernel.devices.has(`c202:${n}`)) break;
    tree[`/cpu/${n}/msr`] = { type: 'chr', major: 202, minor: n, mode: 0o600, gid: 0 };
    tree[`/cpu/${n}/cpuid`] = { type: 'chr', major: 203, minor: n, mode: 0o444, gid: 0 };
  }
  populate(kernel, sb, { ...tree, ...diskNodes(kernel) });
  return sb;
}
