/**
 * What dockerd keeps: containers, networks, volumes, images, and who waits for what. One record in memory, the parts that
 * outlive it on disk (record.ts). Names of fields are those of docker's own JSON, so that a record prints as inspect does.
 */
import type { ContainerConfig } from '../../oci.ts';
import type { Store } from '../../store.ts';
import type { Waiters } from './waiters.ts';

// biome-ignore lint/suspicious/noExplicitAny: bodies come from outside and are checked where they are used
export type Any = any;

export interface Daemon {
  id: string;
  store: Store;
  /** By full id, in order of creation. */
  containers: Map<string, Container>;
  /** Names taken, without the slash, to id. */
  names: Map<string, string>;
  networks: Map<string, Network>;
  volumes: Map<string, Volume>;
  execs: Map<string, Exec>;
  events: { log: DockerEvent[]; count: number; watchers: Waiters };
  /** Steps of builds, by what they were made from. */
  cache: Map<string, { built: unknown; size: number; used: number; made: number }>;
  /** Host ports handed out for "-p 80": the next to try. */
  nextPort: number;
  cgroupDriver: 'systemd' | 'cgroupfs';
  startedAt: number;
}

export interface State {
  Status: string;
  Running: boolean;
  Paused: boolean;
  Restarting: boolean;
  OOMKilled: boolean;
  Dead: boolean;
  Pid: number;
  ExitCode: number;
  Error: string;
  StartedAt: string;
  FinishedAt: string;
  Health?: Health;
}

export interface Health {
  Status: 'starting' | 'healthy' | 'unhealthy';
  FailingStreak: number;
  Log: { Start: string; End: string; ExitCode: number; Output: string }[];
}

export interface Healthcheck {
  Test?: string[];
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

export type Config = ContainerConfig & { Healthcheck?: Healthcheck; StopTimeout?: number; MacAddress?: string };

export interface HostConfig {
  Binds: string[] | null;
  ContainerIDFile: string;
  LogConfig: { Type: string; Config: Record<string, string> };
  NetworkMode: string;
  PortBindings: Record<string, { HostIp: string; HostPort: string }[]>;
  RestartPolicy: { Name: string; MaximumRetryCount: number };
  AutoRemove: boolean;
  CapAdd: string[] | null;
  CapDrop: string[] | null;
  CgroupnsMode: string;
  Dns: string[];
  DnsOptions: string[];
  DnsSearch: string[];
  ExtraHosts: string[] | null;
  GroupAdd: string[] | null;
  IpcMode: string;
  OomScoreAdj: number;
  PidMode: string;
  Privileged: boolean;
  PublishAllPorts: boolean;
  ReadonlyRootfs: boolean;
  SecurityOpt: string[] | null;
  UTSMode: string;
  UsernsMode: string;
  ShmSize: number;
  CpuShares: number;
  Memory: number;
  NanoCpus: number;
  CgroupParent: string;
  CpuPeriod: number;
  CpuQuota: number;
  CpusetCpus: string;
  CpusetMems: string;
  Devices: { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }[];
  MemoryReservation: number;
  MemorySwap: number;
  OomKillDisable: boolean | null;
  PidsLimit: number | null;
  Ulimits: { Name: string; Hard: number; Soft: number }[];
  VolumesFrom: string[] | null;
  VolumeDriver: string;
  MaskedPaths: string[] | null;
  ReadonlyPaths: string[] | null;
  Tmpfs?: Record<string, string>;
  Sysctls?: Record<string, string>;
  Mounts?: Any[];
  Init?: boolean;
  [more: string]: unknown;
}

/** A mount of the container as inspect shows it. */
export interface MountPoint {
  Type: 'bind' | 'volume' | 'tmpfs';
  Name?: string;
  Source: string;
  Destination: string;
  Driver?: string;
  Mode: string;
  RW: boolean;
  Propagation: string;
}

export interface Endpoint {
  IPAMConfig: { IPv4Address?: string } | null;
  Links: null;
  Aliases: string[] | null;
  MacAddress: string;
  NetworkID: string;
  EndpointID: string;
  Gateway: string;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  DriverOpts: null;
  DNSNames: string[] | null;
}

export interface Container {
  ID: string;
  Created: string;
  Path: string;
  Args: string[];
  Name: string;
  Image: string;
  Config: Config;
  HostConfig: HostConfig;
  State: State;
  RestartCount: number;
  HasBeenManuallyStopped: boolean;
  HasBeenStartedBefore: boolean;
  MountPoints: MountPoint[];
  /** Directory name of its writable layer, and the chain of its image below, bottom first. */
  layer: { id: string; chain: string[] };
  network: {
    sandbox: string;
    sandboxKey: string;
    endpoints: Record<string, Endpoint>;
    ports: Record<string, { HostIp: string; HostPort: string }[] | null>;
  };
  /** Not on disk: what runs. */
  live: Live;
}

export interface Live {
  /** Sends to attached clients; null while nothing runs. */
  streams: import('./streams.ts').Streams | null;
  /** Woken when it has ended (`exit`) or is gone (`gone`), with the status in State. */
  exit: Waiters;
  gone: Waiters;
  /** Woken when a line was logged. */
  logged: Waiters;
  proxies: number[];
  /** Ends so far: what "the next exit" is counted by. */
  exits: number;
  /** A stop was asked for: no restart. */
  stopping: boolean;
  removing: boolean;
  oomSeen: boolean;
  /** Attempts of the restart policy in a row, for its backoff; ns of the last. */
  backoff: number;
  /** Goes up when a health monitor must end. */
  healthRound: number;
  execs: string[];
  busy: import('./waiters.ts').Lock;
  /** Links that its namespace has been given since it started. */
  plugged: number;
  /** Veth names on the host. */
  links: Record<string, string>;
  /** What keeps its name server running, closed at its end; -1 without one. */
  resolver: number;
}

export interface Network {
  Name: string;
  Id: string;
  Created: string;
  Scope: string;
  Driver: string;
  EnableIPv6: boolean;
  IPAM: { Driver: string; Options: Record<string, string> | null; Config: { Subnet: string; Gateway?: string; IPRange?: string }[] };
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  Options: Record<string, string>;
  Labels: Record<string, string>;
  /** Addresses taken, to the id of the container. */
  leases: Record<string, string>;
  /** Its subnet is one of the daemon's pools, not asked for. */
  pooled?: boolean;
  /** Nobody asked for its gateway: inspect does not tell it. */
  unasked?: boolean;
  bridge: string;
}

export interface Volume {
  CreatedAt: string;
  Driver: string;
  Labels: Record<string, string> | null;
  Mountpoint: string;
  Name: string;
  Options: Record<string, string> | null;
  Scope: string;
  anonymous: boolean;
}

export interface Exec {
  ID: string;
  container: string;
  Running: boolean;
  ExitCode: number | null;
  Pid: number;
  body: Any;
  exit: Waiters;
  streams: import('./streams.ts').Streams | null;
}

export interface DockerEvent {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  /** ns since 1970. */
  timeNano: number;
}

/** An answer other than success, in docker's words. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const ROOT = '/var/lib/docker';
export const NEVER = '0001-01-01T00:00:00Z';
