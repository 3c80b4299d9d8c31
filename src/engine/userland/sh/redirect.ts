/**
 * Redirections, performed left to right as written. Around a builtin or a compound command the descriptors that they replace
 * are kept above 10 and put back afterwards. Source: bash(1) REDIRECTION.
 */
import type { HereDoc, HereString, Redirect, Redirection } from 'unbash';
import { AT_FDCWD, O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, S_IFMT, S_IFREG, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes } from '../../sim/text.ts';
import { attempt, statOf } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { strerror } from '../lib/io.ts';
import { expandHere, expandOne, expandTarget } from './expand.ts';
import { Bad, type Shell } from './state.ts';
import { get, set } from './variables.ts';

/** A descriptor that was replaced and its copy; -1 when it was closed before. */
export interface Saved {
  fd: number;
  copy: number;
}

const PIPE_ROOM = 65536;
const CLOEXEC = 1;

/** Performs them; with `saved` what they replace is remembered. Throws Bad; what was done by then can be undone. */
export function* redirect(sh: Shell, all: readonly Redirection[], saved: Saved[] | null): Call<void> {
  for (const one of all) {
    if (one.type === 'HereDoc') yield* hereDoc(sh, one, saved);
    else if (one.type === 'HereString') yield* hereString(sh, one, saved);
    else yield* plain(sh, one, saved);
  }
}

export function* restore(saved: readonly Saved[]): Call<void> {
  for (const { fd, copy } of saved.slice().reverse()) {
    if (copy < 0) yield* attempt(sys('close', fd), 0);
    else {
      yield* attempt(sys('dup3', copy, fd, 0), 0);
      yield* attempt(sys('close', copy), 0);
    }
  }
}

/** Makes `fd` mean what `from` means; `from` is closed when it was opened for this. */
function* place(from: number, fd: number, saved: Saved[] | null, keepFrom: boolean): Call<void> {
  if (saved) {
    const copy = fd === from && !keepFrom ? -1 : yield* attempt(sys('fcntl', fd, 'dupfd_cloexec', 10), -1);
    saved.push({ fd, copy });
  }
  if (from === fd) {
    yield* attempt(sys('fcntl', fd, 'setfd', 0), 0);
    return;
  }
  yield* sys('dup3', from, fd, 0);
  if (!keepFrom) yield* sys('close', from);
}

const FLAGS: Record<string, number> = {
  '<': O_RDONLY, '>': O_WRONLY | O_CREAT | O_TRUNC, '>>': O_WRONLY | O_CREAT | O_APPEND, '<>': O_RDWR | O_CREAT, '>|': O_WRONLY | O_CREAT | O_TRUNC,
  '&>': O_WRONLY | O_CREAT | O_TRUNC, '&>>': O_WRONLY | O_CREAT | O_APPEND,
};

function* plain(sh: Shell, one: Redirect, saved: Saved[] | null): Call<void> {
  if (!one.target) throw new Bad('syntax error near unexpected token `newline\'', { status: 2 });
  const { operator } = one;
  const word = yield* expandTarget(sh, one.target);
  const wanted = operator.startsWith('<') ? 0 : 1;
  if (one.descriptor?.type === 'FileDescriptorVariable') {
    yield* named(sh, one.descriptor.name, one, word);
    return;
  }
  const fd = one.descriptor?.value ?? wanted;
  if (operator === '<&' || operator === '>&') {
    if (/^\d+-?$|^-$/.test(word)) {
      yield* duplicate(fd, word, saved);
      return;
    }
    if (operator === '<&' || one.descriptor) throw new Bad(`${word}: ambiguous redirect`);
  }
  const both = operator.startsWith('&') || operator === '>&';
  const opened = yield* open(sh, word, operator === '>&' ? '&>' : operator);
  yield* place(opened, fd, saved, false);
  if (both) yield* place(1, 2, saved, true);
}

function* duplicate(fd: number, word: string, saved: Saved[] | null): Call<void> {
  if (word === '-') {
    if (saved) saved.push({ fd, copy: yield* attempt(sys('fcntl', fd, 'dupfd_cloexec', 10), -1) });
    yield* attempt(sys('close', fd), 0);
    return;
  }
  const from = Number.parseInt(word, 10);
  if ((yield* attempt(sys('fcntl', from, 'getfd'), -1)) < 0) throw new Bad(`${from}: Bad file descriptor`);
  yield* place(from, fd, saved, true);
  if (word.endsWith('-') && from !== fd) yield* sys('close', from);
}

/** {name}>file: a descriptor of the shell's choosing. */
function* named(sh: Shell, name: string, one: Redirect, word: string): Call<void> {
  if ((one.operator === '>&' || one.operator === '<&') && word === '-') {
    yield* attempt(sys('close', Number(get(sh, name) ?? '-1')), 0);
    return;
  }
  const from = /^\d+$/.test(word) && one.operator.endsWith('&') ? Number(word) : yield* open(sh, word, one.operator);
  const fd = yield* sys('fcntl', from, 'dupfd', 10);
  if (!/^\d+$/.test(word)) yield* sys('close', from);
  set(sh, name, String(fd));
}

function* open(sh: Shell, path: string, operator: string): Call<number> {
  let flags = FLAGS[operator] ?? O_RDONLY;
  if (/^\/dev\/(tcp|udp)\//.test(path)) throw new Bad(`not modelled: ${path}`);
  if (operator === '>' && sh.options.has('noclobber')) {
    const stat = yield* statOf(path);
    if (stat && (stat.mode & S_IFMT) === S_IFREG) throw new Bad(`${path}: cannot overwrite existing file`);
    if (!stat) flags |= O_EXCL;
  }
  for (;;) {
    try {
      return yield* sys('openat', AT_FDCWD, path, flags, 0o666);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno === 'EINTR' && sh.pending.length === 0) continue;
      throw new Bad(failure(sh, path, operator, error));
    }
  }
}

function failure(sh: Shell, path: string, operator: string, error: SysError): string {
  if (sh.flavour === 'bash') return `${path}: ${strerror(error)}`;
  const verb = operator === '<' ? 'open' : 'create';
  const what = error.errno === 'ENOENT' ? (operator === '<' ? 'No such file' : 'Directory nonexistent') : strerror(error);
  return sh.flavour === 'dash' ? `cannot ${verb} ${path}: ${what}` : `can't ${verb} ${path}: ${error.errno === 'ENOENT' && operator !== '<' ? 'nonexistent directory' : error.errno === 'ENOENT' ? 'no such file' : strerror(error)}`;
}

function* hereDoc(sh: Shell, one: HereDoc, saved: Saved[] | null): Call<void> {
  let body = one.body.text;
  if (body !== '' && !body.endsWith('\n')) body += '\n';
  if (one.operator === '<<-') body = body.replace(/^\t+/gm, '');
  const text = one.delimiter?.quoted ? body : yield* expandHere(sh, { text: body, parts: one.body.parts });
  yield* feed(sh, text, one, saved);
}

function* hereString(sh: Shell, one: HereString, saved: Saved[] | null): Call<void> {
  const text = one.target ? yield* expandOne(sh, one.target) : '';
  yield* feed(sh, `${text}\n`, one, saved);
}

/** The text becomes a pipe's content, or a nameless file's when it is long. */
function* feed(sh: Shell, text: string, one: HereDoc | HereString, saved: Saved[] | null): Call<void> {
  const fd = one.descriptor?.type === 'FileDescriptor' ? one.descriptor.value : 0;
  const data = bytes(text);
  if (data.length <= PIPE_ROOM) {
    const [r, w] = yield* sys('pipe2', 0);
    yield* sys('fcntl', w, 'setfd', CLOEXEC);
    yield* writeAll(w, data);
    yield* sys('close', w);
    yield* place(r, fd, saved, false);
    return;
  }
  const path = `/tmp/sh-thd.${sh.pid}`;
  const out = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
  yield* writeAll(out, data);
  yield* sys('close', out);
  const back = yield* sys('openat', AT_FDCWD, path, O_RDONLY, 0);
  yield* sys('unlinkat', AT_FDCWD, path, 0);
  yield* place(back, fd, saved, false);
}
