/** iproute2, ping and other network programs by install path. */
import type { ProgramTable } from '../programs.ts';
import { arp, ethtool } from './arp.ts';
import { brctl, bridge } from './bridge.ts';
import { dig } from './dig.ts';
import { dnsmasq } from './dnsmasq.ts';
import { curl } from './curl.ts';
import { wget } from './fetch.ts';
import { conntrack } from './iptables/conntrack.ts';
import { iptables } from './iptables/iptables.ts';
import { iptablesRestore, iptablesSave } from './iptables/restore.ts';
import { ip } from './ip/ip.ts';
import { getent, nslookup } from './lookup.ts';
import { nc } from './nc.ts';
import { ifconfig, netstat, route } from './nettools.ts';
import { ping } from './ping.ts';
import { ss } from './ss.ts';
import { sysctl } from './sysctl.ts';
import { tc } from './tc.ts';
import { tcpdump } from './tcpdump/tcpdump.ts';
import { traceroute } from './traceroute.ts';

export const net: ProgramTable = {
  '/usr/sbin/arp': arp,
  '/usr/sbin/brctl': brctl,
  '/usr/sbin/bridge': bridge,
  '/usr/bin/curl': curl,
  '/usr/bin/dig': dig,
  '/usr/bin/getent': getent,
  '/usr/bin/nc': nc,
  '/usr/bin/netstat': netstat,
  '/usr/bin/nslookup': nslookup,
  '/usr/bin/ping': ping,
  '/usr/bin/ss': ss,
  '/usr/bin/tcpdump': tcpdump,
  '/usr/bin/traceroute': traceroute,
  '/usr/bin/wget': wget,
  '/usr/sbin/conntrack': conntrack,
  '/usr/sbin/dnsmasq': dnsmasq,
  '/usr/sbin/ethtool': ethtool,
  '/usr/sbin/ifconfig': ifconfig,
  '/usr/sbin/ip': ip,
  '/usr/sbin/iptables': iptables,
  '/usr/sbin/iptables-restore': iptablesRestore,
  '/usr/sbin/iptables-save': iptablesSave,
  '/usr/sbin/route': route,
  '/usr/sbin/tc': tc,
  '/usr/sbin/sysctl': sysctl,
};
