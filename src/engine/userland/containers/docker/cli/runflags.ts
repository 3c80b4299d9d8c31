/** The flags of `docker run` and `docker create`, and how they become the daemon's Config, HostConfig and NetworkingConfig. */
import { SysError } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import type { Call } from '../../../lib/http.ts';
import { readText } from '../../../lib/files.ts';
import { type Any, type Client, Stop } from './client.ts';
import type { Flags } from './flags.ts';
import { portsOf } from './ports.ts';
import { durationNs, nanoCpus, sizeBytes } from './values.ts';
import { volumesOf } from './volumeflags.ts';

export const CREATE_OPTIONS = `
      --add-host list                    Add a custom host-to-IP mapping (host:ip)
      --annotation map                   Add an annotation to the container (passed through to the OCI runtime) (default map[])
  -a, --attach list                      Attach to STDIN, STDOUT or STDERR
      --blkio-weight uint16              Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)
      --blkio-weight-device list         Block IO weight (relative device weight) (default [])
      --cap-add list                     Add Linux capabilities
      --cap-drop list                    Drop Linux capabilities
      --cgroup-parent string             Optional parent cgroup for the container
      --cgroupns string                  Cgroup namespace to use (host|private)
                                         'host':    Run the container in the Docker host's cgroup namespace
                                         'private': Run the container in its own private cgroup namespace
                                         '':        Use the cgroup namespace as configured by the
                                                    default-cgroupns-mode option on the daemon (default)
      --cidfile string                   Write the container ID to the file
      --cpu-period int                   Limit CPU CFS (Completely Fair Scheduler) period
      --cpu-quota int                    Limit CPU CFS (Completely Fair Scheduler) quota
      --cpu-rt-period int                Limit CPU real-time period in microseconds
      --cpu-rt-runtime int               Limit CPU real-time runtime in microseconds
  -c, --cpu-shares int                   CPU shares (relative weight)
      --cpus decimal                     Number of CPUs
      --cpuset-cpus string               CPUs in which to allow execution (0-3, 0,1)
      --cpuset-mems string               MEMs in which to allow execution (0-3, 0,1)
      --device list                      Add a host device to the container
      --device-cgroup-rule list          Add a rule to the cgroup allowed devices list
      --device-read-bps list             Limit read rate (bytes per second) from a device (default [])
      --device-read-iops list            Limit read rate (IO per second) from a device (default [])
      --device-write-bps list            Limit write rate (bytes per second) to a device (default [])
      --device-write-iops list           Limit write rate (IO per second) to a device (default [])
      --disable-content-trust            Skip image verification (default true)
      --dns list                         Set custom DNS servers
      --dns-option list                  Set DNS options
      --dns-search list                  Set custom DNS search domains
      --domainname string                Container NIS domain name
      --entrypoint string                Overwrite the default ENTRYPOINT of the image
  -e, --env list                         Set environment variables
      --env-file list                    Read in a file of environment variables
      --expose list                      Expose a port or a range of ports
      --gpus gpu-request                 GPU devices to add to the container ('all' to pass all GPUs)
      --group-add list                   Add additional groups to join
      --health-cmd string                Command to run to check health
      --health-interval duration         Time between running the check (ms|s|m|h) (default 0s)
      --health-retries int               Consecutive failures needed to report unhealthy
      --health-start-interval duration   Time between running the check during the start period (ms|s|m|h) (default 0s)
      --health-start-period duration     Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)
      --health-timeout duration          Maximum time to allow one check to run (ms|s|m|h) (default 0s)
      --help                             Print usage
  -h, --hostname string                  Container host name
      --init                             Run an init inside the container that forwards signals and reaps processes
  -i, --interactive                      Keep STDIN open even if not attached
      --ip string                        IPv4 address (e.g., 172.30.100.104)
      --ip6 string                       IPv6 address (e.g., 2001:db8::33)
      --ipc string                       IPC mode to use
      --isolation string                 Container isolation technology
      --kernel-memory bytes              Kernel memory limit
  -l, --label list                       Set meta data on a container
      --label-file list                  Read in a line delimited file of labels
      --link list                        Add link to another container
      --link-local-ip list               Container IPv4/IPv6 link-local addresses
      --log-driver string                Logging driver for the container
      --log-opt list                     Log driver options
      --mac-address string               Container MAC address (e.g., 92:d0:c6:0a:29:33)
  -m, --memory bytes                     Memory limit
      --memory-reservation bytes         Memory soft limit
      --memory-swap bytes                Swap limit equal to memory plus swap: '-1' to enable unlimited swap
      --memory-swappiness int            Tune container memory swappiness (0 to 100) (default -1)
      --mount mount                      Attach a filesystem mount to the container
      --name string                      Assign a name to the container
      --network network                  Connect a container to a network
      --network-alias list               Add network-scoped alias for the container
      --no-healthcheck                   Disable any container-specified HEALTHCHECK
      --oom-kill-disable                 Disable OOM Killer
      --oom-score-adj int                Tune host's OOM preferences (-1000 to 1000)
      --pid string                       PID namespace to use
      --pids-limit int                   Tune container pids limit (set -1 for unlimited)
      --platform string                  Set platform if server is multi-platform capable
      --privileged                       Give extended privileges to this container
  -p, --publish list                     Publish a container's port(s) to the host
  -P, --publish-all                      Publish all exposed ports to random ports
      --pull string                      Pull image before creating ("always", "|missing", "never") (default "missing")
  -q, --quiet                            Suppress the pull output
      --read-only                        Mount the container's root filesystem as read only
      --restart string                   Restart policy to apply when a container exits (default "no")
      --rm                               Automatically remove the container when it exits
      --runtime string                   Runtime to use for this container
      --security-opt list                Security Options
      --shm-size bytes                   Size of /dev/shm
      --stop-signal string               Signal to stop the container
      --stop-timeout int                 Timeout (in seconds) to stop a container
      --storage-opt list                 Storage driver options for the container
      --sysctl map                       Sysctl options (default map[])
      --tmpfs list                       Mount a tmpfs directory
  -t, --tty                              Allocate a pseudo-TTY
      --ulimit ulimit                    Ulimit options (default [])
  -u, --user string                      Username or UID (format: <name|uid>[:<group|gid>])
      --userns string                    User namespace to use
      --uts string                       UTS namespace to use
  -v, --volume list                      Bind mount a volume
      --volume-driver string             Optional volume driver for the container
      --volumes-from list                Mount volumes from the specified container(s)
  -w, --workdir string                   Working directory inside the container
`;

export interface CreateBody {
  body: Any;
  image: string;
}

/** The body of POST /containers/create. Throws Stop with what is wrong, without the "docker: ". */
export function* createBody(client: Client, flags: Flags): Call<CreateBody> {
  const [image, ...cmd] = flags.args as [string, ...string[]];
  const attach = flags.all('attach').map((a) => a.toLowerCase());
  const interactive = flags.has('interactive');
  const tty = flags.has('tty');
  const detached = flags.has('detach');
  const any = attach.length > 0;
  const out = !detached && (any ? attach.includes('stdout') : true);
  const err = !detached && (any ? attach.includes('stderr') : true);
  const stdin = any ? attach.includes('stdin') : interactive && !detached;
  if (flags.all('link').length > 0) throw new Stop('not modelled: --link (a network that people make has names)', 125);
  const { exposed, bindings } = portsOf(flags.all('publish'), flags.all('expose'));
  const { binds, volumes, mounts, tmpfs } = volumesOf(flags.all('volume'), flags.all('mount'), flags.all('tmpfs'), yield* sys('getcwd'));
  const env = yield* environment(client, flags);
  const labels = yield* labelsOf(flags);
  const entrypoint = flags.get('entrypoint');
  const config = {
    Hostname: flags.get('hostname') ?? '',
    Domainname: flags.get('domainname') ?? '',
    User: flags.get('user') ?? '',
    AttachStdin: stdin,
    AttachStdout: out,
    AttachStderr: err,
    ...(Object.keys(exposed).length > 0 ? { ExposedPorts: exposed } : {}),
    Tty: tty,
    OpenStdin: interactive,
    StdinOnce: interactive && stdin,
    Env: env.length > 0 ? env : null,
    Cmd: cmd.length > 0 ? cmd : null,
    ...healthOf(flags),
    Image: image,
    Volumes: Object.keys(volumes).length > 0 ? volumes : null,
    WorkingDir: flags.get('workdir') ?? '',
    Entrypoint: entrypoint === undefined ? null : [entrypoint],
    OnBuild: null,
    Labels: labels,
    ...(flags.get('mac-address') ? { MacAddress: flags.get('mac-address') } : {}),
    ...(flags.get('stop-signal') ? { StopSignal: flags.get('stop-signal') } : {}),
    ...(flags.has('stop-timeout') ? { StopTimeout: Number(flags.get('stop-timeout')) } : {}),
  };
  const networks = networksOf(flags);
  const securityOpt = yield* securityOptions(flags.all('security-opt'));
  const hostConfig = hostConfigOf(flags, { securityOpt, network: networks[0]!.name, binds, mounts, tmpfs, bindings });
  return { image, body: { ...config, HostConfig: hostConfig, NetworkingConfig: networkingOf(flags, networks) } };
}

/** A seccomp profile goes to the daemon as its text. Throws Stop. */
function* securityOptions(asked: readonly string[]): Call<string[]> {
  const out: string[] = [];
  for (const one of asked) {
    const [key, ...rest] = one.split('=');
    const value = rest.join('=');
    if (rest.length === 0 && key !== 'no-new-privileges' && !one.includes(':')) throw new Stop(`Invalid --security-opt: ${JSON.stringify(one)}`);
    if (key !== 'seccomp' || value === 'unconfined' || value === 'builtin') {
      out.push(one);
      continue;
    }
    let source: string;
    try {
      source = yield* readText(value);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Stop(`opening seccomp profile (${value}) failed: open ${value}: ${error.message.toLowerCase()}`);
    }
    try {
      out.push(`seccomp=${JSON.stringify(JSON.parse(source))}`);
    } catch {
      throw new Stop(`compacting json for seccomp profile (${value}) failed: ${jsonFault(source)}`);
    }
  }
  return out;
}

/** Go's words for text that is no JSON. */
function jsonFault(source: string): string {
  const text = source.trim();
  return text === '' || /[[{,:"]$/.test(text) ? 'unexpected end of JSON input' : `invalid character '${/[^\s{[\]}",:\w.-]/.exec(text)?.[0] ?? text[0]}' looking for beginning of value`;
}

interface NetworkAsked {
  name: string;
  aliases: string[];
  ip?: string;
}

/** Networks that nobody made. */
const builtin = (name: string): boolean => /^(?:bridge|host|none|default|container:.*)$/.test(name);

/** "--network nn" or "--network name=nn,alias=x,ip=172.18.0.9", as often as one likes. */
function networksOf(flags: Flags): NetworkAsked[] {
  const asked = [...flags.all('network'), ...flags.all('net')].filter((v) => v !== '').map((value) => {
    if (!value.includes('=')) return { name: value, aliases: [] };
    const pairs = value.split(',').map((part) => part.split('=') as [string, string]);
    const all = (key: string): string[] => pairs.filter(([k]) => k.toLowerCase() === key).map(([, v]) => v);
    return { name: all('name')[0] ?? '', aliases: all('alias'), ...(all('ip')[0] ? { ip: all('ip')[0]! } : {}) };
  });
  if (asked.some((n) => builtin(n.name)) && asked.some((n) => !builtin(n.name))) throw new Stop('conflicting options: cannot attach both user-defined and non-user-defined network-modes');
  const twice = asked.find((n, i) => asked.findIndex((o) => o.name === n.name) < i);
  if (twice) throw new Stop(`network ${JSON.stringify(twice.name)} is specified multiple times`);
  return asked.length > 0 ? asked : [{ name: 'default', aliases: [] }];
}

/** Flags of their own are about the first network. */
function networkingOf(flags: Flags, networks: readonly NetworkAsked[]): Any {
  const aliases = [...flags.all('network-alias'), ...flags.all('net-alias')];
  if (networks.some((n, i) => (aliases.length > 0 && i === 0 ? true : n.aliases.length > 0) && builtin(n.name))) throw new Stop('docker: network-scoped aliases are only supported for user-defined networks.', 125);
  return {
    EndpointsConfig: Object.fromEntries(networks.map((n, i) => {
      const ip = (i === 0 ? flags.get('ip') : undefined) ?? n.ip;
      const names = i === 0 ? [...aliases, ...n.aliases] : n.aliases;
      return [n.name, { IPAMConfig: ip ? { IPv4Address: ip } : null, Aliases: names.length > 0 ? names : null }];
    })),
  };
}

/** "all", or how many. */
function gpus(asked: string): Any {
  const count = asked === 'all' ? -1 : Number(asked);
  return { Driver: '', Count: count, DeviceIDs: null, Capabilities: [['gpu']], Options: {} };
}

interface Parts {
  securityOpt: readonly string[];
  network: string;
  binds: string[];
  mounts: Any[];
  tmpfs: Record<string, string>;
  bindings: Any;
}

function hostConfigOf(flags: Flags, { securityOpt, network, binds, mounts, tmpfs, bindings }: Parts): Any {
  const bytes = (name: string): number => (flags.get(name) === '-1' ? -1 : (sizeBytes(flags.get(name) ?? '0') ?? 0));
  const n = (name: string): number => Number(flags.get(name) ?? 0);
  const throttles = (name: string): Any[] => flags.all(name).map((one) => ({ Path: one.slice(0, one.indexOf(':')), Rate: sizeBytes(one.slice(one.indexOf(':') + 1)) ?? 0 }));
  const list = (name: string): string[] | null => (flags.on.has(name) ? flags.all(name) : null);
  checkModes(flags);
  return {
    Binds: binds.length > 0 ? binds : null,
    ContainerIDFile: flags.get('cidfile') ?? '',
    LogConfig: { Type: flags.get('log-driver') ?? '', Config: Object.fromEntries(flags.all('log-opt').map(pair)) },
    NetworkMode: network,
    ...(flags.get('gpus') ? { DeviceRequests: [gpus(flags.get('gpus')!)] } : {}),
    PortBindings: bindings,
    RestartPolicy: restartPolicy(flags.get('restart') ?? 'no'),
    AutoRemove: flags.has('rm'),
    VolumeDriver: flags.get('volume-driver') ?? '',
    VolumesFrom: list('volumes-from'),
    CapAdd: list('cap-add'),
    CapDrop: list('cap-drop'),
    CgroupnsMode: flags.get('cgroupns') ?? '',
    Dns: flags.all('dns'),
    DnsOptions: [...flags.all('dns-option'), ...flags.all('dns-opt')],
    DnsSearch: flags.all('dns-search'),
    ExtraHosts: list('add-host')?.map((h) => h.replace(/^([^:=]+)=/, '$1:')) ?? null,
    GroupAdd: list('group-add'),
    IpcMode: flags.get('ipc') ?? '',
    OomScoreAdj: n('oom-score-adj'),
    PidMode: flags.get('pid') ?? '',
    Privileged: flags.has('privileged'),
    PublishAllPorts: flags.has('publish-all'),
    ReadonlyRootfs: flags.has('read-only'),
    SecurityOpt: securityOpt.length > 0 ? securityOpt : null,
    ...(Object.keys(tmpfs).length > 0 ? { Tmpfs: tmpfs } : {}),
    UTSMode: flags.get('uts') ?? '',
    UsernsMode: flags.get('userns') ?? '',
    ShmSize: bytes('shm-size'),
    ...(flags.on.has('sysctl') ? { Sysctls: Object.fromEntries(flags.all('sysctl').map(pair)) } : {}),
    Runtime: flags.get('runtime') ?? '',
    ConsoleSize: [0, 0],
    Isolation: flags.get('isolation') ?? '',
    CpuShares: n('cpu-shares'),
    Memory: bytes('memory'),
    NanoCpus: nanoCpus(flags.get('cpus') ?? '0'),
    CgroupParent: flags.get('cgroup-parent') ?? '',
    BlkioWeight: n('blkio-weight'),
    BlkioWeightDevice: flags.all('blkio-weight-device').map((one) => ({ Path: one.slice(0, one.lastIndexOf(':')), Weight: Number(one.slice(one.lastIndexOf(':') + 1)) })),
    BlkioDeviceReadBps: throttles('device-read-bps'),
    BlkioDeviceWriteBps: throttles('device-write-bps'),
    BlkioDeviceReadIOps: throttles('device-read-iops'),
    BlkioDeviceWriteIOps: throttles('device-write-iops'),
    DeviceCgroupRules: list('device-cgroup-rule'),
    CpuPeriod: n('cpu-period'),
    CpuQuota: n('cpu-quota'),
    CpusetCpus: flags.get('cpuset-cpus') ?? '',
    CpusetMems: flags.get('cpuset-mems') ?? '',
    Devices: flags.all('device').map(deviceOf),
    MemoryReservation: bytes('memory-reservation'),
    MemorySwap: bytes('memory-swap'),
    MemorySwappiness: Number(flags.get('memory-swappiness') ?? -1),
    OomKillDisable: flags.has('oom-kill-disable'),
    PidsLimit: n('pids-limit'),
    Ulimits: flags.all('ulimit').map(ulimitOf),
    ...(flags.has('init') ? { Init: true } : {}),
    Mounts: mounts,
  };
}

const PEER = /^(?:host|container:.*)?$/;

/** Namespaces of one's own, the host's or another container's. Throws Stop. */
function checkModes(flags: Flags): void {
  const swappiness = Number(flags.get('memory-swappiness') ?? -1);
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) throw new Stop(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  if (!PEER.test(flags.get('pid') ?? '')) throw new Stop('--pid: invalid PID mode');
  if (!/^(?:host)?$/.test(flags.get('uts') ?? '')) throw new Stop('--uts: invalid UTS mode');
  if (!/^(?:host)?$/.test(flags.get('userns') ?? '')) throw new Stop('--userns: invalid USER mode');
  if (!/^(?:host|private)?$/.test(flags.get('cgroupns') ?? '')) throw new Stop('--cgroupns: invalid CGROUP mode');
  const mac = flags.get('mac-address');
  if (mac !== undefined && mac !== '' && !/^[\da-f]{2}(?:[:-][\da-f]{2}){5}$/i.test(mac)) throw new Stop(`${mac} is not a valid mac address`);
}

function pair(text: string): [string, string] {
  const cut = text.indexOf('=');
  return cut < 0 ? [text, ''] : [text.slice(0, cut), text.slice(cut + 1)];
}

const DEVICE_MODE = /^(?!.*(.).*\1)[rwm]+$/;

/** "HOST[:INSIDE][:rwm]". Throws Stop. */
function deviceOf(text: string): Any {
  const [host, inside, perms, ...more] = text.split(':');
  if (!host || more.length > 0) throw new Stop(`bad format for path: ${text}`);
  if (perms !== undefined && !DEVICE_MODE.test(perms)) throw new Stop(`bad mode specified: ${perms}`);
  const mode = perms === undefined && DEVICE_MODE.test(inside ?? '') ? inside : undefined;
  const path = mode === undefined ? (inside ?? host) : host;
  if (!path.startsWith('/')) throw new Stop(`${path} is not an absolute path`);
  return { PathOnHost: host, PathInContainer: path, CgroupPermissions: mode ?? perms ?? 'rwm' };
}

function ulimitOf(text: string): Any {
  const [name, limits] = pair(text);
  const [soft, hard] = limits.split(':').map(Number);
  return { Name: name, Hard: hard ?? soft, Soft: soft };
}

export function restartPolicy(text: string): { Name: string; MaximumRetryCount: number } {
  const [name, count, ...more] = text.split(':');
  if (more.length > 0) throw new Stop('invalid restart policy format: maximum retry count must be an integer');
  if (count !== undefined && !/^[-+]?\d+$/.test(count)) throw new Stop('invalid restart policy format: maximum retry count must be an integer');
  return { Name: name!, MaximumRetryCount: Number(count ?? 0) };
}

/** What --env-file and -e give, in that order. Throws Stop. */
export function* environment(client: Client, flags: Flags): Call<string[]> {
  const env: string[] = [];
  const add = (one: string): void => {
    if (one.includes('=')) env.push(one);
    else if (Object.hasOwn(client.env, one)) env.push(`${one}=${client.env[one]}`);
  };
  for (const path of flags.all('env-file')) env.push(...(yield* keyValues(path, client.env)));
  for (const one of flags.all('env')) add(one);
  return env;
}

function* labelsOf(flags: Flags): Call<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const path of flags.all('label-file')) for (const one of yield* keyValues(path, {})) labels[pair(one)[0]] = pair(one)[1];
  for (const one of flags.all('label')) labels[pair(one)[0]] = pair(one)[1];
  return labels;
}

/** "NAME=value" of each line of a file; a name alone has its value from `values` or is left out. Throws Stop. Source: docker/cli opts/file.go. */
function* keyValues(path: string, values: Readonly<Record<string, string>>): Call<string[]> {
  const out: string[] = [];
  for (const one of (yield* fileText(path)).replace(/^\uFEFF/, '').split('\n')) {
    const line = one.replace(/\r$/, '').trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const cut = line.indexOf('=');
    const name = cut < 0 ? line : line.slice(0, cut);
    if (/[ \t]/.test(name)) throw new Stop(`poorly formatted environment: variable '${name}' contains whitespaces`);
    if (name === '') throw new Stop(`poorly formatted environment: no variable name on line '${line}'`);
    if (cut >= 0) out.push(line);
    else if (Object.hasOwn(values, name)) out.push(`${name}=${values[name]}`);
  }
  return out;
}

function* fileText(path: string): Call<string> {
  try {
    return yield* readText(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Stop(`${error.errno === 'EISDIR' ? 'read' : 'open'} ${path}: ${error.message.toLowerCase()}`);
  }
}

function healthOf(flags: Flags): Any {
  const given = ['cmd', 'interval', 'retries', 'timeout', 'start-period', 'start-interval'].some((n) => flags.on.has(`health-${n}`));
  if (flags.has('no-healthcheck')) {
    if (given) throw new Stop('--no-healthcheck conflicts with --health-* options');
    return { Healthcheck: { Test: ['NONE'] } };
  }
  if (!given) return {};
  const ns = (name: string): Any => (flags.has(`health-${name}`) ? durationNs(flags.get(`health-${name}`)!) : 0);
  const cmd = flags.get('health-cmd');
  const all = {
    Interval: ns('interval'),
    Timeout: ns('timeout'),
    StartPeriod: ns('start-period'),
    StartInterval: ns('start-interval'),
    Retries: Number(flags.get('health-retries') ?? 0),
  };
  for (const name of ['Interval', 'Timeout', 'StartPeriod', 'Retries'] as const) {
    if (all[name] < 0) throw new Stop(`--health-${name === 'StartPeriod' ? 'start-period' : name.toLowerCase()} cannot be negative`);
  }
  return {
    Healthcheck: {
      ...(cmd === undefined ? {} : { Test: ['CMD-SHELL', cmd] }),
      ...Object.fromEntries(Object.entries(all).filter(([, v]) => v !== 0)),
    },
  };
}
