/**
 * A terminal as an open file: job control, the requests of ioctl, reading and writing, controlling terminals and hanging up,
 * and the consoles tty1 to tty4. What happens to bytes is tty.ts's. Source: tty_ioctl(4), credentials(7), setpgid(2).
 * Left out: TOSTOP, exclusive mode, TIOCSTI.
 */
import {
  FIONREAD, O_ACCMODE, O_NOCTTY, O_NONBLOCK, POLLHUP, POLLIN, POLLOUT, SIG, SysError, TCFLSH, TCGETS, TCSETS, TCSETSF, TCSETSW, type Termios, TIOCGPGRP,
  TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ, type Winsize,
} from './abi.ts';
import { groupOf, sessionOf } from './membership.ts';
import type { DeviceOpen, Kernel, Task } from './records.ts';
import { orphanedGroup, signalGroup } from './signals.ts';
import { createTty, emit, flushInput, inputChannel, OUTPUT_MAX, outputChannel, readInput, setTermios, type Tty } from './tty.ts';
import { capable } from './vfs/inode.ts';
import { BLOCK, type File, type FileOps } from './vfs/types.ts';
import { waitOn, wake } from './wait.ts';

// ---- job control

/** A background process that reads gets SIGTTIN, one that changes the terminal SIGTTOU. True: it has to wait for that. */
function backgroundStops(kernel: Kernel, task: Task, tty: Tty, signal: number): boolean {
  if (task.tty !== tty || tty.foreground === 0 || task.pgid === tty.foreground) return false;
  const { blocked, actions } = task.leader.signals;
  const ignored = blocked.includes(signal) || actions.get(signal)?.handler === 'ignore';
  if (ignored) {
    if (signal === SIG.TTIN) throw new SysError('EIO');
    return false;
  }
  if (orphanedGroup(kernel, task)) throw new SysError('EIO');
  signalGroup(kernel, task.pgid, signal, 'tty');
  return true;
}

/** Makes a terminal the controlling one of a session. */
function acquire(kernel: Kernel, task: Task, tty: Tty): void {
  tty.session = task.sid;
  tty.foreground = task.pgid;
  for (const one of sessionOf(kernel, task.sid)) one.tty = tty;
}

function setControlling(kernel: Kernel, task: Task, tty: Tty, steal: boolean): 0 {
  if (task.tty === tty && tty.session === task.sid) return 0;
  if (task.sid !== task.leader.pid || task.tty) throw new SysError('EPERM');
  if (tty.session !== 0) {
    if (!steal || !capable(task, 'sys_admin')) throw new SysError('EPERM');
    for (const one of kernel.tasks.values()) if (one.tty === tty) one.tty = null;
  }
  acquire(kernel, task, tty);
  return 0;
}

function giveUp(kernel: Kernel, task: Task, tty: Tty): 0 {
  if (task.tty !== tty) throw new SysError('ENOTTY');
  if (tty.session === task.leader.pid) {
    if (tty.foreground) {
      signalGroup(kernel, tty.foreground, SIG.HUP, 'tty');
      signalGroup(kernel, tty.foreground, SIG.CONT, 'tty');
    }
    for (const one of kernel.tasks.values()) if (one.tty === tty) one.tty = null;
    tty.session = 0;
    tty.foreground = 0;
  }
  task.tty = null;
  return 0;
}

/** A process group by a pid of the caller's namespace, and the other way round. */
function groupInside(kernel: Kernel, task: Task, pgid: number): number {
  if (task.ns.pid.level === 0) return pgid;
  const leader = kernel.tasks.get(pgid);
  const { pid: ns } = task.ns;
  return leader && ns.tasks.get(leader.nspids[ns.level] ?? 0) === leader ? leader.nspids[ns.level]! : 0;
}

function setForeground(kernel: Kernel, task: Task, tty: Tty, arg: unknown): unknown {
  if (task.tty !== tty || tty.session !== task.sid) throw new SysError('ENOTTY');
  if (backgroundStops(kernel, task, tty, SIG.TTOU)) return BLOCK;
  const wanted = Number(arg);
  const named = task.ns.pid.tasks.get(wanted);
  const pgid = named ? named.pid : task.ns.pid.level === 0 ? wanted : -1;
  let found = false;
  for (const one of groupOf(kernel, pgid)) {
    if (one.sid !== task.sid) throw new SysError('EPERM');
    found = true;
  }
  if (!found) throw new SysError('ESRCH');
  tty.foreground = pgid;
  return 0;
}

export function setWinsize(kernel: Kernel, tty: Tty, size: Winsize): void {
  if (tty.winsize.rows === size.rows && tty.winsize.cols === size.cols) return;
  tty.winsize = { rows: size.rows, cols: size.cols };
  if (tty.foreground) signalGroup(kernel, tty.foreground, SIG.WINCH, 'tty');
}

/** The structures that requests point to. Throw EFAULT when there is none. */
function winsizeIn(arg: unknown): Winsize {
  const { rows, cols } = (arg ?? {}) as Partial<Winsize>;
  if (!Number.isInteger(rows) || !Number.isInteger(cols)) throw new SysError('EFAULT');
  return { rows: Math.min(65535, Math.max(0, rows!)), cols: Math.min(65535, Math.max(0, cols!)) };
}

function termiosIn(tty: Tty, arg: unknown): Termios {
  if (typeof arg !== 'object' || arg === null) throw new SysError('EFAULT');
  const given = arg as Partial<Record<keyof Termios, unknown>>;
  const next = { ...tty.termios };
  for (const key of Object.keys(next) as (keyof Termios)[]) if (typeof given[key] === 'boolean') next[key] = given[key];
  return next;
}

/** The requests that both ends of a pty, and consoles, answer. */
export function ttyIoctl(kernel: Kernel, task: Task, tty: Tty, request: number, arg: unknown): unknown {
  switch (request) {
    case TCGETS:
      return { ...tty.termios };
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
      if (backgroundStops(kernel, task, tty, SIG.TTOU)) return BLOCK;
      if (request === TCSETSF) flushInput(tty);
      setTermios(kernel, tty, termiosIn(tty, arg));
      return 0;
    case TCFLSH:
      flushInput(tty);
      return 0;
    case TIOCGWINSZ:
      return { ...tty.winsize };
    case TIOCSWINSZ:
      setWinsize(kernel, tty, winsizeIn(arg));
      return 0;
    case TIOCGPGRP:
      if (task.tty !== tty && !tty.isPty) throw new SysError('ENOTTY');
      return groupInside(kernel, task, tty.foreground);
    case TIOCSPGRP:
      return setForeground(kernel, task, tty, arg);
    case TIOCGSID:
      if (tty.session === 0) throw new SysError('ENOTTY');
      return groupInside(kernel, task, tty.session);
    case TIOCSCTTY:
      return setControlling(kernel, task, tty, arg === 1);
    case TIOCNOTTY:
      return giveUp(kernel, task, tty);
    case FIONREAD:
      return tty.termios.canonical ? (tty.ready[0]?.bytes.length ?? 0) : tty.readyBytes;
    default:
      throw new SysError('ENOTTY');
  }
}

// ---- a terminal as an open file

const ttyOf = (file: File): Tty => file.data as Tty;

export const ttyOps: FileOps = {
  read(kernel, task, file, count) {
    const tty = ttyOf(file);
    if (tty.hungUp) return new Uint8Array(0);
    if (backgroundStops(kernel, task, tty, SIG.TTIN)) return BLOCK;
    const data = readInput(tty, count);
    if (data) {
      if (tty.isPty) wake(kernel, outputChannel(tty));
      return data;
    }
    if (file.flags & O_NONBLOCK) throw new SysError('EAGAIN');
    waitOn(kernel, task, inputChannel(tty));
    return BLOCK;
  },
  write(kernel, task, file, data) {
    const tty = ttyOf(file);
    if (tty.hungUp) throw new SysError('EIO');
    if (tty.isPty && tty.outputBytes >= OUTPUT_MAX) {
      if (file.flags & O_NONBLOCK) throw new SysError('EAGAIN');
      waitOn(kernel, task, outputChannel(tty));
      return BLOCK;
    }
    emit(kernel, tty, data, (file.flags & O_ACCMODE) === 1 ? 2 : 1);
    task.owed.system += data.length * 20;
    return data.length;
  },
  ioctl: (kernel, task, file, request, arg) => {
    const tty = ttyOf(file);
    if (tty.hungUp) throw new SysError('EIO');
    return ttyIoctl(kernel, task, tty, request, arg);
  },
  poll(_kernel, file) {
    const tty = ttyOf(file);
    if (tty.hungUp) return POLLIN | POLLOUT | POLLHUP;
    return (tty.ready.length > 0 ? POLLIN : 0) | (tty.isPty && tty.outputBytes >= OUTPUT_MAX ? 0 : POLLOUT);
  },
  channels: (file) => [inputChannel(ttyOf(file)), outputChannel(ttyOf(file))],
  release(kernel, file) {
    const tty = ttyOf(file);
    tty.users--;
    if (tty.isPty) wake(kernel, outputChannel(tty));
  },
};

/** Opens a terminal; a session leader without one gets it as its controlling terminal. */
export function openTty(kernel: Kernel, task: Task, tty: Tty, flags: number): { ops: FileOps; data: Tty } {
  if (tty.hungUp) throw new SysError('EIO');
  tty.users++;
  if (!(flags & O_NOCTTY) && task.sid === task.leader.pid && !task.tty && tty.session === 0) acquire(kernel, task, tty);
  return { ops: ttyOps, data: tty };
}

/** The line is gone: readers see end of file, the session's leader and foreground hear SIGHUP. */
export function hangUp(kernel: Kernel, tty: Tty): void {
  if (tty.hungUp) return;
  tty.hungUp = true;
  flushInput(tty);
  const leader = tty.session ? kernel.tasks.get(tty.session) : undefined;
  const groups = new Set([tty.foreground, leader?.pgid ?? 0]);
  for (const pgid of groups) {
    if (!pgid) continue;
    signalGroup(kernel, pgid, SIG.HUP, 'tty');
    signalGroup(kernel, pgid, SIG.CONT, 'tty');
  }
  for (const one of kernel.tasks.values()) if (one.tty === tty) one.tty = null;
  tty.session = 0;
  tty.foreground = 0;
  wake(kernel, inputChannel(tty));
  wake(kernel, outputChannel(tty));
}

// ---- consoles

/** tty1…tty4, /dev/console (the first of them) and /dev/tty (the caller's own). */
export function registerConsoles(kernel: Kernel, count: number): void {
  for (let n = 1; n <= count; n++) {
    const tty = createTty(kernel, `tty${n}`, n, false);
    kernel.ttys.set(tty.name, tty);
    kernel.devices.set(`c4:${n}`, (k, task, _inode, flags) => openTty(k, task, tty, flags));
  }
  const first = kernel.ttys.get('tty1')!;
  kernel.devices.set('c5:1', (k, task, _inode, flags) => openTty(k, task, first, flags | O_NOCTTY));
  const own: DeviceOpen = (k, task, _inode, flags) => {
    if (!task.tty) throw new SysError('ENXIO');
    return openTty(k, task, task.tty, flags | O_NOCTTY);
  };
  kernel.devices.set('c5:0', own);
}
