/**
 * Types the lines of a script at a terminal, one whenever the shell is at its prompt, and reads back what each printed.
 *
 * The interactive shell marks its prompts with OSC 133 (A prompt, B prompt ends, C output begins, D;status command ends),
 * the marks that real shells send to real terminals. Between C and D lies exactly what the command wrote; output through
 * a write-only description of the terminal is stderr (see getty). Directives are comments to the shell: `# wait 2s`,
 * `# key C-c`, `# tty 2`.
 */
import type { Action } from '../../bridge/protocol.ts';
import { text } from '../sim/text.ts';
import { nextAt } from '../sim/timeline.ts';
import { MINUTE, MS, SECOND, US } from '../sim/units.ts';
import { act, advance, takeOutput, type World } from './world.ts';

export interface Typed {
  cmd: string;
  stdout: string;
  stderr: string;
  exit: number | null;
  /** Simulated ns at which it was typed, and how long until the prompt was back. */
  at: number;
  took: number;
}

interface Screen {
  /** A prompt is shown and nothing was typed at it since. */
  prompt: boolean;
  /** Between the marks C and D. */
  output: boolean;
  stdout: string;
  stderr: string;
  exit: number | null;
  /** An escape sequence cut in two by a chunk. */
  carry: string[];
}

export interface Typist {
  world: World;
  tty: string;
  screens: Map<string, Screen>;
  /** Everything a terminal showed, as it came, marks removed; for text output. */
  show: (tty: string, data: string) => void;
  deadline: number;
  /** Asked between slices: real time is up. */
  expired: () => boolean;
}

export class TimeUp extends Error {}

/** For `expired`: so many events have been handled since. The same on every machine, however slow. */
export function afterEvents(world: World, events: number): () => boolean {
  const end = world.timeline.handled + events;
  return () => world.timeline.handled > end;
}

export function createTypist(
  world: World,
  options: { show?: Typist['show']; until?: number; expired?: () => boolean } = {},
): Typist {
  return {
    world, tty: 'tty1', screens: new Map(), show: options.show ?? (() => {}),
    deadline: options.until ?? 10 * MINUTE, expired: options.expired ?? (() => false),
  };
}

/** Waits until the terminal's shell is at its prompt. Throws TimeUp. */
export function waitForPrompt(typist: Typist): void {
  const screen = screenOf(typist);
  while (!screen.prompt) {
    if (typist.world.timeline.now >= typist.deadline || typist.expired()) throw new TimeUp('time is up');
    const next = nextAt(typist.world.timeline);
    if (next === Number.POSITIVE_INFINITY) throw new TimeUp('nothing more will happen');
    run(typist, Math.min(Math.max(next, typist.world.timeline.now + 200 * US), typist.deadline));
  }
}

/** Lets simulated time pass. */
export function wait(typist: Typist, ns: number): void {
  const end = Math.min(typist.world.timeline.now + ns, typist.deadline);
  while (typist.world.timeline.now < end) {
    if (typist.expired()) throw new TimeUp('time is up');
    run(typist, Math.min(end, typist.world.timeline.now + 50 * MS));
  }
  if (end === typist.deadline) throw new TimeUp('time is up');
}

export function type(typist: Typist, data: string): void {
  perform(typist, { do: 'type', tty: typist.tty, data });
}

export function perform(typist: Typist, action: Action): void {
  act(typist.world, action);
  collect(typist);
}

/** A line that was typed and whose end is still to come. */
export interface Begun {
  cmd: string;
  tty: string;
  at: number;
}

const DIRECTIVE = /^#\s*(wait|key|tty)\s+(\S+)\s*$/;
export const isDirective = (command: string): boolean => DIRECTIVE.test(command);

/** Types one line and waits for the prompt, or obeys a directive. Returns what a command printed, null for a directive. */
export function line(typist: Typist, command: string): Typed | null {
  const begun = begin(typist, command);
  return begun && finish(typist, begun);
}

/** Types one line at the prompt and does not wait for its end: what follows may be keys for the program it runs. */
export function begin(typist: Typist, command: string): Begun | null {
  const directive = DIRECTIVE.exec(command);
  if (directive) {
    obey(typist, directive[1]!, directive[2]!);
    return null;
  }
  waitForPrompt(typist);
  const screen = screenOf(typist);
  screen.prompt = false;
  screen.stdout = '';
  screen.stderr = '';
  screen.exit = null;
  const at = typist.world.timeline.now;
  type(typist, `${command}\r`);
  return { cmd: command, tty: typist.tty, at };
}

/** Waits for the prompt after a line. */
export function finish(typist: Typist, { cmd, tty, at }: Begun): Typed {
  const now = typist.tty;
  typist.tty = tty;
  waitForPrompt(typist);
  typist.tty = now;
  const screen = screenOf(typist, tty);
  return { cmd, stdout: plain(screen.stdout), stderr: plain(screen.stderr), exit: screen.exit, at, took: typist.world.timeline.now - at };
}

/**
 * Types lines in order, each when the shell of its terminal is back. Directives act while the command before them runs:
 * keys for a console, time for a watch, a look from another terminal. `done` is told of every command that ended.
 */
export function script(typist: Typist, lines: readonly string[], done: (typed: Typed) => void = () => {}): void {
  const running = new Map<string, Begun>();
  const end = (): void => {
    const begun = running.get(typist.tty);
    if (!begun) return;
    running.delete(typist.tty);
    done(finish(typist, begun));
  };
  for (const [n, command] of lines.entries()) {
    if (!isDirective(command)) end();
    const begun = begin(typist, command);
    if (begun) running.set(typist.tty, begun);
    if (!isDirective(lines[n + 1] ?? '')) end();
  }
  // what was left at other terminals and has ended meanwhile; what still runs there is not waited for
  for (const begun of running.values()) if (screenOf(typist, begun.tty).prompt) done(finish(typist, begun));
}

/** The terminal's line ends back to the program's. */
const plain = (shown: string): string => shown.replaceAll('\r\n', '\n');

const KEYS: Record<string, string> = {
  Enter: '\r', Tab: '\t', Esc: '\x1b', Backspace: '\x7f', Up: '\x1b[A', Down: '\x1b[B', Right: '\x1b[C', Left: '\x1b[D', Space: ' ',
};

function obey(typist: Typist, verb: string, argument: string): void {
  if (verb === 'wait') {
    wait(typist, parseDuration(argument));
  } else if (verb === 'tty') {
    typist.tty = argument.startsWith('tty') ? argument : `tty${argument}`;
  } else {
    const control = /^C-(.)$/.exec(argument);
    const keys = control ? String.fromCharCode(control[1]!.toUpperCase().charCodeAt(0) & 31) : (KEYS[argument] ?? argument);
    type(typist, keys);
    wait(typist, 10 * MS);
  }
}

/** "500ms", "2s", "1m", "10m", "1h" in ns; throws RangeError. */
export function parseDuration(textual: string): number {
  const match = /^(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)$/.exec(textual);
  if (!match) throw new RangeError(`bad duration '${textual}': try 500ms, 2s, 10m`);
  const unit = { ns: 1, us: US, ms: MS, s: SECOND, m: MINUTE, h: 60 * MINUTE }[match[2] as 'ns'];
  return Math.round(Number(match[1]) * unit);
}

function run(typist: Typist, until: number): void {
  advance(typist.world, until);
  collect(typist);
}

function collect(typist: Typist): void {
  for (const chunk of takeOutput(typist.world)) {
    read(screenOf(typist, chunk.tty), chunk.stream, text(chunk.data), (data) => typist.show(chunk.tty, data));
  }
}

function screenOf(typist: Typist, tty = typist.tty): Screen {
  let screen = typist.screens.get(tty);
  if (!screen) {
    screen = { prompt: false, output: false, stdout: '', stderr: '', exit: null, carry: ['', '', ''] };
    typist.screens.set(tty, screen);
  }
  return screen;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the marks are control sequences
const MARK = /\x1b\]133;([A-D])(?:;(\d+))?[^\x07\x1b]*(?:\x07|\x1b\\)/g;

function read(screen: Screen, stream: 1 | 2, data: string, show: (data: string) => void): void {
  let all = screen.carry[stream]! + data;
  screen.carry[stream] = '';
  const open = all.lastIndexOf('\x1b');
  if (open >= 0 && all.length - open < 40 && '\x1b]133;D;255\x07'.startsWith(all.slice(open, open + 6)) && !/[\x07]|\x1b\\/.test(all.slice(open))) {
    screen.carry[stream] = all.slice(open);
    all = all.slice(0, open);
  }
  let from = 0;
  const emit = (piece: string): void => {
    if (piece === '') return;
    show(piece);
    if (!screen.output) return;
    if (stream === 1) screen.stdout += piece;
    else screen.stderr += piece;
  };
  for (const mark of all.matchAll(MARK)) {
    emit(all.slice(from, mark.index));
    from = mark.index + mark[0].length;
    if (mark[1] === 'C') screen.output = true;
    if (mark[1] === 'D') {
      screen.output = false;
      screen.exit = Number(mark[2] ?? 0);
    }
    if (mark[1] === 'A') {
      screen.prompt = false;
      screen.output = false;
    }
    if (mark[1] === 'B') screen.prompt = true;
  }
  emit(all.slice(from));
}
