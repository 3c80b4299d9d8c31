/** The files of /proc that tell of the whole machine. Source: proc(5): proc_cpuinfo, proc_meminfo, proc_stat and their like. */
import { EPOCH_SECONDS, PAGE, SECOND } from '../../../sim/units.ts';
import { SysError } from '../../abi.ts';
import { partitionLines } from '../../block.ts';
import { nsCapable } from '../../credentials.ts';
import { pressureChannel, pressureFile, type Resource } from '../../cgroup/psi.ts';
import { dirtyBytes, diskStatsText } from '../../disk.ts';
import { loads } from '../../load.ts';
import { logLine } from '../../log.ts';
import type { Kernel, Task } from '../../records.ts';
import { settleAll } from '../../sched.ts';
import { outOfMemory } from '../../oom.ts';
import { swapsText, swapTotal, swapUsed } from '../../swap.ts';
import { timeOf } from '../../wait.ts';
import { fixed, type Node } from '../pseudo.ts';
import { ticks } from './status.ts';

const says = (read: (kernel: Kernel, task: Task) => string): Node => ({ kind: 'file', read });

/** The flags of a processor with long mode, VT-x and what user programs look for. */
const CPU_FLAGS = 'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss ht syscall nx rdtscp lm constant_tsc nopl cpuid pni vmx cx16 hypervisor lahf_lm';

/** What the modelled processor says of itself, where its driver is there to ask it. */
export interface ProcessorFacts {
  flags: string;
  /** Of VMX, from its capability MSRs. */
  vmx: string;
  family: number;
  model: number;
  stepping: number;
  brand: string;
  level: number;
  physicalBits: number;
  linearBits: number;
}

const PLAIN: ProcessorFacts = { flags: CPU_FLAGS, vmx: 'vnmi ept vpid', family: 6, model: 85, stepping: 7, brand: 'Nestbox Virtual CPU', level: 13, physicalBits: 46, linearBits: 48 };

function cpuinfoText(kernel: Kernel): string {
  const cpu = (kernel.drivers.get('processor') as (() => ProcessorFacts) | undefined)?.() ?? PLAIN;
  const vmx: [string, string][] = cpu.vmx === '' ? [] : [['vmx flags', cpu.vmx]];
  const one = (i: number): string => {
    const rows: [string, string | number][] = [
      ['processor', i], ['vendor_id', 'GenuineIntel'], ['cpu family', cpu.family], ['model', cpu.model], ['model name', `${cpu.brand} @ ${kernel.ghz.toFixed(2)}GHz`], ['stepping', cpu.stepping],
      ['cpu MHz', (kernel.ghz * 1000).toFixed(3)], ['physical id', 0], ['siblings', kernel.cpus], ['core id', i], ['cpu cores', kernel.cpus], ['apicid', i],
      ['fpu', /\bfpu\b/.test(cpu.flags) ? 'yes' : 'no'], ['fpu_exception', /\bfpu\b/.test(cpu.flags) ? 'yes' : 'no'], ['cpuid level', cpu.level], ['wp', 'yes'], ['flags', cpu.flags], ...vmx, ['bogomips', (kernel.ghz * 2000).toFixed(2)], ['clflush size', 64],
      ['cache_alignment', 64], ['address sizes', `${cpu.physicalBits} bits physical, ${cpu.linearBits} bits virtual`], ['power management', ''],
    ];
    return `${rows.map(([key, value]) => `${key}${key.length < 8 ? '\t\t' : key.length < 16 ? '\t' : ''}: ${value}\n`).join('')}\n`;
  };
  return Array.from({ length: kernel.cpus }, (_, i) => one(i)).join('');
}

function meminfoText(kernel: Kernel): string {
  const { frames, cgroups } = kernel;
  const free = Math.max(0, frames.total - frames.anon - frames.file - frames.kernel);
  const shmem = Math.min(frames.file, cgroups.root.memory.shmem);
  const cached = frames.file;
  let tables = 0;
  let committed = 0;
  const seen = new Set<object>();
  for (const task of kernel.tasks.values()) {
    if (seen.has(task.mm)) continue;
    seen.add(task.mm);
    tables += task.mm.pageTables;
    for (const area of task.mm.areas) committed += area.length / PAGE;
  }
  const limit = Math.floor(frames.total / 2);
  const rows: [string, number][] = [
    ['MemTotal', frames.total], ['MemFree', free], ['MemAvailable', free + cached - shmem], ['Buffers', 0], ['Cached', cached], ['SwapCached', 0],
    ['Active', frames.anon + Math.floor((cached - shmem) / 2)], ['Inactive', Math.ceil((cached - shmem) / 2)], ['Unevictable', 0], ['Mlocked', 0], ['SwapTotal', swapTotal(kernel)], ['SwapFree', swapTotal(kernel) - swapUsed(kernel)],
    ['Dirty', Math.ceil(dirtyBytes(kernel) / PAGE)], ['Writeback', 0], ['AnonPages', frames.anon], ['Mapped', 0], ['Shmem', shmem], ['KReclaimable', 0], ['Slab', frames.kernel], ['SReclaimable', 0],
    ['SUnreclaim', frames.kernel], ['KernelStack', kernel.tasks.size * 4], ['PageTables', tables], ['CommitLimit', limit], ['Committed_AS', committed],
  ];
  return rows.map(([name, pages]) => `${`${name}:`.padEnd(16)}${String(Math.floor((pages * PAGE) / 1024)).padStart(8)} kB\n`).join('');
}

function statText(kernel: Kernel, task: Task): string {
  settleAll(kernel);
  const elapsed = timeOf(kernel) - kernel.bootedAt;
  const row = (name: string, user: number, system: number, total: number): string =>
    `${name} ${ticks(user)} 0 ${ticks(system)} ${Math.max(0, ticks(total) - ticks(user) - ticks(system))} 0 0 0 0 0 0\n`;
  const { cpus } = kernel.sched;
  let text = row('cpu ', cpus.reduce((s, c) => s + c.user, 0), cpus.reduce((s, c) => s + c.system, 0), elapsed * cpus.length);
  for (const cpu of cpus) text += row(`cpu${cpu.index}`, cpu.user, cpu.system, elapsed);
  let running = 0;
  for (const task of kernel.tasks.values()) if (task.state === 'running' || task.state === 'runnable') running++;
  text += `intr 0\nctxt ${kernel.sched.contextSwitches}\nbtime ${Math.floor(EPOCH_SECONDS + (kernel.bootedAt - task.ns.time.boottime) / SECOND)}\n`;
  return `${text}processes ${kernel.counters.forks ?? 0}\nprocs_running ${running}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n`;
}

function uptimeText(kernel: Kernel, task: Task): string {
  settleAll(kernel);
  const up = timeOf(kernel) - kernel.bootedAt;
  const busy = kernel.sched.cpus.reduce((s, c) => s + c.user + c.system, 0);
  return `${((up + task.ns.time.boottime) / SECOND).toFixed(2)} ${(Math.max(0, up * kernel.cpus - busy) / SECOND).toFixed(2)}\n`;
}

function loadavgText(kernel: Kernel, task: Task): string {
  let running = 0;
  let last = 0;
  for (const one of kernel.tasks.values()) {
    if (one.state === 'running' || one.state === 'runnable') running++;
    last = Math.max(last, one.nspids[task.ns.pid.level] ?? 0);
  }
  return `${loads(kernel).map((n) => n.toFixed(2)).join(' ')} ${running}/${kernel.tasks.size} ${last}\n`;
}

function devicesText(kernel: Kernel): string {
  const character: [number, string][] = [[1, 'mem'], [4, 'tty'], [5, '/dev/tty'], [5, '/dev/console'], [5, '/dev/ptmx'], [10, 'misc'], [136, 'pts']];
  const present = character.filter(([major]) => [...kernel.devices.keys()].some((key) => key.startsWith(`c${major}:`)) || major === 136);
  return `Character devices:\n${present.map(([major, name]) => `${String(major).padStart(3)} ${name}\n`).join('')}\nBlock devices:\n254 virtblk\n`;
}

/** Levels as dmesg shows them raw: "<6>[    1.234567] text". Reading shows what is there. */
function kmsgText(kernel: Kernel): string {
  return kernel.log.map(({ level, at, text }, i) => `${level},${i},${Math.floor(at / 1000)},-;${text}\n`).join('');
}

function sysrq(kernel: Kernel, task: Task, text: string): void {
  const key = text.trim().slice(0, 1);
  if (key === 'f') {
    logLine(kernel, 6, 'sysrq: Manual OOM execution');
    outOfMemory(kernel, task, kernel.cgroups.root);
    return;
  }
  logLine(kernel, 6, key === 'h' ? 'sysrq: HELP : memory-full-oom-kill(f)' : `sysrq: not modelled: ${key}`);
}

function requireAdmin(kernel: Kernel, task: Task): void {
  if (!nsCapable(task, kernel.init.user, 'syslog')) throw new SysError('EPERM');
}

/** The machine's own stalls: those of the root group, with triggers of their own. */
function pressure(resource: Resource): Node {
  const { read, write, poll, release } = pressureFile((kernel) => kernel.cgroups.root, resource);
  const root = null as unknown as Kernel['cgroups']['root'];
  return {
    kind: 'file', mode: 0o666, channel: pressureChannel({ id: 1 } as Kernel['cgroups']['root'], resource),
    read: (kernel, task) => read(kernel, root, task), write: (kernel, task, text, opener) => write(kernel, root, text, task, opener),
    poll: (kernel, opener) => poll(kernel, root, opener), release: (kernel, opener) => release(kernel, root, opener),
  };
}

/** By name. `types` are the file systems that mount(2) knows. */
/** In the order of the kernel's configuration. */
const SUBSYSTEMS = ['cpuset', 'cpu', 'cpuacct', 'blkio', 'memory', 'devices', 'freezer', 'net_cls', 'perf_event', 'net_prio', 'hugetlb', 'pids', 'rdma', 'misc'];

export function machineFiles(types: () => readonly string[]): Record<string, Node> {
  const disk = new Set(['ext4']);
  return {
    cmdline: says(() => 'BOOT_IMAGE=/boot/vmlinuz root=/dev/vda ro console=tty0 quiet\n'),
    cpuinfo: says(cpuinfoText),
    devices: says(devicesText),
    filesystems: says(() => [...new Set([...types(), 'ext4', 'nsfs', 'sockfs', 'pipefs'])].map((type) => `${disk.has(type) ? '' : 'nodev'}\t${type}\n`).join('')),
    acpi: fixed({ wakeup: says(() => 'Device\tS-state\t  Status   Sysfs node\n') }),
    kcore: {
      // As under lockdown: no memory of the kernel's own is modelled.
      kind: 'file', mode: 0o400,
      read() {
        throw new SysError('EPERM');
      },
    },
    keys: says(() => ''),
    timer_list: { kind: 'file', mode: 0o400, read: (kernel) => `Timer List Version: v0.10\nHRTIMER_MAX_CLOCK_BASES: 8\nnow at ${Math.floor(timeOf(kernel))} nsecs\n\n` },
    kmsg: {
      kind: 'file', mode: 0o400,
      read(kernel, task) {
        requireAdmin(kernel, task);
        return kmsgText(kernel);
      },
    },
    loadavg: says(loadavgText),
    meminfo: says(meminfoText),
    modules: says(() => 'overlay 217088 0 - Live 0x0000000000000000\nbr_netfilter 36864 0 - Live 0x0000000000000000\nkvm_intel 413696 0 - Live 0x0000000000000000\n'),
    partitions: says((kernel) => `major minor  #blocks  name\n\n 254        0   20971520 vda\n 254        1   20970479 vda1\n${partitionLines(kernel)}`),
    diskstats: says(diskStatsText),
    pressure: fixed({ cpu: pressure('cpu'), io: pressure('io'), memory: pressure('memory') }),
    stat: says(statText),
    swaps: says(swapsText),
    'sysrq-trigger': { kind: 'file', mode: 0o200, write: sysrq },
    uptime: says(uptimeText),
    version: says((kernel) => `Linux version ${kernel.release} (nestbox) ${kernel.version}\n`),
    cgroups: says((kernel) => {
      let count = 0;
      const walk = (group: typeof kernel.cgroups.root): void => {
        count++;
        for (const one of group.children.values()) walk(one);
      };
      walk(kernel.cgroups.root);
      return `#subsys_name\thierarchy\tnum_cgroups\tenabled\n${SUBSYSTEMS.map((name) => `${name}\t0\t${count}\t1\n`).join('')}`;
    }),
  };
}
