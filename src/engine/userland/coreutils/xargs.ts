/** xargs: command lines built from standard input. Source: xargs(1). -P runs that many at once. */
import { SIG, SysError, exited, termSignal } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { type Options, parseOptions, lastValue } from '../lib/args.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed } from '../lib/io.ts';
import { unescaped } from './escapes.ts';
import { forkOr, run } from './run.ts';
import { chomp, createReader, decoded, nextLine, type Reader } from './streams.ts';
import { quoted } from './quote.ts';

const SPEC = '0/null a/arg-file= d/delimiter= E= e? I= i? L/max-lines= l? n/max-args= P/max-procs= p/interactive r/no-run-if-empty s/max-chars= t/verbose x/exit o/open-tty process-slot-var= show-limits replace?';

interface Run {
  o: Options;
  env: Readonly<Record<string, string>>;
  line: readonly string[];
  running: number;
  procs: number;
  status: number;
  stop: boolean;
}

export const xargs = command(function* (argv, env) {
  const o = parseOptions(SPEC, argv.slice(1), 'in-order');
  const max = Number(lastValue(o, 'max-args') ?? 0);
  if (o.on.has('max-args') && !(max > 0)) throw new Failed(`value ${lastValue(o, 'max-args')} for -n option should be >= 1`);
  const run: Run = { o, env, line: o.words.length > 0 ? o.words : ['echo'], running: 0, procs: Number(lastValue(o, 'max-procs') ?? 1) || 1000, status: 0, stop: false };
  const file = lastValue(o, 'arg-file');
  const reader = createReader(file === undefined ? 0 : yield* sys('openat', -100, file, 0));
  const insert = lastValue(o, 'I') ?? (o.on.has('replace') || o.on.has('i') ? (lastValue(o, 'replace') ?? '{}') : undefined);
  if (insert !== undefined) {
    for (let item = yield* whole(o, reader); item !== null && !run.stop; item = yield* whole(o, reader)) {
      yield* start(run, run.line.map((w) => w.replaceAll(insert, item!)));
    }
  } else yield* batches(run, reader, max);
  yield* finish(run);
  return run.status;
});

function* batches(run: Run, reader: Reader, max: number): Call<void> {
  const { o } = run;
  const lines = o.on.has('max-lines') ? Number(lastValue(o, 'max-lines')) : o.on.has('l') ? 1 : 0;
  const limit = Number(lastValue(o, 'max-chars') ?? 131072);
  let held: string[] = [];
  let size = 0;
  let any = false;
  if (lines > 0) {
    let count = 0;
    for (let line = yield* whole(o, reader); line !== null && !run.stop; line = yield* whole(o, reader)) {
      held.push(...line.split(/[ \t]+/).filter(Boolean));
      if (++count % lines === 0) {
        yield* start(run, [...run.line, ...held.splice(0)]);
        any = true;
      }
    }
  } else {
    for (let item = yield* nextItem(o, reader); item !== null && !run.stop; item = yield* nextItem(o, reader)) {
      if (held.length > 0 && ((max > 0 && held.length >= max) || size + item.length + 1 > limit)) {
        yield* start(run, [...run.line, ...held]);
        any = true;
        held = [];
        size = 0;
      }
      held.push(item);
      size += item.length + 1;
    }
  }
  if (!run.stop && (held.length > 0 || (!any && !o.on.has('no-run-if-empty')))) yield* start(run, [...run.line, ...held]);
}

function delimiterOf(o: Options): string | null {
  if (o.on.has('null')) return '\0';
  const given = lastValue(o, 'delimiter');
  return given === undefined ? null : unescaped(given, 'printf').text;
}

/** One input line (or what the delimiter divides), blanks at its start taken off. */
function* whole(o: Options, reader: Reader): Call<string | null> {
  const delimiter = delimiterOf(o);
  for (;;) {
    const line = yield* nextLine(reader, delimiter ?? '\n');
    if (line === null) return null;
    const item = decoded(chomp(line, delimiter ?? '\n'));
    if (delimiter !== null) return item;
    const bare = unquote(item.replace(/^[ \t]+/, ''));
    if (bare !== '') return bare;
  }
}

function unquote(text: string): string {
  return text.replace(/"([^"]*)"|'([^']*)'|\\(.)/g, (_, a: string | undefined, b: string | undefined, c: string | undefined) => a ?? b ?? c ?? '');
}

const queues = new WeakMap<Reader, string[]>();

/** The next word: blanks and line ends divide, quotes and backslashes protect. */
function* nextItem(o: Options, reader: Reader): Call<string | null> {
  if (delimiterOf(o) !== null) return yield* whole(o, reader);
  let queue = queues.get(reader);
  if (!queue) {
    queue = [];
    queues.set(reader, queue);
  }
  while (queue.length === 0) {
    const line = yield* nextLine(reader);
    if (line === null) return null;
    queue.push(...wordsOf(decoded(chomp(line))));
    const end = lastValue(o, 'E');
    if (end !== undefined && queue.includes(end)) {
      queue.length = queue.indexOf(end);
      reader.ended = true;
      reader.text = '';
      reader.at = 0;
      if (queue.length === 0) return null;
    }
  }
  return queue.shift()!;
}

function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if (c === ' ' || c === '\t') {
      if (word !== null) words.push(word);
      word = null;
    } else if (c === '"' || c === "'") {
      const end = line.indexOf(c, i + 1);
      if (end < 0) throw new Failed(`unmatched ${c === '"' ? 'double' : 'single'} quote; by default quotes are special to xargs unless you use the -0 option`);
      word = (word ?? '') + line.slice(i + 1, end);
      i = end;
    } else if (c === '\\' && i + 1 < line.length) word = (word ?? '') + line[++i]!;
    else word = (word ?? '') + c;
  }
  if (word !== null) words.push(word);
  return words;
}

function* start(run: Run, words: readonly string[]): Call<void> {
  while (run.running >= run.procs) yield* reapOne(run);
  if (run.stop) return;
  if (run.o.on.has('verbose') || run.o.on.has('interactive')) yield* complain(`${words.map((w) => (/^[\w@%+=:,./-]+$/.test(w) ? w : quoted(w))).join(' ')}\n`);
  const { env } = run;
  yield* forkOr('cannot fork', function* (): Body {
    const nothing = yield* sys('openat', -100, '/dev/null', 0);
    yield* sys('dup3', nothing, 0, 0);
    return yield* runLine(words, env);
  });
  run.running++;
  if (run.procs === 1) yield* reapOne(run);
}

function* runLine(words: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  return yield* run('xargs', words, env, (name) => name);
}

function* reapOne(run: Run): Call<void> {
  let status: number;
  try {
    status = (yield* sys('wait4', -1, 0)).status;
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== 'EINTR') throw error;
    return;
  }
  run.running--;
  const signal = termSignal(status);
  const code = exited(status) ?? 0;
  if (signal !== null) {
    yield* complain(`xargs: ${run.line[0]!}: terminated by signal ${signal}\n`);
    run.status = 125;
    run.stop = signal !== SIG.PIPE || run.stop;
  } else if (code === 255) {
    yield* complain(`xargs: ${run.line[0]!}: exited with status 255; aborting\n`);
    run.status = 124;
    run.stop = true;
  } else if (code === 126 || code === 127) {
    run.status = code;
    run.stop = true;
  } else if (code !== 0 && run.status < 123) run.status = 123;
}

function* finish(run: Run): Call<void> {
  while (run.running > 0) yield* reapOne(run);
}
