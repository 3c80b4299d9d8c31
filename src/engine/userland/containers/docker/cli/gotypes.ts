/**
 * The Go types behind what `docker inspect` shows: `{{.State}}` prints a struct's values in the order of its fields, with those that
 * its JSON leaves out, and a pointer that is nil is false. Source: moby api/types (container, network, image, volume), go-connections/nat.
 */
import { told } from '../../template.ts';
import { goTime, parseIso } from '../../../lib/clock.ts';

type Of =
  | 'string' | 'int' | 'bool' | 'any' | 'time'
  | { struct: Struct; pointer?: true }
  | { list: Of }
  | { map: Of; key?: string };

interface Struct {
  name: string;
  /** Field to type; "Field=Json" where the JSON has another name. */
  fields: Readonly<Record<string, Of>>;
}

const struct = (name: string, fields: Struct['fields']): Struct => ({ name, fields });
/** Many fields of one type. */
const many = (of: Of, names: string): Record<string, Of> => Object.fromEntries(names.split(' ').map((name) => [name, of]));
const pointer = (one: Struct): Of => ({ struct: one, pointer: true });
const list = (of: Of): Of => ({ list: of });
const map = (of: Of): Of => ({ map: of });
const strings = list('string');
const labels = map('string');
/** A pointer to something plain: nil where it is not there. */
const optional: Of = 'any';

const EMPTY = struct('struct {}', {});
/** By port: a key of Go's own type, with which a template's text cannot index. */
const byPort = (of: Of): Of => ({ map: of, key: 'nat.Port' });
const PORTS = byPort(list({ struct: struct('nat.PortBinding', { 'HostIP=HostIp': 'string', HostPort: 'string' }) }));
const HEALTH = struct('types.Health', {
  Status: 'string', FailingStreak: 'int', Log: list(pointer(struct('types.HealthcheckResult', { Start: 'time', End: 'time', ExitCode: 'int', Output: 'string' }))),
});
const STATE = struct('types.ContainerState', {
  Status: 'string', ...many('bool', 'Running Paused Restarting OOMKilled Dead'), Pid: 'int', ExitCode: 'int', ...many('string', 'Error StartedAt FinishedAt'), Health: pointer(HEALTH),
});
const CHECK = struct('v1.HealthcheckConfig', { Test: strings, ...many('int', 'Interval Timeout StartPeriod StartInterval Retries') });
const CONFIG = struct('container.Config', {
  ...many('string', 'Hostname Domainname User'), ...many('bool', 'AttachStdin AttachStdout AttachStderr'), ExposedPorts: byPort({ struct: EMPTY }), ...many('bool', 'Tty OpenStdin StdinOnce'),
  Env: strings, Cmd: strings, Healthcheck: pointer(CHECK), ArgsEscaped: 'bool', Image: 'string', Volumes: map({ struct: EMPTY }), WorkingDir: 'string', Entrypoint: strings, NetworkDisabled: 'bool',
  MacAddress: 'string', OnBuild: strings, Labels: labels, StopSignal: 'string', StopTimeout: optional, Shell: strings,
});
const THROTTLE = list(pointer(struct('blkiodev.ThrottleDevice', { Path: 'string', Rate: 'int' })));
const HOST_CONFIG = struct('container.HostConfig', {
  Binds: strings, ContainerIDFile: 'string', LogConfig: { struct: struct('container.LogConfig', { Type: 'string', Config: labels }) }, NetworkMode: 'string', PortBindings: PORTS,
  RestartPolicy: { struct: struct('container.RestartPolicy', { Name: 'string', MaximumRetryCount: 'int' }) }, AutoRemove: 'bool', VolumeDriver: 'string', VolumesFrom: strings, ConsoleSize: list('int'),
  Annotations: labels, CapAdd: strings, CapDrop: strings, CgroupnsMode: 'string', 'DNS=Dns': strings, 'DNSOptions=DnsOptions': strings, 'DNSSearch=DnsSearch': strings, ExtraHosts: strings, GroupAdd: strings,
  IpcMode: 'string', Cgroup: 'string', Links: strings, OomScoreAdj: 'int', PidMode: 'string', ...many('bool', 'Privileged PublishAllPorts ReadonlyRootfs'), SecurityOpt: strings, StorageOpt: labels,
  Tmpfs: labels, UTSMode: 'string', UsernsMode: 'string', ShmSize: 'int', Sysctls: labels, Runtime: 'string', Isolation: 'string',
  'CPUShares=CpuShares': 'int', Memory: 'int', 'NanoCPUs=NanoCpus': 'int', CgroupParent: 'string', BlkioWeight: 'int', BlkioWeightDevice: list(pointer(struct('blkiodev.WeightDevice', { Path: 'string', Weight: 'int' }))),
  BlkioDeviceReadBps: THROTTLE, BlkioDeviceWriteBps: THROTTLE, BlkioDeviceReadIOps: THROTTLE, BlkioDeviceWriteIOps: THROTTLE,
  'CPUPeriod=CpuPeriod': 'int', 'CPUQuota=CpuQuota': 'int', 'CPURealtimePeriod=CpuRealtimePeriod': 'int', 'CPURealtimeRuntime=CpuRealtimeRuntime': 'int', CpusetCpus: 'string', CpusetMems: 'string',
  Devices: list({ struct: struct('container.DeviceMapping', many('string', 'PathOnHost PathInContainer CgroupPermissions')) }), DeviceCgroupRules: strings, DeviceRequests: list('any'),
  MemoryReservation: 'int', MemorySwap: 'int', MemorySwappiness: optional, OomKillDisable: optional, PidsLimit: optional,
  Ulimits: list(pointer(struct('units.Ulimit', { Name: 'string', Hard: 'int', Soft: 'int' }))), 'CPUCount=CpuCount': 'int', 'CPUPercent=CpuPercent': 'int', IOMaximumIOps: 'int', IOMaximumBandwidth: 'int',
  Mounts: list('any'), MaskedPaths: strings, ReadonlyPaths: strings, Init: optional,
});
const ENDPOINT = struct('network.EndpointSettings', {
  IPAMConfig: pointer(struct('network.EndpointIPAMConfig', { IPv4Address: 'string', IPv6Address: 'string', LinkLocalIPs: strings })), Links: strings, Aliases: strings, MacAddress: 'string', DriverOpts: labels,
  ...many('string', 'NetworkID EndpointID Gateway IPAddress'), IPPrefixLen: 'int', IPv6Gateway: 'string', GlobalIPv6Address: 'string', GlobalIPv6PrefixLen: 'int', DNSNames: strings,
});
const NETWORKING = struct('types.NetworkSettings', {
  ...many('string', 'Bridge SandboxID SandboxKey'), Ports: PORTS, HairpinMode: 'bool', LinkLocalIPv6Address: 'string', LinkLocalIPv6PrefixLen: 'int', SecondaryIPAddresses: list('any'),
  SecondaryIPv6Addresses: list('any'), ...many('string', 'EndpointID Gateway GlobalIPv6Address'), GlobalIPv6PrefixLen: 'int', IPAddress: 'string', IPPrefixLen: 'int', IPv6Gateway: 'string', MacAddress: 'string',
  Networks: map(pointer(ENDPOINT)),
});
const DRIVER = struct('types.GraphDriverData', { Data: labels, Name: 'string' });
const MOUNT = struct('types.MountPoint', { ...many('string', 'Type Name Source Destination Driver Mode'), RW: 'bool', Propagation: 'string' });
const CONTAINER = struct('types.ContainerJSON', {
  'ID=Id': 'string', Created: 'string', Path: 'string', Args: strings, State: pointer(STATE), ...many('string', 'Image ResolvConfPath HostnamePath HostsPath LogPath'), Node: optional, Name: 'string', RestartCount: 'int',
  ...many('string', 'Driver Platform MountLabel ProcessLabel AppArmorProfile'), ExecIDs: strings, HostConfig: pointer(HOST_CONFIG), GraphDriver: { struct: DRIVER }, SizeRw: optional, SizeRootFs: optional,
  Mounts: list({ struct: MOUNT }), Config: pointer(CONFIG), NetworkSettings: pointer(NETWORKING),
});
const IMAGE = struct('types.ImageInspect', {
  'ID=Id': 'string', RepoTags: strings, RepoDigests: strings, ...many('string', 'Parent Comment Created Container'), ContainerConfig: pointer(CONFIG), DockerVersion: 'string', Author: 'string', Config: pointer(CONFIG),
  ...many('string', 'Architecture Variant Os OsVersion'), Size: 'int', VirtualSize: 'int', GraphDriver: { struct: DRIVER }, RootFS: { struct: struct('types.RootFS', { Type: 'string', Layers: strings }) },
  Metadata: { struct: struct('image.Metadata', { LastTagTime: 'time' }) },
});
const NETWORK = struct('types.NetworkResource', {
  Name: 'string', 'ID=Id': 'string', Created: 'time', Scope: 'string', Driver: 'string', EnableIPv6: 'bool',
  IPAM: { struct: struct('network.IPAM', { Driver: 'string', Options: labels, Config: list({ struct: struct('network.IPAMConfig', { ...many('string', 'Subnet IPRange Gateway'), 'AuxAddress=AuxiliaryAddresses': labels }) }) }) },
  ...many('bool', 'Internal Attachable Ingress'), ConfigFrom: { struct: struct('network.ConfigReference', { Network: 'string' }) }, ConfigOnly: 'bool',
  Containers: map({ struct: struct('types.EndpointResource', many('string', 'Name EndpointID MacAddress IPv4Address IPv6Address')) }), Options: labels, Labels: labels, Peers: list('any'), Services: map('any'),
});
const VOLUME = struct('volume.Volume', {
  ClusterVolume: optional, CreatedAt: 'string', Driver: 'string', Labels: labels, Mountpoint: 'string', Name: 'string', Options: labels, Scope: 'string', Status: map('any'),
  UsageData: pointer(struct('volume.UsageData', { RefCount: 'int', Size: 'int' })),
});

const KINDS: readonly [Struct, (x: Readonly<Record<string, unknown>>) => boolean][] = [
  [CONTAINER, (x) => 'HostConfig' in x], [IMAGE, (x) => 'RootFS' in x], [NETWORK, (x) => 'IPAM' in x], [VOLUME, (x) => 'Mountpoint' in x],
];

/** What an inspected object is in Go: by what its JSON has. */
export function typed(json: Readonly<Record<string, unknown>>, as: 'pointer' | 'value' = 'pointer'): unknown {
  const kind = KINDS.find(([, fits]) => fits(json))?.[0];
  return kind ? made(as === 'pointer' ? pointer(kind) : { struct: kind }, json) : json;
}

const ZERO: Readonly<Record<string, unknown>> = { string: '', int: 0, bool: false, any: null };

function zeroOf(of: Of): unknown {
  if (typeof of === 'string') return of === 'time' ? moment('0001-01-01T00:00:00Z') : ZERO[of];
  if ('list' in of) return told([], { name: 'slice', fields: null, original: null });
  if ('map' in of) return told({}, { name: 'map', fields: null, zero: zeroOf(of.map), original: null, ...(of.key ? { key: of.key } : {}) });
  return of.pointer ? null : made(of, {});
}

function made(of: Of, json: unknown): unknown {
  if (json === null || json === undefined) return zeroOf(of);
  if (of === 'time') return moment(String(json));
  if (typeof of === 'string') return json;
  if ('list' in of) return Array.isArray(json) ? json.map((one) => made(of.list, one)) : json;
  if (typeof json !== 'object') return json;
  const record = json as Readonly<Record<string, unknown>>;
  if ('map' in of) return told(Object.fromEntries(Object.entries(record).map(([k, v]) => [k, made(of.map, v)])), { name: 'map', fields: null, zero: zeroOf(of.map), original: json, ...(of.key ? { key: of.key } : {}) });
  const names = Object.keys(of.struct.fields).map((key) => key.split('=') as [string, string | undefined]);
  const value = Object.fromEntries(names.map(([name, key]) => [name, made(of.struct.fields[key ? `${name}=${key}` : name]!, record[key ?? name])]));
  return told(value, { name: `${of.pointer ? '*' : ''}${of.struct.name}`, fields: names.map(([name]) => name), original: json, ...(of.pointer ? { pointer: true } : {}) });
}

/** A time.Time. */
function moment(text: string): object {
  const fraction = /\.(\d+)Z$/.exec(text)?.[1]?.replace(/0+$/, '') ?? '';
  const shown = text.startsWith('0001') ? '0001-01-01 00:00:00 +0000 UTC' : goTime(parseIso(text)).replace(' +0000', `${fraction ? `.${fraction}` : ''} +0000`);
  return told({}, { name: 'time.Time', fields: [], original: text, text: shown });
}
