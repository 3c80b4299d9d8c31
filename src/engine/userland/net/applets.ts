/** The network applets of busybox whose words are not those of the programs they stand for. Source: BusyBox 1.37. */
import type { Program } from '../../kernel/sys.ts';
import { busyboxNslookup } from './busybox-nslookup.ts';
import { busyboxWget } from './fetch.ts';
import { httpd } from './httpd.ts';
import { busyboxIp } from './ip/ip.ts';
import { busyboxNc } from './nc.ts';
import { busyboxPing } from './ping.ts';

export const netApplets: Readonly<Record<string, Program>> = { httpd, ip: busyboxIp, nc: busyboxNc, nslookup: busyboxNslookup, ping: busyboxPing, wget: busyboxWget };
