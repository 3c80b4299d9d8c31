/**
 * A machine's power: what happens when it goes, and what of its disk is found when it comes back. Without power nothing of the
 * machine goes on and its wire is silent; memory is lost, the disk stays. Source: reboot(2). Left out: the loss of what was not synced.
 */
import { cancel } from '../sim/timeline.ts';
import { record } from '../sim/trace.ts';
import type { Kernel } from './records.ts';
import { childrenOf } from './vfs/tmpfs.ts';
import type { Dentry, SuperBlock } from './vfs/types.ts';

/** Everything stops at once. `how` is told to whoever set `onPower`. */
export function losePower(kernel: Kernel, how: 'off' | 'restart'): void {
  if (kernel.power === 'off') return;
  kernel.power = 'off';
  record(kernel.trace, 'kernel', kernel.name, 'kernel.power', { on: false, how });
  for (const entry of kernel.timeline.heap) if (entry.event?.who === kernel.name && /^(kernel\.|net$|kvm$)/.test(entry.event.kind)) cancel(entry);
  kernel.onPower?.(how);
}

/** The disk as the next kernel finds it: nothing is mounted on it, cached or open. */
export function settleDisk(sb: SuperBlock): SuperBlock {
  const stack: Dentry[] = [sb.root];
  for (let one = stack.pop(); one; one = stack.pop()) {
    const { inode } = one;
    one.hung = null;
    inode.charged = null;
    inode.writers = 0;
    delete inode.swapped;
    if (inode.kind === 'fifo' || inode.kind === 'sock') inode.data = null;
    if (inode.kind === 'dir' && inode.sb === sb) stack.push(...childrenOf(inode).values());
  }
  return sb;
}
