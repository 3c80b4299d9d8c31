/** swapon(2) and swapoff(2): a file with a swap header is taken into use, and given back when all is out of it. Source: their manual page, mm/swapfile.c. */
import { PAGE } from '../sim/units.ts';
import { text } from '../sim/text.ts';
import { SysError } from './abi.ts';
import { uncharge } from './cgroup/charge.ts';
import { nsCapable } from './credentials.ts';
import type { Kernel, Task } from './records.ts';
import { dropSlot, spaces, spread, swapAreas } from './swap.ts';
import { type Content, readContent } from './vfs/content.ts';
import { lookup, pathText } from './vfs/path.ts';

const MAGIC = 'SWAPSPACE2';
const MAGIC_AT = PAGE - MAGIC.length;
const LAST_PAGE_AT = 1028;
const SWAP_FLAG_PREFER = 0x8000;
const SWAP_FLAG_PRIO_MASK = 0x7fff;

function requireAdmin(kernel: Kernel, task: Task): void {
  if (!nsCapable(task, kernel.init.user, 'sys_admin')) throw new SysError('EPERM');
}

/** Throws EPERM, EINVAL (no swap header, holes), EBUSY (in use already), ENOENT. */
export function swapon(kernel: Kernel, task: Task, name: string, flags: number): void {
  requireAdmin(kernel, task);
  const path = lookup(kernel, task, task.fs.cwd, name);
  const { inode } = path.dentry;
  if (inode.kind !== 'file') throw new SysError('EINVAL');
  const areas = swapAreas(kernel);
  if (areas.some((one) => one.inode === inode)) throw new SysError('EBUSY');
  if (inode.sb.type !== 'ext4') throw new SysError('EINVAL');
  const head = readContent(inode.data as Content, inode.size, 0, PAGE);
  if (head.length < PAGE || text(head.subarray(MAGIC_AT)) !== MAGIC) throw new SysError('EINVAL');
  if (((inode.data as { holes?: number }).holes ?? 0) > 0) throw new SysError('EINVAL');
  const last = new DataView(head.buffer, head.byteOffset).getUint32(LAST_PAGE_AT, true);
  const pages = Math.min(last, Math.floor(inode.size / PAGE) - 1);
  if (pages < 1) throw new SysError('EINVAL');
  const lowest = Math.min(-1, ...areas.map((one) => one.priority));
  const priority = flags & SWAP_FLAG_PREFER ? flags & SWAP_FLAG_PRIO_MASK : lowest - 1;
  kernel.drivers.set('swap', [...areas, { inode, path: pathText(task, path), pages, used: 0, priority }].sort((a, b) => b.priority - a.priority));
}

/** Brings everything back from an area first. Throws EINVAL (not in use), ENOMEM (no room for what is there). */
export function swapoff(kernel: Kernel, task: Task, name: string): void {
  requireAdmin(kernel, task);
  const { inode } = lookup(kernel, task, task.fs.cwd, name).dentry;
  const areas = swapAreas(kernel);
  const area = areas.find((one) => one.inode === inode);
  if (!area) throw new SysError('EINVAL');
  const rest = areas.filter((one) => one !== area);
  const room = rest.reduce((sum, one) => sum + one.pages - one.used, 0);
  const { frames } = kernel;
  const over = area.used - room;
  if (over > frames.total - frames.anon - frames.file - frames.kernel) throw new SysError('ENOMEM');
  kernel.drivers.set('swap', rest);
  if (over > 0) bringBack(kernel, over);
  spread(rest, Math.min(area.used, room));
}

/** Pages of whoever has some out come into memory, whatever limits say: swapoff does not stop for them. */
function bringBack(kernel: Kernel, pages: number): void {
  let left = pages;
  for (const mm of spaces(kernel)) {
    for (const area of mm.areas) {
      for (const page of [...(area.out ?? [])]) {
        if (left <= 0) return;
        area.out!.delete(page);
        mm.swapped--;
        mm.rss.anon++;
        const payer = [...mm.charged].find(([, own]) => own.swap > 0);
        if (payer) {
          uncharge(kernel, payer[0], 'anon', -1);
          payer[1].anon++;
        }
        dropSlot(kernel, mm, area, page);
        left--;
      }
    }
  }
}
