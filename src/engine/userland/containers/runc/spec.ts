/** The OCI runtime configuration (config.json) as far as it is acted on, and the one that `runc spec` writes. */
import { specMisfit } from './gojson.ts';
import { isRecord } from '../oci.ts';

export interface Spec {
  ociVersion: string;
  process: Process;
  root: { path: string; readonly?: boolean };
  hostname?: string;
  domainname?: string;
  mounts: SpecMount[];
  hooks?: Partial<Record<HookKind, Hook[]>>;
  annotations?: Record<string, string>;
  linux: {
    namespaces: { type: string; path?: string }[];
    cgroupsPath?: string;
    resources?: Resources;
    maskedPaths?: string[];
    readonlyPaths?: string[];
    rootfsPropagation?: string;
    sysctl?: Record<string, string>;
    devices?: { path: string; type: string; major: number; minor: number; fileMode?: number; uid?: number; gid?: number }[];
    uidMappings?: { containerID: number; hostID: number; size: number }[];
    gidMappings?: { containerID: number; hostID: number; size: number }[];
    seccomp?: Seccomp;
  };
}

export interface SeccompRule {
  names: string[];
  action: string;
  /** Number of an errno. */
  errnoRet?: number;
  args?: { index: number; value: number; valueTwo?: number; op: string }[];
}

export interface Seccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  syscalls?: SeccompRule[];
}

export type HookKind = 'prestart' | 'createRuntime' | 'createContainer' | 'startContainer' | 'poststart' | 'poststop';

export interface Hook {
  path: string;
  args?: string[];
  env?: string[];
  /** Seconds. */
  timeout?: number;
}

export interface Process {
  terminal?: boolean;
  consoleSize?: { height: number; width: number };
  user: { uid: number; gid: number; additionalGids?: number[]; umask?: number };
  args: string[];
  env?: string[];
  cwd: string;
  capabilities?: Partial<Record<'bounding' | 'effective' | 'permitted' | 'inheritable' | 'ambient', string[]>>;
  rlimits?: { type: string; hard: number; soft: number }[];
  noNewPrivileges?: boolean;
  oomScoreAdj?: number;
}

export interface SpecMount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

/** A limit on one device, bytes or operations a second. */
export interface Throttle {
  major: number;
  minor: number;
  rate: number;
}

export interface Resources {
  devices?: { allow: boolean; access: string }[];
  memory?: { limit?: number; swap?: number; reservation?: number };
  cpu?: { shares?: number; quota?: number; period?: number; cpus?: string; mems?: string; idle?: number };
  pids?: { limit: number };
  blockIO?: {
    weight?: number;
    throttleReadBpsDevice?: Throttle[];
    throttleWriteBpsDevice?: Throttle[];
    throttleReadIOPSDevice?: Throttle[];
    throttleWriteIOPSDevice?: Throttle[];
  };
  unified?: Record<string, string>;
}

/** Checks the parts that are used; returns what is wrong in runc's words. */
export function checkSpec(spec: unknown): { spec: Spec } | { error: string } {
  const misfit = specMisfit(spec);
  if (misfit || !isRecord(spec)) return { error: misfit ?? 'json: cannot unmarshal value into Go value of type specs.Spec' };
  const linux = isRecord(spec.linux) ? spec.linux : {};
  const process = spec.process;
  if (!isRecord(process)) return { error: 'process property must not be empty' };
  const strings = (x: unknown): x is string[] => Array.isArray(x) && x.every((s) => typeof s === 'string');
  if (typeof process.cwd !== 'string' || process.cwd === '') return { error: 'Cwd property must not be empty' };
  if (!process.cwd.startsWith('/')) return { error: 'Cwd must be an absolute path' };
  if (!strings(process.args) || process.args.length === 0) return { error: 'args must not be empty' };
  if (!isRecord(spec.root)) return { error: 'root must be specified' };
  const root = { ...spec.root, path: typeof spec.root.path === 'string' ? spec.root.path : '' };
  const mounts = Array.isArray(spec.mounts) ? spec.mounts.filter((m) => isRecord(m) && typeof m.destination === 'string') : [];
  const namespaces = Array.isArray(linux.namespaces) ? linux.namespaces.filter((n) => isRecord(n) && typeof n.type === 'string') : [];
  const user = isRecord(process.user) ? process.user : {};
  return {
    spec: {
      ...spec, ociVersion: String(spec.ociVersion ?? '1.2.0'), mounts, root,
      process: { ...process, env: strings(process.env) ? process.env : [], user: { ...user, uid: Number(user.uid ?? 0), gid: Number(user.gid ?? 0) } },
      linux: { ...linux, namespaces },
    } as unknown as Spec,
  };
}

const CAPS = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];

export const DEFAULT_MASKED = [
  '/proc/acpi', '/proc/asound', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/sys/firmware',
  '/proc/scsi',
];
export const DEFAULT_READONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** What `runc spec` writes. */
export function exampleSpec(): Spec {
  return {
    ociVersion: '1.2.0',
    process: {
      terminal: true, user: { uid: 0, gid: 0 }, args: ['sh'], env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'], cwd: '/',
      capabilities: { bounding: CAPS, effective: CAPS, permitted: CAPS, ambient: CAPS },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }], noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'runc',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
      { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'] },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'] },
      { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'] },
    ],
    linux: {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      namespaces: [{ type: 'pid' }, { type: 'network' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }, { type: 'cgroup' }],
      maskedPaths: DEFAULT_MASKED, readonlyPaths: DEFAULT_READONLY,
    },
  };
}

/** What `runc spec --rootless` writes for these ids. */
export function rootlessSpec(uid: number, gid: number): Spec {
  const spec = exampleSpec();
  const mounts = spec.mounts.map((m) => {
    if (m.destination === '/sys') return { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'] };
    return m.options ? { ...m, options: m.options.filter((option) => !/^[ug]id=/.test(option)) } : m;
  });
  return {
    ...spec, mounts,
    linux: {
      uidMappings: [{ containerID: 0, hostID: uid, size: 1 }], gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
      namespaces: [...spec.linux.namespaces.filter(({ type }) => type !== 'network'), { type: 'user' }],
      maskedPaths: DEFAULT_MASKED, readonlyPaths: DEFAULT_READONLY,
    },
  };
}
