/**
 * Reading a line from the terminal with readline's keys. The terminal is raw while a line is edited and as it was found while
 * commands run. Source: readline(3), emacs mode. Left out: macros, numeric arguments, vi mode, the inputrc file.
 */
import { POLLIN, SysError, TCGETS, TCSETS, type Termios } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import type { Shell } from '../state.ts';
import { type Buffer, createBuffer, insert, OPERATIONS, setText, textOf } from './buffer.ts';
import { complete } from './complete.ts';
import { type Key, readKey, readQuoted } from './keys.ts';
import { begin, draw, leave, openScreen, type Screen, show } from './screen.ts';
import { textWidth } from './width.ts';

/** A line, or why there is none. */
export type Edited = { line: string } | 'eof' | 'interrupt';

export interface Editor {
  kills: string[];
}

interface Session {
  sh: Shell;
  screen: Screen;
  buffer: Buffer;
  prompt: string;
  /** Index into history; its length is the new line. */
  at: number;
  /** Lines of history changed on the way, and the new one. */
  edited: Map<number, string>;
  lastTab: boolean;
  /** How far back M-. has gone. */
  lastArgument: { back: number; length: number } | null;
}

/** The terminal without echo, line editing and signals; gives what it was. */
export function* enterRaw(fd: number): Call<Termios | null> {
  const before = (yield* attempt(sys('ioctl', fd, TCGETS), null)) as Termios | null;
  if (before) yield* attempt(sys('ioctl', fd, TCSETS, { ...before, canonical: false, echo: false, signals: false, mapCrNl: true, postprocess: false }), null);
  return before;
}

export function* leaveRaw(fd: number, before: Termios | null): Call<void> {
  if (before) yield* attempt(sys('ioctl', fd, TCSETS, before), null);
}

/** Prompts and edits one line. `marks` go round the prompt. */
export function* editLine(sh: Shell, editor: Editor, prompt: string, marks: { before: string; after: string }): Call<Edited> {
  const { tty } = sh;
  const saved = yield* enterRaw(tty);
  const screen = yield* openScreen(tty);
  const session: Session = {
    sh, screen, prompt, buffer: createBuffer(editor.kills), at: sh.history.length, edited: new Map(), lastTab: false, lastArgument: null,
  };
  yield* show(screen, marks.before + prompt + marks.after);
  begin(screen, textWidth(prompt.slice(prompt.lastIndexOf('\n') + 1)));
  try {
    return yield* edit(session);
  } finally {
    yield* leaveRaw(tty, saved);
  }
}

function* edit(s: Session): Call<Edited> {
  for (;;) {
    let key: Key;
    try {
      key = yield* readKey(s.screen.fd);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno !== 'EINTR') return 'eof';
      const done = yield* signalled(s);
      if (done) return done;
      continue;
    }
    if (key.type === 'eof') return 'eof';
    if (key.type === 'text') {
      s.buffer.killing = false;
      if (key.text.includes('\n')) key.text = key.text.replace(/\n+$/, '');
      insert(s.buffer, key.text);
      s.lastTab = false;
      s.lastArgument = null;
      if (yield* typedAhead(s.screen.fd)) continue;
    } else {
      const done = yield* act(s, key.name);
      if (done) return done;
    }
    s.lastTab = key.type === 'name' && key.name === 'complete';
    if (!(key.type === 'name' && key.name === 'last-argument')) s.lastArgument = null;
    yield* draw(s.screen, s.buffer.chars, s.buffer.cursor);
  }
}

/** More keys are there already: the line is drawn after them. */
export function* typedAhead(fd: number): Call<boolean> {
  return (yield* attempt(sys('poll', [{ fd, events: POLLIN }], 0), [])).length > 0;
}

/** A signal came while waiting for a key: ^C from elsewhere, or a window of another size. */
function* signalled(s: Session): Call<Edited | null> {
  if (s.sh.pending.includes(2)) {
    s.sh.pending = s.sh.pending.filter((n) => n !== 2);
    return yield* interrupt(s);
  }
  const winch = s.sh.pending.includes(28);
  s.sh.pending = s.sh.pending.filter((n) => n !== 28);
  if (winch) {
    const { cols, rows } = yield* openScreen(s.screen.fd);
    s.screen.cols = cols;
    s.screen.rows = rows;
    yield* redraw(s, '\r\x1b[J');
  }
  return null;
}

function* interrupt(s: Session): Call<Edited> {
  yield* draw(s.screen, s.buffer.chars, s.buffer.chars.length);
  yield* show(s.screen, '^C\r\n');
  return 'interrupt';
}

/** The prompt and line again, after something was printed over them. */
function* redraw(s: Session, before: string): Call<void> {
  const last = s.prompt.slice(s.prompt.lastIndexOf('\n') + 1);
  yield* show(s.screen, before + last);
  begin(s.screen, textWidth(last));
  yield* draw(s.screen, s.buffer.chars, s.buffer.cursor);
}

function* act(s: Session, name: string): Call<Edited | null> {
  const { buffer } = s;
  const operation = OPERATIONS[name];
  if (operation) {
    if (!name.startsWith('kill-')) buffer.killing = false;
    operation(buffer);
    return null;
  }
  buffer.killing = false;
  switch (name) {
    case 'accept':
      yield* draw(s.screen, buffer.chars, buffer.chars.length);
      yield* leave(s.screen);
      return { line: textOf(buffer) };
    case 'interrupt': return yield* interrupt(s);
    case 'end-of-file':
      if (buffer.chars.length === 0) return 'eof';
      OPERATIONS.delete!(buffer);
      return null;
    case 'clear':
      yield* redraw(s, '\x1b[H\x1b[2J');
      return null;
    case 'previous': yield* travel(s, s.at - 1); return null;
    case 'next': yield* travel(s, s.at + 1); return null;
    case 'first-history': yield* travel(s, 0); return null;
    case 'last-history': yield* travel(s, s.sh.history.length); return null;
    case 'complete': yield* tab(s); return null;
    case 'search': return yield* search(s);
    case 'quote': insert(buffer, yield* readQuoted(s.screen.fd)); return null;
    case 'newline': insert(buffer, '\n'); return null;
    case 'last-argument': lastArgument(s); return null;
    default: return null;
  }
}

function* travel(s: Session, to: number): Call<void> {
  if (to < 0 || to > s.sh.history.length) {
    yield* show(s.screen, '\x07');
    return;
  }
  s.edited.set(s.at, textOf(s.buffer));
  s.at = to;
  setText(s.buffer, s.edited.get(to) ?? s.sh.history[to] ?? '');
}

/** M-. puts in the last word of the previous line; again, of the one before. */
function lastArgument(s: Session): void {
  const back = (s.lastArgument?.back ?? 0) + 1;
  const line = s.sh.history.at(-back);
  if (line === undefined) return;
  const word = line.trim().split(/\s+/).at(-1) ?? '';
  const { buffer } = s;
  if (s.lastArgument) {
    buffer.chars.splice(buffer.cursor - s.lastArgument.length, s.lastArgument.length);
    buffer.cursor -= s.lastArgument.length;
  }
  insert(buffer, word);
  s.lastArgument = { back, length: Array.from(word).length };
}

function* tab(s: Session): Call<void> {
  const { buffer } = s;
  const found = yield* complete(s.sh, buffer.chars.slice(0, buffer.cursor).join(''));
  const typed = buffer.chars.slice(found.from, buffer.cursor).join('');
  if (found.words.length === 0) {
    yield* show(s.screen, '\x07');
    return;
  }
  const common = shared(found.words);
  const only = found.words.length === 1;
  const text = only ? found.words[0]! + (found.words[0]!.endsWith('/') ? '' : found.suffix) : common;
  if (text !== typed && (only || text.length > typed.length)) {
    buffer.chars.splice(found.from, buffer.cursor - found.from);
    buffer.cursor = found.from;
    insert(buffer, text);
    if (!only) yield* show(s.screen, '\x07');
    return;
  }
  if (!s.lastTab) {
    yield* show(s.screen, '\x07');
    return;
  }
  yield* listCandidates(s, found.shown);
}

function shared(words: readonly string[]): string {
  let prefix = words[0]!;
  for (const word of words) while (!word.startsWith(prefix)) prefix = prefix.slice(0, -1);
  return prefix;
}

function* listCandidates(s: Session, words: readonly string[]): Call<void> {
  yield* draw(s.screen, s.buffer.chars, s.buffer.chars.length);
  yield* leave(s.screen);
  if (words.length > 100) {
    yield* show(s.screen, `Display all ${words.length} possibilities? (y or n)`);
    const key = yield* readKey(s.screen.fd);
    yield* show(s.screen, '\r\n');
    if (!(key.type === 'text' && /[yY ]/.test(key.text))) {
      yield* redraw(s, '');
      return;
    }
  }
  const width = Math.max(...words.map(textWidth)) + 2;
  const columns = Math.max(1, Math.floor(s.screen.cols / width));
  const rows = Math.ceil(words.length / columns);
  let out = '';
  for (let r = 0; r < rows; r++) {
    const line = [];
    for (let c = r; c < words.length; c += rows) line.push(words[c]! + ' '.repeat(width - textWidth(words[c]!)));
    out += `${line.join('').trimEnd()}\r\n`;
  }
  yield* show(s.screen, out);
  yield* redraw(s, '');
}

/** C-r: searches backwards as one types. */
function* search(s: Session): Call<Edited | null> {
  const { sh, buffer } = s;
  let wanted = '';
  let at = sh.history.length;
  let found = textOf(buffer);
  let failing = false;
  const look = (from: number): void => {
    for (let i = from; i >= 0; i--) {
      if (!sh.history[i]?.includes(wanted)) continue;
      at = i;
      found = sh.history[i]!;
      failing = false;
      return;
    }
    failing = true;
  };
  for (;;) {
    yield* show(s.screen, `${up(s.screen)}\r\x1b[J`);
    const label = `(${failing ? 'failed ' : ''}reverse-i-search)\`${wanted}': `;
    yield* show(s.screen, label);
    begin(s.screen, textWidth(label));
    const chars = Array.from(found);
    const hit = wanted === '' ? chars.length : Array.from(found.slice(0, found.indexOf(wanted))).length;
    yield* draw(s.screen, chars, Math.max(0, hit));
    const key = yield* readKey(s.screen.fd);
    if (key.type === 'text') {
      wanted += key.text;
      look(Math.min(at, sh.history.length - 1));
      continue;
    }
    if (key.type === 'name' && key.name === 'search') {
      look(at - 1);
      continue;
    }
    if (key.type === 'name' && key.name === 'backspace') {
      wanted = wanted.slice(0, -1);
      at = sh.history.length;
      if (wanted !== '') look(at - 1);
      continue;
    }
    const aborted = key.type === 'eof' || key.name === 'abort' || key.name === 'interrupt';
    if (!aborted) {
      setText(buffer, found);
      if (at < sh.history.length) s.at = at;
    }
    yield* redraw(s, `${up(s.screen)}\r\x1b[J`);
    if (key.type === 'eof') return 'eof';
    return key.name === 'abort' ? null : yield* act(s, key.name);
  }
}

const up = (screen: Screen): string => (screen.row > 0 ? `\x1b[${screen.row}A` : '');

