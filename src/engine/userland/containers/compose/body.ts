/**
 * A service as the daemon's request for a container: configuration, host side, networks, labels, and the hash by which
 * compose sees that it changed. Source: docker/compose pkg/compose/create.go, hash.go, pkg/api/labels.go.
 */
import { durationNs, nanoCpus } from '../docker/cli/values.ts';
import { goJson } from '../gofmt.ts';
import { hexOf } from '../oci.ts';
import { jsonService } from './emit.ts';
import type { Any, Dict } from './document.ts';
import type { Project } from './project.ts';

export const VERSION = '2.26.1';
const L = 'com.docker.compose';
export const LABEL = {
  project: `${L}.project`, service: `${L}.service`, number: `${L}.container-number`, oneoff: `${L}.oneoff`, hash: `${L}.config-hash`, image: `${L}.image`, files: `${L}.project.config_files`,
  directory: `${L}.project.working_dir`, version: `${L}.version`, dependencies: `${L}.depends_on`, network: `${L}.network`, volume: `${L}.volume`, replace: `${L}.replace`, slug: `${L}.slug`,
} as const;

export const imageOf = (p: Project, name: string): string => p.services[name]?.image ?? `${p.name}-${name}`;

export function scaleOf(service: Dict): number {
  return Number(service.scale ?? service.deploy?.replicas ?? 1);
}

/** Of what makes a container different; not how many there are or how they are built. */
export function hashOf(service: Dict): string {
  const { build: _b, pull_policy: _p, scale: _s, deploy, ...rest } = service;
  const { replicas: _r, ...kept } = (deploy ?? {}) as Dict;
  return hexOf(goJson(jsonService({ ...rest, ...(deploy ? { deploy: kept } : {}) }), undefined, true));
}

export interface Made {
  project: Project;
  name: string;
  service: Dict;
  number: number;
  imageId: string;
  /** Of a `run`. */
  oneoff?: { slug: string; aliases: boolean; remove: boolean; stdin: boolean };
}

function labelsOf({ project: p, name, service, number, imageId, oneoff }: Made): Dict {
  const needs = Object.entries((service.depends_on ?? {}) as Dict).map(([n, d]) => `${n}:${d.condition}:${d.restart === true}`);
  return {
    ...(service.labels ?? {}), [LABEL.hash]: hashOf(service), [LABEL.number]: String(number), [LABEL.dependencies]: needs.join(','), [LABEL.image]: imageId, [LABEL.oneoff]: oneoff ? 'True' : 'False',
    [LABEL.project]: p.name, [LABEL.files]: p.files.join(','), [LABEL.directory]: p.directory, [LABEL.service]: name, [LABEL.version]: VERSION, ...(oneoff ? { [LABEL.slug]: oneoff.slug } : {}),
  };
}

function portsOf(service: Dict): { exposed: Dict; bindings: Record<string, { HostIp: string; HostPort: string }[]> } {
  const exposed: Dict = {};
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const e of (service.expose ?? []) as string[]) exposed[e.includes('/') ? e : `${e}/tcp`] = {};
  for (const port of (service.ports ?? []) as Dict[]) {
    const key = `${port.target}/${port.protocol}`;
    exposed[key] = {};
    (bindings[key] ??= []).push({ HostIp: String(port.host_ip ?? ''), HostPort: String(port.published ?? '') });
  }
  return { exposed, bindings };
}

interface Mounts {
  binds: string[];
  mounts: Dict[];
}

/** Files of secrets and configs are bound, read only. */
function mountsOf(p: Project, service: Dict): Mounts {
  const out: Mounts = { binds: [], mounts: [] };
  for (const v of (service.volumes ?? []) as Dict[]) {
    const mode = [v.read_only ? 'ro' : 'rw', ...(v.bind?.propagation ? [v.bind.propagation] : [])].join(',');
    if (v.type === 'bind' && v.bind?.create_host_path) out.binds.push(`${v.source}:${v.target}:${mode}`);
    else out.mounts.push({
      Type: v.type, ...(v.source ? { Source: v.type === 'volume' ? (p.volumes[v.source]?.name ?? v.source) : v.source } : {}), Target: v.target, ...(v.read_only ? { ReadOnly: true } : {}), ...(v.type === 'volume' ? { VolumeOptions: v.volume?.nocopy ? { NoCopy: true } : {} } : {}), ...(v.bind?.propagation ? { BindOptions: { Propagation: v.bind.propagation } } : {}),
      ...(v.type === 'tmpfs' && v.tmpfs ? { TmpfsOptions: { ...(v.tmpfs.size ? { SizeBytes: Number(v.tmpfs.size) } : {}), ...(v.tmpfs.mode !== undefined ? { Mode: Number(v.tmpfs.mode) } : {}) } } : {}),
    });
  }
  const file = (kind: 'secrets' | 'configs', at: (s: Dict) => string): void => {
    for (const s of (service[kind] ?? []) as Dict[]) {
      const from = p[kind][String(s.source)];
      if (from?.file) out.mounts.push({ Type: 'bind', Source: from.file, Target: at(s), ReadOnly: true });
    }
  };
  file('secrets', (s) => fileAt('secrets', s));
  file('configs', (s) => fileAt('configs', s));
  return out;
}

/** Where a secret or a config is in the container. */
export function fileAt(kind: 'secrets' | 'configs', s: Dict): string {
  if (kind === 'configs') return s.target === undefined ? `/${s.source}` : String(s.target);
  const target = String(s.target ?? s.source);
  return target.startsWith('/') ? target : `/run/secrets/${target}`;
}

const UNITLESS = (value: Any): number => (value === undefined ? 0 : Number(value));

function resourcesOf(service: Dict): Dict {
  const limits = service.deploy?.resources?.limits ?? {};
  const reserved = service.deploy?.resources?.reservations ?? {};
  const cpus = limits.cpus ?? service.cpus;
  return {
    Memory: UNITLESS(limits.memory ?? service.mem_limit), MemoryReservation: UNITLESS(reserved.memory ?? service.mem_reservation), MemorySwap: UNITLESS(service.memswap_limit), NanoCpus: cpus === undefined ? 0 : nanoCpus(String(cpus)),
    CpuShares: UNITLESS(service.cpu_shares), CpuQuota: UNITLESS(service.cpu_quota), CpuPeriod: UNITLESS(service.cpu_period), CpusetCpus: service.cpuset ?? '', CgroupParent: service.cgroup_parent ?? '',
    PidsLimit: UNITLESS(limits.pids ?? service.pids_limit), OomKillDisable: service.oom_kill_disable === true,
    Devices: ((service.devices ?? []) as Dict[]).map((d) => ({ PathOnHost: d.source, PathInContainer: d.target, CgroupPermissions: d.permissions })),
    Ulimits: Object.entries((service.ulimits ?? {}) as Dict).map(([Name, u]) => (typeof u === 'number' ? { Name, Soft: u, Hard: u } : { Name, Soft: u.soft, Hard: u.hard })),
  };
}

function restartOf(service: Dict): Dict {
  if (service.restart) {
    const [Name, most] = String(service.restart).split(':');
    return { Name, MaximumRetryCount: Number(most ?? 0) };
  }
  const policy = service.deploy?.restart_policy;
  const name = ({ none: 'no', 'on-failure': 'on-failure', any: 'always' } as Dict)[String(policy?.condition ?? '')];
  return policy ? { Name: name ?? 'always', MaximumRetryCount: name === 'on-failure' ? UNITLESS(policy.max_attempts) : 0 } : { Name: '', MaximumRetryCount: 0 };
}

function healthOf(service: Dict): Dict {
  const h = service.healthcheck;
  if (!h) return {};
  const ns = (key: string): number => (h[key] === undefined ? 0 : durationNs(h[key]));
  return { Healthcheck: { ...(h.disable ? { Test: ['NONE'] } : h.test ? { Test: h.test } : {}), Interval: ns('interval'), Timeout: ns('timeout'), StartPeriod: ns('start_period'), StartInterval: ns('start_interval'), Retries: UNITLESS(h.retries) } };
}

/** The network that a container has from the start, by priority and name, then the others. */
export function networksOf(service: Dict): string[] {
  const priority = (n: string): number => Number(service.networks?.[n]?.priority ?? 0);
  return Object.keys(service.networks ?? {}).sort((a, b) => priority(b) - priority(a) || (a < b ? -1 : 1));
}

export function endpointOf(made: Made, network: string, container: string): Dict {
  const n = made.service.networks?.[network] ?? {};
  const names = !made.oneoff || made.oneoff.aliases ? [made.name, ...((n.aliases ?? []) as string[])] : [];
  return { Aliases: [container, ...names], ...(n.ipv4_address ? { IPAMConfig: { IPv4Address: n.ipv4_address } } : {}) };
}

/** The body of POST /containers/create. */
export function bodyOf(made: Made, container: string, modes: Dict): Dict {
  const { project: p, name, service: s, oneoff } = made;
  const { exposed, bindings } = portsOf(s);
  const { binds, mounts } = mountsOf(p, s);
  const networks = networksOf(s);
  const env = Object.entries((s.environment ?? {}) as Dict).flatMap(([k, v]) => (v === null ? [] : [`${k}=${v}`]));
  return {
    Hostname: s.hostname ?? '', Domainname: s.domainname ?? '', User: s.user ?? '', AttachStdin: oneoff?.stdin === true, AttachStdout: true, AttachStderr: true, ...(Object.keys(exposed).length > 0 ? { ExposedPorts: exposed } : {}),
    Tty: s.tty === true, OpenStdin: s.stdin_open === true, StdinOnce: oneoff?.stdin === true && s.stdin_open === true, Env: env.length > 0 ? env : null, Cmd: s.command ?? null, ...healthOf(s), Image: imageOf(p, name), WorkingDir: s.working_dir ?? '',
    Entrypoint: s.entrypoint ?? null, Labels: labelsOf(made), ...(s.stop_signal ? { StopSignal: s.stop_signal } : {}), ...(s.stop_grace_period ? { StopTimeout: Math.ceil(durationNs(s.stop_grace_period) / 1e9) } : {}),
    HostConfig: {
      AutoRemove: oneoff?.remove === true, Binds: binds.length > 0 ? binds : null, Mounts: mounts, CapAdd: s.cap_add ?? null, CapDrop: s.cap_drop ?? null, NetworkMode: modes.network ?? (networks[0] ? p.networks[networks[0]]!.name : 'none'), ...(s.init ? { Init: true } : {}),
      IpcMode: modes.ipc ?? '', CgroupnsMode: s.cgroup ?? '', ReadonlyRootfs: s.read_only === true, RestartPolicy: restartOf(oneoff ? {} : s), ShmSize: UNITLESS(s.shm_size), ...(s.sysctls ? { Sysctls: s.sysctls } : {}), PortBindings: bindings, ...resourcesOf(s),
      VolumesFrom: modes.volumesFrom ?? null, Dns: s.dns ?? [], DnsSearch: s.dns_search ?? [], DnsOptions: s.dns_opt ?? [], ExtraHosts: ((s.extra_hosts ?? []) as string[]).map((h) => h.replace('=', ':')), SecurityOpt: s.security_opt ?? null, UsernsMode: s.userns_mode ?? '',
      UTSMode: s.uts ?? '', Privileged: s.privileged === true, PidMode: modes.pid ?? '', Tmpfs: s.tmpfs ? Object.fromEntries((s.tmpfs as string[]).map((t) => [t.split(':')[0]!, t.split(':').slice(1).join(':')])) : undefined,
      LogConfig: { Type: s.logging?.driver ?? '', Config: s.logging?.options ?? {} }, GroupAdd: s.group_add ?? null, OomScoreAdj: UNITLESS(s.oom_score_adj), Runtime: s.runtime ?? '',
    },
    NetworkingConfig: { EndpointsConfig: Object.fromEntries(networks.map((n) => [p.networks[n]!.name, endpointOf(made, n, container)])) },
  };
}
