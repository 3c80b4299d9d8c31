/**
 * Drawing the edited line: what is on the screen is known as columns from where the input begins, so that a change is a move up to
 * its first line, the new text, and a move to the cursor. Lines wrap where the terminal wraps them. Source: ECMA-48, readline's display.
 */
import { TIOCGWINSZ, type Winsize } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { charWidth, shownAs } from './width.ts';

export interface Screen {
  fd: number;
  cols: number;
  rows: number;
  /** Column at which input begins: the width of the prompt's last line. */
  origin: number;
  /** Line and column of the cursor, from the prompt's line. */
  row: number;
  col: number;
  /** What is drawn now. */
  shown: string[];
  at: number;
  /** The last column is filled and the terminal has not wrapped yet. */
  pending: boolean;
}

export function* openScreen(fd: number): Call<Screen> {
  const size = (yield* attempt(sys('ioctl', fd, TIOCGWINSZ), null)) as Winsize | null;
  return { fd, cols: Math.max(2, size?.cols || 80), rows: size?.rows || 24, origin: 0, row: 0, col: 0, shown: [], at: 0, pending: false };
}

export function* show(screen: Screen, text: string): Call<void> {
  if (text !== '') yield* attempt(writeAll(screen.fd, bytes(text)), undefined);
}

/** Begins a new input after a prompt of this width. */
export function begin(screen: Screen, width: number): void {
  screen.origin = width % screen.cols;
  screen.row = 0;
  screen.col = screen.origin;
  screen.shown = [];
  screen.at = 0;
  screen.pending = false;
}

/** Where the cursor stands after `count` characters. */
function place(screen: Screen, chars: readonly string[], count: number): { row: number; col: number } {
  let row = 0;
  let col = screen.origin;
  for (let i = 0; i < count; i++) {
    if (chars[i] === '\n') {
      row++;
      col = 0;
      continue;
    }
    const width = charWidth(chars[i]!);
    if (col + width > screen.cols) {
      row++;
      col = 0;
    }
    col += width;
    if (col === screen.cols) {
      row++;
      col = 0;
    }
  }
  return { row, col };
}

const visible = (chars: readonly string[]): string => chars.map((c) => (c === '\n' ? '\r\n' : shownAs(c))).join('');

/** Makes the screen show these characters and this cursor. */
export function* draw(screen: Screen, chars: readonly string[], cursor: number): Call<void> {
  const same = common(screen.shown, chars);
  if (same === chars.length && same === screen.shown.length && cursor === screen.at) return;
  const grows = same === screen.shown.length && screen.at === same && chars.length > same;
  const end = place(screen, chars, chars.length);
  let out = '';
  if (grows && cursor === chars.length) {
    out = visible(chars.slice(same));
    screen.pending = end.col === 0 && end.row > 0 && chars.at(-1) !== '\n';
  } else {
    if (screen.pending) out = ' \r';
    screen.pending = false;
    const changed = same < chars.length || same < screen.shown.length;
    if (changed) {
      const from = place(screen, chars, same);
      out += move(screen.row, screen.col, from) + visible(chars.slice(same)) + (end.row > from.row || same < chars.length ? wrapped(end) : '') + '\x1b[J';
      screen.row = end.row;
      screen.col = end.col;
    }
    out += move(screen.row, screen.col, place(screen, chars, cursor));
  }
  const now = place(screen, chars, cursor);
  screen.row = now.row;
  screen.col = now.col;
  screen.shown = chars.slice();
  screen.at = cursor;
  yield* show(screen, out);
}

/** After the last column a terminal waits with the wrap: a space and a return make it. */
const wrapped = (end: { row: number; col: number }): string => (end.col === 0 && end.row > 0 ? ' \r' : '');

function common(a: readonly string[], b: readonly string[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

function move(row: number, col: number, to: { row: number; col: number }): string {
  if (row === to.row && col === to.col) return '';
  const vertical = to.row < row ? `\x1b[${row - to.row}A` : to.row > row ? `\x1b[${to.row - row}B` : '';
  if (row === to.row && to.col === col - 1) return '\b';
  return `${vertical}\r${to.col > 0 ? `\x1b[${to.col}C` : ''}`;
}

/** Leaves the input behind: the cursor goes to the line after it. */
export function* leave(screen: Screen): Call<void> {
  if (screen.pending) {
    yield* show(screen, '\r\n');
    return;
  }
  const end = place(screen, screen.shown, screen.shown.length);
  yield* show(screen, `${end.row > screen.row ? `\x1b[${end.row - screen.row}B` : ''}\r\n`);
}
