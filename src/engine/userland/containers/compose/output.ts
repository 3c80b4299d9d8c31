/**
 * Lines of several containers on one screen: each behind its container's name, in its own colour on a terminal.
 * Source: docker/compose cmd/formatter/logs.go, colors.go; pkg/compose/logs.go, attach.go.
 */
import { text } from '../../../sim/text.ts';
import { joinBytes } from '../../../sim/wire.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';

const CLEAR = '\x1b[2K';
const NOTHING = new Uint8Array(0);

/** cyan, yellow, green, magenta, blue, then the intense ones. */
const COLOURS = ['36', '33', '32', '35', '34', '96;1', '93;1', '92;1', '95;1', '94;1'];

export interface Screen {
  colour: boolean;
  prefix: boolean;
  /** Names in the order they came, each with its colour. */
  names: Map<string, string>;
  /** Nothing more is shown. */
  silent: boolean;
  /** Lines of standard error go to standard output too, as `logs` has them. */
  joined: boolean;
}

export function createScreen(colour: boolean, prefix: boolean, names: readonly string[] = []): Screen {
  const screen: Screen = { colour, prefix, names: new Map(), silent: false, joined: false };
  for (const n of names) register(screen, n);
  return screen;
}

export function register(screen: Screen, name: string): void {
  if (!screen.names.has(name)) screen.names.set(name, COLOURS[screen.names.size % COLOURS.length]!);
}

const painted = (screen: Screen, name: string, words: string): string => (screen.colour ? `\x1b[${screen.names.get(name)}m${words}\x1b[0m` : words);

export function* say(screen: Screen, name: string, line: string, error = false): Call<void> {
  if (screen.silent) return;
  register(screen, name);
  const width = Math.max(...[...screen.names.keys()].map((n) => n.length)) + 1;
  const before = screen.prefix ? painted(screen, name, `${name.padEnd(width)} | `) : '';
  // The line that a menu may stand on is cleared first, terminal or not.
  const apart = error && !screen.joined;
  if (apart) yield* print(CLEAR);
  yield* (apart ? complain : print)(`${apart ? '' : CLEAR}${before}${line}\n`);
}

/** "web-1 exited with code 0". */
export function* tell(screen: Screen, name: string, message: string): Call<void> {
  register(screen, name);
  yield* print(painted(screen, name, `${name} ${message}\n`));
}

interface Held {
  out: string;
  err: string;
}

/** Copies frames (or a terminal's raw bytes) line by line until there is no next piece. */
export function* follow(screen: Screen, name: string, tty: boolean, next: () => Call<Uint8Array | null>, first: Uint8Array = NOTHING): Call<void> {
  const held: Held = { out: '', err: '' };
  let left = first;
  for (;;) {
    left = tty ? yield* feed(screen, name, held, 'out', left) : yield* frames(screen, name, held, left);
    const chunk = yield* next();
    if (chunk === null) break;
    left = left.length === 0 ? chunk : joinBytes([left, chunk]);
  }
  if (held.out !== '') yield* say(screen, name, held.out);
  if (held.err !== '') yield* say(screen, name, held.err, true);
}

function* feed(screen: Screen, name: string, held: Held, to: 'out' | 'err', data: Uint8Array): Call<Uint8Array> {
  const lines = (held[to] + text(data)).split('\n');
  held[to] = lines.pop()!;
  for (const l of lines) yield* say(screen, name, l.replace(/\r$/, ''), to === 'err');
  return NOTHING;
}

function* frames(screen: Screen, name: string, held: Held, data: Uint8Array): Call<Uint8Array> {
  let at = 0;
  while (at + 8 <= data.length) {
    const size = (data[at + 4]! << 24) | (data[at + 5]! << 16) | (data[at + 6]! << 8) | data[at + 7]!;
    if (at + 8 + size > data.length) break;
    yield* feed(screen, name, held, data[at] === 2 ? 'err' : 'out', data.subarray(at + 8, at + 8 + size));
    at += 8 + size;
  }
  return data.subarray(at);
}
