/** Control groups, version 2: the tree as records. Limits in bytes or as the file's unit; null is "max". Source: kernel doc cgroup-v2. */
import type { Task } from '../records.ts';

export type Controller = 'cpuset' | 'cpu' | 'io' | 'memory' | 'pids';

export interface CgroupTree {
  root: Cgroup;
  nextId: number;
}

export interface Cgroup {
  id: number;
  name: string;
  parent: Cgroup | null;
  children: Map<string, Cgroup>;
  /** Processes (thread group leaders and threads) directly here. */
  tasks: Set<Task>;
  /** Controllers enabled for the children. */
  subtree: Set<Controller>;
  frozen: boolean;
  freezeAsked: boolean;
  uid: number;
  gid: number;
  mode: number;
  memory: MemoryState;
  cpu: CpuState;
  pids: { current: number; max: number | null; peak: number; events: number; eventsLocal: number };
  io: { max: Map<string, Record<'rbps' | 'wbps' | 'riops' | 'wiops', number | null>>; stat: Map<string, { rbytes: number; wbytes: number; rios: number; wios: number; dbytes: number; dios: number }>; weight: number };
  cpuset: { cpus: string; mems: string };
  removed: boolean;
}

export interface MemoryState {
  /** Pages, this cgroup and below. */
  anon: number;
  file: number;
  shmem: number;
  kernel: number;
  peak: number;
  swap: number;
  min: number;
  low: number;
  /** Bytes; null = max. */
  high: number | null;
  max: number | null;
  swapMax: number | null;
  oomGroup: boolean;
  /** Hierarchical, and the local variant. */
  events: MemoryEvents;
  eventsLocal: MemoryEvents;
  pgfault: number;
  pgmajfault: number;
  /** Last value traced, in pages: a sample is recorded when it has moved enough to be seen. */
  sampled: number;
}

export interface MemoryEvents {
  low: number; high: number; max: number; oom: number; oomKill: number; oomGroupKill: number;
}

export interface CpuState {
  weight: number;
  /** Microseconds; null = max. */
  quota: number | null;
  period: number;
  burst: number;
  idle: boolean;
  usage: { user: number; system: number };
  nrPeriods: number;
  nrThrottled: number;
  throttledTime: number;
  /** ns left in this period. */
  left: number;
  vruntime: number;
  throttled: boolean;
}
