/** systemd-analyze: spans, timestamps and calendar events explained, unit files checked. Source: systemd-analyze(1). */
import { type Program, sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { type Options, lastValue, parseOptions } from '../lib/args.ts';
import { attempt, exists, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print } from '../lib/io.ts';
import { unprefixed } from './messages.ts';
import { nextElapse, normalized, parseCalendar } from './oncalendar.ts';
import { formatSpan, parseSpan, relative } from './span.ts';
import { parseTimestamp } from './timestamp.ts';
import { readSource, type Source, unitPath } from './unitfile.ts';
import { type UnitFile, unitOf } from './units.ts';

const SPEC = 'h/help version q/quiet no-pager H/host= M/machine= user system global order require to= from-pattern= to-pattern= fuzz= man? generators? recursive-errors= offline= threshold= security-policy= json= profile= iterations= base-time= unit= table no-legend root= image= instance= tldr scale-svg= detailed';

const VERBS: Readonly<Record<string, (o: Options, words: readonly string[]) => Call<number>>> = { timespan, timestamp, calendar, verify, 'unit-paths': unitPaths, 'exit-status': exitStatus };

const UNMODELLED = new Set(['time', 'blame', 'critical-chain', 'plot', 'dot', 'dump', 'condition', 'cat-config', 'unit-files', 'unit-gdb', 'security', 'syscall-filter', 'filesystems', 'capability', 'inspect-elf', 'malloc', 'fdstore', 'image-policy', 'has-tpm2', 'pcrs', 'srk', 'log-level', 'log-target', 'compare-versions', 'smbios11', 'architectures', 'chid']);

export const systemdAnalyze: Program = command(unprefixed(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  const [verb = 'time', ...words] = o.words;
  const run = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (run) return yield* run(o, words);
  if (UNMODELLED.has(verb)) throw new Failed(`systemd-analyze: not modelled: ${verb}`);
  throw new Failed(`Unknown command verb '${verb}'.`);
}));

const needOne = (words: readonly string[]): void => {
  if (words.length === 0) throw new Failed('Too few arguments.');
};

/** "key: value" lines, the keys flush right. */
function vertical(rows: readonly (readonly [string, string])[]): string {
  const wide = Math.max(...rows.map(([key]) => key.length));
  return rows.map(([key, value]) => `${key.padStart(wide)}: ${value}\n`).join('');
}

function* timespan(_o: Options, words: readonly string[]): Call<number> {
  needOne(words);
  let status = 0;
  for (const [i, word] of words.entries()) {
    const us = parseSpan(word);
    if (typeof us !== 'number') {
      yield* complain(`Failed to parse time span '${word}': ${us === 'range' ? 'Numerical result out of range' : 'Invalid argument'}\n`);
      status = 1;
      continue;
    }
    yield* print(`${vertical([['Original', word], ['μs', us === Number.POSITIVE_INFINITY ? '18446744073709551615' : String(us)], ['Human', formatSpan(us)]])}${i < words.length - 1 ? '\n' : ''}`);
  }
  return status;
}

const full = (us: number): string => strftime('%a %Y-%m-%d %H:%M:%S UTC', us / 1e6);

function* timestamp(_o: Options, words: readonly string[]): Call<number> {
  needOne(words);
  const now = yield* sys('clock_gettime', 'realtime');
  let status = 0;
  for (const [i, word] of words.entries()) {
    const at = parseTimestamp(word, now);
    if (at === null) {
      yield* complain(`Failed to parse "${word}": Invalid argument\n`);
      status = 1;
      continue;
    }
    yield* print(`${vertical([['Original form', word], ['Normalized form', full(at / 1000)], ['UNIX seconds', `@${at % 1e9 === 0 ? at / 1e9 : (at / 1e9).toFixed(6)}`], ['From now', relative(now - at)]])}${i < words.length - 1 ? '\n' : ''}`);
  }
  return status;
}

function* calendar(o: Options, words: readonly string[]): Call<number> {
  needOne(words);
  const now = yield* sys('clock_gettime', 'realtime');
  const based = lastValue(o, 'base-time');
  const base = based === undefined ? now : parseTimestamp(based, now);
  if (base === null) throw new Failed(`Failed to parse --base-time= parameter: ${based}`);
  const count = Number(lastValue(o, 'iterations') ?? 1);
  if (!/^\d+$/.test(lastValue(o, 'iterations') ?? '1')) throw new Failed(`Failed to parse iterations: ${lastValue(o, 'iterations')}`);
  let status = 0;
  for (const [i, word] of words.entries()) {
    const spec = parseCalendar(word);
    if (spec === null) {
      yield* complain(`Failed to parse calendar specification '${word}': Invalid argument\n`);
      if (parseTimestamp(word, now) !== null) yield* complain('Hint: this expression is a valid timestamp. Use \'systemd-analyze timestamp "…"\' instead?\n');
      status = 1;
      continue;
    }
    const norm = normalized(spec);
    const rows: [string, string][] = [...(norm === word ? [] : [['Original form', word] as [string, string]]), ['Normalized form', norm]];
    let at = Math.floor(base / 1000);
    for (let n = 1; n <= count; n++) {
      const next = nextElapse(spec, at);
      if (next === null) {
        if (n === 1) rows.push(['Next elapse', 'never']);
        break;
      }
      rows.push([n === 1 ? 'Next elapse' : `Iteration #${n}`, full(next)], ['From now', relative(now - next * 1000)]);
      at = next;
    }
    yield* print(`${vertical(rows)}${i < words.length - 1 ? '\n' : ''}`);
  }
  return status;
}

function* unitPaths(): Call<number> {
  yield* print(['/etc/systemd/system.control', '/run/systemd/system.control', '/run/systemd/transient', '/run/systemd/generator.early', '/etc/systemd/system', '/etc/systemd/system.attached', '/run/systemd/system', '/run/systemd/system.attached', '/run/systemd/generator', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system', '/run/systemd/generator.late'].map((one) => `${one}\n`).join(''));
  return 0;
}

function* exitStatus(_o: Options, words: readonly string[]): Call<number> {
  throw new Failed(`systemd-analyze: not modelled: exit-status ${words.join(' ')}`.trim());
}

// ---- verify

function* verify(_o: Options, words: readonly string[]): Call<number> {
  needOne(words);
  let status = 0;
  for (const word of words) status = Math.max(status, yield* verifyOne(word));
  return status;
}

function* verifyOne(word: string): Call<number> {
  const name = word.split('/').pop()!;
  const path = word.includes('/') ? word : (yield* exists(word)) ? `${yield* sys('getcwd')}/${word}` : yield* unitPath(word);
  if (!/\.[a-z]+$/.test(name)) throw new Failed(`Failed to prepare filename ${word}: Invalid argument`);
  if (path === null || !(yield* exists(path))) {
    yield* complain(word.includes('/') ? `Failed to prepare filename ${word}: No such file or directory\n` : `Unit ${name} not found.\n`);
    return 1;
  }
  const source: Source = { values: new Map(), problems: [] };
  readSource(name.slice(name.lastIndexOf('.') + 1), path, (yield* tryRead(path)) ?? '', source);
  const unit = unitOf(name, path, source);
  for (const { path: where, line, text } of unit.problems) yield* complain(where === '' ? `${text}\n` : `${where}:${line}: ${text}\n`);
  if (unit.load === 'bad-setting') {
    yield* complain(`Unit ${name} has a bad unit file setting.\n`);
    return 1;
  }
  return (yield* commandsThere(unit)) ? 0 : 1;
}

/** Whether every command is a file that can be executed. */
function* commandsThere(unit: UnitFile): Call<boolean> {
  let good = true;
  for (const lines of Object.values(unit.lines)) {
    for (const { argv, ignore } of lines ?? []) {
      const file = argv[0]!;
      let why = 'No such file or directory';
      for (const dir of file.includes('/') ? [''] : ['/usr/local/sbin/', '/usr/local/bin/', '/usr/sbin/', '/usr/bin/']) {
        if (!(yield* statOf(`${dir}${file}`))) continue;
        why = (yield* attempt(sys('faccessat', -100, `${dir}${file}`, 1), null)) === null ? 'Permission denied' : '';
        break;
      }
      if (why === '' || ignore) continue;
      yield* complain(`${unit.name}: Command ${file} is not executable: ${why}\n`);
      good = false;
    }
  }
  return good;
}
