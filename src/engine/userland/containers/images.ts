/**
 * The images that the lab offers without a network, as data: what lies in each layer and how it is run. Layers become
 * real tars and configs real JSON, so every digest is a true sha256. Binaries are markers of some sixty bytes that name a
 * modelled program, so the sizes shown are small. Built once a process and kept by name.
 */
import { bytes } from '../../sim/text.ts';
import { digestOf, type ImageConfig, parseReference, type ReadImage } from './oci.ts';
import { entry, type TarEntry, writeTar } from './tar.ts';

const CREATED = '2025-11-18T20:26:41Z';
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Applets that the modelled busybox answers to; each is a link in /bin. */
export const APPLETS = (
  'arch ash awk base64 basename cal cat chgrp chmod chown chroot clear cmp cp cut date dd df diff dirname dmesg du echo egrep env expr false ' +
  'fgrep find fold free fsync getopt grep groups gunzip gzip head hexdump hostid hostname httpd id install ionice ip kill killall less link ln ' +
  'logger login logname ls lsmod md5sum mkdir mkfifo mknod mktemp more mount mountpoint mv nc netstat nice nl nohup nproc nsenter nslookup od ' +
  'passwd paste pgrep pidof ping pivot_root pkill poweroff printenv printf ps pwd readlink realpath reboot renice reset rev rm rmdir route sed ' +
  'seq setpriv setsid sh sha256sum sleep sort split stat strings stty su sync sysctl tac tail tar taskset tee test time timeout top touch tr ' +
  'traceroute true truncate tty umount uname uniq unlink unshare uptime vi w watch wc wget which who whoami xargs xxd yes zcat'
).split(' ');

/** The content of a binary that stands for a modelled program. */
export function marker(program: string): Uint8Array {
  return bytes(`\x7fELFnestbox:${program}\n`);
}

const dir = (name: string, mode = 0o755): TarEntry => entry(name, { type: 'dir', mode });
const program = (name: string, what: string): TarEntry => entry(name, { mode: 0o755, data: marker(what) });
const file = (name: string, data: string, mode = 0o644): TarEntry => entry(name, { mode, data: bytes(data) });
const link = (name: string, target: string): TarEntry => entry(name, { type: 'link', mode: 0o777, target });

/** Passwd, groups and directories that every small system has. */
const SKELETON: TarEntry[] = [
  dir('bin'), dir('dev'), dir('etc'), dir('home'), dir('root', 0o700), dir('tmp', 0o1777), dir('usr'), dir('usr/bin'), dir('usr/sbin'), dir('var'),
  dir('var/log'), dir('var/spool'), dir('var/www'),
  file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n'),
  file('etc/group', 'root:x:0:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n'),
  file('etc/shadow', 'root:*:::::::\n', 0o600),
];

export const BUSYBOX_TREE: TarEntry[] = [
  ...SKELETON, program('bin/busybox', 'busybox'), ...APPLETS.map((a) => link(`bin/${a}`, 'busybox')),
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

interface Recipe {
  tags: string[];
  /** Bottom first, each with the command that history shows for it. */
  layers: { by: string; entries: TarEntry[] }[];
  config: ImageConfig['config'];
}

const baseLayer = (by: string): { by: string; entries: TarEntry[] } => ({ by, entries: BUSYBOX_TREE });
const ADD = 'ADD rootfs.tar / # buildkit';

const RECIPES: Readonly<Record<string, Recipe>> = {
  busybox: { tags: ['busybox:latest', 'busybox:1.37'], layers: [baseLayer('BusyBox 1.37.0 (glibc), Debian 13')], config: { Env: [PATH], Cmd: ['sh'] } },
  alpine: {
    tags: ['alpine:latest'],
    layers: [{ by: ADD, entries: [...BUSYBOX_TREE, file('etc/alpine-release', '3.22.2\n'), file('etc/os-release', 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.22.2\nPRETTY_NAME="Alpine Linux v3.22"\n')] }],
    config: { Env: [PATH], Cmd: ['/bin/sh'], WorkingDir: '/' },
  },
  debian: {
    tags: ['debian:latest', 'debian:13'],
    layers: [{ by: ADD, entries: [...BUSYBOX_TREE, link('bin/bash', 'busybox'), file('etc/debian_version', '13.1\n'), file('etc/os-release', 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n')] }],
    config: { Env: [PATH], Cmd: ['bash'] },
  },
  stress: {
    tags: ['stress:latest'],
    layers: [baseLayer(ADD), { by: 'COPY stress /usr/bin/stress # buildkit', entries: [dir('usr'), dir('usr/bin'), program('usr/bin/stress', 'stress')] }],
    config: { Env: [PATH], Entrypoint: ['stress'], Cmd: ['--help'] },
  },
  nginx: {
    tags: ['nginx:latest', 'nginx:1.29'],
    layers: [
      baseLayer(ADD),
      {
        by: 'RUN /bin/sh -c set -x && groupadd --system nginx && install nginx # buildkit',
        entries: [
          dir('usr'), dir('usr/sbin'), program('usr/sbin/nginx', 'nginx'), dir('etc'), dir('etc/nginx'), file('etc/nginx/nginx.conf', NGINX_CONF),
          file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnginx:x:101:101:nginx user:/nonexistent:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n'),
          dir('usr/share'), dir('usr/share/nginx'), dir('usr/share/nginx/html'), file('usr/share/nginx/html/index.html', NGINX_INDEX),
          dir('var'), dir('var/log'), dir('var/log/nginx'), link('var/log/nginx/access.log', '/dev/stdout'), link('var/log/nginx/error.log', '/dev/stderr'), dir('run'),
        ],
      },
    ],
    config: { Env: [PATH, 'NGINX_VERSION=1.29.3'], Cmd: ['nginx', '-g', 'daemon off;'], ExposedPorts: { '80/tcp': {} }, StopSignal: 'SIGQUIT', Labels: { maintainer: 'nestbox lab' } },
  },
  redis: {
    tags: ['redis:latest', 'redis:8'],
    layers: [
      baseLayer(ADD),
      { by: 'RUN /bin/sh -c install redis # buildkit', entries: [dir('data'), dir('usr'), dir('usr/local'), dir('usr/local/bin'), program('usr/local/bin/redis-server', 'redis-server'), program('usr/local/bin/redis-cli', 'redis-cli')] },
    ],
    config: { Env: [PATH, 'REDIS_VERSION=8.2.3'], Cmd: ['redis-server'], WorkingDir: '/data', ExposedPorts: { '6379/tcp': {} }, Volumes: { '/data': {} } },
  },
  'hello-world': { tags: ['hello-world:latest'], layers: [{ by: 'COPY hello / # buildkit', entries: [program('hello', 'hello')] }], config: { Env: [PATH], Cmd: ['/hello'], WorkingDir: '/' } },
  'hello-app': {
    tags: ['hello-app:latest', 'hello-app:1.0'], layers: [baseLayer(ADD), { by: 'COPY hello-app / # buildkit', entries: [program('hello-app', 'hello-app')] }],
    config: { Env: [PATH, 'PORT=8080'], Cmd: ['/hello-app'], ExposedPorts: { '8080/tcp': {} } },
  },
  'registry.k8s.io/pause': {
    tags: ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:latest'],
    layers: [{ by: 'ADD bin/pause /pause # buildkit', entries: [program('pause', 'pause')] }],
    config: { Env: [PATH], Entrypoint: ['/pause'], WorkingDir: '/', User: '65535:65535' },
  },
};

/** An image with its layers' entries at hand, so that no tar needs to be read to lay it on disk. */
export interface BuiltImage extends ReadImage {
  entries: TarEntry[][];
}

const built = new Map<string, BuiltImage>();
const layers = new Map<TarEntry[], { tar: Uint8Array; diffId: string }>();

/** Names of the images that can be had offline. */
export function offlineImages(): string[] {
  return Object.keys(RECIPES);
}

/** The offline image of this name (with or without a tag it has), or null. */
export function buildImage(reference: string): BuiltImage | null {
  const parsed = parseReference(reference);
  if ('error' in parsed) return null;
  const recipe = Object.hasOwn(RECIPES, parsed.name) ? RECIPES[parsed.name] : undefined;
  if (!recipe || (parsed.tag !== 'latest' && !recipe.tags.includes(`${parsed.name}:${parsed.tag}`))) return null;
  const known = built.get(parsed.name);
  if (known) return known;
  const parts = recipe.layers.map(layerOf);
  const config: ImageConfig = {
    architecture: 'amd64', os: 'linux', created: CREATED, config: recipe.config,
    rootfs: { type: 'layers', diff_ids: parts.map((p) => p.diffId) },
    history: [
      ...recipe.layers.map((l) => ({ created: CREATED, created_by: l.by, comment: 'buildkit.dockerfile.v0' })),
      ...(recipe.config.Cmd ? [{ created: CREATED, created_by: `CMD [${recipe.config.Cmd.map((c) => JSON.stringify(c)).join(' ')}]`, comment: 'buildkit.dockerfile.v0', empty_layer: true }] : []),
    ],
  };
  const configText = JSON.stringify(config);
  const image: BuiltImage = {
    id: digestOf(configText), configText, config, tags: recipe.tags, layers: parts.map((p) => p.tar), entries: recipe.layers.map((l) => l.entries),
  };
  built.set(parsed.name, image);
  return image;
}

function layerOf(layer: { entries: TarEntry[] }): { tar: Uint8Array; diffId: string } {
  const known = layers.get(layer.entries);
  if (known) return known;
  const tar = writeTar(layer.entries);
  const made = { tar, diffId: digestOf(tar) };
  layers.set(layer.entries, made);
  return made;
}
