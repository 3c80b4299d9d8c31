/** GET /info, /version, /system/df: what the daemon says of itself and of its disk. Source: moby daemon/info.go, disk_usage.go. */
import { isoNano, nowNs, parseIso } from '../../../lib/clock.ts';
import { treeSize, tryRead } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { sys } from '../../../../kernel/sys.ts';
import { layerSizes } from '../../store.ts';
import { BUILD } from '../version.ts';
import { ALL_CAPABILITIES } from './capabilities.ts';
import { processors } from './create.ts';
import { listImages, usersOfImage } from './imageapi.ts';
import { listContainers } from './inspect.ts';
import { usersOf, volumeJson } from './mounts.ts';
import { type Any, type Daemon, ROOT } from './state.ts';

/** What `runc features` prints. */
function features(): string {
  const options =
    'acl async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noacl noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable';
  const archs =
    'AARCH64 ARM LOONGARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE RISCV64 S390 S390X X32 X86 X86_64';
  return JSON.stringify({
    ociVersionMin: '1.0.0',
    ociVersionMax: '1.2.0',
    hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
    mountOptions: options.split(' '),
    linux: {
      namespaces: ['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts'],
      capabilities: ALL_CAPABILITIES,
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true },
      seccomp: {
        enabled: true,
        actions: 'ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG NOTIFY TRACE TRAP'.split(' ').map((a) => `SCMP_ACT_${a}`),
        operators: 'EQ GE GT LE LT MASKED_EQ NE'.split(' ').map((o) => `SCMP_CMP_${o}`),
        archs: archs.split(' ').map((a) => `SCMP_ARCH_${a}`),
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
    },
    annotations: {
      'io.github.seccomp.libseccomp.version': '2.6.0',
      'org.opencontainers.runc.checkpoint.enabled': 'true',
      'org.opencontainers.runc.commit': BUILD.runcCommit,
      'org.opencontainers.runc.version': BUILD.runc,
    },
  });
}

export function* infoJson(daemon: Daemon): Call<Any> {
  const all = [...daemon.containers.values()];
  const uts = yield* sys('uname');
  const memory = yield* sys('sysinfo');
  const release = (yield* tryRead('/etc/os-release')) ?? '';
  const runtime = { path: 'runc', status: { 'org.opencontainers.runtime-spec.features': features() } };
  return {
    ID: daemon.id,
    Containers: all.length,
    ContainersRunning: all.filter((c) => c.State.Running && !c.State.Paused).length,
    ContainersPaused: all.filter((c) => c.State.Paused).length,
    ContainersStopped: all.filter((c) => !c.State.Running).length,
    Images: daemon.store.images.size,
    Driver: 'overlay2',
    DriverStatus: [
      ['Backing Filesystem', 'extfs'],
      ['Supports d_type', 'true'],
      ['Using metacopy', 'false'],
      ['Native Overlay Diff', 'true'],
      ['userxattr', 'false'],
    ],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'],
      Authorization: null,
      Log: ['awslogs', 'fluentd', 'gcplogs', 'gelf', 'journald', 'json-file', 'local', 'splunk', 'syslog'],
    },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    BridgeNfIptables: true,
    BridgeNfIp6tables: true,
    Debug: false,
    NFd: 22,
    OomKillDisable: false,
    NGoroutines: 41,
    SystemTime: isoNano(yield* nowNs()),
    LoggingDriver: 'json-file',
    CgroupDriver: daemon.cgroupDriver,
    CgroupVersion: '2',
    NEventsListener: 0,
    KernelVersion: uts.release,
    OperatingSystem: /PRETTY_NAME="([^"]*)"/.exec(release)?.[1] ?? 'Linux',
    OSVersion: /VERSION_ID="([^"]*)"/.exec(release)?.[1] ?? '',
    OSType: 'linux',
    Architecture: uts.machine,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: {
      AllowNondistributableArtifactsCIDRs: null,
      AllowNondistributableArtifactsHostnames: null,
      InsecureRegistryCIDRs: ['127.0.0.0/8'],
      IndexConfigs: { 'docker.io': { Name: 'docker.io', Mirrors: [], Secure: true, Official: true } },
      Mirrors: null,
    },
    NCPU: yield* processors(),
    MemTotal: memory.totalram,
    GenericResources: null,
    DockerRootDir: ROOT,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: uts.nodename,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: BUILD.version,
    Runtimes: { 'io.containerd.runc.v2': runtime, runc: runtime },
    DefaultRuntime: 'runc',
    Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '', RemoteManagers: null },
    LiveRestoreEnabled: false,
    Isolation: '',
    InitBinary: 'docker-init',
    ContainerdCommit: { ID: BUILD.containerdCommit, Expected: BUILD.containerdCommit },
    RuncCommit: { ID: BUILD.runcCommit, Expected: BUILD.runcCommit },
    InitCommit: { ID: '', Expected: '' },
    SecurityOptions: ['name=apparmor', 'name=seccomp,profile=builtin', 'name=cgroupns'],
    CDISpecDirs: [],
    Warnings: null,
  };
}

export function* versionJson(): Call<Any> {
  const uts = yield* sys('uname');
  const details = {
    ApiVersion: '1.45',
    Arch: 'amd64',
    BuildTime: BUILD.isoTime,
    Experimental: 'false',
    GitCommit: BUILD.engineCommit,
    GoVersion: BUILD.go,
    KernelVersion: uts.release,
    MinAPIVersion: '1.24',
    Os: 'linux',
  };
  return {
    Platform: { Name: '' },
    Components: [
      { Name: 'Engine', Version: BUILD.version, Details: details },
      { Name: 'containerd', Version: BUILD.containerd, Details: { GitCommit: BUILD.containerdCommit } },
      { Name: 'runc', Version: BUILD.runc, Details: { GitCommit: BUILD.runcCommit } },
      { Name: 'docker-init', Version: BUILD.init, Details: { GitCommit: '' } },
    ],
    Version: BUILD.version,
    ApiVersion: '1.45',
    MinAPIVersion: '1.24',
    GitCommit: BUILD.engineCommit,
    GoVersion: BUILD.go,
    Os: 'linux',
    Arch: 'amd64',
    KernelVersion: uts.release,
    BuildTime: BUILD.isoTime,
  };
}

export function* diskUsage(daemon: Daemon): Call<Any> {
  const images = yield* listImages(daemon, false, {});
  const holders = new Map<string, number>();
  for (const image of daemon.store.images.values()) for (const id of image.chain) holders.set(id, (holders.get(id) ?? 0) + 1);
  const sizeOf = new Map<string, number>();
  for (const image of daemon.store.images.values()) {
    const sizes = yield* layerSizes(daemon.store, image);
    for (const [i, id] of image.chain.entries()) sizeOf.set(id, sizes[i]!);
  }
  for (const row of images) {
    const image = daemon.store.images.get(row.Id)!;
    row.SharedSize = image.chain.filter((id) => holders.get(id)! > 1).reduce((n, id) => n + sizeOf.get(id)!, 0);
    row.Containers = usersOfImage(daemon, row.Id);
  }
  const volumes: Any[] = [];
  for (const v of daemon.volumes.values())
    volumes.push({ ...volumeJson(v), UsageData: { RefCount: usersOf(daemon, v.Name).length, Size: yield* treeSize(v.Mountpoint) } });
  volumes.sort((a, b) => parseIso(b.CreatedAt) - parseIso(a.CreatedAt) || (a.Name < b.Name ? -1 : 1));
  return {
    LayersSize: [...sizeOf.values()].reduce((a, b) => a + b, 0),
    Images: images,
    Containers: yield* listContainers(daemon, { all: true, limit: 0, size: true, filters: {} }),
    Volumes: volumes,
    BuildCache: cacheRows(daemon),
  };
}

/** Steps of builds that made a layer. */
export function cacheRows(daemon: Daemon): Any[] {
  const used = new Set([...daemon.store.images.values()].flatMap((i) => i.config.rootfs.diff_ids));
  return [...daemon.cache]
    .filter(([key, c]) => key.startsWith('sha256:') && c.built !== null)
    .flatMap(([key, c]) => {
      const last = c.built as { layers: { diffId: string }[]; history: { empty_layer?: boolean }[] };
      if (last.history.at(-1)?.empty_layer) return [];
      return [
        {
          ID: key.slice(7, 32),
          Type: 'regular',
          Size: c.size,
          CreatedAt: Math.floor(c.made / 1e9),
          LastUsedAt: Math.floor(c.made / 1e9),
          UsageCount: c.used + 1,
          InUse: false,
          Shared: used.has(last.layers.at(-1)?.diffId ?? ''),
        },
      ];
    });
}
