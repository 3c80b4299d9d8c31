/** iproute2, ping and other network programs by install path. */
import type { ProgramTable } from '../programs.ts';
import { brctl, bridge } from './bridge.ts';
import { conntrack, iptables, iptablesRestore, iptablesSave } from './iptables/iptables.ts';
import { ip } from './ip/ip.ts';
import { ping } from './ping.ts';
import { sysctl } from './sysctl.ts';

export const net: ProgramTable = {
  '/usr/sbin/brctl': brctl,
  '/usr/sbin/bridge': bridge,
  '/usr/bin/ping': ping,
  '/usr/sbin/conntrack': conntrack,
  '/usr/sbin/ip': ip,
  '/usr/sbin/iptables': iptables,
  '/usr/sbin/iptables-restore': iptablesRestore,
  '/usr/sbin/iptables-save': iptablesSave,
  '/usr/sbin/sysctl': sysctl,
};
