/** Programs of a few lines: true, false, echo, yes, seq, basename, dirname, pwd, sleep, env, nproc, tty and their like. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFLNK, SysError, TIOCGWINSZ } from '../../kernel/abi.ts';
import { compute, type Program, sys } from '../../kernel/sys.ts';
import { BadOption, parseOptions, lastValue } from '../lib/args.ts';
import { attempt, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { readAccounts, userName } from './accounts.ts';
import { unescaped } from './escapes.ts';
import { isType } from './modes.ts';
import { baseName, dirName, realPath, type Missing } from './paths.ts';
import { floating } from './printf.ts';
import { curly, quoted } from './quote.ts';
import { run } from './run.ts';
import { encoded, putOut } from './streams.ts';

/** What filling a block costs yes, ns. */
const YES_NS = 20_000;

export const yesProgram = command(function* (argv) {
  const { words } = parseOptions('', argv.slice(1));
  const line = encoded(words.length > 0 ? `${words.join(' ')}\n` : 'y\n');
  const block = line.repeat(Math.max(1, Math.floor(8192 / line.length)));
  for (;;) {
    yield* compute(YES_NS);
    yield* putOut(block);
  }
});

// biome-ignore lint/correctness/useYield: it does nothing
export const trueProgram: Program = function* () {
  return 0;
};
// biome-ignore lint/correctness/useYield: it does nothing
export const falseProgram: Program = function* () {
  return 1;
};

export const echo = command(function* (argv) {
  let at = 1;
  let newline = true;
  let escapes = false;
  for (; at < argv.length && /^-[neE]+$/.test(argv[at]!); at++) {
    for (const letter of argv[at]!.slice(1)) {
      if (letter === 'n') newline = false;
      else escapes = letter === 'e';
    }
  }
  const words = encoded(argv.slice(at).join(' '));
  const read = escapes ? unescaped(words, 'echo') : { text: words, stop: false };
  yield* putOut(read.text + (newline && !read.stop ? '\n' : ''));
});

export const seq = command(function* (argv) {
  const numeric = /^[-+]?(\d|\.\d)/;
  const cut = argv.findIndex((a, i) => i > 0 && numeric.test(a) && !/^-[fs]$/.test(argv[i - 1]!));
  const args = cut < 0 ? argv.slice(1) : [...argv.slice(1, cut), '--', ...argv.slice(cut)];
  const o = parseOptions('f/format= s/separator= w/equal-width', args, 'in-order');
  if (o.words.length === 0) throw new BadOption('missing operand');
  if (o.words.length > 3) throw new BadOption(`extra operand ${curly(o.words[3]!)}`);
  for (const w of o.words) if (!/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(w)) throw new BadOption(`invalid floating point argument: ${curly(w)}`);
  const [first, step, last] = o.words.length === 1 ? ['1', '1', o.words[0]!] : o.words.length === 2 ? [o.words[0]!, '1', o.words[1]!] : (o.words as [string, string, string]);
  if (Number(step) === 0) throw new BadOption(`invalid Zero increment value: ${curly(step)}`);
  const places = Math.max(...[first, step].map((w) => (w.split('.')[1] ?? '').length));
  const format = lastValue(o, 'format');
  const m = format === undefined ? null : /^([^%]*)%([-+ #0]*)(\d*)(?:\.(\d+))?([efgEFG])(.*)$/.exec(format);
  if (format !== undefined && !m) throw new Failed(`format ${curly(format)} has no % directive`);
  const count = Math.floor((Number(last) - Number(first)) / Number(step) + 1e-10);
  const width = o.on.has('equal-width') ? Math.max(Number(first).toFixed(places).length, (Number(first) + Math.max(0, count) * Number(step)).toFixed(places).length, Number(last).toFixed(places).length) : 0;
  const separator = lastValue(o, 'separator') ?? '\n';
  let text = '';
  for (let i = 0; i <= count; i++) {
    const n = Number(first) + i * Number(step);
    const shown = m ? m[1]! + floating(m[5]!, n, m[2]!, m[4] === undefined ? null : Number(m[4])).padStart(Number(m[3]), m[2]!.includes('0') ? '0' : ' ') + m[6]! : n.toFixed(places);
    text += (i > 0 ? separator : '') + (n < 0 && width ? `-${shown.slice(1).padStart(width - 1, '0')}` : shown.padStart(width, '0'));
    if (text.length > 65536) {
      yield* print(text);
      text = '';
    }
  }
  if (count >= 0) yield* print(`${text}\n`);
});

export const basename = command(function* (argv) {
  const o = parseOptions('a/multiple s/suffix= z/zero', argv.slice(1), 'in-order');
  if (o.words.length === 0) throw new BadOption('missing operand');
  const many = o.on.has('multiple') || o.on.has('suffix');
  if (!many && o.words.length > 2) throw new BadOption(`extra operand ${curly(o.words[2]!)}`);
  const suffix = lastValue(o, 'suffix') ?? (many ? '' : (o.words[1] ?? ''));
  for (const word of many ? o.words : o.words.slice(0, 1)) {
    const base = baseName(word);
    yield* print(`${suffix !== '' && base.endsWith(suffix) && base !== suffix ? base.slice(0, -suffix.length) : base}${o.on.has('zero') ? '\0' : '\n'}`);
  }
});

export const dirname = command(function* (argv) {
  const o = parseOptions('z/zero', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing operand');
  for (const word of o.words) yield* print(`${dirName(word)}${o.on.has('zero') ? '\0' : '\n'}`);
});

export const pwd = command(function* (argv, env) {
  const o = parseOptions('L/logical P/physical', argv.slice(1));
  const told = yield* sys('getcwd');
  // Of another mount namespace: walked up by hand, to a root with the same inode.
  const cwd = told.replace(/^\(unreachable\)/, '');
  const named = env.PWD ?? '';
  if (o.on.has('logical') && named.startsWith('/') && !/(^|\/)\.\.?(\/|$)/.test(named)) {
    const [a, b] = [yield* statOf(named), yield* statOf('.')];
    if (a && b && a.dev === b.dev && a.ino === b.ino) {
      yield* print(`${named}\n`);
      return 0;
    }
  }
  yield* print(`${cwd}\n`);
  return 0;
});

const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86400 };

/** Nanoseconds of "1.5", "2m", "infinity"; null for what is none. */
export function parseInterval(word: string): number | null {
  if (/^inf(inity)?$/i.test(word)) return Number.MAX_SAFE_INTEGER;
  const m = /^(\d+\.?\d*|\.\d+)([smhd]?)$/.exec(word);
  return m ? Number(m[1]) * SECONDS[m[2]!]! * 1e9 : null;
}

export const sleep = command(function* (argv) {
  const { words } = parseOptions('', argv.slice(1));
  if (words.length === 0) throw new BadOption('missing operand');
  let total = 0;
  const wrong = words.filter((w) => parseInterval(w) === null);
  if (wrong.length > 0) {
    for (const w of wrong.slice(0, -1)) yield* complain(`sleep: invalid time interval ${curly(w)}\n`);
    throw new BadOption(`invalid time interval ${curly(wrong.at(-1)!)}`);
  }
  for (const word of words) total += parseInterval(word)!;
  yield* sys('nanosleep', Math.min(total, 1e16));
});

export const env = command(function* (argv, environment) {
  const o = parseOptions('0/null C/chdir= i/ignore-environment u/unset= S/split-string= v/debug', argv.slice(1), 'in-order');
  const words = [...(o.values.get('split-string') ?? []).flatMap((s) => s.split(/\s+/).filter(Boolean)), ...o.words];
  const set: Record<string, string> = o.on.has('ignore-environment') ? {} : { ...environment };
  if (words[0] === '-') {
    words.shift();
    for (const name of Object.keys(set)) delete set[name];
  }
  for (const name of o.values.get('unset') ?? []) delete set[name];
  while (words.length > 0 && /^[^=]+=/.test(words[0]!)) {
    const word = words.shift()!;
    set[word.slice(0, word.indexOf('='))] = word.slice(word.indexOf('=') + 1);
  }
  const dir = lastValue(o, 'chdir');
  if (dir !== undefined) {
    try {
      yield* sys('chdir', dir);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Failed(`cannot change directory to ${quoted(dir)}: ${strerror(error)}`, 125);
    }
  }
  if (words.length > 0) return yield* run('env', words, set, (name) => curly(name));
  yield* print(Object.entries(set).map(([k, v]) => `${k}=${v}${o.on.has('null') ? '\0' : '\n'}`).join(''));
  return 0;
}, 125);

export const printenv = command(function* (argv, environment) {
  const o = parseOptions('0/null', argv.slice(1));
  const end = o.on.has('null') ? '\0' : '\n';
  if (o.words.length === 0) yield* print(Object.entries(environment).map(([k, v]) => `${k}=${v}${end}`).join(''));
  let status = 0;
  for (const name of o.words) {
    if (environment[name] === undefined) status = 1;
    else yield* print(`${environment[name]}${end}`);
  }
  return status;
}, 2);

export const readlink = command(function* (argv) {
  const o = parseOptions('f/canonicalize e/canonicalize-existing m/canonicalize-missing n/no-newline q/quiet s/silent v/verbose z/zero', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing operand');
  const missing: Missing | null = o.on.has('canonicalize-missing') ? 'any' : o.on.has('canonicalize-existing') ? 'none' : o.on.has('canonicalize') ? 'last' : null;
  let status = 0;
  for (const word of o.words) {
    try {
      const target = missing ? yield* realPath(word, missing) : yield* sys('readlinkat', AT_FDCWD, word);
      yield* print(target + (o.on.has('no-newline') && o.words.length === 1 ? '' : o.on.has('zero') ? '\0' : '\n'));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (o.on.has('verbose')) yield* complain(`readlink: ${word}: ${strerror(error)}\n`);
      status = 1;
    }
  }
  return status;
});

export const realpath = command(function* (argv) {
  const o = parseOptions('e/canonicalize-existing m/canonicalize-missing L/logical P/physical q/quiet s/strip z/zero relative-to= relative-base= no-symlinks', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing operand');
  const missing: Missing = o.on.has('canonicalize-missing') ? 'any' : o.on.has('canonicalize-existing') ? 'none' : 'last';
  let status = 0;
  for (const word of o.words) {
    try {
      yield* print(`${yield* realPath(word, missing)}${o.on.has('zero') ? '\0' : '\n'}`);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (!o.on.has('quiet')) yield* complain(`realpath: ${word}: ${strerror(error)}\n`);
      status = 1;
    }
  }
  return status;
});

export const nproc = command(function* (argv) {
  const o = parseOptions('all ignore=', argv.slice(1));
  const ignore = Number(lastValue(o, 'ignore') ?? 0);
  const cpus = ((yield* tryRead('/proc/cpuinfo')) ?? 'processor\t: 0\n').match(/^processor\s*:/gm)?.length ?? 1;
  const allowed = o.on.has('all') ? null : /^Cpus_allowed_list:\s*(\S+)/m.exec((yield* tryRead('/proc/self/status')) ?? '');
  yield* print(`${Math.max(1, (allowed ? countList(allowed[1]!) : cpus) - ignore)}\n`);
});

/** How many numbers "0-3,7" names. */
export function countList(list: string): number {
  return list.split(',').reduce((sum, part) => {
    const [a, b] = part.split('-');
    return sum + (b === undefined ? 1 : Number(b) - Number(a) + 1);
  }, 0);
}

export const tty = command(function* (argv) {
  const o = parseOptions('s/silent quiet', argv.slice(1));
  const name = yield* terminalName(0);
  if (!o.on.has('silent') && !o.on.has('quiet')) yield* print(`${name ?? 'not a tty'}\n`);
  return name ? 0 : 1;
}, 2);

/** "/dev/tty1" of a descriptor that is a terminal, else null. */
export function* terminalName(fd: number): Call<string | null> {
  if ((yield* attempt(sys('ioctl', fd, TIOCGWINSZ), null)) === null) return null;
  return yield* attempt(sys('readlinkat', AT_FDCWD, `/proc/self/fd/${fd}`), '/dev/tty');
}

export const whoami = command(function* (argv) {
  const { words } = parseOptions('', argv.slice(1));
  if (words.length > 0) throw new BadOption(`extra operand ${curly(words[0]!)}`);
  yield* print(`${userName(yield* readAccounts(), yield* sys('geteuid'))}\n`);
});

export const sync = command(function* (argv) {
  const o = parseOptions('d/data f/file-system', argv.slice(1));
  if (o.words.length === 0) yield* sys('sync');
  for (const path of o.words) {
    try {
      const fd = yield* sys('openat', AT_FDCWD, path, 0);
      yield* sys('fsync', fd);
      yield* sys('close', fd);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Failed(`error opening ${quoted(path)}: ${strerror(error)}`);
    }
  }
});

export const clear = command(function* () {
  yield* print('\x1b[H\x1b[2J\x1b[3J');
});

export const reset = command(function* () {
  yield* attempt(sys('ioctl', 0, 0x5402, { canonical: true, echo: true, signals: true, mapCrNl: true, postprocess: true }), 0);
  yield* print('\x1bc\x1b[?1049l\x1b[?25h\x1b[0m');
});

export const which = command(function* (argv, environment) {
  const o = parseOptions('a s', argv.slice(1));
  let status = 0;
  for (const name of o.words) {
    const places = name.includes('/') ? [name] : (environment.PATH ?? '').split(':').map((dir) => `${dir}/${name}`);
    let found = false;
    for (const path of places) {
      const stat = yield* statOf(path);
      if (!stat || !isType(stat.mode, 0o100000) || !(stat.mode & 0o111)) continue;
      found = true;
      yield* print(`${path}\n`);
      if (!o.on.has('a')) break;
    }
    if (!found) status = 1;
  }
  return status;
});

export const isLink = function* (path: string): Call<boolean> {
  const stat = yield* attempt(sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), null);
  return stat !== null && isType(stat.mode, S_IFLNK);
};
