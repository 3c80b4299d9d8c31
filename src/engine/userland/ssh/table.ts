/** Remote log-ins, and machines' power, by install path. */
import type { ProgramTable } from '../programs.ts';
import { ipmitool } from './ipmitool.ts';
import { scp, ssh } from './ssh.ts';
import { sshd } from './sshd.ts';

export const remote: ProgramTable = { '/usr/bin/ssh': ssh, '/usr/bin/scp': scp, '/usr/sbin/sshd': sshd, '/usr/bin/ipmitool': ipmitool };
