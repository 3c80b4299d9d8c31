/** Processes as /proc shows them: one record a process, for ps, top, pgrep, pidof, killall and lsns. Source: man 5 proc. */
import { AT_FDCWD } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt, list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

export interface Process {
  pid: number;
  tid: number;
  comm: string;
  state: string;
  ppid: number;
  pgrp: number;
  session: number;
  /** "tty1", "pts/0" or "?". */
  tty: string;
  /** Foreground process group of its terminal. */
  tpgid: number;
  flags: number;
  minflt: number;
  majflt: number;
  /** Clock ticks, a hundredth of a second each. */
  utime: number;
  stime: number;
  priority: number;
  nice: number;
  threads: number;
  /** Ticks after boot. */
  start: number;
  /** Bytes. */
  vsize: number;
  /** Pages. */
  rss: number;
  cpu: number;
  rtPriority: number;
  /** 0 other, 1 FIFO, 2 RR, 3 batch, 5 idle. */
  policy: number;
  uid: number;
  euid: number;
  gid: number;
  egid: number;
  args: string[];
  status: string;
}

export const TICKS = 100;

export function ttyName(device: number): string {
  if (device === 0) return '?';
  const major = Math.floor(device / 256) % 4096;
  const minor = (device % 256) + Math.floor(device / 1048576) * 256;
  if (major === 4) return minor < 64 ? `tty${minor}` : `ttyS${minor - 64}`;
  if (major >= 136 && major <= 143) return `pts/${minor + (major - 136) * 256}`;
  return major === 5 ? 'console' : '?';
}

/** The pids in /proc, in order. */
export function* pids(): Call<number[]> {
  return (yield* list('/proc')).map((e) => e.name).filter((n) => /^\d+$/.test(n)).map(Number).sort((a, b) => a - b);
}

/** Null when it has gone meanwhile. */
export function* readProcess(pid: number, dir = `/proc/${pid}`): Call<Process | null> {
  const stat = yield* tryRead(`${dir}/stat`);
  const status = yield* tryRead(`${dir}/status`);
  if (stat === null || status === null) return null;
  const open = stat.indexOf('(');
  const close = stat.lastIndexOf(')');
  const f = stat.slice(close + 2).trim().split(' ');
  const n = (i: number): number => Number(f[i - 3] ?? 0);
  const ids = (name: string): number[] => {
    const from = status.indexOf(`\n${name}:`) + name.length + 2;
    return status.slice(from, status.indexOf('\n', from)).trim().split(/\s+/).map(Number);
  };
  const cmdline = (yield* tryRead(`${dir}/cmdline`)) ?? '';
  const [uid, gid] = [ids('Uid'), ids('Gid')];
  return {
    pid, tid: Number(stat.slice(0, open)), comm: stat.slice(open + 1, close), state: f[0] ?? '?', ppid: n(4), pgrp: n(5), session: n(6), tty: ttyName(n(7)),
    tpgid: n(8), flags: n(9), minflt: n(10), majflt: n(12), utime: n(14), stime: n(15), priority: n(18), nice: n(19), threads: n(20), start: n(22), vsize: n(23),
    rss: n(24), cpu: n(39), rtPriority: n(40), policy: n(41), uid: uid[0] ?? 0, euid: uid[1] ?? 0, gid: gid[0] ?? 0, egid: gid[1] ?? 0,
    args: cmdline === '' ? [] : cmdline.replace(/\0+$/, '').split('\0'), status,
  };
}

export function* readProcesses(): Call<Process[]> {
  const all: Process[] = [];
  for (const pid of yield* pids()) {
    const one = yield* readProcess(pid);
    if (one) all.push(one);
  }
  return all;
}

/** Every thread of a process. */
export function* readThreads(process: Process): Call<Process[]> {
  const all: Process[] = [];
  for (const { name } of yield* list(`/proc/${process.pid}/task`)) {
    const one = yield* readProcess(process.pid, `/proc/${process.pid}/task/${name}`);
    if (one) all.push(one);
  }
  return all.sort((a, b) => a.tid - b.tid);
}

/** The command line; a kernel thread or zombie has none and is shown by name in brackets. */
export function commandLine(p: Process): string {
  const shown = p.args.length > 0 ? p.args.join(' ').replace(/[\x00-\x1f\x7f]/g, (c) => (c === '\n' ? ' ' : '?')) : `[${p.comm}]`;
  return p.state === 'Z' ? `[${p.comm}] <defunct>` : shown;
}

export interface Machine {
  /** Seconds since boot, and the moment of boot since 1970. */
  uptime: number;
  booted: number;
  now: number;
  /** KiB by name of /proc/meminfo. */
  memory: Record<string, number>;
  pidWidth: number;
}

export function* readMachine(): Call<Machine> {
  const uptime = Number(((yield* tryRead('/proc/uptime')) ?? '0').split(' ')[0]);
  const now = (yield* sys('clock_gettime', 'realtime')) / 1e9;
  const btime = /^btime (\d+)/m.exec((yield* tryRead('/proc/stat')) ?? '');
  const max = ((yield* tryRead('/proc/sys/kernel/pid_max')) ?? '32768').trim();
  return { uptime, booted: btime ? Number(btime[1]) : now - uptime, now, memory: yield* readMeminfo(), pidWidth: Math.max(5, String(Number(max) - 1).length) };
}

export function* readMeminfo(): Call<Record<string, number>> {
  const memory: Record<string, number> = {};
  for (const m of ((yield* tryRead('/proc/meminfo')) ?? '').matchAll(/^(\S+):\s+(\d+)/gm)) memory[m[1]!] = Number(m[2]);
  return memory;
}

/** "pid:[4026531836]" as its number; null when it may not be read. */
export function* namespaceOf(pid: number, name: string): Call<number | null> {
  const link = yield* attempt(sys('readlinkat', AT_FDCWD, `/proc/${pid}/ns/${name}`), null);
  return link === null ? null : Number(/\[(\d+)\]/.exec(link)?.[1] ?? 0);
}
