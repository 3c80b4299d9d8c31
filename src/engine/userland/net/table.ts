/** iproute2, ping and other network programs by install path. */
import type { ProgramTable } from '../programs.ts';
import { brctl, bridge } from './bridge.ts';
import { ip } from './ip/ip.ts';

export const net: ProgramTable = {
  '/usr/sbin/brctl': brctl,
  '/usr/sbin/bridge': bridge,
  '/usr/sbin/ip': ip,
};
