/**
 * Child processes of the shell: a fork that runs a part of the program on a copy of the state, its place in pipeline and process
 * group, and how what it threw becomes an exit status.
 */
import { AT_FDCWD, O_RDONLY, SIG, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, strerror } from '../lib/io.ts';
import { reword } from './flavour.ts';
import { poll, setForeground } from './jobs.ts';
import { defaultSignal, ignoreSignal, resetSignals, runTrap } from './signals.ts';
import { Bad, copyShell, type Job, Jump, nameOf, prefix, type Shell } from './state.ts';

export interface Plumbing {
  /** Descriptors that become 0 and 1. */
  stdin?: number;
  stdout?: number;
  /** Standard error goes where standard output goes (|&). */
  both?: boolean;
  /** Other ends of pipes, which the child must not hold. */
  close: readonly number[];
  background: boolean;
}

const MAX_FORK_SECONDS = 8;

export type Part = (child: Shell) => Call<number>;

/** Forks; the child runs `part` and exits with its status. Throws Bad when the kernel refuses. */
export function* spawn(sh: Shell, job: Job, part: Part, plumbing: Plumbing): Call<number> {
  const child = copyShell(sh);
  const grouped = job.grouped;
  const { pgid } = job;
  const pid = yield* fork(sh, () => childBody(child, part, plumbing, grouped ? pgid : -1));
  if (grouped) {
    job.pgid ||= pid;
    yield* attempt(sys('setpgid', pid, job.pgid), 0);
    if (!plumbing.background && pgid === 0) yield* setForeground(sh, job.pgid);
  }
  job.processes.push({ pid, status: null, stopped: false });
  return pid;
}

/** bash asks again when there are too many processes, after 1, 2, 4 and 8 seconds; the others give up at once. */
function* fork(sh: Shell, run: () => Body): Call<number> {
  for (let seconds = 1; ; seconds *= 2) {
    try {
      return yield* sys('clone', { flags: 0, run });
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const refused = `fork: ${strerror(error)}`;
      if (sh.flavour !== 'bash') throw new Bad(refused, { fatal: true });
      if (error.errno !== 'EAGAIN' || seconds > MAX_FORK_SECONDS) throw new Bad(refused, { status: 254, whole: true });
      yield* attempt(complain(`${nameOf(sh)}: fork: retry: ${strerror(error)}\n`), undefined);
      yield* poll(sh);
      if (!(yield* undisturbed(sh, seconds))) throw new Bad(`fork: ${strerror(new SysError('EINTR'))}`, { status: 254, whole: true });
    }
  }
}

/** Sleeps; false when a signal came, the end of a child among them, with a whole second or more left: sleep(3) counts no parts of one. */
function* undisturbed(sh: Shell, seconds: number): Call<boolean> {
  const caught = sh.traps.has('CHLD') || sh.ignored.has(SIG.CHLD);
  if (!caught) yield* sys('rt_sigaction', SIG.CHLD, { *handler() {}, restart: false });
  const since = yield* sys('clock_gettime', 'monotonic');
  const slept = yield* attempt(sys('nanosleep', seconds * 1_000_000_000), null, 'EINTR');
  const left = seconds * 1e9 - ((yield* sys('clock_gettime', 'monotonic')) - since);
  if (!caught) yield* defaultSignal(SIG.CHLD);
  return (slept !== null || left < 1e9) && sh.pending.length === 0;
}

function* childBody(child: Shell, part: Part, plumbing: Plumbing, pgid: number): Body {
  child.ppid = child.pid;
  child.pid = yield* sys('getpid');
  const wasInteractive = child.interactive;
  child.interactive = false;
  if (pgid >= 0) {
    yield* attempt(sys('setpgid', 0, pgid), 0);
    if (!plumbing.background) yield* setForeground(child, pgid === 0 ? child.pid : pgid);
  }
  child.options.delete('monitor');
  child.jobs = child.jobs.filter((j) => j.id > 0).map((j) => ({ ...j, foreign: true, told: true }));
  child.subshells++;
  yield* resetSignals(child, wasInteractive);
  if (plumbing.background && pgid < 0) {
    yield* ignoreSignal(SIG.INT);
    yield* ignoreSignal(SIG.QUIT);
    if (plumbing.stdin === undefined) yield* nullInput();
  }
  yield* connect(plumbing);
  return yield* finish(child, part(child));
}

function* nullInput(): Call<void> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, '/dev/null', O_RDONLY), -1);
  if (fd <= 0) return;
  yield* sys('dup3', fd, 0, 0);
  yield* sys('close', fd);
}

function* connect(plumbing: Plumbing): Call<void> {
  const { stdin, stdout, both, close } = plumbing;
  if (stdin !== undefined && stdin !== 0) {
    yield* sys('dup3', stdin, 0, 0);
    yield* sys('close', stdin);
  }
  if (stdout !== undefined && stdout !== 1) {
    yield* sys('dup3', stdout, 1, 0);
    yield* sys('close', stdout);
  }
  if (both) yield* sys('dup3', 1, 2, 0);
  for (const fd of close) yield* attempt(sys('close', fd), 0);
}

/** Runs a process's program to its end: the status it exits with, its EXIT trap run. */
export function* finish(sh: Shell, body: Call<number>): Call<number> {
  let status = yield* outcome(sh, body);
  const action = sh.traps.get('EXIT');
  if (action) {
    sh.traps.delete('EXIT');
    sh.status = status;
    status = yield* outcome(sh, atExit(sh, action, status));
  }
  return status & 255;
}

function* atExit(sh: Shell, action: string, status: number): Call<number> {
  yield* runTrap(sh, action);
  return status;
}

/** What a body comes to, whatever it throws. */
function* outcome(sh: Shell, body: Call<number>): Call<number> {
  try {
    return yield* body;
  } catch (error) {
    if (error instanceof Jump) {
      if (error.kind === 'interrupt') {
        yield* defaultSignal(SIG.INT);
        yield* attempt(sys('kill', sh.pid, SIG.INT), 0);
        return 130;
      }
      return error.kind === 'break' || error.kind === 'continue' ? sh.status : error.count;
    }
    return yield* explain(sh, error);
  }
}

/** Prints what went wrong; the status it means. An error that is none of the shell's is thrown on. */
export function* explain(sh: Shell, error: unknown): Call<number> {
  if (error instanceof Bad) {
    const said = reword(sh.flavour, error.message);
    if (said.message !== '') yield* attempt(complain(`${error.whole ? `${nameOf(sh)}: ` : prefix(sh)}${said.message}\n`), undefined);
    if (sh.flavour === 'bash') return error.status;
    return sh.flavour === 'ash' && !error.fatal ? error.status : 2;
  }
  if (error instanceof SysError) {
    if (error.errno === 'EPIPE') return 1;
    yield* attempt(complain(`${prefix(sh)}${strerror(error)}\n`), undefined);
    return 1;
  }
  if (error instanceof RangeError) {
    yield* attempt(complain(`${prefix(sh)}stack overflow: too deeply nested\n`), undefined);
    return 2;
  }
  throw error;
}
