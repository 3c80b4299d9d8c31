/**
 * The machine on which the docker recording began: dockerd and containerd without images or containers, a busybox root at
 * /root/bb to import (binaries as large as the real ones, hog and burn among them), a build context at /tmp/ctx.
 */
import type { Tree, TreeEntry } from '../../kernel/vfs/build.ts';
import { bytes } from '../../sim/text.ts';
import { APPLETS } from '../../userland/containers/images.ts';
import type { ScenarioSpec } from '../scenario.ts';

const file = (data: string | Uint8Array, mode = 0o644): TreeEntry => ({ type: 'file', data, mode });

const binary = (name: string, size: number): TreeEntry => ({ type: 'program', name, size, mode: 0o755 });

/** Of which 3,123,863,552 bytes are MemTotal. */
const MEMORY = 3_220_480_000;
const PASSWD = 'root:x:0:0:root:/root:/bin/sh\n';
const GROUP = 'root:x:0:\n';
const BUSYBOX = 2_024_968;
const HOG = 787_510;
const TOTAL = 3_600_028;

export function busyboxRoot(): Tree {
  const tree: Tree = {};
  for (const dir of ['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp']) tree[`/root/bb/${dir}`] = { type: 'dir', mode: dir === 'tmp' ? 0o1777 : 0o755 };
  tree['/root/bb/bin/busybox'] = binary('busybox', BUSYBOX);
  tree['/root/bb/bin/hog'] = binary('hog', HOG);
  tree['/root/bb/bin/burn'] = binary('burn', TOTAL - BUSYBOX - HOG - PASSWD.length - GROUP.length);
  for (const applet of APPLETS) tree[`/root/bb/bin/${applet}`] = { type: 'link', target: 'busybox' };
  tree['/root/bb/etc/passwd'] = file(PASSWD);
  tree['/root/bb/etc/group'] = file(GROUP);
  return tree;
}

const DOCKERFILE = `FROM busybox
LABEL maintainer=me
ENV FOO=bar PATH=/bin:/app
WORKDIR /app
COPY app.sh /app/
RUN echo built > /built && mkdir /data
RUN rm /app/app.sh && echo hi > /data/x
COPY app.sh sub /app/
ARG VER=1
RUN echo $VER > /ver
EXPOSE 8080/tcp
VOLUME /data
USER 1000
ENTRYPOINT ["/app/app.sh"]
CMD ["default"]
`;

/** Dockerfiles of the cases of `docker build`, by the ending of their names. */
const CASES: Readonly<Record<string, string>> = {
  badinst: 'FROM busybox\nFOO x\n', nofrom: 'RUN x\n', failrun: 'FROM busybox\nRUN exit 5\n', missing: 'FROM busybox\nCOPY nosuch /x\n', empty: '', noimage: 'FROM nosuchbase:9\n',
  multi: 'FROM busybox AS b\nRUN echo x > /out\nFROM scratch\nCOPY --from=b /out /out\nCOPY --from=b /bin/busybox /bin/sh\nCMD ["/bin/sh","-c","echo multi"]\n', onlyscratch: 'FROM scratch\n',
  addurl: 'FROM busybox\nADD sub/f /q/\nHEALTHCHECK CMD true\nSTOPSIGNAL SIGINT\nSHELL ["/bin/sh","-ec"]\nONBUILD RUN echo x\n',
};

function context(): Tree {
  const tree: Tree = { '/tmp/ctx/Dockerfile': file(DOCKERFILE), '/tmp/ctx/app.sh': file('#!/bin/sh\necho app $1\n', 0o755), '/tmp/ctx/sub/f': file('f\n') };
  for (const [name, text] of Object.entries(CASES)) tree[`/tmp/ctx/D.${name}`] = file(text);
  return tree;
}

export const dockerScenario = (): ScenarioSpec => ({
  name: 'recorded/docker',
  hosts: [{
    name: 'oracle', guest: true, cpus: 2, memory: MEMORY, address: '', services: ['containerd', 'docker'], images: [], domains: [],
    files: { ...busyboxRoot(), ...context(), '/etc/resolv.conf': file('nameserver 192.0.2.53\n'), '/root/.bashrc': file(bytes('export B=fromhost\n')), '/usr/libexec/docker/cli-plugins/docker-compose': file('') },
  }],
  cluster: null,
  manifests: [],
});
