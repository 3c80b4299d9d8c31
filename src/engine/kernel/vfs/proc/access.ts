/** Who may look into a process: the check of ptrace(2), "Ptrace access mode checking", as procfs makes it. */
import { SysError } from '../../abi.ts';
import { nsCapable } from '../../credentials.ts';
import type { Task } from '../../records.ts';

/** PTRACE_MODE_READ: the same user, with no more capabilities than the looker's; or CAP_SYS_PTRACE over its user namespace. */
export function mayLook(looker: Task, task: Task): boolean {
  if (looker.leader === task.leader) return true;
  if (nsCapable(looker, task.ns.user, 'sys_ptrace')) return true;
  const a = looker.cred;
  const b = task.cred;
  if (a.uid !== b.uid || a.uid !== b.euid || a.uid !== b.suid || a.gid !== b.gid || a.gid !== b.egid || a.gid !== b.sgid) return false;
  return looker.ns.user === task.ns.user && b.caps.permitted.every((one) => a.caps.permitted.includes(one));
}

export function requireLook(looker: Task, task: Task): void {
  if (!mayLook(looker, task)) throw new SysError('EACCES');
}
