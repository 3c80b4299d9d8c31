/**
 * The loop of strace: waits for the next stop of a traced process, prints it, lets it go on. Source: strace 6.13, strace.c
 * (dispatch_event, syscall.c: syscall_entering_trace, syscall_exiting_trace).
 */
import { ERRNO, type Errno, SIG, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { nowNs } from '../lib/clock.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { decoderOf, nameOf, orAddress, printed } from './calls.ts';
import { CLASSES } from './classes.ts';
import { breakLine, descriptors, type Entered, flush, leader, newProc, pad, type Proc, say, type Session, write } from './session.ts';
import { type Cx, signalText } from './values.ts';

interface SyscallInfo {
  op: 'entry' | 'exit' | 'none';
  name: string;
  args: readonly unknown[];
  result: unknown;
  failed: boolean;
}

interface SigInfo {
  signo: number;
  code: string;
  pid: number;
  uid: number;
  status: number;
}

const EVENT_STOP = 128;
const STOPS: ReadonlySet<number> = new Set([SIG.STOP, SIG.TSTP, SIG.TTIN, SIG.TTOU]);
/** errno.h does not have them: a tracer sees them only. */
const RESTARTS: Readonly<Record<string, string>> = {
  ERESTARTSYS: 'To be restarted if SA_RESTART is set', ERESTARTNOHAND: 'To be restarted if no handler', ERESTART_RESTARTBLOCK: 'Interrupted by signal',
};

function* context(s: Session, proc: Proc, info: Pick<SyscallInfo, 'args' | 'result' | 'failed'>): Call<Cx> {
  const { limit, verbose, hex, paths } = s.set;
  const known = paths ? yield* descriptors(proc.pid) : null;
  return { pid: proc.pid, ...info, limit, verbose, hex, fdPath: (fd) => known?.fds.get(fd) ?? null, cwd: known?.cwd ?? null };
}

function isTraced(s: Session, info: SyscallInfo): boolean {
  const { filter, only } = s.set;
  const call = info.name === 'restart_syscall' ? String(info.args[0]) : info.name;
  if (filter.trace && !filter.trace.has(call)) return false;
  if (!only) return true;
  return CLASSES.file!.has(call) && info.args.some((one) => typeof one === 'string' && only.includes(one));
}

/** The injection that this call meets, if any; counts it. */
function injectionFor(s: Session, proc: Proc, call: string): Session['set']['filter']['injections'][number] | null {
  for (const [at, one] of s.set.filter.injections.entries()) {
    if (!one.calls.has(call)) continue;
    const key = `${proc.pid}/${at}`;
    const nth = (s.times.get(key) ?? 0) + 1;
    s.times.set(key, nth);
    if (nth >= one.first && nth <= one.last && (nth - one.first) % one.step === 0) return one;
  }
  return null;
}

function* onEntry(s: Session, proc: Proc, info: SyscallInfo, stime: number): Call<void> {
  if (proc.hidden && info.name === 'execve') proc.hidden = false;
  const shown = !proc.hidden && isTraced(s, info);
  const entered: Entered = { name: info.name, args: info.args, shown, open: false, text: '', at: yield* nowNs(), stime, injected: false, delayExit: 0 };
  proc.entered = entered;
  const injection = proc.hidden ? null : injectionFor(s, proc, info.name);
  if (injection) {
    if (injection.delayEnter > 0) yield* sys('nanosleep', injection.delayEnter);
    if (injection.signal > 0) yield* attempt(sys('kill', proc.pid, injection.signal), 0);
    entered.delayExit = injection.delayExit;
    if (injection.error !== null) entered.injected = (yield* attempt(sys('ptrace', 'PTRACE_SETREGSET', proc.pid, { error: injection.error }), null)) !== null;
    else if (injection.value !== null) entered.injected = (yield* attempt(sys('ptrace', 'PTRACE_SETREGSET', proc.pid, { value: injection.value }), null)) !== null;
  }
  if (!shown || s.set.summary === 1) return;
  const decoder = decoderOf(info.name);
  const cx = yield* context(s, proc, info);
  entered.text = printed(decoder.in, cx);
  if (decoder.in.length > 0 && (decoder.out?.length ?? 0) > 0) entered.text += ', ';
  if (s.set.filter.status) return;
  yield* leader(s, proc);
  write(s, proc.fd, `${nameOf(info.name)}(${entered.text}`);
  s.current = proc;
  entered.open = true;
}

function resultOf(cx: Cx, name: string): string {
  const { ret } = decoderOf(name);
  return ret ? orAddress(ret, cx) : typeof cx.result === 'number' ? String(cx.result) : '0';
}

function resultText(cx: Cx, name: string, injected: boolean): string {
  const tail = injected ? ' (INJECTED)' : '';
  if (!cx.failed) return `= ${resultOf(cx, name)}${tail}`;
  const errno = String(cx.result);
  if (RESTARTS[errno]) return `= ? ${errno} (${RESTARTS[errno]})`;
  return `= -1 ${errno} (${ERRNO[errno as Errno]?.[1] ?? 'Unknown error'})${tail}`;
}

function count(s: Session, entered: Entered, failed: boolean, stime: number, now: number): void {
  const name = nameOf(entered.name);
  const one = s.counts.get(name) ?? { calls: 0, errors: 0, time: 0 };
  s.counts.set(name, one);
  one.calls++;
  if (failed) one.errors++;
  one.time += s.set.wall ? now - entered.at : Math.max(0, stime - entered.stime);
}

function* onExit(s: Session, proc: Proc, info: SyscallInfo, stime: number): Call<void> {
  const { entered } = proc;
  proc.entered = null;
  if (!entered) return;
  if (entered.delayExit > 0) yield* sys('nanosleep', entered.delayExit);
  if (!entered.shown) return;
  const now = yield* nowNs();
  const { set } = s;
  if (set.summary > 0) count(s, entered, info.failed, stime, now);
  if (set.summary === 1) return;
  if (set.filter.status && !set.filter.status.has(info.failed ? 'failed' : 'successful')) return;
  // execve has replaced the arguments' owner; those of the entry are the ones that were given.
  const cx = yield* context(s, proc, { args: entered.args, result: info.result, failed: info.failed });
  const decoder = decoderOf(entered.name);
  if (!entered.open) {
    yield* leader(s, proc);
    write(s, proc.fd, `${nameOf(entered.name)}(${entered.text}`);
  } else if (s.current !== proc && !set.separate) {
    yield* leader(s, proc);
    write(s, proc.fd, `<... ${nameOf(entered.name)} resumed>`);
  }
  write(s, proc.fd, printed(decoder.out ?? [], cx) + (decoder.after ? orAddress(decoder.after, cx) : ''));
  pad(s, proc.fd);
  write(s, proc.fd, resultText(cx, entered.name, entered.injected));
  if (set.spent) write(s, proc.fd, ` <${(Math.max(now - entered.at, stime - entered.stime) / 1e9).toFixed(6)}>`);
  write(s, proc.fd, '\n');
  if (s.current === proc) s.current = null;
}

function sigText(info: SigInfo): string {
  const sender = info.code === 'SI_KERNEL' ? '' : `, si_pid=${info.pid}, si_uid=${info.uid}`;
  if (info.code.startsWith('CLD_')) {
    const status = info.code === 'CLD_EXITED' ? String(info.status) : signalText(info.status);
    return `{si_signo=${signalText(info.signo)}, si_code=${info.code}${sender}, si_status=${status}, si_utime=0, si_stime=0}`;
  }
  return `{si_signo=${signalText(info.signo)}, si_code=${info.code}${sender}}`;
}

function* line(s: Session, proc: Proc, text: string): Call<void> {
  if (s.set.summary === 1) return;
  yield* leader(s, proc);
  write(s, proc.fd, `${text}\n`);
}

function* onSignal(s: Session, proc: Proc, signal: number): Call<void> {
  const info = (yield* attempt(sys('ptrace', 'PTRACE_GETSIGINFO', proc.pid), null)) as SigInfo | null;
  if (info && !proc.hidden && (s.set.filter.signals?.has(signal) ?? true)) yield* line(s, proc, `--- ${signalText(signal)} ${sigText(info)} ---`);
}

/** A process is over; its open call has no result. */
export function* onEnd(s: Session, proc: Proc, status: number): Call<void> {
  const { set } = s;
  if (proc.entered?.shown && set.summary > 0) count(s, proc.entered, false, proc.entered.stime, yield* nowNs());
  if (proc.entered?.shown && set.summary !== 1 && (!set.filter.status || set.filter.status.has('unfinished'))) {
    if (!proc.entered.open || (s.current !== proc && !set.separate)) {
      yield* leader(s, proc);
      write(s, proc.fd, proc.entered.open ? `<... ${nameOf(proc.entered.name)} resumed>` : `${nameOf(proc.entered.name)}(${proc.entered.text}`);
    }
    if ((decoderOf(proc.entered.name).out?.length ?? 0) > 0) write(s, proc.fd, ' <unfinished ...>');
    pad(s, proc.fd);
    write(s, proc.fd, '= ?\n');
    if (s.current === proc) s.current = null;
  }
  if (!set.filter.quiet.has('exit') && !proc.hidden) {
    const signal = status & 0x7f;
    yield* line(s, proc, signal === 0 ? `+++ exited with ${(status >> 8) & 255} +++` : `+++ killed by ${signalText(signal)}${status & 0x80 ? ' (core dumped)' : ''} +++`);
  }
  yield* flush(s);
  s.procs.delete(proc.pid);
  if (proc.fd !== s.shared) yield* attempt(sys('close', proc.fd), 0);
  if (proc.pid === s.command) s.status = status;
}

/** Handles one stop or end that wait4 has told of. */
export function* onNews(s: Session, pid: number, status: number, stime: number): Call<void> {
  let proc = s.procs.get(pid);
  if ((status & 0x7f) !== 0x7f) {
    if (proc) yield* onEnd(s, proc, status);
    return;
  }
  if (!proc) {
    proc = yield* newProc(s, pid, false, true);
    if (!s.set.filter.quiet.has('attach')) say(s, `strace: Process ${pid} attached\n`);
  }
  const signal = (status >> 8) & 0xff;
  const event = status >> 16;
  let pass = 0;
  if (signal === (SIG.TRAP | 0x80)) {
    const info = (yield* attempt(sys('ptrace', 'PTRACE_GET_SYSCALL_INFO', pid), null)) as SyscallInfo | null;
    if (info?.op === 'entry') yield* onEntry(s, proc, info, stime);
    else if (info?.op === 'exit') yield* onExit(s, proc, info, stime);
  } else if (event === EVENT_STOP) {
    if (STOPS.has(signal)) {
      if (s.set.filter.signals?.has(signal) ?? true) yield* line(s, proc, `--- stopped by ${signalText(signal)} ---`);
      yield* flush(s);
      yield* attempt(sys('ptrace', 'PTRACE_LISTEN', pid), 0);
      return;
    }
  } else {
    yield* onSignal(s, proc, signal);
    pass = signal;
  }
  yield* flush(s);
  yield* attempt(sys('ptrace', 'PTRACE_SYSCALL', pid, pass), 0, 'ESRCH');
}

/** Lets everybody go on without us. */
export function* detachAll(s: Session): Call<void> {
  const { set } = s;
  for (const proc of [...s.procs.values()]) {
    yield* attempt(sys('ptrace', 'PTRACE_INTERRUPT', proc.pid), 0, 'ESRCH');
    for (;;) {
      try {
        const { pid, status } = yield* sys('wait4', proc.pid, 0x40000000);
        if (pid === proc.pid && (status & 0x7f) === 0x7f) {
          const signal = (status >> 8) & 0xff;
          yield* attempt(sys('ptrace', 'PTRACE_DETACH', pid, status >> 16 || signal === (SIG.TRAP | 0x80) ? 0 : signal), 0, 'ESRCH');
          break;
        }
        if ((status & 0x7f) !== 0x7f) break;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        if (error.errno !== 'EINTR') break;
      }
    }
    if (!set.filter.quiet.has('attach')) say(s, `strace: Process ${proc.pid} detached\n`);
    if (proc.entered?.open && s.current === proc) write(s, proc.fd, ' <detached ...>\n');
    s.current = null;
    s.procs.delete(proc.pid);
  }
  breakLine(s);
  yield* flush(s);
}
