/** less and more: a text page by page. Keys: space, b, j, k, g, G, /, n, N, h, q and the arrows. Without a terminal they are cat. */
import { AT_FDCWD, O_RDONLY, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { parseOptions } from '../lib/args.ts';
import { isDir } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print, strerror } from '../lib/io.ts';
import { BadRegex, compileRegex } from './regex.ts';
import { type Regex, search } from './regex-program.ts';
import { closeScreen, nextKey, openScreen, type Screen, sizeOf } from './screen.ts';
import { decoded, encoded, putOut, readRest } from './streams.ts';

interface Pager {
  lines: string[];
  top: number;
  pattern: Regex | null;
  message: string;
  name: string;
  numbers: boolean;
}

export const less = command(function* (argv) {
  const o = parseOptions('E e F f G I i K M m N n Q q R r S s U V W w X p= x= z= + RAW-CONTROL-CHARS', argv.slice(1).filter((a) => !a.startsWith('+')));
  let text = '';
  let status = 0;
  for (const name of o.words.length > 0 ? o.words : ['-']) {
    try {
      const fd = name === '-' ? 0 : yield* sys('openat', AT_FDCWD, name, O_RDONLY);
      if (isDir(yield* sys('fstat', fd))) yield* complain(`${name} is a directory\n`);
      else text += decoded(yield* readRest(fd));
      if (fd > 0) yield* sys('close', fd);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`${name}: ${strerror(error)}\n`);
      status = 1;
    }
  }
  if (status > 0 && text === '') return status;
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const size = yield* sizeOf();
  const screen = o.on.has('F') && lines.length < size.rows ? null : yield* openScreen();
  if (!screen) yield* putOut(encoded(text));
  else {
    yield* page(screen, { lines, top: argv.includes('+G') ? Math.max(0, lines.length - size.rows + 1) : 0, pattern: null, message: '', name: o.words[0] ?? '', numbers: o.on.has('N') });
    yield* closeScreen(screen);
  }
  return status;
});

function* page(screen: Screen, p: Pager): Call<void> {
  for (;;) {
    const { rows, cols } = yield* sizeOf();
    const height = rows - 1;
    const last = Math.max(0, p.lines.length - height);
    p.top = Math.max(0, Math.min(p.top, last));
    yield* draw(p, height, cols);
    const key = (yield* nextKey(screen, -1)) ?? 'q';
    p.message = '';
    if (key === 'q' || key === 'Q' || key === ':q') return;
    if (key === ' ' || key === 'f' || key === '\x1b[6~') p.top += height;
    else if (key === 'b' || key === '\x1b[5~') p.top -= height;
    else if (key === 'd') p.top += Math.floor(height / 2);
    else if (key === 'u') p.top -= Math.floor(height / 2);
    else if (key === 'j' || key === '\r' || key === '\n' || key === '\x1b[B') p.top++;
    else if (key === 'k' || key === 'y' || key === '\x1b[A') p.top--;
    else if (key === 'g' || key === '<' || key === '\x1b[H') p.top = 0;
    else if (key === 'G' || key === '>' || key === '\x1b[F') p.top = last;
    else if (key === '/' || key === '?') yield* ask(screen, p, key, rows);
    else if (key === 'n') seek(p, p.top + 1, 1);
    else if (key === 'N') seek(p, p.top - 1, -1);
    else if (key === 'h') p.message = 'space/b: page  j/k: line  g/G: ends  /: search  n/N: again  q: quit';
  }
}

function* draw(p: Pager, height: number, cols: number): Call<void> {
  const shown = p.lines.slice(p.top, p.top + height);
  const numbered = (line: string, i: number): string => (p.numbers ? `${String(p.top + i + 1).padStart(7)} ${line}` : line);
  const body = shown.map((line, i) => lit(p, numbered(line.replace(/[\x00-\x08\x0b-\x1a\x1c-\x1f]/g, '?').replace(/\t/g, '        ').slice(0, cols), i)));
  while (body.length < height) body.push('~');
  const end = p.top + height >= p.lines.length;
  const status = p.message !== '' ? p.message : end ? '(END)' : p.name !== '' && p.top === 0 ? p.name : ':';
  yield* print(`\x1b[H\x1b[2J${body.join('\r\n')}\r\n\x1b[7m${status.slice(0, cols - 1)}\x1b[0m`);
}

function lit(p: Pager, line: string): string {
  if (!p.pattern) return line;
  let out = '';
  let at = 0;
  for (;;) {
    const found = search(p.pattern, line, at);
    if (!found || found[1] === found[0]) return out + line.slice(at);
    out += `${line.slice(at, found[0])}\x1b[7m${line.slice(found[0], found[1])}\x1b[0m`;
    at = found[1]!;
  }
}

function* ask(screen: Screen, p: Pager, mark: string, rows: number): Call<void> {
  let typed = '';
  for (;;) {
    yield* print(`\x1b[${rows};1H\x1b[2K${mark}${typed}`);
    const key = (yield* nextKey(screen, -1)) ?? '\r';
    if (key === '\r' || key === '\n') break;
    if (key === '\x1b') return;
    if (key === '\x7f' || key === '\b') {
      if (typed === '') return;
      typed = typed.slice(0, -1);
    } else if (!key.startsWith('\x1b')) typed += key;
  }
  try {
    if (typed !== '') p.pattern = compileRegex(typed, { syntax: 'extended', ignoreCase: typed === typed.toLowerCase() });
  } catch (error) {
    if (!(error instanceof BadRegex)) throw error;
    p.message = `Invalid pattern: ${error.message}`;
    return;
  }
  seek(p, mark === '/' ? p.top : p.top - 1, mark === '/' ? 1 : -1);
}

function seek(p: Pager, from: number, by: 1 | -1): void {
  if (!p.pattern) {
    p.message = 'No previous regular expression';
    return;
  }
  for (let i = from; i >= 0 && i < p.lines.length; i += by) {
    if (!search(p.pattern, p.lines[i]!)) continue;
    p.top = i;
    return;
  }
  p.message = 'Pattern not found';
}
