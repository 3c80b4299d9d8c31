/**
 * What a mount of proc hides: processes of others (hidepid=), all but processes (subset=pid), and whom it hides nothing from (gid=).
 * Source: proc(5), fs/proc/root.c and has_pid_permissions in fs/proc/base.c.
 */
import { ContextRefused, type Errno, SysError } from '../../abi.ts';
import { idOutside } from '../../credentials.ts';
import type { Task } from '../../records.ts';
import { mountOptions } from '../options.ts';
import { mayLook } from './access.ts';

const NAMES = ['off', 'noaccess', 'invisible', '', 'ptraceable'];

export interface Hiding {
  hidepid: number;
  gid: number;
  pidsOnly: boolean;
}

export const nothingHidden = (): Hiding => ({ hidepid: 0, gid: 0, pidsOnly: false });

/** Takes the options of mount(2), at a remount those that are given. Throws EINVAL with what the kernel says. */
export function takeHiding(hiding: Hiding, task: Task, data: string): void {
  const next = { ...hiding };
  for (const [name, value] of mountOptions(data)) {
    if (name === 'hidepid') {
      const at = /^\d+$/.test(value) ? Number(value) : NAMES.indexOf(value);
      if (!NAMES[at]) throw new ContextRefused(`proc: unknown value of hidepid - ${value}\n`);
      next.hidepid = at;
    } else if (name === 'gid') {
      const gid = /^\d+$/.test(value) ? idOutside(task.ns.user, Number(value), 'gidMap') : null;
      if (gid === null) throw /^\d+$/.test(value) ? new SysError('EINVAL') : new ContextRefused("proc: Bad value for 'gid'");
      next.gid = gid;
    } else if (name === 'subset') {
      if (value !== 'pid') throw new ContextRefused(`proc: unknown subset option - ${value}\n`);
      next.pidsOnly = true;
    } else throw new ContextRefused(`proc: Unknown parameter '${name}'`);
  }
  Object.assign(hiding, next);
}

export function hidingText({ hidepid, gid, pidsOnly }: Hiding): string {
  return [gid === 0 ? '' : `gid=${gid}`, hidepid === 0 ? '' : `hidepid=${NAMES[hidepid]}`, pidsOnly ? 'subset=pid' : ''].filter(Boolean).join(',');
}

/** Does the looker see the process, or (`enter`) the inside of its directory? */
function shows({ hidepid, gid }: Hiding, looker: Task, task: Task, from: number): boolean {
  if (hidepid === 4) return mayLook(looker, task);
  if (hidepid < from || looker.cred.egid === gid || looker.cred.groups.includes(gid)) return true;
  return mayLook(looker, task);
}

export const visible = (hiding: Hiding, looker: Task, task: Task): boolean => shows(hiding, looker, task, 2);

/** The errno that a name of a process, or what is in it, has for a looker; null for none. */
export function hidden(hiding: Hiding, looker: Task, task: Task, how: 'see' | 'enter'): Errno | null {
  if (!visible(hiding, looker, task)) return 'ENOENT';
  return how === 'enter' && !shows(hiding, looker, task, 1) ? 'EPERM' : null;
}
