/**
 * Jobs: child processes by pipeline, what is known of them, which is the current one, how they are told of, and waiting.
 * Every answer of wait4 goes through `note`. Source: bash(1) JOB CONTROL.
 */
import { exited, SIG, shellStatus, stopSignal, SysError, termSignal, TIOCSPGRP, WNOHANG, WUNTRACED } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain } from '../lib/io.ts';
import { signalText, settle } from './signals.ts';
import { type Job, lineOf, type Shell } from './state.ts';

export function addJob(sh: Shell, text: string, foreground: boolean): Job {
  const job: Job = { id: 0, pgid: 0, processes: [], text: text.trim(), foreground, told: foreground, disowned: false, grouped: sh.options.has('monitor'), foreign: false };
  sh.jobs.push(job);
  return job;
}

/** Gives a number to a job that people will speak of. */
export function numberJob(sh: Shell, job: Job): void {
  if (job.id > 0) return;
  job.id = 1 + Math.max(0, ...sh.jobs.map((j) => j.id));
}

export function isDone(job: Job): boolean {
  return job.processes.every((p) => p.status !== null);
}

export function isStopped(job: Job): boolean {
  return !isDone(job) && job.processes.every((p) => p.status !== null || p.stopped);
}

export function note(sh: Shell, pid: number, status: number): void {
  for (const job of sh.jobs) {
    const process = job.processes.find((p) => p.pid === pid && p.status === null);
    if (!process) continue;
    if (stopSignal(status) !== null) {
      process.stopped = true;
      if (isStopped(job)) job.told = false;
    } else if (status === 0xffff) process.stopped = false;
    else {
      process.status = status;
      if (isDone(job) && !job.foreground) job.told = false;
    }
    return;
  }
}

/** Asks, without waiting, what became of the children. */
export function* poll(sh: Shell): Call<void> {
  for (;;) {
    const result = yield* attempt(sys('wait4', -1, WNOHANG | (sh.options.has('monitor') ? WUNTRACED : 0)), null);
    if (!result || result.pid === 0) return;
    note(sh, result.pid, result.status);
  }
}

/** Sleeps until some child changes. False when there is none, or a signal came instead. */
export function* waitAny(sh: Shell): Call<boolean> {
  try {
    const result = yield* sys('wait4', -1, sh.options.has('monitor') ? WUNTRACED : 0);
    note(sh, result.pid, result.status);
    return true;
  } catch (error) {
    if (error instanceof SysError && error.errno === 'EINTR') return sh.pending.length === 0;
    if (!(error instanceof SysError) || error.errno !== 'ECHILD') throw error;
    for (const job of sh.jobs) if (!job.foreign) for (const p of job.processes) p.status ??= 127 << 8;
    return false;
  }
}

export function* setForeground(sh: Shell, pgid: number): Call<void> {
  if (sh.tty >= 0) yield* attempt(sys('ioctl', sh.tty, TIOCSPGRP, pgid), 0);
}

/** Waits for a job in the foreground; its status as $? shows it. */
export function* waitForeground(sh: Shell, job: Job): Call<number> {
  while (!isDone(job) && !isStopped(job)) yield* waitAny(sh);
  if (job.grouped) yield* setForeground(sh, sh.pgid);
  const status = jobStatus(sh, job);
  if (isStopped(job)) {
    job.foreground = false;
    numberJob(sh, job);
    yield* complain(`\n${jobLine(sh, job)}`);
    job.told = true;
    touchJob(sh, job);
    return status;
  }
  sh.jobs = sh.jobs.filter((j) => j !== job);
  yield* obituary(sh, job);
  yield* mourn(sh);
  return status;
}

const UNTOLD = new Set<number>([SIG.INT, SIG.PIPE, SIG.TERM]);

/** A script is told of its jobs in the background that a signal ended, once a command that it waited for is over. */
export function* mourn(sh: Shell): Call<void> {
  if (sh.interactive || sh.flavour !== 'bash' || !sh.jobs.some((j) => !j.foreground && !j.foreign)) return;
  yield* poll(sh);
  for (const job of sh.jobs) {
    if (job.foreground || job.foreign || job.told || job.id === 0 || !isDone(job)) continue;
    job.told = true;
    const signal = termSignal(job.processes.at(-1)!.status!);
    if (signal !== null && !UNTOLD.has(signal)) yield* obituary(sh, job);
  }
}

/** Statuses of a pipeline go to PIPESTATUS; its own is the last one's, or with pipefail the last that failed. */
export function jobStatus(sh: Shell, job: Job): number {
  const all = job.processes.map((p) => (p.status === null ? 128 + SIG.TSTP : shellStatus(p.status)));
  sh.pipeStatus = all;
  if (sh.options.has('pipefail')) return all.findLast((s) => s !== 0) ?? 0;
  return all.at(-1) ?? 0;
}

/** What is said of a process that a signal ended. */
function* obituary(sh: Shell, job: Job): Call<void> {
  for (const [i, p] of job.processes.entries()) {
    const signal = p.status === null ? null : termSignal(p.status);
    if (signal === null || signal === SIG.PIPE) continue;
    if (signal === SIG.INT) {
      if (sh.interactive && job.grouped && i === job.processes.length - 1) {
        if (sh.traps.has('INT')) yield* complain('\n');
        sh.pending.push(SIG.INT);
        yield* settle(sh);
      }
      continue;
    }
    if (i < job.processes.length - 1) continue;
    const what = (signalText(signal) ?? `Unknown signal ${signal}`) + (p.status! & 0x80 ? ' (core dumped)' : '');
    if (sh.interactive) yield* complain(`${what}\n`);
    else if (sh.flavour === 'bash') yield* complain(`${sh.source.name || sh.arg0}: line ${lineOf(sh)}: ${String(p.pid).padStart(5)} ${what.padEnd(24)}${job.text}\n`);
    else yield* complain(`${what}\n`);
  }
}

/** Moves a job to the end: it is the most recently touched. */
export function touchJob(sh: Shell, job: Job): void {
  sh.jobs = [...sh.jobs.filter((j) => j !== job), job];
}

/** The jobs that have a number, in its order. */
export function numbered(sh: Shell): Job[] {
  return sh.jobs.filter((j) => j.id > 0).sort((a, b) => a.id - b.id);
}

/** Current and previous: stopped jobs come before running ones, the last touched first. */
function ranked(sh: Shell): Job[] {
  const all = sh.jobs.filter((j) => j.id > 0).reverse();
  return [...all.filter(isStopped), ...all.filter((j) => !isStopped(j))];
}

export function mark(sh: Shell, job: Job): string {
  const [current, previous] = ranked(sh);
  return job === current ? '+' : job === previous ? '-' : ' ';
}

export function stateOf(job: Job): string {
  if (isStopped(job)) return 'Stopped';
  if (!isDone(job)) return 'Running';
  const status = job.processes.at(-1)!.status!;
  const signal = termSignal(status);
  if (signal !== null) return (signalText(signal) ?? `Signal ${signal}`) + (status & 0x80 ? ' (core dumped)' : '');
  const code = exited(status)!;
  return code === 0 ? 'Done' : `Exit ${code}`;
}

/** "[1]+  Running                 sleep 100 &". */
export function jobLine(sh: Shell, job: Job, pids = false): string {
  const state = stateOf(job);
  const running = !isDone(job) && !isStopped(job);
  const pid = pids ? `${String(job.processes[0]?.pid ?? 0)} ` : ' ';
  return `[${job.id}]${mark(sh, job)} ${pid}${state.padEnd(24)}${job.text}${running ? ' &' : ''}\n`;
}

/** Before a prompt: what ended or stopped since the last one. */
export function* report(sh: Shell): Call<void> {
  yield* poll(sh);
  for (const job of numbered(sh)) {
    if (!job.told && (isDone(job) || isStopped(job))) {
      if (sh.interactive) yield* complain(jobLine(sh, job));
      job.told = true;
    }
  }
  sh.jobs = sh.jobs.filter((j) => !(isDone(j) && j.told));
}

/** A job by %1, %+, %%, %-, %name, %?text; null when there is none, 'ambiguous' when several. */
export function findJob(sh: Shell, spec: string): Job | null {
  const all = sh.jobs.filter((j) => j.id > 0);
  const rank = ranked(sh);
  const text = spec.replace(/^%/, '');
  if (text === '' || text === '+' || text === '%') return rank[0] ?? null;
  if (text === '-') return rank[1] ?? rank[0] ?? null;
  if (/^\d+$/.test(text)) return all.find((j) => j.id === Number(text)) ?? null;
  if (text.startsWith('?')) return all.find((j) => j.text.includes(text.slice(1))) ?? null;
  return all.find((j) => j.text.startsWith(text)) ?? null;
}
