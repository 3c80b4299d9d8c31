/** kill, pkill, pgrep, killall, pidof: signals by name and number, processes by what they are called. */
import { ERRNO, SIG, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { findUser, readAccounts } from './accounts.ts';
import { baseName } from './paths.ts';
import { type Process, readProcesses } from './processes.ts';
import { BadRegex, compileRegex } from './regex.ts';
import { search } from './regex-program.ts';

const NAMES = Object.entries(SIG) as [string, number][];

/** "9", "KILL", "SIGKILL", "sigkill"; null when there is none. */
export function signalOf(word: string): number | null {
  if (/^\d+$/.test(word)) return Number(word) <= 64 ? Number(word) : null;
  const name = word.toUpperCase().replace(/^SIG/, '');
  if (name === 'POLL') return SIG.IO;
  const top = /^RTMAX(?:-(\d+))?$/.exec(name);
  if (top && Number(top[1] ?? 0) <= 30) return 64 - Number(top[1] ?? 0);
  const rt = /^RTMIN(?:\+(\d+))?$/.exec(name);
  if (rt) return 34 + Number(rt[1] ?? 0);
  return NAMES.find(([n]) => n === name)?.[1] ?? (name === 'EXIT' ? 0 : null);
}

export function signalName(n: number): string {
  return n === SIG.IO ? 'POLL' : (NAMES.find(([, number]) => number === n)?.[0] ?? String(n));
}

export const kill = command(function* (argv) {
  const args = argv.slice(1);
  let signal: number | null = SIG.TERM;
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === '--') {
      at++;
      break;
    }
    if (arg === '-l' || arg === '-L' || arg === '--list' || arg === '--table') return yield* listSignals(args.slice(at + 1), arg);
    if (arg === '-s' || arg === '-n' || arg === '--signal') signal = signalOf(args[++at] ?? '');
    else if (/^-[A-Za-z]/.test(arg) || (/^-\d+$/.test(arg) && at === 0 && args.length > 1)) signal = signalOf(arg.slice(1));
    else break;
    if (signal === null) throw new Failed(`unknown signal name ${args[at]!.replace(/^-/, '')}`);
  }
  if (at >= args.length) {
    yield* complain('\nUsage:\n kill [options] <pid> [...]\n\nOptions:\n <pid> [...]            send signal to every <pid> listed\n -<signal>, -s, --signal <signal>\n                        specify the <signal> to be sent\n -q, --queue <value>    integer value to be sent with the signal\n -l, --list=[<signal>]  list all signal names, or convert one to a name\n -L, --table            list all signal names in a nice table\n\n -h, --help     display this help and exit\n -V, --version  output version information and exit\n\nFor more details see kill(1).\n');
    return 1;
  }
  let status = 0;
  for (const word of args.slice(at)) {
    if (!/^-?\d+$/.test(word)) throw new Failed(`failed to parse argument: '${word}'`);
    try {
      yield* sys('kill', Number(word), signal);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`kill: (${word}): ${ERRNO[error.errno][1]}\n`);
      status = 1;
    }
  }
  return status;
});

function* listSignals(words: readonly string[], how: string): Call<number> {
  if (words.length > 0) {
    for (const word of words) {
      const n = /^\d+$/.test(word) ? Number(word) & 127 : signalOf(word);
      if (n === null) throw new Failed(`unknown signal name ${word}`);
      yield* print(`${/^\d+$/.test(word) ? signalName(n) : n}\n`);
    }
    return 0;
  }
  const names = NAMES.map(([, n]) => signalName(n));
  if (how === '-L' || how === '--table') {
    const cells = NAMES.map(([, n]) => `${String(n).padStart(2)} ${signalName(n).padEnd(8)}`);
    let text = '';
    for (let i = 0; i < cells.length; i += 7) text += `${cells.slice(i, i + 7).join('').replace(/ +$/, i + 7 < cells.length ? '' : '$&')}\n`;
    yield* print(text);
    return 0;
  }
  let line = '';
  for (const name of names) {
    if (line.length + name.length + 1 > 77) {
      yield* print(`${line}\n`);
      line = name;
    } else line += line === '' ? name : ` ${name}`;
  }
  yield* print(`${line}\n`);
  return 0;
}

const GREP_SPEC =
  'a/list-full c/count d/delimiter= e/echo f/full g/pgroup= i/ignore-case l/list-name L n/newest o/oldest O/older= P/parent= s/session= t/terminal= u/euid= U/uid= G/group= v/inverse w x/exact r/runstates= A/ignore-ancestors ' +
  'signal= ns= nslist= F/pidfile= q/queue= lightweight cgroup=';

function* selected(o: Options): Call<Process[]> {
  const accounts = yield* readAccounts();
  const me = yield* sys('getpid');
  const lists = (name: string): string[] | null => (o.values.has(name) ? o.values.get(name)!.flatMap((v) => v.split(',')) : null);
  const uids = (name: string): Set<number> | null => {
    const given = lists(name);
    return given && new Set(given.map((u) => {
      const user = findUser(accounts, u);
      if (!user) throw new Failed(`invalid user name: ${u}`, 2);
      return user.uid;
    }));
  };
  const [euids, ruids, parents, sessions, groups, ttys] = [uids('euid'), uids('uid'), lists('parent'), lists('session'), lists('pgroup'), lists('terminal')];
  if (o.words.length > 1) throw new BadOption('only one pattern can be provided');
  const filters = euids || ruids || parents || sessions || groups || ttys || o.values.has('runstates');
  if (o.words.length === 0 && !filters) throw new BadOption('no matching criteria specified');
  const pattern = o.words.length === 0 ? null : compiled(o.words[0]!, o.on.has('ignore-case'));
  const states = lastValue(o, 'runstates');
  const matches = (p: Process): boolean => {
    if (euids && !euids.has(p.euid)) return false;
    if (ruids && !ruids.has(p.uid)) return false;
    if (parents && !parents.includes(String(p.ppid))) return false;
    if (sessions && !sessions.includes(String(p.session))) return false;
    if (groups && !groups.includes(String(p.pgrp))) return false;
    if (ttys && !ttys.includes(p.tty)) return false;
    if (states !== undefined && !states.includes(p.state)) return false;
    if (!pattern) return true;
    const subject = o.on.has('full') && p.args.length > 0 ? p.args.join(' ') : p.comm;
    const found = search(pattern, subject);
    return found !== null && (!o.on.has('exact') || (found[0] === 0 && found[1] === subject.length));
  };
  let found = (yield* readProcesses()).filter((p) => p.pid !== me && matches(p) !== o.on.has('inverse'));
  if (o.on.has('newest')) found = found.sort((a, b) => b.start - a.start || b.pid - a.pid).slice(0, 1);
  if (o.on.has('oldest')) found = found.sort((a, b) => a.start - b.start || a.pid - b.pid).slice(0, 1);
  return found;
}

function compiled(source: string, ignoreCase: boolean): ReturnType<typeof compileRegex> {
  try {
    return compileRegex(source, { syntax: 'extended', ignoreCase });
  } catch (error) {
    if (error instanceof BadRegex) throw new Failed(`pattern error: ${error.message}`, 2);
    throw error;
  }
}

export const pgrep = command(function* (argv) {
  const o = parseOptions(GREP_SPEC, argv.slice(1));
  const found = yield* selected(o);
  if (o.on.has('count')) yield* print(`${found.length}\n`);
  else if (found.length > 0) {
    const shown = found.map((p) => (o.on.has('list-full') ? `${p.pid} ${p.args.join(' ') || p.comm}` : o.on.has('list-name') ? `${p.pid} ${o.on.has('full') ? p.args.join(' ') : p.comm}` : String(p.pid)));
    yield* print(`${shown.join(lastValue(o, 'delimiter') ?? '\n')}\n`);
  }
  return found.length > 0 ? 0 : 1;
}, 2);

export const pkill = command(function* (argv) {
  const at = argv.findIndex((a, i) => i > 0 && /^-(\d+|[A-Z][A-Z0-9+]+)$/.test(a) && signalOf(a.slice(1)) !== null);
  const o = parseOptions(GREP_SPEC, argv.slice(1).filter((_, i) => i + 1 !== at));
  const word = at > 0 ? argv[at]!.slice(1) : lastValue(o, 'signal');
  const signal = word === undefined ? SIG.TERM : signalOf(word);
  if (signal === null) throw new Failed(`Unknown signal "${word}".`, 2);
  const found = yield* selected(o);
  let sent = 0;
  for (const p of found) {
    try {
      yield* sys('kill', p.pid, signal);
      sent++;
      if (o.on.has('echo')) yield* print(`${p.comm} killed (pid ${p.pid})\n`);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno !== 'ESRCH') yield* complain(`pkill: killing pid ${p.pid} failed: ${strerror(error)}\n`);
    }
  }
  if (o.on.has('count')) yield* print(`${found.length}\n`);
  return sent > 0 ? 0 : 1;
}, 2);

/** Does this process run the program of that name? A script counts by its own name too. */
function isNamed(p: Process, name: string): boolean {
  if (name.includes('/')) return p.args[0] === name;
  return p.comm === name.slice(0, 15) || baseName(p.args[0] ?? '') === name;
}

export const killall = command(function* (argv) {
  const at = argv.findIndex((a, i) => i > 0 && /^-(\d+|[A-Z][A-Z0-9+]+)$/.test(a) && signalOf(a.slice(1)) !== null);
  const o = parseOptions('e/exact g/process-group i/interactive l/list q/quiet s/signal= v/verbose w/wait u/user= I/ignore-case', argv.slice(1).filter((_, i) => i + 1 !== at));
  if (o.on.has('list')) return yield* listSignals([], '-l');
  const word = at > 0 ? argv[at]!.slice(1) : (lastValue(o, 'signal') ?? 'TERM');
  const signal = signalOf(word);
  if (signal === null) throw new Failed(`${word}: unknown signal; killall -l lists signals.`);
  if (o.words.length === 0) throw new BadOption('no process name specified');
  const me = yield* sys('getpid');
  const all = yield* readProcesses();
  let status = 0;
  for (const name of o.words) {
    const found = all.filter((p) => p.pid !== me && isNamed(p, name));
    let sent = 0;
    for (const p of found) {
      try {
        yield* sys('kill', p.pid, signal);
        sent++;
        if (o.on.has('verbose')) yield* complain(`Killed ${p.comm}(${p.pid}) with signal ${signal}\n`);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        yield* complain(`${p.comm}(${p.pid}): ${strerror(error)}\n`);
      }
    }
    if (sent === 0) {
      if (found.length === 0 && !o.on.has('quiet')) yield* complain(`${name}: no process found\n`);
      status = 1;
    }
  }
  return status;
});

export const pidof = command(function* (argv) {
  const o = parseOptions('c n q s x o= S/separator=', argv.slice(1));
  const omitted = new Set((o.values.get('o') ?? []).flatMap((v) => v.split(',')));
  const me = yield* sys('getpid');
  const found = (yield* readProcesses()).filter((p) => p.pid !== me && !omitted.has(String(p.pid)) && o.words.some((w) => isNamed(p, w)));
  const shown = found.map((p) => p.pid).sort((a, b) => b - a);
  const some = o.on.has('s') ? shown.slice(0, 1) : shown;
  if (some.length > 0 && !o.on.has('q')) yield* print(`${some.join(lastValue(o, 'separator') ?? ' ')}\n`);
  return some.length > 0 ? 0 : 1;
});
