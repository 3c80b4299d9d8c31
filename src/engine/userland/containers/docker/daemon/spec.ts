/** The OCI runtime configuration of a container: what docker hands to containerd. Source: moby daemon/oci_linux.go. */
import { isDir, list, statOf, tryRead } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import type { Process, Resources, Spec, SpecMount } from '../../runc/spec.ts';
import { capabilitiesOf } from './capabilities.ts';
import { directoryOf, findContainer } from './record.ts';
import { seccompFor } from './seccomp.ts';
import { type Container, type Daemon, Refused } from './state.ts';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function* specOf(daemon: Daemon, c: Container, root: string): Call<Spec> {
  const h = c.HostConfig;
  const capabilities = capabilitiesOf(h.CapAdd, h.CapDrop, h.Privileged);
  const seccomp = seccompFor(capabilities, h.SecurityOpt, h.Privileged);
  const init = h.Init === true;
  const args = [...(init ? ['/sbin/docker-init', '--'] : []), c.Path, ...c.Args];
  return {
    ociVersion: '1.1.0',
    process: { ...(yield* processOf(c, root, capabilities)), args },
    root: { path: root, readonly: h.ReadonlyRootfs },
    ...(h.UTSMode === 'host' ? {} : { hostname: c.Config.Hostname }),
    mounts: yield* mountsOf(c, init),
    linux: {
      namespaces: namespacesOf(daemon, c),
      cgroupsPath: cgroupsPathOf(daemon, c),
      resources: { ...resourcesOf(c), ...(yield* throttlesOf(c)) },
      maskedPaths: h.MaskedPaths ?? [],
      readonlyPaths: h.ReadonlyPaths ?? [],
      ...sysctlsOf(c),
      devices: h.Privileged ? yield* hostDevices() : yield* devicesOf(c),
      ...(seccomp ? { seccomp } : {}),
    },
  };
}

/** The first process: user, environment, limits. Throws Refused for a user that is not there. */
/** The domain's name goes by the kernel's parameter: runc 1.1 has no other way. */
function sysctlsOf(c: Container): { sysctl?: Record<string, string> } {
  const { Sysctls } = c.HostConfig;
  const { Domainname } = c.Config;
  const own: Record<string, string> = Domainname && c.HostConfig.UTSMode !== 'host' ? { 'kernel.domainname': Domainname } : {};
  return Sysctls || Domainname ? { sysctl: { ...Sysctls, ...own } } : {};
}

function* processOf(c: Container, root: string, capabilities: string[]): Call<Process> {
  const h = c.HostConfig;
  const user = yield* userOf(c.Config.User, root, h.GroupAdd ?? []);
  const held = user.uid === 0 ? capabilities : [];
  return {
    terminal: c.Config.Tty,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    args: [],
    env: environmentOf(c, user.home),
    cwd: c.Config.WorkingDir || '/',
    capabilities: { bounding: capabilities, effective: held, permitted: held, inheritable: [] },
    rlimits: h.Ulimits.map((u) => ({ type: `RLIMIT_${u.Name.toUpperCase()}`, hard: u.Hard, soft: u.Soft })),
    noNewPrivileges: (h.SecurityOpt ?? []).some((o) => /^no-new-privileges([=:]true)?$/.test(o)),
    oomScoreAdj: h.OomScoreAdj,
  };
}

export function environmentOf(c: Container, home: string): string[] {
  const given = c.Config.Env ?? [];
  const has = (name: string): boolean => given.some((e) => e.startsWith(`${name}=`));
  return [
    ...(has('PATH') ? [] : [PATH]),
    ...(has('HOSTNAME') ? [] : [`HOSTNAME=${c.Config.Hostname}`]),
    ...(c.Config.Tty && !has('TERM') ? ['TERM=xterm'] : []),
    ...given,
    ...(has('HOME') ? [] : [`HOME=${home}`]),
  ];
}

export interface User {
  uid: number;
  gid: number;
  groups: number[];
  home: string;
}

/** "name", "uid", "name:group", "uid:gid" as the root's passwd and group say. Throws Refused in docker's words. */
export function* userOf(text: string, root: string, more: readonly string[]): Call<User> {
  const rows = function* (file: string): Call<string[][]> {
    return ((yield* tryRead(`${root}/etc/${file}`)) ?? '')
      .split('\n')
      .filter((l) => l !== '')
      .map((l) => l.split(':'));
  };
  const passwd = yield* rows('passwd');
  const group = yield* rows('group');
  const [given = '', wanted] = text.split(':');
  const name = given || '0';
  const numeric = /^[-+]?\d+$/.test(name);
  const entry = passwd.find((p) => p[0] === name) ?? (numeric ? passwd.find((p) => p[2] === name) : undefined);
  if (!entry && !numeric) throw new Refused(400, `unable to find user ${name}: no matching entries in passwd file`);
  if (!entry) checkRange(name);
  const user: User = {
    uid: entry ? Number(entry[2]) : Number(name),
    gid: entry ? Number(entry[3]) : 0,
    groups: [],
    home: entry?.[5] || '/',
  };
  if (numeric && !entry) user.gid = 0;
  if (wanted !== undefined && wanted !== '') user.gid = groupId(group, wanted);
  else if (entry) user.groups = group.filter((g) => (g[3] ?? '').split(',').includes(entry[0]!)).map((g) => Number(g[2]));
  user.groups = [...new Set([user.gid, ...user.groups, ...more.map((g) => groupId(group, g, `Unable to find group ${g}: no matching entries in group file`))])];
  return user;
}

function checkRange(id: string): void {
  if (Number(id) < 0 || Number(id) > 2147483647) throw new Refused(400, 'uids and gids must be in range 0-2147483647');
}

function groupId(group: readonly string[][], name: string, missing = `unable to find group ${name}: no matching entries in group file`): number {
  const entry = group.find((g) => g[0] === name);
  if (entry) return Number(entry[2]);
  if (/^[-+]?\d+$/.test(name)) {
    checkRange(name);
    return Number(name);
  }
  throw new Refused(400, missing);
}

function* mountsOf(c: Container, init: boolean): Call<SpecMount[]> {
  const h = c.HostConfig;
  const dir = directoryOf(c.ID);
  const ro = h.Privileged ? 'rw' : 'ro';
  const mounts: SpecMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', ro] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [ro, 'nosuid', 'noexec', 'nodev'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    ...(h.IpcMode === 'host'
      ? [{ destination: '/dev/shm', type: 'bind', source: '/dev/shm', options: ['rbind', 'rprivate'] }]
      : h.IpcMode === 'none'
        ? []
        : [
          {
            destination: '/dev/shm',
            type: 'tmpfs',
            source: 'shm',
            options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${h.ShmSize / 1024}k`],
          },
        ]),
  ];
  for (const [path, options] of Object.entries(h.Tmpfs ?? {}))
    mounts.push({
      destination: path,
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['noexec', 'nosuid', 'nodev', ...options.split(',').filter((o) => o !== '')],
    });
  const own = (file: string): SpecMount => ({
    destination: `/etc/${file}`,
    type: 'bind',
    source: `${dir}/${file}`,
    options: ['rbind', 'rprivate', ...(h.ReadonlyRootfs ? ['ro'] : [])],
  });
  const points = c.MountPoints.map(
    (m): SpecMount =>
      m.Type === 'tmpfs'
        ? {
            destination: m.Destination,
            type: 'tmpfs',
            source: 'tmpfs',
            options: ['noexec', 'nosuid', 'nodev', ...m.Mode.split(',').filter((o) => o !== ''), ...(m.RW ? [] : ['ro'])],
          }
        : {
            destination: m.Destination,
            type: 'bind',
            source: m.Source,
            options: ['rbind', m.Propagation || 'rprivate', ...(m.RW ? [] : ['ro'])],
          },
  );
  const taken = new Set(points.map((p) => p.destination));
  const rest = [...['resolv.conf', 'hostname', 'hosts'].map(own).filter((m) => !taken.has(m.destination)), ...points].sort(
    (a, b) => a.destination.split('/').length - b.destination.split('/').length,
  );
  mounts.push(...rest);
  if (init) mounts.push({ destination: '/sbin/docker-init', type: 'bind', source: '/usr/bin/docker-init', options: ['bind', 'ro'] });
  return mounts;
}

function namespacesOf(daemon: Daemon, c: Container): Spec['linux']['namespaces'] {
  const h = c.HostConfig;
  const out: Spec['linux']['namespaces'] = [{ type: 'mount' }];
  const joined = (type: string, kernelName: string, mode: string): void => {
    if (mode === 'host') return;
    const other = /^container:(.+)$/.exec(mode);
    if (!other) out.push({ type: type.toLowerCase() });
    else out.push({ type: type.toLowerCase(), path: `/proc/${runningPid(daemon, other[1]!, type)}/ns/${kernelName}` });
  };
  joined('network', 'net', h.NetworkMode);
  joined('uts', 'uts', h.UTSMode);
  joined('PID', 'pid', h.PidMode);
  joined('IPC', 'ipc', /^(?:shareable|private|none)$/.test(h.IpcMode) ? '' : h.IpcMode);
  if (h.CgroupnsMode !== 'host') out.push({ type: 'cgroup' });
  return out;
}

/** `what` it is to be joined for: network, PID, IPC. */
export function runningPid(daemon: Daemon, name: string, what: string): number {
  const other = findContainer(daemon, name);
  if (!other.State.Running) throw new Refused(409, `cannot join ${what} of a non running container: ${other.ID}`);
  if (what === 'IPC' && !/^(?:shareable|host)$/.test(other.HostConfig.IpcMode))
    throw new Refused(409, `failed to join IPC namespace: container ${other.ID}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`);
  return other.State.Pid;
}

export function cgroupsPathOf(daemon: Daemon, c: Container): string {
  const parent = c.HostConfig.CgroupParent;
  return daemon.cgroupDriver === 'systemd' ? `${parent || 'system.slice'}:docker:${c.ID}` : `${parent || '/docker'}/${c.ID}`;
}

export function resourcesOf(c: Container): Resources {
  const h = c.HostConfig;
  const cpu: NonNullable<Resources['cpu']> = {};
  if (h.CpuShares) cpu.shares = h.CpuShares;
  if (h.NanoCpus > 0) Object.assign(cpu, { period: 100000, quota: Math.floor((h.NanoCpus * 100000) / 1e9) });
  if (h.CpuPeriod) cpu.period = h.CpuPeriod;
  if (h.CpuQuota) cpu.quota = h.CpuQuota;
  if (h.CpusetCpus) cpu.cpus = h.CpusetCpus;
  if (h.CpusetMems) cpu.mems = h.CpusetMems;
  const memory: NonNullable<Resources['memory']> = {};
  if (h.Memory) memory.limit = h.Memory;
  if (h.MemorySwap) memory.swap = h.MemorySwap;
  if (h.MemoryReservation) memory.reservation = h.MemoryReservation;
  return { devices: [{ allow: false, access: 'rwm' }], memory, cpu, ...(h.BlkioWeight ? { blockIO: { weight: Number(h.BlkioWeight) } } : {}), ...(h.PidsLimit ? { pids: { limit: h.PidsLimit } } : {}) };
}

const THROTTLES = [
  ['BlkioDeviceReadBps', 'throttleReadBpsDevice'], ['BlkioDeviceWriteBps', 'throttleWriteBpsDevice'], ['BlkioDeviceReadIOps', 'throttleReadIOPSDevice'], ['BlkioDeviceWriteIOps', 'throttleWriteIOPSDevice'],
] as const;

/** Limits on devices, by their numbers. Throws Refused for a device that is not there. */
function* throttlesOf(c: Container): Call<Pick<Resources, 'blockIO'>> {
  const blockIO: NonNullable<Resources['blockIO']> = c.HostConfig.BlkioWeight ? { weight: Number(c.HostConfig.BlkioWeight) } : {};
  for (const [from, to] of THROTTLES) {
    for (const { Path, Rate } of (c.HostConfig[from] ?? []) as { Path: string; Rate: number }[]) {
      const stat = yield* statOf(Path);
      if (!stat) throw new Refused(400, `stat ${Path}: no such file or directory`);
      blockIO[to] = [...(blockIO[to] ?? []), { major: stat.rdev[0], minor: stat.rdev[1], rate: Rate }];
    }
  }
  return Object.keys(blockIO).length > 0 ? { blockIO } : {};
}

/** Host devices asked for. Throws Refused for one that is not there. */
function* devicesOf(c: Container): Call<NonNullable<Spec['linux']['devices']>> {
  const out: NonNullable<Spec['linux']['devices']> = [];
  // No driver for any kind of device is there.
  for (const r of (c.HostConfig.DeviceRequests ?? []) as { Driver?: string; Capabilities?: string[][] }[]) {
    const capabilities = (r.Capabilities ?? []).map((one) => `[${one.join(' ')}]`).join(' ');
    throw new Refused(500, `could not select device driver ${JSON.stringify(r.Driver ?? '')} with capabilities: [${capabilities}]`);
  }
  for (const d of c.HostConfig.Devices) {
    const stat = yield* statOf(d.PathOnHost);
    if (!stat)
      throw new Refused(400, `error gathering device information while adding custom device "${d.PathOnHost}": no such file or directory`);
    if (isDir(stat)) continue;
    out.push({
      path: d.PathInContainer,
      type: (stat.mode & 0o170000) === 0o060000 ? 'b' : 'c',
      major: stat.rdev[0],
      minor: stat.rdev[1],
      fileMode: stat.mode & 0o777,
        uid: stat.uid,
        gid: stat.gid,
    });
  }
  return out;
}

function* hostDevices(): Call<NonNullable<Spec['linux']['devices']>> {
  const out: NonNullable<Spec['linux']['devices']> = [];
  for (const { name, type } of yield* list('/dev')) {
    if ((type !== 'chr' && type !== 'blk') || /^(console|ptmx|tty|null|zero|full|random|urandom)$/.test(name)) continue;
    const stat = yield* statOf(`/dev/${name}`);
    if (stat)
      out.push({
        path: `/dev/${name}`,
        type: type === 'blk' ? 'b' : 'c',
        major: stat.rdev[0],
        minor: stat.rdev[1],
        fileMode: stat.mode & 0o777,
        uid: stat.uid,
        gid: stat.gid,
      });
  }
  return out;
}
