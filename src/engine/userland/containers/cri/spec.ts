/** From the interface's configuration and an image's to an OCI specification. Source: containerd pkg/cri/server/{container,sandbox}_create_linux.go. */
import { tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import type { ImageConfig } from '../oci.ts';
import { DEFAULT_MASKED, DEFAULT_READONLY, type Process, type Resources, type Spec, type SpecMount } from '../runc/spec.ts';
import { CONTAINERD, layerDir } from '../store.ts';
import { CriError, type Message, STATE, ROOT, type Sandbox } from './state.ts';

const CAPS = 'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'.split(' ').map((c) => `CAP_${c}`);
const ALL_CAPS = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE ' +
  'SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ').map((c) => `CAP_${c}`);
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function baseMounts(cgroup: 'ro' | 'rw'): SpecMount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', cgroup] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'relatime', cgroup] },
  ];
}

/** cgroupsPath of the systemd driver for a parent such as "/kubepods.slice/kubepods-pod1.slice"; else parent/id. */
export function cgroupOf(parent: string, id: string): { cgroupsPath: string; systemd: boolean } {
  const last = parent.split('/').filter((p) => p !== '').at(-1) ?? '';
  if (last.endsWith('.slice')) return { cgroupsPath: `${last}:cri-containerd:${id}`, systemd: true };
  return { cgroupsPath: `${parent === '' ? '/k8s.io' : parent}/${id}`, systemd: false };
}

/** Command line, after the rules of Kubernetes over an image's Entrypoint and Cmd. */
function argsOf(command: readonly string[], args: readonly string[], image: ImageConfig): string[] {
  const { Entrypoint, Cmd } = image.config;
  const out = command.length > 0 ? [...command, ...args] : [...(Entrypoint ?? []), ...(args.length > 0 ? args : (Cmd ?? []))];
  if (out.length === 0) throw new CriError('Unknown', 'failed to generate container spec: no command specified');
  return out;
}

function envOf(image: ImageConfig, more: readonly { key: string; value: string }[], hostname: string): string[] {
  const all = new Map<string, string>();
  const given = image.config.Env ?? [];
  for (const one of [PATH, ...given]) all.set(one.split('=')[0]!, one);
  all.set('HOSTNAME', `HOSTNAME=${hostname}`);
  for (const { key, value } of more) all.set(key, `${key}=${value ?? ''}`);
  return [...all.values()];
}

/** A user such as "101:101" or "nginx" by the passwd and group of the image's topmost layer that has them. */
export function* userOf(user: string, chain: readonly string[]): Call<{ uid: number; gid: number }> {
  const [name = '', group] = user.split(':');
  if (name === '') return { uid: 0, gid: 0 };
  const passwd = yield* fromLayers(chain, 'etc/passwd');
  const line = passwd.find((l) => l[0] === name || l[2] === name);
  if (!line && !/^\d+$/.test(name)) throw new CriError('Unknown', `failed to generate container "${name}" spec: no users found`);
  const uid = line ? Number(line[2]) : Number(name);
  if (group === undefined) return { uid, gid: line ? Number(line[3]) : 0 };
  const groups = /^\d+$/.test(group) ? [] : yield* fromLayers(chain, 'etc/group');
  return { uid, gid: /^\d+$/.test(group) ? Number(group) : Number(groups.find((l) => l[0] === group)?.[2] ?? 0) };
}

function* fromLayers(chain: readonly string[], path: string): Call<string[][]> {
  for (const id of [...chain].reverse()) {
    const source = yield* tryRead(`${layerDir(CONTAINERD, id)}/${CONTAINERD.files}/${path}`);
    if (source !== null) return source.split('\n').map((l) => l.split(':'));
  }
  return [];
}

function capabilities(security: Message): Process['capabilities'] {
  if (security?.privileged) return { bounding: ALL_CAPS, effective: ALL_CAPS, permitted: ALL_CAPS };
  const name = (c: string): string => (c.startsWith('CAP_') ? c : `CAP_${c.toUpperCase()}`);
  const added: string[] = (security?.capabilities?.addCapabilities ?? []).flatMap((c: string) => (c.toUpperCase() === 'ALL' ? ALL_CAPS : [name(c)]));
  const dropped: string[] = (security?.capabilities?.dropCapabilities ?? []).map(name);
  const base = dropped.includes('CAP_ALL') ? [] : CAPS.filter((c) => !dropped.includes(c));
  const set = [...new Set([...base, ...added])];
  return { bounding: set, effective: set, permitted: set };
}

export function resourcesOf(r: Message): Resources {
  const n = (x: unknown): number => Number(x ?? 0);
  return {
    memory: { ...(n(r?.memoryLimitInBytes) > 0 ? { limit: n(r.memoryLimitInBytes) } : {}), ...(n(r?.memorySwapLimitInBytes) > 0 ? { swap: n(r.memorySwapLimitInBytes) } : {}) },
    cpu: {
      ...(n(r?.cpuShares) > 0 ? { shares: n(r.cpuShares) } : {}), ...(n(r?.cpuQuota) > 0 ? { quota: n(r.cpuQuota), period: n(r.cpuPeriod) || 100000 } : {}),
      ...(r?.cpusetCpus ? { cpus: r.cpusetCpus } : {}), ...(r?.cpusetMems ? { mems: r.cpusetMems } : {}),
    },
    ...(r?.unified ? { unified: r.unified } : {}),
  };
}

interface Given {
  id: string;
  image: ImageConfig;
  chain: readonly string[];
}

/** The pod's own container: it only holds the namespaces. */
export function* sandboxSpec(g: Given, config: Message, netns: string): Call<Spec> {
  const security = config.linux?.securityContext;
  const user = yield* userOf(g.image.config.User ?? '', g.chain);
  return {
    ociVersion: '1.2.0',
    process: {
      user, args: argsOf([], [], g.image), env: envOf(g.image, [], config.hostname ?? ''), cwd: g.image.config.WorkingDir || '/', capabilities: capabilities(null), noNewPrivileges: true, oomScoreAdj: -998,
    },
    root: { path: 'rootfs', readonly: true },
    ...(config.hostname ? { hostname: config.hostname } : {}),
    mounts: [...baseMounts('ro'), { destination: '/dev/shm', type: 'bind', source: `${STATE}/sandboxes/${g.id}/shm`, options: ['rbind', 'ro'] }],
    annotations: annotationsOf('sandbox', g.id, g.id, config),
    linux: {
      namespaces: [
        { type: 'pid' }, { type: 'ipc' }, { type: 'mount' }, { type: 'cgroup' }, ...(netns === '' ? [] : [{ type: 'uts' }, { type: 'network', path: netns }]),
      ].filter((n) => !(n.type === 'pid' && security?.namespaceOptions?.pid === 'NODE')),
      cgroupsPath: cgroupOf(config.linux?.cgroupParent ?? '', g.id).cgroupsPath, resources: { cpu: { shares: 2 } }, maskedPaths: DEFAULT_MASKED, readonlyPaths: DEFAULT_READONLY,
    },
  };
}

function annotationsOf(type: 'sandbox' | 'container', id: string, sandboxId: string, config: Message): Record<string, string> {
  return {
    ...config.annotations, 'io.kubernetes.cri.container-type': type, 'io.kubernetes.cri.sandbox-id': sandboxId,
    ...(type === 'container' ? { 'io.kubernetes.cri.container-name': String(config.metadata?.name ?? '') } : {}), 'io.kubernetes.cri.id': id,
  };
}

/** `target`: pid of the process whose pid namespace a container to debug with joins. */
/** By the runtime interface's names. */
const PROPAGATION: Readonly<Record<string, string>> = { PROPAGATION_BIDIRECTIONAL: 'rshared', PROPAGATION_HOST_TO_CONTAINER: 'rslave' };

export function* containerSpec(g: Given, config: Message, sandbox: Sandbox, target = 0): Call<Spec> {
  const security = config.linux?.securityContext;
  const pod = sandbox.config;
  const privileged = security?.privileged === true;
  const options = security?.namespaceOptions ?? pod.linux?.securityContext?.namespaceOptions ?? {};
  const asked = security?.runAsUser?.value !== undefined ? `${security.runAsUser.value}${security.runAsGroup?.value === undefined ? '' : `:${security.runAsGroup.value}`}` : (security?.runAsUsername || g.image.config.User || '');
  const user = yield* userOf(String(asked), g.chain);
  const joined = (type: string, file: string): { type: string; path?: string } => ({ type, path: `/proc/${sandbox.pid}/ns/${file}` });
  const own = `${ROOT}/sandboxes/${sandbox.id}`;
  const mounts: SpecMount[] = [
    ...baseMounts(privileged ? 'rw' : 'ro'), { destination: '/etc/hostname', type: 'bind', source: `${own}/hostname`, options: ['rbind', 'rprivate', 'rw'] },
    { destination: '/etc/hosts', type: 'bind', source: `${own}/hosts`, options: ['rbind', 'rprivate', 'rw'] },
    { destination: '/etc/resolv.conf', type: 'bind', source: `${own}/resolv.conf`, options: ['rbind', 'rprivate', 'rw'] },
    { destination: '/dev/shm', type: 'bind', source: `${STATE}/sandboxes/${sandbox.id}/shm`, options: ['rbind', 'rprivate', 'rw'] },
  ];
  const given: SpecMount[] = (config.mounts ?? []).map((m: Message) => ({ destination: m.containerPath, type: 'bind', source: m.hostPath, options: ['rbind', PROPAGATION[m.propagation] ?? 'rprivate', m.readonly ? 'ro' : 'rw'] }));
  const wishes = new Set((config.mounts ?? []).map((m: Message) => PROPAGATION[m.propagation]));
  const rootfsPropagation = wishes.has('rshared') ? 'rshared' : wishes.has('rslave') ? 'rslave' : undefined;
  const paths = new Set(given.map((m) => m.destination));
  return {
    ociVersion: '1.2.0',
    process: {
      terminal: config.tty === true, user: { ...user, additionalGids: (security?.supplementalGroups ?? []).map(Number) }, args: argsOf(config.command ?? [], config.args ?? [], g.image),
      env: envOf(g.image, config.envs ?? [], pod.hostname || ''), cwd: config.workingDir || g.image.config.WorkingDir || '/', capabilities: capabilities(security),
      noNewPrivileges: security?.noNewPrivs === true, oomScoreAdj: Number(config.linux?.resources?.oomScoreAdj ?? 0),
    },
    root: { path: 'rootfs', readonly: security?.readonlyRootfs === true },
    mounts: [...mounts.filter((m) => !paths.has(m.destination)), ...given],
    annotations: annotationsOf('container', g.id, sandbox.id, config),
    linux: {
      namespaces: [
        { type: 'mount' }, ...(privileged ? [] : [{ type: 'cgroup' }]), joined('ipc', 'ipc'), ...(sandbox.netns === '' ? [] : [joined('uts', 'uts'), joined('network', 'net')]),
        ...(options.pid === 'NODE' ? [] : options.pid === 'TARGET' && target > 0 ? [{ type: 'pid', path: `/proc/${target}/ns/pid` }] : options.pid === 'POD' ? [joined('pid', 'pid')] : [{ type: 'pid' }]),
      ],
      cgroupsPath: cgroupOf(pod.linux?.cgroupParent ?? '', g.id).cgroupsPath, resources: resourcesOf(config.linux?.resources), ...(rootfsPropagation ? { rootfsPropagation } : {}),
      ...(privileged ? {} : { maskedPaths: security?.maskedPaths ?? DEFAULT_MASKED, readonlyPaths: security?.readonlyPaths ?? DEFAULT_READONLY }),
    },
  };
}
