/**
 * What is on a machine's disk when it boots: a small Debian-like base, a binary for every program, units for its
 * services, its images and domains. Data only; the machine's own init does the rest.
 */
import type { Tree } from '../kernel/vfs/build.ts';
import { bytes } from '../sim/text.ts';
import { assemble } from '../machine/isa/assemble.ts';
import { CNI_PLUGINS } from '../userland/containers/cni/table.ts';
import { imageSources } from '../userland/containers/images/sources.ts';
import { CONTAINERD, DOCKER, preloadedImages } from '../userland/containers/store.ts';
import { sizeOfProgram } from '../userland/sizes.ts';
import { nameOf, type Programs } from '../userland/supply.ts';
import { NAME_SERVER } from './outside.ts';
import { CSI_DISK_YAML, KEEPER_YAML, LOCAL_PATH_YAML } from './storage.ts';
import { API_SERVER, bmcAddress, type HostSpec, POD_NETWORK, type ScenarioSpec, type Service } from './scenario.ts';

/** What the engine is given from outside: the processor's module, the programs and the sources of its guests. */
export interface Assets {
  cpu: WebAssembly.Module;
  programs: Programs;
  /** File name to assembly source, e.g. "tiny.asm". */
  guests: Readonly<Record<string, string>>;
  /** Images assembled from these sources beforehand, by the name of their source; the others are assembled when a world is built. */
  images?: Readonly<Record<string, Uint8Array>>;
  /** Stores of container images worked out beforehand, by `storeName`; the others are filled when a world is built. */
  stores?: Readonly<Record<string, Tree>>;
}

const UNITS: Record<Service, { exec: string; description: string; after: string }> = {
  containerd: { exec: '/usr/bin/containerd', description: 'containerd container runtime', after: '' },
  docker: { exec: '/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock', description: 'Docker Application Container Engine', after: 'containerd.service' },
  libvirtd: { exec: '/usr/sbin/libvirtd', description: 'Virtualization daemon', after: '' },
  'kube-proxy': { exec: '/usr/bin/kube-proxy --kubeconfig=/etc/kubernetes/kubelet.conf --cluster-cidr=10.244.0.0/16', description: 'Kubernetes Kube-Proxy Server', after: '' },
  flanneld: { exec: '/usr/bin/flanneld --kubeconfig=/etc/kubernetes/kubelet.conf', description: 'flannel: pod network', after: '' },
  'kube-router': { exec: '/usr/bin/kube-router --run-firewall=true --run-router=false --run-service-proxy=false --kubeconfig=/etc/kubernetes/kubelet.conf', description: 'kube-router: network policies', after: '' },
  ssh: { exec: '/usr/sbin/sshd -D', description: 'OpenBSD Secure Shell server', after: '' },
  kubelet: { exec: '/usr/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml', description: 'kubelet: The Kubernetes Node Agent', after: 'containerd.service' },
};

/** Services that tell the manager when they are ready (sd_notify). */
const NOTIFIES: ReadonlySet<Service> = new Set(['containerd', 'docker', 'libvirtd']);

const file = (data: string | Uint8Array, mode = 0o644): Tree[string] => ({ type: 'file', data, mode });
const dir = (mode = 0o755): Tree[string] => ({ type: 'dir', mode });

/** The whole disk of one machine. */
export function treeOf(host: HostSpec, scenario: ScenarioSpec, assets: Assets): Tree {
  return {
    ...base(host, scenario),
    ...binaries(assets.programs),
    ...units(host),
    ...(host.images.length > 0 ? (assets.stores?.[storeName(host)] ?? storeOf(host)) : {}),
    ...(host.services.includes('kubelet') ? { '/etc/crictl.yaml': file('runtime-endpoint: unix:///run/containerd/containerd.sock\nimage-endpoint: unix:///run/containerd/containerd.sock\ntimeout: 10\ndebug: false\n') } : {}),
    ...(scenario.cluster ? kubernetes(host, scenario.cluster.network ?? 'host-gw') : {}),
    ...domains(host, assets),
    ...(host.services.includes('libvirtd') ? nest(assets) : {}),
    ...host.files,
  };
}

const hasDocker = (host: HostSpec): boolean => host.services.includes('docker');

export const storeName = (host: HostSpec): string => `${hasDocker(host) ? 'docker' : 'containerd'} ${host.images.join(' ')}`;

/** The images that lie on a host's disk, with docker what they are built from too. */
export function storeOf(host: HostSpec): Tree {
  return { ...(hasDocker(host) ? imageSources() : {}), ...preloadedImages(host.images, hasDocker(host) ? DOCKER : CONTAINERD) };
}

const SET_USER_ID = new Set(['newgidmap', 'newuidmap', 'ping', 'su', 'sudo']);

function binaries({ installed }: Programs): Tree {
  const tree: Tree = {};
  for (const path of installed) {
    const name = nameOf(path);
    tree[path] = { type: 'program', name, size: sizeOfProgram(name), mode: SET_USER_ID.has(name) ? 0o4755 : 0o755 };
  }
  return tree;
}

function base(host: HostSpec, scenario: ScenarioSpec): Tree {
  const names = scenario.hosts.map((h) => `${h.address || '127.0.1.1'} ${h.name}\n${h.services.includes('kubelet') ? `${bmcAddress(h.address)} ${h.name}-bmc\n` : ''}`).join('');
  return {
    '/bin': { type: 'link', target: 'usr/bin' },
    '/sbin': { type: 'link', target: 'usr/sbin' },
    '/lib': { type: 'link', target: 'usr/lib' },
    '/usr/bin': dir(), '/usr/sbin': dir(), '/usr/lib': dir(), '/usr/share': dir(), '/usr/local/bin': dir(),
    '/dev': dir(), '/proc': dir(0o555), '/sys': dir(0o555), '/run': dir(), '/tmp': dir(0o1777), '/mnt': dir(), '/srv': dir(), '/opt': dir(), '/home': dir(),
    '/var/run': { type: 'link', target: '/run' },
    '/var/log': dir(), '/var/tmp': dir(0o1777), '/var/lib': dir(), '/var/cache': dir(),
    '/root': dir(0o700), '/root/uploads': dir(),
    '/etc/hostname': file(`${host.name}\n`),
    '/etc/hosts': file(`127.0.0.1 localhost\n${names}${API_SERVER.address} control-plane\n${bmcAddress(API_SERVER.address)} control-plane-bmc\n`),
    '/etc/subuid': file('student:100000:65536\n'), '/etc/subgid': file('student:100000:65536\n'),
    '/etc/passwd': file('root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nstudent:x:1000:1000:student:/home/student:/bin/bash\n'),
    '/etc/group': file('root:x:0:\ndaemon:x:1:\ntty:x:5:\ndisk:x:6:\nsudo:x:27:\nkvm:x:104:\ndocker:x:999:\nnogroup:x:65534:\nstudent:x:1000:\n'),
    '/etc/shadow': file('root:*:20468:0:99999:7:::\ndaemon:*:20468:0:99999:7:::\nnobody:*:20468:0:99999:7:::\nstudent:!:20468:0:99999:7:::\n', 0o640),
    '/etc/resolv.conf': file(scenario.outside ? `nameserver ${NAME_SERVER}\n` : '# not modelled: DNS beyond /etc/hosts\n'),
    '/etc/os-release': file('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nVERSION="13 (trixie)"\nVERSION_CODENAME=trixie\nID=debian\n'),
    '/etc/debian_version': file('13.1\n'),
    '/etc/shells': file('/bin/sh\n/bin/bash\n'),
    '/home/student': { type: 'dir', mode: 0o755 },
    ...(host.plainInit ? { '/etc/nestbox/plain-init': file('') } : {}),
  };
}

const DOCUMENTED: Readonly<Record<string, string>> = { docker: 'https://docs.docker.com', containerd: 'https://containerd.io' };

function units(host: HostSpec): Tree {
  const tree: Tree = { '/etc/systemd/system': dir() };
  for (const service of host.services) {
    const { exec, description, after } = UNITS[service];
    tree[`/etc/systemd/system/${service}.service`] = file(
      `[Unit]\nDescription=${description}\n${DOCUMENTED[service] ? `Documentation=${DOCUMENTED[service]}\n` : ''}${after ? `After=${after}\n` : ''}\n[Service]\nType=${NOTIFIES.has(service) ? 'notify' : 'simple'}\nExecStart=${exec}\nRestart=always\n${service === 'containerd' || service === 'docker' ? `${service === 'docker' ? 'ExecReload=/bin/kill -s HUP $MAINPID\nTimeoutStartSec=0\nRestartSec=2\nOOMScoreAdjust=-500\n' : 'RestartSec=5\nOOMScoreAdjust=-999\n'}LimitNPROC=infinity\nLimitCORE=infinity\n${service === 'docker' ? '' : 'LimitNOFILE=infinity\n'}TasksMax=infinity\nDelegate=yes\nKillMode=process\n` : ''}\n[Install]\nWantedBy=multi-user.target\n`,
    );
  }
  return tree;
}

function kubernetes(host: HostSpec, network: 'host-gw' | 'vxlan'): Tree {
  const config = (user: string): string =>
    `apiVersion: v1\nkind: Config\nclusters:\n- name: nestbox\n  cluster:\n    server: http://${API_SERVER.address}:${API_SERVER.port}\nusers:\n- name: ${user}\n  user: {}\ncontexts:\n- name: nestbox\n  context:\n    cluster: nestbox\n    user: ${user}\ncurrent-context: nestbox\n`;
  const tree: Tree = { '/root/.kube/config': file(config('admin'), 0o600), '/root/web.yaml': file(WEB_YAML), '/root/csi-disk.yaml': file(CSI_DISK_YAML), '/root/local-path.yaml': file(LOCAL_PATH_YAML), '/root/keeper.yaml': file(KEEPER_YAML) };
  if (!host.services.includes('kubelet')) return tree;
  return {
    ...tree,
    ...Object.fromEntries(CNI_PLUGINS.map((name) => [`/opt/cni/bin/${name}`, { type: 'program' as const, name: `cni-${name}`, mode: 0o755 }])),
    '/etc/kubernetes/kubelet.conf': file(config(`system:node:${host.name}`), 0o600),
    '/etc/kubernetes/manifests': dir(), '/var/lib/kubelet': dir(), '/var/lib/kubelet/config.yaml': file(KUBELET_YAML), '/etc/machine-id': file(`${host.name.replace(/\D/g, '').padStart(32, '6d1e5f40')}\n`),
    '/etc/kube-flannel/net-conf.json': file(`${JSON.stringify({ Network: POD_NETWORK, EnableNFTables: false, Backend: { Type: network } }, null, 2)}\n`),
    '/etc/cni/net.d/10-flannel.conflist': file(
      `${JSON.stringify({ name: 'cbr0', cniVersion: '0.3.1', plugins: [{ type: 'flannel', delegate: { hairpinMode: true, isDefaultGateway: true } }, { type: 'portmap', capabilities: { portMappings: true } }] }, null, 2)}\n`,
    ),
  };
}

/** The kubelet's settings; what is not said is as the kubelet has it. */
const KUBELET_YAML = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
staticPodPath: /etc/kubernetes/manifests
maxPods: 110
evictionHard:
  memory.available: 100Mi
  nodefs.available: 10%
  nodefs.inodesFree: 5%
  imagefs.available: 15%
`;

/** A manifest to begin with: three kinds, one file. */
const WEB_YAML = `apiVersion: v1
kind: ConfigMap
metadata:
  name: web
data:
  greeting: hello from the lab
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    app: web
spec:
  replicas: 3
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      - name: nginx
        image: nginx
        ports:
        - containerPort: 80
        resources:
          requests:
            cpu: 250m
            memory: 128Mi
          limits:
            memory: 256Mi
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
  - port: 80
    targetPort: 80
`;

function domains(host: HostSpec, assets: Assets): Tree {
  const tree: Tree = {};
  for (const name of host.domains) {
    tree[`/var/lib/libvirt/images/${name}.bin`] = file(imageOf(`${name}.asm`, assets));
    tree[`/etc/libvirt/qemu/${name}.xml`] = file(bytes(domainXml(name)), 0o600);
  }
  return tree;
}

/** The small operating system that techniques are compared with and its twin for paravirtualization, as images; every guest as its source. */
function nest(assets: Assets): Tree {
  return {
    ...Object.fromEntries(['nest', 'nest-pv'].map((name) => [`/var/lib/libvirt/images/${name}.img`, file(imageOf(`${name}.asm`, assets))])),
    ...Object.fromEntries(Object.entries(assets.guests).map(([name, source]) => [`/usr/share/nestbox/guests/${name}`, file(source)])),
  };
}

/** Images that were assembled from the same sources before: a world is built often. */
const assembled = new Map<string, { sources: Assets['guests']; image: Uint8Array }>();

function imageOf(name: string, assets: Assets): Uint8Array {
  const given = assets.images?.[name];
  if (given) return given;
  const before = assembled.get(name);
  if (before?.sources === assets.guests) return before.image;
  const { bytes: image, errors } = assemble(assets.guests[name] ?? '', name, (included) => assets.guests[included] ?? null);
  if (errors.length > 0) throw new Error(`guests/${errors[0]!.text}`);
  assembled.set(name, { sources: assets.guests, image });
  return image;
}

function domainXml(name: string): string {
  return `<domain type='kvm'>
  <name>${name}</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory unit='KiB'>65536</memory>
  <currentMemory unit='KiB'>65536</currentMemory>
  <vcpu placement='static'>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>
    <kernel>/var/lib/libvirt/images/${name}.bin</kernel>
    <boot dev='hd'/>
  </os>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='pty'>
      <target type='isa-serial' port='0'>
        <model name='isa-serial'/>
      </target>
    </serial>
    <console type='pty'>
      <target type='serial' port='0'/>
    </console>
  </devices>
</domain>
`;
}
