/**
 * How many bytes the binaries of programs have: of Debian 13's amd64 packages (of Debian 12's where 13 lacks one), as `stat` gives them.
 * A modelled program's file begins with its name and reads as zeros from there to this size.
 */
import { binaryOf, programOf } from '../kernel/abi.ts';
import type { TreeEntry } from '../kernel/vfs/build.ts';

const TABLE = (
  '1080 which, 1973 zcat, 2335 gunzip, 14576 getcap getpcaps setcap, 14584 clear, 14648 pwdx uptime wrmsr, 14720 renice, 14728 rev setsid pivot_root mkfs, 14960 rdmsr,' +
  '18648 xxd, 18744 setfattr, 18752 apt, 18808 systemd-detect-virt, 18824 mountpoint, 22840 kill, 23032 systemd-cgls, 26720 stress, 26776 hostname, 26920 getconf, 26936 free,' +
  '26944 pidof getfattr, 27200 file, 27584 size, 30968 reset, 31032 w, 31040 sysctl, 31112 whereis, 31512 watch, 32720 killall, 35208 ionice fallocate, 35288 flock,' +
  '35480 getent, 36640 pstree, 39320 systemd-cgtop, 39344 pgrep pkill, 39648 vmstat,' +
  '43432 basename dirname echo false groups link logname nice printenv pwd rmdir sleep sync true tty unlink whoami yes, 43464 arch uname, 43536 brctl, 43592 nc,' +
  '43928 prlimit, 45160 nm, 47528 base64 fold mktemp nohup nproc seq tac test truncate, 47560 comm paste tee, 47592 cat, 47984 timeout, 51584 swapoff, 51624 expr chroot,' +
  '51656 head id, 51720 nl, 51936 crontab, 54600 capsh, 55688 choom umount, 55704 iostat, 55720 [ readlink, 55752 cut md5sum sha1sum sha256sum sha384sum sha512sum realpath uniq,' +
  '56144 env, 56272 cmp, 59426 adduser, 59720 hd hexdump, 59784 apt-get fsck swapon, 59816 tr, 60392 logger, 63800 resize2fs, 63888 more, 63944 who, 67720 arp, 67976 taskset,' +
  '68008 printf, 68048 wc, 68112 loginctl, 70832 route, 72072 chrt lsmem mount, 72136 chmod, 72560 split, 76200 mkfifo, 76232 stty chgrp chown rm xargs, 76240 ln, 76272 dd,' +
  '77104 traceroute, 80264 script, 80360 tail, 83976 ifconfig, 84360 su runuser, 84392 mknod, 84424 od, 84872 systemd-run, 88488 mkdir, 88520 touch, 88728 nsenter,' +
  '90840 dmesg, 92552 apt-cache login, 92560 lsns setpriv, 92792 unshare, 93296 journalctl, 96648 blockdev, 97048 bc, 97368 chpasswd, 98440 conntrack, 100808 date,' +
  '100888 busctl, 102200 gzip, 102296 findmnt, 104904 stat, 105632 groupadd, 109488 df, 110152 agetty, 113096 du, 113480 nslookup, 113728 userdel, 118168 passwd, 121552 sort,' +
  '129736 sh dash, 130520 sed, 133504 init, 133664 losetup, 137616 mkswap, 138864 top, 141736 blkid, 146000 mkfs.ext4 mke2fs, 146248 dig, 147192 usermod, 149960 cp mv,' +
  '154096 install, 154552 ps, 155304 netstat, 156136 ping, 158632 ls, 159640 useradd, 163440 diff, 170384 lscpu, 170664 awk mawk, 174328 lsmod, 174712 bridge, 178616 fdisk,' +
  '203152 grep, 208792 lsof, 211968 ss, 227968 scp, 228768 iptables iptables-restore iptables-save, 233040 find, 240224 sftp, 240280 make, 248208 lsblk, 249376 less,' +
  '297904 systemctl poweroff reboot halt shutdown, 303960 nano, 310552 sudo, 321880 curl, 326704 dpkg, 396336 objdump, 434392 cpuid, 458280 tar, 482672 wget, 568224 sshd,' +
  '593608 tc, 648608 redis-cli, 704968 ethtool, 721912 ip, 742648 docker-init, 777864 readelf, 795184 as, 1047584 ssh, 1162264 cc gcc, 1273880 tcpdump, 1298416 bash,' +
  '1305592 g++, 1491464 nginx, 1761704 vi, 1861256 ld, 1923760 nasm, 2024544 busybox, 2189792 strace, 2240224 qemu-io, 2292896 qemu-img, 2399456 docker-proxy,' +
  '3092168 redis-server, 6832784 python3 python3.13, 9059728 perf, 10395104 gdb, 10683064 runc, 13972392 stress-ng, 18397984 qemu-system-x86_64,' +
  '19588488 containerd-shim-runc-v2, 27206408 ctr, 30721152 docker, 53969928 containerd, 57346792 kubectl, 64288304 docker-compose, 94427160 dockerd'
);

const SIZES: ReadonlyMap<string, number> = new Map(
  TABLE.split(',').flatMap((group) => {
    const [size, ...names] = group.trim().split(' ');
    return names.map((name): [string, number] => [name, Number(size)]);
  }),
);

/** Bytes of a program's binary; undefined where no package was measured. */
export function sizeOfProgram(name: string): number | undefined {
  return SIZES.get(name);
}

/** A binary's bytes: what names its program, then zeros up to `size` bytes (its own if none is given). */
export function binaryFile(name: string, size = SIZES.get(name)): Uint8Array {
  const head = binaryOf(name);
  const data = new Uint8Array(Math.max(head.length, size ?? 0));
  data.set(head);
  return data;
}

/** What a whole file is in a tree: a program, if it is nothing but a binary that names one. */
export function fileEntry(data: Uint8Array, mode: number): TreeEntry {
  const name = programOf(data.subarray(0, 128));
  if (name === null || !zeroFrom(data, binaryOf(name).length)) return { type: 'file', data, mode };
  return { type: 'program', name, size: data.length, mode };
}

/** Are there only zeros from byte `start` on? Binaries have megabytes of them: most are looked at four at a time. */
function zeroFrom(data: Uint8Array, start: number): boolean {
  let i = start;
  for (; i < data.length && (data.byteOffset + i) % 4 !== 0; i++) if (data[i] !== 0) return false;
  if (i >= data.length) return true;
  const words = new Uint32Array(data.buffer, data.byteOffset + i, (data.length - i) >> 2);
  for (let w = 0; w < words.length; w++) if (words[w] !== 0) return false;
  for (i += words.length * 4; i < data.length; i++) if (data[i] !== 0) return false;
  return true;
}
