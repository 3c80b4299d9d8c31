/**
 * Signals as the shell sees them: names, handlers that only note what came, traps run between commands. A handler belongs to
 * the process it was set in: in a fresh child that has not reset its handlers yet it finds another pid and does nothing.
 */
import { SIG } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { Jump, type Shell } from './state.ts';

const RTMIN = 34;
const RTMAX = 64;

export const SIGNALS: readonly [string, number][] = Object.entries(SIG);
const NAMES = new Map<number, string>(SIGNALS.map(([name, number]) => [number, name]));

export function signalName(number: number): string {
  return NAMES.get(number) ?? realTimeName(number) ?? String(number);
}

/** "RTMIN+3": of 34 to 64; the C library keeps the first two real-time signals. */
export function realTimeName(number: number): string | null {
  if (number < RTMIN || number > RTMAX) return null;
  return number === RTMIN ? 'RTMIN' : number === RTMAX ? 'RTMAX' : number < 50 ? `RTMIN+${number - RTMIN}` : `RTMAX-${RTMAX - number}`;
}

function realTime(name: string): number | null {
  const [, base, sign, offset] = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name) ?? [];
  if (base === undefined || (sign !== undefined && (base === 'MIN') !== (sign === '+'))) return null;
  const n = base === 'MIN' ? RTMIN + Number(offset ?? 0) : RTMAX - Number(offset ?? 0);
  return n >= RTMIN && n <= RTMAX ? n : null;
}

/** "int", "SIGINT", "2" to 2; EXIT, ERR, DEBUG and RETURN stay names; null for anything else. */
export function parseSignal(text: string): number | string | null {
  const upper = text.toUpperCase().replace(/^SIG/, '');
  if (upper === 'EXIT' || text === '0') return 'EXIT';
  if (['ERR', 'DEBUG', 'RETURN'].includes(upper)) return upper;
  if (/^\d+$/.test(text)) return NAMES.has(Number(text)) || (Number(text) >= 34 && Number(text) <= 64) ? Number(text) : null;
  return SIG[upper as keyof typeof SIG] ?? realTime(upper);
}

const DESCRIPTIONS: Readonly<Record<number, string>> = {
  1: 'Hangup', 2: 'Interrupt', 3: 'Quit', 4: 'Illegal instruction', 5: 'Trace/breakpoint trap', 6: 'Aborted', 7: 'Bus error', 8: 'Floating point exception',
  9: 'Killed', 10: 'User defined signal 1', 11: 'Segmentation fault', 12: 'User defined signal 2', 13: 'Broken pipe', 14: 'Alarm clock', 15: 'Terminated',
  16: 'Stack fault', 24: 'CPU time limit exceeded', 25: 'File size limit exceeded', 26: 'Virtual timer expired', 27: 'Profiling timer expired', 29: 'I/O possible', 30: 'Power failure', 31: 'Bad system call',
};

/** "Killed", "Terminated", "Real-time signal 3": what bash says of a process that a signal ended; undefined when it knows none. */
export function signalText(signal: number): string | undefined {
  return DESCRIPTIONS[signal] ?? (signal >= RTMIN && signal <= RTMAX ? `Real-time signal ${signal - RTMIN}` : undefined);
}

function noter(sh: Shell): (signal: number) => Body {
  const { pid } = sh;
  return function* (signal) {
    if ((yield* sys('getpid')) === pid) sh.pending.push(signal);
  };
}

export function* catchSignal(sh: Shell, signal: number): Call<void> {
  yield* sys('rt_sigaction', signal, { handler: noter(sh), restart: false });
}

export function* ignoreSignal(signal: number): Call<void> {
  yield* sys('rt_sigaction', signal, { handler: 'ignore' });
}

export function* defaultSignal(signal: number): Call<void> {
  yield* sys('rt_sigaction', signal, { handler: 'default' });
}

const JOB_SIGNALS = [SIG.TSTP, SIG.TTIN, SIG.TTOU, SIG.QUIT, SIG.TERM];

/** An interactive shell outlives what the terminal sends. */
export function* guardInteractive(sh: Shell): Call<void> {
  for (const signal of JOB_SIGNALS) yield* ignoreSignal(signal);
  yield* catchSignal(sh, SIG.INT);
  yield* catchSignal(sh, SIG.WINCH);
}

/** In a child: traps and the shell's own handlers are gone; what was ignored stays ignored. */
export function* resetSignals(child: Shell, wasInteractive: boolean): Call<void> {
  if (wasInteractive) for (const signal of [...JOB_SIGNALS, SIG.INT, SIG.WINCH]) if (!child.ignored.has(signal)) yield* defaultSignal(signal);
  for (const [name, action] of [...child.traps]) {
    if (action === '') continue;
    child.traps.delete(name);
    const number = parseSignal(name);
    if (typeof number === 'number') yield* defaultSignal(number);
  }
}

/** Runs the traps of signals that came, the lowest number first, each once however often it came; ^C at an interactive shell without a trap gives up the command line. */
export function* settle(sh: Shell): Call<void> {
  while (sh.pending.length > 0) {
    const signal = Math.min(...sh.pending);
    sh.pending = sh.pending.filter((one) => one !== signal);
    const action = sh.traps.get(signalName(signal));
    if (action !== undefined && action !== '') yield* runTrap(sh, action);
    else if (signal === SIG.INT && sh.interactive) {
      sh.pending = sh.pending.filter((s) => s !== SIG.INT);
      throw new Jump('interrupt', 130);
    }
  }
}

export function* runTrap(sh: Shell, action: string): Call<void> {
  const { status, source, pos } = sh;
  const pipeStatus = sh.pipeStatus;
  yield* sh.calls.text(sh, { text: action, firstLine: 1, name: source.name });
  sh.status = status;
  sh.pipeStatus = pipeStatus;
  sh.source = source;
  sh.pos = pos;
}
