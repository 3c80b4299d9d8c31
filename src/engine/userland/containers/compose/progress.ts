/**
 * What compose tells while it works, on standard error: a line an event, or on a terminal a list that is drawn again ten
 * times a second. Source: docker/compose pkg/progress (plain.go, tty.go, event.go, colors.go) of 2.26.
 */
import { TIOCGWINSZ, type Winsize } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, thread } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { wake, type Waiters, waitWhile } from '../docker/daemon/waiters.ts';

export type Status = 'working' | 'done' | 'warning' | 'error';

interface Entry {
  id: string;
  text: string;
  status: Status;
  shown: string;
  from: number;
  to: number | null;
}

export interface Progress {
  mode: 'plain' | 'tty' | 'quiet' | 'none';
  /** "Running", "Stopping", "Building", … */
  title: string;
  entries: Map<string, Entry>;
  /** Lines drawn last time. */
  lines: number;
  drawn: boolean;
  alive: boolean;
  /** Threads that draw. */
  drawers: Waiters;
  idle: Waiters;
  drawing: boolean;
}

const TICK = 100_000_000;
const SPIN = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

export function createProgress(mode: Progress['mode'], title = 'Running'): Progress {
  return { mode, title, entries: new Map(), lines: 0, drawn: false, alive: true, drawers: new Set(), idle: new Set(), drawing: false };
}

/** Tells of one thing; `text` stands before the status, as "Pulling" does. */
export function* event(p: Progress, id: string, status: Status, shown: string, text = ''): Call<void> {
  if (p.mode === 'plain') yield* complain(` ${id} ${text} ${shown}\n`);
  if (p.mode !== 'tty') return;
  const now = yield* sys('clock_gettime', 'monotonic');
  const old = p.entries.get(id);
  const over = status === 'working' ? null : now;
  p.entries.set(id, { id, text, status, shown, from: old?.from ?? now, to: old && old.status === status ? old.to : over });
}

/** Runs a call while its events are told. */
export function* told<T>(p: Progress, call: Call<T>): Call<T> {
  if (p.mode !== 'tty') return yield* call;
  p.drawing = true;
  yield* thread(() => drawer(p));
  try {
    return yield* call;
  } finally {
    p.alive = false;
    yield* wake(p.drawers);
    yield* waitWhile(p.idle, () => p.drawing);
    yield* draw(p);
  }
}

function* drawer(p: Progress): Body {
  while (p.alive) {
    yield* waitWhile(p.drawers, () => p.alive, TICK);
    if (p.alive) yield* draw(p);
  }
  p.drawing = false;
  yield* wake(p.idle);
  return 0;
}

const colour = (code: string, text: string): string => `\x1b[${code}m${text}\x1b[0m`;
const COLOURS: Readonly<Record<Status, string>> = { working: '34', done: '32', warning: '1;33', error: '1;31' };
const MARKS: Readonly<Record<Status, string>> = { working: '', done: '✔', warning: '!', error: '✘' };

function* draw(p: Progress): Call<void> {
  const all = [...p.entries.values()];
  if (all.length === 0) return;
  const size = (yield* attempt(sys('ioctl', 2, TIOCGWINSZ), null)) as Winsize | null;
  const width = size?.cols || 80;
  const now = yield* sys('clock_gettime', 'monotonic');
  const done = all.filter((e) => e.status === 'done').length;
  const head = `[+] ${p.title} ${done}/${all.length}`;
  const padding = Math.max(...all.map((e) => `${e.id} ${e.text}`.length));
  const up = '\x1b[1A'.repeat(p.lines + 1) + (p.drawn ? '' : '\x1b[1B');
  const lines = all.map((e) => line(e, padding, width, now));
  p.drawn = true;
  p.lines = lines.length;
  yield* complain(`${up}\x1b[0G\x1b[?25l${done === all.length ? colour('34', head) : head}\n${lines.join('')}\x1b[?25h`);
}

function line(e: Entry, padding: number, width: number, now: number): string {
  const name = `${e.id} ${e.text}`;
  const mark = e.status === 'working' ? SPIN[Math.floor(now / TICK) % SPIN.length]! : MARKS[e.status];
  const most = width - name.length - padding - 15;
  const shown = most > 0 && e.shown.length > most ? `${e.shown.slice(0, most)}...` : e.shown;
  const timer = `${(((e.to ?? now) - e.from) / 1e9).toFixed(1)}s `;
  const left = ` ${mark} ${name}${' '.repeat(Math.max(0, padding - name.length))} ${shown}`;
  const gap = ' '.repeat(Math.max(0, width - [...left].length - timer.length));
  return ` ${colour(COLOURS[e.status], mark)} ${name}${' '.repeat(Math.max(0, padding - name.length))} ${colour(COLOURS[e.status], shown)}${gap}${colour('34', timer)}\n`;
}

/** Runs calls at the same time, a thread each; the first failure is thrown when all have ended. */
export function* together(calls: readonly Call<void>[]): Call<void> {
  if (calls.length === 1) return yield* calls[0]!;
  const waiters: Waiters = new Set();
  let left = calls.length;
  const failures: unknown[] = [];
  for (const call of calls) {
    yield* thread(function* (): Body {
      try {
        yield* call;
      } catch (error) {
        failures.push(error);
      }
      left--;
      yield* wake(waiters);
      return 0;
    });
  }
  yield* waitWhile(waiters, () => left > 0);
  if (failures.length > 0) throw failures[0];
}

/** Runs one call for each name once those it depends on have ended; after a failure no more begin. */
export function* inOrder(names: readonly string[], before: (name: string) => readonly string[], call: (name: string) => Call<void>): Call<void> {
  const done = new Set<string>();
  const waiters: Waiters = new Set();
  let failed = false;
  const one = function* (name: string): Call<void> {
    const needs = before(name).filter((n) => names.includes(n));
    yield* waitWhile(waiters, () => !failed && needs.some((n) => !done.has(n)));
    try {
      if (!failed) yield* call(name);
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      done.add(name);
      yield* wake(waiters);
    }
  };
  if (names.length > 0) yield* together(names.map((n) => one(n)));
}
