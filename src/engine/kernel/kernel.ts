/**
 * The kernel as the world composes it: created, given its event handlers, booted from a tree, fed keys and bytes. All
 * behaviour is in the files named after it; this one only joins them.
 */
import { forkRandom } from '../sim/random.ts';
import { handle, nameEvents, type Timeline } from '../sim/timeline.ts';
import type { Trace } from '../sim/trace.ts';
import { PAGE } from '../sim/units.ts';
import { MS_NOSUID } from './abi.ts';
import { createTree } from './cgroup/core.ts';
import { rootCred } from './credentials.ts';
import { burst } from './dispatch.ts';
import { createErrands } from './errands.ts';
import { exitTask } from './exit.ts';
import { flush } from './disk.ts';
import { startKthreads } from './kthread.ts';
import { FLUSHER, SWAPPER } from './kworkers.ts';
import { logLine } from './log.ts';
import { createMembers, enlist } from './membership.ts';
import { balance } from './oom.ts';
import { newAddressSpace } from './memory.ts';
import { firstNamespaces, LATER_INO, FIRST_FREE_INO } from './namespaces.ts';
import { registerNet } from './net/events.ts';
import { bootLinks } from './net/links.ts';
import type { Crash, Kernel, Namespaces, Task } from './records.ts';
import { createSched, onCpu, onPeriod } from './sched.ts';
import type { Body, Program } from './sys.ts';
import { sys } from './sys.ts';
import { onAlarm } from './syscalls/time.ts';
import { taskName } from './pids.ts';
import { allocatePids, blankTask, start } from './task.ts';
import { registerConsoles, setWinsize } from './terminal.ts';
import { receive, takeOutput, type Tty } from './tty.ts';
import { createSpaces } from './vacancy.ts';
import { populate, type Tree } from './vfs/build.ts';
import { newFiles } from './vfs/descriptors.ts';
import { install, makeFile } from './vfs/descriptors.ts';
import { registerLoop } from './drivers/loop.ts';
import { registerMemoryDevices } from './vfs/devices.ts';
import { registerPtmx } from './vfs/devpts.ts';
import { FILESYSTEMS } from './vfs/filesystems.ts';
import { createMount } from './vfs/mount.ts';
import { lookup } from './vfs/path.ts';
import { createTmpfs } from './vfs/tmpfs.ts';
import type { Mount, MountNamespace, SuperBlock } from './vfs/types.ts';
import { makeRunnable, wake } from './wait.ts';

export interface KernelSpec {
  name: string;
  cpus: number;
  /** Bytes. */
  memory: number;
  /** Cycles a nanosecond. */
  ghz: number;
  timeline: Timeline;
  trace: Trace;
  seed: number;
  programs: ReadonlyMap<string, Program>;
  hostname: string;
  /** "10.0.0.5/24", and static routes; null without a wire. */
  network: { address: string; gateway?: string; routes?: readonly { to: string; via: string }[] } | null;
  /** Where faults of programs are noted; without it they are not caught. */
  crashes?: Crash[];
}

export interface BootSpec {
  tree: Tree;
  /** A disk from before; without it a new one with the tree. */
  disk?: SuperBlock;
  init: string;
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** ns that the kernel waits before its first program (rootdelay=). */
  delay?: number;
}

export const RELEASE = '6.12.48+deb13-amd64';
export const VERSION = '#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)';
const CONSOLES = 4;
/** Share of memory that the kernel itself takes before anybody runs. */
const KERNEL_SHARE = 0.03;

export function createKernel(spec: KernelSpec): Kernel {
  const { name, cpus, memory, ghz, timeline, trace } = spec;
  const kernel: Kernel = {
    name, timeline, trace, random: forkRandom(spec.seed, `kernel:${name}`), cpus, memory, ghz, release: RELEASE, version: VERSION, bootedAt: timeline.now,
    tasks: new Map(), ended: [], programs: spec.programs, cgroups: createTree(),
    frames: { total: Math.floor((memory * (1 - KERNEL_SHARE)) / PAGE), anon: 0, file: 0, kernel: 0 },
    members: createMembers(), spaces: createSpaces(LATER_INO), waiters: new Map(), ttys: new Map(), log: [], init: null as unknown as Namespaces,
    mounts: { nextId: 21, nextGroup: 1, nextDev: 20, groups: new Map(), nextJoined: 0, late: new Set() }, uplink: null, power: 'on', onPower: null, counters: {}, drivers: new Map(), devices: new Map(), filesystems: FILESYSTEMS, exit: exitTask, wake,
    sched: createSched(cpus), ahead: 0, hugePages: 'madvise',
    overcommit: 0, events: new Map(), calls: { traced: new Set(), rows: [], next: 0 }, errands: createErrands(), ooms: [], crashes: spec.crashes ?? null,
  };
  registerMemoryDevices(kernel);
  registerLoop(kernel);
  registerConsoles(kernel, CONSOLES);
  registerPtmx(kernel);
  registerNet(kernel);
  const mnt: MountNamespace = { ino: 0, mounts: [], root: null as unknown as Mount, late: null };
  kernel.init = firstNamespaces(kernel, spec.hostname, mnt);
  mnt.ino = FIRST_FREE_INO + 1;
  bootLinks(kernel, kernel.init.net, spec.network);
  return kernel;
}

/** Mounts the tree as the disk, devtmpfs on /dev, and makes process 1; it runs when time goes on. */
export function boot(kernel: Kernel, spec: BootSpec): Task {
  const { mnt } = kernel.init;
  const sb: SuperBlock = spec.disk ?? createTmpfs(kernel, 'ext4', '/dev/vda1', 'errors=remount-ro', 0o755);
  kernel.drivers.set('rootfs', sb);
  populate(kernel, sb, spec.tree);
  mnt.root = createMount(kernel, mnt, sb, sb.root, null, 0, '/dev/vda1');
  const place = { mount: mnt.root, dentry: sb.root };
  const { root } = kernel.cgroups;
  const task = blankTask(
    kernel, { ns: kernel.init, cred: rootCred(), cgroup: root, fs: { root: place, cwd: place, umask: 0o022 }, files: newFiles(), mm: newAddressSpace() }, 'swapper',
  );
  task.nspids = allocatePids(kernel.init.pid, task);
  task.pid = task.nspids[0]!;
  task.tgid = task.pid;
  enlist(kernel, task);
  root.tasks.add(task);
  root.pids.current++;
  bootLog(kernel);
  mountDev(kernel, task);
  startKthreads(kernel, task, { [FLUSHER]: flush, [SWAPPER]: balance });
  start(kernel, task, firstProgram(spec));
  return task;
}

function bootLog(kernel: Kernel): void {
  logLine(kernel, 5, `Linux version ${kernel.release} (nestbox) ${kernel.version}`);
  logLine(kernel, 6, 'Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/vda1 ro console=tty1');
  const kib = kernel.memory / 1024;
  logLine(kernel, 6, `Memory: ${kernel.frames.total * 4}K/${kib}K available`);
  logLine(kernel, 6, `smp: Brought up 1 node, ${kernel.cpus} CPU${kernel.cpus === 1 ? '' : 's'}`);
  logLine(kernel, 6, 'EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none.');
}

/** CONFIG_DEVTMPFS_MOUNT, and the console as descriptors 0 to 2. */
function mountDev(kernel: Kernel, task: Task): void {
  let at: ReturnType<typeof lookup>;
  try {
    at = lookup(kernel, task, task.fs.root, '/dev');
  } catch {
    populate(kernel, kernel.drivers.get('rootfs') as SuperBlock, { '/dev': { type: 'dir' } });
    at = lookup(kernel, task, task.fs.root, '/dev');
  }
  const dev = FILESYSTEMS.devtmpfs!(kernel, task, 'udev', '');
  createMount(kernel, task.ns.mnt, dev, dev.root, at, MS_NOSUID, 'udev');
  const path = lookup(kernel, task, task.fs.root, '/dev/console');
  const { ops, data } = dev.ops.open(kernel, task, path.dentry, 2);
  const console = makeFile(path, path.dentry.inode, ops, 2, data);
  for (let fd = 0; fd < 3; fd++) install(task, console, false);
}

function* firstProgram(spec: BootSpec): Body {
  if (spec.delay) yield* sys('nanosleep', spec.delay);
  yield* sys('execve', spec.init, spec.argv, spec.env);
}

/** Names the handlers of all events of kernels; they find the kernel by the event's `who`. */
export function registerKernels(timeline: Timeline, kernels: ReadonlyMap<string, Kernel>): void {
  const on = <T>(kind: string, act: (kernel: Kernel, arg: T) => void): void =>
    handle(timeline, kind, (event) => {
      const kernel = kernels.get(event.who);
      if (kernel && kernel.power !== 'off') act(kernel, event.arg as T);
    });
  on<{ cpu: number }>('kernel.cpu', (kernel, { cpu }) => onCpu(kernel, cpu, burst));
  on<{ pid: number }>('kernel.wake', (kernel, { pid }) => {
    const task = kernel.tasks.get(pid);
    if (!task) return;
    task.wakeAt = null;
    makeRunnable(kernel, task);
  });
  on<{ cgroup: number }>('kernel.period', (kernel, { cgroup }) => onPeriod(kernel, cgroup));
  on<{ pid: number }>('kernel.alarm', (kernel, { pid }) => {
    const task = kernel.tasks.get(pid);
    if (task) onAlarm(kernel, task);
  });
  nameEvents(timeline, 'kernel.cpu', ({ who, arg }) => {
    const { latest, index } = kernels.get(who)!.sched.cpus[(arg as { cpu: number }).cpu]!;
    return `processor ${index}, last ${latest ? taskName(latest) : 'idle'}`;
  });
  nameEvents(timeline, 'kernel.wake', ({ who, arg }) => {
    const task = kernels.get(who)!.tasks.get((arg as { pid: number }).pid);
    return task ? taskName(task) : 'a task that has ended';
  });
  for (const kind of ['net', 'kvm']) on<unknown>(kind, (kernel, arg) => kernel.events.get(kind)?.(kernel, arg));
}

function terminal(kernel: Kernel, tty: string): Tty {
  const found = kernel.ttys.get(tty);
  if (!found) throw new Error(`no terminal ${tty} on ${kernel.name}`);
  return found;
}

/** Keys typed at a console. */
export function ttyInput(kernel: Kernel, tty: string, data: Uint8Array): void {
  receive(kernel, terminal(kernel, tty), data);
}

export function ttyResize(kernel: Kernel, tty: string, cols: number, rows: number): void {
  setWinsize(kernel, terminal(kernel, tty), { rows, cols });
}

/** What a console has shown since the last time; stream 2 came through a write-only description (see getty). */
export function ttyTake(kernel: Kernel, tty: string): { data: Uint8Array; stream: 1 | 2 }[] {
  return takeOutput(kernel, terminal(kernel, tty));
}
