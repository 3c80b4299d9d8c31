/** The line being edited, as characters and a cursor; every operation of the emacs keys on it. Source: readline(3). */

export interface Buffer {
  chars: string[];
  cursor: number;
  /** What was cut, the newest last. */
  kills: string[];
  /** The last operation was a cut: the next one joins it. */
  killing: boolean;
  undo: { chars: string[]; cursor: number }[];
}

export function createBuffer(kills: string[]): Buffer {
  return { chars: [], cursor: 0, kills, killing: false, undo: [] };
}

export function textOf(buffer: Buffer): string {
  return buffer.chars.join('');
}

export function setText(buffer: Buffer, text: string): void {
  remember(buffer);
  buffer.chars = Array.from(text);
  buffer.cursor = buffer.chars.length;
}

function remember(buffer: Buffer): void {
  buffer.undo.push({ chars: buffer.chars.slice(), cursor: buffer.cursor });
  if (buffer.undo.length > 200) buffer.undo.shift();
}

export function insert(buffer: Buffer, text: string): void {
  remember(buffer);
  const added = Array.from(text);
  buffer.chars.splice(buffer.cursor, 0, ...added);
  buffer.cursor += added.length;
}

const isWord = (char: string | undefined): boolean => char !== undefined && /[\p{L}\p{N}]/u.test(char);

function wordLeft(buffer: Buffer): number {
  let at = buffer.cursor;
  while (at > 0 && !isWord(buffer.chars[at - 1])) at--;
  while (at > 0 && isWord(buffer.chars[at - 1])) at--;
  return at;
}

function wordRight(buffer: Buffer): number {
  let at = buffer.cursor;
  while (at < buffer.chars.length && !isWord(buffer.chars[at])) at++;
  while (at < buffer.chars.length && isWord(buffer.chars[at])) at++;
  return at;
}

function blankLeft(buffer: Buffer): number {
  let at = buffer.cursor;
  while (at > 0 && /\s/.test(buffer.chars[at - 1]!)) at--;
  while (at > 0 && !/\s/.test(buffer.chars[at - 1]!)) at--;
  return at;
}

/** Cuts [from, to) into the kill ring. */
function cut(buffer: Buffer, from: number, to: number): void {
  const wasKilling = buffer.killing;
  buffer.killing = true;
  if (from >= to) return;
  remember(buffer);
  const before = from < buffer.cursor;
  const text = buffer.chars.splice(from, to - from).join('');
  const last = wasKilling ? buffer.kills.pop() : undefined;
  buffer.kills.push(last === undefined ? text : before ? text + last : last + text);
  if (buffer.kills.length > 10) buffer.kills.shift();
  buffer.cursor = from;
}

function remove(buffer: Buffer, from: number, to: number): void {
  if (from < 0 || from >= to || from >= buffer.chars.length) return;
  remember(buffer);
  buffer.chars.splice(from, to - from);
  buffer.cursor = from;
}

function transpose(buffer: Buffer): void {
  const { chars } = buffer;
  if (buffer.cursor === 0 || chars.length < 2) return;
  remember(buffer);
  const at = buffer.cursor === chars.length ? buffer.cursor - 1 : buffer.cursor;
  [chars[at - 1], chars[at]] = [chars[at]!, chars[at - 1]!];
  buffer.cursor = at + 1;
}

function recase(buffer: Buffer, change: (word: string) => string): void {
  const end = wordRight(buffer);
  remember(buffer);
  const changed = Array.from(change(buffer.chars.slice(buffer.cursor, end).join('')));
  buffer.chars.splice(buffer.cursor, end - buffer.cursor, ...changed);
  buffer.cursor = end;
}

function yank(buffer: Buffer): void {
  const last = buffer.kills.at(-1);
  if (last !== undefined) insert(buffer, last);
}

function undo(buffer: Buffer): void {
  const before = buffer.undo.pop();
  if (!before) return;
  buffer.chars = before.chars;
  buffer.cursor = before.cursor;
}

const capital = (word: string): string => word.toLowerCase().replace(/[\p{L}\p{N}]/u, (c) => c.toUpperCase());

/** Operations by the name that keys.ts gives to a key. */
export const OPERATIONS: Readonly<Record<string, (buffer: Buffer) => void>> = {
  home: (b) => { b.cursor = 0; },
  end: (b) => { b.cursor = b.chars.length; },
  left: (b) => { b.cursor = Math.max(0, b.cursor - 1); },
  right: (b) => { b.cursor = Math.min(b.chars.length, b.cursor + 1); },
  'word-left': (b) => { b.cursor = wordLeft(b); },
  'word-right': (b) => { b.cursor = wordRight(b); },
  backspace: (b) => remove(b, b.cursor - 1, b.cursor),
  delete: (b) => remove(b, b.cursor, b.cursor + 1),
  'kill-end': (b) => cut(b, b.cursor, b.chars.length),
  'kill-start': (b) => cut(b, 0, b.cursor),
  'kill-blank-left': (b) => cut(b, blankLeft(b), b.cursor),
  'kill-word-left': (b) => cut(b, wordLeft(b), b.cursor),
  'kill-word-right': (b) => cut(b, b.cursor, wordRight(b)),
  transpose, yank, undo,
  upcase: (b) => recase(b, (w) => w.toUpperCase()),
  downcase: (b) => recase(b, (w) => w.toLowerCase()),
  capitalize: (b) => recase(b, capital),
};
