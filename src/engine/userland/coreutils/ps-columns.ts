/** The columns of ps: heading, width, alignment and value of each name that -o takes. Source: procps ps(1). */
import { strftime } from './calendar.ts';
import { type Accounts, groupName, userName } from './accounts.ts';
import { commandLine, type Machine, type Process, TICKS } from './processes.ts';

export interface Shown {
  process: Process;
  machine: Machine;
  accounts: Accounts;
  /** "  \_ " and the like before the command. */
  branch: string;
  cgroup: string;
  namespaces: Readonly<Record<string, number | null>>;
}

export interface Column {
  heading: string;
  width: number;
  align: 'left' | 'right';
  value: (s: Shown) => string;
  /** Numbers to sort by, where the text will not do. */
  key?: (s: Shown) => number;
}

const left = (heading: string, width: number, value: Column['value'], key?: Column['key']): Column => ({ heading, width, align: 'left', value, ...(key ? { key } : {}) });
const right = (heading: string, width: number, value: Column['value'], key?: Column['key']): Column => ({ heading, width, align: 'right', value, ...(key ? { key } : {}) });
const count = (heading: string, width: number, of: (s: Shown) => number): Column => right(heading, width, (s) => String(of(s)), of);

const seconds = (p: Process): number => Math.floor((p.utime + p.stime) / TICKS);
const started = (s: Shown): number => s.machine.booted + s.process.start / TICKS;
const elapsed = (s: Shown): number => Math.max(0, Math.floor(s.machine.uptime - s.process.start / TICKS));
const two = (n: number): string => String(n).padStart(2, '0');

export function clockTime(total: number): string {
  const days = Math.floor(total / 86400);
  return `${days > 0 ? `${days}-` : ''}${two(Math.floor(total / 3600) % 24)}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
}

function elapsedText(total: number): string {
  const days = Math.floor(total / 86400);
  const hours = Math.floor(total / 3600) % 24;
  return `${days > 0 ? `${days}-` : ''}${days > 0 || hours > 0 ? `${two(hours)}:` : ''}${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
}

const bsdTime = (total: number): string => `${Math.floor(total / 60)}:${two(total % 60)}`;

/** Tenths of a percent of one processor over its whole life. */
function cpuTenths(s: Shown): number {
  const life = s.machine.uptime - s.process.start / TICKS;
  return life > 0 ? Math.floor((((s.process.utime + s.process.stime) / TICKS) * 1000) / life) : 0;
}

const tenths = (n: number): string => (n > 999 ? String(Math.floor(n / 10)) : `${Math.floor(n / 10)}.${n % 10}`);
const memoryTenths = (s: Shown): number => Math.min(999, Math.floor((s.process.rss * 4 * 1000) / (s.machine.memory.MemTotal ?? 1)));

function startTime(s: Shown): string {
  const at = started(s);
  if (s.machine.now - at < 86400 || strftime('%F', at) === strftime('%F', s.machine.now)) return strftime('%H:%M', at);
  return strftime('%Y', at) === strftime('%Y', s.machine.now) ? strftime('%b%d', at) : strftime('%Y', at);
}

/** "Ss+", "R<", "Sl". */
export function stateText(p: Process): string {
  const lock = p.status.indexOf('\nVmLck:');
  const locked = lock >= 0 && Number.parseInt(p.status.slice(lock + 7), 10) > 0;
  return `${p.state}${p.nice < 0 ? '<' : p.nice > 0 ? 'N' : ''}${locked ? 'L' : ''}${p.session === p.pid ? 's' : ''}${p.threads > 1 ? 'l' : ''}${p.tpgid > 0 && p.tpgid === p.pgrp ? '+' : ''}`;
}

const user = (s: Shown, uid: number): string => {
  const name = userName(s.accounts, uid);
  return name.length > 8 ? `${name.slice(0, 7)}+` : name;
};

const args: Column['value'] = (s) => s.branch + commandLine(s.process);
const comm: Column['value'] = (s) => s.branch + s.process.comm + (s.process.state === 'Z' ? ' <defunct>' : '');
const namespace = (name: string): Column => right(`${name.toUpperCase()}NS`, 10, (s) => String(s.namespaces[name] ?? '-'));
const pidLike = (heading: string, of: (s: Shown) => number): Column => count(heading, 0, of);

/** Scheduling classes by the policy's number. */
const CLASSES: Readonly<Record<number, string>> = { 0: 'TS', 1: 'FF', 2: 'RR', 3: 'B', 5: 'IDL', 6: 'DLN' };

/** Width 0: as wide as pids are. */
export const COLUMNS: Readonly<Record<string, Column>> = {
  pid: pidLike('PID', (s) => s.process.pid), tgid: pidLike('TGID', (s) => s.process.pid), ppid: pidLike('PPID', (s) => s.process.ppid), pgid: pidLike('PGID', (s) => s.process.pgrp),
  sid: pidLike('SID', (s) => s.process.session), lwp: pidLike('LWP', (s) => s.process.tid), tpgid: pidLike('TPGID', (s) => s.process.tpgid),
  user: left('USER', 8, (s) => user(s, s.process.euid)), ruser: left('RUSER', 8, (s) => user(s, s.process.uid)), uname: left('USER', 8, (s) => user(s, s.process.euid)),
  group: left('GROUP', 8, (s) => groupName(s.accounts, s.process.egid)), rgroup: left('RGROUP', 8, (s) => groupName(s.accounts, s.process.gid)),
  uid: count('UID', 5, (s) => s.process.euid), ruid: count('RUID', 5, (s) => s.process.uid), gid: count('GID', 5, (s) => s.process.egid), rgid: count('RGID', 5, (s) => s.process.gid),
  'user-ef': left('UID', 8, (s) => user(s, s.process.euid)), tty: left('TTY', 8, (s) => s.process.tty), tt: left('TT', 8, (s) => s.process.tty),
  stat: left('STAT', 4, (s) => stateText(s.process)), s: left('S', 1, (s) => s.process.state), comm: left('COMMAND', 15, comm), ucmd: left('CMD', 15, comm),
  args: left('COMMAND', 27, args), cmd: left('CMD', 27, args),
  pcpu: right('%CPU', 4, (s) => tenths(cpuTenths(s)), cpuTenths), pmem: right('%MEM', 4, (s) => tenths(memoryTenths(s)), (s) => s.process.rss), c: count('C', 2, (s) => Math.min(99, Math.floor(cpuTenths(s) / 10))),
  vsz: count('VSZ', 6, (s) => Math.floor(s.process.vsize / 1024)), rss: count('RSS', 5, (s) => s.process.rss * 4), sz: count('SZ', 5, (s) => Math.floor(s.process.vsize / 4096)),
  size: count('SIZE', 5, (s) => Number(/^VmData:\s*(\d+)/m.exec(s.process.status)?.[1] ?? 0)),
  time: right('TIME', 8, (s) => clockTime(seconds(s.process)), (s) => s.process.utime + s.process.stime), bsdtime: right('TIME', 6, (s) => bsdTime(seconds(s.process)), (s) => s.process.utime + s.process.stime),
  etime: right('ELAPSED', 11, (s) => elapsedText(elapsed(s)), elapsed), etimes: count('ELAPSED', 7, elapsed),
  start: right('STARTED', 8, (s) => (s.machine.now - started(s) < 86400 ? strftime('%H:%M:%S', started(s)) : strftime('  %b %d', started(s))), started),
  lstart: right('STARTED', 24, (s) => strftime('%a %b %e %H:%M:%S %Y', started(s)), started), stime: right('STIME', 5, startTime, started), bsdstart: right('START', 5, startTime, started),
  ni: right('NI', 3, (s) => (s.process.rtPriority > 0 ? '-' : String(s.process.nice)), (s) => s.process.nice), pri: count('PRI', 3, (s) => 39 - s.process.priority), opri: count('PRI', 3, (s) => 60 + s.process.priority), 'l-pri': count('PRI', 3, (s) => s.process.priority),
  nlwp: count('NLWP', 4, (s) => s.process.threads), psr: count('PSR', 3, (s) => s.process.cpu), wchan: left('WCHAN', 6, () => '-'), f: right('F', 1, (s) => ((Math.floor(s.process.flags / 64) & 7) | (s.process.flags & 0x100 ? 4 : 0)).toString(8)),
  addr: left('ADDR', 4, () => '-'), cls: right('CLS', 3, (s) => CLASSES[s.process.policy] ?? '?'), rtprio: right('RTPRIO', 6, (s) => (s.process.rtPriority > 0 ? String(s.process.rtPriority) : '-')), majflt: count('MAJFL', 6, (s) => s.process.majflt), minflt: count('MINFL', 6, (s) => s.process.minflt),
  cgroup: left('CGROUP', 27, (s) => s.cgroup), label: left('LABEL', 31, () => 'unconfined'),
  pidns: namespace('pid'), netns: namespace('net'), mntns: namespace('mnt'), utsns: namespace('uts'), ipcns: namespace('ipc'), userns: namespace('user'), cgroupns: namespace('cgroup'), timens: namespace('time'),
};

const SAME: Readonly<Record<string, string>> = {
  '%cpu': 'pcpu', '%mem': 'pmem', command: 'args', state: 's', nice: 'ni', pgrp: 'pgid', session: 'sid', sess: 'sid', tid: 'lwp', spid: 'lwp', thcount: 'nlwp', vsize: 'vsz', rssize: 'rss', rsz: 'rss',
  euser: 'user', egroup: 'group', euid: 'uid', egid: 'gid', tname: 'tty', cputime: 'time', flags: 'f', flag: 'f', class: 'cls', policy: 'cls', cgname: 'cgroup', ucomm: 'comm', start_time: 'stime', fname: 'comm', priority: 'l-pri',
  cmdline: 'args', min_flt: 'minflt', maj_flt: 'majflt',
};

export function columnOf(name: string): Column | null {
  const known = COLUMNS[name] ?? COLUMNS[SAME[name] ?? ''];
  if (!known) return null;
  const heading = { cmd: 'CMD', command: 'COMMAND', ucomm: 'COMMAND', state: 'S', tid: 'TID', spid: 'SPID', euser: 'EUSER', tname: 'TTY', cputime: 'TIME', session: 'SESS', sess: 'SESS', pgrp: 'PGRP', nice: 'NI', thcount: 'THCNT', egroup: 'EGROUP', euid: 'EUID', egid: 'EGID' }[name];
  return heading ? { ...known, heading } : known;
}
