/**
 * The Dockerfiles of the images that can be had without a network, each with the files of its context and its tags. They lie
 * under /usr/share/nestbox/images on a machine with docker too, to be read and built again.
 */
import { type TarEntry, writeTar } from '../tar.ts';
import { alpineTree, busyboxTree, debianTree, dir, file, nginxTree, program } from './rootfs.ts';

export interface Recipe {
  tags: readonly string[];
  dockerfile: string;
  /** Everything beside the Dockerfile. */
  context(): TarEntry[];
}

const below = (name: string, entries: readonly TarEntry[]): TarEntry[] => [dir(name), ...entries.map((e) => ({ ...e, name: `${name}/${e.name}` }))];

/** Bytes of the binaries in hello-world:latest and pause:3.10. */
const HELLO = 10_072;
const PAUSE = 735_000;

export const RECIPES: Readonly<Record<string, Recipe>> = {
  busybox: {
    tags: ['busybox:latest', 'busybox:1.37'], context: () => [file('busybox.tar', writeTar(busyboxTree()))],
    dockerfile: `FROM scratch
ADD busybox.tar /
CMD ["sh"]
`,
  },
  alpine: {
    tags: ['alpine:latest', 'alpine:3.22'], context: () => [file('alpine-minirootfs.tar', writeTar(alpineTree()))],
    dockerfile: `FROM scratch
ADD alpine-minirootfs.tar /
CMD ["/bin/sh"]
`,
  },
  debian: {
    tags: ['debian:latest', 'debian:13'], context: () => [file('rootfs.tar', writeTar(debianTree()))],
    dockerfile: `FROM scratch
ADD rootfs.tar /
CMD ["bash"]
`,
  },
  stress: {
    tags: ['stress:latest'], context: () => [program('stress', 'stress')],
    dockerfile: `FROM busybox
COPY stress /usr/bin/stress
ENTRYPOINT ["stress"]
CMD ["--help"]
`,
  },
  nginx: {
    tags: ['nginx:latest', 'nginx:1.29'], context: () => below('rootfs', nginxTree()),
    dockerfile: `FROM busybox
LABEL maintainer="nestbox lab"
ENV NGINX_VERSION=1.29.3
COPY rootfs/ /
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
`,
  },
  redis: {
    tags: ['redis:latest', 'redis:8'], context: () => [program('redis-server', 'redis-server'), program('redis-cli', 'redis-cli')],
    dockerfile: `FROM busybox
ENV REDIS_VERSION=8.2.3
COPY redis-server redis-cli /usr/local/bin/
VOLUME /data
WORKDIR /data
EXPOSE 6379
CMD ["redis-server"]
`,
  },
  'hello-world': {
    tags: ['hello-world:latest'], context: () => [program('hello', 'hello', HELLO)],
    dockerfile: `FROM scratch
COPY hello /
CMD ["/hello"]
`,
  },
  'hello-app': {
    tags: ['hello-app:latest', 'hello-app:1.0'], context: () => [program('hello-app', 'hello-app')],
    dockerfile: `FROM busybox
ENV PORT=8080
COPY hello-app /
EXPOSE 8080
CMD ["/hello-app"]
`,
  },
  registry: {
    tags: ['registry:latest', 'registry:2'], context: () => [program('registry', 'registry')],
    dockerfile: `FROM alpine
COPY registry /bin/registry
VOLUME ["/var/lib/registry"]
EXPOSE 5000
ENTRYPOINT ["/bin/registry"]
CMD ["serve"]
`,
  },
  ...Object.fromEntries([
    ['registry.k8s.io/sig-storage/csi-provisioner', 'v5.1.0', 'csi-provisioner'], ['registry.k8s.io/sig-storage/csi-attacher', 'v4.7.0', 'csi-attacher'], ['registry.k8s.io/sig-storage/csi-resizer', 'v1.12.0', 'csi-resizer'],
    ['registry.k8s.io/sig-storage/csi-node-driver-registrar', 'v2.12.0', 'csi-node-driver-registrar'], ['nestbox/csi-disk', 'v1.0.0', 'csi-disk'], ['rancher/local-path-provisioner', 'v0.0.30', 'local-path-provisioner'],
  ].map(([name, version, binary]): [string, Recipe] => [name!, { tags: [`${name}:${version}`], context: () => [program(binary!, binary!)], dockerfile: `FROM scratch\nCOPY ${binary} /${binary}\nENTRYPOINT ["/${binary}"]\n` }])),
  'registry.k8s.io/coredns/coredns': {
    tags: ['registry.k8s.io/coredns/coredns:latest', 'registry.k8s.io/coredns/coredns:v1.11.3'], context: () => [program('coredns', 'coredns')],
    dockerfile: `FROM scratch
COPY coredns /coredns
WORKDIR /
EXPOSE 53 53/udp
ENTRYPOINT ["/coredns"]
`,
  },
  'registry.k8s.io/e2e-test-images/jessie-dnsutils': {
    tags: ['registry.k8s.io/e2e-test-images/jessie-dnsutils:latest', 'registry.k8s.io/e2e-test-images/jessie-dnsutils:1.7', 'registry.k8s.io/e2e-test-images/jessie-dnsutils:1.3'],
    context: () => [program('dig', 'dig'), program('nslookup', 'nslookup')],
    dockerfile: `FROM debian
COPY dig nslookup /usr/bin/
CMD ["sleep", "86400"]
`,
  },
  'registry.k8s.io/pause': {
    tags: ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:latest'], context: () => [dir('bin'), program('bin/pause', 'pause', PAUSE)],
    dockerfile: `FROM scratch
ADD bin/pause /pause
USER 65535:65535
ENTRYPOINT ["/pause"]
`,
  },
};
