/** Programs that run others: timeout, nice, nohup, renice, time's kin, watch, setsid. */
import { AT_FDCWD, O_APPEND, O_CREAT, O_WRONLY, SIG, SysError, TIOCGWINSZ, exited, shellStatus, termSignal, type Winsize } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { BadOption, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, drain, fork, reap } from '../lib/files.ts';
import { type Call, thread } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { text } from '../../sim/text.ts';
import { findUser, readAccounts } from './accounts.ts';
import { strftime } from './calendar.ts';
import { curly, } from './quote.ts';
import { execvp, forkOr, run } from './run.ts';
import { signalOf } from './signals.ts';
import { parseInterval } from './small.ts';

export const timeout = command(function* (argv, env) {
  const o = parseOptions('f/foreground k/kill-after= p/preserve-status s/signal= v/verbose', argv.slice(1), 'in-order');
  const [span, ...words] = o.words;
  if (span === undefined || words.length === 0) {
    yield* complain("Try 'timeout --help' for more information.\n");
    return 125;
  }
  const limit = interval(span);
  const killAfter = o.on.has('kill-after') ? interval(lastValue(o, 'kill-after')!) : 0;
  const signal = signalOf(lastValue(o, 'signal') ?? 'TERM');
  if (signal === null) throw new BadOption(`${curly(lastValue(o, 'signal')!)}: invalid signal`);
  if (!o.on.has('foreground')) yield* attempt(sys('setpgid', 0, 0), 0);
  for (const one of [SIG.TTIN, SIG.TTOU]) yield* sys('rt_sigaction', one, { handler: 'ignore' });
  const child = yield* forkOr('fork system call failed', function* (): Body {
    for (const one of [SIG.TTIN, SIG.TTOU]) yield* sys('rt_sigaction', one, { handler: 'default' });
    return yield* run('timeout', words, env, (name) => `failed to run command ${curly(name)}`);
  }, 125);
  const state = { fired: false, killed: false };
  if (limit > 0) {
    yield* thread(function* (): Body {
      yield* sys('nanosleep', Math.min(limit, 1e16));
      state.fired = true;
      if (o.on.has('verbose')) yield* complain(`timeout: sending signal ${lastValue(o, 'signal') ?? 'TERM'} to command ${curly(words[0]!)}\n`);
      yield* sendAll(child, signal, o.on.has('foreground'));
      if (killAfter > 0) {
        yield* sys('nanosleep', killAfter);
        state.killed = true;
        yield* attempt(sys('kill', child, SIG.KILL), 0);
      }
      return 0;
    });
  }
  const status = yield* reap(child);
  const ended = termSignal(status);
  if (state.fired && !o.on.has('preserve-status')) return ended === SIG.KILL || state.killed ? 137 : 124;
  if (ended !== null) return 128 + ended;
  return exited(status) ?? 125;
}, 125);

/** The signal to the command, then to the rest of its group, and a continue for what is stopped. */
function* sendAll(child: number, signal: number, foreground: boolean): Call<void> {
  yield* attempt(sys('kill', child, signal), 0);
  if (foreground) return;
  if (signal !== SIG.KILL) yield* sys('rt_sigaction', signal, { handler: 'ignore' });
  yield* attempt(sys('kill', 0, signal), 0);
  if (signal !== SIG.KILL && signal !== SIG.CONT) yield* attempt(sys('kill', child, SIG.CONT), 0);
}

function interval(spec: string): number {
  const ns = parseInterval(spec);
  if (ns === null) throw new BadOption(`invalid time interval ${curly(spec)}`);
  return ns;
}

export const nice = command(function* (argv, env) {
  const args = argv.slice(1).flatMap((a, i) => (i === 0 && /^-{1,2}\d+$/.test(a) ? ['-n', a.slice(1)] : [a]));
  const o = parseOptions('n/adjustment=', args, 'in-order');
  const now = yield* sys('getpriority', 0, 0);
  if (o.words.length === 0) {
    if (o.on.size > 0) throw new BadOption('a command must be given with an adjustment');
    yield* print(`${now}\n`);
    return 0;
  }
  const by = lastValue(o, 'adjustment') ?? '10';
  if (!/^[-+]?\d+$/.test(by)) throw new BadOption(`invalid adjustment ${curly(by)}`);
  try {
    yield* sys('setpriority', 0, 0, Math.max(-20, Math.min(19, now + Number(by))));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`nice: cannot set niceness: ${strerror(error)}\n`);
  }
  return yield* run('nice', o.words, env, curly);
}, 125);

export const renice = command(function* (argv) {
  let which = 0;
  let priority: number | null = null;
  let status = 0;
  const args = argv.slice(1);
  const accounts = yield* readAccounts();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '-n' || arg === '--priority' || arg === '--relative') priority = Number(args[++i]);
    else if (arg === '-p' || arg === '--pid') which = 0;
    else if (arg === '-g' || arg === '--pgrp') which = 1;
    else if (arg === '-u' || arg === '--user') which = 2;
    else if (priority === null) priority = Number(arg);
    else {
      const who = which === 2 ? (findUser(accounts, arg)?.uid ?? Number.NaN) : Number(arg);
      const label = ['process ID', 'process group ID', 'user ID'][which]!;
      if (Number.isNaN(who) || Number.isNaN(priority)) throw new Failed(which === 2 ? `unknown user ${arg}` : `bad ${label} value: ${arg}`);
      try {
        const old = yield* sys('getpriority', which, who);
        yield* sys('setpriority', which, who, priority);
        yield* print(`${who} (${label}) old priority ${old}, new priority ${yield* sys('getpriority', which, who)}\n`);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        yield* complain(`renice: failed to ${error.errno === 'ESRCH' ? 'get' : 'set'} priority for ${who} (${label}): ${strerror(error)}\n`);
        status = 1;
      }
    }
  }
  if (priority === null) throw new BadOption('not enough arguments');
  return status;
});

export const nohup = command(function* (argv, env) {
  const { words } = parseOptions('', argv.slice(1), 'in-order');
  if (words.length === 0) throw new BadOption('missing operand');
  const terminal = function* (fd: number): Call<boolean> {
    return (yield* attempt(sys('ioctl', fd, TIOCGWINSZ), null)) !== null;
  };
  const [input, output, errors] = [yield* terminal(0), yield* terminal(1), yield* terminal(2)];
  if (input) yield* sys('dup3', yield* sys('openat', AT_FDCWD, '/dev/null', O_WRONLY), 0, 0);
  if (output) {
    yield* complain(`nohup: ${input ? 'ignoring input and ' : ''}appending output to 'nohup.out'\n`);
    yield* sys('dup3', yield* sys('openat', AT_FDCWD, 'nohup.out', O_WRONLY | O_CREAT | O_APPEND, 0o600), 1, 0);
  } else if (input) yield* complain(`nohup: ignoring input${errors ? ' and redirecting stderr to stdout' : ''}\n`);
  if (errors) yield* sys('dup3', 1, 2, 0);
  yield* sys('rt_sigaction', SIG.HUP, { handler: 'ignore' });
  return yield* run('nohup', words, env, (name) => `failed to run command ${curly(name)}`);
}, 125);

export const watch = command(function* (argv, env) {
  const o = parseOptions('b/beep c/color d/differences? e/errexit g/chgexit n/interval= p/precise t/no-title w/no-wrap x/exec r/no-rerun q/equexit=', argv.slice(1), 'in-order');
  if (o.words.length === 0) {
    yield* complain('\nUsage:\n watch [options] command\n\nFor more details see watch(1).\n');
    return 1;
  }
  const pause = Number((lastValue(o, 'interval') ?? '2').replace(',', '.'));
  if (Number.isNaN(pause)) throw new Failed(`failed to parse argument: '${lastValue(o, 'interval')}'`);
  const line = o.on.has('exec') ? o.words : ['sh', '-c', o.words.join(' ')];
  const host = (yield* sys('uname')).nodename;
  let before = '';
  const restore = { on: true };
  yield* sys('rt_sigaction', SIG.INT, { handler: function* (): Body {
    yield* print('\x1b[?1049l\x1b[?25h');
    yield* sys('exit_group', 0);
  } });
  yield* print('\x1b[?1049h\x1b[?25l');
  while (restore.on) {
    const { output, status } = yield* captured(line, env);
    const size = ((yield* attempt(sys('ioctl', 1, TIOCGWINSZ), null)) ?? { rows: 24, cols: 80 }) as Winsize;
    const left = `Every ${Math.max(0.1, pause).toFixed(1)}s: ${o.words.join(' ')}`;
    const right = `${host}: ${strftime('%a %b %e %H:%M:%S %Y', (yield* sys('clock_gettime', 'realtime')) / 1e9)}`;
    const title = o.on.has('no-title') ? '' : `${left.slice(0, Math.max(0, size.cols - right.length - 1)).padEnd(Math.max(0, size.cols - right.length))}${right}\n\n`;
    const rows = output.split('\n').slice(0, Math.max(1, size.rows - (title === '' ? 0 : 2))).map((r) => r.slice(0, size.cols));
    yield* print(`\x1b[H\x1b[2J${title}${rows.join('\n').replace(/\n$/, '')}`);
    if ((o.on.has('errexit') && status !== 0) || (o.on.has('chgexit') && before !== '' && before !== output)) break;
    before = output;
    yield* sys('nanosleep', Math.max(0.1, pause) * 1e9);
  }
  yield* print('\x1b[?1049l\x1b[?25h');
  return 0;
});

/** What a command prints on both streams, and its status. */
export function* captured(line: readonly string[], env: Readonly<Record<string, string>>): Call<{ output: string; status: number }> {
  const [from, to] = yield* sys('pipe2', 0);
  const child = yield* fork(function* (): Body {
    yield* sys('dup3', to, 1, 0);
    yield* sys('dup3', to, 2, 0);
    yield* sys('close', from);
    yield* sys('close', to);
    return yield* run('watch', line, env);
  });
  yield* sys('close', to);
  const output = text(yield* drain(from));
  yield* sys('close', from);
  return { output, status: shellStatus(yield* reap(child)) };
}

export const setsid = command(function* (argv, env) {
  const o = parseOptions('c/ctty f/fork w/wait', argv.slice(1), 'in-order');
  if (o.words.length === 0) throw new Failed('no command specified');
  const me = yield* sys('getpid');
  const body = function* (): Body {
    yield* sys('setsid');
    if (o.on.has('ctty')) yield* attempt(sys('ioctl', 0, 0x540e, 1), 0);
    return yield* execOr('setsid', o.words, env);
  };
  if (o.on.has('fork') || (yield* sys('getpgid', 0)) === me) {
    const child = yield* fork(body);
    return o.on.has('wait') ? shellStatus(yield* reap(child)) : 0;
  }
  return ((yield* body()) ?? 0) as number;
});

/** execvp with util-linux' message. */
export function* execOr(who: string, words: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  try {
    return yield* execvp(words, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`${who}: failed to execute ${words[0]!}: ${strerror(error)}\n`);
    return error.errno === 'ENOENT' ? 127 : 126;
  }
}

export const pwdx = command(function* (argv) {
  for (const pid of argv.slice(1)) {
    const cwd = yield* attempt(sys('readlinkat', AT_FDCWD, `/proc/${pid}/cwd`), null);
    yield* print(`${pid}: ${cwd ?? 'No such process'}\n`);
  }
});
