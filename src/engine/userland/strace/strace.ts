/**
 * strace(1), 6.13: starts a program, or attaches to processes, by ptrace(2), and prints their system calls as they make them.
 * Source: strace(1), strace.c. Left out: -k and -i (no stacks), --kvm, --daemonize, --seccomp-bpf, -I, decoding of netlink.
 */
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY, SIG, SysError, termSignal } from '../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../kernel/sys.ts';
import { BadOption, lastValue, type Options, parseOptions } from '../lib/args.ts';
import { attempt, fork, list, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { type Filter, qualify } from './filter.ts';
import { detachAll, onNews } from './loop.ts';
import { flush, newProc, say, type Session, type Settings } from './session.ts';
import { isSort, summaryText } from './summary.ts';

const VERSION = `strace -- version 6.13
Copyright (c) 1991-2025 The strace developers <https://strace.io>.
This is free software; see the source for copying conditions.  There is NO
warranty; not even for MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.

Optional features enabled: stack-trace=libunwind stack-demangle m32-mpers mx32-mpers secontext
`;

const USAGE = `Usage: strace [-ACdffhikkqqrtttTUvVwxxyyzZ] [-I N] [-b execve] [-e EXPR]...
              [-a COLUMN] [-o FILE] [-s STRSIZE] [-X FORMAT] [-O OVERHEAD]
              [-S SORTBY] [-P PATH]... [-p PID]... [-U COLUMNS] [--seccomp-bpf]
              { -p PID | [-DDD] [-E VAR=VAL]... [-u USERNAME] PROG [ARGS] }
   or: strace -c[dfwzZ] [-I N] [-b execve] [-e EXPR]... [-O OVERHEAD]
              [-S SORTBY] [-P PATH]... [-p PID]... [-U COLUMNS] [--seccomp-bpf]
              { -p PID | [-DDD] [-E VAR=VAL]... [-u USERNAME] PROG [ARGS] }
`;

const SPEC =
  'A/output-append-mode C/summary D/daemonize? E/env= I/interruptible= O/summary-syscall-overhead= P/trace-path= S/summary-sort-by= T/syscall-times? U/summary-columns= V/version X/const-print-style= Z/failed-only ' +
  'a/columns= b/detach-on= c/summary-only d/debug e= f F follow-forks h/help i/instruction-pointer k/stack-trace? n/syscall-number o/output= p/attach= q r s/string-limit= t u/user= v/no-abbrev w/summary-wall-clock x y z/successful-only ' +
  'trace= signal= status= inject= fault= quiet? silent? decode-fds? absolute-timestamps? timestamps? relative-timestamps? strings-in-hex? output-separately seccomp-bpf';

const ABSENT: readonly (readonly [string, string])[] = [
  ['stack-trace', '-k'], ['instruction-pointer', '-i'], ['syscall-number', '-n'], ['daemonize', '-D'], ['user', '-u'], ['detach-on', '-b'], ['summary-columns', '-U'], ['const-print-style', '-X'], ['seccomp-bpf', '--seccomp-bpf'], ['interruptible', '-I'],
];

function wholeNumber(text: string, option: string): number {
  if (!/^\d+$/.test(text)) throw new Failed(`invalid ${option} argument: '${text}'\nTry 'strace -h' for more information.`);
  return Number(text);
}

function filterOf(o: Options): Filter {
  const filter: Filter = { trace: null, status: null, signals: null, injections: [], quiet: new Set() };
  for (const one of o.values.get('e') ?? []) qualify(filter, one);
  for (const key of ['trace', 'signal', 'status', 'inject', 'fault'] as const) for (const one of o.values.get(key) ?? []) qualify(filter, `${key}=${one}`);
  for (const key of ['quiet', 'silent']) if (o.on.has(key) || o.values.has(key)) qualify(filter, `quiet=${lastValue(o, key) ?? 'attach'}`);
  const quiet = o.on.get('q') ?? 0;
  if (quiet > 0) for (const word of ['attach', 'personality']) filter.quiet.add(word);
  if (quiet > 1) for (const word of ['exit', 'superseded', 'thread-execve']) filter.quiet.add(word);
  if (o.on.has('successful-only')) filter.status = new Set(['successful']);
  if (o.on.has('failed-only')) filter.status = new Set(['failed']);
  return filter;
}

const STAMPS: Readonly<Record<string, number>> = { s: 1, time: 1, 'time,s': 1, us: 2, 'time,us': 2, unix: 3, 'unix,us': 3 };

function settingsOf(o: Options): Settings {
  for (const [name, short] of ABSENT) if (o.on.has(name)) throw new Failed(`not modelled: ${short}`);
  const output = lastValue(o, 'output') ?? null;
  const forks = (o.on.get('f') ?? 0) + (o.on.get('F') ?? 0) + (o.on.get('follow-forks') ?? 0);
  const sort = lastValue(o, 'summary-sort-by') ?? 'time';
  if (!isSort(sort)) throw new Failed(`invalid sortby: '${sort}'\nTry 'strace -h' for more information.`);
  const format = lastValue(o, 'absolute-timestamps') ?? lastValue(o, 'timestamps');
  const separate = forks > 1 || o.on.has('output-separately');
  const only = o.values.get('trace-path') ?? null;
  return {
    follow: forks > 0, separate: separate && output !== null, output, append: o.on.has('output-append-mode'), filter: filterOf(o), stamps: format !== undefined ? (STAMPS[format] ?? 1) : o.on.get('t') ?? (o.on.has('absolute-timestamps') || o.on.has('timestamps') ? 1 : 0),
    relative: o.on.has('r') || o.on.has('relative-timestamps'), spent: o.on.has('syscall-times'), paths: o.on.has('y') || o.on.has('decode-fds'), limit: wholeNumber(lastValue(o, 'string-limit') ?? '32', '-s'), verbose: o.on.has('no-abbrev'),
    hex: o.on.get('x') ?? (o.on.has('strings-in-hex') ? 2 : 0), column: wholeNumber(lastValue(o, 'columns') ?? '40', '-a'), summary: o.on.has('summary-only') ? 1 : o.on.has('summary') ? 2 : 0, wall: o.on.has('summary-wall-clock'), sort, only,
  };
}

/** The file that a command names. Throws Failed. */
function* find(name: string, env: Readonly<Record<string, string>>): Call<string> {
  if (name.includes('/')) {
    const there = yield* statOf(name);
    if (!there) throw new Failed(`Can't stat '${name}': No such file or directory`);
    return name;
  }
  for (const dir of (env.PATH ?? '').split(':')) {
    const path = `${dir === '' ? '.' : dir}/${name}`;
    const there = yield* statOf(path);
    if (there && (there.mode & 0o170000) === 0o100000 && there.mode & 0o111) return path;
  }
  throw new Failed(`Can't stat '${name}': No such file or directory`);
}

/** Forks the program; it waits until it is traced. */
function* start(s: Session, path: string, argv: readonly string[], env: Readonly<Record<string, string>>): Call<void> {
  const [wait, go] = yield* sys('pipe2', O_CLOEXEC);
  const pid = yield* fork(function* (): Body {
    yield* sys('close', go);
    yield* sys('read', wait, 1);
    yield* sys('close', wait);
    if (s.shared > 2) yield* attempt(sys('close', s.shared), 0);
    for (const signal of [SIG.INT, SIG.TERM, SIG.HUP, SIG.QUIT, SIG.PIPE]) yield* sys('rt_sigaction', signal, { handler: 'default' });
    try {
      yield* sys('execve', path, argv, env);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`strace: exec: ${strerror(error)}\n`);
    }
    return 1;
  });
  yield* sys('close', wait);
  s.command = pid;
  yield* newProc(s, pid, true, false);
  try {
    yield* seize(s, pid);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* attempt(sys('kill', pid, SIG.KILL), 0);
    throw new Failed(`attach: ptrace(PTRACE_SEIZE, ${pid}): ${strerror(error)}`);
  }
  yield* sys('ptrace', 'PTRACE_INTERRUPT', pid);
  yield* sys('close', go);
}

function* seize(s: Session, pid: number): Call<void> {
  yield* sys('ptrace', 'PTRACE_SEIZE', pid, { follow: s.set.follow });
}

/** Attaches to a process, with -f to its threads too; says so. */
function* attach(s: Session, pid: number): Call<boolean> {
  const threads = s.set.follow ? (yield* list(`/proc/${pid}/task`)).map(({ name }) => Number(name)) : [];
  let held = 0;
  for (const tid of [pid, ...threads.filter((one) => one !== pid)]) {
    try {
      yield* seize(s, tid);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (tid === pid) {
        say(s, `strace: attach: ptrace(PTRACE_SEIZE, ${pid}): ${strerror(error)}\n`);
        yield* flush(s);
        return false;
      }
      continue;
    }
    yield* newProc(s, tid, false, true);
    yield* sys('ptrace', 'PTRACE_INTERRUPT', tid);
    held++;
  }
  if (!s.set.filter.quiet.has('attach')) say(s, `strace: Process ${pid} attached${held > 1 ? ` with ${held} threads` : ''}\n`);
  yield* flush(s);
  return true;
}

function pidsOf(o: Options): number[] {
  const pids: number[] = [];
  for (const text of o.values.get('attach') ?? []) {
    for (const word of text.split(/[\s,]+/).filter((one) => one !== '')) {
      if (!/^\d+$/.test(word) || Number(word) === 0) throw new Failed(`Invalid process id: '${word}'`);
      pids.push(Number(word));
    }
  }
  return pids;
}

/** Interrupts end the tracing of what was attached to; a program that was started has them from its terminal itself. */
function* catchInterrupts(s: Session): Call<void> {
  for (const signal of [SIG.HUP, SIG.INT, SIG.QUIT, SIG.PIPE, SIG.TERM]) {
    yield* sys('rt_sigaction', signal, {
      handler: (number) =>
        (function* (): Body {
          s.interrupted = number;
        })(),
    });
  }
}

function* trace(s: Session): Call<void> {
  while (s.procs.size > 0 && s.interrupted === 0) {
    try {
      const { pid, status, rusage } = yield* sys('wait4', -1, 0x40000000);
      yield* onNews(s, pid, status, rusage.stime);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno === 'ECHILD') break;
      if (error.errno !== 'EINTR') throw error;
    }
  }
  if (s.procs.size > 0) yield* detachAll(s);
}

/** A bad option, with where help is. */
function* parsed(argv: readonly string[]): Call<Options | null> {
  try {
    return parseOptions(SPEC, argv, 'in-order');
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    yield* complain(`strace: ${error.message}\nTry 'strace -h' for more information.\n`);
    return null;
  }
}

const run = command(function* (argv, env) {
  const o = yield* parsed(argv.slice(1));
  if (!o) return 1;
  if (o.on.has('version')) {
    yield* print(VERSION);
    return 0;
  }
  if (o.on.has('help')) {
    yield* print(USAGE);
    return 0;
  }
  const pids = pidsOf(o);
  if (o.words.length === 0 && pids.length === 0) {
    yield* complain("strace: must have PROG [ARGS] or -p PID\nTry 'strace -h' for more information.\n");
    return 1;
  }
  const set = settingsOf(o);
  const s: Session = { set, procs: new Map(), current: null, columns: 0, buffered: new Map(), counts: new Map(), times: new Map(), lastStamp: 0, command: 0, status: 0, interrupted: 0, shared: 2 };
  if (set.output !== null && !set.separate) {
    if (/^[|!]/.test(set.output)) throw new Failed('not modelled: -o |COMMAND');
    try {
      s.shared = yield* sys('openat', AT_FDCWD, set.output, O_WRONLY | O_CREAT | O_CLOEXEC | (set.append ? O_APPEND : O_TRUNC), 0o666);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Failed(`Can't fopen '${set.output}': ${strerror(error)}`);
    }
  }
  yield* catchInterrupts(s);
  if (o.words.length > 0) yield* start(s, yield* find(o.words[0]!, env), o.words, environment(o, env));
  let attached = 0;
  for (const pid of pids) if (yield* attach(s, pid)) attached++;
  if (o.words.length === 0 && attached === 0) return 1;
  yield* trace(s);
  if (set.summary > 0) {
    s.buffered.set(s.shared, summaryText(s.counts, set.sort));
    yield* flush(s);
  }
  return yield* end(s);
});

function environment(o: Options, env: Readonly<Record<string, string>>): Record<string, string> {
  const out = { ...env };
  for (const one of o.values.get('env') ?? []) {
    const cut = one.indexOf('=');
    if (cut < 0) delete out[one];
    else out[one.slice(0, cut)] = one.slice(cut + 1);
  }
  return out;
}

/** Ends as the program did: by the same signal, with the same status. */
function* end(s: Session): Call<number> {
  const signal = s.interrupted || (termSignal(s.status) ?? 0);
  if (signal > 0) {
    yield* attempt(sys('rt_sigaction', signal, { handler: 'default' }), null);
    yield* sys('kill', yield* sys('getpid'), signal);
    return 128 + signal;
  }
  return (s.status >> 8) & 255;
}

export const strace: Program = (argv, env) => run(argv[0] === 'strace' ? argv : ['strace', ...argv.slice(1)], env);
