/** cat, tac, rev, tee, paste, nl, fold, split of lines: what passes text through. */
import { AT_FDCWD, O_APPEND, O_CREAT, O_TRUNC, O_WRONLY, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { quoted } from './quote.ts';
import { unescaped } from './escapes.ts';
import { chomp, createOut, createReader, decoded, eachInput, encoded, flush, lineWaits, nextLine, put, putOut, READ, type Reader, readRest, refuseDirectory } from './streams.ts';

export const cat = command(function* (argv) {
  const o = parseOptions('A/show-all b/number-nonblank e E/show-ends n/number s/squeeze-blank t T/show-tabs u v/show-nonprinting', argv.slice(1));
  const plain = o.on.size === 0 || (o.on.size === 1 && o.on.has('u'));
  const state = { line: 0, blanks: 0, fresh: true };
  return yield* eachInput('cat', o.words, function* ({ fd }) {
    if (!plain) return yield* dressed(o, fd, state);
    for (;;) {
      const data = yield* sys('read', fd, 131072);
      if (data.length === 0) return;
      yield* named(writeAll(1, data));
    }
  });
});

/** What goes wrong with the output is not the input's fault. */
function* named(written: Call<void>): Call<void> {
  try {
    yield* written;
  } catch (error) {
    if (!(error instanceof SysError) || error.errno === 'EPIPE') throw error;
    throw new Failed(`write error: ${strerror(error)}`);
  }
}

function* dressed(o: Options, fd: number, state: { line: number; blanks: number; fresh: boolean }): Call<void> {
  const { on } = o;
  const all = on.has('show-all');
  const show = { ends: all || on.has('show-ends') || on.has('e'), tabs: all || on.has('show-tabs') || on.has('t'), odd: all || on.has('show-nonprinting') || on.has('e') || on.has('t') };
  const reader = createReader(fd);
  const out = createOut();
  for (;;) {
    const line = yield* nextLine(reader);
    if (line === null) break;
    const body = chomp(line);
    state.blanks = line === '\n' && state.fresh ? state.blanks + 1 : 0;
    if (on.has('squeeze-blank') && state.blanks > 1) continue;
    if (state.fresh && (on.has('number-nonblank') ? body !== '' : on.has('number'))) yield* put(out, `${String(++state.line).padStart(6)}\t`);
    state.fresh = line.endsWith('\n');
    yield* put(out, visible(body, show) + (state.fresh ? (show.ends ? '$\n' : '\n') : ''));
    if (!lineWaits(reader)) yield* flush(out);
  }
  yield* flush(out);
}

function visible(body: string, show: { tabs: boolean; odd: boolean }): string {
  if (!show.odd && !show.tabs) return body;
  return body.replace(/[\x00-\x1f\x7f-\xff]/g, (c) => {
    if (c === '\t') return show.tabs ? '^I' : c;
    return show.odd ? caret(c.charCodeAt(0)) : c;
  });
}

function caret(code: number): string {
  if (code >= 128) return `M-${code >= 160 && code !== 255 ? String.fromCharCode(code - 128) : code === 255 ? '^?' : caret(code - 128)}`;
  return code === 127 ? '^?' : `^${String.fromCharCode(code + 64)}`;
}

export const tac = command(function* (argv) {
  const o = parseOptions('b/before r/regex s/separator=', argv.slice(1));
  const separator = encoded(lastValue(o, 'separator') ?? '\n');
  return yield* eachInput('tac', o.words, function* ({ fd }) {
    yield* refuseDirectory(fd);
    const pieces = (yield* readRest(fd)).split(separator);
    const last = pieces.pop()!;
    const lines = pieces.map((p) => p + separator);
    if (last !== '') lines.push(last);
    yield* putOut(lines.reverse().join(''));
  }, (name) => `failed to open ${quoted(name)} for reading`);
});

export const rev = command(function* (argv) {
  const o = parseOptions('0/zero', argv.slice(1));
  return yield* eachInput('rev', o.words, function* ({ fd }) {
    const reader = createReader(fd);
    const out = createOut();
    for (let line = yield* nextLine(reader); line !== null; line = yield* nextLine(reader)) {
      yield* put(out, encoded([...decoded(chomp(line))].reverse().join('')) + (line.endsWith('\n') ? '\n' : ''));
      if (!lineWaits(reader)) yield* flush(out);
    }
    yield* flush(out);
  }, (name) => `cannot open ${name}`);
});

export const tee = command(function* (argv) {
  const o = parseOptions('a/append i/ignore-interrupts p output-error?', argv.slice(1));
  const targets: { fd: number; name: string }[] = [];
  let status = 0;
  for (const name of o.words) {
    try {
      targets.push({ fd: yield* sys('openat', AT_FDCWD, name, O_WRONLY | O_CREAT | (o.on.has('append') ? O_APPEND : O_TRUNC), 0o666), name });
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`tee: ${name}: ${strerror(error)}\n`);
      status = 1;
    }
  }
  for (;;) {
    const data = yield* sys('read', 0, READ);
    if (data.length === 0) return status;
    yield* writeAll(1, data);
    for (const [i, target] of targets.entries()) {
      try {
        yield* writeAll(target.fd, data);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        yield* complain(`tee: ${target.name}: ${strerror(error)}\n`);
        targets.splice(i, 1);
        status = 1;
      }
    }
  }
});

export const paste = command(function* (argv) {
  const o = parseOptions('d/delimiters= s/serial z/zero-terminated', argv.slice(1));
  const list = unescaped(encoded(lastValue(o, 'delimiters') ?? '\t').replaceAll('\\0', '\x00'), 'printf').text;
  const delimiters = [...list].map((c) => (c === '\x00' ? '' : c));
  const between = (i: number): string => (delimiters.length === 0 ? '' : delimiters[i % delimiters.length]!);
  const readers: Reader[] = [];
  const input = createReader(0);
  for (const name of o.words.length === 0 ? ['-'] : o.words) {
    if (name === '-') readers.push(input);
    else {
      try {
        readers.push(createReader(yield* sys('openat', AT_FDCWD, name, 0)));
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        throw new Failed(`${name}: ${strerror(error)}`);
      }
    }
  }
  const out = createOut();
  if (o.on.has('serial')) {
    for (const reader of readers) {
      let text = '';
      let n = 0;
      for (let line = yield* nextLine(reader); line !== null; line = yield* nextLine(reader)) {
        text += (n > 0 ? between(n - 1) : '') + chomp(line);
        n++;
      }
      yield* put(out, `${text}\n`);
    }
    yield* flush(out);
    return 0;
  }
  for (;;) {
    let any = false;
    let text = '';
    for (const [i, reader] of readers.entries()) {
      const line = yield* nextLine(reader);
      if (line !== null) any = true;
      text += (i > 0 ? between(i - 1) : '') + (line === null ? '' : chomp(line));
    }
    if (!any) break;
    yield* put(out, `${text}\n`);
  }
  yield* flush(out);
  return 0;
});

export const nl = command(function* (argv) {
  const o = parseOptions('b/body-numbering= n/number-format= s/number-separator= w/number-width= v/starting-line-number= i/line-increment= f= h= d= l= p', argv.slice(1));
  const style = lastValue(o, 'body-numbering') ?? 't';
  const format = lastValue(o, 'number-format') ?? 'rn';
  const width = Number(lastValue(o, 'number-width') ?? 6);
  const separator = encoded(lastValue(o, 'number-separator') ?? '\t');
  let n = Number(lastValue(o, 'starting-line-number') ?? 1);
  return yield* eachInput('nl', o.words, function* ({ fd }) {
    const reader = createReader(fd);
    const out = createOut();
    for (let line = yield* nextLine(reader); line !== null; line = yield* nextLine(reader)) {
      const body = chomp(line);
      const numbered = style === 'a' || (style === 't' && body !== '');
      const shown = format === 'ln' ? String(n).padEnd(width) : String(n).padStart(width, format === 'rz' ? '0' : ' ');
      yield* put(out, numbered ? `${shown}${separator}${body}\n` : `${' '.repeat(width + separator.length)}${body}\n`);
      if (numbered) n += Number(lastValue(o, 'line-increment') ?? 1);
    }
    yield* flush(out);
  });
});

export const fold = command(function* (argv) {
  const args = argv.slice(1).map((a) => (/^-\d+$/.test(a) ? `-w${a.slice(1)}` : a));
  const o = parseOptions('b/bytes s/spaces w/width=', args);
  const width = Number(lastValue(o, 'width') ?? 80);
  if (!(width > 0)) throw new Failed(`invalid number of columns: ‘${lastValue(o, 'width')}’`);
  return yield* eachInput('fold', o.words, function* ({ fd }) {
    const reader = createReader(fd);
    const out = createOut();
    for (let line = yield* nextLine(reader); line !== null; line = yield* nextLine(reader)) {
      let rest = decoded(chomp(line));
      for (let fits = fitting(rest, width); fits < rest.length; fits = fitting(rest, width)) {
        const blank = o.on.has('spaces') ? rest.slice(0, fits).lastIndexOf(' ') + 1 : 0;
        const at = blank > 0 ? blank : fits;
        yield* put(out, `${encoded(rest.slice(0, at))}\n`);
        rest = rest.slice(at);
      }
      yield* put(out, encoded(rest) + (line.endsWith('\n') ? '\n' : ''));
    }
    yield* flush(out);
  });
});

/** How many characters come before this column; a tab goes to the next multiple of eight. */
function fitting(line: string, width: number): number {
  let column = 0;
  for (let i = 0; i < line.length; i++) {
    column = line[i] === '\t' ? column + 8 - (column % 8) : column + 1;
    if (column > width) return Math.max(1, i);
  }
  return line.length;
}

export const split = command(function* (argv) {
  const o = parseOptions('a/suffix-length= b/bytes= d/numeric-suffixes l/lines= additional-suffix=', argv.slice(1));
  const [name = '-', prefix = 'x'] = o.words;
  if (o.words.length > 2) throw new BadOption(`extra operand ${quoted(o.words[2]!)}`);
  const bytes = o.on.has('bytes') ? Number(/^\d+/.exec(lastValue(o, 'bytes')!)?.[0] ?? 0) * ({ k: 1024, K: 1024, m: 1048576, M: 1048576 }[lastValue(o, 'bytes')!.slice(-1) as 'K'] ?? 1) : 0;
  const lines = Number(lastValue(o, 'lines') ?? 1000);
  const length = Number(lastValue(o, 'suffix-length') ?? 2);
  let text = '';
  const status = yield* eachInput('split', [name], function* ({ fd }) {
    text = yield* readRest(fd);
  }, (n) => `cannot open ${quoted(n)} for reading`);
  if (status > 0) return status;
  const pieces: string[] = [];
  if (bytes > 0) for (let i = 0; i < text.length; i += bytes) pieces.push(text.slice(i, i + bytes));
  else {
    const all = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
    for (let i = 0; i < all.length; i += lines) pieces.push(all.slice(i, i + lines).join(''));
  }
  for (const [i, piece] of pieces.entries()) {
    const suffix = o.on.has('numeric-suffixes') ? String(i).padStart(length, '0') : lettered(i, length);
    const fd = yield* sys('openat', AT_FDCWD, `${prefix}${suffix}${lastValue(o, 'additional-suffix') ?? ''}`, O_WRONLY | O_CREAT | O_TRUNC, 0o666);
    const out = Uint8Array.from(piece, (c) => c.charCodeAt(0));
    yield* attempt(writeAll(fd, out), undefined);
    yield* sys('close', fd);
  }
  return 0;
});

function lettered(n: number, length: number): string {
  let out = '';
  for (let left = n, i = 0; i < length; i++, left = Math.floor(left / 26)) out = String.fromCharCode(97 + (left % 26)) + out;
  return out;
}
