/** systemd-tmpfiles: files, directories and links made and removed by lines of configuration; systemd-cat: a command's output into the journal. Source: tmpfiles.d(5), systemd-cat(1). */
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY, S_IFMT, SysError } from '../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { execvp } from '../coreutils/run.ts';
import { lastValue, parseOptions } from '../lib/args.ts';
import { attempt, fork, list, mkdirAll, reap, removeAll, statOf, tryRead, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { addEntry } from './journal.ts';
import { unprefixed } from './messages.ts';
import { splitWords } from './units.ts';

interface Entry {
  type: string;
  flags: string;
  path: string;
  mode: number | null;
  user: string;
  group: string;
  argument: string;
}

const TYPES = 'fwLdDevqQpcbCxXrRzZtThHaAm';
const DIRS = ['/etc/tmpfiles.d', '/run/tmpfiles.d', '/usr/local/lib/tmpfiles.d', '/usr/lib/tmpfiles.d'];

export const systemdTmpfiles: Program = command(unprefixed(function* (argv) {
  const o = parseOptions('h/help version user create clean remove purge boot graceful prefix= exclude-prefix= E root= image= image-policy= replace= dry-run no-pager cat-config tldr', argv.slice(1));
  for (const bad of ['clean', 'purge', 'user', 'root', 'image', 'replace', 'cat-config', 'tldr', 'help']) if (o.on.has(bad)) throw new Failed(`systemd-tmpfiles: not modelled: --${bad}`);
  if (!o.on.has('create') && !o.on.has('remove')) throw new Failed('You need to specify at least one of --clean, --create, --remove, or --purge.');
  const entries: Entry[] = [];
  let bad = false;
  for (const file of yield* configs(o.words)) {
    for (const [i, line] of file.text.split('\n').entries()) {
      const one = parsed(line, o.on.has('boot'));
      if (typeof one === 'string') {
        yield* complain(`${file.path}:${i + 1}: ${one}\n`);
        bad = true;
      } else if (one) entries.push(one);
    }
  }
  if (o.on.has('remove')) for (const entry of entries) yield* remove(entry);
  let failed = false;
  if (o.on.has('create')) for (const entry of entries) failed = !(yield* create(entry)) || failed;
  return bad ? 65 : failed ? 73 : 0;
}));

function* configs(words: readonly string[]): Call<{ path: string; text: string }[]> {
  const out: { path: string; text: string }[] = [];
  for (const word of words) {
    const path = word.includes('/') ? word : yield* found(word);
    const content = path === null ? null : yield* tryRead(path);
    if (content === null) throw new Failed(`Failed to open '${word}': No such file or directory`);
    out.push({ path: path!, text: content });
  }
  if (words.length > 0) return out;
  const names = new Map<string, string>();
  for (const dir of DIRS) for (const { name } of yield* list(dir)) if (name.endsWith('.conf') && !names.has(name)) names.set(name, `${dir}/${name}`);
  for (const [, path] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) out.push({ path, text: (yield* tryRead(path)) ?? '' });
  return out;
}

function* found(name: string): Call<string | null> {
  for (const dir of DIRS) if (yield* statOf(`${dir}/${name}`)) return `${dir}/${name}`;
  return null;
}

function parsed(line: string, boot: boolean): Entry | string | null {
  if (/^\s*(#|$)/.test(line)) return null;
  const words = splitWords(line.trim());
  if (words.length < 2) return 'Syntax error.';
  const [action = '', path = '', mode = '-', user = '-', group = '-', , ...argument] = words;
  const type = action[0]!;
  if (!TYPES.includes(type) || !/^[-+!=~^?$]*$/.test(action.slice(1))) return TYPES.includes(type) ? `Unknown modifiers in command: ${action}` : `Unknown command type '${type}'.`;
  if (action.includes('!') && !boot) return null;
  if (!path.startsWith('/')) return `Path '${path}' not absolute.`;
  if (mode !== '-' && !/^[~:]*[0-7]{1,5}$/.test(mode)) return `Invalid mode '${mode}'.`;
  return { type, flags: action.slice(1), path: path.replace(/\/+$/, ''), mode: mode === '-' ? null : Number.parseInt(mode.replace(/^[~:]+/, ''), 8), user, group, argument: argument.join(' ') };
}

function* owner(entry: Entry): Call<[number, number]> {
  const id = function* (file: string, name: string): Call<number> {
    if (name === '-') return -1;
    if (/^\d+$/.test(name)) return Number(name);
    const line = ((yield* tryRead(file)) ?? '').split('\n').map((one) => one.split(':')).find((one) => one[0] === name);
    return line ? Number(line[2]) : -2;
  };
  return [yield* id('/etc/passwd', entry.user.replace(/^:/, '')), yield* id('/etc/group', entry.group.replace(/^:/, ''))];
}

const unescaped = (s: string): string => s.replace(/\\(n|t|\\)/g, (_, c: string) => ({ n: '\n', t: '\t', '\\': '\\' })[c]!);

function* create(entry: Entry): Call<boolean> {
  const { type, path, argument } = entry;
  const [uid, gid] = yield* owner(entry);
  if (uid === -2 || gid === -2) {
    yield* complain(`Failed to resolve ${uid === -2 ? `user '${entry.user}'` : `group '${entry.group}'`}: Unknown ${uid === -2 ? 'user' : 'group'}\n`.replace(/: Unknown.*/, ': No such process'));
    return false;
  }
  const parent = path.slice(0, path.lastIndexOf('/'));
  const there = yield* statOf(path);
  switch (type) {
    case 'd': case 'D': case 'v': case 'q': case 'Q': case 'e':
      if (type === 'e' && !there) return true;
      if (there && (there.mode & S_IFMT) !== 0o040000) {
        yield* complain(`"${path}" already exists and is not a directory.\n`);
        return false;
      }
      yield* mkdirAll(path);
      break;
    case 'f':
      if (there && !entry.flags.includes('+')) break;
      yield* mkdirAll(parent);
      yield* writeFile(path, argument === '' ? '' : unescaped(argument), 0o644);
      break;
    case 'w': {
      if (!there) return true;
      const fd = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CLOEXEC | (entry.flags.includes('+') ? 0o2000 : O_TRUNC) | O_CREAT, 0o644);
      yield* sys('close', fd);
      yield* writeFile(path, (entry.flags.includes('+') ? ((yield* tryRead(path)) ?? '') : '') + unescaped(argument));
      return true;
    }
    case 'L':
      yield* mkdirAll(parent);
      if (entry.flags.includes('+')) yield* removeAll(path);
      yield* attempt(sys('symlinkat', argument, AT_FDCWD, path), 0, 'EEXIST');
      return true;
    case 'p': yield* mkdirAll(parent); yield* attempt(sys('mknodat', AT_FDCWD, path, 0o010644, 0, 0), 0); break;
    case 'z': case 'Z': if (!there) return true; break;
    case 'x': case 'X': case 'r': case 'R': return true;
    default: yield* complain(`systemd-tmpfiles: not modelled: lines of type ${type}\n`); return false;
  }
  if (entry.mode !== null || 'dDvqQfp'.includes(type)) yield* attempt(sys('fchmodat', AT_FDCWD, path, entry.mode ?? ('fp'.includes(type) ? 0o644 : 0o755)), 0);
  if (uid >= 0 || gid >= 0) yield* attempt(sys('fchownat', AT_FDCWD, path, uid, gid, 0), 0);
  return true;
}

/** r and R remove what they name, D what is in it. */
function* remove({ type, path }: Entry): Call<void> {
  if (type === 'R') yield* removeAll(path);
  if (type === 'r') yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0);
  if (type === 'D') for (const { name } of yield* list(path)) yield* removeAll(`${path}/${name}`);
}

const LEVELS = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

export const systemdCat: Program = command(unprefixed(function* (argv, env) {
  const o = parseOptions('h/help version t/identifier= p/priority= stderr-priority= level-prefix= namespace=', argv.slice(1), 'in-order');
  const given = lastValue(o, 'priority') ?? 'info';
  const priority = /^[0-7]$/.test(given) ? Number(given) : LEVELS.indexOf(given);
  if (priority < 0) throw new Failed(`Failed to parse priority value: ${given}`);
  const pid = yield* sys('getpid');
  const ident = lastValue(o, 'identifier') ?? (o.words.length === 0 ? 'cat' : o.words[0]!.split('/').pop()!);
  const [r, w] = yield* sys('pipe2', O_CLOEXEC);
  let child = 0;
  if (o.words.length > 0) {
    child = yield* fork(function* (): Body {
      yield* sys('dup3', w, 1, 0);
      yield* sys('dup3', w, 2, 0);
      try {
        return yield* execvp(o.words, env);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        yield* complain(`Failed to execute process: ${strerror(error)}\n`);
        return 1;
      }
    });
  }
  yield* sys('close', w);
  let held = '';
  for (;;) {
    const data = yield* sys('read', o.words.length > 0 ? r : 0, 65536);
    const lines = (held + text(data)).split('\n');
    held = data.length === 0 ? '' : lines.pop()!;
    for (const raw of lines) {
      const level = /^<([0-7])>/.exec(raw);
      if (raw !== '') yield* addEntry({ at: yield* sys('clock_gettime', 'realtime'), unit: '', ident, pid: child || pid, message: level ? raw.slice(3) : raw, priority: level ? Number(level[1]) : priority, transport: 'stdout', facility: 3 });
    }
    if (data.length === 0) break;
  }
  return child > 0 ? ((yield* reap(child)) >> 8) & 255 : 0;
}));
