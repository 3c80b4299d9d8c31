/**
 * A Debian machine with systemd, dockerd, containerd and runc, as recordings of namespaces, mounts and runc began on it:
 * two processors, 2 GiB, busybox roots at /oci/rootfs and /root/bb.
 */
import type { Tree, TreeEntry } from '../../kernel/vfs/build.ts';
import type { ScenarioSpec } from '../scenario.ts';
import { busyboxRoot } from './docker.ts';

/** Of which 2,069,037,056 bytes are MemTotal. */
const MEMORY = 2_147_483_648;

const USERS =
  'root:x:0:0:root:/root:/bin/bash daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin bin:x:2:2:bin:/bin:/usr/sbin/nologin sys:x:3:3:sys:/dev:/usr/sbin/nologin ' +
  'sync:x:4:65534:sync:/bin:/bin/sync games:x:5:60:games:/usr/games:/usr/sbin/nologin man:x:6:12:man:/var/cache/man:/usr/sbin/nologin lp:x:7:7:lp:/var/spool/lpd:/usr/sbin/nologin ' +
  'mail:x:8:8:mail:/var/mail:/usr/sbin/nologin news:x:9:9:news:/var/spool/news:/usr/sbin/nologin uucp:x:10:10:uucp:/var/spool/uucp:/usr/sbin/nologin proxy:x:13:13:proxy:/bin:/usr/sbin/nologin ' +
  'www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin backup:x:34:34:backup:/var/backups:/usr/sbin/nologin list:x:38:38:Mailing_List_Manager:/var/list:/usr/sbin/nologin irc:x:39:39:ircd:/run/ircd:/usr/sbin/nologin ' +
  '_apt:x:42:65534::/nonexistent:/usr/sbin/nologin nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin systemd-network:x:998:998:systemd_Network_Management:/:/usr/sbin/nologin dhcpcd:x:100:65534:DHCP_Client_Daemon:/usr/lib/dhcpcd:/bin/false ' +
  'messagebus:x:996:996:System_Message_Bus:/nonexistent:/usr/sbin/nologin tcpdump:x:101:101::/nonexistent:/usr/sbin/nologin redis:x:102:102::/var/lib/redis:/usr/sbin/nologin uuidd:x:103:105::/run/uuidd:/usr/sbin/nologin ' +
  'sshd:x:990:65534:sshd_user:/run/sshd:/usr/sbin/nologin';
const GROUPS =
  'root:x:0: daemon:x:1: bin:x:2: sys:x:3: adm:x:4: tty:x:5: disk:x:6: lp:x:7: mail:x:8: news:x:9: ' +
  'uucp:x:10: man:x:12: proxy:x:13: kmem:x:15: dialout:x:20: fax:x:21: voice:x:22: cdrom:x:24: floppy:x:25: tape:x:26: ' +
  'sudo:x:27: audio:x:29: dip:x:30: www-data:x:33: backup:x:34: operator:x:37: list:x:38: irc:x:39: src:x:40: shadow:x:42: ' +
  'utmp:x:43: video:x:44: sasl:x:45: plugdev:x:46: staff:x:50: games:x:60: users:x:100: nogroup:x:65534: systemd-journal:x:999: systemd-network:x:998: ' +
  'crontab:x:997: messagebus:x:996: tcpdump:x:101: redis:x:102: input:x:995: sgx:x:994: clock:x:993: kvm:x:992: render:x:991: docker:x:103: ' +
  'netdev:x:104: uuidd:x:105: _ssh:x:106: rdma:x:107:';

/** Lines stand between blanks in the tables, blanks are written as underscores. */
const lines = (table: string): TreeEntry => ({ type: 'file', data: table.split(' ').map((line) => `${line.replaceAll('_', ' ')}\n`).join('') });

function ociRoot(): Tree {
  const tree: Tree = {};
  for (const [path, entry] of Object.entries(busyboxRoot())) tree[path.replace('/root/bb', '/oci/rootfs')] = entry;
  for (const dir of ['home', 'usr', 'var']) tree[`/oci/rootfs/${dir}`] = { type: 'dir' };
  return tree;
}

export const machineScenario = (): ScenarioSpec => ({
  name: 'recorded/machine',
  hosts: [{ name: 'lab', guest: true, cpus: 2, memory: MEMORY, address: '', services: ['containerd', 'docker'], images: [], domains: [], files: { ...busyboxRoot(), ...ociRoot(), '/ov': { type: 'dir' }, '/etc/passwd': lines(USERS), '/etc/group': lines(GROUPS), '/etc/subuid': lines(''), '/etc/subgid': lines('') } }],
  cluster: null,
  manifests: [],
});
