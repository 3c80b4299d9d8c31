/** taskset and chrt: where a process may run, and by what policy. Source: taskset(1), chrt(1) of util-linux 2.41. Left out: SCHED_DEADLINE, chrt -a. */
import { SysError } from '../../kernel/abi.ts';
import { type SchedPolicy, sys } from '../../kernel/sys.ts';
import { execOr } from '../coreutils/control.ts';
import { BadOption, parseOptions } from '../lib/args.ts';
import { list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print, strerror } from '../lib/io.ts';

const usage = (): never => {
  throw new BadOption('bad usage');
};

function reason(error: unknown): string {
  if (error instanceof SysError) return strerror(error);
  throw error;
}

// ---- taskset

function listText(cpus: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < cpus.length; ) {
    let j = i;
    while (cpus[j + 1] === cpus[j]! + 1) j++;
    parts.push(i === j ? `${cpus[i]}` : j === i + 1 ? `${cpus[i]},${cpus[j]}` : `${cpus[i]}-${cpus[j]}`);
    i = j + 1;
  }
  return parts.join(',');
}

const maskText = (cpus: readonly number[]): string => cpus.reduce((mask, one) => mask | (1n << BigInt(one)), 0n).toString(16);

/** "0-3,7", and "0-31:2" for every second. */
function parseList(text: string): number[] {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(\d+)(?:-(\d+)(?::(\d+))?)?$/.exec(part);
    const [from, to, step] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1]), Number(match?.[3] ?? 1)];
    if (!match || to < from || step === 0) throw new Failed(`failed to parse CPU list: ${text}`);
    for (let i = from; i <= to && i < 4096; i += step) found.add(i);
  }
  return [...found].sort((a, b) => a - b);
}

function parseMask(text: string): number[] {
  const digits = text.replace(/^0x/i, '').replaceAll(',', '');
  if (!/^[0-9a-f]+$/i.test(digits)) throw new Failed(`failed to parse CPU mask: ${text}`);
  const bits = BigInt(`0x${digits}`).toString(2);
  return [...bits].flatMap((bit, i) => (bit === '1' ? [bits.length - 1 - i] : [])).reverse();
}

function* affinityOf(pid: number): Call<readonly number[]> {
  try {
    return yield* sys('sched_getaffinity', pid);
  } catch (error) {
    throw new Failed(`failed to get pid ${pid}'s affinity: ${reason(error)}`);
  }
}

function* setAffinity(pid: number, shown: number, cpus: readonly number[]): Call<void> {
  try {
    yield* sys('sched_setaffinity', pid, cpus);
  } catch (error) {
    throw new Failed(`failed to set pid ${shown}'s affinity: ${reason(error)}`);
  }
}

export const taskset = command(function* (argv, env) {
  const o = parseOptions('a/all-tasks c/cpu-list p/pid h/help V/version', argv.slice(1), 'in-order');
  const asList = o.on.has('cpu-list');
  const parse = (text: string): number[] => (asList ? parseList(text) : parseMask(text));
  if (!o.on.has('pid')) {
    if (o.words.length < 2) usage();
    yield* setAffinity(0, yield* sys('getpid'), parse(o.words[0]!));
    return yield* execOr('taskset', o.words.slice(1), env);
  }
  if (o.words.length < 1 || o.words.length > 2) usage();
  const word = o.words.at(-1)!;
  if (!/^\d+$/.test(word)) throw new Failed(`invalid PID argument: '${word}'`);
  const pids = o.on.has('all-tasks') ? (yield* list(`/proc/${word}/task`)).map((one) => Number(one.name)).filter((one) => one > 0) : [Number(word)];
  const say = function* (pid: number, which: string): Call<void> {
    const cpus = yield* affinityOf(pid);
    yield* print(`pid ${pid || (yield* sys('getpid'))}'s ${which} affinity ${asList ? 'list' : 'mask'}: ${asList ? listText(cpus) : maskText(cpus)}\n`);
  };
  for (const pid of pids) {
    yield* say(pid, 'current');
    if (o.words.length < 2) continue;
    yield* setAffinity(pid, pid, parse(o.words[0]!));
    yield* say(pid, 'new');
  }
  return 0;
});

// ---- chrt

const LETTERS: Readonly<Record<string, SchedPolicy>> = { other: 'SCHED_OTHER', fifo: 'SCHED_FIFO', rr: 'SCHED_RR', batch: 'SCHED_BATCH', idle: 'SCHED_IDLE' };

const RANGES: readonly (readonly [policy: string, low: number, high: number])[] = [
  ['SCHED_OTHER', 0, 0], ['SCHED_FIFO', 1, 99], ['SCHED_RR', 1, 99], ['SCHED_BATCH', 0, 0], ['SCHED_IDLE', 0, 0], ['SCHED_DEADLINE', 0, 0],
];

/** ns: the slice that a fair task gets, longer on more processors. */
function* baseSlice(): Call<number> {
  const cpus = ((yield* tryRead('/proc/stat')) ?? '').match(/^cpu\d+/gm)?.length ?? 1;
  return 700_000 * (1 + Math.floor(Math.log2(Math.min(8, cpus))));
}

function* showPolicy(pid: number): Call<void> {
  let now: { policy: SchedPolicy; priority: number; resetOnFork: boolean };
  try {
    now = yield* sys('sched_getscheduler', pid);
  } catch (error) {
    throw new Failed(`failed to get pid ${pid}'s policy: ${reason(error)}`);
  }
  const shown = pid || (yield* sys('getpid'));
  yield* print(`pid ${shown}'s current scheduling policy: ${now.policy}${now.resetOnFork ? '|SCHED_RESET_ON_FORK' : ''}\npid ${shown}'s current scheduling priority: ${now.priority}\n`);
  if (now.policy === 'SCHED_OTHER' || now.policy === 'SCHED_BATCH') yield* print(`pid ${shown}'s current runtime parameter: ${yield* baseSlice()}\n`);
}

export const chrt = command(function* (argv, env) {
  const o = parseOptions('a/all-tasks b/batch d/deadline f/fifo h/help i/idle m/max o/other p/pid r/rr R/reset-on-fork v/verbose T/sched-runtime= P/sched-period= D/sched-deadline= V/version', argv.slice(1), 'in-order');
  if (o.on.has('max')) {
    for (const [policy, low, high] of RANGES) yield* print(`${policy} min/max priority\t: ${low}/${high}\n`);
    return 0;
  }
  if (o.on.has('deadline')) throw new Failed('not modelled: SCHED_DEADLINE');
  const named = Object.keys(LETTERS).find((one) => o.on.has(one));
  const policy = LETTERS[named ?? 'rr']!;
  if (o.words.length < (o.on.has('pid') ? 1 : 2)) usage();
  if (o.on.has('pid') && o.words.length === 1) {
    yield* showPolicy(pidOf(o.words[0]!));
    return 0;
  }
  const priority = o.words[0]!;
  if (!/^\d+$/.test(priority)) throw new Failed(`invalid priority argument: '${priority}'`);
  const [, low, high] = RANGES.find(([one]) => one === policy)!;
  if (Number(priority) < low || Number(priority) > high) throw new Failed(`unsupported priority value for the policy: ${priority}: see --max for valid range`);
  const pid = o.on.has('pid') ? pidOf(o.words[1]!) : 0;
  try {
    yield* sys('sched_setscheduler', pid, policy, Number(priority), o.on.has('reset-on-fork'));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`failed to set pid ${pid || (yield* sys('getpid'))}'s policy: ${strerror(error)}`);
  }
  if (o.on.has('verbose')) yield* showPolicy(pid);
  return o.on.has('pid') ? 0 : yield* execOr('chrt', o.words.slice(1), env);
});

function pidOf(word: string): number {
  if (!/^\d+$/.test(word)) throw new Failed(`invalid PID argument: '${word}'`);
  return Number(word);
}
