/** Builtins that read and print: echo, printf, read, mapfile. */
import { SysError, TCGETS, TCSETS, POLLIN, type Termios } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain } from '../../lib/io.ts';
import { keyOf } from '../arithmetic.ts';
import { ifsOf } from '../fields.ts';
import { readUntil } from '../lines.ts';
import { echo, printf } from '../printf.ts';
import { settle } from '../signals.ts';
import { Bad, type Shell } from '../state.ts';
import { strftime } from '../../coreutils/calendar.ts';
import { isName, set, setArray, setElement, unset } from '../variables.ts';
import { type Builtin, fault, options, output } from './builtin.ts';

const echoBuiltin: Builtin = function* (sh, words) {
  return yield* output(sh, 'echo', echo(words.slice(1), sh.flavour, sh.shopts.has('xpg_echo')));
};

const printfBuiltin: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'v:', 'printf [-v var] format [arguments]');
  if (!parsed) return 2;
  const [format, ...args] = parsed.rest;
  if (format === undefined) {
    yield* complain('printf: usage: printf [-v var] format [arguments]\n');
    return 2;
  }
  const now = format.includes(')T') ? (yield* sys('clock_gettime', 'realtime')) / 1e9 : 0;
  const { text: shown, faults } = printf(format, args, (f, seconds) => strftime(f, seconds ?? now));
  let status = 0;
  const into = parsed.on.get('v');
  if (into === undefined) status = yield* output(sh, 'printf', shown);
  else assignTo(sh, into, shown);
  for (const message of faults) status = yield* fault(sh, `printf: ${message}`);
  return status;
};

function assignTo(sh: Shell, name: string, value: string): void {
  const element = /^([A-Za-z_]\w*)\[(.*)\]$/s.exec(name);
  if (element) setElement(sh, element[1]!, keyOf(sh, element[1]!, element[2]!), value);
  else if (isName(name)) set(sh, name, value);
  else throw new Bad(`printf: \`${name}': not a valid identifier`);
}

const READ_USAGE = 'read [-ers] [-a array] [-d delim] [-i text] [-n nchars] [-N nchars] [-p prompt] [-t timeout] [-u fd] [name ...]';

const read: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'ersa:d:i:n:N:p:t:u:', READ_USAGE);
  if (!parsed) return 2;
  const { on, rest } = parsed;
  for (const name of rest) if (!isName(name) && !/^[A-Za-z_]\w*\[.*\]$/s.test(name)) return yield* fault(sh, `read: \`${name}': not a valid identifier`);
  const fd = Number(on.get('u') ?? 0);
  const terminal = (yield* attempt(sys('ioctl', fd, TCGETS), null)) as Termios | null;
  if (on.has('p') && terminal) yield* complain(on.get('p')!);
  const raw = terminal && (on.has('s') || on.has('n') || on.has('N') || (on.has('d') && on.get('d') !== '\n'));
  if (raw) yield* sys('ioctl', fd, TCSETS, { ...terminal, echo: terminal.echo && !on.has('s'), canonical: terminal.canonical && !on.has('n') && !on.has('N') && !on.has('d') });
  let got: Got;
  try {
    got = yield* gather(sh, fd, on);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* fault(sh, `read: ${fd}: read error: ${error.errno === 'EBADF' ? 'Bad file descriptor' : error.message}`);
  } finally {
    if (raw) yield* attempt(sys('ioctl', fd, TCSETS, terminal), 0);
  }
  if (got.state === 'timeout' && got.line === '') return 142;
  distribute(sh, got.line, on, rest);
  return got.state === 'line' ? 0 : got.state === 'timeout' ? 142 : 1;
};

interface Got {
  /** What was read; a quoted character stands after a \x01 unless -r. */
  line: string;
  state: 'line' | 'eof' | 'timeout';
}

function* gather(sh: Shell, fd: number, on: ReadonlyMap<string, string>): Call<Got> {
  const count = Number(on.get('N') ?? on.get('n') ?? -1);
  const delimiter = on.has('N') ? -1 : on.has('d') ? (on.get('d')!.charCodeAt(0) || 0) : 10;
  const deadline = on.has('t') ? (yield* sys('clock_gettime', 'monotonic')) + Number(on.get('t')) * 1e9 : null;
  let line = '';
  for (;;) {
    const one = yield* nextPiece(sh, fd, delimiter, count >= 0 || deadline !== null || !on.has('r'), deadline);
    if (one === 'timeout') return { line, state: 'timeout' };
    if (one.length === 0) return { line, state: 'eof' };
    const ended = one.at(-1) === delimiter;
    const piece = text(ended ? one.subarray(0, -1) : one);
    line += piece;
    if (!on.has('r')) {
      const trailing = /(\\+)$/.exec(line)?.[1]?.length ?? 0;
      if (ended && trailing % 2 === 1) {
        if (delimiter === 10) line = line.slice(0, -1);
        else line += String.fromCharCode(delimiter);
        continue;
      }
    }
    if (ended) return { line, state: 'line' };
    if (count >= 0 && Array.from(line).length >= count) return { line, state: 'line' };
  }
}

/** A line, or one character where one must look after each. */
function* nextPiece(sh: Shell, fd: number, delimiter: number, single: boolean, deadline: number | null): Call<Uint8Array | 'timeout'> {
  for (;;) {
    try {
      if (deadline !== null) {
        const left = deadline - (yield* sys('clock_gettime', 'monotonic'));
        const ready = yield* sys('poll', [{ fd, events: POLLIN }], Math.max(0, left));
        if (ready.length === 0) return 'timeout';
      }
      if (!single && delimiter >= 0) return yield* readUntil(fd, delimiter);
      return yield* character(fd);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EINTR') throw error;
      yield* settle(sh);
    }
  }
}

/** The bytes of one UTF-8 character. */
function* character(fd: number): Call<Uint8Array> {
  const first = yield* sys('read', fd, 1);
  const lead = first[0] ?? 0;
  const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
  if (more === 0) return first;
  const rest = yield* sys('read', fd, more);
  return new Uint8Array([...first, ...rest]);
}

/** Splits what was read among the names; the last takes the rest. */
function distribute(sh: Shell, line: string, on: ReadonlyMap<string, string>, names: readonly string[]): void {
  const ifs = ifsOf(sh);
  const quotes = !on.has('r');
  if (on.has('a')) {
    setArray(sh, on.get('a')!, splitLine(line, ifs, quotes, Number.POSITIVE_INFINITY).map((v) => [null, v]), false);
    return;
  }
  if (names.length === 0) {
    set(sh, 'REPLY', quotes ? line.replace(/\\(.)/gs, '$1') : line);
    return;
  }
  if (on.has('N')) {
    assignTo(sh, names[0]!, line);
    for (const name of names.slice(1)) assignTo(sh, name, '');
    return;
  }
  const parts = splitLine(line, ifs, quotes, names.length);
  for (const [i, name] of names.entries()) assignTo(sh, name, parts[i] ?? '');
}

function splitLine(line: string, ifs: string, quotes: boolean, most: number): string[] {
  const chars: { c: string; quoted: boolean }[] = [];
  for (let i = 0; i < line.length; i++) {
    if (quotes && line[i] === '\\' && i + 1 < line.length) chars.push({ c: line[++i]!, quoted: true });
    else chars.push({ c: line[i]!, quoted: false });
  }
  const isSpace = (i: number): boolean => i < chars.length && !chars[i]!.quoted && ifs.includes(chars[i]!.c) && ' \t\n'.includes(chars[i]!.c);
  const isDelimiter = (i: number): boolean => !chars[i]!.quoted && ifs.includes(chars[i]!.c);
  const out: string[] = [];
  let at = 0;
  while (isSpace(at)) at++;
  while (at < chars.length) {
    const from = at;
    if (out.length === most - 1) {
      out.push(lastField(chars, from, isSpace, isDelimiter));
      return out;
    }
    while (at < chars.length && !isDelimiter(at)) at++;
    out.push(chars.slice(from, at).map((x) => x.c).join(''));
    while (isSpace(at)) at++;
    if (at < chars.length && isDelimiter(at)) {
      at++;
      while (isSpace(at)) at++;
    }
  }
  return out;
}

/** The rest of the line without trailing IFS space, and without a single trailing delimiter. */
function lastField(chars: readonly { c: string }[], from: number, isSpace: (i: number) => boolean, isDelimiter: (i: number) => boolean): string {
  let end = chars.length;
  while (end > from && isSpace(end - 1)) end--;
  if (end > from && isDelimiter(end - 1) && !isSpace(end - 1) && ![...Array(end - 1 - from).keys()].some((i) => isDelimiter(from + i))) end--;
  return chars.slice(from, end).map((x) => x.c).join('');
}

const mapfile: Builtin = function* (sh, words) {
  const parsed = yield* options(sh, words, 'd:n:O:s:tu:C:c:', 'mapfile [-d delim] [-n count] [-O origin] [-s count] [-t] [-u fd] [array]');
  if (!parsed) return 2;
  const { on, rest } = parsed;
  const name = rest[0] ?? 'MAPFILE';
  const delimiter = on.has('d') ? on.get('d')!.charCodeAt(0) || 0 : 10;
  const most = Number(on.get('n') ?? 0);
  const lines: string[] = [];
  for (let skipped = 0; most === 0 || lines.length < most; ) {
    const data = yield* readUntil(Number(on.get('u') ?? 0), delimiter);
    if (data.length === 0) break;
    if (skipped++ < Number(on.get('s') ?? 0)) continue;
    lines.push(text(on.has('t') && data.at(-1) === delimiter ? data.subarray(0, -1) : data));
  }
  const origin = Number(on.get('O') ?? 0);
  if (!on.has('O')) unset(sh, name);
  setArray(sh, name, lines.map((l, i) => [String(origin + i), l]), on.has('O'));
  return 0;
};

export const textBuiltins: Readonly<Record<string, Builtin>> = { echo: echoBuiltin, printf: printfBuiltin, read, mapfile, readarray: mapfile };
