/** Control groups, version 2: the tree as records. Limits in bytes or as the file's unit; null is "max". Source: kernel doc cgroup-v2. */
import type { Task } from '../records.ts';
import type { Inode } from '../vfs/types.ts';

export type Controller = 'cpuset' | 'cpu' | 'io' | 'memory' | 'hugetlb' | 'pids' | 'rdma' | 'misc';

export interface CgroupTree {
  root: Cgroup;
  nextId: number;
  /** perf_event follows into every group once any subtree_control was written. */
  implicit: boolean;
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
  io: { max: Map<string, Record<'rbps' | 'wbps' | 'riops' | 'wiops', number | null>>; stat: Map<string, { rbytes: number; wbytes: number; rios: number; wios: number; dbytes: number; dios: number }>; weight: number; /** io.max was written for the disk. */ seen?: boolean; /** By limit: when the next request may begin, ns. */ next: Map<string, number> };
  /** `fault`: why the partition does not hold (may be without words), null when it does or is none. */
  cpuset: { cpus: string; mems: string; exclusive: string; partition: 'member' | 'root' | 'isolated'; fault: string | null };
  /** hugetlb limits that were set, bytes, by "2MB.max". */
  huge: Map<string, number>;
  removed: boolean;
  /** Member of a threaded subtree (its own choice; a domain above holds the memory). */
  threaded: boolean;
  /** Limits on the tree below; null = max. */
  maxDepth: number | null;
  maxDescendants: number | null;
  /** cgroup.pressure: whether stalls are accounted. */
  pressure: boolean;
  psi: Record<'cpu' | 'memory' | 'io', Psi>;
  /** Tasks here and below that wait for a processor, and since when (ns) their number is what it is. */
  waiting: { tasks: number; since: number };
  /** chmod and chown of its directory ('') and files, for delegation. */
  attrs: Map<string, { mode?: number; uid?: number; gid?: number }>;
  /** Extended attributes of its directory ('') and files. */
  xattrs: Map<string, Map<string, Uint8Array>>;
  /** Removed children that the kernel has not let go of: until when, or while pages stay charged. */
  dying: { cgroup: Cgroup; until: number }[];
  madeAt: number;
}

/** Pressure stall information: time (us) that some, or all, tasks lost; running averages in percent. */
export interface Psi {
  some: PsiLine;
  full: PsiLine;
  triggers: PsiTrigger[];
}

/** Someone who polls a pressure file waits for `threshold` us of stall within `window` us. */
export interface PsiTrigger {
  kind: 'some' | 'full';
  threshold: number;
  window: number;
  /** The window that is being watched: its start (ns), the total (us) then, and the growth in the one before. */
  start: number;
  value: number;
  before: number;
  /** It has happened since the last poll; when it last did, ns. */
  event: boolean;
  last: number;
}

export interface PsiLine {
  total: number;
  avg10: number;
  avg60: number;
  avg300: number;
  /** Simulated time (ns) and total at the last update of the averages. */
  at: number;
  seen: number;
}

export interface MemoryState {
  /** Pages, this cgroup and below. */
  anon: number;
  file: number;
  shmem: number;
  kernel: number;
  peak: number;
  swap: number;
  swapPeak: number;
  min: number;
  low: number;
  /** Bytes; null = max. */
  high: number | null;
  max: number | null;
  swapMax: number | null;
  swapHigh: number | null;
  swapEvents: { high: number; max: number; fail: number };
  oomGroup: boolean;
  /** Files with cached pages charged directly here, least recently grown first. Not tmpfs: that cannot be reclaimed. */
  cache: Set<Inode>;
  /** Files of tmpfs with pages charged directly here. */
  shared: Set<Inode>;
  /** Pages looked at and freed by reclaim, at this level. */
  scanned: number;
  stolen: number;
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
  /** Virtual ns that it was behind the others when it went to sleep. */
  lag: number;
  throttled: boolean;
  nrBursts: number;
  burstTime: number;
  /** How the counts stood about every 100 ms while it ran, the newest; cgroup/samples.ts. */
  samples: CpuSample[];
}

export interface CpuSample {
  /** ns; the others are totals: ns used, ns throttled, periods that ended throttled. */
  t: number;
  used: number;
  throttled: number;
  hits: number;
}
