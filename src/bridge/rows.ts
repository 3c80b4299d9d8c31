/**
 * The rows of every view: what pictures draw, labs check and `nestbox views` lists. Addresses and 64-bit values are
 * text ("0x1a6d4067"), because a number cannot hold them. Times are simulated ns, memory is bytes, unless said.
 * Arguments are in the comment after each name; `host` is a kernel's name ("lab", "node-1").
 */
import type { Row } from './protocol.ts';

type R<T> = { [K in keyof T]: T[K] } & { key: string };

/** () one a kernel */
export type HostRow = R<{ name: string; cpus: number; memory: number; used: number; processes: number; oomKills: number; bootedAt: number }>;
/** {host?} */
export type ProcessRow = R<{
  host: string; pid: number; ppid: number; comm: string; args: string; state: string; uid: number;
  /** KiB */ rss: number; cgroup: string; container: string; /** pid in its own namespace */ nspid: number; /** one a level, by blanks, the first namespace's first */ nspids: string; depth: number;
  pidns: number; mntns: number; netns: number; utsns: number; ipcns: number; userns: number; cgroupns: number; timens: number;
  oomScoreAdj: number; exit: number | null; killedBy: string;
}>;
/** {host?} processes that ended too, the newest 50, have `exit` set */
/** {host?} */
export type CgroupRow = R<{
  host: string; path: string; name: string; depth: number; container: string; procs: number;
  current: number | null; peak: number | null; /** text as the file reads: "max" or bytes */ max: string; high: string; low: string; min: string;
  anon: number; file: number; kernel: number;
  eventsLow: number; eventsHigh: number; eventsMax: number; oom: number; oomKills: number; oomGroupKills: number;
  cpuUsage: number; cpuWeight: number; cpuMax: string; throttled: number; throttledTime: number;
  pids: number | null; pidsMax: string;
}>;
/** {host, path} memory.current over time, sampled as it changes */
export type CgroupHistoryRow = R<{ t: number; current: number; refused: number }>;
/** {host?} processor, swap, disk, pids and pressure; a row a cgroup */
export type CgroupResourceRow = R<{
  host: string; path: string; controllers: string; swap: number; swapMax: string;
  /** ns */ usage: number; user: number; system: number; weight: number; /** of the machine, 0 to 1 */ share: number; /** processors, lately */ recent: number; /** us */ quota: number | null; period: number; cpus: number;
  periods: number; throttled: number; throttledTime: number; throttledNow: boolean;
  rbytes: number; wbytes: number; rios: number; wios: number; ioMax: string; ioWeight: number; pids: number; pidsMax: string; pidsEvents: number;
  /** us */ cpuSome: number; cpuFull: number; memorySome: number; memoryFull: number; ioSome: number; ioFull: number; frozen: boolean;
}>;
/** {host, path} processor time over time */
export type CgroupCpuRow = R<{ t: number; span: number; used: number; throttled: number; hits: number }>;
/** {host, pid} the eight namespaces of a task */
export type TaskNamespaceRow = R<{ type: string; ino: number; link: string; first: boolean; processes: number; shared: string; owner: number; says: string }>;
/** {host, pid} one a pid namespace from the first down */
export type PidLevelRow = R<{ level: number; ino: number; pid: number; init: number; initComm: string; processes: number }>;
/** {host?, pid?} */
export type IdMapRow = R<{ host: string; ns: number; parent: number; kind: string; inside: number; outside: number; count: number; setgroups: string }>;
/** {host?, from?, to?} lines of dmesg */
export type KernelLogRow = R<{ host: string; n: number; t: number; level: number; stamp: string; text: string }>;
/** {host, path} the lines of a file, as root reads it */
export type FileLineRow = R<{ n: number; text: string }>;
/** {host?} */
export type NamespaceRow = R<{ host: string; type: string; ino: number; processes: number; pid: number; command: string; parent: number; owner: number }>;
/** {host?} containers of docker */
export type ContainerRow = R<{
  host: string; id: string; name: string; image: string; command: string; status: string; running: boolean; pid: number;
  exitCode: number | null; oomKilled: boolean; cgroup: string; ip: string; networks: string; binds: string; privileged: boolean; memoryLimit: number; createdAt: number; startedAt: number | null; finishedAt: number | null;
}>;
/** {host, container or mount:N, dir?} every name in the stack that differs or is looked at: the layer it comes from */
export type OverlayRow = R<{ path: string; /** 0 = upper, 1… = lower from the top */ layer: number; layerName: string; kind: string; size: number; visible: boolean; copiedUp: boolean; opaque: boolean }>;
/** {host?} stacks of layers: containers', and those mounted by hand */
export type OverlayListRow = R<{ host: string; id: string; name: string; layers: number; upper: string }>;
/** {host, container?} */
export type OverlayEventRow = R<{ t: number; kind: string; path: string; size: number; what: string; upper: string }>;
/** {host?} */
export type ImageRow = R<{ host: string; id: string; tag: string; size: number; layers: number; createdAt: number }>;
/** {host?} one an image and layer */
export type LayerSharingRow = R<{ host: string; image: string; tag: string; index: number; chainId: string; diffId: string; size: number; images: number; createdBy: string }>;
/** {host, image} */
export type LayerRow = R<{ index: number; diffId: string; chainId: string; createdBy: string; size: number; files: number; added: number; changed: number; deleted: number }>;
/** {host, image, layer} */
export type LayerFileRow = R<{ path: string; kind: string; size: number; mode: string; change: string }>;
/** {host, image} bottom first; what a layer's bytes come to and how efficient the stack is up to it */
export type ImageLayerRow = R<{
  index: number; diffId: string; chainId: string; createdBy: string; createdAt: number; size: number; /** of it and all below */ total: number; files: number;
  added: number; addedBytes: number; changed: number; changedBytes: number; deleted: number; /** of layers below, that it overwrites or deletes */ hiddenBytes: number;
  /** its own bytes that a later layer overwrites or deletes */ wasted: number; wastedFiles: number; /** 0 to 1 */ efficiency: number; /** bytes of every copy of paths in several layers */ repeated: number;
}>;
/** {host, image, layer?} */
export type ImageFileRow = R<{
  layer: number; path: string; kind: string; size: number; mode: string; owner: string; target: string; change: string; /** the later layer */ hiddenBy: number | null; how: string;
}>;
/** {host, image} paths in more than one layer, the most bytes first */
export type ImageWasteRow = R<{ path: string; count: number; total: number; wasted: number; layers: string; deleted: boolean }>;
/** {host?, pid?} newest 200 system calls of traced processes */
export type SyscallRow = R<{ t: number; host: string; pid: number; comm: string; name: string; args: string; result: string }>;
/** {host?, packet?, ns?, since?} one row a step of a packet's way, the newest 2000 in order of time; `packet` is equal along the way, over namespaces and machines */
export type PacketRow = R<{
  host: string; packet: string; n: number; t: number; ns: number; nsName: string; dev: string;
  /** socket, output, route, postrouting, arp, egress, ingress, bridge, prerouting, input, forward, qdisc, tunnel */ hook: string;
  /** send deliver none accept reject drop dnat snat route forward resolve out in learn port flood … */ action: string;
  reason: string; /** "nat DOCKER rule 2" */ rule: string; proto: string; src: string; dst: string; sport: number; dport: number; flags: string; length: number; ttl: number; text: string;
  /** MACs of the frame */ from: string; to: string;
}>;
/** {host?, ns?, kind?} the network as it stands; what each column says of each kind is in the view */
export type NetworkRow = R<{
  host: string; kind: 'namespace' | 'device' | 'route' | 'neighbour' | 'socket' | 'published'; ns: number; nsName: string; container: string; name: string; dev: string; address: string;
  mac: string; mtu: number; up: boolean; state: string; master: string; peerNs: number; peer: string; detail: string; rx: number; tx: number; dropped: number;
}>;

/** {host?, container?, side?, run?} calls that make containers, in order; `side` "engine" or "hand", `purpose` "namespaces" "mounts" "pivot_root" "cgroup" "network" "capabilities" "seccomp" "exec" */
export type RunCallRow = R<{
  host: string; t: number; side: string; run: number; command: string; container: string; who: string; pid: number; nspid: number; comm: string; purpose: string; name: string;
  args: string; result: string; failed: boolean; path: string; what: string;
}>;
/** {host?, kill?, container?} candidates of the newest 20 invocations of the out-of-memory killer, most points first; `fate` "victim" "group" "spared" */
export type OomRow = R<{
  host: string; kill: number; t: number; constraint: string; limitGroup: string; limit: number; usage: number; invoker: string; invokerPid: number;
  pid: number; nspid: number; ppid: number; comm: string; uid: number; cgroup: string; container: string; rss: number; pageTables: number; adj: number; adjPages: number;
  points: number | null; fate: string; why: string; invoked: boolean; because: number;
}>;

/** () */
export type VmRow = R<{
  host: string; name: string; /** null when shut off */ id: number | null; state: string; /** qemu's */ pid: number | null; memory: number; vcpus: number;
  technique: string; instructions: number; cycles: number; exits: number; rip: string; mode: string; debugger: string; serialBytes: number;
}>;
/** {host, vm} */
export type ExitRow = R<{ reason: number; name: string; count: number; cycles: number; lastQualification: string; lastRip: string }>;
/** {host, vm} the newest 200 exits in order */
export type ExitLogRow = R<{ n: number; t: number; reason: number; name: string; qualification: string; gpa: string; rip: string; cycles: number }>;
/** {host, vm} the last completed two-dimensional walk, one row a reference, in order */
export type WalkRow = R<{
  n: number; /** "ept" or "guest" */ table: string; /** "PML4E" "PDPTE" "PDE" "PTE" */ level: string;
  /** which translation this belongs to: 0..3 the guest's tables, 4 the data page */ row: number;
  index: number; /** what is being translated */ gpa: string; /** where the entry was read */ hpa: string; entry: string;
  present: boolean; leaf: boolean; cycles: number;
}>;
/** {host, vm} one row: what that walk was for */
export type WalkHeadRow = R<{
  walk: number; gva: string; gpa: string; hpa: string; access: string; size: string; ring: number; rip: string; instruction: string; cr3: string; eptp: string;
  references: number; cycles: number; result: string; guestPage: string; hostPage: string; /** of the guest's tables: "4-level", "PAE", "32-bit" */ format: string; t: number;
}>;
/** {host, vm or id} shadow page tables, one row a table, least recently used first; `used` counts up */
export type ShadowRow = R<{
  id: number; gfn: string; hpa: string; level: string; mode: string; direct: boolean; access: string; role: string; entries: number; parents: number;
  protected: boolean; unsync: boolean; writes: number; root: boolean; used: number;
}>;
/** {host, vm} the newest first */
export type WalkListRow = R<{ walk: number; gva: string; access: string; ring: number; rip: string; references: number; cycles: number; result: string; guestPage: string; hostPage: string }>;
/** {host, vm} */
export type TlbRow = R<{ kind: string; gva: string; hpa: string; size: string; rights: string; vpid: number; ept: string }>;
/** {host, vm or id, gva?} one address through the guest's tables and the shadow's beside them, a row a level */
export type TableRow = R<{
  level: string; gva: string; table: string; index: number; gpa: string; entry: string; present: boolean; leaf: boolean; protected: boolean; unsync: boolean;
  shadow: string; shadowIndex: number; shadowAt: string; shadowEntry: string; shadowPresent: boolean; traced: boolean; writes: number;
}>;
/** {host, vm or id} the newest 100 */
export type ShadowFaultRow = R<{ n: number; kind: string; gva: string; error: string; rip: string; gpa: string; done: string }>;
/** {host, vm or id} */
export type WalkCacheRow = R<{ kind: string; address: string; table: string; host: string; vpid: number; ept: string }>;
/** {host, vm or id} host-physical memory in runs */
export type FrameRow = R<{ hpa: string; pages: number; kind: string; gpa: string; what: string; total: number }>;
/** {host, vm} */
export type RegisterRow = R<{ group: string; name: string; value: string; text: string }>;
/** {host, vm or id} units of the translation cache, the newest 400 */
export type TranslationRow = R<{
  unit: number; rip: string; source: number; instructions: number; ident: number; place: string; length: number; chained: number; exits: number; to: string; callouts: number; adaptive: number; dead: boolean;
}>;
/** {host, vm or id, unit?} a row an instruction of the cache; guest's columns on the first of what became of an instruction */
export type TranslatedRow = R<{ unit: number; rip: string; bytes: string; text: string; kind: string; place: string; cached: string; does: string; calls: string }>;
/** {host, vm or id} */
export type VirtualCpuRow = R<{ name: string; virtual: string; real: string; text: string }>;
/** {host, vm or id} */
export type SensitiveRow = R<{ rip: string; text: string; times: number; saw: string; should: string; wrong: boolean }>;
/** {host, vm} the VMCS as it stands */
export type VmcsRow = R<{ group: string; encoding: string; name: string; value: string; width: string; text: string }>;
/** {host, vm or id, field?} */
export type VmcsBitRow = R<{ field: string; bit: number; name: string; on: boolean }>;
/** {host, vm or id, name} */
export type ExitCauseRow = R<{ field: string; encoding: string; bit: number; name: string; on: boolean }>;
/** {host, vm} 16 instructions from a little before rip */
export type DisassemblyRow = R<{ address: string; bytes: string; text: string; current: boolean }>;
/** {host, vm, hpa} one 64-byte line as eight words */
export type MemoryRow = R<{ hpa: string; word: string; bytes: string }>;

interface Places { guest: number; user: number; kernel: number; translated: number; monitor: number; program: number; asleep: number }
/** {host?, id?} virtual machines that run or have ended; cycles by place */
export type LaneRow = R<{
  host: string; id: number; vm: string; workload: string; technique: string; profile: string; state: string; problem: string; machine: boolean; startedAt: number; endedAt: number | null;
  instructions: number; cycles: number; events: number; marks: number;
} & Places>;
/** {host?, id?} */
export type LedgerEventRow = R<{ host: string; id: number; vm: string; technique: string; event: string; part: boolean; count: number; cycles: number; each: number; lastRip: string; lastText: string; source: string }>;
/** {host?, id?} */
export type LedgerPlaceRow = R<{ host: string; id: number; vm: string; technique: string; place: string; cycles: number; share: number }>;
/** {host?, id?} the newest 600 of each machine */
export type SpanRow = R<{ host: string; id: number; n: number; at: number; cycles: number; place: string; why: string; rip: string }>;
/** {host?, id?} stretches between the marks of a guest */
export type GuestMarkRow = R<{
  host: string; id: number; vm: string; technique: string; segment: number; value: string | null; at: number; cycles: number; native: number | null; ratio: number | null; events: number;
} & Places>;
/** {host?, id?, segment?} times that the guest was left, the first 64 after each mark */
export type LeaveRow = R<{
  host: string; id: number; technique: string; n: number; segment: number; at: number; rip: string; ring: number; bytes: string; text: string; event: string; detail: string; cycles: number; program: number;
}>;
/** {host?, ids, segment} the same stretch of several machines, line by line: one row a line and machine; `event` is empty where this machine ran on */
export type LockstepRow = R<{
  line: number; rip: string; ring: number; bytes: string; text: string; id: number; technique: string; how: string; n: number | null; event: string; detail: string; cycles: number; program: number;
}>;
/** {host?, id?} lines on COM1 */
export type SerialRow = R<{ host: string; id: number; vm: string; technique: string; workload: string; n: number; text: string }>;
/** {host?} */
export type PaperRow = R<{
  paper: string; row: string; column: string; published: number; measured: number | null; unit: string; deviation: number | null; tolerance: number | null; agrees: boolean | null; confidence: string; technique: string; command: string;
}>;
/** {profile?} */
export type CostRow = R<{ profile: string; launched: number; row: string; name: string; cycles: number; source: string; confidence: string }>;

/** () */
export type NodeRow = R<{
  name: string; ready: boolean; unschedulable: boolean; cpuMilli: number; memory: number; podsMax: number; cpuRequested: number; memoryRequested: number; pods: number; taints: string; zone: string; ip: string; version: string;
}>;
/** {namespace?} */
export type PodRow = R<{
  namespace: string; name: string; node: string; phase: string; status: string; ready: string; restarts: number; ip: string; owner: string; labels: string;
  cpuMilli: number; memory: number; qos: string; createdAt: number; terminating: boolean; containers: string; oomKilled: boolean; spread: string;
}>;
/** () one row */
export type ExportRow = R<{ name: string; text: string }>;
export type ClusterSizeRow = R<{ nodes: number; pods: number; waiting: number; decided: number; revision: number; oldest: number }>;
/** () */
export type DeploymentRow = R<{ namespace: string; name: string; replicas: number; ready: number; updated: number; available: number; image: string; createdAt: number }>;
/** () */
export type ServiceRow = R<{ namespace: string; name: string; type: string; clusterIp: string; ports: string; selector: string; endpoints: string }>;
/** () PodDisruptionBudgets */
export type BudgetRow = R<{ namespace: string; name: string; rule: string; selector: string; pods: number; healthy: number; needed: number; allowed: number }>;
/** {pod} "namespace/name": one row, the newest decision for it */
export type DecisionRow = R<{ pod: string; t: number; attempt: number; node: string; feasible: number; nodes: number; tied: number; message: string; cpuMilli: number; memory: number; profile: string }>;
/** {pod} one a node and filter plugin that ran */
export type FilterRow = R<{ node: string; plugin: string; ok: boolean; reason: string }>;
/** {pod} one a feasible node and score plugin */
export type ScoreRow = R<{ node: string; plugin: string; raw: number; score: number; weight: number; weighted: number; formula: string; chosen: boolean; total: number }>;
/** one a profile of the newest race, the default first */
export type RaceRow = R<{ profile: string; pods: number; unscheduled: number; nodesUsed: number; nodes: number; cpu: number; memory: number; fullest: number; uneven: number; zoneSkew: number }>;
/** {namespace?} claims and volumes down to the disk; a row a claim, or a volume without one */
export type VolumeRow = R<{
  claim: string; volume: string; class: string; size: number; modes: string; phase: string; claimPhase: string; policy: string; pods: string; attachment: string;
  node: string; tied: boolean; device: string; handle: string; mounts: string; bytes: number; message: string; history: string; moves: number;
}>;
/** {kind?} */
export type WriteRow = R<{ revision: number; t: number; by: string; kind: string; object: string; verb: string }>;
/** () */
export type RolloutRow = R<{ t: number; owner: string; set: string; wanted: number; pods: number; ready: number }>;
/** {kind?, match?} */
export type ObjectRow = R<{ kind: string; namespace: string; name: string; revision: number }>;
/** {kind, object} */
export type RevisionRow = R<{ revision: number; t: number; by: string; verb: string }>;
/** {kind, object, revision?} one a line */
export type ObjectLineRow = R<{ n: number; text: string; change: string }>;
/** {namespace?} Kubernetes events */
export type KubeEventRow = R<{ namespace: string; object: string; type: string; reason: string; message: string; count: number; lastAt: number; source: string }>;

/** {from?: ns, lanes?} marks of the time bar, at most 2,000: the newest */
export type MarkRow = R<{ t: number; floor: string; kind: string; text: string; outcome: string; scene: string }>;
/** {kind: 'container'|'pod'|'process'|'exit'|'errno', id} the chain of causes, newest first */
export type WhyRow = R<{ order: number; floor: string; text: string; detail: string; t: number; figure: string; scene: string; select: string }>;

/** () the processor's instruction table, one a mnemonic */
export type InstructionRow = R<{ name: string; forms: number; encoding: string; privilege: string; sensitivity: string; exits: string; cycles: number }>;

export type AnyRow = Row;
