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
import type { IpcKind, IpcTable } from './ipc.ts';
import type { PeerGroup } from './vfs/peers.ts';
import type { File, FileOps, Inode, Mount, MountNamespace, Path, SuperBlock } from './vfs/types.ts';
import type { Errands } from './errands.ts';
import type { Members } from './membership.ts';
import type { NetNamespace, Packet } from './net/types.ts';
import type { OomRecord } from './oomlog.ts';
import type { Tracee, TraceNews } from './ptrace.ts';
import type { SeccompFilter } from './seccomp.ts';
import type { Tty } from './tty.ts';
import type { Spaces } from './vacancy.ts';

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
  /** Wait channel to the tasks that sleep on it, in order. */
  waiters: Map<string, Task[]>;
  ttys: Map<string, Tty>;
  log: LogLine[];
  init: Namespaces;
  mounts: { nextId: number; nextGroup: number; nextDev: number; groups: Map<number, PeerGroup>; nextJoined: number; late: Set<MountNamespace> };
  members: Members;
  spaces: Spaces;
  /** Set by world: how packets leave this machine. */
  uplink: Uplink | null;
  /** Without power nothing goes on. */
  power: 'on' | 'off';
  /** Set by world: the machine has lost its power, or asks to be started again. */
  onPower: ((how: 'off' | 'restart') => void) | null;
  counters: Record<string, number>;
  /** Registry of drivers' state by name (kvm, …). */
  drivers: Map<string, unknown>;
  /** Character and block devices by "c5:0", "c10:232": what opening such a node gives. */
  devices: Map<string, DeviceOpen>;
  /** What mount(2) knows, by type; vfs/filesystems.ts. */
  filesystems: Readonly<Record<string, MakeFileSystem>>;
  /** exit.ts, for signals.ts: ending a process sends signals, and signals end processes. `status` is a wait status. */
  exit: (kernel: Kernel, task: Task, status: number, by: string) => void;
  /** wait.ts, for who keeps accounts of waiting: wakes all that sleep on a channel. */
  wake: (kernel: Kernel, channel: string) => void;
  sched: Sched;
  /** ns that the burst being run has spent since `timeline.now`; 0 outside. `timeOf(kernel)` adds them. */
  ahead: number;
  /** /sys/kernel/mm/transparent_hugepage/enabled. */
  hugePages: 'always' | 'madvise' | 'never';
  overcommit: number;
  /** Event kinds of subsystems ("net", "kvm") to what handles them; the argument is the event's. */
  events: Map<string, (kernel: Kernel, arg: unknown) => void>;
  calls: CallLog;
  errands: Errands;
  /** The newest kills for want of memory. */
  ooms: OomRecord[];
  /** Faults of programs, whose processes they ended; null: they are not caught. Shared by the machines of a world. */
  crashes: Crash[] | null;
}

/** A program's model failed: an exception that no program means. */
export interface Crash {
  t: number;
  /** The process and its machine. */
  who: string;
  text: string;
}

/** The newest system calls of processes in containers or with a terminal, and of those asked for (`traced`, by tgid); `rows` wraps at `next`. */
export interface CallLog {
  traced: Set<number>;
  rows: CallRecord[];
  next: number;
}

export interface CallRecord {
  /** Ordinal, and simulated time at its end, ns. */
  n: number;
  t: number;
  pid: number;
  comm: string;
  name: string;
  args: readonly unknown[];
  /** The value, or the errno's name with `failed`. */
  result: unknown;
  failed: boolean;
}

/** Throws SysError (ENXIO, EBUSY, EACCES) or gives the operations of the new description. */
export type DeviceOpen = (kernel: Kernel, task: Task, inode: Inode, flags: number) => { ops: FileOps; data: unknown };

export type MakeFileSystem = (kernel: Kernel, task: Task, source: string, data: string) => SuperBlock;

/** Processors and run queues. */
export interface Sched {
  cpus: Cpu[];
  /** One queue a cgroup that has, or had, something to run. */
  queues: Map<Cgroup, RunQueue>;
  /** cpu.max timers by cgroup id. */
  bandwidth: Map<number, Bandwidth>;
  /** The processor whose task is being advanced at this instant. */
  bursting: Cpu | null;
  contextSwitches: number;
  /** Runnable tasks of real-time policies, of whatever group: first come first. */
  realTime: Task[];
}

/** The period timer of one cgroup with a cpu.max. */
export interface Bandwidth {
  cgroup: Cgroup;
  ticket: Ticket | null;
  /** Nothing taken since the last tick. */
  idle: boolean;
  /** What has been handed out and not used, ns: until it is gone the quota is not asked. */
  local: number;
  /** When the first period began: the others follow in step. Null before any. */
  grid: number | null;
  /** What was left after the last refill, ns: more than a quota used since is burst. */
  snap: number;
  throttledAt: number;
}

export interface Cpu {
  index: number;
  current: Task | null;
  /** The running stretch: begun at, ends at; its event. */
  since: number;
  until: number;
  ticket: Ticket | null;
  /** Who was last chosen to run here. */
  latest: Task | null;
  /** Somebody with a better claim waits: choose again at the end of this stretch. */
  resched: boolean;
  /** ns. */
  user: number;
  system: number;
  /** What real-time tasks have had here of the second that began at `since`, ns. */
  realTime: { since: number; spent: number };
}

/** What is runnable in one cgroup: its tasks and the child groups that have some. */
export interface RunQueue {
  cgroup: Cgroup;
  up: RunQueue | null;
  tasks: Task[];
  groups: RunQueue[];
  /** Tasks of this group and below that are on a processor now. */
  running: number;
  minVruntime: number;
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
  /** `knobs`: parameters under /proc/sys that were written. */
  ipc: IpcNamespace;
  net: NetNamespace;
  user: UserNamespace;
  cgroup: { ino: number; root: Cgroup; owner: UserNamespace };
  time: TimeNamespace;
  /** New children, and what the task becomes at execve, are here. */
  timeForChildren: TimeNamespace;
}

export interface IpcNamespace {
  ino: number;
  owner: UserNamespace;
  /** What /proc/sys/kernel was told of its limits. */
  knobs?: Map<string, string>;
  /** Its System V objects, once there were some. */
  tables?: Record<IpcKind, IpcTable>;
}

export interface TimeNamespace {
  ino: number;
  owner: UserNamespace;
  /** ns that its members see added to the clocks. */
  monotonic: number;
  boottime: number;
  /** Somebody is or was in it: its offsets stay. */
  entered: boolean;
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
  projidMap?: IdMap[] | null;
  setgroups: 'allow' | 'deny';
  /** How many namespaces of a type its users may have, where somebody set it. */
  most?: Map<string, number>;
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
  /** PR_SET_KEEPCAPS: the permitted set outlives the change from root to another user; until execve. */
  keepCaps?: boolean;
}

export type SchedPolicy = 'SCHED_OTHER' | 'SCHED_FIFO' | 'SCHED_RR' | 'SCHED_BATCH' | 'SCHED_IDLE';

export type TaskState = 'running' | 'runnable' | 'sleeping' | 'stopped' | 'zombie' | 'dead';

/** /proc/PID/io: bytes and calls of read and write, bytes that came from a disk or are to go there. */
export interface TaskIo {
  rchar: number;
  wchar: number;
  syscr: number;
  syscw: number;
  read: number;
  write: number;
  cancelled: number;
}

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
  /** `users`: tasks that share the table. `free`: no descriptor below it is. */
  files: FileTable;
  mm: AddressSpace;
  signals: {
    pending: number[]; blocked: number[]; actions: Map<number, SigAction>;
  };
  /** Status word once it has ended. */
  status: number;
  killedBy: string;
  oomScoreAdj: number;
  /** The lowest that somebody with CAP_SYS_RESOURCE has set: down to there anybody may go. */
  oomScoreAdjMin: number;
  nice: number;
  times: { user: number; system: number; startedAt: number };
  sched: {
    vruntime: number; lag: number; cpu: number | null; sliceUsed: number;
    policy: SchedPolicy;
    /** 1 to 99 with a real-time policy, else 0. */
    priority: number;
    resetOnFork: boolean;
    /** The processors it asked for, and those it may have of them (its cpuset's); null: all. */
    affinity: readonly number[] | null;
    allowed: readonly number[] | null;
    /** Where it ran last. */
    last: number;
  };
  /** A thread of the kernel: no program, no memory; `bound` ones stay in their group and on their processor. */
  kthread: { bound: boolean; idle: boolean } | null;
  noted: { stopped: boolean; continued: boolean };
  /** Trace ordinal of the record that explains its present state (what killed it, what it waits for). */
  because: number | undefined;
  /** Processor time that it must still spend before it goes on, ns. */
  owed: { user: number; system: number };
  /** Progress of the pending call between dispatches (a deadline, bytes done); gone when the call ends. */
  scratch: unknown;
  /** One a signal handler on the stack: what the code below was doing. */
  saved: { pending: Request | null; resume: Task['resume']; scratch: unknown; mask: number[] }[];
  /** ns that it is to be held back before it goes on: it was charged beyond memory.high, or the disk is at work for it. */
  heldBack: number;
  /** Set by a signal that may interrupt the pending call. */
  interrupted: boolean;
  /** The thread group's leader; itself in a process of one thread. */
  leader: Task;
  /** Signal to the parent at exit; 0 none. */
  exitSignal: number;
  pdeathsig: number;
  subreaper: boolean;
  /** Has called execve since clone. */
  execed: boolean;
  /** Parent that waits in clone(CLONE_VFORK). */
  vforkParent: Task | null;
  limits: Record<string, { cur: number; max: number }>;
  seccomp: readonly SeccompFilter[];
  /** By whom it is traced, and where it is in that; ptrace.ts. */
  ptrace: Tracee | null;
  /** Of a process that traces: whom, and what it has not been told of. */
  tracees: Task[];
  traceNews: TraceNews[];
  alarm: { at: number; ticket: Ticket } | null;
  /** Of children waited for, ns. */
  childTimes: { user: number; system: number };
  faults: { minor: number; major: number };
  /** What it read and wrote, and what children did that were waited for; of a process's first thread also what ended threads did. */
  io: TaskIo;
  switches: number;
  /** What it does on somebody's behalf (errands.ts); 0 nothing. */
  errand: number;
}

export interface FileTable {
  slots: (Slot | undefined)[];
  users: number;
  free: number;
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
  /** Pages that this address space has been charged, by cgroup: charges stay where they were made. */
  charged: Map<Cgroup, { anon: number; shmem: number; kernel: number; swap: number }>;
  /** Pages under mlock. */
  locked: number;
  /** Pages that are out in swap. */
  swapped: number;
  /** When it last faulted, ns. */
  touched: number;
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
  /** After fork: pages still shared with the parent, all below this mark but those in `copied`; a write makes its own copy. */
  cow: number;
  copied: Set<number> | null;
  /** Pages that are out in swap, and those that hold a slot there (more: the swap cache). */
  out?: Set<number>;
  slots?: Set<number>;
  /** Where reclaim goes on looking. */
  hand?: number;
  /** When a page of it last came, ns. */
  touched: number;
}

/** The wire out of this machine: the world (world/lan.ts) joins machines, the control plane and the modelled outside by packets. */
export interface Uplink {
  /** Puts a frame on the wire, `delay` ns from now. */
  transmit(from: string, source: string, target: string, packet: Packet, delay: number): void;
}

export type { Cgroup, Mount };
