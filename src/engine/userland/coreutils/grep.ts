/** grep, egrep, fgrep. Source: grep(1); a file with a NUL byte is binary, as there. */
import { AT_FDCWD, O_RDONLY, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import { isDir, list, readText, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { globOf } from './ls.ts';
import { baseName } from './paths.ts';
import { BadRegex, compileRegex } from './regex.ts';
import { type Match, type Regex, RegexLimit, search } from './regex-program.ts';
import { chomp, createOut, createReader, decoded, encoded, flush, lineWaits, nextLine, type Out, put } from './streams.ts';

const SPEC =
  'A/after-context= B/before-context= C/context= c/count E/extended-regexp e/regexp= F/fixed-strings f/file= G/basic-regexp H/with-filename h/no-filename i/ignore-case y ' +
  'I L/files-without-match l/files-with-matches m/max-count= n/line-number o/only-matching P/perl-regexp q/quiet silent R/dereference-recursive r/recursive s/no-messages ' +
  'T U V v/invert-match w/word-regexp x/line-regexp z/null-data Z/null a/text b/byte-offset color? colour? include= exclude= exclude-dir= line-buffered binary-files= label= directories= no-ignore-case';

interface Search {
  options: Options;
  patterns: Regex[];
  named: boolean;
  before: number;
  after: number;
  out: Out;
  /** Something has been printed: a group of another file is set apart. */
  printed: boolean;
  found: boolean;
  failed: boolean;
  stop: boolean;
}

export const grep = command(function* (argv) {
  const args = argv.slice(1).flatMap((a) => (/^-\d+$/.test(a) ? ['-C', a.slice(1)] : [a]));
  const o = parseOptions(SPEC, args);
  const name = baseName(argv[0] ?? 'grep');
  const search = yield* prepare(o, name);
  if (!search) {
    yield* complain("Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n");
    return 2;
  }
  const recursive = o.on.has('recursive') || o.on.has('dereference-recursive');
  const names = o.words.length > 0 ? o.words : recursive ? ['.'] : ['-'];
  for (const file of names) {
    if (search.stop) break;
    yield* visit(search, file, recursive, o.words.length === 0 && recursive ? 'implied' : 'named');
  }
  yield* flush(search.out);
  if (search.found && o.on.has('quiet')) return 0;
  return search.failed ? 2 : search.found ? 0 : 1;
}, 2);

/** Null when there is no pattern at all. */
function* prepare(o: Options, name: string): Call<Search | null> {
  const sources: string[] = [...(o.values.get('regexp') ?? [])];
  for (const file of o.values.get('file') ?? []) sources.push(...chomp(yield* readText(file)).split('\n'));
  if (!o.on.has('regexp') && !o.on.has('file')) {
    const first = o.words.shift();
    if (first === undefined) return null;
    sources.push(first);
  }
  const syntax = o.on.has('fixed-strings') || name === 'fgrep' ? 'fixed' : o.on.has('extended-regexp') || o.on.has('perl-regexp') || name === 'egrep' ? 'extended' : 'basic';
  const ignoreCase = o.on.has('ignore-case') || o.on.has('y');
  const patterns = sources.flatMap((s) => s.split('\n')).map((source) => {
    try {
      return compileRegex(o.on.has('perl-regexp') ? perl(source) : source, { syntax, ignoreCase });
    } catch (error) {
      if (error instanceof BadRegex) throw new Failed(error.message, 2);
      throw error;
    }
  });
  const context = (option: string): number => {
    const given = lastValue(o, option) ?? lastValue(o, 'context') ?? '0';
    if (!/^\d+$/.test(given)) throw new Failed(`${given}: invalid context length argument`, 2);
    return Number(given);
  };
  // One file that was named needs no name before its lines, even where directories are looked into.
  const only = o.words.length === 1 ? yield* statOf(o.words[0]!) : null;
  const recursive = (o.on.has('recursive') || o.on.has('dereference-recursive')) && !(only && !isDir(only));
  return {
    options: o, patterns, before: context('before-context'), after: context('after-context'), out: createOut(), printed: false, found: false, failed: false, stop: false,
    named: o.on.has('with-filename') || (!o.on.has('no-filename') && (o.words.length > 1 || recursive)),
  };
}

/** What of Perl's syntax has an extended equal. */
function perl(source: string): string {
  if (/(^|[^\\])\\K/.test(source)) throw new Failed('not modelled: \\K of -P', 2);
  if (/\(\?[=!<]/.test(source)) throw new Failed('not modelled: look-around of -P', 2);
  return source.replace(/\\d/g, '[0-9]').replace(/\\D/g, '[^0-9]').replace(/\(\?:/g, '(').replace(/([*+?}])\?/g, '$1');
}

function* visit(s: Search, path: string, recursive: boolean, how: 'named' | 'implied' | 'inside'): Call<void> {
  const { on, values } = s.options;
  const stat = path === '-' ? null : yield* statOf(path);
  if (stat && isDir(stat)) {
    if (recursive) {
      const excluded = how === 'inside' && (values.get('exclude-dir') ?? []).some((g) => globOf(g).test(baseName(path)));
      if (excluded) return;
      for (const { name, type } of yield* list(path)) {
        if (s.stop) return;
        if (type === 'link' && !on.has('dereference-recursive')) continue;
        yield* visit(s, how === 'implied' && path === '.' ? name : path.endsWith('/') ? path + name : `${path}/${name}`, true, 'inside');
      }
      return;
    }
    if (!on.has('no-messages')) {
      yield* flush(s.out);
      yield* complain(`grep: ${path}: Is a directory\n`);
    }
    s.failed = true;
    return;
  }
  const base = baseName(path);
  if (how === 'inside' && (values.get('exclude') ?? []).some((g) => globOf(g).test(base))) return;
  if (how === 'inside' && values.has('include') && !values.get('include')!.some((g) => globOf(g).test(base))) return;
  try {
    const fd = path === '-' ? 0 : yield* sys('openat', AT_FDCWD, path, O_RDONLY);
    try {
      yield* searchFile(s, fd, path === '-' ? (lastValue(s.options, 'label') ?? '(standard input)') : path);
    } finally {
      if (fd > 0) yield* sys('close', fd);
    }
  } catch (error) {
    if (error instanceof RegexLimit) throw new Failed('exceeded the limit of back-reference steps', 2);
    if (!(error instanceof SysError) || error.errno === 'EPIPE') throw error;
    yield* flush(s.out);
    if (!on.has('no-messages')) yield* complain(`grep: ${path}: ${strerror(error)}\n`);
    s.failed = true;
  }
}

function* searchFile(s: Search, fd: number, name: string): Call<void> {
  const { on } = s.options;
  const end = on.has('null-data') ? '\0' : '\n';
  const limit = on.has('max-count') ? Number(lastValue(s.options, 'max-count')) : Number.POSITIVE_INFINITY;
  const quiet = on.has('quiet') || on.has('silent');
  const silent = quiet || on.has('count') || on.has('files-with-matches') || on.has('files-without-match');
  const reader = createReader(fd);
  const held: { text: string; n: number }[] = [];
  let [n, count, trailing, lastPrinted, binary, offset] = [0, 0, 0, 0, false, 0];
  while (count < limit) {
    const line = yield* nextLine(reader, end);
    if (line === null) break;
    n++;
    const start = offset;
    offset += line.length;
    const body = decoded(chomp(line, end));
    if (!binary && end === '\n' && !on.has('text') && line.includes('\0')) binary = true;
    const matched = s.patterns.some((p) => matches(s, p, body));
    if (matched !== on.has('invert-match')) {
      count++;
      s.found = true;
      if (quiet) {
        s.stop = true;
        return;
      }
      if (on.has('files-with-matches') || on.has('files-without-match')) break;
      if (silent) continue;
      if (binary) {
        if (!on.has('I')) yield* put(s.out, encoded(`grep: ${name}: binary file matches\n`));
        return;
      }
      const first = n - held.length;
      if ((s.before > 0 || s.after > 0) && s.printed && (lastPrinted === 0 || first > lastPrinted + 1)) yield* put(s.out, '--\n');
      for (const h of held.splice(0)) yield* put(s.out, `${prefix(s, name, h.n, '-')}${h.text}${end}`);
      if (on.has('only-matching')) yield* onlyMatches(s, name, n, body, end, start);
      else yield* put(s.out, `${prefix(s, name, n, ':')}${on.has('byte-offset') ? `${start}:` : ''}${chomp(line, end)}${end}`);
      lastPrinted = n;
      s.printed = true;
      trailing = s.after;
    } else if (trailing > 0 && !silent) {
      trailing--;
      lastPrinted = n;
      yield* put(s.out, `${prefix(s, name, n, '-')}${chomp(line, end)}${end}`);
    } else if (s.before > 0) {
      held.push({ text: chomp(line, end), n });
      if (held.length > s.before) held.shift();
    }
    if (!lineWaits(reader, end)) yield* flush(s.out);
  }
  if (count >= limit && trailing > 0 && !silent) yield* rest(s, reader, name, n, trailing, end);
  const shown = encoded(name);
  if (on.has('count')) yield* put(s.out, `${s.named ? `${shown}:` : ''}${count}\n`);
  else if (on.has('files-with-matches') && count > 0) yield* put(s.out, `${shown}${on.has('null') ? '\0' : '\n'}`);
  else if (on.has('files-without-match') && count === 0) yield* put(s.out, `${shown}${on.has('null') ? '\0' : '\n'}`);
}

/** Lines after the last match that -m allows. */
function* rest(s: Search, reader: ReturnType<typeof createReader>, name: string, from: number, many: number, end: string): Call<void> {
  for (let i = 1; i <= many; i++) {
    const line = yield* nextLine(reader, end);
    if (line === null || s.patterns.some((p) => matches(s, p, decoded(chomp(line, end))))) return;
    yield* put(s.out, `${prefix(s, name, from + i, '-')}${chomp(line, end)}${end}`);
  }
}

function prefix(s: Search, name: string, n: number, mark: string): string {
  const { on } = s.options;
  return `${s.named ? `${encoded(name)}${on.has('null') ? '\0' : mark}` : ''}${on.has('line-number') ? `${n}${mark}` : ''}`;
}

function* onlyMatches(s: Search, name: string, n: number, body: string, end: string, start: number): Call<void> {
  if (s.options.on.has('invert-match')) return;
  let at = 0;
  while (at <= body.length) {
    let best: Match | null = null;
    for (const p of s.patterns) {
      const found = nextMatch(s, p, body, at);
      if (found && (!best || found[0]! < best[0]! || (found[0] === best[0] && found[1]! > best[1]!))) best = found;
    }
    if (!best) return;
    if (best[1]! > best[0]!) {
      const where = s.options.on.has('byte-offset') ? `${start + encoded(body.slice(0, best[0])).length}:` : '';
      yield* put(s.out, `${prefix(s, name, n, ':')}${where}${encoded(body.slice(best[0], best[1]))}${end}`);
    }
    at = best[1]! > best[0]! ? best[1]! : best[1]! + 1;
  }
}

const wordChar = /[\w\u00aa-\uffff]/;

function matches(s: Search, pattern: Regex, body: string): boolean {
  return nextMatch(s, pattern, body, 0) !== null;
}

/** The next match that -w and -x allow. */
function nextMatch(s: Search, pattern: Regex, body: string, from: number): Match | null {
  const { on } = s.options;
  for (let at = from; at <= body.length; ) {
    const found = search(pattern, body, at);
    if (!found) return null;
    const [start, end] = found as [number, number];
    if (on.has('line-regexp')) {
      if (start === 0 && end === body.length) return found;
    } else if (!on.has('word-regexp') || (!wordChar.test(body[start - 1] ?? '') && !wordChar.test(body[end] ?? '') && (end > start || body === ''))) return found;
    at = start + 1;
  }
  return null;
}
