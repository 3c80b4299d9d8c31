/**
 * What the Dockerfiles of the lab's images copy: root file systems and files, as entries of tars. Binaries name a
 * modelled program and are as large as the real ones, except those of Go (tens of megabytes), which are as short as their names.
 */
import { bytes } from '../../../sim/text.ts';
import { binaryFile } from '../../sizes.ts';
import { entry, type TarEntry } from '../tar.ts';

/** Applets that the modelled busybox answers to; each is a link in /bin. */
export const APPLETS = (
  'arch ash awk base64 basename cat chgrp chmod chown chroot clear cp cut date dd df diff dirname dmesg du echo egrep env expr false fgrep find ' +
  'free fsync getopt grep gunzip gzip head hostid hostname httpd id install ip kill killall less link ln logger login ls md5sum mkdir mkfifo mknod ' +
  'mktemp more mount mountpoint mv nc netstat nice nohup nproc nsenter nslookup od passwd pgrep pidof ping pivot_root pkill poweroff printenv printf ps pwd readlink ' +
  'realpath reboot renice reset rev rm rmdir route sed seq setsid sh sha256sum sleep sort split stat strings stty su sync sysctl tac tail tar tee test ' +
  'time timeout top touch tr true truncate tty umount uname uniq unlink unshare uptime vi watch wc wget which who whoami xargs yes'
).split(' ');

export const dir = (name: string, mode = 0o755): TarEntry => entry(name, { type: 'dir', mode });
export const program = (name: string, what: string, size?: number): TarEntry => entry(name, { mode: 0o755, data: binaryFile(what, size) });
export const file = (name: string, data: string | Uint8Array, mode = 0o644): TarEntry => entry(name, { mode, data: typeof data === 'string' ? bytes(data) : data });
export const link = (name: string, target: string): TarEntry => entry(name, { type: 'link', mode: 0o777, target });

/** Passwd, groups and directories that every small system has. */
const SKELETON: TarEntry[] = [
  dir('bin'), dir('dev'), dir('etc'), dir('home'), dir('root', 0o700), dir('tmp', 0o1777), dir('usr'), dir('usr/bin'), dir('usr/sbin'), dir('var'),
  dir('var/log'), dir('var/spool'), dir('var/www'),
  file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n'),
  file('etc/group', 'root:x:0:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n'),
  file('etc/shadow', 'root:*:::::::\n', 0o600),
];

const busybox = (size?: number): TarEntry[] => [...SKELETON, program('bin/busybox', 'busybox', size), ...APPLETS.map((a) => link(`bin/${a}`, 'busybox'))];

/** A whole tree is made when an image is built of it: its binaries take megabytes. */
export const busyboxTree = (): TarEntry[] => busybox();

/** Alpine 3.22's busybox and musl, in bytes. */
const ALPINE_BUSYBOX = 808_712;
const MUSL = 667_656;

export const alpineTree = (): TarEntry[] => [
  ...busybox(ALPINE_BUSYBOX), dir('lib'), file('lib/ld-musl-x86_64.so.1', new Uint8Array(MUSL), 0o755), link('lib/libc.musl-x86_64.so.1', 'ld-musl-x86_64.so.1'), file('etc/alpine-release', '3.22.2\n'), file('etc/os-release', 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.22.2\nPRETTY_NAME="Alpine Linux v3.22"\n'),
];

export const debianTree = (): TarEntry[] => [
  ...busybox(), link('bin/bash', 'busybox'), file('etc/debian_version', '13.1\n'), file('etc/os-release', 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n'),
];

const NGINX_CONF = `user  nginx;
worker_processes  2;
error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;
events { worker_connections  1024; }
http {
    server {
        listen       80;
        location / { root   /usr/share/nginx/html; index  index.html; }
    }
}
`;
const NGINX_INDEX = `<!DOCTYPE html>
<html>
<head><title>Welcome to nginx!</title></head>
<body>
<h1>Welcome to nginx!</h1>
<p>This server runs in a container of the lab.</p>
</body>
</html>
`;

/** Below rootfs/ of nginx's context. */
export const nginxTree = (): TarEntry[] => [
  dir('usr'), dir('usr/sbin'), program('usr/sbin/nginx', 'nginx'), dir('etc'), dir('etc/nginx'), file('etc/nginx/nginx.conf', NGINX_CONF),
  file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnginx:x:101:101:nginx user:/nonexistent:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n'),
  dir('usr/share'), dir('usr/share/nginx'), dir('usr/share/nginx/html'), file('usr/share/nginx/html/index.html', NGINX_INDEX),
  dir('var'), dir('var/log'), dir('var/log/nginx'), link('var/log/nginx/access.log', '/dev/stdout'), link('var/log/nginx/error.log', '/dev/stderr'), dir('run'),
];
