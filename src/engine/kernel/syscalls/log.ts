/** syslog: the kernel's ring buffer. Source: syslog(2). Reading is open to all, as with kernel.dmesg_restrict=0. */
import { SysError } from '../abi.ts';
import { nsCapable } from '../credentials.ts';
import { logLine } from '../log.ts';
import type { Handlers } from './handlers.ts';

export const logHandlers = {
  syslog(kernel, task, action, message = '') {
    if (action === 'read') return kernel.log.slice();
    if (!nsCapable(task, kernel.init.user, 'syslog') && !nsCapable(task, kernel.init.user, 'sys_admin')) throw new SysError('EPERM');
    if (action === 'clear') {
      kernel.log.length = 0;
      return [];
    }
    const level = /^<(\d)>/.exec(message);
    logLine(kernel, level ? Number(level[1]) : 6, message.replace(/^<\d+>/, '').trimEnd());
    return [];
  },
} satisfies Partial<Handlers>;
