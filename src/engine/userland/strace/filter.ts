/** strace's qualifiers: -e trace=, status=, signal=, inject=, fault=, quiet=, and what they choose. Source: strace(1), 6.13, filter_qualify.c. */
import { ERRNO, type Errno, SIG } from '../../kernel/abi.ts';
import { Failed } from '../lib/io.ts';
import { DECODERS, nameOf } from './calls.ts';
import { CLASSES } from './classes.ts';

export interface Injection {
  calls: ReadonlySet<string>;
  error: Errno | null;
  value: number | null;
  signal: number;
  /** ns. */
  delayEnter: number;
  delayExit: number;
  first: number;
  last: number;
  step: number;
}

export interface Filter {
  /** Names of the door's calls; null all. */
  trace: ReadonlySet<string> | null;
  /** successful, failed, unfinished, unavailable, detached; null all. */
  status: ReadonlySet<string> | null;
  /** Signals that are shown; null all. */
  signals: ReadonlySet<number> | null;
  injections: Injection[];
  quiet: Set<string>;
}

/** Calls of Linux that the model has no door for: known by name, never seen. */
const UNSEEN = new Set(
  `open stat lstat access creat mkdir rmdir unlink rename renameat chmod chown lchown link symlink readlink pipe dup2 fork vfork clone3 accept select pselect6 ppoll epoll_wait epoll_ctl epoll_create1 epoll_pwait readv writev preadv
   pwritev sendfile statx fstatfs getdents futex set_tid_address set_robust_list rseq arch_prctl mprotect mremap getrandom exit waitid tgkill tkill rt_sigsuspend rt_sigtimedwait sigaltstack setuid setgid setreuid setregid
   getresuid getresgid getrlimit setrlimit sched_getaffinity sched_setaffinity timer_create timerfd_create eventfd2 inotify_init1 inotify_add_watch fadvise64 fallocate faccessat2 openat2 close_range execveat
   bpf keyctl add_key request_key io_uring_setup mount_setattr move_mount fsopen open_tree pidfd_open pidfd_send_signal name_to_handle_at open_by_handle_at umount init_module finit_module delete_module times gettimeofday time utime utimes fsetxattr fgetxattr flistxattr fremovexattr fchmodat2 futimesat`
    .split(/\s+/),
);

const SEEN = new Map<string, string>();
for (const call of Object.keys(DECODERS)) {
  SEEN.set(call, call);
  SEEN.set(nameOf(call), call);
}

function oneWord(word: string, into: Set<string>, what: string): void {
  const optional = word.startsWith('?');
  const name = optional ? word.slice(1) : word;
  if (name.startsWith('%') || CLASSES[name]) {
    const known = CLASSES[name.replace(/^%/, '')];
    if (known) for (const one of known) into.add(one);
    else if (!optional) throw new Failed(`invalid ${what} '${word}'`);
    return;
  }
  if (name.startsWith('/')) {
    let pattern: RegExp;
    try {
      pattern = new RegExp(name.slice(1));
    } catch {
      throw new Failed(`regcomp: ${name.slice(1)}: Invalid preceding regular expression`);
    }
    for (const [shown, call] of SEEN) if (pattern.test(shown)) into.add(call);
    return;
  }
  const call = SEEN.get(name.replace(/@64$/, ''));
  if (call) into.add(call);
  else if (!optional && !UNSEEN.has(name)) throw new Failed(`invalid ${what} '${word}'`);
}

/** "a,b", "!a", "all", "none" over a universe. */
function chosen(text: string, what: string, all: () => Iterable<string>): ReadonlySet<string> | null {
  const not = text.startsWith('!');
  const list = not ? text.slice(1) : text;
  if (list === 'all') return not ? new Set() : null;
  if (list === 'none') return not ? null : new Set();
  const into = new Set<string>();
  for (const word of list.split(',')) {
    if (word === '') throw new Failed(`invalid ${what} '${text}'`);
    oneWord(word, into, what);
  }
  return not ? new Set([...all()].filter((one) => !into.has(one))) : into;
}

export const callSet = (text: string): ReadonlySet<string> | null => chosen(text, 'system call', () => Object.keys(DECODERS));

const STATUSES = ['successful', 'failed', 'unfinished', 'unavailable', 'detached'];

function statuses(text: string): ReadonlySet<string> | null {
  const not = text.startsWith('!');
  const list = not ? text.slice(1) : text;
  if (list === 'all') return not ? new Set() : null;
  if (list === 'none') return not ? null : new Set();
  const into = new Set<string>();
  for (const word of list.split(',')) {
    if (!STATUSES.includes(word)) throw new Failed(`invalid status '${word}'`);
    into.add(word);
  }
  return not ? new Set(STATUSES.filter((one) => !into.has(one))) : into;
}

function signalNumber(word: string): number {
  const number = /^\d+$/.test(word) ? Number(word) : SIG[word.toUpperCase().replace(/^SIG/, '') as keyof typeof SIG];
  if (number === undefined || number > 64) throw new Failed(`invalid signal '${word}'`);
  return number;
}

function signals(text: string): ReadonlySet<number> | null {
  const not = text.startsWith('!');
  const list = not ? text.slice(1) : text;
  if (list === 'all') return not ? new Set() : null;
  if (list === 'none') return not ? null : new Set();
  const into = new Set(list.split(',').map(signalNumber));
  return not ? new Set(Array.from({ length: 64 }, (_, i) => i + 1).filter((one) => !into.has(one))) : into;
}

const UNITS: Readonly<Record<string, number>> = { '': 1000, ns: 1, us: 1000, ms: 1e6, s: 1e9 };

/** SET[:error=E][:retval=N][:signal=S][:delay_enter=T][:delay_exit=T][:when=FIRST[..LAST][+[STEP]]] */
function injection(text: string, fault: boolean): Injection {
  const [set = '', ...parts] = text.split(':');
  const bad = (): Failed => new Failed(`invalid ${fault ? 'fault' : 'inject'} argument '${text}'`);
  const calls = ((): ReadonlySet<string> | null => {
    try {
      return callSet(set);
    } catch (error) {
      throw error instanceof Failed && !error.message.startsWith('not modelled') ? bad() : error;
    }
  })();
  const out: Injection = { calls: calls ?? new Set(Object.keys(DECODERS)), error: fault ? 'ENOSYS' : null, value: null, signal: 0, delayEnter: 0, delayExit: 0, first: 1, last: Number.POSITIVE_INFINITY, step: 1 };
  let does = fault;
  for (const part of parts) {
    const [key, value = ''] = part.split('=');
    if (key === 'error') {
      const byNumber = Object.entries(ERRNO).find(([, [number]]) => String(number) === value)?.[0];
      const errno = Object.hasOwn(ERRNO, value) ? value : byNumber;
      if (!errno) throw bad();
      out.error = errno as Errno;
    } else if (key === 'retval' && !fault) {
      const number = Number(value);
      if (value === '' || !Number.isSafeInteger(number) || number < 0) throw bad();
      out.value = number;
    } else if (key === 'signal' && !fault) out.signal = signalNumber(value);
    else if ((key === 'delay_enter' || key === 'delay_exit') && !fault) {
      const m = /^(\d+)(ns|us|ms|s)?$/.exec(value);
      if (!m) throw bad();
      out[key === 'delay_enter' ? 'delayEnter' : 'delayExit'] = Number(m[1]) * UNITS[m[2] ?? '']!;
    } else if (key === 'when') {
      const m = /^(\d+)(?:\.\.(\d+))?(?:\+(\d*))?$/.exec(value);
      if (!m || Number(m[1]) === 0 || m[3] === '0') throw bad();
      out.first = Number(m[1]);
      out.step = m[3] ? Number(m[3]) : 1;
      out.last = m[2] ? Number(m[2]) : m[3] === undefined ? out.first : Number.POSITIVE_INFINITY;
    } else if (key === 'poke_enter' || key === 'poke_exit' || key === 'syscall') throw new Failed(`not modelled: ${key} of an injection`);
    else throw bad();
    if (key !== 'when') does = true;
  }
  if (!does || (out.error !== null && out.value !== null)) throw bad();
  return out;
}

const QUIET = ['attach', 'exit', 'path-resolution', 'personality', 'superseded', 'thread-execve'];

/** One -e; without a key it is trace=. */
export function qualify(filter: Filter, expression: string): void {
  const cut = /^(!?)([a-z]+)=/.exec(expression);
  const key = cut?.[2] ?? 'trace';
  const value = cut ? expression.slice(cut[0].length) : expression;
  if (key === 'trace' || key === 't') filter.trace = callSet((cut?.[1] ?? '') + value);
  else if (key === 'status') filter.status = statuses(value);
  else if (key === 'signal' || key === 'signals' || key === 's') filter.signals = signals(value);
  else if (key === 'inject') filter.injections.push(injection(value, false));
  else if (key === 'fault') filter.injections.push(injection(value, true));
  else if (key === 'quiet' || key === 'silent' || key === 'silence' || key === 'q') {
    for (const word of value === 'all' ? QUIET : value.split(',')) {
      const full = ({ exits: 'exit' } as Record<string, string>)[word] ?? word;
      if (!QUIET.includes(full)) throw new Failed(`invalid quiet '${word}'`);
      filter.quiet.add(full);
    }
  } else if (['abbrev', 'a', 'verbose', 'v', 'raw', 'x', 'read', 'r', 'write', 'w', 'decode-fds', 'decode-pids', 'kvm', 'namespace'].includes(key)) throw new Failed(`not modelled: -e ${key}=`);
  else throw new Failed(`invalid system call '${expression}'`);
}
