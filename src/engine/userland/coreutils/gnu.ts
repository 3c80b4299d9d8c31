/** The everyday programs by name; table.ts installs them and busybox is made of them. */
import type { Program } from '../../kernel/sys.ts';
import { chgrp, chmod, chown } from './attributes.ts';
import { cmp, diff } from './compare.ts';
import { nice, nohup, pwdx, renice, setsid, timeout, watch } from './control.ts';
import { wc } from './count.ts';
import { cp, install, mv } from './cp.ts';
import { link, ln, mkdir, mkfifo, mknod, mktemp, touch, truncate } from './create.ts';
import { dd } from './dd.ts';
import { base64, digests } from './digest.ts';
import { df, du, stat } from './disk.ts';
import { hexdump, od, xxd } from './dump.ts';
import { head, tail } from './ends.ts';
import { gzip } from './gzip.ts';
import { awk } from './awk.ts';
import { expr } from './expr.ts';
import { comm, cut, tr, uniq } from './fields.ts';
import { find } from './find.ts';
import { grep } from './grep.ts';
import { file, hint, stty, w, who } from './look.ts';
import { lsof } from './lsof.ts';
import { iostat } from './iostat.ts';
import { ls } from './ls.ts';
import { less } from './pager.ts';
import { printf } from './printf.ts';
import { ps } from './ps.ts';
import { fuser, pstree } from './psmisc.ts';
import { rawCall } from './raw.ts';
import { rm, rmdir, unlink } from './remove.ts';
import { sed } from './sed.ts';
import { kill, killall, pgrep, pidof, pkill } from './signals.ts';
import {
  basename, clear, dirname, echo, env, falseProgram, nproc, printenv, pwd, readlink, realpath, reset, seq, sleep, sync, trueProgram, tty, which, whoami, yesProgram,
} from './small.ts';
import { sort } from './sort.ts';
import { arch, chroot, date, dmesg, dnsdomainname, domainname, free, getconf, groups, hostname, id, logname, uname, uptime } from './system.ts';
import { test } from './test.ts';
import { cat, fold, nl, paste, rev, split, tac, tee } from './texts.ts';
import { top, vmstat } from './top.ts';
import { cal, tree, whereis } from './tree.ts';
import { xargs } from './xargs.ts';

export const GNU: Readonly<Record<string, Program>> = {
  awk, mawk: awk, file, gunzip: gzip, gzip, iostat, less, lsof, more: less, stty, top, vmstat, w, who, zcat: gzip,
  '[': test, base64, basename, cat, chgrp, chmod, chown, clear, cmp, comm, cp, cut, date, dd, df, diff, dirname, dmesg, du, echo, egrep: grep, env, expr, false: falseProgram, fgrep: grep, find, fold, free, fuser, grep, groups,
  hd: hexdump, head, hexdump, hostname, dnsdomainname, domainname, nisdomainname: domainname, ypdomainname: domainname, id, install, kill, killall, link, ln, logname, ls, ...digests, mkdir, mkfifo, mknod, mktemp, mv, nice, nl, nohup, nproc, od, paste, pgrep, pidof, pkill, printenv, printf, ps, pstree,
  arch, getconf, pwd, pwdx, readlink, realpath, renice, reset, rev, rm, rmdir, sed, seq, setsid, sleep, sort, split, stat, sync, sys: rawCall, tac, tail, tee, test, timeout, touch, tr, true: trueProgram, truncate, tty, uname, uniq, unlink,
  cal, tree, whereis, uptime, watch, wc, which, whoami, xargs, xxd, yes: yesProgram,
};

const EDIT = 'an editor of files; write one with `cat > FILE` (Ctrl-D ends it) or a here-document, change one with `sed -i`, read one with `less`';

const PACKAGES = 'packages to install: the lab has no network beyond itself; `ls /usr/bin /usr/sbin` shows what there is';

/** What people look for and what is there instead. */
export const HINTS: Readonly<Record<string, Program>> = {
  nano: hint(EDIT), vi: hint(EDIT), vim: hint(EDIT), emacs: hint(EDIT),
  ...Object.fromEntries(['apt', 'apt-get', 'apt-cache', 'dpkg', 'yum', 'dnf', 'apk', 'snap', 'pip', 'pip3', 'npm'].map((name) => [name, hint(PACKAGES)])),
  ...Object.fromEntries(['python', 'perl', 'ruby', 'node', 'php'].map((name) => [name, hint('this interpreter; there are python3 and awk')])),
  ...Object.fromEntries(['cc', 'g++', 'make', 'go', 'rustc', 'cargo'].map((name) => [name, hint("compilers; assemble guests with the lab's own assembler")])),
  ...Object.fromEntries(['rsync', 'sftp'].map((name) => [name, hint('this; scp copies a file, ssh runs a command')])),
  ...Object.fromEntries(['useradd', 'adduser', 'usermod', 'userdel', 'groupadd', 'passwd', 'chpasswd'].map((name) => [name, hint('keeping accounts; there is a user student, and /etc/passwd and /etc/group can be edited')])),
  ...Object.fromEntries(['fdisk', 'parted', 'mkfs.xfs', 'fsck'].map((name) => [name, hint('disks to partition or other file systems; a volume that is attached takes mkfs.ext4, the rest a tmpfs, an overlay or a directory')])),
  ...Object.fromEntries(['screen', 'tmux', 'htop'].map((name) => [name, hint('this; there are four terminals, and top')])),
  ...Object.fromEntries(['man', 'info', 'apropos'].map((name) => [name, hint('manual pages; NAME --help and the lab\'s own reference tell what is here, `help` lists the shell\'s builtins')])),
  bc: hint('the calculator; the shell has $(( )), and there is awk'), git: hint('version control'), crontab: hint('timed jobs; use a loop with sleep'), telnet: hint('this; there is nc'),
  'stress-ng': hint('stressors beyond those of stress'),
  nerdctl: hint('this; docker, ctr and crictl talk to the same containerd'), podman: hint('this; there are docker and runc'), pscap: hint('libcap-ng; getpcaps PID and /proc/PID/status show capabilities'), keyctl: hint('key rings'), loginctl: hint('sessions; systemd-cgls shows user.slice'), busctl: hint('D-Bus'), gcc: hint('compilers; assemble guests with the lab\'s own assembler'),
};

export const GNU_SBIN: Readonly<Record<string, Program>> = { chroot };
