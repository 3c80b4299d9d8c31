/** Builtins on processes: jobs, fg, bg, wait, kill, disown, umask, ulimit, times, suspend. Source: bash(1) JOB CONTROL. */
import { SIG, SysError, shellStatus } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, strerror } from '../../lib/io.ts';
import { jobLine, findJob, isDone, isStopped, jobStatus, mourn, numbered, poll, setForeground, touchJob, waitAny, waitForeground } from '../jobs.ts';
import { parseSignal, settle, signalName } from '../signals.ts';
import type { Job, Shell } from '../state.ts';
import { set } from '../variables.ts';
import { type Builtin, fault, options, output } from './builtin.ts';
import { listSignals } from './flow.ts';

const jobs: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'lpnrs', 'jobs [-lnprs] [jobspec ...]');
  if (!parsed) return 2;
  yield* poll(sh);
  let out = '';
  let status = 0;
  const wanted: Job[] = [];
  for (const spec of parsed.rest) {
    const job = findJob(sh, spec);
    if (job) wanted.push(job);
    else status = yield* fault(sh, `jobs: ${spec}: no such job`);
  }
  for (const job of parsed.rest.length > 0 ? wanted : numbered(sh)) {
    if (parsed.on.has('r') && (isDone(job) || isStopped(job))) continue;
    if (parsed.on.has('s') && !isStopped(job)) continue;
    out += parsed.on.has('p') ? `${job.pgid || job.processes[0]!.pid}\n` : jobLine(sh, job, parsed.on.has('l'));
    job.told = true;
  }
  sh.jobs = sh.jobs.filter((j) => !(j.id > 0 && isDone(j) && j.told));
  return (yield* output(sh, 'jobs', out)) || status;
};

function* goOn(sh: Shell, job: Job): Call<void> {
  for (const p of job.processes) p.stopped = false;
  if (job.grouped) yield* attempt(sys('kill', -job.pgid, SIG.CONT), 0);
  else for (const p of job.processes) yield* attempt(sys('kill', p.pid, SIG.CONT), 0);
}

const foreground: Builtin = function* (sh, words) {
  if (!sh.options.has('monitor')) return yield* fault(sh, 'fg: no job control', sh.flavour === 'bash' ? 1 : 2);
  yield* poll(sh);
  const job = findJob(sh, words[1] ?? '%+');
  if (!job) return yield* fault(sh, `fg: ${words[1] ?? 'current'}: no such job`);
  yield* complain(`${job.text}\n`);
  job.foreground = true;
  yield* setForeground(sh, job.pgid);
  yield* goOn(sh, job);
  return yield* waitForeground(sh, job);
};

const inBackground: Builtin = function* (sh, words) {
  if (!sh.options.has('monitor')) return yield* fault(sh, 'bg: no job control');
  yield* poll(sh);
  let status = 0;
  for (const spec of words.length > 1 ? words.slice(1) : ['%+']) {
    const job = findJob(sh, spec);
    if (!job) {
      status = yield* fault(sh, `bg: ${words[1] === undefined ? 'current' : spec}: no such job`);
      continue;
    }
    if (!isStopped(job)) {
      status = yield* fault(sh, `bg: job ${job.id} already in background`, 0);
      continue;
    }
    job.foreground = false;
    job.told = true;
    touchJob(sh, job);
    yield* goOn(sh, job);
    yield* complain(`[${job.id}]+ ${job.text} &\n`);
  }
  return status;
};

const wait: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'fnp:', 'wait [-fn] [-p var] [id ...]');
  if (!parsed) return 2;
  const { on, rest } = parsed;
  if (on.has('n')) return yield* waitNext(sh, on.get('p'));
  if (rest.length === 0) {
    while (sh.jobs.some((j) => !j.foreground && !isDone(j) && !j.disowned && !j.foreign)) if (!(yield* waitAny(sh)) && (yield* interrupted(sh))) return 130;
    yield* mourn(sh);
    sh.jobs = sh.jobs.filter((j) => j.foreground || j.disowned || !isDone(j) || sh.interactive);
    return 0;
  }
  let status = 0;
  for (const spec of rest) status = yield* waitOne(sh, spec);
  yield* mourn(sh);
  // What a script has waited for is no job any more, though it can be asked for its status again.
  if (!sh.interactive) for (const job of sh.jobs) if (isDone(job) && job.processes.some((p) => rest.includes(String(p.pid)))) job.id = 0;
  return status;
};

/** Traps run; true when wait is to give up. */
function* interrupted(sh: Shell): Call<boolean> {
  if (sh.pending.length === 0) return false;
  yield* settle(sh);
  return true;
}

function* waitOne(sh: Shell, spec: string): Call<number> {
  if (!/^(%.*|\d+)$/.test(spec)) return yield* fault(sh, `wait: \`${spec}': not a pid or valid job spec`);
  const pid = Number(spec);
  const job = spec.startsWith('%') ? findJob(sh, spec) : (sh.jobs.find((j) => j.processes.some((p) => p.pid === pid)) ?? null);
  if ((!job || job.foreign) && sh.flavour !== 'bash') return 127;
  if (!job || job.foreign) return yield* fault(sh, spec.startsWith('%') ? `wait: ${spec}: no such job` : `wait: pid ${spec} is not a child of this shell`, 127);
  const process = job.processes.find((p) => p.pid === pid) ?? job.processes.at(-1)!;
  while (process.status === null) {
    const signal = sh.pending[0];
    if (!(yield* waitAny(sh)) && process.status === null) {
      const came = sh.pending[0] ?? signal ?? SIG.INT;
      if (yield* interrupted(sh)) return 128 + came;
    }
  }
  return shellStatus(process.status);
}

function* waitNext(sh: Shell, into: string | undefined): Call<number> {
  for (;;) {
    const done = sh.jobs.find((j) => !j.foreground && isDone(j) && !j.disowned && !j.foreign && j.id > 0);
    if (done) {
      sh.jobs = sh.jobs.filter((j) => j !== done);
      if (into) set(sh, into, String(done.processes.at(-1)!.pid));
      return jobStatus(sh, done);
    }
    if (!sh.jobs.some((j) => !j.foreground && !isDone(j) && !j.foreign)) return 127;
    if (!(yield* waitAny(sh)) && (yield* interrupted(sh))) return 130;
  }
}

const kill: Builtin = function* (sh, words) {
  let args = words.slice(1);
  if (args[0] === '-l' || args[0] === '-L') return yield* listed(sh, args.slice(1));
  let signal: number | string | null = SIG.TERM;
  const given = args[0];
  if (given === '-s' || given === '-n') {
    signal = parseSignal(args[1] ?? '');
    if (signal === null || args[1] === undefined) return yield* fault(sh, `kill: ${args[1] ?? given}: invalid signal specification`);
    args = args.slice(2);
  } else if (given !== undefined && /^-./.test(given) && given !== '--') {
    signal = parseSignal(given.slice(1));
    if (signal === null) return yield* fault(sh, `kill: ${given.slice(1)}: invalid signal specification`);
    args = args.slice(1);
  }
  if (args[0] === '--') args = args.slice(1);
  if (args.length === 0) {
    yield* complain('kill: usage: kill [-s sigspec | -n signum | -sigspec] pid | jobspec ... or kill -l [sigspec]\n');
    return 2;
  }
  const number = signal === 'EXIT' ? 0 : Number(signal);
  let failures = 0;
  for (const spec of args) failures += (yield* killOne(sh, spec, number)) ? 0 : 1;
  return failures > 0 ? 1 : 0;
};

function* killOne(sh: Shell, spec: string, signal: number): Call<boolean> {
  let pid = Number(spec);
  const job = spec.startsWith('%') ? findJob(sh, spec) : null;
  if (spec.startsWith('%')) {
    if (!job) {
      yield* fault(sh, `kill: ${spec}: no such job`);
      return false;
    }
    pid = job.grouped ? -job.pgid : job.processes[0]!.pid;
  } else if (!/^-?\d+$/.test(spec)) {
    yield* fault(sh, `kill: ${spec}: arguments must be process or job IDs`);
    return false;
  }
  try {
    yield* sys('kill', pid, signal);
    if (job && isStopped(job) && (signal === SIG.TERM || signal === SIG.HUP)) yield* attempt(sys('kill', pid, SIG.CONT), 0);
    return true;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* fault(sh, `kill: (${spec}) - ${strerror(error)}`);
    return false;
  }
}

function* listed(sh: Shell, args: readonly string[]): Call<number> {
  if (args.length === 0) return yield* output(sh, 'kill', listSignals());
  let out = '';
  for (const arg of args) {
    const signal = parseSignal(/^\d+$/.test(arg) && Number(arg) > 128 ? String(Number(arg) - 128) : arg);
    if (typeof signal !== 'number') return yield* fault(sh, `kill: ${arg}: invalid signal specification`);
    out += /^\d+$/.test(arg) ? `${signalName(signal)}\n` : `${signal}\n`;
  }
  return yield* output(sh, 'kill', out);
}

const disown: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'har', 'disown [-h] [-ar] [jobspec ... | pid ...]');
  if (!parsed) return 2;
  if (parsed.on.has('a')) {
    sh.jobs = sh.jobs.filter((j) => j.id === 0);
    return 0;
  }
  for (const spec of parsed.rest.length > 0 ? parsed.rest : ['%+']) {
    const job = findJob(sh, spec) ?? sh.jobs.find((j) => j.processes.some((p) => String(p.pid) === spec));
    if (!job) return yield* fault(sh, `disown: ${parsed.rest.length > 0 ? spec : 'current'}: no such job`);
    if (parsed.on.has('h')) job.disowned = true;
    else sh.jobs = sh.jobs.filter((j) => j !== job);
  }
  return 0;
};

const umask: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'pS', 'umask [-p] [-S] [mode]');
  if (!parsed) return 2;
  const [mode] = parsed.rest;
  if (mode === undefined) {
    const now = yield* sys('umask', 0);
    yield* sys('umask', now);
    const shown = parsed.on.has('S') ? symbolic(now) : now.toString(8).padStart(4, '0');
    return yield* output(sh, 'umask', `${parsed.on.has('p') ? `umask ${parsed.on.has('S') ? '-S ' : ''}` : ''}${shown}\n`);
  }
  if (/^[0-7]{1,4}$/.test(mode)) {
    yield* sys('umask', Number.parseInt(mode, 8));
    return 0;
  }
  if (/^\d+$/.test(mode)) return yield* fault(sh, `umask: ${mode}: octal number out of range`);
  const now = yield* sys('umask', 0);
  const changed = symbolicChange(0o777 & ~now, mode);
  yield* sys('umask', changed === null ? now : 0o777 & ~changed);
  return changed === null ? yield* fault(sh, `umask: \`${mode}': invalid symbolic mode operator`) : 0;
};

function symbolic(mask: number): string {
  const bits = (shift: number): string => ['r', 'w', 'x'].filter((_, i) => !((mask >> shift) & (4 >> i))).join('');
  return `u=${bits(6)},g=${bits(3)},o=${bits(0)}`;
}

/** u=rwx,g-w as a change of permissions; null when it is malformed. */
function symbolicChange(before: number, mode: string): number | null {
  let bits = before;
  for (const clause of mode.split(',')) {
    const match = /^([ugoa]*)([-+=])([rwx]*)$/.exec(clause);
    if (!match) return null;
    const value = [...match[3]!].reduce((n, c) => n | { r: 4, w: 2, x: 1 }[c as 'r'], 0);
    for (const who of match[1] === '' || match[1]!.includes('a') ? 'ugo' : match[1]!) {
      const shift = { u: 6, g: 3, o: 0 }[who as 'u'];
      if (match[2] === '+') bits |= value << shift;
      else if (match[2] === '-') bits &= ~(value << shift);
      else bits = (bits & ~(7 << shift)) | (value << shift);
    }
  }
  return bits;
}

/** What is written into a pipe at once: 4096 bytes, in blocks of 512. */
const PIPE_BLOCKS = 8;

/** Letter, name in the kernel, what ulimit -a calls it, its unit. */
const LIMITS: readonly (readonly [string, string, string, number])[] = [
  ['R', 'rttime', 'real-time non-blocking time  (microseconds, -R)', 1],
  ['c', 'core', 'core file size              (blocks, -c)', 512], ['d', 'data', 'data seg size               (kbytes, -d)', 1024],
  ['e', 'nice', 'scheduling priority                 (-e)', 1], ['f', 'fsize', 'file size                   (blocks, -f)', 512], ['i', 'sigpending', 'pending signals                     (-i)', 1], ['l', 'memlock', 'max locked memory           (kbytes, -l)', 1024],
  ['m', 'rss', 'max memory size             (kbytes, -m)', 1024], ['n', 'nofile', 'open files                          (-n)', 1], ['p', '', 'pipe size                (512 bytes, -p)', 1],
  ['q', 'msgqueue', 'POSIX message queues         (bytes, -q)', 1], ['r', 'rtprio', 'real-time priority                  (-r)', 1], ['s', 'stack', 'stack size                  (kbytes, -s)', 1024],
  ['t', 'cpu', 'cpu time                   (seconds, -t)', 1], ['u', 'nproc', 'max user processes                  (-u)', 1],
  ['v', 'as', 'virtual memory              (kbytes, -v)', 1024], ['x', 'locks', 'file locks                          (-x)', 1],
];

const ulimit: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'SHacdefilmnpqrstuvxR', 'ulimit [-SHabcdefiklmnpqrstuvxPRT] [limit]');
  if (!parsed) return 2;
  const { on, rest } = parsed;
  const show = (value: number, unit: number): string => (!Number.isFinite(value) || value >= 2 ** 60 ? 'unlimited' : String(Math.floor(value / unit)));
  // bash counts blocks of 1024 bytes, dash of 512
  const sizeOf = (unit: number): number => (unit === 512 && sh.flavour === 'bash' ? 1024 : unit);
  if (on.has('a')) {
    let out = '';
    for (const [, name, label, unit] of LIMITS) {
      const limit = name === '' ? null : yield* attempt(sys('prlimit64', 0, name.toUpperCase(), null), null);
      if (name === '') out += `${label} ${PIPE_BLOCKS}\n`;
      else if (limit) out += `${label} ${show(on.has('H') ? limit.max : limit.cur, sizeOf(unit))}\n`;
    }
    return yield* output(sh, 'ulimit', out);
  }
  const [letter, name, , given] = LIMITS.find(([l]) => on.has(l)) ?? LIMITS.find(([l]) => l === 'f')!;
  const unit = sizeOf(given);
  if (name === '') return rest[0] === undefined ? yield* output(sh, 'ulimit', `${PIPE_BLOCKS}\n`) : yield* fault(sh, 'ulimit: pipe size: cannot modify limit: Invalid argument');
  const limit = yield* attempt(sys('prlimit64', 0, name.toUpperCase(), null), null);
  if (!limit) return yield* fault(sh, `ulimit: not modelled: -${letter}`);
  if (rest[0] === undefined) return yield* output(sh, 'ulimit', `${show(on.has('H') ? limit.max : limit.cur, unit)}\n`);
  const value = rest[0] === 'unlimited' ? Number.POSITIVE_INFINITY : rest[0] === 'hard' ? limit.max : rest[0] === 'soft' ? limit.cur : /^\d+$/.test(rest[0]) ? Number(rest[0]) * unit : Number.NaN;
  if (Number.isNaN(value)) return yield* fault(sh, `ulimit: ${rest[0]}: invalid number`);
  try {
    yield* sys('prlimit64', 0, name.toUpperCase(), { cur: on.has('H') && !on.has('S') ? limit.cur : value, max: on.has('S') && !on.has('H') ? limit.max : value });
    return 0;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* fault(sh, `ulimit: ${name === 'nofile' ? 'open files' : name}: cannot modify limit: ${strerror(error)}`);
  }
};

const times: Builtin = function* (sh) {
  const show = (ns: number): string => `${Math.floor(ns / 60e9)}m${((ns % 60e9) / 1e9).toFixed(3)}s`;
  const own = yield* sys('getrusage', 0);
  const children = yield* sys('getrusage', -1);
  return yield* output(sh, 'times', `${show(own.utime)} ${show(own.stime)}\n${show(children.utime)} ${show(children.stime)}\n`);
};

const suspend: Builtin = function* (sh, words) {
  if (!sh.options.has('monitor')) return yield* fault(sh, 'suspend: cannot suspend: no job control');
  if (sh.login && words[1] !== '-f') return yield* fault(sh, 'suspend: cannot suspend a login shell');
  yield* sys('kill', sh.pid, SIG.STOP);
  return 0;
};

export const processes: Readonly<Record<string, Builtin>> = { jobs, fg: foreground, bg: inBackground, wait, kill, disown, umask, ulimit, times, suspend };
