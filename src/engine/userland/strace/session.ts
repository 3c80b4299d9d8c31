/**
 * What strace knows while it traces: its settings, the processes, whose line is unfinished, and how a line begins and ends.
 * Lines are collected and written before anybody is let go on, so that what the traced program prints comes after them.
 * Source: strace 6.13, strace.c (printleader, tprintf, maybe_switch_current_tcp).
 */
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { nowNs } from '../lib/clock.ts';
import { attempt, list } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import type { Filter } from './filter.ts';
import type { Count } from './summary.ts';

export interface Settings {
  follow: boolean;
  /** -ff: a file a process. */
  separate: boolean;
  output: string | null;
  append: boolean;
  filter: Filter;
  /** -t 1, -tt 2, -ttt 3. */
  stamps: number;
  relative: boolean;
  spent: boolean;
  paths: boolean;
  limit: number;
  verbose: boolean;
  hex: number;
  column: number;
  /** -c 1, -C 2. */
  summary: number;
  wall: boolean;
  sort: string;
  /** Only calls that name one of these paths; null all. */
  only: readonly string[] | null;
}

/** The call that a process is in. */
export interface Entered {
  name: string;
  args: readonly unknown[];
  /** Shown, at least as far as the filter says. */
  shown: boolean;
  /** Its line stands unfinished on the output. */
  open: boolean;
  /** Its arguments so far, for a line that is printed when it ends. */
  text: string;
  /** ns, realtime. */
  at: number;
  /** System time of the process then, ns. */
  stime: number;
  injected: boolean;
  delayExit: number;
}

export interface Proc {
  pid: number;
  fd: number;
  /** Not seen before its execve: the child that strace itself made. */
  hidden: boolean;
  entered: Entered | null;
  /** Attached by us, to be let go on interrupt. */
  attached: boolean;
}

export interface Session {
  set: Settings;
  procs: Map<number, Proc>;
  /** The process whose line is unfinished. */
  current: Proc | null;
  columns: number;
  /** By descriptor, what is still to be written. */
  buffered: Map<number, string>;
  counts: Map<string, Count>;
  times: Map<string, number>;
  lastStamp: number;
  command: number;
  status: number;
  interrupted: number;
  shared: number;
}

export function write(s: Session, fd: number, text: string): void {
  s.buffered.set(fd, (s.buffered.get(fd) ?? '') + text);
  const cut = text.lastIndexOf('\n');
  s.columns = cut < 0 ? s.columns + text.length : text.length - cut - 1;
}

export function* flush(s: Session): Call<void> {
  for (const [fd, text] of s.buffered) if (text !== '') yield* attempt(writeAll(fd, bytes(text)), undefined);
  s.buffered.clear();
}

/** A message of strace's own, always on standard error; the line that is open does not know of it. */
export function say(s: Session, text: string): void {
  s.buffered.set(2, (s.buffered.get(2) ?? '') + text);
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}

function stamp(s: Session, now: number): string {
  const { stamps, relative } = s.set;
  const micros = String(Math.floor(now / 1000) % 1_000_000).padStart(6, '0');
  const seconds = Math.floor(now / 1e9);
  const clock = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  let text = stamps === 1 ? `${clock} ` : stamps === 2 ? `${clock}.${micros} ` : stamps > 2 ? `${seconds}.${micros} ` : '';
  if (!relative) return text;
  const passed = s.lastStamp === 0 ? 0 : Math.max(0, now - s.lastStamp);
  s.lastStamp = now;
  const number = `${String(Math.floor(passed / 1e9)).padStart(6)}.${String(Math.floor(passed / 1000) % 1_000_000).padStart(6, '0')}`;
  text += stamps > 0 ? `(+${number}) ` : `${number} `;
  return text;
}

/** Another's unfinished line ends here. */
export function breakLine(s: Session): void {
  if (!s.current) return;
  write(s, s.current.fd, ' <unfinished ...>\n');
  s.current = null;
}

/** Begins a line of a process. */
export function* leader(s: Session, proc: Proc): Call<void> {
  const { set } = s;
  if (!set.separate) breakLine(s);
  s.columns = 0;
  const { separate, output, follow } = set;
  const prefix = separate ? '' : output !== null && follow ? `${String(proc.pid).padEnd(5)} ` : s.procs.size > 1 && output === null ? `[pid ${String(proc.pid).padStart(5)}] ` : '';
  write(s, proc.fd, prefix + (set.stamps > 0 || set.relative ? stamp(s, yield* nowNs()) : ''));
}

/** Spaces up to the column of results. */
export function pad(s: Session, fd: number): void {
  write(s, fd, `) ${' '.repeat(Math.max(0, s.set.column - s.columns - 2))}`);
}

export function* newProc(s: Session, pid: number, hidden: boolean, attached: boolean): Call<Proc> {
  let fd = s.shared;
  if (s.set.separate && s.set.output !== null) {
    const low = yield* sys('openat', AT_FDCWD, `${s.set.output}.${pid}`, O_WRONLY | O_CREAT | O_CLOEXEC | (s.set.append ? O_APPEND : O_TRUNC), 0o666);
    fd = low;
  }
  const proc: Proc = { pid, fd, hidden, entered: null, attached };
  s.procs.set(pid, proc);
  return proc;
}

/** Descriptors of a process and what they are open on, with its working directory, for -y. */
export function* descriptors(pid: number): Call<{ fds: Map<number, string>; cwd: string | null }> {
  const fds = new Map<number, string>();
  for (const { name } of yield* list(`/proc/${pid}/fd`)) {
    const target = yield* attempt(sys('readlinkat', AT_FDCWD, `/proc/${pid}/fd/${name}`), null);
    if (target !== null) fds.set(Number(name), target);
  }
  return { fds, cwd: yield* attempt(sys('readlinkat', AT_FDCWD, `/proc/${pid}/cwd`), null) };
}
