/**
 * All state of one modelled kernel, as plain records. Behaviour lives in the files named after it.
 * Grouped by who may change it: `Task.files`, `Task.fs` and mounts by vfs; cgroups by cgroup; the rest by task, sched,
 * signals, memory, namespaces.
 */
import type { Timeline, Ticket } from '../sim/timeline.ts';
import type { Trace } from '../sim/trace.ts';
import type { Random } from '../sim/random.ts';
import type { Body, CapSets, LogLine, Program, Request, SigAction } from './sys.ts';
import type { Cgroup, CgroupTree } from './cgroup/types.ts';
import type { File, Mount, MountNamespace, Path } from './vfs/types.ts';
import type { NetNamespace } from './net/types.ts';
import type { Tty } from './tty.ts';

export interface Kernel {
  name: string;
  timeline: Timeline;
  trace: Trace;
  random: Random;
  cpus: number;
  /** Bytes of RAM. */
  memory: number;
  /** Cycles a nanosecond. */
  ghz: number;
  release: string;
  version: string;
  bootedAt: number;
  /** By pid in the first pid namespace. Threads too. */
  tasks: Map<number, Task>;
  /** The newest 50 that ended, for views. */
  ended: EndedTask[];
  /** Path to program: what a binary's content names. */
  programs: ReadonlyMap<string, Program>;
  cgroups: CgroupTree;
  /** Free and used frames in 4 KiB pages; file counts page cache and tmpfs. */
  frames: { total: number; anon: number; file: number; kernel: number };
  nextNsIno: number;
  /** Wait channel to the tasks that sleep on it, in order. */
  waiters: Map<string, Task[]>;
  ttys: Map<string, Tty>;
  log: LogLine[];
  init: Namespaces;
  mounts: { nextId: number; nextGroup: number; nextDev: number };
  /** Set by world: how packets leave this machine. */
  uplink: Uplink | null;
  counters: Record<string, number>;
  /** Registry of drivers' state by name (kvm, …). */
  drivers: Map<string, unknown>;
}

export interface EndedTask {
  pid: number; ppid: number; comm: string; args: string; cgroup: string; endedAt: number; status: number; killedBy: string;
}

export interface Namespaces {
  mnt: MountNamespace;
  pid: PidNamespace;
  /** New children go here (unshare and setns of a pid namespace act on children only). */
  pidForChildren: PidNamespace;
  uts: UtsNamespace;
  ipc: { ino: number; owner: UserNamespace };
  net: NetNamespace;
  user: UserNamespace;
  cgroup: { ino: number; root: Cgroup; owner: UserNamespace };
  time: { ino: number; owner: UserNamespace };
}

export interface PidNamespace {
  ino: number;
  parent: PidNamespace | null;
  level: number;
  next: number;
  tasks: Map<number, Task>;
  /** Its init has died: no more children. */
  dead: boolean;
  owner: UserNamespace;
}

export interface UtsNamespace {
  ino: number;
  hostname: string;
  domainname: string;
  owner: UserNamespace;
}

export interface UserNamespace {
  ino: number;
  parent: UserNamespace | null;
  owner: number;
  uidMap: IdMap[] | null;
  gidMap: IdMap[] | null;
  setgroups: 'allow' | 'deny';
}

export interface IdMap {
  inside: number;
  outside: number;
  count: number;
}

export interface Cred {
  uid: number; euid: number; suid: number;
  gid: number; egid: number; sgid: number;
  groups: readonly number[];
  caps: CapSets;
  noNewPrivs: boolean;
}

export type TaskState = 'running' | 'runnable' | 'sleeping' | 'stopped' | 'zombie' | 'dead';

export interface Task {
  /** In the first pid namespace. */
  pid: number;
  tgid: number;
  /** From the first namespace down to its own: one pid a level. */
  nspids: number[];
  parent: Task | null;
  children: Task[];
  comm: string;
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  exe: Path | null;
  state: TaskState;
  /** The program, and above it the signal handlers it is in; the top one runs. */
  stack: Body[];
  /** What it asked for and was not given yet. */
  pending: Request | null;
  /** What it will be resumed with. */
  resume: { value: unknown } | { error: unknown } | null;
  waitingOn: string[];
  wakeAt: Ticket | null;
  pgid: number;
  sid: number;
  tty: Tty | null;
  ns: Namespaces;
  cred: Cred;
  cgroup: Cgroup;
  fs: { root: Path; cwd: Path; umask: number };
  files: { slots: (Slot | undefined)[] };
  mm: AddressSpace;
  signals: {
    pending: number[]; blocked: number[]; actions: Map<number, SigAction>;
  };
  /** Status word once it has ended. */
  status: number;
  killedBy: string;
  oomScoreAdj: number;
  nice: number;
  times: { user: number; system: number; startedAt: number };
  sched: { vruntime: number; cpu: number | null; sliceUsed: number };
  noted: { stopped: boolean; continued: boolean };
  /** Trace ordinal of the record that explains its present state (what killed it, what it waits for). */
  because: number | undefined;
}

export interface Slot {
  file: File;
  cloexec: boolean;
}

export interface AddressSpace {
  users: number;
  /** Pages present, by kind. */
  rss: { anon: number; file: number; shmem: number };
  areas: Area[];
  brk: { start: number; end: number };
  pageTables: number;
  /** Highest rss seen, pages. */
  peak: number;
}

export interface Area {
  start: number;
  /** Bytes, page multiple. */
  length: number;
  prot: number;
  flags: number;
  file: Path | null;
  /** Pages present: all up to a mark, or a set once touched out of order. */
  present: Set<number> | number;
  locked: boolean;
}

/**
 * The wire out of this machine: the world (world/lan.ts) joins kernels, the control plane and the modelled outside here.
 * kernel.ts answers with `accept(kernel, {address, port}, port): number | null` (a connection from another machine to a
 * listening inet socket: its new conn number, null refused), `connected(kernel, conn, ok)` (completes a connect(2) that
 * waits, or fails it with ECONNREFUSED) and `deliver(kernel, conn, data | null)`. conn numbers are unique per kernel.
 */
export interface Uplink {
  /** A connection from here to address:port; the answer comes by `net` events. Returns false when nobody is there. */
  connect(from: { kernel: string; conn: number; address: string; port: number }, to: { address: string; port: number }): 'ok' | 'refused' | 'unreachable';
  send(from: { kernel: string; conn: number }, data: Uint8Array): void;
  close(from: { kernel: string; conn: number }): void;
}

export type { Cgroup, Mount };
