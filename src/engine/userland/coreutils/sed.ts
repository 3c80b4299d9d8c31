/** sed: one script, lines through it. Source: sed(1p) and GNU's additions (-i, -E, -s, I and M flags, addr,+N, first~step). */
import { AT_FDCWD, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, SysError } from '../../kernel/abi.ts';
import { compute, sys } from '../../kernel/sys.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { type Match, type Regex, RegexLimit, search } from './regex-program.ts';
import { type Address, compileScript, type Instruction, type Substitution } from './sed-script.ts';
import { bytesOf, chomp, createOut, createReader, decoded, encoded, flush, lineWaits, nextLine, type Out, put, type Reader } from './streams.ts';

interface Machine {
  o: Options;
  script: Instruction[];
  quiet: boolean;
  end: string;
  names: string[];
  reader: Reader | null;
  /** The next line, read ahead so that $ is known. */
  ahead: string | null;
  pattern: string;
  hold: string;
  /** The line came with its end mark. */
  ended: boolean;
  line: number;
  out: Out;
  appended: string[];
  lastRegex: Regex | null;
  files: Map<string, number>;
  status: number;
  quit: number | null;
  target: string | null;
}

export const sed = command(function* (argv) {
  const args = argv.slice(1).map((a) => (/^-i.+$/.test(a) && !/^-in?$/.test(a) ? `--in-place=${a.slice(2)}` : a === '-i' ? '--in-place' : a));
  const o = parseOptions('n/quiet silent e/expression= f/file= E/regexp-extended r i l= s/separate u/unbuffered z/null-data in-place? posix debug sandbox follow-symlinks', args);
  const sources = [...(o.values.get('expression') ?? [])];
  for (const file of o.values.get('file') ?? []) {
    const fd = yield* sys('openat', AT_FDCWD, file, O_RDONLY);
    const reader = createReader(fd);
    let text = '';
    for (let line = yield* nextLine(reader); line !== null; line = yield* nextLine(reader)) text += line;
    sources.push(decoded(text).replace(/\n$/, ''));
  }
  if (sources.length === 0) {
    const first = o.words.shift();
    if (first === undefined) {
      yield* complain('Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...\n\n');
      return 1;
    }
    sources.push(first);
  }
  const script = compileScript(sources.join('\n'), o.on.has('regexp-extended') || o.on.has('r') ? 'extended' : 'basic');
  const inPlace = o.on.has('in-place') || o.on.has('i');
  const m: Machine = {
    o, script, quiet: o.on.has('quiet') || o.on.has('silent') || /^#n(\n|$)/.test(sources[0]!), end: o.on.has('null-data') ? '\0' : '\n', names: o.words.length > 0 ? [...o.words] : ['-'], reader: null, ahead: null,
    pattern: '', hold: '', ended: true, line: 0, out: createOut(), appended: [], lastRegex: null, files: new Map(), status: 0, quit: null, target: null,
  };
  try {
    if (inPlace || o.on.has('separate')) {
      for (const name of o.words) {
        if (m.quit !== null) break;
        m.names = [name];
        m.line = 0;
        yield* inPlace ? edited(m, name) : process(m);
      }
    } else yield* process(m);
  } catch (error) {
    if (error instanceof RegexLimit) throw new Failed('exceeded the limit of back-reference steps', 4);
    throw error;
  }
  return m.quit ?? m.status;
});

function* edited(m: Machine, name: string): Call<void> {
  const suffix = lastValue(m.o, 'in-place');
  const stat = yield* attempt(sys('newfstatat', AT_FDCWD, name, 0), null);
  if (!stat) {
    yield* complain(`sed: can't read ${name}: No such file or directory\n`);
    m.status = 2;
    return;
  }
  m.target = '';
  yield* process(m);
  const text = m.target;
  m.target = null;
  if (suffix) yield* sys('renameat2', AT_FDCWD, name, AT_FDCWD, suffix.includes('*') ? suffix.replaceAll('*', name) : name + suffix, 0);
  const temporary = `${name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '.'}/sed${String(yield* sys('getpid')).padStart(6, 'A')}`;
  const fd = yield* temporaryFile(temporary);
  yield* writeAll(fd, bytesOf(text));
  yield* sys('close', fd);
  yield* sys('fchmodat', AT_FDCWD, temporary, stat.mode & 0o7777);
  yield* attempt(sys('fchownat', AT_FDCWD, temporary, stat.uid, stat.gid, 0), 0);
  yield* sys('renameat2', AT_FDCWD, temporary, AT_FDCWD, name, 0);
}

function* temporaryFile(path: string): Call<number> {
  try {
    return yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`couldn't open temporary file ${path}: ${strerror(error)}`, 4);
    throw error;
  }
}

function* emit(m: Machine, text: string): Call<void> {
  if (m.target !== null) m.target += encoded(text);
  else yield* put(m.out, encoded(text));
}

function* process(m: Machine): Call<void> {
  m.ahead = yield* fetch(m);
  while (m.ahead !== null && m.quit === null) {
    yield* take(m);
    yield* cycle(m);
    if (m.target === null && m.reader && !lineWaits(m.reader, m.end)) yield* flush(m.out);
  }
  yield* flush(m.out);
}

/** Takes the line that was read ahead, and reads the next. */
function* take(m: Machine): Call<void> {
  m.ended = m.ahead!.endsWith(m.end);
  m.pattern = decoded(chomp(m.ahead!, m.end));
  m.line++;
  m.ahead = yield* fetch(m);
}

function* fetch(m: Machine): Call<string | null> {
  for (;;) {
    if (!m.reader) {
      const name = m.names.shift();
      if (name === undefined) return null;
      try {
        const fd = name === '-' ? 0 : yield* sys('openat', AT_FDCWD, name, O_RDONLY);
        if (fd > 0 && ((yield* sys('fstat', fd)).mode & 0o170000) === 0o040000) {
          yield* complain(`sed: couldn't edit ${name}: not a regular file\n`.replace("couldn't edit", m.target === null ? 'read error on' : "couldn't edit").replace('not a regular file', m.target === null ? 'Is a directory' : 'not a regular file'));
          m.status = m.target === null ? 2 : 4;
          continue;
        }
        m.reader = createReader(fd);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        yield* complain(`sed: can't read ${name}: ${strerror(error)}\n`);
        m.status = 2;
        continue;
      }
    }
    const line = yield* nextLine(m.reader, m.end);
    if (line !== null) return line;
    if (m.reader.fd > 0) yield* sys('close', m.reader.fd);
    m.reader = null;
  }
}

function* cycle(m: Machine): Call<void> {
  for (;;) {
    const again = yield* runScript(m);
    if (!m.quiet && again !== 'deleted' && again !== 'restart') yield* emit(m, m.pattern + (m.ended || m.ahead !== null ? m.end : ''));
    for (const text of m.appended.splice(0)) yield* emit(m, text);
    if (again !== 'restart') return;
  }
}

function matchesAddress(m: Machine, a: Address): boolean {
  switch (a.type) {
    case 'line': return m.line === a.n;
    case 'last': return m.ahead === null;
    case 'step': return a.step === 0 ? m.line === a.first : m.line >= a.first && (m.line - a.first) % a.step === 0;
    case 'regex': return found(m, a.regex, m.pattern, 0) !== null;
    default: return false;
  }
}

/** An empty regular expression is the last one used. */
function found(m: Machine, regex: Regex | null, text: string, from: number): Match | null {
  const used = regex ?? m.lastRegex;
  if (!used) throw new Failed('no previous regular expression');
  m.lastRegex = used;
  return search(used, text, from);
}

function selects(m: Machine, i: Instruction): boolean {
  const { from, to } = i;
  if (!from) return !i.negated;
  if (!to) return matchesAddress(m, from) !== i.negated;
  return inRange(m, i, from, to) !== i.negated;
}

function inRange(m: Machine, i: Instruction, from: Address, to: Address): boolean {
  if (!i.active) {
    const zero = from.type === 'line' && from.n === 0;
    if (!(zero ? m.line === 1 && !i.done : matchesAddress(m, from))) return false;
    i.done = true;
    if (to.type === 'line' && to.n <= m.line) return true;
    i.active = true;
    i.until = to.type === 'plus' ? m.line + to.n : to.type === 'multiple' ? Math.ceil(m.line / to.n) * to.n : to.type === 'line' ? to.n : -1;
    if (i.until >= 0 && i.until <= m.line) i.active = false;
    if (zero && to.type === 'regex' && matchesAddress(m, to)) i.active = false;
    return true;
  }
  if (i.until >= 0) {
    if (m.line >= i.until) i.active = false;
    return m.line <= i.until;
  }
  if (matchesAddress(m, to)) i.active = false;
  return true;
}

type Ending = 'end' | 'deleted' | 'restart';

/** What a command takes, ns, and after how many of one cycle it is spent: a script may go round for ever. */
const STEP_NS = 100;
const STEPS = 4096;

function* runScript(m: Machine): Call<Ending> {
  let pc = 0;
  let replaced = false;
  let steps = 0;
  while (pc < m.script.length) {
    if (++steps % STEPS === 0) yield* compute(STEPS * STEP_NS);
    const i = m.script[pc]!;
    if (!selects(m, i)) {
      pc = i.name === '{' ? i.jump : pc + 1;
      continue;
    }
    pc++;
    switch (i.name) {
      case '{': case '}': case ':': break;
      case 's': {
        if (yield* substitute(m, i.substitution!)) replaced = true;
        break;
      }
      case 'y': m.pattern = [...m.pattern].map((c) => i.map!.get(c) ?? c).join(''); break;
      case 'd': return 'deleted';
      case 'D':
        if (!m.pattern.includes('\n')) return 'deleted';
        m.pattern = m.pattern.slice(m.pattern.indexOf('\n') + 1);
        return 'restart';
      case 'p': yield* emit(m, m.pattern + m.end); break;
      case 'P': yield* emit(m, m.pattern.split('\n')[0]! + m.end); break;
      case 'n':
        if (m.ahead === null) return m.o.on.has('posix') ? 'deleted' : 'end';
        if (!m.quiet) yield* emit(m, m.pattern + m.end);
        for (const text of m.appended.splice(0)) yield* emit(m, text);
        yield* take(m);
        break;
      case 'N': {
        if (m.ahead === null) return 'end';
        const before = m.pattern;
        for (const text of m.appended.splice(0)) yield* emit(m, text);
        yield* take(m);
        m.pattern = `${before}\n${m.pattern}`;
        break;
      }
      case 'h': m.hold = m.pattern; break;
      case 'H': m.hold += `\n${m.pattern}`; break;
      case 'g': m.pattern = m.hold; break;
      case 'G': m.pattern += `\n${m.hold}`; break;
      case 'x': [m.pattern, m.hold] = [m.hold, m.pattern]; break;
      case 'z': m.pattern = ''; break;
      case '=': yield* emit(m, `${m.line}\n`); break;
      case 'l': yield* emit(m, `${visible(m.pattern, i.number ?? 70)}\n`); break;
      case 'a': m.appended.push(`${i.text}\n`); break;
      case 'i': yield* emit(m, `${i.text}\n`); break;
      case 'c':
        if (!i.to || i.negated || !i.active) yield* emit(m, `${i.text}\n`);
        return 'deleted';
      case 'r': m.appended.push(yield* contents(i.text!)); break;
      case 'w': yield* writeTo(m, i.text!, m.pattern); break;
      case 'b': pc = i.jump; break;
      case 't':
        if (replaced) {
          replaced = false;
          pc = i.jump;
        }
        break;
      case 'T':
        if (!replaced) pc = i.jump;
        replaced = false;
        break;
      case 'q': m.quit = i.number ?? 0; return 'end';
      case 'Q': m.quit = i.number ?? 0; return 'deleted';
      default: break;
    }
  }
  return 'end';
}

function* contents(file: string): Call<string> {
  const fd = yield* attempt(sys('openat', AT_FDCWD, file, O_RDONLY), -1);
  if (fd < 0) return '';
  const reader = createReader(fd);
  let text = '';
  for (let line = yield* nextLine(reader); line !== null; line = yield* nextLine(reader)) text += line;
  yield* sys('close', fd);
  return decoded(text);
}

function* writeTo(m: Machine, file: string, text: string): Call<void> {
  if (file === '/dev/stdout') return yield* emit(m, text + m.end);
  let fd = m.files.get(file);
  if (fd === undefined) {
    fd = yield* sys('openat', AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC, 0o666);
    m.files.set(file, fd);
  }
  yield* writeAll(fd, bytesOf(encoded(text + m.end)));
}

function* substitute(m: Machine, s: Substitution): Call<boolean> {
  let out = '';
  let at = 0;
  let count = 0;
  let changed = false;
  const text = m.pattern;
  let lastEnd = -1;
  while (at <= text.length) {
    const hit = found(m, s.regex, text, at);
    if (!hit) break;
    const [start, end] = hit as [number, number];
    if (start === end && start === lastEnd) {
      // An empty match right after another one does not count.
      if (start >= text.length) break;
      out += text.slice(at, start + 1);
      at = start + 1;
      lastEnd = -1;
      continue;
    }
    out += text.slice(at, start);
    count++;
    const wanted = count >= s.nth && (s.global || count === s.nth);
    out += wanted ? replacement(s, text, hit) : text.slice(start, end);
    changed ||= wanted;
    lastEnd = end;
    at = end;
    if (wanted && !s.global) break;
    if (start === end) {
      if (start >= text.length) break;
      out += text[start]!;
      at = start + 1;
      lastEnd = -1;
    }
  }
  if (!changed) return false;
  m.pattern = out + text.slice(at);
  if (s.print) yield* emit(m, m.pattern + m.end);
  if (s.file !== null) yield* writeTo(m, s.file, m.pattern);
  return true;
}

/** The replacement with its parts put in; \U, \L, \u, \l and \E change what follows. */
function replacement(s: Substitution, text: string, hit: Match): string {
  let out = '';
  let mode: 'U' | 'L' | '' = '';
  let once: 'u' | 'l' | '' = '';
  const add = (piece: string): void => {
    let shown = mode === 'U' ? piece.toUpperCase() : mode === 'L' ? piece.toLowerCase() : piece;
    if (once && shown !== '') {
      shown = (once === 'u' ? shown[0]!.toUpperCase() : shown[0]!.toLowerCase()) + shown.slice(1);
      once = '';
    }
    out += shown;
  };
  for (const part of s.parts) {
    if (typeof part === 'string') add(part);
    else if ('group' in part) {
      const [from, to] = [hit[part.group * 2] ?? -1, hit[part.group * 2 + 1] ?? -1];
      if (from >= 0) add(text.slice(from, to));
    } else if (part.change === 'U' || part.change === 'L') mode = part.change;
    else if (part.change === 'E') mode = '';
    else once = part.change;
  }
  return out;
}

function visible(text: string, width: number): string {
  const shown = encoded(text).replace(/[\\\x00-\x1f\x7f-\xff]/g, (c) => ({ '\\': '\\\\', '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v' })[c] ?? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
  if (width <= 1) return `${shown}$`;
  const pieces = shown.match(/\\\d{3}|\\.|[^\\]/g) ?? [];
  let out = '';
  let column = 0;
  for (const piece of pieces) {
    if (column + piece.length > width - 1) {
      out += '\\\n';
      column = 0;
    }
    out += piece;
    column += piece.length;
  }
  return `${out}$`;
}
