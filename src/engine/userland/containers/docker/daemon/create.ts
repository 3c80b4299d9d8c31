/** POST /containers/create: checks of what was asked, the image's defaults under it, the record and its layer. */
import { isoNano, nowNs } from '../../../lib/clock.ts';
import type { Call } from '../../../lib/http.ts';
import { attempt, isDir, mkdirAll, statOf, tryRead } from '../../../lib/files.ts';
import { findImage, type StoredImage } from '../../store.ts';
import { parseReference } from '../../oci.ts';
import { resolve } from './containerfs.ts';
import { verifyLogConfig } from './logfile.ts';
import { addressFaults, DEFAULT_BRIDGE, refuseFaults } from './bridges.ts';
import { knownCapability } from './capabilities.ts';
import { emit } from './events.ts';
import { createLayer, withMounted } from './layers.ts';
import { mountPoints } from './mounts.ts';
import { createDirectory, findContainer, generateName, newId, newLive, removeDirectory, saveContainer } from './record.ts';
import { signalNumber } from './signals.ts';
import { type Any, type Config, type Container, type Daemon, type HostConfig, NEVER, Refused } from './state.ts';
import { byKey } from '../../../lib/bykey.ts';

const MASKED = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const SHAPES: readonly (readonly [string, 'list' | 'map' | 'text'])[] = [
  ['Cmd', 'list'],
  ['Entrypoint', 'list'],
  ['Env', 'list'],
  ['Labels', 'map'],
  ['Volumes', 'map'],
  ['ExposedPorts', 'map'],
  ['HostConfig', 'map'],
  ['NetworkingConfig', 'map'],
  ['Healthcheck', 'map'],
  ['Image', 'text'],
  ['Hostname', 'text'],
  ['User', 'text'],
  ['WorkingDir', 'text'],
  ['StopSignal', 'text'],
];
const HOST_SHAPES: readonly (readonly [string, 'list' | 'map' | 'text'])[] = [
  ['Binds', 'list'],
  ['CapAdd', 'list'],
  ['CapDrop', 'list'],
  ['Dns', 'list'],
  ['DnsSearch', 'list'],
  ['DnsOptions', 'list'],
  ['ExtraHosts', 'list'],
  ['GroupAdd', 'list'],
  ['SecurityOpt', 'list'],
  ['VolumesFrom', 'list'],
  ['PortBindings', 'map'],
  ['Tmpfs', 'map'],
  ['Sysctls', 'map'],
  ['LogConfig', 'map'],
  ['RestartPolicy', 'map'],
  ['NetworkMode', 'text'],
  ['PidMode', 'text'],
  ['IpcMode', 'text'],
  ['UTSMode', 'text'],
  ['CgroupParent', 'text'],
  ['CpusetCpus', 'text'],
];

/** Throws Refused for a field that is of another kind. */
function checkShape(body: Any, field: string, shape: 'list' | 'map' | 'text'): void {
  const x: unknown = body[field];
  if (x === undefined || x === null) return;
  const strings = Array.isArray(x) && x.every((s) => typeof s === 'string');
  const fits =
    shape === 'text'
      ? typeof x === 'string'
      : shape === 'list'
        ? strings || (typeof x === 'string' && /^(Cmd|Entrypoint)$/.test(field))
        : typeof x === 'object' && !Array.isArray(x);
  if (!fits)
    throw new Refused(
      400,
      `json: cannot unmarshal ${Array.isArray(x) ? 'array' : typeof x} into Go struct field ContainerConfigWrapper.${field}`,
    );
}

/** Makes the container. Throws Refused in docker's words. */
export function* createContainer(daemon: Daemon, name: string, body: Any, platform = ''): Call<{ Id: string; Warnings: string[] }> {
  if (!body || typeof body !== 'object' || Array.isArray(body)) throw new Refused(400, 'EOF');
  for (const [field, shape] of SHAPES) checkShape(body, field, shape);
  for (const [field, shape] of HOST_SHAPES) checkShape(body.HostConfig ?? {}, field, shape);
  for (const field of ['Cmd', 'Entrypoint']) if (typeof body[field] === 'string') body[field] = [body[field]];
  const hostConfig = hostConfigOf(body.HostConfig ?? {});
  const warnings = yield* verify(daemon, body, hostConfig);
  const image = findImage(daemon.store, String(body.Image ?? ''));
  if (!image) throw new Refused(404, `No such image: ${shownReference(String(body.Image ?? ''))}`);
  checkPlatform(image, String(body.Image), platform);
  const id = yield* newId();
  const config = mergeConfig(body, image, id, hostConfig);
  if ((config.Cmd ?? []).length === 0 && (config.Entrypoint ?? []).length === 0) throw new Refused(400, 'no command specified');
  const taken = yield* reserveName(daemon, name, id);
  const all = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const container: Container = {
    ID: id,
    Created: isoNano(yield* nowNs()),
    Path: all[0]!,
    Args: all.slice(1),
    Name: `/${taken}`,
    Image: image.id,
    Config: config,
    HostConfig: hostConfig,
    State: {
      Status: 'created',
      Running: false,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: 0,
      ExitCode: 0,
      Error: '',
      StartedAt: NEVER,
      FinishedAt: NEVER,
    },
    RestartCount: 0,
    HasBeenManuallyStopped: false,
    HasBeenStartedBefore: false,
    MountPoints: [],
    layer: { id: yield* newId(), chain: image.chain },
    network: { sandbox: '', sandboxKey: '', endpoints: endpointsAsked(body, hostConfig), ports: {} },
    live: newLive(),
  };
  try {
    container.MountPoints = yield* mountPoints(daemon, container, image);
    yield* createLayer(daemon, container);
    yield* withMounted(container, (root) => workingDirectory(root, config.WorkingDir));
    yield* createDirectory(container);
  } catch (error) {
    daemon.names.delete(taken);
    yield* removeDirectory(container);
    throw error;
  }
  daemon.containers.set(id, container);
  yield* saveContainer(container);
  yield* emit(daemon, 'container', 'create', container);
  return { Id: id, Warnings: warnings };
}

/** The layer is mounted a first time to make the directory that the process is to begin in. */
function* workingDirectory(root: string, path: string): Call<void> {
  if (path === '' || path === '/') return;
  const at = yield* resolve(root, path);
  yield* attempt(mkdirAll(at), undefined);
  const stat = yield* statOf(at);
  if (!stat || !isDir(stat)) throw new Refused(500, `Cannot mkdir: ${path} is not a directory`);
}

function checkPlatform(image: StoredImage, name: string, platform: string): void {
  const own = `${image.config.os}/${image.config.architecture}`;
  if (platform === '' || platform === own || platform === image.config.os || platform === image.config.architecture) return;
  if (!/^[a-z0-9]+(?:\/[a-z0-9]+){0,2}$/.test(platform)) throw new Refused(400, `${JSON.stringify(platform)} is an invalid component of ${JSON.stringify(platform)}: platform specifier component must match "^[A-Za-z0-9_-]+$": invalid argument`);
  throw new Refused(400, `image with reference ${name} was found but its platform (${own}) does not match the specified platform (${platform})`);
}

function shownReference(image: string): string {
  const parsed = parseReference(image);
  return 'error' in parsed || parsed.digest !== '' ? image : `${parsed.name}:${parsed.tag}`;
}

function* reserveName(daemon: Daemon, asked: string, id: string): Call<string> {
  const name = asked === '' ? yield* generateName(daemon) : asked.replace(/^\//, '');
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    throw new Refused(400, `Invalid container name (${asked}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  checkFree(daemon, name);
  daemon.names.set(name, id);
  return name;
}

export function checkFree(daemon: Daemon, name: string): void {
  const holder = daemon.names.get(name);
  if (holder === undefined) return;
  throw new Refused(
    409,
    `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
}

function endpointsAsked(body: Any, hostConfig: HostConfig): Container['network']['endpoints'] {
  const asked = Object.entries((body.NetworkingConfig?.EndpointsConfig ?? {}) as Record<string, Any>);
  const out: Container['network']['endpoints'] = {};
  const mode = hostConfig.NetworkMode;
  if (mode.startsWith('container:')) return out;
  out[mode] = emptyEndpoint();
  for (const [name, e] of asked) {
    out[name === 'default' ? 'bridge' : name] = { ...emptyEndpoint(), IPAMConfig: e?.IPAMConfig ?? null, Aliases: e?.Aliases ?? null };
  }
  return out;
}

export function emptyEndpoint(): Container['network']['endpoints'][string] {
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: null,
    MacAddress: '',
    NetworkID: '',
    EndpointID: '',
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DriverOpts: null,
    DNSNames: null,
  };
}

/** The HostConfig with every field that inspect shows, in its order. */
function hostConfigOf(h: Any): HostConfig {
  const n = (x: unknown): number => (typeof x === 'number' ? x : 0);
  const privileged = h.Privileged === true;
  const mode = h.NetworkMode === 'default' || !h.NetworkMode ? 'bridge' : String(h.NetworkMode);
  const memory = n(h.Memory);
  const unconfined = privileged || (h.SecurityOpt ?? []).includes('systempaths=unconfined');
  return {
    Binds: h.Binds ?? null,
    ContainerIDFile: h.ContainerIDFile ?? '',
    LogConfig: { Type: h.LogConfig?.Type || 'json-file', Config: byKey((h.LogConfig?.Config ?? {}) as Record<string, string>) },
    NetworkMode: mode,
    PortBindings: byKey(h.PortBindings ?? {}),
    RestartPolicy: { Name: h.RestartPolicy?.Name || 'no', MaximumRetryCount: n(h.RestartPolicy?.MaximumRetryCount) },
    AutoRemove: h.AutoRemove === true,
    VolumeDriver: h.VolumeDriver ?? '',
    VolumesFrom: h.VolumesFrom ?? null,
    ConsoleSize: [0, 0],
    CapAdd: h.CapAdd ?? null,
    CapDrop: h.CapDrop ?? null,
    CgroupnsMode: h.CgroupnsMode || (privileged ? 'host' : 'private'),
    Dns: h.Dns ?? [],
    DnsOptions: h.DnsOptions ?? [],
    DnsSearch: h.DnsSearch ?? [],
    ExtraHosts: h.ExtraHosts ?? null,
    GroupAdd: h.GroupAdd ?? null,
    IpcMode: h.IpcMode || 'private',
    Cgroup: '',
    Links: null,
    OomScoreAdj: n(h.OomScoreAdj),
    PidMode: h.PidMode ?? '',
    Privileged: privileged,
    PublishAllPorts: h.PublishAllPorts === true,
    ReadonlyRootfs: h.ReadonlyRootfs === true,
    SecurityOpt: h.SecurityOpt ?? (privileged ? ['label=disable'] : null),
    ...(h.Tmpfs ? { Tmpfs: byKey(h.Tmpfs as Record<string, string>) } : {}),
    UTSMode: h.UTSMode ?? '',
    UsernsMode: h.UsernsMode ?? '',
    ShmSize: n(h.ShmSize) || 67108864,
    ...(h.Sysctls ? { Sysctls: byKey(h.Sysctls as Record<string, string>) } : {}),
    Runtime: h.Runtime || 'runc',
    Isolation: h.Isolation ?? '',
    CpuShares: n(h.CpuShares),
    Memory: memory,
    NanoCpus: n(h.NanoCpus),
    CgroupParent: h.CgroupParent ?? '',
    BlkioWeight: n(h.BlkioWeight),
    BlkioWeightDevice: h.BlkioWeightDevice ?? [],
    BlkioDeviceReadBps: h.BlkioDeviceReadBps ?? [],
    BlkioDeviceWriteBps: h.BlkioDeviceWriteBps ?? [],
    BlkioDeviceReadIOps: h.BlkioDeviceReadIOps ?? [],
    BlkioDeviceWriteIOps: h.BlkioDeviceWriteIOps ?? [],
    CpuPeriod: n(h.CpuPeriod),
    CpuQuota: n(h.CpuQuota),
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: h.CpusetCpus ?? '',
    CpusetMems: h.CpusetMems ?? '',
    Devices: h.Devices ?? [],
    DeviceCgroupRules: h.DeviceCgroupRules ?? null,
    DeviceRequests: Array.isArray(h.DeviceRequests) ? h.DeviceRequests : null,
    MemoryReservation: n(h.MemoryReservation),
    MemorySwap: n(h.MemorySwap) || (memory > 0 ? 2 * memory : 0),
    MemorySwappiness: typeof h.MemorySwappiness === 'number' && h.MemorySwappiness !== -1 ? h.MemorySwappiness : null,
    OomKillDisable: false,
    PidsLimit: h.PidsLimit ? h.PidsLimit : null,
    Ulimits: h.Ulimits ?? [],
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    ...(h.Mounts?.length > 0 ? { Mounts: h.Mounts } : {}),
    MaskedPaths: unconfined ? null : MASKED,
    ReadonlyPaths: unconfined ? null : READONLY,
    ...(h.Init === true ? { Init: true } : {}),
  };
}

const CAPABILITY = /^(CAP_)?[A-Z_]+$/i;

function* verify(daemon: Daemon, body: Any, h: HostConfig): Call<string[]> {
  const warnings: string[] = [];
  const cpus = yield* processors();
  const wd = String(body.WorkingDir ?? '');
  if (wd !== '' && !wd.startsWith('/')) throw new Refused(400, `the working directory '${wd}' is invalid, it needs to be an absolute path`);
  for (const e of body.Env ?? []) if (String(e).startsWith('=') || e === '') throw new Refused(400, `invalid environment variable: ${e}`);
  if (body.StopSignal && signalNumber(body.StopSignal) === null) throw new Refused(400, `invalid signal: ${body.StopSignal}`);
  for (const cap of [...(h.CapAdd ?? []), ...(h.CapDrop ?? [])])
    if (!CAPABILITY.test(cap) || !knownCapability(cap))
      throw new Refused(
        400,
        `invalid ${(h.CapAdd ?? []).includes(cap) ? 'CapAdd' : 'CapDrop'}: unknown capability: "${cap.toUpperCase().startsWith('CAP_') ? cap.toUpperCase() : `CAP_${cap.toUpperCase()}`}"`,
      );
  for (const one of h.SecurityOpt ?? []) verifySecurityOption(one);
  if (h.AutoRemove && h.RestartPolicy.Name !== 'no') throw new Refused(400, "can't create 'AutoRemove' container with restart policy");
  verifyRestart(h);
  verifyResources(h, cpus, warnings);
  if (body.HostConfig?.OomKillDisable) warnings.push('Your kernel does not support OomKillDisable. OomKillDisable discarded.');
  if (h.OomScoreAdj < -1000 || h.OomScoreAdj > 1000)
    throw new Refused(400, `Invalid value ${h.OomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  if (h.NetworkMode.startsWith('container:') && Object.keys(h.PortBindings).length > 0)
    throw new Refused(400, 'conflicting options: port publishing and the container type network mode');
  if (h.PidMode.startsWith('container:')) peer(daemon, h.PidMode.slice('container:'.length));
  if (h.NetworkMode === 'container:') throw new Refused(400, 'Invalid network mode: invalid container format container:<name|id>');
  if (h.NetworkMode.startsWith('container:') && h.Dns.length > 0) throw new Refused(400, 'conflicting options: dns and the network mode');
  if (h.NetworkMode.startsWith('container:') && (h.ExtraHosts ?? []).length > 0) throw new Refused(400, 'conflicting options: custom host-to-IP mapping and the network mode');
  if (h.NetworkMode.startsWith('container:') && body.Hostname) throw new Refused(400, 'conflicting options: hostname and the network mode');
  if (h.UTSMode === 'host' && body.Hostname) throw new Refused(400, 'conflicting options: hostname and the UTS mode');
  if (h.CgroupParent !== '' && daemon.cgroupDriver === 'systemd' && !h.CgroupParent.endsWith('.slice'))
    throw new Refused(400, 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"');
  verifyModes(daemon, body, h);
  if (h.NetworkMode === 'host' && Object.keys(h.PortBindings).length > 0) warnings.push('Published ports are discarded when using host network mode');
  for (const key of Object.keys(h.PortBindings))
    if (!/^\d+\/(tcp|udp|sctp)$/.test(key)) throw new Refused(400, `invalid port specification: ${JSON.stringify(key)}`);
  return warnings;
}

/** Throws Refused for a security option that is none. */
function verifySecurityOption(one: string): void {
  const [, key = one, value] = /^([^=:]*)[=:](.*)$/s.exec(one) ?? [];
  if (value === undefined && key === 'no-new-privileges') return;
  if (value === undefined) throw new Refused(400, `invalid --security-opt 1: ${JSON.stringify(one)}`);
  if (!['label', 'apparmor', 'seccomp', 'no-new-privileges', 'systempaths'].includes(key)) throw new Refused(400, `invalid --security-opt 2: ${JSON.stringify(one)}`);
  if (key === 'no-new-privileges' && !/^(true|false|1|0|t|f|TRUE|FALSE|True|False|T|F)$/.test(value)) throw new Refused(400, `invalid --security-opt 2: ${JSON.stringify(one)}`);
}

/** Another container's namespace. Throws Refused 400, not 404, where there is none. */
function peer(daemon: Daemon, name: string): void {
  try {
    findContainer(daemon, name);
  } catch (error) {
    throw error instanceof Refused ? new Refused(400, error.message) : error;
  }
}

const RUNTIMES = ['runc', 'io.containerd.runc.v2'];
/** What is chosen from a list of names. Throws Refused. */
function verifyModes(daemon: Daemon, body: Any, h: HostConfig): void {
  if (h.Isolation !== '' && h.Isolation !== 'default') throw new Refused(400, `Invalid isolation: ${JSON.stringify(h.Isolation)} - linux only supports 'default'`);
  if (!/^(?:none|private|shareable|host|container:.+)?$/.test(h.IpcMode)) throw new Refused(400, `invalid IPC mode: ${h.IpcMode}`);
  if (!RUNTIMES.includes(String(h.Runtime))) throw new Refused(400, `unknown or invalid runtime name: ${h.Runtime}`);
  verifyLogConfig(h.LogConfig.Type, h.LogConfig.Config);
  for (const path of Object.keys(h.Tmpfs ?? {})) {
    if (!path.startsWith('/')) throw new Refused(400, `invalid mount path: '${path}' mount path must be absolute`);
    if (/^\/+$/.test(path)) throw new Refused(400, "invalid specification: destination can't be '/'");
  }
  for (const [field, shown] of [['Interval', 'Interval'], ['Timeout', 'Timeout'], ['StartPeriod', 'StartPeriod'], ['StartInterval', 'StartInterval']] as const) {
    const ns = body.Healthcheck?.[field] ?? 0;
    if (ns !== 0 && ns < 1e6) throw new Refused(400, `${shown} in Healthcheck cannot be less than 1ms`);
  }
  verifyEndpoints(daemon, body, h);
}

/** Addresses and aliases are for networks that people make. */
function verifyEndpoints(daemon: Daemon, body: Any, h: HostConfig): void {
  const given = (body.NetworkingConfig?.EndpointsConfig ?? {}) as Record<string, Any>;
  for (const [name, e] of Object.entries(given)) {
    if (!/^(?:bridge|host|none|default)$/.test(name)) {
      const n = [...daemon.networks.values()].find((o) => o.Name === name || o.Id === name);
      const asked = e?.IPAMConfig?.IPv4Address;
      if (n?.Driver === 'bridge' && asked) refuseFaults(name, addressFaults(n, asked));
      continue;
    }
    const faults = [
      ...(e?.IPAMConfig?.IPv4Address || e?.IPAMConfig?.IPv6Address ? DEFAULT_BRIDGE : []),
      ...((e?.Aliases ?? []).length > 0 ? ['network-scoped alias is supported only for containers in user defined networks'] : []),
    ];
    refuseFaults(name === 'default' ? h.NetworkMode : name, faults);
  }
}

function verifyRestart({ RestartPolicy }: Pick<HostConfig, 'RestartPolicy'>): void {
  if (!['no', 'always', 'on-failure', 'unless-stopped'].includes(RestartPolicy.Name))
    throw new Refused(400, `invalid restart policy: unknown policy '${RestartPolicy.Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`);
  if (RestartPolicy.MaximumRetryCount < 0) throw new Refused(400, 'invalid restart policy: maximum retry count cannot be negative');
  if (RestartPolicy.MaximumRetryCount !== 0 && RestartPolicy.Name !== 'on-failure')
    throw new Refused(400, "invalid restart policy: maximum retry count can only be used with 'on-failure'");
}

/** What docker update asks for, looked at before the container is. Throws Refused. */
export function* verifyUpdate(body: Any): Call<void> {
  if (body.RestartPolicy?.Name) verifyRestart(body);
  const n = (name: string): number => Number(body[name] ?? 0);
  const numbers = ['Memory', 'MemorySwap', 'MemoryReservation', 'NanoCpus', 'CpuPeriod', 'CpuQuota', 'BlkioWeight'];
  const asked = { ...Object.fromEntries(numbers.map((name) => [name, n(name)])), CpusetCpus: String(body.CpusetCpus ?? '') } as unknown as HostConfig;
  if (asked.Memory === 0 && asked.MemorySwap > 0) asked.MemorySwap = 0;
  if (asked.Memory > 0 && asked.MemorySwap === 0) asked.MemorySwap = -1;
  verifyResources(asked, yield* processors(), []);
}

function verifyResources(h: HostConfig, cpus: number, warnings: string[]): void {
  if (h.Memory !== 0 && h.Memory < 6 * 1024 * 1024) throw new Refused(400, 'Minimum memory limit allowed is 6MB');
  if (h.Memory > 0 && h.MemorySwap !== -1 && h.MemorySwap < h.Memory)
    throw new Refused(400, 'Minimum memoryswap limit should be larger than memory limit, see usage');
  if (h.Memory === 0 && h.MemorySwap > 0)
    throw new Refused(400, 'You should always set the Memory limit when using Memoryswap limit, see usage');
  if (h.MemoryReservation !== 0 && h.MemoryReservation < 6 * 1024 * 1024)
    throw new Refused(400, 'Minimum memory reservation allowed is 6MB');
  if (h.Memory > 0 && h.MemoryReservation > h.Memory)
    throw new Refused(400, 'Minimum memory limit can not be less than memory reservation limit, see usage');
  if (h.NanoCpus > 0 && (h.CpuPeriod > 0 || h.CpuQuota > 0))
    throw new Refused(400, `Conflicting options: Nano CPUs and CPU ${h.CpuPeriod > 0 ? 'Period' : 'Quota'} cannot both be set`);
  if (h.NanoCpus < 0 || h.NanoCpus > cpus * 1e9)
    throw new Refused(400, `Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`);
  if (h.CpuPeriod !== 0 && (h.CpuPeriod < 1000 || h.CpuPeriod > 1e6))
    throw new Refused(400, 'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  if (h.CpuQuota > 0 && h.CpuQuota < 1000) throw new Refused(400, 'CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if (h.CpusetCpus !== '') {
    const list = h.CpusetCpus.split(',').map((p) => /^(\d+)(?:-(\d+))?$/.exec(p));
    if (list.some((m) => !m)) throw new Refused(400, `Invalid value ${h.CpusetCpus} for cpuset cpus: invalid format: ${h.CpusetCpus}`);
    if (list.some((m) => Number(m![2] ?? m![1]) >= cpus))
      throw new Refused(
        400,
        `Requested CPUs are not available - requested ${h.CpusetCpus}, available: ${cpus === 1 ? '0' : `0-${cpus - 1}`}`,
      );
  }
  const weight = Number(h.BlkioWeight ?? 0);
  if (weight > 0 && (weight < 10 || weight > 1000)) throw new Refused(400, 'Range of blkio weight is from 10 to 1000');
  if ((h.MemorySwappiness ?? -1) !== -1) {
    warnings.push('Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.');
    h.MemorySwappiness = null;
  }
}

/** What a container was given is looked at again when it starts. Throws Refused. */
export function* verifyStart(h: HostConfig): Call<void> {
  verifyResources(h, yield* processors(), []);
}

/** How many processors the machine has. */
export function* processors(): Call<number> {
  const listed = (yield* tryRead('/proc/cpuinfo'))?.match(/^processor\s*:/gm)?.length;
  return listed ?? Number(/-(\d+)/.exec((yield* tryRead('/sys/devices/system/cpu/online')) ?? '')?.[1] ?? 0) + 1;
}

/** What was asked for over what the image says. */
function mergeConfig(body: Any, image: StoredImage, id: string, h: HostConfig): Config {
  const base = image.config.config;
  const env: string[] = [...(body.Env ?? [])];
  const named = new Set(env.map((e) => e.split('=')[0]));
  for (const e of base.Env ?? []) if (!named.has(e.split('=')[0]!)) env.push(e);
  const entrypoint: string[] | null = body.Entrypoint ?? null;
  const cleared = entrypoint !== null && entrypoint.length === 1 && entrypoint[0] === '';
  const cmd: string[] | null = body.Cmd ?? (entrypoint === null || entrypoint.length === 0 ? (base.Cmd ?? null) : null);
  const ports = { ...(base.ExposedPorts ?? {}), ...(body.ExposedPorts ?? {}) };
  const stopSignal = body.StopSignal || base.StopSignal;
  const health = body.Healthcheck ? { ...(base as Config).Healthcheck, ...body.Healthcheck } : (base as Config).Healthcheck;
  const shared = h.NetworkMode === 'host' || h.NetworkMode.startsWith('container:') || h.UTSMode === 'host';
  return {
    Hostname: body.Hostname || (shared ? '' : id.slice(0, 12)),
    Domainname: body.Domainname ?? '',
    User: body.User || base.User || '',
    AttachStdin: body.AttachStdin === true,
    AttachStdout: body.AttachStdout === true,
    AttachStderr: body.AttachStderr === true,
    ...(Object.keys(ports).length > 0 ? { ExposedPorts: byKey(ports) } : {}),
    Tty: body.Tty === true,
    OpenStdin: body.OpenStdin === true,
    StdinOnce: body.StdinOnce === true,
    Env: env.length > 0 ? env : body.Env || base.Env ? [] : null,
    Cmd: cmd,
    ...(health ? { Healthcheck: health } : {}),
    Image: body.Image,
    Volumes: body.Volumes || base.Volumes ? byKey({ ...(base.Volumes ?? {}), ...(body.Volumes ?? {}) }) : null,
    WorkingDir: body.WorkingDir || base.WorkingDir || '',
    Entrypoint: cleared ? null : entrypoint && entrypoint.length > 0 ? entrypoint : (base.Entrypoint ?? null),
    OnBuild: null,
    Labels: byKey({ ...(base.Labels ?? {}), ...(body.Labels ?? {}) }),
    ...(body.MacAddress ? { MacAddress: String(body.MacAddress).toLowerCase().replaceAll('-', ':') } : {}),
    ...(stopSignal ? { StopSignal: stopSignal } : {}),
    ...(typeof body.StopTimeout === 'number' ? { StopTimeout: body.StopTimeout } : {}),
  };
}

